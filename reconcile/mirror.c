/*
 * What a manifest of kind Endpoints says, as EndpointSlices, which alone the nodes read: one for
 * each set of ports, of at most 1,000 addresses, while there is a Service of that name which has no
 * selector. (Kubernetes' endpointslicemirroring controller.)
 */
#include "reconcile/endpointslice.h"
#include "value/json.h"

#include <stdio.h>
#include <string.h>

/* Addresses of the same ports. */
struct group {
	struct kg_value ports;      /* arena */
	struct kg_value *endpoints; /* heap */
	size_t n, cap;
	const struct kg_object *old; /* the slice that is theirs; NULL: a new one */
};
struct mirror {
	struct kg_run *r;
	const struct kg_object *of;
	struct kg_list existing; /* in order of their names */
	struct group *groups;    /* arena */
	size_t n;
	struct kg_map by_ports; /* JSON -> number of the group, from 1 */
	struct kg_map where;    /* "GROUP WHOSE" -> its place in the group's endpoints, from 1 */
};

/* ---- what is said ---- */

static struct kg_value ports_of(struct kg_arena *a, const struct kg_value *ports)
{
	struct kg_value *items = kg_arena_alloc(a, (kg_len(ports) + 1) * sizeof(*items));
	for (uint32_t i = 0; i < kg_len(ports); i++) {
		const struct kg_value *name = kg_get(&ports->items[i], "name");
		items[i] = kg_with_key(
			a, &ports->items[i], "name", kg_is_null(name) ? kg_v_lit("") : *name);
	}
	return kg_v_array(a, items, kg_len(ports));
}

static struct kg_value endpoint_of(struct kg_arena *a, const struct kg_value *address, bool ready)
{
	const struct kg_value *hostname = kg_get(address, "hostname");
	return kg_v_obj(a, "addresses", kg_v_array(a, kg_get(address, "ip"), 1), "conditions",
		kg_v_obj(a, "ready", kg_v_bool(ready), (char *)NULL), "hostname",
		*kg_string(hostname, "") ? *hostname : kg_v_null(), "nodeName",
		*kg_get(address, "nodeName"), "targetRef", *kg_get(address, "targetRef"),
		(char *)NULL);
}

static struct group *group_for(struct mirror *m, struct kg_value ports)
{
	KG_AUTOBUF struct kg_buf key = KG_BUF_INIT;
	kg_json_write(&key, &ports);
	size_t i = (size_t)(uintptr_t)kg_map_get(&m->by_ports, key.data);
	if (i)
		return &m->groups[i - 1];
	m->groups[m->n] = (struct group){.ports = ports};
	kg_map_put(&m->by_ports, key.data, (void *)(uintptr_t)(m->n + 1));
	return &m->groups[m->n++];
}

/* Said twice, the same endpoint is what is said last. */
static void add(struct mirror *m, struct group *g, const struct kg_value *address, bool ready)
{
	struct kg_arena *a = &m->r->a;
	KG_AUTOBUF struct kg_buf key = KG_BUF_INIT;
	kg_buf_addf(&key, "%zu ", (size_t)(g - m->groups));
	struct kg_value who = kg_with_key(a, address, "nodeName", kg_v_null());
	kg_json_write(&key, &who);
	struct kg_value endpoint = endpoint_of(a, address, ready);
	size_t at = (size_t)(uintptr_t)kg_map_get(&m->where, key.data);
	if (at) {
		g->endpoints[at - 1] = endpoint;
	} else if (g->n < KG_ENDPOINTS_MAX) {
		KG_GROW(g->endpoints, g->cap, g->n + 1);
		g->endpoints[g->n++] = endpoint;
		kg_map_put(&m->where, key.data, (void *)(uintptr_t)g->n);
	}
}

static void read_subsets(struct mirror *m, const struct kg_value *subsets)
{
	static const char *const lists[] = {"addresses", "notReadyAddresses"};
	m->groups = kg_arena_alloc(&m->r->a, (kg_len(subsets) + 1) * sizeof(*m->groups));
	for (uint32_t i = 0; i < kg_len(subsets); i++) {
		const struct kg_value *subset = &subsets->items[i];
		struct group *g = group_for(m, ports_of(&m->r->a, kg_get(subset, "ports")));
		for (size_t l = 0; l < KG_ARRAY_LEN(lists); l++) {
			const struct kg_value *list = kg_get(subset, lists[l]);
			for (uint32_t k = 0; k < kg_len(list); k++)
				add(m, g, &list->items[k], l == 0);
		}
	}
}

