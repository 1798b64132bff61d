/*
 * The scheduler. Waiting pods are taken in order (priority, age, name); those of one class are
 * placed together: every node that fits is scored once and kept in a heap, and a binding changes
 * the score of its node alone. So a pod costs O(log nodes), not O(nodes).
 *
 * Score, the larger the better: twice preferred affinity and three times the soft taints (each 0
 * to 100 over the nodes), what is left of cpu and memory (0 to 100), and 200 / (1 + replicas of
 * the same owner that the node has). Equal scores are ordered by a hash of owner and node.
 *
 * Pods that fit nowhere say so with the counts as they are when all others are placed, which
 * depends on the cluster's state alone.
 */
#include "reconcile/scheduler.h"

#include <stdio.h>
#include <string.h>

/* ---- waiting pods in order ---- */

static int64_t priority(const struct kg_object *pod)
{
	return kg_int(kg_get(kg_get(kg_obj(pod), "spec"), "priority"), 0);
}

static int cmp_waiting(const void *a, const void *b)
{
	const struct kg_object *x = *(struct kg_object *const *)a,
			       *y = *(struct kg_object *const *)b;
	int64_t p = priority(x), q = priority(y);
	if (p != q)
		return p > q ? -1 : 1;
	kg_time s = kg_object_created(x), t = kg_object_created(y);
	if (s != t)
		return s < t ? -1 : 1;
	return strcmp(x->key, y->key);
}

static void collect(struct kg_list *l, struct kg_run *r)
{
	struct kg_map_entry *e;
	for (size_t i = 0; (e = kg_map_next(&r->st->pending, &i));) {
		const struct kg_object *pod = kg_snapshot_get_key(kg_now(r), KG_KIND_POD, e->key);
		if (pod)
			kg_list_add(l, pod);
	}
	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), cmp_waiting);
}

static bool same_class(const struct kg_object *a, const struct kg_object *b)
{
	return a->template_id[0] && strcmp(a->template_id, b->template_id) == 0 &&
	       strcmp(kg_object_owner_uid(a), kg_object_owner_uid(b)) == 0;
}

static void class_init(struct kg_pod_class *c, struct kg_run *r, const struct kg_object *pod)
{
	*c = (struct kg_pod_class){.spec = kg_get(kg_obj(pod), "spec")};
	c->node_name =
		pod->base ? kg_string(kg_at(kg_doc_value(pod->base), "spec.nodeName"), "") : "";
	kg_demand_of(r->st, &c->demand, pod);
	c->host_network = kg_bool(kg_get(c->spec, "hostNetwork"), false);
	c->tolerations = kg_get(c->spec, "tolerations");
	c->selector = kg_get(c->spec, "nodeSelector");
	const struct kg_value *affinity = kg_at(c->spec, "affinity.nodeAffinity");
	c->required = kg_get(affinity, "requiredDuringSchedulingIgnoredDuringExecution");
	c->preferred = kg_get(affinity, "preferredDuringSchedulingIgnoredDuringExecution");
	const struct kg_value *cs = kg_get(c->spec, "containers");
	for (uint32_t i = 0; i < kg_len(cs); i++) {
		const struct kg_value *ps = kg_get(&cs->items[i], "ports");
		for (uint32_t k = 0; k < kg_len(ps); k++)
			c->host_ports |= kg_int(kg_get(&ps->items[k], "hostPort"), 0) > 0;
	}
}

/* ---- candidates ---- */

struct candidate {
	struct kg_node_info *n;
	int64_t score, fixed; /* fixed: what a binding does not change */
	uint64_t tie;
	int64_t same_owner;
};
struct heap {
	struct candidate *v;
	size_t n;
};

static bool better(const struct candidate *a, const struct candidate *b)
{
	if (a->score != b->score)
		return a->score > b->score;
	if (a->tie != b->tie)
		return a->tie > b->tie;
	return strcmp(a->n->name, b->n->name) < 0;
}

static void sift(struct heap *h, size_t i)
{
	for (;;) {
		size_t best = i;
		for (size_t c = 2 * i + 1; c <= 2 * i + 2 && c < h->n; c++)
			if (better(&h->v[c], &h->v[best]))
				best = c;
		if (best == i)
			return;
		struct candidate t = h->v[i];
		h->v[i] = h->v[best];
		h->v[best] = t;
		i = best;
	}
}

