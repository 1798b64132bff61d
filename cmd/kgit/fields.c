#include "kgit/fields.h"

#include "base/utf8.h"
#include "value/json.h"

#include <stdio.h>
#include <string.h>

#define SHOWN      4  /* fields of one line */
#define SHOWN_TEXT 60 /* bytes of one value */

enum { RANK_SPEC, RANK_META, RANK_PHASE, RANK_STATE, RANK_STATUS, RANK_NOISE };

struct finding {
	struct kg_arena *a;
	struct kgit_field *items; /* heap */
	size_t n, cap;
};

/* ---- which of them say something ---- */

static bool one_of(const char *s, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(s, *list) == 0)
			return true;
	return false;
}

static int rank_of(const char *path, const char *leaf)
{
	static const char *const noise[] = {"lastTransitionTime", "lastUpdateTime", "lastProbeTime",
		"generation", "observedGeneration", "message", "containerID", "imageID", NULL};
	static const char *const state[] = {"restartCount", "state", "status", NULL};

	/* And what a controller notes for itself. */
	if (one_of(leaf, noise) || strncmp(leaf, "deployment.kubernetes.io/", 25) == 0 ||
		strncmp(leaf, "kgit/", 5) == 0)
		return RANK_NOISE;
	if (strncmp(path, "metadata", 8) == 0)
		return RANK_META;
	if (strncmp(path, "status", 6) != 0)
		return RANK_SPEC;
	if (strcmp(leaf, "phase") == 0)
		return RANK_PHASE;
	return one_of(leaf, state) ? RANK_STATE : RANK_STATUS;
}

/* ---- finding ---- */

static void add(struct finding *f, const char *path, const char *leaf,
	const struct kg_value *before, const struct kg_value *after)
{
	KG_GROW(f->items, f->cap, f->n + 1);
	f->items[f->n++] = (struct kgit_field){
		.path = path, .before = before, .after = after, .rank = rank_of(path, leaf)};
}

static void compare(struct finding *f, const char *path, const char *leaf,
	const struct kg_value *before, const struct kg_value *after);

static void compare_member(struct finding *f, const char *path, const char *key,
	const struct kg_value *before, const struct kg_value *after)
{
	const char *below = *path ? kg_arena_printf(f->a, "%s.%s", path, key) : key;

	if (strcmp(below, "metadata.resourceVersion") != 0)
		compare(f, below, key, kg_get(before, key), kg_get(after, key));
}

static void compare_objects(struct finding *f, const char *path, const struct kg_value *before,
	const struct kg_value *after)
{
	for (uint32_t i = 0; i < before->len; i++)
		compare_member(f, path, before->members[i].key, before, after);
	for (uint32_t i = 0; i < after->len; i++)
		if (kg_is_null(kg_get(before, after->members[i].key)))
			compare_member(f, path, after->members[i].key, before, after);
}

/* What every item of an array is told apart by, or NULL. */
static const char *item_key(const struct kg_value *array)
{
	static const char *const keys[] = {"name", "type", NULL};

	for (const char *const *key = keys; *key; key++) {
		bool all = array->len > 0;

		for (uint32_t i = 0; i < array->len && all; i++) {
			const char *name = kg_string(kg_get(&array->items[i], *key), NULL);

			all = name && kg_find(array, *key, name) == &array->items[i];
		}
		if (all)
			return *key;
	}
	return NULL;
}

static void compare_arrays(struct finding *f, const char *path, const char *leaf,
	const struct kg_value *before, const struct kg_value *after)
{
	const char *key = item_key(before->len ? before : after);
	const char *other = item_key(after->len ? after : before);

	if (!key || !other || strcmp(key, other) != 0) {
		add(f, path, leaf, before, after);
		return;
	}
	for (uint32_t i = 0; i < before->len; i++) {
		const char *name = kg_string(kg_get(&before->items[i], key), "");

		compare(f, kg_arena_printf(f->a, "%s[%s]", path, name), leaf, &before->items[i],
			kg_find(after, key, name));
	}
	for (uint32_t i = 0; i < after->len; i++) {
		const char *name = kg_string(kg_get(&after->items[i], key), "");

		if (kg_is_null(kg_find(before, key, name)))
			add(f, kg_arena_printf(f->a, "%s[%s]", path, name), leaf, &kg_null,
				&after->items[i]);
	}
}

static void compare(struct finding *f, const char *path, const char *leaf,
	const struct kg_value *before, const struct kg_value *after)
{
	bool state = strcmp(leaf, "state") == 0 || strcmp(leaf, "lastState") == 0;

	if (kg_equal(before, after))
		return;
	if (before->type == KG_OBJECT && after->type == KG_OBJECT && !state)
		compare_objects(f, path, before, after);
	else if (before->type == KG_ARRAY && after->type == KG_ARRAY)
		compare_arrays(f, path, leaf, before, after);
	else
		add(f, path, leaf, before, after);
}

