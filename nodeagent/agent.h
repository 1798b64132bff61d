/*
 * The node agent: joins what the master says (a stream that names the view's commit, and logs that
 * are asked for), what the view says (pulled, read by difference, applied as a whole) and what the
 * pods say (reported).
 *
 * Threads: the loop, which owns the pods; one that follows the master's stream; one that pulls;
 * one that reports; one for services and routes; one a log that is being read. They share nothing
 * but messages.
 */
#ifndef KG_NODEAGENT_AGENT_H
#define KG_NODEAGENT_AGENT_H

#include "nodeagent/hugepages.h"
#include "nodeagent/join.h"
#include "nodeagent/logstream.h"
#include "sys/loop.h"
#include "value/value.h"

/* What the pods are to the agent: kg_pods, or a test's fake. Called on the loop. */
struct kg_agent_pods {
	void (*apply)(void *self, const struct kg_value *pods, const struct kg_value *configmaps);
	void (*report_all)(void *self);
	/* What is used since this was last asked (kg_pods_usage); null: not known. NULL: never. */
	struct kg_value (*usage)(void *self, struct kg_arena *a);
	void *self;
	struct kg_log_source logs;            /* any thread */
	const struct kg_hugepages *hugepages; /* that they were told of; NULL: none */
};

struct kg_bridge;
struct kg_hostports;
struct kg_podtokens;
struct kg_agent_options { /* texts are borrowed until kg_agent_free */
	const char *dir, *url, *name;
	const char *address; /* the node's own */
	const struct kg_credential *credential;
	const struct kg_value *labels;    /* or NULL */
	unsigned max_pods;                /* default 250 */
	struct kg_bridge *bridge;         /* NULL: neither bridge, services nor routes are kept */
	const struct kg_dns_options *dns; /* of the node's name server (network.h); NULL: none */
	/* Who resolves the cluster's names for pods: NULL: the node's own, if there is one. */
	const char *dns_address, *dns_domain;
	struct kg_agent_pods pods;
	struct kg_hostports *hostports; /* or NULL */
	struct kg_podtokens *tokens;    /* asks the master while the agent lives; or NULL */
	/* Called once, on the loop: the first view of the master was taken over. */
	void (*on_ready)(void *ctx, const char *pod_cidr);
	/* On the loop: the master says that other CAs are to be trusted than the credential's. Told
	 * again with each view that says so. May be NULL. */
	void (*on_ca)(void *ctx, const char *ca_pem);
	void *ctx;
	int idle_ms;  /* of the stream, after which it is broken; default 35,000 */
	int usage_ms; /* so often is the master told what is used; default 8,000 */
};
struct kg_agent;
/* Starts. Where the master does not answer soon, the view that an earlier run pulled is applied. */
int kg_agent_new(struct kg_agent **out, struct kg_loop *loop, const struct kg_agent_options *opts,
	struct kg_error *err);
/* Ends the threads; pods, rules and routes stay. From the loop's thread, not from a callback. */
void kg_agent_free(struct kg_agent *a);
/* A pod's status, on its way to the master. */
void kg_agent_report(struct kg_agent *a, const char *ns, const char *name, const char *uid,
	const struct kg_value *status, bool gone);

#endif
