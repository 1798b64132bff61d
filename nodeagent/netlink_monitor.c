/* The kernel drops routes with a link that goes down, without saying so of each: links are what is
 * listened to. */
#include "base/mem.h"
#include "netlink_private.h"
#include "nodeagent/netlink.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

struct kg_netlink_monitor {
	struct mnl_socket *socket;
	alignas(8) char recv[32768];
};

struct reading {
	const char *bridge;
	bool matters;
};

int kg_netlink_monitor_open(struct kg_netlink_monitor **out, struct kg_error *err)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (!s)
		return kg_fail_errno(err, "open a netlink socket");
	if (mnl_socket_bind(s, RTMGRP_LINK | RTMGRP_IPV4_ROUTE, MNL_SOCKET_AUTOPID) < 0) {
		mnl_socket_close(s);
		return kg_fail_errno(err, "listen to changes of links");
	}
	struct kg_netlink_monitor *m = kg_alloc(sizeof(*m));
	m->socket = s;
	*out = m;
	return 0;
}

int kg_netlink_monitor_fd(const struct kg_netlink_monitor *m)
{
	return mnl_socket_get_fd(m->socket);
}

/* Pods' links come and go, and are ports of the bridge or were; the bridge matters when it goes. */
static bool link_matters(const struct nlmsghdr *h, const char *bridge)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(h);
	const struct nlattr *a;
	const char *name = "";
	bool port = false;

	mnl_attr_for_each(a, h, sizeof(*info))
	{
		if (mnl_attr_get_type(a) == IFLA_IFNAME)
			name = mnl_attr_get_str(a);
		else if (mnl_attr_get_type(a) == IFLA_MASTER)
			port = true;
	}
	if (info->ifi_family == AF_BRIDGE || port)
		return false;
	if (strcmp(name, bridge) == 0)
		return h->nlmsg_type == RTM_DELLINK;
	return h->nlmsg_type == RTM_NEWLINK && strncmp(name, "kg", 2) != 0;
}

/* A route of ours that is deleted (also by us, which then is a look for nothing), or one that
 * somebody put in another's place. */
static bool route_matters(const struct nlmsghdr *h)
{
	const struct rtmsg *m = mnl_nlmsg_get_payload(h);
	bool ours = m->rtm_protocol == KG_ROUTE_PROTOCOL;

	if (m->rtm_table != RT_TABLE_MAIN)
		return false;
	return h->nlmsg_type == RTM_DELROUTE ? ours : !ours && h->nlmsg_flags & NLM_F_REPLACE;
}

static int on_event(const struct nlmsghdr *h, void *ctx)
{
	struct reading *r = ctx;

	if (h->nlmsg_type == RTM_NEWLINK || h->nlmsg_type == RTM_DELLINK)
		r->matters = r->matters || link_matters(h, r->bridge);
	else
		r->matters = r->matters || route_matters(h);
	return MNL_CB_OK;
}

bool kg_netlink_monitor_read(struct kg_netlink_monitor *m, const char *bridge)
{
	struct reading r = {.bridge = bridge};

	for (;;) {
		ssize_t n = mnl_socket_recvfrom(m->socket, m->recv, sizeof(m->recv));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == ENOBUFS) { /* some were lost */
			r.matters = true;
			continue;
		}
		if (n < 0)
			return r.matters;
		mnl_cb_run(m->recv, (size_t)n, 0, 0, on_event, &r);
	}
}

void kg_netlink_monitor_close(struct kg_netlink_monitor *m)
{
	if (!m)
		return;
	mnl_socket_close(m->socket);
	free(m);
}
