/*
 * A push against what its namespaces ask for, as they will be with it: LimitRanges, Pod Security
 * and ResourceQuotas. Pods and claims are refused; templates of workloads are warned of, since
 * their pods are judged when they come to be.
 */
#include "reconcile/admitting.h"
#include "reconcile/podpolicy.h"

#include <string.h>

/* ---- the namespace as it will be ---- */

static const struct kg_value *labels_of(struct kg_admitting *x, const char *ns)
{
	const struct kg_kind *kind = &kg_kinds[KG_KIND_NAMESPACE];
	const struct kg_definition *d = kg_map_get(&x->by_key, kg_admit_key(x->a, kind, "", ns));
	const struct kg_object *obj = kg_snapshot_get(x->s, KG_KIND_NAMESPACE, "", ns);
	if (d)
		return kg_at(&d->m->value, "metadata.labels");
	return obj ? kg_at(kg_obj(obj), "metadata.labels") : &kg_null;
}

struct found {
	const char *name;
	const struct kg_value *v;
	const struct kg_object *obj; /* as it is now; NULL: it is new */
};
struct founds {
	struct found *v;
	size_t n, cap;
};

static void add(struct kg_admitting *x, struct founds *f, struct found one)
{
	if (f->n == f->cap) {
		f->cap = f->cap ? 2 * f->cap : 8;
		struct found *v = kg_arena_alloc(x->a, f->cap * sizeof(*v));
		if (f->n)
			memcpy(v, f->v, f->n * sizeof(*v));
		f->v = v;
	}
	f->v[f->n++] = one;
}

static int cmp_found(const void *a, const void *b)
{
	return strcmp(((const struct found *)a)->name, ((const struct found *)b)->name);
}

/* What there will be of a kind in a namespace, by name. */
static struct founds all_of(struct kg_admitting *x, struct kg_definition **ds, size_t n,
	enum kg_kind_id kind, const char *ns)
{
	struct founds f = {0};
	struct kg_object_iter it;
	const struct kg_object *obj;
	if (x->s->objects[kind].count) {
		kg_iter_kind(&it, x->s, kind, ns, NULL);
		while ((obj = kg_iter_next(&it)))
			if (kg_admit_untouched(x, obj))
				add(x, &f, (struct found){obj->name, kg_obj(obj), obj});
		kg_iter_release(&it);
	}
	for (size_t i = 0; i < n && (kind != KG_KIND_LIMITRANGE || x->limits); i++)
		if (ds[i]->m->kind->id == kind && !strcmp(ds[i]->m->ns, ns))
			add(x, &f,
				(struct found){ds[i]->m->name, &ds[i]->m->value,
					kg_snapshot_get(x->s, kind, ns, ds[i]->m->name)});
	if (f.n)
		qsort(f.v, f.n, sizeof(*f.v), cmp_found);
	return f;
}

static struct kg_limits limits_of(
	struct kg_admitting *x, struct kg_definition **ds, size_t n, const char *ns)
{
	struct founds f = all_of(x, ds, n, KG_KIND_LIMITRANGE, ns);
	struct kg_limits l = {.v = kg_arena_alloc(x->a, (f.n + 1) * sizeof(*l.v)), .n = f.n};
	for (size_t i = 0; i < f.n; i++)
		l.v[i] = f.v[i].v;
	return l;
}

/* ---- faults ---- */

static void forbid(
	struct kg_admitting *x, const struct kg_definition *d, const char *path, const char *why)
{
	kg_admit_look_at(x, d);
	kg_fault_add(x->faults, path, "%s \"%s\" is forbidden: %s", kg_kind_resource(d->m->kind),
		d->m->name, why);
	x->faults->root = NULL;
}

static bool same_as_before(const struct kg_admitting *x, const struct kg_definition *d)
{
	const struct kg_object *old = kg_snapshot_get(x->s, d->m->kind->id, d->m->ns, d->m->name);
	return old && old->base && kg_equal(kg_doc_value(old->base), &d->m->value);
}

static const struct kg_value *runtime_of(struct kg_admitting *x, const struct kg_value *spec)
{
	const struct kg_kind *kind = &kg_kinds[KG_KIND_RUNTIMECLASS];
	const char *name = kg_string(kg_get(spec, "runtimeClassName"), "");
	const struct kg_definition *d = kg_map_get(&x->by_key, kg_admit_key(x->a, kind, "", name));
	const struct kg_object *obj = kg_snapshot_get(x->s, kind->id, "", name);
	if (d)
		return &d->m->value;
	return kg_admit_untouched(x, obj) ? kg_obj(obj) : &kg_null;
}

