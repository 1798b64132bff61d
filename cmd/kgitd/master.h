/* What the parts of kgitd share: made by main.c, borrowed by everything else. */
#ifndef KGITD_MASTER_H
#define KGITD_MASTER_H

#include "api/api.h"
#include "auth/auth.h"
#include "http/server.h"
#include "kgitd/authority.h"
#include "kgitd/nodes.h"
#include "kgitd/writer.h"
#include "store/store.h"
#include "sys/loop.h"
#include "watch/hub.h"

#include <stdatomic.h>

struct kg_accounts;
struct kgd_audit;
struct kgd_compact;
struct kgd_events;
struct kgd_history;
struct kgd_hooks;
struct kgd_logs;
struct kgd_probes;
struct kgd_pushes;

struct kgd_limits {
	size_t push_bytes;    /* of one push's pack; default 1 GiB */
	size_t object_bytes;  /* of one object of it, inflated; default 32 MiB */
	size_t delta_depth;   /* deltas that are made for one object; default 250 */
	size_t push_memory;   /* of each process of git that takes a push in; default 1 GiB */
	size_t push_files;    /* manifests in a tree; default 200,000 */
	size_t file_bytes;    /* of one manifest; default 4 MiB */
	size_t text_bytes;    /* of all manifests that one push changes; default 512 MiB */
	size_t git_processes; /* git children at once; default 64 */
	/* of HTTP: see kg_http_server_options and kg_api_options */
	size_t connections, header_bytes, body_bytes, websocket_bytes, websocket_rate;
	int64_t header_ms, body_ms, idle_ms, close_ms;
	size_t lists, watches;
	size_t requests; /* a second, of one user who is no master; default 5,000 */
};

struct kg_limiter;
struct kgd_master {
	char *dir;         /* --state, absolute */
	char *repo;        /* DIR/cluster.git */
	const char *named; /* HOST:PORT that its certificate is for; the flags', as is: */
	const char *service_cidr;
	struct kgd_authority *_Atomic authority;
	char *address; /* "127.0.0.1:6443": as listened on */
	struct kgd_limits limits;
	int64_t node_cert_ms;                  /* lifetime of nodes' certificates */
	bool accept_unsigned;                  /* whatever the settings say of signers */
	const char *const *origins;            /* allowed (authenticate.c); NULL-terminated */
	struct kg_reconcile_options reconcile; /* texts are the flags' */
	_Atomic bool stopping;                 /* no new git is started */
	struct kg_loop *loop;
	struct kg_store *store;
	struct kg_hub *hub;
	struct kgd_writer *writer;
	struct kgd_probes *probes;
	struct kg_limiter *limiter;
	struct kgd_compact *compact;
	struct kgd_nodes *nodes;
	struct kgd_logs *logs;
	struct kgd_pushes *pushes;
	struct kgd_hooks *hooks;
	struct kg_tokens *tokens;
	struct kg_accounts *accounts;
	struct kgd_audit *audit; /* NULL: there is none */
	struct kg_auth *auth;
	struct kg_api *api;
	struct kgd_events *events;
	struct kgd_trim *trim;
	struct kgd_history *history;
	struct kg_http_server *http;
};

static inline struct kgd_authority *kgd_authority(const struct kgd_master *m)
{
	return atomic_load(&m->authority);
}

/* Per-request data hung on the request by the router. */
struct kgd_exchange {
	struct kgd_master *master;
	struct kg_user user; /* who acts */
	struct kg_user *by;  /* who acts as that one (impersonate.c), heap; NULL: nobody */
	char audit[64];      /* what the audit log calls it; "": there is no log */
	char node[254];      /* /kgit/v1/nodes/NAME */
	char id[64];         /* .../streams/ID */
	void *state;         /* the handler's own, freed in its done */
};
static inline struct kgd_exchange *kgd_exchange(const struct kg_http_req *req)
{
	return kg_http_user(req);
}

/* Replies with a Status made of the error. */
void kgd_reply_error(struct kg_http_req *req, const struct kg_error *err);
void kgd_reply_value(struct kg_http_req *req, int status, const struct kg_value *v);

/* The router of the HTTPS server (routes.c). */
kg_http_router kgd_route;

