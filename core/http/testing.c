#include "testing.h"

#include "pki/pki.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

struct keys keys;
struct fixture fx;

static int issue(
	char **cert, char **key, const char *ca, const char *ca_key, const struct kg_pki_cert *c)
{
	int rc = kg_pki_key_new(key, NULL);

	return rc ? rc : kg_pki_issue(cert, ca, ca_key, *key, c, NULL);
}

int keys_make(void **state)
{
	static const char *const sans[] = {"localhost", "127.0.0.1", "::1", NULL};
	static const char *const orgs[] = {"system:nodes", "blue", NULL};
	const kg_time now = (kg_time)time(NULL) * 1000, day = 86400000;
	struct kg_pki_cert s = {.cn = "kgitd",
		.sans = sans,
		.server = true,
		.not_before = now - day,
		.not_after = now + day};
	struct kg_pki_cert c = {.cn = "system:node:n1",
		.orgs = orgs,
		.client = true,
		.not_before = now - day,
		.not_after = now + day};
	KG_AUTOFREE char *other_key = NULL;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	if (kg_pki_ca_new(&keys.ca, &keys.ca_key, "kgit", now, NULL) ||
		kg_pki_ca_new(&keys.other_ca, &other_key, "kgit", now, NULL) ||
		issue(&keys.server, &keys.server_key, keys.ca, keys.ca_key, &s) ||
		issue(&keys.client, &keys.client_key, keys.ca, keys.ca_key, &c) ||
		issue(&keys.stranger, &keys.stranger_key, keys.other_ca, other_key, &c))
		return -1;
	c.not_before = now - 2 * day;
	c.not_after = now - day;
	return issue(&keys.expired, &keys.expired_key, keys.ca, keys.ca_key, &c);
}

int keys_free(void **state)
{
	char **all[] = {&keys.ca, &keys.ca_key, &keys.server, &keys.server_key, &keys.client,
		&keys.client_key, &keys.expired, &keys.expired_key, &keys.other_ca, &keys.stranger,
		&keys.stranger_key};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(all); i++)
		free(*all[i]);
	return 0;
}

/* ---- the routes ---- */

static void note(unsigned *counter)
{
	pthread_mutex_lock(&fx.lock);
	(*counter)++;
	pthread_cond_broadcast(&fx.changed);
	pthread_mutex_unlock(&fx.lock);
}

static void on_done(struct kg_http_req *req, void *ctx)
{
	(void)req;
	(void)ctx;
	note(&fx.done);
}

static void echo(struct kg_http_req *req, void *ctx)
{
	const char *const *orgs = kg_http_peer_orgs(req);
	struct kg_buf b = KG_BUF_INIT;

	(void)ctx;
	kg_buf_addf(&b, "%s %s from %s\n", kg_http_method(req), kg_http_path(req),
		kg_http_peer_address(req));
	if (kg_http_peer_cn(req))
		kg_buf_addf(&b, "cn=%s\n", kg_http_peer_cn(req));
	for (size_t i = 0; orgs && orgs[i]; i++)
		kg_buf_addf(&b, "o=%s\n", orgs[i]);
	if (kg_http_query(req, "issuer"))
		kg_buf_addf(&b, "issuer=%s\n", kg_http_peer_issuer(req));
	if (kg_http_query(req, "q"))
		kg_buf_addf(&b, "q=%s %d\n", kg_http_query(req, "q"), kg_http_query_bool(req, "q"));
	if (kg_http_header(req, "content-encoding"))
		kg_buf_addf(&b, "coding=%s\n", kg_http_header(req, "content-encoding"));
	if (kg_http_query(req, "foreign"))
		kg_buf_addf(&b, "foreign=%d\n", kg_http_is_foreign(req));
	kg_buf_addf(&b, "body=%s", kg_buf_str(kg_http_body(req)));
	kg_http_set_header(req, "X-Test", "yes");
	kg_http_set_header(req, "X-Bad", "no\r\nX-Injected: yes");
	kg_http_reply(req, 200, "text/plain", &b);
}

