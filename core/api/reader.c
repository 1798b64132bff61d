/* Reading the objects of any kind out of one version of the world. */
#include "api/reader.h"

#include "api/endpoints.h"
#include "api/implicit.h"
#include "api/internal.h"
#include "api/reply.h"
#include "api/request.h"
#include "api/selector.h"
#include "api/worker.h"
#include "auth/builtin.h"

static bool is_metrics(const struct kg_kind *kind)
{
	return kind->id == KG_KIND_NODE_METRICS || kind->id == KG_KIND_POD_METRICS;
}

void kg_api_source_now(struct source *out, struct kg_api *api, const struct kg_kind *kind)
{
	*out = (struct source){0};
	if (kind->id == KG_KIND_LEASE)
		kg_api_leases_read(api);
	if (is_metrics(kind))
		kg_api_usage_read(api);
	if (kg_api_has_versions(kind->id)) {
		kg_api_versions_at(
			kg_api_versions(api, kind->id), 0, &out->objects, &out->revision);
		return;
	}
	kg_api_source_of(out, kg_hub_snapshot(api->opt.hub));
}

void kg_api_source_one(struct source *out, struct kg_api *api, const struct kg_kind *kind,
	const char *ns, const char *name)
{
	if (!is_metrics(kind)) {
		kg_api_source_now(out, api, kind);
		return;
	}
	*out = (struct source){0};
	out->revision = kg_api_usage_of(api, kind, ns, name, &out->objects);
}

void kg_api_source_of(struct source *out, struct kg_snapshot *snapshot)
{
	*out = (struct source){.snapshot = snapshot, .revision = snapshot->revision};
}

void kg_api_source_release(struct source *src)
{
	if (!src->snapshot)
		kg_pmap_release(&src->objects);
	kg_snapshot_unref(src->snapshot);
	*src = (struct source){0};
}

/* The kind whose objects lie in the snapshot for this one. */
static enum kg_kind_id stored_kind(const struct kg_kind *kind)
{
	return kind->id == KG_KIND_ENDPOINTS ? KG_KIND_ENDPOINTSLICE : kind->id;
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

	if (kg_api_has_versions(kind->id))
		return (int64_t)src->objects.count;
	if (kg_api_is_made(kind))
		return -1;
	builtin_of(api, kind, &nbuiltin);
	return (int64_t)(src->snapshot->objects[kind->id].count + nbuiltin +
			 kg_api_implicit_count(src->snapshot, kind));
}

/* Of a kind with versions of its own. */
static struct kg_object *read_version(
	const struct source *src, const struct kg_kind *kind, const char *ns, const char *name)
{
	KG_AUTOFREE char *key = kg_asprintf("%s/%s", ns, name);
	const struct kg_object *obj = kg_pmap_get(&src->objects, key);

	if (obj && kind->id == KG_KIND_EVENT_V1)
		return kg_api_event_v1_of(obj);
	return obj ? kg_object_ref(obj) : NULL;
}

