/* The schema tables themselves. */
#include "kinds/rules.h"
#include "kinds/test_util.h"
#include "value/testing.h"

static void check_default(const char *where, const struct kg_field *f)
{
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_error err;
	struct kg_value v;

	if (kg_json_parse(&v, &a, f->dflt, strlen(f->dflt), &err))
		fail_msg("%s.%s: default %s: %s", where, f->name, f->dflt, err.msg);
	if (f->values && v.type == KG_STRING && !kg_rule_one_of(v.s, f->values))
		fail_msg("%s.%s: default %s is not one of the values", where, f->name, f->dflt);
	if (f->flags & (KG_FF_REQUIRED | KG_FF_STATUS | KG_FF_UNSUPPORTED))
		fail_msg("%s.%s: a default that is never applied", where, f->name);
	kg_arena_release(&a);
}

static void check_schema(const struct kg_schema *s, int depth)
{
	assert_true(depth < 20 && s->name && s->doc && *s->doc);
	for (const struct kg_field *f = s->fields; f->name; f++) {
		if (!f->doc || !*f->doc || f->doc[strlen(f->doc) - 1] != '.')
			fail_msg("%s.%s: needs a sentence of documentation", s->name, f->name);
		if ((f->type == KG_F_OBJECT) != (f->schema != NULL))
			fail_msg("%s.%s: object and schema go together", s->name, f->name);
		if (f->merge_key && !(f->flags & KG_FF_LIST))
			fail_msg("%s.%s: a merge key without a list", s->name, f->name);
		if (f->check_key && !(f->flags & KG_FF_MAP))
			fail_msg("%s.%s: checks keys of what is no map", s->name, f->name);
		for (const struct kg_field *g = s->fields; g < f; g++) {
			if (!strcmp(f->name, g->name))
				fail_msg("%s.%s: twice", s->name, f->name);
		}
		if (f->dflt)
			check_default(s->name, f);
		if (f->schema)
			check_schema(f->schema, depth + 1);
	}
}

static void test_tables(void **state)
{
	(void)state;
	for (size_t i = 0; i < KG_KIND_COUNT; i++)
		check_schema(kg_kinds[i].schema, 0);
}

/* What a program reports: lists, maps and objects are where the schema has them. */
static void test_shapes(void **state)
{
	static const struct {
		const char *json, *bad; /* NULL: none */
	} cases[] = {
		{"{}", NULL},
		{"[]", "io.k8s.api.core.v1.Pod"},
		{"{\"status\":{\"phase\":\"x\",\"newer\":[{}],\"conditions\":[{\"type\":\"Ready\"}]"
		 ","
		 "\"allocatedResources\":{\"cpu\":1},\"resourceClaimStatuses\":[[1],{\"a\":1}]}}",
			NULL},
		{"{\"status\":[]}", "status"},
		{"{\"status\":{\"phase\":[]}}", "phase"},
		{"{\"status\":{\"phase\":7}}", "phase"},
		{"{\"status\":{\"observedGeneration\":\"7\"}}", "observedGeneration"},
		{"{\"status\":{\"containerStatuses\":[{\"ready\":1}]}}", "ready"},
		{"{\"status\":{\"conditions\":{\"a\":4294967302,\"b\":1}}}", "conditions"},
		{"{\"status\":{\"conditions\":\"a\"}}", "conditions"},
		{"{\"status\":{\"conditions\":[1]}}", "conditions"},
		{"{\"status\":{\"conditions\":[{\"type\":{}}]}}", "type"},
		{"{\"status\":{\"allocatedResources\":[1]}}", "allocatedResources"},
		{"{\"status\":{\"allocatedResources\":{\"cpu\":{}}}}", "allocatedResources"},
		{"{\"status\":{\"resourceClaimStatuses\":{\"a\":1}}}", "resourceClaimStatuses"},
		{"{\"metadata\":{\"labels\":[1]}}", "labels"},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
		struct kg_value v = kg_test_json(&a, cases[i].json);
		const char *bad = kg_schema_shape(kg_kinds[KG_KIND_POD].schema, &v, &kg_null);
		if (!bad != !cases[i].bad || (bad && strcmp(bad, cases[i].bad) != 0))
			fail_msg("%s: got \"%s\"", cases[i].json, bad ? bad : "nothing");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_tables),
	};

	kg_kinds_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
