/*
 * What a commit is for the objects that are there without anybody's writing them (implicit.c).
 * To what it changes is added: a namespace that comes, changes or goes, the master's CA or address
 * that is another, and a stored object that takes a place, or leaves it: then the one is told to be
 * deleted, and the other one to be added. All but namespaces that come or go need the snapshot
 * after the commit. The history on disk has none, so then (and seldom that is) it is loaded; where
 * it cannot be, what is told is of the newest, and comes true later in the stream.
 */
#include "api/implicit.h"

#include "api/internal.h"
#include "api/reader.h"
#include "kinds/cluster.h"

struct telling {
	struct kg_api *api;
	const struct kg_kind *kind;
	uint64_t revision;
	const struct kg_changes *changes;
	struct kg_snapshot *after;       /* owned; NULL: not at hand */
	struct kg_snapshot *now;         /* owned; a later one, which has the same of the master */
	const struct kg_change *cluster; /* what the master is told to be changes; NULL: not */
	struct kg_change *made;          /* heap; objects owned */
	size_t n, cap, nstored;
};

/* The snapshot after the commit. */
static const struct kg_snapshot *snapshot_of(struct telling *t)
{
	struct kg_error err;

	if (!t->after)
		t->after = kg_api_snapshot_at(t->api, t->revision);
	if (!t->after && kg_api_snapshot_load(t->api, &t->after, t->revision, &err) < 0)
		t->after = kg_hub_snapshot(t->api->opt.hub);
	return t->after;
}

/* What the master was told to be after the commit; of the newest snapshot where that has it since.
 */
static const struct kg_object *cluster_after(struct telling *t)
{
	if (t->cluster)
		return kg_cluster_is(t->cluster->after) ? t->cluster->after : NULL;
	if (!t->after && !t->now)
		t->now = kg_hub_snapshot(t->api->opt.hub);
	if (t->after)
		return kg_cluster_of(t->after);
	const struct kg_object *cluster = kg_cluster_of(t->now);
	return cluster && cluster->revision <= t->revision ? cluster
							   : kg_cluster_of(snapshot_of(t));
}

static const struct kg_object *cluster_before(struct telling *t)
{
	if (t->cluster)
		return kg_cluster_is(t->cluster->before) ? t->cluster->before : NULL;
	return cluster_after(t);
}

static void tell(struct telling *t, struct kg_object *before, struct kg_object *after)
{
	if (!before && !after)
		return;
	KG_GROW(t->made, t->cap, t->n + 1);
	t->made[t->n++] = (struct kg_change){.before = before, .after = after};
}

/* Does the commit itself say what becomes of the place? */
static bool is_told(const struct telling *t, const char *key)
{
	const struct kg_changes stored = {t->made, t->nstored};

	return kg_changes_find(&stored, t->kind->id, key);
}

static bool needs_cluster(const struct telling *t)
{
	return t->kind->id != KG_KIND_SERVICEACCOUNT;
}

/* A namespace that came or went, or is another one. */
static bool is_space_change(const struct kg_change *c)
{
	return !c->before || !c->after ||
	       strcmp(kg_object_uid(c->before), kg_object_uid(c->after)) != 0;
}

static bool is_space(const struct kg_change *c)
{
	return kg_change_object(c)->kind->id == KG_KIND_NAMESPACE;
}

/* Does a stored object that the commit leaves alone hold the place? Nothing that is stored outlives
 * its namespace, nor was there before it (reconcile/namespace.c sees to the one, admission to the
 * other): so for a namespace that comes or goes nothing is loaded, and what is there now says
 * enough.
 */
static bool is_hidden(struct telling *t, const struct kg_change *c, const char *ns)
{
	if ((c->before && c->after) || t->after)
		return kg_api_implicit_is_taken(snapshot_of(t), t->kind->id, ns);
	if (!t->now)
		t->now = kg_hub_snapshot(t->api->opt.hub);
	const struct kg_object *obj =
		kg_snapshot_get(t->now, t->kind->id, ns, kg_api_implicit_name(t->kind->id));
	return obj && obj->revision <= t->revision;
}

