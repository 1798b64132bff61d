/* Nodes: scalars, arrays, aliases. */
#include "value/yaml_parser.h"
#include "value/yaml_scalar.h"

/* What an anchor names, with what using it costs. A node still open is not complete. */
struct kg_yaml_anchor {
	bool complete;
	struct kg_yaml_node node;
	size_t nodes, bytes;
	unsigned height;
};

static int count_nodes(struct kg_yaml_parser *p, yaml_mark_t at, size_t nodes)
{
	p->nodes += nodes;
	if (p->nodes > p->limits->nodes)
		return kg_yaml_fail_at(p, at, "more than %zu values", p->limits->nodes);
	return 0;
}

/* ---- anchors ---- */

static struct kg_yaml_anchor *anchor_open(struct kg_yaml_parser *p, const yaml_char_t *name)
{
	if (!name)
		return NULL;
	struct kg_yaml_anchor *anchor = kg_arena_alloc(p->arena, sizeof(*anchor));
	kg_map_put(&p->anchors, (const char *)name, anchor);
	return anchor;
}

static void anchor_close(struct kg_yaml_parser *p, struct kg_yaml_anchor *anchor,
	const struct kg_yaml_node *node, size_t nodes_before, size_t bytes_before)
{
	if (!anchor)
		return;
	anchor->node = *node;
	anchor->nodes = p->nodes - nodes_before;
	anchor->bytes = p->bytes - bytes_before;
	anchor->height = p->height;
	anchor->complete = true;
}

static int use_alias(struct kg_yaml_parser *p, const yaml_event_t *event, unsigned depth,
	struct kg_yaml_node *node)
{
	const char *name = (const char *)event->data.alias.anchor;
	const struct kg_yaml_anchor *anchor = kg_map_get(&p->anchors, name);

	if (!anchor)
		return kg_yaml_fail_at(
			p, event->start_mark, "alias *%s: no such anchor before it", name);
	if (!anchor->complete)
		return kg_yaml_fail_at(
			p, event->start_mark, "alias *%s within its own anchor", name);
	if (depth + anchor->height - 1 > p->limits->depth)
		return kg_yaml_fail_at(
			p, event->start_mark, "nested deeper than %u", p->limits->depth);
	if (count_nodes(p, event->start_mark, anchor->nodes) < 0)
		return -KG_E_INVALID;
	p->bytes += anchor->bytes;
	p->alias_bytes += anchor->bytes;
	if (p->alias_bytes > p->limits->bytes)
		return kg_yaml_fail_at(p, event->start_mark,
			"aliases expand to more than %zu bytes", p->limits->bytes);
	*node = anchor->node;
	node->line = KG_YAML_LINE(event->start_mark);
	node->col = KG_YAML_COL(event->start_mark);
	p->height = anchor->height;
	return 0;
}

/* ---- tags ---- */

const char *kg_yaml_short_tag(const yaml_char_t *tag)
{
	static const char prefix[] = "tag:yaml.org,2002:";
	const char *s = (const char *)tag;

	return s && !strncmp(s, prefix, sizeof(prefix) - 1) ? s + sizeof(prefix) - 1 : s;
}

static int fail_tag(
	struct kg_yaml_parser *p, yaml_mark_t at, const yaml_char_t *raw, const char *where)
{
	const char *tag = kg_yaml_short_tag(raw);

	return kg_yaml_fail_at(p, at, "tag %s%s is not supported%s",
		tag == (const char *)raw ? "" : "!!", tag, where);
}

int kg_yaml_check_tag(struct kg_yaml_parser *p, const yaml_event_t *event, const yaml_char_t *raw,
	const char *want)
{
	const char *tag = kg_yaml_short_tag(raw);

	if (!tag || !strcmp(tag, "!") || !strcmp(tag, want))
		return 0;
	return fail_tag(p, event->start_mark, raw, " here");
}

/* ---- scalars ---- */

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

static int type_scalar(
	struct kg_yaml_parser *p, const yaml_event_t *event, struct kg_yaml_node *node)
{
	const char *tag = kg_yaml_short_tag(event->data.scalar.tag);
	struct kg_value v = {.type = KG_STRING, .len = node->len, .s = node->text};
	enum kg_type want = KG_STRING;
	bool is_string =
		tag && (!strcmp(tag, "!") || !strcmp(tag, "str") || !strcmp(tag, "timestamp"));

