#include "nodeagent/probe_http.h"

#include "nodeagent/probe_socket.h"

#include <ctype.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct kg_probe_conn {
	int fd;
	struct kg_watch *watch;
	enum { CONNECTING, HANDSHAKE, SENDING, READING } step;
	gnutls_session_t tls; /* NULL: plain */
	gnutls_certificate_credentials_t cred;
	bool http;
	struct kg_buf request;
	size_t sent;
	char reply[64]; /* the beginning: "HTTP/1.1 200" */
	size_t got;
	void (*done)(void *ctx, bool ok);
	void *ctx;
};

void kg_probe_conn_free(struct kg_probe_conn *c)
{
	if (!c)
		return;
	kg_watch_free(c->watch);
	if (c->tls)
		gnutls_deinit(c->tls);
	if (c->cred)
		gnutls_certificate_free_credentials(c->cred);
	kg_closep(&c->fd);
	kg_buf_release(&c->request);
	free(c);
}

static bool header_ok(const char *s)
{
	for (; *s; s++)
		if (iscntrl((unsigned char)*s))
			return false;
	return true;
}

static void make_request(
	struct kg_probe_conn *c, const char *host, int port, const struct kg_value *http)
{
	const struct kg_value *headers = kg_get(http, "httpHeaders");
	const char *path = kg_string(kg_get(http, "path"), "/");
	bool has_host = false, has_agent = false;
	kg_buf_adds(&c->request, *path == '/' ? "GET " : "GET /");
	for (; *path; path++) {
		unsigned char ch = (unsigned char)*path;
		kg_buf_addf(&c->request, ch <= ' ' || ch >= 127 ? "%%%02X" : "%c", ch);
	}
	kg_buf_adds(&c->request, " HTTP/1.1\r\n");
	for (uint32_t i = 0; i < kg_len(headers); i++) {
		const char *name = kg_string(kg_get(&headers->items[i], "name"), "");
		const char *value = kg_string(kg_get(&headers->items[i], "value"), "");
		if (!header_ok(name) || !header_ok(value))
			continue;
		has_host = has_host || !strcasecmp(name, "Host");
		has_agent = has_agent || !strcasecmp(name, "User-Agent");
		kg_buf_addf(&c->request, "%s: %s\r\n", name, value);
	}
	bool six = strchr(host, ':') != NULL;
	if (!has_host)
		kg_buf_addf(&c->request, "Host: %s%s%s:%d\r\n", six ? "[" : "", host,
			six ? "]" : "", port);
	if (!has_agent)
		kg_buf_adds(&c->request, "User-Agent: kgit-probe/" KGIT_VERSION "\r\n");
	kg_buf_adds(&c->request, "Accept: */*\r\nConnection: close\r\n\r\n");
}

static void finish(struct kg_probe_conn *c, bool ok)
{
	c->done(c->ctx, ok);
}

/* 1 when there is nothing more to do in this step, 0 to wait, -1 on failure. */
static int handshake(struct kg_probe_conn *c)
{
	int rc = gnutls_handshake(c->tls);
	if (rc == GNUTLS_E_AGAIN || rc == GNUTLS_E_INTERRUPTED)
		return 0;
	return rc == 0 ? 1 : gnutls_error_is_fatal(rc) ? -1 : 0;
}

static int send_request(struct kg_probe_conn *c)
{
	while (c->sent < c->request.len) {
		const char *p = c->request.data + c->sent;
		size_t left = c->request.len - c->sent;
		ssize_t n = c->tls ? gnutls_record_send(c->tls, p, left)
				   : send(c->fd, p, left, MSG_NOSIGNAL);
		if (n == GNUTLS_E_AGAIN || (!c->tls && n < 0 && errno == EAGAIN))
			return 0;
		if (n <= 0)
			return -1;
		c->sent += (size_t)n;
	}
	return 1;
}

static int read_reply(struct kg_probe_conn *c)
{
	while (c->got < 12) {
		char *p = c->reply + c->got;
		size_t left = sizeof(c->reply) - 1 - c->got;
		ssize_t n = c->tls ? gnutls_record_recv(c->tls, p, left) : recv(c->fd, p, left, 0);
		if (c->tls ? n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED
			   : n < 0 && errno == EAGAIN)
			return 0;
		if (n <= 0)
			return -1;
		c->got += (size_t)n;
	}
	int status = 0;
	if (sscanf(c->reply, "HTTP/1.%*1d %3d", &status) != 1)
		return -1;
	return status >= 200 && status < 400 ? 1 : -1;
}

static void on_ready(void *ctx, uint32_t events)
{
	struct kg_probe_conn *c = ctx;
	int rc = 1;
	(void)events;
	while (rc == 1) {
		switch (c->step) {
		case CONNECTING:
			rc = kg_probe_socket_connected(c->fd) ? 1 : -1;
			if (rc == 1 && !c->http) {
				finish(c, true);
				return;
			}
			c->step = c->tls ? HANDSHAKE : SENDING;
			break;
		case HANDSHAKE:
			rc = handshake(c);
			if (rc == 1)
				c->step = SENDING;
			break;
		case SENDING:
			rc = send_request(c);
			if (rc == 1)
				c->step = READING;
			break;
		case READING:
			rc = read_reply(c);
			if (rc == 1) {
				finish(c, true);
				return;
			}
			break;
		}
	}
	if (rc < 0) {
		finish(c, false);
		return;
	}
	bool out =
		c->step == SENDING || (c->step == HANDSHAKE && gnutls_record_get_direction(c->tls));
	kg_watch_modify(c->watch, out ? EPOLLOUT : EPOLLIN);
}

static bool start_tls(struct kg_probe_conn *c)
{
	if (gnutls_certificate_allocate_credentials(&c->cred) < 0 ||
		gnutls_init(&c->tls, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) < 0)
		return false;
	gnutls_set_default_priority(c->tls);
	gnutls_credentials_set(c->tls, GNUTLS_CRD_CERTIFICATE, c->cred);
	gnutls_transport_set_int(c->tls, c->fd);
	return true;
}

struct kg_probe_conn *kg_probe_conn_new(struct kg_loop *loop, const char *host, int port,
	const struct kg_value *http, void (*done)(void *ctx, bool ok), void *ctx)
{
	int fd = kg_probe_socket_open(host, port);
	if (fd < 0)
		return NULL;
	struct kg_probe_conn *c = kg_alloc(sizeof(*c));
	*c = (struct kg_probe_conn){.fd = fd, .http = http != NULL, .done = done, .ctx = ctx};
	if (http)
		make_request(c, host, port, http);
	bool tls = http && !strcmp(kg_string(kg_get(http, "scheme"), "HTTP"), "HTTPS");
	c->watch = tls && !start_tls(c) ? NULL : kg_loop_watch(loop, fd, EPOLLOUT, on_ready, c);
	if (!c->watch) {
		kg_probe_conn_free(c);
		return NULL;
	}
	return c;
}
