/*
 * Deployments, by Kubernetes' rules: a ReplicaSet a template, found again by its content (which is
 * what a rollback is), scaled against each other within maxSurge and maxUnavailable. One sync does
 * one step; what it changes brings the Deployment back until no step is left.
 */
#include "reconcile/deployment.h"
#include "reconcile/adopt.h"
#include "reconcile/podpolicy.h"

#include <stdio.h>
#include <string.h>

int64_t kg_rs_replicas(const struct kg_object *rs)
{
	return kg_int(kg_spec(rs, "replicas"), 1);
}

int64_t kg_rs_status(const struct kg_object *rs, const char *field)
{
	return kg_int(kg_status(rs, field), 0);
}

static int64_t rs_revision(const struct kg_object *rs)
{
	return strtoll(kg_annotation(rs, KG_REVISION_ANNOTATION, "0"), NULL, 10);
}

static int cmp_age(const void *a, const void *b)
{
	const struct kg_object *x = *(struct kg_object *const *)a,
			       *y = *(struct kg_object *const *)b;
	kg_time s = kg_object_created(x), t = kg_object_created(y);
	if (s != t)
		return s < t ? -1 : 1;
	int64_t p = rs_revision(x), q = rs_revision(y);
	return p != q ? (p < q ? -1 : 1) : strcmp(x->name, y->name);
}

/* A ReplicaSet changes; `all` and `newest` follow. */
static void put_rs(struct kg_rollout *x, const struct kg_object *rs, const struct kg_value *v)
{
	struct kg_object *old = (struct kg_object *)rs;
	size_t i = 0;
	while (i < x->all.n && x->all.v[i] != old)
		i++;
	struct kg_value next = kg_with_generation(&x->r->a, old, v);
	if (i == x->all.n || !kg_put_value(x->r, old, &next))
		return;
	kg_list_add(&x->stale, old);
	kg_object_unref(old);
	x->all.v[i] =
		kg_object_ref(kg_snapshot_get_key(kg_now(x->r), KG_KIND_REPLICASET, old->key));
	if (x->newest == old)
		x->newest = x->all.v[i];
}

/* ---- scaling one ReplicaSet ---- */

static struct kg_value with_number(
	struct kg_arena *a, const struct kg_value *v, const char *key, int64_t n)
{
	char text[24];
	kg_int_text(text, n);
	return kg_with_annotation(a, v, key, text);
}

bool kg_rollout_scale(struct kg_rollout *x, const struct kg_object *rs, int64_t replicas)
{
	struct kg_run *r = x->r;
	bool resized = kg_rs_replicas(rs) != replicas;
	struct kg_value v = *kg_obj(rs);
	v = with_number(&r->a, &v, KG_DESIRED_ANNOTATION, x->replicas);
	v = with_number(&r->a, &v, KG_MAX_ANNOTATION, x->replicas + x->surge);
	if (resized)
		v = kg_with(&r->a, &v, "spec.replicas", kg_v_int(replicas));
	put_rs(x, rs, &v);
	return resized;
}

/* ---- the ReplicaSet of the current template ---- */

static struct kg_value with_hash(
	struct kg_arena *a, const struct kg_value *template, const char *hash)
{
	return kg_with(a, template, "metadata.labels." KG_POD_HASH_LABEL, kg_v_str(a, hash));
}

static bool has_template(struct kg_rollout *x, const struct kg_object *rs)
{
	const struct kg_value *have = kg_spec(rs, "template");
	const char *hash = kg_string(kg_at(have, "metadata.labels." KG_POD_HASH_LABEL), NULL);
	if (!hash)
		return false;
	struct kg_value want = with_hash(&x->r->a, &x->template, hash);
	return kg_equal(&want, have);
}

static int64_t max_old_revision(const struct kg_rollout *x)
{
	int64_t max = 0;
	for (size_t i = 0; i < x->all.n; i++)
		if (x->all.v[i] != x->newest && rs_revision(x->all.v[i]) > max)
			max = rs_revision(x->all.v[i]);
	return max;
}

