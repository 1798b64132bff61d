#include "base/hash.h"
#include "nodeagent/cgroup.h"
#include "nodeagent/logs.h"
#include "nodeagent/pidns.h"
#include "nodeagent/podtest.h"
#include "nodeagent/runtime.h"
#include "sys/file.h"
#include "sys/spawn.h"
#include "value/testing.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_runs_and_stops(void **state)
{
	struct kg_podtest t;
	(void)state;
	kg_podtest_begin(&t, NULL, NULL);
	kg_podtest_add(&t, "one", KG_PT_ONE(KG_PT_SLEEPER));
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, kg_podtest_ready, "one", 10000);
	const struct kg_value *s = kg_podtest_status(&t, "one"),
			      *c = kg_podtest_container(&t, "one");
	assert_string_equal(kg_string(kg_get(s, "qosClass"), ""), "BestEffort");
	assert_string_equal(kg_string(kg_get(s, "podIP"), ""), "127.0.0.1");
	assert_true(kg_bool(kg_get(c, "started"), false));
	assert_int_equal(kg_int(kg_get(c, "restartCount"), -1), 0);
	assert_memory_equal(kg_string(kg_get(c, "containerID"), ""), "runc://", 7);
	assert_memory_equal(kg_string(kg_get(c, "imageID"), ""), "kgit.local/busybox@sha256:", 26);
	kg_podtest_sheltered(&t, kg_podtest_conmon(&t, "one"));
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
	kg_podtest_add(&t, "good", KG_PT_NEVER(KG_PT_SHELL "\"echo done\"]"));
	kg_podtest_add(&t, "bad",
		KG_PT_NEVER(KG_PT_SHELL "\"echo out of luck >/dev/termination-log; exit 3\"]"));
	kg_podtest_add(&t, "missing", KG_PT_NEVER(KG_PT_IMAGE ",\"command\":[\"/no/such\"]"));
	kg_podtest_add(&t, "fallback",
		KG_PT_NEVER(KG_PT_SHELL "\"echo last words; exit 9\"],"
					"\"terminationMessagePolicy\":\"FallbackToLogsOnError\""));
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, kg_podtest_succeeded, "good", 10000);
	kg_podtest_wait(&t, kg_podtest_failed, "bad", 10000);
	kg_podtest_wait(&t, kg_podtest_failed, "missing", 10000);
	kg_podtest_wait(&t, kg_podtest_failed, "fallback", 10000);
	const struct kg_value *e = kg_at(kg_podtest_container(&t, "good"), "state.terminated");
	assert_string_equal(kg_string(kg_get(e, "reason"), ""), "Completed");
	assert_int_equal(kg_int(kg_get(e, "exitCode"), -1), 0);
	KG_AUTOFREE char *log = kg_podtest_log(&t, "good", false);
	assert_string_equal(log, "done\n");
	e = kg_at(kg_podtest_container(&t, "bad"), "state.terminated");
	assert_string_equal(kg_string(kg_get(e, "reason"), ""), "Error");
	assert_int_equal(kg_int(kg_get(e, "exitCode"), -1), 3);
	assert_string_equal(kg_string(kg_get(e, "message"), ""), "out of luck\n");
	e = kg_at(kg_podtest_container(&t, "missing"), "state.terminated");
	assert_string_equal(kg_string(kg_get(e, "reason"), ""), "StartError");
	assert_int_equal(kg_int(kg_get(e, "exitCode"), -1), 128);
	assert_non_null(strstr(kg_string(kg_get(e, "message"), ""), "/no/such"));
	e = kg_at(kg_podtest_container(&t, "fallback"), "state.terminated");
	assert_string_equal(kg_string(kg_get(e, "message"), ""), "last words\n");
	kg_podtest_end(&t);
}

