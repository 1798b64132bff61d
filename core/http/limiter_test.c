#include "http/limiter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void test_a_bucket(void **state)
{
	struct kg_limiter *l = kg_limiter_new(10, 3);
	(void)state;

	for (int i = 0; i < 3; i++)
		assert_int_equal(kg_limiter_take(l, "zoe", 1000), 0);
	assert_int_equal(kg_limiter_take(l, "zoe", 1000), 1);
	assert_int_equal(kg_limiter_take(l, "ann", 1000), 0);
	assert_int_equal(kg_limiter_take(l, "zoe", 1099), 1);
	assert_int_equal(kg_limiter_take(l, "zoe", 1100), 0);
	assert_int_equal(kg_limiter_take(l, "zoe", 1100), 1);
	/* Never more than the burst, however long it was away; a clock that stands harms nobody. */
	for (int i = 0; i < 3; i++)
		assert_int_equal(kg_limiter_take(l, "zoe", 100000), 0);
	assert_int_equal(kg_limiter_take(l, "zoe", 99000), 1);
	assert_int_equal(kg_limiter_refused(l), 4);
	kg_limiter_free(l);
}

static void test_slow_ones_wait_longer(void **state)
{
	struct kg_limiter *l = kg_limiter_new(0.2, 1);
	(void)state;

	assert_int_equal(kg_limiter_take(l, "zoe", 0), 0);
	assert_int_equal(kg_limiter_take(l, "zoe", 0), 5);
	kg_limiter_free(l);
}

static void test_keys_are_bounded(void **state)
{
	struct kg_limiter *l = kg_limiter_new(1, 1);
	char key[32];
	(void)state;

	for (int i = 0; i < 100000; i++) {
		snprintf(key, sizeof(key), "user-%d", i);
		assert_int_equal(kg_limiter_take(l, key, i), 0);
		assert_true(kg_limiter_keys(l) <= 8192);
	}
	/* Who has used his up is remembered as long as that is so. */
	assert_int_equal(kg_limiter_take(l, key, 99999), 1);
	kg_limiter_free(l);
}

/* Nearly all are used up: one more key must not cost a look at all of them, time after time. */
static void test_many_at_once_are_forgotten(void **state)
{
	struct kg_limiter *l = kg_limiter_new(0.001, 1);
	char key[32];
	(void)state;

	kg_limiter_take(l, "first", 0);
	for (int i = 0; i < 8191; i++) {
		snprintf(key, sizeof(key), "user-%d", i);
		kg_limiter_take(l, key, 1);
	}
	/* The first one's is full again, the others' are not. */
	kg_limiter_take(l, "another", 1000000);
	assert_int_equal(kg_limiter_keys(l), 1);
	kg_limiter_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_bucket),
		cmocka_unit_test(test_slow_ones_wait_longer),
		cmocka_unit_test(test_keys_are_bounded),
		cmocka_unit_test(test_many_at_once_are_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
