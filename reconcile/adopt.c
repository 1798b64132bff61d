#include "reconcile/adopt.h"

#include "reconcile/belong.h"

#include <stdio.h>
#include <string.h>

const enum kg_kind_id kg_adopt_kinds[] = {KG_KIND_REPLICASET, KG_KIND_REPLICATIONCONTROLLER,
	KG_KIND_JOB, KG_KIND_DAEMONSET, KG_KIND_STATEFULSET, KG_KIND_COUNT};

static const struct {
	enum kg_kind_id kind;
	enum kg_controller c;
} adopters[] = {{KG_KIND_REPLICASET, KG_C_REPLICASET},
	{KG_KIND_REPLICATIONCONTROLLER, KG_C_REPLICATIONCONTROLLER}, {KG_KIND_JOB, KG_C_JOB},
	{KG_KIND_DAEMONSET, KG_C_DAEMONSET}, {KG_KIND_STATEFULSET, KG_C_STATEFULSET},
	{KG_KIND_DEPLOYMENT, KG_C_DEPLOYMENT}};

/* What an owner of this kind adopts. */
static enum kg_kind_id adopted_by(enum kg_kind_id owner)
{
	return owner == KG_KIND_DEPLOYMENT ? KG_KIND_REPLICASET : KG_KIND_POD;
}

static const struct kg_value *labels_of(const struct kg_object *obj)
{
	return kg_meta(obj, "labels");
}

bool kg_adopt_selects(
	const struct kg_kind *kind, const struct kg_value *owner, const struct kg_value *labels)
{
	const struct kg_value *selector = kg_get(kg_get(owner, "spec"), "selector");
	if (kind->id == KG_KIND_REPLICATIONCONTROLLER)
		return kg_len(selector) > 0 && kg_labels_match_map(selector, labels);
	/* An empty selector would take all that there is. */
	return (kg_len(kg_get(selector, "matchLabels")) > 0 ||
		       kg_len(kg_get(selector, "matchExpressions")) > 0) &&
	       kg_selector_matches(selector, labels);
}

/* ---- the state ---- */

static bool is_orphan(const struct kg_object *obj)
{
	return obj && !obj->source && kg_is_null(kg_owner_ref(obj)) && !kg_object_deleting(obj);
}

void kg_adopt_track(struct kg_reconcile_state *st, const struct kg_object *before,
	const struct kg_object *after)
{
	const struct kg_object *obj = after ? after : before;
	bool was = is_orphan(before), is = is_orphan(after);
	if (was == is)
		return;
	struct kg_sets *sets = &st->orphans[obj->kind->id == KG_KIND_REPLICASET];
	if (is)
		kg_sets_add(sets, obj->ns, obj->key);
	else
		kg_sets_remove(sets, obj->ns, obj->key);
}

void kg_adopt_concerns(
	struct kg_run *r, const struct kg_object *before, const struct kg_object *after)
{
	if (!is_orphan(after) || is_orphan(before))
		return;
	for (size_t i = 0; i < KG_ARRAY_LEN(adopters); i++) {
		struct kg_object_iter it;
		const struct kg_object *owner;
		if (adopted_by(adopters[i].kind) != after->kind->id ||
			!kg_now(r)->objects[adopters[i].kind].count)
			continue;
		kg_iter_kind(&it, kg_now(r), adopters[i].kind, after->ns, NULL);
		while ((owner = kg_iter_next(&it)))
			if (kg_adopt_selects(owner->kind, kg_obj(owner), labels_of(after)))
				kg_enqueue(r->st, adopters[i].c, owner->key);
		kg_iter_release(&it);
	}
}

/* ---- adopting ---- */

static void adopt(struct kg_run *r, const struct kg_object *owner, const struct kg_object *obj,
	const char *finalizer)
{
	struct kg_arena *a = &r->a;
	struct kg_value ref = kg_make_owner_ref(a, owner);
	const struct kg_value *refs = kg_meta(obj, "ownerReferences");
	struct kg_value v = kg_with(
		a, kg_obj(obj), "metadata.ownerReferences", kg_with_item(a, refs, ref.items[0]));
	if (finalizer)
		v = kg_finalizer_add(a, &v, finalizer);
	kg_put_value(r, obj, &v);
}

void kg_adopt(struct kg_run *r, const struct kg_object *owner, kg_adopt_fits_fn *fits,
	const char *finalizer)
{
	enum kg_kind_id kind = adopted_by(owner->kind->id);
	const struct kg_map *keys =
		kg_sets_get(&r->st->orphans[kind == KG_KIND_REPLICASET], owner->ns);
	if (!keys || kg_object_deleting(owner))
		return;
	/* Adopting takes them out of the map. */
	KG_AUTOLIST struct kg_list l = {0};
	KG_AUTOFREE struct kg_map_entry **sorted = kg_map_sorted(keys);
	for (size_t i = 0; i < keys->count; i++) {
		const struct kg_object *obj = kg_snapshot_get_key(kg_now(r), kind, sorted[i]->key);
		if (obj && kg_adopt_selects(owner->kind, kg_obj(owner), labels_of(obj)) &&
			(!fits || fits(owner, obj)))
			kg_list_add(&l, obj);
	}
	for (size_t i = 0; i < l.n; i++)
		adopt(r, owner, l.v[i], finalizer);
}

void kg_adopt_release(struct kg_run *r, const struct kg_object *owner)
{
	KG_AUTOLIST struct kg_list l = {0};
	kg_list_owned(&l, kg_now(r), adopted_by(owner->kind->id), kg_object_uid(owner));
	for (size_t i = 0; i < l.n; i++) {
		if (kg_object_deleting(l.v[i]) ||
			kg_adopt_selects(owner->kind, kg_obj(owner), labels_of(l.v[i])))
			continue;
		struct kg_value v =
			kg_with(&r->a, kg_obj(l.v[i]), "metadata.ownerReferences", kg_v_null());
		kg_put_value(r, l.v[i], &v);
	}
}
