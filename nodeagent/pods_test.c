#include "nodeagent/podtest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants those first */
#include <cmocka.h>

#include "base/hash.h"
#include "nodeagent/cgroup.h"
#include "nodeagent/image_remove.h"
#include "nodeagent/image_store.h"
#include "nodeagent/logs.h"
#include "nodeagent/pidns.h"
#include "nodeagent/rundir.h"
#include "nodeagent/runtime.h"
#include "sys/file.h"
#include "sys/spawn.h"
#include "value/json.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define IMAGE "\"image\":\"kgit.local/busybox:1\""
#define SHELL IMAGE ",\"command\":[\"sh\",\"-c\","
/* Ready once it would hear a TERM: before, process 1 of a namespace ignores it for its whole grace.
 */
#define SLEEPER                                                                                    \
	SHELL "\"trap 'exit 0' TERM; echo up; touch /up; while :; do sleep 0.05; done\"],"         \
	      "\"readinessProbe\":{\"exec\":{\"command\":[\"test\",\"-f\",\"/up\"]}}"
#define MOUNTED "\"volumeMounts\":[{\"name\":\"v\",\"mountPath\":\"/v\"}]"
#define ONE(c)  "{\"containers\":[{\"name\":\"c\"," c "}]}"
#define NEVER(c)                                                                                   \
	"{\"restartPolicy\":\"Never\",\"terminationGracePeriodSeconds\":1,\"containers\":[{"       \
	"\"name\":\"c\"," c "}]}"

static const struct kg_value *container(struct kg_podtest *t, const char *pod)
{
	return kg_at(kg_podtest_status(t, pod), "containerStatuses.0");
}

static const char *waits_for(struct kg_podtest *t, const char *pod)
{
	return kg_string(kg_at(container(t, pod), "state.waiting.reason"), "");
}

static void add_configmap(struct kg_podtest *t, const char *json)
{
	struct kg_value v;
	struct kg_error err;
	if (kg_json_parse(&v, &t->arena, json, strlen(json), &err) < 0)
		fail_msg("%s", err.msg);
	t->configmaps = kg_v_array(&t->arena, &v, 1);
}

static void test_runs_and_stops(void **state)
{
	struct kg_podtest t;
	(void)state;
	kg_podtest_begin(&t, NULL, NULL);
	kg_podtest_add(&t, "one", ONE(SLEEPER));
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, kg_podtest_ready, "one", 10000);
	const struct kg_value *s = kg_podtest_status(&t, "one"), *c = container(&t, "one");
	assert_string_equal(kg_string(kg_get(s, "qosClass"), ""), "BestEffort");
	assert_string_equal(kg_string(kg_get(s, "podIP"), ""), "127.0.0.1");
	assert_true(kg_bool(kg_get(c, "started"), false));
	assert_int_equal(kg_int(kg_get(c, "restartCount"), -1), 0);
	assert_memory_equal(kg_string(kg_get(c, "containerID"), ""), "runc://", 7);
	assert_memory_equal(kg_string(kg_get(c, "imageID"), ""), "kgit.local/busybox@sha256:", 26);
	unsigned reports = t.reports;
	kg_podtest_apply(&t); /* the same again is nothing new */
	assert_int_equal(t.reports, reports);
	kg_podtest_remove(&t, "one");
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, kg_podtest_gone, "one", 10000);
	kg_podtest_end(&t);
}

static void test_ends(void **state)
{
	struct kg_podtest t;
	(void)state;
	kg_podtest_begin(&t, NULL, NULL);
	kg_podtest_add(&t, "good", NEVER(SHELL "\"echo done\"]"));
	kg_podtest_add(
		&t, "bad", NEVER(SHELL "\"echo out of luck >/dev/termination-log; exit 3\"]"));
	kg_podtest_add(&t, "missing", NEVER(IMAGE ",\"command\":[\"/no/such\"]"));
	kg_podtest_add(&t, "fallback",
		NEVER(SHELL "\"echo last words; exit 9\"],"
			    "\"terminationMessagePolicy\":\"FallbackToLogsOnError\""));
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, kg_podtest_succeeded, "good", 10000);
	kg_podtest_wait(&t, kg_podtest_failed, "bad", 10000);
	kg_podtest_wait(&t, kg_podtest_failed, "missing", 10000);
	kg_podtest_wait(&t, kg_podtest_failed, "fallback", 10000);
	const struct kg_value *e = kg_at(container(&t, "good"), "state.terminated");
	assert_string_equal(kg_string(kg_get(e, "reason"), ""), "Completed");
	assert_int_equal(kg_int(kg_get(e, "exitCode"), -1), 0);
	KG_AUTOFREE char *log = kg_podtest_log(&t, "good", false);
	assert_string_equal(log, "done\n");
	e = kg_at(container(&t, "bad"), "state.terminated");
	assert_string_equal(kg_string(kg_get(e, "reason"), ""), "Error");
	assert_int_equal(kg_int(kg_get(e, "exitCode"), -1), 3);
	assert_string_equal(kg_string(kg_get(e, "message"), ""), "out of luck\n");
	e = kg_at(container(&t, "missing"), "state.terminated");
	assert_string_equal(kg_string(kg_get(e, "reason"), ""), "StartError");
	assert_int_equal(kg_int(kg_get(e, "exitCode"), -1), 128);
	assert_non_null(strstr(kg_string(kg_get(e, "message"), ""), "/no/such"));
	e = kg_at(container(&t, "fallback"), "state.terminated");
	assert_string_equal(kg_string(kg_get(e, "message"), ""), "last words\n");
	kg_podtest_end(&t);
}

#define TAKES(port)                                                                                \
	"{\"restartPolicy\":\"Always\",\"terminationGracePeriodSeconds\":1,\"containers\":[{"      \
	"\"name\":\"c\"," SLEEPER ",\"ports\":[{\"containerPort\":80,\"hostPort\":" #port "}]}]}"