/* A pod that is there already is judged again where an image of it changes. */
static bool same_images(const struct kg_value *before, const struct kg_value *after)
{
	static const char *const lists[] = {"initContainers", "containers"};
	for (size_t l = 0; l < KG_ARRAY_LEN(lists); l++) {
		const struct kg_value *old = kg_get(before, lists[l]),
				      *new = kg_get(after, lists[l]);
		if (kg_len(old) != kg_len(new))
			return false;
		for (uint32_t i = 0; i < kg_len(new); i++)
			if (!kg_equal(kg_get(&old->items[i], "image"),
				    kg_get(&new->items[i], "image")))
				return false;
	}
	return true;
}

/* LimitRanges and RuntimeClasses: of pods that come to be alone. */
static bool refuse_new_pod(struct kg_admitting *x, struct kg_definition **ds, size_t n,
	const struct kg_definition *d, const char *path)
{
	struct kg_limits limits = limits_of(x, ds, n, d->m->ns);
	struct kg_texts t = {.a = x->a};
	struct kg_value pod = kg_limits_default(x->a, &limits, &d->m->value);
	const struct kg_value *spec = kg_get(&pod, "spec");
	kg_limits_check_pod(&t, &limits, spec);
	const char *why = kg_texts_all(&t);
	const char *class = kg_runtime_refuses(x->a, runtime_of(x, spec), spec);
	if (why)
		forbid(x, d, path, why);
	if (class)
		forbid(x, d, path, class);
	return why || class;
}

/* True where it is refused, or need not be looked at. */
static bool judge_pod(struct kg_admitting *x, struct kg_definition **ds, size_t n,
	const struct kg_definition *d, const char *path)
{
	const struct kg_object *old = kg_snapshot_get(x->s, KG_KIND_POD, d->m->ns, d->m->name);
	const struct kg_value *spec = kg_get(&d->m->value, "spec");
	bool refused = false;
	if (old && !kg_object_deleting(old)) {
		if (same_images(kg_get(kg_obj(old), "spec"), spec))
			return true;
	} else {
		refused = refuse_new_pod(x, ds, n, d, path);
	}
	const char *why = kg_security_violations(x->a, labels_of(x, d->m->ns), KG_SECURITY_ENFORCE,
		kg_get(&d->m->value, "metadata"), spec);
	if (why)
		forbid(x, d, path, kg_arena_printf(x->a, "violates PodSecurity %s", why));
	return refused || why;
}

static void judge_pods(
	struct kg_admitting *x, struct kg_definition **ds, size_t n, const struct kg_definition *d)
{
	const char *path = kg_kind_pod_spec(d->m->kind);
	if (!path || (d->m->kind->id == KG_KIND_POD && judge_pod(x, ds, n, d, path)))
		return;
	const char *last = strrchr(path, '.');
	const char *meta = last ? kg_arena_printf(x->a, "%.*s.metadata", (int)(last - path), path)
				: "metadata";
	const struct kg_value *labels = labels_of(x, d->m->ns);
	const struct kg_value *pod_meta = kg_at(&d->m->value, meta),
			      *spec = kg_at(&d->m->value, path);
	kg_admit_note(x, d, labels, pod_meta, spec);
	const char *why = kg_security_violations(x->a, labels, KG_SECURITY_WARN, pod_meta, spec);
	if (why)
		kg_admit_warn(
			x, d, path, kg_arena_printf(x->a, "would violate PodSecurity %s", why));
}

static void judge_claim(
	struct kg_admitting *x, struct kg_definition **ds, size_t n, const struct kg_definition *d)
{
	struct kg_limits limits = limits_of(x, ds, n, d->m->ns);
	struct kg_texts t = {.a = x->a};
	kg_limits_check_claim(&t, &limits, &d->m->value);
	const char *why = kg_texts_all(&t);
	if (why)
		forbid(x, d, "spec.resources.requests", why);
}

/* ---- quotas ---- */

/* What of a namespace stays and counts, without what the push defines or removes. */
static void count_rest(
	struct kg_admitting *x, const struct kg_value *quota, const char *ns, kg_sum *used)
{
	const struct kg_value *hard = kg_at(quota, "spec.hard");
	for (int k = 0; k < KG_KIND_COUNT; k++) {
		struct kg_object_iter it;
		const struct kg_object *obj;
		if (!(kg_kinds[k].flags & KG_KF_NAMESPACED) || !x->s->objects[k].count)
			continue;
		kg_iter_kind(&it, x->s, k, ns, NULL);
		while ((obj = kg_iter_next(&it))) {
			bool stays = obj->source ? kg_admit_untouched(x, obj) : true;
			if (!stays || !kg_quota_includes(quota, obj->kind, kg_obj(obj)))
				continue;
			bool outlived = obj->kind->id == KG_KIND_POD &&
					kg_quota_until(kg_obj(obj)) < x->s->time;
			for (uint32_t i = 0; i < kg_len(hard); i++) {
				const char *what = hard->members[i].key;
				used[i] += kg_quota_amount(obj->kind, kg_obj(obj), what, outlived);
			}
		}
		kg_iter_release(&it);
	}
}