	if (tag && !is_string && !tag_wants(tag, &want))
		return fail_tag(p, event->start_mark, event->data.scalar.tag, "");
	if (!is_string && (tag || !node->quoted)) {
		if (kg_yaml_resolve(&v, node->text, node->len) == KG_YAML_NOT_FINITE)
			return kg_yaml_fail_at(
				p, event->start_mark, "%s: JSON has no such number", node->text);
		if (tag && want == KG_FLOAT && v.type == KG_INT)
			v = kg_v_float((double)v.i);
		if (tag && v.type != want)
			return kg_yaml_fail_at(
				p, event->start_mark, "\"%s\" is not a !!%s", node->text, tag);
	}
	node->scalar = v;
	node->type = (enum kg_type)v.type;
	return 0;
}

static int make_scalar(
	struct kg_yaml_parser *p, const yaml_event_t *event, struct kg_yaml_node *node)
{
	const char *text = (const char *)event->data.scalar.value;
	size_t n = event->data.scalar.length;
	struct kg_yaml_anchor *anchor = anchor_open(p, event->data.scalar.anchor);
	size_t nodes_before = p->nodes, bytes_before = p->bytes;

	if (memchr(text, '\0', n))
		return kg_yaml_fail_at(p, event->start_mark, "NUL within a string");
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

void *kg_yaml_take(struct kg_yaml_parser *p, void *stack, size_t base, size_t *n, size_t size)
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

static int make_array(struct kg_yaml_parser *p, const yaml_event_t *start, unsigned depth,
	struct kg_yaml_node *node)
{
	size_t base = p->nitems;
	unsigned height = 0;

	if (kg_yaml_check_tag(p, start, start->data.sequence_start.tag, "seq") < 0)
		return -KG_E_INVALID;
	for (;;) {
		KG_YAML_AUTOEVENT event = {0};
		struct kg_yaml_node item;

		if (kg_yaml_next(p, &event) < 0)
			return -KG_E_INVALID;
		if (event.type == YAML_SEQUENCE_END_EVENT)
			break;
		if (kg_yaml_make_node(p, &event, depth + 1, &item) < 0)
			return -KG_E_INVALID;
		KG_GROW(p->items, p->items_cap, p->nitems + 1);
		p->items[p->nitems++] = item;
		if (p->height > height)
			height = p->height;
	}
	node->type = KG_ARRAY;
	node->len = (uint32_t)(p->nitems - base);
	node->items = kg_yaml_take(p, p->items, base, &p->nitems, sizeof(*p->items));
	p->height = height + 1;
	return 0;
}

static int make_collection(struct kg_yaml_parser *p, const yaml_event_t *event, unsigned depth,
	struct kg_yaml_node *node)
{
	bool object = event->type == YAML_MAPPING_START_EVENT;
	size_t nodes_before = p->nodes, bytes_before = p->bytes;
	struct kg_yaml_anchor *anchor = anchor_open(
		p, object ? event->data.mapping_start.anchor : event->data.sequence_start.anchor);

	if (count_nodes(p, event->start_mark, 1) < 0)
		return -KG_E_INVALID;
	int rc = object ? kg_yaml_make_object(p, event, depth, node)
			: make_array(p, event, depth, node);
	if (!rc)
		anchor_close(p, anchor, node, nodes_before, bytes_before);
	return rc;
}

/* The node that begins with this event. The root's depth is 1. */
int kg_yaml_make_node(struct kg_yaml_parser *p, const yaml_event_t *event, unsigned depth,
	struct kg_yaml_node *node)
{
	*node = (struct kg_yaml_node){
		.line = KG_YAML_LINE(event->start_mark), .col = KG_YAML_COL(event->start_mark)};
	if (depth > p->limits->depth)
		return kg_yaml_fail_at(
			p, event->start_mark, "nested deeper than %u", p->limits->depth);
	switch (event->type) {
	case YAML_ALIAS_EVENT:
		return use_alias(p, event, depth, node);
	case YAML_SCALAR_EVENT:
		return make_scalar(p, event, node);
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		return make_collection(p, event, depth, node);
	default:
		return kg_yaml_fail_at(p, event->start_mark, "a value was expected");
	}
}
