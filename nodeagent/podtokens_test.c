/* Tokens of pods against a fake master: asked for together, renewed in time, waited for. */
#include "base/hash.h"
#include "base/mem.h"
#include "fakemaster.h"
#include "nodeagent/podtokens.h"
#include "sys/file.h"
#include "sys/loop.h"
#include "value/testing.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

static struct {
	struct kg_podtokens *tokens;
	struct kg_arena a;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned news;
	char uid[64];
} t = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void on_news(void *ctx, const char *uid)
{
	(void)ctx;
	pthread_mutex_lock(&t.lock);
	t.news++;
	snprintf(t.uid, sizeof(t.uid), "%s", uid);
	pthread_cond_signal(&t.changed);
	pthread_mutex_unlock(&t.lock);
}

static void await_news(unsigned n)
{
	struct timespec until;
	int rc = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 20;
	pthread_mutex_lock(&t.lock);
	while (t.news < n && rc == 0)
		rc = pthread_cond_timedwait(&t.changed, &t.lock, &until);
	pthread_mutex_unlock(&t.lock);
	assert_int_equal(rc, 0);
}

static void start(void)
{
	const struct kg_http_client_options http = {.url = fm_url(),
		.ca_pem = fm_credential()->ca_pem,
		.cert_pem = fm_credential()->cert_pem,
		.key_pem = fm_credential()->key_pem};

	kg_podtokens_start(t.tokens, &http, "n1");
}

static int set_up(void **state)
{
	(void)state;
	fm_new();
	fm_tokens(3600, NULL);
	t.tokens = kg_podtokens_new();
	t.a = (struct kg_arena)KG_ARENA_INIT;
	t.news = 0;
	kg_podtokens_on_news(t.tokens, on_news, NULL);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	kg_podtokens_free(t.tokens);
	kg_arena_release(&t.a);
	fm_free();
	return 0;
}

static struct kg_podtoken of_pod(const char *name)
{
	return (struct kg_podtoken){
		.ns = "team", .pod = name, .uid = name, .audience = "", .seconds = 3600};
}

/* The token, or where there is none why. */
static const char *get(const char *pod, const char *have)
{
	static char text[400];
	struct kg_podtoken want = of_pod(pod);
	char *token = NULL;
	struct kg_error err;

	if (kg_podtokens_get(t.tokens, &token, &want, have, &err) < 0) {
		assert_int_equal(err.code, KG_E_UNAVAILABLE);
		snprintf(text, sizeof(text), "%.390s", err.msg);
	} else {
		snprintf(text, sizeof(text), "%s", token);
	}
	free(token);
	return text;
}

static void pods_ask_together(void **state)
{
	char json[400];

	(void)state;
	for (int i = 0; i < 20; i++) {
		snprintf(json, sizeof(json),
			"{\"metadata\":{\"name\":\"p%d\",\"uid\":\"p%d\",\"namespace\":\"team\"},"
			"\"spec\":{\"volumes\":[{\"name\":\"x\",\"emptyDir\":{}},{\"name\":\"y\","
			"\"projected\":{\"sources\":[{\"secret\":{\"name\":\"s\"}},"
			"{\"serviceAccountToken\":{\"path\":\"t\"}}]}}]}}",
			i, i);
		struct kg_value pod = kg_test_json(&t.a, json);
		kg_podtokens_want(t.tokens, &pod);
	}
	start();
	for (int i = 0; i < 20; i++) {
		char pod[8], end[16];

		snprintf(pod, sizeof(pod), "p%d", i);
		snprintf(end, sizeof(end), "-%s", pod);
		const char *token = get(pod, NULL);
		assert_memory_equal(token, "token-", 6);
		assert_string_equal(token + strlen(token) - strlen(end), end);
	}
	assert_int_equal(fm_heard.token_requests, 1);
	assert_int_equal(fm_heard.tokens, 20);
	assert_int_equal(t.news, 0); /* nobody had to do without */
	/* One that nobody announced. */
	assert_string_equal(get("late", NULL), "token-21-late");
}

static void renewed_before_its_end(void **state)
{
	(void)state;
	fm_tokens(1, NULL);
	start();
	assert_string_equal(get("p", NULL), "token-1-p");
	int64_t at = kg_monotonic_ms();
	fm_tokens(3600, NULL);
	await_news(1);
	assert_in_range(kg_monotonic_ms() - at, 400, 5000);
	assert_string_equal(t.uid, "p");
	assert_string_equal(get("p", NULL), "token-2-p");
	/* Whatever it is still good for. */
	kg_podtokens_renew(t.tokens);
	await_news(2);
	assert_string_equal(get("p", NULL), "token-3-p");
}