struct counting {
	struct kg_admitting *x;
	const struct found *quota;
	struct kg_limits limits;
	kg_sum *used;
};

static void judge_one(
	struct counting *c, const struct kg_definition *d, const struct kg_object *old)
{
	const struct kg_value *quota = c->quota->v, *hard = kg_at(quota, "spec.hard");
	const struct kg_kind *kind = d->m->kind;
	struct kg_arena *a = c->x->a;
	struct kg_value v = d->m->value;
	const char *why = NULL;
	if (kind->id == KG_KIND_POD) { /* as it will come to be: kg_pod_defaults */
		v = kg_runtime_apply(a, runtime_of(c->x, kg_get(&v, "spec")), &v);
		v = kg_limits_default(a, &c->limits, &v);
	}
	if (old) /* one that is over counts no more */
		v = kg_with_key(a, &v, "status", *kg_get(kg_obj(old), "status"));
	if (!kg_quota_includes(quota, kind, &v))
		return;
	if (!old && kind->id == KG_KIND_POD)
		why = kg_quota_unnamed(a, quota, &v);
	if (why)
		why = kg_arena_printf(a, "failed quota: %s: %s", c->quota->name, why);
	else
		why = kg_quota_exceeded(
			a, c->quota->name, quota, c->used, kind, &v, old ? kg_obj(old) : NULL);
	if (why) { /* it does not come to be, or stays as it was */
		forbid(c->x, d, "", why);
		if (!old)
			return;
		v = *kg_obj(old);
	}
	for (uint32_t k = 0; k < kg_len(hard); k++)
		c->used[k] += kg_quota_amount(kind, &v, hard->members[k].key, false);
}

/* One after the other: those that were there before are counted first, and only what is new, or
 * asks for more, is refused. */
static void judge_quota(struct kg_admitting *x, struct kg_definition **ds, size_t n, const char *ns,
	const struct found *q)
{
	size_t size = (kg_len(kg_at(q->v, "spec.hard")) + 1) * sizeof(kg_sum);
	struct counting c = {.x = x, .quota = q, .limits = limits_of(x, ds, n, ns)};
	c.used = kg_arena_alloc(x->a, size);
	memset(c.used, 0, size);
	count_rest(x, q->v, ns, c.used);
	for (int fresh = 0; fresh < 2; fresh++)
		for (size_t i = 0; i < n; i++) {
			const struct kg_manifest *m = ds[i]->m;
			const struct kg_object *old =
				kg_snapshot_get(x->s, m->kind->id, m->ns, m->name);
			if (!strcmp(m->ns, ns) && !old == (fresh == 1))
				judge_one(&c, ds[i], old);
		}
}

static void judge_quotas(struct kg_admitting *x, struct kg_definition **ds, size_t n)
{
	KG_CLEANUP(kg_map_release) struct kg_map seen = KG_MAP_INIT;
	for (size_t i = 0; i < n; i++) {
		const char *ns = ds[i]->m->ns;
		if (!*ns || kg_map_has(&seen, ns))
			continue;
		kg_map_put(&seen, ns, x);
		struct founds qs = all_of(x, ds, n, KG_KIND_RESOURCEQUOTA, ns);
		for (size_t k = 0; k < qs.n; k++)
			judge_quota(x, ds, n, ns, &qs.v[k]);
	}
}

void kg_admit_policies(struct kg_admitting *x, struct kg_definition **ds, size_t n)
{
	bool quotas = x->s->objects[KG_KIND_RESOURCEQUOTA].count > 0;
	for (size_t i = 0; i < n; i++)
		x->limits |= ds[i]->m->kind->id == KG_KIND_LIMITRANGE;
	for (size_t i = 0; i < n; i++) {
		struct kg_definition *d = ds[i];
		x->faults->file = d->file->path;
		quotas |= d->m->kind->id == KG_KIND_RESOURCEQUOTA;
		if (same_as_before(x, d))
			continue;
		if (d->m->kind->id == KG_KIND_NAMESPACE)
			kg_admit_namespace(x, d);
		else if (d->m->kind->id == KG_KIND_PERSISTENTVOLUMECLAIM)
			judge_claim(x, ds, n, d);
		else
			judge_pods(x, ds, n, d);
	}
	if (quotas)
		judge_quotas(x, ds, n);
}
