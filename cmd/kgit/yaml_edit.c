#include "kgit/yaml_edit.h"

#include "value/json.h"

#include <string.h>

struct edit {
	const char *text;
	size_t len;
	size_t at, drop;    /* what is replaced */
	struct kg_buf with; /* by this */
};

/* ---- where things are ---- */

static size_t offset_of(const char *text, size_t len, uint32_t line, uint32_t col)
{
	bool marked = len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0; /* no column of its own */
	size_t at = marked ? 3 : 0;

	for (uint32_t l = 1; l < line && at < len; at++)
		l += text[at] == '\n';
	/* Columns count characters, not bytes. */
	for (uint32_t c = 1; c < col && at < len; c++) {
		at++;
		while (at < len && ((unsigned char)text[at] & 0xc0) == 0x80)
			at++;
	}
	return at;
}

static int by_hand(const struct kg_yaml_node *node, const char *why, struct kg_error *err)
{
	return kg_fail(
		err, KG_E_UNSUPPORTED, "%u:%u: %s: change it by hand", node->line, node->col, why);
}

/* The end of a scalar that begins at `at`; 0: not one that can be replaced. */
static size_t scalar_end(const char *text, size_t len, size_t at, const struct kg_yaml_node *node)
{
	size_t n = node->text ? strlen(node->text) : 0;

	if (text[at] == '"') {
		for (size_t i = at + 1; i < len; i++) {
			if (text[i] == '\\')
				i++;
			else if (text[i] == '"')
				return i + 1;
		}
		return 0;
	}
	if (text[at] == '\'') {
		for (size_t i = at + 1; i < len; i++) {
			if (text[i] != '\'')
				continue;
			if (i + 1 < len && text[i + 1] == '\'')
				i++;
			else
				return i + 1;
		}
		return 0;
	}
	bool plain = n && !node->quoted && n <= len - at && memcmp(text + at, node->text, n) == 0;
	return plain ? at + n : 0;
}

/* ---- how values are written ---- */

static bool is_plain(const char *s)
{
	static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789._/:@-";
	size_t n = strlen(s);

	return n && strspn(s, safe) == n && s[n - 1] != ':' && s[0] != '-' && s[0] != ':';
}

/* As a plain scalar where that reads as the same value, and the text is not JSON. */
static void add_value(struct kg_buf *out, const struct kg_value *v, bool quoted)
{
	KG_AUTOBUF struct kg_buf yaml = KG_BUF_INIT;

	if (v->type == KG_STRING && !quoted && is_plain(kg_string(v, ""))) {
		kg_yaml_write(&yaml, v);
		while (yaml.len && yaml.data[yaml.len - 1] == '\n')
			yaml.len--;
		kg_buf_add(out, yaml.data, yaml.len);
		return;
	}
	kg_json_write(out, v);
}

/* ---- one edit ---- */

static const struct kg_yaml_member *member_of(const struct kg_yaml_node *node, const char *key)
{
	for (uint32_t i = 0; node->type == KG_OBJECT && i < node->len; i++)
		if (strcmp(node->members[i].key, key) == 0)
			return &node->members[i];
	return NULL;
}

static int replace_scalar(struct edit *e, const struct kg_yaml_node *node,
	const struct kg_value *value, struct kg_error *err)
{
	if (node->type == KG_OBJECT || node->type == KG_ARRAY)
		return by_hand(node, "there is more than a value", err);
	e->at = offset_of(e->text, e->len, node->line, node->col);
	size_t end = e->at < e->len ? scalar_end(e->text, e->len, e->at, node) : 0;
	if (!end)
		return by_hand(node, "it is not written as a plain or quoted value", err);
	e->drop = end - e->at;
	add_value(&e->with, value, node->quoted);
	return 0;
}

/* `key: value`; for a longer path `key: {key: value}`. */
static void add_member(struct kg_buf *out, const struct kgit_step *path, size_t n,
	const struct kg_value *value, bool json)
{
	for (size_t i = 0; i < n; i++) {
		struct kg_value key = kg_v_lit(path[i].key);

		if (i)
			kg_buf_addc(out, '{');
		if (json)
			kg_json_write(out, &key);
		else
			add_value(out, &key, false);
		kg_buf_adds(out, ": ");
	}
	add_value(out, value, json);
	for (size_t i = 1; i < n; i++)
		kg_buf_addc(out, '}');
}

/* Before the object's first member, in its style. */
static int insert_member(struct edit *e, const struct kg_yaml_node *object,
	const struct kgit_step *path, size_t n, const struct kg_value *value, struct kg_error *err)
{
	if (object->type != KG_OBJECT)
		return by_hand(object, "it has no members yet", err);
	e->at = offset_of(e->text, e->len, object->line, object->col);
	bool flow = e->at < e->len && e->text[e->at] == '{';
	if (!flow && (object->len == 0 || object->members[0].line != object->line ||
			     object->members[0].col != object->col))
		return by_hand(object, "it is not written as a plain mapping", err);
	if (flow)
		e->at++;
	bool json = flow && object->len &&
		    e->text[offset_of(e->text, e->len, object->members[0].line,
			    object->members[0].col)] == '"';
	add_member(&e->with, path, n, value, json);
	if (flow)
		kg_buf_adds(&e->with, object->len ? ", " : "");
	else
		kg_buf_addf(&e->with, "\n%*s", (int)object->col - 1, "");
	return 0;
}