/* ---- slices ---- */

/* Each group has the first that has its ports; those that are left are any others'. */
static void match(struct mirror *m)
{
	struct kg_list *l = &m->existing;
	KG_AUTOFREE bool *used = kg_alloc(l->n + 1);
	for (size_t g = 0; g < m->n; g++)
		for (size_t i = 0; i < l->n && !m->groups[g].old; i++) {
			const struct kg_value *ports = kg_get(kg_obj(l->v[i]), "ports");
			if (used[i] || !kg_equal(ports, &m->groups[g].ports))
				continue;
			m->groups[g].old = l->v[i];
			used[i] = true;
		}
	size_t next = 0;
	for (size_t g = 0; g < m->n; g++) {
		while (next < l->n && used[next])
			next++;
		if (m->groups[g].old || next == l->n)
			continue;
		m->groups[g].old = l->v[next];
		used[next] = true;
	}
	for (size_t i = 0; i < l->n; i++)
		if (!used[i])
			kg_delete_object(m->r, l->v[i]);
}

static struct kg_value labels_of(struct kg_arena *a, const struct kg_object *of)
{
	struct kg_value labels = *kg_at(kg_obj(of), "metadata.labels");
	labels = kg_with_key(a, &labels, KG_LABEL_SERVICE_NAME, kg_v_str(a, of->name));
	return kg_with_key(a, &labels, KG_LABEL_MANAGED_BY, kg_v_lit(KG_SLICES_OF_ENDPOINTS));
}

static struct kg_value annotations_of(struct kg_arena *a, const struct kg_object *of)
{
	static const char *const own[] = {"endpoints.kubernetes.io/last-change-trigger-time",
		"kubectl.kubernetes.io/last-applied-configuration"};
	struct kg_value v = *kg_at(kg_obj(of), "metadata.annotations");
	for (size_t i = 0; i < KG_ARRAY_LEN(own); i++)
		if (!kg_is_null(kg_get(&v, own[i])))
			v = kg_with_key(a, &v, own[i], kg_v_null());
	return kg_len(&v) ? v : kg_v_null();
}

static void put(struct mirror *m, const struct group *g)
{
	struct kg_arena *a = &m->r->a;
	static const struct kg_map none = KG_MAP_INIT;
	char name[300];
	struct kg_value v;
	if (g->old) {
		v = *kg_obj(g->old);
	} else {
		kg_slice_name(name, m->r, m->of, &none);
		v = kg_slice_newborn(m->r, m->of, name);
	}
	v = kg_with(a, &v, "metadata.labels", labels_of(a, m->of));
	v = kg_with(a, &v, "metadata.annotations", annotations_of(a, m->of));
	v = kg_with_key(a, &v, "ports", g->ports);
	v = kg_with_key(a, &v, "endpoints", kg_v_array(a, g->endpoints, g->n));
	if (g->old) {
		v = kg_with_generation(a, g->old, &v);
		kg_put_value(m->r, g->old, &v);
		return;
	}
	struct kg_object_spec spec = {.kind = &kg_kinds[KG_KIND_ENDPOINTSLICE],
		.ns = m->of->ns,
		.name = name,
		.value = &v};
	kg_txn_put(m->r->txn, kg_object_new(&spec));
}

static bool is_mirrored(const struct kg_object *endpoints, const struct kg_object *svc)
{
	return svc && !kg_len(kg_at(kg_obj(svc), "spec.selector")) &&
	       kg_endpoints_are_mirrored(kg_obj(endpoints));
}

void kg_mirror_sync(struct kg_run *r, const char *key)
{
	const struct kg_object *of = kg_snapshot_get_key(kg_now(r), KG_KIND_ENDPOINTS, key);
	if (!of) /* its slices go with it */
		return;
	KG_AUTOLIST struct kg_list self = {0};
	kg_list_add(&self, of);
	struct mirror m = {.r = r, .of = self.v[0]};
	kg_list_owned(&m.existing, kg_now(r), KG_KIND_ENDPOINTSLICE, kg_object_uid(m.of));
	if (is_mirrored(of, kg_snapshot_get_key(kg_now(r), KG_KIND_SERVICE, key)))
		read_subsets(&m, kg_get(kg_obj(m.of), "subsets"));
	match(&m);
	for (size_t i = 0; i < m.n; i++) {
		put(&m, &m.groups[i]);
		free(m.groups[i].endpoints);
	}
	kg_list_release(&m.existing);
	kg_map_release(&m.by_ports);
	kg_map_release(&m.where);
}
