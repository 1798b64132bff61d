#include "nodeagent/hugepages.h"

#include "base/mem.h"
#include "sys/file.h"
#include "value/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_machine(void **state)
{
	static const struct {
		const char *dir, *count;
	} files[] = {{"hugepages-1048576kB", "2\n"}, {"hugepages-2048kB", "5\n"},
		{"hugepages-64kB", "0\n"}, {"hugepages-xkB", "5\n"}, {"hugepages-0kB", "5\n"},
		{"hugepages-16777216kB", "9223372036854775807\n"}};
	static const struct kg_hugepages_size want[] = {{64 << 10, 0, "hugepages-64Ki", "64KB"},
		{2 << 20, 10 << 20, "hugepages-2Mi", "2MB"},
		{1 << 30, INT64_C(2) << 30, "hugepages-1Gi", "1GB"}};
	char dir[] = "/tmp/kgit-hugepages-XXXXXX";
	struct kg_hugepages h;
	struct kg_error err;

	(void)state;
	assert_non_null(mkdtemp(dir));
	for (size_t i = 0; i < KG_ARRAY_LEN(files); i++) {
		KG_AUTOFREE char *sub = kg_asprintf("%s/%s", dir, files[i].dir);
		KG_AUTOFREE char *file = kg_asprintf("%s/nr_hugepages", sub);

		assert_int_equal(kg_mkdir_p(sub, 0755, &err), 0);
		assert_int_equal(
			kg_file_replace(file, files[i].count, strlen(files[i].count), 0644, &err),
			0);
	}
	kg_hugepages_read(&h, dir);
	assert_int_equal(h.n, KG_ARRAY_LEN(want));
	for (size_t i = 0; i < h.n; i++) {
		assert_int_equal(h.sizes[i].page, want[i].page);
		assert_int_equal(h.sizes[i].all, want[i].all);
		assert_string_equal(h.sizes[i].resource, want[i].resource);
		assert_string_equal(h.sizes[i].group, want[i].group);
	}
	assert_int_equal(kg_hugepages_all(&h), (INT64_C(2) << 30) + (10 << 20));
	assert_int_equal(kg_remove_tree(dir, &err), 0);
	kg_hugepages_read(&h, dir);
	assert_int_equal(h.n, 0);
}

static void test_quantity(void **state)
{
	static const struct {
		int64_t bytes;
		const char *text;
	} cases[] = {{0, "0"}, {10 << 20, "10Mi"}, {INT64_C(3) << 30, "3Gi"},
		{INT64_C(2048) << 30, "2048Gi"}, {1000, "1000"}};
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_value v = kg_hugepages_quantity(&a, cases[i].bytes);
		assert_string_equal(kg_string(&v, ""), cases[i].text);
	}
}

#define POD(init, main)                                                                            \
	"{spec: {initContainers: [{name: i, resources: {requests: {" init                          \
	"}}}], containers: [{name: c, resources: {limits: {cpu: 1, " main "}}}]}}"

static void test_medium(void **state)
{
	static const struct {
		const char *pod, *medium;
		int64_t page, all;
		const char *error;
	} cases[] = {
		{POD("", "hugepages-2Mi: 4Mi"), "HugePages", 2 << 20, 4 << 20, NULL},
		{POD("", "hugepages-2Mi: 4Mi"), "HugePages-2Mi", 2 << 20, 4 << 20, NULL},
		{POD("", "hugepages-2Mi: 4Mi"), "HugePages-2048Ki", 2 << 20, 4 << 20, NULL},
		{POD("hugepages-2Mi: 8Mi", "hugepages-2Mi: 4Mi"), "HugePages", 2 << 20, 8 << 20,
			NULL},
		{POD("", "hugepages-2Mi: 4Mi, hugepages-1Gi: 2Gi"), "HugePages-1Gi", 1 << 30,
			INT64_C(2) << 30, NULL},
		{POD("hugepages-1Gi: 1Gi", "hugepages-2Mi: 4Mi"), "HugePages", 0, 0,
			"medium HugePages: the containers request pages of several sizes: name "
			"one, like HugePages-2Mi"},
		{POD("", "hugepages-2Mi: 4Mi"), "HugePages-1Gi", 0, 0,
			"medium HugePages-1Gi: no container of the pod requests such pages"},
		{POD("", "memory: 4Mi"), "HugePages", 0, 0,
			"medium HugePages: no container of the pod requests such pages"},
		{POD("", "memory: 4Mi"), "HugePages-x", 0, 0,
			"medium HugePages-x: that is no size of pages"},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
		struct kg_hugepages_medium m = {0};
		struct kg_error err = {0};
		struct kg_value pod = kg_test_yaml(&a, cases[i].pod);

		assert_true(kg_hugepages_is_medium(cases[i].medium));
		int rc = kg_hugepages_of_medium(&m, &pod, cases[i].medium, &err);
		assert_string_equal(err.msg, cases[i].error ? cases[i].error : "");
		assert_int_equal(rc < 0, cases[i].error != NULL);
		assert_int_equal(m.page, cases[i].page);
		assert_int_equal(m.all, cases[i].all);
	}
	assert_false(kg_hugepages_is_medium("Memory"));
	assert_false(kg_hugepages_is_medium(""));
	assert_false(kg_hugepages_is_medium("HugePagesX"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_machine),
		cmocka_unit_test(test_quantity),
		cmocka_unit_test(test_medium),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
