/* What the files of the api room share. Types have short names, being seen by this room alone;
 * functions are seen by the linker, so they carry the prefix. */
#ifndef KG_API_INTERNAL_H
#define KG_API_INTERNAL_H

#include "api/api.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/metrics.h"
#include "value/json.h"

#include <pthread.h>
#include <stdatomic.h>

/* ---- selectors (selector.c) ---- */

enum sel_op { SEL_EQ, SEL_NE, SEL_IN, SEL_NOT_IN, SEL_EXISTS, SEL_ABSENT, SEL_GT, SEL_LT };
struct requirement {
	const char *key;
	enum sel_op op;
	const char **values;
	size_t nvalues;
	int64_t number; /* SEL_GT, SEL_LT */
};
struct selector {
	struct requirement *labels, *fields;
	size_t nlabels, nfields;
};
int kg_api_label_selector_parse(
	struct selector *sel, struct kg_arena *a, const char *text, struct kg_error *err);
int kg_api_field_selector_parse(struct selector *sel, struct kg_arena *a,
	const struct kg_kind *kind, const char *text, struct kg_error *err);
bool kg_api_selector_matches(const struct selector *sel, const struct kg_object *obj);
/* The value that a field must have (=), or NULL where the selector leaves it open. */
const char *kg_api_selector_field(const struct selector *sel, const char *path);

/* ---- requests (request.c) ---- */

enum form { FORM_OBJECT, FORM_TABLE, FORM_PARTIAL };

/* What one request asks for; from its route to its `done`, or longer where a job holds it. */
struct request {
	_Atomic int refs;
	struct kg_api *api;
	struct kg_http_req *http;
	const struct kg_user *user;
	struct kg_arena arena;

	/* the resource named by the path */
	const struct kg_kind *kind;
	const char *group, *version, *resource; /* as written; the kind may be unknown */
	const char *ns, *name, *sub;            /* ns NULL: all or cluster-scoped */
	const char *verb;
	bool watch;
	int64_t began_ns; /* monotonic */

	bool yaml; /* of a get or list: not JSON */
	enum form form;
	const char *form_version;        /* "v1", "v1beta1" of meta.k8s.io */
	const struct kg_column *columns; /* of a Table */
	char include;                    /* Table rows' object: 'N'one, 'M'etadata, 'O'bject */
	struct selector sel;
	uint64_t revision; /* resourceVersion; 0 where absent or "0" */
	bool has_revision, has_match;
	bool exact;
	int initial; /* sendInitialEvents: 1 yes, 0 no, -1 not said */

	struct kg_error error; /* to be replied by reply_error_later */

	pthread_mutex_t lock; /* guards dead, and calls of http from other threads */
	bool dead;            /* `done` was called: http is gone */

	/* waiting for a revision: a list guarded by the api's wait_lock */
	struct request *wait_prev, *wait_next;
	bool waiting, deferred;
	uint64_t wait_revision;
	int64_t wait_until;
	void (*resume)(struct request *r);

	void *state; /* of a list or watch in progress */
	void (*state_free)(void *state);
};
struct request *kg_api_request_ref(struct request *r);
void kg_api_request_unref(struct request *r);
/* Reads the query and Accept of a get, list or watch. */
int kg_api_request_parse(struct request *r, struct kg_error *err);
/* The kind of answer that an Accept header likes best. */
struct accepted {
	enum form form;
	const char *version; /* "v1", "v1beta1" of meta.k8s.io */
	bool yaml;
};
/* KG_E_UNSUPPORTED where it likes none of ours. */
int kg_api_request_accept(struct accepted *out, const struct request *r, struct kg_error *err);
bool kg_api_accepts_yaml(const struct request *r);
/* Discovery's aggregated form where the Accept header names it, wherever in its order: "v2",
 * "v2beta1"; else NULL. */
