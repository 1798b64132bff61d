/*
 * ResourceQuotas. The state keeps the sums of every quota and moves them along with each change,
 * so that a pod more costs what one quota costs; the controller writes them to the status. Owners
 * whose pods were refused are remembered, and claims of pods' own that were, and run again when
 * something in their namespace may have made room.
 */
#include "reconcile/podpolicy.h"

#include <stdio.h>
#include <string.h>

struct kg_quota {
	struct kg_object *obj; /* referenced */
	kg_sum *used;          /* by place in spec.hard, thousandths */
	struct kg_quota *next; /* of its namespace, in order of their names */
};

static const struct kg_value *hard_of(const struct kg_object *quota)
{
	return kg_spec(quota, "hard");
}

static void count(struct kg_quota *q, const struct kg_object *obj, bool outlived, int64_t sign)
{
	const struct kg_value *hard = hard_of(q->obj);
	if (!kg_quota_includes(kg_obj(q->obj), obj->kind, kg_obj(obj)))
		return;
	for (uint32_t i = 0; i < kg_len(hard); i++) {
		const char *what = hard->members[i].key;
		q->used[i] +=
			(kg_sum)sign * kg_quota_amount(obj->kind, kg_obj(obj), what, outlived);
	}
}

/* ---- pods that should be gone ---- */

static bool is_outlived(const struct kg_reconcile_state *st, const struct kg_object *obj)
{
	return st->outlived.count && obj->kind->id == KG_KIND_POD &&
	       kg_map_has(&st->outlived, kg_object_uid(obj));
}

/* One that a new quota finds is looked at by its own run, for all quotas alike. */
static bool find_outlived(struct kg_reconcile_state *st, const struct kg_object *obj)
{
	if (obj->kind->id == KG_KIND_POD && kg_object_deleting(obj))
		kg_enqueue(st, KG_C_POD, obj->key);
	return is_outlived(st, obj);
}

/* ---- the sums ---- */

static void recount(struct kg_reconcile_state *st, struct kg_quota *q, const struct kg_snapshot *s)
{
	memset(q->used, 0, (kg_len(hard_of(q->obj)) + 1) * sizeof(*q->used));
	for (int k = 0; k < KG_KIND_COUNT; k++) {
		struct kg_object_iter it;
		const struct kg_object *obj;
		if (!(kg_kinds[k].flags & KG_KF_NAMESPACED) ||
			(kg_kinds[k].flags & KG_KF_SYNTHETIC))
			continue;
		kg_iter_kind(&it, s, k, q->obj->ns, NULL);
		while ((obj = kg_iter_next(&it)))
			count(q, obj, find_outlived(st, obj), 1);
		kg_iter_release(&it);
	}
}

static void quota_free(struct kg_quota *q)
{
	if (!q)
		return;
	kg_object_unref(q->obj);
	free(q->used);
	free(q);
}

static struct kg_quota *first_of(const struct kg_reconcile_state *st, const char *ns)
{
	return st->quotas.count ? kg_map_get(&st->quota_spaces, ns) : NULL;
}

static void unlink_quota(struct kg_reconcile_state *st, const struct kg_quota *q)
{
	const char *ns = q->obj->ns;
	struct kg_quota *first = kg_map_get(&st->quota_spaces, ns), **at = &first;
	while (*at && *at != q)
		at = &(*at)->next;
	if (*at)
		*at = q->next;
	if (first)
		kg_map_put(&st->quota_spaces, ns, first);
	else
		kg_map_remove(&st->quota_spaces, ns);
}

static void link_quota(struct kg_reconcile_state *st, struct kg_quota *q)
{
	struct kg_quota *first = kg_map_get(&st->quota_spaces, q->obj->ns), **at = &first;
	while (*at && strcmp((*at)->obj->name, q->obj->name) < 0)
		at = &(*at)->next;
	q->next = *at;
	*at = q;
	kg_map_put(&st->quota_spaces, q->obj->ns, first);
}

