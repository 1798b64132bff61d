/*
 * The scheduler. Waiting pods are taken in order (priority, age, name); those that are alike are
 * placed together (scheduler_place.c), and where nothing is left they may make room for
 * themselves (preempt.c). Filters, scores, weights and words are those of Kubernetes' default
 * plugins.
 *
 * Pods that fit nowhere say so with the counts as they are when all others are placed, which
 * depends on the cluster's state alone.
 */
#include "reconcile/preempt.h"

#include <string.h>

/* Bindings between two releases of the scratch memory. */
enum { ARENA_EVERY = 32 };

/* A pod that waits for its victims to go is counted as if it were on its node. */
struct reservation {
	struct kg_object *pod;
	struct kg_node_info *n;
	size_t group;
};
/* Pods of one class that found no place: [from, from + n) of the waiting ones. */
struct failure {
	size_t from, n, group;
};
struct round {
	struct kg_run *r;
	struct kg_list waiting;
	const char **nominated; /* by waiting pod; NULL: as it was; names in the arena */
	struct kg_arena names;
	struct reservation *reserved;
	size_t nreserved, reserved_cap;
	struct failure *failed;
	size_t nfailed, failed_cap;
	size_t group; /* the class that is being placed */
};

/* ---- the queue ---- */

struct queued {
	struct kg_object *pod;
	int64_t priority;
	kg_time created;
};

static int cmp_queued(const void *a, const void *b)
{
	const struct queued *x = a, *y = b;
	if (x->priority != y->priority)
		return x->priority > y->priority ? -1 : 1;
	if (x->created != y->created)
		return x->created < y->created ? -1 : 1;
	return strcmp(x->pod->key, y->pod->key);
}

/* As kg_queue_cmp has it. */
static void sort(struct kg_list *l)
{
	KG_AUTOFREE struct queued *q = kg_alloc((l->n + 1) * sizeof(*q));
	for (size_t i = 0; i < l->n; i++)
		q[i] = (struct queued){
			l->v[i], kg_pod_priority(l->v[i]), kg_object_created(l->v[i])};
	qsort(q, l->n, sizeof(*q), cmp_queued);
	for (size_t i = 0; i < l->n; i++)
		l->v[i] = q[i].pod;
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
	kg_priority_settle(r, &all);
	for (size_t i = 0; i < all.n; i++) {
		if (kg_pod_gated(all.v[i]))
			say_gated(r, all.v[i]);
		else
			kg_list_add(l, all.v[i]);
	}
	sort(l);
}

static size_t alike(struct kg_object **pods, size_t n)
{
	size_t end = 1;
	while (end < n && kg_class_same(pods[0], pods[end]))
		end++;
	return end;
}

/* ---- one class being placed ---- */

struct placed {
	struct kg_arena a;
	struct kg_pod_class c;
	struct kg_placing p;
};

static void class_init(struct placed *x, struct kg_run *r, const struct kg_object *pod)
{
	*x = (struct placed){.a = KG_ARENA_INIT};
	kg_class_init(&x->c, r->st, kg_now(r), &x->a, pod);
}

static void placed_init(struct placed *x, struct kg_run *r, const struct kg_object *pod)
{
	class_init(x, r, pod);
	kg_placing_init(&x->p, r->st, kg_now(r), &x->a, &x->c);
}

static void placed_release(struct placed *x)
{
	kg_placing_release(&x->p);
	kg_arena_release(&x->a);
}

/* Where a pod was nominated it goes first of all. */
static struct kg_node_info *take(struct placed *x, const struct kg_object *pod)
{
	const char *name = kg_pod_nominated(pod);
	struct kg_node_info *n = *name ? kg_node_info(x->p.st, name) : NULL;
	n = n ? kg_placing_take_node(&x->p, n) : NULL;
	return n ? n : kg_placing_take(&x->p);
}

/* ---- preemption ---- */

static void reserve(struct round *o, struct placed *x, size_t pod, struct kg_node_info *n)
{
	struct kg_run *r = o->r;
	KG_GROW(o->reserved, o->reserved_cap, o->nreserved + 1);
	o->reserved[o->nreserved++] = (struct reservation){
		.pod = kg_object_ref(o->waiting.v[pod]), .n = n, .group = o->group};
	kg_track_count(r->st, kg_now(r), n, o->waiting.v[pod], true);
	kg_shape_update(x->p.shape, r->st->sched, &x->c, n->slot);
	kg_placing_count_own(&x->p, n->slot);
}

