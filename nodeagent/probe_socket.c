#include "nodeagent/probe_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

int kg_probe_socket_open(const char *host, int port)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	bool is4 = inet_pton(AF_INET, host, &four.sin_addr) == 1;
	if (port <= 0 || port > 65535 || (!is4 && inet_pton(AF_INET6, host, &six.sin6_addr) != 1))
		return -1;
	int fd = socket(is4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const struct sockaddr *to = is4 ? (const void *)&four : (const void *)&six;
	if (fd >= 0 && connect(fd, to, is4 ? sizeof(four) : sizeof(six)) < 0 &&
		errno != EINPROGRESS) {
		close(fd);
		return -1;
	}
	return fd;
}

bool kg_probe_socket_connected(int fd)
{
	int e = 0;
	socklen_t n = sizeof(e);

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &n) == 0 && e == 0;
}
