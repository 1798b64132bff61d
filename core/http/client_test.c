#include "testing.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static int start(void **state)
{
	(void)state;
	fixture_start(NULL);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	fixture_stop();
	return 0;
}

static unsigned open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void exchanges(void **state)
{
	static const struct {
		const char *method, *path, *body;
		int status;
		const char *want;
	} cases[] = {
		{"GET", "/echo?q=true", NULL, 200, "GET /echo from 127.0.0.1\nq=true 1\nbody="},
		{"POST", "/echo", "abc", 200, "POST /echo from 127.0.0.1\nbody=abc"},
		{"POST", "/echo", NULL, 200, "POST /echo from 127.0.0.1\nbody="},
		{"PUT", "/echo", "abc", 200, "PUT /echo from 127.0.0.1\nbody=abc"},
		{"PATCH", "/echo", "abc", 200, "PATCH /echo from 127.0.0.1\nbody=abc"},
		{"DELETE", "/echo", NULL, 200, "DELETE /echo from 127.0.0.1\nbody="},
		{"DELETE", "/echo", "abc", 200, "DELETE /echo from 127.0.0.1\nbody=abc"},
		{"HEAD", "/echo", NULL, 200, ""},
		{"GET", "/defer", NULL, 201, "later"},
		{"GET", "/denied", NULL, 403, "denied"},
		{"GET", "/echo", NULL, 200, "GET /echo from 127.0.0.1\nbody="},
	};
	struct kg_http_client *c = client_new(NULL, NULL);
	struct kg_buf reply KG_AUTOBUF = KG_BUF_INIT;
	struct kg_error err;
	unsigned files = 0;

	(void)state;
	for (size_t i = 0; i < 5 * KG_ARRAY_LEN(cases); i++) {
		const size_t k = i % KG_ARRAY_LEN(cases);
		const char *body = cases[k].body;
		int status = 0;
		if (kg_http_do(c, cases[k].method, cases[k].path, body ? "text/plain" : NULL, body,
			    body ? strlen(body) : 0, &status, &reply, &err))
			fail_msg("case %zu: %s", k, err.msg);
		assert_int_equal(status, cases[k].status);
		assert_string_equal(kg_buf_str(&reply), cases[k].want);
		/* All on one connection. */
		if (i == 0)
			files = open_files();
		assert_int_equal(open_files(), files);
	}
	kg_http_client_free(c);
}

static void errors_are_the_status_message(void **state)
{
	struct kg_http_client *c = client_new(NULL, NULL);
	struct kg_buf reply KG_AUTOBUF = KG_BUF_INIT;
	char large[2000] = "";
	struct kg_error err;

	(void)state;
	memset(large, 'x', sizeof(large));
	assert_int_equal(
		kg_http_call(c, "GET", "/none", NULL, NULL, 0, &reply, &err), -KG_E_NOT_FOUND);
	assert_string_equal(err.msg, "the server could not find the requested resource");
	assert_int_equal(
		kg_http_call(c, "GET", "/denied", NULL, NULL, 0, &reply, &err), -KG_E_FORBIDDEN);
	assert_string_equal(err.msg, "the server answered 403: denied");
	assert_int_equal(kg_http_call(c, "POST", "/echo", NULL, large, sizeof(large), &reply, &err),
		-KG_E_TOO_LARGE);
	assert_int_equal(kg_http_call(c, "GET", "/forget", NULL, NULL, 0, &reply, &err), -KG_E_IO);
	kg_http_client_free(c);
}

static void certificates(void **state)
{
	struct kg_buf reply KG_AUTOBUF = KG_BUF_INIT;
	struct kg_error err;

	(void)state;
	struct kg_http_client *c = client_new(keys.client, keys.client_key);
	assert_int_equal(kg_http_call(c, "GET", "/echo", NULL, NULL, 0, &reply, &err), 0);
	assert_non_null(strstr(reply.data, "cn=system:node:n1\no=system:nodes\no=blue\n"));
	kg_http_client_free(c);
	c = client_new(keys.expired, keys.expired_key);
	assert_int_equal(
		kg_http_call(c, "GET", "/echo", NULL, NULL, 0, &reply, &err), -KG_E_UNAUTHORIZED);
	kg_http_client_free(c);
	/* A server of another CA, and a name that is not the server's. */
	c = kg_http_client_new(
		&(struct kg_http_client_options){.url = fx.url, .ca_pem = keys.other_ca});
	assert_int_equal(
		kg_http_call(c, "GET", "/echo", NULL, NULL, 0, &reply, &err), -KG_E_UNAVAILABLE);
	kg_http_client_free(c);
	KG_AUTOFREE char *other =
		kg_asprintf("https://127.0.0.2:%d", kg_http_server_port(fx.server));
	c = kg_http_client_new(&(struct kg_http_client_options){.url = other, .ca_pem = keys.ca});
	assert_int_equal(
		kg_http_call(c, "GET", "/echo", NULL, NULL, 0, &reply, &err), -KG_E_UNAVAILABLE);
	kg_http_client_free(c);
	/* Without a CA nothing is verified. */
	c = kg_http_client_new(&(struct kg_http_client_options){.url = fx.url});
	assert_int_equal(kg_http_call(c, "GET", "/echo", NULL, NULL, 0, &reply, &err), 0);
	kg_http_client_free(c);
}

