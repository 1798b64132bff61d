#include "nettest.h"
#include "base/mem.h"
#include "nodeagent/netlink.h"
#include "nodeagent/netns.h"
#include "sys/file.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#define TIMEOUT_MS 3000

struct server {
	int fd;
	const char *name;
	bool udp;
	pthread_t thread;
};

static char dir[64];
static struct {
	char *path;
	int fd;
} spaces[256];
static size_t nspaces;
static struct server servers[128];
static size_t nservers;
static atomic_bool stopping;

static void die(const char *what)
{
	fprintf(stderr, "nettest: %s: %s\n", what, strerror(errno));
	exit(1);
}

void nt_start(void)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNET | CLONE_NEWNS) < 0) {
		fprintf(stderr, "SKIPPED: needs root and namespaces\n");
		exit(77);
	}
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		die("private mounts");
	snprintf(dir, sizeof(dir), "/tmp/kgit-nettest-XXXXXX");
	if (!mkdtemp(dir))
		die("mkdtemp");
}

void nt_end(void)
{
	atomic_store(&stopping, true);
	for (size_t i = 0; i < nservers; i++) {
		shutdown(servers[i].fd, SHUT_RDWR);
		pthread_join(servers[i].thread, NULL);
		close(servers[i].fd);
	}
	for (size_t i = 0; i < nspaces; i++) {
		close(spaces[i].fd);
		if (kg_ns_unpin(spaces[i].path, NULL) < 0)
			die(spaces[i].path);
		free(spaces[i].path);
	}
	if (rmdir(dir) < 0)
		die(dir);
}

int nt_pod(const char *name, const char **path)
{
	struct kg_error err;
	char *p = kg_asprintf("%s/%s", dir, name);

	if (kg_netns_create(p, &err) < 0) {
		fprintf(stderr, "nettest: %s\n", err.msg);
		exit(1);
	}
	spaces[nspaces].path = p;
	spaces[nspaces].fd = open(p, O_RDONLY | O_CLOEXEC);
	if (path)
		*path = p;
	return spaces[nspaces++].fd;
}

struct call {
	int ns;
	void (*fn)(void *ctx);
	void *ctx;
};

static void *run_call(void *arg)
{
	struct call *c = arg;

	if (setns(c->ns, CLONE_NEWNET) < 0)
		die("setns");
	c->fn(c->ctx);
	return NULL;
}

void nt_in(int ns, void (*fn)(void *ctx), void *ctx)
{
	struct call c = {ns, fn, ctx};
	pthread_t thread;

	if (pthread_create(&thread, NULL, run_call, &c))
		die("thread");
	pthread_join(thread, NULL);
}

int nt_host(const char *name)
{
	int ns = nt_pod(name, NULL);
	struct kg_netlink *nl;
	struct kg_error err;

	if (kg_netlink_open(&nl, ns, &err) < 0 || kg_link_up(nl, 1, &err) < 0)
		die(err.msg);
	kg_netlink_close(nl);
	return ns;
}

static void set_addr(int ns, const char *link, const char *addr)
{
	struct kg_netlink *nl;
	struct kg_error err;
	struct kg_link l;

	if (kg_netlink_open(&nl, ns, &err) < 0 || kg_link_get(&l, nl, link, &err) < 0 ||
		kg_addr_set(nl, l.index, inet_addr(addr), 24, &err) < 0 ||
		kg_link_up(nl, l.index, &err) < 0)
		die(err.msg);
	kg_netlink_close(nl);
}

void nt_join(int a, const char *addr_a, int b, const char *addr_b)
{
	static unsigned char n;
	uint8_t mac_a[6] = {2, 0, 0, 0, 1, ++n}, mac_b[6] = {2, 0, 0, 0, 2, n};
	char name[16];
	struct kg_netlink *nl;
	struct kg_error err;

	snprintf(name, sizeof(name), "wire%d", n);
	struct kg_veth veth = {
		.name = name, .peer = name, .mac = mac_a, .peer_mac = mac_b, .peer_netns = b};
	if (kg_netlink_open(&nl, a, &err) < 0 || kg_link_add_veth(nl, &veth, &err) < 0)
		die(err.msg);
	kg_netlink_close(nl);
	set_addr(a, name, addr_a);
	set_addr(b, name, addr_b);
}

