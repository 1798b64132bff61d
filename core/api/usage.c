/*
 * NodeMetrics and PodMetrics, which `kubectl top` shows: what nodes said last, as objects. They are
 * made when somebody asks, at most once a second, and cannot be watched. A node is believed of
 * itself and of the pods that are bound to it, nothing else.
 */
#include "api/internal.h"
#include "api/worker.h"

#include <inttypes.h>

/* Each version is a copy of all that there is. */
enum { READ_MS = 1000, MOST_KEPT = 2 };

void kg_api_usage_init(struct kg_api *api)
{
	uint64_t seq = (uint64_t)kg_api_now(api) * 1000;

	pthread_mutex_init(&api->usage.lock, NULL);
	kg_api_versions_init(&api->usage.nodes, seq, MOST_KEPT);
	kg_api_versions_init(&api->usage.pods, seq, MOST_KEPT);
	api->usage.read = -1;
}

void kg_api_usage_release(struct kg_api *api)
{
	kg_api_versions_release(&api->usage.nodes);
	kg_api_versions_release(&api->usage.pods);
	pthread_mutex_destroy(&api->usage.lock);
}

/* What is being made: one look at all nodes. */
struct look {
	struct kg_snapshot *snapshot;
	struct kg_pmap nodes, pods;
	uint64_t node_seq, pod_seq;
	struct kg_arena a; /* of one node */
	const char *at, *window;
	const char *node;
	const struct kg_object *only; /* of its pods; NULL: all */
};

static struct kg_value used(struct kg_arena *a, const struct kg_value *v)
{
	int64_t cpu = kg_int(kg_get(v, "cpu"), 0), memory = kg_int(kg_get(v, "memory"), 0);

	return kg_v_obj(a, "cpu", kg_v_strf(a, "%" PRId64 "n", cpu < 0 ? 0 : cpu), "memory",
		kg_v_strf(a, "%" PRId64 "Ki", memory < 0 ? 0 : memory / 1024), (char *)NULL);
}

static struct kg_value meta_of(struct look *l, const struct kg_object *of)
{
	const struct kg_value *labels = kg_at(kg_obj(of), "metadata.labels");

	return kg_v_obj(&l->a, "name", kg_v_str(&l->a, of->name), "namespace",
		*of->ns ? kg_v_str(&l->a, of->ns) : kg_v_null(), "labels", *labels,
		"creationTimestamp", kg_v_lit(l->at), (char *)NULL);
}

/* One more: what is used of `of`, in the member `key`. */
static void add(struct look *l, enum kg_kind_id kind, const struct kg_object *of, const char *key,
	const struct kg_value *what)
{
	const struct kg_kind *k = &kg_kinds[kind];
	bool node = kind == KG_KIND_NODE_METRICS;
	struct kg_value v = kg_v_obj(&l->a, "apiVersion", kg_v_lit(k->api_version), "kind",
		kg_v_lit(k->kind), "metadata", meta_of(l, of), "timestamp", kg_v_lit(l->at),
		"window", kg_v_lit(l->window), key, *what, (char *)NULL);
	struct kg_object *obj = kg_object_new(
		&(struct kg_object_spec){.kind = k, .ns = of->ns, .name = of->name, .value = &v});

	obj->revision = node ? l->node_seq : l->pod_seq;
	kg_pmap_put(node ? &l->nodes : &l->pods, obj->key, obj);
	kg_object_unref(obj);
}

/* The pod that is bound to the node and is the very one. NULL: none. */
static const struct kg_object *pod_of(const struct look *l, const struct kg_value *said)
{
	const struct kg_object *pod = kg_snapshot_get(l->snapshot, KG_KIND_POD,
		kg_string(kg_get(said, "namespace"), ""), kg_string(kg_get(said, "name"), ""));

	if (!pod || strcmp(kg_object_uid(pod), kg_string(kg_get(said, "uid"), "")) != 0 ||
		strcmp(kg_string(kg_at(kg_obj(pod), "spec.nodeName"), ""), l->node) != 0)
		return NULL;
	return pod;
}

/* The containers that the pod has, and nothing else that a node may say; returns how many. */
static uint32_t add_containers(struct look *l, struct kg_value *items, const struct kg_value *has,
	const struct kg_value *said)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < kg_len(has); i++) {
		const char *name = kg_string(kg_get(&has->items[i], "name"), "");
		const struct kg_value *one = kg_find(said, "name", name);

		if (!kg_is_null(one))
			items[n++] = kg_v_obj(&l->a, "name", kg_v_str(&l->a, name), "usage",
				used(&l->a, one), (char *)NULL);
	}
	return n;
}

