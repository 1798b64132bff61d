#include "pki/pki.h"
#include "testing.h"

#include <gnutls/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define GET(path)  "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"
#define POST(path) "POST " path " HTTP/1.1\r\nHost: x\r\n"

static int start(void **state)
{
	(void)state;
	fixture_start(NULL);
	return 0;
}

/* As on a host without io_uring. */
static int start_plain(void **state)
{
	struct kg_http_server_options opts = {.no_io_uring = true};

	(void)state;
	fixture_start(&opts);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	fixture_stop();
	return 0;
}

static void say(struct raw *r, const char *text)
{
	raw_send(r, text, strlen(text));
}

/* Sends the text over r and expects `want` in what comes until `until`. */
static void expect(struct raw *r, const char *text, const char *until, const char *want)
{
	say(r, text);
	KG_AUTOFREE char *answer = raw_read(r, until);
	if (!strstr(answer, want))
		fail_msg("expected \"%s\": %s", want, answer);
}

static void connections_are_kept(void **state)
{
	struct raw r;

	(void)state;
	raw_open(&r, NULL, NULL);
	for (int i = 0; i < 20; i++) {
		expect(&r, GET("/echo?q=a+b%26"), "body=", "q=a b& 1");
		expect(&r, POST("/echo") "Content-Length: 3\r\n\r\nabc", "body=abc", "body=abc");
		expect(&r, GET("/none"), "\"code\":404}\n", "\"reason\":\"NotFound\"");
		expect(&r, GET("/denied"), "denied", " 403 ");
		expect(&r, POST("/none") "Content-Length: 3\r\n\r\nabc", "\"code\":404}\n",
			" 404 ");
		expect(&r, "HEAD /echo HTTP/1.1\r\nHost: x\r\n\r\n", "\r\n\r\n",
			"Content-Length: ");
		expect(&r, GET("/defer"), "later", " 201 ");
		expect(&r, GET("/forget"), "}\n", "the handler gave no answer");
	}
	raw_close(&r);
}

static void headers_cannot_be_injected(void **state)
{
	struct raw r;

	(void)state;
	raw_open(&r, NULL, NULL);
	say(&r, GET("/echo"));
	KG_AUTOFREE char *answer = raw_read(&r, "body=");
	raw_close(&r);
	assert_non_null(strstr(answer, "X-Test: yes\r\n"));
	assert_null(strstr(answer, "X-Injected"));
}

static void content_coding_passes_through(void **state)
{
	struct raw r;

	(void)state;
	raw_open(&r, NULL, NULL);
	expect(&r, POST("/echo") "Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx", "body=x",
		"coding=gzip");
	raw_close(&r);
}

