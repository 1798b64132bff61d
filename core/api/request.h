/* A request: what its route, query and headers say, and how the threads that answer it share
 * it. */
#ifndef KG_API_REQUEST_H
#define KG_API_REQUEST_H

#include "api/api.h"
#include "api/selector.h"

#include <pthread.h>
#include <stdatomic.h>

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

#endif
