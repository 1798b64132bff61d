/* Namespaces: those that the system makes, and the removal of what is in one that goes. */
#include "reconcile/internal.h"

#include <string.h>

static const char *const system_names[] = {"default", "kube-system"};

bool kg_namespace_is_system(const char *name)
{
	for (size_t i = 0; i < KG_ARRAY_LEN(system_names); i++)
		if (strcmp(system_names[i], name) == 0)
			return true;
	return false;
}

void kg_namespace_system(struct kg_run *r)
{
	const struct kg_kind *kind = &kg_kinds[KG_KIND_NAMESPACE];
	for (size_t i = 0; i < KG_ARRAY_LEN(system_names); i++) {
		if (kg_snapshot_get(kg_now(r), KG_KIND_NAMESPACE, "", system_names[i]))
			continue;
		struct kg_value v =
			kg_v_obj(&r->a, "apiVersion", kg_v_lit("v1"), "kind", kg_v_lit("Namespace"),
				"metadata", kg_v_object(&r->a, NULL, 0), (char *)NULL);
		struct kg_doc *base = kg_doc_new(&v, NULL, 0);
		kg_desired_create(r, kind, "", system_names[i], base, NULL, 0);
		kg_doc_unref(base);
	}
}

/* Removes what it holds; true when nothing is left. */
static bool empty_namespace(struct kg_run *r, const char *ns)
{
	bool left = false;
	for (int k = 0; k < KG_KIND_COUNT; k++) {
		if (!(kg_kinds[k].flags & KG_KF_NAMESPACED) || kg_kinds[k].flags & KG_KF_SYNTHETIC)
			continue;
		KG_AUTOLIST struct kg_list l = {0};
		struct kg_object_iter it;
		const struct kg_object *obj;
		kg_iter_kind(&it, kg_now(r), k, ns, NULL);
		while ((obj = kg_iter_next(&it)))
			kg_list_add(&l, obj);
		kg_iter_release(&it);
		for (size_t i = 0; i < l.n; i++) {
			if (k == KG_KIND_PERSISTENTVOLUMECLAIM)
				kg_claim_undefine(r, l.v[i]);
			else if (k != KG_KIND_POD)
				kg_delete_object(r, l.v[i]);
			else if (!kg_object_deleting(l.v[i]))
				kg_pod_delete(r, l.v[i]);
			left |= kg_snapshot_get_key(kg_now(r), k, l.v[i]->key) != NULL;
		}
	}
	return !left;
}

void kg_namespace_run(struct kg_run *r, const char *key)
{
	const struct kg_object *ns = kg_snapshot_get_key(kg_now(r), KG_KIND_NAMESPACE, key);
	if (!ns || !kg_object_deleting(ns))
		return;
	struct kg_object *held = kg_object_ref(ns);
	if (empty_namespace(r, held->name))
		kg_delete_object(r, held);
	kg_object_unref(held);
}

/* Owned objects whose owner is gone, where no controller of their own sees to it. */
void kg_garbage_run(struct kg_run *r, const char *key)
{
	static const enum kg_kind_id kinds[] = {KG_KIND_ENDPOINTSLICE, KG_KIND_CONTROLLERREVISION};
	for (size_t i = 0; i < KG_ARRAY_LEN(kinds); i++) {
		const struct kg_object *obj = kg_snapshot_get_key(kg_now(r), kinds[i], key);
		if (obj && !kg_owner_exists(kg_now(r), obj))
			kg_delete_object(r, obj);
	}
}
