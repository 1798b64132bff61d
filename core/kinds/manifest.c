/* Manifest files: documents, Lists, and which kind each object is of. */
#include "kinds/missing.h"
#include "kinds/tables.h"

#include <stdio.h>

enum { LIST_DEPTH = 4 };

struct reader {
	struct kg_arena *a;
	struct kg_fault_list *faults;
	struct kg_manifest *items; /* heap */
	size_t len, cap;
	unsigned index;
	bool admitted; /* before: rules do not matter */
	bool faulty;   /* those with faults are asked for, too */
	struct kg_ignored_kind *ignored;
	size_t nignored;
};
/* What a document is of: as it says itself, or as the list does that it lies in. */
struct type {
	const char *version, *kind;
};

bool kg_manifest_is_path(const char *path)
{
	static const char *const endings[] = {".yaml", ".yml", ".json"};
	size_t n = strlen(path);

	if (*path == '.' || strstr(path, "/."))
		return false;
	for (size_t i = 0; i < KG_ARRAY_LEN(endings); i++) {
		size_t len = strlen(endings[i]);
		if (n > len && path[n - len - 1] != '/' && !strcmp(path + n - len, endings[i]))
			return true;
	}
	return false;
}

static const struct kg_yaml_member *member(const struct kg_yaml_node *node, const char *key)
{
	for (uint32_t i = 0; i < node->len; i++) {
		if (!strcmp(node->members[i].key, key))
			return &node->members[i];
	}
	return NULL;
}

/* The text of apiVersion or kind, or NULL with a fault. */
static const char *type_text(
	struct reader *r, const struct kg_yaml_node *node, const char *key, const char *example)
{
	const struct kg_yaml_member *m = member(node, key);

	if (m && m->value.type == KG_STRING && m->value.scalar.len)
		return m->value.scalar.s;
	if (!m || m->value.type == KG_NULL || m->value.type == KG_STRING)
		kg_fault_add_at(
			r->faults, node->line, node->col, key, "Required value: e.g. %s", example);
	else
		kg_fault_add_at(r->faults, m->value.line, m->value.col, key,
			"expected a string such as %s", example);
	return NULL;
}

/* The namespace as it is meant; the value says it too. */
static const char *place(struct reader *r, const struct kg_kind *kind, struct kg_value *value)
{
	const struct kg_value *ns = kg_at(value, "metadata.namespace");

	if (kind->flags & KG_KF_NAMESPACED) {
		if (kg_is_null(ns))
			*value = kg_with(r->a, value, "metadata.namespace", kg_v_lit("default"));
		return kg_string(kg_at(value, "metadata.namespace"), "");
	}
	if (kg_is_null(ns))
		return "";
	kg_rule_warn(r->faults, "", "metadata.namespace",
		"is left out, as Kubernetes does it: a %s lies in no namespace", kind->kind);
	*value = kg_with(r->a, value, "metadata.namespace", kg_v_null());
	return "";
}

/* Whatever else is wrong with it: is it said which object it is? */
static bool is_named(struct kg_arena *a, const struct kg_kind *kind, const struct kg_value *value)
{
	bool placed = !(kind->flags & KG_KF_NAMESPACED) ||
		      !kg_check_dns_label(a, kg_at(value, "metadata.namespace"));

	return placed && (kind->flags & KG_KF_MANIFEST) &&
	       *kg_string(kg_at(value, "metadata.name"), "");
}

static void read_typed(
	struct reader *r, const struct kg_yaml_node *node, const struct kg_kind *kind)
{
	size_t errors = kg_faults_errors(r->faults);

	r->faults->root = node;
	struct kg_value value = kg_schema_decode(kind->schema, node, r->a, r->faults);
	if (kg_is_null(kg_get(&value, "apiVersion")) || kg_is_null(kg_get(&value, "kind"))) {
		value = kg_with_key(r->a, &value, "apiVersion", kg_v_lit(kind->api_version));
		value = kg_with_key(r->a, &value, "kind", kg_v_lit(kind->kind));
	}
	const char *ns = place(r, kind, &value);
	r->faults->root = NULL;
	bool faulty = kg_faults_errors(r->faults) != errors;
	if (faulty && r->admitted && is_named(r->a, kind, &value) &&
		!kg_schema_shape(kind->schema, &value, &kg_null))
		faulty = false;
	if (faulty && !(r->faulty && is_named(r->a, kind, &value)))
		return;
	KG_GROW(r->items, r->cap, r->len + 1);
	r->items[r->len++] = (struct kg_manifest){
		.kind = kind,
		.ns = ns,
		.name = kg_string(kg_at(&value, "metadata.name"), ""),
		.value = value,
		.line = node->line,
		.col = node->col,
		.index = r->index,
		.faulty = faulty,
	};
}