/* What would be left of a resource, 0 to 10,000. */
static int64_t left_over(int64_t alloc, int64_t used, int64_t more)
{
	if (alloc <= 0 || used + more >= alloc)
		return 0;
	return (int64_t)((double)(alloc - used - more) * 10000.0 / (double)alloc);
}

static void set_score(struct candidate *x, const struct kg_pod_class *c)
{
	const struct kg_node_info *n = x->n;
	int64_t least =
		(left_over(n->alloc[KG_RES_CPU], n->score_cpu, c->demand.score_cpu) +
			left_over(n->alloc[KG_RES_MEMORY], n->score_mem, c->demand.score_mem)) /
		2;
	x->score = x->fixed + least + 20000 / (1 + x->same_owner);
}

static void count_owner(struct kg_map *counts, struct kg_run *r, const char *owner)
{
	if (!*owner)
		return;
	struct kg_object_iter it;
	const struct kg_object *pod;
	kg_iter_index(&it, kg_now(r), KG_INDEX_OWNER, owner);
	while ((pod = kg_iter_next(&it))) {
		const char *node = pod->kind->id == KG_KIND_POD ? kg_pod_node(pod) : "";
		if (*node && kg_pod_active(pod))
			kg_map_put(counts, node, (void *)((intptr_t)kg_map_get(counts, node) + 1));
	}
	kg_iter_release(&it);
}

static uint64_t mix(uint64_t a, uint64_t b)
{
	uint64_t x = a ^ (b * UINT64_C(0x9e3779b97f4a7c15));
	x ^= x >> 32;
	x *= UINT64_C(0xd6e8feb86659fd93);
	return x ^ x >> 32;
}

/* Affinity and soft taints count relative to what the other nodes offer. */
static void fix_scores(struct heap *h, const struct kg_pod_class *c)
{
	int64_t max_pref = 0, max_soft = 0;
	for (size_t i = 0; i < h->n; i++) {
		struct candidate *x = &h->v[i];
		x->fixed = kg_fit_preference(c, x->n);
		x->score = kg_fit_soft_taints(c, x->n);
		max_pref = x->fixed > max_pref ? x->fixed : max_pref;
		max_soft = x->score > max_soft ? x->score : max_soft;
	}
	for (size_t i = 0; i < h->n; i++) {
		struct candidate *x = &h->v[i];
		int64_t pref = max_pref ? x->fixed * 10000 / max_pref : 0;
		int64_t soft = max_soft ? 10000 - x->score * 10000 / max_soft : 10000;
		x->fixed = 2 * pref + 3 * soft;
	}
}

static void heap_fill(
	struct heap *h, struct kg_run *r, const struct kg_pod_class *c, const struct kg_object *pod)
{
	const char *owner = kg_object_owner_uid(pod);
	const char *self = *owner ? owner : kg_object_uid(pod);
	uint64_t seed = kg_hash64(self, strlen(self));
	KG_CLEANUP(kg_map_release) struct kg_map counts = KG_MAP_INIT;
	count_owner(&counts, r, owner);
	struct kg_map_entry *e;
	h->v = kg_alloc((r->st->nodes.count + 1) * sizeof(*h->v));
	for (size_t i = 0; (e = kg_map_next(&r->st->nodes, &i));) {
		const struct kg_value *taint;
		struct kg_node_info *n = e->value;
		if (kg_fit_room(c, n, kg_now(r)) != KG_FIT || kg_fit_static(c, n, &taint) != KG_FIT)
			continue;
		h->v[h->n++] = (struct candidate){.n = n,
			.tie = mix(n->hash, seed),
			.same_owner = counts.count ? (intptr_t)kg_map_get(&counts, n->name) : 0};
	}
	fix_scores(h, c);
	for (size_t i = 0; i < h->n; i++)
		set_score(&h->v[i], c);
	for (size_t i = h->n / 2; i-- > 0;)
		sift(h, i);
}

/* ---- binding ---- */

static const char *node_address(const struct kg_node_info *n)
{
	const struct kg_value *as = kg_at(kg_obj(n->obj), "status.addresses");
	return kg_string(kg_get(kg_find(as, "type", "InternalIP"), "address"), NULL);
}

