/*
 * /kgit/v1/explain: why a pod is on its node, or on none, by the scheduler itself at the revision
 * that decided it. That revision's snapshot is the newest one with what has changed since taken
 * back, which shares nearly all of its memory; only a revision from long ago is loaded anew.
 */
#include "reconcile/explain.h"
#include "base/map.h"
#include "kgitd/history.h"

#include <stdio.h>
#include <string.h>

#define REWIND_MAX 20000 /* revisions */
#define NODES_MAX  1000  /* in an answer */

static void unrefp(struct kg_snapshot **s)
{
	kg_snapshot_unref(*s);
}
#define AUTOSNAPSHOT KG_CLEANUP(unrefp)

/* ---- snapshots of the past ---- */

struct rewind {
	struct kg_txn *txn;
	struct kg_map seen; /* "KIND KEY": the first change since is the one that counts */
};

static void take_back(struct rewind *r, const struct kg_change *c)
{
	const struct kg_object *any = kg_change_object(c);
	char *key KG_AUTOFREE = kg_asprintf("%d %s", (int)any->kind->id, any->key);

	if (kg_map_put(&r->seen, key, r))
		return;
	if (c->before)
		kg_txn_put(r->txn, kg_object_with(c->before, kg_obj(c->before)));
	else
		kg_txn_delete(r->txn, any->kind->id, any->ns, any->name);
}

static int on_changes(void *ctx, uint64_t revision, kg_time time, const struct kg_changes *changes)
{
	(void)revision;
	(void)time;
	for (size_t i = 0; i < changes->len; i++)
		take_back(ctx, &changes->items[i]);
	return 0;
}

static int time_of(kg_time *out, struct kg_store *store, uint64_t revision, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_log_entry *e;
	size_t n;
	int rc = kg_store_log(&e, &n, store, &a, revision, 1, err);

	if (rc == 0)
		*out = e->time;
	return rc;
}

/* An earlier one than `from`. */
static int rewound(struct kg_snapshot **out, struct kg_store *store, const struct kg_snapshot *from,
	uint64_t revision, struct kg_error *err)
{
	struct rewind r = {.txn = kg_txn_new(from)};
	struct kg_changes changes = {0};
	kg_time time = 0;
	int rc = time_of(&time, store, revision, err);

	if (rc == 0)
		rc = kg_store_changes(store, revision, from->revision, 0, on_changes, &r, err);
	kg_map_release(&r.seen);
	if (rc < 0) {
		kg_txn_free(r.txn);
		return rc;
	}
	kg_txn_finish(r.txn, out, &changes);
	kg_changes_release(&changes);
	(*out)->revision = revision;
	(*out)->time = time;
	return 0;
}

static int snapshot_at(
	struct kg_snapshot **out, struct kgd_master *m, uint64_t revision, struct kg_error *err)
{
	struct kg_snapshot *head AUTOSNAPSHOT = kg_hub_snapshot(m->hub);

	if (revision > head->revision)
		return kg_fail(err, KG_E_NOT_FOUND, "revision %llu is ahead of the newest, %llu",
			(unsigned long long)revision, (unsigned long long)head->revision);
	if (revision == head->revision) {
		*out = kg_steal(&head);
		return 0;
	}
	return head->revision - revision <= REWIND_MAX
		       ? rewound(out, m->store, head, revision, err)
		       : kg_store_load_at(out, m->store, revision, err);
}

/* ---- the answer ---- */

static struct kg_value texts(struct kg_arena *a, const char **list, size_t n)
{
	struct kg_value *items = kg_arena_alloc(a, (n + 1) * sizeof(*items));

	for (size_t i = 0; i < n; i++)
		items[i] = kg_v_str(a, list[i]);
	return kg_v_array(a, items, n);
}

static struct kg_value node_value(struct kg_arena *a, const struct kg_explain_node *n)
{
	struct kg_value v =
		kg_v_obj(a, "node", kg_v_str(a, n->name), "fits", kg_v_bool(n->fits), (char *)NULL);

