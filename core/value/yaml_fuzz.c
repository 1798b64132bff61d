/* Any bytes: what is read can be written, and what was written is read as the same. */
#include "value/yaml.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct kg_arena *a, const struct kg_value *v)
{
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	struct kg_value back;

	kg_yaml_write(&b, v);
	if (kg_yaml_load(&back, a, b.data, b.len, NULL) < 0 || !kg_equal(v, &back))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	KG_CLEANUP(kg_arena_release) struct kg_arena a = KG_ARENA_INIT;
	struct kg_yaml_node *docs;
	struct kg_error err;
	size_t n;

	if (kg_yaml_parse(&docs, &n, &a, (const char *)data, size, NULL, &err) < 0) {
		unsigned line, col;

		if (sscanf(err.msg, "%u:%u: ", &line, &col) != 2 || !line || !col)
			abort();
		return 0;
	}
	for (size_t i = 0; i < n; i++) {
		struct kg_value v = kg_yaml_value(&a, &docs[i]);

		check(&a, &v);
	}
	return 0;
}
