#include "base/mem.h"
#include "internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void targets(void **state)
{
	static const struct {
		const char *raw, *path; /* path NULL: refused */
		size_t nparams;
		const char *name, *value; /* of the last parameter */
	} cases[] = {
		{"/", "/", 0, NULL, NULL},
		{"/api/v1", "/api/v1", 0, NULL, NULL},
		{"/a%20b%c3%A4", "/a b\xc3\xa4", 0, NULL, NULL},
		{"/a?", "/a", 0, NULL, NULL},
		{"/a?x", "/a", 1, "x", ""},
		{"/a?x=", "/a", 1, "x", ""},
		{"/a?&x=1&&y=a+b%2Bc%2Fd&", "/a", 2, "y", "a b+c/d"},
		{"/a?x=1=2?3", "/a", 1, "x", "1=2?3"},
		{"/a?x%3D=1", "/a", 1, "x=", "1"},
		{"/a+b", "/a+b", 0, NULL, NULL},
		{"/...", "/...", 0, NULL, NULL},
		{"/.hidden/a..b", "/.hidden/a..b", 0, NULL, NULL},
		{"", NULL, 0, NULL, NULL},
		{"*", NULL, 0, NULL, NULL},
		{"api", NULL, 0, NULL, NULL},
		{"https://host/api", NULL, 0, NULL, NULL},
		{"/a%00", NULL, 0, NULL, NULL},
		{"/a?x=%00", NULL, 0, NULL, NULL},
		{"/a%2fb", NULL, 0, NULL, NULL},
		{"/a%2", NULL, 0, NULL, NULL},
		{"/a%", NULL, 0, NULL, NULL},
		{"/a%zz", NULL, 0, NULL, NULL},
		{"/a?x=%1", NULL, 0, NULL, NULL},
		{"/.", NULL, 0, NULL, NULL},
		{"/..", NULL, 0, NULL, NULL},
		{"/a/../b", NULL, 0, NULL, NULL},
		{"/a/%2e%2e/b", NULL, 0, NULL, NULL},
		{"/a/./b", NULL, 0, NULL, NULL},
		{"/a b", NULL, 0, NULL, NULL},
		{"/a\tb", NULL, 0, NULL, NULL},
		{"/\xc3\xa4", NULL, 0, NULL, NULL},
		{"/a#b", NULL, 0, NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_target t;
		struct kg_error err;
		int rc = kg_target_parse(&t, cases[i].raw, &err);
		if (!cases[i].path) {
			if (rc != -KG_E_BAD_REQUEST)
				fail_msg("\"%s\" was taken", cases[i].raw);
			continue;
		}
		if (rc)
			fail_msg("\"%s\": %s", cases[i].raw, err.msg);
		assert_string_equal(t.path, cases[i].path);
		assert_int_equal(t.nparams, cases[i].nparams);
		if (t.nparams) {
			assert_string_equal(t.params[t.nparams - 1].name, cases[i].name);
			assert_string_equal(t.params[t.nparams - 1].value, cases[i].value);
		}
		kg_target_release(&t);
	}
}

static void parameters_are_bounded(void **state)
{
	struct kg_buf b KG_AUTOBUF = KG_BUF_INIT;
	struct kg_target t;
	struct kg_error err;

	(void)state;
	kg_buf_adds(&b, "/?a");
	for (int i = 1; i < 64; i++)
		kg_buf_adds(&b, "&a");
	assert_int_equal(kg_target_parse(&t, b.data, &err), 0);
	kg_target_release(&t);
	kg_buf_adds(&b, "&a");
	assert_int_equal(kg_target_parse(&t, b.data, &err), -KG_E_BAD_REQUEST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(targets),
		cmocka_unit_test(parameters_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
