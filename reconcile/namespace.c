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

/* What of a namespace is still there: by kind, and by finalizer. */
struct remains {
	struct kg_run *r;
	const char *ns;
	struct kg_buf kinds, finalizers;
};

static void remains_release(struct remains *x)
{
	kg_buf_release(&x->kinds);
	kg_buf_release(&x->finalizers);
}

static void count_finalizers(struct kg_map *counts, const struct kg_object *obj)
{
	const struct kg_value *list = kg_meta(obj, "finalizers");
	for (uint32_t i = 0; i < kg_len(list); i++) {
		const char *name = kg_string(&list->items[i], "");
		kg_map_put(counts, name, (void *)((intptr_t)kg_map_get(counts, name) + 1));
	}
}

static void say_finalizers(struct remains *x, const struct kg_map *counts)
{
	KG_AUTOFREE struct kg_map_entry **e = kg_map_sorted(counts);
	for (size_t i = 0; i < counts->count; i++)
		kg_buf_addf(&x->finalizers, "%s%s in %lld resource instances",
			x->finalizers.len ? ", " : "", e[i]->key, (long long)(intptr_t)e[i]->value);
}

static void remove_all(struct remains *x, enum kg_kind_id k, struct kg_map *finalizers)
{
	KG_AUTOLIST struct kg_list l = {0};
	struct kg_object_iter it;
	const struct kg_object *obj;
	size_t left = 0;
	kg_iter_kind(&it, kg_now(x->r), k, x->ns, NULL);
	while ((obj = kg_iter_next(&it)))
		kg_list_add(&l, obj);
	kg_iter_release(&it);
	for (size_t i = 0; i < l.n; i++) {
		if (k == KG_KIND_PERSISTENTVOLUMECLAIM)
			kg_claim_undefine(x->r, l.v[i]);
		else if (k != KG_KIND_POD)
			kg_delete_object(x->r, l.v[i]);
		else if (!kg_object_deleting(l.v[i]))
			kg_pod_delete(x->r, l.v[i]);
		const struct kg_object *stays = kg_snapshot_get_key(kg_now(x->r), k, l.v[i]->key);
		if (stays)
			count_finalizers(finalizers, stays);
		left += stays != NULL;
	}
	if (left)
		kg_buf_addf(&x->kinds, "%s%s.%s has %zu resource instances",
			x->kinds.len ? ", " : "", kg_kinds[k].plural, kg_kinds[k].group, left);
}

static void empty_namespace(struct remains *x)
{
	KG_CLEANUP(kg_map_release) struct kg_map finalizers = KG_MAP_INIT;
	for (int k = 0; k < KG_KIND_COUNT; k++)
		if (kg_kinds[k].flags & KG_KF_NAMESPACED && !(kg_kinds[k].flags & KG_KF_SYNTHETIC))
			remove_all(x, k, &finalizers);
	say_finalizers(x, &finalizers);
}

static void add_condition(struct remains *x, struct kg_value *status, const char *type, bool is,
	const char *reason, const char *message)
{
	struct kg_arena *a = &x->r->a;
	const struct kg_value *old = kg_condition(status, type);
	const char *now = is ? "True" : "False";
	bool same = strcmp(kg_string(kg_get(old, "status"), ""), now) == 0;
	struct kg_value c = kg_v_obj(a, "type", kg_v_lit(type), "status", kg_v_lit(now), "reason",
		kg_v_lit(reason), "message", kg_v_str(a, message), "lastTransitionTime",
		same ? *kg_get(old, "lastTransitionTime") : kg_now_value(x->r), (char *)NULL);
	*status = kg_with_condition(a, status, c);
}

/* Why it is there still, in the words of Kubernetes' namespace controller. */
static void put_remains(struct remains *x, const struct kg_object *ns)
{
	struct kg_arena *a = &x->r->a;
	struct kg_value st = *kg_get(kg_obj(ns), "status");
	bool held = x->finalizers.len;
	add_condition(x, &st, "NamespaceDeletionDiscoveryFailure", false, "ResourcesDiscovered",
		"All resources successfully discovered");
	add_condition(x, &st, "NamespaceDeletionGroupVersionParsingFailure", false,
		"ParsedGroupVersions", "All legacy kube types successfully parsed");
	add_condition(x, &st, "NamespaceDeletionContentFailure", false, "ContentDeleted",
		"All content successfully deleted, may be waiting on finalization");
	add_condition(x, &st, "NamespaceContentRemaining", true, "SomeResourcesRemain",
		kg_arena_printf(a, "Some resources are remaining: %s", x->kinds.data));
	add_condition(x, &st, "NamespaceFinalizersRemaining", held,
		held ? "SomeFinalizersRemain" : "ContentHasNoFinalizers",
		held ? kg_arena_printf(a,
			       "Some content in the namespace has finalizers remaining: %s",
			       x->finalizers.data)
		     : "All content-preserving finalizers finished");
	struct kg_value v = kg_with_key(a, kg_obj(ns), "status", st);
	kg_put_value(x->r, ns, &v);
}

void kg_namespace_run(struct kg_run *r, const char *key)
{
	const struct kg_object *ns = kg_snapshot_get_key(kg_now(r), KG_KIND_NAMESPACE, key);
	if (!ns || !kg_object_deleting(ns))
		return;
	struct kg_object *held = kg_object_ref(ns);
	KG_CLEANUP(remains_release) struct remains x = {.r = r, .ns = held->name};
	empty_namespace(&x);
	if (x.kinds.len)
		put_remains(&x, held);
	else
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
