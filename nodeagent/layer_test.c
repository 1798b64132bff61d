/* Layers made by libarchive, also such as nobody means well with. Root: owners and whiteouts. */
#include "nodeagent/layer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants those first */
#include <cmocka.h>

#include "base/hash.h"
#include "base/mem.h"
#include "nodeagent/image.h"
#include "sys/file.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

struct item {
	const char *path;
	char type;           /* f file, d directory, l symlink, h hard link, c device, p fifo */
	const char *content; /* or the link's target */
	unsigned mode;
};

static char base[64];

static void at(char *out, size_t n, const char *name)
{
	snprintf(out, n, "%s/%s", base, name);
}

static void write_item(struct archive *a, const struct item *it)
{
	struct archive_entry *e = archive_entry_new();
	archive_entry_set_pathname(e, it->path);
	archive_entry_set_mtime(e, 1000, 0);
	archive_entry_set_perm(e, it->mode ? it->mode : it->type == 'd' ? 0755 : 0644);
	archive_entry_set_uid(e, 12);
	archive_entry_set_gid(e, 34);
	size_t n = it->type == 'f' && it->content ? strlen(it->content) : 0;
	archive_entry_set_size(e, (la_int64_t)n);
	switch (it->type) {
	case 'd':
		archive_entry_set_filetype(e, AE_IFDIR);
		break;
	case 'l':
		archive_entry_set_filetype(e, AE_IFLNK);
		archive_entry_set_symlink(e, it->content);
		break;
	case 'h':
		archive_entry_set_hardlink(e, it->content);
		break;
	case 'c':
		archive_entry_set_filetype(e, AE_IFCHR);
		archive_entry_set_rdevmajor(e, it->content ? 1 : 0);
		archive_entry_set_rdevminor(e, it->content ? 3 : 0);
		break;
	case 'p':
		archive_entry_set_filetype(e, AE_IFIFO);
		break;
	default:
		archive_entry_set_filetype(e, AE_IFREG);
	}
	assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
	if (n)
		assert_int_equal(archive_write_data(a, it->content, n), n);
	archive_entry_free(e);
}

static int unpack(
	const struct item *items, const struct kg_layer_limits *limits, struct kg_error *err)
{
	char blob[128], dest[128];
	at(blob, sizeof(blob), "blob");
	at(dest, sizeof(dest), "in/layer");
	struct archive *a = archive_write_new();
	archive_write_add_filter_gzip(a);
	archive_write_set_format_pax_restricted(a);
	assert_int_equal(archive_write_open_filename(a, blob), ARCHIVE_OK);
	for (; items->path; items++)
		write_item(a, items);
	archive_write_close(a);
	archive_write_free(a);
	return kg_layer_unpack(blob, dest, NULL, limits, err);
}

static int set_up(void **state)
{
	char p[128];
	(void)state;
	snprintf(base, sizeof(base), "/tmp/kgit-layer-XXXXXX");
	assert_non_null(mkdtemp(base));
	at(p, sizeof(p), "in");
	mkdir(p, 0755);
	at(p, sizeof(p), "outside");
	int fd = open(p, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "safe", 4), 4);
	close(fd);
	return 0;
}

static int tear_down(void **state)
{
	struct kg_error err;
	(void)state;
	return kg_remove_tree(base, &err);
}

static void stat_in(struct stat *st, const char *path)
{
	char p[300];
	snprintf(p, sizeof(p), "%s/in/layer/%s", base, path);
	if (lstat(p, st) < 0)
		fail_msg("%s: %s", path, strerror(errno));
}

static void test_kinds(void **state)
{
	static const struct item items[] = {
		{"./", 'd', NULL, 0751},
		{"./bin/", 'd', NULL, 0},
		{"./bin/su", 'f', "program", 04755},
		{"./bin/link", 'l', "su", 0},
		{"./bin/hard", 'h', "./bin/su", 0},
		{"deep/er/file", 'f', "x", 0600}, /* parents are not in the archive */
		{"null", 'c', "1:3", 0666},
		{"fifo", 'p', NULL, 0},
		{".wh.gone", 'f', NULL, 0},
		{"bin/.wh..wh..opq", 'f', NULL, 0},
		{".wh..wh.plnk", 'f', NULL, 0},
		{"twice", 'd', NULL, 0},
		{"twice", 'f', "now a file", 0},
		{NULL, 0, NULL, 0},
	};
	struct kg_error err;
	struct stat st, hard;
	(void)state;
	if (unpack(items, NULL, &err) < 0)
		fail_msg("%s", err.msg);
	stat_in(&st, "bin/su");
	stat_in(&hard, "bin/hard");
	assert_int_equal(st.st_mode & 07777, 04755);
	assert_int_equal(st.st_uid, 12);
	assert_int_equal(st.st_gid, 34);
	assert_int_equal(st.st_mtime, 1000);
	assert_int_equal(st.st_ino, hard.st_ino);
	stat_in(&st, "");
	assert_int_equal(st.st_mode & 07777, 0751);
	stat_in(&st, "bin");
	assert_int_equal(st.st_mtime, 1000);
	stat_in(&st, "deep/er/file");
	stat_in(&st, "null");
	assert_true(S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3));
	stat_in(&st, "fifo");
	assert_true(S_ISFIFO(st.st_mode));
	stat_in(&st, "gone");
	assert_true(S_ISCHR(st.st_mode) && st.st_rdev == 0);
	stat_in(&st, "twice");
	assert_true(S_ISREG(st.st_mode));
	char p[128];
	at(p, sizeof(p), "in/layer/bin");
	assert_true(kg_layer_is_opaque(p));
	at(p, sizeof(p), "in/layer");
	assert_false(kg_layer_is_opaque(p));
	assert_true(kg_layer_is_native(p));
	at(p, sizeof(p), "in/layer/.wh..wh.plnk");
	assert_int_equal(access(p, F_OK), -1);
}

