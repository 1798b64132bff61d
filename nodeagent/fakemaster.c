#include "fakemaster.h"
#include "base/mem.h"
#include "fakegit.h"
#include "http/server.h"
#include "pki/pki.h"
#include "sys/file.h"
#include "sys/loop.h"
#include "value/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NODE "/kgit/v1/nodes/n1"

struct stream {
	struct stream *next;
	struct kg_http_req *req;
	struct kg_buf out;
};

struct fm_heard fm_heard;
static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct kg_http_server *server;
	char dir[64], url[64], token[192];
	int port;
	char *ca, *ca_key, *cert, *key;
	struct kg_credential node;
	struct fakegit git;
	struct stream *streams;
	int status_code;
	bool hold;
	struct kg_http_req *held;
	int token_s;
	const char *token_error;
} fm = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void need(int rc, const char *what)
{
	if (rc < 0)
		fail_msg("fakemaster: %s", what);
}

static void lock(void)
{
	pthread_mutex_lock(&fm.lock);
}

static void unlock(void)
{
	pthread_cond_broadcast(&fm.changed);
	pthread_mutex_unlock(&fm.lock);
}

/* ---- joining ---- */

static void reply_json(struct kg_http_req *req, const struct kg_value *v)
{
	struct kg_buf b = KG_BUF_INIT;

	kg_json_write(&b, v);
	kg_http_reply(req, 200, "application/json", &b);
}

static void handle_ca(struct kg_http_req *req, void *ctx)
{
	(void)ctx;
	kg_http_reply_text(req, 200, fm.ca);
}

static void handle_join(struct kg_http_req *req, void *ctx)
{
	static const char *const orgs[] = {"system:nodes", NULL};
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_pki_cert c = {.cn = "system:node:n1",
		.orgs = orgs,
		.client = true,
		.not_before = kg_realtime_ms() - 60000,
		.not_after = kg_realtime_ms() + 3600000};
	KG_AUTOFREE char *cert = NULL;
	struct kg_value v, out;
	const struct kg_buf *body = kg_http_body(req);

	(void)ctx;
	if (kg_json_parse(&v, &a, kg_buf_str(body), body->len, NULL) < 0 ||
		strcmp(kg_string(kg_get(&v, "token"), ""), fm.token) != 0) {
		kg_http_reply_text(req, 401, "no such token");
		return;
	}
	if (kg_pki_sign(&cert, fm.ca, fm.ca_key, kg_string(kg_get(&v, "csr"), ""), &c, NULL) < 0) {
		kg_http_reply_text(req, 400, "bad request");
		return;
	}
	out = kg_v_obj(&a, "certificate", kg_v_lit(cert), "ca", kg_v_lit(fm.ca), (char *)NULL);
	reply_json(req, &out);
}

/* ---- what a node says ---- */

static void keep(char *to, size_t max, const struct kg_buf *body)
{
	snprintf(to, max, "%s", kg_buf_str(body));
}

static void handle_register(struct kg_http_req *req, void *ctx)
{
	(void)ctx;
	lock();
	fm_heard.registrations++;
	keep(fm_heard.registration, sizeof(fm_heard.registration), kg_http_body(req));
	unlock();
	kg_http_reply_text(req, 200, "{\"revision\":1,\"podCIDR\":\"10.244.0.0/24\"}");
}

static void handle_lease(struct kg_http_req *req, void *ctx)
{
	(void)ctx;
	lock();
	fm_heard.leases++;
	keep(fm_heard.lease, sizeof(fm_heard.lease), kg_http_body(req));
	unlock();
	kg_http_reply_text(req, 200, "{}");
}

