/* Reading the objects of any kind out of one version of the world. */
#include "api/internal.h"
#include "auth/builtin.h"

void kg_api_source_now(struct source *out, struct kg_api *api, const struct kg_kind *kind)
{
	*out = (struct source){0};
	if (kg_api_is_event(kind)) {
		kg_api_events_at(api, 0, &out->events, &out->revision);
		return;
	}
	kg_api_source_of(out, kg_hub_snapshot(api->opt.hub));
}

void kg_api_source_of(struct source *out, struct kg_snapshot *snapshot)
{
	*out = (struct source){.snapshot = snapshot, .revision = snapshot->revision};
}

void kg_api_source_release(struct source *src)
{
	if (!src->snapshot)
		kg_pmap_release(&src->events);
	kg_snapshot_unref(src->snapshot);
	*src = (struct source){0};
}

/* The kind whose objects lie in the snapshot for this one. */
static enum kg_kind_id stored_kind(const struct kg_kind *kind)
{
	switch (kind->id) {
	case KG_KIND_ENDPOINTS:
		return KG_KIND_ENDPOINTSLICE;
	case KG_KIND_LEASE:
		return KG_KIND_NODE;
	default:
		return kind->id;
	}
}

/* Roles and bindings that are in no snapshot. Where access is not decided, there are none. */
static const struct kg_object *const *builtin_of(
	struct kg_api *api, const struct kg_kind *kind, size_t *n)
{
	*n = 0;
	return api->opt.auth ? kg_builtin_objects(kind->id, n) : NULL;
}

int64_t kg_api_source_count(
	struct kg_api *api, const struct source *src, const struct kg_kind *kind)
{
	size_t nbuiltin;

	if (kg_api_is_event(kind))
		return (int64_t)src->events.count;
	if (kind->flags & KG_KF_SYNTHETIC)
		return -1;
	builtin_of(api, kind, &nbuiltin);
	return (int64_t)(src->snapshot->objects[kind->id].count + nbuiltin);
}

static const char lease_ns[] = "kube-node-lease";

struct kg_object *kg_api_read_one(struct kg_api *api, const struct source *src,
	const struct kg_kind *kind, const char *ns, const char *name)
{
	const struct kg_object *obj;

	switch (kind->id) {
	case KG_KIND_EVENT_V1:
	case KG_KIND_EVENT: {
		KG_AUTOFREE char *key = kg_asprintf("%s/%s", ns, name);

		obj = kg_pmap_get(&src->events, key);
		if (obj && kind->id == KG_KIND_EVENT_V1)
			return kg_api_event_v1_of(obj);
		break;
	}
	case KG_KIND_ENDPOINTS:
		return kg_api_endpoints_of(src->snapshot, ns, name);
	case KG_KIND_LEASE:
		obj = strcmp(ns, lease_ns) ? NULL
					   : kg_snapshot_get(src->snapshot, KG_KIND_NODE, "", name);
		return obj ? kg_api_lease_of(api, obj) : NULL;
	default:
		obj = api->opt.auth ? kg_builtin_object(kind->id, name) : NULL;
		if (!obj)
			obj = kg_snapshot_get(src->snapshot, kind->id, ns, name);
	}
	return obj ? kg_object_ref(obj) : NULL;
}

static bool open_one(struct reader *rd, const struct request *r)
{
	const char *name = r->name ? r->name : kg_api_selector_field(&r->sel, "metadata.name");
	const char *ns = r->ns ? r->ns : kg_api_selector_field(&r->sel, "metadata.namespace");

	if (!(rd->kind->flags & KG_KF_NAMESPACED))
		ns = "";
	if (!name || !ns)
		return false;
	rd->mode = READ_ONE;
	rd->given = kg_api_read_one(rd->api, &rd->src, rd->kind, ns, name);
	return true;
}

static void open_events(struct reader *rd, const char *ns)
{
	rd->mode = READ_EVENTS;
	rd->prefix = ns ? kg_asprintf("%s/", ns) : kg_strdup("");
	kg_piter_init(&rd->pit, &rd->src.events, rd->prefix, rd->from);
}

void kg_api_reader_init(
	struct reader *rd, const struct request *r, struct source *src, const char *from)
{
	const char *node =
		r->kind->id == KG_KIND_POD ? kg_api_selector_field(&r->sel, "spec.nodeName") : NULL;

	*rd = (struct reader){.api = r->api, .kind = r->kind, .src = *src};
	*src = (struct source){0};
	rd->from = from ? kg_strdup(from) : NULL;
	if (open_one(rd, r))
		return;
	if (kg_api_is_event(rd->kind)) {
		open_events(rd, r->ns);
	} else if (rd->kind->id == KG_KIND_LEASE) {
		rd->mode = !r->ns || !strcmp(r->ns, lease_ns) ? READ_KIND : READ_NOTHING;
		kg_iter_kind(&rd->it, rd->src.snapshot, KG_KIND_NODE, NULL, rd->from);
	} else if (node && *node) {
		rd->mode = READ_NODE;
		rd->ns = r->ns;
		kg_iter_index(&rd->it, rd->src.snapshot, KG_INDEX_NODE, node);
	} else {
		rd->mode = READ_KIND;
		kg_iter_kind(&rd->it, rd->src.snapshot, stored_kind(rd->kind), r->ns, rd->from);
		rd->builtin = builtin_of(rd->api, rd->kind, &rd->nbuiltin);
		while (rd->from && rd->at_builtin < rd->nbuiltin &&
			strcmp(rd->builtin[rd->at_builtin]->key, rd->from) < 0)
			rd->at_builtin++;
	}
}

