/* How long pods take to start here: one after another, then many at once. Root; prints figures. */
#include "nodeagent/podtest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants those first */
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#define SPEC                                                                                       \
	"{\"terminationGracePeriodSeconds\":0,\"containers\":[{\"name\":\"c\","                    \
	"\"image\":\"kgit.local/busybox:1\",\"command\":[\"sleep\",\"1000\"]}]}"

static int by_value(const void *a, const void *b)
{
	return (int)(*(const int64_t *)a - *(const int64_t *)b);
}

static bool all_ready(struct kg_podtest *t, const char *arg)
{
	(void)arg;
	if (t->statuses.count < t->n)
		return false;
	struct kg_map_entry *e;
	for (size_t i = 0; (e = kg_map_next(&t->statuses, &i));)
		if (!kg_podtest_running(t, e->key))
			return false;
	return true;
}

static bool none_left(struct kg_podtest *t, const char *arg)
{
	(void)arg;
	return t->statuses.count == 0;
}

static void bench(void **state)
{
	struct kg_podtest t;
	int64_t ms[20];
	(void)state;
	kg_podtest_begin(&t, NULL, NULL);
	for (size_t i = 0; i < KG_ARRAY_LEN(ms); i++) {
		char name[16];
		snprintf(name, sizeof(name), "one-%zu", i);
		int64_t from = kg_monotonic_ms();
		kg_podtest_add(&t, name, SPEC);
		kg_podtest_apply(&t);
		kg_podtest_wait(&t, kg_podtest_running, name, 10000);
		ms[i] = kg_monotonic_ms() - from;
		kg_podtest_remove(&t, name);
		kg_podtest_apply(&t);
		kg_podtest_wait(&t, kg_podtest_gone, name, 10000);
	}
	qsort(ms, KG_ARRAY_LEN(ms), sizeof(ms[0]), by_value);
	print_message("one pod, apply to running: median %d ms, best %d, worst %d\n", (int)ms[10],
		(int)ms[0], (int)ms[19]);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 30; i++) {
			char name[16];
			snprintf(name, sizeof(name), "many-%d-%d", round, i);
			kg_podtest_add(&t, name, SPEC);
		}
		int64_t from = kg_monotonic_ms();
		kg_podtest_apply(&t);
		kg_podtest_wait(&t, all_ready, NULL, 30000);
		print_message("30 pods at once: %d ms\n", (int)(kg_monotonic_ms() - from));
		t.n = 0;
		from = kg_monotonic_ms();
		kg_podtest_apply(&t);
		kg_podtest_wait(&t, none_left, NULL, 30000);
		print_message("30 pods gone: %d ms\n", (int)(kg_monotonic_ms() - from));
	}
	kg_podtest_end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(bench)};
	kg_podtest_require();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