/* Stable: those of one rank stay in order. */
static void sort_by_rank(struct kgit_field *items, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		struct kgit_field f = items[i];
		size_t j = i;

		for (; j > 0 && items[j - 1].rank > f.rank; j--)
			items[j] = items[j - 1];
		items[j] = f;
	}
}

void kgit_fields_find(struct kgit_field **out, size_t *n, struct kg_arena *a,
	const struct kg_value *before, const struct kg_value *after)
{
	struct finding f = {.a = a};

	compare(&f, "", "", before, after);
	sort_by_rank(f.items, f.n);
	*out = kg_arena_alloc(a, (f.n + 1) * sizeof(**out));
	if (f.n)
		memcpy(*out, f.items, f.n * sizeof(**out));
	*n = f.n;
	free(f.items);
}

/* ---- words ---- */

/* A container's state: "waiting (ImagePullBackOff)", "terminated (Error, 1)". */
static bool add_state(struct kg_buf *out, const struct kg_value *v)
{
	static const char *const states[] = {"running", "waiting", "terminated"};

	for (size_t i = 0; i < KG_ARRAY_LEN(states); i++) {
		const struct kg_value *s = kg_get(v, states[i]);
		const char *reason = kg_string(kg_get(s, "reason"), "");

		if (kg_is_null(s))
			continue;
		kg_buf_adds(out, states[i]);
		if (i == 2)
			kg_buf_addf(out, " (%s%s%lld)", reason, *reason ? ", " : "",
				(long long)kg_int(kg_get(s, "exitCode"), 0));
		else if (*reason)
			kg_buf_addf(out, " (%s)", reason);
		return true;
	}
	return false;
}

static void add_value(struct kg_buf *out, const struct kg_value *v)
{
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;

	if (kg_is_null(v)) {
		kg_buf_adds(out, "none");
		return;
	}
	if (v->type == KG_OBJECT && add_state(out, v))
		return;
	if (v->type == KG_STRING && v->len <= SHOWN_TEXT && v->len && !strpbrk(v->s, " ,\n\t\"")) {
		kg_buf_adds(out, v->s);
		return;
	}
	kg_json_write(&text, v);
	if (text.len <= SHOWN_TEXT) {
		kg_buf_adds(out, kg_buf_str(&text));
		return;
	}
	kg_buf_add(out, text.data, kg_utf8_cut(text.data, SHOWN_TEXT - 3));
	kg_buf_adds(out, "...");
}

static void add_field(struct kg_buf *out, const struct kgit_field *f)
{
	bool structured = f->before->type >= KG_ARRAY || f->after->type >= KG_ARRAY;

	kg_buf_addf(out, "%s ", f->path);
	if (structured && kg_is_null(f->before) && !add_state(out, f->after)) {
		kg_buf_adds(out, "added");
	} else if (structured && kg_is_null(f->after)) {
		kg_buf_adds(out, "removed");
	} else if (!structured || !kg_is_null(f->before)) {
		add_value(out, f->before);
		kg_buf_adds(out, " -> ");
		add_value(out, f->after);
	}
}

void kgit_fields_write(
	struct kg_buf *out, const struct kg_value *before, const struct kg_value *after)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kgit_field *f;
	size_t n, shown = 0;

	if (kg_is_null(before) || kg_is_null(after)) {
		const char *node = kg_string(kg_at(after, "spec.nodeName"), "");

		kg_buf_adds(out, kg_is_null(after) ? "deleted" : "created");
		if (*node)
			kg_buf_addf(out, ", bound to node %s", node);
		return;
	}
	kgit_fields_find(&f, &n, &a, before, after);
	/* Noise is said where there is nothing else, and what follows from a change of what is
	 * desired is not the news. */
	int most = f[0].rank == RANK_SPEC ? RANK_PHASE : RANK_NOISE;
	while (n > 1 && f[0].rank < most && f[n - 1].rank >= most)
		n--;
	for (; shown < n && shown < SHOWN; shown++) {
		if (shown)
			kg_buf_adds(out, ", ");
		add_field(out, &f[shown]);
	}
	if (shown < n)
		kg_buf_addf(out, ", and %zu more", n - shown);
	if (n == 0)
		kg_buf_adds(out, "nothing");
}

struct kg_value kgit_fields_value(
	struct kg_arena *a, const struct kg_value *before, const struct kg_value *after)
{
	struct kgit_field *f;
	size_t n;

	if (kg_is_null(before) || kg_is_null(after))
		return kg_v_array(a, NULL, 0);
	kgit_fields_find(&f, &n, a, before, after);
	struct kg_value *items = kg_arena_alloc(a, (n + 1) * sizeof(*items));
	for (size_t i = 0; i < n; i++)
		items[i] = kg_v_obj(a, "path", kg_v_lit(f[i].path), "before", *f[i].before, "after",
			*f[i].after, (char *)NULL);
	return kg_v_array(a, items, n);
}
