#include "kgitd/policy_rules.h"

#include <string.h>

struct making {
	struct kgd_policy_rules *out;
	struct kg_arena *a;
	struct kgd_peers *peers;
	const struct kg_snapshot *s;
	const char *ns, *pod_cidr;
};

struct list {
	struct kg_value *items;
	size_t n, cap;
};

static void add(struct list *l, struct kg_value v)
{
	KG_GROW(l->items, l->cap, l->n + 1);
	l->items[l->n++] = v;
}

/* What the items point to lives as long as the policy does. */
static struct kg_value array_of(struct kg_arena *a, const struct kg_value *items, size_t n)
{
	struct kg_value *copy = kg_arena_alloc(a, (n + 1) * sizeof(*copy));

	for (size_t i = 0; i < n; i++)
		copy[i] = items[i];
	return kg_v_array(a, copy, n);
}

static struct kg_value take(struct making *m, struct list *l)
{
	struct kg_value v = array_of(m->a, l->items, l->n);

	free(l->items);
	*l = (struct list){0};
	return v;
}

/* ---- peers ---- */

static bool selects_all(const struct kg_value *selector)
{
	return !kg_len(kg_get(selector, "matchLabels")) &&
	       !kg_len(kg_get(selector, "matchExpressions"));
}

static struct kg_value use(struct making *m, const struct kgd_peer_spec *spec)
{
	struct kgd_policy_rules *r = m->out;

	KG_GROW(r->peers, r->cap, r->npeers + 1);
	r->peers[r->npeers] = kgd_peers_use(m->peers, m->s, spec);
	return kg_v_str(m->a, r->peers[r->npeers++]);
}

static struct kgd_peer_spec spec_of(const struct making *m, const struct kg_value *peer)
{
	return (struct kgd_peer_spec){.ns = m->ns,
		.pods = kg_get(peer, "podSelector"),
		.namespaces = kg_get(peer, "namespaceSelector")};
}

static void add_peer(
	struct making *m, const struct kg_value *peer, struct list *sets, struct list *blocks)
{
	const struct kg_value *block = kg_get(peer, "ipBlock");
	struct kgd_peer_spec spec = spec_of(m, peer);

	if (!kg_is_null(block))
		add(blocks, kg_v_obj(m->a, "cidr", *kg_get(block, "cidr"), "except",
				    *kg_get(block, "except"), (char *)NULL));
	else if (!kg_is_null(spec.namespaces) && selects_all(spec.namespaces) &&
		 selects_all(spec.pods))
		add(blocks, kg_v_obj(m->a, "cidr", kg_v_str(m->a, m->pod_cidr), (char *)NULL));
	else
		add(sets, use(m, &spec));
}

/* ---- rules ---- */

static bool is_named(const struct kg_value *port)
{
	return kg_get(port, "port")->type == KG_STRING;
}

/* Without names of ports, or with: what the node is told of one rule. */
static void add_rule(struct making *m, struct list *rules, const struct kg_value *peers,
	const struct kg_value *ports)
{
	struct list sets = {0}, blocks = {0};
	struct kg_value null = kg_v_null();

	for (uint32_t i = 0; i < kg_len(ports); i++)
		m->out->named = m->out->named || is_named(&ports->items[i]);
	for (uint32_t i = 0; i < kg_len(peers); i++)
		add_peer(m, &peers->items[i], &sets, &blocks);
	struct kg_value s = sets.n ? take(m, &sets) : null;
	struct kg_value b = blocks.n ? take(m, &blocks) : null;
	add(rules, kg_v_obj(m->a, "peers", s, "blocks", b, "ports", kg_len(ports) ? *ports : null,
			   (char *)NULL));
}

/* Outwards a name is a set of its own: those of the peers that have such a port. */
static void add_named(struct making *m, struct list *rules, const struct kg_value *peers,
	const struct kg_value *port)
{
	struct kg_value everything = kg_v_object(m->a, NULL, 0);
	struct kgd_peer_spec all = {.ns = m->ns, .pods = &everything, .namespaces = &everything};
	struct list sets = {0};

	for (uint32_t i = 0; i < kg_len(peers) || i == 0; i++) {
		struct kgd_peer_spec spec = kg_len(peers) ? spec_of(m, &peers->items[i]) : all;

		spec.port = kg_string(kg_get(port, "port"), "");
		spec.protocol = kg_string(kg_get(port, "protocol"), "TCP");
		if (kg_is_null(kg_get(kg_len(peers) ? &peers->items[i] : &kg_null, "ipBlock")))
			add(&sets, use(m, &spec));
	}
	if (!sets.n)
		return;
	struct kg_value protocol =
		kg_v_obj(m->a, "protocol", *kg_get(port, "protocol"), (char *)NULL);
	struct kg_value ports = array_of(m->a, &protocol, 1);
	add(rules, kg_v_obj(m->a, "peers", take(m, &sets), "ports", ports, (char *)NULL));
}

