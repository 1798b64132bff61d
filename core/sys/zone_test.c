#include "sys/zone.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void write_zone(const char *dir, const char *name, const char *data, size_t len)
{
	KG_AUTOFREE char *path = kg_asprintf("%s/%s", dir, name);
	FILE *f = fopen(path, "wbe");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static void test_zone(void **state)
{
	static const char good[] = "TZif2\0\0\0\nCET-1CEST,M3.5.0,M10.5.0/3\n";
	static const char bare[] = "TZif2\0\0\0\n\n", none[] = "TZif2", other[] = "a\nb\n";
	static const char *const files[] = {"Good", "Bare", "None", "Other"};
	char dir[] = "/tmp/zone_test.XXXXXX", rule[KG_ZONE_RULE_MAX];

	(void)state;
	assert_non_null(mkdtemp(dir));
	setenv("TZDIR", dir, 1);
	write_zone(dir, files[0], good, sizeof(good) - 1);
	write_zone(dir, files[1], bare, sizeof(bare) - 1);
	write_zone(dir, files[2], none, sizeof(none) - 1);
	write_zone(dir, files[3], other, sizeof(other) - 1);
	assert_true(kg_zone_rule(NULL, "Good", rule));
	assert_string_equal(rule, "CET-1CEST,M3.5.0,M10.5.0/3");
	for (int i = 1; i < 4; i++)
		assert_false(kg_zone_rule(NULL, files[i], rule));
	assert_false(kg_zone_rule(NULL, "Missing", rule));
	assert_false(kg_zone_rule(NULL, "../Good", rule));
	assert_false(kg_zone_rule(NULL, "", rule));
	assert_false(kg_zone_rule(NULL, "/etc/passwd", rule));
	for (int i = 0; i < 4; i++) {
		KG_AUTOFREE char *path = kg_asprintf("%s/%s", dir, files[i]);
		unlink(path);
	}
	rmdir(dir);
	unsetenv("TZDIR");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_zone)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