static void nobody_there(void **state)
{
	struct kg_http_client *c = kg_http_client_new(
		&(struct kg_http_client_options){.url = "https://127.0.0.1:1", .ca_pem = keys.ca});
	struct kg_buf reply KG_AUTOBUF = KG_BUF_INIT;
	struct kg_error err;

	(void)state;
	assert_int_equal(
		kg_http_call(c, "GET", "/echo", NULL, NULL, 0, &reply, &err), -KG_E_UNAVAILABLE);
	assert_non_null(strstr(err.msg, "https://127.0.0.1:1: "));
	kg_http_client_free(c);
}

static void replies_are_bounded(void **state)
{
	struct kg_http_client *c = kg_http_client_new(&(struct kg_http_client_options){
		.url = fx.url, .ca_pem = keys.ca, .max_reply = 100000});
	struct kg_buf reply KG_AUTOBUF = KG_BUF_INIT;
	struct kg_error err;

	(void)state;
	assert_int_equal(
		kg_http_call(c, "GET", "/big", NULL, NULL, 0, &reply, &err), -KG_E_TOO_LARGE);
	assert_int_equal(kg_http_call(c, "GET", "/echo", NULL, NULL, 0, &reply, &err), 0);
	kg_http_client_free(c);
	c = client_new(NULL, NULL);
	assert_int_equal(kg_http_call(c, "GET", "/big", NULL, NULL, 0, &reply, &err), 0);
	assert_int_equal(reply.len, 8 << 20);
	for (size_t i = 0; i < reply.len; i++)
		if (reply.data[i] != (char)('a' + i % 26))
			fail_msg("byte %zu is wrong", i);
	kg_http_client_free(c);
}

static void a_late_answer_is_given_up(void **state)
{
	struct kg_http_client *c = kg_http_client_new(&(struct kg_http_client_options){
		.url = fx.url, .ca_pem = keys.ca, .timeout_ms = 100});
	struct kg_buf reply KG_AUTOBUF = KG_BUF_INIT;
	struct kg_error err;

	(void)state;
	assert_int_equal(
		kg_http_call(c, "GET", "/hold", NULL, NULL, 0, &reply, &err), -KG_E_UNAVAILABLE);
	kg_http_client_free(c);
	fixture_await_opened(1);
	kg_http_reply_text(fx.held, 200, "nobody listens");
	fixture_await_done(1);
}

/* ---- streams ---- */

struct reader {
	struct kg_http_client *c;
	const char *path;
	int idle_timeout_ms, rc;
	unsigned lines, enough;
	struct kg_error err;
	pthread_t thread;
};

static bool on_data(void *ctx, const char *p, size_t n)
{
	struct reader *r = ctx;

	for (size_t i = 0; i < n; i++)
		r->lines += p[i] == '\n';
	return !r->enough || r->lines < r->enough;
}

static void *read_stream(void *arg)
{
	struct reader *r = arg;

	r->rc = kg_http_get_stream(r->c, r->path, r->idle_timeout_ms, on_data, r, &r->err);
	return NULL;
}

static void streams(void **state)
{
	struct reader r = {.c = client_new(NULL, NULL), .path = "/stream"};

	(void)state;
	pthread_create(&r.thread, NULL, read_stream, &r);
	fixture_await_opened(1);
	for (int i = 0; i < 100; i++)
		fixture_feed(3, i == 99);
	pthread_join(r.thread, NULL);
	assert_int_equal(r.rc, 0);
	assert_int_equal(r.lines, 300);
	/* Ended by the reader: success; and the next call is not disturbed. */
	r.lines = 0;
	r.enough = 2;
	pthread_create(&r.thread, NULL, read_stream, &r);
	fixture_await_opened(2);
	fixture_feed(5, false);
	pthread_join(r.thread, NULL);
	assert_int_equal(r.rc, 0);
	r.path = "/none";
	read_stream(&r);
	assert_int_equal(r.rc, -KG_E_NOT_FOUND);
	assert_string_equal(r.err.msg, "the server could not find the requested resource");
	kg_http_client_free(r.c);
}

