/*
 * Reading YAML. libyaml gives events; here they become nodes in the arena, bounded as they come:
 * libyaml's own work is quadratic in the nesting, so that too deep a document must end at once
 * rather than after it was read.
 *
 * The children of collections that are still open wait on two stacks and are moved to the arena
 * when their collection ends. An alias shares its anchor's children.
 */
#include "base/map.h"
#include "value/internal.h"
#include "value/yaml.h"
#include "value/yaml_scalar.h"

#include <yaml.h>

static const struct kg_yaml_limits default_limits = {
	.bytes = 4 << 20, .nodes = 200000, .depth = 60};

/* What an anchor names, with what using it costs. A node still open is not complete. */
struct anchor {
	bool complete;
	struct kg_yaml_node node;
	size_t nodes, bytes;
	unsigned height;
};

struct parser {
	yaml_parser_t yaml;
	struct kg_arena *arena;
	const struct kg_yaml_limits *limits;
	struct kg_error *err;
	struct kg_map anchors; /* of the current document, to struct anchor */
	size_t nodes;          /* made so far, aliases counted each time */
	size_t bytes;          /* of scalars, likewise */
	size_t alias_bytes;    /* of those, what aliases added */
	unsigned height;       /* of the node made last: 1 for a scalar */
	struct kg_yaml_node *items;
	size_t nitems, items_cap;
	struct kg_yaml_member *members;
	size_t nmembers, members_cap;
};

static void event_release(yaml_event_t *event)
{
	yaml_event_delete(event);
}
#define AUTOEVENT KG_CLEANUP(event_release) yaml_event_t

#define LINE(mark) ((uint32_t)(mark).line + 1)
#define COL(mark)  ((uint32_t)(mark).column + 1)

/* ---- faults ---- */

