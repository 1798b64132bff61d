/* Which mount holds a path, and whether what is mounted later passes it. */
#include "nodeagent/propagation.h"

#include "base/mem.h"
#include "value/testing.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static const char mountinfo[] =
	"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
	"23 22 0:20 / /private rw - tmpfs none rw\n"
	"24 22 0:21 / /slave rw master:7 - tmpfs none rw\n"
	"25 22 0:22 / /a\\040b rw propagate_from:2 - tmpfs none rw\n"
	"26 23 0:23 / /private/in rw,nosuid shared:9 master:7 - tmpfs - rw\n"
	"27 22 0:24 / /twice rw shared:3 - tmpfs none rw\n"
	"28 27 0:25 / /twice rw - tmpfs none rw\n"
	"29 22 0:26 / /named rw - tmpfs shared:5 rw\n";

static void test_mounts(void **state)
{
	static const struct {
		uint64_t id;
		bool both, in; /* may what is mounted pass both ways; inward */
		const char *says;
	} cases[] = {
		{22, true, true, NULL},
		{23, false, false, "is mounted on \"/private\" but"},
		{24, false, true, "is mounted on \"/slave\" but"},
		{25, false, false, "is mounted on \"/a\\040b\" but"},
		{26, true, true, NULL},
		{27, true, true, NULL},
		{28, false, false, "is mounted on \"/twice\" but"},
		{29, false, false, "is mounted on \"/named\" but"},
		{2, false, false, "its mount, 2, is none"},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_error err;
		int rc = kg_propagation_of(mountinfo, cases[i].id, "/x", false, &err);
		assert_int_equal(rc, cases[i].both ? 0 : -KG_E_INVALID);
		if (rc < 0)
			assert_non_null(strstr(err.msg, cases[i].says));
		rc = kg_propagation_of(mountinfo, cases[i].id, "/x", true, &err);
		assert_int_equal(rc, cases[i].in ? 0 : -KG_E_INVALID);
	}
	assert_int_equal(kg_propagation_of("", 1, "/", true, NULL), -KG_E_INVALID);
}

static void expect(const char *path, int want)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	KG_AUTOFREE char *pod = kg_asprintf("{\"spec\":{\"volumes\":[{\"name\":\"v\","
					    "\"hostPath\":{\"path\":\"%s\"}}]}}",
		path);
	struct kg_value p = kg_test_json(&a, pod);
	struct kg_value c = kg_test_json(
		&a, "{\"volumeMounts\":[{\"name\":\"v\",\"mountPropagation\":\"Bidirectional\"}]}");
	struct kg_error err;

	assert_int_equal(
		kg_propagation_check("/", &(struct kg_volume_source){.pod = &p}, &c, &err), want);
}

static void mount_at(const char *path, unsigned long propagation)
{
	assert_int_equal(mount("none", path, "tmpfs", 0, NULL), 0);
	assert_int_equal(mount(NULL, path, NULL, propagation, NULL), 0);
}

/* What the kernel finds at a path, be it through a link, or above what was mounted before. */
static void test_paths(void **state)
{
	char dir[] = "/tmp/kgit-propagation-XXXXXX";

	(void)state;
	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0)
		skip();
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	assert_non_null(mkdtemp(dir));
	KG_AUTOFREE char *sub = kg_asprintf("%s/sub", dir);
	KG_AUTOFREE char *link = kg_asprintf("%s/link", dir);
	mount_at(dir, MS_SHARED);
	assert_int_equal(mkdir(sub, 0700), 0);
	assert_int_equal(symlink("sub", link), 0);
	expect(sub, 0);
	mount_at(sub, MS_PRIVATE);
	expect(dir, 0);
	expect(sub, -KG_E_INVALID);
	expect(link, -KG_E_INVALID);
	mount_at(dir, MS_SHARED);
	assert_int_equal(mkdir(sub, 0700), 0);
	expect(sub, 0);
	expect(link, -KG_E_NOT_FOUND);
	assert_int_equal(umount2(dir, MNT_DETACH), 0);
	assert_int_equal(umount2(dir, MNT_DETACH), 0);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mounts),
		cmocka_unit_test(test_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
