/*
 * git push -o wait: the pusher is told how what was pushed comes to run, as it does, and in the end
 * whether it does. The push itself is committed before, whatever comes of this.
 */
#include "kgitd/rollout.h"

#include "reconcile/summary.h"
#include "sys/loop.h"

#include <stdatomic.h>
#include <string.h>

#define LOOK_MS   500 /* the longest that a stop, or a pusher who went away, is not seen */
#define GATHER_MS 100 /* changes that come close together are told as one */
#define MAX_LINES 20000

struct watched {
	const struct kg_kind *kind;
	const char *ns, *name; /* the admission's */
	char told[64];
	bool ready;
};
struct rollout {
	struct kgd_hook *h;
	struct kg_arena a;
	struct watched *items;
	size_t n, cap, lines;
};

static void add(struct rollout *r, const struct kg_kind *kind, const char *ns, const char *name)
{
	KG_GROW(r->items, r->cap, r->n + 1);
	r->items[r->n++] = (struct watched){.kind = kind, .ns = ns, .name = name};
}

/* What a push defines; what it takes away is gone or going. */
static void watch(struct rollout *r, const struct kg_admission *a)
{
	for (size_t i = 0; i < a->n; i++) {
		const struct kg_input_desired *d = &a->desired[i];

		if (!kg_is_null(&d->value))
			add(r, d->kind, d->ns, d->name);
	}
}

static bool is_watched(const struct rollout *r, const struct kg_object *obj)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->items[i].kind == obj->kind && strcmp(r->items[i].name, obj->name) == 0 &&
			strcmp(r->items[i].ns, obj->ns) == 0)
			return true;
	return false;
}

static bool configures(const struct kg_admission *a, const char *ns)
{
	for (size_t i = 0; i < a->n; i++) {
		const struct kg_input_desired *d = &a->desired[i];

		if ((d->kind->id == KG_KIND_CONFIGMAP || d->kind->id == KG_KIND_SECRET) &&
			strcmp(d->ns, ns) == 0)
			return true;
	}
	return false;
}

/* Its revision alone says little: what nodes say, and other pushes, may be of the same commit. */
bool kgd_rollout_follows(
	const struct kg_object *obj, const struct kg_admission *a, uint64_t revision)
{
	return obj->source && obj->revision >= revision && kg_rolls_on_config(obj) &&
	       kg_is_rolling(obj) && configures(a, obj->ns);
}

/* And what rolls though its own manifest is as it was: a ConfigMap that its pods use is not. */
static void watch_rolling(struct rollout *r, const struct kg_admission *a,
	const struct kg_snapshot *s, uint64_t revision)
{
	static const enum kg_kind_id kinds[] = {
		KG_KIND_DEPLOYMENT, KG_KIND_STATEFULSET, KG_KIND_DAEMONSET};
	struct kg_object_iter it;
	const struct kg_object *obj;

	for (size_t k = 0; k < KG_ARRAY_LEN(kinds); k++) {
		kg_iter_kind(&it, s, kinds[k], NULL, NULL);
		while ((obj = kg_iter_next(&it)))
			if (kgd_rollout_follows(obj, a, revision) && !is_watched(r, obj))
				add(r, obj->kind, kg_arena_strdup(&r->a, obj->ns),
					kg_arena_strdup(&r->a, obj->name));
		kg_iter_release(&it);
	}
}

static bool gave_up(const struct kg_object *obj)
{
	const struct kg_value *p = kg_object_condition(obj, "Progressing");

	return strcmp(kg_string(kg_get(p, "reason"), ""), "ProgressDeadlineExceeded") == 0 ||
	       kg_condition_is_true(kg_get(kg_obj(obj), "status"), "Failed");
}

static void tell(struct rollout *r, struct watched *w, const struct kg_summary *sum)
{
	if (strcmp(w->told, sum->state) == 0)
		return;
	memcpy(w->told, sum->state, sizeof(w->told));
	if (r->lines++ < MAX_LINES)
		kgd_hook_sayf(r->h, "%s %s%s%s: %s", w->kind->kind, w->ns, *w->ns ? "/" : "",
			w->name, sum->state);
}

/* 1: all is ready. 0: not yet. -1: some of it will not be. */
static int look(struct rollout *r, const struct kg_snapshot *s)
{
	bool ready = true, failed = false;

	for (size_t i = 0; i < r->n; i++) {
		struct watched *w = &r->items[i];
		const struct kg_object *obj = kg_snapshot_get(s, w->kind->id, w->ns, w->name);
		struct kg_summary sum;

		if (!obj) /* a later push took it away */
			continue;
		kg_summarize(&sum, s, obj);
		if (!sum.counts)
			continue;
		tell(r, w, &sum);
		w->ready = sum.ready;
		ready = ready && sum.ready;
		failed = failed || (!sum.ready && gave_up(obj));
	}
	return ready ? 1 : failed ? -1 : 0;
}

static void say_why(struct rollout *r, const struct kg_snapshot *s)
{
	for (size_t i = 0; i < r->n; i++) {
		struct watched *w = &r->items[i];
		const struct kg_object *obj = kg_snapshot_get(s, w->kind->id, w->ns, w->name);
		struct kg_summary sum;

		if (!obj)
			continue;
		kg_summarize(&sum, s, obj);
		if (sum.counts && !sum.ready && r->lines++ < MAX_LINES)
			kgd_hook_sayf(r->h, "%s %s%s%s is not ready: %s%s%s", w->kind->kind, w->ns,
				*w->ns ? "/" : "", w->name, sum.state, *sum.reason ? ", " : "",
				sum.reason);
	}
}

static void say_end(struct rollout *r, const struct kg_snapshot *s, int verdict, int64_t took_ms)
{
	if (verdict > 0) {
		kgd_hook_sayf(r->h, "all of this push is ready after %lld.%01lld s",
			(long long)(took_ms / 1000), (long long)(took_ms % 1000 / 100));
		return;
	}
	say_why(r, s);
	kgd_hook_sayf(r->h,
		verdict < 0
			? "the rollout has failed (the push stays committed)"
			: "not all of this push is ready yet; kgit status --wait goes on waiting");
}

void kgd_rollout_wait(
	struct kgd_hook *h, const struct kg_admission *admission, uint64_t made, int64_t ms)
{
	struct rollout r = {.h = h, .a = KG_ARENA_INIT};
	int64_t from = kg_monotonic_ms();
	int verdict = 0;

	watch(&r, admission);
	for (;;) {
		struct kg_snapshot *s = kg_hub_snapshot(h->m->hub);
		int64_t spent = kg_monotonic_ms() - from;
		uint64_t revision = s->revision;

		if (made)
			watch_rolling(&r, admission, s, made);
		made = 0;
		verdict = look(&r, s);
		bool over = verdict || spent >= ms || atomic_load(&h->m->stopping) ||
			    kgd_hook_deserted(h);
		if (over)
			say_end(&r, s, verdict, spent);
		kg_snapshot_unref(s);
		if (over)
			break;
		int64_t left = ms - spent;
		if (kg_hub_wait(h->m->hub, revision + 1, (int)(left < LOOK_MS ? left : LOOK_MS)))
			kg_hub_wait(h->m->hub, UINT64_MAX, GATHER_MS);
	}
	free(r.items);
	kg_arena_release(&r.a);
}