static void large_bodies_are_refused(void **state)
{
	struct kg_buf chunks KG_AUTOBUF = KG_BUF_INIT;
	struct raw r;

	(void)state;
	/* Small enough to pass by: the connection lives. */
	kg_buf_adds(&chunks, POST("/echo") "Content-Length: 1001\r\n\r\n");
	for (int i = 0; i < 1001; i++)
		kg_buf_addc(&chunks, 'x');
	raw_open(&r, NULL, NULL);
	expect(&r, chunks.data, "\"code\":413}\n", "RequestEntityTooLarge");
	expect(&r, GET("/echo"), "body=", " 200 ");
	/* Too large for that: refused before it came. */
	expect(&r, POST("/echo") "Content-Length: 100000000\r\n\r\n", NULL, " 413 ");
	raw_close(&r);
	/* Of unknown size. */
	kg_buf_clear(&chunks);
	kg_buf_adds(&chunks, POST("/echo") "Transfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < 101; i++)
		kg_buf_adds(&chunks, "a\r\n0123456789\r\n");
	kg_buf_adds(&chunks, "0\r\n\r\n");
	raw_open(&r, NULL, NULL);
	expect(&r, chunks.data, "\"code\":413}\n", " 413 ");
	expect(&r, GET("/echo"), "body=", " 200 ");
	raw_close(&r);
	fixture_await_done(5);
}

static void continue_is_said_where_wanted(void **state)
{
	struct raw r;

	(void)state;
	raw_open(&r, NULL, NULL);
	expect(&r, POST("/echo") "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n", "\r\n\r\n",
		"HTTP/1.1 100 Continue");
	expect(&r, "abc", "body=abc", " 200 ");
	expect(&r, POST("/echo") "Expect: 100-continue\r\nContent-Length: 2000\r\n\r\n", NULL,
		"HTTP/1.1 413");
	raw_close(&r);
	raw_open(&r, NULL, NULL);
	expect(&r, POST("/upload?refuse=1") "Expect: 100-continue\r\nContent-Length: 9\r\n\r\n",
		NULL, "HTTP/1.1 403");
	raw_close(&r);
}

static void answers_of_any_size(void **state)
{
	struct raw r;

	(void)state;
	raw_open(&r, NULL, NULL);
	say(&r, "GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	KG_AUTOFREE char *answer = raw_read(&r, NULL);
	raw_close(&r);
	char *body = strstr(answer, "\r\n\r\n");
	assert_non_null(body);
	assert_int_equal(strlen(body + 4), 8 << 20);
}

/* ---- who asks ---- */

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Header and body, and at once: a socket that is left corked keeps each for 200 ms. */
static void a_small_answer_is_one_record(void **state)
{
	char piece[4096];
	struct raw r;

	(void)state;
	raw_open(&r, NULL, NULL);
	double from = now_s();
	for (int i = 0; i < 50; i++) {
		ssize_t n;

		say(&r, GET("/echo"));
		do
			n = gnutls_record_recv(r.session, piece, sizeof(piece) - 1);
		while (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED);
		assert_true(n > 0);
		piece[n] = '\0';
		assert_non_null(strstr(piece, "HTTP/1.1 200"));
		assert_non_null(strstr(piece, "body="));
		expect(&r, "HEAD /echo HTTP/1.1\r\nHost: x\r\n\r\n", "\r\n\r\n", " 200 ");
	}
	assert_true(now_s() - from < 8);
	raw_close(&r);
}

/* What a socket does not take is not lost: here none is read before all were asked for. */
static void many_requests_at_once(void **state)
{
	enum { N = 2000 };
	struct kg_buf all KG_AUTOBUF = KG_BUF_INIT;
	int small = 32768, answers = 0;
	struct raw r;

	(void)state;
	raw_open(&r, NULL, NULL);
	assert_int_equal(setsockopt(r.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
	for (int i = 1; i < N; i++)
		kg_buf_adds(&all, GET("/echo"));
	kg_buf_adds(&all, "GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	raw_send(&r, all.data, all.len);
	KG_AUTOFREE char *got = raw_read(&r, NULL);
	raw_close(&r);
	for (const char *p = got; (p = strstr(p, "HTTP/1.1 200 OK")); p++)
		answers++;
	assert_int_equal(answers, N);
}

static gnutls_datum_t pem(const char *text)
{
	return (gnutls_datum_t){(unsigned char *)text, (unsigned)strlen(text)};
}

/* A certificate of our CA for the client's key, with such a name in its subject; heap. */
static char *cert_named(const char *oid, const char *name, unsigned len)
{
	gnutls_x509_crt_t crt, ca;
	gnutls_x509_privkey_t key, ca_key;
	gnutls_datum_t out, client_pem = pem(keys.client_key), ca_pem = pem(keys.ca),
			    ca_key_pem = pem(keys.ca_key);
	int rc = gnutls_x509_crt_init(&crt);

	rc |= gnutls_x509_crt_init(&ca) | gnutls_x509_privkey_init(&key);
	rc |= gnutls_x509_privkey_init(&ca_key);
	rc |= gnutls_x509_crt_import(ca, &ca_pem, GNUTLS_X509_FMT_PEM);
	rc |= gnutls_x509_privkey_import(key, &client_pem, GNUTLS_X509_FMT_PEM);
	rc |= gnutls_x509_privkey_import(ca_key, &ca_key_pem, GNUTLS_X509_FMT_PEM);
	rc |= gnutls_x509_crt_set_key(crt, key) | gnutls_x509_crt_set_version(crt, 3);
	rc |= gnutls_x509_crt_set_serial(crt, "\1", 1);
	rc |= gnutls_x509_crt_set_activation_time(crt, time(NULL) - 60);
	rc |= gnutls_x509_crt_set_expiration_time(crt, time(NULL) + 3600);
	rc |= gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_CLIENT, 0);
	rc |= gnutls_x509_crt_set_dn_by_oid(crt, oid, 0, name, len);
	if (strcmp(oid, GNUTLS_OID_X520_COMMON_NAME) != 0)
		rc |= gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, "zoe", 3);
	rc |= gnutls_x509_crt_sign2(crt, ca, ca_key, GNUTLS_DIG_SHA256, 0);
	rc |= gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &out);
	assert_int_equal(rc, 0);
	char *text = kg_strndup((const char *)out.data, out.size);

	gnutls_free(out.data);
	gnutls_x509_crt_deinit(crt);
	gnutls_x509_crt_deinit(ca);
	gnutls_x509_privkey_deinit(key);
	gnutls_x509_privkey_deinit(ca_key);
	return text;
}

/* Names that would be read as others, or not at all. */
static void names_that_are_no_text_are_refused(void **state)
{
	static char long_name[400];
	static const struct {
		const char *oid, *name;
		unsigned len;
	} cases[] = {
		{GNUTLS_OID_X520_COMMON_NAME, "admin\0.example", 14},
		{GNUTLS_OID_X520_ORGANIZATION_NAME, "system:masters\0.example", 23},
		{GNUTLS_OID_X520_ORGANIZATION_NAME, long_name, sizeof(long_name)},
	};

	(void)state;
	memset(long_name, 'x', sizeof(long_name));
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		KG_AUTOFREE char *cert = cert_named(cases[i].oid, cases[i].name, cases[i].len);
		struct raw r;

		raw_open(&r, cert, keys.client_key);
		expect(&r, GET("/echo"), "\"code\":401}\n", "is not text, or too long");
		raw_close(&r);
	}
	/* A '#' that is text is no hexadecimal. */
	KG_AUTOFREE char *cert = cert_named(GNUTLS_OID_X520_ORGANIZATION_NAME, "#blue", 5);
	struct raw r;

	raw_open(&r, cert, keys.client_key);
	expect(&r, GET("/echo"), "body=", "#blue");
	raw_close(&r);
}

static void certificates_are_verified(void **state)
{
	const struct {
		const char *cert, *key, *want;
	} cases[] = {
		{NULL, NULL, "body="},
		{keys.client, keys.client_key, "cn=system:node:n1\no=system:nodes\no=blue\nbody="},
		{keys.expired, keys.expired_key, "\"code\":401}\n"},
		{keys.stranger, keys.stranger_key, "\"code\":401}\n"},
		{keys.server, keys.server_key, "\"code\":401}\n"}, /* not a client's */
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct raw r;
		raw_open(&r, cases[i].cert, cases[i].key);
		for (int again = 0; again < 2; again++) {
			say(&r, GET("/echo"));
			KG_AUTOFREE char *answer = raw_read(&r, cases[i].want);
			if (!strstr(answer, cases[i].want))
				fail_msg("case %zu: %s", i, answer);
			if (!cases[i].cert)
				assert_null(strstr(answer, "cn="));
			if (strstr(answer, " 401 "))
				assert_non_null(strstr(answer, "WWW-Authenticate: Basic"));
		}
		raw_close(&r);
	}
}

static void sessions_are_resumed(void **state)
{
	gnutls_datum_t data = {0};
	struct raw r;

	(void)state;
	raw_open(&r, keys.client, keys.client_key);
	expect(&r, GET("/echo"), "body=", "cn=system:node:n1");
	assert_int_equal(gnutls_session_get_data2(r.session, &data), 0);
	raw_close(&r);
	raw_open_resuming(&r, keys.client, keys.client_key, &data);
	gnutls_free(data.data);
	assert_true(gnutls_session_is_resumed(r.session));
	expect(&r, GET("/echo"), "body=", "cn=system:node:n1\no=system:nodes\n");
	raw_close(&r);
}

static bool shows(struct raw *r, const char *cert_pem)
{
	gnutls_datum_t pem = {(unsigned char *)cert_pem, (unsigned)strlen(cert_pem)}, der = {0};
	unsigned n = 0;
	const gnutls_datum_t *peers = gnutls_certificate_get_peers(r->session, &n);

	assert_int_equal(gnutls_pem_base64_decode2("CERTIFICATE", &pem, &der), 0);
	bool same = n && peers[0].size == der.size && !memcmp(peers[0].data, der.data, der.size);
	gnutls_free(der.data);
	return same;
}

static void certificates_are_replaced(void **state)
{
	struct kg_error err;
	struct raw old, new;

	(void)state;
	raw_open(&old, NULL, NULL);
	assert_true(shows(&old, keys.server));
	assert_true(kg_http_server_set_certs(fx.server, "x", "y", keys.ca, &err) < 0);
	assert_true(kg_http_server_set_certs(
			    fx.server, keys.client, keys.server_key, keys.ca, &err) < 0);
	assert_int_equal(
		kg_http_server_set_certs(fx.server, keys.client, keys.client_key, keys.ca, &err),
		0);
	raw_open(&new, keys.client, keys.client_key);
	assert_true(shows(&new, keys.client));
	expect(&old, GET("/echo"), "body=", " 200 ");
	expect(&new, GET("/echo"), "body=", "cn=system:node:n1");
	expect(&new, GET("/echo?issuer=1"), "body=", "issuer=kgit\n");
	raw_close(&new);
	/* Other CAs: who has nothing of theirs is nobody, from the next connection on. */
	assert_true(
		kg_http_server_set_certs(fx.server, keys.server, keys.server_key, "x", &err) < 0);
	assert_int_equal(kg_http_server_set_certs(
				 fx.server, keys.server, keys.server_key, keys.other_ca, &err),
		0);
	raw_open(&new, keys.client, keys.client_key);
	expect(&new, GET("/echo"), "\"code\":401}\n", "client certificate");
	expect(&old, GET("/echo"), "body=", " 200 ");
	raw_close(&old);
	raw_close(&new);
}

/* ---- streams ---- */

static void streams_are_woken(void **state)
{
	struct raw r;

	(void)state;
	raw_open(&r, NULL, NULL);
	/* The header comes at once, before there is a body. */
	expect(&r, GET("/stream"), "\r\n\r\n", "Transfer-Encoding: chunked");
	for (unsigned i = 0; i < 200; i++) {
		fixture_feed(1, false);
		expect(&r, "", "line 1\n", "line 1\n");
	}
	fixture_feed(3, true);
	expect(&r, "", "0\r\n\r\n", "line 3\n");
	/* And the connection goes on. */
	expect(&r, GET("/echo"), "body=", " 200 ");
	fixture_await_done(2);
	raw_close(&r);
}

#define MANY 1000

static void a_thousand_sleep_and_wake(void **state)
{
	struct raw *r = kg_alloc(MANY * sizeof(*r));
	struct rlimit limit;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_max < 3 * MANY)
		skip();
	for (unsigned i = 0; i < MANY; i++) {
		raw_open(&r[i], NULL, NULL);
		say(&r[i], GET("/stream"));
	}
	fixture_await_opened(MANY);
	for (unsigned round = 0; round < 3; round++) {
		fixture_feed(2, round == 2);
		for (unsigned i = 0; i < MANY; i++)
			expect(&r[i], "", "line 1\n", "line 1\n");
	}
	for (unsigned i = 0; i < MANY; i++)
		raw_close(&r[i]);
	fixture_await_done(MANY);
	free(r);
}