static ssize_t stream_read(struct kg_http_req *req, char *buf, size_t max, void *ctx)
{
	struct stream *s = ctx;
	ssize_t n = 0;

	pthread_mutex_lock(&s->f->lock);
	if (!s->entered) {
		s->entered = true;
		s->f->opened++;
		pthread_cond_broadcast(&s->f->changed);
	}
	if (s->endless) {
		memset(buf, 'x', max);
		n = (ssize_t)max;
	} else {
		while (s->pending && max - (size_t)n > 32 && !(s->pieces && n))
			n += snprintf(buf + n, max - (size_t)n, "line %lu\n", s->pending--);
		if (!n && s->end)
			n = s->broken ? -2 : -1;
		if (s->pieces && n > 0 && s->pending)
			kg_http_message_goes_on(req);
	}
	pthread_mutex_unlock(&s->f->lock);
	return n;
}

static void answer_stream(struct kg_http_req *req, struct stream *s)
{
	const char *as = kg_http_query(req, "as");
	struct kg_http_websocket_options o = {.protocol = kg_http_websocket_offers(req)[0],
		.messages = !as                    ? KG_HTTP_TEXT
			    : strcmp(as, "base64") ? KG_HTTP_BINARY
						   : KG_HTTP_BASE64,
		.hello = kg_http_query(req, "hello")};

	if (kg_http_is_websocket(req))
		kg_http_websocket(req, &o, stream_read, s);
	else
		kg_http_stream(req, 200, "application/json", stream_read, s);
}

static void stream_open(struct kg_http_req *req, void *ctx)
{
	struct stream *s = kg_alloc(sizeof(*s));

	(void)ctx;
	s->f = &fx;
	s->req = req;
	const char *endless = kg_http_query(req, "endless");
	s->later = endless && strcmp(endless, "later") == 0;
	s->endless = endless && !s->later;
	s->pieces = kg_http_query(req, "pieces");
	s->broken = kg_http_query(req, "broken");
	kg_http_set_user(req, s, free);
	pthread_mutex_lock(&fx.lock);
	s->next = fx.streams;
	fx.streams = s;
	fx.nstreams++;
	pthread_mutex_unlock(&fx.lock);
	answer_stream(req, s);
}

static void stream_done(struct kg_http_req *req, void *ctx)
{
	struct stream *s = kg_http_user(req);

	pthread_mutex_lock(&fx.lock);
	for (struct stream **p = &fx.streams; *p; p = &(*p)->next)
		if (*p == s) {
			*p = s->next;
			fx.nstreams--;
			break;
		}
	pthread_mutex_unlock(&fx.lock);
	on_done(req, ctx);
}

static void *answer_later(void *arg)
{
	struct kg_http_req *req = arg;

	nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
	kg_http_reply_text(req, 201, "later");
	return NULL;
}

static void defer(struct kg_http_req *req, void *ctx)
{
	(void)ctx;
	kg_http_defer(req);
	pthread_mutex_lock(&fx.lock);
	pthread_t *t = &fx.threads[fx.nthreads++];
	assert_int_equal(pthread_create(t, NULL, answer_later, req), 0);
	pthread_mutex_unlock(&fx.lock);
}

static void *resume_later(void *arg)
{
	nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
	kg_http_upload_resume(arg);
	return NULL;
}

/* Each n-th piece is refused once; every other time the resume comes before the refusal. */
static bool upload_body(struct kg_http_req *req, const void *p, size_t n, void *ctx)
{
	unsigned *piece = kg_http_user(req);

	(void)p;
	(void)ctx;
	if (fx.stop_every && ++*piece % fx.stop_every == 0) {
		if (fx.stops++ % 2) {
			kg_http_upload_resume(req);
		} else {
			pthread_t t;
			assert_int_equal(pthread_create(&t, NULL, resume_later, req), 0);
			pthread_detach(t);
		}
		return false;
	}
	for (size_t i = 0; i < n; i++)
		if (((const char *)p)[i] != (char)('a' + (fx.uploaded + i) % 26))
			fail_msg("byte %zu of the upload is wrong", fx.uploaded + i);
	fx.uploaded += n;
	return true;
}

