#include "kgitd/view_private.h"

#include "base/map.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/*
 * Overview. What all nodes share: where the others' pods are (nodes/) and the map of services
 * (services/), each service with the endpoints that are ready. It is made once for all views, and
 * again at most so often, however many pods come and go; its bytes are kept, there is one of it.
 */

static const char *node_address(const struct kg_object *node)
{
	const struct kg_value *addrs = kg_at(kg_obj(node), "status.addresses");
	const struct kg_value *ip = kg_find(addrs, "type", "InternalIP");

	return kg_string(kg_get(ip, "address"), "");
}

static bool node_ready(const struct kg_object *node)
{
	const struct kg_value *c =
		kg_find(kg_at(kg_obj(node), "status.conditions"), "type", "Ready");

	return strcmp(kg_string(kg_get(c, "status"), ""), "True") == 0;
}

static struct kg_value node_route(struct kg_arena *a, const struct kg_object *node)
{
	return kg_v_obj(a, "name", kg_v_lit(node->name), "podCIDR",
		*kg_at(kg_obj(node), "spec.podCIDR"), "address", kg_v_lit(node_address(node)),
		"ready", kg_v_bool(node_ready(node)), (char *)NULL);
}

/* The number that a port of that name has in a slice; 0: it has none. */
static int64_t port_number(const struct kg_object *slice, const char *name)
{
	const struct kg_value *ports = kg_get(kg_obj(slice), "ports");
	int64_t port = 0;

	for (uint32_t i = 0; i < kg_len(ports); i++)
		if (strcmp(kg_string(kg_get(&ports->items[i], "name"), ""), name) == 0)
			port = kg_int(kg_get(&ports->items[i], "port"), 0);
	return port;
}

static size_t add_endpoints(
	struct kg_arena *a, struct kg_value *out, const struct kg_object *slice, int64_t port)
{
	const struct kg_value *eps = kg_get(kg_obj(slice), "endpoints");
	size_t n = 0;

	for (uint32_t i = 0; i < kg_len(eps); i++)
		if (kg_bool(kg_at(&eps->items[i], "conditions.ready"), true))
			out[n++] = kg_v_strf(a, "%s:%lld",
				kg_string(kg_at(&eps->items[i], "addresses.0"), ""),
				(long long)port);
	return n;
}

static size_t count_endpoints(const struct kg_snapshot *s, const struct kg_object *svc)
{
	struct kg_object_iter it KG_CLEANUP(kg_iter_release);
	const struct kg_object *slice;
	size_t n = 0;

	kg_iter_index(&it, s, KG_INDEX_OWNER, kg_object_uid(svc));
	while ((slice = kg_iter_next(&it)))
		n += kg_len(kg_get(kg_obj(slice), "endpoints"));
	return n;
}

/* "ip:port" of every ready endpoint of one service port. */
static struct kg_value port_endpoints(struct kg_arena *a, const struct kg_snapshot *s,
	const struct kg_object *svc, const char *port_name)
{
	struct kg_object_iter it KG_CLEANUP(kg_iter_release);
	const struct kg_object *slice;
	struct kg_value *items = kg_arena_alloc(a, (count_endpoints(s, svc) + 1) * sizeof(*items));
	size_t n = 0;

	kg_iter_index(&it, s, KG_INDEX_OWNER, kg_object_uid(svc));
	while ((slice = kg_iter_next(&it))) {
		int64_t port = slice->kind->id == KG_KIND_ENDPOINTSLICE
				       ? port_number(slice, port_name)
				       : 0;

		if (port > 0)
			n += add_endpoints(a, items + n, slice, port);
	}
	return kg_v_array(a, items, n);
}

static size_t add_hosts(struct kg_arena *a, struct kg_value *out, struct kg_map *seen,
	const struct kg_object *slice)
{
	const struct kg_value *eps = kg_get(kg_obj(slice), "endpoints");
	size_t n = 0;

	for (uint32_t i = 0; i < kg_len(eps); i++) {
		const struct kg_value *e = &eps->items[i];
		const char *address = kg_string(kg_at(e, "addresses.0"), "");

		if (!kg_bool(kg_at(e, "conditions.ready"), true) || kg_map_has(seen, address))
			continue;
		kg_map_put(seen, address, seen);
		out[n++] = kg_v_obj(a, "address", kg_v_lit(address), "hostname",
			*kg_get(e, "hostname"), (char *)NULL);
	}
	return n;
}

/* {address, hostname} of every ready endpoint of a headless service, for names. */
static struct kg_value service_hosts(
	struct kg_arena *a, const struct kg_snapshot *s, const struct kg_object *svc)
{
	struct kg_map seen KG_CLEANUP(kg_map_release) = KG_MAP_INIT;
	struct kg_object_iter it KG_CLEANUP(kg_iter_release);
	struct kg_value *items = kg_arena_alloc(a, (count_endpoints(s, svc) + 1) * sizeof(*items));
	const struct kg_object *slice;
	size_t n = 0;

	kg_iter_index(&it, s, KG_INDEX_OWNER, kg_object_uid(svc));
	while ((slice = kg_iter_next(&it))) {
		if (slice->kind->id == KG_KIND_ENDPOINTSLICE)
			n += add_hosts(a, items + n, &seen, slice);
	}
	return kg_v_array(a, items, n);
}