/* Fill the route for their paths; false: no such path. */
bool kgd_node_route(struct kg_http_req *req, const char *rest, struct kg_http_route *route);
bool kgd_view_git_route(struct kg_http_req *req, const char *rest, struct kg_http_route *route);
bool kgd_git_route(struct kg_http_req *req, const char *rest, struct kg_http_route *route);
bool kgd_admin_route(struct kg_http_req *req, const char *rest, struct kg_http_route *route);
bool kgd_evict_route(struct kg_http_req *req, const char *rest, struct kg_http_route *route);
bool kgd_options_route(struct kg_http_req *req, const char *rest, struct kg_http_route *route);
bool kgd_history_route(struct kg_http_req *req, const char *rest, struct kg_http_route *route);

/* ---- what is read from the history on disk, on a thread of its own (history.c) ---- */
struct kgd_history *kgd_history_new(struct kgd_master *m);
void kgd_history_stop(struct kgd_history *history); /* those that wait get an answer */
void kgd_history_free(struct kgd_history *history); /* after the HTTP server */

/* ---- logs of pods, fetched from their nodes (logs.c) ---- */
struct kgd_logs *kgd_logs_new(struct kg_loop *loop, struct kgd_nodes *nodes);
void kgd_logs_stop(struct kgd_logs *logs); /* readers that wait for their node get an answer */
void kgd_logs_free(struct kgd_logs *logs); /* after the HTTP server, before the loop */
/* As kg_api_options.log_route; ctx is the kgd_master. */
void kgd_logs_route(void *ctx, struct kg_http_req *req, const struct kg_user *user,
	const struct kg_object *pod, struct kg_http_route *route);
/* The node's end: POST .../streams/ID. */
void kgd_logs_upload_route(struct kg_http_req *req, struct kg_http_route *route);

/* ---- pushes: what is judged and applied (pushes.c), for the hooks that come to a socket beside
 * the repository (hooks.c) ---- */
struct kgd_hook;
struct kgd_pushes *kgd_pushes_new(struct kgd_master *m);
void kgd_pushes_free(struct kgd_pushes *pushes);
/* pre-receive and proc-receive. Any thread. */
void kgd_pushes_judge(struct kgd_pushes *pushes, struct kgd_hook *h);
void kgd_pushes_apply(struct kgd_pushes *pushes, struct kgd_hook *h);
int kgd_hooks_new(struct kgd_hooks **out, struct kgd_master *m, struct kg_error *err);
void kgd_hooks_free(struct kgd_hooks *hooks); /* waits for those that the writer owes an answer */

/* ---- Kubernetes' Events of what was committed (events.c) ---- */
struct kgd_events *kgd_events_new(
	struct kg_loop *loop, struct kg_store *store, struct kg_hub *hub, struct kg_api *api);
void kgd_events_free(struct kgd_events *events);

/* ---- memory given back after storms of changes and of reads (trim.c) ---- */
struct kgd_trim *kgd_trim_new(struct kgd_master *m); /* uses its loop, hub, store and api */
void kgd_trim_free(struct kgd_trim *trim);

/* ---- first start, certificates, kubeconfig, hooks in the repository (setup.c) ---- */
int kgd_setup_pki(struct kgd_master *m, char **cert_pem, char **key_pem, struct kg_error *err);
int kgd_setup_repo(struct kgd_master *m, struct kg_error *err);
int kgd_setup_kubeconfig(struct kgd_master *m, struct kg_error *err);
/* The first address of the range of services is the API's, by which pods know it. */
bool kgd_api_address(char out[16], const char *service_cidr);
/* What clients are to know of the master is this, from now on: kgd_writer_set_cluster. */
void kgd_tell_cluster(struct kgd_master *m);

/* ---- certificates while it runs (ca.c) ---- */
/* Once a day: those that are near their end, and the keys of tokens. */
int kgd_ca_renew(struct kgd_master *m, struct kg_error *err);
/* /kgit/v1/authority: what the CA is, and its replacement. */
bool kgd_ca_route(struct kg_http_req *req, const char *rest, struct kg_http_route *route);

/* ---- main moved by other roads than a push is set back, the stray kept (strays.c) ---- */
/* As kgd_writer_options.hold_main; ctx is the kgd_master. */
int kgd_main_hold(void *ctx, const struct kg_snapshot *s, struct kg_error *err);
/* Watches refs/heads/main. */
struct kgd_strays;
int kgd_strays_new(struct kgd_strays **out, struct kgd_master *m, struct kg_error *err);
void kgd_strays_free(struct kgd_strays *s);

#endif
