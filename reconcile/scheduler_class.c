/* Pods that are alike, compiled: what the filters and the scores look at, looked up once. */
#include "kinds/claim.h"
#include "reconcile/scheduler.h"

#include <string.h>

/* Profiles, by schedulerName. */
static const struct kg_profile profiles[] = {
	{"default-scheduler", false},
	{"most-allocated-scheduler", true},
};

const struct kg_profile *kg_profile_of(const struct kg_object *pod)
{
	const char *name = kg_string(kg_spec(pod, "schedulerName"), profiles[0].name);
	for (size_t i = 0; i < KG_ARRAY_LEN(profiles); i++)
		if (strcmp(profiles[i].name, name) == 0)
			return &profiles[i];
	return NULL;
}

/* ---- the queue ---- */

int64_t kg_pod_priority(const struct kg_object *pod)
{
	return kg_int(kg_spec(pod, "priority"), 0);
}

int kg_queue_cmp(const struct kg_object *a, const struct kg_object *b)
{
	int64_t p = kg_pod_priority(a), q = kg_pod_priority(b);
	if (p != q)
		return p > q ? -1 : 1;
	kg_time s = kg_object_created(a), t = kg_object_created(b);
	if (s != t)
		return s < t ? -1 : 1;
	return strcmp(a->key, b->key);
}

bool kg_pod_gated(const struct kg_object *pod)
{
	return kg_len(kg_spec(pod, "schedulingGates")) > 0;
}

static const char *named_node(const struct kg_object *pod)
{
	return pod->base
		       ? kg_string(kg_get(kg_get(kg_doc_value(pod->base), "spec"), "nodeName"), "")
		       : "";
}

/* Volumes whose claims are named after the pod: no two pods ask for the same. */
static bool has_own_claims(const struct kg_object *pod)
{
	const struct kg_value *volumes = kg_spec(pod, "volumes");
	bool own = false;
	for (uint32_t i = 0; i < kg_len(volumes); i++)
		own |= kg_volume_is_ephemeral(&volumes->items[i]);
	return own;
}

bool kg_class_same(const struct kg_object *a, const struct kg_object *b)
{
	const struct kg_value *x = kg_obj(a), *y = kg_obj(b);
	return strcmp(a->ns, b->ns) == 0 && !has_own_claims(a) &&
	       strcmp(kg_object_owner_uid(a), kg_object_owner_uid(b)) == 0 &&
	       kg_equal(kg_get(x, "spec"), kg_get(y, "spec")) &&
	       kg_equal(kg_get(kg_get(x, "metadata"), "labels"),
		       kg_get(kg_get(y, "metadata"), "labels")) &&
	       strcmp(named_node(a), named_node(b)) == 0;
}

/* ---- pod affinity ---- */

struct compile {
	struct kg_pod_class *c;
	struct kg_reconcile_state *st;
	const struct kg_snapshot *s;
	struct kg_arena *a;
	const struct kg_value *labels;
};

static struct kg_term compile_term(struct compile *k, const struct kg_value *term, int64_t weight)
{
	struct kg_value peers = kg_peers_of_term(k->a, k->c->pod, term);
	return (struct kg_term){
		.peers = kg_peers_get(k->st, k->s, &peers, 1, false),
		.topology =
			kg_topology_get(k->st->sched, kg_string(kg_get(term, "topologyKey"), "")),
		.weight = weight,
		.self = kg_peers_match(&peers, k->s, k->c->pod->ns, k->labels),
	};
}

static struct kg_term *compile_terms(struct compile *k, size_t *n, const struct kg_value *terms)
{
	struct kg_term *out = kg_arena_alloc(k->a, (kg_len(terms) + 1) * sizeof(*out));
	for (uint32_t i = 0; i < kg_len(terms); i++)
		out[(*n)++] = compile_term(k, &terms->items[i], 0);
	return out;
}

/* A node must be near pods that match every term. */
static void compile_affine(struct compile *k, const struct kg_value *terms)
{
	uint32_t n = kg_len(terms);
	if (!n)
		return;
	struct kg_value *all = kg_arena_alloc(k->a, n * sizeof(*all));
	k->c->affine_self = true;
	for (uint32_t i = 0; i < n; i++) {
		all[i] = kg_peers_of_term(k->a, k->c->pod, &terms->items[i]);
		k->c->affine_self &= kg_peers_match(&all[i], k->s, k->c->pod->ns, k->labels);
	}
	k->c->affine = kg_peers_get(k->st, k->s, all, n, false);
}

static void compile_preferred(
	struct compile *k, const struct kg_value *near_to, const struct kg_value *away_from)
{
	const struct kg_value *lists[] = {
		kg_get(near_to, "preferredDuringSchedulingIgnoredDuringExecution"),
		kg_get(away_from, "preferredDuringSchedulingIgnoredDuringExecution")};
	k->c->scored = kg_arena_alloc(
		k->a, (kg_len(lists[0]) + kg_len(lists[1]) + 1) * sizeof(*k->c->scored));
	for (int l = 0; l < 2; l++)
		for (uint32_t i = 0; i < kg_len(lists[l]); i++) {
			const struct kg_value *t = &lists[l]->items[i];
			int64_t w = kg_int(kg_get(t, "weight"), 0);
			k->c->scored[k->c->nscored++] =
				compile_term(k, kg_get(t, "podAffinityTerm"), l ? -w : w);
		}
}

