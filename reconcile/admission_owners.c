/*
 * What a push says of who owns what: ownerReferences name objects of main, which main may not lose
 * before what belongs to them; finalizers hold what main defines no more; and Pods that a manifest
 * defines are nobody's, whoever selects them.
 */
#include "reconcile/admitting.h"
#include "reconcile/adopt.h"
#include "reconcile/belong.h"

#include <string.h>

/* ---- ownerReferences ---- */

enum presence { THERE, ABSENT, OTHER };

/* What of a reference's owner main will define. */
static enum presence presence(struct kg_admitting *x, const struct kg_value *ref,
	const struct kg_kind *kind, const char *ns)
{
	const char *name = kg_string(kg_get(ref, "name"), "");
	const char *uid = kg_string(kg_get(ref, "uid"), "");
	const struct kg_object *obj = kg_snapshot_get(x->s, kind->id, ns, name);
	bool known = obj && obj->source && !kg_object_deleting(obj);
	bool broken = known && kg_map_has(&x->broken, obj->source);
	if (!kg_map_has(&x->by_key, kg_admit_key(x->a, kind, ns, name)) &&
		!(known && kg_admit_untouched(x, obj)) && !broken)
		return ABSENT;
	return *uid && !(known && strcmp(uid, kg_object_uid(obj)) == 0) ? OTHER : THERE;
}

static const char *owner_words(
	struct kg_admitting *x, const struct kg_value *ref, const struct kg_kind *kind)
{
	return kg_arena_printf(x->a, "%s \"%s\"", kind->kind, kg_string(kg_get(ref, "name"), ""));
}

static void fault_at(struct kg_admitting *x, const struct kg_definition *d, uint32_t i,
	const char *field, const char *msg, bool warning)
{
	size_t before = x->faults->len;
	kg_admit_look_at(x, d);
	kg_fault_add(x->faults, kg_arena_printf(x->a, "metadata.ownerReferences[%u].%s", i, field),
		"%s", msg);
	x->faults->root = NULL;
	if (warning)
		kg_fault_warn_at(x->faults, before);
}

static const struct kg_kind *owner_kind(const struct kg_value *ref)
{
	return kg_kind_by_api(
		kg_string(kg_get(ref, "apiVersion"), ""), kg_string(kg_get(ref, "kind"), ""));
}

static void check_refs(struct kg_admitting *x, const struct kg_definition *d)
{
	const struct kg_value *refs = kg_at(&d->m->value, "metadata.ownerReferences");
	size_t there = 0;
	for (int pass = 0; pass < 2; pass++)
		for (uint32_t i = 0; i < kg_len(refs); i++) {
			const struct kg_value *ref = &refs->items[i];
			const struct kg_kind *kind = owner_kind(ref);
			if (!kind)
				continue; /* its schema has said so */
			bool namespaced = (kind->flags & KG_KF_NAMESPACED) != 0;
			enum presence p = presence(x, ref, kind, namespaced ? d->m->ns : "");
			const char *who = owner_words(x, ref, kind);
			there += !pass && p == THERE;
			if (!pass)
				continue;
			if (namespaced && !*d->m->ns)
				fault_at(x, d, i, "kind",
					kg_arena_printf(x->a,
						"Invalid value: \"%s\": what lies in a namespace "
						"cannot own what lies in none",
						kind->kind),
					false);
			else if (p == OTHER)
				fault_at(x, d, i, "uid",
					kg_arena_printf(x->a,
						"Invalid value: \"%s\": it is not that of %s: "
						"leave it out, and kgit fills it in",
						kg_string(kg_get(ref, "uid"), ""), who),
					false);
			else if (p == ABSENT)
				fault_at(x, d, i, "name",
					kg_arena_printf(x->a,
						"Invalid value: main defines no %s in %s", who,
						namespaced ? d->m->ns : "the cluster"),
					there > 0);
		}
}

/* ---- owners that go ---- */

/* Is the reference to something that this push removes. */
static bool is_removed(struct kg_admitting *x, const struct kg_map *removed,
	const struct kg_object *obj, const struct kg_value *ref)
{
	const struct kg_kind *kind = owner_kind(ref);
	const char *ns = kind && kind->flags & KG_KF_NAMESPACED ? obj->ns : "";
	return kind && kg_map_has(removed,
			       kg_admit_key(x->a, kind, ns, kg_string(kg_get(ref, "name"), "")));
}

