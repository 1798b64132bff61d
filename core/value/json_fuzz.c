/* Any bytes: what is read can be written, and what was written is read as the same; so can a doc
 * of it and a patch between it and its first member. */
#include "value/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct kg_arena *a, const struct kg_value *v)
{
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	struct kg_value back;

	kg_json_write(&b, v);
	if (kg_json_parse(&back, a, b.data, b.len, NULL) < 0 || !kg_equal(v, &back))
		abort();
}

static void check_patch(struct kg_arena *a, const struct kg_value *x, const struct kg_value *y)
{
	struct kg_value patch = kg_patch_make(a, x, y);
	struct kg_value got = kg_patch_apply(a, x, &patch);

	if (!kg_equal(&got, y))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	KG_CLEANUP(kg_arena_release) struct kg_arena a = KG_ARENA_INIT;
	struct kg_value v;

	if (kg_json_parse(&v, &a, (const char *)data, size, NULL) < 0)
		return 0;
	check(&a, &v);
	struct kg_doc *doc = kg_doc_new(&v, NULL, 0);
	struct kg_doc *again = kg_doc_new(kg_doc_value(doc), &doc, 1);
	kg_doc_unref(doc);
	check(&a, kg_doc_value(again));
	kg_doc_unref(again);
	if (v.type == KG_OBJECT && v.len && v.members[0].value.type == KG_OBJECT) {
		check_patch(&a, &v, &v.members[0].value);
		check_patch(&a, &v.members[0].value, &v);
	}
	return 0;
}
