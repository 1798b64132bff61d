#include "api/proto.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* What kubectl sends for `auth can-i list pods`: Unknown{typeMeta, raw, "", ""}. */
static const char review[] = "k8s\0"
			     "\x0a\x04\x0a\x02v1"             /* typeMeta */
			     "\x12\x1e"                       /* raw: 30 bytes */
			     "\x0a\x02\x0a\x00"               /* metadata */
			     "\x12\x16"                       /* spec: 22 bytes */
			     "\x0a\x14"                       /* resourceAttributes: 20 bytes */
			     "\x0a\x02ns\x12\x04list\x1a\x00" /* namespace, verb, group */
			     "\x2a\x04pods\x3a\x00"           /* resource, name */
			     "\x1a\x00\x1a\x00"               /* metadata's rest, status */
			     "\x1a\x00\x22\x00";              /* contentEncoding, contentType */

static void test_access_review(void **state)
{
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_value spec;
	struct kg_error err;
	(void)state;

	assert_true(kg_proto_is(review, sizeof(review) - 1));
	assert_int_equal(kg_proto_review_spec(&spec, &a, "selfsubjectaccessreviews", review,
				 sizeof(review) - 1, &err),
		0);
	assert_string_equal(kg_string(kg_at(&spec, "resourceAttributes.verb"), ""), "list");
	assert_string_equal(kg_string(kg_at(&spec, "resourceAttributes.resource"), ""), "pods");
	assert_string_equal(kg_string(kg_at(&spec, "resourceAttributes.namespace"), ""), "ns");
	kg_arena_release(&a);
}

static void test_object_name(void **state)
{
	static const char body[] = "k8s\0"
				   "\x12\x0b"              /* raw */
				   "\x0a\x07\x0a\x05hello" /* metadata: name */
				   "\x12\x00";             /* spec */
	struct kg_arena a = KG_ARENA_INIT;
	(void)state;

	assert_string_equal(kg_proto_object_name(&a, body, sizeof(body) - 1), "hello");
	assert_null(kg_proto_object_name(&a, body, sizeof(body) - 4));
	kg_arena_release(&a);
}

/* Cut anywhere, changed anywhere: an answer or an error, never a read beyond the end. */
static void test_hostile(void **state)
{
	char *copy;
	(void)state;

	for (size_t n = 0; n < sizeof(review); n++) {
		for (int bit = 0; bit < 8; bit++) {
			struct kg_arena a = KG_ARENA_INIT;
			struct kg_value spec;
			struct kg_error err;

			copy = kg_memdup(review, n ? n : 1); /* exactly n, for the sanitizer */
			if (n)
				copy[n - 1] = (char)(copy[n - 1] ^ 1 << bit);
			kg_proto_review_spec(&spec, &a, "selfsubjectaccessreviews", copy, n, &err);
			kg_arena_release(&a);
			free(copy);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_access_review),
		cmocka_unit_test(test_object_name),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