static void handle_status(struct kg_http_req *req, void *ctx)
{
	(void)ctx;
	lock();
	int code = fm.status_code;
	bool hold = fm.hold;
	if (code == 0)
		keep(fm_heard.status, sizeof(fm_heard.status), kg_http_body(req));
	fm_heard.accepted += code == 0;
	fm_heard.statuses++;
	if (hold)
		fm.held = req;
	if (hold)
		kg_http_defer(req);
	unlock();
	if (!hold)
		kg_http_reply_text(req, code ? code : 200, "{\"revision\":2}");
}

void fm_refuse_status(int code)
{
	lock();
	fm.status_code = code;
	unlock();
}

void fm_hold_status(bool hold)
{
	lock();
	struct kg_http_req *held = hold ? NULL : fm.held;
	fm.hold = hold;
	if (held)
		fm.held = NULL;
	unlock();
	if (held)
		kg_http_reply_text(held, 200, "{\"revision\":2}");
}

static void handle_tokens(struct kg_http_req *req, void *ctx)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	const struct kg_buf *body = kg_http_body(req);
	struct kg_value v, items[64], out;
	uint32_t n = 0;

	(void)ctx;
	need(kg_json_parse(&v, &a, kg_buf_str(body), body->len, NULL), "a list of tokens");
	const struct kg_value *list = kg_get(&v, "tokens");
	lock();
	fm_heard.token_requests++;
	for (; n < kg_len(list) && n < KG_ARRAY_LEN(items); n++) {
		const char *pod = kg_string(kg_get(&list->items[n], "pod"), "?");

		if (fm.token_error)
			items[n] = kg_v_obj(&a, "error", kg_v_lit(fm.token_error), (char *)NULL);
		else
			items[n] = kg_v_obj(&a, "token",
				kg_v_strf(&a, "token-%u-%s", ++fm_heard.tokens, pod), "issued",
				kg_v_int(100), "expires", kg_v_int(100 + fm.token_s), (char *)NULL);
	}
	unlock();
	out = kg_v_obj(&a, "tokens", kg_v_array(&a, items, n), (char *)NULL);
	reply_json(req, &out);
}

void fm_tokens(int seconds, const char *error)
{
	lock();
	fm.token_s = seconds;
	fm.token_error = error;
	unlock();
}

/* ---- the stream ---- */

static ssize_t stream_read(struct kg_http_req *req, char *buf, size_t max, void *ctx)
{
	struct stream *s = ctx;
	size_t n;

	(void)req;
	lock();
	n = s->out.len < max ? s->out.len : max;
	memcpy(buf, n ? s->out.data : "", n);
	kg_buf_remove(&s->out, 0, n);
	unlock();
	return (ssize_t)n;
}

static void handle_watch(struct kg_http_req *req, void *ctx)
{
	struct stream *s = kg_alloc(sizeof(*s));

	(void)ctx;
	s->req = req;
	lock();
	if (*fm.git.commit)
		kg_buf_addf(&s->out, "{\"view\":\"%s\",\"revision\":1}\n", fm.git.commit);
	s->next = fm.streams;
	fm.streams = s;
	fm_heard.open_streams++;
	unlock();
	kg_http_stream(req, 200, "application/json", stream_read, s);
}

static void watch_done(struct kg_http_req *req, void *ctx)
{
	(void)ctx;
	lock();
	for (struct stream **at = &fm.streams; *at; at = &(*at)->next) {
		struct stream *s = *at;

		if (s->req != req)
			continue;
		*at = s->next;
		kg_buf_release(&s->out);
		free(s);
		fm_heard.open_streams--;
		break;
	}
	unlock();
}

static void send_locked(const char *line)
{
	for (struct stream *s = fm.streams; s; s = s->next) {
		kg_buf_addf(&s->out, "%s\n", line);
		kg_http_stream_wake(s->req);
	}
}

void fm_send(const char *line)
{
	lock();
	send_locked(line);
	unlock();
}

/* ---- logs ---- */

