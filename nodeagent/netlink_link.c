#include "base/mem.h"
#include "netlink_private.h"
#include "nodeagent/netlink.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <string.h>

static int on_link(const struct nlmsghdr *h, void *ctx)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(h);
	struct kg_link *link = ctx;
	const struct nlattr *a;

	link->index = info->ifi_index;
	link->up = info->ifi_flags & IFF_UP;
	mnl_attr_for_each(a, h, sizeof(*info))
	{
		switch (mnl_attr_get_type(a)) {
		case IFLA_MASTER:
			link->master = (int)mnl_attr_get_u32(a);
			break;
		case IFLA_LINK:
			link->peer = (int)mnl_attr_get_u32(a);
			break;
		case IFLA_MTU:
			link->mtu = mnl_attr_get_u32(a);
			break;
		case IFLA_ADDRESS:
			if (mnl_attr_get_payload_len(a) == sizeof(link->mac))
				memcpy(link->mac, mnl_attr_get_payload(a), sizeof(link->mac));
			break;
		}
	}
	return MNL_CB_OK;
}

struct links {
	struct kg_link *items;
	size_t n, cap;
};

static int on_each_link(const struct nlmsghdr *h, void *ctx)
{
	struct links *all = ctx;
	const struct nlattr *a;
	struct kg_link link = {0};

	on_link(h, &link);
	mnl_attr_for_each(a, h, sizeof(struct ifinfomsg))
	{
		if (mnl_attr_get_type(a) == IFLA_IFNAME)
			strncpy(link.name, mnl_attr_get_str(a), sizeof(link.name) - 1);
	}
	KG_GROW(all->items, all->cap, all->n + 1);
	all->items[all->n++] = link;
	return MNL_CB_OK;
}

static struct nlmsghdr *begin(
	struct kg_netlink *nl, unsigned type, unsigned flags, int index, bool up)
{
	struct nlmsghdr *h = kg_netlink_begin(nl, type, flags);
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(h, sizeof(*info));

	info->ifi_family = AF_UNSPEC;
	info->ifi_index = index;
	if (up)
		info->ifi_flags = info->ifi_change = IFF_UP;
	return h;
}

int kg_link_get(struct kg_link *out, struct kg_netlink *nl, const char *name, struct kg_error *err)
{
	struct kg_link link = {0};
	struct nlmsghdr *h = begin(nl, RTM_GETLINK, 0, 0, false);

	mnl_attr_put_strz(h, IFLA_IFNAME, name);
	if (kg_netlink_do(nl, h, on_link, &link) < 0) {
		if (errno == ENODEV)
			return kg_fail(err, KG_E_NOT_FOUND, "there is no link %s", name);
		return kg_fail_errno(err, "look up link %s", name);
	}
	strncpy(link.name, name, sizeof(link.name) - 1);
	*out = link;
	return 0;
}

int kg_link_list(struct kg_link **out, size_t *n, struct kg_netlink *nl, struct kg_error *err)
{
	struct links all = {0};
	struct nlmsghdr *h = begin(nl, RTM_GETLINK, NLM_F_DUMP, 0, false);

	if (kg_netlink_do(nl, h, on_each_link, &all) < 0) {
		free(all.items);
		return kg_fail_errno(err, "list links");
	}
	*out = all.items;
	*n = all.n;
	return 0;
}

int kg_link_add_bridge(
	struct kg_netlink *nl, const char *name, const uint8_t mac[6], struct kg_error *err)
{
	struct nlmsghdr *h = begin(nl, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0, true);

	mnl_attr_put_strz(h, IFLA_IFNAME, name);
	mnl_attr_put(h, IFLA_ADDRESS, 6, mac);
	struct nlattr *info = mnl_attr_nest_start(h, IFLA_LINKINFO);
	mnl_attr_put_strz(h, IFLA_INFO_KIND, "bridge");
	mnl_attr_nest_end(h, info);
	if (kg_netlink_do(nl, h, NULL, NULL) < 0 && errno != EEXIST)
		return kg_fail_errno(err, "make bridge %s", name);
	return 0;
}

static void put_peer(struct nlmsghdr *h, const struct kg_veth *v)
{
	struct nlattr *data = mnl_attr_nest_start(h, IFLA_INFO_DATA);
	struct nlattr *peer = mnl_attr_nest_start(h, VETH_INFO_PEER);
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(h, sizeof(*info));

	info->ifi_family = AF_UNSPEC;
	mnl_attr_put_strz(h, IFLA_IFNAME, v->peer);
	mnl_attr_put(h, IFLA_ADDRESS, 6, v->peer_mac);
	mnl_attr_put_u32(h, IFLA_NET_NS_FD, (uint32_t)v->peer_netns);
	if (v->mtu)
		mnl_attr_put_u32(h, IFLA_MTU, v->mtu);
	mnl_attr_nest_end(h, peer);
	mnl_attr_nest_end(h, data);
}