static void assert_rejected(struct kg_podtest *t, const char *pod, const char *reason)
{
	const struct kg_value *s = kg_podtest_status(t, pod);
	kg_podtest_wait(t, kg_podtest_failed, pod, 10000);
	assert_string_equal(kg_string(kg_get(s, "reason"), ""), reason);
	assert_memory_equal(kg_string(kg_get(s, "message"), ""), "Pod was rejected: ", 18);
	assert_int_equal(kg_len(kg_get(s, "containerStatuses")), 0);
}

/* As kubelet: the later of two that cannot both be there fails, and for good. */
static void test_admission(void **state)
{
	struct kg_podtest t;
	KG_AUTOFREE char *path = NULL;
	(void)state;
	kg_podtest_begin(&t, NULL, NULL);
	kg_podtest_add(&t, "old", TAKES(80));
	kg_podtest_apply(&t);
	add_configmap(&t, "{\"kind\":\"Node\",\"metadata\":{\"labels\":{\"a\":\"b\"}}}");
	kg_podtest_add(&t, "a-clash", TAKES(80));
	kg_podtest_add(&t, "b-other", TAKES(81));
	kg_podtest_add(&t, "elsewhere",
		"{\"nodeSelector\":{\"a\":\"c\"},\"containers\":[{\"name\":\"c\"," SLEEPER "}]}");
	kg_podtest_add(&t, "huge",
		"{\"containers\":[{\"name\":\"c\",\"resources\":{\"requests\":{\"cpu\":\"9999\"}}"
		"," SLEEPER "}]}");
	kg_podtest_apply(&t);
	assert_rejected(&t, "a-clash", "NodePorts");
	assert_rejected(&t, "elsewhere", "NodeAffinity");
	assert_rejected(&t, "huge", "OutOfcpu");
	kg_podtest_wait(&t, kg_podtest_ready, "old", 10000);
	kg_podtest_wait(&t, kg_podtest_ready, "b-other", 10000);
	/* The next run knows: though there is room then, what failed has failed. */
	kg_podtest_remove(&t, "old");
	kg_podtest_restart(&t, NULL, NULL);
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, kg_podtest_gone, "old", 10000);
	kg_podtest_apply(&t);
	assert_rejected(&t, "a-clash", "NodePorts");
	/* Whoever comes then gets the port; the failed one leaves nothing behind. */
	kg_podtest_add(&t, "new", TAKES(80));
	kg_podtest_remove(&t, "a-clash");
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, kg_podtest_ready, "new", 10000);
	kg_podtest_wait(&t, kg_podtest_gone, "a-clash", 10000);
	kg_podtest_end(&t);
}

static bool all_running(struct kg_podtest *t, const char *pod)
{
	const struct kg_value *list = kg_get(kg_podtest_status(t, pod), "containerStatuses");
	bool all = kg_len(list) == 2;
	for (uint32_t i = 0; i < kg_len(list); i++)
		all = all && !kg_is_null(kg_at(&list->items[i], "state.running"));
	return all;
}

static bool first_again(struct kg_podtest *t, const char *pod)
{
	const struct kg_value *c = container(t, pod);
	return all_running(t, pod) && kg_int(kg_get(c, "restartCount"), 0) > 0;
}

static bool both_again(struct kg_podtest *t, const char *pod)
{
	const struct kg_value *other = kg_at(kg_podtest_status(t, pod), "containerStatuses.1");
	return first_again(t, pod) && kg_int(kg_get(other, "restartCount"), 0) > 0;
}

/* The pids in a group of the pod's, of whatever hierarchy. */
static pid_t first_process(struct kg_podtest *t, const char *pod, const char *group)
{
	struct kg_cgroups groups KG_CLEANUP(kg_cgroups_release) = {0};
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	struct kg_error err;
	char uid[37];
	kg_uuid5(uid, "6ba7b810-9dad-11d1-80b4-00c04fd430c8", pod);
	assert_int_equal(kg_cgroups_detect(&groups, &err), 0);
	for (unsigned i = 0; i < groups.nmounts && !b.len; i++) {
		KG_AUTOFREE char *path = kg_asprintf("%s%s/pod%s/%s/cgroup.procs", groups.mounts[i],
			t->dir + strlen("/tmp"), uid, group);
		if (kg_file_read(&b, path, 4096, &err) < 0)
			kg_buf_clear(&b);
	}
	return (pid_t)atoi(kg_buf_str(&b));
}

