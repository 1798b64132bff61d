#include "nodeagent/grpc_health.h"

#include "base/mem.h"

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stdio.h>

#define PREFIX       5 /* of a message: is it compressed, and its length in four bytes */
#define SERVING      1 /* HealthCheckResponse.ServingStatus */
#define MAX_HEADERS  (16 << 10)
#define MAX_TIMEOUT  99999999 /* eight digits */
#define DONE         "0"      /* grpc-status: OK */
#define FIELD_STATUS 1

struct kg_grpc_health {
	nghttp2_session *session;
	enum kg_grpc_verdict verdict;
	uint8_t *request;
	size_t request_len, sent;
	uint8_t reply[PREFIX + KG_GRPC_MAX_MESSAGE];
	size_t reply_len, received;
	bool status_200, is_grpc, call_ok;
};

/* ---- protobuf ---- */

static size_t put_varint(uint8_t *p, uint64_t v)
{
	size_t n = 0;

	for (; v > 127; v >>= 7)
		p[n++] = (uint8_t)(v | 0x80);
	p[n++] = (uint8_t)v;
	return n;
}

struct bytes {
	const uint8_t *p;
	size_t n;
};

static bool take_varint(struct bytes *b, uint64_t *out)
{
	uint64_t v = 0;

	for (unsigned shift = 0; b->n && shift < 64; shift += 7) {
		uint8_t byte = *b->p++;

		b->n--;
		v |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*out = v;
			return true;
		}
	}
	return false;
}

static bool skip(struct bytes *b, size_t n)
{
	if (n > b->n)
		return false;
	b->p += n;
	b->n -= n;
	return true;
}

/* A field of another number or type than is known is none. */
static bool skip_field(struct bytes *b, unsigned type)
{
	uint64_t v;

	switch (type) {
	case 0:
		return take_varint(b, &v);
	case 1:
		return skip(b, 8);
	case 2:
		return take_varint(b, &v) && v <= b->n && skip(b, (size_t)v);
	case 5:
		return skip(b, 4);
	default: /* groups are not written since 2008 */
		return false;
	}
}

/* HealthCheckResponse{status = 1}; the last one counts, and none is UNKNOWN. */
static bool says_serving(struct bytes b)
{
	uint64_t tag, status = 0;

	while (b.n) {
		if (!take_varint(&b, &tag) || tag >> 3 == 0)
			return false;
		if (tag == FIELD_STATUS << 3 ? !take_varint(&b, &status)
					     : !skip_field(&b, (unsigned)(tag & 7)))
			return false;
	}
	return status == SERVING;
}

static void put_length(uint8_t prefix[PREFIX], size_t n)
{
	prefix[0] = 0;
	for (int i = 0; i < 4; i++)
		prefix[1 + i] = (uint8_t)(n >> (24 - 8 * i));
}

/* HealthCheckRequest{service = 1}, behind its prefix. */
static void make_request(struct kg_grpc_health *h, const char *service)
{
	size_t len = strlen(service), n = PREFIX;
	uint8_t *p = h->request = kg_alloc(PREFIX + 16 + len);

	if (len) {
		p[n++] = 1 << 3 | 2;
		n += put_varint(p + n, len);
		memcpy(p + n, service, len);
	}
	put_length(p, n + len - PREFIX);
	h->request_len = n + len;
}

/* One message, whole, not compressed: the question did not offer any way to compress. */
static bool reply_serves(const struct kg_grpc_health *h)
{
	uint8_t want[PREFIX];

	if (h->reply_len < PREFIX)
		return false;
	put_length(want, h->reply_len - PREFIX);
	return !memcmp(h->reply, want, PREFIX) &&
	       says_serving((struct bytes){h->reply + PREFIX, h->reply_len - PREFIX});
}

/* ---- what nghttp2 calls ---- */

static bool is(const uint8_t *p, size_t n, const char *text)
{
	return n == strlen(text) && !memcmp(p, text, n);
}

/* The stream's headers, the trailers among them. */
static int on_header(nghttp2_session *s, const nghttp2_frame *frame, const uint8_t *name,
	size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *ctx)
{
	static const char type[] = "application/grpc";
	struct kg_grpc_health *h = ctx;

	(void)s, (void)frame, (void)flags;
	if (is(name, name_len, ":status"))
		h->status_200 = is(value, value_len, "200");
	else if (is(name, name_len, "content-type"))
		h->is_grpc =
			value_len >= sizeof(type) - 1 && !memcmp(value, type, sizeof(type) - 1);
	else if (is(name, name_len, "grpc-status"))
		h->call_ok = is(value, value_len, DONE);
	return 0;
}

static int on_data(
	nghttp2_session *s, uint8_t flags, int32_t stream, const uint8_t *p, size_t n, void *ctx)
{
	struct kg_grpc_health *h = ctx;

	(void)s, (void)flags, (void)stream;
	if (n > sizeof(h->reply) - h->reply_len) {
		h->verdict = KG_GRPC_FAILED;
		return 0;
	}
	memcpy(h->reply + h->reply_len, p, n);
	h->reply_len += n;
	return 0;
}

