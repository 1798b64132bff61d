#include "claims.h"

#include "base/mem.h"
#include "value/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define NOW ((kg_time)1000000) /* 1000 s */

static const struct {
	const char *claims;
	bool for_us;
	const char *refused; /* by its times; NULL: it is not */
	kg_time until;       /* at the latest NOW + 60000 */
} cases[] = {
	{"{\"aud\":\"us\",\"exp\":1030}", true, NULL, 1030000},
	{"{\"aud\":[\"them\",\"us\"],\"exp\":1060}", true, NULL, 1060000},
	{"{\"aud\":[\"them\"],\"exp\":1061}", false, NULL, 1060000},
	{"{\"aud\":[1,\"usus\"],\"exp\":1001}", false, NULL, 1001000},
	{"{\"exp\":1000}", false, "has expired", 1000000},
	{"{\"aud\":\"us\"}", true, "has expired", 0},
	{"{\"exp\":\"2000\"}", false, "has expired", 0},
	{"{\"exp\":2000,\"nbf\":1010}", false, NULL, 1060000},
	{"{\"exp\":2000,\"nbf\":1011}", false, "is not valid yet", 1060000},
	/* As large as they can be. */
	{"{\"exp\":9223372036854775807}", false, NULL, 1060000},
	{"{\"exp\":9223372036854775807,\"nbf\":9223372036854775807}", false, "is not valid yet",
		1060000},
	{"{\"exp\":-9223372036854775808,\"nbf\":-9223372036854775808}", false, "has expired",
		INT64_MIN},
};

static void test_claims(void **state)
{
	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
		const char *text = cases[i].claims;
		struct kg_error err = {0};
		struct kg_value v;

		assert_int_equal(kg_json_parse(&v, &a, text, strlen(text), &err), 0);
		assert_int_equal(kg_claims_are_for(&v, "us"), cases[i].for_us);
		int rc = kg_claims_check_times(&v, NOW, &err);
		assert_int_equal(rc, cases[i].refused ? -KG_E_UNAUTHORIZED : 0);
		if (cases[i].refused)
			assert_non_null(strstr(err.msg, cases[i].refused));
		assert_true(kg_claims_until(&v, NOW + 60000) == cases[i].until);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_claims),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
