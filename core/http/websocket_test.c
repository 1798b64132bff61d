/* WebSockets, spoken by hand. */
#include "frame.h"
#include "testing.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define KEY    "dGhlIHNhbXBsZSBub25jZQ==" /* and what is answered: of RFC 6455, 1.3 */
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#define ASK(path, more)                                                                            \
	"GET " path " HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\n"                  \
	"Upgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\n" more   \
	"\r\n"

static int start(void **state)
{
	(void)state;
	fixture_start(NULL);
	return 0;
}

static int start_without_io_uring(void **state)
{
	(void)state;
	fixture_start(&(struct kg_http_server_options){.no_io_uring = true});
	return 0;
}

static int stop(void **state)
{
	(void)state;
	fixture_stop();
	return 0;
}

/* ---- a client ---- */

struct client {
	struct raw raw;
	struct kg_buf in; /* not looked at yet */
	char *header;
};

/* More bytes; false at the end. */
static bool more(struct client *c)
{
	char piece[20000];
	ssize_t n;

	do
		n = gnutls_record_recv(c->raw.session, piece, sizeof(piece));
	while (n == GNUTLS_E_INTERRUPTED || n == GNUTLS_E_AGAIN);
	if (n > 0)
		kg_buf_add(&c->in, piece, (size_t)n);
	return n > 0;
}

static void ask(struct client *c, const char *request)
{
	const char *end;

	*c = (struct client){0};
	raw_open(&c->raw, NULL, NULL);
	raw_send(&c->raw, request, strlen(request));
	while (!(end = c->in.len ? strstr(c->in.data, "\r\n\r\n") : NULL))
		if (!more(c))
			fail_msg("no answer");
	size_t n = (size_t)(end - c->in.data) + 4;
	c->header = kg_strndup(c->in.data, n);
	kg_buf_remove(&c->in, 0, n);
}

static void leave(struct client *c)
{
	raw_close(&c->raw);
	kg_buf_release(&c->in);
	free(c->header);
}

/* As a client has to: masked. */
static void tell(struct client *c, unsigned first, const void *p, size_t n)
{
	struct kg_buf b KG_AUTOBUF = KG_BUF_INIT;
	unsigned char head[KG_FRAME_HEAD];
	static const unsigned char mask[4] = {1, 2, 3, 4};
	size_t len = kg_frame_head(head, first & 15, first & 0x80, n);

	head[1] |= 0x80;
	kg_buf_add(&b, head, len);
	kg_buf_add(&b, mask, 4);
	for (size_t i = 0; i < n; i++)
		kg_buf_addc(&b, (char)(((const unsigned char *)p)[i] ^ mask[i % 4]));
	raw_send(&c->raw, b.data, b.len);
}

struct frame {
	unsigned first; /* its first byte; 0: the end of the connection */
	struct kg_buf payload;
};

static void next(struct client *c, struct frame *f)
{
	const unsigned char *p;
	size_t head = 2, n = 0;

	kg_buf_clear(&f->payload);
	f->first = 0;
	for (;;) {
		p = (const unsigned char *)c->in.data;
		if (c->in.len >= 2) {
			head = p[1] < 126 ? 2 : p[1] == 126 ? 4 : 10;
			n = p[1];
		}
		if (c->in.len >= head && head == 4)
			n = (size_t)p[2] << 8 | p[3];
		if (head == 10)
			fail_msg("a frame of more than a record, or masked");
		if (c->in.len >= 2 && c->in.len >= head && c->in.len >= head + n)
			break;
		if (!more(c))
			return;
	}
	f->first = p[0];
	kg_buf_add(&f->payload, p + head, n);
	kg_buf_remove(&c->in, 0, head + n);
}

static void expect(struct client *c, unsigned first, const char *payload)
{
	struct frame f = {0};

	next(c, &f);
	if (f.first != first || f.payload.len != strlen(payload) ||
		memcmp(kg_buf_str(&f.payload), payload, f.payload.len) != 0)
		fail_msg("expected %02x \"%s\", got %02x \"%s\"", first, payload, f.first,
			kg_buf_str(&f.payload));
	kg_buf_release(&f.payload);
}

