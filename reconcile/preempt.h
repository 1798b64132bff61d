/* Between the scheduler and preemption: which pods would have to go for one that fits nowhere. */
#ifndef KG_RECONCILE_PREEMPT_H
#define KG_RECONCILE_PREEMPT_H

#include "reconcile/placing.h"

struct kg_plan_node {
	struct kg_node_info *n;
	struct kg_list victims; /* the most important first; none: the node is out */
	int64_t violations, highest, sum;
	kg_time began;
};
struct kg_preempting {
	struct kg_reconcile_state *st;
	const struct kg_snapshot *s;
	struct kg_placing *p;
	const struct kg_object **budgets;
	size_t nbudgets;
	struct kg_plan_node *plans;
	size_t nplans, cap;
	bool planned;
};
/* p is borrowed, and has to be in step with the state. */
void kg_preempting_init(struct kg_preempting *pr, struct kg_reconcile_state *st,
	const struct kg_snapshot *s, struct kg_placing *p);
void kg_preempting_release(struct kg_preempting *pr);
/* Why the class must not preempt (now); NULL: it may. */
const char *kg_preempting_refuses(struct kg_preempting *pr, const char *nominated);
/* The best plan; NULL: none. */
struct kg_plan_node *kg_preempting_best(struct kg_preempting *pr);
/* The plan's node changed. */
void kg_preempting_again(struct kg_preempting *pr, struct kg_plan_node *plan);
/* "0/5 nodes are available: ..." of why nobody's leaving helps; NULL: it would on every node. */
const char *kg_preempting_message(struct kg_preempting *pr, struct kg_arena *a);

#endif
