/* The check against a server of nghttp2's, without sockets. */
#include "nodeagent/grpc_health.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
/* cmocka wants the above first */
#include <cmocka.h>
#include <nghttp2/nghttp2.h>

#define BODY(bytes) bytes, sizeof(bytes) - 1
#define SERVES      BODY("\0\0\0\0\2\x08\1")
#define OK          "200", "application/grpc"

static const struct server {
	const char *what, *status, *type, *body;
	size_t len;
	const char *grpc_status; /* NULL: no trailers */
	bool serving;
} servers[] = {
	{"serving", OK, SERVES, "0", true},
	{"a type with its encoding", "200", "application/grpc+proto", SERVES, "0", true},
	{"fields that are not known", OK,
		BODY("\0\0\0\0\x11\x10\7\x1a\2hi\x25\1\2\3\4\x08\2\x08\1\x30\0"), "0", true},
	{"unknown", OK, BODY("\0\0\0\0\0"), "0", false},
	{"unknown, said", OK, BODY("\0\0\0\0\2\x08\0"), "0", false},
	{"not serving", OK, BODY("\0\0\0\0\2\x08\2"), "0", false},
	{"service unknown", OK, BODY("\0\0\0\0\2\x08\3"), "0", false},
	{"a status of many bits", OK, BODY("\0\0\0\0\6\x08\x81\x80\x80\x80\x10"), "0", false},
	{"serving, and then not", OK, BODY("\0\0\0\0\4\x08\1\x08\2"), "0", false},
	{"a call that failed", OK, SERVES, "12", false},
	{"a call that failed at once", OK, NULL, 0, "12", false},
	{"a call that did not end well", OK, SERVES, NULL, false},
	{"no message", OK, NULL, 0, "0", false},
	{"two messages", OK, BODY("\0\0\0\0\2\x08\1\0\0\0\0\2\x08\1"), "0", false},
	{"a compressed message", OK, BODY("\1\0\0\0\2\x08\1"), "0", false},
	{"a message that is cut off", OK, BODY("\0\0\0\0\3\x08\1"), "0", false},
	{"a prefix that is cut off", OK, BODY("\0\0\0\0"), "0", false},
	{"a number that is cut off", OK, BODY("\0\0\0\0\2\x08\x81"), "0", false},
	{"a field longer than the message", OK, BODY("\0\0\0\0\4\x08\1\x12\5"), "0", false},
	{"a length that wraps around", OK,
		BODY("\0\0\0\0\xd\x08\1\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\1"), "0", false},
	{"a number without end", OK,
		BODY("\0\0\0\0\xc\x08\x81\x80\x80\x80\x80\x80\x80\x80\x80\x80\0"), "0", false},
	{"a group", OK, BODY("\0\0\0\0\3\x08\1\x13"), "0", false},
	{"a field without number", OK, BODY("\0\0\0\0\4\x08\1\0\0"), "0", false},
	{"not found", "404", "application/grpc", SERVES, "0", false},
	{"a web page", "200", "text/html", BODY("hello"), NULL, false},
};

struct peer {
	const struct server *server;
	nghttp2_session *session;
	size_t sent;
	bool asked;
	char path[64], type[32], timeout[32], authority[32];
	struct kg_buf request;
};

static ssize_t read_body(nghttp2_session *s, int32_t stream, uint8_t *p, size_t n, uint32_t *flags,
	nghttp2_data_source *source, void *ctx)
{
	struct peer *peer = ctx;
	size_t left = peer->server->len - peer->sent;
	const char *status = peer->server->grpc_status;
	nghttp2_nv nv = {.name = (uint8_t *)"grpc-status", .namelen = 11};

	(void)source;
	n = left < n ? left : n;
	if (n)
		memcpy(p, peer->server->body + peer->sent, n);
	peer->sent += n;
	if (peer->sent < peer->server->len)
		return (ssize_t)n;
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	if (!status)
		return (ssize_t)n;
	*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
	nv.value = (uint8_t *)status;
	nv.valuelen = strlen(status);
	assert_int_equal(nghttp2_submit_trailer(s, stream, &nv, 1), 0);
	return (ssize_t)n;
}

static int on_header(nghttp2_session *s, const nghttp2_frame *frame, const uint8_t *name,
	size_t name_len, const uint8_t *value, size_t len, uint8_t flags, void *ctx)
{
	struct peer *peer = ctx;
	const struct {
		const char *name;
		char *to;
		size_t size;
	} kept[] = {{":path", peer->path, sizeof(peer->path)},
		{"content-type", peer->type, sizeof(peer->type)},
		{"grpc-timeout", peer->timeout, sizeof(peer->timeout)},
		{":authority", peer->authority, sizeof(peer->authority)}};

	(void)s, (void)frame, (void)flags;
	for (size_t i = 0; i < KG_ARRAY_LEN(kept); i++)
		if (name_len == strlen(kept[i].name) && !memcmp(name, kept[i].name, name_len)) {
			assert_true(len < kept[i].size);
			memcpy(kept[i].to, value, len);
		}
	return 0;
}

