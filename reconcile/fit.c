/* Does a node take a pod: name, cordon, readiness, taints, selectors and affinity, ports, room. */
#include "reconcile/scheduler.h"

#include <string.h>

/* ---- taints ---- */

bool kg_tolerates(const struct kg_value *t, const struct kg_value *taint)
{
	const char *effect = kg_string(kg_get(t, "effect"), "");
	const char *key = kg_string(kg_get(t, "key"), "");
	bool exists = strcmp(kg_string(kg_get(t, "operator"), "Equal"), "Exists") == 0;
	if (*effect && strcmp(effect, kg_string(kg_get(taint, "effect"), "")) != 0)
		return false;
	if (*key && strcmp(key, kg_string(kg_get(taint, "key"), "")) != 0)
		return false;
	if (!*key && !exists)
		return false;
	return exists || strcmp(kg_string(kg_get(t, "value"), ""),
				 kg_string(kg_get(taint, "value"), "")) == 0;
}

static bool tolerated(const struct kg_value *taint, const struct kg_value *tolerations)
{
	for (uint32_t k = 0; k < kg_len(tolerations); k++)
		if (kg_tolerates(&tolerations->items[k], taint))
			return true;
	return false;
}

const struct kg_value *kg_untolerated(
	const struct kg_value *taints, const struct kg_value *tolerations, bool hard)
{
	for (uint32_t i = 0; i < kg_len(taints); i++) {
		const struct kg_value *taint = &taints->items[i];
		bool soft = strcmp(kg_string(kg_get(taint, "effect"), ""), "PreferNoSchedule") == 0;
		if (soft != hard && !tolerated(taint, tolerations))
			return taint;
	}
	return NULL;
}

/* ---- node selectors ---- */

static bool has_value(const struct kg_value *values, const char *v)
{
	for (uint32_t i = 0; i < kg_len(values); i++)
		if (strcmp(kg_string(&values->items[i], ""), v) == 0)
			return true;
	return false;
}

static bool compare(const struct kg_value *values, const char *v, bool greater)
{
	char *e1, *e2;
	const char *want = kg_len(values) == 1 ? kg_string(&values->items[0], "") : "";
	long long a = strtoll(v, &e1, 10), b = strtoll(want, &e2, 10);
	if (!*v || *e1 || !*want || *e2)
		return false;
	return greater ? a > b : a < b;
}

/* v NULL: the node has no such label. */
static bool expression_matches(const struct kg_value *e, const char *v)
{
	const char *op = kg_string(kg_get(e, "operator"), "");
	const struct kg_value *values = kg_get(e, "values");
	if (strcmp(op, "In") == 0)
		return v && has_value(values, v);
	if (strcmp(op, "NotIn") == 0)
		return !v || !has_value(values, v);
	if (strcmp(op, "Exists") == 0)
		return v != NULL;
	if (strcmp(op, "DoesNotExist") == 0)
		return v == NULL;
	if (strcmp(op, "Gt") == 0 || strcmp(op, "Lt") == 0)
		return v && compare(values, v, op[0] == 'G');
	return false;
}

bool kg_node_selector_matches(const struct kg_value *term, const struct kg_node_info *n)
{
	const struct kg_value *labels = kg_at(kg_obj(n->obj), "metadata.labels");
	const struct kg_value *es = kg_get(term, "matchExpressions");
	const struct kg_value *fs = kg_get(term, "matchFields");
	if (kg_len(es) == 0 && kg_len(fs) == 0)
		return false; /* an empty term matches nothing */
	for (uint32_t i = 0; i < kg_len(es); i++) {
		const struct kg_value *e = &es->items[i];
		const char *v = kg_string(kg_get(labels, kg_string(kg_get(e, "key"), "")), NULL);
		if (!expression_matches(e, v))
			return false;
	}
	for (uint32_t i = 0; i < kg_len(fs); i++) {
		bool name =
			strcmp(kg_string(kg_get(&fs->items[i], "key"), ""), "metadata.name") == 0;
		if (!name || !expression_matches(&fs->items[i], n->name))
			return false;
	}
	return true;
}

static bool affinity_matches(const struct kg_pod_class *c, const struct kg_node_info *n)
{
	if (!kg_is_null(c->selector) &&
		!kg_labels_match_map(c->selector, kg_at(kg_obj(n->obj), "metadata.labels")))
		return false;
	if (kg_is_null(c->required))
		return true;
	const struct kg_value *terms = kg_get(c->required, "nodeSelectorTerms");
	for (uint32_t i = 0; i < kg_len(terms); i++)
		if (kg_node_selector_matches(&terms->items[i], n))
			return true;
	return false;
}