static int files_of(pid_t pid)
{
	KG_AUTOFREE char *path = kg_asprintf("/proc/%d/fd", (int)pid);
	DIR *d = opendir(path);
	int n = 0;
	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

/* Nothing of the host is to be had by who traces it. */
static void check_confined(pid_t pid)
{
	static const char *const kinds[] = {"mnt", "net", "ipc", "uts", "pid"};
	KG_AUTOFREE char *path = kg_asprintf("/proc/%d/status", (int)pid);
	KG_AUTOBUF struct kg_buf status = KG_BUF_INIT;
	struct kg_error err;
	for (size_t i = 0; i < KG_ARRAY_LEN(kinds); i++) {
		KG_AUTOFREE char *its = kg_asprintf("/proc/%d/ns/%s", (int)pid, kinds[i]);
		KG_AUTOFREE char *ours = kg_asprintf("/proc/self/ns/%s", kinds[i]);
		struct stat a, b;
		assert_int_equal(stat(its, &a), 0);
		assert_int_equal(stat(ours, &b), 0);
		assert_true(a.st_ino != b.st_ino);
	}
	assert_int_equal(files_of(pid), 3);
	assert_int_equal(kg_file_read(&status, path, 1 << 16, &err), 0);
	assert_non_null(strstr(kg_buf_str(&status), "\nSeccomp:\t2\n"));
	assert_non_null(strstr(kg_buf_str(&status), "\nUid:\t65534\t65534\t65534\t65534\n"));
	assert_non_null(strstr(kg_buf_str(&status), "\nCapEff:\t0000000000000000\n"));
}

/* Containers that see each other; the first process is nobody, and none of theirs. */
static void test_shared_processes(void **state)
{
	struct kg_podtest t;
	(void)state;
	kg_podtest_begin(&t, NULL, NULL);
	kg_podtest_add(&t, "shared",
		"{\"shareProcessNamespace\":true,\"terminationGracePeriodSeconds\":1,"
		"\"containers\":["
		"{\"name\":\"a\"," SHELL
		"\"sleep 1000 & until grep -qsx tail /proc/[0-9]*/comm; do sleep 0.05; "
		"done; cat /proc/1/comm; cat /proc/1/root/etc/passwd; kill -9 1; "
		"echo sees; touch /up; exec sleep 2000\"],"
		"\"readinessProbe\":{\"exec\":{\"command\":[\"test\",\"-f\",\"/up\"]}}},"
		"{\"name\":\"b\"," IMAGE ",\"command\":[\"tail\",\"-f\",\"/dev/null\"]}]}");
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, kg_podtest_ready, "shared", 20000);
	pid_t first = first_process(&t, "shared", "pause");
	assert_true(first > 0);
	check_confined(first);
	KG_AUTOFREE char *log = kg_podtest_log_of(&t, "shared", "a");
	assert_memory_equal(log, "pause\n", 6);
	assert_null(strstr(log, "root:"));
	assert_non_null(strstr(log, "sees\n"));
	/* The agent goes and comes: they are still there, with the same first process. */
	kg_podtest_restart(&t, NULL, NULL);
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, all_running, "shared", 10000);
	assert_int_equal(first_process(&t, "shared", "pause"), first);
	/* With the first process all end, and begin anew with another. */
	assert_int_equal(kill(first, SIGKILL), 0);
	kg_podtest_wait(&t, both_again, "shared", 40000);
	assert_true(first_process(&t, "shared", "pause") > 0);
	assert_int_not_equal(first_process(&t, "shared", "pause"), first);
	kg_podtest_end(&t);
}

static bool backs_off(struct kg_podtest *t, const char *pod)
{
	return !strcmp(waits_for(t, pod), "CrashLoopBackOff");
}

static void test_crash_loop(void **state)
{
	struct kg_podtest t;
	(void)state;
	kg_podtest_begin(&t, NULL, NULL);
	kg_podtest_add(&t, "crash", ONE(SHELL "\"echo try; exit 7\"]"));
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, backs_off, "crash", 10000);
	const struct kg_value *c = container(&t, "crash");
	assert_int_equal(kg_int(kg_get(c, "restartCount"), -1), 1);
	assert_int_equal(kg_int(kg_at(c, "lastState.terminated.exitCode"), -1), 7);
	assert_non_null(strstr(kg_string(kg_at(c, "state.waiting.message"), ""), "back-off 10s"));
	KG_AUTOFREE char *log = kg_podtest_log(&t, "crash", true);
	assert_string_equal(log, "try\n");
	kg_podtest_end(&t);
}

static void test_init_containers(void **state)
{
	struct kg_podtest t;
	(void)state;
	kg_podtest_begin(&t, NULL, NULL);
	kg_podtest_add(&t, "init",
		"{\"restartPolicy\":\"Never\",\"volumes\":[{\"name\":\"v\",\"emptyDir\":{}},"
		"{\"name\":\"m\",\"emptyDir\":{\"medium\":\"Memory\",\"sizeLimit\":\"1Mi\"}}],"
		"\"initContainers\":[{\"name\":\"a\",\"volumeMounts\":[{\"name\":\"v\","
		"\"mountPath\":"
		"\"/v\"}]," SHELL "\"echo a >>/v/f\"]},{\"name\":\"b\",\"volumeMounts\":[{\"name\":"
		"\"v\",\"mountPath\":\"/v\"}]," SHELL "\"echo b >>/v/f\"]}],"
		"\"containers\":[{\"name\":\"c\",\"volumeMounts\":[{\"name\":\"v\",\"mountPath\":"
		"\"/v\",\"readOnly\":true},{\"name\":\"m\",\"mountPath\":\"/m\"}]," SHELL
		"\"cat /v/f >/dev/termination-log; touch /v/x || dd if=/dev/zero of=/m/f bs=64k "
		"count=17 || ls /dev/shm\"]}]}");
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, kg_podtest_succeeded, "init", 15000);
	assert_string_equal(
		kg_string(kg_at(container(&t, "init"), "state.terminated.message"), ""), "a\nb\n");
	kg_podtest_end(&t);
}