static int on_data(
	nghttp2_session *s, uint8_t flags, int32_t stream, const uint8_t *p, size_t n, void *ctx)
{
	struct peer *peer = ctx;

	(void)s, (void)flags, (void)stream;
	kg_buf_add(&peer->request, p, n);
	return 0;
}

/* Answers the question once it is whole. */
static int on_frame(nghttp2_session *s, const nghttp2_frame *frame, void *ctx)
{
	struct peer *peer = ctx;
	const struct server *server = peer->server;
	nghttp2_data_provider body = {.read_callback = read_body};

	if (frame->hd.type != NGHTTP2_DATA || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return 0;
	peer->asked = true;
	if (!server)
		return 0;
	nghttp2_nv nv[] = {{.name = (uint8_t *)":status",
				   .namelen = 7,
				   .value = (uint8_t *)server->status,
				   .valuelen = 3},
		{.name = (uint8_t *)"content-type",
			.namelen = 12,
			.value = (uint8_t *)server->type,
			.valuelen = strlen(server->type)},
		{.name = (uint8_t *)"grpc-status", .namelen = 11}};
	bool at_once = server->len == 0 && server->grpc_status;
	if (at_once) {
		nv[2].value = (uint8_t *)server->grpc_status;
		nv[2].valuelen = strlen(server->grpc_status);
	}
	assert_int_equal(nghttp2_submit_response(s, frame->hd.stream_id, nv, at_once ? 3 : 2,
				 at_once ? NULL : &body),
		0);
	return 0;
}

static void peer_begin(struct peer *peer, const struct server *server)
{
	nghttp2_session_callbacks *calls;

	*peer = (struct peer){.server = server};
	assert_int_equal(nghttp2_session_callbacks_new(&calls), 0);
	nghttp2_session_callbacks_set_on_header_callback(calls, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(calls, on_frame);
	assert_int_equal(nghttp2_session_server_new(&peer->session, calls, peer), 0);
	nghttp2_session_callbacks_del(calls);
	assert_int_equal(nghttp2_submit_settings(peer->session, 0, NULL, 0), 0);
}

static void peer_end(struct peer *peer)
{
	nghttp2_session_del(peer->session);
	kg_buf_release(&peer->request);
}

/* What the one has to say to the other, in pieces of `piece` bytes; true when both are silent. */
static bool exchange(
	struct peer *peer, struct kg_grpc_health *h, size_t piece, enum kg_grpc_verdict *v)
{
	KG_AUTOBUF struct kg_buf out = KG_BUF_INIT;
	const uint8_t *p;
	ssize_t n, said = 0;

	while ((n = nghttp2_session_mem_send(peer->session, &p)) > 0) {
		said += n;
		for (size_t at = 0; at < (size_t)n; at += piece)
			*v = kg_grpc_health_step(
				h, p + at, (size_t)n - at < piece ? (size_t)n - at : piece, &out);
	}
	if (!said)
		*v = kg_grpc_health_step(h, NULL, 0, &out);
	assert_int_equal(
		nghttp2_session_mem_recv(peer->session, (const uint8_t *)kg_buf_str(&out), out.len),
		(ssize_t)out.len);
	return !said && !out.len;
}

static enum kg_grpc_verdict talk(struct peer *peer, struct kg_grpc_health *h, size_t piece)
{
	enum kg_grpc_verdict v = KG_GRPC_WAITS;

	while (v == KG_GRPC_WAITS && !exchange(peer, h, piece, &v))
		;
	return v;
}

static void test_answers(void **state)
{
	static const size_t pieces[] = {1, 7, 65536};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(servers) * KG_ARRAY_LEN(pieces); i++) {
		const struct server *server = &servers[i / KG_ARRAY_LEN(pieces)];
		struct kg_grpc_health *h = kg_grpc_health_new("10.0.0.1:5000", "", 1000);
		struct peer peer;

		peer_begin(&peer, server);
		enum kg_grpc_verdict v = talk(&peer, h, pieces[i % KG_ARRAY_LEN(pieces)]);
		if (v != (server->serving ? KG_GRPC_SERVING : KG_GRPC_FAILED))
			fail_msg("%s: verdict %d", server->what, (int)v);
		assert_true(peer.asked);
		peer_end(&peer);
		kg_grpc_health_free(h);
	}
}

static void test_question(void **state)
{
	char name[301];
	static const struct {
		size_t len; /* of the service's name */
		const char *body;
		size_t body_len;
		int64_t timeout_ms;
		const char *timeout;
	} cases[] = {
		{0, BODY("\0\0\0\0\0"), 1000, "1000m"},
		{4, BODY("\0\0\0\0\6\x0a\4ssss"), 0, ""},
		{0, BODY("\0\0\0\0\0"), 99999999, "99999999m"},
		{0, BODY("\0\0\0\0\0"), 100000000, "100000S"},
		{0, BODY("\0\0\0\0\0"), INT64_MAX, "99999999S"},
		{300, BODY("\0\0\0\1\x2f\x0a\xac\x02ss"), 1, "1m"},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		memset(name, 's', sizeof(name));
		name[cases[i].len] = '\0';
		struct kg_grpc_health *h =
			kg_grpc_health_new("[fd00::1]:5000", name, cases[i].timeout_ms);
		struct peer peer;

		peer_begin(&peer, &servers[0]);
		assert_int_equal(talk(&peer, h, 100), KG_GRPC_SERVING);
		assert_string_equal(peer.path, "/grpc.health.v1.Health/Check");
		assert_string_equal(peer.type, "application/grpc");
		assert_string_equal(peer.authority, "[fd00::1]:5000");
		assert_string_equal(peer.timeout, cases[i].timeout);
		assert_true(peer.request.len >= cases[i].body_len);
		assert_memory_equal(peer.request.data, cases[i].body, cases[i].body_len);
		if (cases[i].len)
			assert_int_equal(
				peer.request.len, cases[i].len + (cases[i].len > 127 ? 3 : 2) + 5);
		peer_end(&peer);
		kg_grpc_health_free(h);
	}
}

/* A server that does not answer, but says something else. */
static void test_others(void **state)
{
	static const struct server much = {"much", OK, NULL, KG_GRPC_MAX_MESSAGE + 6, "0", false};
	enum kg_grpc_verdict v;
	struct peer peer;

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct kg_grpc_health *h = kg_grpc_health_new("10.0.0.1:1", "", 0);
		KG_AUTOFREE char *zeroes = kg_alloc(much.len);
		struct server server = much;

		server.body = zeroes;
		peer_begin(&peer, i == 3 ? &server : NULL);
		v = talk(&peer, h, 65536);
		assert_int_equal(v, i == 3 ? KG_GRPC_FAILED : KG_GRPC_WAITS);
		if (i == 0)
			nghttp2_submit_rst_stream(peer.session, 0, 1, NGHTTP2_REFUSED_STREAM);
		else if (i == 1)
			nghttp2_submit_goaway(peer.session, 0, 0, NGHTTP2_NO_ERROR, NULL, 0);
		else if (i == 2)
			nghttp2_session_terminate_session(peer.session, NGHTTP2_INTERNAL_ERROR);
		if (i < 3)
			exchange(&peer, h, 65536, &v);
		/* One that goes away may still answer what it took. */
		assert_int_equal(v, i == 2 ? KG_GRPC_WAITS : KG_GRPC_FAILED);
		peer_end(&peer);
		kg_grpc_health_free(h);
	}
}