/* A layer with a program of the other word size, deep in it. */
static void test_foreign_program(void **state)
{
	static char elf[] = "\177ELF\1\1\1";
	const struct item items[] = {
		{"a", 'f', "\177ELF", 0}, {"opt/old/sh", 'f', elf, 0755}, {NULL, 0, NULL, 0}};
	struct kg_error err;
	char p[128];
	(void)state;
	elf[4] = sizeof(void *) == 8 ? 1 : 2;
	assert_int_equal(unpack(items, NULL, &err), 0);
	at(p, sizeof(p), "in/layer");
	assert_false(kg_layer_is_native(p));
}

/* Each is refused, or lands inside; the file outside stays as it is and nothing appears there. */
static void test_hostile(void **state)
{
	static const struct {
		struct item items[4];
		bool refused;
	} cases[] = {
		{{{"../evil", 'f', "x", 0}}, true},
		{{{"a/../../evil", 'f', "x", 0}}, true},
		{{{"/../evil", 'f', "x", 0}}, true},
		{{{"/evil", 'f', "x", 0}}, false},
		{{{"up", 'l', "..", 0}, {"up/evil", 'f', "x", 0}}, false},
		{{{"up", 'l', "../..", 0}, {"up/outside", 'f', "x", 0}}, false},
		{{{"abs", 'l', "/tmp", 0}, {"abs/evil", 'f', "x", 0}}, true},
		{{{"self", 'l', "/proc/self/cwd", 0}, {"self/evil", 'f', "x", 0}}, true},
		{{{"h", 'h', "../outside", 0}}, true},
		{{{"up", 'l', "..", 0}, {"h", 'h', "up/outside", 0}, {"h", 'f', "x", 0}}, true},
		{{{"f", 'l', "../outside", 0}, {"f", 'f', "x", 0}}, false},
		{{{"f", 'l', "../../outside", 0}, {"g", 'h', "f", 0}}, false},
		{{{"d", 'l', "/tmp", 0}, {"d", 'd', NULL, 0}}, false},
		{{{"w", 'c', NULL, 0}}, true},
		{{{".wh...", 'f', NULL, 0}}, true},
		{{{".wh..", 'f', NULL, 0}}, true},
		{{{".wh.", 'f', NULL, 0}}, true},
		{{{"x/.wh..wh..opq", 'f', NULL, 0}}, false},
		{{{"", 'f', "x", 0}}, true},
		{{{".", 'f', "x", 0}}, true},
	};
	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_error err;
		char p[128];
		int rc = unpack(cases[i].items, NULL, &err);
		if ((rc < 0) != cases[i].refused)
			fail_msg("case %zu (%s): %s", i, cases[i].items[0].path,
				rc < 0 ? err.msg : "taken");
		at(p, sizeof(p), "evil");
		assert_int_equal(access(p, F_OK), -1);
		at(p, sizeof(p), "in/evil");
		assert_int_equal(access(p, F_OK), -1);
		assert_int_equal(access("/tmp/evil", F_OK), -1);
		at(p, sizeof(p), "outside");
		struct stat st;
		assert_int_equal(stat(p, &st), 0);
		assert_int_equal(st.st_size, 4);
		assert_int_equal(st.st_nlink, 1);
		at(p, sizeof(p), "in/layer");
		if (rc < 0)
			assert_int_equal(access(p, F_OK), -1);
		assert_int_equal(kg_remove_tree(p, &err), 0);
	}
}

static void test_limits(void **state)
{
	static const struct item items[] = {
		{"a", 'f', "0123456789", 0}, {"b", 'f', "0123456789", 0}, {NULL, 0, NULL, 0}};
	struct kg_layer_limits bytes = {.bytes = 15}, entries = {.entries = 1};
	struct kg_error err;
	(void)state;
	assert_int_equal(unpack(items, &bytes, &err), -KG_E_TOO_LARGE);
	assert_int_equal(unpack(items, &entries, &err), -KG_E_TOO_LARGE);
	assert_int_equal(unpack(items, NULL, &err), 0);
}

static void test_digest_and_damage(void **state)
{
	static const struct item items[] = {{"a", 'f', "0123456789", 0}, {NULL, 0, NULL, 0}};
	char blob[128], dest[128], wrong[80] = "sha256:";
	struct kg_error err;
	(void)state;
	at(blob, sizeof(blob), "blob");
	at(dest, sizeof(dest), "in/other");
	assert_int_equal(unpack(items, NULL, &err), 0);
	memset(wrong + 7, '0', 64);
	assert_int_equal(kg_layer_unpack(blob, dest, wrong, NULL, &err), -KG_E_CORRUPT);
	assert_int_equal(access(dest, F_OK), -1);
	assert_int_equal(truncate(blob, 60), 0);
	assert_true(kg_layer_unpack(blob, dest, NULL, NULL, &err) < 0);
	assert_int_equal(access(dest, F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kinds, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_foreign_program, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_hostile, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_limits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_digest_and_damage, set_up, tear_down),
	};
	if (geteuid() != 0) {
		fprintf(stderr, "skipped: needs root\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
