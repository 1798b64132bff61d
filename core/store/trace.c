#include "store/trace.h"

#include "store/commit_text.h"
#include "store/private.h"
#include "store/resolve.h"

#include "base/hash.h"

#include <stdio.h>
#include <string.h>

struct tracing {
	struct kg_trace *out;
	struct kg_store *store;
	struct kg_arena *a;
	const struct kg_kind *kind;
	const char *ns, *name;
	const struct kg_trace_options *opts;
	struct kg_reader reader;
	struct kg_bases *bases;
	uint64_t oldest;
	size_t cap;
	struct kg_error *err;
};

void kg_trace_release(struct kg_trace *t)
{
	for (size_t i = 0; i < t->n; i++)
		kg_object_unref(t->steps[i].object);
	free(t->steps);
	kg_object_unref(t->before);
	*t = (struct kg_trace){0};
}

static void tracing_release(struct tracing *t)
{
	kg_bases_free(t->bases);
	kg_reader_release(&t->reader);
}

/* The object as of a revision: a new reference, or NULL. */
static int object_at(struct kg_object **out, struct tracing *t, uint64_t revision)
{
	struct kg_view view;
	struct kg_resolve r = {.view = &view, .reader = &t->reader, .bases = t->bases};
	unsigned char id[20];
	int rc = kg_store_find_revision(id, t->store, revision, t->err);

	if (rc == 0)
		rc = kg_view_open(&view, &t->reader, id, t->err);
	return rc < 0 ? rc : kg_resolve_by_name(out, &r, t->kind, t->ns, t->name, t->err);
}

/* Takes over the object. */
static int add_step(struct tracing *t, uint64_t revision, struct kg_object *object)
{
	struct kg_log_entry *e;
	size_t n;
	int rc = kg_store_log(&e, &n, t->store, t->a, revision, 1, t->err);

	if (rc < 0) {
		kg_object_unref(object);
		return rc;
	}
	KG_GROW(t->out->steps, t->cap, t->out->n + 1);
	struct kg_trace_step *step = &t->out->steps[t->out->n++];
	*step = (struct kg_trace_step){.commit = *e, .object = object};
	step->commit.body = "";
	return 0;
}

/* ---- where the object is not there ---- */

/* Going back commit by commit, with the trees that are known not to hold it. */
struct scan {
	unsigned char commit[20];
	struct kg_subtree decided, resource;
	bool has_parent;
};

static bool same(const struct kg_subtree *a, const struct kg_subtree *b)
{
	return a->there == b->there && (!a->there || memcmp(a->id, b->id, 20) == 0);
}

static int find_dir(struct kg_subtree *out, const struct kg_reader *r, const unsigned char tree[20],
	const char *name, struct kg_error *err)
{
	git_odb_object *obj KG_AUTOOBJ = NULL;
	struct kg_tree_entry e;
	int rc = kg_reader_get(&obj, r, tree, GIT_OBJECT_TREE, err);

	*out = (struct kg_subtree){0};
	if (rc < 0)
		return rc;
	out->there = kg_tree_find(&e, git_odb_object_data(obj), git_odb_object_size(obj), name) &&
		     e.is_dir;
	if (out->there)
		memcpy(out->id, e.id, 20);
	return 0;
}

/* Is it in the directory of its kind. */
static int in_resource(bool *out, struct tracing *t, const struct kg_subtree *resource)
{
	char buf[KG_RECORD_NAME_MAX];
	const char *path[3];
	unsigned char blob[20];
	size_t n = kg_decided_path(path, buf, t->kind, t->ns, t->name);
	int rc = kg_view_find(blob, &t->reader, resource, path + 1, n - 1, t->err);

	*out = rc == 0;
	return rc == -KG_E_NOT_FOUND ? 0 : rc;
}

/* Is it there in the scan's commit; the scan learns what is not. */
static int look(bool *out, struct tracing *t, struct scan *s, bool first)
{
	git_odb_object *obj KG_AUTOOBJ = NULL;
	struct kg_subtree decided, resource = {0};
	struct kg_commit_view c;
	int rc = kg_commit_read(&obj, &c, &t->reader, s->commit, t->err);

	*out = false;
	if (rc == 0)
		rc = find_dir(&decided, &t->reader, c.tree, "decided", t->err);
	if (rc < 0)
		return rc;
	s->has_parent = c.has_parent;
	memcpy(s->commit, c.parent, 20);
	if (!first && same(&decided, &s->decided))
		return 0;
	s->decided = decided;
	if (decided.there)
		rc = find_dir(&resource, &t->reader, decided.id, kg_kind_resource(t->kind), t->err);
	if (rc < 0 || (!first && same(&resource, &s->resource)))
		return rc;
	s->resource = resource;
	return resource.there ? in_resource(out, t, &resource) : 0;
}

