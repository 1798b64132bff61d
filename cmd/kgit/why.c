#include "kgit/why.h"

#include <stdio.h>
#include <string.h>

#define PAGE      100
#define MAX_STEPS 2000 /* of one object that are looked at */

struct search {
	struct kg_arena *a;
	struct kg_http_client *http;
	struct kg_error *err;
};

void kgit_why_release(struct kgit_why *w)
{
	free(w->steps);
	kg_snapshot_unref(w->around);
	*w = (struct kgit_why){0};
}

/* ---- histories ---- */

/* For each version from `from` on, newest first, until fn says stop (true). *all: to its end. */
static int each_step(struct search *s, const struct kgit_object_name *name, uint64_t from,
	bool (*fn)(void *ctx, const struct kgit_step *step), void *ctx, bool *all)
{
	size_t seen = 0;

	*all = false;
	do {
		struct kg_value *reply = kg_arena_alloc(s->a, sizeof(*reply));
		int rc = kgit_history(reply, s->a, s->http, name, from, PAGE, false, s->err);

		if (rc < 0)
			return rc;
		const struct kg_value *entries = kg_get(reply, "entries");
		for (uint32_t i = 0, n = kg_len(entries); i < n; i++) {
			struct kgit_step step = {.entry = &entries->items[i]};

			step.after = kg_get(step.entry, "object");
			step.before = i + 1 < n ? kg_get(&entries->items[i + 1], "object")
						: kg_get(reply, "before");
			if (fn(ctx, &step))
				return 0;
		}
		seen += kg_len(entries);
		from = (uint64_t)kg_int(kg_get(reply, "next"), 0);
		*all = !from && !kg_bool(kg_get(reply, "cut"), false);
	} while (from && seen < MAX_STEPS);
	return 0;
}

static uint64_t revision_of(const struct kgit_step *step)
{
	return (uint64_t)kg_int(kg_get(step->entry, "revision"), 0);
}

/* A version that says why what hangs on the object is as it is: its manifest, or what a controller
 * desires by it, became another; or it came or went. */
static bool decides(void *ctx, const struct kgit_step *step)
{
	struct kgit_step *out = ctx;
	bool desired = !kg_is_null(kg_get(step->entry, "file"));

	if (kg_is_null(step->before) || kg_is_null(step->after) ||
		kg_bool(kg_get(step->entry, "manifest"), false) ||
		(!desired &&
			!kg_equal(kg_get(step->before, "spec"), kg_get(step->after, "spec")))) {
		*out = *step;
		return true;
	}
	return false;
}

/* ---- the chain of owners ---- */

static bool owner_of(struct kgit_object_name *out, const struct kgit_object_name *name,
	const struct kgit_step *step)
{
	const struct kg_value *obj = kg_is_null(step->after) ? step->before : step->after;
	const struct kg_value *refs = kg_at(obj, "metadata.ownerReferences");

	for (uint32_t i = 0; i < kg_len(refs); i++) {
		const struct kg_value *ref = &refs->items[i];
		const struct kg_kind *kind =
			kg_kind_by_api(kg_string(kg_get(ref, "apiVersion"), ""),
				kg_string(kg_get(ref, "kind"), ""));

		if (!kg_bool(kg_get(ref, "controller"), false) || !kind)
			continue;
		*out = (struct kgit_object_name){.kind = kind};
		snprintf(out->name, sizeof(out->name), "%s", kg_string(kg_get(ref, "name"), ""));
		if (kind->flags & KG_KF_NAMESPACED)
			memcpy(out->ns, name->ns, sizeof(out->ns));
		return true;
	}
	return false;
}

/* From a version of the object up to what its first owner's manifest says. */
static int find_chain(struct kgit_chain *out, struct search *s, const struct kgit_object_name *name,
	const struct kgit_step *step)
{
	struct kgit_link *at = &out->links[0];
	bool all;

	*at = (struct kgit_link){.name = *name, .step = *step};
	out->n = 1;
	while (out->n < KG_ARRAY_LEN(out->links)) {
		struct kgit_link *next = &out->links[out->n];

		if (!owner_of(&next->name, &at->name, &at->step))
			return 0;
		next->step = (struct kgit_step){0};
		int rc = each_step(
			s, &next->name, revision_of(&at->step), decides, &next->step, &all);
		if (rc < 0)
			return rc;
		if (!next->step.entry)
			return 0;
		at = next;
		out->n++;
	}
	return 0;
}

/* ---- this object ---- */