static struct kg_value service_map(
	struct kg_arena *a, const struct kg_snapshot *s, const struct kg_object *svc)
{
	const struct kg_value *spec = kg_get(kg_obj(svc), "spec");
	const char *ip = kg_string(kg_get(spec, "clusterIP"), "");
	const struct kg_value *ports = kg_get(spec, "ports");
	/* Said only where it is not the usual one: what views have of services stays as it is. */
	bool local = strcmp(kg_string(kg_get(spec, "internalTrafficPolicy"), ""), "Local") == 0;
	bool headless = strcmp(ip, "None") == 0;
	struct kg_value *items = kg_arena_alloc(a, (kg_len(ports) + 1) * sizeof(*items));
	for (uint32_t i = 0; i < kg_len(ports); i++) {
		const struct kg_value *p = &ports->items[i];
		const char *name = kg_string(kg_get(p, "name"), "");

		items[i] = kg_v_obj(a, "name", kg_v_lit(name), "protocol", *kg_get(p, "protocol"),
			"port", *kg_get(p, "port"), "nodePort", *kg_get(p, "nodePort"), "endpoints",
			port_endpoints(a, s, svc, name), (char *)NULL);
	}
	return kg_v_obj(a, "name", kg_v_lit(svc->name), "namespace", kg_v_lit(svc->ns), "clusterIP",
		kg_v_lit(ip), "type", *kg_get(spec, "type"), "sessionAffinity",
		*kg_get(spec, "sessionAffinity"), "externalTrafficPolicy",
		*kg_get(spec, "externalTrafficPolicy"), "internalTrafficPolicy",
		local ? kg_v_lit("Local") : kg_v_null(), "externalName",
		*kg_get(spec, "externalName"), "hosts",
		headless ? service_hosts(a, s, svc) : kg_v_null(), "ports",
		kg_v_array(a, items, kg_len(ports)), (char *)NULL);
}

void kgd_shared_tree(const struct kgd_shared *sh, const char *dir, unsigned char oid[20],
	const struct kgd_object_sink *sink)
{
	size_t first, n = kgd_view_below(sh->files, sh->nfiles, dir, &first);

	if (n)
		kgd_tree_of(&sh->files[first], n, strlen(dir), NULL, 0, oid, sink);
}

struct kgd_shared *kgd_shared_new(
	const struct kg_snapshot *s, const struct kgd_shared_options *opts)
{
	struct kgd_shared *sh = kg_alloc(sizeof(*sh));
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kgd_view_files files = {0};
	struct kg_object_iter it;
	const struct kg_object *obj;

	atomic_init(&sh->refs, 1);
	snprintf(sh->service_cidr, sizeof(sh->service_cidr), "%s", opts->service_cidr);
	snprintf(sh->pod_cidr, sizeof(sh->pod_cidr), "%s", opts->pod_cidr);
	sh->ca_pem = opts->ca_pem ? kg_strdup(opts->ca_pem) : NULL;
	kg_iter_kind(&it, s, KG_KIND_NODE, NULL, NULL);
	while ((obj = kg_iter_next(&it))) {
		struct kg_value v = node_route(&a, obj);
		kgd_view_add_value(&files, kg_asprintf("nodes/%s.yaml", obj->name), &v);
	}
	kg_iter_release(&it);
	kg_iter_kind(&it, s, KG_KIND_SERVICE, NULL, NULL);
	while ((obj = kg_iter_next(&it))) {
		struct kg_value v = service_map(&a, s, obj);
		kgd_view_add_value(
			&files, kg_asprintf("services/%s/%s.yaml", obj->ns, obj->name), &v);
	}
	kg_iter_release(&it);
	kgd_view_sort(&files);
	sh->files = files.items;
	sh->nfiles = files.len;
	kgd_shared_tree(sh, "services/", sh->services, NULL);
	kgd_shared_tree(sh, "nodes/", sh->nodes, NULL);
	return sh;
}

struct kgd_shared *kgd_shared_ref(struct kgd_shared *sh)
{
	if (sh)
		atomic_fetch_add(&sh->refs, 1);
	return sh;
}

void kgd_shared_unref(struct kgd_shared *sh)
{
	if (!sh || atomic_fetch_sub(&sh->refs, 1) != 1)
		return;
	kgd_view_free_files(sh->files, sh->nfiles);
	free(sh->ca_pem);
	free(sh);
}

bool kgd_shared_equal(const struct kgd_shared *a, const struct kgd_shared *b)
{
	return strcmp(a->ca_pem ? a->ca_pem : "", b->ca_pem ? b->ca_pem : "") == 0 &&
	       memcmp(a->services, b->services, 20) == 0 && memcmp(a->nodes, b->nodes, 20) == 0;
}

static bool node_shared_changed(const struct kg_change *c)
{
	if (!c->before || !c->after)
		return true;
	return strcmp(node_address(c->before), node_address(c->after)) != 0 ||
	       node_ready(c->before) != node_ready(c->after) ||
	       !kg_equal(kg_at(kg_obj(c->before), "spec.podCIDR"),
		       kg_at(kg_obj(c->after), "spec.podCIDR"));
}

bool kgd_view_is_shared(const struct kg_change *c)
{
	const struct kg_object *obj = c->after ? c->after : c->before;

	switch (obj->kind->id) {
	case KG_KIND_SERVICE:
	case KG_KIND_ENDPOINTSLICE:
		return !c->quiet;
	case KG_KIND_NODE:
		return node_shared_changed(c);
	default:
		return false;
	}
}