static int fail_at(struct parser *p, yaml_mark_t at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static int fail_at(struct parser *p, yaml_mark_t at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	kg_failv(p->err, KG_E_INVALID, fmt, ap);
	va_end(ap);
	if (p->err)
		kg_fail(p->err, KG_E_INVALID, "%u:%u: %s", LINE(at), COL(at), p->err->msg);
	return -KG_E_INVALID;
}

static yaml_mark_t mark_of_offset(const char *text, size_t offset)
{
	yaml_mark_t m = {.index = offset};

	for (size_t i = 0; i < offset; i++) {
		if (text[i] == '\n') {
			m.line++;
			m.column = 0;
		} else {
			m.column += ((unsigned char)text[i] & 0xC0) != 0x80;
		}
	}
	return m;
}

/* What libyaml found wrong. */
static int fail_yaml(struct parser *p)
{
	const yaml_parser_t *y = &p->yaml;

	if (y->error == YAML_READER_ERROR) {
		const char *text = (const char *)y->input.string.start;

		return fail_at(p, mark_of_offset(text, y->problem_offset), "%s (%#x)", y->problem,
			(unsigned)y->problem_value);
	}
	if (!y->problem)
		return fail_at(p, y->mark, "cannot be read");
	if (!y->context)
		return fail_at(p, y->problem_mark, "%s", y->problem);
	return fail_at(p, y->problem_mark, "%s %s that began at %u:%u", y->problem, y->context,
		LINE(y->context_mark), COL(y->context_mark));
}

/* UTF-8 without NUL, before libyaml sees it. */
static int check_text(struct parser *p, const char *text, size_t len)
{
	for (size_t i = 0; i < len;) {
		uint32_t cp;
		unsigned n = kg_utf8_next(text + i, len - i, &cp);

		if (!n)
			return fail_at(p, mark_of_offset(text, i), "byte 0x%02x is not UTF-8",
				(unsigned char)text[i]);
		if (!cp)
			return fail_at(p, mark_of_offset(text, i), "NUL byte");
		i += n;
	}
	return 0;
}

static int next(struct parser *p, yaml_event_t *event)
{
	return yaml_parser_parse(&p->yaml, event) ? 0 : fail_yaml(p);
}

static int count_nodes(struct parser *p, yaml_mark_t at, size_t nodes)
{
	p->nodes += nodes;
	if (p->nodes > p->limits->nodes)
		return fail_at(p, at, "more than %zu values", p->limits->nodes);
	return 0;
}

/* ---- anchors ---- */

static struct anchor *anchor_open(struct parser *p, const yaml_char_t *name)
{
	if (!name)
		return NULL;
	struct anchor *anchor = kg_arena_alloc(p->arena, sizeof(*anchor));
	kg_map_put(&p->anchors, (const char *)name, anchor);
	return anchor;
}

static void anchor_close(struct parser *p, struct anchor *anchor, const struct kg_yaml_node *node,
	size_t nodes_before, size_t bytes_before)
{
	if (!anchor)
		return;
	anchor->node = *node;
	anchor->nodes = p->nodes - nodes_before;
	anchor->bytes = p->bytes - bytes_before;
	anchor->height = p->height;
	anchor->complete = true;
}

static int use_alias(
	struct parser *p, const yaml_event_t *event, unsigned depth, struct kg_yaml_node *node)
{
	const char *name = (const char *)event->data.alias.anchor;
	const struct anchor *anchor = kg_map_get(&p->anchors, name);

	if (!anchor)
		return fail_at(p, event->start_mark, "alias *%s: no such anchor before it", name);
	if (!anchor->complete)
		return fail_at(p, event->start_mark, "alias *%s within its own anchor", name);
	if (depth + anchor->height - 1 > p->limits->depth)
		return fail_at(p, event->start_mark, "nested deeper than %u", p->limits->depth);
	if (count_nodes(p, event->start_mark, anchor->nodes) < 0)
		return -KG_E_INVALID;
	p->bytes += anchor->bytes;
	p->alias_bytes += anchor->bytes;
	if (p->alias_bytes > p->limits->bytes)
		return fail_at(p, event->start_mark, "aliases expand to more than %zu bytes",
			p->limits->bytes);
	*node = anchor->node;
	node->line = LINE(event->start_mark);
	node->col = COL(event->start_mark);
	p->height = anchor->height;
	return 0;
}

/* ---- scalars ---- */

/* "str" of "tag:yaml.org,2002:str"; the tag itself where it is not one of YAML's; NULL for none. */
static const char *short_tag(const yaml_char_t *tag)
{
	static const char prefix[] = "tag:yaml.org,2002:";
	const char *s = (const char *)tag;

	return s && !strncmp(s, prefix, sizeof(prefix) - 1) ? s + sizeof(prefix) - 1 : s;
}

static int fail_tag(struct parser *p, yaml_mark_t at, const yaml_char_t *raw, const char *where)
{
	const char *tag = short_tag(raw);

	return fail_at(p, at, "tag %s%s is not supported%s", tag == (const char *)raw ? "" : "!!",
		tag, where);
}

static bool tag_wants(const char *tag, enum kg_type *type)
{
	static const struct {
		const char *tag;
		enum kg_type type;
	} tags[] = {{"bool", KG_BOOL}, {"int", KG_INT}, {"float", KG_FLOAT}, {"null", KG_NULL}};

	for (size_t i = 0; i < KG_ARRAY_LEN(tags); i++) {
		if (!strcmp(tag, tags[i].tag)) {
			*type = tags[i].type;
			return true;
		}
	}
	return false;
}

static int type_scalar(struct parser *p, const yaml_event_t *event, struct kg_yaml_node *node)
{
	const char *tag = short_tag(event->data.scalar.tag);
	struct kg_value v = {.type = KG_STRING, .len = node->len, .s = node->text};
	enum kg_type want = KG_STRING;
	bool is_string =
		tag && (!strcmp(tag, "!") || !strcmp(tag, "str") || !strcmp(tag, "timestamp"));

	if (tag && !is_string && !tag_wants(tag, &want))
		return fail_tag(p, event->start_mark, event->data.scalar.tag, "");
	if (!is_string && (tag || !node->quoted)) {
		if (kg_yaml_resolve(&v, node->text, node->len) == KG_YAML_NOT_FINITE)
			return fail_at(
				p, event->start_mark, "%s: JSON has no such number", node->text);
		if (tag && want == KG_FLOAT && v.type == KG_INT)
			v = kg_v_float((double)v.i);
		if (tag && v.type != want)
			return fail_at(
				p, event->start_mark, "\"%s\" is not a !!%s", node->text, tag);
	}
	node->scalar = v;
	node->type = (enum kg_type)v.type;
	return 0;
}

static int make_scalar(struct parser *p, const yaml_event_t *event, struct kg_yaml_node *node)
{
	const char *text = (const char *)event->data.scalar.value;
	size_t n = event->data.scalar.length;
	struct anchor *anchor = anchor_open(p, event->data.scalar.anchor);
	size_t nodes_before = p->nodes, bytes_before = p->bytes;

	if (memchr(text, '\0', n))
		return fail_at(p, event->start_mark, "NUL within a string");
	if (count_nodes(p, event->start_mark, 1) < 0)
		return -KG_E_INVALID;
	p->bytes += n;
	node->len = (uint32_t)n;
	node->text = kg_arena_strndup(p->arena, text, n);
	node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	p->height = 1;
	if (type_scalar(p, event, node) < 0)
		return -KG_E_INVALID;
	node->len = 0;
	anchor_close(p, anchor, node, nodes_before, bytes_before);
	return 0;
}

/* ---- collections ---- */

static int make_node(
	struct parser *p, const yaml_event_t *event, unsigned depth, struct kg_yaml_node *node);

static int check_tag(
	struct parser *p, const yaml_event_t *event, const yaml_char_t *raw, const char *want)
{
	const char *tag = short_tag(raw);

	if (!tag || !strcmp(tag, "!") || !strcmp(tag, want))
		return 0;
	return fail_tag(p, event->start_mark, raw, " here");
}

/* The children from `base` on, moved from a stack to the arena. */
static void *take(struct parser *p, void *stack, size_t base, size_t *n, size_t size)
{
	size_t count = *n - base;
	void *copy = NULL;

	*n = base;
	if (count) {
		copy = kg_arena_alloc(p->arena, count * size);
		memcpy(copy, (char *)stack + base * size, count * size);
	}
	return copy;
}

static int make_array(
	struct parser *p, const yaml_event_t *start, unsigned depth, struct kg_yaml_node *node)
{
	size_t base = p->nitems;
	unsigned height = 0;

	if (check_tag(p, start, start->data.sequence_start.tag, "seq") < 0)
		return -KG_E_INVALID;
	for (;;) {
		AUTOEVENT event = {0};
		struct kg_yaml_node item;

		if (next(p, &event) < 0)
			return -KG_E_INVALID;
		if (event.type == YAML_SEQUENCE_END_EVENT)
			break;
		if (make_node(p, &event, depth + 1, &item) < 0)
			return -KG_E_INVALID;
		KG_GROW(p->items, p->items_cap, p->nitems + 1);
		p->items[p->nitems++] = item;
		if (p->height > height)
			height = p->height;
	}
	node->type = KG_ARRAY;
	node->len = (uint32_t)(p->nitems - base);
	node->items = take(p, p->items, base, &p->nitems, sizeof(*p->items));
	p->height = height + 1;
	return 0;
}

/* The mappings that `<<` named, in the order in which their keys count. */
struct merges {
	const struct kg_yaml_node *from;
	uint32_t n;
	yaml_mark_t at;
};

static int check_merge(struct parser *p, const struct merges *m)
{
	for (uint32_t i = 0; i < m->n; i++) {
		if (m->from[i].type != KG_OBJECT)
			return fail_at(p, m->at, "<< wants a mapping or a list of mappings");
	}
	return 0;
}

/* Keys seen of one mapping: a list while they are few. */
struct keys {
	const struct parser *p;
	size_t base; /* of the mapping's members on the stack */
	struct kg_map map;
};

static void keys_release(struct keys *k)
{
	kg_map_release(&k->map);
}

/* The number plus one, on the stack, of the member of that key, or 0. */
static size_t keys_find(struct keys *k, const char *key)
{
	enum { FEW = 16 };
	const struct parser *p = k->p;

	if (p->nmembers - k->base <= FEW) {
		for (size_t i = k->base; i < p->nmembers; i++) {
			if (!strcmp(p->members[i].key, key))
				return i + 1;
		}
		return 0;
	}
	for (size_t i = k->base + k->map.count; i < p->nmembers; i++)
		kg_map_put(&k->map, p->members[i].key, (void *)(i + 1));
	return (size_t)kg_map_get(&k->map, key);
}

static void member_push(struct parser *p, const struct kg_yaml_member *m)
{
	KG_GROW(p->members, p->members_cap, p->nmembers + 1);
	p->members[p->nmembers++] = *m;
}

static void merge(struct parser *p, struct keys *keys, const struct merges *m)
{
	for (uint32_t i = 0; i < m->n; i++) {
		const struct kg_yaml_node *from = &m->from[i];

		for (uint32_t k = 0; k < from->len; k++) {
			if (!keys_find(keys, from->members[k].key))
				member_push(p, &from->members[k]);
		}
	}
}

static int make_key(
	struct parser *p, const yaml_event_t *event, unsigned depth, struct kg_yaml_member *member)
{
	struct kg_yaml_node key;

	if (make_node(p, event, depth, &key) < 0)
		return -KG_E_INVALID;
	if (key.type == KG_ARRAY || key.type == KG_OBJECT)
		return fail_at(p, event->start_mark, "a key must be a scalar, not a %s",
			key.type == KG_ARRAY ? "list" : "mapping");
	if (key.type == KG_NULL)
		return fail_at(p, event->start_mark, "a key must not be null");
	*member = (struct kg_yaml_member){.key = key.text, .line = key.line, .col = key.col};
	const char *known = kg_key_find(key.text, strlen(key.text));
	if (known)
		member->key = known;
	return 0;
}

static bool is_merge_key(const yaml_event_t *event)
{
	const char *tag;

	if (event->type != YAML_SCALAR_EVENT ||
		strcmp((const char *)event->data.scalar.value, "<<") != 0)
		return false;
	tag = short_tag(event->data.scalar.tag);
	return tag ? !strcmp(tag, "merge") : event->data.scalar.plain_implicit;
}

static int take_merge(struct parser *p, const yaml_event_t *key, const struct kg_yaml_node *value,
	struct merges *merges)
{
	if (merges->from)
		return fail_at(p, key->start_mark, "duplicate key \"<<\", first at %u:%u",
			LINE(merges->at), COL(merges->at));
	if (value->type == KG_ARRAY) {
		*merges = (struct merges){
			.from = value->items, .n = value->len, .at = key->start_mark};
		return check_merge(p, merges);
	}
	*merges = (struct merges){
		.from = kg_arena_alloc(p->arena, sizeof(*value)), .n = 1, .at = key->start_mark};
	memcpy((void *)merges->from, value, sizeof(*value));
	return check_merge(p, merges);
}

/* One key and its value. */
static int make_member(struct parser *p, const yaml_event_t *key, unsigned depth, struct keys *keys,
	struct merges *merges)
{
	struct kg_yaml_member member = {0};
	AUTOEVENT event = {0};

	if (!is_merge_key(key)) {
		if (make_key(p, key, depth, &member) < 0)
			return -KG_E_INVALID;
		size_t first = keys_find(keys, member.key);
		if (first)
			return fail_at(p, key->start_mark, "duplicate key \"%s\", first at %u:%u",
				member.key, p->members[first - 1].line, p->members[first - 1].col);
	}
	if (next(p, &event) < 0 || make_node(p, &event, depth, &member.value) < 0)
		return -KG_E_INVALID;
	if (!member.key)
		return take_merge(p, key, &member.value, merges);
	member_push(p, &member);
	return 0;
}

static int make_object(
	struct parser *p, const yaml_event_t *start, unsigned depth, struct kg_yaml_node *node)
{
	KG_CLEANUP(keys_release) struct keys keys = {.p = p, .base = p->nmembers};
	struct merges merges = {0};
	unsigned height = 0;

	if (check_tag(p, start, start->data.mapping_start.tag, "map") < 0)
		return -KG_E_INVALID;
	for (;;) {
		AUTOEVENT event = {0};

		if (next(p, &event) < 0)
			return -KG_E_INVALID;
		if (event.type == YAML_MAPPING_END_EVENT)
			break;
		if (make_member(p, &event, depth + 1, &keys, &merges) < 0)
			return -KG_E_INVALID;
		if (p->height > height)
			height = p->height;
	}
	merge(p, &keys, &merges);
	node->type = KG_OBJECT;
	node->len = (uint32_t)(p->nmembers - keys.base);
	node->members = take(p, p->members, keys.base, &p->nmembers, sizeof(*p->members));
	p->height = height + 1;
	return 0;
}

static int make_collection(
	struct parser *p, const yaml_event_t *event, unsigned depth, struct kg_yaml_node *node)
{
	bool object = event->type == YAML_MAPPING_START_EVENT;
	size_t nodes_before = p->nodes, bytes_before = p->bytes;
	struct anchor *anchor = anchor_open(
		p, object ? event->data.mapping_start.anchor : event->data.sequence_start.anchor);

	if (count_nodes(p, event->start_mark, 1) < 0)
		return -KG_E_INVALID;
	int rc = object ? make_object(p, event, depth, node) : make_array(p, event, depth, node);
	if (!rc)
		anchor_close(p, anchor, node, nodes_before, bytes_before);
	return rc;
}

/* The node that begins with this event. The root's depth is 1. */
static int make_node(
	struct parser *p, const yaml_event_t *event, unsigned depth, struct kg_yaml_node *node)
{
	*node = (struct kg_yaml_node){
		.line = LINE(event->start_mark), .col = COL(event->start_mark)};
	if (depth > p->limits->depth)
		return fail_at(p, event->start_mark, "nested deeper than %u", p->limits->depth);
	switch (event->type) {
	case YAML_ALIAS_EVENT:
		return use_alias(p, event, depth, node);
	case YAML_SCALAR_EVENT:
		return make_scalar(p, event, node);
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		return make_collection(p, event, depth, node);
	default:
		return fail_at(p, event->start_mark, "a value was expected");
	}
}

/* ---- files ---- */

static bool is_empty(const struct kg_yaml_node *root, bool keep_nulls)
{
	return root->type == KG_NULL && !(keep_nulls && root->text[0]);
}

/* The root of each document, on the stack of items. */
static int parse_stream(struct parser *p, bool keep_nulls)
{
	for (;;) {
		AUTOEVENT event = {0};
		struct kg_yaml_node root;

		if (next(p, &event) < 0)
			return -KG_E_INVALID;
		if (event.type == YAML_STREAM_END_EVENT)
			return 0;
		if (event.type == YAML_DOCUMENT_START_EVENT)
			kg_map_clear(&p->anchors);
		if (event.type == YAML_STREAM_START_EVENT ||
			event.type == YAML_DOCUMENT_START_EVENT ||
			event.type == YAML_DOCUMENT_END_EVENT)
			continue;
		if (make_node(p, &event, 1, &root) < 0)
			return -KG_E_INVALID;
		if (is_empty(&root, keep_nulls))
			continue;
		KG_GROW(p->items, p->items_cap, p->nitems + 1);
		p->items[p->nitems++] = root;
	}
}

static int parse_checked(struct parser *p, const char *text, size_t len, bool keep_nulls)
{
	if (len > p->limits->bytes)
		return fail_at(p, (yaml_mark_t){0}, "the file has %zu bytes, more than %zu", len,
			p->limits->bytes);
	if (check_text(p, text, len) < 0)
		return -KG_E_INVALID;
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
	struct parser p = {.arena = a, .limits = limits, .err = err};
	int rc = parse_checked(&p, text, len, keep_nulls);

	if (!rc) {
		*ndocs = p.nitems;
		*docs = take(&p, p.items, 0, &p.nitems, sizeof(*p.items));
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

int kg_yaml_load(struct kg_value *out, struct kg_arena *a, const char *text, size_t len,
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