static void test_what_it_sees(void **state)
{
	struct kg_podtest t;
	(void)state;
	kg_podtest_begin(&t, NULL, NULL);
	add_configmap(&t, "{\"metadata\":{\"name\":\"cm\",\"namespace\":\"default\"},"
			  "\"data\":{\"K\":\"v1\",\"L\":\"v2\"}}");
	kg_podtest_add(&t, "sees",
		"{\"restartPolicy\":\"Never\",\"securityContext\":{\"fsGroup\":77},\"containers\":["
		"{"
		"\"name\":\"c\"," IMAGE
		",\"command\":[\"sh\",\"-c\",\"id -u; id -g; id -G; hostname; "
		"echo $K $L $POD $NS $IP $CPU $APP $HOME; echo $0 $1; grep NoNewPrivs "
		"/proc/self/status; "
		"grep Seccomp: /proc/self/status; touch /x 2>/dev/null || echo ro; unshare -m true "
		"2>/dev/null || echo denied; "
		"pwd\",\"$(K)-$(NONE)\",\"$$(K)\"],\"workingDir\":\"/tmp\","
		"\"envFrom\":[{\"configMapRef\":{\"name\":\"cm\"}}],"
		"\"env\":[{\"name\":\"POD\",\"valueFrom\":{\"fieldRef\":{\"fieldPath\":"
		"\"metadata.name\"}}},{\"name\":\"NS\",\"valueFrom\":{\"fieldRef\":{\"fieldPath\":"
		"\"metadata.namespace\"}}},{\"name\":\"IP\",\"valueFrom\":{\"fieldRef\":{"
		"\"fieldPath\":"
		"\"status.podIP\"}}},{\"name\":\"CPU\",\"valueFrom\":{\"resourceFieldRef\":{"
		"\"resource\":\"limits.cpu\",\"divisor\":\"1m\"}}},{\"name\":\"APP\",\"valueFrom\":"
		"{"
		"\"fieldRef\":{\"fieldPath\":\"metadata.labels['app']\"}}}],"
		"\"resources\":{\"limits\":{\"cpu\":\"250m\",\"memory\":\"64Mi\"}},"
		"\"securityContext\":{\"runAsUser\":33,\"readOnlyRootFilesystem\":true}}]}");
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, kg_podtest_succeeded, "sees", 10000);
	KG_AUTOFREE char *log = kg_podtest_log(&t, "sees", false);
	assert_string_equal(log, "33\n33\n33 77 100\nsees\nv1 v2 sees default 127.0.0.1 250 test "
				 "/var/www\nv1-$(NONE) $(K)\nNoNewPrivs:\t1\nSeccomp:\t2\nro\n"
				 "denied\n/tmp\n");
	assert_string_equal(
		kg_string(kg_get(kg_podtest_status(&t, "sees"), "qosClass"), ""), "Guaranteed");
	kg_podtest_end(&t);
}

static bool config_error(struct kg_podtest *t, const char *pod)
{
	return !strcmp(waits_for(t, pod), "CreateContainerConfigError");
}

static bool sandbox_error(struct kg_podtest *t, const char *pod)
{
	return strstr(kg_string(kg_at(container(t, pod), "state.waiting.message"), ""),
		       "secret \"s\" not found") != NULL;
}

static void test_configmaps(void **state)
{
	struct kg_podtest t;
	(void)state;
	kg_podtest_begin(&t, NULL, NULL);
	kg_podtest_add(&t, "late",
		ONE(SLEEPER ",\"env\":[{\"name\":\"K\",\"valueFrom\":{\"configMapKeyRef\":{"
			    "\"name\":\"cm\",\"key\":\"K\"}}}]"));
	/* Ends when it sees the new content. */
	kg_podtest_add(&t, "follows",
		"{\"restartPolicy\":\"Never\",\"volumes\":[{\"name\":\"v\",\"configMap\":{\"name\":"
		"\"cm\",\"optional\":true}}],\"containers\":[{\"name\":\"c\",\"volumeMounts\":[{"
		"\"name\":\"v\",\"mountPath\":\"/v\"}]," SHELL
		"\"until grep -q new /v/K 2>/dev/null; do sleep 0.02; done; readlink /v/K\"]}]}");
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, config_error, "late", 10000);
	kg_podtest_wait(&t, kg_podtest_running, "follows", 10000);
	add_configmap(&t, "{\"metadata\":{\"name\":\"cm\",\"namespace\":\"default\"},"
			  "\"data\":{\"K\":\"old\"}}");
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, kg_podtest_ready, "late", 10000);
	add_configmap(&t, "{\"metadata\":{\"name\":\"cm\",\"namespace\":\"default\"},"
			  "\"data\":{\"K\":\"new\"}}");
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, kg_podtest_succeeded, "follows", 10000);
	KG_AUTOFREE char *log = kg_podtest_log(&t, "follows", false);
	assert_string_equal(log, "..data/K\n");
	assert_int_equal(kg_int(kg_get(container(&t, "late"), "restartCount"), -1), 0);
	kg_podtest_end(&t);
}

/* A Secret as variables and as files that follow it; the pod's own fields as files. */
static void test_secrets(void **state)
{
	static const char secret[] = "{\"kind\":\"Secret\",\"metadata\":{\"name\":\"s\","
				     "\"namespace\":\"default\"},\"data\":{\"K\":\"%s\"}}";
	struct kg_podtest t;
	(void)state;
	kg_podtest_begin(&t, NULL, NULL);
	kg_podtest_add(&t, "reads",
		"{\"restartPolicy\":\"Never\",\"volumes\":[{\"name\":\"v\",\"secret\":{"
		"\"secretName\":\"s\",\"defaultMode\":256}},{\"name\":\"p\",\"projected\":{"
		"\"sources\":[{\"downwardAPI\":{\"items\":[{\"path\":\"labels\",\"fieldRef\":{"
		"\"fieldPath\":\"metadata.labels\"}}]}},{\"secret\":{\"name\":\"s\",\"items\":[{"
		"\"key\":\"K\",\"path\":\"a/b\"}]}}]}}],\"containers\":[{\"name\":\"c\",\"env\":[{"
		"\"name\":\"K\",\"valueFrom\":{\"secretKeyRef\":{\"name\":\"s\",\"key\":\"K\"}}}],"
		"\"envFrom\":[{\"secretRef\":{\"name\":\"s\"},\"prefix\":\"P_\"}],"
		"\"volumeMounts\":[{\"name\":\"v\",\"mountPath\":\"/v\"},{\"name\":\"p\","
		"\"mountPath\":\"/p\"}],\"readinessProbe\":{\"exec\":{\"command\":[\"test\","
		"\"-f\",\"/read\"]}}," SHELL
		"\"echo $K $P_K; stat -L -c %a /v/K; stat -f -c %T /v; "
		"cat /p/labels /p/a/b; echo; touch /read; until grep -q new /v/K; do sleep 0.02; "
		"done; cat "
		"/v/K\"]}]}");
	KG_AUTOFREE char *old = kg_asprintf(secret, "b2xk"), *new = kg_asprintf(secret, "bmV3");
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, sandbox_error, "reads", 10000);
	add_configmap(&t, old);
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, kg_podtest_ready, "reads", 10000);
	add_configmap(&t, new);
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, kg_podtest_succeeded, "reads", 10000);
	KG_AUTOFREE char *log = kg_podtest_log(&t, "reads", false);
	assert_string_equal(log, "old old\n400\ntmpfs\napp=\"test\"old\nnew");
	kg_podtest_end(&t);
}

