/* Addresses, routes and neighbours. */
#include "base/mem.h"
#include "netlink_private.h"
#include "nodeagent/netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>

static const char *text_of(char out[INET_ADDRSTRLEN], in_addr_t addr)
{
	return inet_ntop(AF_INET, &addr, out, INET_ADDRSTRLEN);
}

static struct nlmsghdr *begin_addr(struct kg_netlink *nl, unsigned type, unsigned flags, int index,
	in_addr_t addr, unsigned prefix)
{
	struct nlmsghdr *h = kg_netlink_begin(nl, type, flags);
	struct ifaddrmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));

	m->ifa_family = AF_INET;
	m->ifa_prefixlen = (uint8_t)prefix;
	m->ifa_index = (uint32_t)index;
	mnl_attr_put_u32(h, IFA_LOCAL, addr);
	mnl_attr_put_u32(h, IFA_ADDRESS, addr);
	return h;
}

int kg_addr_set(
	struct kg_netlink *nl, int index, in_addr_t addr, unsigned prefix, struct kg_error *err)
{
	char text[INET_ADDRSTRLEN];
	struct nlmsghdr *h =
		begin_addr(nl, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, index, addr, prefix);

	if (kg_netlink_do(nl, h, NULL, NULL) < 0)
		return kg_fail_errno(err, "set address %s/%u", text_of(text, addr), prefix);
	return 0;
}

struct addr {
	int index;
	in_addr_t addr;
	unsigned prefix;
};
struct addrs {
	struct addr *items;
	size_t n, cap;
};

static int on_addr(const struct nlmsghdr *h, void *ctx)
{
	const struct ifaddrmsg *m = mnl_nlmsg_get_payload(h);
	struct addrs *all = ctx;
	struct addr found = {.index = (int)m->ifa_index, .prefix = m->ifa_prefixlen};
	const struct nlattr *a;

	if (h->nlmsg_type != RTM_NEWADDR || m->ifa_family != AF_INET)
		return MNL_CB_OK;
	mnl_attr_for_each(a, h, sizeof(*m))
	{
		if (mnl_attr_get_type(a) == IFA_LOCAL)
			found.addr = mnl_attr_get_u32(a);
	}
	KG_GROW(all->items, all->cap, all->n + 1);
	all->items[all->n++] = found;
	return MNL_CB_OK;
}

static int list_addrs(struct addrs *out, struct kg_netlink *nl, struct kg_error *err)
{
	struct nlmsghdr *h = kg_netlink_begin(nl, RTM_GETADDR, NLM_F_DUMP);
	struct ifaddrmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));

	m->ifa_family = AF_INET;
	if (kg_netlink_do(nl, h, on_addr, out) < 0)
		return kg_fail_errno(err, "list addresses");
	return 0;
}

int kg_addr_keep_only(
	struct kg_netlink *nl, int index, in_addr_t addr, unsigned prefix, struct kg_error *err)
{
	struct addrs all = {0};
	int rc = list_addrs(&all, nl, err);

	for (size_t i = 0; i < all.n && rc == 0; i++) {
		const struct addr *a = &all.items[i];

		if (a->index != index || (a->addr == addr && a->prefix == prefix))
			continue;
		struct nlmsghdr *h = begin_addr(nl, RTM_DELADDR, 0, index, a->addr, a->prefix);
		if (kg_netlink_do(nl, h, NULL, NULL) < 0 && errno != EADDRNOTAVAIL)
			rc = kg_fail_errno(err, "remove an address");
	}
	free(all.items);
	return rc;
}

int kg_addr_find(int *index, struct kg_netlink *nl, in_addr_t addr, struct kg_error *err)
{
	struct addrs all = {0};
	int rc = list_addrs(&all, nl, err), found = 0;

	for (size_t i = 0; i < all.n; i++) {
		if (all.items[i].addr == addr)
			found = all.items[i].index;
	}
	free(all.items);
	if (rc == 0)
		*index = found;
	return rc;
}

int kg_addr_list(in_addr_t **out, size_t *n, struct kg_netlink *nl, struct kg_error *err)
{
	struct addrs all = {0};
	int rc = list_addrs(&all, nl, err);

	if (rc == 0) {
		*out = kg_alloc((all.n + 1) * sizeof(**out));
		*n = all.n;
		for (size_t i = 0; i < all.n; i++)
			(*out)[i] = all.items[i].addr;
	}
	free(all.items);
	return rc;
}

static struct nlmsghdr *begin_route(
	struct kg_netlink *nl, unsigned type, unsigned flags, const struct kg_route *r)
{
	struct nlmsghdr *h = kg_netlink_begin(nl, type, flags);
	struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));

	m->rtm_family = AF_INET;
	m->rtm_dst_len = (uint8_t)r->prefix;
	m->rtm_table = RT_TABLE_MAIN;
	m->rtm_protocol = (uint8_t)(r->protocol ? r->protocol : KG_ROUTE_PROTOCOL);
	m->rtm_type = RTN_UNICAST;
	m->rtm_scope = r->gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
	m->rtm_flags = r->onlink ? RTNH_F_ONLINK : 0;
	if (type == RTM_DELROUTE)
		m->rtm_scope = RT_SCOPE_NOWHERE;
	mnl_attr_put_u32(h, RTA_DST, r->dst & kg_cidr_mask(r->prefix));
	if (r->gateway)
		mnl_attr_put_u32(h, RTA_GATEWAY, r->gateway);
	if (r->index)
		mnl_attr_put_u32(h, RTA_OIF, (uint32_t)r->index);
	if (r->source)
		mnl_attr_put_u32(h, RTA_PREFSRC, r->source);
	return h;
}