#define TAKES(port)                                                                                \
	"{\"restartPolicy\":\"Always\",\"terminationGracePeriodSeconds\":1,\"containers\":[{"      \
	"\"name\":\"c\"," KG_PT_SLEEPER ",\"ports\":[{\"containerPort\":80,\"hostPort\":" #port    \
	"}]}]}"

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
	(void)state;
	kg_podtest_begin(&t, NULL, NULL);
	kg_podtest_add(&t, "old", TAKES(80));
	kg_podtest_apply(&t);
	kg_podtest_configmap(&t, "{\"kind\":\"Node\",\"metadata\":{\"labels\":{\"a\":\"b\"}}}");
	kg_podtest_add(&t, "a-clash", TAKES(80));
	kg_podtest_add(&t, "b-other", TAKES(81));
	kg_podtest_add(&t, "elsewhere",
		"{\"nodeSelector\":{\"a\":\"c\"},\"containers\":[{\"name\":\"c\"," KG_PT_SLEEPER
		"}]}");
	kg_podtest_add(&t, "huge",
		"{\"containers\":[{\"name\":\"c\",\"resources\":{\"requests\":{\"cpu\":\"9999\"}}"
		"," KG_PT_SLEEPER "}]}");
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
	const struct kg_value *c = kg_podtest_container(t, pod);
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
	static const char *const kinds[] = {"mnt", "net", "ipc", "uts", "pid", "cgroup"};
	static const char *const lines[] = {"\nSeccomp:\t2\n", "\nNoNewPrivs:\t1\n",
		"\nUid:\t65534\t65534\t65534\t65534\n", "\nGid:\t65534\t65534\t65534\t65534\n",
		"\nCapInh:\t0000000000000000\n", "\nCapPrm:\t0000000000000000\n",
		"\nCapEff:\t0000000000000000\n", "\nCapBnd:\t0000000000000000\n",
		"\nCapAmb:\t0000000000000000\n"};
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
	for (size_t i = 0; i < KG_ARRAY_LEN(lines); i++)
		if (!strstr(kg_buf_str(&status), lines[i]))
			fail_msg("it is not as in%sbut:\n%s", lines[i], kg_buf_str(&status));
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
		"{\"name\":\"a\"," KG_PT_SHELL
		"\"sleep 1000 & until grep -qsx tail /proc/[0-9]*/comm; do sleep 0.05; "
		"done; cat /proc/1/comm; cat /proc/1/root/etc/passwd; kill -9 1; "
		"echo sees; touch /up; exec sleep 2000\"],"
		"\"readinessProbe\":{\"exec\":{\"command\":[\"test\",\"-f\",\"/up\"]}}},"
		"{\"name\":\"b\"," KG_PT_IMAGE ",\"command\":[\"tail\",\"-f\",\"/dev/null\"]}]}");
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, kg_podtest_ready, "shared", 20000);
	pid_t first = first_process(&t, "shared", "pause");
	assert_true(first > 0);
	check_confined(first);
	kg_podtest_sheltered(&t, first);
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
	return !strcmp(kg_podtest_waits_for(t, pod), "CrashLoopBackOff");
}

static void test_crash_loop(void **state)
{
	struct kg_podtest t;
	(void)state;
	kg_podtest_begin(&t, NULL, NULL);
	kg_podtest_add(&t, "crash", KG_PT_ONE(KG_PT_SHELL "\"echo try; exit 7\"]"));
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, backs_off, "crash", 10000);
	const struct kg_value *c = kg_podtest_container(&t, "crash");
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
		"\"/v\"}]," KG_PT_SHELL
		"\"echo a >>/v/f\"]},{\"name\":\"b\",\"volumeMounts\":[{\"name\":"
		"\"v\",\"mountPath\":\"/v\"}]," KG_PT_SHELL "\"echo b >>/v/f\"]}],"
		"\"containers\":[{\"name\":\"c\",\"volumeMounts\":[{\"name\":\"v\",\"mountPath\":"
		"\"/v\",\"readOnly\":true},{\"name\":\"m\",\"mountPath\":\"/m\"}]," KG_PT_SHELL
		"\"cat /v/f >/dev/termination-log; touch /v/x || dd if=/dev/zero of=/m/f bs=64k "
		"count=17 || ls /dev/shm\"]}]}");
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, kg_podtest_succeeded, "init", 15000);
	assert_string_equal(
		kg_string(kg_at(kg_podtest_container(&t, "init"), "state.terminated.message"), ""),
		"a\nb\n");
	kg_podtest_end(&t);
}

/* As kubelet: a critical pod has the place of another, once that has ended. */
static void test_preemption(void **state)
{
	struct kg_podtest t;
	long most = sysconf(_SC_NPROCESSORS_ONLN) * 1000;
	char low[512], critical[512];
	(void)state;
	snprintf(low, sizeof(low), KG_PT_LARGE(5), most);
	snprintf(critical, sizeof(critical), KG_PT_LARGE(2000000000), most);
	kg_podtest_begin(&t, NULL, NULL);
	kg_podtest_add(&t, "low", low);
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, kg_podtest_ready, "low", 10000);
	kg_podtest_add(&t, "high", critical);
	kg_podtest_add(&t, "other", low);
	kg_podtest_apply(&t);
	assert_rejected(&t, "other", "OutOfcpu");
	kg_podtest_wait(&t, kg_podtest_failed, "low", 20000);
	const struct kg_value *s = kg_podtest_status(&t, "low");
	assert_string_equal(kg_string(kg_get(s, "reason"), ""), "Preempting");
	assert_string_equal(
		kg_string(kg_get(s, "message"), ""), "Preempted in order to admit critical pod");
	const struct kg_value *c = kg_find(kg_get(s, "conditions"), "type", "DisruptionTarget");
	assert_string_equal(kg_string(kg_get(c, "status"), ""), "True");
	assert_int_equal(
		kg_int(kg_at(kg_podtest_container(&t, "low"), "state.terminated.exitCode"), -1),
		137);
	kg_podtest_wait(&t, kg_podtest_ready, "high", 10000);
	/* Not before the other's end. */
	const char *ended = kg_string(
		kg_at(kg_podtest_container(&t, "low"), "state.terminated.finishedAt"), "");
	const char *began =
		kg_string(kg_at(kg_podtest_container(&t, "high"), "state.running.startedAt"), "");
	assert_true(*ended && strcmp(ended, began) <= 0);
	/* And for good, whoever looks next. */
	kg_podtest_restart(&t, NULL, NULL);
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, kg_podtest_ready, "high", 10000);
	assert_string_equal(
		kg_string(kg_get(kg_podtest_status(&t, "low"), "reason"), ""), "Preempting");
	kg_podtest_end(&t);
}