const char *kg_api_accepts_aggregated(const struct request *r);
/* Reads resourceVersionMatch and sendInitialEvents; resourceVersion has been read (options.c). */
int kg_api_options_parse(struct request *r, struct kg_error *err);
/* Runs resume(r) once the revision is published, here and now where it is; or replies Timeout. */
void kg_api_request_at(struct request *r, uint64_t revision, void (*resume)(struct request *r));
void kg_api_request_published(struct kg_api *api); /* from the hub's subscription */
/* Expires what waited too long; returns when the next is due. */
int64_t kg_api_request_expire(struct kg_api *api, int64_t now);
/* Calls http's reply or stream functions unless the request is over. From other threads:
 * `if (kg_api_request_enter(r)) { ...; kg_api_request_leave(r); }`. */
bool kg_api_request_enter(struct request *r);
void kg_api_request_leave(struct request *r);
/* From now on the request's answer comes from another thread. */
void kg_api_request_defer(struct request *r);
/* A deferred request whose peer is gone still owes the server an answer. */
void kg_api_request_abandon(struct request *r);
/* The route's `done`. */
void kg_api_request_done(struct request *r);

/* ---- the room's threads (worker.c) ---- */

struct job {
	struct job *next;
	void (*run)(void *arg);
	void *arg;
};
int64_t kg_api_now_ms(void); /* monotonic */
void kg_api_worker_start(struct kg_api *api);
void kg_api_worker_stop(struct kg_api *api);
void kg_api_worker_add(struct kg_api *api, void (*run)(void *arg), void *arg);
void kg_api_clock_kick(struct kg_api *api, int64_t due); /* something is due at this time */

/* ---- feeds (feed.c): the recent changes of each kind ---- */

struct feed_entry {
	_Atomic int refs;
	uint64_t revision;
	size_t len;
	size_t weight;              /* 1 a change, and 1 for each 2 KB that is kept for it alone */
	struct kg_change changes[]; /* objects referenced */
};
struct feed {
	struct feed_entry **ring;
	size_t cap, first, len, weight;
	uint64_t floor; /* changes after this revision are all here */
	/* Up to this revision the feed is complete, and the newest entry's (the floor where there
	 * was none yet). Written under the lock, newest first, and read seen first without it. */
	_Atomic uint64_t seen, newest;
};
void kg_api_feed_init(struct feed *f, uint64_t revision); /* nothing is known from before */
/* changes: objects are referenced, not taken over; quiet ones are left out, and one in which the
 * object becomes another (by its uid) is two. */
struct feed_entry *kg_api_feed_entry_new(
	const struct kg_kind *kind, uint64_t revision, const struct kg_change *changes, size_t n);
struct feed_entry *kg_api_feed_entry_ref(struct feed_entry *e);
void kg_api_feed_entry_unref(struct feed_entry *e);
/* Kinds with revisions of their own. */
static inline bool kg_api_has_versions(enum kg_kind_id kind)
{
	return kind == KG_KIND_EVENT || kind == KG_KIND_EVENT_V1 || kind == KG_KIND_LEASE ||
	       kind == KG_KIND_NODE_METRICS || kind == KG_KIND_POD_METRICS;
}
/* Can changes of the kind be read from history, which has no snapshots? Endpoints cannot, nor can
 * what has versions of its own. */
static inline bool kg_api_has_history(enum kg_kind_id kind)
{
	return kind != KG_KIND_ENDPOINTS && !kg_api_has_versions(kind);
}
/* The part of a commit that concerns a kind; NULL where none. after: the commit's snapshot, without
 * which there are no Endpoints (they are made from slices). */
struct feed_entry *kg_api_feed_entry_of(struct kg_api *api, const struct kg_kind *kind,
	uint64_t revision, const struct kg_changes *changes, const struct kg_snapshot *after);
void kg_api_feed_append(struct kg_api *api, enum kg_kind_id kind, struct feed_entry *e /* moved */);
/* All changes of revisions (from, to], in order, where the feed begins after `to` (else it has
 * moved on): the entries' references are taken over. */
void kg_api_feed_prepend(struct kg_api *api, enum kg_kind_id kind, struct feed_entry **entries,
	size_t n, uint64_t from, uint64_t to);
/* On a worker: the history before `to`, as much as is of use (backfill.c). */
void kg_api_backfill_start(struct kg_api *api, uint64_t to);
void kg_api_feed_seen(struct kg_api *api, uint64_t revision); /* every kind but Events */
/* The first entry after a revision (a reference), or NULL; *seen: nothing else up to there. */
struct feed_entry *kg_api_feed_next(
	struct kg_api *api, enum kg_kind_id kind, uint64_t after, bool *gone, uint64_t *seen);
