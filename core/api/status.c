/* Errors as Kubernetes' Status objects, and the plain replies. */
#include "api/encode.h"
#include "api/reply.h"
#include "api/request.h"
#include "base/hash.h"
#include "value/json.h"

#include <inttypes.h>
#include <stdio.h>

/* As Kubernetes' API server has it: who reads it by curl or a browser wants lines, unless he says
 * otherwise. */
static bool wants_pretty(const struct request *r)
{
	static const char *const people[] = {"curl", "Wget", "Mozilla/5.0"};
	const char *asked = kg_http_query(r->http, "pretty");
	const char *agent = kg_http_header(r->http, "User-Agent");

	if (asked && *asked)
		return !strcmp(asked, "1") || !strcasecmp(asked, "t") || !strcasecmp(asked, "true");
	for (size_t i = 0; agent && i < KG_ARRAY_LEN(people); i++)
		if (!strncmp(agent, people[i], strlen(people[i])))
			return true;
	return false;
}

void kg_api_pretty(const struct request *r, struct kg_buf *json)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_buf pretty = KG_BUF_INIT;
	struct kg_value v;
	struct kg_error err;

	if (!wants_pretty(r) || kg_json_parse(&v, &a, json->data, json->len, &err))
		return;
	kg_json_write_pretty(&pretty, &v);
	kg_buf_release(json);
	*json = pretty;
}

void kg_api_reply_json(struct request *r, int status, struct kg_buf *body)
{
	struct kg_buf yaml = KG_BUF_INIT;

	if (!kg_api_accepts_yaml(r)) {
		kg_api_pretty(r, body);
		kg_api_gzip_body(r, body, GZIP_LEAST);
		kg_http_reply(r->http, status, "application/json", body);
		return;
	}
	kg_api_yaml(&yaml, body);
	kg_buf_release(body);
	kg_api_gzip_body(r, &yaml, GZIP_LEAST);
	kg_http_reply(r->http, status, "application/yaml", &yaml);
}

void kg_api_reply_cached(
	struct request *r, const char *content_type, const char *control, struct kg_buf *body)
{
	const char *have = kg_http_header(r->http, "If-None-Match");
	unsigned char sum[32];
	char etag[2 * 32 + 3];

	kg_sha256(sum, body->data, body->len);
	kg_hex(etag + 1, sum, sizeof(sum));
	etag[0] = etag[65] = '"';
	etag[66] = '\0';
	kg_http_set_header(r->http, "ETag", etag);
	kg_http_set_header(r->http, "Vary", "Accept");
	kg_http_set_header(r->http, "Cache-Control", control);
	if (have && strstr(have, etag)) {
		kg_buf_release(body);
		kg_http_reply(r->http, 304, content_type, body);
		return;
	}
	kg_api_gzip_body(r, body, GZIP_LEAST);
	kg_http_reply(r->http, 200, content_type, body);
}

static void write_cause(struct kg_buf *out, const struct status_extra *x)
{
	kg_buf_adds(out, ",\"causes\":[{\"reason\":");
	kg_api_write_str(out, x->cause_reason);
	if (x->cause_message)
		kg_api_write_member(out, "message", x->cause_message);
	if (x->cause_field)
		kg_api_write_member(out, "field", x->cause_field);
	kg_buf_adds(out, "}]");
}

static void write_details(struct kg_buf *out, const struct request *r, const struct status_extra *x)
{
	static const struct status_extra nothing;

	x = x ? x : &nothing;
	kg_buf_adds(out, ",\"details\":{");
	size_t begin = out->len;

	if (r && r->resource) {
		kg_api_write_member(out, "kind", r->resource);
		if (r->name)
			kg_api_write_member(out, "name", r->name);
		if (r->group && *r->group)
			kg_api_write_member(out, "group", r->group);
	}
	if (x->retry_after_s)
		kg_buf_addf(out, ",\"retryAfterSeconds\":%d", x->retry_after_s);
	if (x->cause_reason)
		write_cause(out, x);
	if (out->len > begin) /* the first one's comma */
		kg_buf_remove(out, begin, 1);
	kg_buf_addc(out, '}');
}

void kg_api_write_status(struct kg_buf *out, const struct request *r, const struct kg_error *err,
	int http, const char *reason, const struct status_extra *x)
{
	kg_buf_adds(out, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{}");
	kg_api_write_member(out, "status", "Failure");
	kg_api_write_member(out, "message", err->msg);
	kg_api_write_member(out, "reason", reason);
	write_details(out, r, x);
	kg_buf_addf(out, ",\"code\":%d}", http);
}

void kg_api_reply_error(struct request *r, const struct kg_error *err)
{
	struct kg_buf out = KG_BUF_INIT;

	kg_api_write_status(&out, r, err, kg_code_http(err->code), kg_code_reason(err->code), NULL);
	kg_api_reply_json(r, kg_code_http(err->code), &out);
}

void kg_api_reply_status(struct request *r, int http, const char *reason,
	const struct status_extra *x, const char *fmt, ...)
{
	struct kg_buf out = KG_BUF_INIT;
	struct kg_error err = {0};
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err.msg, sizeof(err.msg), fmt, ap);
	va_end(ap);
	kg_api_write_status(&out, r, &err, http, reason, x);
	if (x && x->retry_after_s) {
		char seconds[16];

		snprintf(seconds, sizeof(seconds), "%d", x->retry_after_s);
		kg_http_set_header(r->http, "Retry-After", seconds);
	}
	kg_api_reply_json(r, http, &out);
}

void kg_api_reply_not_found(struct request *r)
{
	kg_api_reply_status(r, 404, "NotFound", NULL, "%s \"%s\" not found",
		kg_kind_resource(r->kind), r->name);
}

void kg_api_reply_unknown_path(struct request *r)
{
	kg_api_reply_status(
		r, 404, "NotFound", NULL, "the server could not find the requested resource");
}

void kg_api_reply_too_many(struct request *r, const char *of_what)
{
	static const struct status_extra x = {.retry_after_s = 1};

	kg_api_reply_status(r, 429, "TooManyRequests", &x, "too many %s; try again later", of_what);
}

void kg_api_too_large_revision(struct request *r, uint64_t now)
{
	static const struct status_extra x = {.cause_reason = "ResourceVersionTooLarge",
		.cause_message = "Too large resource version",
		.retry_after_s = 1};

	kg_api_reply_status(r, 504, "Timeout", &x,
		"Timeout: Too large resource version: %" PRIu64 ", current: %" PRIu64,
		r->wait_revision, now);
}
