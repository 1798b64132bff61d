/*
 * The cluster's repository over git's smart HTTP. A push's body is streamed into receive-pack. A
 * fetch's is spooled first: upload-pack answers while it still reads, and with both ends of HTTP
 * half-duplex the two would wait for each other.
 */
#include "kgitd/admit.h"
#include "kgitd/git_child.h"
#include "kgitd/gunzip.h"
#include "kgitd/push_answer.h"
#include "sys/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FETCH_BODY    ((size_t)8 << 20)  /* of a negotiation, as sent */
#define FETCH_INFLATE ((size_t)32 << 20) /* and as meant */
#define FEED_STEP     ((size_t)64 << 10)
#define FLUSH_MS      2000

struct rpc {
	struct kgd_git *git;
	size_t push_memory; /* that it may have */
	struct kg_buf head; /* goes before git's output */
	bool whole;         /* git's output must end with a flush */
	struct kgd_push_answer said;

	/* of a push */
	bool gzip;
	struct kgd_gunzip z;
	struct kg_buf inflated; /* and not yet fed */
	size_t used;            /* of the piece that is being fed */
};

static const char *service_of(void *ctx)
{
	return ctx;
}

/* A git that died leaves half an answer. It must not look like a whole one: a pusher's git would
 * wait for the rest forever, where a connection that breaks tells it. */
static ssize_t read_git(struct rpc *r, char *buf, size_t max)
{
	ssize_t n = kgd_git_read(r->git, buf, max);
	bool due;

	if (n == -1 && r->whole && !r->said.flushed)
		return -2;
	if (n <= 0 || !r->whole)
		return n;
	size_t took = kgd_push_answer_follow(&r->said, buf, (size_t)n, &due);
	if (due) {
		kgd_push_answer_advice(&r->head, r->push_memory);
		kg_buf_add(&r->head, buf + took, (size_t)n - took);
		kgd_push_answer_follow(&r->said, buf + took, (size_t)n - took, &due);
	}
	return (ssize_t)took;
}

static ssize_t read_out(struct kg_http_req *req, char *buf, size_t max, void *ctx)
{
	struct rpc *r = ctx;
	size_t n = r->head.len < max ? r->head.len : max;

	(void)req;
	if (!n)
		return read_git(r, buf, max);
	memcpy(buf, r->head.data, n);
	kg_buf_remove(&r->head, 0, n);
	return (ssize_t)n;
}

static void answer(struct kg_http_req *req, struct rpc *r, const char *service, const char *what)
{
	char type[80];

	snprintf(type, sizeof(type), "application/x-%s-%s", service, what);
	kg_http_set_header(req, "Cache-Control", "no-cache");
	kg_http_stream(req, 200, type, read_out, r);
}

static struct rpc *start(
	struct kg_http_req *req, struct kgd_git_options *opts, struct kg_error *err)
{
	struct kgd_exchange *x = kgd_exchange(req);
	struct kgd_git *git;

	opts->m = x->master;
	opts->user = &x->user;
	opts->protocol = kg_http_header(req, "Git-Protocol");
	/* Who fetches finds every revision that was told to anybody before. Where the disk has no
	 * room for git's files, what they have is served. */
	if (strcmp(opts->service, "git-upload-pack") == 0)
		kg_store_flush(x->master->store, FLUSH_MS, NULL);
	if (kgd_git_start(&git, req, opts, err) < 0)
		return NULL;
	struct rpc *r = kg_alloc(sizeof(*r));
	r->git = git;
	r->push_memory = x->master->limits.push_memory;
	r->whole = strcmp(opts->service, "git-receive-pack") == 0;
	x->state = r;
	return r;
}

static void done(struct kg_http_req *req, void *ctx)
{
	struct rpc *r = kgd_exchange(req)->state;

	(void)ctx;
	if (!r)
		return;
	kgd_git_end(r->git);
	if (r->gzip)
		kgd_gunzip_release(&r->z);
	kg_buf_release(&r->inflated);
	kg_buf_release(&r->head);
	free(r);
	kgd_exchange(req)->state = NULL;
}

