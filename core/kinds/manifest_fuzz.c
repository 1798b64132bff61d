/* Manifests are untrusted: reading them must end, within bounds, with positions that lie in the
 * text; and what was accepted must be accepted again, unchanged, when it is written out. */
#include "kinds/kind.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct reading {
	struct kg_arena arena;
	struct kg_fault_list faults;
	struct kg_manifest *items;
	size_t len;
};

static void reading_init(struct reading *r, const char *text, size_t len)
{
	*r = (struct reading){0};
	kg_faults_init(&r->faults, &r->arena);
	kg_manifest_read(&r->items, &r->len, &r->arena, "fuzz.yaml", text, len, NULL, &r->faults);
}

static void reading_release(struct reading *r)
{
	kg_faults_release(&r->faults);
	kg_arena_release(&r->arena);
}

static void check_faults(const struct kg_fault_list *faults)
{
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;

	for (size_t i = 0; i < faults->len; i++) {
		kg_buf_clear(&text);
		kg_fault_format(&text, &faults->items[i]);
		if (!text.len || strncmp(text.data, "fuzz.yaml:", 10) != 0)
			abort();
	}
}

static void check_again(const struct kg_manifest *m)
{
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;
	struct reading again;

	kg_yaml_write(&text, &m->value);
	reading_init(&again, text.data, text.len);
	if (again.len != 1 || again.items[0].kind != m->kind ||
		!kg_equal(&again.items[0].value, &m->value))
		abort();
	reading_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reading r;

	reading_init(&r, (const char *)data, size);
	check_faults(&r.faults);
	for (size_t i = 0; i < r.len; i++) {
		check_again(&r.items[i]);
		kg_schema_check_update(r.items[i].kind->schema, &r.items[0].value,
			&r.items[i].value, "", &r.faults);
	}
	reading_release(&r);
	return 0;
}