/* Lines until there are so many; the header was read. */
static void read_lines(struct raw *r, unsigned long want)
{
	unsigned long lines = 0;
	char piece[4096];

	while (lines < want) {
		ssize_t n = gnutls_record_recv(r->session, piece, sizeof(piece));
		if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED)
			continue;
		assert_true(n > 0); /* else: nothing for 20 s */
		for (ssize_t i = 0; i < n; i++)
			lines += piece[i] == 'l';
	}
	assert_int_equal(lines, want);
}

/* Wakes against reads that just found nothing: not one line may stay behind. */
#define FEEDERS 3
#define LINES   3000

static void *feeder(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < LINES; i++)
		fixture_feed(1, false);
	return NULL;
}

static void no_wake_is_lost(void **state)
{
	pthread_t threads[FEEDERS];
	struct raw r;

	(void)state;
	raw_open(&r, NULL, NULL);
	expect(&r, GET("/stream"), "\r\n\r\n", " 200 ");
	fixture_await_opened(1);
	for (unsigned i = 0; i < FEEDERS; i++)
		pthread_create(&threads[i], NULL, feeder, NULL);
	read_lines(&r, FEEDERS * LINES);
	for (unsigned i = 0; i < FEEDERS; i++)
		pthread_join(threads[i], NULL);
	raw_close(&r);
	fixture_await_done(1);
}

