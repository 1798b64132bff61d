/*
 * How TLS reads from and writes to its socket. GnuTLS asks for a record's five bytes of head and
 * then for the rest, a system call each: small records are read ahead. libmicrohttpd asks until it
 * hears that there is nothing now, so what was read ahead is never forgotten. What a sender writes
 * goes to its outbox, which always has room.
 */
#include "internal.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

static ssize_t put(struct kg_outbox *outbox, const giovec_t *iov, int n)
{
	ssize_t all = 0;

	for (int i = 0; i < n; i++) {
		kg_outbox_add(outbox, iov[i].iov_base, iov[i].iov_len);
		all += (ssize_t)iov[i].iov_len;
	}
	return all;
}

/* What a sender could not send; false, and errno, while there is some. */
static bool send_rest(struct kg_http_conn *conn)
{
	ssize_t n = send(conn->fd, conn->rest.data, conn->rest.len, MSG_NOSIGNAL);

	if (n < 0)
		return false;
	kg_buf_remove(&conn->rest, 0, (size_t)n);
	errno = EAGAIN;
	return !conn->rest.len;
}

/* A handshake's records in one piece; else there is one, and send is cheaper. */
static ssize_t push(gnutls_transport_ptr_t ctx, const giovec_t *iov, int n)
{
	struct kg_http_conn *conn = ctx;
	struct msghdr m = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n};

	if (conn->outbox)
		return put(conn->outbox, iov, n);
	if (conn->rest.len && !send_rest(conn))
		return -1;
	if (n == 1)
		return send(conn->fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL);
	return sendmsg(conn->fd, &m, MSG_NOSIGNAL);
}

static ssize_t receive(struct kg_http_conn *conn, void *p, size_t n)
{
	ssize_t got = recv(conn->fd, p, n, 0);

	conn->dry = got < 0 && errno == EAGAIN;
	return got;
}

static ssize_t pull(gnutls_transport_ptr_t ctx, void *p, size_t n)
{
	struct kg_http_conn *conn = ctx;

	if (conn->ahead_at == conn->ahead_len) {
		/* The rest of a large record. */
		if (n >= sizeof(conn->ahead))
			return receive(conn, p, n);
		ssize_t got = receive(conn, conn->ahead, sizeof(conn->ahead));

		if (got <= 0)
			return got;
		conn->ahead_at = 0;
		conn->ahead_len = (uint16_t)got;
	}
	size_t have = (size_t)(conn->ahead_len - conn->ahead_at);

	if (n > have)
		n = have;
	memcpy(p, conn->ahead + conn->ahead_at, n);
	conn->ahead_at = (uint16_t)(conn->ahead_at + n);
	return (ssize_t)n;
}

static int pull_timeout(gnutls_transport_ptr_t ctx, unsigned ms)
{
	const struct kg_http_conn *conn = ctx;

	if (conn->ahead_at != conn->ahead_len)
		return 1;
	return gnutls_system_recv_timeout((gnutls_transport_ptr_t)(intptr_t)conn->fd, ms);
}

void kg_transport_set(struct kg_http_conn *conn)
{
	gnutls_transport_set_ptr(conn->tls, conn);
	gnutls_transport_set_vec_push_function(conn->tls, push);
	gnutls_transport_set_pull_function(conn->tls, pull);
	gnutls_transport_set_pull_timeout_function(conn->tls, pull_timeout);
}