static int plan_edit(struct edit *e, const struct kg_yaml_node *node, const struct kgit_step *path,
	size_t n, const struct kg_value *value, struct kg_error *err)
{
	size_t i = 0;

	for (; i < n; i++) {
		if (!path[i].key) {
			if (node->type != KG_ARRAY || path[i].index >= node->len)
				return by_hand(node, "there is no such item", err);
			node = &node->items[path[i].index];
			continue;
		}
		const struct kg_yaml_member *m = member_of(node, path[i].key);
		if (!m)
			return insert_member(e, node, path + i, n - i, value, err);
		node = &m->value;
	}
	return replace_scalar(e, node, value, err);
}

/* ---- what must come out ---- */

static struct kg_value with(struct kg_arena *a, const struct kg_value *v,
	const struct kgit_step *path, size_t n, const struct kg_value *value)
{
	if (n == 0)
		return *value;
	if (path->key) {
		struct kg_value base = v->type == KG_OBJECT ? *v : kg_v_object(a, NULL, 0);
		struct kg_value below = with(a, kg_get(&base, path->key), path + 1, n - 1, value);

		return kg_with_key(a, &base, path->key, below);
	}
	struct kg_value *items = kg_arena_alloc(a, (kg_len(v) + 1) * sizeof(*items));
	for (uint32_t i = 0; i < kg_len(v); i++)
		items[i] = i == path->index ? with(a, &v->items[i], path + 1, n - 1, value)
					    : v->items[i];
	return kg_v_array(a, items, kg_len(v));
}

static bool begins_at(const struct kg_yaml_node *node, const struct kg_yaml_node *other)
{
	return node->line == other->line && node->col == other->col;
}

/* Whether `object` (of another parse of the same text) is this document, or an item of the List
 * that it is: then steps[0..*n) lead to it. */
static bool leads_to(const struct kg_yaml_node *doc, const struct kg_yaml_node *object,
	struct kgit_step steps[2], size_t *n)
{
	const struct kg_yaml_member *items = member_of(doc, "items");

	*n = 0;
	if (begins_at(doc, object))
		return true;
	for (uint32_t i = 0; items && items->value.type == KG_ARRAY && i < items->value.len; i++) {
		if (!begins_at(&items->value.items[i], object))
			continue;
		steps[0] = (struct kgit_step){.key = "items"};
		steps[1] = (struct kgit_step){.index = i};
		*n = 2;
		return true;
	}
	return false;
}

static int check(const struct kg_buf *now, const struct edit *e, const struct kg_yaml_node *object,
	const struct kgit_step *path, size_t n, const struct kg_value *value, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_yaml_node *before = NULL, *after = NULL;
	struct kgit_step *steps = kg_arena_alloc(&a, (n + 2) * sizeof(*steps));
	size_t nbefore, nafter, lead, found = 0;
	int rc = kg_yaml_parse(&before, &nbefore, &a, e->text, e->len, NULL, err);

	if (rc == 0)
		rc = kg_yaml_parse(&after, &nafter, &a, kg_buf_str(now), now->len, NULL, err);
	if (rc < 0)
		return rc;
	bool same = nbefore == nafter;
	for (size_t i = 0; same && i < nbefore; i++) {
		struct kg_value want = kg_yaml_value(&a, &before[i]);
		struct kg_value have = kg_yaml_value(&a, &after[i]);

		if (leads_to(&before[i], object, steps, &lead)) {
			memcpy(steps + lead, path, n * sizeof(*path));
			want = with(&a, &want, steps, lead + n, value);
			found++;
		}
		same = kg_equal(&want, &have);
	}
	return same && found == 1 ? 0 : by_hand(object, "it would not come out as it should", err);
}

int kgit_yaml_set(struct kg_buf *out, const char *text, size_t len,
	const struct kg_yaml_node *object, const struct kgit_step *path, size_t n,
	const struct kg_value *value, struct kg_error *err)
{
	struct edit e = {.text = text, .len = len, .with = KG_BUF_INIT};
	int rc = plan_edit(&e, object, path, n, value, err);

	kg_buf_clear(out);
	if (rc == 0) {
		kg_buf_add(out, text, e.at);
		kg_buf_add(out, kg_buf_str(&e.with), e.with.len);
		kg_buf_add(out, text + e.at + e.drop, len - e.at - e.drop);
		rc = check(out, &e, object, path, n, value, err);
	}
	kg_buf_release(&e.with);
	return rc;
}