/* Is it passed over, as the settings have it? */
static bool is_ignored(struct reader *r, const struct kg_yaml_node *node, const struct type *t)
{
	struct kg_ignored_kind *k =
		kg_ignored_kind_find(r->ignored, r->nignored, t->version, t->kind);

	if (!k)
		return false;
	if (!k->seen++) {
		k->file = r->faults->file;
		k->line = node->line;
		k->col = node->col;
	}
	return true;
}

static void read_object(
	struct reader *r, const struct kg_yaml_node *node, const struct type *of, int depth);

/* `of`: of the items that do not say it; or NULL. */
static void read_list(
	struct reader *r, const struct kg_yaml_node *node, const struct type *of, int depth)
{
	const struct kg_yaml_member *items = member(node, "items");

	if (!items || items->value.type == KG_NULL)
		return;
	if (items->value.type != KG_ARRAY) {
		kg_fault_add_at(r->faults, items->value.line, items->value.col, "items",
			"expected a list of objects");
		return;
	}
	if (depth >= LIST_DEPTH) {
		kg_fault_add_at(r->faults, node->line, node->col, "kind",
			"Lists lie in each other more than %d deep", LIST_DEPTH);
		return;
	}
	for (uint32_t i = 0; i < items->value.len; i++)
		read_object(r, &items->value.items[i], of, depth + 1);
}

/* "v1 List", or "RoleList" with what its items are, where they do not say it. Which of the two it
 * is may not depend on the kinds that we have: documents are counted. */
static bool is_list(
	struct reader *r, const struct kg_yaml_node *node, const struct type *t, struct type *of)
{
	const struct kg_yaml_member *items = member(node, "items");
	size_t n = strlen(t->kind);

	*of = (struct type){0};
	if (!strcmp(t->version, "v1") && !strcmp(t->kind, "List"))
		return true;
	if (n <= 4 || strcmp(t->kind + n - 4, "List") != 0 || !items ||
		(items->value.type != KG_ARRAY && items->value.type != KG_NULL))
		return false;
	*of = (struct type){t->version, kg_arena_strndup(r->a, t->kind, n - 4)};
	return true;
}

/* Where a document says its type, or, where the list does that for it, the document. */
static struct kg_yaml_node type_at(
	const struct kg_yaml_node *node, const char *key, const char *text)
{
	const struct kg_yaml_member *m = member(node, key);
	const struct kg_yaml_node *at = m ? &m->value : node;

	return (struct kg_yaml_node){
		.type = KG_STRING, .line = at->line, .col = at->col, .scalar.s = text};
}

static void read_known(struct reader *r, const struct kg_yaml_node *node, const struct type *t)
{
	const struct kg_kind *k = kg_kind_by_api(t->version, t->kind);
	const struct kg_yaml_node version = type_at(node, "apiVersion", t->version);
	const struct kg_yaml_node kind = type_at(node, "kind", t->kind);

	if (is_ignored(r, node, t))
		return;
	if (!k)
		kg_missing_kind(r->faults, &version, &kind);
	else if (!(k->flags & KG_KF_MANIFEST))
		kg_fault_add_at(r->faults, node->line, node->col, "kind",
			"Forbidden: %s objects are made by the system and cannot be pushed",
			t->kind);
	else
		read_typed(r, node, k);
}

static void read_object(
	struct reader *r, const struct kg_yaml_node *node, const struct type *of, int depth)
{
	struct type t, items;
	bool said = !of || !of->kind;

