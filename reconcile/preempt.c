/*
 * Preemption: a pod that fits nowhere makes room for itself where pods of lower priority are in
 * its way. On each node that could help all of those are thought away, and then brought back one
 * by one, the most important first, as long as the pod still fits; the rest are the victims. The
 * node is chosen by Kubernetes' order: fewest budgets violated, lowest of the highest priorities,
 * smallest sum of priorities, fewest victims, and the one whose most important victims began last.
 *
 * The pod is nominated for the node and waits until its victims are gone. In every run until then
 * it is counted as if it were there, before pods of lower priority are looked at.
 */
#include "reconcile/preempt.h"

#include <string.h>

/* ---- one node ---- */

struct victim {
	const struct kg_object *pod;
	struct kg_demand demand;
	int64_t priority;
	kg_time start;
	bool away, violates;
};

static kg_time start_of(const struct kg_object *pod)
{
	return kg_time_of(
		kg_get(kg_get(kg_obj(pod), "status"), "startTime"), kg_object_created(pod));
}

static int cmp_importance(const void *a, const void *b)
{
	const struct victim *x = a, *y = b;
	if (x->priority != y->priority)
		return x->priority > y->priority ? -1 : 1;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return strcmp(x->pod->key, y->pod->key);
}

static void count_away(struct kg_placing *p, struct kg_node_info *n, struct victim *v, bool away)
{
	int64_t sign = away ? -1 : 1;
	for (int i = 0; i < KG_RES_MAX; i++)
		n->used[i] += sign * v->demand.req[i];
	n->pods += sign;
	if (v->demand.host_ports)
		kg_sched_ports(n, v->pod, !away);
	kg_placing_adjust(p, n->slot, v->pod, (int)sign);
	v->away = away;
}

/* With the pods that are away; addresses of those that leave come free, too. */
static enum kg_misfit fit_now(struct kg_placing *p, const struct kg_node_info *n)
{
	enum kg_misfit m = kg_fit_room(p->c, n);
	if (m != KG_FIT && m != KG_MISFIT_ADDRESS)
		return m;
	if (p->users)
		return KG_MISFIT_USED;
	kg_rank_refresh(p);
	struct kg_spot spot = kg_placing_spot(p, n->slot);
	return kg_rank_verdict(p, &spot);
}

static struct victim *potential(
	struct kg_preempting *pr, const struct kg_node_info *n, size_t *count)
{
	struct victim *v = NULL;
	size_t cap = 0;
	struct kg_object_iter it;
	const struct kg_object *pod;
	*count = 0;
	kg_iter_index(&it, pr->s, KG_INDEX_NODE, n->name);
	while ((pod = kg_iter_next(&it))) {
		if (pod->kind->id != KG_KIND_POD || kg_pod_terminal(pod) ||
			kg_pod_priority(pod) >= pr->p->c->priority)
			continue;
		KG_GROW(v, cap, *count + 1);
		v[*count] = (struct victim){
			.pod = pod, .priority = kg_pod_priority(pod), .start = start_of(pod)};
		kg_demand_of(pr->st, &v[*count].demand, pod);
		++*count;
	}
	kg_iter_release(&it);
	if (*count)
		qsort(v, *count, sizeof(*v), cmp_importance);
	return v;
}

/* Budgets that the victims, the most important first, would overdraw. */
static void find_violations(struct kg_preempting *pr, struct victim *v, size_t n)
{
	KG_AUTOFREE int64_t *left = kg_alloc((pr->nbudgets + 1) * sizeof(*left));
	for (size_t b = 0; b < pr->nbudgets; b++)
		left[b] = kg_int(kg_at(kg_obj(pr->budgets[b]), "status.disruptionsAllowed"), 0);
	for (size_t i = 0; i < n; i++) {
		const struct kg_value *labels =
			kg_get(kg_get(kg_obj(v[i].pod), "metadata"), "labels");
		for (size_t b = 0; kg_len(labels) && b < pr->nbudgets; b++) {
			const struct kg_value *sel = kg_at(kg_obj(pr->budgets[b]), "spec.selector");
			const struct kg_value *done =
				kg_at(kg_obj(pr->budgets[b]), "status.disruptedPods");
			if (strcmp(pr->budgets[b]->ns, v[i].pod->ns) != 0 || kg_len(sel) == 0 ||
				!kg_selector_matches(sel, labels) ||
				!kg_is_null(kg_get(done, v[i].pod->name)))
				continue;
			v[i].violates |= --left[b] < 0;
		}
	}
}

static void reprieve(struct kg_placing *p, struct kg_node_info *n, struct victim *v, size_t count,
	bool violating)
{
	for (size_t i = 0; i < count; i++) {
		if (v[i].violates != violating)
			continue;
		count_away(p, n, &v[i], false);
		if (fit_now(p, n) != KG_FIT)
			count_away(p, n, &v[i], true);
	}
}

