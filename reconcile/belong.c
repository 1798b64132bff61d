#include "reconcile/belong.h"

#include <stdio.h>
#include <string.h>

/* ---- finalizers ---- */

bool kg_finalizer_is_ours(const char *name)
{
	static const char *const ours[] = {"foregroundDeletion", "orphan",
		"kubernetes.io/pvc-protection", "kubernetes.io/pv-protection",
		"batch.kubernetes.io/job-tracking"};
	for (size_t i = 0; i < KG_ARRAY_LEN(ours); i++)
		if (strcmp(ours[i], name) == 0)
			return true;
	return false;
}

static bool is_listed(const struct kg_value *list, const char *name)
{
	for (uint32_t i = 0; i < kg_len(list); i++)
		if (strcmp(kg_string(&list->items[i], ""), name) == 0)
			return true;
	return false;
}

static const struct kg_value *finalizers_of(const struct kg_object *obj)
{
	return kg_meta(obj, "finalizers");
}

bool kg_finalizer_has(const struct kg_object *obj, const char *name)
{
	return is_listed(finalizers_of(obj), name);
}

bool kg_finalizers_hold(const struct kg_object *obj)
{
	const struct kg_value *list = finalizers_of(obj);
	for (uint32_t i = 0; i < kg_len(list); i++)
		if (!kg_finalizer_is_ours(kg_string(&list->items[i], "")))
			return true;
	return false;
}

/* Those that `named` lists (NULL: all), of the system's own only where `ours`. */
static struct kg_value some_of(
	struct kg_arena *a, const struct kg_value *list, const struct kg_value *named, bool ours)
{
	struct kg_value *items = kg_arena_alloc(a, (kg_len(list) + 1) * sizeof(*items));
	uint32_t n = 0;
	for (uint32_t i = 0; i < kg_len(list); i++) {
		const char *name = kg_string(&list->items[i], "");
		if (kg_finalizer_is_ours(name) ? ours : !named || is_listed(named, name))
			items[n++] = list->items[i];
	}
	return n ? kg_v_array(a, items, n) : kg_v_null();
}

void kg_finalizers_mark(struct kg_run *r, const struct kg_object *obj)
{
	struct kg_arena *a = &r->a;
	bool again = kg_object_deleting(obj);
	struct kg_value v = *kg_obj(obj);
	v = kg_with(a, &v, "metadata.finalizers", some_of(a, finalizers_of(obj), NULL, false));
	if (again) {
		kg_put_value(r, obj, &v);
		return;
	}
	v = kg_with_deletion(r, &v);
	struct kg_object_spec spec = {
		.kind = obj->kind, .ns = obj->ns, .name = obj->name, .value = &v};
	kg_txn_put(r->txn, kg_object_new(&spec));
}

struct kg_value kg_finalizers_left(
	struct kg_arena *a, const struct kg_object *obj, const struct kg_value *manifest)
{
	return some_of(
		a, finalizers_of(obj), kg_get(kg_get(manifest, "metadata"), "finalizers"), true);
}

struct kg_value kg_finalizer_add(struct kg_arena *a, const struct kg_value *v, const char *name)
{
	const struct kg_value *list = kg_get(kg_get(v, "metadata"), "finalizers");
	if (is_listed(list, name))
		return *v;
	return kg_with(a, v, "metadata.finalizers", kg_with_item(a, list, kg_v_str(a, name)));
}

void kg_end_object(struct kg_run *r, const struct kg_object *obj)
{
	struct kg_object *held = kg_object_ref(obj);
	bool again = held->source && kg_object_deleting(held);
	kg_delete_object(r, held);
	if (again && !kg_snapshot_get_key(kg_now(r), held->kind->id, held->key))
		kg_desired_create(r, held->kind, held->ns, held->name, held->base, held->source,
			held->source_index);
	kg_object_unref(held);
}

/* ---- owners that manifests name ---- */

