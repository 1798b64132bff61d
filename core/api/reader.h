/* Objects of any kind, made ones and those with versions of their own too, in the order of
 * their keys. */
#ifndef KG_API_READER_H
#define KG_API_READER_H

#include "kinds/snapshot.h"

struct kg_api;
struct request;

/* One version of what a kind is read from. */
struct source {
	struct kg_snapshot *snapshot; /* owned; NULL for kinds with versions of their own */
	struct kg_pmap objects;       /* of those */
	uint64_t revision;
};
void kg_api_source_now(struct source *out, struct kg_api *api, const struct kg_kind *kind);
/* The same, for one object: of metrics it has no more than what that one's node said. */
void kg_api_source_one(struct source *out, struct kg_api *api, const struct kg_kind *kind,
	const char *ns, const char *name);
void kg_api_source_of(struct source *out, struct kg_snapshot *snapshot /* moved */);
void kg_api_source_release(struct source *src);

enum read_mode { READ_NOTHING, READ_ONE, READ_KIND, READ_NODE, READ_VERSION };
struct reader {
	struct kg_api *api;
	const struct kg_kind *kind;
	struct source src;
	enum read_mode mode;
	struct kg_object_iter it;
	struct kg_piter pit;
	char *prefix, *from;     /* owned */
	const char *ns;          /* READ_NODE: only these */
	struct kg_object *given; /* owned: given out last, where it was made for that */
	/* READ_KIND of roles: the system's own are merged in. */
	const struct kg_object *const *builtin;
	size_t nbuiltin, at_builtin;
	/* READ_KIND: namespaces of whose implicit objects (implicit.c) are merged in; heap */
	const struct kg_object **spaces;
	size_t nspaces, at_space;
	struct kg_object *made;  /* owned: the next of those */
	struct kg_object *ahead; /* owned: read from `it`, not yet given out */
	const char *ahead_key;
	/* READ_KIND of Endpoints: `it` has slices, this one those that are stored; the next of
	 * each, borrowed */
	struct kg_object_iter stored_it;
	const struct kg_object *slice, *stored;
	bool fresh; /* what was given out last is an implicit one, made for that */
};
/* What r asks for (kind, namespace, name or selector) in key order, from the beginning (NULL) or
 * from the first key >= from. src is moved. */
void kg_api_reader_init(
	struct reader *rd, const struct request *r, struct source *src, const char *from);
/* Borrowed until the next call; NULL at the end. The selector is not applied. *key is its place. */
const struct kg_object *kg_api_reader_next(struct reader *rd, const char **key);
void kg_api_reader_release(struct reader *rd); /* safe to call twice */
/* One object, a reference; NULL where absent. */
struct kg_object *kg_api_read_one(struct kg_api *api, const struct source *src,
	const struct kg_kind *kind, const char *ns, const char *name);
/* How many objects the kind has, all namespaces; -1: not known. */
int64_t kg_api_source_count(
	struct kg_api *api, const struct source *src, const struct kg_kind *kind);
/* A recent snapshot out of memory, a reference; NULL where it must be loaded. */
struct kg_snapshot *kg_api_snapshot_at(struct kg_api *api, uint64_t revision);
/* Blocks: from the cache of loaded snapshots, or history. */
int kg_api_snapshot_load(
	struct kg_api *api, struct kg_snapshot **out, uint64_t revision, struct kg_error *err);
/* The kind as it was at a revision, to `then`, which releases src: here and now, or from a worker
 * where it has to be read from history; or the reply is that it is gone. */
void kg_api_read_at(
	struct request *r, uint64_t revision, void (*then)(struct request *r, struct source *src));

#endif
