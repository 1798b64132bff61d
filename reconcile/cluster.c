/* What clients are to know of the master, kept in the state (kinds/cluster.h). */
#include "kinds/cluster.h"

#include "reconcile/internal.h"

static struct kg_value text(const char *s)
{
	return s && *s ? kg_v_lit(s) : kg_v_null();
}

static void create(struct kg_run *r, const struct kg_value *data)
{
	const struct kg_kind *kind = &kg_kinds[KG_KIND_CONFIGMAP];
	struct kg_value v =
		kg_v_obj(&r->a, "apiVersion", kg_v_lit("v1"), "kind", kg_v_lit("ConfigMap"),
			"metadata", kg_v_object(&r->a, NULL, 0), "data", *data, (char *)NULL);

	v = kg_birth(r, kind, KG_CLUSTER_NS, KG_CLUSTER_NAME, &v);
	kg_txn_put(r->txn,
		kg_object_new(&(struct kg_object_spec){
			.kind = kind, .ns = KG_CLUSTER_NS, .name = KG_CLUSTER_NAME, .value = &v}));
}

void kg_cluster_apply(struct kg_run *r, const struct kg_input_cluster *in)
{
	const struct kg_object *old =
		kg_snapshot_get(kg_now(r), KG_KIND_CONFIGMAP, KG_CLUSTER_NS, KG_CLUSTER_NAME);
	struct kg_value data = kg_v_obj(&r->a, KG_CLUSTER_ADDRESS, text(in->address), KG_CLUSTER_CA,
		text(in->ca), KG_CLUSTER_SERVICE, text(in->service), (char *)NULL);

	if (!old) {
		create(r, &data);
	} else if (!old->source) {
		struct kg_value v = kg_with_key(&r->a, kg_obj(old), "data", data);

		kg_put_value(r, old, &v); /* each commit asks */
	}
}

bool kg_cluster_shown(struct kg_input_cluster *out, const struct kg_change *c)
{
	if (!kg_cluster_is(c->after) ||
		(kg_cluster_is(c->before) && kg_equal(kg_get(kg_obj(c->before), "data"),
						     kg_get(kg_obj(c->after), "data"))))
		return false;
	*out = (struct kg_input_cluster){.ca = kg_cluster_text(c->after, KG_CLUSTER_CA),
		.address = kg_cluster_text(c->after, KG_CLUSTER_ADDRESS),
		.service = kg_cluster_text(c->after, KG_CLUSTER_SERVICE)};
	return true;
}
