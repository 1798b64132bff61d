/* LimitRanges: what containers get that name no requests or limits, and the bounds of all. */
#include "reconcile/podpolicy.h"

#include <string.h>

#define ANNOTATION "kubernetes.io/limit-ranger"

struct kg_limits kg_limits_of(struct kg_arena *a, const struct kg_snapshot *s, const char *ns)
{
	struct kg_limits l = {0};
	struct kg_object_iter it;
	const struct kg_object *obj;
	size_t cap = 0;
	if (s->objects[KG_KIND_LIMITRANGE].count == 0)
		return l;
	kg_iter_kind(&it, s, KG_KIND_LIMITRANGE, ns, NULL);
	while ((obj = kg_iter_next(&it))) {
		if (l.n == cap) {
			const struct kg_value **v =
				kg_arena_alloc(a, (cap = 2 * cap + 2) * sizeof(*v));
			if (l.n)
				memcpy(v, l.v, l.n * sizeof(*v));
			l.v = v;
		}
		l.v[l.n++] = kg_obj(obj);
	}
	kg_iter_release(&it);
	return l;
}

/* ---- defaults ---- */

/* The names that were set, "cpu, memory", are added to `set`. */
static struct kg_value fill(struct kg_arena *a, const struct kg_value *have,
	const struct kg_value *from, struct kg_buf *set)
{
	struct kg_value out = *have;
	for (uint32_t i = 0; i < kg_len(from); i++) {
		const struct kg_member *m = &from->members[i];
		if (!kg_is_null(kg_get(have, m->key)))
			continue;
		if (out.type != KG_OBJECT)
			out = kg_v_object(a, NULL, 0);
		out = kg_with_key(a, &out, m->key, m->value);
		kg_buf_addf(set, "%s%s", set->len ? ", " : "", m->key);
	}
	return out;
}

/* One LimitRange's defaults of containers. */
static struct kg_value default_container(struct kg_arena *a, const struct kg_value *range,
	const struct kg_value *c, const char *what, struct kg_buf *told)
{
	static const char *const lists[][3] = {
		{"requests", "defaultRequest", "request"}, {"limits", "default", "limit"}};
	const struct kg_value *limits = kg_at(range, "spec.limits");
	const struct kg_value *item = kg_find(limits, "type", "Container");
	struct kg_value res = *kg_get(c, "resources");
	bool any = false;
	for (size_t i = 0; i < KG_ARRAY_LEN(lists); i++) {
		KG_AUTOBUF struct kg_buf set = KG_BUF_INIT;
		struct kg_value v =
			fill(a, kg_get(&res, lists[i][0]), kg_get(item, lists[i][1]), &set);
		if (!set.len)
			continue;
		if (res.type != KG_OBJECT)
			res = kg_v_object(a, NULL, 0);
		res = kg_with_key(a, &res, lists[i][0], v);
		kg_buf_addf(told, "%s%s %s for %s %s", told->len ? "; " : "", set.data, lists[i][2],
			what, kg_string(kg_get(c, "name"), ""));
		any = true;
	}
	return any ? kg_with_key(a, c, "resources", res) : *c;
}

static struct kg_value default_list(struct kg_arena *a, const struct kg_limits *l,
	const struct kg_value *list, const char *what, struct kg_buf *told)
{
	struct kg_value *items = kg_arena_alloc(a, (kg_len(list) + 1) * sizeof(*items));
	for (uint32_t i = 0; i < kg_len(list); i++) {
		items[i] = list->items[i];
		for (size_t k = 0; k < l->n; k++)
			items[i] = default_container(a, l->v[k], &items[i], what, told);
	}
	return kg_v_array(a, items, kg_len(list));
}

struct kg_value kg_limits_default(
	struct kg_arena *a, const struct kg_limits *l, const struct kg_value *pod)
{
	static const char *const lists[][2] = {
		{"spec.containers", "container"}, {"spec.initContainers", "init container"}};
	KG_AUTOBUF struct kg_buf told = KG_BUF_INIT;
	struct kg_value v = *pod;
	for (size_t i = 0; l->n && i < KG_ARRAY_LEN(lists); i++) {
		size_t before = told.len;
		struct kg_value list =
			default_list(a, l, kg_at(pod, lists[i][0]), lists[i][1], &told);
		if (told.len > before)
			v = kg_with(a, &v, lists[i][0], list);
	}
	if (!told.len)
		return v;
	const char *text = kg_arena_printf(a, "LimitRanger plugin set: %s", told.data);
	if (kg_get(&v, "metadata")->type != KG_OBJECT)
		v = kg_with_key(a, &v, "metadata", kg_v_object(a, NULL, 0));
	return kg_with_annotation(a, &v, ANNOTATION, text);
}

/* ---- bounds ---- */

struct usage {
	const char *type; /* "Container", "Pod", "PersistentVolumeClaim" */
	bool has_request, has_limit;
	int64_t request, limit; /* thousandths */
};

static const char *text_of(const struct kg_value *v)
{
	return kg_string(v, "0");
}