static struct kg_value one_ip(struct kg_arena *a, struct kg_value ip)
{
	if (kg_is_null(&ip))
		return ip;
	struct kg_value o = kg_v_obj(a, "ip", ip, (char *)NULL);
	return kg_v_array(a, &o, 1);
}

static void bind_pod(struct kg_run *r, const struct kg_object *pod, const struct kg_pod_class *c,
	const struct kg_node_info *n)
{
	struct kg_arena *a = &r->a;
	struct kg_value host = kg_v_str(a, node_address(n)), ip = host;
	char text[16];
	if (!c->host_network) {
		if (!kg_ipam_pod_ip(text, n, kg_object_uid(pod)))
			return;
		ip = kg_v_str(a, text);
	}
	struct kg_value scheduled = kg_v_obj(a, "type", kg_v_lit("PodScheduled"), "status",
		kg_v_lit("True"), "lastTransitionTime", kg_now_value(r), (char *)NULL);
	struct kg_value st = *kg_get(kg_obj(pod), "status");
	st = kg_with_condition(a, &st, scheduled);
	struct kg_value v = kg_v_obj(a, "conditions", *kg_get(&st, "conditions"), "hostIP", host,
		"hostIPs", one_ip(a, host), "phase", *kg_get(&st, "phase"), "podIP", ip, "podIPs",
		one_ip(a, ip), "qosClass", *kg_get(&st, "qosClass"), (char *)NULL);
	v = kg_with_key(a, kg_obj(pod), "status", v);
	struct kg_value spec =
		kg_with_key(a, kg_get(kg_obj(pod), "spec"), "nodeName", kg_v_str(a, n->name));
	v = kg_with_key(a, &v, "spec", spec);
	kg_put_value(r, pod, &v);
}

/* Binds pods of one class, in order; returns how many found a place. */
static size_t place(
	struct kg_run *r, struct kg_object **pods, size_t n, const struct kg_pod_class *c)
{
	struct heap h = {0};
	size_t done = 0;
	heap_fill(&h, r, c, pods[0]);
	KG_AUTOFREE struct candidate *owned = h.v;
	struct kg_arena outer = r->a;
	r->a = (struct kg_arena)KG_ARENA_INIT;
	for (; done < n && h.n > 0; done++) {
		struct candidate *top = &h.v[0];
		bind_pod(r, pods[done], c, top->n);
		kg_arena_release(&r->a);
		top->same_owner++;
		if (kg_fit_room(c, top->n, kg_now(r)) == KG_FIT)
			set_score(top, c);
		else
			*top = h.v[--h.n];
		sift(&h, 0);
	}
	r->a = outer;
	(void)owned;
	return done;
}

/* ---- those that fit nowhere ---- */

struct reasons {
	struct kg_map counts; /* text -> count */
};

static void reason_add(struct reasons *rs, const char *text)
{
	kg_map_put(&rs->counts, text, (void *)((intptr_t)kg_map_get(&rs->counts, text) + 1));
}

static void add_resource_reasons(struct reasons *rs, struct kg_run *r, const struct kg_pod_class *c,
	const struct kg_node_info *n)
{
	static const char *const names[KG_RES_FIXED] = {"cpu", "memory", "ephemeral-storage"};
	char text[200];
	for (int i = 0; i < KG_RES_MAX; i++) {
		if (!c->demand.req[i] || c->demand.req[i] <= n->alloc[i] - n->used[i])
			continue;
		snprintf(text, sizeof(text), "Insufficient %s",
			i < KG_RES_FIXED ? names[i] : r->st->res_name[i]);
		reason_add(rs, text);
	}
	if (c->demand.unknown) {
		snprintf(text, sizeof(text), "Insufficient %s", c->demand.unknown);
		reason_add(rs, text);
	}
}

