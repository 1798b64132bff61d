/*
 * Services: their addresses and node ports, and EndpointSlices that say which pods answer. Pods
 * whose named target ports resolve to different numbers get a slice of their own each, as a
 * slice's ports hold for all its endpoints.
 */
#include "reconcile/internal.h"

#include <stdio.h>
#include <string.h>

/* ---- addresses ---- */

static int allocate_ports(struct kg_run *r, const struct kg_object *svc, struct kg_value *spec)
{
	const struct kg_value *ports = kg_get(spec, "ports");
	const char *type = kg_string(kg_get(spec, "type"), "ClusterIP");
	bool wants = strcmp(type, "NodePort") == 0 || strcmp(type, "LoadBalancer") == 0;
	if (!wants || kg_len(ports) == 0)
		return 0;
	struct kg_value *items = kg_arena_alloc(&r->a, ports->len * sizeof(*items));
	int *fresh = kg_arena_alloc(&r->a, ports->len * sizeof(*fresh));
	size_t nfresh = 0;
	int rc = 0;
	for (uint32_t i = 0; i < ports->len; i++) {
		items[i] = ports->items[i];
		if (kg_int(kg_get(&items[i], "nodePort"), 0))
			continue;
		int p = kg_ipam_node_port(r->st, kg_object_uid(svc), i);
		if (!p) {
			rc = kg_fail(
				r->err, KG_E_INVALID, "Service %s: no node port is free", svc->key);
			break;
		}
		/* Held until the put, so that the next port of this service is another. */
		kg_bit_set(r->st->node_ports, (uint32_t)(p - r->st->node_port_min), true);
		fresh[nfresh++] = p;
		items[i] = kg_with_key(&r->a, &items[i], "nodePort", kg_v_int(p));
	}
	for (size_t i = 0; i < nfresh; i++)
		kg_bit_set(r->st->node_ports, (uint32_t)(fresh[i] - r->st->node_port_min), false);
	*spec = kg_with_key(&r->a, spec, "ports", kg_v_array(&r->a, items, ports->len));
	return rc;
}

static int allocate(struct kg_run *r, const struct kg_object *svc)
{
	struct kg_value spec = *kg_get(kg_obj(svc), "spec");
	if (strcmp(kg_string(kg_get(&spec, "type"), ""), "ExternalName") == 0)
		return 0;
	if (kg_is_null(kg_get(&spec, "clusterIP"))) {
		char ip[16];
		if (!kg_ipam_service_ip(ip, r->st, kg_object_uid(svc)))
			return kg_fail(r->err, KG_E_INVALID,
				"Service %s: no cluster address is free", svc->key);
		spec = kg_with_key(&r->a, &spec, "clusterIP", kg_v_str(&r->a, ip));
	}
	struct kg_value ip = *kg_get(&spec, "clusterIP"), family = kg_v_lit("IPv4");
	if (kg_is_null(kg_get(&spec, "clusterIPs")))
		spec = kg_with_key(&r->a, &spec, "clusterIPs", kg_v_array(&r->a, &ip, 1));
	if (kg_is_null(kg_get(&spec, "ipFamilies")))
		spec = kg_with_key(&r->a, &spec, "ipFamilies", kg_v_array(&r->a, &family, 1));
	if (kg_is_null(kg_get(&spec, "ipFamilyPolicy")))
		spec = kg_with_key(&r->a, &spec, "ipFamilyPolicy", kg_v_lit("SingleStack"));
	int rc = allocate_ports(r, svc, &spec);
	if (rc < 0)
		return rc;
	struct kg_value v = kg_with_key(&r->a, kg_obj(svc), "spec", spec);
	kg_put_value(r, svc, &v);
	return 0;
}

/* ---- endpoints ---- */

/* A target port on this pod: a number, or the container port of that name. 0: the pod has none. */
static int64_t target_port(const struct kg_value *port, const struct kg_object *pod)
{
	const struct kg_value *target = kg_get(port, "targetPort");
	if (target->type == KG_INT)
		return target->i;
	const char *name = kg_string(target, NULL);
	if (!name)
		return kg_int(kg_get(port, "port"), 0);
	const char *protocol = kg_string(kg_get(port, "protocol"), "TCP");
	static const char *const lists[] = {"containers", "initContainers"};
	for (size_t l = 0; l < KG_ARRAY_LEN(lists); l++) {
		const struct kg_value *cs = kg_get(kg_get(kg_obj(pod), "spec"), lists[l]);
		for (uint32_t i = 0; i < kg_len(cs); i++) {
			const struct kg_value *ps = kg_get(&cs->items[i], "ports");
			for (uint32_t k = 0; k < kg_len(ps); k++) {
				const struct kg_value *p = &ps->items[k];
				if (strcmp(kg_string(kg_get(p, "name"), ""), name) == 0 &&
					strcmp(kg_string(kg_get(p, "protocol"), "TCP"), protocol) ==
						0)
					return kg_int(kg_get(p, "containerPort"), 0);
			}
		}
	}
	return 0;
}

