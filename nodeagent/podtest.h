/* For the root tests of pods: a state directory with the busybox image, pods as JSON, and waiting
 * on the loop for what their statuses say. */
#ifndef KG_NODEAGENT_PODTEST_H
#define KG_NODEAGENT_PODTEST_H

#include "base/map.h"
#include "nodeagent/pods.h"

struct kg_podtest {
	char dir[64];
	struct kg_loop *loop;
	struct kg_pods *pods;
	struct kg_arena arena;
	struct kg_value objects[64]; /* what is wanted now */
	size_t n;
	struct kg_value configmaps;
	struct kg_image_gc_options image_gc; /* of the next start */
	struct kg_map statuses;              /* pod name -> kg_doc; "gone" pods are removed */
	struct kg_map gone;                  /* pod name -> (void *)1 */
	unsigned reports;
	int64_t deadline;
	bool (*want)(struct kg_podtest *t, const char *arg);
	const char *arg;
	struct kg_timer *timer;
};

/* Specs as JSON: what a container is made of ... */
#define KG_PT_IMAGE "\"image\":\"kgit.local/busybox:1\""
#define KG_PT_SHELL KG_PT_IMAGE ",\"command\":[\"sh\",\"-c\","
/* Ready once it would hear a TERM, which process 1 of a namespace ignores before that. */
#define KG_PT_SLEEPER                                                                              \
	KG_PT_SHELL "\"trap 'exit 0' TERM; echo up; touch /up; while :; do sleep 0.05; done\"],"   \
		    "\"readinessProbe\":{\"exec\":{\"command\":[\"test\",\"-f\",\"/up\"]}}"
#define KG_PT_MOUNTED "\"volumeMounts\":[{\"name\":\"v\",\"mountPath\":\"/v\"}]"
/* ... and pods of one container. */
#define KG_PT_ONE(c) "{\"containers\":[{\"name\":\"c\"," c "}]}"
#define KG_PT_NEVER(c)                                                                             \
	"{\"restartPolicy\":\"Never\",\"terminationGracePeriodSeconds\":1,\"containers\":[{"       \
	"\"name\":\"c\"," c "}]}"
/* All the CPU there is, a number of "%ld" thousandths; it does not end on SIGTERM. */
#define KG_PT_LARGE(priority)                                                                      \
	"{\"restartPolicy\":\"Always\",\"terminationGracePeriodSeconds\":2,"                       \
	"\"priority\":" #priority ","                                                              \
	"\"containers\":[{\"name\":\"c\",\"resources\":{\"requests\":{\"cpu\":\"%ldm\"}}"          \
	"," KG_PT_SHELL "\"trap '' TERM; while :; do sleep 0.1; done\"]}]}"

/* Skips (exit 77) where the machine cannot: not root, no runc, conmon, skopeo or busybox. */
void kg_podtest_require(void);
void kg_podtest_image(const char *dir); /* imports kgit.local/busybox:1; kept for all tests */
void kg_podtest_begin(struct kg_podtest *t, const struct kg_podnet *net, void *net_self);
void kg_podtest_end(struct kg_podtest *t); /* deletes all pods, waits, frees, removes the dir */
void kg_podtest_restart(struct kg_podtest *t, const struct kg_podnet *net, void *net_self);
/* Adds a pod given as a JSON spec; uid is made of the name. */
void kg_podtest_add(struct kg_podtest *t, const char *name, const char *spec);
void kg_podtest_remove(struct kg_podtest *t, const char *name);
/* The one ConfigMap (or Secret) that there is. */
void kg_podtest_configmap(struct kg_podtest *t, const char *json);
void kg_podtest_apply(struct kg_podtest *t);
/* Runs the loop until want is true; fails the test after ms. */
void kg_podtest_wait(struct kg_podtest *t, bool (*want)(struct kg_podtest *t, const char *arg),
	const char *arg, int ms);
const struct kg_value *kg_podtest_status(struct kg_podtest *t, const char *name);
/* The status of its first container; why that waits, "" where it does not. */
const struct kg_value *kg_podtest_container(struct kg_podtest *t, const char *name);
const char *kg_podtest_waits_for(struct kg_podtest *t, const char *name);
bool kg_podtest_running(struct kg_podtest *t, const char *name);
bool kg_podtest_ready(struct kg_podtest *t, const char *name);
bool kg_podtest_gone(struct kg_podtest *t, const char *name);
bool kg_podtest_succeeded(struct kg_podtest *t, const char *name);
bool kg_podtest_failed(struct kg_podtest *t, const char *name);
/* The whole log of the pod's only container; heap. */
char *kg_podtest_log(struct kg_podtest *t, const char *name, bool previous);
char *kg_podtest_log_of(struct kg_podtest *t, const char *name, const char *container);
/* The conmon of the container "c". */
pid_t kg_podtest_conmon(struct kg_podtest *t, const char *pod);
/* Fails where there may be services and the process is in a group that the agent may be ended with.
 */
void kg_podtest_sheltered(struct kg_podtest *t, pid_t pid);
/* What a leak would add to: mounts, cgroups of ours, processes whose command line names the dir. */
unsigned kg_podtest_traces(const char *dir);

#endif