/* Far more than a socket holds, until that was seen (which it is once the stream sleeps): where
 * the socket is full the stream waits for room. */
static void read_more_than_fits(struct raw *r)
{
	enum { MANY_LINES = 2000000 };
	struct kg_http_stats stats = {0};

	expect(r, GET("/stream"), "\r\n\r\n", " 200 ");
	fixture_await_opened(1);
	for (unsigned round = 0; !stats.blocked && round < 50; round++) {
		fixture_feed(MANY_LINES, false);
		for (unsigned ms = 0; !stats.blocked && ms < 100; ms++) {
			nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
			kg_http_server_stats(fx.server, &stats);
		}
		read_lines(r, MANY_LINES);
	}
	assert_true(stats.blocked > 0);
	fixture_feed(0, true);
	expect(r, "", "0\r\n\r\n", "0\r\n\r\n");
	expect(r, GET("/echo"), "body=", " 200 ");
	fixture_await_done(2);
	raw_close(r);
}

static void a_slow_peer_gets_all(void **state)
{
	struct raw r;

	(void)state;
	raw_open(&r, NULL, NULL);
	read_more_than_fits(&r);
}

static void small_records_lose_nothing(void **state)
{
	struct raw r;

	(void)state;
	raw_open_limited(&r, 512);
	read_more_than_fits(&r);
}

