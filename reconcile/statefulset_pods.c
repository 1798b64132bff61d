/* The pods of a StatefulSet: names, identity and the revision that each is made of. */
#include "reconcile/statefulset.h"

#include <string.h>

int64_t kg_stateful_ordinal(const struct kg_object *set, const char *pod_name)
{
	size_t n = strlen(set->name);
	if (strncmp(pod_name, set->name, n) != 0 || pod_name[n] != '-')
		return -1;
	const char *s = pod_name + n + 1;
	size_t len = strspn(s, "0123456789");
	if (!len || len > 10 || s[len] || (s[0] == '0' && len > 1))
		return -1;
	return strtoll(s, NULL, 10);
}

const char *kg_stateful_revision(const struct kg_object *pod)
{
	return kg_label(pod, KG_HASH_LABEL, "");
}

bool kg_stateful_runs(const struct kg_object *pod)
{
	return kg_object_ready(pod) &&
	       strcmp(kg_string(kg_at(kg_obj(pod), "status.phase"), ""), "Running") == 0;
}

bool kg_stateful_ready(const struct kg_object *pod)
{
	return pod && !kg_object_deleting(pod) && kg_stateful_runs(pod);
}

bool kg_stateful_available(struct kg_stateful_sync *x, const struct kg_object *pod)
{
	return kg_stateful_ready(pod) && kg_pod_available(x->r, pod, x->min_ready_ms);
}

/* Below the partition pods stay what they were. */
static bool is_of_update(const struct kg_stateful_sync *x, int64_t ordinal)
{
	int64_t partition = kg_int(kg_at(x->spec, "updateStrategy.rollingUpdate.partition"), 0);
	return !x->rolling || ordinal - x->start >= partition;
}

static struct kg_mould *mould_of(struct kg_stateful_sync *x, bool update)
{
	struct kg_mould *m = &x->moulds[update];
	if (m->base)
		return m;
	struct kg_arena *a = &x->r->a;
	const char *name = update ? x->update : x->current;
	const struct kg_object *rev = kg_revisions_get(&x->revisions, name);
	struct kg_value t = kg_revision_template(a, rev ? rev : x->revisions.current);
	t = kg_with_label(a, &t, KG_HASH_LABEL, name);
	const char *service = kg_string(kg_get(x->spec, "serviceName"), "");
	if (*service)
		t = kg_with(a, &t, "spec.subdomain", kg_v_str(a, service));
	kg_mould_make(m, x->r, &t, NULL);
	return m;
}

void kg_stateful_make(struct kg_stateful_sync *x, int64_t ordinal)
{
	struct kg_arena *a = &x->r->a;
	struct kg_mould *m = mould_of(x, is_of_update(x, ordinal));
	const char *number = kg_arena_printf(a, "%lld", (long long)ordinal);
	const char *name = kg_arena_printf(a, "%s-%s", x->set->name, number);
	if (kg_snapshot_get(kg_now(x->r), KG_KIND_POD, x->set->ns, name))
		return; /* somebody else's: it waits */
	struct kg_value v = kg_mould_pod(m, x->r, x->set, kg_arena_printf(a, "%s-", x->set->name));
	v = kg_with_label(a, &v, "statefulset.kubernetes.io/pod-name", name);
	v = kg_with_label(a, &v, "apps.kubernetes.io/pod-index", number);
	v = kg_with(a, &v, "spec.hostname", kg_v_str(a, name));
	if (kg_stateful_claims(x, &v, number))
		kg_mould_put(m, x->r, x->set->ns, name, &v);
}