/* Annotations of the Deployment that its ReplicaSets carry too. */
static struct kg_value copy_annotations(struct kg_rollout *x, struct kg_value v)
{
	static const char *const skip[] = {KG_REVISION_ANNOTATION, KG_HISTORY_ANNOTATION,
		KG_DESIRED_ANNOTATION, KG_MAX_ANNOTATION, KG_CREATED_ANNOTATION,
		"kubectl.kubernetes.io/last-applied-configuration",
		"deprecated.deployment.rollback.to"};
	const struct kg_value *ann = kg_meta(x->d, "annotations");
	for (uint32_t i = 0; i < (ann->type == KG_OBJECT ? ann->len : 0); i++) {
		bool skipped = false;
		for (size_t k = 0; k < KG_ARRAY_LEN(skip); k++)
			skipped |= strcmp(ann->members[i].key, skip[k]) == 0;
		if (!skipped)
			v = kg_with_annotation(&x->r->a, &v, ann->members[i].key,
				kg_string(&ann->members[i].value, ""));
	}
	return v;
}

/* As long as the note of earlier revisions may get; then the oldest are left out, as Kubernetes
 * does. */
#define HISTORY_MAX 2000

static const char *with_earlier(struct kg_arena *a, const char *history, int64_t revision)
{
	const char *text =
		kg_arena_printf(a, "%s%s%lld", history, *history ? "," : "", (long long)revision);
	while (strlen(text) > HISTORY_MAX && strchr(text, ','))
		text = strchr(text, ',') + 1;
	return text;
}

/* A ReplicaSet that is current again gets a revision of its own, its earlier ones noted. */
static struct kg_value with_revision(
	struct kg_rollout *x, struct kg_value v, const struct kg_object *rs, int64_t revision)
{
	struct kg_arena *a = &x->r->a;
	int64_t old = rs ? rs_revision(rs) : 0;
	if (old >= revision)
		return v;
	if (old)
		v = kg_with_annotation(a, &v, KG_HISTORY_ANNOTATION,
			with_earlier(a, kg_annotation(rs, KG_HISTORY_ANNOTATION, ""), old));
	return with_number(a, &v, KG_REVISION_ANNOTATION, revision);
}

static void reuse(struct kg_rollout *x, int64_t revision)
{
	struct kg_value v = copy_annotations(x, *kg_obj(x->newest));
	v = with_revision(x, v, x->newest, revision);
	struct kg_value min = *kg_get(x->spec, "minReadySeconds");
	v = kg_with(&x->r->a, &v, "spec.minReadySeconds", min);
	put_rs(x, x->newest, &v);
	if (kg_int(kg_get(x->spec, "progressDeadlineSeconds"), 0) &&
		kg_is_null(kg_condition(&x->status, "Progressing")))
		kg_rollout_condition(x, "Progressing", "True", "FoundNewReplicaSet",
			kg_arena_printf(&x->r->a, "Found new replica set \"%s\"", x->newest->name),
			false);
}

static int64_t total_replicas(const struct kg_rollout *x)
{
	int64_t n = 0;
	for (size_t i = 0; i < x->all.n; i++)
		n += kg_rs_replicas(x->all.v[i]);
	return n;
}

/* To what size the new ReplicaSet of `have` replicas may grow now. */
static int64_t new_size(const struct kg_rollout *x, int64_t have)
{
	if (strcmp(kg_string(kg_at(x->spec, "strategy.type"), ""), "Recreate") == 0)
		return x->replicas;
	int64_t room = x->replicas + x->surge - total_replicas(x);
	int64_t more = x->replicas - have;
	more = more < room ? more : room;
	return more > 0 ? have + more : have;
}

static void make_hash(char out[16], const struct kg_value *template, int64_t collisions)
{
	char id[24], what[48];
	kg_template_id(id, template);
	int n = snprintf(what, sizeof(what), "%s/%lld", id, (long long)collisions);
	kg_safe_encode(out, 10, kg_hash64(what, (size_t)n));
}