static struct kg_value ports_on(
	struct kg_arena *a, const struct kg_object *svc, const struct kg_object *pod)
{
	const struct kg_value *ports = kg_at(kg_obj(svc), "spec.ports");
	struct kg_value *items = kg_arena_alloc(a, (kg_len(ports) + 1) * sizeof(*items));
	size_t n = 0;
	for (uint32_t i = 0; i < kg_len(ports); i++) {
		const struct kg_value *p = &ports->items[i];
		int64_t number = target_port(p, pod);
		if (!number)
			continue;
		const struct kg_value *name = kg_get(p, "name");
		items[n++] = kg_v_obj(a, "name", kg_is_null(name) ? kg_v_lit("") : *name, "port",
			kg_v_int(number), "protocol",
			kg_v_str(a, kg_string(kg_get(p, "protocol"), "TCP")), "appProtocol",
			*kg_get(p, "appProtocol"), (char *)NULL);
	}
	return kg_v_array(a, items, n);
}

static struct kg_value endpoint_of(
	struct kg_arena *a, const struct kg_object *svc, const struct kg_object *pod)
{
	const struct kg_value *spec = kg_get(kg_obj(pod), "spec");
	bool serving = kg_pod_ready(pod), terminating = kg_object_deleting(pod);
	bool any = kg_bool(kg_at(kg_obj(svc), "spec.publishNotReadyAddresses"), false);
	struct kg_value ip = kg_v_str(a, kg_string(kg_at(kg_obj(pod), "status.podIP"), ""));
	struct kg_value conditions =
		kg_v_obj(a, "ready", kg_v_bool(any || (serving && !terminating)), "serving",
			kg_v_bool(serving), "terminating", kg_v_bool(terminating), (char *)NULL);
	struct kg_value ref =
		kg_v_obj(a, "kind", kg_v_lit("Pod"), "name", kg_v_str(a, pod->name), "namespace",
			kg_v_str(a, pod->ns), "uid", kg_v_str(a, kg_object_uid(pod)), (char *)NULL);
	struct kg_value hostname = kg_v_null();
	if (strcmp(kg_string(kg_get(spec, "subdomain"), ""), svc->name) == 0)
		hostname = *kg_get(spec, "hostname");
	return kg_v_obj(a, "addresses", kg_v_array(a, &ip, 1), "conditions", conditions, "hostname",
		hostname, "nodeName", kg_v_str(a, kg_pod_node(pod)), "targetRef", ref,
		(char *)NULL);
}

struct group {
	struct kg_value ports;
	struct kg_value *endpoints; /* heap */
	size_t n, cap;
};
struct groups {
	struct group *v;
	size_t n, cap;
};

static void groups_release(struct groups *g)
{
	for (size_t i = 0; i < g->n; i++)
		free(g->v[i].endpoints);
	free(g->v);
}

static void group_add(struct groups *g, struct kg_value ports, struct kg_value endpoint)
{
	size_t i = 0;
	while (i < g->n && !kg_equal(&g->v[i].ports, &ports))
		i++;
	if (i == g->n) {
		KG_GROW(g->v, g->cap, g->n + 1);
		g->v[g->n++] = (struct group){.ports = ports};
	}
	struct group *to = &g->v[i];
	KG_GROW(to->endpoints, to->cap, to->n + 1);
	to->endpoints[to->n++] = endpoint;
}

static int cmp_group(const void *a, const void *b)
{
	const struct group *x = a, *y = b;
	return kg_value_cmp(&x->ports, &y->ports);
}

static void collect(struct groups *g, struct kg_run *r, const struct kg_object *svc)
{
	const struct kg_value *sel = kg_at(kg_obj(svc), "spec.selector");
	KG_AUTOBUF struct kg_buf key = KG_BUF_INIT;
	kg_buf_addf(&key, "%s\x01%s\x01%s", svc->ns, sel->members[0].key,
		kg_string(&sel->members[0].value, ""));
	kg_track_fill(r->st, kg_now(r));
	struct kg_anchor *an = kg_map_get(&r->st->anchors, key.data);
	if (!an)
		return;
	KG_AUTOFREE struct kg_map_entry **pods = kg_map_sorted(&an->pods);
	for (size_t i = 0; i < an->pods.count; i++) {
		const struct kg_object *pod =
			kg_snapshot_get_key(kg_now(r), KG_KIND_POD, pods[i]->key);
		if (!pod || kg_pod_terminal(pod) ||
			!*kg_string(kg_at(kg_obj(pod), "status.podIP"), "") ||
			!kg_labels_match_map(sel, kg_at(kg_obj(pod), "metadata.labels")))
			continue;
		group_add(g, ports_on(&r->a, svc, pod), endpoint_of(&r->a, svc, pod));
	}
}