/* ---- info/refs ---- */

static bool speaks_v2(struct kg_http_req *req)
{
	const char *protocol = kg_http_header(req, "Git-Protocol");

	return protocol && strstr(protocol, "version=2");
}

/* What git's own http-backend puts before an advertisement of protocols 0 and 1. */
static void add_service_line(struct kg_buf *out, const char *service)
{
	char line[80];

	snprintf(line, sizeof(line), "# service=%s\n", service);
	kg_buf_addf(out, "%04zx%s0000", strlen(line) + 4, line);
}

/* What git shows as "fatal: remote error: TEXT"; it shows nothing of an answer that is not 200. */
static void refuse_push(struct kg_http_req *req, const char *service, const char *why)
{
	struct kg_buf body = KG_BUF_INIT;
	char type[80];

	snprintf(type, sizeof(type), "application/x-%s-advertisement", service);
	add_service_line(&body, service);
	kg_buf_addf(&body, "%04zxERR %s\n", strlen(why) + 9, why);
	kg_http_set_header(req, "Cache-Control", "no-cache");
	kg_http_reply(req, 200, type, &body);
}

static void handle_refs(struct kg_http_req *req, void *ctx)
{
	const char *service = service_of(ctx);
	struct kgd_git_options opts = {.service = service, .advertise = true, .in = -1};
	struct kg_error err;
	bool push = strcmp(service, "git-receive-pack") == 0;

	if (push && kgd_has_room(kgd_exchange(req)->master, &err) < 0) {
		refuse_push(req, service, err.msg);
		return;
	}
	struct rpc *r = start(req, &opts, &err);
	if (!r) {
		kgd_reply_error(req, &err);
		return;
	}
	if (push || !speaks_v2(req))
		add_service_line(&r->head, service);
	answer(req, r, service, "advertisement");
}

/* ---- git-receive-pack ---- */

/* Before a push that is larger than http.postBuffer git asks with a lone flush whether it may;
 * receive-pack has no answer to that. */
static bool is_probe(struct kg_http_req *req)
{
	const char *length = kg_http_header(req, "Content-Length");

	return length && strcmp(length, "4") == 0;
}

static void open_push(struct kg_http_req *req, void *ctx)
{
	struct kgd_git_options opts = {.service = service_of(ctx), .feed = true};
	struct kg_error err;
	struct rpc *r = start(req, &opts, &err);

	if (!r) {
		kgd_reply_error(req, &err);
		return;
	}
	r->whole = !is_probe(req);
	r->gzip = kgd_is_gzip(kg_http_header(req, "Content-Encoding"));
	if (r->gzip)
		kgd_gunzip_init(&r->z);
}

static bool feed_inflated(struct rpc *r)
{
	size_t fed;
	bool all = kgd_git_feed(r->git, r->inflated.data, r->inflated.len, &fed);

	kg_buf_remove(&r->inflated, 0, fed);
	return all;
}

/* 1: the piece is used up. 0: git's pipe is full. Negative: it is no gzip. */
static int feed_gzip(struct rpc *r, const char *p, size_t n, struct kg_error *err)
{
	for (;;) {
		size_t used;

		if (!feed_inflated(r))
			return 0;
		if (r->used == n)
			return 1;
		int rc = kgd_gunzip(
			&r->z, &r->inflated, FEED_STEP, p + r->used, n - r->used, &used, err);
		if (rc < 0)
			return rc;
		r->used += used;
	}
}

static int feed_plain(struct rpc *r, const char *p, size_t n)
{
	size_t fed;
	bool all = kgd_git_feed(r->git, p + r->used, n - r->used, &fed);

	r->used += fed;
	return all;
}

