/*
 * Node manifests: labels, annotations, taints and cordons in main, over what nodes say of
 * themselves. Such a node is as registered, with the manifest's members on top; when the manifest
 * goes, it is as registered again. The labels that the node itself gave are kept in an annotation
 * meanwhile. A manifest may come before its node does.
 */
#include "reconcile/internal.h"
#include "value/json.h"

#include <string.h>

#define LABELS_ANNOTATION "kgit.dev/registered-labels"

static struct kg_value merge(
	struct kg_arena *a, const struct kg_value *below, const struct kg_value *above)
{
	struct kg_value v = below->type == KG_OBJECT ? *below : kg_v_object(a, NULL, 0);

	for (uint32_t i = 0; i < kg_len(above); i++)
		v = kg_with_key(a, &v, above->members[i].key, above->members[i].value);
	return v;
}

struct kg_value kg_node_labels(struct kg_arena *a, const struct kg_object *node)
{
	const char *text = kg_annotation(node, LABELS_ANNOTATION, NULL);
	struct kg_value v;
	struct kg_error ignored; /* it is ours */

	if (text && kg_json_parse(&v, a, text, strlen(text), &ignored) == 0)
		return v;
	return *kg_at(kg_obj(node), "metadata.labels");
}

static bool same_taint(const struct kg_value *a, const struct kg_value *b)
{
	return kg_equal(kg_get(a, "key"), kg_get(b, "key")) &&
	       kg_equal(kg_get(a, "effect"), kg_get(b, "effect")) &&
	       kg_equal(kg_get(a, "value"), kg_get(b, "value"));
}

/* The manifest's, and those that readiness made. What evicts does so from its first day on. */
static struct kg_value taints_of(
	struct kg_run *r, const struct kg_value *before, const struct kg_value *manifest)
{
	struct kg_value *items =
		kg_arena_alloc(&r->a, (kg_len(before) + kg_len(manifest) + 1) * sizeof(*items));
	size_t n = 0;

	for (uint32_t i = 0; i < kg_len(manifest); i++) {
		struct kg_value t = manifest->items[i];
		struct kg_value since = kg_now_value(r);

		for (uint32_t k = 0; k < kg_len(before); k++)
			if (same_taint(&before->items[k], &t) &&
				!kg_is_null(kg_get(&before->items[k], "timeAdded")))
				since = *kg_get(&before->items[k], "timeAdded");
		if (strcmp(kg_string(kg_get(&t, "effect"), ""), "NoExecute") == 0)
			t = kg_with_key(&r->a, &t, "timeAdded", since);
		items[n++] = t;
	}
	for (uint32_t k = 0; k < kg_len(before); k++)
		if (kg_node_taint_is_ours(&before->items[k]))
			items[n++] = before->items[k];
	return n ? kg_v_array(&r->a, items, n) : kg_v_null();
}

/* manifest: an object, or null for none. */
static struct kg_value overlay(struct kg_run *r, const struct kg_object *node,
	const struct kg_value *labels, const struct kg_value *manifest)
{
	struct kg_arena *a = &r->a;
	struct kg_value v = *kg_obj(node);
	const struct kg_value *taints = kg_at(&v, "spec.taints");
	bool any = manifest->type == KG_OBJECT;

	bool cordoned = kg_bool(kg_at(manifest, "spec.unschedulable"), false);
	v = kg_with(a, &v, "spec.unschedulable", cordoned ? kg_v_bool(true) : kg_v_null());
	v = kg_with(a, &v, "spec.taints", taints_of(r, taints, kg_at(manifest, "spec.taints")));
	v = kg_with(a, &v, "metadata.labels", merge(a, labels, kg_at(manifest, "metadata.labels")));
	v = kg_with(a, &v, "metadata.annotations",
		any ? merge(a, kg_at(manifest, "metadata.annotations"), &kg_null) : kg_v_null());
	if (!any)
		return v;
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;
	kg_json_write(&text, labels);
	return kg_with_annotation(a, &v, LABELS_ANNOTATION, kg_arena_strdup(a, kg_buf_str(&text)));
}

void kg_node_define(struct kg_run *r, const struct kg_input_desired *d, struct kg_doc *base)
{
	const struct kg_object *node = kg_snapshot_get(kg_now(r), KG_KIND_NODE, "", d->name);

	if (!node) {
		struct kg_input_node none = {.name = d->name};
		kg_node_register(r, &none);
		node = kg_snapshot_get(kg_now(r), KG_KIND_NODE, "", d->name);
	}
	struct kg_value labels = kg_node_labels(&r->a, node);
	struct kg_value v = overlay(r, node, &labels, &d->value);
	struct kg_object_spec spec = {.kind = d->kind,
		.ns = "",
		.name = d->name,
		.value = &v,
		.base = base,
		.source = d->source,
		.source_index = d->source_index};
	kg_txn_put(r->txn, kg_object_new(&spec));
}

void kg_node_undefine(struct kg_run *r, const struct kg_object *node)
{
	/* It never came. */
	if (kg_is_null(kg_at(kg_obj(node), "status.addresses"))) {
		kg_delete_object(r, node);
		return;
	}
	struct kg_value labels = kg_node_labels(&r->a, node);
	struct kg_value v = overlay(r, node, &labels, &kg_null);
	struct kg_object_spec spec = {
		.kind = node->kind, .ns = "", .name = node->name, .value = &v};
	kg_txn_put(r->txn, kg_object_new(&spec));
}

struct kg_value kg_node_relabel(
	struct kg_run *r, const struct kg_object *node, struct kg_value v, struct kg_value labels)
{
	if (!node || !node->source || !node->base) {
		return kg_with(&r->a, &v, "metadata.labels", labels);
	}
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;
	kg_json_write(&text, &labels);
	v = kg_with(&r->a, &v, "metadata.labels",
		merge(&r->a, &labels, kg_at(kg_doc_value(node->base), "metadata.labels")));
	return kg_with_annotation(
		&r->a, &v, LABELS_ANNOTATION, kg_arena_strdup(&r->a, kg_buf_str(&text)));
}
