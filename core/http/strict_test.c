/* Requests whose framing is in doubt, sent as bytes. */
#include "testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define START "POST /echo HTTP/1.1\r\nHost: x\r\n"

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

struct request {
	const char *name;
	const char *bytes;
	size_t len;
};
#define R(name, bytes)                                                                             \
	{                                                                                          \
		name, bytes, sizeof(bytes) - 1                                                     \
	}

static void doubtful_ones_are_refused(void **state)
{
	static const struct request requests[] = {
		R("both lengths", START "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
					"0\r\n\r\n"),
		R("both, the other way",
			START "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
		R("two lengths", START "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"),
		R("two unlike lengths", START "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc"),
		R("a list of lengths", START "Content-Length: 3, 3\r\n\r\nabc"),
		R("a signed length", START "Content-Length: +3\r\n\r\nabc"),
		R("a hex length", START "Content-Length: 0x3\r\n\r\nabc"),
		R("an empty length", START "Content-Length:\r\n\r\nabc"),
		R("a huge length", START "Content-Length: 99999999999999999999\r\n\r\nabc"),
		R("two encodings", START "Transfer-Encoding: chunked\r\nTransfer-Encoding: "
					 "chunked\r\n\r\n0\r\n\r\n"),
		R("a list of encodings", START "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
		R("another encoding", START "Transfer-Encoding: identity\r\n\r\n"),
		R("chunked in 1.0",
			"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
		R("a folded encoding", START "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"),
		R("a folded length", START "Content-Length: 1\r\n 0\r\n\r\n0123456789"),
		R("a folded other header", START "X-A: 1\r\n\t2\r\nContent-Length: 0\r\n\r\n"),
		R("a fold before the first header",
			"GET /echo HTTP/1.1\r\n Host: x\r\nHost: y\r\n\r\n"),
		R("a blank before the colon", START "Content-Length : 3\r\n\r\nabc"),
		R("a blank in a name", START "X Content-Length: 3\r\n\r\n"),
		R("no colon", START "Content-Length\r\n\r\n"),
		R("no name", START ": 3\r\n\r\n"),
		R("a bare LF", START "X-A: 1\nContent-Length: 0\r\n\r\n"),
		R("a bare LF at the end", START "X-A: 1\n\r\n"),
		R("bare LFs only", "GET /echo HTTP/1.1\nHost: x\n\n"),
		R("a bare CR", START "X-A: 1\rContent-Length: 3\r\n\r\n"),
		R("a NUL in a value", START "X-A: 1\0Content-Length: 3\r\n\r\n"),
		R("a NUL at a value's end", START "X-A: 1\0\r\nX-B: 2\r\n\r\n"),
		R("a NUL at the last value's end", START "X-A: 1\0\r\n\r\n"),
		R("a NUL in a name", START "X\0A: 1\r\n\r\n"),
		R("a NUL in the target", "GET /echo\0/x HTTP/1.1\r\nHost: x\r\n\r\n"),
		R("a control character", START "X-A: \001\r\n\r\n"),
		R("a blank behind a length", START "Content-Length: 3 \r\n\r\nabc"),
		R("two hosts", "GET /echo HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"),
		R("two authorizations", START "Authorization: a\r\nAuthorization: b\r\n\r\n"),
		R("no host", "GET /echo HTTP/1.1\r\n\r\n"),
		R("another version", "GET /echo HTTP/1.2\r\nHost: x\r\n\r\n"),
		R("a blank in the target", "GET /echo x HTTP/1.1\r\nHost: x\r\n\r\n"),
		R("two blanks", "GET  /echo HTTP/1.1\r\nHost: x\r\n\r\n"),
		R("a blank behind the version", "GET /echo HTTP/1.1 \r\nHost: x\r\n\r\n"),
		R("a method of two words", "G(T /echo HTTP/1.1\r\nHost: x\r\n\r\n"),
		R("an absolute target", "GET https://x/echo HTTP/1.1\r\nHost: x\r\n\r\n"),
		R("an escaped slash", "GET /echo%2f HTTP/1.1\r\nHost: x\r\n\r\n"),
		R("a dot segment", "GET /a/../echo HTTP/1.1\r\nHost: x\r\n\r\n"),
		R("another expectation", START "Expect: tea\r\nContent-Length: 3\r\n\r\nabc"),
		R("a malformed chunk", START "Transfer-Encoding: chunked\r\n\r\nx\r\n\r\n"),
		R("a chunk with a sign", START "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n"),
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(requests); i++) {
		struct raw r;
		raw_open(&r, NULL, NULL);
		raw_send(&r, requests[i].bytes, requests[i].len);
		/* Behind it, what a smuggler would want to be taken for a request. */
		raw_send(&r, "GET /echo?q=smuggled HTTP/1.1\r\nHost: x\r\n\r\n", 43);
		gnutls_bye(r.session, GNUTLS_SHUT_WR);
		KG_AUTOFREE char *answer = raw_read(&r, "q=smuggled");
		raw_close(&r);
		if (strncmp(answer, "HTTP/1.1 4", 10) != 0 &&
			strncmp(answer, "HTTP/1.0 4", 10) != 0 && answer[0] != '\0' &&
			strncmp(answer, "HTTP/1.1 505", 12) != 0)
			fail_msg("%s: %s", requests[i].name, answer);
		if (strncmp(answer, "HTTP/1.1 400 ", 13) == 0 && strstr(answer, "q=smuggled"))
			/* Refused, and the next was read: right where the end was certain. */
			assert_true(strstr(requests[i].name, "segment") ||
				    strstr(requests[i].name, "slash") ||
				    strstr(requests[i].name, "absolute"));
	}
}

static void plain_ones_are_served(void **state)
{
	static const struct request requests[] = {
		R("GET", "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n"),
		R("without a header", "GET /echo HTTP/1.0\r\n\r\n"),
		R("no blank behind the colon", "GET /echo HTTP/1.1\r\nHost:x\r\nX-A:\r\n\r\n"),
		R("blanks", "GET /echo HTTP/1.1\r\nHost: \t x\r\nX-A: b c \t\r\n\r\n"),
		R("a length", START "Content-Length: 3\r\n\r\nabc"),
		R("chunks", START "Transfer-Encoding: Chunked\r\n\r\n1\r\na\r\n2;x=y\r\nbc\r\n"
				  "0\r\nTrailer: x\r\n\r\n"),
		R("a cookie", "GET /echo HTTP/1.1\r\nHost: x\r\nCookie: a=b; c=d\r\n\r\n"),
		R("an empty line first", "\r\nGET /echo HTTP/1.1\r\nHost: x\r\n\r\n"),
		R("a query", "GET /echo?q=1&b=%20 HTTP/1.1\r\nHost: x\r\n\r\n"),
		R("UTF-8 in a value", "GET /echo HTTP/1.1\r\nHost: x\r\nX-A: \xc3\xa4\r\n\r\n"),
		R("another method", "PROPFIND /echo HTTP/1.1\r\nHost: x\r\n\r\n"),
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(requests); i++) {
		struct raw r;
		raw_open(&r, NULL, NULL);
		raw_send(&r, requests[i].bytes, requests[i].len);
		KG_AUTOFREE char *answer = raw_read(&r, "body=");
		raw_close(&r);
		if (!strstr(answer, " 200 OK\r\n") || !strstr(answer, "body="))
			fail_msg("%s: %s", requests[i].name, answer);
	}
}

/* All at once, and byte by byte: how it arrives changes nothing. */
static void arrival_changes_nothing(void **state)
{
	const char bytes[] = START
		"X-Some: value\r\nContent-Length: 3\r\n\r\nabc"
		"GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Other: value\r\n\r\n";

	(void)state;
	for (int slow = 0; slow < 2; slow++) {
		struct raw r;
		raw_open(&r, NULL, NULL);
		if (slow)
			for (size_t i = 0; i < sizeof(bytes) - 1; i++)
				raw_send(&r, bytes + i, 1);
		else
			raw_send(&r, bytes, sizeof(bytes) - 1);
		KG_AUTOFREE char *answer = raw_read(&r, NULL);
		raw_close(&r);
		const char *first = strstr(answer, "body=abc");
		assert_non_null(first);
		assert_non_null(strstr(first, "HTTP/1.1 200 OK"));
		assert_non_null(strstr(first, "GET /echo from 127.0.0.1"));
	}
}

/* A header that fills libmicrohttpd's buffer as it grows is served, one that does not fit not. */
static void headers_are_bounded(void **state)
{
	static const struct {
		unsigned lines, len;
		const char *status;
	} cases[] = {
		{1, 10000, " 200 "},
		{1, 20000, " 200 "},
		{150, 60, " 200 "},
		{1, 40000, " 431 "},
		{2000, 60, " 431 "},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_buf b KG_AUTOBUF = KG_BUF_INIT;
		struct raw r;
		kg_buf_adds(&b, "GET /echo HTTP/1.1\r\nHost: x\r\n");
		for (unsigned l = 0; l < cases[i].lines; l++) {
			kg_buf_addf(&b, "X-Long-%u: ", l);
			for (unsigned n = 0; n < cases[i].len; n++)
				kg_buf_addc(&b, 'x');
			kg_buf_adds(&b, "\r\n");
		}
		kg_buf_adds(&b, "\r\n");
		raw_open(&r, NULL, NULL);
		raw_send(&r, b.data, b.len);
		KG_AUTOFREE char *answer = raw_read(&r, "\r\n\r\n");
		raw_close(&r);
		if (!strstr(answer, cases[i].status) && cases[i].lines * cases[i].len < 40000)
			fail_msg("case %zu: %s", i, answer);
		assert_null(
			cases[i].lines * cases[i].len >= 40000 ? strstr(answer, " 200 ") : NULL);
	}
	/* Each is counted, and so is what libmicrohttpd refuses for another reason. */
	struct kg_http_stats stats;
	struct raw r;

	kg_http_server_stats(fx.server, &stats);
	assert_int_equal(stats.header_too_large, 2);
	assert_int_equal(stats.ambiguous, 0);
	raw_open(&r, NULL, NULL);
	raw_send(&r, "GET /echo HTTP/1.1\r\n\r\n", 22);
	KG_AUTOFREE char *answer = raw_read(&r, "\r\n\r\n");
	raw_close(&r);
	assert_non_null(strstr(answer, " 400 "));
	kg_http_server_stats(fx.server, &stats);
	assert_int_equal(stats.ambiguous, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(doubtful_ones_are_refused, start, stop),
		cmocka_unit_test_setup_teardown(plain_ones_are_served, start, stop),
		cmocka_unit_test_setup_teardown(arrival_changes_nothing, start, stop),
		cmocka_unit_test_setup_teardown(headers_are_bounded, start, stop),
	};

	return cmocka_run_group_tests(tests, keys_make, keys_free);
}
