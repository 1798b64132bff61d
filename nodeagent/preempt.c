#include "nodeagent/preempt.h"

#include "base/mem.h"
#include "kinds/amount.h"
#include "kinds/placement.h"

#include <string.h>

/* The node's resources, and "pods" behind them. */
#define MOST (KG_ADMIT_RESOURCES + 1)

struct needs {
	int64_t of[MOST]; /* what is still short; 0: nothing */
};
struct candidate {
	const struct kg_value *pod;
	int64_t gives[MOST];
	int class; /* 0: BestEffort, 1: Burstable, 2: Guaranteed; -1: it stays */
	bool goes;
};
struct choice {
	struct candidate *all;
	size_t n, nres;
};

static int64_t priority(const struct kg_value *pod)
{
	return kg_int(kg_at(pod, "spec.priority"), 0);
}

static bool is_critical(const struct kg_value *pod)
{
	return priority(pod) >= KG_PRIORITY_CRITICAL;
}

static bool may_go(const struct kg_value *pod, const struct kg_value *there)
{
	return (is_critical(pod) && !is_critical(there)) || priority(pod) > priority(there);
}

static int class_of(const struct kg_value *pod)
{
	const char *qos = kg_pod_qos(kg_get(pod, "spec"));

	return !strcmp(qos, "BestEffort") ? 0 : !strcmp(qos, "Burstable") ? 1 : 2;
}

static void asks(int64_t *out, const struct kg_admit *node, const struct kg_value *pod)
{
	for (size_t i = 0; i < node->nresources; i++)
		out[i] = kg_admit_asks(pod, node->resources[i].name);
	out[node->nresources] = 1;
}

static void find_short(struct needs *out, const struct kg_admit *node, const struct kg_value *pod)
{
	*out = (struct needs){0};
	asks(out->of, node, pod);
	for (size_t i = 0; i <= node->nresources; i++) {
		bool last = i == node->nresources;
		int64_t room = last ? node->max_pods : node->resources[i].room;
		int64_t used = last ? node->pods : node->resources[i].used;
		int64_t missing = out->of[i] - (room - used);

		out->of[i] = out->of[i] > 0 && missing > 0 ? missing : 0;
	}
}

/* ---- needs ---- */

static bool is_any(const struct choice *c, const struct needs *needs)
{
	for (size_t i = 0; i < c->nres; i++)
		if (needs->of[i] > 0)
			return true;
	return false;
}

static void lessen(const struct choice *c, struct needs *needs, const struct candidate *by)
{
	for (size_t i = 0; i < c->nres; i++)
		needs->of[i] = needs->of[i] > by->gives[i] ? needs->of[i] - by->gives[i] : 0;
}

/* By all of a class, or by those of it that go. */
static void lessen_by(const struct choice *c, struct needs *needs, int class, bool who_go)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->all[i].class == class && (!who_go || c->all[i].goes))
			lessen(c, needs, &c->all[i]);
}

/* How much is short after it, each resource by its part, squared. */
static double distance(
	const struct choice *c, const struct needs *needs, const struct candidate *from)
{
	double sum = 0;

	for (size_t i = 0; i < c->nres; i++) {
		if (needs->of[i] <= from->gives[i])
			continue;
		double part = (double)(needs->of[i] - from->gives[i]) / (double)needs->of[i];
		sum += part * part;
	}
	return sum;
}

static bool asks_for_less(const struct candidate *a, const struct candidate *b)
{
	static const char *const names[] = {"memory", "cpu"};

	for (size_t i = 0; i < KG_ARRAY_LEN(names); i++) {
		int64_t x = kg_admit_asks(a->pod, names[i]), y = kg_admit_asks(b->pod, names[i]);

		if (x != y)
			return x < y;
	}
	return false;
}

/* ---- the choice ---- */

/* Lets pods of a class go until nothing is short. */
static bool choose(struct choice *c, int class, struct needs needs)
{
	while (is_any(c, &needs)) {
		struct candidate *best = NULL;
		double least = 0;

		for (size_t i = 0; i < c->n; i++) {
			struct candidate *k = &c->all[i];
			double d = distance(c, &needs, k);

			if (k->class != class || k->goes)
				continue;
			if (!best || d < least || (d <= least && asks_for_less(k, best))) {
				best = k;
				least = d;
			}
		}
		if (!best)
			return false;
		best->goes = true;
		lessen(c, &needs, best);
	}
	return true;
}

/* A class is asked for what those below it cannot give, and those of it who need not go stay. */
static bool choose_all(struct choice *c, const struct needs *needs)
{
	for (int class = 2; class >= 0; class --) {
		struct needs left = *needs;

		for (int other = 2; other >= 0; other--)
			if (other != class)
				lessen_by(c, &left, other, other > class);
		if (!choose(c, class, left))
			return false;
	}
	return true;
}

bool kg_preempt(bool *goes, const struct kg_admit *node, const struct kg_value *pod,
	const struct kg_value *const *there, size_t n)
{
	struct kg_admit_refusal ignored;
	struct needs needs;

	if (!is_critical(pod) || !kg_admit_suits(node, pod, &ignored))
		return false;
	KG_AUTOFREE struct candidate *all = kg_alloc((n + 1) * sizeof(*all));
	struct choice c = {.all = all, .n = n, .nres = node->nresources + 1};
	for (size_t i = 0; i < n; i++) {
		all[i] = (struct candidate){.pod = there[i], .class = -1};
		asks(all[i].gives, node, there[i]);
		if (may_go(pod, there[i]))
			all[i].class = class_of(there[i]);
	}
	find_short(&needs, node, pod);
	if (!choose_all(&c, &needs))
		return false;
	for (size_t i = 0; i < n; i++)
		goes[i] = all[i].goes;
	return true;
}
