/* Label and field selectors, as requests give them: parsed, and held against objects. */
#ifndef KG_API_SELECTOR_H
#define KG_API_SELECTOR_H

#include "kinds/object.h"

enum sel_op { SEL_EQ, SEL_NE, SEL_IN, SEL_NOT_IN, SEL_EXISTS, SEL_ABSENT, SEL_GT, SEL_LT };
struct requirement {
	const char *key;
	enum sel_op op;
	const char **values;
	size_t nvalues;
	int64_t number; /* SEL_GT, SEL_LT */
};
struct selector {
	struct requirement *labels, *fields;
	size_t nlabels, nfields;
};
int kg_api_label_selector_parse(
	struct selector *sel, struct kg_arena *a, const char *text, struct kg_error *err);
int kg_api_field_selector_parse(struct selector *sel, struct kg_arena *a,
	const struct kg_kind *kind, const char *text, struct kg_error *err);
bool kg_api_selector_matches(const struct selector *sel, const struct kg_object *obj);
/* The value that a field must have (=), or NULL where the selector leaves it open. */
const char *kg_api_selector_field(const struct selector *sel, const char *path);

#endif
