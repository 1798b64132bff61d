/* The other server is a real one, which knows one token and is slow with another. */
#include "webhook.h"

#include "http/server.h"
#include "pki/pki.h"
#include "sys/file.h"
#include "testing.h"
#include "value/json.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define NOW 1767225660000LL

static struct {
	struct kg_http_server *http;
	struct kg_auth *auth;
	char ca_file[64], url[128];
	const char *much; /* a status with more extras than fit */
	atomic_int asked;
	pthread_mutex_t lock;
	struct kg_http_req *held; /* not answered yet */
} t = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void say(struct kg_http_req *req, const char *status)
{
	struct kg_buf out = KG_BUF_INIT;

	kg_buf_addf(&out, "{\"kind\":\"TokenReview\",\"status\":%s}", status);
	kg_http_reply(req, 200, "application/json", &out);
}

static void review(struct kg_http_req *req, void *ctx)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	const struct kg_buf *body = kg_http_body(req);
	struct kg_value v;
	struct kg_error err;

	(void)ctx;
	t.asked++;
	assert_int_equal(kg_json_parse(&v, &a, kg_buf_str(body), body->len, &err), 0);
	const char *token = kg_string(kg_at(&v, "spec.token"), "");
	if (strcmp(token, "good") == 0) {
		say(req, "{\"authenticated\":true,\"user\":{\"username\":\"ann\",\"groups\":"
			 "[\"dev\",\"system:masters\"]}}");
	} else if (strcmp(token, "system") == 0) {
		say(req, "{\"authenticated\":true,\"user\":{\"username\":\"system:node:a\"}}");
	} else if (strcmp(token, "much") == 0) {
		say(req, t.much);
	} else if (strcmp(token, "slow") == 0) {
		kg_http_defer(req);
		pthread_mutex_lock(&t.lock);
		t.held = req;
		pthread_mutex_unlock(&t.lock);
	} else {
		say(req, "{\"authenticated\":false}");
	}
}

static bool router(struct kg_http_req *req, struct kg_http_route *route, void *ctx)
{
	(void)ctx;
	route->handle = review;
	return strcmp(kg_http_path(req), "/review") == 0;
}

static int setup(void **state)
{
	struct timespec now;
	char *ca KG_AUTOFREE = NULL, *ca_key KG_AUTOFREE = NULL, *key KG_AUTOFREE = NULL,
		 *cert KG_AUTOFREE = NULL;
	struct kg_error err;

	(void)state;
	clock_gettime(CLOCK_REALTIME, &now);
	kg_time ms = (kg_time)now.tv_sec * 1000;
	struct kg_pki_cert c = {.cn = "hook",
		.sans = (const char *const[]){"127.0.0.1", NULL},
		.server = true,
		.not_before = ms - 60000,
		.not_after = ms + 3600000};
	assert_int_equal(kg_pki_ca_new(&ca, &ca_key, "test", ms, &err), 0);
	assert_int_equal(kg_pki_key_new(&key, &err), 0);
	assert_int_equal(kg_pki_issue(&cert, ca, ca_key, key, &c, &err), 0);
	struct kg_http_server_options http = {
		.listen = "127.0.0.1:0", .cert_pem = cert, .key_pem = key, .router = router};
	assert_int_equal(kg_http_server_new(&t.http, &http, &err), 0);
	snprintf(t.url, sizeof(t.url), "https://127.0.0.1:%d/review", kg_http_server_port(t.http));
	snprintf(t.ca_file, sizeof(t.ca_file), "/tmp/webhook_test.%d", (int)getpid());
	assert_int_equal(kg_file_write(t.ca_file, ca, strlen(ca), 0600, &err), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kg_http_server_free(t.http);
	unlink(t.ca_file);
	return 0;
}

static void start(int wait_ms)
{
	struct kg_webhook_options opts = {.url = t.url, .ca_file = t.ca_file, .wait_ms = wait_ms};
	struct kg_webhook *w;
	struct kg_error err;

	assert_int_equal(kg_webhook_new(&w, &opts, &err), 0);
	t.auth = kg_auth_new();
	kg_auth_add_webhook(t.auth, w);
	t.asked = 0;
}

static int ask(struct kg_user *u, const char *token, kg_time now)
{
	char *header KG_AUTOFREE = kg_asprintf("Bearer %s", token);
	struct kg_credentials c = {.authorization = header};
	struct kg_error err;

	return kg_auth_authenticate(t.auth, u, &c, now, &err);
}

static void answers_are_remembered(void **state)
{
	struct kg_user u;

	(void)state;
	start(20000);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ask(&u, "good", NOW), 0);
		assert_string_equal(u.name, "ann");
		assert_true(kg_user_in_group(&u, "dev"));
		/* not the other server's to give */
		assert_false(kg_user_in_group(&u, "system:masters"));
		assert_int_equal(ask(&u, "bad", NOW), -KG_E_UNAUTHORIZED);
		assert_int_equal(ask(&u, "system", NOW), -KG_E_UNAUTHORIZED);
	}
	assert_int_equal(t.asked, 3);
	assert_int_equal(ask(&u, "good", NOW + 119000), 0);
	assert_int_equal(t.asked, 3);
	assert_int_equal(ask(&u, "good", NOW + 121000), 0);
	assert_int_equal(ask(&u, "bad", NOW + 11000), -KG_E_UNAUTHORIZED);
	assert_int_equal(t.asked, 5);
	kg_auth_free(t.auth);
}

static void more_than_fits_is_left_out(void **state)
{
	KG_AUTOBUF struct kg_buf much = KG_BUF_INIT;
	struct kg_user u;

	(void)state;
	kg_buf_addf(&much,
		"{\"authenticated\":true,\"user\":{\"username\":\"ann\",\"uid\":\"%0300d\","
		"\"extra\":{\"a\":[\"1\",\"%01100d\"],\"b\":[\"2\"]}}}",
		0, 0);
	t.much = kg_buf_str(&much);
	start(20000);
	assert_int_equal(ask(&u, "much", NOW), 0);
	assert_string_equal(u.uid, "");
	assert_int_equal(u.extra_len, 8);
	assert_memory_equal(u.extra, "a\0001\0b\0002", 8);
	kg_auth_free(t.auth);
}

static void nobody_waits_for_a_slow_server(void **state)
{
	struct kg_user u;

	(void)state;
	start(10);
	assert_int_equal(ask(&u, "slow", NOW), -KG_E_TOO_MANY);
	/* Its thread is busy: others are told to come again, too, and all of them at once. */
	for (int i = 0; i < 100; i++) {
		char token[16];

		snprintf(token, sizeof(token), "t%d", i);
		assert_int_equal(ask(&u, token, NOW), -KG_E_TOO_MANY);
	}
	struct kg_http_req *held = NULL;
	while (!held) {
		usleep(1000);
		pthread_mutex_lock(&t.lock);
		held = t.held;
		pthread_mutex_unlock(&t.lock);
	}
	say(held, "{\"authenticated\":true,\"user\":{\"username\":\"late\"}}");
	int rc;
	while ((rc = ask(&u, "slow", NOW)) == -KG_E_TOO_MANY)
		usleep(1000);
	assert_int_equal(rc, 0);
	assert_string_equal(u.name, "late");
	kg_auth_free(t.auth); /* with questions that were never asked */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_are_remembered),
		cmocka_unit_test(more_than_fits_is_left_out),
		cmocka_unit_test(nobody_waits_for_a_slow_server),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
