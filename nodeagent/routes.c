#include "nodeagent/routes.h"
#include "base/mem.h"
#include "nodeagent/bridge.h"
#include "nodeagent/netlink.h"

#include <arpa/inet.h>
#include <string.h>

struct table {
	struct kg_route *items;
	size_t n, cap;
};

static void add(struct table *t, struct kg_route route)
{
	KG_GROW(t->items, t->cap, t->n + 1);
	t->items[t->n++] = route;
}

static void want_node(struct table *want, const struct kg_value *node, const char *self)
{
	const char *address = kg_string(kg_get(node, "address"), "");
	struct kg_route route = {0};
	struct kg_cidr range;

	if (strcmp(kg_string(kg_get(node, "name"), ""), self) == 0 ||
		kg_cidr_parse(&range, kg_string(kg_get(node, "podCIDR"), ""), NULL) < 0 ||
		inet_pton(AF_INET, address, &route.gateway) != 1)
		return; /* itself, or one that has no range or address yet */
	route.dst = range.addr & kg_cidr_mask(range.prefix);
	route.prefix = range.prefix;
	add(want, route);
}

static void want_services(struct table *want, struct kg_netlink *nl, const char *service_cidr)
{
	struct kg_link bridge;
	struct kg_cidr range;

	if (!service_cidr || !*service_cidr || kg_cidr_parse(&range, service_cidr, NULL) < 0 ||
		kg_link_get(&bridge, nl, KG_BRIDGE_NAME, NULL) < 0)
		return;
	add(want, (struct kg_route){.dst = range.addr & kg_cidr_mask(range.prefix),
			  .prefix = range.prefix,
			  .index = bridge.index});
}

static int compare(const struct kg_route *a, const struct kg_route *b)
{
	if (a->dst != b->dst)
		return ntohl(a->dst) < ntohl(b->dst) ? -1 : 1;
	return (int)a->prefix - (int)b->prefix;
}

static int compare_items(const void *a, const void *b)
{
	return compare(a, b);
}

static void sort(struct table *t)
{
	if (t->n)
		qsort(t->items, t->n, sizeof(*t->items), compare_items);
}

static bool satisfies(const struct kg_route *have, const struct kg_route *want)
{
	return have->gateway == want->gateway && (!want->index || have->index == want->index);
}

static void keep_first(int *rc, struct kg_error *err, int now, const struct kg_error *why)
{
	if (now == 0 || *rc < 0)
		return;
	*rc = now;
	if (err)
		*err = *why;
}

static int reconcile(
	struct kg_netlink *nl, struct table *want, struct table *have, struct kg_error *err)
{
	size_t h = 0, w = 0;
	struct kg_error why;
	int rc = 0;

	sort(want);
	sort(have);
	while (h < have->n || w < want->n) {
		int order = h == have->n   ? 1
			    : w == want->n ? -1
					   : compare(&have->items[h], &want->items[w]);

		if (order < 0)
			keep_first(&rc, err, kg_route_del(nl, &have->items[h], &why), &why);
		else if (order > 0 || !satisfies(&have->items[h], &want->items[w]))
			keep_first(&rc, err, kg_route_set(nl, &want->items[w], &why), &why);
		h += order <= 0;
		w += order >= 0;
	}
	return rc;
}

int kg_routes_sync(const struct kg_value *nodes, const char *self, const char *service_cidr,
	struct kg_error *err)
{
	struct table want = {0}, have = {0};
	struct kg_netlink *nl = NULL;
	int rc = kg_netlink_open(&nl, -1, err);

	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < kg_len(nodes); i++)
		want_node(&want, &nodes->items[i], self);
	want_services(&want, nl, service_cidr);
	rc = kg_route_list(&have.items, &have.n, nl, err);
	if (rc == 0)
		rc = reconcile(nl, &want, &have, err);
	free(want.items);
	free(have.items);
	kg_netlink_close(nl);
	return rc;
}
