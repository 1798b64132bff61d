/* Reading YAML: text in, documents out. */
#include "value/internal.h"
#include "value/yaml_own.h"
#include "value/yaml_parser.h"

static const struct kg_yaml_limits default_limits = {
	.bytes = 4 << 20, .nodes = 200000, .depth = 60};

/* ---- faults ---- */

int kg_yaml_fail_at(struct kg_yaml_parser *p, yaml_mark_t at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	kg_failv(p->err, KG_E_INVALID, fmt, ap);
	va_end(ap);
	if (p->err)
		kg_fail(p->err, KG_E_INVALID, "%u:%u: %s", KG_YAML_LINE(at), KG_YAML_COL(at),
			p->err->msg);
	return -KG_E_INVALID;
}

/* What libyaml found wrong. */
static int fail_yaml(struct kg_yaml_parser *p)
{
	const yaml_parser_t *y = &p->yaml;
	const char *text = (const char *)y->input.string.start;

	if (y->error == YAML_READER_ERROR)
		return kg_yaml_fail_at(p, kg_yaml_mark_of(text, y->problem_offset), "%s (%#x)",
			y->problem, (unsigned)y->problem_value);
	if (!y->problem)
		return kg_yaml_fail_at(p, y->mark, "cannot be read");
	if (!y->context)
		return kg_yaml_fail_syntax(p, y->problem_mark, y->problem);

	KG_AUTOFREE char *what = kg_asprintf("%s %s that began at %u:%u", y->problem, y->context,
		KG_YAML_LINE(y->context_mark), KG_YAML_COL(y->context_mark));
	return kg_yaml_fail_syntax(p, y->problem_mark, what);
}

int kg_yaml_next(struct kg_yaml_parser *p, yaml_event_t *event)
{
	return yaml_parser_parse(&p->yaml, event) ? 0 : fail_yaml(p);
}

/* ---- files ---- */

static bool is_empty(const struct kg_yaml_node *root, bool keep_nulls)
{
	return root->type == KG_NULL && !(keep_nulls && root->text[0]);
}

/* The root of each document, on the stack of items. */
static int parse_stream(struct kg_yaml_parser *p, bool keep_nulls)
{
	for (;;) {
		KG_YAML_AUTOEVENT event = {0};
		struct kg_yaml_node root;

		if (kg_yaml_next(p, &event) < 0)
			return -KG_E_INVALID;
		if (event.type == YAML_STREAM_END_EVENT)
			return 0;
		if (event.type == YAML_DOCUMENT_START_EVENT)
			kg_map_clear(&p->anchors);
		if (event.type == YAML_STREAM_START_EVENT ||
			event.type == YAML_DOCUMENT_START_EVENT ||
			event.type == YAML_DOCUMENT_END_EVENT)
			continue;
		if (kg_yaml_make_node(p, &event, 1, &root) < 0)
			return -KG_E_INVALID;
		if (is_empty(&root, keep_nulls))
			continue;
		KG_GROW(p->items, p->items_cap, p->nitems + 1);
		p->items[p->nitems++] = root;
	}
}

static int parse_checked(struct kg_yaml_parser *p, const char *text, size_t len, bool keep_nulls)
{
	KG_AUTOBUF struct kg_buf joined = KG_BUF_INIT;

	if (len > p->limits->bytes)
		return kg_yaml_fail_at(p, (yaml_mark_t){0}, "the file has %zu bytes, more than %zu",
			len, p->limits->bytes);
	if (kg_yaml_check_text(p, text, len) < 0)
		return -KG_E_INVALID;
	if (kg_yaml_has_bom(text, len)) {
		text += KG_YAML_BOM;
		len -= KG_YAML_BOM;
	}
	if (kg_yaml_join_surrogates(&joined, text, len)) {
		text = joined.data;
		len = joined.len;
	}
	if (!yaml_parser_initialize(&p->yaml))
		abort(); /* out of memory */
	yaml_parser_set_input_string(&p->yaml, (const unsigned char *)text, len);
	yaml_parser_set_encoding(&p->yaml, YAML_UTF8_ENCODING);
	int rc = parse_stream(p, keep_nulls);
	yaml_parser_delete(&p->yaml);
	return rc;
}

static int parse(struct kg_yaml_node **docs, size_t *ndocs, struct kg_arena *a, const char *text,
	size_t len, const struct kg_yaml_limits *limits, bool keep_nulls, struct kg_error *err)
{
	struct kg_yaml_parser p = {.arena = a, .limits = limits, .err = err};
	int rc = parse_checked(&p, text, len, keep_nulls);

	if (!rc) {
		*ndocs = p.nitems;
		*docs = kg_yaml_take(&p, p.items, 0, &p.nitems, sizeof(*p.items));
	}
	kg_map_release(&p.anchors);
	free(p.items);
	free(p.members);
	return rc;
}

int kg_yaml_parse(struct kg_yaml_node **docs, size_t *ndocs, struct kg_arena *a, const char *text,
	size_t len, const struct kg_yaml_limits *limits, struct kg_error *err)
{
	return parse(docs, ndocs, a, text, len, limits ? limits : &default_limits, false, err);
}

static struct kg_value to_value(
	struct kg_arena *a, const struct kg_yaml_node *node, bool keep_nulls)
{
	if (node->type == KG_ARRAY) {
		struct kg_value *items =
			node->len ? kg_arena_alloc(a, node->len * sizeof(*items)) : NULL;

		for (uint32_t i = 0; i < node->len; i++)
			items[i] = to_value(a, &node->items[i], keep_nulls);
		return (struct kg_value){.type = KG_ARRAY, .len = node->len, .items = items};
	}
	if (node->type == KG_OBJECT) {
		struct kg_member *m = node->len ? kg_arena_alloc(a, node->len * sizeof(*m)) : NULL;

		for (uint32_t i = 0; i < node->len; i++) {
			m[i].key = node->members[i].key;
			m[i].value = to_value(a, &node->members[i].value, keep_nulls);
		}
		return kg_object_from(m, node->len, keep_nulls);
	}
	return node->scalar;
}

struct kg_value kg_yaml_value(struct kg_arena *a, const struct kg_yaml_node *node)
{
	return to_value(a, node, false);
}

int kg_yaml_load_any(struct kg_value *out, struct kg_arena *a, const char *text, size_t len,
	struct kg_error *err)
{
	static const struct kg_yaml_limits own = {
		.bytes = 256 << 20, .nodes = 16 << 20, .depth = 250};
	struct kg_yaml_node *docs;
	size_t n;
	int rc = parse(&docs, &n, a, text, len, &own, true, err);

	if (rc < 0)
		return rc;
	if (n != 1)
		return kg_fail(err, KG_E_INVALID, "1:1: %zu documents where one was expected", n);
	*out = to_value(a, &docs[0], true);
	return 0;
}

int kg_yaml_load(struct kg_value *out, struct kg_arena *a, const char *text, size_t len,
	struct kg_error *err)
{
	return kg_yaml_read_own(out, a, text, len) ? 0 : kg_yaml_load_any(out, a, text, len, err);
}
