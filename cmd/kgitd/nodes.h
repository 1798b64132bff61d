/*
 * The nodes as the master knows them in memory: who was heard from when, whose view is what, and
 * the stream by which each is told. Liveness never becomes a commit, only its transitions do.
 * Thread-safe; timers and views run on the loop.
 */
#ifndef KGITD_NODES_H
#define KGITD_NODES_H

#include "http/server.h"
#include "kgitd/view.h"
#include "kgitd/writer.h"
#include "sys/loop.h"
#include "watch/hub.h"

struct kgd_nodes;
struct kgd_nodes_options {
	struct kg_loop *loop; /* all borrowed */
	struct kg_hub *hub;
	struct kgd_writer *writer;
	int64_t grace_ms; /* silence after which a node is lost; default 40,000 */
	const char *service_cidr, *pod_cidr;
	const char *ca_pem; /* what views tell nodes to trust */
};
struct kgd_nodes *kgd_nodes_new(const struct kgd_nodes_options *opts);
void kgd_nodes_free(struct kgd_nodes *nodes); /* after the HTTP server */

/* What nodes are to trust from now on: told to all of them. */
void kgd_nodes_set_ca(struct kgd_nodes *nodes, const char *ca_pem);

/* The node was heard from, now, by a certificate of this issuer (NULL: not known). */
void kgd_nodes_seen(struct kgd_nodes *nodes, const char *name, const char *issuer);
/* Who made the certificate by which it was heard last, of this run; "": not heard. */
void kgd_nodes_issuer(struct kgd_nodes *nodes, const char *name, char out[64]);
/* What liveness says of a node that registers; texts are name's and static. */
struct kg_input_liveness kgd_nodes_heard(struct kgd_nodes *nodes, const char *name);
/* When it was first and last heard from (realtime); false: never. */
bool kgd_nodes_lease(struct kgd_nodes *nodes, const char *name, kg_time *first, kg_time *last);
/* What is used of the node and by its pods, as it says now: a reference is taken. */
void kgd_nodes_use(struct kgd_nodes *nodes, const char *name, struct kg_doc *said);
/* What it said last, a new reference, and when (realtime). NULL: nothing, or nothing within the
 * time after which a silent node is lost. */
struct kg_doc *kgd_nodes_used(struct kgd_nodes *nodes, const char *name, kg_time *at);
int64_t kgd_nodes_grace_ms(const struct kgd_nodes *nodes);

/* The node's view of now, a new reference; NULL where no such node is registered. */
struct kgd_view *kgd_nodes_view(struct kgd_nodes *nodes, const char *name);
/* One of its newest views by commit id, a new reference; NULL: not known (any more). */
struct kgd_view *kgd_nodes_view_by_commit(
	struct kgd_nodes *nodes, const char *name, const char *commit);

/* Answers with the node's stream: view announcements and requests, a JSON object a line. */
void kgd_nodes_watch(struct kgd_nodes *nodes, const char *name, struct kg_http_req *req);
/* The stream's request is done. */
void kgd_nodes_watch_done(struct kgd_nodes *nodes, struct kg_http_req *req);
/* Puts a line on the node's newest stream; false: it has none. */
bool kgd_nodes_send(struct kgd_nodes *nodes, const char *name, const char *line);

#endif
