#include "nodeagent/policies.h"
#include "base/mem.h"
#include "nodeagent/bridge.h"
#include "nodeagent/conntrack.h"
#include "nodeagent/netlink.h"
#include "nodeagent/nft.h"
#include "nodeagent/nft_keeper.h"
#include "nodeagent/policies_plan.h"

#include <arpa/inet.h>
#include <string.h>

#define CUT_MS 50 /* lets a burst of changes end: the table of connections may be large */

struct kg_policies {
	struct kg_policies_options opts;
	struct kg_nft_keeper *keeper;
	struct kg_policies_plan *plan;
	struct kg_timer *cut_timer;
	char pod_cidr[32]; /* "": not configured */
	struct kg_policies_link link;
	size_t overfull; /* as last told */
};

static void on_event(void *ctx, const struct kg_error *err)
{
	struct kg_policies *p = ctx;

	if (p->opts.on_event)
		p->opts.on_event(p->opts.ctx, err);
}

static void rules(void *ctx, struct kg_buf *out, const char *table, bool fresh)
{
	struct kg_policies *p = ctx;

	(void)table;
	kg_policies_rules(out, &p->link, fresh);
}

/* Whatever the table was, connections may have been made that are not allowed. */
static void desired(void *ctx, struct kg_nft_elems *out)
{
	struct kg_policies *p = ctx;

	kg_policies_plan_all(p->plan, out);
	kg_timer_set(p->cut_timer, CUT_MS);
}

/* ---- connections ---- */

struct cutting {
	const struct kg_policies_plan *plan;
	in_addr_t *own; /* the node's own addresses */
	size_t n;
};

static bool is_own(const struct cutting *c, in_addr_t addr)
{
	for (size_t i = 0; i < c->n; i++) {
		if (c->own[i] == addr)
			return true;
	}
	return false;
}

static bool is_forbidden(void *ctx, const struct kg_conntrack_flow *f)
{
	const struct cutting *c = ctx;
	struct kg_policy_flow flow = {.src = ntohl(f->src),
		.dst = ntohl(f->to),
		.protocol = f->protocol,
		.port = ntohs(f->to_port)};

	return !kg_policies_plan_allows(c->plan, &flow) && !is_own(c, f->src) && !is_own(c, f->to);
}

static int cut(struct kg_policies *p, struct kg_error *err)
{
	struct cutting c = {.plan = p->plan};
	struct kg_netlink *nl;
	int rc = kg_netlink_open(&nl, -1, err);

	if (rc < 0)
		return rc;
	rc = kg_addr_list(&c.own, &c.n, nl, err);
	kg_netlink_close(nl);
	if (rc == 0)
		rc = kg_conntrack_forget_if(is_forbidden, &c, err);
	free(c.own);
	return rc;
}

static void on_cut(void *ctx)
{
	struct kg_policies *p = ctx;
	struct kg_error err;

	if (cut(p, &err) < 0) {
		kg_wrap(&err, "cut connections that are no longer allowed");
		on_event(p, &err);
	}
}

/* ---- life ---- */

int kg_policies_new(struct kg_policies **out, struct kg_loop *loop,
	const struct kg_policies_options *opts, struct kg_error *err)
{
	struct kg_policies *p = kg_alloc(sizeof(*p));
	struct kg_nft_keeper_options keeper = {.table = &kg_policies_table,
		.rules = rules,
		.desired = desired,
		.on_event = on_event,
		.ctx = p};

	p->opts = *opts;
	int rc = kg_nft_keeper_new(&p->keeper, loop, &keeper, err);
	if (rc < 0) {
		free(p);
		return rc;
	}
	p->plan = kg_policies_plan_new();
	p->cut_timer = kg_timer_new(loop, on_cut, p);
	*out = p;
	return 0;
}

void kg_policies_free(struct kg_policies *p)
{
	if (!p)
		return;
	kg_nft_keeper_free(p->keeper);
	kg_timer_free(p->cut_timer);
	kg_policies_plan_free(p->plan);
	free(p);
}

int kg_policies_configure(struct kg_policies *p, const char *pod_cidr, struct kg_error *err)
{
	struct kg_cidr range;
	struct kg_error why;
	int rc = kg_cidr_parse(&range, pod_cidr, err);

	if (rc < 0)
		return rc;
	if (strcmp(p->pod_cidr, pod_cidr) == 0)
		return 0;
	if (strlen(pod_cidr) >= sizeof(p->pod_cidr))
		return kg_fail(err, KG_E_INVALID, "pod range %s is too long", pod_cidr);
	strcpy(p->pod_cidr, pod_cidr);
	kg_bridge_mac(p->link.mac, &range);
	p->link.named = kg_nft_check(kg_policies_named_probe, &why) == 0;
	kg_nft_keeper_reset(p->keeper);
	return 0;
}

void kg_policies_put(struct kg_policies *p, const char *key, const struct kg_value *policy)
{
	kg_policies_plan_policy(p->plan, key, policy);
}

void kg_policies_put_peers(struct kg_policies *p, const char *id, const struct kg_value *peers)
{
	kg_policies_plan_peers(p->plan, id, peers);
}

void kg_policies_clear(struct kg_policies *p)
{
	kg_policies_plan_clear(p->plan);
}

static void tell_overfull(struct kg_policies *p)
{
	size_t n = kg_policies_plan_overfull(p->plan);
	struct kg_error err;

	if (n > p->overfull) {
		kg_fail(&err, KG_E_INVALID,
			"network policies of %zu groups of pods open more than %d combinations of "
			"addresses and ports: nothing is let through to them; give them fewer "
			"blocks or ports",
			n, KG_POLICY_CLASS_MAX);
		on_event(p, &err);
	}
	p->overfull = n;
}

/* Something that was open is not, or a pod is isolated that was not. */
static bool is_stricter(const struct kg_nft_elems *del, const struct kg_nft_elems *add)
{
	for (size_t i = 0; i < add->n; i++) {
		if (add->items[i].set == KG_POLICY_PODS ||
			add->items[i].set == KG_POLICY_SETS + KG_POLICY_PODS)
			return true;
	}
	return del->n > 0;
}

int kg_policies_commit(struct kg_policies *p, struct kg_error *err)
{
	struct kg_nft_elems del = {0}, add = {0};
	int rc;

	if (!*p->pod_cidr)
		return kg_fail(err, KG_E_UNAVAILABLE, "the node has no pod range yet");
	kg_policies_plan_commit(p->plan, &del, &add);
	tell_overfull(p);
	if (!kg_nft_keeper_in_step(p->keeper))
		rc = kg_nft_keeper_sync(p->keeper, err);
	else
		rc = kg_nft_keeper_change(p->keeper, &del, &add, err);
	if (rc == 0 && is_stricter(&del, &add))
		kg_timer_set(p->cut_timer, CUT_MS);
	kg_nft_elems_release(&del);
	kg_nft_elems_release(&add);
	return rc;
}