static void log_open(struct kg_http_req *req, void *ctx)
{
	(void)ctx;
	lock();
	fm_heard.streams++;
	snprintf(fm_heard.log_query, sizeof(fm_heard.log_query), "%s code=%s error=%s",
		kg_http_path(req), kg_http_query(req, "code") ? kg_http_query(req, "code") : "",
		kg_http_query(req, "error") ? kg_http_query(req, "error") : "");
	fm_heard.log[0] = '\0';
	fm_heard.log_ended = false;
	unlock();
}

static bool log_body(struct kg_http_req *req, const void *p, size_t n, void *ctx)
{
	size_t len = strlen(fm_heard.log);

	(void)req;
	(void)ctx;
	lock();
	if (len + n < sizeof(fm_heard.log)) {
		memcpy(fm_heard.log + len, p, n);
		fm_heard.log[len + n] = '\0';
	}
	unlock();
	return true;
}

static void log_end(struct kg_http_req *req, void *ctx)
{
	(void)ctx;
	kg_http_reply_text(req, 200, "{}");
}

static void log_done(struct kg_http_req *req, void *ctx)
{
	(void)req;
	(void)ctx;
	lock();
	fm_heard.log_ended = true;
	unlock();
}

/* ---- git ---- */

static void handle_refs(struct kg_http_req *req, void *ctx)
{
	struct kg_buf b = KG_BUF_INIT;

	(void)ctx;
	lock();
	fakegit_refs(&fm.git, &b);
	unlock();
	kg_http_reply(req, 200, "application/x-git-upload-pack-advertisement", &b);
}

static void handle_pack(struct kg_http_req *req, void *ctx)
{
	struct kg_buf b = KG_BUF_INIT;

	(void)ctx;
	lock();
	fm_heard.packs++;
	fm_heard.objects = fakegit_pack(&fm.git, &b, kg_buf_str(kg_http_body(req)));
	unlock();
	kg_http_reply(req, 200, "application/x-git-upload-pack-result", &b);
}

const char *fm_view_quietly(const struct fm_file *files, unsigned n)
{
	lock();
	fakegit_commit(&fm.git, files, n);
	unlock();
	return fm.git.commit;
}

const char *fm_view(const struct fm_file *files, unsigned n)
{
	char line[100];

	lock();
	fakegit_commit(&fm.git, files, n);
	snprintf(line, sizeof(line), "{\"view\":\"%s\",\"revision\":1}", fm.git.commit);
	send_locked(line);
	unlock();
	return fm.git.commit;
}

/* ---- life ---- */

static bool route(struct kg_http_req *req, struct kg_http_route *r, void *ctx)
{
	static const struct {
		const char *path;
		struct kg_http_route route;
		bool own;
	} routes[] = {
		{"/kgit/v1/ca", {.handle = handle_ca}, false},
		{"/kgit/v1/join", {.handle = handle_join}, false},
		{NODE "/register", {.handle = handle_register}, true},
		{NODE "/watch", {.handle = handle_watch, .done = watch_done}, true},
		{NODE "/lease", {.handle = handle_lease}, true},
		{NODE "/status", {.handle = handle_status}, true},
		{NODE "/tokens", {.handle = handle_tokens}, true},
		{NODE "/streams/",
			{.open = log_open, .body = log_body, .handle = log_end, .done = log_done},
			true},
		{NODE ".git/info/refs", {.handle = handle_refs}, true},
		{NODE ".git/git-upload-pack", {.handle = handle_pack}, true},
	};
	const char *cn = kg_http_peer_cn(req);

	(void)ctx;
	for (size_t i = 0; i < KG_ARRAY_LEN(routes); i++) {
		if (strncmp(kg_http_path(req), routes[i].path, strlen(routes[i].path)) != 0)
			continue;
		*r = routes[i].route;
		/* What a node calls needs its certificate. */
		return !routes[i].own || (cn && strcmp(cn, "system:node:n1") == 0);
	}
	return false;
}