static void a_silent_stream_times_out(void **state)
{
	struct reader r = {.c = client_new(NULL, NULL), .path = "/stream", .idle_timeout_ms = 150};
	int64_t before = now_ms();

	(void)state;
	read_stream(&r);
	assert_int_equal(r.rc, -KG_E_TIMEOUT);
	assert_in_range(now_ms() - before, 150, 5000);
	kg_http_client_free(r.c);
	fixture_await_done(1);
}

static void calls_are_aborted(void **state)
{
	struct reader r = {.c = client_new(NULL, NULL), .path = "/stream"};
	struct kg_buf reply KG_AUTOBUF = KG_BUF_INIT;
	struct kg_error err;

	(void)state;
	for (unsigned i = 1; i <= 5; i++) {
		pthread_create(&r.thread, NULL, read_stream, &r);
		fixture_await_opened(i);
		int64_t before = now_ms();
		kg_http_client_abort(r.c);
		pthread_join(r.thread, NULL);
		assert_int_equal(r.rc, -KG_E_UNAVAILABLE);
		assert_in_range(now_ms() - before, 0, 1000);
		fixture_await_done(i);
	}
	/* Before the call: it ends that one, so that none is missed. */
	kg_http_client_abort(r.c);
	assert_int_equal(
		kg_http_call(r.c, "GET", "/echo", NULL, NULL, 0, &reply, &err), -KG_E_UNAVAILABLE);
	assert_int_equal(kg_http_call(r.c, "GET", "/echo", NULL, NULL, 0, &reply, &err), 0);
	kg_http_client_free(r.c);
}

struct writer {
	size_t at, total;
	bool give_up;
};

static ssize_t give(void *ctx, char *buf, size_t max)
{
	struct writer *w = ctx;
	size_t n = w->total - w->at < max ? w->total - w->at : max;

	if (n == 0)
		return w->give_up ? -1 : 0;
	for (size_t i = 0; i < n; i++)
		buf[i] = (char)('a' + (w->at + i) % 26);
	w->at += n;
	return (ssize_t)n;
}

static void uploads(void **state)
{
	struct kg_http_client *c = client_new(NULL, NULL);
	struct writer w = {.total = (size_t)3 << 20};
	struct kg_buf reply KG_AUTOBUF = KG_BUF_INIT;
	struct kg_error err;

	(void)state;
	fx.stop_every = 5;
	assert_int_equal(kg_http_post_stream(c, "/upload", "text/plain", give, &w, &err), 0);
	assert_int_equal(fx.uploaded, w.total);
	w = (struct writer){.total = 0};
	assert_int_equal(kg_http_post_stream(c, "/upload", "text/plain", give, &w, &err), 0);
	assert_int_equal(fx.uploaded, 0);
	w = (struct writer){.total = 1000, .give_up = true};
	assert_int_equal(
		kg_http_post_stream(c, "/upload", "text/plain", give, &w, &err), -KG_E_UNAVAILABLE);
	w = (struct writer){.total = 1000};
	assert_int_equal(kg_http_post_stream(c, "/upload?refuse=1", "text/plain", give, &w, &err),
		-KG_E_FORBIDDEN);
	assert_string_equal(err.msg, "the server answered 403: refused");
	assert_int_equal(kg_http_call(c, "POST", "/echo", NULL, "x", 1, &reply, &err), 0);
	kg_http_client_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(exchanges, start, stop),
		cmocka_unit_test_setup_teardown(errors_are_the_status_message, start, stop),
		cmocka_unit_test_setup_teardown(certificates, start, stop),
		cmocka_unit_test_setup_teardown(nobody_there, start, stop),
		cmocka_unit_test_setup_teardown(replies_are_bounded, start, stop),
		cmocka_unit_test_setup_teardown(a_late_answer_is_given_up, start, stop),
		cmocka_unit_test_setup_teardown(streams, start, stop),
		cmocka_unit_test_setup_teardown(a_silent_stream_times_out, start, stop),
		cmocka_unit_test_setup_teardown(calls_are_aborted, start, stop),
		cmocka_unit_test_setup_teardown(uploads, start, stop),
	};

	return cmocka_run_group_tests(tests, keys_make, keys_free);
}