/* Of no more than is asked for; whether there are pages is the machine's matter. */
static void test_huge_pages(void **state)
{
	struct kg_podtest t;
	(void)state;
	if (access("/sys/kernel/mm/hugepages/hugepages-2048kB", F_OK) < 0)
		skip();
	kg_podtest_begin(&t, NULL, NULL);
	kg_podtest_add(&t, "huge",
		"{\"restartPolicy\":\"Never\",\"volumes\":[{\"name\":\"v\",\"emptyDir\":{"
		"\"medium\":\"HugePages-2Mi\"}}],\"containers\":[{\"name\":\"c\","
		"\"resources\":{\"limits\":{\"cpu\":\"1\",\"hugepages-2Mi\":\"0\"}},"
		"\"volumeMounts\":[{\"name\":\"v\",\"mountPath\":\"/v\"}]," KG_PT_SHELL
		"\"grep ' /v ' /proc/mounts\"]}]}");
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, kg_podtest_succeeded, "huge", 15000);
	KG_AUTOFREE char *log = kg_podtest_log(&t, "huge", false);
	assert_non_null(strstr(log, "hugetlbfs"));
	assert_non_null(strstr(log, "pagesize=2M"));
	assert_non_null(strstr(log, "size=0"));
	kg_podtest_end(&t);
}

static void test_what_it_sees(void **state)
{
	struct kg_podtest t;
	(void)state;
	kg_podtest_begin(&t, NULL, NULL);
	kg_podtest_configmap(&t, "{\"metadata\":{\"name\":\"cm\",\"namespace\":\"default\"},"
				 "\"data\":{\"K\":\"v1\",\"L\":\"v2\"}}");
	kg_podtest_add(&t, "sees",
		"{\"restartPolicy\":\"Never\",\"securityContext\":{\"fsGroup\":77},\"containers\":["
		"{"
		"\"name\":\"c\"," KG_PT_IMAGE
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
				 "/var/www\nv1-$(NONE) $(K)\nNoNewPrivs:\t0\nSeccomp:\t2\nro\n"
				 "denied\n/tmp\n");
	assert_string_equal(
		kg_string(kg_get(kg_podtest_status(&t, "sees"), "qosClass"), ""), "Guaranteed");
	kg_podtest_end(&t);
}

static bool restarted(struct kg_podtest *t, const char *pod)
{
	return kg_int(kg_get(kg_podtest_container(t, pod), "restartCount"), 0) > 0 &&
	       kg_podtest_running(t, pod);
}

static void test_probes(void **state)
{
	struct kg_podtest t;
	(void)state;
	kg_podtest_begin(&t, NULL, NULL);
	kg_podtest_add(&t, "ready",
		KG_PT_ONE(KG_PT_SHELL
			"\"sleep 0.3; touch /tmp/ok; exec sleep 1000\"],"
			"\"readinessProbe\":{\"periodSeconds\":1,\"exec\":{\"command\":[\"test\","
			"\"-e\",\"/tmp/ok\"]}}"));
	kg_podtest_add(&t, "dies",
		KG_PT_ONE(KG_PT_SLEEPER
			",\"livenessProbe\":{\"periodSeconds\":1,\"failureThreshold\":1,"
			"\"exec\":{\"command\":[\"false\"]}}"));
	/* Neither need hear its TERM: begun again, the second one may be told to end at once. */
	for (size_t i = 0; i < t.n; i++)
		t.objects[i] = kg_with(&t.arena, &t.objects[i],
			"spec.terminationGracePeriodSeconds", kg_v_int((int64_t)i));
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
		"\"name\":\"c\"," KG_PT_SHELL
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
		"{\"terminationGracePeriodSeconds\":1,\"containers\":[{\"name\":\"c\"," KG_PT_SHELL
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
		KG_PT_NEVER(KG_PT_SHELL
			"\"i=0; while [ $i -lt 100 ]; do i=$((i+1)); echo $i; sleep 0.01; "
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
		KG_PT_NEVER(KG_PT_SHELL
			"\"exec tail /dev/zero\"],\"resources\":{\"limits\":{\"memory\":"
			"\"16Mi\"}}"));
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, kg_podtest_failed, "hungry", 20000);
	const struct kg_value *e = kg_at(kg_podtest_container(&t, "hungry"), "state.terminated");
	assert_string_equal(kg_string(kg_get(e, "reason"), ""), "OOMKilled");
	assert_int_equal(kg_int(kg_get(e, "exitCode"), -1), 137);
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
		cmocka_unit_test(test_preemption),
		cmocka_unit_test(test_huge_pages),
		cmocka_unit_test(test_what_it_sees),
		cmocka_unit_test(test_probes),
		cmocka_unit_test(test_network_probes),
		cmocka_unit_test(test_grace),
		cmocka_unit_test(test_log_rotation),
		cmocka_unit_test(test_out_of_memory),
	};
	kg_podtest_require();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