static void check_min(struct kg_texts *out, const struct usage *u, const struct kg_member *m)
{
	int64_t bound = kg_amount_milli(&m->value);
	bool binary = kg_resource_is_binary(m->key);
	const char *low = text_of(&m->value);
	if (!u->has_request)
		kg_texts_add(out, "minimum %s usage per %s is %s.  No request is specified", m->key,
			u->type, low);
	else if (u->request < bound)
		kg_texts_add(out, "minimum %s usage per %s is %s, but request is %s", m->key,
			u->type, low, kg_milli_text(out->a, u->request, binary));
	else if (u->has_limit && u->limit < bound)
		kg_texts_add(out, "minimum %s usage per %s is %s, but limit is %s", m->key, u->type,
			low, kg_milli_text(out->a, u->limit, binary));
}

/* A claim has a request alone, and that is bounded. */
static void check_max(struct kg_texts *out, const struct usage *u, const struct kg_member *m)
{
	int64_t bound = kg_amount_milli(&m->value);
	bool binary = kg_resource_is_binary(m->key);
	const char *high = text_of(&m->value);
	bool claim = !strcmp(u->type, "PersistentVolumeClaim");
	if (!u->has_limit && !claim)
		kg_texts_add(out, "maximum %s usage per %s is %s.  No limit is specified", m->key,
			u->type, high);
	else if (u->has_limit && u->limit > bound)
		kg_texts_add(out, "maximum %s usage per %s is %s, but limit is %s", m->key, u->type,
			high, kg_milli_text(out->a, u->limit, binary));
	else if (u->has_request && u->request > bound)
		kg_texts_add(out, "maximum %s usage per %s is %s, but request is %s", m->key,
			u->type, high, kg_milli_text(out->a, u->request, binary));
}

static void check_ratio(struct kg_texts *out, const struct usage *u, const struct kg_member *m)
{
	double most = (double)kg_amount_milli(&m->value) / 1000;
	if (!u->has_request || !u->request)
		kg_texts_add(out,
			"%s max limit to request ratio per %s is %s, but no request is specified "
			"or "
			"request is 0",
			m->key, u->type, text_of(&m->value));
	else if (!u->has_limit || !u->limit)
		kg_texts_add(out,
			"%s max limit to request ratio per %s is %s, but no limit is specified or "
			"limit is 0",
			m->key, u->type, text_of(&m->value));
	else if ((double)u->limit / (double)u->request > most)
		kg_texts_add(out,
			"%s max limit to request ratio per %s is %s, but provided ratio is %f",
			m->key, u->type, text_of(&m->value), (double)u->limit / (double)u->request);
}

typedef struct usage usage_fn(const void *of, const char *resource);

static void check_item(
	struct kg_texts *out, const struct kg_value *item, usage_fn *usage, const void *of)
{
	static const struct {
		const char *name;
		void (*check)(struct kg_texts *, const struct usage *, const struct kg_member *);
	} bounds[] = {
		{"min", check_min}, {"max", check_max}, {"maxLimitRequestRatio", check_ratio}};
	for (size_t i = 0; i < KG_ARRAY_LEN(bounds); i++) {
		const struct kg_value *map = kg_get(item, bounds[i].name);
		for (uint32_t k = 0; k < kg_len(map); k++) {
			struct usage u = usage(of, map->members[k].key);
			bounds[i].check(out, &u, &map->members[k]);
		}
	}
}

/* Amounts below zero: not named. */
static struct usage usage_of(const char *type, int64_t request, int64_t limit)
{
	return (struct usage){.type = type,
		.has_request = request >= 0,
		.has_limit = limit >= 0,
		.request = request > 0 ? request : 0,
		.limit = limit > 0 ? limit : 0};
}

static struct usage of_container(const void *container, const char *resource)
{
	int64_t request = kg_container_milli(container, "requests", resource);
	int64_t limit = kg_container_milli(container, "limits", resource);
	return usage_of("Container", request < 0 ? limit : request, limit);
}

static struct usage of_claim(const void *claim, const char *resource)
{
	const struct kg_value *req = kg_get(kg_at(claim, "spec.resources.requests"), resource);
	return usage_of("PersistentVolumeClaim", kg_is_null(req) ? -1 : kg_amount_milli(req), -1);
}

static struct usage of_pod(const void *spec, const char *resource)
{
	return usage_of("Pod", kg_pod_milli(spec, "requests", resource),
		kg_pod_milli(spec, "limits", resource));
}

static void check_containers(
	struct kg_texts *out, const struct kg_value *item, const struct kg_value *list)
{
	for (uint32_t i = 0; i < kg_len(list); i++)
		check_item(out, item, of_container, &list->items[i]);
}

void kg_limits_check_pod(
	struct kg_texts *out, const struct kg_limits *l, const struct kg_value *spec)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct kg_value *limits = kg_at(l->v[i], "spec.limits");
		for (uint32_t k = 0; k < kg_len(limits); k++) {
			const struct kg_value *item = &limits->items[k];
			const char *type = kg_string(kg_get(item, "type"), "");
			if (!strcmp(type, "Container")) {
				check_containers(out, item, kg_get(spec, "containers"));
				check_containers(out, item, kg_get(spec, "initContainers"));
			} else if (!strcmp(type, "Pod")) {
				check_item(out, item, of_pod, spec);
			}
		}
	}
}

void kg_limits_check_claim(
	struct kg_texts *out, const struct kg_limits *l, const struct kg_value *claim)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct kg_value *limits = kg_at(l->v[i], "spec.limits");
		const struct kg_value *item = kg_find(limits, "type", "PersistentVolumeClaim");
		check_item(out, item, of_claim, claim);
	}
}