/* NULL: no code. */
static void expect_close(struct client *c, unsigned code)
{
	struct frame f = {0};

	next(c, &f);
	unsigned is = f.payload.len == 2 ? (unsigned)(unsigned char)f.payload.data[0] << 8 |
						   (unsigned char)f.payload.data[1]
					 : 0;
	if (f.first != 0x88 || is != code)
		fail_msg("expected a close with %u, got %02x with %u", code, f.first, is);
	kg_buf_release(&f.payload);
}

static void expect_end(struct client *c)
{
	expect(c, 0, "");
}

/* ---- the tests ---- */

static void messages_come_as_they_are_fed(void **state)
{
	struct client c;

	(void)state;
	ask(&c, ASK("/stream", ""));
	assert_non_null(strstr(c.header, "HTTP/1.1 101 Switching Protocols\r\n"));
	assert_non_null(strstr(c.header, "\r\nSec-WebSocket-Accept: " ACCEPT "\r\n"));
	assert_null(strstr(c.header, "Sec-WebSocket-Protocol"));
	fixture_await_opened(1);
	fixture_feed(1, false);
	expect(&c, 0x81, "line 1\n");
	fixture_feed(2, false);
	expect(&c, 0x81, "line 2\nline 1\n");
	/* The end, and what is said last. */
	fixture_feed(1, true);
	expect(&c, 0x81, "line 1\n");
	expect_close(&c, 1000);
	tell(&c, 0x88, "\x03\xe8", 2);
	expect_end(&c);
	fixture_await_done(1);
	leave(&c);
}

static void the_peer_closes(void **state)
{
	struct client c;

	(void)state;
	ask(&c, ASK("/stream", "Sec-WebSocket-Protocol: a.b, c\r\nSec-WebSocket-Protocol: d\r\n"));
	assert_non_null(strstr(c.header, "\r\nSec-WebSocket-Protocol: a.b\r\n"));
	fixture_await_opened(1);
	tell(&c, 0x88, "\x0f\xa0 enough", 9);
	expect_close(&c, 4000);
	expect_end(&c);
	fixture_await_done(1);
	leave(&c);
	/* Without a code, and without a word. */
	ask(&c, ASK("/stream", ""));
	tell(&c, 0x88, NULL, 0);
	expect_close(&c, 1000);
	expect_end(&c);
	fixture_await_done(2);
	leave(&c);
	ask(&c, ASK("/stream", ""));
	fixture_await_opened(3);
	leave(&c);
	fixture_await_done(3);
}

static void pings_are_answered(void **state)
{
	struct client c;

	(void)state;
	ask(&c, ASK("/stream", ""));
	tell(&c, 0x89, "a", 1);
	expect(&c, 0x8a, "a");
	/* What it says otherwise is dropped. */
	tell(&c, 0x81, "hello", 5);
	tell(&c, 0x02, "hello", 5);
	tell(&c, 0x8a, "", 0);
	tell(&c, 0x80, "hello", 5);
	tell(&c, 0x89, "b", 1);
	expect(&c, 0x8a, "b");
	fixture_feed(1, false);
	expect(&c, 0x81, "line 1\n");
	tell(&c, 0x88, NULL, 0);
	expect_close(&c, 1000);
	leave(&c);
	fixture_await_done(1);
}

/* A message in more than one piece, and a ping's answer in between. */
static void a_message_in_pieces(void **state)
{
	struct client c;

	(void)state;
	ask(&c, ASK("/stream?pieces=1", ""));
	fixture_await_opened(1);
	fixture_feed(3, false);
	expect(&c, 0x01, "line 3\n");
	expect(&c, 0x00, "line 2\n");
	expect(&c, 0x80, "line 1\n");
	fixture_feed(1, false);
	expect(&c, 0x81, "line 1\n");
	leave(&c);
	fixture_await_done(1);
}