	if (node->type != KG_OBJECT) {
		kg_fault_add_at(r->faults, node->line, node->col, "",
			"expected a Kubernetes object (apiVersion, kind, metadata, ...), got %s",
			node->type == KG_ARRAY ? "a list" : "a plain value");
		r->index++;
		return;
	}
	said = said || (member(node, "apiVersion") && member(node, "kind"));
	if (said && kg_missing_object(r->faults, node)) {
		r->index++;
		return;
	}
	t = said ? (struct type){type_text(r, node, "apiVersion", "\"v1\" or \"apps/v1\""),
			   type_text(r, node, "kind", "\"Pod\" or \"Deployment\"")}
		 : *of;
	if (t.version && t.kind && is_list(r, node, &t, &items)) {
		read_list(r, node, &items, depth);
		return;
	}
	if (t.version && t.kind)
		read_known(r, node, &t);
	r->index++;
}

/* Does the parser's message show text that was meant as a value? */
static bool shows_a_value(const char *msg)
{
	return !strncmp(msg, "alias ", 6) || !strncmp(msg, "tag ", 4) ||
	       strstr(msg, "JSON has no such number") || strstr(msg, "is not a !!");
}

/* The parser's message begins with "LINE:COL: ". Where a file may have a Secret it shows no value
 * of it. */
static void syntax_fault(struct kg_fault_list *faults, const char *msg, bool secretive)
{
	unsigned line = 0, col = 0;
	int at = 0;

	if (sscanf(msg, "%u:%u: %n", &line, &col, &at) < 2 || !at)
		at = 0;
	msg += at;
	if (secretive && shows_a_value(msg))
		msg = "an unquoted value is an alias or has a tag that cannot be used; in quotes "
		      "it is a string (it is not shown, since this file has a Secret)";
	kg_fault_add_at(faults, line, col, "", "%s", msg);
}

/* Rules come after what they are about; people read from top to bottom. */
static void sort_by_position(struct kg_fault *items, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		struct kg_fault f = items[i];
		size_t j = i;
		for (; j > 0 && (items[j - 1].line > f.line ||
					(items[j - 1].line == f.line && items[j - 1].col > f.col));
			j--)
			items[j] = items[j - 1];
		items[j] = f;
	}
}

static void read_file(struct reader *r, struct kg_manifest **out, size_t *n, const char *path,
	const char *text, size_t len, const struct kg_yaml_limits *limits)
{
	struct kg_fault_list *faults = r->faults;
	struct kg_yaml_node *docs = NULL;
	size_t ndocs = 0, first = faults->len;
	struct kg_error err;
	const char *file = faults->file;

	faults->file = kg_arena_strdup(faults->arena, path);
	if (kg_yaml_parse(&docs, &ndocs, r->a, text, len, limits, &err))
		syntax_fault(faults, err.msg, memmem(text, len, "Secret", 6));
	else
		for (size_t i = 0; i < ndocs; i++)
			read_object(r, &docs[i], NULL, 0);
	faults->file = file;
	if (faults->len > first)
		sort_by_position(faults->items + first, faults->len - first);
	*n = r->len;
	*out = kg_arena_alloc(r->a, r->len * sizeof(**out));
	if (r->len)
		memcpy(*out, r->items, r->len * sizeof(**out));
	free(r->items);
}

void kg_manifest_read(struct kg_manifest **out, size_t *n, struct kg_arena *a, const char *path,
	const char *text, size_t len, const struct kg_yaml_limits *limits,
	struct kg_fault_list *faults)
{
	struct reader r = {.a = a, .faults = faults};

	read_file(&r, out, n, path, text, len, limits);
}

void kg_manifest_read_all(struct kg_manifest **out, size_t *n, struct kg_arena *a, const char *path,
	const char *text, size_t len, const struct kg_yaml_limits *limits,
	const struct kg_ignored_kinds *ignored, struct kg_fault_list *faults)
{
	struct reader r = {.a = a,
		.faults = faults,
		.faulty = true,
		.ignored = ignored->items,
		.nignored = ignored->len};

	read_file(&r, out, n, path, text, len, limits);
}

void kg_manifest_read_admitted(struct kg_manifest **out, size_t *n, struct kg_arena *a,
	const char *path, const char *text, size_t len, const struct kg_yaml_limits *limits,
	const struct kg_ignored_kinds *ignored)
{
	struct kg_fault_list faults KG_CLEANUP(kg_faults_release) = {0};
	struct reader r = {.a = a,
		.faults = &faults,
		.admitted = true,
		.ignored = ignored ? ignored->items : NULL,
		.nignored = ignored ? ignored->len : 0};

	kg_faults_init(&faults, a);
	read_file(&r, out, n, path, text, len, limits);
}
