/* Wake-ups by time: what holds is found, what does no more is not, and neither by a look at all. */
#include "reconcile/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { MANY = 2000 };

static void set(struct kg_reconcile_state *st, int i, kg_time t)
{
	char key[32];
	snprintf(key, sizeof(key), "ns/%d", i);
	kg_map_put(&st->wakes[KG_C_POD], key, (void *)(intptr_t)t);
	kg_alarm_set(st, KG_C_POD, key, t);
}

static void unset(struct kg_reconcile_state *st, int i)
{
	char key[32];
	snprintf(key, sizeof(key), "ns/%d", i);
	kg_map_remove(&st->wakes[KG_C_POD], key);
}

static void release(struct kg_reconcile_state *st)
{
	kg_alarms_release(&st->alarms);
	kg_map_release(&st->wakes[KG_C_POD]);
	kg_map_release(&st->queue[KG_C_POD]);
}

static void test_order(void **state)
{
	(void)state;
	KG_CLEANUP(release) struct kg_reconcile_state st = {0};
	assert_true(kg_alarms_next(&st) == KG_TIME_NEVER);
	set(&st, 1, 300);
	set(&st, 2, 100);
	set(&st, 3, 200);
	assert_int_equal(kg_alarms_next(&st), 100);
	set(&st, 2, 50); /* earlier */
	unset(&st, 3);
	assert_int_equal(kg_alarms_next(&st), 50);
	kg_alarms_enqueue(&st, 49);
	assert_int_equal(st.queue[KG_C_POD].count, 0);
	kg_alarms_enqueue(&st, 250);
	assert_int_equal(st.queue[KG_C_POD].count, 1);
	assert_true(kg_map_has(&st.queue[KG_C_POD], "ns/2"));
	unset(&st, 2); /* it is run */
	assert_int_equal(kg_alarms_next(&st), 300);
	unset(&st, 1);
	assert_true(kg_alarms_next(&st) == KG_TIME_NEVER);
}

static void test_cost(void **state)
{
	(void)state;
	KG_CLEANUP(release) struct kg_reconcile_state st = {0};
	for (int i = 0; i < MANY; i++)
		set(&st, i, 1000 + (i * 7919) % MANY);
	assert_int_equal(st.looked, 0);
	for (int i = 0; i < MANY; i++) { /* one is due each time */
		kg_time t = kg_alarms_next(&st);
		assert_int_equal(t, 1000 + i);
		kg_map_clear(&st.queue[KG_C_POD]);
		kg_alarms_enqueue(&st, t);
		assert_int_equal(st.queue[KG_C_POD].count, 1);
		for (size_t at = 0; at < st.queue[KG_C_POD].used; at++)
			if (st.queue[KG_C_POD].entries[at].key)
				kg_map_remove(
					&st.wakes[KG_C_POD], st.queue[KG_C_POD].entries[at].key);
	}
	assert_in_range(st.looked, MANY, 2 * MANY);
	assert_int_equal(st.alarms.n, 0);
}

/* One that is set again and again leaves little behind. */
static void test_left_behind(void **state)
{
	(void)state;
	KG_CLEANUP(release) struct kg_reconcile_state st = {0};
	for (int i = 0; i < 100 * MANY; i++) {
		unset(&st, i % 10);
		set(&st, i % 10, 1000 + i);
		assert_in_range(st.alarms.n, 1, 100);
	}
	assert_int_equal(kg_alarms_next(&st), 1000 + 100 * MANY - 10);
	assert_in_range(st.looked, 0, 300 * MANY);
}

/* All are set again at their old times, as by a look at everything, and once more. */
static void test_same_times(void **state)
{
	(void)state;
	KG_CLEANUP(release) struct kg_reconcile_state st = {0};
	for (int i = 0; i < 10 * MANY; i++) {
		unset(&st, i % MANY);
		set(&st, i % MANY, 1000 + i % MANY);
		assert_in_range(st.alarms.n, 1, 2 * MANY + 65);
	}
	assert_in_range(st.looked, 0, 40 * MANY);
	assert_int_equal(kg_alarms_next(&st), 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_cost),
		cmocka_unit_test(test_left_behind),
		cmocka_unit_test(test_same_times),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
