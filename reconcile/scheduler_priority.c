/* Priorities: of a PriorityClass by name, of the two that every cluster has, or of the class that
 * is the global default. Kubernetes writes them into the pod as it is created; here it happens as
 * the scheduler first sees the pod. */
#include "reconcile/scheduler.h"

#include <string.h>

struct class_of {
	const char *policy;
	int64_t value;
};

static const struct kg_object *default_class(
	const struct kg_snapshot *s, const struct kg_kind *kind)
{
	struct kg_object_iter it;
	const struct kg_object *obj, *found = NULL;
	kg_iter_kind(&it, s, kind->id, NULL, NULL);
	/* Of several the lowest counts, as in Kubernetes. */
	while ((obj = kg_iter_next(&it)))
		if (kg_bool(kg_get(kg_obj(obj), "globalDefault"), false) &&
			(!found || kg_int(kg_get(kg_obj(obj), "value"), 0) <
					   kg_int(kg_get(kg_obj(found), "value"), 0)))
			found = obj;
	kg_iter_release(&it);
	return found;
}

static bool find_class(struct class_of *out, const struct kg_snapshot *s,
	const struct kg_object *dflt, const struct kg_kind *kind, const char *name)
{
	*out = (struct class_of){0};
	if (kg_priority_built_in(&out->value, name))
		return true;
	const struct kg_object *obj = !*name ? dflt
				      : kind ? kg_snapshot_get(s, kind->id, "", name)
					     : NULL;
	if (!obj)
		return false;
	out->value = kg_int(kg_get(kg_obj(obj), "value"), 0);
	out->policy = kg_string(kg_get(kg_obj(obj), "preemptionPolicy"), NULL);
	return true;
}

static void settle(struct kg_run *r, const struct kg_object *pod, const struct class_of *c)
{
	struct kg_value v = kg_with(&r->a, kg_obj(pod), "spec.priority", kg_v_int(c->value));
	if (c->policy && kg_is_null(kg_at(&v, "spec.preemptionPolicy")))
		v = kg_with(&r->a, &v, "spec.preemptionPolicy", kg_v_str(&r->a, c->policy));
	kg_put_value(r, pod, &v);
	kg_arena_release(&r->a);
}

void kg_priority_settle(struct kg_run *r, struct kg_list *waiting)
{
	const struct kg_kind *kind = kg_kind_by_api("scheduling.k8s.io/v1", "PriorityClass");
	const struct kg_object *dflt = kind ? default_class(kg_now(r), kind) : NULL;
	for (size_t i = 0; i < waiting->n; i++) {
		struct kg_object *pod = waiting->v[i];
		const struct kg_value *spec = kg_get(kg_obj(pod), "spec");
		const char *name = kg_string(kg_get(spec, "priorityClassName"), "");
		struct class_of c;
		if ((!*name && !dflt) || !kg_is_null(kg_get(spec, "priority")) ||
			!find_class(&c, kg_now(r), dflt, kind, name))
			continue;
		settle(r, pod, &c);
		const struct kg_object *now = kg_snapshot_get_key(kg_now(r), KG_KIND_POD, pod->key);
		waiting->v[i] = kg_object_ref(now);
		kg_object_unref(pod);
	}
}