int kg_link_add_veth(struct kg_netlink *nl, const struct kg_veth *v, struct kg_error *err)
{
	struct nlmsghdr *h = begin(nl, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0, true);

	mnl_attr_put_strz(h, IFLA_IFNAME, v->name);
	mnl_attr_put(h, IFLA_ADDRESS, 6, v->mac);
	mnl_attr_put_u32(h, IFLA_MASTER, (uint32_t)v->master);
	if (v->mtu)
		mnl_attr_put_u32(h, IFLA_MTU, v->mtu);
	struct nlattr *info = mnl_attr_nest_start(h, IFLA_LINKINFO);
	mnl_attr_put_strz(h, IFLA_INFO_KIND, "veth");
	put_peer(h, v);
	mnl_attr_nest_end(h, info);
	if (kg_netlink_do(nl, h, NULL, NULL) < 0)
		return kg_fail_errno(err, "make veth %s", v->name);
	return 0;
}

int kg_link_up(struct kg_netlink *nl, int index, struct kg_error *err)
{
	struct nlmsghdr *h = begin(nl, RTM_NEWLINK, 0, index, true);

	if (kg_netlink_do(nl, h, NULL, NULL) < 0)
		return kg_fail_errno(err, "set link %d up", index);
	return 0;
}

int kg_link_set_master(struct kg_netlink *nl, int index, int master, struct kg_error *err)
{
	struct nlmsghdr *h = begin(nl, RTM_NEWLINK, 0, index, true);

	mnl_attr_put_u32(h, IFLA_MASTER, (uint32_t)master);
	if (kg_netlink_do(nl, h, NULL, NULL) < 0)
		return kg_fail_errno(err, "put link %d into bridge %d", index, master);
	return 0;
}

int kg_link_set_mtu(struct kg_netlink *nl, int index, unsigned mtu, struct kg_error *err)
{
	struct nlmsghdr *h = begin(nl, RTM_NEWLINK, 0, index, false);

	mnl_attr_put_u32(h, IFLA_MTU, mtu);
	if (kg_netlink_do(nl, h, NULL, NULL) < 0)
		return kg_fail_errno(err, "set the MTU of link %d to %u", index, mtu);
	return 0;
}

int kg_addr_mtu(unsigned *mtu, struct kg_netlink *nl, in_addr_t addr, struct kg_error *err)
{
	struct kg_link *links = NULL;
	size_t n = 0;
	int index = 0, rc = kg_addr_find(&index, nl, addr, err);

	*mtu = 0;
	if (rc == 0)
		rc = kg_link_list(&links, &n, nl, err);
	for (size_t i = 0; rc == 0 && i < n; i++)
		if (links[i].index == index && index != 1)
			*mtu = links[i].mtu;
	free(links);
	return rc;
}

int kg_link_set_mac(struct kg_netlink *nl, int index, const uint8_t mac[6], struct kg_error *err)
{
	struct nlmsghdr *h = begin(nl, RTM_NEWLINK, 0, index, false);

	mnl_attr_put(h, IFLA_ADDRESS, 6, mac);
	if (kg_netlink_do(nl, h, NULL, NULL) < 0)
		return kg_fail_errno(err, "set the address of link %d", index);
	return 0;
}

int kg_link_set_hairpin(struct kg_netlink *nl, int index, struct kg_error *err)
{
	struct nlmsghdr *h = kg_netlink_begin(nl, RTM_SETLINK, 0);
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(h, sizeof(*info));

	info->ifi_family = AF_BRIDGE;
	info->ifi_index = index;
	struct nlattr *port = mnl_attr_nest_start(h, IFLA_PROTINFO | NLA_F_NESTED);
	mnl_attr_put_u8(h, IFLA_BRPORT_MODE, 1);
	mnl_attr_nest_end(h, port);
	if (kg_netlink_do(nl, h, NULL, NULL) < 0)
		return kg_fail_errno(err, "set hairpin mode of link %d", index);
	return 0;
}

int kg_link_del(struct kg_netlink *nl, const char *name, struct kg_error *err)
{
	struct nlmsghdr *h = begin(nl, RTM_DELLINK, 0, 0, false);

	mnl_attr_put_strz(h, IFLA_IFNAME, name);
	if (kg_netlink_do(nl, h, NULL, NULL) < 0 && errno != ENODEV)
		return kg_fail_errno(err, "remove link %s", name);
	return 0;
}