struct kg_object *kg_api_read_one(struct kg_api *api, const struct source *src,
	const struct kg_kind *kind, const char *ns, const char *name)
{
	const struct kg_object *obj = api->opt.auth ? kg_builtin_object(kind->id, name) : NULL;

	if (kg_api_has_versions(kind->id))
		return read_version(src, kind, ns, name);
	if (!obj)
		obj = kg_snapshot_get(src->snapshot, kind->id, ns, name);
	if (obj)
		return kg_object_ref(obj);
	struct kg_object *made =
		kind->id == KG_KIND_ENDPOINTS ? kg_api_endpoints_of(src->snapshot, ns, name) : NULL;

	return made ? made : kg_api_implicit_get(src->snapshot, kind, ns, name);
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

static void open_version(struct reader *rd, const char *ns)
{
	rd->mode = READ_VERSION;
	rd->prefix = ns ? kg_asprintf("%s/", ns) : kg_strdup("");
	kg_piter_init(&rd->pit, &rd->src.objects, rd->prefix, rd->from);
}

static void open_kind(struct reader *rd, const char *ns)
{
	rd->mode = READ_KIND;
	kg_iter_kind(&rd->it, rd->src.snapshot, stored_kind(rd->kind), ns, rd->from);
	if (rd->kind->id == KG_KIND_ENDPOINTS)
		kg_iter_kind(&rd->stored_it, rd->src.snapshot, rd->kind->id, ns, rd->from);
	rd->builtin = builtin_of(rd->api, rd->kind, &rd->nbuiltin);
	while (rd->from && rd->at_builtin < rd->nbuiltin &&
		strcmp(rd->builtin[rd->at_builtin]->key, rd->from) < 0)
		rd->at_builtin++;
	rd->spaces = kg_api_implicit_spaces(rd->src.snapshot, rd->kind, ns, &rd->nspaces);
	if (rd->from && rd->nspaces)
		rd->at_space =
			kg_api_implicit_before(rd->spaces, rd->nspaces, rd->kind->id, rd->from);
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
	if (kg_api_has_versions(rd->kind->id)) {
		open_version(rd, r->ns);
	} else if (node && *node) {
		rd->mode = READ_NODE;
		rd->ns = r->ns;
		kg_iter_index(&rd->it, rd->src.snapshot, KG_INDEX_NODE, node);
	} else {
		open_kind(rd, r->ns);
	}
}

/* Those that are stored, by their keys, among those that are made, by the keys of the slices. */
static const struct kg_object *next_endpoints(struct reader *rd, const char **key)
{
	for (;;) {
		rd->slice = rd->slice ? rd->slice : kg_iter_next(&rd->it);
		rd->stored = rd->stored ? rd->stored : kg_iter_next(&rd->stored_it);
		const struct kg_object *obj = rd->slice;

		if (rd->stored && (!obj || strcmp(rd->stored->key, obj->key) <= 0)) {
			obj = rd->stored;
			rd->stored = NULL;
			*key = obj->key;
			return obj;
		}
		if (!obj)
			return NULL;
		rd->slice = NULL;
		*key = obj->key;
		if (kg_api_slice_is_first(rd->src.snapshot, obj))
			return rd->given =
				       kg_api_endpoints_of(rd->src.snapshot, obj->ns, obj->service);
	}
}

static const struct kg_object *next_stored(struct reader *rd, const char **key)
{
	const struct kg_object *obj;

	if (rd->kind->id == KG_KIND_ENDPOINTS)
		return next_endpoints(rd, key);
	while ((obj = kg_iter_next(&rd->it))) {
		if (rd->mode == READ_NODE) {
			if (obj->kind != rd->kind || (rd->ns && strcmp(obj->ns, rd->ns)) ||
				(rd->from && strcmp(obj->key, rd->from) < 0))
				continue;
		}
		*key = obj->key;
		return obj;
	}
	return NULL;
}

/* The next of those that are in no snapshot, or are made of what is: owned by the reader until it
 * is given out. NULL at the end. */
static const struct kg_object *peek_own(struct reader *rd)
{
	if (rd->at_builtin < rd->nbuiltin)
		return rd->builtin[rd->at_builtin];
	while (!rd->made && rd->at_space < rd->nspaces)
		rd->made =
			kg_api_implicit_of(rd->src.snapshot, rd->spaces[rd->at_space++], rd->kind);
	return rd->made;
}

/* Goes past it; out: it is given out. */
static void pass_own(struct reader *rd, bool out)
{
	if (!rd->made) {
		rd->at_builtin++;
		return;
	}
	rd->fresh = out;
	if (out)
		rd->given = rd->made;
	else
		kg_object_unref(rd->made);
	rd->made = NULL;
}

static void pass_stored(struct reader *rd, bool out)
{
	if (out)
		rd->given = rd->ahead;
	else
		kg_object_unref(rd->ahead);
	rd->ahead = NULL;
}

/* Of two ordered sequences the lesser; of equals the system's own where it is what nobody can
 * change, and what is stored where that takes its place. */
static const struct kg_object *next_merged(struct reader *rd, const char **key)
{
	const struct kg_object *own = peek_own(rd), *stored;

	if (!own && !rd->ahead)
		return next_stored(rd, key);
	if (!rd->ahead && (stored = next_stored(rd, &rd->ahead_key))) {
		/* Kept over calls, which end what was given out. */
		rd->ahead = rd->given ? rd->given : kg_object_ref(stored);
		rd->given = NULL;
	}
	int order = !own ? -1 : !rd->ahead ? 1 : strcmp(rd->ahead_key, own->key);
	bool first = order < 0 || (!order && rd->made);
	const struct kg_object *out = first ? rd->ahead : own;

	*key = first ? rd->ahead_key : own->key;
	if (order <= 0)
		pass_stored(rd, first);
	if (order >= 0)
		pass_own(rd, !first);
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
	rd->fresh = false;
	switch (rd->mode) {
	case READ_VERSION:
		obj = kg_piter_next(&rd->pit, key);
		if (!obj || rd->kind->id != KG_KIND_EVENT_V1)
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
	if (rd->mode == READ_KIND && rd->kind->id == KG_KIND_ENDPOINTS)
		kg_iter_release(&rd->stored_it);
	kg_object_unref(rd->given);
	kg_object_unref(rd->made);
	kg_object_unref(rd->ahead);
	free(rd->spaces);
	free(rd->prefix);
	free(rd->from);
	if (rd->src.snapshot || rd->mode == READ_VERSION || rd->kind)
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

void kg_api_drop_loaded(struct kg_api *api)
{
	struct kg_snapshot *old[KG_ARRAY_LEN(api->loaded)];

	pthread_mutex_lock(&api->load_lock);
	memcpy(old, api->loaded, sizeof(old));
	memset(api->loaded, 0, sizeof(api->loaded));
	pthread_mutex_unlock(&api->load_lock);
	for (size_t i = 0; i < KG_ARRAY_LEN(old); i++)
		kg_snapshot_unref(old[i]);
}

int kg_api_snapshot_load(
	struct kg_api *api, struct kg_snapshot **out, uint64_t revision, struct kg_error *err)
{
	const struct kg_api_history *history = api->opt.history;
	void *self = api->opt.history_self;
	int rc;

	/* What went past the horizon since it was read is gone for all alike. */
	*out = !history || revision >= history->oldest(self) ? loaded_find(api, revision) : NULL;
	if (*out)
		return 0;
	if (!history)
		return kg_fail(err, KG_E_GONE,
			"The provided continue parameter or resourceVersion is too old: "
			"list again without it");
	rc = history->load(self, out, revision, err);
	if (!rc)
		loaded_add(api, *out);
	return rc;
}

/* ---- at a revision ---- */

struct load {
	struct request *r;
	uint64_t revision;
	void (*then)(struct request *r, struct source *src);
};

/* On a worker: the revision is loaded from disk. */
static void load(void *arg)
{
	struct load l = *(struct load *)arg;
	struct kg_snapshot *s;
	struct kg_error err;
	int rc = kg_api_snapshot_load(l.r->api, &s, l.revision, &err);

	free(arg);
	if (kg_api_request_enter(l.r)) {
		if (rc) {
			kg_api_reply_error(l.r, &err);
		} else {
			struct source src;

			kg_api_source_of(&src, s);
			l.then(l.r, &src);
		}
		kg_api_request_leave(l.r);
	} else {
		if (!rc)
			kg_snapshot_unref(s);
		kg_api_request_abandon(l.r);
	}
	kg_api_request_unref(l.r);
}

static const char too_old[] =
	"The provided continue parameter is too old to display a consistent list result. You can "
	"start a new list without the continue parameter.";

static void answer_version(
	struct request *r, uint64_t revision, void (*then)(struct request *r, struct source *src))
{
	struct source src = {0};

	if (kg_api_versions_at(
		    kg_api_versions(r->api, r->kind->id), revision, &src.objects, &src.revision))
		then(r, &src);
	else
		kg_api_reply_status(r, 410, "Expired", NULL, "%s", too_old);
}

void kg_api_read_at(
	struct request *r, uint64_t revision, void (*then)(struct request *r, struct source *src))
{
	struct source src;

	if (kg_api_has_versions(r->kind->id)) {
		answer_version(r, revision, then);
		return;
	}
	struct kg_snapshot *s = kg_api_snapshot_at(r->api, revision);
	if (s) {
		kg_api_source_of(&src, s);
		then(r, &src);
		return;
	}
	struct load *l = kg_alloc(sizeof(*l));
	*l = (struct load){kg_api_request_ref(r), revision, then};
	kg_api_request_defer(r);
	kg_api_worker_add(r->api, load, l);
}