static void quota_changed(struct kg_reconcile_state *st, const struct kg_snapshot *s,
	const struct kg_object *before, const struct kg_object *after)
{
	struct kg_quota *q = kg_map_get(&st->quotas, (after ? after : before)->key);
	if (!after) {
		kg_map_remove(&st->quotas, before->key);
		if (q)
			unlink_quota(st, q);
		quota_free(q);
		return;
	}
	if (q && kg_equal(kg_at(kg_obj(q->obj), "spec"), kg_at(kg_obj(after), "spec"))) {
		kg_object_unref(q->obj);
		q->obj = kg_object_ref(after);
		return;
	}
	if (q)
		unlink_quota(st, q);
	quota_free(q);
	q = kg_alloc(sizeof(*q));
	q->obj = kg_object_ref(after);
	q->used = kg_alloc((kg_len(hard_of(after)) + 1) * sizeof(*q->used));
	kg_map_put(&st->quotas, after->key, q);
	link_quota(st, q);
	recount(st, q, s);
}

void kg_quota_build(
	struct kg_reconcile_state *st, const struct kg_snapshot *s, const struct kg_object *quota)
{
	quota_changed(st, s, NULL, quota);
}

void kg_quota_track(struct kg_reconcile_state *st, const struct kg_snapshot *s,
	const struct kg_object *before, const struct kg_object *after)
{
	const struct kg_object *obj = after ? after : before;
	bool is_quota = obj->kind->id == KG_KIND_RESOURCEQUOTA;
	for (struct kg_quota *q = first_of(st, obj->ns); q; q = q->next) {
		if (before)
			count(q, before, is_outlived(st, before), -1);
		if (after)
			count(q, after, is_outlived(st, after), 1);
		if (!is_quota || q->obj != before)
			kg_enqueue(st, KG_C_QUOTA, q->obj->key);
	}
	if (before && is_outlived(st, before) &&
		(!after || strcmp(kg_object_uid(before), kg_object_uid(after)) != 0))
		kg_map_remove(&st->outlived, kg_object_uid(before));
	if (!is_quota)
		return;
	quota_changed(st, s, before, after);
	kg_enqueue(st, KG_C_QUOTA, obj->key);
}

void kg_quota_clear(struct kg_reconcile_state *st)
{
	struct kg_map_entry *e;
	for (size_t i = 0; (e = kg_map_next(&st->quotas, &i));)
		quota_free(e->value);
	kg_map_release(&st->quotas);
	kg_map_release(&st->quota_spaces);
	kg_map_release(&st->starved);
	kg_map_release(&st->outlived);
}

/* ---- status ---- */

/* The most that can be said. */
static int64_t capped(kg_sum n)
{
	return n > INT64_MAX ? INT64_MAX : (int64_t)n;
}

void kg_quota_run(struct kg_run *r, const char *key)
{
	struct kg_arena *a = &r->a;
	const struct kg_object *obj = kg_snapshot_get_key(kg_now(r), KG_KIND_RESOURCEQUOTA, key);
	struct kg_quota *q = kg_map_get(&r->st->quotas, key);
	if (!obj || !q)
		return;
	const struct kg_value *hard = hard_of(obj);
	struct kg_value used = kg_v_object(a, NULL, 0);
	for (uint32_t i = 0; i < kg_len(hard); i++) {
		const char *what = hard->members[i].key;
		used = kg_with_key(a, &used, what,
			kg_v_str(a,
				kg_milli_text(a, capped(q->used[i]), kg_resource_is_binary(what))));
	}
	struct kg_value st = kg_v_obj(a, "hard", *hard, "used", used, (char *)NULL);
	struct kg_value v = kg_with_key(a, kg_obj(obj), "status", st);
	kg_put_value(r, obj, &v);
}

/* ---- one more ---- */

static void add_pair(
	struct kg_buf *b, struct kg_arena *a, const char *what, int64_t milli, const char *text)
{
	if (!text)
		text = kg_milli_text(a, milli, kg_resource_is_binary(what));
	kg_buf_addf(b, "%s%s=%s", b->len ? "," : "", what, text);
}

