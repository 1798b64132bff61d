/*
 * Events: what happened to objects, in memory, the newest max_events of them; after a start they
 * are told again from the history (kgitd's events.c), which is where they are kept. They have
 * revisions of their own (a clock reading at start, then counting), so that every Event is one
 * position in its watch and a client that saw those of an earlier run is told to list again.
 */
#include "api/internal.h"
#include "base/hash.h"
#include "base/map.h"

#include <inttypes.h>

enum { DEFAULT_MAX_EVENTS = 10000 };
/* Under which an Event's uid is made of its key. */
static const char uid_space[] = "2f1c3d1e-54f4-5b0e-8c1e-6b6769740001";

struct event_item {
	struct event_item *prev, *next; /* by last change, oldest first */
	char *key;                      /* in by_key */
	struct kg_object *obj;          /* as last published */
	kg_time first, last;
	int64_t count;
};

static const enum kg_kind_id forms[] = {KG_KIND_EVENT, KG_KIND_EVENT_V1};

void kg_api_events_init(struct kg_api *api)
{
	struct event_store *s = &api->events;

	kg_api_versions_init(&s->v, (uint64_t)kg_api_now(api) * 1000, KG_ARRAY_LEN(s->v.kept));
	for (size_t i = 0; i < KG_ARRAY_LEN(forms); i++)
		kg_api_feed_init(&api->feeds[forms[i]], s->v.seq);
}

static void unlink_item(struct event_store *s, struct event_item *it)
{
	*(it->prev ? &it->prev->next : &s->oldest) = it->next;
	*(it->next ? &it->next->prev : &s->newest) = it->prev;
	it->prev = it->next = NULL;
}

static void append_item(struct event_store *s, struct event_item *it)
{
	it->prev = s->newest;
	*(it->prev ? &it->prev->next : &s->oldest) = it;
	s->newest = it;
}

static void free_item(struct event_item *it)
{
	kg_object_unref(it->obj);
	free(it->key);
	free(it);
}

void kg_api_events_release(struct kg_api *api)
{
	struct event_store *s = &api->events;

	while (s->oldest) {
		struct event_item *it = s->oldest;

		unlink_item(s, it);
		free_item(it);
	}
	kg_map_release(&s->by_key);
	kg_api_versions_release(&s->v);
}

/* One change of one Event, under the store's lock. */
static void publish(struct kg_api *api, struct kg_object *before, struct kg_object *after)
{
	kg_api_versions_publish(api, &api->events.v, before, after, forms, KG_ARRAY_LEN(forms));
}

struct kg_object *kg_api_event_v1_of(const struct kg_object *event)
{
	const struct kg_value *v = kg_obj(event);
	struct kg_arena a = KG_ARENA_INIT;
	char first[40];
	kg_time time = 0;

	(void)kg_time_parse(&time, kg_string(kg_get(v, "firstTimestamp"), ""));
	kg_time_format_micro(first, time);
	struct kg_value out = kg_v_obj(&a, "apiVersion", kg_v_lit("events.k8s.io/v1"), "kind",
		kg_v_lit("Event"), "metadata", *kg_get(v, "metadata"), "eventTime",
		kg_v_str(&a, first), "reportingController", *kg_get(v, "reportingComponent"),
		"reportingInstance", *kg_get(v, "reportingInstance"), "reason",
		*kg_get(v, "reason"), "regarding", *kg_get(v, "involvedObject"), "note",
		*kg_get(v, "message"), "type", *kg_get(v, "type"), "deprecatedSource",
		*kg_get(v, "source"), "deprecatedFirstTimestamp", *kg_get(v, "firstTimestamp"),
		"deprecatedLastTimestamp", *kg_get(v, "lastTimestamp"), "deprecatedCount",
		*kg_get(v, "count"), (char *)NULL);
	struct kg_object *obj =
		kg_object_new(&(struct kg_object_spec){.kind = &kg_kinds[KG_KIND_EVENT_V1],
			.ns = event->ns,
			.name = event->name,
			.value = &out});

	obj->revision = event->revision;
	kg_arena_release(&a);
	return obj;
}

static void drop_oldest(struct kg_api *api)
{
	struct event_store *s = &api->events;
	struct event_item *it = s->oldest;

	unlink_item(s, it);
	kg_map_remove(&s->by_key, it->key);
	publish(api, it->obj, NULL);
	free_item(it);
}

static const char *text(const char *s)
{
	return s ? s : "";
}

static struct kg_value text_value(struct kg_arena *a, const char *s)
{
	return s && *s ? kg_v_str(a, s) : kg_v_null();
}

