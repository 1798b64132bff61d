/* What every controller uses: wake-ups, puts, births, conditions, lists of objects. */
#include "reconcile/belong.h"

#include <string.h>

void kg_enqueue(struct kg_reconcile_state *st, enum kg_controller c, const char *key)
{
	kg_map_put(&st->queue[c], key, st);
}

void kg_make_key(char out[KG_KEY_SIZE], const char *ns, const char *name)
{
	size_t n = strnlen(ns, KG_KEY_SIZE - 2), m = strnlen(name, KG_KEY_SIZE - 2 - n);
	memcpy(out, ns, n);
	out[n] = '/';
	memcpy(out + n + 1, name, m);
	out[n + 1 + m] = '\0';
}

void kg_wake(struct kg_run *r, kg_time t)
{
	struct kg_map *m = &r->st->wakes[r->c];
	kg_time old = (kg_time)(intptr_t)kg_map_get(m, r->key);
	if (t <= r->now)
		t = r->now + 1;
	if (old && t >= old)
		return;
	kg_map_put(m, r->key, (void *)(intptr_t)t);
	kg_alarm_set(r->st, r->c, r->key, t);
}

bool kg_put_value(struct kg_run *r, const struct kg_object *obj, const struct kg_value *v)
{
	if (kg_equal(kg_obj(obj), v))
		return false;
	return kg_txn_put(r->txn, kg_object_with(obj, v));
}

void kg_delete_object(struct kg_run *r, const struct kg_object *obj)
{
	struct kg_object *held = kg_object_ref(obj); /* its key must outlive the delete */
	if (kg_finalizers_hold(held))
		kg_finalizers_mark(r, held);
	else
		kg_txn_delete(r->txn, held->kind->id, held->ns, held->name);
	kg_object_unref(held);
}

struct kg_value kg_now_value(struct kg_run *r)
{
	return kg_v_str(&r->a, r->now_text);
}

kg_time kg_time_of(const struct kg_value *v, kg_time dflt)
{
	kg_time t;
	const char *s = kg_string(v, NULL);
	return s && kg_time_parse(&t, s) == 0 ? t : dflt;
}

int64_t kg_seconds(const struct kg_value *v, int64_t dflt)
{
	const int64_t century = INT64_C(100) * 366 * 24 * 3600;
	int64_t s = kg_int(v, dflt);
	return (s < 0 ? 0 : s > century ? century : s) * 1000;
}

static bool has_generation(const struct kg_kind *kind)
{
	switch (kind->id) {
	case KG_KIND_DEPLOYMENT:
	case KG_KIND_REPLICASET:
	case KG_KIND_STATEFULSET:
	case KG_KIND_DAEMONSET:
	case KG_KIND_REPLICATIONCONTROLLER:
	case KG_KIND_JOB:
	case KG_KIND_CRONJOB:
	case KG_KIND_PODDISRUPTIONBUDGET:
	case KG_KIND_PODTEMPLATE:
	case KG_KIND_ENDPOINTSLICE:
	case KG_KIND_NETWORKPOLICY:
	case KG_KIND_INGRESS:
	case KG_KIND_INGRESSCLASS:
	case KG_KIND_PRIORITYCLASS:
		return true;
	default:
		return false;
	}
}

/* Is anything different that the kind's generation counts. */
static bool counts(
	const struct kg_kind *kind, const struct kg_value *before, const struct kg_value *after)
{
	static const char *const slice[] = {"ports", "endpoints", "addressType"};
	const char *meta = kind->id == KG_KIND_DEPLOYMENT      ? "metadata.annotations"
			   : kind->id == KG_KIND_ENDPOINTSLICE ? "metadata.labels"
							       : NULL;
	if (meta && !kg_equal(kg_at(before, meta), kg_at(after, meta)))
		return true;
	for (size_t i = 0; kind->id == KG_KIND_ENDPOINTSLICE && i < KG_ARRAY_LEN(slice); i++)
		if (!kg_equal(kg_get(before, slice[i]), kg_get(after, slice[i])))
			return true;
	const char *part = kind->id == KG_KIND_PODTEMPLATE ? "template" : "spec";
	return !kg_equal(kg_get(before, part), kg_get(after, part));
}

struct kg_value kg_with_generation(
	struct kg_arena *a, const struct kg_object *old, const struct kg_value *v)
{
	if (!has_generation(old->kind) || !counts(old->kind, kg_obj(old), v))
		return *v;
	return kg_with(
		a, v, "metadata.generation", kg_v_int(kg_int(kg_meta(old, "generation"), 0) + 1));
}

struct kg_value kg_with_deletion(struct kg_run *r, const struct kg_value *v)
{
	int64_t generation = kg_int(kg_get(kg_get(v, "metadata"), "generation"), 0);
	struct kg_value out = kg_with(&r->a, v, "metadata.deletionTimestamp", kg_now_value(r));
	return generation ? kg_with(&r->a, &out, "metadata.generation", kg_v_int(generation + 1))
			  : out;
}