static void what_the_master_refuses_is_asked_for_again(void **state)
{
	(void)state;
	fm_tokens(0, "serviceaccounts \"x\" not found");
	start();
	const char *why = get("p", NULL);
	assert_non_null(strstr(why, "serviceaccounts \"x\" not found"));
	fm_tokens(3600, NULL);
	await_news(1);
	assert_string_equal(get("p", NULL), "token-1-p");
}

/* The fake master answers 64 at most: the rest is not asked for again at once. */
static void an_answer_that_is_too_short(void **state)
{
	(void)state;
	for (int i = 0; i < 70; i++) {
		KG_AUTOFREE char *json = kg_asprintf(
			"{\"metadata\":{\"name\":\"p%d\",\"uid\":\"p%d\",\"namespace\":\"team\"},"
			"\"spec\":{\"volumes\":[{\"name\":\"y\",\"projected\":{\"sources\":["
			"{\"serviceAccountToken\":{\"path\":\"t\"}}]}}]}}",
			i, i);
		struct kg_value pod = kg_test_json(&t.a, json);

		kg_podtokens_want(t.tokens, &pod);
	}
	start();
	assert_memory_equal(get("p0", NULL), "token-", 6);
	assert_non_null(strstr(get("p69", NULL), "the master's answer has none"));
	await_news(1);
	assert_memory_equal(get("p69", NULL), "token-", 6);
}

static void a_master_who_is_away_is_not_waited_for(void **state)
{
	(void)state;
	fm_stop();
	start();
	get("p", NULL); /* finds it out */
	int64_t at = kg_monotonic_ms();
	for (int i = 0; i < 50; i++)
		assert_non_null(strstr(get("p", NULL), "no token of the ServiceAccount yet"));
	assert_in_range(kg_monotonic_ms() - at, 0, 400);
	fm_start();
	await_news(1);
	assert_string_equal(get("p", NULL), "token-1-p");
	/* A token that is here outlives him. */
	fm_stop();
	assert_string_equal(get("p", NULL), "token-1-p");
	fm_start();
}

/* A token as an earlier run left it: three parts, of which the middle one counts. */
static void leave(const char *path, const char *uid, kg_time from, kg_time to)
{
	char claims[200];
	struct kg_error err;
	int n = snprintf(claims, sizeof(claims),
		"{\"iat\":%lld,\"exp\":%lld,\"kubernetes.io\":{\"pod\":{\"uid\":\"%s\"}}}",
		(long long)from / 1000, (long long)to / 1000, uid);

	while (n % 3)
		claims[n++] = ' ';
	claims[n] = '\0';
	KG_AUTOFREE char *coded = kg_base64_encode(claims, (size_t)n);
	KG_AUTOFREE char *token = kg_asprintf("a.%s.c", coded);
	assert_int_equal(kg_file_write(path, token, strlen(token), 0600, &err), 0);
}

static void what_an_earlier_run_left_serves(void **state)
{
	KG_AUTOFREE char *path = kg_asprintf("%s/token", fm_dir());
	kg_time now = kg_realtime_ms();

	(void)state;
	start();
	leave(path, "p", now - 60000, now + 3600000);
	assert_memory_equal(get("p", path), "a.", 2);
	assert_int_equal(fm_heard.token_requests, 0);
	leave(path, "q", now - 3600000, now - 1000);
	assert_string_equal(get("q", path), "token-1-q"); /* over */
	leave(path, "p", now - 60000, now + 3600000);
	assert_string_equal(get("r", path), "token-2-r"); /* another pod's */
	leave(path, "s", now - 3000000, now + 600000);
	assert_memory_equal(get("s", path), "a.", 2); /* due, and good until it is renewed */
	await_news(1);
	assert_string_equal(get("s", path), "token-3-s");
}

static void forgotten(void **state)
{
	(void)state;
	start();
	assert_string_equal(get("p", NULL), "token-1-p");
	assert_string_equal(get("q", NULL), "token-2-q");
	kg_podtokens_forget(t.tokens, "p");
	assert_string_equal(get("q", NULL), "token-2-q");
	assert_string_equal(get("p", NULL), "token-3-p");
	/* It can be ended and begun again, with what it has. */
	kg_podtokens_stop(t.tokens);
	assert_string_equal(get("q", NULL), "token-2-q");
	start();
	assert_string_equal(get("r", NULL), "token-4-r");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(pods_ask_together, set_up, tear_down),
		cmocka_unit_test_setup_teardown(renewed_before_its_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_the_master_refuses_is_asked_for_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_answer_that_is_too_short, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_master_who_is_away_is_not_waited_for, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_an_earlier_run_left_serves, set_up, tear_down),
		cmocka_unit_test_setup_teardown(forgotten, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