static void plan_fill(struct kg_plan_node *plan, struct victim *v, size_t count)
{
	kg_time began = 0;
	for (size_t i = 0; i < count; i++) {
		if (!v[i].away)
			continue;
		if (plan->victims.n == 0) {
			plan->highest = v[i].priority;
			began = v[i].start;
		} else if (v[i].priority == plan->highest && v[i].start < began) {
			began = v[i].start;
		}
		plan->violations += v[i].violates;
		plan->sum += v[i].priority + INT64_C(2147483648);
		kg_list_add(&plan->victims, v[i].pod);
	}
	plan->began = began;
}

/* What would have to go from the node; `why` is what still stands in the way, KG_FIT: nothing. */
static enum kg_misfit plan_node(struct kg_preempting *pr, struct kg_plan_node *plan)
{
	size_t count;
	struct kg_placing *p = pr->p;
	struct kg_node_info *n = plan->n;
	KG_AUTOFREE struct victim *v = potential(pr, n, &count);
	kg_list_release(&plan->victims);
	plan->violations = plan->sum = 0;
	for (size_t i = 0; i < count; i++)
		count_away(p, n, &v[i], true);
	enum kg_misfit why = fit_now(p, n);
	if (why == KG_FIT) {
		find_violations(pr, v, count);
		reprieve(p, n, v, count, true);
		reprieve(p, n, v, count, false);
		plan_fill(plan, v, count);
	}
	for (size_t i = 0; i < count; i++)
		if (v[i].away)
			count_away(p, n, &v[i], false);
	kg_rank_refresh(p);
	return why;
}

/* ---- all nodes ---- */

static bool never(const struct kg_pod_class *c)
{
	return strcmp(kg_string(kg_get(c->spec, "preemptionPolicy"), ""), "Never") == 0;
}

/*
 * Pods that are in its way are on their way out. Whoever sent them: were it to think again, then
 * on every change of what orders the nodes.
 */
static bool waits_for_victims(struct kg_preempting *pr, const struct kg_node_info *n)
{
	bool waits = false;
	struct kg_object_iter it;
	const struct kg_object *pod;
	kg_iter_index(&it, pr->s, KG_INDEX_NODE, n->name);
	while (!waits && (pod = kg_iter_next(&it)))
		waits = pod->kind->id == KG_KIND_POD && !kg_pod_terminal(pod) &&
			kg_pod_priority(pod) < pr->p->c->priority && kg_object_deleting(pod);
	kg_iter_release(&it);
	return waits;
}

/* More than the node has in all: nobody's leaving would help. */
static bool hopeless(const struct kg_pod_class *c, const struct kg_node_info *n)
{
	bool no = c->demand.unknown != NULL;
	for (int i = 0; i < KG_RES_MAX; i++)
		no |= c->demand.req[i] > n->alloc[i];
	return no;
}

static bool has_lower(const struct kg_node_info *n, int64_t priority)
{
	for (size_t i = 0; i < n->nlevels; i++)
		if (n->levels[i].pods && n->levels[i].priority < priority)
			return true;
	return false;
}

static const char final[] = "Preemption is not helpful for scheduling";
static const char nobody[] = "No preemption victims found for incoming pod";

/* NULL: it is worth a plan. */
static const char *no_help(struct kg_preempting *pr, const struct kg_node_info *n)
{
	enum kg_misfit m = kg_placing_verdict(pr->p, n);
	if (kg_misfit_is_final(m) || (m == KG_MISFIT_RESOURCES && hopeless(pr->p->c, n)))
		return final;
	return has_lower(n, pr->p->c->priority) ? NULL : nobody;
}

static void add_reasons(struct kg_preempting *pr, const struct kg_node_info *n, enum kg_misfit m,
	struct kg_map *counts)
{
	const char *reasons[KG_RES_MAX + 2];
	size_t k = kg_reasons(reasons, KG_ARRAY_LEN(reasons), pr->p->a, pr->p, n, m);
	for (size_t i = 0; i < k; i++)
		kg_histogram_add(counts, reasons[i]);
}

static void plans_clear(struct kg_preempting *pr)
{
	for (size_t i = 0; i < pr->nplans; i++)
		kg_list_release(&pr->plans[i].victims);
	pr->nplans = 0;
}