static void check_dependent(
	struct kg_admitting *x, const struct kg_map *removed, const struct kg_object *obj)
{
	const struct kg_value *refs = kg_at(kg_obj(obj), "metadata.ownerReferences");
	size_t before = x->faults->len;
	uint32_t gone = 0;
	const struct kg_value *first = NULL;
	for (uint32_t i = 0; i < kg_len(refs); i++) {
		if (!is_removed(x, removed, obj, &refs->items[i]))
			continue;
		first = first ? first : &refs->items[i];
		gone++;
	}
	if (!gone)
		return;
	x->faults->file = obj->source;
	x->faults->root = NULL;
	kg_fault_add_at(x->faults, 1, 1, "metadata.ownerReferences",
		"this push removes %s, but %s, which belongs to it, is still there: remove it, or "
		"its reference, too",
		owner_words(x, first, owner_kind(first)),
		kg_admit_words(x->a, obj->kind, obj->ns, obj->name));
	if (gone < kg_len(refs))
		kg_fault_warn_at(x->faults, before);
}

static void hold_removed(struct kg_admitting *x, const struct kg_input_desired *d)
{
	const struct kg_object *old = kg_snapshot_get(x->s, d->kind->id, d->ns, d->name);
	size_t before = x->faults->len;
	if (!old || !kg_finalizers_hold(old))
		return;
	KG_AUTOBUF struct kg_buf names = KG_BUF_INIT;
	const struct kg_value *list = kg_at(kg_obj(old), "metadata.finalizers");
	for (uint32_t i = 0; i < kg_len(list); i++)
		if (!kg_finalizer_is_ours(kg_string(&list->items[i], "")))
			kg_buf_addf(&names, "%s%s", names.len ? ", " : "",
				kg_string(&list->items[i], ""));
	x->faults->file = old->source ? old->source : "";
	x->faults->root = NULL;
	kg_fault_add_at(x->faults, 1, 1, "metadata.finalizers",
		"%s stays, on its way out, until its manifest is pushed without these finalizers: "
		"%s",
		kg_admit_words(x->a, old->kind, old->ns, old->name), names.data);
	kg_fault_warn_at(x->faults, before);
}

void kg_admit_removals(struct kg_admitting *x)
{
	KG_CLEANUP(kg_map_release) struct kg_map removed = KG_MAP_INIT;
	for (size_t i = 0; i < x->out->n; i++) {
		const struct kg_input_desired *d = &x->out->desired[i];
		if (!kg_is_null(&d->value))
			continue;
		kg_map_put(&removed, kg_admit_key(x->a, d->kind, d->ns, d->name), x);
		hold_removed(x, d);
	}
	if (!removed.count)
		return;
	/* What controllers made is not looked at: that is most of a cluster. */
	struct kg_object_iter it KG_CLEANUP(kg_iter_release);
	const struct kg_object *obj;
	kg_iter_index(&it, x->s, KG_INDEX_SOURCE, NULL);
	while ((obj = kg_iter_next(&it)))
		if (kg_len(kg_get(kg_get(kg_obj(obj), "metadata"), "ownerReferences")) &&
			kg_admit_untouched(x, obj))
			check_dependent(x, &removed, obj);
}

/* ---- Pods that somebody selects ---- */

/* Controllers by a pair of labels that their pods carry; under "" those that ask for none. */
struct selecting {
	const struct kg_kind *kind;
	const char *name;
	const struct kg_value *v;
	struct selecting *next;
};

static const char *pair_key(struct kg_admitting *x, const char *ns, const struct kg_member *pair)
{
	return kg_arena_printf(x->a, "%s\x01%s\x01%s", ns, pair->key, kg_string(&pair->value, ""));
}

static const char *pair_of(struct kg_admitting *x, const struct kg_kind *kind,
	const struct kg_value *v, const char *ns)
{
	const struct kg_value *sel = kg_at(v, "spec.selector");
	if (kind->id != KG_KIND_REPLICATIONCONTROLLER)
		sel = kg_get(sel, "matchLabels");
	return kg_len(sel) ? pair_key(x, ns, &sel->members[0]) : ns;
}

static void add_selecting(struct kg_admitting *x, struct kg_map *m, const struct kg_kind *kind,
	const char *ns, const char *name, const struct kg_value *v)
{
	const char *key = pair_of(x, kind, v, ns);
	struct selecting *s = kg_arena_alloc(x->a, sizeof(*s));
	*s = (struct selecting){kind, kg_arena_strdup(x->a, name), v, kg_map_get(m, key)};
	kg_map_put(m, key, s);
}

static bool adopts(const struct kg_kind *kind)
{
	for (size_t i = 0; kg_adopt_kinds[i] != KG_KIND_COUNT; i++)
		if (kind->id == kg_adopt_kinds[i])
			return true;
	return false;
}