static void tell_space(struct telling *t, const struct kg_change *c)
{
	const char *ns = kg_change_object(c)->name;
	KG_AUTOFREE char *key = kg_asprintf("%s/%s", ns, kg_api_implicit_name(t->kind->id));
	bool cluster = needs_cluster(t);

	/* Nothing becomes of what a stored object hides. */
	if (is_told(t, key) || is_hidden(t, c, ns))
		return;
	struct kg_object *before = c->before ? kg_api_implicit_make(c->before,
						       cluster ? cluster_before(t) : NULL, t->kind)
					     : NULL;
	struct kg_object *after = c->after ? kg_api_implicit_make(c->after,
						     cluster ? cluster_after(t) : NULL, t->kind)
					   : NULL;
	tell(t, before, after);
}

static void tell_spaces(struct telling *t)
{
	/* Namespaces are the first kind. */
	for (size_t i = 0; i < t->changes->len; i++) {
		const struct kg_change *c = &t->changes->items[i];

		if (!is_space(c))
			break;
		tell_space(t, c);
	}
}

/* Every namespace's is another, where the place is not taken; those of namespaces that the commit
 * makes or changes have been told. */
static void tell_cluster(struct telling *t)
{
	size_t n;
	const struct kg_snapshot *s = snapshot_of(t);
	const struct kg_object *was = cluster_before(t), *is = cluster_after(t);
	KG_AUTOFREE const struct kg_object **spaces = kg_api_implicit_spaces(s, t->kind, NULL, &n);

	for (size_t i = 0; i < n; i++) {
		KG_AUTOFREE char *key =
			kg_asprintf("%s/%s", spaces[i]->name, kg_api_implicit_name(t->kind->id));
		const struct kg_change *space =
			kg_changes_find(t->changes, KG_KIND_NAMESPACE, spaces[i]->key);

		if (is_told(t, key) || kg_api_implicit_is_taken(s, t->kind->id, spaces[i]->name) ||
			(kg_api_implicit_is_everywhere(t->kind->id) && space))
			continue;
		tell(t, was ? kg_api_implicit_make(spaces[i], was, t->kind) : NULL,
			is ? kg_api_implicit_make(spaces[i], is, t->kind) : NULL);
	}
}

/* Was the implicit one there before the commit in which the place was taken? */
static bool was_there(struct telling *t, const char *ns)
{
	KG_AUTOFREE char *key = kg_asprintf("/%s", ns);
	const struct kg_change *space = kg_changes_find(t->changes, KG_KIND_NAMESPACE, key);

	return !(space && is_space_change(space)) && (!needs_cluster(t) || cluster_before(t));
}

/* A stored object that takes the place is another one than what was there, and so is what is there
 * when it leaves. */
static void settle_place(struct telling *t, const struct kg_change *c)
{
	const struct kg_object *obj = kg_change_object(c);
	bool comes = c->after;

	if ((c->before && c->after) || !kg_api_implicit_is_place(t->kind->id, obj->ns, obj->name) ||
		(comes && !was_there(t, obj->ns)))
		return;
	struct kg_object *other = kg_api_implicit_get(snapshot_of(t), t->kind, obj->ns, obj->name);
	tell(t, comes ? other : NULL, comes ? NULL : other);
}

static const char *key_of(const struct kg_change *c)
{
	return kg_change_object(c)->key;
}

/* By key; who goes before who comes. */
static int cmp_change(const void *a, const void *b)
{
	const struct kg_change *x = a, *y = b;
	int d = strcmp(key_of(x), key_of(y));

	return d ? d : (x->after != NULL) - (y->after != NULL);
}