static void answer(struct server *s, const struct sockaddr_in *peer, int fd, socklen_t len)
{
	char text[100];
	int n = snprintf(text, sizeof(text), "%s %s\n", s->name, inet_ntoa(peer->sin_addr));

	if (sendto(fd, text, (size_t)n, MSG_NOSIGNAL, len ? (const void *)peer : NULL, len) < 0)
		fprintf(stderr, "nettest: answer: %s\n", strerror(errno));
}

static void *serve(void *arg)
{
	struct server *s = arg;
	struct sockaddr_in peer;

	while (!atomic_load(&stopping)) {
		socklen_t len = sizeof(peer);
		char byte[64];

		if (s->udp) {
			struct pollfd p = {s->fd, POLLIN, 0};
			if (poll(&p, 1, 50) <= 0)
				continue;
			if (recvfrom(s->fd, byte, sizeof(byte), 0, (void *)&peer, &len) > 0)
				answer(s, &peer, s->fd, len);
			continue;
		}
		int fd = accept4(s->fd, (void *)&peer, &len, SOCK_CLOEXEC);
		if (fd < 0)
			continue;
		answer(s, &peer, fd, 0);
		close(fd);
	}
	return NULL;
}

struct listening {
	struct server *server;
	int port;
};

static void start_listening(void *arg)
{
	struct listening *l = arg;
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)l->port)};
	int one = 1;
	int fd = socket(AF_INET, (l->server->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (void *)&addr, sizeof(addr)) < 0 || (!l->server->udp && listen(fd, 64) < 0))
		die("listen");
	l->server->fd = fd;
}

void nt_serve(int ns, const char *name, int port, bool udp)
{
	struct server *s = &servers[nservers++];
	struct listening l = {s, port};

	s->name = name;
	s->udp = udp;
	nt_in(ns, start_listening, &l);
	if (pthread_create(&s->thread, NULL, serve, s))
		die("thread");
}

struct question {
	const char *addr;
	int port;
	bool udp;
	int from; /* port, 0: any */
	char text[100];
};

static void fail_text(struct question *q, int e)
{
	if (e == ECONNREFUSED)
		strcpy(q->text, "refused");
	else if (e == ETIMEDOUT || e == EAGAIN)
		strcpy(q->text, "timeout");
	else
		snprintf(q->text, sizeof(q->text), "%s", strerror(e));
}

static void ask(void *arg)
{
	struct question *q = arg;
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)q->port)};
	struct timeval wait = {TIMEOUT_MS / 1000, 0};
	int fd = socket(AF_INET, (q->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
	ssize_t n = -1;

	struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons((uint16_t)q->from)};
	if (q->from && bind(fd, (void *)&own, sizeof(own)) < 0)
		die("bind");
	inet_pton(AF_INET, q->addr, &addr.sin_addr);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	int rc = connect(fd, (void *)&addr, sizeof(addr));
	if (rc < 0 && errno == EINPROGRESS)
		errno = ETIMEDOUT;
	if (rc == 0 && q->udp)
		rc = send(fd, "?", 1, 0) == 1 ? 0 : -1;
	if (rc == 0)
		n = recv(fd, q->text, sizeof(q->text) - 1, 0);
	if (n < 0)
		fail_text(q, errno);
	else
		q->text[strcspn(q->text, "\n")] = '\0';
	close(fd);
}

const char *nt_ask(int ns, const char *addr, int port, bool udp)
{
	static struct question q;

	q = (struct question){.addr = addr, .port = port, .udp = udp};
	nt_in(ns, ask, &q);
	return q.text;
}

const char *nt_ask_from(int ns, const char *addr, int port, int from)
{
	static struct question q;

	q = (struct question){.addr = addr, .port = port, .udp = true, .from = from};
	nt_in(ns, ask, &q);
	return q.text;
}

const char *nt_who(int ns, const char *addr, int port)
{
	char *answer_text = (char *)nt_ask(ns, addr, port, false);

	answer_text[strcspn(answer_text, " ")] = '\0';
	return answer_text;
}