void kg_api_feed_release(struct feed *f);

/* ---- encoded objects, shared between watchers (encode.c) ---- */

struct blob {
	_Atomic int refs;
	size_t len;
	char data[];
};
void kg_api_blob_unref(struct blob *b);
enum {
	CACHE_SETS = 16384,
	CACHE_WAYS = 4,
	CACHE_LOCKS = 64,
	CACHE_SWEEP = 32,
	DEFAULT_CACHE_BYTES = 28 << 20
};
struct encode_cache {
	pthread_mutex_t locks[CACHE_LOCKS]; /* of every CACHE_LOCKS-th set */
	struct cache_slot {
		struct kg_object *obj;
		uint64_t revision;
		struct blob *blob;
	} (*slots)[CACHE_WAYS];
	size_t max_bytes;
	_Atomic size_t bytes, hand;
	_Atomic uint64_t hits, misses;
	size_t swept; /* the publishing thread's */
};
/* The object's JSON with this resourceVersion; a reference. press: others make room for it. */
struct blob *kg_api_encode_shared(
	struct kg_api *api, const struct kg_object *obj, uint64_t revision, bool press);
/* It is not the newest of its name any more. */
void kg_api_encode_forget(struct kg_api *api, const struct kg_object *obj);
/* Looks at some entries, on the publishing thread: what only the cache holds goes. */
void kg_api_encode_sweep(struct kg_api *api);
void kg_api_encode_cache_init(struct encode_cache *c, size_t max_bytes);
void kg_api_encode_cache_release(struct encode_cache *c);

void kg_api_write_object(struct kg_buf *out, const struct kg_object *obj, uint64_t revision);
void kg_api_write_partial(struct kg_buf *out, const struct kg_object *obj, uint64_t revision,
	const char *meta_version);
void kg_api_write_str(struct kg_buf *out, const char *s);
/* `,"key":"value"`; first: without the comma. */
void kg_api_write_member(struct kg_buf *out, const char *key, const char *value);
/* An object as the request wants it; table headers where asked. */
void kg_api_write_form(struct kg_buf *out, const struct request *r, const struct kg_object *obj,
	uint64_t revision, bool headers);

/* ---- YAML (yaml.c), made of the JSON that we write ---- */

void kg_api_yaml(struct kg_buf *out, const struct kg_buf *json);
void kg_api_yaml_item(struct kg_buf *out, const struct kg_buf *json); /* "- ...", of a list */

/* ---- large answers, packed for who takes gzip (gzip.c) ---- */

enum { GZIP_LEAST = 128 << 10 }; /* as Kubernetes has it */
bool kg_api_gzip_wanted(const struct request *r);
/* Packs a body of more than `least` bytes where that is wanted, and says so in the headers. */
void kg_api_gzip_body(struct request *r, struct kg_buf *body, size_t least);
void kg_api_gzip_headers(struct request *r);
struct gzip *kg_api_gzip_new(void);
void kg_api_gzip_free(struct gzip *g);
/* What was added so far can be unpacked from what has been appended to out. */
void kg_api_gzip_add(struct gzip *g, struct kg_buf *out, const char *p, size_t n, bool last);

/* ---- tables (table.c) ---- */

void kg_api_table_open(
	struct kg_buf *out, const struct request *r, bool headers); /* up to rows:[ */
/* "cells":[...] of the request's columns. */
void kg_api_table_cells(struct kg_buf *out, const struct request *r, const struct kg_object *obj,
	struct kg_arena *scratch);
void kg_api_table_row(struct kg_buf *out, const struct request *r, const struct kg_object *obj,
	uint64_t revision, struct kg_arena *scratch);
void kg_api_table_close(struct kg_buf *out, uint64_t revision);

/* ---- objects of any kind, synthetic ones too (reader.c) ---- */

/* One version of what a kind is read from. */
struct source {
	struct kg_snapshot *snapshot; /* owned; NULL for kinds with versions of their own */
	struct kg_pmap objects;       /* of those */
	uint64_t revision;
};
void kg_api_source_now(struct source *out, struct kg_api *api, const struct kg_kind *kind);
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

