/* The quick reader of what kg_yaml_write writes. */
#ifndef KG_VALUE_YAML_OWN_H
#define KG_VALUE_YAML_OWN_H

#include "value/value.h"

/* The value of a text that is what kg_yaml_write writes: what libyaml would give, nulls kept.
 * False for every other, of which nothing is said. */
bool kg_yaml_read_own(struct kg_value *out, struct kg_arena *a, const char *text, size_t len);
/* As kg_yaml_load, by libyaml alone: the tests compare. */
int kg_yaml_load_any(struct kg_value *out, struct kg_arena *a, const char *text, size_t len,
	struct kg_error *err);

#endif