static struct kg_value rs_value(struct kg_rollout *x, const struct kg_value *template,
	const char *name, const char *hash, int64_t revision)
{
	struct kg_arena *a = &x->r->a;
	struct kg_value selector = kg_with(a, kg_get(x->spec, "selector"),
		"matchLabels." KG_POD_HASH_LABEL, kg_v_str(a, hash));
	struct kg_value spec = kg_v_obj(a, "minReadySeconds", *kg_get(x->spec, "minReadySeconds"),
		"replicas", kg_v_int(new_size(x, 0)), "selector", selector, "template", *template,
		(char *)NULL);
	struct kg_value meta =
		kg_v_obj(a, "labels", *kg_get(kg_get(template, "metadata"), "labels"),
			"ownerReferences", kg_make_owner_ref(a, x->d), (char *)NULL);
	struct kg_value v = kg_v_obj(a, "apiVersion", kg_v_lit("apps/v1"), "kind",
		kg_v_lit("ReplicaSet"), "metadata", meta, "spec", spec, "status",
		kg_v_obj(a, "replicas", kg_v_int(0), (char *)NULL), (char *)NULL);
	v = kg_birth(x->r, &kg_kinds[KG_KIND_REPLICASET], x->d->ns, name, &v);
	v = copy_annotations(x, v);
	v = with_revision(x, v, NULL, revision);
	v = with_number(a, &v, KG_DESIRED_ANNOTATION, x->replicas);
	return with_number(a, &v, KG_MAX_ANNOTATION, x->replicas + x->surge);
}

static void create(struct kg_rollout *x, int64_t revision)
{
	struct kg_arena *a = &x->r->a;
	const struct kg_kind *kind = &kg_kinds[KG_KIND_REPLICASET];
	char hash[16], name[300], id[24];
	for (;; x->collisions++) {
		make_hash(hash, &x->template, x->collisions);
		snprintf(name, sizeof(name), "%.242s-%s", x->d->name, hash);
		if (!kg_snapshot_get(kg_now(x->r), kind->id, x->d->ns, name))
			break;
	}
	struct kg_value template = with_hash(a, &x->template, hash);
	struct kg_value v = rs_value(x, &template, name, hash, revision);
	x->r->refused = kg_quota_forbids(x->r, kind, x->d->ns, name, &v);
	if (x->r->refused) {
		if (kg_int(kg_get(x->spec, "progressDeadlineSeconds"), 0))
			kg_rollout_condition(x, "Progressing", "False", "ReplicaSetCreateError",
				kg_arena_printf(a, "Failed to create new replica set \"%s\": %s",
					name, x->r->refused),
				false);
		return;
	}
	kg_template_id(id, &template);
	struct kg_doc *doc = kg_doc_new(&template, NULL, 0);
	struct kg_doc *base = kg_template_expand(kind, doc);
	/* The value takes the base's own copy of the template, which its pods will share. */
	v = kg_with(a, &v, "spec.template", *kg_at(kg_doc_value(base), "spec.template"));
	struct kg_object_spec spec = {.kind = kind,
		.ns = x->d->ns,
		.name = name,
		.value = &v,
		.base = base,
		.template_id = id};
	kg_txn_put(x->r->txn, kg_object_new(&spec));
	kg_list_add(&x->all, kg_snapshot_get(kg_now(x->r), kind->id, x->d->ns, name));
	x->newest = x->all.v[x->all.n - 1];
	kg_doc_unref(base);
	kg_doc_unref(doc);
	if (kg_int(kg_get(x->spec, "progressDeadlineSeconds"), 0))
		kg_rollout_condition(x, "Progressing", "True", "NewReplicaSetCreated",
			kg_arena_printf(a, "Created new replica set \"%s\"", name), false);
}