enum kg_misfit kg_fit_static(
	const struct kg_pod_class *c, const struct kg_node_info *n, const struct kg_value **taint)
{
	if (*c->node_name && strcmp(c->node_name, n->name) != 0)
		return KG_MISFIT_NODE_NAME;
	if (n->unschedulable)
		return KG_MISFIT_UNSCHEDULABLE;
	if (!n->ready)
		return KG_MISFIT_NOT_READY;
	if (n->tainted) {
		*taint = kg_untolerated(kg_at(kg_obj(n->obj), "spec.taints"), c->tolerations, true);
		if (*taint)
			return KG_MISFIT_TAINT;
	}
	return affinity_matches(c, n) ? KG_FIT : KG_MISFIT_AFFINITY;
}

int64_t kg_fit_preference(const struct kg_pod_class *c, const struct kg_node_info *n)
{
	const struct kg_value *terms = c->preferred;
	int64_t sum = 0;
	for (uint32_t i = 0; i < kg_len(terms); i++) {
		const struct kg_value *t = &terms->items[i];
		if (kg_node_selector_matches(kg_get(t, "preference"), n))
			sum += kg_int(kg_get(t, "weight"), 0);
	}
	return sum;
}

int64_t kg_fit_soft_taints(const struct kg_pod_class *c, const struct kg_node_info *n)
{
	if (!n->tainted)
		return 0;
	const struct kg_value *taints = kg_at(kg_obj(n->obj), "spec.taints");
	int64_t count = 0;
	for (uint32_t i = 0; i < kg_len(taints); i++)
		count += strcmp(kg_string(kg_get(&taints->items[i], "effect"), ""),
				 "PreferNoSchedule") == 0 &&
			 !tolerated(&taints->items[i], c->tolerations);
	return count;
}

/* ---- room ---- */

static bool same_host_port(const struct kg_value *a, const struct kg_value *b)
{
	int64_t p = kg_int(kg_get(a, "hostPort"), 0);
	if (!p || p != kg_int(kg_get(b, "hostPort"), 0) ||
		strcmp(kg_string(kg_get(a, "protocol"), "TCP"),
			kg_string(kg_get(b, "protocol"), "TCP")) != 0)
		return false;
	const char *x = kg_string(kg_get(a, "hostIP"), "0.0.0.0");
	const char *y = kg_string(kg_get(b, "hostIP"), "0.0.0.0");
	return !*x || !*y || strcmp(x, "0.0.0.0") == 0 || strcmp(y, "0.0.0.0") == 0 ||
	       strcmp(x, y) == 0;
}

static bool ports_clash(const struct kg_value *spec, const struct kg_value *other)
{
	const struct kg_value *cs = kg_get(spec, "containers"), *ds = kg_get(other, "containers");
	for (uint32_t i = 0; i < kg_len(cs); i++)
		for (uint32_t k = 0; k < kg_len(ds); k++) {
			const struct kg_value *ps = kg_get(&cs->items[i], "ports");
			const struct kg_value *qs = kg_get(&ds->items[k], "ports");
			for (uint32_t p = 0; p < kg_len(ps); p++)
				for (uint32_t q = 0; q < kg_len(qs); q++)
					if (same_host_port(&ps->items[p], &qs->items[q]))
						return true;
		}
	return false;
}

static bool ports_free(
	const struct kg_pod_class *c, const struct kg_node_info *n, const struct kg_snapshot *s)
{
	bool clash = false;
	struct kg_object_iter it;
	const struct kg_object *pod;
	kg_iter_index(&it, s, KG_INDEX_NODE, n->name);
	while (!clash && (pod = kg_iter_next(&it)))
		clash = pod->kind->id == KG_KIND_POD && !kg_pod_terminal(pod) &&
			ports_clash(c->spec, kg_get(kg_obj(pod), "spec"));
	kg_iter_release(&it);
	return !clash;
}

enum kg_misfit kg_fit_room(
	const struct kg_pod_class *c, const struct kg_node_info *n, const struct kg_snapshot *s)
{
	if (n->pods >= n->max_pods)
		return KG_MISFIT_PODS;
	if (c->demand.unknown)
		return KG_MISFIT_RESOURCES;
	for (int i = 0; i < KG_RES_MAX; i++)
		if (c->demand.req[i] && c->demand.req[i] > n->alloc[i] - n->used[i])
			return KG_MISFIT_RESOURCES;
	if (!c->host_network && !kg_ipam_pod_room(n))
		return KG_MISFIT_ADDRESS;
	if (c->host_ports && !ports_free(c, n, s))
		return KG_MISFIT_PORTS;
	return KG_FIT;
}