static const struct selecting *first_of(
	const struct kg_map *m, const char *key, const struct kg_value *labels)
{
	const struct selecting *s = kg_map_get(m, key), *best = NULL;
	for (; s; s = s->next)
		if (kg_adopt_selects(s->kind, s->v, labels) &&
			(!best || s->kind->id < best->kind->id ||
				(s->kind == best->kind && strcmp(s->name, best->name) < 0)))
			best = s;
	return best;
}

static const struct selecting *selected_by(struct kg_admitting *x, const struct kg_map *m,
	const char *ns, const struct kg_value *labels)
{
	const struct selecting *s = first_of(m, ns, labels);
	for (uint32_t i = 0; !s && i < kg_len(labels); i++)
		s = first_of(m, pair_key(x, ns, &labels->members[i]), labels);
	return s;
}

/* The controllers of the namespaces that `of` names: those that stay, and the push's own. */
static void collect(struct kg_admitting *x, struct kg_map *m, struct kg_definition **ds, size_t n,
	const struct kg_map *of)
{
	struct kg_map_entry *e;
	for (size_t i = 0; i < n; i++)
		if (adopts(ds[i]->m->kind) && kg_map_has(of, ds[i]->m->ns))
			add_selecting(x, m, ds[i]->m->kind, ds[i]->m->ns, ds[i]->m->name,
				&ds[i]->m->value);
	for (size_t i = 0; (e = kg_map_next(of, &i));)
		for (size_t k = 0; kg_adopt_kinds[k] != KG_KIND_COUNT; k++) {
			struct kg_object_iter it;
			const struct kg_object *obj;
			kg_iter_kind(&it, x->s, kg_adopt_kinds[k], e->key, NULL);
			while ((obj = kg_iter_next(&it)))
				if (kg_admit_untouched(x, obj))
					add_selecting(
						x, m, obj->kind, obj->ns, obj->name, kg_obj(obj));
			kg_iter_release(&it);
		}
}

static bool is_changed(const struct kg_admitting *x, const struct kg_definition *d)
{
	const struct kg_manifest *m = d->m;
	const struct kg_object *old = kg_snapshot_get(x->s, m->kind->id, m->ns, m->name);
	return !old || !old->base || !kg_equal(kg_doc_value(old->base), &m->value);
}

static void check_bare_pods(struct kg_admitting *x, struct kg_definition **ds, size_t n)
{
	KG_CLEANUP(kg_map_release) struct kg_map of = KG_MAP_INIT, m = KG_MAP_INIT;
	for (size_t i = 0; i < n; i++)
		if (ds[i]->m->kind->id == KG_KIND_POD && is_changed(x, ds[i]))
			kg_map_put(&of, ds[i]->m->ns, x);
	if (!of.count)
		return;
	collect(x, &m, ds, n, &of);
	for (size_t i = 0; i < n; i++) {
		const struct kg_value *labels = kg_at(&ds[i]->m->value, "metadata.labels");
		const struct selecting *s;
		size_t before = x->faults->len;
		if (ds[i]->m->kind->id != KG_KIND_POD || !is_changed(x, ds[i]) ||
			!(s = selected_by(x, &m, ds[i]->m->ns, labels)))
			continue;
		kg_admit_look_at(x, ds[i]);
		kg_fault_add(x->faults, "metadata.labels",
			"the selector of %s %s matches it, but a Pod that main defines is never "
			"adopted: it runs beside that one's pods",
			s->kind->kind, s->name);
		x->faults->root = NULL;
		kg_fault_warn_at(x->faults, before);
	}
}

static void check_finalizers(struct kg_admitting *x, const struct kg_definition *d)
{
	static const char why[] = "Forbidden: a %s goes when nothing of it is left; kgit takes no "
				  "finalizers on it";
	enum kg_kind_id k = d->m->kind->id;
	if ((k != KG_KIND_POD && k != KG_KIND_NODE && k != KG_KIND_NAMESPACE) ||
		!kg_len(kg_at(&d->m->value, "metadata.finalizers")))
		return;
	kg_admit_look_at(x, d);
	kg_fault_add(x->faults, "metadata.finalizers", why, d->m->kind->kind);
	x->faults->root = NULL;
}

void kg_admit_owners(struct kg_admitting *x, struct kg_definition **ds, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		x->faults->file = ds[i]->file->path;
		check_refs(x, ds[i]);
		check_finalizers(x, ds[i]);
	}
	check_bare_pods(x, ds, n);
}
