/*
 * What the files of the YAML reader share. libyaml gives events; here they become nodes in the
 * arena, bounded as they come: libyaml's own work is quadratic in the nesting, so that too deep a
 * document must end at once rather than after it was read.
 *
 * The children of collections that are still open wait on two stacks and are moved to the arena
 * when their collection ends. An alias shares its anchor's children.
 */
#ifndef KG_VALUE_YAML_PARSER_H
#define KG_VALUE_YAML_PARSER_H

#include "base/map.h"
#include "value/yaml.h"

#include <yaml.h>

struct kg_yaml_parser {
	yaml_parser_t yaml;
	struct kg_arena *arena;
	const struct kg_yaml_limits *limits;
	struct kg_error *err;
	struct kg_map anchors; /* of the current document */
	size_t nodes;          /* made so far, aliases counted each time */
	size_t bytes;          /* of scalars, likewise */
	size_t alias_bytes;    /* of those, what aliases added */
	unsigned height;       /* of the node made last: 1 for a scalar */
	struct kg_yaml_node *items;
	size_t nitems, items_cap;
	struct kg_yaml_member *members;
	size_t nmembers, members_cap;
};

/* An event that is released where it goes out of scope. */
static inline void kg_yaml_event_release(yaml_event_t *event)
{
	yaml_event_delete(event);
}
#define KG_YAML_AUTOEVENT KG_CLEANUP(kg_yaml_event_release) yaml_event_t

#define KG_YAML_LINE(mark) ((uint32_t)(mark).line + 1)
#define KG_YAML_COL(mark)  ((uint32_t)(mark).column + 1)

/* yaml_parse.c: KG_E_INVALID with the position in front; the next event. */
int kg_yaml_fail_at(struct kg_yaml_parser *p, yaml_mark_t at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int kg_yaml_next(struct kg_yaml_parser *p, yaml_event_t *event);

/* yaml_text.c: line and column of a byte. */
yaml_mark_t kg_yaml_mark_of(const char *text, size_t offset);
/* Fails where it is not UTF-8, holds a NUL, or so many directives that libyaml would take long. */
int kg_yaml_check_text(struct kg_yaml_parser *p, const char *text, size_t len);
/* A byte order mark in front, which other tools write: no character of the text. */
#define KG_YAML_BOM 3 /* bytes */
bool kg_yaml_has_bom(const char *text, size_t len);
/* As kg_yaml_fail_at for what is no YAML, with what is likely to be behind it: a merge conflict
 * (which is then the fault, where it begins), a tab, a template, a colon without quotes. */
int kg_yaml_fail_syntax(struct kg_yaml_parser *p, yaml_mark_t at, const char *what);
/* JSON writes a character beyond U+FFFF as two escapes, which libyaml refuses. Where text is JSON
 * that has such, out becomes the text with YAML's one escape instead (two columns shorter). */
bool kg_yaml_join_surrogates(struct kg_buf *out, const char *text, size_t len);

/* yaml_node.c: the node that begins with this event, at a depth of 1 for the root. */
int kg_yaml_make_node(struct kg_yaml_parser *p, const yaml_event_t *event, unsigned depth,
	struct kg_yaml_node *node);
/* "str" of "tag:yaml.org,2002:str"; the tag itself where it is not one of YAML's; NULL for none. */
const char *kg_yaml_short_tag(const yaml_char_t *tag);
/* Fails where a collection has a tag other than this. */
int kg_yaml_check_tag(struct kg_yaml_parser *p, const yaml_event_t *event, const yaml_char_t *raw,
	const char *want);
/* The children from `base` on, moved from a stack to the arena. */
void *kg_yaml_take(struct kg_yaml_parser *p, void *stack, size_t base, size_t *n, size_t size);

/* yaml_mapping.c: keys that must differ, and merge keys. */
int kg_yaml_make_object(struct kg_yaml_parser *p, const yaml_event_t *start, unsigned depth,
	struct kg_yaml_node *node);

#endif