/* The Deployment's own revision is that of its new ReplicaSet. */
static void note_revision(struct kg_rollout *x, int64_t revision)
{
	char text[24];
	kg_int_text(text, revision);
	if (strcmp(kg_annotation(x->d, KG_REVISION_ANNOTATION, ""), text) == 0)
		return;
	struct kg_value v =
		kg_with_annotation(&x->r->a, kg_obj(x->d), KG_REVISION_ANNOTATION, text);
	struct kg_object *next = kg_object_with(x->d, &v);
	kg_txn_put(x->r->txn, kg_object_ref(next));
	kg_list_add(&x->stale, x->d);
	kg_object_unref(x->d);
	x->d = next;
	x->spec = kg_get(kg_obj(next), "spec");
}

/* The ReplicaSet of the current template: found, or made where `make` says so. */
static void rollout_find(struct kg_rollout *x, bool make)
{
	for (size_t i = 0; i < x->all.n && !x->newest; i++)
		if (has_template(x, x->all.v[i]))
			x->newest = x->all.v[i];
	int64_t revision = max_old_revision(x) + 1;
	if (x->newest) {
		reuse(x, revision);
		if (rs_revision(x->newest) > revision)
			revision = rs_revision(x->newest);
	} else if (make) {
		create(x, revision);
	}
	if (!x->newest)
		return;
	note_revision(x, revision);
}

/* ---- rolling ---- */

static int64_t sum_status(const struct kg_rollout *x, const char *field)
{
	int64_t n = 0;
	for (size_t i = 0; i < x->all.n; i++)
		n += kg_rs_status(x->all.v[i], field);
	return n;
}

static bool size_new(struct kg_rollout *x)
{
	int64_t have = kg_rs_replicas(x->newest);
	int64_t want = have > x->replicas ? x->replicas : new_size(x, have);
	return want != have && kg_rollout_scale(x, x->newest, want);
}

/* Old pods that are not available serve nobody: they go first. Then available ones, as far as
 * enough stay available. */
static bool shrink_old(struct kg_rollout *x)
{
	int64_t min_available = x->replicas - x->unavailable;
	int64_t new_unavailable =
		kg_rs_replicas(x->newest) - kg_rs_status(x->newest, "availableReplicas");
	int64_t room = total_replicas(x) - min_available - new_unavailable;
	bool any = false;
	if (room <= 0)
		return false;
	int64_t *left = kg_arena_alloc(&x->r->a, x->all.n * sizeof(*left));
	for (size_t i = 0; i < x->all.n; i++) {
		struct kg_object *rs = x->all.v[i];
		int64_t have = left[i] = kg_rs_replicas(rs);
		int64_t dead = have - kg_rs_status(rs, "availableReplicas");
		int64_t n = dead < room ? dead : room;
		if (rs == x->newest || n <= 0)
			continue;
		left[i] = have - n;
		room -= n;
	}
	int64_t spare = sum_status(x, "availableReplicas") - min_available;
	for (size_t i = 0; i < x->all.n; i++) {
		struct kg_object *rs = x->all.v[i];
		if (rs == x->newest)
			continue;
		int64_t n = left[i] < spare ? left[i] : spare;
		n = n > room ? room : n;
		if (n > 0) {
			left[i] -= n;
			spare -= n;
			room -= n;
		}
		if (left[i] != kg_rs_replicas(rs))
			any |= kg_rollout_scale(x, rs, left[i]);
	}
	return any;
}

static void roll(struct kg_rollout *x)
{
	rollout_find(x, true);
	if (x->newest && !size_new(x))
		shrink_old(x);
}

static bool old_pods_left(struct kg_rollout *x)
{
	bool left = false;
	for (size_t i = 0; i < x->all.n && !left; i++) {
		if (x->all.v[i] == x->newest)
			continue;
		KG_AUTOLIST struct kg_list pods = {0};
		kg_list_owned(&pods, kg_now(x->r), KG_KIND_POD, kg_object_uid(x->all.v[i]));
		for (size_t k = 0; k < pods.n; k++)
			left |= !kg_pod_terminal(pods.v[k]);
	}
	return left;
}

