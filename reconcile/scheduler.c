/*
 * The scheduler. Waiting pods are taken in order (priority, age, name); those that are alike are
 * placed together (scheduler_place.c). Filters, scores, weights and words are those of
 * Kubernetes' default plugins.
 *
 * Pods that fit nowhere say so with the counts as they are when all others are placed, which
 * depends on the cluster's state alone.
 */
#include "reconcile/scheduler.h"

#include <string.h>

static int cmp_waiting(const void *a, const void *b)
{
	return kg_queue_cmp(*(struct kg_object *const *)a, *(struct kg_object *const *)b);
}

static void say_gated(struct kg_run *r, const struct kg_object *pod)
{
	kg_say_waiting(r, pod, "SchedulingGated",
		"Scheduling is blocked due to non-empty scheduling gates", NULL);
	kg_arena_release(&r->a);
}

/* Those that are ours and not held back by gates, in order. */
static void collect(struct kg_list *l, struct kg_run *r)
{
	KG_AUTOLIST struct kg_list all = {0};
	struct kg_map_entry *e;
	for (size_t i = 0; (e = kg_map_next(&r->st->pending, &i));) {
		const struct kg_object *pod = kg_snapshot_get_key(kg_now(r), KG_KIND_POD, e->key);
		if (pod && kg_profile_of(pod))
			kg_list_add(&all, pod);
	}
	for (size_t i = 0; i < all.n; i++) {
		if (kg_pod_gated(all.v[i]))
			say_gated(r, all.v[i]);
		else
			kg_list_add(l, all.v[i]);
	}
	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), cmp_waiting);
}

/* Binds pods of one class, in order; returns how many found a place. */
static size_t place(struct kg_run *r, struct kg_object **pods, size_t n)
{
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_pod_class c;
	struct kg_placing p;
	kg_class_init(&c, r->st, kg_now(r), &a, pods[0]);
	kg_placing_init(&p, r->st, &a, &c);
	size_t done = 0;
	while (done < n) {
		struct kg_node_info *node = kg_placing_take(&p);
		if (!node || !kg_bind(r, pods[done], &c, node))
			break;
		kg_arena_release(&r->a);
		done++;
		if (done < n)
			kg_placing_bound(&p, node);
	}
	kg_placing_release(&p);
	kg_arena_release(&a);
	return done;
}

static void say_unschedulable(struct kg_run *r, struct kg_object **pods, size_t n)
{
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_pod_class c;
	struct kg_placing p;
	kg_class_init(&c, r->st, kg_now(r), &a, pods[0]);
	kg_placing_init(&p, r->st, &a, &c);
	const char *text = kg_message(&a, &p, NULL);
	for (size_t i = 0; i < n; i++) {
		kg_say_waiting(r, pods[i], "Unschedulable", text, NULL);
		kg_arena_release(&r->a);
	}
	kg_placing_release(&p);
	kg_arena_release(&a);
}

static size_t alike(struct kg_object **pods, size_t n)
{
	size_t end = 1;
	while (end < n && kg_class_same(pods[0], pods[end]))
		end++;
	return end;
}

void kg_scheduler_run(struct kg_run *r, const char *key)
{
	(void)key;
	KG_AUTOLIST struct kg_list waiting = {0}, failed = {0};
	r->st->sched->runs++;
	collect(&waiting, r);
	for (size_t i = 0, n; i < waiting.n; i += n) {
		n = alike(waiting.v + i, waiting.n - i);
		for (size_t k = place(r, waiting.v + i, n); k < n; k++)
			kg_list_add(&failed, waiting.v[i + k]);
	}
	for (size_t i = 0, n; i < failed.n; i += n) {
		n = alike(failed.v + i, failed.n - i);
		say_unschedulable(r, failed.v + i, n);
	}
	kg_peers_age(r->st->sched);
}