struct kg_value kg_birth(struct kg_run *r, const struct kg_kind *kind, const char *ns,
	const char *name, const struct kg_value *v)
{
	char uid[37];
	char *what = kg_arena_printf(&r->a, "%s/%s/%s@%llu", kg_kind_resource(kind), ns, name,
		(unsigned long long)r->revision);
	kg_uuid5(uid, kg_now(r)->cluster_id, what);
	struct kg_value meta = *kg_get(v, "metadata");
	meta = kg_with_key(&r->a, &meta, "name", kg_v_str(&r->a, name));
	if (*ns)
		meta = kg_with_key(&r->a, &meta, "namespace", kg_v_str(&r->a, ns));
	meta = kg_with_key(&r->a, &meta, "uid", kg_v_str(&r->a, uid));
	meta = kg_with_key(&r->a, &meta, "creationTimestamp", kg_now_value(r));
	if (has_generation(kind))
		meta = kg_with_key(&r->a, &meta, "generation", kg_v_int(1));
	return kg_with_key(&r->a, v, "metadata", meta);
}

const char *kg_annotation(const struct kg_object *obj, const char *key, const char *dflt)
{
	return kg_string(kg_get(kg_meta(obj, "annotations"), key), dflt);
}

struct kg_value kg_with_annotation(
	struct kg_arena *a, const struct kg_value *v, const char *key, const char *text)
{
	struct kg_value ann = kg_with_key(a, kg_get(kg_get(v, "metadata"), "annotations"), key,
		text ? kg_v_str(a, text) : kg_v_null());
	return kg_with(a, v, "metadata.annotations", ann);
}

const struct kg_value *kg_owner_ref(const struct kg_object *obj)
{
	const struct kg_value *refs = kg_meta(obj, "ownerReferences");
	for (uint32_t i = 0; i < (refs->type == KG_ARRAY ? refs->len : 0); i++)
		if (kg_bool(kg_get(&refs->items[i], "controller"), false))
			return &refs->items[i];
	return &kg_null;
}

struct kg_value kg_make_owner_ref(struct kg_arena *a, const struct kg_object *owner)
{
	struct kg_value ref = kg_v_obj(a, "apiVersion", kg_v_lit(kg_kind_api_version(owner->kind)),
		"blockOwnerDeletion", kg_v_bool(true), "controller", kg_v_bool(true), "kind",
		kg_v_lit(owner->kind->kind), "name", kg_v_str(a, owner->name), "uid",
		kg_v_str(a, kg_object_uid(owner)), (char *)NULL);
	return kg_v_array(a, &ref, 1);
}

const struct kg_object *kg_owner(const struct kg_snapshot *s, const struct kg_object *obj)
{
	const struct kg_value *ref = kg_owner_ref(obj);
	const struct kg_kind *kind = kg_kind_by_api(
		kg_string(kg_get(ref, "apiVersion"), ""), kg_string(kg_get(ref, "kind"), ""));
	if (!kind)
		return NULL;
	const struct kg_object *owner = kg_snapshot_get(s, kind->id,
		kind->flags & KG_KF_NAMESPACED ? obj->ns : "", kg_string(kg_get(ref, "name"), ""));
	bool same = owner && strcmp(kg_object_uid(owner), kg_string(kg_get(ref, "uid"), "")) == 0;
	return same ? owner : NULL;
}

bool kg_owner_exists(const struct kg_snapshot *s, const struct kg_object *obj)
{
	/* What main defines is owned by main. */
	return obj->source || kg_is_null(kg_owner_ref(obj)) || kg_owner(s, obj);
}

struct kg_value kg_with_condition(
	struct kg_arena *a, const struct kg_value *status, struct kg_value cond)
{
	const struct kg_value *old = kg_get(status, "conditions");
	const char *type = kg_string(kg_get(&cond, "type"), "");
	uint32_t n = old->type == KG_ARRAY ? old->len : 0;
	struct kg_value *items = kg_arena_alloc(a, (n + 1) * sizeof(*items));
	uint32_t len = 0;
	bool done = false;
	for (uint32_t i = 0; i < n; i++) {
		bool same = strcmp(kg_string(kg_get(&old->items[i], "type"), ""), type) == 0;
		if (!same)
			items[len++] = old->items[i];
		else if (!done)
			items[len++] = cond;
		done |= same;
	}
	if (!done)
		items[len++] = cond;
	return kg_with_key(a, status, "conditions", kg_v_array(a, items, len));
}

void kg_list_add(struct kg_list *l, const struct kg_object *obj)
{
	KG_GROW(l->v, l->cap, l->n + 1);
	l->v[l->n++] = kg_object_ref(obj);
}

void kg_list_release(struct kg_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		kg_object_unref(l->v[i]);
	free(l->v);
	*l = (struct kg_list){0};
}

void kg_list_owned(
	struct kg_list *l, const struct kg_snapshot *s, enum kg_kind_id kind, const char *owner_uid)
{
	struct kg_object_iter it;
	const struct kg_object *obj;
	kg_iter_index(&it, s, KG_INDEX_OWNER, owner_uid);
	while ((obj = kg_iter_next(&it)))
		if (obj->kind->id == kind)
			kg_list_add(l, obj);
	kg_iter_release(&it);
}
