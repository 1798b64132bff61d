/* What objects ask of their classes: the PriorityClass that pods name must be there, and only one
 * is the default; the StorageClass of a claim that grows must allow it. */
#include "reconcile/admitting.h"

#include "kinds/placement.h"

#include <string.h>

static bool will_be(const struct kg_admitting *x, const struct kg_kind *kind, const char *name)
{
	const struct kg_object *obj = kg_snapshot_get(x->s, kind->id, "", name);
	return kg_map_has(&x->by_key, kg_admit_key(x->a, kind, "", name)) ||
	       kg_admit_untouched(x, obj) ||
	       (obj && obj->source && kg_map_has(&x->broken, obj->source));
}

static void check_priority(struct kg_admitting *x, const struct kg_definition *d)
{
	const char *path = kg_kind_pod_spec(d->m->kind);
	const char *name =
		path ? kg_string(kg_get(kg_at(&d->m->value, path), "priorityClassName"), "") : "";
	int64_t ignored;
	if (!*name || kg_priority_built_in(&ignored, name))
		return;
	/* A file that could not be read may define it. */
	if (will_be(x, &kg_kinds[KG_KIND_PRIORITYCLASS], name) || x->broken.count)
		return;
	kg_admit_look_at(x, d);
	kg_fault_add(x->faults, kg_arena_printf(x->a, "%s.priorityClassName", path),
		"Forbidden: no PriorityClass with name %s was found", name);
	x->faults->root = NULL;
}

static bool is_default(const struct kg_value *v)
{
	return kg_bool(kg_get(v, "globalDefault"), false);
}

/* The default that stays, or that this push defines before `d`; NULL: none. */
static const char *other_default(
	struct kg_admitting *x, struct kg_definition **ds, const struct kg_definition *d)
{
	struct kg_object_iter it;
	const struct kg_object *obj;
	const char *found = NULL;
	kg_iter_kind(&it, x->s, KG_KIND_PRIORITYCLASS, NULL, NULL);
	while (!found && (obj = kg_iter_next(&it)))
		if (is_default(kg_obj(obj)) && kg_admit_untouched(x, obj))
			found = kg_arena_strdup(x->a, obj->name);
	kg_iter_release(&it);
	for (size_t i = 0; !found && ds[i] != d; i++)
		if (ds[i]->m->kind == d->m->kind && is_default(&ds[i]->m->value))
			found = ds[i]->m->name;
	return found;
}

static void check_default(
	struct kg_admitting *x, struct kg_definition **ds, const struct kg_definition *d)
{
	const char *other = other_default(x, ds, d);
	if (!other)
		return;
	kg_admit_look_at(x, d);
	kg_fault_add(x->faults, "globalDefault",
		"Forbidden: PriorityClass %s already exists as default. Only one default can exist",
		other);
	x->faults->root = NULL;
}

static int64_t size_of(const struct kg_value *claim)
{
	return kg_amount_whole(kg_at(claim, "spec.resources.requests.storage"));
}

static bool may_grow(struct kg_admitting *x, const char *class)
{
	const struct kg_kind *kind = &kg_kinds[KG_KIND_STORAGECLASS];
	const struct kg_definition *d = kg_map_get(&x->by_key, kg_admit_key(x->a, kind, "", class));
	const struct kg_object *obj = kg_snapshot_get(x->s, kind->id, "", class);
	const struct kg_value *v = d ? &d->m->value : obj ? kg_obj(obj) : &kg_null;
	return will_be(x, kind, class) && kg_bool(kg_get(v, "allowVolumeExpansion"), false);
}

static void check_growth(struct kg_admitting *x, const struct kg_definition *d)
{
	const struct kg_object *old = kg_snapshot_get(x->s, d->m->kind->id, d->m->ns, d->m->name);
	const char *class;
	if (!old || !old->source || kg_object_deleting(old) ||
		size_of(&d->m->value) <= size_of(kg_obj(old)))
		return;
	bool bound = *kg_string(kg_at(kg_obj(old), "spec.volumeName"), "");
	class = kg_string(kg_at(kg_obj(old), "spec.storageClassName"), "");
	if (bound && may_grow(x, class))
		return;
	kg_admit_look_at(x, d);
	kg_fault_add(x->faults, "spec.resources.requests.storage", "Forbidden: %s",
		bound ? "only dynamically provisioned pvc can be resized and the storageclass that "
			"provisions the pvc must support resize (allowVolumeExpansion)"
		      : "spec is immutable after creation except resources.requests for bound "
			"claims");
	x->faults->root = NULL;
}

void kg_admit_classes(struct kg_admitting *x, struct kg_definition **ds, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		x->faults->file = ds[i]->file->path;
		check_priority(x, ds[i]);
		if (ds[i]->m->kind->id == KG_KIND_PRIORITYCLASS && is_default(&ds[i]->m->value))
			check_default(x, ds, ds[i]);
		if (ds[i]->m->kind->id == KG_KIND_PERSISTENTVOLUMECLAIM)
			check_growth(x, ds[i]);
	}
}
