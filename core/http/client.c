/*
 * The client: one easy handle, reused so that its connection lives on, driven through a multi
 * handle, because curl_multi_wakeup is what can end a wait from another thread.
 */
#include "client.h"

#include "base/mem.h"
#include "client_internal.h"
#include "value/json.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define MAX_ERROR_BODY 65536

struct kg_http_client {
	CURL *easy;
	CURLM *multi;
	struct kg_client_tls tls;
	char *url, *authorization;
	int connect_timeout_ms, timeout_ms;
	size_t max_reply;
	atomic_bool aborted;
	char error[CURL_ERROR_SIZE];
	struct kg_error unusable; /* its code: no call can succeed */
};

/* One exchange under way. */
struct call {
	struct kg_http_client *c;
	struct kg_buf *reply; /* the body; of an error, for streams */
	size_t max_reply;
	bool too_large;
	bool (*data)(void *ctx, const char *p, size_t n);
	ssize_t (*read)(void *ctx, char *buf, size_t max);
	void *ctx;
	bool ended;      /* by data */
	bool given_up;   /* by read */
	int64_t last_ms; /* when the last byte came */
	int idle_timeout_ms;
};

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static size_t on_write(char *p, size_t size, size_t n, void *arg)
{
	struct call *call = arg;
	long status = 0;

	n *= size;
	call->last_ms = now_ms();
	curl_easy_getinfo(call->c->easy, CURLINFO_RESPONSE_CODE, &status);
	if (call->data && status < 400) {
		call->ended = !call->data(call->ctx, p, n);
		return call->ended ? 0 : n;
	}
	if (call->reply->len + n > call->max_reply) {
		call->too_large = true;
		return 0;
	}
	kg_buf_add(call->reply, p, n);
	return n;
}

static size_t on_read(char *buf, size_t size, size_t n, void *arg)
{
	struct call *call = arg;
	ssize_t r = call->read(call->ctx, buf, size * n);

	if (r >= 0)
		return (size_t)r;
	call->given_up = true;
	return CURL_READFUNC_ABORT;
}

static void global_init(void)
{
	curl_global_init(CURL_GLOBAL_ALL);
}

static void set_fixed(struct kg_http_client *c)
{
	CURL *e = c->easy;

	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(e, CURLOPT_PROXY, "");
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(e, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(e, CURLOPT_USERAGENT, "kgit/" KGIT_VERSION);
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, c->error);
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)c->connect_timeout_ms);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_write);
}

struct kg_http_client *kg_http_client_new(const struct kg_http_client_options *opts)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct kg_http_client *c = kg_alloc(sizeof(*c));

	pthread_once(&once, global_init);
	c->tls = (struct kg_client_tls)KG_CLIENT_TLS_INIT;
	c->easy = curl_easy_init();
	c->multi = curl_multi_init();
	if (!c->easy || !c->multi)
		abort(); /* out of memory */
	kg_client_tls_set(&c->tls, c->easy, opts, &c->unusable);
	c->url = kg_strdup(opts->url);
	if (opts->bearer)
		c->authorization = kg_asprintf("Authorization: Bearer %s", opts->bearer);
	c->connect_timeout_ms = opts->connect_timeout_ms ? opts->connect_timeout_ms : 5000;
	c->timeout_ms = opts->timeout_ms ? opts->timeout_ms : 30000;
	c->max_reply = opts->max_reply ? opts->max_reply : (size_t)256 << 20;
	set_fixed(c);
	return c;
}

void kg_http_client_free(struct kg_http_client *c)
{
	if (!c)
		return;
	curl_easy_cleanup(c->easy);
	curl_multi_cleanup(c->multi);
	kg_client_tls_release(&c->tls);
	free(c->url);
	free(c->authorization);
	free(c);
}

void kg_http_client_abort(struct kg_http_client *c)
{
	atomic_store(&c->aborted, true);
	curl_multi_wakeup(c->multi);
}

/* ---- running one ---- */