const char *kg_quota_exceeded(struct kg_arena *a, const char *name, const struct kg_value *quota,
	const kg_sum *used, const struct kg_kind *kind, const struct kg_value *obj,
	const struct kg_value *was)
{
	KG_AUTOBUF struct kg_buf asked = KG_BUF_INIT, have = KG_BUF_INIT, most = KG_BUF_INIT;
	const struct kg_value *hard = kg_at(quota, "spec.hard");
	for (uint32_t i = 0; i < kg_len(hard); i++) {
		const struct kg_member *m = &hard->members[i];
		int64_t had = was ? kg_quota_amount(kind, was, m->key, false) : 0;
		int64_t more = kg_quota_amount(kind, obj, m->key, false);
		if (more <= had || used[i] + more <= kg_amount_milli(&m->value))
			continue;
		add_pair(&asked, a, m->key, more - had, NULL);
		add_pair(&have, a, m->key, capped(used[i] + had), NULL);
		add_pair(&most, a, m->key, 0, kg_string(&m->value, "0"));
	}
	if (!asked.len)
		return NULL;
	return kg_arena_printf(a, "exceeded quota: %s, requested: %s, used: %s, limited: %s", name,
		asked.data, have.data, most.data);
}

const char *kg_quota_refuses(struct kg_reconcile_state *st, struct kg_arena *a,
	const struct kg_kind *kind, const char *ns, const struct kg_value *obj)
{
	const char *why = NULL;
	/* Of several the first by name speaks. */
	for (struct kg_quota *q = first_of(st, ns); q && !why; q = q->next) {
		if (!kg_quota_includes(kg_obj(q->obj), kind, obj))
			continue;
		if (kind->id == KG_KIND_POD)
			why = kg_quota_unnamed(a, kg_obj(q->obj), obj);
		if (why)
			why = kg_arena_printf(a, "failed quota: %s: %s", q->obj->name, why);
		else
			why = kg_quota_exceeded(
				a, q->obj->name, kg_obj(q->obj), q->used, kind, obj, NULL);
	}
	return why;
}

const char *kg_quota_forbids(struct kg_run *r, const struct kg_kind *kind, const char *ns,
	const char *name, const struct kg_value *obj)
{
	const char *why = kg_quota_refuses(r->st, &r->a, kind, ns, obj);
	return why ? kg_arena_printf(
			     &r->a, "%s \"%s\" is forbidden: %s", kg_kind_resource(kind), name, why)
		   : NULL;
}

/* ---- those that wait ---- */

static const struct {
	enum kg_controller c;
	enum kg_kind_id kind;
	bool says; /* its status says that pods were refused */
} makers[] = {{KG_C_REPLICASET, KG_KIND_REPLICASET, true},
	{KG_C_REPLICATIONCONTROLLER, KG_KIND_REPLICATIONCONTROLLER, true},
	{KG_C_JOB, KG_KIND_JOB, true}, {KG_C_DAEMONSET, KG_KIND_DAEMONSET, true},
	{KG_C_STATEFULSET, KG_KIND_STATEFULSET, true}, {KG_C_CRONJOB, KG_KIND_CRONJOB, false},
	{KG_C_DEPLOYMENT, KG_KIND_DEPLOYMENT, false},
	/* Of its own: a pod's, which the scheduler says. */
	{KG_C_CLAIM, KG_KIND_PERSISTENTVOLUMECLAIM, false}};

/* ns NULL: of all namespaces. */
static void enqueue_starved(struct kg_reconcile_state *st, const char *ns)
{
	size_t n = ns ? strlen(ns) : 0;
	struct kg_map_entry *e;
	for (size_t i = 0; (e = kg_map_next(&st->starved, &i));) {
		enum kg_controller c = makers[e->key[0] - '0'].c;
		if (ns && (strncmp(e->key + 2, ns, n) != 0 || e->key[n + 2] != '/'))
			continue;
		kg_enqueue(st, c, e->key + 2);
		if (c == KG_C_CLAIM)
			kg_enqueue(st, KG_C_SCHEDULER, "");
	}
}