/* Who speaks no HTTP/2, or pings without end. */
static void test_no_protocol(void **state)
{
	static const char settings[] = "\0\0\0\4\0\0\0\0\0",
			  ping[] = "\0\0\x08\6\0\0\0\0\0pingping";
	KG_AUTOBUF struct kg_buf out = KG_BUF_INIT;
	enum kg_grpc_verdict v;
	size_t n = 0;

	(void)state;
	struct kg_grpc_health *h = kg_grpc_health_new("10.0.0.1:1", "", 0);
	assert_int_equal(kg_grpc_health_step(h, NULL, 0, &out), KG_GRPC_WAITS);
	assert_int_equal(kg_grpc_health_step(h, "HTTP/1.1 400 Bad Request\r\n\r\n", 28, &out),
		KG_GRPC_FAILED);
	kg_grpc_health_free(h);
	h = kg_grpc_health_new("10.0.0.1:1", "", 0);
	v = kg_grpc_health_step(h, settings, sizeof(settings) - 1, &out);
	for (; v == KG_GRPC_WAITS; n++) {
		kg_buf_clear(&out);
		v = kg_grpc_health_step(h, ping, sizeof(ping) - 1, &out);
	}
	assert_int_equal(v, KG_GRPC_FAILED);
	assert_true(n > 1000 && n * (sizeof(ping) - 1) <= KG_GRPC_MAX_BYTES + 100);
	kg_grpc_health_free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_question),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_no_protocol),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