/* Those of classes from `group` on. */
static void unreserve(struct round *o, size_t group)
{
	while (o->nreserved && o->reserved[o->nreserved - 1].group >= group) {
		struct reservation *x = &o->reserved[--o->nreserved];
		kg_track_count(o->r->st, kg_now(o->r), x->n, x->pod, false);
		kg_object_unref(x->pod);
	}
}

static void evict(struct kg_run *r, const struct kg_object *victim, const struct kg_pod_class *by)
{
	if (kg_object_deleting(victim))
		return;
	const struct kg_value *status = kg_get(kg_obj(victim), "status");
	struct kg_value c = kg_v_obj(&r->a, "type", kg_v_lit("DisruptionTarget"), "status",
		kg_v_lit("True"), "reason", kg_v_lit("PreemptionByScheduler"), "message",
		kg_v_strf(&r->a, "%s: preempting to accommodate a higher priority pod",
			by->profile->name),
		"lastTransitionTime", kg_now_value(r), (char *)NULL);
	struct kg_value st = kg_with_condition(&r->a, status, c);
	struct kg_value v = kg_with_key(&r->a, kg_obj(victim), "status", st);
	kg_put_value(r, victim, &v);
	const struct kg_object *now = kg_snapshot_get_key(kg_now(r), KG_KIND_POD, victim->key);
	if (now)
		kg_pod_delete(r, now);
	kg_arena_release(&r->a);
}

/* Victims that no node has heard of are gone at once, and then there is room. */
static bool bind_at_once(struct round *o, struct placed *x, size_t pod, struct kg_node_info *n)
{
	placed_release(x);
	placed_init(x, o->r, o->waiting.v[pod]);
	if (kg_placing_verdict(&x->p, n) != KG_FIT || !kg_bind(o->r, o->waiting.v[pod], &x->c, n))
		return false;
	kg_arena_release(&o->r->a);
	placed_release(x);
	placed_init(x, o->r, o->waiting.v[pod]);
	return true;
}

/* Evicts what stands in the way; true where the pod could be bound. */
static bool make_room(struct round *o, struct placed *x, struct kg_plan_node *plan, size_t pod)
{
	struct kg_node_info *n = plan->n;
	bool waits = false;
	for (size_t i = 0; i < plan->victims.n; i++) {
		evict(o->r, plan->victims.v[i], &x->c);
		waits |= kg_snapshot_get_key(kg_now(o->r), KG_KIND_POD, plan->victims.v[i]->key) !=
			 NULL;
	}
	if (!waits && bind_at_once(o, x, pod, n))
		return true;
	o->nominated[pod] = kg_arena_strdup(&o->names, n->name);
	reserve(o, x, pod, n);
	return false;
}

static void again(struct round *o, struct placed *x, struct kg_preempting *pr,
	struct kg_plan_node *plan, size_t pod)
{
	if (kg_class_is_free(&x->c)) {
		kg_preempting_again(pr, plan);
		return;
	}
	/* Every node may have changed. */
	kg_preempting_release(pr);
	placed_release(x);
	placed_init(x, o->r, o->waiting.v[pod]);
	kg_preempting_init(pr, o->r->st, kg_now(o->r), &x->p);
}

/* True where the pod was bound after all. */
static bool preempt_one(struct round *o, struct placed *x, struct kg_preempting *pr, size_t pod)
{
	const char *name = kg_pod_nominated(o->waiting.v[pod]);
	if (kg_preempting_refuses(pr, name)) {
		struct kg_node_info *n = *name ? kg_node_info(o->r->st, name) : NULL;
		if (n)
			reserve(o, x, pod, n);
		return false;
	}
	struct kg_plan_node *plan = kg_preempting_best(pr);
	if (!plan) {
		o->nominated[pod] = "";
		return false;
	}
	struct kg_object *first = kg_object_ref(o->waiting.v[pod]);
	bool bound = make_room(o, x, plan, pod);
	kg_object_unref(first);
	if (bound) {
		kg_preempting_release(pr);
		kg_preempting_init(pr, o->r->st, kg_now(o->r), &x->p);
	} else {
		again(o, x, pr, plan, pod);
	}
	return bound;
}

static void preempt(struct round *o, struct placed *x, size_t from, size_t n)
{
	struct kg_preempting pr;
	kg_preempting_init(&pr, o->r->st, kg_now(o->r), &x->p);
	for (size_t i = from; i < from + n; i++) {
		if (preempt_one(o, x, &pr, i))
			continue;
		struct failure *last = o->nfailed ? &o->failed[o->nfailed - 1] : NULL;
		if (last && i > from && last->from + last->n == i) {
			last->n++;
			continue;
		}
		KG_GROW(o->failed, o->failed_cap, o->nfailed + 1);
		o->failed[o->nfailed] = (struct failure){.from = i, .n = 1, .group = o->group};
		o->nfailed++;
	}
	kg_preempting_release(&pr);
}