/* Terms of pods that are there already and speak of this one. */
static void compile_met(struct compile *k)
{
	struct kg_sched *sc = k->st->sched;
	struct kg_map_entry *e;
	k->c->meets = kg_arena_alloc(k->a, (sc->carried.count + 1) * sizeof(struct kg_carried *));
	for (size_t i = 0; (e = kg_map_next(&sc->carried, &i));) {
		struct kg_carried *t = e->value;
		if (kg_peers_match(&kg_doc_value(t->doc)->items[0], k->s, k->c->pod->ns, k->labels))
			k->c->meets[k->c->nmeets++] = t;
	}
}

static void compile_affinity(struct compile *k)
{
	const struct kg_value *affinity = kg_get(k->c->spec, "affinity");
	const struct kg_value *near_to = kg_get(affinity, "podAffinity");
	const struct kg_value *away_from = kg_get(affinity, "podAntiAffinity");
	const struct kg_value *hard =
		kg_get(near_to, "requiredDuringSchedulingIgnoredDuringExecution");
	k->c->affinity = compile_terms(k, &k->c->naffinity, hard);
	compile_affine(k, hard);
	k->c->anti = compile_terms(k, &k->c->nanti,
		kg_get(away_from, "requiredDuringSchedulingIgnoredDuringExecution"));
	compile_preferred(k, near_to, away_from);
	compile_met(k);
}

/* ---- topology spread ---- */

static bool policy_is(const struct kg_value *c, const char *field, const char *dflt, const char *is)
{
	return strcmp(kg_string(kg_get(c, field), dflt), is) == 0;
}

static struct kg_spread compile_spread(struct compile *k, const struct kg_value *constraint)
{
	struct kg_value selector = kg_selector_with_keys(k->a, kg_get(constraint, "labelSelector"),
		k->labels, kg_get(constraint, "matchLabelKeys"), &kg_null);
	struct kg_value peers = kg_peers_of_selector(k->a, k->c->pod->ns, &selector);
	return (struct kg_spread){
		.topology = kg_topology_get(
			k->st->sched, kg_string(kg_get(constraint, "topologyKey"), "")),
		.peers = kg_peers_get(k->st, k->s, &peers, 1, true),
		.max_skew = kg_int(kg_get(constraint, "maxSkew"), 1),
		.min_domains = kg_int(kg_get(constraint, "minDomains"), 1),
		.hard = policy_is(
			constraint, "whenUnsatisfiable", "DoNotSchedule", "DoNotSchedule"),
		.self = kg_peers_match(&peers, k->s, k->c->pod->ns, k->labels),
		.honor_affinity = policy_is(constraint, "nodeAffinityPolicy", "Honor", "Honor"),
		.ignore_taints = policy_is(constraint, "nodeTaintsPolicy", "Ignore", "Ignore"),
	};
}

/* The selector of the pod's controller, which is what the system's defaults count by. */
static const struct kg_value *owner_selector(struct compile *k)
{
	const struct kg_value *ref = kg_owner_ref(k->c->pod);
	if (kg_is_null(ref))
		return &kg_null;
	const struct kg_kind *kind = kg_kind_by_api(
		kg_string(kg_get(ref, "apiVersion"), ""), kg_string(kg_get(ref, "kind"), ""));
	const struct kg_object *owner = kind ? kg_snapshot_get(k->s, kind->id, k->c->pod->ns,
						       kg_string(kg_get(ref, "name"), ""))
					     : NULL;
	return owner ? kg_spec(owner, "selector") : &kg_null;
}

/* A ReplicationController's selector is a plain map. */
static struct kg_value as_label_selector(struct kg_arena *a, const struct kg_value *v)
{
	if (v->type != KG_OBJECT || !kg_is_null(kg_get(v, "matchLabels")) ||
		!kg_is_null(kg_get(v, "matchExpressions")))
		return *v;
	return kg_v_obj(a, "matchLabels", *v, (char *)NULL);
}

/* The selectors of all Services that choose the pod, together. */
static struct kg_value services_selector(struct compile *k)
{
	const struct kg_value *labels = k->labels;
	struct kg_value all = kg_v_null();
	for (uint32_t i = 0; i < kg_len(labels); i++) {
		const struct kg_anchor *an =
			kg_anchor_at(k->st, k->c->pod->ns, &labels->members[i]);
		struct kg_map_entry *e;
		for (size_t m = 0; an && (e = kg_map_next(&an->services, &m));) {
			const struct kg_object *svc =
				kg_snapshot_get_key(k->s, KG_KIND_SERVICE, e->key);
			const struct kg_value *sel = svc ? kg_spec(svc, "selector") : &kg_null;
			if (kg_len(sel) && kg_labels_match_map(sel, labels))
				for (uint32_t f = 0; f < sel->len; f++)
					all = kg_with_key(k->a, &all, sel->members[f].key,
						sel->members[f].value);
		}
	}
	return kg_len(&all) ? kg_v_obj(k->a, "matchLabels", all, (char *)NULL) : all;
}

