/*
 * What the files of the nodes share; only they include it. All but what is said to be fixed or
 * atomic is the lock's: it is held by whoever calls what takes a struct kgd_node.
 */
#ifndef KGITD_NODES_PRIVATE_H
#define KGITD_NODES_PRIVATE_H

#include "kgitd/nodes.h"

#include "base/map.h"

#include <pthread.h>
#include <stdatomic.h>

#define KGD_OLD_VIEWS 4 /* kept a node, so that a pull is answered with the difference */

struct kgd_node_stream {
	struct kg_http_req *req;
	struct kgd_nodes *nodes;
	struct kg_buf out;
	bool broken;
	int64_t written; /* monotonic */
	struct kgd_node_stream *next;
};

struct kgd_node {
	char *name, issuer[64];
	kg_time first_seen, last_seen_wall;
	int64_t last_seen;  /* monotonic */
	bool lost;          /* as last handed to the writer */
	atomic_bool unsaid; /* which failed to commit it */
	bool dirty;
	struct kg_doc *used; /* NULL: it said nothing yet */
	int64_t used_at;     /* monotonic */
	kg_time used_wall;
	struct kgd_view *view, *old[KGD_OLD_VIEWS];
	struct kgd_node_stream *streams; /* newest first */
};

struct kgd_nodes {
	struct kg_loop *loop;
	struct kg_hub *hub;
	struct kgd_writer *writer;
	struct kg_subscription *sub;
	struct kg_timer *liveness_timer, *ping_timer, *shared_timer;
	int64_t grace_ms;
	char service_cidr[64], pod_cidr[64];
	atomic_bool posted; /* an update of the views is on its way to the loop */

	pthread_mutex_t lock;          /* of all below */
	struct kg_map map;             /* name -> struct kgd_node */
	struct kgd_policies *policies; /* as of seen_revision */
	char *ca_pem;
	struct kgd_shared *shared;
	bool shared_dirty;
	int64_t shared_at;
	uint64_t seen_revision; /* views are as of this one */
};

/* ---- nodes.c ---- */

struct kgd_node *kgd_node_get(struct kgd_nodes *n, const char *name); /* NULL: not known */
struct kgd_node *kgd_node_make(struct kgd_nodes *n, const char *name);

/* ---- nodes_liveness.c ---- */

/* Called on the loop: who has been silent too long, and when to look next. */
void kgd_nodes_check_liveness(void *nodes);

/* ---- nodes_streams.c ---- */

/* Tells its streams what its view is. */
void kgd_node_announce(struct kgd_node *node);
/* Called on the loop: streams that have been silent say so, lest somebody in between forgets. */
void kgd_nodes_ping(void *nodes);

/* ---- nodes_views.c ---- */

/* Called on the loop: makes views anew that changed, and announces them. */
void kgd_nodes_update(void *nodes);
/* Has that done soon. Any thread, the lock held or not. */
void kgd_nodes_published(void *nodes);
/* Its view as of now, announced where it moved; borrowed. NULL: no such node is registered. */
struct kgd_view *kgd_node_current_view(struct kgd_nodes *n, struct kgd_node *node);

#endif