/*
 * implicit.c: objects that are there without anybody's writing them: of every namespace the
 * ServiceAccount default and the ConfigMap kube-root-ca.crt, of the namespace default the Service
 * kubernetes, its slice and Endpoints. A stored object of that name takes the place of one.
 */
/* Those of the name, or of the namespace, as far as there is one: a reference; NULL. What is stored
 * is not looked at. */
struct kg_object *kg_api_implicit_get(
	const struct kg_snapshot *s, const struct kg_kind *kind, const char *ns, const char *name);
struct kg_object *kg_api_implicit_of(
	const struct kg_snapshot *s, const struct kg_object *space, const struct kg_kind *kind);
/* The namespaces that may have one of that kind, by the order of its keys; heap (NULL: none), the
 * objects are the snapshot's. ns NULL: all. */
const struct kg_object **kg_api_implicit_spaces(
	const struct kg_snapshot *s, const struct kg_kind *kind, const char *ns, size_t *n);
/* How many of those come before the key: a page need not make what earlier ones gave out. */
size_t kg_api_implicit_before(
	const struct kg_object *const *spaces, size_t n, enum kg_kind_id kind, const char *key);
/* How many the kind has that no stored object takes the place of. */
size_t kg_api_implicit_count(const struct kg_snapshot *s, const struct kg_kind *kind);
/* What a commit is for the kind: e is what it is for stored objects (NULL: nothing; taken over),
 * and so is the result. after: its snapshot, where it is at hand. */
struct feed_entry *kg_api_implicit_entry(struct kg_api *api, const struct kg_kind *kind,
	uint64_t revision, const struct kg_changes *changes, const struct kg_snapshot *after,
	struct feed_entry *e);
/* Would that, of a commit that is not the newest, load a snapshot: of a commit that changes
 * namespaces, that makes or removes some before the master was told what it is, that tells the
 * latter, or in which an object takes a place or leaves it. */
bool kg_api_implicit_loads(struct kg_api *api, uint64_t revision, const struct kg_changes *changes);

/* endpoints.c: those that are made of a Service's slices, a reference; NULL: it has none. */
struct kg_object *kg_api_endpoints_of(
	const struct kg_snapshot *s, const char *ns, const char *name);
bool kg_api_slice_is_first(const struct kg_snapshot *s, const struct kg_object *slice);
/* What a commit's changes of slices and of stored Endpoints, each in order of their keys, are for
 * Endpoints; `after`: the snapshot of its revision. */
struct feed_entry *kg_api_endpoints_entry(uint64_t revision, const struct kg_changes *slices,
	const struct kg_changes *stored, const struct kg_snapshot *after);
/* Are the kind's objects made for who reads them, so that there is nothing to share? (Of Endpoints
 * those that are stored are few.) */
static inline bool kg_api_is_made(const struct kg_kind *kind)
{
	return kind->flags & KG_KF_SYNTHETIC || kind->id == KG_KIND_ENDPOINTS;
}

/* ---- Events (events.c) ---- */

/* Events have two forms: the core group's, in which they are kept, and
 * that of events.k8s.io. */
/* The newer form of one; a reference. */
struct kg_object *kg_api_event_v1_of(const struct kg_object *event);

/* ---- kinds with revisions of their own: Events, Leases, metrics (versions.c) ---- */

struct versions {
	pthread_mutex_t lock;
	struct kg_pmap objects;
	uint64_t seq; /* the newest revision */
	/* versions that a paged list still reads */
	struct {
		struct kg_pmap objects;
		uint64_t seq;
		bool used;
	} kept[8];
	unsigned next_kept;
};
void kg_api_versions_init(struct versions *v, uint64_t seq);
void kg_api_versions_release(struct versions *v);
/* One change, as the next revision, told to those who watch any of its n forms. With the lock. */
void kg_api_versions_publish(struct kg_api *api, struct versions *v, struct kg_object *before,
	struct kg_object *after, const enum kg_kind_id *forms, size_t n);
