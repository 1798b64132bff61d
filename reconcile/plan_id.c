/* A plan as items: what is done to which object. Its id and its JSON are made of them. */
#include "base/hash.h"
#include "kinds/endpoints.h"
#include "reconcile/plan.h"
#include "value/json.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct item {
	const char *operation;
	const struct kg_object *obj, *before;
	const char *node; /* "" */
};

static const char *node_of(const struct kg_object *obj)
{
	return kg_string(kg_at(kg_obj(obj), "spec.nodeName"), "");
}

static bool is_pod(const struct kg_object *obj)
{
	return obj->kind->id == KG_KIND_POD;
}

/* ---- what an object is to be ---- */

/* What users wrote; else all but what is of this cluster and this moment, or kept as annotations.
 */
static struct kg_value wanted(struct kg_arena *a, const struct kg_object *obj)
{
	const struct kg_value *v = kg_obj(obj), *md = kg_get(v, "metadata");

	if (obj->source && obj->base)
		return *kg_doc_value(obj->base);
	struct kg_value rest = kg_with(a, v, "status", kg_v_null());
	rest = kg_with(
		a, &rest, "metadata", kg_v_obj(a, "labels", *kg_get(md, "labels"), (char *)NULL));
	return is_pod(obj) ? kg_with(a, &rest, "spec.nodeName", kg_v_null()) : rest;
}

static bool same_but_status(const struct kg_object *x, const struct kg_object *y)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value p = wanted(&a, x), q = wanted(&a, y);

	return kg_equal(&p, &q);
}

/* ---- items ---- */

static const char *operation(const struct kg_change *c)
{
	const struct kg_object *x = c->before, *y = c->after;

	if (!x)
		return "create";
	if (!y)
		return kg_object_deleting(x) ? NULL : "delete"; /* its end was decided before */
	if (kg_object_deleting(y) && !kg_object_deleting(x))
		return "stop";
	if (is_pod(y) && *node_of(y) && !*node_of(x))
		return "bind";
	if (same_but_status(x, y))
		return NULL;
	return kg_equal(kg_at(kg_obj(x), "spec.replicas"), kg_at(kg_obj(y), "spec.replicas"))
		       ? "change"
		       : "scale";
}

/* Slices that are made follow from pods and Endpoints; what a node is, it says itself. */
static bool counts(const struct kg_change *c)
{
	const struct kg_object *obj = kg_change_object(c);

	if (c->quiet || (obj->kind->id == KG_KIND_ENDPOINTSLICE && kg_slice_is_made(obj)))
		return false;
	return obj->kind->id != KG_KIND_NODE || obj->source;
}

static struct item *items_of(size_t *n, const struct kg_changes *changes)
{
	struct item *items = kg_alloc((changes->len + 1) * sizeof(*items));

	*n = 0;
	for (size_t i = 0; i < changes->len; i++) {
		const struct kg_change *c = &changes->items[i];
		const char *what = counts(c) ? operation(c) : NULL;

		if (!what)
			continue;
		const struct kg_object *obj = kg_change_object(c);
		items[(*n)++] =
			(struct item){what, obj, c->before, is_pod(obj) ? node_of(obj) : ""};
	}
	return items;
}

/* ---- the id ---- */

/* A new object's name may come of its owner's uid, and that of the revision. */
static void add_name(struct kg_buf *b, const struct item *it)
{
	const struct kg_value *owners = kg_at(kg_obj(it->obj), "metadata.ownerReferences");

	if (strcmp(it->operation, "create") == 0 && kg_len(owners) && !it->obj->source)
		kg_buf_addf(b, "of %s %s", kg_string(kg_get(&owners->items[0], "kind"), ""),
			kg_string(kg_get(&owners->items[0], "name"), ""));
	else
		kg_buf_adds(b, it->obj->name);
}