static struct kg_value slice_labels(struct kg_arena *a, const struct kg_object *svc)
{
	struct kg_value labels = *kg_at(kg_obj(svc), "metadata.labels");
	if (labels.type != KG_OBJECT)
		labels = kg_v_object(a, NULL, 0);
	labels = kg_with_key(a, &labels, "kubernetes.io/service-name", kg_v_str(a, svc->name));
	labels =
		kg_with_key(a, &labels, "endpointslice.kubernetes.io/managed-by", kg_v_lit("kgit"));
	if (strcmp(kg_string(kg_at(kg_obj(svc), "spec.clusterIP"), ""), "None") == 0)
		labels = kg_with_key(a, &labels, "service.kubernetes.io/headless", kg_v_lit(""));
	return labels;
}

static void slice_name(char out[300], const struct kg_object *svc, size_t index)
{
	char what[64], suffix[8];
	int n = snprintf(what, sizeof(what), "%s/%zu", kg_object_uid(svc), index);
	kg_safe_encode(suffix, 5, kg_hash64(what, (size_t)n));
	snprintf(out, 300, "%s-%s", svc->name, suffix);
}

static void put_slice(
	struct kg_run *r, const struct kg_object *svc, const char *name, const struct group *g)
{
	const struct kg_kind *kind = &kg_kinds[KG_KIND_ENDPOINTSLICE];
	struct kg_arena *a = &r->a;
	const struct kg_object *old = kg_snapshot_get(kg_now(r), kind->id, svc->ns, name);
	if (old && strcmp(kg_object_owner_uid(old), kg_object_uid(svc)) != 0)
		old = NULL; /* of a service of that name that is gone */
	struct kg_value v;
	if (old) {
		v = *kg_obj(old);
	} else {
		v = kg_v_obj(a, "apiVersion", kg_v_lit("discovery.k8s.io/v1"), "kind",
			kg_v_lit("EndpointSlice"), "metadata", kg_v_object(a, NULL, 0),
			"addressType", kg_v_lit("IPv4"), (char *)NULL);
		v = kg_birth(r, kind, svc->ns, name, &v);
		v = kg_with(a, &v, "metadata.ownerReferences", kg_make_owner_ref(a, svc));
		v = kg_with(a, &v, "metadata.generateName", kg_v_strf(a, "%s-", svc->name));
	}
	v = kg_with(a, &v, "metadata.labels", slice_labels(a, svc));
	v = kg_with_key(a, &v, "ports", g->ports);
	v = kg_with_key(a, &v, "endpoints", kg_v_array(a, g->endpoints, g->n));
	if (old) {
		kg_put_value(r, old, &v);
		return;
	}
	struct kg_object_spec spec = {.kind = kind, .ns = svc->ns, .name = name, .value = &v};
	kg_txn_put(r->txn, kg_object_new(&spec));
}

static void sync_slices(struct kg_run *r, const struct kg_object *svc)
{
	KG_CLEANUP(groups_release) struct groups g = {0};
	KG_CLEANUP(kg_map_release) struct kg_map keep = KG_MAP_INIT;
	const struct kg_value *spec = kg_get(kg_obj(svc), "spec");
	const struct kg_value *sel = kg_get(spec, "selector");
	if (sel->type == KG_OBJECT && sel->len > 0 &&
		strcmp(kg_string(kg_get(spec, "type"), ""), "ExternalName") != 0) {
		collect(&g, r, svc);
		if (g.n == 0) {
			KG_GROW(g.v, g.cap, 1);
			g.v[g.n++] = (struct group){.ports = kg_v_array(&r->a, NULL, 0)};
		}
	}
	if (g.n)
		qsort(g.v, g.n, sizeof(*g.v), cmp_group);
	for (size_t i = 0; i < g.n; i++) {
		char name[300];
		slice_name(name, svc, i);
		kg_map_put(&keep, name, &keep);
		put_slice(r, svc, name, &g.v[i]);
	}
	KG_AUTOLIST struct kg_list slices = {0};
	kg_list_owned(&slices, kg_now(r), KG_KIND_ENDPOINTSLICE, kg_object_uid(svc));
	for (size_t i = 0; i < slices.n; i++)
		if (!kg_map_has(&keep, slices.v[i]->name))
			kg_delete_object(r, slices.v[i]);
}

int kg_service_run(struct kg_run *r, const char *key)
{
	const struct kg_object *svc = kg_snapshot_get_key(kg_now(r), KG_KIND_SERVICE, key);
	if (!svc)
		return 0;
	int rc = allocate(r, svc);
	if (rc < 0)
		return rc;
	KG_AUTOLIST struct kg_list self = {0};
	kg_list_add(&self, kg_snapshot_get_key(kg_now(r), KG_KIND_SERVICE, key));
	sync_slices(r, self.v[0]);
	return 0;
}