static bool image_error(struct kg_podtest *t, const char *pod)
{
	return !strncmp(waits_for(t, pod), "ErrImage", 8);
}

static bool pull_backs_off(struct kg_podtest *t, const char *pod)
{
	return !strcmp(waits_for(t, pod), "ImagePullBackOff");
}

static void assert_string_prefix(const char *s, const char *prefix)
{
	if (strncmp(s, prefix, strlen(prefix)) != 0)
		fail_msg("\"%s\" does not begin with \"%s\"", s, prefix);
}

static void test_images(void **state)
{
	struct kg_podtest t;
	(void)state;
	kg_podtest_begin(&t, NULL, NULL);
	kg_podtest_add(
		&t, "never", ONE("\"image\":\"kgit.local/none:1\",\"imagePullPolicy\":\"Never\""));
	kg_podtest_add(&t, "refused", ONE("\"image\":\"127.0.0.1:9/none:1\""));
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, image_error, "never", 10000);
	kg_podtest_wait(&t, image_error, "refused", 20000);
	assert_string_equal(waits_for(&t, "never"), "ErrImageNeverPull");
	assert_string_equal(waits_for(&t, "refused"), "ErrImagePull");
	kg_podtest_wait(&t, pull_backs_off, "refused", 20000);
	const char *said = kg_string(kg_at(container(&t, "refused"), "state.waiting.message"), "");
	assert_string_prefix(said, "Back-off pulling image \"127.0.0.1:9/none:1\": ErrImagePull: "
				   "skopeo: ");
	assert_null(strstr(said, "level="));
	kg_podtest_end(&t);
}

static bool restarted(struct kg_podtest *t, const char *pod)
{
	return kg_int(kg_get(container(t, pod), "restartCount"), 0) > 0 &&
	       kg_podtest_running(t, pod);
}

static void test_probes(void **state)
{
	struct kg_podtest t;
	(void)state;
	kg_podtest_begin(&t, NULL, NULL);
	kg_podtest_add(&t, "ready",
		ONE(SHELL "\"sleep 0.3; touch /tmp/ok; exec sleep 1000\"],"
			  "\"readinessProbe\":{\"periodSeconds\":1,\"exec\":{\"command\":[\"test\","
			  "\"-e\",\"/tmp/ok\"]}}"));
	kg_podtest_add(&t, "dies",
		ONE(SLEEPER ",\"livenessProbe\":{\"periodSeconds\":1,\"failureThreshold\":1,"
			    "\"exec\":{\"command\":[\"false\"]}}"));
	t.objects[0] =
		kg_with(&t.arena, &t.objects[0], "spec.terminationGracePeriodSeconds", kg_v_int(0));
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, kg_podtest_running, "ready", 10000);
	assert_false(kg_podtest_ready(&t, "ready"));
	kg_podtest_wait(&t, kg_podtest_ready, "ready", 10000);
	kg_podtest_wait(&t, restarted, "dies", 15000);
	kg_podtest_end(&t);
}

static int free_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (void *)&a, sizeof(a)), 0);
	getsockname(fd, (void *)&a, &n);
	close(fd);
	return ntohs(a.sin_port);
}

/* Not ready while the page is missing (404); ready, and alive by TCP, once it is there. */
static void test_network_probes(void **state)
{
	struct kg_podtest t;
	char spec[1024];
	int port = free_port();
	(void)state;
	kg_podtest_begin(&t, NULL, NULL);
	snprintf(spec, sizeof(spec),
		"{\"hostNetwork\":true,\"terminationGracePeriodSeconds\":0,\"containers\":[{"
		"\"name\":\"c\"," SHELL
		"\"mkdir /www; (sleep 0.5; echo hi >/www/page) & exec httpd -f -h /www -p "
		"127.0.0.1:%d\"],\"ports\":[{\"name\":\"web\",\"containerPort\":%d}],"
		"\"startupProbe\":{\"periodSeconds\":1,\"tcpSocket\":{\"port\":\"web\"}},"
		"\"readinessProbe\":{\"periodSeconds\":1,\"httpGet\":{\"path\":\"/page\","
		"\"port\":%d}}}]}",
		port, port, port);
	kg_podtest_add(&t, "web", spec);
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, kg_podtest_running, "web", 10000);
	assert_false(kg_podtest_ready(&t, "web"));
	kg_podtest_wait(&t, kg_podtest_ready, "web", 10000);
	kg_podtest_end(&t);
}

static void test_grace(void **state)
{
	struct kg_podtest t;
	(void)state;
	kg_podtest_begin(&t, NULL, NULL);
	kg_podtest_add(&t, "deaf",
		"{\"terminationGracePeriodSeconds\":1,\"containers\":[{\"name\":\"c\"," SHELL
		"\"trap '' TERM; while :; do sleep 0.1; done\"]}]}");
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, kg_podtest_ready, "deaf", 10000);
	kg_podtest_remove(&t, "deaf");
	int64_t from = kg_monotonic_ms();
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, kg_podtest_gone, "deaf", 10000);
	assert_true(kg_monotonic_ms() - from >= 1000);
	kg_podtest_end(&t);
}

/* conmon goes on in a new file when it is told that the old one was renamed; a follower sees all.
 */