/* Peers that read on and on, of streams that never end, and more of them than a thread takes at
 * once; and one with a line now and then. */
#define GREEDY 80

struct greedy {
	struct raw raw;
	pthread_t thread;
};

static void *read_on(void *arg)
{
	struct greedy *g = arg;
	char piece[16384];

	while (gnutls_record_recv(g->raw.session, piece, sizeof(piece)) > 0)
		;
	return NULL;
}

static void who_takes_much_leaves_others_their_turn(void **state)
{
	struct kg_http_server_options opts = {.threads = 1};
	struct greedy greedy[GREEDY];
	struct raw modest;

	(void)state;
	fixture_start(&opts);
	for (unsigned i = 0; i < GREEDY; i++) {
		raw_open(&greedy[i].raw, NULL, NULL);
		expect(&greedy[i].raw, GET("/stream?endless=later"), "\r\n\r\n", " 200 ");
		assert_int_equal(pthread_create(&greedy[i].thread, NULL, read_on, &greedy[i]), 0);
	}
	raw_open(&modest, NULL, NULL);
	expect(&modest, GET("/stream"), "\r\n\r\n", " 200 ");
	fixture_await_opened(GREEDY + 1);
	for (unsigned i = 0; i < 20; i++) {
		fixture_feed(1, false);
		expect(&modest, "", "line 1\n", "line 1\n");
	}
	fixture_stop();
	for (unsigned i = 0; i < GREEDY; i++) {
		pthread_join(greedy[i].thread, NULL);
		raw_close(&greedy[i].raw);
	}
	raw_close(&modest);
}

static void a_peer_that_goes_is_noticed(void **state)
{
	struct raw r;

	(void)state;
	for (unsigned i = 1; i <= 20; i++) {
		raw_open(&r, NULL, NULL);
		say(&r, GET("/stream"));
		fixture_await_opened(i);
		raw_close(&r); /* nobody wakes it */
		fixture_await_done(i);
	}
}

/* Also beside a connection that is quiet for longer. */
static void a_broken_stream_takes_its_connection_along(void **state)
{
	struct kg_http_server_options opts = {.threads = 1};
	struct kg_http_stats stats;
	struct raw quiet, r;

	(void)state;
	fixture_start(&opts);
	raw_open(&quiet, NULL, NULL);
	expect(&quiet, GET("/echo"), "body=", " 200 ");
	for (unsigned i = 1; i <= 5; i++) {
		raw_open(&r, NULL, NULL);
		say(&r, GET("/stream"));
		fixture_await_opened(i);
		raw_close(&r);
		fixture_await_done(i + 1);
	}
	for (unsigned turns = 3000; turns; turns--) {
		kg_http_server_stats(fx.server, &stats);
		if (stats.connections == 1)
			break;
		usleep(10000);
	}
	assert_int_equal(stats.connections, 1);
	raw_close(&quiet);
	fixture_stop();
}