static int explain(struct call *call, CURLcode code, struct kg_error *err)
{
	struct kg_http_client *c = call->c;
	const char *why = c->error[0] ? c->error : curl_easy_strerror(code);

	if (call->ended || code == CURLE_OK)
		return 0;
	if (call->too_large)
		return kg_fail(err, KG_E_TOO_LARGE, "%s: the answer is larger than %zu bytes",
			c->url, call->max_reply);
	if (call->given_up)
		return kg_fail(err, KG_E_UNAVAILABLE, "%s: the upload was given up", c->url);
	/* GnuTLS' text goes on to name the CA's file, which is none. */
	const char *file = strstr(why, " CAfile:");
	return kg_fail(err, KG_E_UNAVAILABLE, "%s: %.*s", c->url,
		file ? (int)(file - why) : (int)strlen(why), why);
}

/* How long the loop may wait; libcurl shortens it to its own timers. Negative: idle too long. */
static int wait_ms(const struct call *call)
{
	if (!call->idle_timeout_ms)
		return 60000;
	int64_t left = call->last_ms + call->idle_timeout_ms - now_ms();
	return left < 0 ? -1 : (int)left + 1;
}

static int drive(struct call *call, struct kg_error *err)
{
	struct kg_http_client *c = call->c;
	int running = 1;

	for (;;) {
		CURLMcode mc = curl_multi_perform(c->multi, &running);
		if (mc)
			return kg_fail(
				err, KG_E_UNAVAILABLE, "%s: %s", c->url, curl_multi_strerror(mc));
		CURLMsg *msg;
		int left;
		while ((msg = curl_multi_info_read(c->multi, &left)))
			if (msg->msg == CURLMSG_DONE)
				return explain(call, msg->data.result, err);
		if (atomic_load(&c->aborted))
			return kg_fail(err, KG_E_UNAVAILABLE, "%s: the call was ended", c->url);
		int ms = wait_ms(call);
		if (ms < 0)
			return kg_fail(err, KG_E_TIMEOUT, "%s: nothing came for %d ms", c->url,
				call->idle_timeout_ms);
		curl_multi_poll(c->multi, NULL, 0, ms, NULL);
	}
}

static struct curl_slist *add(struct curl_slist *list, const char *header)
{
	struct curl_slist *grown = curl_slist_append(list, header);

	if (!grown)
		abort();
	return grown;
}

static struct curl_slist *make_headers(struct kg_http_client *c, const char *content_type)
{
	/* No waiting for "100 Continue": refusals are rare. */
	struct curl_slist *list = add(NULL, "Expect:");

	if (c->authorization)
		list = add(list, c->authorization);
	if (content_type) {
		KG_AUTOFREE char *type = kg_asprintf("Content-Type: %s", content_type);
		list = add(list, type);
	}
	return list;
}

/* method, body and timeouts are set in the easy handle. */
static int run(struct call *call, const char *path, const char *content_type, int *status,
	struct kg_error *err)
{
	struct kg_http_client *c = call->c;

	if (c->unusable.code)
		return kg_fail(err, c->unusable.code, "%s: %s", c->url, c->unusable.msg);
	KG_AUTOFREE char *url = kg_asprintf("%s%s", c->url, path);
	struct curl_slist *headers = make_headers(c, content_type);
	long code = 0;
	int rc;

	c->error[0] = '\0';
	call->last_ms = now_ms();
	curl_easy_setopt(c->easy, CURLOPT_URL, url);
	curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c->easy, CURLOPT_WRITEDATA, call);
	curl_easy_setopt(c->easy, CURLOPT_READDATA, call);
	CURLMcode mc = curl_multi_add_handle(c->multi, c->easy);
	if (mc)
		rc = kg_fail(err, KG_E_UNAVAILABLE, "%s: %s", url, curl_multi_strerror(mc));
	else
		rc = drive(call, err);
	curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &code);
	curl_multi_remove_handle(c->multi, c->easy);
	curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, NULL);
	curl_slist_free_all(headers);
	atomic_store(&c->aborted, false);
	if (!rc && status)
		*status = (int)code;
	return rc;
}

static void set_method(struct kg_http_client *c, const char *method, const void *body, size_t len)
{
	CURL *e = c->easy;

	curl_easy_setopt(e, CURLOPT_UPLOAD, 0L);
	curl_easy_setopt(e, CURLOPT_HTTPGET, 1L);
	curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, NULL);
	if (strcmp(method, "HEAD") == 0) {
		curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
		return;
	}
	if (body || strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0) {
		curl_easy_setopt(e, CURLOPT_POST, 1L);
		curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
		curl_easy_setopt(e, CURLOPT_POSTFIELDS, body ? body : "");
	}
	if (strcmp(method, "GET") != 0)
		curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, method);
}

