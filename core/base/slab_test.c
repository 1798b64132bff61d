#include "base/slab.h"

#include "base/mem.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct block {
	unsigned char *p;
	size_t size;
	unsigned char fill;
};

static void fill(struct block *b, size_t size, unsigned char with)
{
	*b = (struct block){.p = kg_slab_alloc(KG_SLAB_VALUES, size), .size = size, .fill = with};
	memset(b->p, with, size);
}

static bool is_whole(const struct block *b)
{
	for (size_t i = 0; i < b->size; i++)
		if (b->p[i] != b->fill)
			return false;
	return true;
}

static void drop(struct block *b)
{
	assert_true(is_whole(b));
	kg_slab_free(b->p, b->size);
	b->p = NULL;
}

/* Every size, several of each, none over another. */
static void test_sizes(void **state)
{
	enum { MOST = KG_SLAB_MAX + 100, EACH = 3 };
	struct block *all = kg_alloc((MOST + 1) * EACH * sizeof(*all));

	(void)state;
	for (size_t i = 0; i < (size_t)(MOST + 1) * EACH; i++) {
		fill(&all[i], i / EACH, (unsigned char)(i * 7));
		assert_int_equal((uintptr_t)all[i].p % 16, 0);
	}
	for (size_t i = 0; i < (size_t)(MOST + 1) * EACH; i++)
		drop(&all[i]);
	free(all);
	kg_slab_free(NULL, 5);
}

static void test_resize(void **state)
{
	unsigned char *p = kg_slab_alloc(KG_SLAB_VALUES, 1);
	size_t size = 1;

	(void)state;
	*p = 0;
	for (size_t next = 2; next < 3 * KG_SLAB_MAX; next += next / 3 + 1) {
		p = kg_slab_resize(KG_SLAB_VALUES, p, size, next);
		for (size_t i = size; i < next; i++)
			p[i] = (unsigned char)i;
		size = next;
	}
	while (size > 1) {
		size_t next = size - size / 4 - 1;

		p = kg_slab_resize(KG_SLAB_VALUES, p, size, next);
		size = next;
		for (size_t i = 0; i < size; i++)
			assert_int_equal(p[i], (unsigned char)i);
	}
	kg_slab_free(p, size);
}

static void test_texts_and_items(void **state)
{
	char text[64] = "", *copies[64];
	uint32_t *items = NULL;
	size_t cap = 0;

	(void)state;
	for (size_t i = 0; i < 64; i++) {
		copies[i] = kg_slab_strdup(KG_SLAB_STATE, text);
		text[i < 63 ? i : 0] = 'x';
	}
	for (size_t i = 0; i < 64; i++) {
		assert_int_equal(strlen(copies[i]), i);
		kg_slab_strfree(copies[i]);
	}
	kg_slab_strfree(NULL);
	for (uint32_t i = 0; i < 3000; i++) { /* also where they become malloc's */
		KG_SLAB_GROW(KG_SLAB_STATE, items, cap, i + 1);
		items[i] = i;
	}
	for (uint32_t i = 0; i < 3000; i++)
		assert_int_equal(items[i], i);
	kg_slab_free(items, cap * sizeof(*items));
	unsigned char *zero = kg_slab_zeroed(KG_SLAB_STATE, 100);
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(zero[i], 0);
	kg_slab_free(zero, 100);
}

/* What many took is given back when they are gone, whatever else of other sizes stays. */
static void test_gives_back(void **state)
{
	enum { N = 40000, SIZE = 900 };
	struct block *all = kg_alloc(N * sizeof(*all)), *kept = kg_alloc(N * sizeof(*kept));
	size_t before, held, used_before, used;

	(void)state;
	kg_slab_stats(&before, &used_before);
	for (size_t i = 0; i < N; i++) {
		fill(&all[i], SIZE, (unsigned char)i);
		fill(&kept[i], 64, (unsigned char)i);
	}
	kg_slab_stats(&held, &used);
	if (used > used_before) { /* else the sanitizer's malloc has it all */
		assert_true(used - used_before >= (size_t)N * (SIZE + 64));
		assert_true(held - before < (size_t)N * (SIZE + 64) * 11 / 10);
	}
	/* Of each slab a few stay, and then what was dropped comes back. */
	for (size_t i = 0; i < N; i++)
		if (i % 100)
			drop(&all[i]);
	kg_slab_trim();
	for (size_t i = 0; i < N; i++) {
		assert_true(i % 100 || is_whole(&all[i]));
		if (i % 100)
			fill(&all[i], SIZE, (unsigned char)i);
	}
	/* In another order than they came. */
	for (size_t i = 0; i < N; i++)
		drop(&all[i * 7919 % N]);
	kg_slab_stats(&held, &used);
	assert_true(held <= before + (size_t)N * 64 * 11 / 10 + (4u << 20));
	for (size_t i = 0; i < N; i++)
		drop(&kept[i]);
	kg_slab_stats(&held, &used);
	assert_int_equal(used, used_before);
	free(all);
	free(kept);
}

