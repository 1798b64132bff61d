/* The agent against a fake master, with fake pods: no root is needed. */
#include "base/log.h"
#include "base/mem.h"
#include "fakemaster.h"
#include "nodeagent/agent.h"
#include "nodeagent/nodeinfo.h"
#include "value/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* ---- fake pods; on the loop ---- */

static struct {
	struct kg_loop *loop;
	pthread_t thread;
	struct kg_agent *agent;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned applied, reported, ready;
	char pods[2000]; /* names of the last application, "a b " */
	uint32_t configmaps;
	struct timespec at;
} t = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void note(unsigned *counter)
{
	pthread_mutex_lock(&t.lock);
	(*counter)++;
	pthread_cond_broadcast(&t.changed);
	pthread_mutex_unlock(&t.lock);
}

static void apply(void *self, const struct kg_value *pods, const struct kg_value *configmaps)
{
	size_t n = 0;

	(void)self;
	clock_gettime(CLOCK_MONOTONIC, &t.at);
	t.pods[0] = '\0';
	for (uint32_t i = 0; i < kg_len(pods); i++)
		n += (size_t)snprintf(t.pods + n, sizeof(t.pods) - n, "%s ",
			kg_string(kg_at(&pods->items[i], "metadata.name"), "?"));
	t.configmaps = kg_len(configmaps);
	note(&t.applied);
}

static void report_all(void *self)
{
	(void)self;
	note(&t.reported);
}

static void on_ready(void *ctx, const char *cidr)
{
	(void)ctx;
	assert_string_equal(cidr, "10.244.0.0/24");
	note(&t.ready);
}

/* A log of "follow" says "line" and then nothing until it is cancelled. */
struct fake_log {
	bool follow;
	int reads;
};

static int log_open(
	void *self, void **reader, const struct kg_log_request *req, struct kg_error *err)
{
	(void)self;
	if (strcmp(req->uid, "absent") == 0)
		return kg_fail(err, KG_E_NOT_FOUND, "there is no pod \"absent\" & co");
	assert_int_equal(req->tail, strcmp(req->uid, "tail") == 0 ? 7 : -1);
	struct fake_log *log = kg_alloc(sizeof(*log));
	log->follow = req->follow;
	*reader = log;
	return 0;
}

static ssize_t log_read(void *reader, char *buf, size_t max, int wait_ms)
{
	struct fake_log *log = reader;
	struct timespec wait = {.tv_nsec = wait_ms > 20 ? 20000000 : wait_ms * 1000000};

	if (log->reads++ == 0)
		return snprintf(buf, max, "line\n");
	if (!log->follow)
		return 0;
	nanosleep(&wait, NULL);
	return -1;
}

static void log_close(void *reader)
{
	free(reader);
}

static unsigned usage_ms;

/* Nothing is known the first time. */
static struct kg_value usage(void *self, struct kg_arena *a)
{
	static unsigned asked;

	(void)self;
	return asked++ ? kg_v_obj(a, "cpu", kg_v_int(7), (char *)NULL) : kg_v_null();
}

static void *run_loop(void *ctx)
{
	kg_loop_run(ctx);
	return NULL;
}