/* Plans for every node; counts, where given, says why there is none. */
static void plan_all(struct kg_preempting *pr, struct kg_map *counts)
{
	const struct kg_sched *sc = pr->st->sched;
	size_t finals = 0, nobodies = 0;
	plans_clear(pr);
	pr->planned = true;
	/* It is so of every node, and pods that wait for claims of their own may be many. */
	bool all = pr->p->c->unclaimed != NULL;
	if (all)
		finals = sc->nslots - sc->nfree;
	for (uint32_t i = 0; !all && i < sc->nslots; i++) {
		pr->st->looked++;
		struct kg_node_info *n = sc->nodes[i];
		const char *why = n ? no_help(pr, n) : nobody;
		finals += why == final;
		nobodies += n && why == nobody;
		if (why)
			continue;
		struct kg_plan_node plan = {.n = n};
		enum kg_misfit m = plan_node(pr, &plan);
		if (m == KG_FIT && plan.victims.n) {
			KG_GROW(pr->plans, pr->cap, pr->nplans + 1);
			pr->plans[pr->nplans++] = plan;
			continue;
		}
		kg_list_release(&plan.victims);
		if (counts && m != KG_FIT)
			add_reasons(pr, n, m, counts);
	}
	if (counts && finals)
		kg_map_put(counts, final, (void *)(intptr_t)finals);
	if (counts && nobodies)
		kg_map_put(counts, nobody, (void *)(intptr_t)nobodies);
}

static void find_budgets(struct kg_preempting *pr)
{
	const struct kg_kind *kind = kg_kind_by_api("policy/v1", "PodDisruptionBudget");
	if (!kind)
		return;
	struct kg_object_iter it;
	const struct kg_object *obj;
	size_t cap = 0;
	kg_iter_kind(&it, pr->s, kind->id, NULL, NULL);
	while ((obj = kg_iter_next(&it))) {
		KG_GROW(pr->budgets, cap, pr->nbudgets + 1);
		pr->budgets[pr->nbudgets++] = obj;
	}
	kg_iter_release(&it);
}

static bool is_better(const struct kg_plan_node *a, const struct kg_plan_node *b, uint64_t seed)
{
	if (a->violations != b->violations)
		return a->violations < b->violations;
	if (a->highest != b->highest)
		return a->highest < b->highest;
	if (a->sum != b->sum)
		return a->sum < b->sum;
	if (a->victims.n != b->victims.n)
		return a->victims.n < b->victims.n;
	if (a->began != b->began)
		return a->began > b->began;
	uint64_t x = a->n->hash ^ seed, y = b->n->hash ^ seed;
	return x != y ? x > y : strcmp(a->n->name, b->n->name) < 0;
}

/* ---- for the scheduler and for explaining ---- */

void kg_preempting_init(struct kg_preempting *pr, struct kg_reconcile_state *st,
	const struct kg_snapshot *s, struct kg_placing *p)
{
	*pr = (struct kg_preempting){.st = st, .s = s, .p = p};
	find_budgets(pr);
}

void kg_preempting_release(struct kg_preempting *pr)
{
	plans_clear(pr);
	free(pr->plans);
	free(pr->budgets);
	*pr = (struct kg_preempting){0};
}

const char *kg_preempting_refuses(struct kg_preempting *pr, const char *nominated)
{
	if (never(pr->p->c))
		return "not eligible due to preemptionPolicy=Never.";
	struct kg_node_info *n = *nominated ? kg_node_info(pr->st, nominated) : NULL;
	if (n && !kg_misfit_is_final(kg_placing_verdict(pr->p, n)) && waits_for_victims(pr, n))
		return "not eligible due to a terminating pod on the nominated node.";
	return NULL;
}

/* Does any pod have a lower priority? */
static bool lower_exist(const struct kg_sched *sc, int64_t priority)
{
	for (size_t i = 0; i < sc->nlevels; i++)
		if (sc->levels[i].pods && sc->levels[i].priority < priority)
			return true;
	return false;
}

struct kg_plan_node *kg_preempting_best(struct kg_preempting *pr)
{
	if (!pr->planned && lower_exist(pr->st->sched, pr->p->c->priority))
		plan_all(pr, NULL);
	pr->planned = true;
	struct kg_plan_node *best = NULL;
	for (size_t i = 0; i < pr->nplans; i++)
		if (pr->plans[i].victims.n &&
			(!best || is_better(&pr->plans[i], best, pr->p->c->seed)))
			best = &pr->plans[i];
	return best;
}

void kg_preempting_again(struct kg_preempting *pr, struct kg_plan_node *plan)
{
	bool any = has_lower(plan->n, pr->p->c->priority);
	if (!any || plan_node(pr, plan) != KG_FIT)
		kg_list_release(&plan->victims);
}

const char *kg_preempting_message(struct kg_preempting *pr, struct kg_arena *a)
{
	struct kg_map counts = KG_MAP_INIT;
	plan_all(pr, &counts);
	const char *text = counts.count ? kg_histogram(a, pr->st->nodes.count, &counts) : NULL;
	kg_map_release(&counts);
	return text;
}
