#include "base/map.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_few(void **state)
{
	struct kg_map m = KG_MAP_INIT;
	int one = 1, two = 2;

	(void)state;
	assert_null(kg_map_get(&m, "a"));
	assert_false(kg_map_has(&m, "a"));
	assert_null(kg_map_remove(&m, "a"));
	assert_null(kg_map_put(&m, "a", &one));
	assert_null(kg_map_put(&m, "", NULL));
	assert_true(kg_map_has(&m, ""));
	assert_null(kg_map_get(&m, ""));
	assert_ptr_equal(kg_map_put(&m, "a", &two), &one);
	assert_ptr_equal(kg_map_get(&m, "a"), &two);
	assert_int_equal(m.count, 2);
	assert_ptr_equal(kg_map_remove(&m, "a"), &two);
	assert_null(kg_map_get(&m, "a"));
	assert_int_equal(m.count, 1);
	void **at = kg_map_at(&m, "b");
	assert_null(*at);
	*at = &one;
	assert_ptr_equal(kg_map_at(&m, "b"), at);
	assert_ptr_equal(kg_map_get(&m, "b"), &one);
	assert_int_equal(m.count, 2);
	kg_map_clear(&m);
	assert_false(kg_map_has(&m, ""));
	assert_null(kg_map_put(&m, "a", &one));
	assert_ptr_equal(kg_map_get(&m, "a"), &one);
	kg_map_release(&m);
	kg_map_release(&m);
}

static void test_order(void **state)
{
	static const char *const keys[] = {"pear", "apple", "fig", "plum", "a", "b", "c", "d", "e"};
	struct kg_map m = KG_MAP_INIT;
	struct kg_map_entry *e;
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(keys); i++)
		kg_map_put(&m, keys[i], (void *)keys[i]);
	for (size_t i = 0; (e = kg_map_next(&m, &i));)
		assert_string_equal(e->key, keys[n++]);
	assert_int_equal(n, KG_ARRAY_LEN(keys));
	/* Removing while walking is fine. */
	for (size_t i = 0; (e = kg_map_next(&m, &i));) {
		if (strlen(e->key) == 1)
			kg_map_remove(&m, e->value);
	}
	KG_AUTOFREE struct kg_map_entry **sorted = kg_map_sorted(&m);
	assert_int_equal(m.count, 4);
	assert_string_equal(sorted[0]->key, "apple");
	assert_string_equal(sorted[1]->key, "fig");
	assert_string_equal(sorted[3]->key, "plum");
	kg_map_release(&m);
}

/* Against an array, with enough removing and adding for several rebuilds. */
static void test_many(void **state)
{
	enum { KEYS = 3000, STEPS = 100000 };
	static bool there[KEYS];
	struct kg_map m = KG_MAP_INIT;
	unsigned r = 1;
	size_t live = 0;

	(void)state;
	for (int i = 0; i < STEPS; i++) {
		char key[24];

		r = r * 1103515245 + 12345;
		unsigned k = (r >> 8) % KEYS;
		snprintf(key, sizeof(key), "key-%u", k);
		void *value = (void *)(uintptr_t)(k + 1);
		assert_ptr_equal(kg_map_get(&m, key), there[k] ? value : NULL);
		if (r & 0x40000000) {
			assert_ptr_equal(kg_map_put(&m, key, value), there[k] ? value : NULL);
			live += !there[k];
			there[k] = true;
		} else {
			assert_ptr_equal(kg_map_remove(&m, key), there[k] ? value : NULL);
			live -= there[k];
			there[k] = false;
		}
		assert_int_equal(m.count, live);
	}
	assert_true(m.cap < 4 * KEYS);
	struct kg_map_entry *e;
	size_t n = 0;
	for (size_t i = 0; (e = kg_map_next(&m, &i)); n++)
		assert_true(there[(uintptr_t)e->value - 1]);
	assert_int_equal(n, live);
	kg_map_release(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_few),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
