/* Changing one value of a manifest's text and nothing else of it: comments, order, quotes and blank
 * lines stay. */
#ifndef KGIT_YAML_EDIT_H
#define KGIT_YAML_EDIT_H

#include "value/yaml.h"

struct kgit_step {
	const char *key; /* of an object; NULL: an array's item */
	uint32_t index;
};

/*
 * The text with the value at path, below `object` (a node of this text's parse), set to a string,
 * number or bool; members on the way that are absent are made. KG_E_UNSUPPORTED where that cannot
 * be done in place (an alias, a block scalar): the message says where, so that it can be done by
 * hand. The result was parsed again: it differs from the text in that value alone.
 */
int kgit_yaml_set(struct kg_buf *out, const char *text, size_t len,
	const struct kg_yaml_node *object, const struct kgit_step *path, size_t n,
	const struct kg_value *value, struct kg_error *err);

#endif
