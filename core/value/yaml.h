/*
 * YAML in, with positions, and canonical YAML out. Reading is libyaml's event parser; scalars are
 * typed as sigs.k8s.io/yaml does (YAML 1.1: `on` is a bool, `0644` an octal int; quoted scalars
 * are strings). JSON is read by the same parser. Input is untrusted: depth, nodes, aliases and
 * bytes are bounded, duplicate keys, NUL, and bytes that are not UTF-8 refused.
 */
#ifndef KG_VALUE_YAML_H
#define KG_VALUE_YAML_H

#include "value/value.h"

struct kg_yaml_limits {
	size_t bytes;   /* default 4 MiB a file */
	size_t nodes;   /* default 200,000 a file, aliases counted each time they are used */
	unsigned depth; /* default 60 */
};

/* A node of the parsed document with where it began (lines and columns count from 1). */
struct kg_yaml_node {
	enum kg_type type;
	uint32_t line, col;
	uint32_t len;
	struct kg_value scalar; /* for scalars: typed by YAML 1.1; kg_null for null */
	const char *text; /* for scalars: as written (a string field given `1.10` can say so) */
	bool quoted;      /* for scalars */
	struct kg_yaml_node *items;     /* array: len */
	struct kg_yaml_member *members; /* object: len, in the order written */
};
struct kg_yaml_member {
	const char *key;
	uint32_t line, col; /* of the key */
	struct kg_yaml_node value;
};

/* Parses every document of a file; empty ones are left out. *docs is an arena array. On failure
 * err->msg begins with "LINE:COL: " and says what was found and expected. limits NULL: defaults. */
int kg_yaml_parse(struct kg_yaml_node **docs, size_t *ndocs, struct kg_arena *a, const char *text,
	size_t len, const struct kg_yaml_limits *limits, struct kg_error *err);
/* The node as a plain value: members sorted, nulls dropped. */
struct kg_value kg_yaml_value(struct kg_arena *a, const struct kg_yaml_node *node);
/* The one document of a file that kgit itself wrote. */
int kg_yaml_load(struct kg_value *out, struct kg_arena *a, const char *text, size_t len,
	struct kg_error *err);
/* Canonical block YAML: sorted keys, two spaces, strings quoted only where a YAML 1.1 or 1.2
 * reader would not give them back as they are, multi-line text as `|`. Ends with a newline.
 * kg_yaml_load of it gives an equal value. Explicit nulls (patches) are written as `null` and,
 * by kg_yaml_load alone, kept. */
void kg_yaml_write(struct kg_buf *out, const struct kg_value *v);

#endif