static const struct kg_value *refs_of(const struct kg_object *obj)
{
	return obj ? kg_meta(obj, "ownerReferences") : &kg_null;
}

/* As its manifest has them, which may name an owner that is not there. */
static const struct kg_value *written_refs(const struct kg_object *obj)
{
	return obj && obj->source && obj->base
		       ? kg_at(kg_doc_value(obj->base), "metadata.ownerReferences")
		       : refs_of(obj);
}

/* Made by hand, not by a controller. */
static bool is_named(const struct kg_value *ref)
{
	return !kg_bool(kg_get(ref, "controller"), false);
}

static const struct kg_kind *kind_of(const struct kg_value *ref)
{
	return kg_kind_by_api(
		kg_string(kg_get(ref, "apiVersion"), ""), kg_string(kg_get(ref, "kind"), ""));
}

/* The object that a reference names, by kind and name; NULL: not there. */
static const struct kg_object *owner_named(
	const struct kg_snapshot *s, const struct kg_object *obj, const struct kg_value *ref)
{
	const struct kg_kind *kind = kind_of(ref);
	if (!kind)
		return NULL;
	return kg_snapshot_get(s, kind->id, kind->flags & KG_KF_NAMESPACED ? obj->ns : "",
		kg_string(kg_get(ref, "name"), ""));
}

static void key_of(char out[700], const struct kg_object *obj)
{
	snprintf(out, 700, "%d %s", (int)obj->kind->id, obj->key);
}

static bool owner_key(char out[700], const struct kg_object *obj, const struct kg_value *ref)
{
	const struct kg_kind *kind = kind_of(ref);
	if (kind)
		snprintf(out, 700, "%d %s/%s", (int)kind->id,
			kind->flags & KG_KF_NAMESPACED ? obj->ns : "",
			kg_string(kg_get(ref, "name"), ""));
	return kind != NULL;
}

static void join(struct kg_reconcile_state *st, const struct kg_object *obj, bool on)
{
	const struct kg_value *refs = written_refs(obj);
	char key[700], me[700];
	for (uint32_t i = 0; i < kg_len(refs); i++) {
		if (!is_named(&refs->items[i]) || !owner_key(key, obj, &refs->items[i]))
			continue;
		key_of(me, obj);
		if (on)
			kg_sets_add(&st->belongings, key, me);
		else
			kg_sets_remove(&st->belongings, key, me);
	}
}

void kg_belong_track(struct kg_reconcile_state *st, const struct kg_object *before,
	const struct kg_object *after)
{
	if (kg_equal(written_refs(before), written_refs(after)))
		return;
	if (before)
		join(st, before, false);
	if (after)
		join(st, after, true);
}

static void enqueue_map(struct kg_reconcile_state *st, const struct kg_map *m)
{
	struct kg_map_entry *e;
	for (size_t i = 0; m && (e = kg_map_next(m, &i));)
		kg_enqueue(st, KG_C_BELONGING, e->key);
}

void kg_belong_enqueue_all(struct kg_reconcile_state *st)
{
	struct kg_map_entry *e;
	for (size_t i = 0; (e = kg_map_next(&st->belongings.by_name, &i));)
		enqueue_map(st, e->value);
}

/* An owner on its way out may wait for what belonged to it, and does no more. */
static void let_go(struct kg_run *r, const struct kg_object *before, const struct kg_object *after)
{
	const struct kg_value *refs = refs_of(before);
	if (kg_equal(refs, refs_of(after)))
		return;
	for (uint32_t i = 0; i < kg_len(refs); i++) {
		const struct kg_object *owner =
			is_named(&refs->items[i]) ? owner_named(kg_now(r), before, &refs->items[i])
						  : NULL;
		if (owner && kg_object_deleting(owner))
			kg_cascade_enqueue(r, owner);
	}
}