static void add_egress(struct making *m, struct list *rules, const struct kg_value *rule)
{
	const struct kg_value *peers = kg_get(rule, "to"), *ports = kg_get(rule, "ports");
	struct list numbers = {0};

	for (uint32_t i = 0; i < kg_len(ports); i++) {
		if (is_named(&ports->items[i]))
			add_named(m, rules, peers, &ports->items[i]);
		else
			add(&numbers, ports->items[i]);
	}
	if (!kg_len(ports) || numbers.n) {
		struct kg_value left = take(m, &numbers);

		add_rule(m, rules, peers, &left);
	}
}

static bool has_type(const struct kg_value *spec, const char *type)
{
	const struct kg_value *types = kg_get(spec, "policyTypes");

	for (uint32_t i = 0; i < kg_len(types); i++) {
		if (strcmp(kg_string(&types->items[i], ""), type) == 0)
			return true;
	}
	return false;
}

void kgd_policy_rules_make(struct kgd_policy_rules *out, struct kg_arena *a,
	struct kgd_peers *peers, const struct kg_snapshot *s, const struct kg_object *policy,
	const char *pod_cidr)
{
	struct making m = {out, a, peers, s, policy->ns, pod_cidr};
	const struct kg_value *spec = kg_get(kg_obj(policy), "spec");
	const struct kg_value *in = kg_get(spec, "ingress"), *eg = kg_get(spec, "egress");
	struct list rules = {0};

	*out = (struct kgd_policy_rules){.ingress = kg_v_null(), .egress = kg_v_null()};
	if (has_type(spec, "Ingress")) {
		for (uint32_t i = 0; i < kg_len(in); i++)
			add_rule(&m, &rules, kg_get(&in->items[i], "from"),
				kg_get(&in->items[i], "ports"));
		out->ingress = take(&m, &rules);
	}
	if (has_type(spec, "Egress")) {
		for (uint32_t i = 0; i < kg_len(eg); i++)
			add_egress(&m, &rules, &eg->items[i]);
		out->egress = take(&m, &rules);
	}
}

void kgd_policy_rules_drop(struct kgd_policy_rules *r, struct kgd_peers *peers)
{
	for (size_t i = 0; i < r->npeers; i++)
		kgd_peers_drop(peers, r->peers[i]);
	free(r->peers);
	*r = (struct kgd_policy_rules){.ingress = kg_v_null(), .egress = kg_v_null()};
}

/* ---- the names of a pod's ports ---- */

static void add_number(struct making *m, struct list *out, const struct kg_value *port,
	const struct kg_object *pod, struct kg_buf *names)
{
	const char *name = kg_string(kg_get(port, "port"), "");
	const char *protocol = kg_string(kg_get(port, "protocol"), "TCP");

	if (!is_named(port)) {
		add(out, *port);
		return;
	}
	int64_t number = kg_pod_named_port(kg_obj(pod), name, protocol);
	kg_buf_addf(names, "%s/%s=%lld ", name, protocol, (long long)number);
	if (number)
		add(out, kg_with(m->a, port, "port", kg_v_int(number)));
}

struct kg_value kgd_policy_ingress_of(struct kg_arena *a, const struct kg_value *ingress,
	const struct kg_object *pod, struct kg_buf *names)
{
	struct making m = {.a = a};
	struct list rules = {0};

	if (kg_is_null(ingress))
		return *ingress;
	for (uint32_t i = 0; i < kg_len(ingress); i++) {
		const struct kg_value *rule = &ingress->items[i], *ports = kg_get(rule, "ports");
		struct list numbers = {0};

		for (uint32_t k = 0; k < kg_len(ports); k++)
			add_number(&m, &numbers, &ports->items[k], pod, names);
		bool opens = kg_is_null(ports) || numbers.n;
		struct kg_value left = take(&m, &numbers);
		if (opens)
			add(&rules, kg_is_null(ports) ? *rule : kg_with(a, rule, "ports", left));
	}
	return take(&m, &rules);
}
