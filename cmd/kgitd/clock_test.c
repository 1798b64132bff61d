#include "kgitd/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct step {
	int64_t mono, wall, want;
};

static void run(kg_time head, int64_t wall0, const struct step *steps, size_t n)
{
	struct kgd_clock c;

	kgd_clock_start(&c, head, wall0, 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(kgd_clock_read(&c, steps[i].wall, steps[i].mono), steps[i].want);
}

static void goes_with_the_wall(void **state)
{
	const struct step steps[] = {{10, 1010, 1010}, {20, 1020, 1020}, {20, 1020, 1020}};

	(void)state;
	run(500, 1000, steps, 3);
}

static void never_goes_back(void **state)
{
	/* The wall is set back by a year: the clock goes on, a tenth slower. */
	const struct step steps[] = {{1000, 100, 1900}, {2000, 200, 2800}, {1500, 0, 2800}};

	(void)state;
	run(1000, 1000, steps, 3);
}

static void slews_to_a_wall_that_jumps(void **state)
{
	const struct step steps[] = {{1000, 9999999, 2100}, {2000, 9999999, 3200}};

	(void)state;
	run(1000, 1000, steps, 2);
}

static void starts_at_the_head_where_the_wall_is_behind(void **state)
{
	const struct step steps[] = {{100, 600, 5090}};

	(void)state;
	run(5000, 500, steps, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(goes_with_the_wall),
		cmocka_unit_test(never_goes_back),
		cmocka_unit_test(slews_to_a_wall_that_jumps),
		cmocka_unit_test(starts_at_the_head_where_the_wall_is_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