static void add_reasons(struct reasons *rs, struct kg_run *r, const struct kg_pod_class *c,
	const struct kg_node_info *n)
{
	static const char *const texts[] = {
		[KG_MISFIT_NODE_NAME] = "node(s) didn't match the requested node name",
		[KG_MISFIT_UNSCHEDULABLE] = "node(s) were unschedulable",
		[KG_MISFIT_NOT_READY] = "node(s) were not ready",
		[KG_MISFIT_AFFINITY] = "node(s) didn't match Pod's node affinity/selector",
		[KG_MISFIT_PORTS] = "node(s) didn't have free ports for the requested pod ports",
		[KG_MISFIT_PODS] = "Too many pods",
		[KG_MISFIT_ADDRESS] = "node(s) had no free pod address",
	};
	const struct kg_value *taint = &kg_null;
	char text[700];
	enum kg_misfit m = kg_fit_static(c, n, &taint);
	if (m == KG_MISFIT_TAINT) {
		snprintf(text, sizeof(text), "node(s) had untolerated taint {%s: %s}",
			kg_string(kg_get(taint, "key"), ""), kg_string(kg_get(taint, "value"), ""));
		reason_add(rs, text);
		return;
	}
	if (m == KG_FIT)
		m = kg_fit_room(c, n, kg_now(r));
	if (m == KG_MISFIT_RESOURCES)
		add_resource_reasons(rs, r, c, n);
	else if (m != KG_FIT)
		reason_add(rs, texts[m]);
}

static int cmp_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *message(struct kg_run *r, const struct kg_pod_class *c)
{
	struct kg_arena *a = &r->a;
	if (r->st->nodes.count == 0)
		return kg_arena_strdup(a, "no nodes available to schedule pods");
	struct reasons rs = {KG_MAP_INIT};
	struct kg_map_entry *e;
	for (size_t i = 0; (e = kg_map_next(&r->st->nodes, &i));)
		add_reasons(&rs, r, c, e->value);
	char **v = kg_arena_alloc(a, (rs.counts.count + 1) * sizeof(char *));
	size_t n = 0;
	for (size_t i = 0; (e = kg_map_next(&rs.counts, &i));)
		v[n++] = kg_arena_printf(a, "%ld %s", (long)(intptr_t)e->value, e->key);
	qsort(v, n, sizeof(*v), cmp_text);
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	kg_buf_addf(&b, "0/%zu nodes are available: ", r->st->nodes.count);
	for (size_t i = 0; i < n; i++)
		kg_buf_addf(&b, "%s%s", i ? ", " : "", v[i]);
	kg_buf_adds(&b, ".");
	kg_map_release(&rs.counts);
	return kg_arena_strdup(a, kg_buf_str(&b));
}

static void say_unschedulable(struct kg_run *r, const struct kg_object *pod, const char *text)
{
	const struct kg_value *status = kg_get(kg_obj(pod), "status");
	const struct kg_value *old = kg_condition(status, "PodScheduled");
	bool same = strcmp(kg_string(kg_get(old, "status"), ""), "False") == 0;
	struct kg_value c = kg_v_obj(&r->a, "type", kg_v_lit("PodScheduled"), "status",
		kg_v_lit("False"), "reason", kg_v_lit("Unschedulable"), "message",
		kg_v_str(&r->a, text), "lastTransitionTime",
		same ? *kg_get(old, "lastTransitionTime") : kg_now_value(r), (char *)NULL);
	struct kg_value st = kg_with_condition(&r->a, status, c);
	struct kg_value v = kg_with_key(&r->a, kg_obj(pod), "status", st);
	kg_put_value(r, pod, &v);
}

void kg_scheduler_run(struct kg_run *r, const char *key)
{
	(void)key;
	KG_AUTOLIST struct kg_list waiting = {0}, failed = {0};
	collect(&waiting, r);
	struct kg_pod_class c;
	for (size_t i = 0, end; i < waiting.n; i = end) {
		for (end = i + 1; end < waiting.n && same_class(waiting.v[i], waiting.v[end]);)
			end++;
		class_init(&c, r, waiting.v[i]);
		size_t done = place(r, &waiting.v[i], end - i, &c);
		for (size_t k = i + done; k < end; k++)
			kg_list_add(&failed, waiting.v[k]);
	}
	for (size_t i = 0, end; i < failed.n; i = end) {
		class_init(&c, r, failed.v[i]);
		const char *text = message(r, &c);
		for (end = i;
			end < failed.n && (end == i || same_class(failed.v[i], failed.v[end]));
			end++)
			say_unschedulable(r, failed.v[end], text);
		kg_arena_release(&r->a);
	}
}