static void upload_open(struct kg_http_req *req, void *ctx)
{
	(void)ctx;
	fx.uploaded = 0;
	pthread_mutex_lock(&fx.lock);
	fx.uploads++;
	pthread_cond_broadcast(&fx.changed);
	pthread_mutex_unlock(&fx.lock);
	kg_http_set_user(req, kg_alloc(sizeof(unsigned)), free);
	if (kg_http_query_bool(req, "refuse"))
		kg_http_reply_text(req, 403, "refused");
}

static void upload_end(struct kg_http_req *req, void *ctx)
{
	struct kg_buf b = KG_BUF_INIT;

	(void)ctx;
	kg_buf_addf(&b, "%zu", fx.uploaded);
	kg_http_reply(req, 200, "text/plain", &b);
}

static void hold(struct kg_http_req *req, void *ctx)
{
	(void)ctx;
	kg_http_defer(req);
	pthread_mutex_lock(&fx.lock);
	fx.held = req;
	fx.opened++;
	pthread_cond_broadcast(&fx.changed);
	pthread_mutex_unlock(&fx.lock);
}

static void forget(struct kg_http_req *req, void *ctx)
{
	(void)req;
	(void)ctx;
}

static void big(struct kg_http_req *req, void *ctx)
{
	struct kg_buf b = KG_BUF_INIT;

	(void)ctx;
	kg_buf_reserve(&b, (size_t)8 << 20);
	for (size_t i = 0; i < ((size_t)8 << 20); i++)
		kg_buf_addc(&b, (char)('a' + i % 26));
	kg_http_reply(req, 200, "application/octet-stream", &b);
}

static bool router(struct kg_http_req *req, struct kg_http_route *route, void *ctx)
{
	static const struct {
		const char *path;
		struct kg_http_route route;
	} routes[] = {
		{"/echo", {.handle = echo, .max_body = 1000}},
		{"/stream", {.handle = stream_open, .done = stream_done}},
		{"/defer", {.handle = defer}},
		{"/upload", {.handle = upload_end, .open = upload_open, .body = upload_body}},
		{"/hold", {.handle = hold}},
		{"/forget", {.handle = forget}},
		{"/big", {.handle = big}},
	};

	(void)ctx;
	if (strcmp(kg_http_path(req), "/denied") == 0) {
		kg_http_reply_text(req, 403, "denied");
		return false;
	}
	for (size_t i = 0; i < KG_ARRAY_LEN(routes); i++) {
		size_t n = strlen(routes[i].path);
		if (strncmp(kg_http_path(req), routes[i].path, n) == 0) {
			*route = routes[i].route;
			if (!route->done)
				route->done = on_done;
			return true;
		}
	}
	return false;
}

void fixture_start(const struct kg_http_server_options *opts)
{
	struct kg_http_server_options o = opts ? *opts : (struct kg_http_server_options){0};
	struct kg_error err;

	fx = (struct fixture){0};
	pthread_mutex_init(&fx.lock, NULL);
	pthread_cond_init(&fx.changed, NULL);
	if (!o.listen)
		o.listen = "127.0.0.1:0";
	o.cert_pem = keys.server;
	o.key_pem = keys.server_key;
	o.client_ca_pem = keys.ca;
	o.router = router;
	if (kg_http_server_new(&fx.server, &o, &err))
		fail_msg("%s", err.msg);
	snprintf(fx.url, sizeof(fx.url), "https://%s:%d",
		o.listen[0] == '[' ? "[::1]" : "127.0.0.1", kg_http_server_port(fx.server));
}

void fixture_stop(void)
{
	kg_http_server_free(fx.server);
	for (unsigned i = 0; i < fx.nthreads; i++)
		pthread_join(fx.threads[i], NULL);
	assert_int_equal(fx.nstreams, 0);
	pthread_mutex_destroy(&fx.lock);
	pthread_cond_destroy(&fx.changed);
}