/* ---- a round ---- */

/* Where there is one node to choose from, and nothing but itself decides, the others are not
 * looked at. How many of the n were bound. */
static size_t pin(struct round *o, const struct kg_pod_class *c, size_t from, size_t n)
{
	struct kg_run *r = o->r;
	struct kg_node_info *node = c->only ? kg_node_info(r->st, c->only) : NULL;
	size_t done = 0;
	if (!node || c->unclaimed || c->unbound || !kg_class_is_free(c) ||
		kg_fit_static(c, node) != KG_FIT || !kg_fit_volumes(c, node))
		return 0;
	while (done < n && kg_fit_room(c, node) == KG_FIT &&
		kg_bind(r, o->waiting.v[from + done], c, node))
		done++;
	kg_arena_release(&r->a);
	return done;
}

static void place(struct round *o, size_t from, size_t n)
{
	struct placed x;
	struct kg_run *r = o->r;
	class_init(&x, r, o->waiting.v[from]);
	size_t done = pin(o, &x.c, from, n);
	if (done < n)
		kg_placing_init(&x.p, r->st, kg_now(r), &x.a, &x.c);
	while (done < n) {
		struct kg_object *pod = o->waiting.v[from + done];
		struct kg_node_info *node = take(&x, pod);
		if (!node || !kg_bind(r, pod, &x.c, node))
			break;
		if (++done % ARENA_EVERY == 0)
			kg_arena_release(&r->a);
		if (done < n && x.c.unbound) {
			placed_release(&x);
			placed_init(&x, r, o->waiting.v[from + done]);
		} else if (done < n) {
			kg_placing_bound(&x.p, node);
		}
	}
	kg_arena_release(&r->a);
	if (done < n)
		preempt(o, &x, from + done, n - done);
	placed_release(&x);
}

struct words {
	const char *message, *preemption, *refusal, *refused;
};

static const char *words_for(
	struct words *w, struct placed *x, struct kg_preempting *pr, const char *nominated)
{
	const char *why = kg_preempting_refuses(pr, nominated);
	if (!why) {
		if (!w->preemption)
			w->preemption = kg_message_with(
				&x->a, w->message, kg_preempting_message(pr, &x->a));
		return w->preemption;
	}
	if (why != w->refusal) {
		w->refusal = why;
		w->refused = kg_message_with(&x->a, w->message, why);
	}
	return w->refused;
}

static void say_group(struct round *o, const struct failure *f, struct placed *x)
{
	struct kg_preempting pr;
	struct words w = {.message = kg_message(&x->a, &x->p)};
	kg_preempting_init(&pr, o->r->st, kg_now(o->r), &x->p);
	for (size_t k = f->from; k < f->from + f->n; k++) {
		const struct kg_object *pod = o->waiting.v[k];
		const char *nominated = o->nominated[k] ? o->nominated[k] : kg_pod_nominated(pod);
		kg_say_waiting(o->r, pod, "Unschedulable", words_for(&w, x, &pr, nominated),
			o->nominated[k]);
		kg_arena_release(&o->r->a);
	}
	kg_preempting_release(&pr);
}

/* From the last to the first, so that each is told what stands before those that came later. */
static void say_all(struct round *o)
{
	for (size_t i = o->nfailed; i-- > 0;) {
		const struct failure *f = &o->failed[i];
		struct placed x;
		unreserve(o, f->group + 1);
		placed_init(&x, o->r, o->waiting.v[f->from]);
		say_group(o, f, &x);
		placed_release(&x);
	}
	unreserve(o, 0);
}

void kg_scheduler_run(struct kg_run *r, const char *key)
{
	(void)key;
	struct round o = {.r = r};
	r->st->sched->runs++;
	collect(&o.waiting, r);
	o.nominated = kg_alloc((o.waiting.n + 1) * sizeof(*o.nominated));
	for (size_t i = 0, n; i < o.waiting.n; i += n) {
		n = alike(o.waiting.v + i, o.waiting.n - i);
		o.group++;
		place(&o, i, n);
	}
	say_all(&o);
	kg_peers_age(r->st->sched);
	kg_list_release(&o.waiting);
	kg_arena_release(&o.names);
	free(o.nominated);
	free(o.reserved);
	free(o.failed);
}