static void add_pod(struct look *l, const struct kg_value *said)
{
	const struct kg_value *all = kg_array(kg_get(said, "containers"));
	const struct kg_object *pod = pod_of(l, said);

	if (!pod || (l->only && pod != l->only) || kg_pmap_get(&l->pods, pod->key))
		return; /* or said twice */
	const struct kg_value *main = kg_at(kg_obj(pod), "spec.containers");
	const struct kg_value *init = kg_at(kg_obj(pod), "spec.initContainers");
	uint32_t most = kg_len(main) + kg_len(init);
	struct kg_value *items = kg_arena_alloc(&l->a, (most + 1) * sizeof(*items));
	uint32_t n = add_containers(l, items, main, all);

	n += add_containers(l, items + n, init, all);
	struct kg_value containers = kg_v_array(&l->a, items, n);

	if (n)
		add(l, KG_KIND_POD_METRICS, pod, "containers", &containers);
}

static void add_node(struct look *l, const struct kg_object *node, const struct kg_api_usage *u)
{
	const struct kg_value *said = kg_doc_value(u->said);
	const struct kg_value *pods = kg_array(kg_get(said, "pods"));
	char *at = kg_arena_alloc(&l->a, 32);

	kg_time_format(at, u->at);
	l->at = at;
	l->window =
		kg_arena_printf(&l->a, "%.3fs", (double)kg_int(kg_get(said, "windowMs"), 0) / 1000);
	l->node = node->name;
	struct kg_value usage = used(&l->a, said);
	add(l, KG_KIND_NODE_METRICS, node, "usage", &usage);
	for (uint32_t i = 0; i < kg_len(pods); i++)
		add_pod(l, &pods->items[i]);
}

static void look_at_node(struct kg_api *api, struct look *l, const struct kg_object *node)
{
	struct kg_api_usage u = {0};

	if (!api->opt.usage || !api->opt.usage(api->opt.ctx, node->name, &u))
		return;
	add_node(l, node, &u);
	kg_doc_unref(u.said);
	kg_arena_release(&l->a);
	l->a = (struct kg_arena)KG_ARENA_INIT;
}

static void look_at_nodes(struct kg_api *api, struct look *l)
{
	const struct kg_object *node;
	struct kg_object_iter it;

	kg_iter_kind(&it, l->snapshot, KG_KIND_NODE, NULL, NULL);
	while ((node = kg_iter_next(&it)))
		look_at_node(api, l, node);
	kg_iter_release(&it);
}

static struct look begin(struct kg_api *api)
{
	struct look l = {.snapshot = kg_hub_snapshot(api->opt.hub), .a = KG_ARENA_INIT};

	kg_pmap_init(&l.nodes, &kg_objects_ops);
	kg_pmap_init(&l.pods, &kg_objects_ops);
	return l;
}

void kg_api_usage_read(struct kg_api *api)
{
	struct usage_store *u = &api->usage;
	int64_t now = kg_api_now_ms();

	pthread_mutex_lock(&u->lock);
	if (u->read < 0 || now - u->read >= READ_MS) {
		struct look l = begin(api);

		u->read = now;
		l.node_seq = u->nodes.seq + 1;
		l.pod_seq = u->pods.seq + 1;
		look_at_nodes(api, &l);
		kg_api_versions_replace(&u->nodes, &l.nodes);
		kg_api_versions_replace(&u->pods, &l.pods);
		kg_snapshot_unref(l.snapshot);
	}
	pthread_mutex_unlock(&u->lock);
}

static uint64_t newest(struct versions *v)
{
	pthread_mutex_lock(&v->lock);
	uint64_t seq = v->seq;
	pthread_mutex_unlock(&v->lock);
	return seq;
}

uint64_t kg_api_usage_of(struct kg_api *api, const struct kg_kind *kind, const char *ns,
	const char *name, struct kg_pmap *out)
{
	bool pods = kind->id == KG_KIND_POD_METRICS;
	struct look l = begin(api);
	const char *of = name;

	l.node_seq = newest(&api->usage.nodes);
	l.pod_seq = newest(&api->usage.pods);
	if (pods) {
		l.only = kg_snapshot_get(l.snapshot, KG_KIND_POD, ns, name);
		of = l.only ? kg_string(kg_at(kg_obj(l.only), "spec.nodeName"), "") : "";
	}
	const struct kg_object *node = kg_snapshot_get(l.snapshot, KG_KIND_NODE, "", of);

	if (node)
		look_at_node(api, &l, node);
	*out = pods ? l.pods : l.nodes;
	kg_pmap_release(pods ? &l.nodes : &l.pods);
	kg_snapshot_unref(l.snapshot);
	return pods ? l.pod_seq : l.node_seq;
}
