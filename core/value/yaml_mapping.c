/* Mappings: keys that must differ, and merge keys. */
#include "value/internal.h"
#include "value/yaml_parser.h"

/* The mappings that `<<` named, in the order in which their keys count. */
struct merges {
	const struct kg_yaml_node *from;
	uint32_t n;
	yaml_mark_t at;
};

static int check_merge(struct kg_yaml_parser *p, const struct merges *m)
{
	for (uint32_t i = 0; i < m->n; i++) {
		if (m->from[i].type != KG_OBJECT)
			return kg_yaml_fail_at(
				p, m->at, "<< wants a mapping or a list of mappings");
	}
	return 0;
}

/* Keys seen of one mapping: a list while they are few. */
struct keys {
	const struct kg_yaml_parser *p;
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
	const struct kg_yaml_parser *p = k->p;

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

static void member_push(struct kg_yaml_parser *p, const struct kg_yaml_member *m)
{
	KG_GROW(p->members, p->members_cap, p->nmembers + 1);
	p->members[p->nmembers++] = *m;
}

static void merge(struct kg_yaml_parser *p, struct keys *keys, const struct merges *m)
{
	for (uint32_t i = 0; i < m->n; i++) {
		const struct kg_yaml_node *from = &m->from[i];

		for (uint32_t k = 0; k < from->len; k++) {
			if (!keys_find(keys, from->members[k].key))
				member_push(p, &from->members[k]);
		}
	}
}

static int make_key(struct kg_yaml_parser *p, const yaml_event_t *event, unsigned depth,
	struct kg_yaml_member *member)
{
	struct kg_yaml_node key;

	if (kg_yaml_make_node(p, event, depth, &key) < 0)
		return -KG_E_INVALID;
	if (key.type == KG_ARRAY || key.type == KG_OBJECT)
		return kg_yaml_fail_syntax(p, event->start_mark,
			key.type == KG_ARRAY ? "a key must be a scalar, not a list"
					     : "a key must be a scalar, not a mapping");
	if (key.type == KG_NULL)
		return kg_yaml_fail_at(p, event->start_mark, "a key must not be null");
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
	tag = kg_yaml_short_tag(event->data.scalar.tag);
	return tag ? !strcmp(tag, "merge") : event->data.scalar.plain_implicit;
}

static int take_merge(struct kg_yaml_parser *p, const yaml_event_t *key,
	const struct kg_yaml_node *value, struct merges *merges)
{
	if (merges->from)
		return kg_yaml_fail_at(p, key->start_mark, "duplicate key \"<<\", first at %u:%u",
			KG_YAML_LINE(merges->at), KG_YAML_COL(merges->at));
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
static int make_member(struct kg_yaml_parser *p, const yaml_event_t *key, unsigned depth,
	struct keys *keys, struct merges *merges)
{
	struct kg_yaml_member member = {0};
	KG_YAML_AUTOEVENT event = {0};

	if (!is_merge_key(key)) {
		if (make_key(p, key, depth, &member) < 0)
			return -KG_E_INVALID;
		size_t first = keys_find(keys, member.key);
		if (first)
			return kg_yaml_fail_at(p, key->start_mark,
				"duplicate key \"%s\", first at %u:%u", member.key,
				p->members[first - 1].line, p->members[first - 1].col);
	}
	if (kg_yaml_next(p, &event) < 0 || kg_yaml_make_node(p, &event, depth, &member.value) < 0)
		return -KG_E_INVALID;
	if (!member.key)
		return take_merge(p, key, &member.value, merges);
	member_push(p, &member);
	return 0;
}

int kg_yaml_make_object(struct kg_yaml_parser *p, const yaml_event_t *start, unsigned depth,
	struct kg_yaml_node *node)
{
	KG_CLEANUP(keys_release) struct keys keys = {.p = p, .base = p->nmembers};
	struct merges merges = {0};
	unsigned height = 0;

	if (kg_yaml_check_tag(p, start, start->data.mapping_start.tag, "map") < 0)
		return -KG_E_INVALID;
	for (;;) {
		KG_YAML_AUTOEVENT event = {0};

		if (kg_yaml_next(p, &event) < 0)
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
	node->members = kg_yaml_take(p, p->members, keys.base, &p->nmembers, sizeof(*p->members));
	p->height = height + 1;
	return 0;
}