static void a_peer_that_does_not_read_is_dropped(void **state)
{
	struct kg_http_server_options opts = {.idle_timeout_s = 1, .threads = 1};
	struct raw stuck, fine;

	(void)state;
	fixture_start(&opts);
	raw_open(&stuck, NULL, NULL);
	raw_open(&fine, NULL, NULL);
	say(&stuck, GET("/stream?endless=1"));
	say(&fine, GET("/stream"));
	fixture_await_done(1);
	/* One that is merely quiet is not. */
	fixture_feed(1, true);
	expect(&fine, "", "line 1\n", "line 1\n");
	raw_close(&stuck);
	raw_close(&fine);
	fixture_await_done(2);
	fixture_stop();
}

static void an_idle_connection_is_closed(void **state)
{
	struct kg_http_server_options opts = {.idle_timeout_s = 1};
	struct raw r;

	(void)state;
	fixture_start(&opts);
	raw_open(&r, NULL, NULL);
	expect(&r, GET("/echo"), "body=", " 200 ");
	KG_AUTOFREE char *rest = raw_read(&r, NULL);
	assert_string_equal(rest, "");
	raw_close(&r);
	fixture_stop();
}

/* ---- uploads ---- */

static void uploads_stop_and_go(void **state)
{
	const size_t total = (size_t)2 << 20;
	struct kg_buf b KG_AUTOBUF = KG_BUF_INIT;

	(void)state;
	for (int chunked = 0; chunked < 2; chunked++) {
		struct raw r;
		fx.stop_every = 3;
		kg_buf_clear(&b);
		kg_buf_addf(&b,
			POST("/upload") "%s: ", chunked ? "Transfer-Encoding" : "Content-Length");
		if (chunked)
			kg_buf_adds(&b, "chunked\r\n\r\n");
		else
			kg_buf_addf(&b, "%zu\r\n\r\n", total);
		for (size_t at = 0, n; at < total; at += n) {
			n = 1 + at % 5000;
			n = n < total - at ? n : total - at;
			if (chunked)
				kg_buf_addf(&b, "%zx\r\n", n);
			for (size_t i = 0; i < n; i++)
				kg_buf_addc(&b, (char)('a' + (at + i) % 26));
			if (chunked)
				kg_buf_adds(&b, "\r\n");
		}
		if (chunked)
			kg_buf_adds(&b, "0\r\n\r\n");
		raw_open(&r, NULL, NULL);
		raw_send(&r, b.data, b.len);
		expect(&r, "", "\r\n\r\n2097152", "\r\n\r\n2097152");
		expect(&r, GET("/echo"), "body=", " 200 ");
		raw_close(&r);
		assert_true(fx.stops > 20);
	}
}

static void an_upload_that_breaks_off_is_done(void **state)
{
	struct raw r;

	(void)state;
	raw_open(&r, NULL, NULL);
	say(&r, POST("/upload") "Content-Length: 1000000\r\n\r\nabcdefg");
	/* A reset that comes before the request was read is all that the server would see. */
	fixture_await_uploads(1);
	raw_close(&r);
	fixture_await_done(1);
}

/* ---- the end ---- */

static void the_end_breaks_everything(void **state)
{
	struct raw r[8];
	struct kg_http_req *held;

	(void)state;
	fixture_start(NULL);
	for (unsigned i = 0; i < 3; i++) {
		raw_open(&r[i], NULL, NULL);
		say(&r[i], GET("/stream"));
		fixture_await_opened(i + 1);
	}
	raw_open(&r[3], NULL, NULL);
	say(&r[3], POST("/upload") "Content-Length: 100\r\n\r\nabc");
	raw_open(&r[4], NULL, NULL);
	say(&r[4], POST("/echo") "Content-Length: 100\r\n\r\nabc");
	raw_open(&r[5], NULL, NULL);
	say(&r[5], GET("/stream?endless=1"));
	fixture_await_opened(4);
	raw_open(&r[6], NULL, NULL);
	say(&r[6], GET("/hold"));
	fixture_await_opened(5);
	raw_open(&r[7], NULL, NULL);
	say(&r[7], GET("/defer"));
	held = fx.held;
	fixture_stop();
	/* Too late; but harmless. */
	kg_http_reply_text(held, 200, "late");
	for (unsigned i = 0; i < KG_ARRAY_LEN(r); i++)
		raw_close(&r[i]);
}

