/*
 * A snapshot is the whole cluster at one revision: immutable, reference-counted, readable by any
 * thread. A txn is the next one being made, by one thread: a cheap copy in which objects are put
 * and deleted, and which knows its net changes.
 */
#ifndef KG_KINDS_SNAPSHOT_H
#define KG_KINDS_SNAPSHOT_H

#include "kinds/object.h"
#include "kinds/pmap.h"

struct kg_snapshot {
	_Atomic int refs;
	uint64_t revision;
	kg_time time;         /* the commit's clock */
	char cluster_id[37];  /* UUID: namespace of every uid */
	char main_commit[41]; /* hex id of main as admitted; "" before the first push */
	char commit[41];      /* hex id of the state commit; "" in a txn */
	struct kg_pmap objects[KG_KIND_COUNT]; /* by key */
	struct kg_pmap index[KG_INDEX_COUNT];
	int64_t desired_pods; /* that manifests ask for, all together (kg_pods_desired) */
};
/* Of maps of objects by key. */
extern const struct kg_pmap_ops kg_objects_ops;

struct kg_snapshot *kg_snapshot_new(const char *cluster_id); /* empty, revision 0 */
struct kg_snapshot *kg_snapshot_ref(const struct kg_snapshot *s);
void kg_snapshot_unref(struct kg_snapshot *s);
/* The same revision and objects in maps that are built anew: many changes leave maps half as full,
 * scattered among what was between them. The caller owns it. */
struct kg_snapshot *kg_snapshot_anew(const struct kg_snapshot *s);
/* Fills an empty snapshot that nobody else has yet. References the objects and sorts the array. */
void kg_snapshot_fill(struct kg_snapshot *s, struct kg_object **objects, size_t n);

/* Borrowed: valid as long as the snapshot is held. NULL where absent. */
const struct kg_object *kg_snapshot_get(
	const struct kg_snapshot *s, enum kg_kind_id kind, const char *ns, const char *name);
const struct kg_object *kg_snapshot_get_key(
	const struct kg_snapshot *s, enum kg_kind_id kind, const char *key);

struct kg_object_iter {
	struct kg_piter it;
	void *prefix; /* heap: where to stop */
};
/* In key order. ns NULL: all namespaces. from NULL or the first key wanted. */
void kg_iter_kind(struct kg_object_iter *it, const struct kg_snapshot *s, enum kg_kind_id kind,
	const char *ns, const char *from);
/* By kind and key. what NULL: all that the index has, in the order of hashes. */
void kg_iter_index(struct kg_object_iter *it, const struct kg_snapshot *s, enum kg_index index,
	const char *what);
/* Of these, those of one kind and namespace. */
void kg_iter_index_in(struct kg_object_iter *it, const struct kg_snapshot *s, enum kg_index index,
	const char *what, enum kg_kind_id kind, const char *ns);
const struct kg_object *kg_iter_next(struct kg_object_iter *it); /* borrowed; NULL at the end */
void kg_iter_release(struct kg_object_iter *it);                 /* safe to call twice */

/* One net change of a commit; before NULL: created, after NULL: deleted. Never both NULL. */
struct kg_change {
	struct kg_object *before, *after; /* owned by the list */
	/* The values are equal: only where the object is defined, or what its record is a patch of,
	 * changed. after->revision is before's; watchers are not told. */
	bool quiet;
};
/* The object that a change leaves, or had. */
static inline const struct kg_object *kg_change_object(const struct kg_change *c)
{
	return c->after ? c->after : c->before;
}
struct kg_changes {
	struct kg_change *items; /* sorted by kind id, then key */
	size_t len;
};
void kg_changes_release(struct kg_changes *c);
/* Borrowed; NULL: that object did not change. */
const struct kg_change *kg_changes_find(
	const struct kg_changes *c, enum kg_kind_id kind, const char *key);

struct kg_txn;
struct kg_txn *kg_txn_new(const struct kg_snapshot *prev); /* references prev */
void kg_txn_free(struct kg_txn *txn);
/* The state as changed so far, borrowed; it changes under the next put or delete, so objects got
 * from it must be referenced, or iterations finished, before that. */
const struct kg_snapshot *kg_txn_snapshot(const struct kg_txn *txn);
const struct kg_snapshot *kg_txn_previous(const struct kg_txn *txn);
/* Takes over the caller's reference. A put of an equal value (same base, source and template) is
 * dropped. Returns true where something changed. */
bool kg_txn_put(struct kg_txn *txn, struct kg_object *obj);
bool kg_txn_delete(struct kg_txn *txn, enum kg_kind_id kind, const char *ns, const char *name);
void kg_txn_set_time(struct kg_txn *txn, kg_time t);
void kg_txn_set_main(struct kg_txn *txn, const char *main_commit);
/* Called for every effective put and delete, after it; at most one. */
void kg_txn_on_change(struct kg_txn *txn,
	void (*fn)(void *ctx, const struct kg_object *before, const struct kg_object *after),
	void *ctx);
/*
 * Ends the txn: net changes (objects put and put back are none), their new versions stamped with
 * revision prev+1, and the snapshot of that revision (its `commit` is still "", to be set by the
 * store before it is published). The caller owns both.
 */
void kg_txn_finish(struct kg_txn *txn, struct kg_snapshot **next, struct kg_changes *changes);

#endif