static void start_agent(void)
{
	struct kg_agent_options opts = {.dir = fm_dir(),
		.url = fm_url(),
		.name = "n1",
		.address = "192.0.2.7",
		.credential = fm_credential(),
		.pods = {.apply = apply,
			.report_all = report_all,
			.usage = usage_ms ? usage : NULL,
			.logs = {log_open, log_read, log_close, NULL}},
		.usage_ms = (int)usage_ms,
		.on_ready = on_ready};
	struct kg_error err;

	t.applied = t.reported = t.ready = 0;
	t.loop = kg_loop_new();
	if (kg_agent_new(&t.agent, t.loop, &opts, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(pthread_create(&t.thread, NULL, run_loop, t.loop), 0);
}

static void free_agent(void *ctx)
{
	(void)ctx;
	kg_agent_free(t.agent);
	kg_loop_stop(t.loop, 0);
}

static void stop_agent(void)
{
	kg_loop_post(t.loop, free_agent, NULL);
	pthread_join(t.thread, NULL);
	kg_loop_free(t.loop);
}

static void await(const unsigned *counter, unsigned n)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 10;
	pthread_mutex_lock(&t.lock);
	while (*counter < n) {
		if (pthread_cond_timedwait(&t.changed, &t.lock, &until) != 0) {
			pthread_mutex_unlock(&t.lock);
			fail_msg("nothing happened for ten seconds");
		}
	}
	pthread_mutex_unlock(&t.lock);
}

static void put(const char *uid, const char *phase, bool gone)
{
	struct kg_arena arena = KG_ARENA_INIT;
	struct kg_value v = kg_v_obj(&arena, "phase", kg_v_str(&arena, phase), (char *)NULL);

	kg_agent_report(t.agent, "default", uid, uid, gone ? NULL : &v, gone);
	kg_arena_release(&arena);
}

static int set_up(void **state)
{
	(void)state;
	kg_log_set_level(KG_LOG_ERROR);
	fm_new();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fm_free();
	return 0;
}

static const struct fm_file first[] = {
	{"node.yaml", "name: n1\npodCIDR: 10.244.0.0/24\n"},
	{"pods/default/a.yaml", "metadata:\n  name: a\n"},
	{"configmaps/default/c.yaml", "data:\n  k: v\n"},
};

static double ms_between(const struct timespec *from, const struct timespec *to)
{
	return (double)(to->tv_sec - from->tv_sec) * 1e3 +
	       (double)(to->tv_nsec - from->tv_nsec) / 1e6;
}

static void test_views(void **state)
{
	double best = 1e9, sum = 0;

	(void)state;
	fm_view(first, KG_ARRAY_LEN(first));
	start_agent();
	await(&t.ready, 1);
	await(&t.applied, 1);
	assert_string_equal(t.pods, "a ");
	assert_int_equal(t.configmaps, 1);
	assert_non_null(strstr(fm_heard.registration, "\"address\":\"192.0.2.7\""));
	assert_non_null(strstr(fm_heard.registration, "\"kubernetes.io/hostname\":\"n1\""));
	fm_await(&fm_heard.open_streams, 1);
	for (unsigned i = 0; i < 20; i++) {
		struct timespec began;
		char text[64];

		snprintf(text, sizeof(text), "metadata:\n  name: b%u\n", i);
		struct fm_file file = {"pods/default/b.yaml", text};
		const char *commit = fm_view_quietly(&file, 1);
		KG_AUTOFREE char *line = kg_asprintf("{\"view\":\"%s\",\"revision\":1}", commit);
		clock_gettime(CLOCK_MONOTONIC, &began);
		fm_send(line);
		await(&t.applied, i + 2);
		double ms = ms_between(&began, &t.at);
		sum += ms;
		best = ms < best ? ms : best;
	}
	assert_string_equal(t.pods, "a b19 ");
	print_message("view event to pods applied: mean %.2f ms, best %.2f ms\n", sum / 20, best);
	fm_view(&(struct fm_file){"pods/default/a.yaml", NULL}, 1);
	await(&t.applied, 22);
	assert_string_equal(t.pods, "b19 ");
	stop_agent();
}

/* The master is away at the start: the last view is applied; it comes back: all is told again. */
static void test_master_away(void **state)
{
	(void)state;
	fm_view(first, KG_ARRAY_LEN(first));
	start_agent();
	await(&t.ready, 1);
	stop_agent();
	fm_stop();
	start_agent();
	await(&t.applied, 1);
	assert_string_equal(t.pods, "a ");
	assert_int_equal(t.ready, 0);
	put("a", "Running", false);
	fm_start();
	await(&t.ready, 1);
	fm_await(&fm_heard.statuses, 1);
	assert_string_equal(fm_heard.status, "{\"pods\":[{\"gone\":false,\"name\":\"a\","
					     "\"namespace\":\"default\",\"status\":{\"phase\":"
					     "\"Running\"},\"uid\":\"a\"}]}");
	/* It goes and comes while we run: pods are reported again, and the view that moved
	 * meanwhile is pulled. */
	fm_await(&fm_heard.open_streams, 1);
	fm_stop();
	fm_view_quietly(&(struct fm_file){"pods/default/new.yaml", "metadata:\n  name: new\n"}, 1);
	fm_start();
	await(&t.reported, 1);
	await(&t.applied, 2);
	assert_string_equal(t.pods, "a new ");
	stop_agent();
}

/* A view that names a commit already here makes the node ready without anything to apply. */
static void test_nothing_moved(void **state)
{
	(void)state;
	fm_view(first, KG_ARRAY_LEN(first));
	for (int i = 0; i < 2; i++) {
		start_agent();
		await(&t.ready, 1);
		assert_int_equal(t.applied, 1);
		stop_agent();
	}
	assert_int_equal(fm_heard.packs, 1);
}

static void test_status(void **state)
{
	(void)state;
	fm_view(first, KG_ARRAY_LEN(first));
	start_agent();
	await(&t.ready, 1);
	/* One is under way: what comes meanwhile is one request, the latest of each pod. */
	fm_hold_status(true);
	put("a", "Pending", false);
	fm_await(&fm_heard.statuses, 1);
	put("b", "Pending", false);
	put("b", "Running", false);
	put("c", "Running", true);
	fm_hold_status(false);
	fm_await(&fm_heard.statuses, 2);
	assert_null(strstr(fm_heard.status, "\"name\":\"a\""));
	assert_non_null(
		strstr(fm_heard.status, "\"status\":{\"phase\":\"Running\"},\"uid\":\"b\""));
	assert_non_null(strstr(fm_heard.status, "{\"gone\":true,\"name\":\"c\""));
	assert_null(strstr(fm_heard.status, "Pending"));
	/* What the master could not commit is sent again, unless there is something newer. */
	fm_refuse_status(503);
	put("d", "Pending", false);
	fm_await(&fm_heard.statuses, 3);
	put("d", "Running", false);
	unsigned accepted = fm_heard.accepted;
	fm_refuse_status(0);
	fm_await(&fm_heard.accepted, accepted + 1);
	assert_non_null(
		strstr(fm_heard.status, "\"status\":{\"phase\":\"Running\"},\"uid\":\"d\""));
	/* What it refuses for good is not. */
	unsigned before = fm_heard.statuses;
	fm_refuse_status(422);
	put("e", "Odd", false);
	fm_await(&fm_heard.statuses, before + 1);
	fm_refuse_status(0);
	put("f", "Running", false);
	fm_await(&fm_heard.accepted, accepted + 2);
	assert_null(strstr(fm_heard.status, "Odd"));
	stop_agent();
}

static void test_logs(void **state)
{
	(void)state;
	fm_view(first, KG_ARRAY_LEN(first));
	start_agent();
	await(&t.ready, 1);
	fm_await(&fm_heard.open_streams, 1);
	fm_send("{\"log\":{\"id\":\"0a\",\"uid\":\"x\"}}");
	fm_await(&fm_heard.streams, 1);
	fm_await_log();
	assert_string_equal(fm_heard.log, "line\n");
	fm_send("{\"log\":{\"id\":\"0b\",\"uid\":\"tail\",\"tail\":7}}");
	fm_await(&fm_heard.streams, 2);
	fm_await_log();
	fm_send("{\"log\":{\"id\":\"0c\",\"uid\":\"absent\"}}");
	fm_await(&fm_heard.streams, 3);
	assert_string_equal(fm_heard.log_query,
		"/kgit/v1/nodes/n1/streams/0c code=404 error=there is no pod \"absent\" & co");
	fm_await_log();
	/* Followed until nobody reads any more; an id that is none goes nowhere. */
	fm_send("{\"log\":{\"id\":\"../x\",\"uid\":\"x\"}}\n{\"ping\":true}\nnot json");
	fm_send("{\"log\":{\"id\":\"0d\",\"uid\":\"x\",\"follow\":true}}");
	fm_await(&fm_heard.streams, 4);
	fm_send("{\"logEnd\":\"0d\"}");
	fm_await_log();
	/* One that is being followed does not keep the agent from ending. */
	fm_send("{\"log\":{\"id\":\"0e\",\"uid\":\"x\",\"follow\":true}}");
	fm_await(&fm_heard.streams, 5);
	stop_agent();
}

static void test_join(void **state)
{
	struct kg_credential c = {0}, again = {0};
	struct kg_error err;
	KG_AUTOFREE char *wrong = kg_strdup(fm_token());
	KG_AUTOFREE char *unknown = kg_strdup(fm_token());

	(void)state;
	assert_int_equal(kg_credential_load(&c, fm_dir(), "n1", &err), -KG_E_NOT_FOUND);
	/* Another CA than the token's is not trusted, whatever it answers. */
	wrong[strlen(wrong) - 1] ^= 1;
	assert_int_equal(kg_join(&c, fm_dir(), fm_url(), wrong, "n1", &err), -KG_E_UNAUTHORIZED);
	assert_non_null(strstr(err.msg, "is not the master that made the join token"));
	unknown[5] ^= 1;
	assert_int_equal(kg_join(&c, fm_dir(), fm_url(), unknown, "n1", &err), -KG_E_UNAUTHORIZED);
	assert_int_equal(kg_join(&c, fm_dir(), fm_url(), "kgit.x.y", "n1", &err), -KG_E_INVALID);
	assert_int_equal(kg_credential_load(&c, fm_dir(), "n1", &err), -KG_E_NOT_FOUND);
	if (kg_join(&c, fm_dir(), fm_url(), fm_token(), "n1", &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(kg_credential_load(&again, fm_dir(), "n1", &err), 0);
	assert_string_equal(again.cert_pem, c.cert_pem);
	assert_string_equal(again.key_pem, c.key_pem);
	assert_string_equal(again.ca_pem, fm_credential()->ca_pem);
	kg_credential_release(&again);
	assert_int_equal(kg_credential_load(&again, fm_dir(), "n2", &err), -KG_E_INVALID);
	/* The certificate is one that the master takes. */
	struct kg_http_client_options opts = {
		.url = fm_url(), .ca_pem = c.ca_pem, .cert_pem = c.cert_pem, .key_pem = c.key_pem};
	struct kg_http_client *client = kg_http_client_new(&opts);
	KG_AUTOBUF struct kg_buf reply = KG_BUF_INIT;
	assert_int_equal(kg_http_call(client, "POST", "/kgit/v1/nodes/n1/lease", NULL, "{}", 2,
				 &reply, &err),
		0);
	kg_http_client_free(client);
	kg_credential_release(&c);
}

static void test_node_info(void **state)
{
	struct kg_arena arena = KG_ARENA_INIT;
	struct kg_value labels, v;
	struct kg_error err;
	char address[16];

	(void)state;
	assert_int_equal(kg_node_labels_parse(&labels, &arena, "a=b,example.org/c=", &err), 0);
	assert_int_equal(kg_node_labels_parse(&v, &arena, "a=b,c", &err), -KG_E_INVALID);
	const struct kg_hugepages pages = {
		.sizes = {{.page = 2 << 20, .all = 8 << 20, .resource = "hugepages-2Mi"}}, .n = 1};
	v = kg_node_registration(&arena, "n1", "192.0.2.1", &labels, 100, &pages);
	assert_string_equal(kg_string(kg_at(&v, "labels.a"), ""), "b");
	assert_string_equal(kg_string(kg_at(&v, "status.capacity.pods"), ""), "100");
	long all = strtol(kg_string(kg_at(&v, "status.capacity.memory"), ""), NULL, 10);
	assert_true(all > 1000);
	assert_int_equal(strtol(kg_string(kg_at(&v, "status.allocatable.memory"), ""), NULL, 10),
		all - 8192);
	assert_string_equal(kg_string(kg_at(&v, "status.capacity.hugepages-2Mi"), ""), "8Mi");
	assert_string_equal(kg_string(kg_at(&v, "status.allocatable.hugepages-2Mi"), ""), "8Mi");
	assert_true(strtol(kg_string(kg_at(&v, "status.capacity.cpu"), ""), NULL, 10) >= 1);
	assert_true(*kg_string(kg_at(&v, "status.nodeInfo.kernelVersion"), ""));
	kg_node_address(address, "https://127.0.0.1:6443");
	assert_true(*address);
	kg_arena_release(&arena);
}

/* The sign of life says what is used. */
static void test_usage(void **state)
{
	(void)state;
	fm_view(first, KG_ARRAY_LEN(first));
	usage_ms = 20;
	start_agent();
	await(&t.ready, 1);
	fm_await(&fm_heard.leases, 2);
	assert_string_equal(fm_heard.lease, "{\"usage\":{\"cpu\":7}}");
	stop_agent();
	usage_ms = 0;
}

/* At rest nothing runs: no thread wakes up by itself but for the lease. */
static void test_idle(void **state)
{
	struct rusage before, after;

	(void)state;
	fm_view(first, KG_ARRAY_LEN(first));
	start_agent();
	await(&t.ready, 1);
	fm_await(&fm_heard.open_streams, 1);
	usleep(200000); /* what starting left to do */
	getrusage(RUSAGE_SELF, &before);
	usleep(1000000);
	getrusage(RUSAGE_SELF, &after);
	long switches = after.ru_nvcsw - before.ru_nvcsw;
	print_message("at rest: %ld context switches a second\n", switches);
	assert_true(switches < 20);
	stop_agent();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_join, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_views, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_master_away, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nothing_moved, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_status, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_logs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_usage, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_idle, set_up, tear_down),
		cmocka_unit_test(test_node_info),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