void kg_belong_concerns(
	struct kg_run *r, const struct kg_object *before, const struct kg_object *after)
{
	const struct kg_object *obj = after ? after : before;
	const struct kg_value *refs = written_refs(obj);
	bool same = before && after && strcmp(kg_object_uid(before), kg_object_uid(after)) == 0 &&
		    kg_object_deleting(before) == kg_object_deleting(after);
	char key[700];
	if (r->st->belongings.by_name.count && !same) {
		key_of(key, obj);
		enqueue_map(r->st, kg_sets_get(&r->st->belongings, key));
	}
	for (uint32_t i = 0; after && after->source && i < kg_len(refs); i++)
		if (is_named(&refs->items[i])) {
			key_of(key, obj);
			kg_enqueue(r->st, KG_C_BELONGING, key);
		}
	let_go(r, before, after);
}

bool kg_belong_blocks(struct kg_run *r, const struct kg_object *owner)
{
	char key[700];
	struct kg_map_entry *e;
	key_of(key, owner);
	const struct kg_map *m = kg_sets_get(&r->st->belongings, key);
	for (size_t i = 0; m && (e = kg_map_next(m, &i));) {
		const char *of_kind = strchr(e->key, ' ') + 1;
		const struct kg_object *obj =
			kg_snapshot_get_key(kg_now(r), (enum kg_kind_id)atoi(e->key), of_kind);
		const struct kg_value *refs = refs_of(obj);
		for (uint32_t k = 0; k < kg_len(refs); k++)
			if (kg_bool(kg_get(&refs->items[k], "blockOwnerDeletion"), false) &&
				strcmp(kg_string(kg_get(&refs->items[k], "uid"), ""),
					kg_object_uid(owner)) == 0)
				return true;
	}
	return false;
}

/* The owner that a reference means, where it is there and the object is its own still. */
static const struct kg_object *live_owner(
	struct kg_run *r, const struct kg_object *obj, const struct kg_value *ref)
{
	const struct kg_object *owner = owner_named(kg_now(r), obj, ref);
	const char *uid = kg_string(kg_get(ref, "uid"), "");
	return owner && (!*uid || strcmp(uid, kg_object_uid(owner)) == 0) ? owner : NULL;
}

/* It waits until all that is its own is gone. */
static bool is_waiting(const struct kg_object *owner)
{
	return kg_object_deleting(owner) && kg_finalizer_has(owner, "foregroundDeletion");
}

/* Another owner keeps it: those that wait for its end let go of it, as Kubernetes' collector has
 * it. */
static bool is_kept(struct kg_run *r, const struct kg_object *obj, const struct kg_value *refs)
{
	for (uint32_t i = 0; i < kg_len(refs); i++) {
		const struct kg_object *owner = live_owner(r, obj, &refs->items[i]);
		if (owner && !is_waiting(owner))
			return true;
	}
	return false;
}

void kg_belong_run(struct kg_run *r, const char *key)
{
	const struct kg_object *obj =
		kg_snapshot_get_key(kg_now(r), (enum kg_kind_id)atoi(key), strchr(key, ' ') + 1);
	if (!obj || !obj->source || !obj->base)
		return;
	const struct kg_value *refs = written_refs(obj);
	struct kg_value *items = kg_arena_alloc(&r->a, (kg_len(refs) + 1) * sizeof(*items));
	bool kept = is_kept(r, obj, refs);
	uint32_t n = 0;
	for (uint32_t i = 0; i < kg_len(refs); i++) {
		/* One that is gone, or another of its name, is no owner any more. */
		const struct kg_object *owner = live_owner(r, obj, &refs->items[i]);
		if (owner && !(kept && is_waiting(owner)))
			items[n++] = kg_with_key(&r->a, &refs->items[i], "uid",
				kg_v_str(&r->a, kg_object_uid(owner)));
	}
	struct kg_value v = kg_with(&r->a, kg_obj(obj), "metadata.ownerReferences",
		n ? kg_v_array(&r->a, items, n) : kg_v_null());
	kg_put_value(r, obj, &v);
}
