#include "internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* host and port of "host:port", "[host]:port" or ":port". */
static int split(const char *address, char host[64], char port[8], struct kg_error *err)
{
	const char *colon = strrchr(address, ':');
	const char *end = colon;

	if (!colon)
		goto bad;
	if (address[0] == '[') {
		address++;
		end = colon - 1;
		if (end < address || *end != ']')
			goto bad;
	}
	if ((size_t)(end - address) >= 64 || !colon[1] || strlen(colon + 1) >= 8)
		goto bad;
	memcpy(host, address, (size_t)(end - address));
	host[end - address] = '\0';
	strcpy(port, colon + 1);
	return 0;
bad:
	return kg_fail(err, KG_E_BAD_REQUEST,
		"listen address \"%s\": expected ADDRESS:PORT or [ADDRESS]:PORT", address);
}

static int port_of(int fd)
{
	struct sockaddr_storage ss = {0};
	socklen_t len = sizeof(ss);

	if (getsockname(fd, (struct sockaddr *)&ss, &len))
		return -1;
	if (ss.ss_family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *)&ss)->sin6_port);
	return ntohs(((struct sockaddr_in *)&ss)->sin_port);
}

/* Accepted sockets inherit these. A peer whose machine or network is gone sends no FIN: a stream
 * that only waits for it would stay for ever. What fails here leaves the kernel's defaults. */
static void set_keepalive(int fd)
{
	int on = 1, idle_s = 30, interval_s = 10, probes = 3;
	unsigned unacked_ms = 60000;

	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacked_ms, sizeof(unacked_ms));
}

static int open_socket(const struct addrinfo *ai)
{
	int one = 1;
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	/* Accepted sockets inherit TCP_NODELAY. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) ||
		bind(fd, ai->ai_addr, ai->ai_addrlen) || listen(fd, 1024)) {
		int e = errno;
		close(fd);
		errno = e;
		return -1;
	}
	set_keepalive(fd);
	return fd;
}

int kg_listen(int *listening, int *port, const char *address, struct kg_error *err)
{
	char host[64], service[8];
	struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV,
	};
	struct addrinfo *ai = NULL;

	int rc = split(address, host, service, err);
	if (rc)
		return rc;
	/* All addresses: the IPv6 wildcard serves IPv4 too, where the machine has IPv6. */
	int e = getaddrinfo(host[0] ? host : NULL, service, &hints, &ai);
	if (e || !ai)
		return kg_fail(err, KG_E_BAD_REQUEST, "listen address \"%s\": %s", address,
			gai_strerror(e));
	int fd = -1;
	if (!host[0])
		for (struct addrinfo *i = ai; i && fd < 0; i = i->ai_next)
			if (i->ai_family == AF_INET6)
				fd = open_socket(i);
	for (struct addrinfo *i = ai; i && fd < 0; i = i->ai_next)
		fd = open_socket(i);
	int saved = errno;
	freeaddrinfo(ai);
	errno = saved;
	if (fd < 0)
		return kg_fail_errno(err, "listen on %s", address);
	*listening = fd;
	*port = port_of(fd);
	return 0;
}