void kg_starved_concerns(
	struct kg_run *r, const struct kg_object *before, const struct kg_object *after)
{
	const struct kg_object *obj = after ? after : before;
	const char *ns = obj->kind->id == KG_KIND_NAMESPACE ? obj->name : obj->ns;
	switch (obj->kind->id) {
	case KG_KIND_POD: /* only one that ended makes room */
		if (after && !(kg_pod_terminal(after) && !kg_pod_terminal(before ? before : after)))
			return;
		break;
	case KG_KIND_RUNTIMECLASS: /* of all namespaces */
	case KG_KIND_STORAGECLASS: /* a claim is refused as one of the default class */
		ns = NULL;
		break;
	case KG_KIND_NAMESPACE:
	case KG_KIND_LIMITRANGE:
	case KG_KIND_RESOURCEQUOTA:
		if (before && after &&
			kg_equal(kg_get(kg_obj(before), "spec"), kg_get(kg_obj(after), "spec")) &&
			kg_equal(kg_meta(before, "labels"), kg_meta(after, "labels")))
			return;
		break;
	default:
		if (after)
			return;
		break;
	}
	enqueue_starved(r->st, ns);
}

void kg_quota_see_out(struct kg_run *r, const struct kg_object *pod)
{
	struct kg_quota *first = first_of(r->st, pod->ns);
	kg_time until = kg_quota_until(kg_obj(pod));
	if (!first || until == KG_TIME_NEVER || is_outlived(r->st, pod))
		return;
	if (until >= r->now) {
		kg_wake(r, until + 1);
		return;
	}
	kg_map_put(&r->st->outlived, kg_object_uid(pod), r->st);
	for (struct kg_quota *q = first; q; q = q->next) {
		count(q, pod, false, -1);
		count(q, pod, true, 1);
		kg_enqueue(r->st, KG_C_QUOTA, q->obj->key);
	}
	enqueue_starved(r->st, pod->ns);
}

/* The condition ReplicaFailure of the owner that was run, as Kubernetes' ReplicaSets have it. */
static void put_failure(struct kg_run *r, const struct kg_object *owner)
{
	struct kg_arena *a = &r->a;
	const struct kg_value *status = kg_get(kg_obj(owner), "status");
	const struct kg_value *was = kg_condition(status, "ReplicaFailure");
	const struct kg_value *list = kg_get(status, "conditions");
	if (kg_is_null(was) && !r->refused)
		return;
	struct kg_value st, c;
	if (r->refused) {
		const struct kg_value *since = kg_get(was, "lastTransitionTime");
		c = kg_v_obj(a, "type", kg_v_lit("ReplicaFailure"), "status", kg_v_lit("True"),
			"lastTransitionTime", kg_is_null(since) ? kg_now_value(r) : *since,
			"reason", kg_v_lit("FailedCreate"), "message", kg_v_str(a, r->refused),
			(char *)NULL);
		st = kg_with_condition(a, status, c);
	} else {
		struct kg_value *items = kg_arena_alloc(a, (kg_len(list) + 1) * sizeof(*items));
		size_t n = 0;
		for (uint32_t i = 0; i < kg_len(list); i++)
			if (&list->items[i] != was)
				items[n++] = list->items[i];
		st = kg_with_key(
			a, status, "conditions", n ? kg_v_array(a, items, n) : kg_v_null());
	}
	struct kg_value v = kg_with_key(a, kg_obj(owner), "status", st);
	kg_put_value(r, owner, &v);
}

void kg_starved_settle(struct kg_run *r)
{
	char name[700];
	size_t i = 0;
	while (i < KG_ARRAY_LEN(makers) && makers[i].c != r->c)
		i++;
	if (i == KG_ARRAY_LEN(makers))
		return;
	const struct kg_object *owner = kg_snapshot_get_key(kg_now(r), makers[i].kind, r->key);
	if (r->refused || r->st->starved.count)
		snprintf(name, sizeof(name), "%zu %s", i, r->key);
	if (r->refused)
		kg_map_put(&r->st->starved, name, r->st);
	else if (r->st->starved.count)
		kg_map_remove(&r->st->starved, name);
	if (owner && makers[i].says)
		put_failure(r, owner);
}