static void recreate(struct kg_rollout *x)
{
	rollout_find(x, false);
	bool scaled = false;
	for (size_t i = 0; i < x->all.n; i++)
		if (x->all.v[i] != x->newest && kg_rs_replicas(x->all.v[i]) > 0)
			scaled |= kg_rollout_scale(x, x->all.v[i], 0);
	if (scaled || old_pods_left(x))
		return;
	rollout_find(x, true);
	if (x->newest && kg_rs_replicas(x->newest) != x->replicas)
		kg_rollout_scale(x, x->newest, x->replicas);
}

/* ---- history ---- */

static int cmp_revision(const void *a, const void *b)
{
	const struct kg_object *x = *(struct kg_object *const *)a,
			       *y = *(struct kg_object *const *)b;
	int64_t p = rs_revision(x), q = rs_revision(y);
	return p != q ? (p < q ? -1 : 1) : strcmp(x->name, y->name);
}

static void forget_old(struct kg_rollout *x)
{
	const struct kg_value *limit = kg_get(x->spec, "revisionHistoryLimit");
	int64_t keep = kg_int(limit, 10);
	KG_AUTOFREE struct kg_object **old = kg_alloc((x->all.n + 1) * sizeof(struct kg_object *));
	size_t n = 0;
	for (size_t i = 0; i < x->all.n; i++)
		if (x->all.v[i] != x->newest)
			old[n++] = x->all.v[i];
	qsort(old, n, sizeof(struct kg_object *), cmp_revision);
	for (size_t i = 0; (int64_t)i < (int64_t)n - keep; i++) {
		if (kg_rs_replicas(old[i]) == 0 && kg_rs_status(old[i], "replicas") == 0) {
			kg_delete_object(x->r, old[i]);
			x->forgot = true;
		}
	}
}

/* ---- one sync ---- */

static void rollout_release(struct kg_rollout *x)
{
	kg_list_release(&x->all);
	kg_list_release(&x->stale);
	kg_object_unref(x->d);
}

static void begin(struct kg_rollout *x, struct kg_run *r, const struct kg_object *d)
{
	*x = (struct kg_rollout){.r = r, .d = kg_object_ref(d)};
	x->spec = kg_get(kg_obj(d), "spec");
	x->template = kg_owner_template(r, d);
	x->replicas = kg_int(kg_get(x->spec, "replicas"), 1);
	kg_deployment_bounds(x->spec, &x->surge, &x->unavailable);
	x->status = *kg_get(kg_obj(d), "status");
	if (x->status.type != KG_OBJECT)
		x->status = kg_v_object(&r->a, NULL, 0);
	x->collisions = kg_int(kg_get(&x->status, "collisionCount"), 0);
	kg_adopt(r, d, NULL, NULL);
	kg_list_owned(&x->all, kg_now(r), KG_KIND_REPLICASET, kg_object_uid(d));
	if (x->all.n)
		qsort(x->all.v, x->all.n, sizeof(*x->all.v), cmp_age);
}

void kg_deployment_run(struct kg_run *r, const char *key)
{
	const struct kg_object *d = kg_snapshot_get_key(kg_now(r), KG_KIND_DEPLOYMENT, key);
	if (!d)
		return;
	KG_CLEANUP(rollout_release) struct kg_rollout x;
	begin(&x, r, d);
	bool paused = kg_bool(kg_get(x.spec, "paused"), false);
	kg_rollout_pause_condition(&x);
	if (paused || kg_rollout_is_scaling(&x)) {
		rollout_find(&x, false);
		kg_rollout_rescale(&x);
		if (paused)
			forget_old(&x);
		kg_rollout_put_status(&x, false);
		return;
	}
	if (strcmp(kg_string(kg_at(x.spec, "strategy.type"), ""), "Recreate") == 0)
		recreate(&x);
	else
		roll(&x);
	if (kg_rollout_complete(&x))
		forget_old(&x);
	kg_rollout_put_status(&x, !r->refused);
}