/* A version: the newest one where seq is 0. false: no longer kept. */
bool kg_api_versions_at(struct versions *v, uint64_t seq, struct kg_pmap *out, uint64_t *out_seq);
void kg_api_versions_keep(struct versions *v, const struct kg_pmap *objects, uint64_t seq);
/* All of it anew, as the next revision, told to nobody; objects is moved. */
void kg_api_versions_replace(struct versions *v, struct kg_pmap *objects);

struct event_store {
	struct versions v;
	struct event_item *oldest, *newest; /* by last change */
	struct kg_map by_key;               /* of what makes it the same happening */
};
void kg_api_events_init(struct kg_api *api);
void kg_api_events_release(struct kg_api *api);

/* ---- Leases (leases.c) ---- */

#define LEASE_NS "kube-node-lease"

struct lease_store {
	struct versions v;
	_Atomic int64_t read; /* monotonic ms: when liveness was last looked at; -1: never */
};
void kg_api_leases_init(struct kg_api *api);
void kg_api_leases_release(struct kg_api *api);
/* Looks at liveness, unless that was just done: who watches is told what is new. */
void kg_api_leases_read(struct kg_api *api);
/* On the clock: as that where Leases are watched; returns when it is due next. */
int64_t kg_api_leases_tick(struct kg_api *api, int64_t now);
int64_t kg_api_leases_due(int64_t read); /* when it is, having been read then */

/* ---- NodeMetrics and PodMetrics (usage.c) ---- */

struct usage_store {
	pthread_mutex_t lock; /* of who looks */
	int64_t read;         /* monotonic ms: when it was last looked at; -1: never */
	struct versions nodes, pods;
};
void kg_api_usage_init(struct kg_api *api);
void kg_api_usage_release(struct kg_api *api);
/* Looks at what nodes said, unless that was just done. */
void kg_api_usage_read(struct kg_api *api);

/* ---- answers ---- */

/* Where `pretty` asks for it, JSON with lines. */
void kg_api_pretty(const struct request *r, struct kg_buf *json);
/* JSON, which is sent as YAML where the request likes that best. */
void kg_api_reply_json(struct request *r, int status, struct kg_buf *body);
/* With an ETag over the body: 304 where the client has it. control: KG_API_ASK_AGAIN where it must
 * ask each time, KG_API_FOR_EVER where what the URL names never changes. */
#define KG_API_ASK_AGAIN "public"
#define KG_API_FOR_EVER  "public, immutable, max-age=31536000"
void kg_api_reply_cached(
	struct request *r, const char *content_type, const char *control, struct kg_buf *body);
void kg_api_reply_error(struct request *r, const struct kg_error *err);
void kg_api_reply_not_found(struct request *r); /* the object that the request names */
void kg_api_reply_unknown_path(struct request *r);
struct status_extra {
	const char *cause_reason, *cause_message, *cause_field;
	int retry_after_s;
};
void kg_api_write_status(struct kg_buf *out, const struct request *r, const struct kg_error *err,
	int http, const char *reason, const struct status_extra *x);
