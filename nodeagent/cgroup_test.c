/* What control groups say, of made files: those of both versions. */
#include "nodeagent/cgroup.h"

#include "base/mem.h"
#include "sys/file.h"
#include "value/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char dir[] = "/tmp/kgit-cgroup-XXXXXX";

static void put(const char *name, const char *text)
{
	KG_AUTOFREE char *path = kg_asprintf("%s/%s", dir, name);
	KG_AUTOFREE char *parent = kg_strndup(path, (size_t)(strrchr(path, '/') - path));
	struct kg_error err;

	if (kg_mkdir_p(parent, 0755, &err) < 0 ||
		kg_file_replace(path, text, strlen(text), 0644, &err) < 0)
		fail_msg("%s", err.msg);
}

static struct kg_cgroups groups(bool v2, const char *a, const char *b)
{
	struct kg_cgroups c = {.v2 = v2, .nmounts = b ? 2 : 1};

	c.mounts[0] = kg_asprintf("%s%s", dir, a);
	c.mounts[1] = b ? kg_asprintf("%s%s", dir, b) : NULL;
	return c;
}

static void expect(struct kg_cgroups c, const char *path, bool found, int64_t cpu, int64_t memory)
{
	struct kg_cgroup_usage u;

	assert_int_equal(kg_cgroup_usage(&c, path, &u), found);
	if (found) {
		assert_int_equal(u.cpu_ns, cpu);
		assert_int_equal(u.memory_bytes, memory);
	}
	kg_cgroups_release(&c);
}

static void test_usage(void **state)
{
	struct kg_error err;

	(void)state;
	assert_non_null(mkdtemp(dir));
	put("two/pod/cpu.stat", "usage_usec 1234\nuser_usec 1000\n");
	put("two/pod/memory.current", "4096\n");
	put("two/pod/memory.stat", "anon 7\ninactive_file_x 4000\ninactive_file 1096\n");
	put("one/cpu,cpuacct/pod/cpuacct.usage", "77000\n");
	put("one/memory/pod/memory.usage_in_bytes", "8192\n");
	put("one/memory/pod/memory.stat", "inactive_file 8000\ntotal_inactive_file 9000\n");
	expect(groups(true, "/two", NULL), "/pod", true, 1234000, 3000);
	expect(groups(true, "/two", NULL), "/other", false, 0, 0);
	expect(groups(false, "/one/memory", "/one/cpu,cpuacct"), "/pod", true, 77000, 0);
	expect(groups(false, "/one/memory", NULL), "/pod", false, 0, 0);
	assert_int_equal(kg_remove_tree(dir, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_usage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