static void await(const unsigned *counter, unsigned n)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 30;
	pthread_mutex_lock(&fx.lock);
	while (*counter < n && pthread_cond_timedwait(&fx.changed, &fx.lock, &until) == 0)
		;
	unsigned is = *counter;
	pthread_mutex_unlock(&fx.lock);
	if (is < n)
		fail_msg("waited for %u, there are %u", n, is);
}

void fixture_await_uploads(unsigned n)
{
	await(&fx.uploads, n);
}

void fixture_await_opened(unsigned n)
{
	await(&fx.opened, n);
}

void fixture_await_done(unsigned n)
{
	await(&fx.done, n);
}

void fixture_feed(unsigned long lines, bool end)
{
	pthread_mutex_lock(&fx.lock);
	for (struct stream *s = fx.streams; s; s = s->next) {
		s->pending += lines;
		s->end |= end;
		s->endless |= s->later;
		kg_http_stream_wake(s->req);
	}
	pthread_mutex_unlock(&fx.lock);
}

struct kg_http_client *client_new(const char *cert, const char *key)
{
	return kg_http_client_new(&(struct kg_http_client_options){
		.url = fx.url,
		.ca_pem = keys.ca,
		.cert_pem = cert,
		.key_pem = key,
	});
}

/* ---- raw ---- */

static void open_raw(struct raw *r, const char *cert, const char *key, const gnutls_datum_t *data,
	size_t max_record)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)kg_http_server_port(fx.server)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};

	r->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(r->fd, (struct sockaddr *)&to, sizeof(to)), 0);
	gnutls_certificate_allocate_credentials(&r->creds);
	if (cert) {
		gnutls_datum_t c = {(unsigned char *)cert, (unsigned)strlen(cert)};
		gnutls_datum_t k = {(unsigned char *)key, (unsigned)strlen(key)};
		assert_int_equal(
			gnutls_certificate_set_x509_key_mem(r->creds, &c, &k, GNUTLS_X509_FMT_PEM),
			0);
	}
	gnutls_init(&r->session, GNUTLS_CLIENT | GNUTLS_NO_SIGNAL);
	gnutls_set_default_priority(r->session);
	if (data)
		assert_int_equal(gnutls_session_set_data(r->session, data->data, data->size), 0);
	gnutls_credentials_set(r->session, GNUTLS_CRD_CERTIFICATE, r->creds);
	gnutls_transport_set_int(r->session, r->fd);
	gnutls_record_set_timeout(r->session, 20000);
	if (max_record)
		assert_int_equal(gnutls_record_set_max_recv_size(r->session, max_record), 0);
	int e;
	do {
		e = gnutls_handshake(r->session);
	} while (e < 0 && !gnutls_error_is_fatal(e));
	assert_int_equal(e, 0);
}

void raw_open(struct raw *r, const char *cert, const char *key)
{
	open_raw(r, cert, key, NULL, 0);
}

void raw_open_resuming(struct raw *r, const char *cert, const char *key, const gnutls_datum_t *data)
{
	open_raw(r, cert, key, data, 0);
}

void raw_open_limited(struct raw *r, size_t max_record)
{
	open_raw(r, NULL, NULL, NULL, max_record);
}

void raw_send(struct raw *r, const void *p, size_t n)
{
	for (size_t done = 0; done < n;) {
		ssize_t w = gnutls_record_send(r->session, (const char *)p + done, n - done);
		if (w < 0)
			return; /* the server has closed: what it said is read */
		done += (size_t)w;
	}
}

char *raw_read(struct raw *r, const char *until)
{
	struct kg_buf b = KG_BUF_INIT;
	char piece[4096];

	for (;;) {
		ssize_t n = gnutls_record_recv(r->session, piece, sizeof(piece));
		if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED)
			continue;
		if (n <= 0)
			break;
		kg_buf_add(&b, piece, (size_t)n);
		if (until && strstr(b.data, until))
			break;
	}
	return kg_buf_steal(&b);
}

void raw_close(struct raw *r)
{
	close(r->fd);
	gnutls_deinit(r->session);
	gnutls_certificate_free_credentials(r->creds);
}
