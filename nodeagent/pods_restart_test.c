/* The agent is killed and the machine goes down, with real containers. */
#include "nodeagent/cgroup.h"
#include "nodeagent/pidns.h"
#include "nodeagent/podtest.h"
#include "nodeagent/rundir.h"
#include "sys/file.h"
#include "value/testing.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

/* Where an agent of an earlier version left it. */
static void expose(pid_t pid)
{
	static const char *const roots[] = {
		"/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"};
	for (size_t i = 0; i < KG_ARRAY_LEN(roots); i++) {
		KG_AUTOFREE char *path = kg_asprintf("%s/cgroup.procs", roots[i]);
		KG_AUTOCLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd >= 0)
			assert_true(dprintf(fd, "%d", (int)pid) > 0);
	}
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
	kg_podtest_add(&t, "stays", KG_PT_ONE(KG_PT_SLEEPER));
	kg_podtest_add(&t, "ends",
		KG_PT_NEVER(
			KG_PT_SHELL "\"until [ -e /v/go ]; do sleep 0.02; done; exit 5\"],"
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
	expose(kg_podtest_conmon(&t, "stays"));
	kg_podtest_restart(&t, NULL, NULL);
	kg_podtest_sheltered(&t, kg_podtest_conmon(&t, "stays"));
	kg_podtest_wait(&t, kg_podtest_failed, "ends", 10000);
	assert_int_equal(
		kg_int(kg_at(kg_podtest_container(&t, "ends"), "state.terminated.exitCode"), -1),
		5);
	kg_podtest_apply(&t);
	kg_pods_report_all(t.pods);
	assert_true(kg_podtest_ready(&t, "stays"));
	assert_int_equal(kg_int(kg_get(kg_podtest_container(&t, "stays"), "restartCount"), -1), 0);
	KG_AUTOFREE char *log = kg_podtest_log(&t, "stays", false);
	assert_string_equal(log, "up\n");
	kg_podtest_end(&t);
}

/* What runs lies on a tmpfs, as an agent's own. */
static void begin_on_tmpfs(struct kg_podtest *t)
{
	struct kg_error err;
	kg_podtest_begin(t, NULL, NULL);
	kg_pods_free(t->pods);
	t->pods = NULL;
	KG_AUTOFREE char *run = kg_asprintf("%s/run", t->dir);
	assert_int_equal(kg_remove_tree(run, &err), 0);
	if (kg_rundir_mount(t->dir, &err) < 0)
		fail_msg("%s", err.msg);
	kg_podtest_restart(t, NULL, NULL);
}

static void shut_down(struct kg_podtest *t)
{
	struct kg_cgroups groups;
	struct kg_error err;
	kg_pods_free(t->pods);
	t->pods = NULL;
	assert_int_equal(kg_cgroups_detect(&groups, &err), 0);
	kg_cgroup_kill(&groups, t->dir + strlen("/tmp")); /* it may have ended by itself */
	assert_int_equal(kg_cgroup_remove(&groups, t->dir + strlen("/tmp"), &err), 0);
	kg_cgroups_release(&groups);
}

static void boot(struct kg_podtest *t)
{
	KG_AUTOFREE char *run = kg_asprintf("%s/run", t->dir);
	struct kg_error err;
	assert_int_equal(umount2(run, MNT_DETACH), 0);
	if (kg_rundir_mount(t->dir, &err) < 0)
		fail_msg("%s", err.msg);
	kg_podtest_restart(t, NULL, NULL);
}

static void reboot(struct kg_podtest *t)
{
	shut_down(t);
	boot(t);
}

/* The machine goes down: what ran and what lay on the tmpfs is no more. The pod goes on with its
 * volume, its logs and its count of restarts. */
static void test_reboot(void **state)
{
	struct kg_podtest t;
	(void)state;
	begin_on_tmpfs(&t);
	kg_podtest_add(&t, "goes-on",
		KG_PT_ONE(KG_PT_SHELL
			"\"trap 'exit 0' TERM; cat /v/kept; echo kept >/v/kept; touch /up; "
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
	const struct kg_value *c = kg_podtest_container(&t, "goes-on");
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
		"{\"name\":\"i\"," KG_PT_SHELL "\"echo i >>/v/order\"]," KG_PT_MOUNTED "},"
		"{\"name\":\"s\",\"restartPolicy\":\"Always\"," KG_PT_SHELL
		"\"trap 'exit 0' TERM; sleep 0.3; echo s >>/v/order; touch /up; "
		"while :; do sleep 0.05; done\"]," KG_PT_MOUNTED
		",\"startupProbe\":{\"periodSeconds\":1,\"exec\":{\"command\":[\"test\",\"-f\","
		"\"/up\"]}}},"
		"{\"name\":\"j\"," KG_PT_SHELL "\"echo j >>/v/order\"]," KG_PT_MOUNTED "}],"
		"\"containers\":[{\"name\":\"c\"," KG_PT_SHELL
		"\"trap 'exit 0' TERM; echo c >>/v/order; cat /v/order; touch /up; "
		"while :; do sleep 0.05; done\"]," KG_PT_MOUNTED
		",\"readinessProbe\":{\"exec\":{\"command\":[\"test\",\"-f\",\"/up\"]}}}]}";
	struct kg_podtest t;
	(void)state;
	begin_on_tmpfs(&t);
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
	assert_int_equal(
		kg_int(kg_get(kg_podtest_container(&t, "in-order"), "restartCount"), -1), 1);
	kg_podtest_end(&t);
}

/* "low" is to end for "high", which waits for it. */
static void begin_preemption(struct kg_podtest *t)
{
	long most = sysconf(_SC_NPROCESSORS_ONLN) * 1000;
	char low[512], high[512];
	snprintf(low, sizeof(low), KG_PT_LARGE(5), most);
	snprintf(high, sizeof(high), KG_PT_LARGE(2000000000), most);
	kg_podtest_add(t, "low", low);
	kg_podtest_apply(t);
	kg_podtest_wait(t, kg_podtest_ready, "low", 20000);
	kg_podtest_add(t, "high", high);
	kg_podtest_apply(t);
}

static void restart_in_preemption(bool known)
{
	struct kg_podtest t;
	struct kg_error err;
	kg_podtest_begin(&t, NULL, NULL);
	begin_preemption(&t);
	kg_pods_free(t.pods);
	t.pods = NULL;
	KG_AUTOFREE char *uid = kg_strdup(kg_string(kg_at(&t.objects[1], "metadata.uid"), ""));
	KG_AUTOFREE char *run = kg_asprintf("%s/run/pods/%s", t.dir, uid);
	KG_AUTOFREE char *dir = kg_asprintf("%s/pods/%s", t.dir, uid);
	if (!known) {
		assert_int_equal(kg_remove_tree(run, &err), 0);
		assert_int_equal(kg_remove_tree(dir, &err), 0);
	}
	kg_podtest_restart(&t, NULL, NULL);
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, kg_podtest_failed, "low", 20000);
	kg_podtest_wait(&t, kg_podtest_ready, "high", 20000);
	const char *ended = kg_string(
		kg_at(kg_podtest_container(&t, "low"), "state.terminated.finishedAt"), "");
	const char *began =
		kg_string(kg_at(kg_podtest_container(&t, "high"), "state.running.startedAt"), "");
	assert_true(*ended && strcmp(ended, began) <= 0);
	kg_podtest_end(&t);
}

/* The agent is another one before the pods that have to go have gone ... */
static void test_restart_in_preemption(void **state)
{
	(void)state;
	restart_in_preemption(true);
}

/* ... and the one before ended when it had told them, and not yet saved the one that comes. */
static void test_crash_in_preemption(void **state)
{
	(void)state;
	restart_in_preemption(false);
}

static bool has_record(const struct kg_podtest *t)
{
	KG_AUTOFREE char *path = kg_asprintf("%s/run/pods/%s/record.json", t->dir,
		kg_string(kg_at(&t->objects[0], "metadata.uid"), ""));
	return kg_path_exists(path);
}

/* No directory can be made on the disk: what the pod has is on record all the same, and it goes on
 * once there is room. */
static void test_full_disk(void **state)
{
	struct kg_podtest t;
	struct kg_error err;
	(void)state;
	begin_on_tmpfs(&t);
	KG_AUTOFREE char *pods = kg_asprintf("%s/pods", t.dir);
	assert_int_equal(kg_remove_tree(pods, &err), 0);
	assert_int_equal(kg_file_replace(pods, "", 0, 0600, &err), 0);
	kg_podtest_add(&t, "waits",
		KG_PT_ONE(KG_PT_SHELL
			"\"trap 'exit 0' TERM; touch /up; while :; do sleep 0.05; done\"],"
			"\"readinessProbe\":{\"exec\":{\"command\":[\"test\",\"-f\",\"/up\"]}}"));
	kg_podtest_apply(&t);
	assert_true(has_record(&t));
	assert_int_equal(unlink(pods), 0);
	kg_podtest_wait(&t, kg_podtest_ready, "waits", 20000);
	kg_podtest_end(&t);
}

/* Nobody is left who would let it go on: of the other one nothing had been copied to the disk. */
static void test_reboot_in_preemption(void **state)
{
	struct kg_podtest t;
	struct kg_error err;
	(void)state;
	begin_on_tmpfs(&t);
	begin_preemption(&t);
	shut_down(&t);
	KG_AUTOFREE char *low = kg_asprintf(
		"%s/pods/%s", t.dir, kg_string(kg_at(&t.objects[0], "metadata.uid"), ""));
	assert_int_equal(kg_remove_tree(low, &err), 0);
	boot(&t);
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, kg_podtest_ready, "high", 20000);
	kg_podtest_wait(&t, kg_podtest_failed, "low", 20000);
	kg_podtest_end(&t);
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], KG_PIDNS_COMMAND))
		return kg_pidns_main(argc, argv);

	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_agent_is_killed),
		cmocka_unit_test(test_reboot),
		cmocka_unit_test(test_reboot_in_order),
		cmocka_unit_test(test_restart_in_preemption),
		cmocka_unit_test(test_crash_in_preemption),
		cmocka_unit_test(test_reboot_in_preemption),
		cmocka_unit_test(test_full_disk),
	};
	kg_podtest_require();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