static void forms(void **state)
{
	struct client c;

	(void)state;
	ask(&c, ASK("/stream?as=binary&hello=1", ""));
	expect(&c, 0x82, "");
	fixture_await_opened(1);
	fixture_feed(1, true);
	expect(&c, 0x82, "line 1\n");
	expect_close(&c, 1000);
	leave(&c);
	fixture_await_done(1);
	ask(&c, ASK("/stream?as=base64&hello=1&broken=1", ""));
	expect(&c, 0x81, "");
	fixture_await_opened(2);
	fixture_feed(1, true);
	expect(&c, 0x81, "bGluZSAxCg==");
	expect_close(&c, 1011); /* a stream that breaks must not look whole */
	leave(&c);
	fixture_await_done(2);
}

static void who_breaks_the_protocol_is_told(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		unsigned code;
	} cases[] = {
		{"\x81\x01x", 3, 1002},
		{"\x83\x80\0\0\0\0", 6, 1002},
		{"\x82\xff\0\0\0\0\0\x10\0\1\0\0\0\0", 14, 1009},
	};
	struct kg_http_stats stats;
	struct client c;

	(void)state;
	for (unsigned i = 0; i < KG_ARRAY_LEN(cases); i++) {
		ask(&c, ASK("/stream", ""));
		fixture_await_opened(i + 1);
		raw_send(&c.raw, cases[i].bytes, cases[i].n);
		expect_close(&c, cases[i].code);
		fixture_feed(1, false); /* nothing comes after a close */
		shutdown(c.raw.fd, SHUT_WR);
		expect_end(&c);
		leave(&c);
		fixture_await_done(i + 1);
	}
	kg_http_server_stats(fx.server, &stats);
	assert_int_equal(stats.websocket_faults, KG_ARRAY_LEN(cases));
	assert_int_equal(stats.websockets, KG_ARRAY_LEN(cases));
}

static void who_says_too_much_is_told(void **state)
{
	static char text[60000];
	struct client c;

	(void)state;
	ask(&c, ASK("/stream", ""));
	fixture_await_opened(1);
	for (int i = 0; i < 40; i++)
		tell(&c, 0x82, text, sizeof(text));
	expect_close(&c, 1008);
	shutdown(c.raw.fd, SHUT_WR);
	expect_end(&c);
	leave(&c);
	fixture_await_done(1);
}

/* As the server's options say; who does not close in time is cut off. */
static void bounds_are_options(void **state)
{
	static const char text[600];
	struct client c;

	(void)state;
	fixture_start(&(struct kg_http_server_options){
		.max_websocket = 1000, .max_websocket_rate = 1, .close_timeout_s = 1});
	ask(&c, ASK("/stream", ""));
	fixture_await_opened(1);
	tell(&c, 0x82, text, sizeof(text));
	tell(&c, 0x82, text, sizeof(text));
	expect_close(&c, 1008);
	expect_end(&c);
	leave(&c);
	fixture_await_done(1);
	ask(&c, ASK("/stream", ""));
	fixture_await_opened(2);
	raw_send(&c.raw, "\x82\xfe\x03\xe9\0\0\0\0", 8);
	expect_close(&c, 1009);
	expect_end(&c);
	leave(&c);
	fixture_await_done(2);
	fixture_stop();
}

/* One that does not read sleeps, and is not read from; the others go on. */
static void a_slow_peer_waits(void **state)
{
	struct kg_http_stats stats = {0};
	struct frame f = {0};
	struct client slow, c;

	(void)state;
	ask(&slow, ASK("/stream?endless=1", ""));
	for (int i = 0; i < 30000 && !stats.blocked; i++) {
		usleep(1000);
		kg_http_server_stats(fx.server, &stats);
	}
	assert_true(stats.blocked > 0);
	ask(&c, ASK("/stream", ""));
	fixture_await_opened(2);
	fixture_feed(1, true);
	expect(&c, 0x81, "line 1\n");
	expect_close(&c, 1000);
	leave(&c);
	/* It reads again, and nothing is missing. */
	for (int i = 0; i < 1000; i++) {
		next(&slow, &f);
		assert_int_equal(f.first, 0x81);
		for (size_t k = 0; k < f.payload.len; k++)
			if (f.payload.data[k] != 'x')
				fail_msg("a byte is wrong");
	}
	kg_buf_release(&f.payload);
	leave(&slow);
	fixture_await_done(2);
}