void kg_api_reply_status(struct request *r, int http, const char *reason,
	const struct status_extra *x, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* 429: there are too many of them already; try again in a second. */
void kg_api_reply_too_many(struct request *r, const char *of_what);
void kg_api_too_large_revision(struct request *r, uint64_t now);

/* handlers: void handle(struct request *) on an HTTP thread */
void kg_api_handle_get(struct request *r);
void kg_api_handle_list(struct request *r);
void kg_api_list_done(struct request *r);
void kg_api_handle_watch(struct request *r);
void kg_api_handle_write(struct request *r);
void kg_api_handle_discovery(struct request *r, const char *path);
bool kg_api_is_discovery_path(const char *path);
bool kg_api_has_status(const struct kg_kind *k); /* as a subresource */
void kg_api_handle_roots(struct request *r);     /* "/": what paths there are */
void kg_api_handle_openapi(struct request *r, const char *path);
void kg_api_write_openapi_v2(struct kg_buf *out); /* as protobuf */
/* Is there a schema of the kind, and is that of the group version; NULL: of any. */
bool kg_api_openapi_has(const struct kg_kind *k, const char *api_version);
/* The members of `paths`, and (each after a comma) the schemas that only they need, of a group
 * version or of all (NULL): openapi_paths.c. */
void kg_api_openapi_paths(struct kg_buf *out, const char *api_version, bool v2);
void kg_api_openapi_lists(struct kg_buf *out, const char *api_version);
void kg_api_handle_self_subject(struct request *r, const char *resource);
/* The `spec` of the body; null where it is of no format that is known. */
int kg_api_read_spec(
	struct kg_value *spec, struct request *r, const char *resource, struct kg_error *err);
bool kg_api_is_self_subject(const char *group, const char *resource);
void kg_api_handle_token(struct request *r);
void kg_api_handle_health(struct request *r, const char *path);

/* ---- what is counted (metrics.c) ---- */

enum { METRIC_VERBS = 9, METRIC_CODES = 22 };
struct request_series {
	_Atomic uint64_t codes[METRIC_CODES];
	struct kg_histogram duration;
};
struct metrics {
	/* by verb and kind, KG_KIND_COUNT where it is of none; made when first met */
	_Atomic(struct request_series *) series[METRIC_VERBS][KG_KIND_COUNT + 1];
	_Atomic uint64_t behind, expired;
};
void kg_api_metrics_request(const struct request *r); /* it is over */
void kg_api_metrics_release(struct kg_api *api);
void kg_api_handle_metrics(struct request *r);

/* ---- watchers (watch.c) ---- */

struct watcher;
void kg_api_watch_done(struct request *r);
bool kg_api_is_watched(struct kg_api *api, enum kg_kind_id kind); /* by anybody, now */
void kg_api_watch_published(struct kg_api *api, enum kg_kind_id kind, const struct feed_entry *e);
int64_t kg_api_watch_tick(struct kg_api *api, int64_t now); /* returns when the next is due */

/* ---- where a watch goes on (resume.c) ---- */

struct resume_listed {
	uint64_t key, revision;
};
struct resume_table {
	pthread_mutex_t lock;
	struct resume_listed listed[2048]; /* by key; a newer one takes an older one's place */
};
/* A list of that revision was sent, or a stream that came to it. */
void kg_api_resume_listed(const struct request *r, uint64_t revision);
/* A watch begins there: is it known that the client has all of that revision? Once. */
bool kg_api_resume_has_all(const struct request *r, uint64_t revision);

struct kg_api {
	struct kg_api_options opt;
	struct kg_subscription *sub;
	pthread_mutex_t fed_lock;
	uint64_t fed; /* hub revision that the feeds have */

	pthread_mutex_t feed_lock;
	struct feed feeds[KG_KIND_COUNT];
	struct encode_cache cache;
	struct event_store events;
	struct lease_store leases;
	struct usage_store usage;

	pthread_mutex_t watch_lock;
	struct watcher_list {
		/* What whoever publishes looks at first: a thousand of them in a row. */
		struct watcher_slot {
			struct watcher *w;
			struct kg_http_req *http;
			bool all; /* of the kind: no namespace, no name */
		} * slots;
		size_t len, cap;
	} watchers[KG_KIND_COUNT];
	size_t nwatchers;
	_Atomic uint64_t events_sent, watches_refused;

	struct list_table {
		pthread_mutex_t lock;
		struct list *first; /* long ones that are being sent */
		size_t len;
		uint64_t refused, broken;
	} lists;
	struct resume_table resume;
	struct metrics metrics;

	pthread_mutex_t wait_lock;
	struct request *waiting;
	size_t nwaiting;

	pthread_mutex_t load_lock;
	struct kg_snapshot *loaded[2]; /* newest first */

	pthread_mutex_t work_lock;
	pthread_cond_t work_ready;
	struct job *jobs, **jobs_end;
	pthread_t workers[2];
	pthread_mutex_t clock_lock;
	pthread_cond_t clock_moved;
	int64_t clock_due;
	pthread_t clock;
	bool stopping;
};
static inline struct versions *kg_api_versions(struct kg_api *api, enum kg_kind_id kind)
{
	switch (kind) {
	case KG_KIND_LEASE:
		return &api->leases.v;
	case KG_KIND_NODE_METRICS:
		return &api->usage.nodes;
	case KG_KIND_POD_METRICS:
		return &api->usage.pods;
	default:
		return &api->events.v;
	}
}
kg_time kg_api_now(struct kg_api *api);

#endif
