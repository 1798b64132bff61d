#include "nodeagent/podtest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants those first */
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SLEEPER                                                                                    \
	"\"image\":\"kgit.local/busybox:1\",\"command\":[\"sh\",\"-c\",\"trap 'exit 0' TERM; "     \
	"echo up; while :; do sleep 0.05; done\"]"

static void test_runs_and_stops(void **state)
{
	struct kg_podtest t;
	(void)state;
	kg_podtest_begin(&t, NULL, NULL);
	kg_podtest_add(&t, "one", "{\"containers\":[{\"name\":\"c\"," SLEEPER "}]}");
	int64_t from = kg_monotonic_ms();
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, kg_podtest_ready, "one", 10000);
	print_message("running after %d ms\n", (int)(kg_monotonic_ms() - from));
	const struct kg_value *s = kg_podtest_status(&t, "one");
	assert_string_equal(kg_string(kg_get(s, "qosClass"), ""), "BestEffort");
	assert_int_equal(t.reports, 1);
	kg_podtest_remove(&t, "one");
	from = kg_monotonic_ms();
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, kg_podtest_gone, "one", 10000);
	print_message("gone after %d ms\n", (int)(kg_monotonic_ms() - from));
	kg_podtest_end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_runs_and_stops),
	};
	kg_podtest_require();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