static void test_log_rotation(void **state)
{
	struct kg_podtest t;
	char uid[37], buf[256];
	struct kg_log_reader *r;
	struct kg_error err;
	(void)state;
	kg_podtest_begin(&t, NULL, NULL);
	kg_podtest_add(&t, "talks",
		NEVER(SHELL "\"i=0; while [ $i -lt 100 ]; do i=$((i+1)); echo $i; sleep 0.01; "
			    "done\"]"));
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, kg_podtest_running, "talks", 10000);
	snprintf(uid, sizeof(uid), "%s", kg_string(kg_at(&t.objects[0], "metadata.uid"), ""));
	struct kg_log_request q = {.uid = uid, .tail = -1, .follow = true};
	assert_int_equal(kg_log_open(&r, t.pods, &q, &err), 0);
	KG_AUTOFREE char *log = kg_asprintf("%s/pods/%s/c.0.log", t.dir, uid);
	KG_AUTOFREE char *bundle = kg_asprintf("%s/run/pods/%s/c", t.dir, uid);
	struct kg_runtime_container c = {.bundle = bundle};
	KG_AUTOBUF struct kg_buf seen = KG_BUF_INIT;
	bool rotated = false;
	/* The loop, which notes the end, runs on between the reads. */
	for (ssize_t n; (n = kg_log_read(r, buf, sizeof(buf), 50)) != 0;) {
		if (n > 0)
			kg_buf_add(&seen, buf, (size_t)n);
		if (n > 0 && !rotated) {
			assert_int_equal(kg_log_rotate(log, 0, KG_LOG_FILES, &err), 1);
			if (kg_runc.reopen_log(NULL, &c, &err) < 0)
				fail_msg("%s", err.msg);
			rotated = true;
		}
		if (seen.len > 280)
			kg_podtest_wait(&t, kg_podtest_succeeded, "talks", 10000);
	}
	kg_log_close(r);
	KG_AUTOBUF struct kg_buf want = KG_BUF_INIT;
	for (int i = 1; i <= 100; i++)
		kg_buf_addf(&want, "%d\n", i);
	assert_string_equal(kg_buf_str(&seen), kg_buf_str(&want));
	KG_AUTOFREE char *again = kg_podtest_log(&t, "talks", false);
	assert_string_equal(again, want.data);
	kg_podtest_end(&t);
}

static void test_out_of_memory(void **state)
{
	struct kg_podtest t;
	(void)state;
	kg_podtest_begin(&t, NULL, NULL);
	kg_podtest_add(&t, "hungry",
		NEVER(SHELL "\"exec tail /dev/zero\"],\"resources\":{\"limits\":{\"memory\":"
			    "\"16Mi\"}}"));
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, kg_podtest_failed, "hungry", 20000);
	const struct kg_value *e = kg_at(container(&t, "hungry"), "state.terminated");
	assert_string_equal(kg_string(kg_get(e, "reason"), ""), "OOMKilled");
	assert_int_equal(kg_int(kg_get(e, "exitCode"), -1), 137);
	kg_podtest_end(&t);
}