/* What is no request for one is answered as ever, and what cannot be one is refused. */
static void requests(void **state)
{
	static const struct {
		const char *request, *answer;
	} cases[] = {
		{"GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n", "200"},
		{"GET /echo HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
			"200"},
		{ASK("/echo", ""), "200"}, /* it has nothing to stream */
		{"POST /echo HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
		 "Content-Length: 0\r\n\r\n",
			"200"},
		{"GET /stream HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
		 "Sec-WebSocket-Version: 13\r\n\r\n",
			"400"},
		{"GET /stream HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
		 "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: YQ==\r\n\r\n",
			"400"},
		{"GET /stream HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
		 "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: " KEY "\r\n\r\n",
			"400"},
		{ASK("/stream", "Sec-WebSocket-Key: " KEY "\r\n"), "400"},
		{ASK("/stream", "Content-Length: 1\r\n") "x", "400"},
		{ASK("/stream", "Sec-WebSocket-Protocol: a, b=c\r\n"), "400"},
		{ASK("/stream", "Sec-WebSocket-Protocol: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q\r\n"),
			"400"},
		{ASK("/denied", ""), "403"},
	};
	struct client c;

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		ask(&c, cases[i].request);
		if (strncmp(c.header + 9, cases[i].answer, 3) != 0)
			fail_msg("case %zu: %s", i, c.header);
		if (strstr(cases[i].request, "Version: 8"))
			assert_non_null(strstr(c.header, "\r\nSec-WebSocket-Version: 13\r\n"));
		leave(&c);
	}
}

static void whose_page_asks(void **state)
{
	static const struct {
		const char *host, *origin;
		bool foreign;
	} cases[] = {
		{"kgit:6443", NULL, false},
		{"kgit:6443", "https://kgit:6443", false},
		{"KGIT:6443", "HTTPS://kgit:6443", false},
		{"kgit", "https://kgit", false},
		{"kgit:443", "https://kgit", false},
		{"kgit", "https://kgit:443", false},
		{"kgit:6443", "http://kgit:6443", true},
		{"kgit:6443", "https://kgit:64433", true},
		{"kgit:6443", "https://kgit", true},
		{"kgit:6443", "https://evil.example", true},
		{"kgit", "https://kgit.evil.example", true},
		{"kgit:443", "https://kgi", true},
		{"kgit:6443", "null", true},
		{"kgit:6443", "", true},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		KG_AUTOFREE char *origin = cases[i].origin
						   ? kg_asprintf("Origin: %s\r\n", cases[i].origin)
						   : kg_strdup("");
		KG_AUTOFREE char *request =
			kg_asprintf("GET /echo?foreign=1 HTTP/1.1\r\nHost: %s\r\n%s"
				    "Connection: close\r\n\r\n",
				cases[i].host, origin);
		struct raw r;

		raw_open(&r, NULL, NULL);
		raw_send(&r, request, strlen(request));
		KG_AUTOFREE char *answer = raw_read(&r, NULL);
		if (!strstr(answer, cases[i].foreign ? "foreign=1" : "foreign=0"))
			fail_msg("host %s, origin %s: %s", cases[i].host, cases[i].origin, answer);
		raw_close(&r);
	}
}

static void the_server_says_that_it_goes(void **state)
{
	struct client c;

	(void)state;
	fixture_start(NULL);
	ask(&c, ASK("/stream", ""));
	fixture_await_opened(1);
	fixture_stop();
	expect_close(&c, 1001);
	expect_end(&c);
	leave(&c);
}

#define T(t) cmocka_unit_test_setup_teardown(t, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(messages_come_as_they_are_fed),
		cmocka_unit_test_setup_teardown(
			messages_come_as_they_are_fed, start_without_io_uring, stop),
		T(the_peer_closes),
		T(pings_are_answered),
		T(a_message_in_pieces),
		T(forms),
		T(who_breaks_the_protocol_is_told),
		T(who_says_too_much_is_told),
		T(a_slow_peer_waits),
		T(requests),
		T(whose_page_asks),
		cmocka_unit_test(bounds_are_options),
		cmocka_unit_test(the_server_says_that_it_goes),
	};
	return cmocka_run_group_tests(tests, keys_make, keys_free);
}
