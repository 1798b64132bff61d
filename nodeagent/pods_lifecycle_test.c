/* Sidecars and lifecycle hooks, with real containers. What happened when is told by a file that all
 * containers of the pod see. */
#include "nodeagent/podtest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants those first */
#include <cmocka.h>

#include "sys/file.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MOUNT "\"volumeMounts\":[{\"name\":\"told\",\"mountPath\":\"/told\"}]"
#define C(name, script)                                                                            \
	"{\"name\":\"" name                                                                        \
	"\",\"image\":\"kgit.local/busybox:1\",\"command\":[\"sh\",\"-c\",\"" script "\"]," MOUNT
/* Says that it is up, and that it was told to end. */
#define LIVES(name)                                                                                \
	"trap 'echo " name " ends >>/told/all; exit 0' TERM; echo " name " is up >>/told/all; "    \
	"touch /up; while :; do sleep 0.05; done"
#define UP                 ",\"startupProbe\":{\"exec\":{\"command\":[\"test\",\"-f\",\"/up\"]}}"
#define HOOK(when, script) "\"" when "\":{\"exec\":{\"command\":[\"sh\",\"-c\",\"" script "\"]}}"

struct story {
	struct kg_podtest t;
	char dir[80]; /* what is told lies in it */
};

static void begin(struct story *s)
{
	kg_podtest_begin(&s->t, NULL, NULL);
	snprintf(s->dir, sizeof(s->dir), "%s/told", s->t.dir);
	assert_int_equal(mkdir(s->dir, 0777), 0);
}

static void add(struct story *s, const char *name, const char *spec)
{
	char text[4096];

	snprintf(text, sizeof(text),
		"{%s,\"volumes\":[{\"name\":\"told\",\"hostPath\":{\"path\":\"%s\"}}]}", spec,
		s->dir);
	kg_podtest_add(&s->t, name, text);
	kg_podtest_apply(&s->t);
}

static void remove_pod(struct story *s, const char *name)
{
	kg_podtest_remove(&s->t, name);
	kg_podtest_apply(&s->t);
	kg_podtest_wait(&s->t, kg_podtest_gone, name, 20000);
}

