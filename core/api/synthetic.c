/* Leases: made of what liveness remembers when they are read. (Endpoints are endpoints.c.) */
#include "api/internal.h"

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
		kg_object_new(&(struct kg_object_spec){.kind = &kg_kinds[KG_KIND_LEASE],
			.ns = "kube-node-lease",
			.name = node->name,
			.value = &out});
	obj->revision = node->revision;

	kg_arena_release(&a);
	return obj;
}
