/* What this room's tests share: one manifest text in, its faults or values as text out. */
#ifndef KG_KINDS_TEST_UTIL_H
#define KG_KINDS_TEST_UTIL_H

#include "kinds/kind.h"
#include "value/json.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Documents. */
#define META(kind) "apiVersion: v1\nkind: " kind "\nmetadata: {name: x}\n"
#define POD(spec)  META("Pod") "spec:\n" spec
#define C(fields)  "  containers:\n  - {name: a, image: i" fields "}\n"
#define DEPLOY(spec)                                                                               \
	"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\nspec:\n"                      \
	"  selector: {matchLabels: {a: b}}\n"                                                      \
	"  template: {metadata: {labels: {a: b}}, spec: {containers: [{name: a, image: "           \
	"i}]}}\n" spec

struct kg_test_read {
	struct kg_arena arena;
	struct kg_fault_list faults;
	struct kg_manifest *items;
	size_t len;
	struct kg_buf text; /* faults, one a line */
};

static inline void kg_test_read(struct kg_test_read *t, const char *yaml)
{
	*t = (struct kg_test_read){0};
	kg_faults_init(&t->faults, &t->arena);
	kg_manifest_read(
		&t->items, &t->len, &t->arena, "m.yaml", yaml, strlen(yaml), NULL, &t->faults);
	for (size_t i = 0; i < t->faults.len; i++) {
		kg_fault_format(&t->text, &t->faults.items[i]);
		kg_buf_addc(&t->text, '\n');
	}
}

static inline void kg_test_read_release(struct kg_test_read *t)
{
	kg_buf_release(&t->text);
	kg_faults_release(&t->faults);
	kg_arena_release(&t->arena);
}

/* The JSON of what lies at a path of the first manifest ("" for all of it). */
static inline void kg_test_at(struct kg_buf *out, const struct kg_test_read *t, const char *path)
{
	kg_buf_clear(out);
	if (t->len)
		kg_json_write(out, *path ? kg_at(&t->items[0].value, path) : &t->items[0].value);
}

#endif
