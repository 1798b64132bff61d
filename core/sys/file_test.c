#include "base/mem.h"
#include "sys/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static char *dir;

static int set_up(void **state)
{
	char template[] = "/tmp/kgit-file-test-XXXXXX";

	(void)state;
	dir = kg_strdup(mkdtemp(template));
	return dir ? 0 : -1;
}

static int tear_down(void **state)
{
	struct kg_error err;
	int rc = kg_remove_tree(dir, &err);

	(void)state;
	free(dir);
	return rc;
}

static char *at(const char *name)
{
	static char path[4200];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void test_write_and_read(void **state)
{
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	struct kg_error err;
	struct stat st;

	(void)state;
	assert_int_equal(kg_file_write(at("f"), "one", 3, 0600, &err), 0);
	assert_int_equal(kg_file_read(&b, at("f"), 3, &err), 0);
	assert_string_equal(kg_buf_str(&b), "one");
	umask(077);
	assert_int_equal(kg_file_replace(at("f"), "three", 5, 0644, &err), 0);
	assert_int_equal(stat(at("f"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
	assert_int_equal(kg_file_read(&b, at("f"), 4, &err), -KG_E_TOO_LARGE);
	assert_int_equal(kg_file_read(&b, at("absent"), 4, &err), -KG_E_NOT_FOUND);
	assert_int_equal(kg_file_write(at("no/such"), "x", 1, 0644, &err), -KG_E_NOT_FOUND);
	/* A failed rename leaves no temporary file. */
	assert_int_equal(mkdir(at("d"), 0755), 0);
	assert_true(kg_file_write(at("d"), "x", 1, 0644, &err) < 0);
	assert_int_equal(rmdir(at("d")), 0);
	assert_int_equal(unlink(at("f")), 0);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(kg_file_read(&b, "/proc/self/status", 1 << 20, &err), 0);
	assert_true(b.len > 100);
}

static void test_mkdir_p(void **state)
{
	struct kg_error err;

	(void)state;
	assert_int_equal(kg_mkdir_p(at("a/b//c/"), 0755, &err), 0);
	assert_int_equal(kg_mkdir_p(at("a/b/c"), 0755, &err), 0);
	assert_true(kg_path_exists(at("a/b/c")));
	assert_int_equal(kg_file_replace(at("a/file"), "", 0, 0644, &err), 0);
	assert_true(kg_mkdir_p(at("a/file"), 0755, &err) < 0);
	assert_true(kg_mkdir_p(at("a/file/x"), 0755, &err) < 0);
}

static void test_remove_tree(void **state)
{
	struct kg_error err;
	int fd, sub;

	(void)state;
	assert_int_equal(kg_remove_tree(at("nothing"), &err), 0);
	assert_int_equal(kg_mkdir_p(at("outside"), 0755, &err), 0);
	assert_int_equal(kg_file_replace(at("outside/precious"), "x", 1, 0644, &err), 0);
	assert_int_equal(kg_mkdir_p(at("t/sub"), 0755, &err), 0);
	assert_int_equal(symlink("../outside", at("t/link")), 0);
	assert_int_equal(symlink("../../outside", at("t/sub/link")), 0);
	/* Deeper than there are fds or path bytes. */
	fd = open(at("t"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < 3000; i++) {
		assert_int_equal(mkdirat(fd, "deep", 0755), 0);
		sub = openat(fd, "deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(fd);
		fd = sub;
	}
	close(fd);
	for (int i = 0; i < 1500; i++) {
		char name[32];

		snprintf(name, sizeof(name), "t/sub/%d", i);
		assert_int_equal(kg_file_replace(at(name), "", 0, 0644, &err), 0);
	}
	assert_int_equal(kg_remove_tree(at("t"), &err), 0);
	assert_false(kg_path_exists(at("t")));
	assert_true(kg_path_exists(at("outside/precious")));
	/* The link itself, not what it names. */
	assert_int_equal(symlink("outside", at("link")), 0);
	assert_int_equal(kg_remove_tree(at("link"), &err), 0);
	assert_true(kg_path_exists(at("outside/precious")));
}

static void test_remove_tree_keeps_mounts(void **state)
{
	struct kg_error err;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(kg_mkdir_p(at("m/mount"), 0755, &err), 0);
	assert_int_equal(kg_mkdir_p(at("source"), 0755, &err), 0);
	assert_int_equal(kg_file_replace(at("source/precious"), "x", 1, 0644, &err), 0);
	char *source = kg_strdup(at("source"));
	int rc = mount(source, at("m/mount"), NULL, MS_BIND, NULL);
	free(source);
	if (rc < 0)
		skip();
	int removed = kg_remove_tree(at("m"), &err), top = kg_remove_tree(at("m/mount"), &err);
	umount2(at("m/mount"), MNT_DETACH);
	assert_true(removed < 0);
	assert_true(top < 0);
	assert_true(kg_path_exists(at("source/precious")));
}

static void test_self_dir(void **state)
{
	char *self = kg_self_dir();
	char *me = kg_asprintf("%s/file_test", self);

	(void)state;
	assert_true(kg_path_exists(me));
	free(self);
	free(me);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_write_and_read),
		cmocka_unit_test(test_mkdir_p),
		cmocka_unit_test(test_remove_tree),
		cmocka_unit_test(test_remove_tree_keeps_mounts),
		cmocka_unit_test(test_self_dir),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
