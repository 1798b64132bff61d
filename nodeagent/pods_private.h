/* Inside pods.c, podrun.c, podlive.c, podpull.c, podstore.c: the registry and one pod of it. The
 * loop's thread only. */
#ifndef KG_NODEAGENT_PODS_PRIVATE_H
#define KG_NODEAGENT_PODS_PRIVATE_H

#include "base/map.h"
#include "nodeagent/attempt.h"
#include "nodeagent/plan.h"
#include "nodeagent/podjob.h"
#include "nodeagent/pods.h"
#include "nodeagent/probe.h"
#include "nodeagent/work.h"

struct pod;

/* What belongs to a container while it runs. */
struct live {
	struct pod *pod;
	size_t index;
	int pidfd; /* -1 */
	struct kg_watch *watch;
	struct kg_timer *lost; /* its process is gone, its exit file is awaited */
	struct kg_probe *probes[KG_PROBE_COUNT];
	struct kg_attempt hook;      /* postStart or preStop, while it runs */
	char *bundle, *log, *cgroup; /* c below borrows them */
	struct kg_runtime_container c;
};
struct pod {
	struct kg_pods *pods;
	struct kg_pstate st;
	struct kg_podpaths paths;
	struct kg_timer *timer;
	struct kg_plan plan;
	struct live *live;     /* one a container */
	struct kg_doc *status; /* as last reported; NULL */
	int64_t quiet_mono;    /* no report before: a start that is quick is one report */
	bool refresh;          /* its volumes and network are to be looked at */
	bool news;             /* a token came while a job was under way */
	bool wanted;           /* in the last view */
	bool evaluating;
	bool purging;   /* a job removes its directories: nothing is written there any more */
	bool unsettled; /* the record on disk is older */
};
struct kg_pods {
	struct kg_loop *loop;
	struct kg_podenv env;
	struct kg_runc_self *runc;
	struct kg_work *work;
	struct kg_map pods; /* uid -> struct pod */
	struct kg_map ids;  /* container id -> struct live */
	struct kg_doc *configmaps;
	struct kg_map reclaiming; /* uids of PersistentVolumes that a worker removes now */
	struct kg_timer *rotate, *settle;
	struct kg_image_gc *gc;
	struct kg_watch *exit_watch;
	int inotify;
	bool settling; /* the timer is armed */
	unsigned max_pods;
	struct kg_hugepages hugepages;
	struct kg_usage *usage; /* as last looked at; NULL: not yet */
	bool applied;           /* a view was seen: what is not in it goes */
	void (*on_status)(void *ctx, const char *ns, const char *name, const char *uid,
		const struct kg_value *status, bool gone);
	void *ctx;
};

/* pods.c: once nobody who was preempted runs any more, those that were held for it begin. */
void kg_pods_release_held(struct kg_pods *pods);
/* podrun.c: plan and act, report, arm the timer. The pod may be gone afterwards. */
void kg_pod_evaluate(struct pod *p);
void kg_pod_report(struct pod *p, bool again);
void kg_pod_free(struct pod *p);
/* Sends the signal that its image names. */
void kg_pod_terminate(struct live *l);
/* podpull.c: asks for a container's image; returns whether it turned out to be there already. */
bool kg_pod_pull(struct pod *p, struct kg_cstate *c);

/* podlive.c. Sees whether a container that is thought to run has ended. */
void kg_pod_check_exit(struct live *l);
/* Begins to watch a running container. */
void kg_pod_watch(struct live *l);
void kg_pod_unwatch(struct live *l);
/* Begins the probes that are due. */
void kg_pod_probe(struct live *l);

/* podhook.c. Begins the hook where there is one that is due, and says so: then probes begin, or
 * SIGTERM is sent, when it has ended. A postStart hook that a stop ended never does. */
bool kg_pod_post_start(struct live *l);
bool kg_pod_pre_stop(struct live *l);
/* Ends what hook there is; returns whether SIGTERM is still to be sent. */
bool kg_pod_end_hook(struct live *l);

/* image_gc.c */
struct kg_image_gc;
struct kg_image_gc *kg_image_gc_new(
	struct kg_pods *pods, const struct kg_image_gc_options *options);
void kg_image_gc_free(struct kg_image_gc *gc); /* behind the images */

/* usage.c */
struct kg_usage;
void kg_usage_free(struct kg_usage *u);

/* reclaim.c: after a view. */
void kg_pods_reclaim(struct kg_pods *pods);

/* podstore.c */
struct pod *kg_pod_new(struct kg_pods *pods, struct kg_doc *doc);
/* Of its record and its volumes. What fails is told: its setup will fail, and say so in the status.
 */
void kg_pod_make_dirs(const struct pod *p);
void kg_pod_save(struct pod *p);
void kg_pod_settle(struct pod *p); /* copies its record to disk, where it changed */
void kg_pods_settle(void *pods);   /* those of all */
void kg_pods_save_configmaps(struct kg_pods *pods);
int kg_pods_recover(struct kg_pods *pods, bool same_boot, struct kg_error *err);
/* Before anything else: what lies in DIR/run is void after a reboot; *same tells. */
int kg_pods_check_boot(const char *dir, bool *same, struct kg_error *err);

#endif