	if (!n->fits) {
		v = kg_with(a, &v, "plugin", kg_v_str(a, n->plugin));
		v = kg_with(a, &v, "reasons", texts(a, n->reasons, n->nreasons));
		return n->nvictims ? kg_with(a, &v, "victims", texts(a, n->victims, n->nvictims))
				   : v;
	}
	struct kg_value scores = kg_v_object(a, NULL, 0);
	for (int s = 0; s < KG_SCORE_COUNT; s++)
		scores = kg_with_key(
			a, &scores, kg_score_name((enum kg_score)s), kg_v_int(n->scores[s]));
	v = kg_with(a, &v, "scores", scores);
	return kg_with(a, &v, "total", kg_v_int(n->total));
}

static struct kg_value explain_value(
	struct kg_arena *a, const struct kg_explain *e, uint64_t revision)
{
	size_t n = e->n < NODES_MAX ? e->n : NODES_MAX;
	struct kg_value *nodes = kg_arena_alloc(a, (n + 1) * sizeof(*nodes));

	for (size_t i = 0; i < n; i++)
		nodes[i] = node_value(a, &e->nodes[i]);
	return kg_v_obj(a, "revision", kg_v_int((int64_t)revision), "scheduler",
		kg_v_str(a, e->scheduler), "priority", kg_v_int(e->priority), "gated",
		kg_v_bool(e->gated), "unknown", kg_v_bool(e->unknown), "chosen",
		kg_v_str(a, e->chosen), "preempt", kg_v_str(a, e->preempt), "message",
		kg_v_str(a, e->message), "nodeCount", kg_v_int((int64_t)e->n), "fitCount",
		kg_v_int((int64_t)e->nfit), "nodes", kg_v_array(a, nodes, n), (char *)NULL);
}

static const char *node_of(const struct kg_object *pod)
{
	return pod ? kg_string(kg_at(kg_obj(pod), "spec.nodeName"), "") : "";
}

static int explain(struct kg_value *out, struct kg_arena *a, struct kgd_master *m, const char *ns,
	const char *name, uint64_t revision, struct kg_error *err)
{
	struct kg_snapshot *s AUTOSNAPSHOT = NULL, *before AUTOSNAPSHOT = NULL;
	struct kg_explain e;
	int rc = snapshot_at(&s, m, revision, err);

	if (rc < 0)
		return rc;
	const struct kg_object *pod = kg_snapshot_get(s, KG_KIND_POD, ns, name);
	if (!pod)
		return kg_fail(err, KG_E_NOT_FOUND, "there is no Pod %s/%s at revision %llu", ns,
			name, (unsigned long long)revision);
	if (*node_of(pod) && revision > 0)
		rc = rewound(&before, m->store, s, revision - 1, err);
	if (rc < 0)
		return rc;
	if (before && *node_of(kg_snapshot_get(before, KG_KIND_POD, ns, name)))
		return kg_fail(err, KG_E_BAD_REQUEST,
			"Pod %s/%s was bound before revision %llu: ask for the one that bound it",
			ns, name, (unsigned long long)revision);
	rc = kg_scheduler_explain(&e, a, s, before, pod, &m->reconcile, err);
	if (rc == 0)
		*out = explain_value(a, &e, revision);
	return rc;
}

void kgd_explain_run(struct kg_http_req *req, struct kgd_master *m)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	const char *ns = kg_http_query(req, "namespace"), *name = kg_http_query(req, "name");
	const char *at = kg_http_query(req, "revision");
	uint64_t revision = at ? strtoull(at, NULL, 10) : kg_hub_revision(m->hub);
	struct kg_value v;
	struct kg_error err;

	if (explain(&v, &a, m, ns ? ns : "", name ? name : "", revision, &err) < 0)
		kgd_reply_error(req, &err);
	else
		kgd_reply_value(req, 200, &v);
}