/* Kubernetes' system defaults: by host with a skew of 3, by zone with one of 5, soft. */
static void compile_default_spread(struct compile *k)
{
	struct kg_value selector = as_label_selector(k->a, owner_selector(k));
	if (kg_len(&selector) == 0)
		selector = services_selector(k);
	if (kg_len(&selector) == 0)
		return;
	struct kg_value peers = kg_peers_of_selector(k->a, k->c->pod->ns, &selector);
	k->c->spread = kg_arena_alloc(k->a, 2 * sizeof(*k->c->spread));
	for (int i = 0; i < 2; i++)
		k->c->spread[k->c->nspread++] = (struct kg_spread){
			.topology = kg_topology_get(k->st->sched, i ? KG_ZONE : KG_HOSTNAME),
			.peers = kg_peers_get(k->st, k->s, &peers, 1, true),
			.max_skew = i ? 5 : 3,
			.min_domains = 1,
			.self = kg_peers_match(&peers, k->s, k->c->pod->ns, k->labels),
			.honor_affinity = true,
			.ignore_taints = true,
		};
	k->c->spread_default = true;
}

static void compile_spreads(struct compile *k)
{
	const struct kg_value *cs = kg_get(k->c->spec, "topologySpreadConstraints");
	if (kg_len(cs) == 0) {
		compile_default_spread(k);
		return;
	}
	k->c->spread = kg_arena_alloc(k->a, kg_len(cs) * sizeof(*k->c->spread));
	for (uint32_t i = 0; i < kg_len(cs); i++)
		k->c->spread[k->c->nspread++] = compile_spread(k, &cs->items[i]);
}

/* ---- the class ---- */

/* The names that a term's fields ask for; &kg_null: none, so that any node may match. */
static const struct kg_value *names_of(const struct kg_value *term)
{
	const struct kg_value *fields = kg_get(term, "matchFields");
	for (uint32_t f = 0; f < kg_len(fields); f++) {
		const struct kg_value *field = &fields->items[f];
		if (strcmp(kg_string(kg_get(field, "key"), ""), "metadata.name") == 0 &&
			strcmp(kg_string(kg_get(field, "operator"), ""), "In") == 0)
			return kg_get(field, "values");
	}
	return &kg_null;
}

/* Every term of required node affinity names nodes: the others are not even looked at. Where all
 * name the same one it is the only one. */
static void compile_names(struct kg_pod_class *c)
{
	const struct kg_value *terms = kg_get(c->required, "nodeSelectorTerms");
	c->by_name = kg_len(terms) > 0;
	c->only = *c->node_name ? c->node_name : NULL;
	for (uint32_t i = 0; i < kg_len(terms) && c->by_name; i++) {
		const struct kg_value *names = names_of(&terms->items[i]);
		const char *name = kg_len(names) == 1 ? kg_string(&names->items[0], NULL) : NULL;
		c->by_name = !kg_is_null(names);
		if (i == 0 && !*c->node_name)
			c->only = name;
		else if (!name || (c->only && strcmp(name, c->only) != 0))
			c->only = NULL;
	}
	if (!c->by_name && !*c->node_name)
		c->only = NULL;
}

void kg_class_init(struct kg_pod_class *c, struct kg_reconcile_state *st,
	const struct kg_snapshot *s, struct kg_arena *a, const struct kg_object *pod)
{
	*c = (struct kg_pod_class){.pod = pod, .spec = kg_get(kg_obj(pod), "spec")};
	c->node_name = named_node(pod);
	c->profile = kg_profile_of(pod);
	c->priority = kg_pod_priority(pod);
	kg_demand_of(st, &c->demand, pod);
	c->best_effort = !c->demand.req[KG_RES_CPU] && !c->demand.req[KG_RES_MEMORY];
	c->host_network = kg_bool(kg_get(c->spec, "hostNetwork"), false);
	c->tolerations = kg_get(c->spec, "tolerations");
	c->selector = kg_get(c->spec, "nodeSelector");
	const struct kg_value *affinity = kg_get(kg_get(c->spec, "affinity"), "nodeAffinity");
	c->required = kg_get(affinity, "requiredDuringSchedulingIgnoredDuringExecution");
	c->preferred = kg_get(affinity, "preferredDuringSchedulingIgnoredDuringExecution");
	compile_names(c);
	if (c->demand.host_ports) {
		c->nports = kg_host_ports(NULL, 0, c->spec);
		c->ports = kg_arena_alloc(a, c->nports * sizeof(*c->ports));
		kg_host_ports(c->ports, c->nports, c->spec);
	}
	kg_class_volumes(c, st, s, a);
	const char *owner = kg_object_owner_uid(pod);
	c->seed = kg_hash64(owner, strlen(owner));
	struct compile k = {c, st, s, a, kg_meta(pod, "labels")};
	compile_affinity(&k);
	compile_spreads(&k);
}