/* The agent is killed while one pod runs and another is about to end; a new one goes on. */
static void test_agent_is_killed(void **state)
{
	struct kg_podtest t;
	int ready[2];
	char byte;
	(void)state;
	kg_podtest_begin(&t, NULL, NULL);
	kg_pods_free(t.pods);
	t.pods = NULL;
	kg_podtest_add(&t, "stays", ONE(SLEEPER));
	kg_podtest_add(&t, "ends",
		NEVER(SHELL "\"until [ -e /v/go ]; do sleep 0.02; done; exit 5\"],"
			    "\"volumeMounts\":[{\"name\":\"v\",\"mountPath\":\"/v\"}]"));
	struct kg_value v = kg_v_obj(&t.arena, "name", kg_v_lit("v"), "emptyDir",
		kg_v_object(&t.arena, NULL, 0), (char *)NULL);
	t.objects[1] =
		kg_with(&t.arena, &t.objects[1], "spec.volumes", kg_v_array(&t.arena, &v, 1));
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0) {
		/* A loop of its own: the parent's epoll is shared with it otherwise. */
		t.loop = kg_loop_new();
		t.timer = kg_timer_new(t.loop, NULL, NULL);
		kg_podtest_restart(&t, NULL, NULL);
		kg_podtest_apply(&t);
		kg_podtest_wait(&t, kg_podtest_ready, "stays", 10000);
		kg_podtest_wait(&t, kg_podtest_running, "ends", 10000);
		if (write(ready[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	char path[300];
	struct kg_error err;
	snprintf(path, sizeof(path), "%s/pods/%s/volumes/v/go", t.dir,
		kg_string(kg_at(&t.objects[1], "metadata.uid"), ""));
	assert_int_equal(kg_file_replace(path, "", 0, 0644, &err), 0);
	kg_podtest_restart(&t, NULL, NULL);
	kg_podtest_wait(&t, kg_podtest_failed, "ends", 10000);
	assert_int_equal(kg_int(kg_at(container(&t, "ends"), "state.terminated.exitCode"), -1), 5);
	kg_podtest_apply(&t);
	kg_pods_report_all(t.pods);
	assert_true(kg_podtest_ready(&t, "stays"));
	assert_int_equal(kg_int(kg_get(container(&t, "stays"), "restartCount"), -1), 0);
	KG_AUTOFREE char *log = kg_podtest_log(&t, "stays", false);
	assert_string_equal(log, "up\n");
	kg_podtest_end(&t);
}

static void mount_run(struct kg_podtest *t)
{
	KG_AUTOFREE char *run = kg_asprintf("%s/run", t->dir);
	struct kg_error err;
	assert_int_equal(kg_remove_tree(run, &err), 0);
	if (kg_rundir_mount(t->dir, &err) < 0)
		fail_msg("%s", err.msg);
}

static void reboot(struct kg_podtest *t)
{
	KG_AUTOFREE char *run = kg_asprintf("%s/run", t->dir);
	struct kg_cgroups groups;
	struct kg_error err;
	kg_pods_free(t->pods);
	t->pods = NULL;
	assert_int_equal(kg_cgroups_detect(&groups, &err), 0);
	assert_true(kg_cgroup_kill(&groups, t->dir + strlen("/tmp")) > 0);
	kg_cgroups_release(&groups);
	assert_int_equal(umount2(run, MNT_DETACH), 0);
	if (kg_rundir_mount(t->dir, &err) < 0)
		fail_msg("%s", err.msg);
	kg_podtest_restart(t, NULL, NULL);
}

/* The machine goes down: what ran and what lay on the tmpfs is no more. The pod goes on with its
 * volume, its logs and its count of restarts. */
static void test_reboot(void **state)
{
	struct kg_podtest t;
	(void)state;
	kg_podtest_begin(&t, NULL, NULL);
	kg_pods_free(t.pods);
	t.pods = NULL;
	mount_run(&t);
	kg_podtest_restart(&t, NULL, NULL);
	kg_podtest_add(&t, "goes-on",
		ONE(SHELL "\"trap 'exit 0' TERM; cat /v/kept; echo kept >/v/kept; touch /up; "
			  "while :; do sleep 0.05; done\"],"
			  "\"readinessProbe\":{\"exec\":{\"command\":[\"test\",\"-f\",\"/up\"]}},"
			  "\"volumeMounts\":[{\"name\":\"v\",\"mountPath\":\"/v\"}]"));
	struct kg_value v = kg_v_obj(&t.arena, "name", kg_v_lit("v"), "emptyDir",
		kg_v_object(&t.arena, NULL, 0), (char *)NULL);
	t.objects[0] =
		kg_with(&t.arena, &t.objects[0], "spec.volumes", kg_v_array(&t.arena, &v, 1));
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, kg_podtest_ready, "goes-on", 10000);
	reboot(&t);
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, kg_podtest_ready, "goes-on", 10000);
	const struct kg_value *c = container(&t, "goes-on");
	assert_int_equal(kg_int(kg_get(c, "restartCount"), -1), 1);
	KG_AUTOFREE char *log = kg_podtest_log(&t, "goes-on", false);
	assert_string_equal(log, "kept\n");
	KG_AUTOFREE char *before = kg_podtest_log(&t, "goes-on", true);
	assert_non_null(strstr(before, "/v/kept"));
	kg_podtest_end(&t);
}

/* ... and what runs before the others runs before them again. */
static void test_reboot_in_order(void **state)
{
	static const char spec[] =
		"{\"terminationGracePeriodSeconds\":1,"
		"\"volumes\":[{\"name\":\"v\",\"emptyDir\":{}}],\"initContainers\":["
		"{\"name\":\"i\"," SHELL "\"echo i >>/v/order\"]," MOUNTED "},"
		"{\"name\":\"s\",\"restartPolicy\":\"Always\"," SHELL
		"\"trap 'exit 0' TERM; sleep 0.3; echo s >>/v/order; touch /up; "
		"while :; do sleep 0.05; done\"]," MOUNTED
		",\"startupProbe\":{\"periodSeconds\":1,\"exec\":{\"command\":[\"test\",\"-f\","
		"\"/up\"]}}},"
		"{\"name\":\"j\"," SHELL "\"echo j >>/v/order\"]," MOUNTED "}],"
		"\"containers\":[{\"name\":\"c\"," SHELL
		"\"trap 'exit 0' TERM; echo c >>/v/order; cat /v/order; touch /up; "
		"while :; do sleep 0.05; done\"]," MOUNTED
		",\"readinessProbe\":{\"exec\":{\"command\":[\"test\",\"-f\",\"/up\"]}}}]}";
	struct kg_podtest t;
	(void)state;
	kg_podtest_begin(&t, NULL, NULL);
	kg_pods_free(t.pods);
	t.pods = NULL;
	mount_run(&t);
	kg_podtest_restart(&t, NULL, NULL);
	kg_podtest_add(&t, "in-order", spec);
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, kg_podtest_ready, "in-order", 20000);
	reboot(&t);
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, kg_podtest_ready, "in-order", 20000);
	KG_AUTOFREE char *path = kg_asprintf("%s/pods/%s/volumes/v/order", t.dir,
		kg_string(kg_at(&t.objects[0], "metadata.uid"), ""));
	KG_AUTOBUF struct kg_buf order = KG_BUF_INIT;
	struct kg_error err;
	assert_int_equal(kg_file_read(&order, path, 1000, &err), 0);
	assert_string_equal(kg_buf_str(&order), "i\ns\nj\nc\ni\ns\nj\nc\n");
	const struct kg_value *s = kg_podtest_status(&t, "in-order");
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(kg_int(kg_get(&kg_get(s, "initContainerStatuses")->items[i],
						"restartCount"),
					 -1),
			1);
	assert_int_equal(kg_int(kg_get(container(&t, "in-order"), "restartCount"), -1), 1);
	kg_podtest_end(&t);
}