/* What is served for a stored object: itself, or what is made of it; NULL: nothing. */
static const struct kg_object *serve(struct reader *rd, const struct kg_object *obj)
{
	if (rd->kind->id == KG_KIND_ENDPOINTS)
		return rd->given = kg_api_slice_is_first(rd->src.snapshot, obj)
					   ? kg_api_endpoints_of(rd->src.snapshot, obj->ns,
						     kg_api_slice_service(obj))
					   : NULL;
	if (rd->kind->id == KG_KIND_LEASE)
		return rd->given = kg_api_lease_of(rd->api, obj);
	return obj;
}

static const struct kg_object *next_stored(struct reader *rd, const char **key)
{
	const struct kg_object *obj, *out;

	while ((obj = kg_iter_next(&rd->it))) {
		if (rd->mode == READ_NODE) {
			if (obj->kind != rd->kind || (rd->ns && strcmp(obj->ns, rd->ns)) ||
				(rd->from && strcmp(obj->key, rd->from) < 0))
				continue;
		}
		*key = obj->key;
		out = serve(rd, obj);
		if (out)
			return out;
	}
	return NULL;
}

/* Of two ordered sequences the lesser; of equals the system's own. */
static const struct kg_object *next_merged(struct reader *rd, const char **key)
{
	const char *stored;

	if (rd->at_builtin == rd->nbuiltin && !rd->ahead)
		return next_stored(rd, key);
	if (!rd->ahead)
		rd->ahead = next_stored(rd, &stored);
	const struct kg_object *own =
		rd->at_builtin < rd->nbuiltin ? rd->builtin[rd->at_builtin] : NULL;
	int order = !own ? -1 : !rd->ahead ? 1 : strcmp(rd->ahead->key, own->key);
	const struct kg_object *out = order < 0 ? rd->ahead : own;

	if (order <= 0)
		rd->ahead = NULL;
	if (order >= 0)
		rd->at_builtin++;
	*key = out->key;
	return out;
}

static const struct kg_object *next_one(struct reader *rd, const char **key)
{
	rd->mode = READ_NOTHING;
	if (!rd->given || (rd->from && strcmp(rd->given->key, rd->from) < 0))
		return NULL;
	*key = rd->given->key;
	return rd->given;
}

const struct kg_object *kg_api_reader_next(struct reader *rd, const char **key)
{
	const struct kg_object *obj;

	if (rd->mode == READ_ONE)
		return next_one(rd, key);
	kg_object_unref(rd->given);
	rd->given = NULL;
	switch (rd->mode) {
	case READ_EVENTS:
		obj = kg_piter_next(&rd->pit, key);
		if (!obj || rd->kind->id == KG_KIND_EVENT)
			return obj;
		return rd->given = kg_api_event_v1_of(obj);
	case READ_KIND:
		return next_merged(rd, key);
	case READ_NODE:
		return next_stored(rd, key);
	default:
		return NULL;
	}
}

void kg_api_reader_release(struct reader *rd)
{
	if (rd->it.prefix || rd->mode == READ_KIND || rd->mode == READ_NODE)
		kg_iter_release(&rd->it);
	kg_object_unref(rd->given);
	free(rd->prefix);
	free(rd->from);
	if (rd->src.snapshot || rd->mode == READ_EVENTS || rd->kind)
		kg_api_source_release(&rd->src);
	*rd = (struct reader){0};
}

/* ---- versions other than the newest ---- */

struct kg_snapshot *kg_api_snapshot_at(struct kg_api *api, uint64_t revision)
{
	struct kg_snapshot *s = kg_hub_snapshot(api->opt.hub);
	bool gone;

	if (s->revision == revision)
		return s;
	kg_snapshot_unref(s);
	s = NULL;
	if (!revision)
		return NULL;
	struct kg_commit_event *e = kg_hub_next(api->opt.hub, revision - 1, &gone);

	if (e && e->snapshot)
		s = kg_snapshot_ref(e->snapshot);
	kg_commit_event_unref(e);
	return s;
}

static struct kg_snapshot *loaded_find(struct kg_api *api, uint64_t revision)
{
	struct kg_snapshot *s = NULL;

	pthread_mutex_lock(&api->load_lock);
	for (size_t i = 0; i < KG_ARRAY_LEN(api->loaded) && !s; i++)
		if (api->loaded[i] && api->loaded[i]->revision == revision)
			s = kg_snapshot_ref(api->loaded[i]);
	pthread_mutex_unlock(&api->load_lock);
	return s;
}

static void loaded_add(struct kg_api *api, struct kg_snapshot *s)
{
	pthread_mutex_lock(&api->load_lock);
	struct kg_snapshot *old = api->loaded[1];

	api->loaded[1] = api->loaded[0];
	api->loaded[0] = kg_snapshot_ref(s);
	pthread_mutex_unlock(&api->load_lock);
	kg_snapshot_unref(old);
}

int kg_api_snapshot_load(
	struct kg_api *api, struct kg_snapshot **out, uint64_t revision, struct kg_error *err)
{
	int rc;

	*out = loaded_find(api, revision);
	if (*out)
		return 0;
	if (!api->opt.history)
		return kg_fail(err, KG_E_GONE,
			"The provided continue parameter or resourceVersion is too old: "
			"list again without it");
	rc = api->opt.history->load(api->opt.history_self, out, revision, err);
	if (!rc)
		loaded_add(api, *out);
	return rc;
}