static void addresses(void **state)
{
	static const char *const bad[] = {"", "127.0.0.1", "localhost:1", "[::1", "[::1]", ":",
		"1.2.3.4:x", "::1:6443:", "127.0.0.1:123456789"};
	struct kg_http_server_options opts = {.listen = "[::1]:0"};
	struct kg_http_server *s = NULL;
	struct kg_error err;

	(void)state;
	fixture_start(&opts);
	struct kg_http_client *c = client_new(NULL, NULL);
	struct kg_buf reply KG_AUTOBUF = KG_BUF_INIT;
	assert_int_equal(kg_http_call(c, "GET", "/echo", NULL, NULL, 0, &reply, &err), 0);
	assert_non_null(strstr(reply.data, "from ::1\n"));
	kg_http_client_free(c);
	fixture_stop();
	opts = (struct kg_http_server_options){
		.cert_pem = keys.server, .key_pem = keys.server_key, .client_ca_pem = keys.ca};
	for (size_t i = 0; i < KG_ARRAY_LEN(bad); i++) {
		opts.listen = bad[i];
		if (kg_http_server_new(&s, &opts, &err) == 0)
			fail_msg("\"%s\" was taken", bad[i]);
	}
	opts.listen = ":0";
	opts.cert_pem = "garbage";
	assert_true(kg_http_server_new(&s, &opts, &err) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(connections_are_kept, start, stop),
		cmocka_unit_test_setup_teardown(headers_cannot_be_injected, start, stop),
		cmocka_unit_test_setup_teardown(content_coding_passes_through, start, stop),
		cmocka_unit_test_setup_teardown(large_bodies_are_refused, start, stop),
		cmocka_unit_test_setup_teardown(continue_is_said_where_wanted, start, stop),
		cmocka_unit_test_setup_teardown(answers_of_any_size, start, stop),
		cmocka_unit_test_setup_teardown(a_small_answer_is_one_record, start, stop),
		cmocka_unit_test_setup_teardown(many_requests_at_once, start, stop),
		cmocka_unit_test_setup_teardown(certificates_are_verified, start, stop),
		cmocka_unit_test_setup_teardown(names_that_are_no_text_are_refused, start, stop),
		cmocka_unit_test_setup_teardown(sessions_are_resumed, start, stop),
		cmocka_unit_test_setup_teardown(certificates_are_replaced, start, stop),
		cmocka_unit_test_setup_teardown(streams_are_woken, start, stop),
		cmocka_unit_test_setup_teardown(a_thousand_sleep_and_wake, start, stop),
		cmocka_unit_test_setup_teardown(no_wake_is_lost, start, stop),
		cmocka_unit_test_setup_teardown(a_slow_peer_gets_all, start, stop),
		cmocka_unit_test_setup_teardown(small_records_lose_nothing, start, stop),
		cmocka_unit_test_setup_teardown(a_peer_that_goes_is_noticed, start, stop),
		cmocka_unit_test_setup_teardown(streams_are_woken, start_plain, stop),
		cmocka_unit_test_setup_teardown(a_thousand_sleep_and_wake, start_plain, stop),
		cmocka_unit_test_setup_teardown(no_wake_is_lost, start_plain, stop),
		cmocka_unit_test_setup_teardown(a_slow_peer_gets_all, start_plain, stop),
		cmocka_unit_test_setup_teardown(small_records_lose_nothing, start_plain, stop),
		cmocka_unit_test(who_takes_much_leaves_others_their_turn),
		cmocka_unit_test(a_broken_stream_takes_its_connection_along),
		cmocka_unit_test(a_peer_that_does_not_read_is_dropped),
		cmocka_unit_test(an_idle_connection_is_closed),
		cmocka_unit_test_setup_teardown(uploads_stop_and_go, start, stop),
		cmocka_unit_test_setup_teardown(an_upload_that_breaks_off_is_done, start, stop),
		cmocka_unit_test(the_end_breaks_everything),
		cmocka_unit_test(addresses),
	};

	return cmocka_run_group_tests(tests, keys_make, keys_free);
}
