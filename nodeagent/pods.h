/*
 * The pods of a node: what the view wants, made true. Decide (plan.c: pure) and do (workers).
 * kg_pods lives on one loop; blocking work (images, runc, mounts, networks) runs on workers, one
 * job a pod at a time, so that a hung container holds up nobody else. What is needed to find a
 * pod again is written to DIR/pods/UID before it is made: a restart resumes, running containers
 * stay.
 */
#ifndef KG_NODEAGENT_PODS_H
#define KG_NODEAGENT_PODS_H

#include "nodeagent/hugepages.h"
#include "nodeagent/podnet.h"
#include "sys/loop.h"
#include "value/value.h"

struct kg_pods;
struct kg_podtokens;
struct kg_hostports;

/* Unused images are removed from `high` percent of the disk full, down to `low`, none that is there
 * for less than min_age_ms. high 0: kubelet's defaults, 85, 80 and two minutes. */
struct kg_image_gc_options {
	unsigned high, low;
	int64_t min_age_ms;
	int look_ms; /* how often; default five minutes */
};

struct kg_pods_options {
	const char *dir; /* the node's state directory */
	const char *node_name;
	const char *node_ip;
	const char *cgroup_parent; /* default "/kgit/NODE" */
	const struct kg_podnet *net;
	void *net_self;
	struct kg_hostports *hostports; /* borrowed; NULL: nobody hears of them */
	struct kg_podtokens *tokens;    /* borrowed; NULL: pods that need one wait for ever */
	unsigned workers;               /* default 8 */
	unsigned max_pods;              /* default 250 */
	struct kg_image_gc_options image_gc;
	/* Called on the loop whenever a pod's status (phase, conditions, containerStatuses, ...)
	 * changed, and once with gone = true when nothing of it is left; with ns "" when the
	 * directory of the PersistentVolume of that name and uid is gone. */
	void (*on_status)(void *ctx, const char *ns, const char *name, const char *uid,
		const struct kg_value *status, bool gone);
	void *ctx;
};
/* Finds the pods that an earlier run left and goes on with them. */
int kg_pods_new(struct kg_pods **out, struct kg_loop *loop, const struct kg_pods_options *opts,
	struct kg_error *err);
/* Stops working; containers stay as they are. */
void kg_pods_free(struct kg_pods *pods);
/* Those of the machine, as kg_pods_new found them: what pods are let in by is what the node is to
 * say of itself. Borrowed; never changed. */
const struct kg_hugepages *kg_pods_hugepages(const struct kg_pods *pods);

/*
 * The whole of what is wanted: `pods` an array of Pod objects of the view (with podIP, hostIP,
 * apiAccess), `configmaps` an array of the ConfigMap and Secret objects that they name and of what
 * apiaccess.h makes. Copied. What a pod had of the API when it was accepted it keeps. A pod that is
 * no longer there, or that has a deletionTimestamp, is stopped gracefully and then reported gone.
 * Changes of those reach mounted volumes without a restart (atomically, as kubelet's ..data link
 * does).
 */
void kg_pods_apply(struct kg_pods *pods, const struct kg_value *pod_objects,
	const struct kg_value *configmaps);
/* What is used of the node and by the containers since this was last asked, as kgitd takes it
 * (api.h); null the first time. Reads the containers' control groups: a tenth of a millisecond
 * each. */
struct kg_value kg_pods_usage(struct kg_pods *pods, struct kg_arena *a);
/* Calls on_status for every pod again (after the master was away). */
void kg_pods_report_all(struct kg_pods *pods);

/* ---- logs: any thread; blocking reads; CRI log files with rotation ---- */
struct kg_log_request {
	const char *uid, *container; /* container NULL or "": the only one */
	bool follow, previous, timestamps;
	int64_t tail;        /* lines; < 0: all */
	int64_t since_ms;    /* epoch milliseconds; 0: from the beginning */
	int64_t limit_bytes; /* <= 0: none */
};
struct kg_log_reader;
int kg_log_open(struct kg_log_reader **out, struct kg_pods *pods, const struct kg_log_request *req,
	struct kg_error *err);
/* Bytes into buf; 0 at the end. With follow it waits (inotify) for more, at most wait_ms and then
 * returns -1 with err untouched: call again. */
ssize_t kg_log_read(struct kg_log_reader *r, char *buf, size_t max, int wait_ms);
void kg_log_close(struct kg_log_reader *r);

#endif