struct life {
	struct kgit_why *w;
	size_t cap;
};

static bool add_step(void *ctx, const struct kgit_step *step)
{
	struct life *l = ctx;

	KG_GROW(l->w->steps, l->cap, l->w->n + 1);
	l->w->steps[l->w->n++] = *step;
	return false;
}

static const char *node_of(const struct kg_value *pod)
{
	return kg_string(kg_at(pod, "spec.nodeName"), "");
}

static bool has_deletion(const struct kg_value *obj)
{
	return !kg_is_null(kg_at(obj, "metadata.deletionTimestamp"));
}

/* What the object was last decided by, of a pod what made it. */
static const struct kgit_step *deciding_step(const struct kgit_why *w)
{
	struct kgit_step ignored;

	if (w->name.kind->id == KG_KIND_POD && w->complete)
		return &w->steps[w->n - 1];
	for (size_t i = w->deleted; i < w->n; i++)
		if (decides(&ignored, &w->steps[i]))
			return &w->steps[i];
	return &w->steps[w->n - 1];
}

/* The one that began to delete it. */
static const struct kgit_step *deleting_step(const struct kgit_why *w)
{
	for (size_t i = w->n; i-- > 0;) {
		const struct kgit_step *s = &w->steps[i];

		if (!kg_is_null(s->before) &&
			(kg_is_null(s->after) ||
				(has_deletion(s->after) && !has_deletion(s->before))))
			return s;
	}
	return NULL;
}

static const struct kgit_step *binding_step(const struct kgit_why *w)
{
	for (size_t i = w->n; i-- > 0;)
		if (*node_of(w->steps[i].after) && !*node_of(w->steps[i].before))
			return w->complete || i + 1 < w->n ? &w->steps[i] : NULL;
	return NULL;
}

static void find_placing(struct kgit_why *w, struct search *s)
{
	struct kg_value *reply = kg_arena_alloc(s->a, sizeof(*reply));
	struct kg_error why;
	char path[700];

	w->bound = binding_step(w);
	if (!w->bound && (w->deleted || *node_of(w->now)))
		return;
	snprintf(path, sizeof(path), "/kgit/v1/explain?namespace=%s&name=%s&revision=%llu",
		w->name.ns, w->name.name,
		(unsigned long long)(w->bound ? revision_of(w->bound) : w->revision));
	if (kgit_call(reply, s->a, s->http, "GET", path, NULL, &why) == 0)
		w->placing = reply;
	else
		w->unplaced = kg_arena_strdup(s->a, why.msg);
}

static int gather(struct kgit_why *w, struct search *s, uint64_t at)
{
	struct life life = {.w = w};
	struct kg_value head;
	int rc = kgit_call(&head, s->a, s->http, "GET", "/kgit/v1/log?limit=1", NULL, s->err);

	if (rc < 0)
		return rc;
	w->revision = at ? at : (uint64_t)kg_int(kg_at(&head, "entries.0.revision"), 0);
	rc = each_step(s, &w->name, w->revision, add_step, &life, &w->complete);
	if (rc < 0)
		return rc;
	if (w->n == 0) {
		char *words KG_AUTOFREE = kgit_object_words(&w->name);
		return kg_fail(s->err, KG_E_NOT_FOUND,
			"there was no %s up to revision %llu, in the history that is retained%s",
			words, (unsigned long long)w->revision, kgit_object_absence(&w->name));
	}
	w->deleted = kg_is_null(w->steps[0].after);
	w->now = w->deleted ? w->steps[0].before : w->steps[0].after;
	return 0;
}

int kgit_why_find(struct kgit_why *out, struct kg_arena *a, struct kg_http_client *http,
	const struct kgit_object_name *name, uint64_t at, struct kg_error *err)
{
	struct search s = {.a = a, .http = http, .err = err};
	struct kgit_why w = {.name = *name};
	int rc = gather(&w, &s, at);

	if (rc == 0)
		rc = find_chain(&w.made, &s, name, deciding_step(&w));
	const struct kgit_step *gone = rc == 0 ? deleting_step(&w) : NULL;
	if (gone)
		rc = find_chain(&w.unmade, &s, name, gone);
	if (rc == 0 && name->kind->id == KG_KIND_POD)
		find_placing(&w, &s);
	else if (rc == 0 && !w.deleted)
		rc = kgit_load(&w.around, http, at, err);
	if (rc < 0)
		kgit_why_release(&w);
	else
		*out = w;
	return rc;
}