int kg_route_set(struct kg_netlink *nl, const struct kg_route *r, struct kg_error *err)
{
	char dst[INET_ADDRSTRLEN], via[INET_ADDRSTRLEN];
	struct nlmsghdr *h = begin_route(nl, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, r);

	if (kg_netlink_do(nl, h, NULL, NULL) < 0)
		return kg_fail_errno(err, "set route to %s/%u via %s", text_of(dst, r->dst),
			r->prefix, text_of(via, r->gateway));
	return 0;
}

int kg_route_del(struct kg_netlink *nl, const struct kg_route *r, struct kg_error *err)
{
	char dst[INET_ADDRSTRLEN];
	struct nlmsghdr *h = begin_route(nl, RTM_DELROUTE, 0, r);

	if (kg_netlink_do(nl, h, NULL, NULL) < 0 && errno != ESRCH)
		return kg_fail_errno(err, "remove route to %s/%u", text_of(dst, r->dst), r->prefix);
	return 0;
}

struct routes {
	struct kg_route *items;
	size_t n, cap;
};

static int on_route(const struct nlmsghdr *h, void *ctx)
{
	const struct rtmsg *m = mnl_nlmsg_get_payload(h);
	struct routes *all = ctx;
	struct kg_route r = {.prefix = m->rtm_dst_len, .protocol = m->rtm_protocol};
	const struct nlattr *a;

	if (m->rtm_family != AF_INET || m->rtm_table != RT_TABLE_MAIN ||
		m->rtm_protocol != KG_ROUTE_PROTOCOL)
		return MNL_CB_OK;
	mnl_attr_for_each(a, h, sizeof(*m))
	{
		switch (mnl_attr_get_type(a)) {
		case RTA_DST:
			r.dst = mnl_attr_get_u32(a);
			break;
		case RTA_GATEWAY:
			r.gateway = mnl_attr_get_u32(a);
			break;
		case RTA_OIF:
			r.index = (int)mnl_attr_get_u32(a);
			break;
		case RTA_PREFSRC:
			r.source = mnl_attr_get_u32(a);
			break;
		}
	}
	KG_GROW(all->items, all->cap, all->n + 1);
	all->items[all->n++] = r;
	return MNL_CB_OK;
}

int kg_route_list(struct kg_route **out, size_t *n, struct kg_netlink *nl, struct kg_error *err)
{
	struct nlmsghdr *h = kg_netlink_begin(nl, RTM_GETROUTE, NLM_F_DUMP);
	struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	struct routes all = {0};

	m->rtm_family = AF_INET;
	m->rtm_table = RT_TABLE_MAIN;
	if (kg_netlink_do(nl, h, on_route, &all) < 0) {
		free(all.items);
		return kg_fail_errno(err, "list routes");
	}
	*out = all.items;
	*n = all.n;
	return 0;
}

static struct nlmsghdr *begin_neigh(
	struct kg_netlink *nl, unsigned type, unsigned flags, int index, in_addr_t addr)
{
	struct nlmsghdr *h = kg_netlink_begin(nl, type, flags);
	struct ndmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));

	m->ndm_family = AF_INET;
	m->ndm_ifindex = index;
	if (type == RTM_NEWNEIGH)
		m->ndm_state = NUD_PERMANENT;
	mnl_attr_put_u32(h, NDA_DST, addr);
	return h;
}

int kg_neigh_set(struct kg_netlink *nl, int index, in_addr_t addr, const uint8_t mac[6],
	struct kg_error *err)
{
	char text[INET_ADDRSTRLEN];
	struct nlmsghdr *h =
		begin_neigh(nl, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, index, addr);

	mnl_attr_put(h, NDA_LLADDR, 6, mac);
	if (kg_netlink_do(nl, h, NULL, NULL) < 0)
		return kg_fail_errno(err, "set neighbour %s", text_of(text, addr));
	return 0;
}

static int on_neigh(const struct nlmsghdr *h, void *ctx)
{
	const struct nlattr *a;

	mnl_attr_for_each(a, h, sizeof(struct ndmsg))
	{
		if (mnl_attr_get_type(a) == NDA_LLADDR && mnl_attr_get_payload_len(a) == 6)
			memcpy(ctx, mnl_attr_get_payload(a), 6);
	}
	return MNL_CB_OK;
}

int kg_neigh_del(struct kg_netlink *nl, int index, in_addr_t addr, const uint8_t mac[6],
	struct kg_error *err)
{
	char text[INET_ADDRSTRLEN];
	uint8_t found[6] = {0};
	struct nlmsghdr *h = begin_neigh(nl, RTM_GETNEIGH, 0, index, addr);

	if (kg_netlink_do(nl, h, on_neigh, found) < 0)
		return errno == ENOENT ? 0 : kg_fail_errno(err, "look up a neighbour");
	if (memcmp(found, mac, 6) != 0)
		return 0;
	h = begin_neigh(nl, RTM_DELNEIGH, 0, index, addr);
	if (kg_netlink_do(nl, h, NULL, NULL) < 0 && errno != ENOENT)
		return kg_fail_errno(err, "remove neighbour %s", text_of(text, addr));
	return 0;
}