static void assert_told(const struct story *s, const char *want)
{
	KG_AUTOFREE char *path = kg_asprintf("%s/all", s->dir);
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	struct kg_error err;

	if (kg_file_read(&b, path, 1 << 16, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(kg_buf_str(&b), want);
}

static void tell(const struct story *s, const char *name)
{
	KG_AUTOFREE char *path = kg_asprintf("%s/%s", s->dir, name);

	assert_int_equal(kg_file_replace(path, "", 0, 0600, &(struct kg_error){0}), 0);
}

static const struct kg_value *status_of(struct story *s, const char *pod, const char *path)
{
	return kg_at(kg_podtest_status(&s->t, pod), path);
}

/* Each is waited for until it is up; the last to come is the first to go. */
static void test_sidecars_in_order(void **state)
{
	struct story s;

	(void)state;
	begin(&s);
	add(&s, "p",
		"\"initContainers\":[" C("a", LIVES("a")) UP ",\"restartPolicy\":\"Always\"}," C(
			"b", "echo b runs >>/told/all") "}," C("c", LIVES("c")) UP
		",\"restartPolicy\":\"Always\"}],\"containers\":[" C("d", LIVES("d")) UP "}]");
	kg_podtest_wait(&s.t, kg_podtest_ready, "p", 20000);
	assert_true(kg_bool(status_of(&s, "p", "initContainerStatuses.0.started"), false));
	assert_true(kg_bool(status_of(&s, "p", "initContainerStatuses.2.ready"), false));
	remove_pod(&s, "p");
	assert_told(&s, "a is up\nb runs\nc is up\nd is up\nd ends\nc ends\na ends\n");
	kg_podtest_end(&s.t);
}

static bool restarted(struct kg_podtest *t, const char *pod)
{
	const struct kg_value *s = kg_podtest_status(t, pod);

	return kg_int(kg_at(s, "initContainerStatuses.0.restartCount"), 0) == 1 &&
	       kg_bool(kg_at(s, "initContainerStatuses.0.started"), false);
}

/* A pod whose work is done ends, its sidecar with it; one that ends before is started again. */
static void test_a_job_with_a_sidecar(void **state)
{
	struct story s;

	(void)state;
	begin(&s);
	add(&s, "p",
		"\"restartPolicy\":\"Never\",\"initContainers\":[" C(
			"a", "[ -f /told/again ] || { touch /told/again; exit 1; }; " LIVES("a")) UP
		",\"restartPolicy\":\"Always\"}],\"containers\":[" C("d",
			"until [ -f /told/enough ]; do sleep 0.05; done; echo d is done "
			">>/told/all") "}]");
	kg_podtest_wait(&s.t, restarted, "p", 20000);
	tell(&s, "enough");
	kg_podtest_wait(&s.t, kg_podtest_succeeded, "p", 20000);
	assert_told(&s, "a is up\nd is done\na ends\n");
	kg_podtest_end(&s.t);
}

/* Ready only after postStart; SIGTERM only after preStop. */
static void test_hooks(void **state)
{
	struct story s;

	(void)state;
	begin(&s);
	add(&s, "p",
		"\"containers\":[" C("d", LIVES("d")) ",\"lifecycle\":{" HOOK("postStart",
			"until [ -f /up ]; do sleep 0.05; done; sleep 0.3; echo started "
			">>/told/all") "," HOOK("preStop",
			"sleep 0.3; echo stopping >>/told/all") "}}]");
	kg_podtest_wait(&s.t, kg_podtest_ready, "p", 20000);
	assert_told(&s, "d is up\nstarted\n");
	remove_pod(&s, "p");
	assert_told(&s, "d is up\nstarted\nstopping\nd ends\n");
	kg_podtest_end(&s.t);
}

/* A hook that takes the whole grace period leaves 2 s for SIGTERM; a pause is a hook, too. */
static void test_hooks_that_take_long(void **state)
{
	struct story s;

	(void)state;
	begin(&s);
	add(&s, "p",
		"\"terminationGracePeriodSeconds\":1,\"containers\":[" C("d", LIVES("d")) UP
		",\"lifecycle\":{\"postStart\":{\"sleep\":{\"seconds\":0}}," HOOK(
			"preStop", "echo stopping >>/told/all; sleep 100") "}}]");
	kg_podtest_wait(&s.t, kg_podtest_ready, "p", 20000);
	remove_pod(&s, "p");
	assert_told(&s, "d is up\nstopping\nd ends\n");
	kg_podtest_end(&s.t);
}

static void test_a_hook_that_fails(void **state)
{
	struct story s;

	(void)state;
	begin(&s);
	add(&s, "p",
		"\"restartPolicy\":\"Never\",\"containers\":[" C(
			"d", LIVES("d")) ",\"lifecycle\":{" HOOK("postStart",
			"until [ -f /up ]; do sleep 0.05; done; exit 3") "}}]");
	kg_podtest_wait(&s.t, kg_podtest_succeeded, "p", 20000);
	const char *why = "containerStatuses.0.state.terminated.reason";
	assert_string_equal(kg_string(status_of(&s, "p", why), ""), "PostStartHookError");
	assert_told(&s, "d is up\nd ends\n");
	kg_podtest_end(&s.t);
}

/* What a stop of the agent interrupts goes on: the hook from its beginning. */
static void test_hooks_outlive_the_agent(void **state)
{
	struct story s;

	(void)state;
	begin(&s);
	add(&s, "p",
		"\"containers\":[" C("d", LIVES("d")) ",\"lifecycle\":{" HOOK("postStart",
			"until [ -f /told/go ]; do sleep 0.05; done; echo started "
			">>/told/all") "}}]");
	kg_podtest_wait(&s.t, kg_podtest_running, "p", 20000);
	assert_false(kg_podtest_ready(&s.t, "p"));
	kg_podtest_restart(&s.t, NULL, NULL);
	kg_podtest_apply(&s.t);
	tell(&s, "go");
	kg_podtest_wait(&s.t, kg_podtest_ready, "p", 20000);
	kg_podtest_end(&s.t);
}

/* Of what a container does by itself. */
static void await_told(const struct story *s, const char *name)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	KG_AUTOFREE char *path = kg_asprintf("%s/%s", s->dir, name);

	for (int i = 0; access(path, F_OK) < 0; i++) {
		assert_in_range(i, 0, 2000);
		nanosleep(&pause, NULL);
	}
}

/* A postStart hook that a stop has ended does not run again when the agent does. */
static void test_a_hook_that_a_stop_ended(void **state)
{
	struct story s;

	(void)state;
	begin(&s);
	add(&s, "p",
		"\"containers\":[" C("d",
			"trap 'touch /told/term; until [ -f /told/go ]; do sleep 0.05; done; "
			"exit 0' TERM; while :; do sleep 0.05; done") ",\"lifecycle\":{" HOOK("post"
											      "Star"
											      "t",
			"echo begun >>/told/all; touch /told/begun; sleep 100") "}}]");
	kg_podtest_wait(&s.t, kg_podtest_running, "p", 20000);
	await_told(&s, "begun");
	kg_podtest_remove(&s.t, "p");
	kg_podtest_apply(&s.t);
	await_told(&s, "term");
	kg_podtest_restart(&s.t, NULL, NULL);
	kg_podtest_apply(&s.t);
	add(&s, "q", "\"containers\":[" C("e", LIVES("e")) UP "}]");
	kg_podtest_wait(&s.t, kg_podtest_ready, "q", 20000); /* by then it would have begun */
	tell(&s, "go");
	kg_podtest_wait(&s.t, kg_podtest_gone, "p", 20000);
	assert_told(&s, "begun\ne is up\n");
	kg_podtest_end(&s.t);
}

/* However many arguments a command has. */
static void test_a_long_command(void **state)
{
	KG_AUTOBUF struct kg_buf spec = KG_BUF_INIT;
	struct story s;

	(void)state;
	begin(&s);
	kg_buf_adds(&spec,
		"\"containers\":[" C("d", LIVES("d")) ",\"lifecycle\":{\"postStart\":{\"exec\":{"
						      "\"command\":[\"sh\",\"-c\",\"until [ -f /up "
						      "]; do sleep 0.05; done; "
						      "echo $# >>/told/all\",\"sh\"");
	for (int i = 0; i < 300; i++)
		kg_buf_adds(&spec, ",\"x\"");
	kg_buf_adds(&spec, "]}}}}]");
	add(&s, "p", kg_buf_str(&spec));
	kg_podtest_wait(&s.t, kg_podtest_ready, "p", 20000);
	assert_told(&s, "d is up\n300\n");
	kg_podtest_end(&s.t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sidecars_in_order),
		cmocka_unit_test(test_a_job_with_a_sidecar),
		cmocka_unit_test(test_hooks),
		cmocka_unit_test(test_hooks_that_take_long),
		cmocka_unit_test(test_a_hook_that_fails),
		cmocka_unit_test(test_hooks_outlive_the_agent),
		cmocka_unit_test(test_a_hook_that_a_stop_ended),
		cmocka_unit_test(test_a_long_command),
	};

	kg_podtest_require();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
