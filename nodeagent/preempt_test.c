#include "nodeagent/preempt.h"

#include "base/mem.h"
#include "value/testing.h"

#include <stdio.h>
#include <string.h>

#define MOST 8

/* Each: "PRIORITY REQUESTS / LIMITS", as pods of one container; a "" ends the list. */
static const struct row {
	const char *comes, *there[MOST];
	const char *go; /* a digit each of those that go; NULL: nobody, and it does not come in */
} rows[] = {
	/* an ordinary pod takes nobody's place */
	{"1000 cpu: 1", {"0 cpu: 4"}, NULL},
	{"2000000000 cpu: 1", {"0 cpu: 4"}, "0"},
	/* one as critical stays, one less critical does not */
	{"2000000000 cpu: 1", {"2000000000 cpu: 4"}, NULL},
	{"2000001000 cpu: 1", {"2000000000 cpu: 4"}, "0"},
	/* nobody where that is not enough, or where it is not room that it lacks */
	{"2000000000 cpu: 2", {"0 cpu: 1", "2000000000 cpu: 3"}, NULL},
	{"2000000000 cpu: 9", {"0 cpu: 4"}, NULL},
	{"2000000000 cpu: 1", {"0 cpu: 4", "0 port"}, "0"},
	{"2000000000 port", {"0 cpu: 4", "0 port"}, NULL},
	/* who comes nearest, and not more than one where one will do */
	{"2000000000 cpu: 2", {"0 cpu: 1", "0 cpu: 2", "0 cpu: 1"}, "1"},
	{"2000000000 cpu: 2, memory: 1Gi", {"0 cpu: 2", "0 cpu: 2, memory: 3Gi", "0 memory: 1Gi"},
		"1"},
	{"2000000000 cpu: 3", {"0 cpu: 1", "0 cpu: 2", "0 cpu: 1"}, "01"},
	/* of those that come as near, who asks for less memory, then less cpu */
	{"2000000000 cpu: 1", {"0 cpu: 2, memory: 2Gi", "0 cpu: 2, memory: 1Gi"}, "1"},
	{"2000000000 cpu: 1", {"0 cpu: 3", "0 cpu: 1"}, "1"},
	/* classes: BestEffort for room for one more, Burstable before Guaranteed */
	{"2000000000 cpu: 1", {"0", "0", "0", "0 cpu: 1"}, "0"},
	{"2000000000 cpu: 2",
		{"0 cpu: 2, memory: 1Gi / cpu: 2, memory: 1Gi", "0 cpu: 2, memory: 3Gi"}, "1"},
	{"2000000000 cpu: 3",
		{"0 cpu: 2, memory: 1Gi / cpu: 2, memory: 1Gi", "0 cpu: 2, memory: 3Gi"}, "01"},
	{"2000000000 cpu: 4", {"0 cpu: 2, memory: 1Gi / cpu: 2, memory: 1Gi", "0 cpu: 1", "0"},
		"01"},
};

static struct kg_value pod(struct kg_arena *a, const char *text)
{
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	int len = (int)strcspn(text, " ");
	const char *asks = text + len, *slash = strchr(asks, '/');
	int n = (int)(slash ? slash - asks : (long)strlen(asks));

	kg_buf_addf(&b, "{spec: {priority: %.*s, containers: [{name: c, ", len, text);
	if (strcmp(asks, " port") == 0)
		kg_buf_adds(&b, "ports: [{containerPort: 1, hostPort: 80}]}]}}");
	else
		kg_buf_addf(&b, "resources: {requests: {%.*s}, limits: {%s}}}]}}", n, asks,
			slash ? slash + 1 : "");
	return kg_test_yaml(a, kg_buf_str(&b));
}

static void test_choice(void **state)
{
	static const char room[] = "{cpu: 4, memory: 4Gi, pods: 4}";

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(rows); i++) {
		struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
		struct kg_admit n KG_CLEANUP(kg_admit_release);
		struct kg_value capacity = kg_test_yaml(&a, room), there[MOST];
		struct kg_value comes = pod(&a, rows[i].comes);
		const struct kg_value *list[MOST];
		bool goes[MOST] = {false};
		char got[MOST + 1] = "", *p = got;
		size_t count = 0;

		kg_admit_init(&n, "n1", &kg_null, &kg_null, &capacity);
		for (; count < MOST && rows[i].there[count]; count++) {
			there[count] = pod(&a, rows[i].there[count]);
			list[count] = &there[count];
			kg_admit_count(&n, list[count]);
		}
		bool in = kg_preempt(goes, &n, &comes, list, count);
		for (size_t k = 0; k < count; k++)
			if (goes[k])
				*p++ = (char)('0' + k);
		if (in != (rows[i].go != NULL) || strcmp(got, rows[i].go ? rows[i].go : "") != 0)
			fail_msg("%zu: \"%s\": got %d \"%s\"", i, rows[i].comes, in, got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_choice)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
