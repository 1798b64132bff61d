/* The files of volumes that are made of objects, and an agent that was killed while it made them.
 */
#include "nodeagent/payload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants those first */
#include <cmocka.h>

#include "base/buf.h"
#include "sys/file.h"

#include <dirent.h>
#include <string.h>
#include <unistd.h>

static char *make_dir(void)
{
	char *dir = kg_strdup("/tmp/kgit-payload-XXXXXX");
	assert_non_null(mkdtemp(dir));
	return dir;
}

static void remove_dir(char *dir)
{
	struct kg_error err;
	if (kg_remove_tree(dir, &err) < 0)
		fail_msg("%s", err.msg);
	free(dir);
}

/* Of name and text, one after the other, up to NULL. */
static void write_payload(const char *dir, const char *const *files)
{
	struct kg_payload p KG_CLEANUP(kg_payload_release) = {0};
	struct kg_error err;
	for (; *files; files += 2)
		if (kg_payload_add(&p, files[0], files[1], strlen(files[1]), 0644, &err) < 0)
			fail_msg("%s", err.msg);
	if (kg_payload_write(dir, &p, -1, &err) < 0)
		fail_msg("%s", err.msg);
}

static void expect(const char *dir, const char *name, const char *text)
{
	KG_AUTOFREE char *path = kg_asprintf("%s/%s", dir, name);
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	struct kg_error err;
	if (kg_file_read(&b, path, 1000, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(kg_buf_str(&b), text);
}

static unsigned count(const char *dir)
{
	DIR *d = opendir(dir);
	unsigned n = 0;
	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static void unlink_in(const char *dir, const char *name)
{
	KG_AUTOFREE char *path = kg_asprintf("%s/%s", dir, name);
	assert_int_equal(unlink(path), 0);
}

static void test_content_follows(void **state)
{
	static const char *const first[] = {"a", "1", "sub/b", "2", NULL};
	static const char *const second[] = {"a", "3", NULL};
	char *dir = make_dir();
	(void)state;
	write_payload(dir, first);
	expect(dir, "a", "1");
	expect(dir, "sub/b", "2");
	assert_int_equal(count(dir), 4); /* ..data, what it links to, two links */
	write_payload(dir, second);
	expect(dir, "a", "3");
	assert_int_equal(count(dir), 3);
	remove_dir(dir);
}

/* Killed once `..data` was there and nothing else: what is missing is made, what is left goes. */
static void test_killed_before_links(void **state)
{
	static const char *const files[] = {"a", "1", "sub/b", "2", NULL};
	char *dir = make_dir();
	(void)state;
	write_payload(dir, files);
	unlink_in(dir, "a");
	unlink_in(dir, "sub");
	KG_AUTOFREE char *old = kg_asprintf("%s/..0123456789abcdef", dir);
	struct kg_error err;
	assert_int_equal(kg_mkdir_p(old, 0755, &err), 0);
	write_payload(dir, files);
	expect(dir, "a", "1");
	expect(dir, "sub/b", "2");
	assert_int_equal(count(dir), 4);
	remove_dir(dir);
}

/* The power went: the names are there, and what was in the files is not. */
static void test_power_cut(void **state)
{
	static const char *const files[] = {"a", "1", "empty", "", "sub/b", "2", NULL};
	static const char *const hurt[] = {"a", "..data/sub/b"};
	char *dir = make_dir();
	(void)state;
	write_payload(dir, files);
	for (size_t i = 0; i < KG_ARRAY_LEN(hurt); i++) {
		KG_AUTOFREE char *path = kg_asprintf("%s/%s", dir, hurt[i]);
		assert_int_equal(truncate(path, 0), 0);
		write_payload(dir, files);
		expect(dir, "a", "1");
		expect(dir, "empty", "");
		expect(dir, "sub/b", "2");
	}
	remove_dir(dir);
}

static void test_longest_name(void **state)
{
	char name[254];
	const char *files[] = {name, "1", NULL};
	char *dir = make_dir();
	(void)state;
	memset(name, 'k', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	write_payload(dir, files);
	expect(dir, name, "1");
	remove_dir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_content_follows),
		cmocka_unit_test(test_killed_before_links),
		cmocka_unit_test(test_power_cut),
		cmocka_unit_test(test_longest_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
