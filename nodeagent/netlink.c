#include "nodeagent/netlink.h"
#include "base/mem.h"
#include "netlink_private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

int kg_cidr_parse(struct kg_cidr *out, const char *s, struct kg_error *err)
{
	struct in_addr addr;
	char text[32], extra;
	unsigned prefix;

	if (sscanf(s, "%31[0-9.]/%2u%c", text, &prefix, &extra) != 2 || prefix > 32 ||
		inet_pton(AF_INET, text, &addr) != 1)
		return kg_fail(err, KG_E_INVALID, "\"%s\" is not an IPv4 range (a.b.c.d/n)", s);
	out->addr = addr.s_addr;
	out->prefix = prefix;
	return 0;
}

in_addr_t kg_cidr_mask(unsigned prefix)
{
	return prefix ? htonl(~0U << (32 - prefix)) : 0;
}

bool kg_cidr_has(const struct kg_cidr *c, in_addr_t addr)
{
	return ((addr ^ c->addr) & kg_cidr_mask(c->prefix)) == 0;
}

struct opening {
	int netns;
	struct mnl_socket *socket;
	int error;
};

static void *open_there(void *arg)
{
	struct opening *o = arg;

	if (o->netns >= 0 && setns(o->netns, CLONE_NEWNET) < 0) {
		o->error = errno;
		return NULL;
	}
	o->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!o->socket || mnl_socket_bind(o->socket, 0, MNL_SOCKET_AUTOPID) < 0)
		o->error = errno;
	return NULL;
}

int kg_netlink_open(struct kg_netlink **out, int netns, struct kg_error *err)
{
	struct opening o = {.netns = netns};
	pthread_t thread;

	if (netns < 0) {
		open_there(&o);
	} else {
		errno = pthread_create(&thread, NULL, open_there, &o);
		if (errno)
			return kg_fail_errno(err, "thread for a network namespace");
		pthread_join(thread, NULL);
	}
	if (o.error) {
		if (o.socket)
			mnl_socket_close(o.socket);
		errno = o.error;
		return kg_fail_errno(err, "open a netlink socket");
	}
	struct kg_netlink *nl = kg_alloc(sizeof(*nl));
	nl->socket = o.socket;
	nl->port = mnl_socket_get_portid(o.socket);
	*out = nl;
	return 0;
}

void kg_netlink_close(struct kg_netlink *nl)
{
	if (!nl)
		return;
	mnl_socket_close(nl->socket);
	free(nl);
}

struct nlmsghdr *kg_netlink_begin(struct kg_netlink *nl, unsigned type, unsigned flags)
{
	memset(nl->buf, 0, sizeof(struct nlmsghdr) + 64);
	struct nlmsghdr *h = mnl_nlmsg_put_header(nl->buf);

	h->nlmsg_type = (uint16_t)type;
	h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	h->nlmsg_seq = ++nl->seq;
	return h;
}

int kg_netlink_do(struct kg_netlink *nl, struct nlmsghdr *h, mnl_cb_t cb, void *ctx)
{
	/* The flags of a dump mean something else in requests that make things. */
	if ((h->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP)
		h->nlmsg_flags |= NLM_F_ACK;
	if (mnl_socket_sendto(nl->socket, h, h->nlmsg_len) < 0)
		return -1;
	for (;;) {
		ssize_t n = mnl_socket_recvfrom(nl->socket, nl->recv, sizeof(nl->recv));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		int rc = mnl_cb_run(nl->recv, (size_t)n, nl->seq, nl->port, cb, ctx);
		if (rc <= MNL_CB_STOP)
			return rc;
	}
}
