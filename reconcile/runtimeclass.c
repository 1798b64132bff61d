/* RuntimeClasses: what pods of one get when they come to be: the runtime's overhead, and where it
 * is.
 */
#include "reconcile/podpolicy.h"

#include <string.h>

const struct kg_value *kg_runtime_of(const struct kg_snapshot *s, const struct kg_value *pod_spec)
{
	const char *name = kg_string(kg_get(pod_spec, "runtimeClassName"), "");
	const struct kg_object *rc =
		*name ? kg_snapshot_get(s, KG_KIND_RUNTIMECLASS, "", name) : NULL;
	return rc ? kg_obj(rc) : &kg_null;
}

static struct kg_value with_tolerations(
	struct kg_arena *a, const struct kg_value *have, const struct kg_value *more)
{
	struct kg_value out = *have;
	if (out.type != KG_ARRAY)
		out = kg_v_array(a, NULL, 0);
	for (uint32_t i = 0; i < kg_len(more); i++) {
		bool there = false;
		for (uint32_t k = 0; k < kg_len(have) && !there; k++)
			there = kg_equal(&have->items[k], &more->items[i]);
		if (!there)
			out = kg_with_item(a, &out, more->items[i]);
	}
	return out;
}

struct kg_value kg_runtime_default(
	struct kg_arena *a, const struct kg_snapshot *s, const struct kg_value *pod)
{
	return kg_runtime_apply(a, kg_runtime_of(s, kg_get(pod, "spec")), pod);
}

struct kg_value kg_runtime_apply(
	struct kg_arena *a, const struct kg_value *rc, const struct kg_value *pod)
{
	const struct kg_value *spec = kg_get(pod, "spec");
	const struct kg_value *overhead = kg_at(rc, "overhead.podFixed");
	const struct kg_value *nodes = kg_at(rc, "scheduling.nodeSelector");
	const struct kg_value *tolerations = kg_at(rc, "scheduling.tolerations");
	struct kg_value v = *pod;
	if (kg_len(overhead) && kg_is_null(kg_get(spec, "overhead")))
		v = kg_with(a, &v, "spec.overhead", *overhead);
	if (kg_len(nodes)) {
		struct kg_value all = *nodes;
		const struct kg_value *own = kg_get(spec, "nodeSelector");
		for (uint32_t i = 0; i < kg_len(own); i++)
			all = kg_with_key(a, &all, own->members[i].key, own->members[i].value);
		v = kg_with(a, &v, "spec.nodeSelector", all);
	}
	if (kg_len(tolerations))
		v = kg_with(a, &v, "spec.tolerations",
			with_tolerations(a, kg_get(spec, "tolerations"), tolerations));
	return v;
}

const char *kg_runtime_refuses(
	struct kg_arena *a, const struct kg_value *rc, const struct kg_value *spec)
{
	const char *name = kg_string(kg_get(spec, "runtimeClassName"), "");
	const struct kg_value *nodes = kg_at(rc, "scheduling.nodeSelector");
	const struct kg_value *overhead = kg_get(spec, "overhead");
	if (*name && kg_is_null(rc))
		return kg_arena_printf(a, "pod rejected: RuntimeClass \"%s\" not found", name);
	if (!kg_is_null(overhead) && !kg_equal(overhead, kg_at(rc, "overhead.podFixed")))
		return kg_len(kg_at(rc, "overhead.podFixed"))
			       ? "pod rejected: Pod's Overhead doesn't match RuntimeClass's "
				 "defined Overhead"
			       : "pod rejected: Pod Overhead set without corresponding "
				 "RuntimeClass defined Overhead";
	for (uint32_t i = 0; i < kg_len(nodes); i++) {
		const struct kg_member *m = &nodes->members[i];
		const struct kg_value *own = kg_get(kg_get(spec, "nodeSelector"), m->key);
		if (!kg_is_null(own) && !kg_equal(own, &m->value))
			return kg_arena_printf(a,
				"conflict: runtimeClass.scheduling.nodeSelector[%s] = %s; "
				"pod.spec.nodeSelector[%s] = %s",
				m->key, kg_string(&m->value, ""), m->key, kg_string(own, ""));
	}
	return NULL;
}