/* Where many became few, those that come later fill the slabs of which most is left: of the others
 * most become empty as what is in them ends. */
static void test_gathers(void **state)
{
	enum { N = 60000, SIZE = 200 };
	struct block *all = kg_alloc(N * sizeof(*all));
	size_t before, used_before, held, used;

	(void)state;
	kg_slab_stats(&before, &used_before);
	for (size_t i = 0; i < N; i++)
		fill(&all[i], SIZE, (unsigned char)i);
	kg_slab_stats(&held, &used);
	bool watched = used == used_before; /* the sanitizer's malloc has it all */
	/* Of the first half one in ten stays, of the second nine in ten; those few had room last.
	 */
	for (size_t i = N; i-- > 0;)
		if ((i % 10 == 0) == (i >= N / 2))
			drop(&all[i]);
	/* And then each ends, and another comes: two rounds. */
	for (size_t k = 0; k < 2; k++)
		for (size_t i = 0; i < N; i++) {
			size_t at = i * 7919 % N;
			if (!all[at].p)
				continue;
			drop(&all[at]);
			fill(&all[at], SIZE, (unsigned char)at);
		}
	kg_slab_stats(&held, &used);
	if (!watched)
		assert_true(held - before < (size_t)N / 2 * SIZE * 13 / 10);
	for (size_t i = 0; i < N; i++)
		if (all[i].p)
			drop(&all[i]);
	free(all);
}

/* What goes is not held up by what stays and is for another use. */
static void test_uses(void **state)
{
	enum { N = 60000, SIZE = 200 };
	void **all = kg_alloc(N * sizeof(*all));
	size_t before, used_before, held, used;

	(void)state;
	kg_slab_stats(&before, &used_before);
	for (size_t i = 0; i < N; i++)
		all[i] = kg_slab_alloc(i % 2 ? KG_SLAB_MAPS : KG_SLAB_TREES, SIZE);
	for (size_t i = 1; i < N; i += 2)
		kg_slab_free(all[i], SIZE);
	kg_slab_stats(&held, &used);
	assert_true(held - before < (size_t)N / 2 * SIZE * 11 / 10 + (2u << 20));
	for (size_t i = 0; i < N; i += 2)
		kg_slab_free(all[i], SIZE);
	kg_slab_stats(&held, &used);
	assert_int_equal(used, used_before);
	free(all);
}

enum { THREADS = 4, OWN = 500, ROUNDS = 40000 };
static struct {
	pthread_mutex_t lock;
	struct block left; /* one thread's, which another frees */
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void *thread(void *arg)
{
	struct block own[OWN] = {{0}};
	uint32_t random = *(uint32_t *)arg;

	for (size_t i = 0; i < ROUNDS; i++) {
		random = random * 1664525u + 1013904223u;
		struct block *b = &own[random >> 8 & 255];

		if (b->p && !is_whole(b))
			return (void *)"what was put into a block is not there any more";
		if (b->p)
			kg_slab_free(b->p, b->size);
		fill(b, random >> 16 & 2047, (unsigned char)i);
		pthread_mutex_lock(&table.lock);
		struct block was = table.left;
		table.left = *b;
		pthread_mutex_unlock(&table.lock);
		*b = was;
	}
	for (size_t i = 0; i < OWN; i++)
		kg_slab_free(own[i].p, own[i].size);
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t threads[THREADS];
	uint32_t seeds[THREADS];

	(void)state;
	for (uint32_t i = 0; i < THREADS; i++) {
		seeds[i] = i + 1;
		assert_int_equal(pthread_create(&threads[i], NULL, thread, &seeds[i]), 0);
	}
	for (size_t i = 0; i < THREADS; i++) {
		void *wrong;

		pthread_join(threads[i], &wrong);
		if (wrong)
			fail_msg("%s", (const char *)wrong);
	}
	kg_slab_free(table.left.p, table.left.size);
	table.left.p = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_resize),
		cmocka_unit_test(test_texts_and_items),
		cmocka_unit_test(test_gives_back),
		cmocka_unit_test(test_gathers),
		cmocka_unit_test(test_uses),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests_name("slab", tests, NULL, NULL);
}
