/* Paths within volumes, in a mount namespace of the test's own. */
#include "nodeagent/subpath.h"

#include "base/buf.h"
#include "base/mem.h"
#include "sys/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];

static const char *at(const char *name)
{
	static char path[4][256];
	static unsigned next;
	char *p = path[next++ % 4];

	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

static void make_dir(const char *name, mode_t mode)
{
	assert_int_equal(mkdir(at(name), 0700), 0);
	assert_int_equal(chmod(at(name), mode), 0);
}

static void make_file(const char *name)
{
	struct kg_error err;

	assert_int_equal(kg_file_replace(at(name), name, strlen(name), 0644, &err), 0);
}

static int set_up(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/kgit-subpath.XXXXXX");
	assert_non_null(mkdtemp(dir));
	assert_int_equal(unshare(CLONE_NEWNS), 0);
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	make_dir("outside", 0755);
	make_file("outside/secret");
	make_dir("v", 02770);
	make_dir("v/d", 0755);
	make_file("v/d/file");
	assert_int_equal(symlink("d", at("v/inside")), 0);
	assert_int_equal(symlink("../outside", at("v/up")), 0);
	assert_int_equal(symlink(at("outside"), at("v/absolute")), 0);
	assert_int_equal(symlink("d/nothing", at("v/dangling")), 0);
	assert_int_equal(symlink("../outside/new", at("v/lure")), 0);
	assert_int_equal(symlink("loop", at("v/loop")), 0);
	return 0;
}

static int tear_down(void **state)
{
	struct kg_error err;

	(void)state;
	return kg_remove_tree(dir, &err);
}

/* What is asked for, what of it is then at the target (a file there), or what is said. */
static const struct {
	const char *path, *there, *fault;
} cases[] = {
	{"d", "/file", NULL},
	{".", "/d/file", NULL},
	{"./d//", "/file", NULL},
	{"d/file", "", NULL},
	{"inside", "/file", NULL},
	{"inside/file", "", NULL},
	{"new", "", NULL},
	{"inside/some/more", "", NULL},
	{"up", NULL, "subPath \"up\" leads out of its volume"},
	{"up/secret", NULL, "subPath \"up/secret\" leads out of its volume"},
	{"absolute", NULL, "subPath \"absolute\" leads out of its volume"},
	{"up/made", NULL, "subPath \"up/made\" leads out of its volume"},
	{"lure", NULL, "subPath \"lure\" leads out of its volume"},
	{"lure/made", NULL, "subPath \"lure/made\" leads out of its volume"},
	{"loop", NULL, "subPath \"loop\" leads out of its volume"},
	{"dangling", NULL, "subPath \"dangling\": No such file or directory"},
	{"d/file/x", NULL, "subPath \"d/file/x\": Not a directory"},
};

static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_error err;
		int rc;

		assert_int_equal(mkdir(at("sub"), 0700), 0);
		rc = kg_subpath_mount(at("v"), cases[i].path, at("sub/0"), &err);
		if (cases[i].fault) {
			assert_true(rc < 0);
			assert_string_equal(err.msg, cases[i].fault);
		} else if (rc < 0) {
			fail_msg("%s: %s", cases[i].path, err.msg);
		} else {
			KG_AUTOFREE char *path = kg_asprintf("%s%s", at("sub/0"), cases[i].there);
			if (access(path, F_OK) < 0)
				fail_msg("%s: there is no %s", cases[i].path, path);
		}
		if (kg_subpaths_unmount(at("sub"), &err) < 0)
			fail_msg("%s", err.msg);
		assert_int_equal(access(at("sub"), F_OK), -1);
	}
	struct kg_error err;
	assert_int_equal(kg_subpaths_unmount(at("sub"), &err), 0);
	assert_int_equal(access(at("outside/new"), F_OK), -1);
	assert_int_equal(access(at("outside/made"), F_OK), -1);
	assert_int_equal(access(at("outside/secret"), F_OK), 0);
	assert_int_equal(access(at("v/d/file"), F_OK), 0);
}

/* What is made has the volume's mode, whatever the umask. */
static void test_mode(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(stat(at("v/new"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 02770);
	assert_int_equal(stat(at("v/d/some/more"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 02770);
}

static atomic_bool ends;

/* A container that has the volume exchanges a directory and a link to the outside. */
static void *exchange(void *ctx)
{
	KG_AUTOFREE char *a = kg_strdup(at("v/race")), *b = kg_strdup(at("v/race2"));

	(void)ctx;
	while (!atomic_load(&ends))
		if (renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) < 0)
			break;
	return NULL;
}

static void test_race(void **state)
{
	KG_AUTOFREE char *volume = kg_strdup(at("v")), *sub = kg_strdup(at("sub"));
	KG_AUTOFREE char *target = kg_strdup(at("sub/0"));
	KG_AUTOFREE char *secret = kg_asprintf("%s/secret", target);
	unsigned mounted = 0, refused = 0;
	pthread_t thread;
	struct kg_error err;

	(void)state;
	make_dir("v/race", 0755);
	assert_int_equal(symlink("../outside", at("v/race2")), 0);
	assert_int_equal(pthread_create(&thread, NULL, exchange, NULL), 0);
	for (int i = 0; i < 20000 && (i < 2000 || !mounted || !refused); i++) {
		assert_int_equal(kg_mkdir_p(sub, 0700, &err), 0);
		/* Half of them find nothing, and make it. */
		int rc = kg_subpath_mount(volume, i & 1 ? "race" : "race/new", target, &err);
		mounted += rc == 0;
		refused += rc < 0;
		assert_int_equal(access(secret, F_OK), -1);
		assert_int_equal(kg_subpaths_unmount(sub, &err), 0);
	}
	atomic_store(&ends, true);
	pthread_join(thread, NULL);
	assert_true(mounted > 0 && refused > 0);
	assert_int_equal(access(at("outside/new"), F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_mode),
		cmocka_unit_test(test_race),
	};

	if (geteuid() != 0) {
		puts("skipped: needs root");
		return 77;
	}
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