/* Comes again with the same piece after false: `used` says how far it got. */
static bool push_body(struct kg_http_req *req, const void *p, size_t n, void *ctx)
{
	struct rpc *r = kgd_exchange(req)->state;
	struct kg_error err;
	int rc = r->gzip ? feed_gzip(r, p, n, &err) : feed_plain(r, p, n);

	(void)ctx;
	if (rc < 0)
		kgd_reply_error(req, &err);
	if (rc != 0)
		r->used = 0;
	return rc != 0;
}

static void handle_push(struct kg_http_req *req, void *ctx)
{
	struct rpc *r = kgd_exchange(req)->state;

	kgd_git_feed_end(r->git);
	answer(req, r, service_of(ctx), "result");
}

/* ---- git-upload-pack ---- */

static int spool(int *out, struct kg_http_req *req, struct kg_error *err)
{
	const struct kg_buf *body = kg_http_body(req);
	struct kg_buf plain KG_AUTOBUF = KG_BUF_INIT;
	int rc = 0;

	if (kgd_is_gzip(kg_http_header(req, "Content-Encoding"))) {
		rc = kgd_gunzip_all(&plain, body, FETCH_INFLATE, err);
		body = &plain;
	}
	int fd KG_AUTOCLOSE = rc < 0 ? -1 : memfd_create("fetch", MFD_CLOEXEC);
	if (rc < 0)
		return rc;
	if (fd < 0)
		return kg_fail_errno(err, "memfd_create");
	rc = kg_write_all(fd, kg_buf_str(body), body->len, err);
	if (rc < 0)
		return rc;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return kg_fail_errno(err, "lseek");
	*out = fd;
	fd = -1;
	return 0;
}

static void handle_fetch(struct kg_http_req *req, void *ctx)
{
	struct kgd_git_options opts = {.service = service_of(ctx)};
	int in KG_AUTOCLOSE = -1;
	struct kg_error err;
	struct rpc *r = NULL;

	if (spool(&in, req, &err) == 0) {
		opts.in = in;
		r = start(req, &opts, &err);
	}
	if (r)
		answer(req, r, service_of(ctx), "result");
	else
		kgd_reply_error(req, &err);
}

/* ---- */

static void handle_unknown_service(struct kg_http_req *req, void *ctx)
{
	struct kg_error err;

	(void)ctx;
	kg_fail(&err, KG_E_FORBIDDEN,
		"only git's smart protocol is served here; use git itself (2.29 or newer)");
	kgd_reply_error(req, &err);
}

static void refs_route(struct kg_http_req *req, struct kg_http_route *route)
{
	static const char *const services[] = {"git-receive-pack", "git-upload-pack"};
	const char *asked = kg_http_query(req, "service");

	route->handle = handle_unknown_service;
	for (size_t i = 0; asked && i < KG_ARRAY_LEN(services); i++) {
		if (strcmp(services[i], asked) != 0)
			continue;
		route->handle = handle_refs;
		route->done = done;
		route->ctx = (void *)(uintptr_t)services[i];
	}
}

bool kgd_git_route(struct kg_http_req *req, const char *rest, struct kg_http_route *route)
{
	bool get = strcmp(kg_http_method(req), "GET") == 0;
	bool post = strcmp(kg_http_method(req), "POST") == 0;

	if (get && strcmp(rest, "info/refs") == 0) {
		refs_route(req, route);
	} else if (post && strcmp(rest, "git-receive-pack") == 0) {
		route->open = open_push;
		route->body = push_body;
		route->handle = handle_push;
		route->done = done;
		route->ctx = (void *)(uintptr_t) "git-receive-pack";
	} else if (post && strcmp(rest, "git-upload-pack") == 0) {
		route->max_body = FETCH_BODY;
		route->handle = handle_fetch;
		route->done = done;
		route->ctx = (void *)(uintptr_t) "git-upload-pack";
	} else {
		return false;
	}
	return true;
}