/* The newest revision before *at that has the object becomes *at: 1. 0: there is none, or the
 * budget is used up, and then t->out->next says where to go on. */
static int find_present(struct tracing *t, uint64_t *at)
{
	struct scan s = {0};
	bool there = false;
	int rc = kg_store_find_revision(s.commit, t->store, *at, t->err);

	s.has_parent = true;
	for (bool first = true; rc == 0; first = false, --*at) {
		if (t->out->looked++ >= t->opts->budget) {
			/* From one that is known not to have it: else its end would be missed. */
			t->out->next = first ? *at : *at + 1;
			return 0;
		}
		rc = look(&there, t, &s, first);
		if (rc < 0 || there)
			return rc < 0 ? rc : 1;
		if (*at <= t->oldest || !s.has_parent)
			break;
	}
	t->out->cut = rc == 0 && t->oldest > 0;
	return rc;
}

/* ---- where it is ---- */

/* As its revision made it: what was resolved at a later one may have moved to another file since,
 * which is no change of the object. */
static int as_made(struct tracing *t, struct kg_object **obj, uint64_t at)
{
	struct kg_object *made = NULL;

	if (!(*obj)->source || (*obj)->revision == at)
		return 0;
	int rc = object_at(&made, t, (*obj)->revision);
	if (rc == 0 && made) {
		kg_object_unref(*obj);
		*obj = made;
	}
	return rc;
}

/* Its version before, at the revision before: NULL where this one was its beginning. */
static int step_back(struct tracing *t, struct kg_object **obj, uint64_t *at, bool *begun)
{
	const struct kg_object *now = *obj;
	struct kg_object *older = NULL;
	uint64_t made = now->revision;
	int rc = add_step(t, made, *obj);

	*obj = NULL;
	*begun = true;
	*at = made ? made - 1 : 0;
	if (rc < 0 || made == 0)
		return rc;
	if (made <= t->oldest) {
		t->out->cut = true;
		return 0;
	}
	rc = object_at(&older, t, *at);
	if (rc < 0)
		return rc;
	*begun = !older || strcmp(kg_object_uid(older), kg_object_uid(now)) != 0;
	*obj = older;
	return 0;
}

/* What an unbounded loop would find next. 1: go on, 0: that was all. */
static int trace_one(struct tracing *t, struct kg_object **obj, uint64_t *at)
{
	bool begun;
	int rc;

	if (*obj && (*obj)->revision < t->oldest) {
		t->out->cut = true;
		return 0;
	}
	if (*obj) {
		rc = as_made(t, obj, *at);
		if (rc == 0)
			rc = step_back(t, obj, at, &begun);
		if (rc == 0 && begun && !t->opts->namesakes) {
			kg_object_unref(*obj);
			*obj = NULL;
			return 0;
		}
		return rc < 0 ? rc : !t->out->cut && *at > 0;
	}
	rc = find_present(t, at);
	if (rc <= 0)
		return rc;
	rc = add_step(t, *at + 1, NULL);
	if (rc == 0)
		rc = object_at(obj, t, *at);
	return rc < 0 ? rc : 1;
}

static int trace(struct tracing *t, uint64_t at)
{
	struct kg_object *obj = NULL;
	int rc = object_at(&obj, t, at), more = 1;

	while (rc == 0 && more > 0 && t->out->n < t->opts->limit) {
		more = trace_one(t, &obj, &at);
		rc = more < 0 ? more : 0;
	}
	if (rc == 0 && more > 0)
		t->out->next = at;
	t->out->before = obj;
	return rc;
}

int kg_store_trace(struct kg_trace *out, struct kg_store *store, struct kg_arena *a,
	const struct kg_kind *kind, const char *ns, const char *name,
	const struct kg_trace_options *opts, struct kg_error *err)
{
	struct kg_error why = {0};
	struct tracing t KG_CLEANUP(tracing_release) = {
		.out = out,
		.store = store,
		.a = a,
		.kind = kind,
		.ns = ns,
		.name = name,
		.opts = opts,
		.reader = kg_store_reader(store),
		.bases = kg_bases_new(),
		.oldest = kg_store_oldest(store),
		.err = &why,
	};

	*out = (struct kg_trace){0};
	int rc = trace(&t, opts->from ? opts->from : kg_store_revision(store));
	if (rc < 0) {
		kg_trace_release(out);
		return kg_fail(err, why.code, "history of %s %s%s%s: %s", kind->kind, ns,
			*ns ? "/" : "", name, why.msg);
	}
	return 0;
}
