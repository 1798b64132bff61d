/*
 * The Kubernetes API, read-only: get, list and watch over the hub's snapshots and commits,
 * discovery, OpenAPI, Tables, Status errors. What people desire is changed by git push; a write
 * gets 405 and the file to edit.
 *
 * Handlers run on the HTTP threads and read immutable snapshots; what needs the history on disk,
 * or waits, is handed to the room's own threads. Every function is thread-safe.
 */
#ifndef KG_API_API_H
#define KG_API_API_H

#include "auth/auth.h"
#include "http/server.h"
#include "kinds/snapshot.h"
#include "watch/hub.h"

/* Revisions that memory no longer holds. Called on the room's threads; may block. */
struct kg_api_history {
	/* KG_E_GONE where the revision is no longer retained. The caller owns *out. */
	int (*load)(void *self, struct kg_snapshot **out, uint64_t revision, struct kg_error *err);
	/* As kg_store_changes. */
	int (*changes)(void *self, uint64_t from, uint64_t to, size_t most,
		int (*fn)(void *ctx, uint64_t revision, kg_time time,
			const struct kg_changes *changes),
		void *ctx, struct kg_error *err);
	/* The oldest revision that is retained. */
	uint64_t (*oldest)(void *self);
};
struct kg_store;
extern const struct kg_api_history kg_api_store_history; /* self is a struct kg_store * */

struct kg_accounts;

struct kg_api_lease {
	kg_time acquired, renewed;
	int duration_s; /* how long without renewal makes the node lost */
};

/* What a node said last of what is used there. */
struct kg_api_usage {
	/* {"windowMs":N,"cpu":NANOCORES,"memory":BYTES,"pods":[{"namespace","name","uid",
	 * "containers":[{"name","cpu","memory"}]}]}: of these types, nothing else is relied on. */
	struct kg_doc *said;
	kg_time at;
};

struct kg_api_check {
	const char *name; /* "store": /readyz/store */
	bool ready_only;
	bool (*ok)(void *ctx, struct kg_buf *why); /* *why (may be left empty) says why not */
};

/* Large answers packed for who takes gzip: of peers that are not on the loopback, where it costs
 * more than it saves (10,000 pods: 45 ms instead of 22 for 0.7 MB instead of 25). */
enum kg_api_gzip { KG_API_GZIP_REMOTE, KG_API_GZIP_ALWAYS, KG_API_GZIP_NEVER };

struct kg_api_options {
	struct kg_hub *hub;                   /* borrowed; outlives the api */
	const struct kg_api_history *history; /* NULL: what memory lacks is 410 */
	void *history_self;
	struct kg_auth *auth;         /* borrowed; NULL: everybody may read everything (tests) */
	struct kg_accounts *accounts; /* makes ServiceAccounts' tokens; borrowed; NULL: 501 */
	/* The wall clock, for ages; NULL: CLOCK_REALTIME. */
	kg_time (*clock)(void *ctx);
	/* Fills the route of a pods/log request, already authorised; pod is borrowed for the call,
	 * user until the route's done. NULL: 501. */
	void (*log_route)(void *ctx, struct kg_http_req *req, const struct kg_user *user,
		const struct kg_object *pod, struct kg_http_route *route);
	/* A request was judged: why is NULL where it is allowed. HTTP threads; must not block.
	 * NULL: nobody is told. */
	void (*judged)(void *ctx, struct kg_http_req *req, const struct kg_user *user,
		const struct kg_attributes *what, const struct kg_error *why);
	/* A node's lease; false where it never had one. NULL: there are none. */
	bool (*lease)(void *ctx, const char *node, struct kg_api_lease *out);
	/* What a node said last, a new reference in out->said; false where it said nothing, or
	 * nothing lately. HTTP threads; must not block. NULL: nobody says anything. */
	bool (*usage)(void *ctx, const char *node, struct kg_api_usage *out);
	/* What /readyz and, unless ready_only, /livez and /healthz look at besides "ping".
	 * Borrowed; called on HTTP threads: they must not block. */
	const struct kg_api_check *checks;
	size_t nchecks;
	/* Adds to what /metrics says (base/metrics.h). NULL: nothing. */
	void (*metrics)(void *ctx, struct kg_buf *out);
	void *ctx;                  /* of the callbacks above and of the checks */
	const char *server_address; /* "127.0.0.1:6443", named in /api; copied; may be NULL */
	const char *
		write_hint; /* ends "edit FILE in the repository and"; default "git push"; copied */
	int64_t bookmark_ms;   /* between a watch's bookmarks; default 60,000 */
	int64_t wait_ms;       /* for a revision ahead of now; default 3,000 */
	size_t max_feed;       /* changes kept a kind for watches; default 8,192 */
	size_t max_events;     /* Events kept; default 10,000 */
	size_t max_lists;      /* long ones that are being sent; of one user half; default 64 */
	int64_t list_ms;       /* within which a long one must be taken; default 60,000 */
	size_t max_watches;    /* default 11,000 */
	enum kg_api_gzip gzip; /* default KG_API_GZIP_REMOTE */
	size_t cache_bytes;    /* of objects as JSON, kept for who asks next; default 28 MiB */
};

struct kg_api;
struct kg_api *kg_api_new(const struct kg_api_options *opts);
/* After the HTTP server was freed (every request must be done). */
void kg_api_free(struct kg_api *api);

/* Is this path the api's? Then the route is filled: what is forbidden or unknown is answered by it
 * with a Status. user is borrowed until the route's `done`. */
bool kg_api_route(struct kg_api *api, struct kg_http_req *req, const struct kg_user *user,
	struct kg_http_route *route);

/* Something that happened to an object, as `kubectl describe` shows it. The same happening again
 * (object, type, reason, message) counts up. Kept in memory, the newest max_events. */
struct kg_api_event {
	const char *type; /* "Normal", "Warning" */
	const char *reason, *message;
	const char *component, *host; /* who says so: "kgitd", "kgit-node" and its node; or NULL */
	/* the involved object; texts may be NULL */
	const char *api_version, *kind, *ns, *name, *uid, *field_path;
	kg_time time;
	/* Among all that happens at that time, the same whenever it is told; an Event's name says
	 * both, so that after a start it is what it was. */
	uint32_t order;
};
void kg_api_event_add(struct kg_api *api, const struct kg_api_event *event);

struct kg_api_stats {
	size_t watchers, waiting, lists; /* at the moment */
	uint64_t lists_refused, lists_broken, watches_refused;
	uint64_t events_sent;     /* to watches */
	uint64_t encoded, reused; /* JSON encodings made; and asked for again */
	size_t cached;            /* bytes of JSON kept */
	uint64_t behind, expired; /* watches that read on from disk; that were told 410 */
};
void kg_api_stats(struct kg_api *api, struct kg_api_stats *out);
/* Keeps no JSON any more: nobody has asked for it for a while. */
void kg_api_drop_encoded(struct kg_api *api);
/* Nor snapshots of old revisions that were read, each a cluster more in memory. Any thread, but not
 * one that others wait for: the caller frees what nobody reads any more. */
void kg_api_drop_loaded(struct kg_api *api);
/* Keeps about so many changes of a kind, the newest, until more come: for when nothing happens. Who
 * resumes a watch further back is told what the history on disk has, or 410 of a kind that has none
 * there (Events, Leases, Endpoints): of those that somebody watches, all are kept. */
void kg_api_forget_changes(struct kg_api *api, size_t most);

#endif