/* An image of a program that is not busybox's, which no other has. */
static void import_other(struct kg_podtest *t, const char *ref)
{
	KG_AUTOFREE char *program = kg_asprintf("%s/program", t->dir);
	KG_AUTOFREE char *layout = kg_asprintf("%s/layout", t->dir);
	KG_AUTOFREE char *text = kg_asprintf("#!/bin/sh\n# %s\nexec busybox \"$@\"\n", ref);
	KG_AUTOFREE char *env = kg_asprintf("BUSYBOX=%s", program);
	const char *argv[] = {
		"env", env, KGIT_SOURCE_DIR "/testdata/make-busybox-image", layout, NULL};
	struct kg_run r = {.spawn = KG_SPAWN_INIT};
	struct kg_error err;
	r.spawn.argv = argv;
	assert_int_equal(kg_file_replace(program, text, strlen(text), 0755, &err), 0);
	if (kg_run(&r, NULL, &err) < 0 || kg_image_import(t->dir, layout, ref, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(kg_remove_tree(layout, &err), 0);
}

static void stop_loop(void *ctx)
{
	kg_loop_stop(ctx, 0);
}

static unsigned count_entries(struct kg_podtest *t, const char *sub)
{
	KG_AUTOFREE char *path = kg_asprintf("%s/images/%s", t->dir, sub);
	DIR *d = opendir(path);
	unsigned n = 0;
	for (struct dirent *e; d && (e = readdir(d));)
		n += e->d_name[0] != '.';
	if (d)
		closedir(d);
	return n;
}

/* Runs the loop until the store has as many references and layers, and nothing is to be removed. */
static void await_images(struct kg_podtest *t, unsigned refs, unsigned layers)
{
	struct kg_timer *timer = kg_timer_new(t->loop, stop_loop, t->loop);
	struct kg_images *images;
	struct kg_error err;
	size_t have = 0;
	assert_int_equal(kg_images_open(&images, t->dir, &err), 0);
	for (int i = 0; i < 200; i++) {
		struct kg_map list = {0};
		kg_timer_set(timer, 100);
		kg_loop_run(t->loop);
		assert_int_equal(kg_images_list(&list, images, &err), 0);
		have = list.count;
		kg_images_list_release(&list);
		if (have == refs && count_entries(t, "layers") == layers &&
			count_entries(t, "trash") == 0)
			break;
	}
	kg_timer_free(timer);
	kg_images_free(images);
	assert_int_equal(have, refs);
	assert_int_equal(count_entries(t, "layers"), layers);
	assert_int_equal(count_entries(t, "trash"), 0);
}

/* With the disk too full images go that nothing uses; what runs, and what it is called meanwhile,
 * stays. */
static void test_image_gc(void **state)
{
	struct kg_podtest t;
	struct kg_error err;
	(void)state;
	kg_podtest_begin(&t, NULL, NULL);
	kg_podtest_add(&t, "uses", ONE(SLEEPER));
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, kg_podtest_ready, "uses", 10000);
	kg_podtest_image(t.dir);
	import_other(&t, "kgit.local/other:1");
	import_other(&t, "kgit.local/other:2");
	import_other(&t, "kgit.local/busybox:1"); /* the name moves */
	await_images(&t, 4, 4);
	/* Too young. */
	t.image_gc = (struct kg_image_gc_options){1, 0, 3600000, 50};
	kg_podtest_restart(&t, NULL, NULL);
	kg_podtest_apply(&t);
	await_images(&t, 4, 4);
	/* The names of others go, and what they alone have. */
	t.image_gc = (struct kg_image_gc_options){1, 0, 0, 50};
	kg_podtest_restart(&t, NULL, NULL);
	kg_podtest_apply(&t);
	await_images(&t, 2, 2);
	assert_true(kg_podtest_ready(&t, "uses"));
	assert_int_equal(kg_int(kg_get(container(&t, "uses"), "restartCount"), -1), 0);
	/* What a crash left of a removal is done with the next. */
	KG_AUTOFREE char *note = kg_asprintf("%s/images/trash/%064d", t.dir, 0);
	assert_int_equal(kg_file_replace(note, "", 0, 0600, &err), 0);
	kg_podtest_remove(&t, "uses");
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, kg_podtest_gone, "uses", 10000);
	await_images(&t, 0, 0);
	assert_int_equal(count_entries(&t, "blobs/sha256"), 0);
	assert_int_equal(count_entries(&t, "l"), 1); /* the base of all */
	kg_podtest_end(&t);
}

/* What is told of a volume that was removed may be lost: the next view has it told again. */
static void test_volume_is_reclaimed(void **state)
{
	static const char text[] =
		"[{\"kind\":\"PersistentVolume\",\"metadata\":{\"name\":\"pvc-1\",\"uid\":\"u1\","
		"\"deletionTimestamp\":\"2026-01-01T00:00:00Z\",\"annotations\":{"
		"\"pv.kubernetes.io/provisioned-by\":\"kgit.dev/local-path\"}},"
		"\"spec\":{\"local\":{\"path\":\"pvc-1\"}}}]";
	struct kg_podtest t;
	struct kg_error err;
	(void)state;
	kg_podtest_begin(&t, NULL, NULL);
	KG_AUTOFREE char *volume = kg_asprintf("%s/volumes/pvc-1", t.dir);
	KG_AUTOFREE char *within = kg_asprintf("%s/some/files", volume);
	assert_int_equal(kg_mkdir_p(within, 0755, &err), 0);
	assert_int_equal(kg_json_parse(&t.configmaps, &t.arena, text, sizeof(text) - 1, &err), 0);
	for (int i = 0; i < 2; i++) {
		kg_podtest_apply(&t);
		kg_podtest_wait(&t, kg_podtest_gone, "pvc-1", 10000);
		assert_false(kg_path_exists(volume));
		kg_map_remove(&t.gone, "pvc-1");
	}
	kg_podtest_end(&t);
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], KG_PIDNS_COMMAND))
		return kg_pidns_main(argc, argv);

	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_runs_and_stops),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_admission),
		cmocka_unit_test(test_shared_processes),
		cmocka_unit_test(test_crash_loop),
		cmocka_unit_test(test_init_containers),
		cmocka_unit_test(test_what_it_sees),
		cmocka_unit_test(test_configmaps),
		cmocka_unit_test(test_secrets),
		cmocka_unit_test(test_images),
		cmocka_unit_test(test_probes),
		cmocka_unit_test(test_network_probes),
		cmocka_unit_test(test_grace),
		cmocka_unit_test(test_log_rotation),
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_agent_is_killed),
		cmocka_unit_test(test_reboot),
		cmocka_unit_test(test_reboot_in_order),
		cmocka_unit_test(test_image_gc),
		cmocka_unit_test(test_volume_is_reclaimed),
	};
	kg_podtest_require();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