int kg_http_do(struct kg_http_client *c, const char *method, const char *path,
	const char *content_type, const void *body, size_t body_len, int *status,
	struct kg_buf *reply, struct kg_error *err)
{
	struct call call = {.c = c, .reply = reply, .max_reply = c->max_reply};

	kg_buf_clear(reply);
	set_method(c, method, body, body_len);
	curl_easy_setopt(c->easy, CURLOPT_TIMEOUT_MS, (long)c->timeout_ms);
	return run(&call, path, content_type, status, err);
}

static enum kg_code code_of(int status, const char *reason)
{
	static const struct {
		enum kg_code code;
		int http;
	} codes[] = {
#define KG_CODE_HTTP(name, text, http) {KG_E_##name, http},
		KG_CODES(KG_CODE_HTTP)
#undef KG_CODE_HTTP
	};
	enum kg_code found = status >= 500 ? KG_E_UNAVAILABLE : KG_E_BAD_REQUEST;
	bool exact = false;

	for (size_t i = 0; i < KG_ARRAY_LEN(codes); i++) {
		bool same = strcmp(kg_code_reason(codes[i].code), reason) == 0;
		if (codes[i].http != status || (exact && !same))
			continue;
		found = codes[i].code;
		exact = same;
	}
	return found;
}

/* The error of an answer with status >= 400: a Status' message and reason, or the body's text. */
static int fail_status(int status, const struct kg_buf *body, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value v = kg_null;
	const char *text = kg_buf_str(body);

	if (body->len && text[0] == '{' && kg_json_parse(&v, &a, text, body->len, NULL))
		v = kg_null;
	const char *message = kg_string(kg_get(&v, "message"), NULL);
	enum kg_code code = code_of(status, kg_string(kg_get(&v, "reason"), ""));
	if (message)
		return kg_fail(err, code, "%s", message);
	if (!body->len)
		return kg_fail(err, code, "the server answered %d", status);
	return kg_fail(err, code, "the server answered %d: %.*s", status,
		(int)strcspn(text, "\r\n"), text);
}

int kg_http_call(struct kg_http_client *c, const char *method, const char *path,
	const char *content_type, const void *body, size_t body_len, struct kg_buf *reply,
	struct kg_error *err)
{
	int status = 0;

	int rc = kg_http_do(c, method, path, content_type, body, body_len, &status, reply, err);
	if (!rc && status >= 400)
		rc = fail_status(status, reply, err);
	return rc;
}

int kg_http_get_stream(struct kg_http_client *c, const char *path, int idle_timeout_ms,
	bool (*data)(void *ctx, const char *p, size_t n), void *ctx, struct kg_error *err)
{
	struct kg_buf error KG_AUTOBUF = KG_BUF_INIT;
	struct call call = {
		.c = c,
		.reply = &error,
		.max_reply = MAX_ERROR_BODY,
		.data = data,
		.ctx = ctx,
		.idle_timeout_ms = idle_timeout_ms,
	};
	int status = 0;

	set_method(c, "GET", NULL, 0);
	curl_easy_setopt(c->easy, CURLOPT_TIMEOUT_MS, 0L);
	int rc = run(&call, path, NULL, &status, err);
	if (!rc && status >= 400)
		rc = fail_status(status, &error, err);
	return rc;
}

int kg_http_post_stream(struct kg_http_client *c, const char *path, const char *content_type,
	ssize_t (*read)(void *ctx, char *buf, size_t max), void *ctx, struct kg_error *err)
{
	struct kg_buf reply KG_AUTOBUF = KG_BUF_INIT;
	struct call call = {
		.c = c, .reply = &reply, .max_reply = MAX_ERROR_BODY, .read = read, .ctx = ctx};
	int status = 0;

	set_method(c, "POST", NULL, 0);
	curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS, NULL);
	curl_easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)-1);
	curl_easy_setopt(c->easy, CURLOPT_READFUNCTION, on_read);
	curl_easy_setopt(c->easy, CURLOPT_TIMEOUT_MS, 0L);
	/* Of unknown size: chunked. */
	int rc = run(&call, path, content_type, &status, err);
	if (!rc && status >= 400)
		rc = fail_status(status, &reply, err);
	return rc;
}