/* What is the same of all that count as one. */
static char *event_key(struct kg_arena *a, const struct kg_api_event *ev)
{
	const char *all = kg_arena_printf(a, "%s\n%s\n%s\n%s\n%s\n%s\n%s\n%s", text(ev->kind),
		text(ev->uid), text(ev->field_path), text(ev->type), text(ev->reason),
		text(ev->message), text(ev->component), text(ev->host));

	return kg_arena_printf(
		a, "%s/%s.%016" PRIx64, text(ev->ns), text(ev->name), kg_hash64(all, strlen(all)));
}

/* "NAME.NANOSECONDS" of when it first happened, as in Kubernetes: what happened to an object is
 * listed in its order, also that of one moment. The next where that is taken, by another commit of
 * the same moment. */
static const char *event_name(
	struct event_store *s, struct kg_arena *a, const struct kg_api_event *ev, const char *ns)
{
	uint64_t at = (uint64_t)ev->time * 1000000 + ev->order;
	const char *name, *key;

	do {
		name = kg_arena_printf(a, "%s.%016" PRIx64, text(ev->name), at++);
		key = kg_arena_printf(a, "%s/%s", ns, name);
	} while (kg_pmap_get(&s->v.objects, key));
	return name;
}

static struct kg_value event_value(struct kg_arena *a, const struct kg_api_event *ev,
	const char *ns, const char *name, const struct event_item *it)
{
	char first[32], last[32], uid[37];

	kg_uuid5(uid, uid_space, kg_arena_printf(a, "%s/%s", ns, name));
	kg_time_format(first, it->first);
	kg_time_format(last, it->last);
	struct kg_value meta = kg_v_obj(a, "name", kg_v_str(a, name), "namespace", kg_v_str(a, ns),
		"uid", kg_v_str(a, uid), "creationTimestamp", kg_v_str(a, first), (char *)NULL);
	struct kg_value involved = kg_v_obj(a, "apiVersion", text_value(a, ev->api_version), "kind",
		text_value(a, ev->kind), "namespace", text_value(a, ev->ns), "name",
		text_value(a, ev->name), "uid", text_value(a, ev->uid), "fieldPath",
		text_value(a, ev->field_path), (char *)NULL);
	struct kg_value source = kg_v_obj(a, "component", text_value(a, ev->component), "host",
		text_value(a, ev->host), (char *)NULL);

	return kg_v_obj(a, "apiVersion", kg_v_lit("v1"), "kind", kg_v_lit("Event"), "metadata",
		meta, "involvedObject", involved, "reason", text_value(a, ev->reason), "message",
		text_value(a, ev->message), "source", source, "firstTimestamp", kg_v_str(a, first),
		"lastTimestamp", kg_v_str(a, last), "count", kg_v_int(it->count), "type",
		kg_v_str(a, ev->type ? ev->type : "Normal"), "reportingComponent",
		kg_v_str(a, text(ev->component)), "reportingInstance", kg_v_str(a, text(ev->host)),
		(char *)NULL);
}

/* The item of this happening, new or seen before, at the end of the list. */
static struct event_item *item_of(struct event_store *s, const char *key, kg_time now)
{
	struct event_item *it = kg_map_get(&s->by_key, key);

	if (it) {
		unlink_item(s, it);
	} else {
		it = kg_alloc(sizeof(*it));
		it->first = now;
		it->key = kg_strdup(key);
		kg_map_put(&s->by_key, key, it);
	}
	it->count++;
	it->last = now;
	append_item(s, it);
	return it;
}

void kg_api_event_add(struct kg_api *api, const struct kg_api_event *ev)
{
	struct event_store *s = &api->events;
	size_t max = api->opt.max_events ? api->opt.max_events : DEFAULT_MAX_EVENTS;
	struct kg_arena a = KG_ARENA_INIT;
	const char *ns = ev->ns && *ev->ns ? ev->ns : "default";

	pthread_mutex_lock(&s->v.lock);
	struct event_item *it = item_of(s, event_key(&a, ev), ev->time);
	const char *name = it->obj ? it->obj->name : event_name(s, &a, ev, ns);
	struct kg_value v = event_value(&a, ev, ns, name, it);
	struct kg_object *before = it->obj;

	it->obj = kg_object_new(&(struct kg_object_spec){
		.kind = &kg_kinds[KG_KIND_EVENT], .ns = ns, .name = name, .value = &v});
	publish(api, before, it->obj);
	kg_object_unref(before);
	while (s->by_key.count > max)
		drop_oldest(api);
	pthread_mutex_unlock(&s->v.lock);
	kg_arena_release(&a);
}