void fm_start(void)
{
	char listen[64];
	struct kg_error err;
	struct kg_http_server_options opts = {.listen = listen,
		.cert_pem = fm.cert,
		.key_pem = fm.key,
		.client_ca_pem = fm.ca,
		.router = route};

	snprintf(listen, sizeof(listen), "127.0.0.1:%d", fm.port);
	if (kg_http_server_new(&fm.server, &opts, &err) < 0)
		fail_msg("%s", err.msg);
	fm.port = kg_http_server_port(fm.server);
	snprintf(fm.url, sizeof(fm.url), "https://127.0.0.1:%d", fm.port);
}

void fm_stop(void)
{
	fm_hold_status(false);
	kg_http_server_free(fm.server);
	fm.server = NULL;
}

static void make_keys(void)
{
	static const char *const sans[] = {"127.0.0.1", NULL}, *const orgs[] = {
								       "system:nodes", NULL};
	kg_time now = kg_realtime_ms();
	struct kg_pki_cert server = {.cn = "kgitd",
		.sans = sans,
		.server = true,
		.not_before = now - 60000,
		.not_after = now + 3600000};
	struct kg_pki_cert node = server;
	char pin[80];

	node.cn = "system:node:n1";
	node.orgs = orgs;
	node.sans = NULL;
	node.server = false;
	node.client = true;
	need(kg_pki_ca_new(&fm.ca, &fm.ca_key, "kgit", now, NULL), "CA");
	need(kg_pki_key_new(&fm.key, NULL), "key");
	need(kg_pki_issue(&fm.cert, fm.ca, fm.ca_key, fm.key, &server, NULL), "certificate");
	need(kg_pki_key_new(&fm.node.key_pem, NULL), "key");
	need(kg_pki_issue(&fm.node.cert_pem, fm.ca, fm.ca_key, fm.node.key_pem, &node, NULL),
		"certificate");
	fm.node.ca_pem = kg_strdup(fm.ca);
	need(kg_pki_pin(pin, fm.ca, NULL), "pin");
	snprintf(fm.token, sizeof(fm.token), FM_TOKEN_ID ".%s", strchr(pin, ':') + 1);
}

void fm_new(void)
{
	char *path;

	signal(SIGPIPE, SIG_IGN);
	memset(&fm_heard, 0, sizeof(fm_heard));
	fm.port = 0;
	fm.status_code = 0;
	snprintf(fm.dir, sizeof(fm.dir), "/tmp/kgit-agent-test-XXXXXX");
	assert_non_null(mkdtemp(fm.dir));
	path = kg_asprintf("%s/master.git", fm.dir);
	fakegit_init(&fm.git, path);
	free(path);
	make_keys();
	fm_start();
}

void fm_free(void)
{
	char **all[] = {&fm.ca, &fm.ca_key, &fm.cert, &fm.key};

	if (fm.server)
		fm_stop();
	fakegit_release(&fm.git);
	for (size_t i = 0; i < KG_ARRAY_LEN(all); i++) {
		free(*all[i]);
		*all[i] = NULL;
	}
	kg_credential_release(&fm.node);
	need(kg_remove_tree(fm.dir, NULL), "remove");
}

const char *fm_url(void)
{
	return fm.url;
}

const char *fm_dir(void)
{
	return fm.dir;
}

const char *fm_token(void)
{
	return fm.token;
}

const struct kg_credential *fm_credential(void)
{
	return &fm.node;
}

static void wait_change(void)
{
	struct timespec at;

	clock_gettime(CLOCK_REALTIME, &at);
	at.tv_sec += 10;
	if (pthread_cond_timedwait(&fm.changed, &fm.lock, &at) != 0) {
		pthread_mutex_unlock(&fm.lock);
		fail_msg("nothing came for ten seconds");
	}
}

void fm_await(const unsigned *counter, unsigned n)
{
	lock();
	while (*counter < n)
		wait_change();
	unlock();
}

void fm_await_log(void)
{
	lock();
	while (!fm_heard.log_ended)
		wait_change();
	unlock();
}
