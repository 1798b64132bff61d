/*
 * Changes by others. Each change is told with the port of the socket that it came by; our own are
 * known by that.
 */
#include "base/mem.h"
#include "nft_private.h"
#include "nodeagent/nft.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdalign.h>
#include <string.h>
#include <sys/socket.h>

struct kg_nft_monitor {
	struct mnl_socket *socket;
	const struct kg_nft_table *table;
	unsigned own; /* the port of our own changes */
	bool foreign;
	alignas(8) char recv[32768];
};

int kg_nft_monitor_open(struct kg_nft_monitor **out, const struct kg_nft *own, struct kg_error *err)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int group = NFNLGRP_NFTABLES,
	    size = 32 << 20; /* for what is told of many changes of ours at once */

	if (!s)
		return kg_fail_errno(err, "open an nfnetlink socket");
	if (mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0 ||
		mnl_socket_setsockopt(s, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0) {
		mnl_socket_close(s);
		return kg_fail_errno(err, "listen to nftables' changes");
	}
	setsockopt(mnl_socket_get_fd(s), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	struct kg_nft_monitor *m = kg_alloc(sizeof(*m));
	m->socket = s;
	m->table = own->table;
	m->own = mnl_socket_get_portid(own->socket);
	*out = m;
	return 0;
}

int kg_nft_monitor_fd(const struct kg_nft_monitor *m)
{
	return mnl_socket_get_fd(m->socket);
}

static bool names_table(const struct nlmsghdr *h, const char *table)
{
	const struct nfgenmsg *g = mnl_nlmsg_get_payload(h);
	const struct nlattr *a;

	if (g->nfgen_family != NFPROTO_IPV4 && g->nfgen_family != NFPROTO_BRIDGE)
		return false;
	mnl_attr_for_each(a, h, sizeof(*g))
	{
		/* The first attribute of every kind of object is its table's name. */
		if (mnl_attr_get_type(a) == 1)
			return strcmp(mnl_attr_get_str(a), table) == 0;
	}
	return false;
}

static int on_event(const struct nlmsghdr *h, void *ctx)
{
	struct kg_nft_monitor *m = ctx;

	if ((h->nlmsg_type & 0xFF) != NFT_MSG_NEWGEN && h->nlmsg_pid != m->own &&
		names_table(h, m->table->name))
		m->foreign = true;
	return MNL_CB_OK;
}

bool kg_nft_monitor_read(struct kg_nft_monitor *m)
{
	m->foreign = false;
	for (;;) {
		ssize_t n = mnl_socket_recvfrom(m->socket, m->recv, sizeof(m->recv));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == ENOBUFS) { /* some were lost */
			m->foreign = true;
			continue;
		}
		if (n < 0)
			return m->foreign;
		mnl_cb_run(m->recv, (size_t)n, 0, 0, on_event, m);
	}
}

void kg_nft_monitor_close(struct kg_nft_monitor *m)
{
	if (!m)
		return;
	mnl_socket_close(m->socket);
	free(m);
}