static char *line_of(const struct item *it)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_buf json KG_AUTOBUF = KG_BUF_INIT;
	struct kg_buf line = KG_BUF_INIT;
	unsigned char d[32];
	char hex[65];

	/* Pods of one template are many, and its id says all. */
	if (it->obj->template_id[0]) {
		kg_buf_adds(&json, it->obj->template_id);
	} else {
		struct kg_value v = wanted(&a, it->obj);
		kg_json_write(&json, &v);
	}
	kg_sha256(d, kg_buf_str(&json), json.len);
	kg_hex(hex, d, sizeof(d));
	kg_buf_addf(&line, "%s %s %s/", it->operation, it->obj->kind->resource, it->obj->ns);
	add_name(&line, it);
	kg_buf_addf(&line, " %s %s\n", hex, it->node);
	return kg_buf_steal(&line);
}

static int by_text(const void *x, const void *y)
{
	return strcmp(*(char *const *)x, *(char *const *)y);
}

void kg_plan_id(char out[KG_PLAN_ID_LEN + 1], const struct kg_changes *changes)
{
	struct kg_buf all KG_AUTOBUF = KG_BUF_INIT;
	size_t n;
	struct item *items KG_AUTOFREE = items_of(&n, changes);
	char **lines KG_AUTOFREE = kg_alloc((n + 1) * sizeof(*lines));
	unsigned char d[32];
	char hex[65];

	for (size_t i = 0; i < n; i++)
		lines[i] = line_of(&items[i]);
	qsort(lines, n, sizeof(*lines), by_text);
	for (size_t i = 0; i < n; i++) {
		kg_buf_adds(&all, lines[i]);
		free(lines[i]);
	}
	kg_sha256(d, kg_buf_str(&all), all.len);
	kg_hex(hex, d, sizeof(d));
	memcpy(out, hex, KG_PLAN_ID_LEN);
	out[KG_PLAN_ID_LEN] = '\0';
}

bool kg_plan_id_ok(const char *text)
{
	return strlen(text) == KG_PLAN_ID_LEN && strspn(text, "0123456789abcdef") == KG_PLAN_ID_LEN;
}

/* ---- JSON ---- */

static struct kg_value pending_reason(struct kg_arena *a, const struct item *it)
{
	const struct kg_value *c = kg_object_condition(it->obj, "PodScheduled");

	if (!is_pod(it->obj) || *it->node || strcmp(it->operation, "create") != 0)
		return kg_v_null();
	return kg_v_str(a, kg_string(kg_get(c, "message"), "waiting"));
}

static struct kg_value value_of(struct kg_arena *a, const struct item *it)
{
	bool scaled = strcmp(it->operation, "scale") == 0;

	return kg_v_obj(a, "operation", kg_v_lit(it->operation), "kind",
		kg_v_lit(it->obj->kind->kind), "namespace",
		*it->obj->ns ? kg_v_str(a, it->obj->ns) : kg_v_null(), "name",
		kg_v_str(a, it->obj->name), "node", *it->node ? kg_v_str(a, it->node) : kg_v_null(),
		"reason", pending_reason(a, it), "from",
		scaled ? *kg_at(kg_obj(it->before), "spec.replicas") : kg_v_null(), "to",
		scaled ? *kg_at(kg_obj(it->obj), "spec.replicas") : kg_v_null(), (char *)NULL);
}

struct kg_value kg_plan_value(struct kg_arena *a, const struct kg_changes *changes)
{
	size_t n;
	struct item *items KG_AUTOFREE = items_of(&n, changes);
	struct kg_value *list = kg_arena_alloc(a, (n + 1) * sizeof(*list));
	char id[KG_PLAN_ID_LEN + 1];

	kg_plan_id(id, changes);
	for (size_t i = 0; i < n; i++)
		list[i] = value_of(a, &items[i]);
	return kg_v_obj(
		a, "plan", kg_v_str(a, id), "changes", kg_v_array(a, list, n), (char *)NULL);
}
