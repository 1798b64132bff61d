/* What the command line takes, and what it refuses. */
#include "kgitd/flags.h"

#include <getopt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int parse(struct kgd_flags *f, const char *name, const char *value)
{
	char program[] = "kgitd", flag[] = "--state", dir[] = "x";
	char *argv[] = {
		program, flag, dir, (char *)(uintptr_t)name, (char *)(uintptr_t)value, NULL};

	optind = 0; /* anew */
	return kgd_flags_parse(f, name ? 5 : 3, argv);
}

#define IN(field) offsetof(struct kgd_flags, field)

static void numbers_and_times(void **state)
{
	static const struct {
		const char *name, *value;
		size_t at;
		int64_t is; /* 0: refused */
	} cases[] = {
		{"--max-connections", "1", IN(limits.connections), 1},
		{"--max-connections", "1000000", IN(limits.connections), 1000000},
		{"--max-connections", "1000001", IN(limits.connections), 0},
		{"--max-connections", "4294967296", IN(limits.connections), 0},
		{"--max-watches", "-1", IN(limits.watches), 0},
		{"--max-watches", "+1", IN(limits.watches), 0},
		{"--max-watches", " 1", IN(limits.watches), 0},
		{"--max-watches", "1x", IN(limits.watches), 0},
		{"--max-watches", "0", IN(limits.watches), 0},
		{"--max-watches", "", IN(limits.watches), 0},
		{"--max-push-bytes", "9223372036854775807", IN(limits.push_bytes), INT64_MAX},
		{"--max-push-bytes", "9223372036854775808", IN(limits.push_bytes), 0},
		{"--max-push-bytes", "18446744073709551617", IN(limits.push_bytes), 0},
		{"--idle-timeout", "24h", IN(limits.idle_ms), 86400000},
		{"--idle-timeout", "24h1s", IN(limits.idle_ms), 0},
		{"--header-timeout", "25h", IN(limits.header_ms), 0},
		{"--body-timeout", "25h", IN(limits.body_ms), 0},
		{"--close-timeout", "25h", IN(limits.close_ms), 0},
		{"--close-timeout", "-1s", IN(limits.close_ms), 0},
		{"--close-timeout", "soon", IN(limits.close_ms), 0},
		{"--node-monitor-grace", "8761h", IN(grace_ms), 0},
		{"--pod-eviction-timeout", "8761h", IN(eviction_ms), 8761 * INT64_C(3600000)},
		{"--pod-eviction-timeout", "876001h", IN(eviction_ms), 0},
	};
	struct kgd_flags f;

	(void)state;
	assert_int_equal(parse(&f, NULL, NULL), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int rc = parse(&f, cases[i].name, cases[i].value);

		print_message("%s %s\n", cases[i].name, cases[i].value);
		assert_int_equal(rc, cases[i].is ? 0 : 3);
		if (cases[i].is)
			assert_int_equal(
				*(const int64_t *)((const char *)&f + cases[i].at), cases[i].is);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_and_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
