/* Which mount holds a path, and whether what is mounted later passes it. */
#include "nodeagent/propagation.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static const char mountinfo[] =
	"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
	"23 22 0:20 / /private rw - tmpfs none rw\n"
	"24 22 0:21 / /slave rw master:7 - tmpfs none rw\n"
	"25 22 0:22 / /a\\040b rw propagate_from:2 - tmpfs none rw\n"
	"26 23 0:23 / /private/in rw,nosuid shared:9 master:7 - tmpfs - rw\n"
	"27 22 0:24 / /twice rw shared:3 - tmpfs none rw\n"
	"28 27 0:25 / /twice rw - tmpfs none rw\n"
	"29 22 0:26 / /named rw - tmpfs shared:5 rw\n";

static void test_paths(void **state)
{
	static const struct {
		const char *path;
		bool both, in; /* may what is mounted pass both ways; inward */
		const char *mount;
	} cases[] = {
		{"/", true, true, "/"},
		{"/srv", true, true, "/"},
		{"/privateer", true, true, "/"},
		{"/private", false, false, "/private"},
		{"/private/x", false, false, "/private"},
		{"/private/in", true, true, "/private/in"},
		{"/private/in/x/y", true, true, "/private/in"},
		{"/slave/x", false, true, "/slave"},
		{"/a b/x", false, false, "/a\\040b"},
		{"/twice", false, false, "/twice"},
		{"/named", false, false, "/named"},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		KG_AUTOFREE char *on = kg_asprintf("is mounted on \"%s\" but", cases[i].mount);
		struct kg_error err;
		int rc = kg_propagation_of(mountinfo, cases[i].path, false, &err);
		assert_int_equal(rc, cases[i].both ? 0 : -KG_E_INVALID);
		if (rc < 0)
			assert_non_null(strstr(err.msg, on));
		rc = kg_propagation_of(mountinfo, cases[i].path, true, &err);
		assert_int_equal(rc, cases[i].in ? 0 : -KG_E_INVALID);
	}
	assert_int_equal(kg_propagation_of("", "/", true, NULL), -KG_E_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_paths)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