/* The server's end of the stream, by what it said last or by a reset. */
static int on_close(nghttp2_session *s, int32_t stream, uint32_t error, void *ctx)
{
	struct kg_grpc_health *h = ctx;

	(void)s, (void)stream;
	if (h->verdict == KG_GRPC_WAITS)
		h->verdict = error == NGHTTP2_NO_ERROR && h->status_200 && h->is_grpc &&
					     h->call_ok && reply_serves(h)
				     ? KG_GRPC_SERVING
				     : KG_GRPC_FAILED;
	return 0;
}

static ssize_t read_request(nghttp2_session *s, int32_t stream, uint8_t *p, size_t n,
	uint32_t *flags, nghttp2_data_source *source, void *ctx)
{
	struct kg_grpc_health *h = ctx;
	size_t left = h->request_len - h->sent;

	(void)s, (void)stream, (void)source;
	if (n > left)
		n = left;
	memcpy(p, h->request + h->sent, n);
	h->sent += n;
	if (h->sent == h->request_len)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

/* ---- the call ---- */

static nghttp2_session *make_session(struct kg_grpc_health *h)
{
	nghttp2_session_callbacks *calls;
	nghttp2_session *s;

	if (nghttp2_session_callbacks_new(&calls) != 0)
		kg_out_of_memory();
	nghttp2_session_callbacks_set_on_header_callback(calls, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(calls, on_close);
	if (nghttp2_session_client_new(&s, calls, h) != 0)
		kg_out_of_memory();
	nghttp2_session_callbacks_del(calls);
	return s;
}

#define HEADER(name, value)                                                                        \
	(nghttp2_nv)                                                                               \
	{                                                                                          \
		(uint8_t *)(name), (uint8_t *)(value), strlen(name), strlen(value),                \
			NGHTTP2_NV_FLAG_NONE                                                       \
	}

static void ask(struct kg_grpc_health *h, const char *authority, int64_t timeout_ms)
{
	static const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, MAX_HEADERS}};
	bool seconds = timeout_ms > MAX_TIMEOUT;
	int64_t left = seconds ? timeout_ms / 1000 : timeout_ms;
	char timeout[32];

	snprintf(timeout, sizeof(timeout), "%lld%s",
		(long long)(left < MAX_TIMEOUT ? left : MAX_TIMEOUT), seconds ? "S" : "m");
	nghttp2_nv headers[] = {
		HEADER(":method", "POST"),
		HEADER(":scheme", "http"),
		HEADER(":path", "/grpc.health.v1.Health/Check"),
		HEADER(":authority", authority),
		HEADER("content-type", "application/grpc"),
		HEADER("user-agent", "kgit-probe/" KGIT_VERSION),
		HEADER("te", "trailers"),
		HEADER("grpc-timeout", timeout),
	};
	size_t n = KG_ARRAY_LEN(headers) - (timeout_ms > 0 ? 0 : 1);
	nghttp2_data_provider body = {.read_callback = read_request};

	if (nghttp2_submit_settings(
		    h->session, NGHTTP2_FLAG_NONE, settings, KG_ARRAY_LEN(settings)) != 0 ||
		nghttp2_submit_request(h->session, NULL, headers, n, &body, NULL) < 0)
		kg_out_of_memory(); /* what else they report cannot be of a new session */
}

struct kg_grpc_health *kg_grpc_health_new(
	const char *authority, const char *service, int64_t timeout_ms)
{
	struct kg_grpc_health *h = kg_alloc(sizeof(*h));

	make_request(h, service);
	h->session = make_session(h);
	ask(h, authority, timeout_ms);
	return h;
}

void kg_grpc_health_free(struct kg_grpc_health *h)
{
	if (!h)
		return;
	nghttp2_session_del(h->session);
	free(h->request);
	free(h);
}

static void send_all(struct kg_grpc_health *h, struct kg_buf *out)
{
	const uint8_t *p;
	ssize_t n;

	while ((n = nghttp2_session_mem_send(h->session, &p)) > 0)
		kg_buf_add(out, p, (size_t)n);
	if (n < 0 && h->verdict == KG_GRPC_WAITS)
		h->verdict = KG_GRPC_FAILED;
}

enum kg_grpc_verdict kg_grpc_health_step(
	struct kg_grpc_health *h, const void *p, size_t n, struct kg_buf *out)
{
	if (h->verdict != KG_GRPC_WAITS)
		return h->verdict;
	h->received += n;
	if (n && nghttp2_session_mem_recv(h->session, p, n) < 0)
		h->verdict = KG_GRPC_FAILED;
	send_all(h, out);
	/* What broke the protocol is told to go away, and then there is nothing more to wait for.
	 */
	if (h->verdict == KG_GRPC_WAITS &&
		(h->received > KG_GRPC_MAX_BYTES || !nghttp2_session_want_read(h->session)))
		h->verdict = KG_GRPC_FAILED;
	return h->verdict;
}
