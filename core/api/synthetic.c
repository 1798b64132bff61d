/* Kinds that are made of others when they are read: Endpoints of EndpointSlices, Leases of what
 * liveness remembers. */
#include "api/internal.h"

static bool endpoint_ready(const struct kg_value *ep)
{
	return kg_bool(kg_at(ep, "conditions.ready"), true);
}

static struct kg_value address_of(struct kg_arena *a, const struct kg_value *ep)
{
	return kg_v_obj(a, "ip", *kg_at(ep, "addresses.0"), "nodeName", *kg_get(ep, "nodeName"),
		"targetRef", *kg_get(ep, "targetRef"), "hostname", *kg_get(ep, "hostname"),
		(char *)NULL);
}

static struct kg_value addresses_of(struct kg_arena *a, const struct kg_value *eps, bool ready)
{
	struct kg_value *items = kg_arena_alloc(a, (kg_len(eps) + 1) * sizeof(*items));
	size_t n = 0;

	for (uint32_t i = 0; i < kg_len(eps); i++)
		if (endpoint_ready(&eps->items[i]) == ready)
			items[n++] = address_of(a, &eps->items[i]);
	return n ? kg_v_array(a, items, n) : kg_v_null();
}

static struct kg_value subsets_of(struct kg_arena *a, const struct kg_value *slice)
{
	const struct kg_value *eps = kg_get(slice, "endpoints");

	if (!kg_len(eps))
		return kg_v_null();
	struct kg_value subset = kg_v_obj(a, "addresses", addresses_of(a, eps, true),
		"notReadyAddresses", addresses_of(a, eps, false), "ports", *kg_get(slice, "ports"),
		(char *)NULL);
	return kg_v_array(a, &subset, 1);
}

/* An object of a synthetic kind, with the revision of what it is made of. */
static struct kg_object *made(enum kg_kind_id kind, const char *ns, const char *name,
	const struct kg_value *v, uint64_t revision)
{
	struct kg_object *obj = kg_object_new(&(struct kg_object_spec){
		.kind = &kg_kinds[kind], .ns = ns, .name = name, .value = v});

	obj->revision = revision;
	return obj;
}

struct kg_object *kg_api_endpoints_of(const struct kg_object *slice)
{
	const struct kg_value *v = kg_obj(slice), *md = kg_get(v, "metadata");
	const char *name =
		kg_string(kg_get(kg_get(md, "labels"), "kubernetes.io/service-name"), NULL);
	struct kg_arena a = KG_ARENA_INIT;
	char uid[37];

	if (!name)
		return NULL;
	kg_uuid5(uid, kg_object_uid(slice), "endpoints");
	struct kg_value meta = kg_v_obj(&a, "name", kg_v_str(&a, name), "namespace",
		kg_v_str(&a, slice->ns), "uid", kg_v_str(&a, uid), "creationTimestamp",
		*kg_get(md, "creationTimestamp"), (char *)NULL);
	struct kg_value out =
		kg_v_obj(&a, "apiVersion", kg_v_lit("v1"), "kind", kg_v_lit("Endpoints"),
			"metadata", meta, "subsets", subsets_of(&a, v), (char *)NULL);
	struct kg_object *obj = made(KG_KIND_ENDPOINTS, slice->ns, name, &out, slice->revision);

	kg_arena_release(&a);
	return obj;
}

struct kg_object *kg_api_lease_of(struct kg_api *api, const struct kg_object *node)
{
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_api_lease lease = {0};
	char acquired[40], renewed[40], created[32], uid[37];

	if (!api->opt.lease || !api->opt.lease(api->opt.ctx, node->name, &lease))
		return NULL;
	kg_time_format_micro(acquired, lease.acquired);
	kg_time_format_micro(renewed, lease.renewed);
	kg_time_format(created, lease.acquired);
	kg_uuid5(uid, kg_object_uid(node), "lease");
	struct kg_value meta = kg_v_obj(&a, "name", kg_v_str(&a, node->name), "namespace",
		kg_v_lit("kube-node-lease"), "uid", kg_v_str(&a, uid), "creationTimestamp",
		kg_v_str(&a, created), (char *)NULL);
	struct kg_value spec = kg_v_obj(&a, "holderIdentity", kg_v_str(&a, node->name),
		"leaseDurationSeconds", kg_v_int(lease.duration_s), "acquireTime",
		kg_v_str(&a, acquired), "renewTime", kg_v_str(&a, renewed), (char *)NULL);
	struct kg_value out = kg_v_obj(&a, "apiVersion", kg_v_lit("coordination.k8s.io/v1"), "kind",
		kg_v_lit("Lease"), "metadata", meta, "spec", spec, (char *)NULL);
	struct kg_object *obj =
		made(KG_KIND_LEASE, "kube-node-lease", node->name, &out, node->revision);

	kg_arena_release(&a);
	return obj;
}