/* Takes over what is told of stored objects. */
static void begin(struct telling *t, struct feed_entry *e)
{
	for (size_t i = 0; e && i < e->len; i++)
		tell(t, e->changes[i].before ? kg_object_ref(e->changes[i].before) : NULL,
			e->changes[i].after ? kg_object_ref(e->changes[i].after) : NULL);
	kg_api_feed_entry_unref(e);
	if (t->n)
		qsort(t->made, t->n, sizeof(*t->made), cmp_change);
	t->nstored = t->n;
}

static struct feed_entry *finish(struct telling *t)
{
	if (t->n)
		qsort(t->made, t->n, sizeof(*t->made), cmp_change);
	struct feed_entry *e = kg_api_feed_entry_new(t->kind, t->revision, t->made, t->n);

	for (size_t i = 0; i < t->n; i++) {
		kg_object_unref(t->made[i].before);
		kg_object_unref(t->made[i].after);
	}
	free(t->made);
	kg_snapshot_unref(t->after);
	kg_snapshot_unref(t->now);
	return e;
}

/* Does the entry change an object whose place is one of these? */
static bool concerns_place(enum kg_kind_id kind, const struct feed_entry *e)
{
	for (size_t i = 0; e && i < e->len; i++) {
		const struct kg_change *c = &e->changes[i];
		const struct kg_object *obj = kg_change_object(c);

		if (kg_api_implicit_is_place(kind, obj->ns, obj->name))
			return true;
	}
	return false;
}

static bool any_place(const struct kg_change *c)
{
	const struct kg_object *obj = kg_change_object(c);

	return (!c->before || !c->after) &&
	       kg_api_implicit_is_place(obj->kind->id, obj->ns, obj->name);
}

bool kg_api_implicit_loads(struct kg_api *api, uint64_t revision, const struct kg_changes *changes)
{
	struct kg_snapshot *at = kg_api_snapshot_at(api, revision);
	struct kg_snapshot *now = kg_hub_snapshot(api->opt.hub);
	const struct kg_object *cluster = kg_cluster_of(now);
	bool told_since = !cluster || cluster->revision > revision;
	bool loads = kg_changes_find(changes, KG_KIND_CONFIGMAP, KG_CLUSTER_NS "/" KG_CLUSTER_NAME);

	for (size_t i = 0; !loads && !at && i < changes->len; i++) {
		const struct kg_change *c = &changes->items[i];

		loads = any_place(c) || (is_space(c) && (told_since || (c->before && c->after)));
	}
	loads = loads && !at;
	kg_snapshot_unref(at);
	kg_snapshot_unref(now);
	return loads;
}

struct feed_entry *kg_api_implicit_entry(struct kg_api *api, const struct kg_kind *kind,
	uint64_t revision, const struct kg_changes *changes, const struct kg_snapshot *after,
	struct feed_entry *e)
{
	struct telling t = {.api = api, .kind = kind, .revision = revision, .changes = changes};

	if (!kg_api_implicit_name(kind->id) || !changes->len)
		return e;
	bool spaces = kg_api_implicit_is_everywhere(kind->id) &&
		      kg_change_object(changes->items)->kind->id == KG_KIND_NAMESPACE;

	if (needs_cluster(&t))
		t.cluster = kg_changes_find(
			changes, KG_KIND_CONFIGMAP, KG_CLUSTER_NS "/" KG_CLUSTER_NAME);
	if (!spaces && !t.cluster && !concerns_place(kind->id, e))
		return e;
	t.after = after ? kg_snapshot_ref(after) : NULL;
	begin(&t, e);
	for (size_t i = 0; i < t.nstored; i++) {
		struct kg_change c = t.made[i]; /* which may move */

		/* One goes and another comes in the same commit: the place was and stays taken. */
		if (i + 1 < t.nstored && !strcmp(key_of(&c), key_of(&t.made[i + 1])))
			i++;
		else
			settle_place(&t, &c);
	}
	if (spaces)
		tell_spaces(&t);
	if (t.cluster)
		tell_cluster(&t);
	return finish(&t);
}
