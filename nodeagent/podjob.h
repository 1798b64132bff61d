/*
 * Do: what plan.c decided, for one pod, on a worker. A job has its own copy of all it needs; it
 * tells the loop what came of it by events, each started container at once.
 */
#ifndef KG_NODEAGENT_PODJOB_H
#define KG_NODEAGENT_PODJOB_H

#include "nodeagent/cgroup.h"
#include "nodeagent/image.h"
#include "nodeagent/mailbox.h"
#include "nodeagent/oci_spec.h"
#include "nodeagent/podfiles.h"
#include "nodeagent/podnet.h"
#include "nodeagent/runtime.h"

/* What all jobs share; never changes while they run. */
struct kg_podenv {
	char *dir, *node_name, *cgroup_parent;
	const struct kg_podnet *net; /* NULL: namespaces without network (tests) */
	void *net_self;
	const struct kg_runtime *runtime;
	void *runtime_self;
	struct kg_images *images;
	struct kg_cgroups cgroups;
	struct kg_spec_host host;
	struct kg_mailbox *mailbox;
	struct kg_podtokens *tokens;    /* NULL: none are to be had */
	struct kg_hostports *hostports; /* or NULL */
};

struct kg_job_container {
	size_t index; /* in the pod's state */
	char *name;
	bool init, start; /* else only cleaned */
	char old_id[40];  /* to be removed first; "" */
	char id[40];      /* of the new one */
	int attempt;
};
struct kg_podjob {
	struct kg_podenv *env; /* borrowed */
	void *owner;           /* the pod, for the events */
	struct kg_doc *pod, *configmaps;
	struct kg_podpaths paths;
	char *uid, *ns, *name;
	bool setup, refresh, teardown, purge;
	struct kg_job_container *c;
	size_t nc;
	void (*event)(void *msg); /* delivered on the loop with a struct kg_pod_event */
};

enum kg_pod_event_kind {
	KG_PE_SETUP, /* done or failed */
	KG_PE_STARTED,
	KG_PE_FAILED, /* could not be started; code tells why */
	KG_PE_CLEANED,
	KG_PE_REFRESH,
	KG_PE_TEARDOWN,
	KG_PE_PURGED,
	KG_PE_DONE, /* the job is over: always the last */
};
struct kg_pod_event {
	enum kg_pod_event_kind kind;
	void *owner;
	size_t container;
	bool ok;
	bool config;  /* FAILED: the specification or what it names is at fault */
	bool sandbox; /* FAILED: the pod's network is at fault */
	struct kg_error err;
	pid_t pid;
	uint64_t pid_start;
	kg_time started;
	char *image_id; /* heap */
};
void kg_pod_event_free(void *event);

/* For kg_work_submit; frees the job. */
void kg_podjob_run(void *job);
void kg_podjob_free(void *job);

#endif
