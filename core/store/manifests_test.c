#include "store/ignore.h"
#include "store/private.h"
#include "store/test_support.h"

#include "base/hash.h"
#include "sys/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- .kgitignore ---- */

static const struct {
	const char *rules, *path;
	bool dir, ignored;
} ignore_cases[] = {
	{"a.yaml", "a.yaml", false, true},
	{"a.yaml", "x/y/a.yaml", false, true},
	{"/a.yaml", "a.yaml", false, true},
	{"/a.yaml", "x/a.yaml", false, false},
	{"x/a.yaml", "x/a.yaml", false, true},
	{"x/a.yaml", "y/x/a.yaml", false, false},
	{"*.yaml", "x/b.yaml", false, true},
	{"*.yaml", "x/b.yml", false, false},
	{"x/*.yaml", "x/y/b.yaml", false, false},
	{"x/**/*.yaml", "x/y/z/b.yaml", false, true},
	{"x/**/*.yaml", "x/b.yaml", false, true},
	{"**/b.yaml", "x/y/b.yaml", false, true},
	{"**/b.yaml", "b.yaml", false, true},
	{"x/**", "x/y", false, true},
	{"x/**", "x", true, false},
	{"charts/", "charts", true, true},
	{"charts/", "charts", false, false},
	{"charts/", "x/charts", false, false},
	{"?.yaml", "a.yaml", false, true},
	{"?.yaml", "ab.yaml", false, false},
	{"[ab].yaml", "b.yaml", false, true},
	{"[!ab].yaml", "b.yaml", false, false},
	{"[a-c]x", "bx", false, true},
	{"[[:digit:]]x", "7x", false, true},
	{"[]]x", "]x", false, true},
	{"[ab", "[ab", false, false},
	{"# comment", "# comment", false, false},
	{"\\#x", "#x", false, true},
	{"\\!x", "!x", false, true},
	{"x  ", "x", false, true},
	{"x\\ ", "x ", false, true},
	{"x\r", "x", false, true},
	{"*.yaml\n!keep.yaml", "keep.yaml", false, false},
	{"!keep.yaml\n*.yaml", "keep.yaml", false, true},
	{"\n\n/\n", "x", false, false},
	{"\xef\xbb\xbfx", "x", false, true},
	{"a**b", "axyb", false, true},
	{"a**/b", "a/b", false, true},
	{"x", "x/y", false, false},
	{"*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false, false},
};

/* Where git itself can be asked, it must say the same. */
static bool git_says(const char *dir, const char *rules, const char *path, bool is_dir)
{
	char *file KG_AUTOFREE = kg_asprintf("%s/.gitignore", dir);
	char *made KG_AUTOFREE = is_dir ? kg_asprintf("%s/%s", dir, path) : NULL;
	struct kg_error err = {0};

	if (made)
		assert_int_equal(kg_mkdir_p(made, 0755, &err), 0);
	assert_int_equal(kg_file_replace(file, rules, strlen(rules), 0644, &err), 0);
	bool says = TEST_GIT(NULL, dir, "check-ignore", "-q", "--no-index", "--", path) == 0;
	if (made)
		assert_int_equal(rmdir(made), 0);
	return says;
}

static void test_ignore(void **state)
{
	char *dir = test_dir();

	(void)state;
	assert_int_equal(TEST_GIT(NULL, dir, "init", "-q", "."), 0);
	for (size_t i = 0; i < KG_ARRAY_LEN(ignore_cases); i++) {
		const char *rules = ignore_cases[i].rules, *path = ignore_cases[i].path;
		struct kg_ignore ig = KG_IGNORE_INIT;

		kg_ignore_push(&ig, "", rules, strlen(rules));
		bool got = kg_ignore_matches(&ig, path, ignore_cases[i].dir);
		if (got != ignore_cases[i].ignored)
			fail_msg("case %zu: \"%s\" on %s", i, rules, path);
		/* git asks about parents too, which the walks do by themselves. */
		if (strcmp(rules, "x") != 0 &&
			git_says(dir, rules, path, ignore_cases[i].dir) != got)
			fail_msg("case %zu: git differs: \"%s\" on %s", i, rules, path);
		kg_ignore_release(&ig);
	}
	test_dir_remove(dir);
}

static void test_ignore_levels(void **state)
{
	struct kg_ignore ig = KG_IGNORE_INIT;

	(void)state;
	kg_ignore_push(&ig, "", "*.yaml\n", 7);
	size_t mark = kg_ignore_push(&ig, "a/b", "!/keep.yaml\n", 12);
	assert_false(kg_ignore_matches(&ig, "a/b/keep.yaml", false));
	assert_true(kg_ignore_matches(&ig, "a/b/c/keep.yaml", false));
	kg_ignore_pop(&ig, mark);
	assert_true(kg_ignore_matches(&ig, "a/b/keep.yaml", false));
	kg_ignore_release(&ig);
}

/* ---- commits ---- */

static struct kg_store *open_store(const char *dir)
{
	struct kg_store_options opts = {.create = true, .cluster_id = TEST_CLUSTER};
	struct kg_store *s = NULL;
	struct kg_error err = {0};

	if (kg_store_open(&s, dir, &opts, NULL, &err) != 0)
		fail_msg("%s", err.msg);
	return s;
}

/* An object written by git itself into dir (or its quarantine). */
static void hash_object(char id[41], const char *dir, const char *objects, const char *type,
	const void *data, size_t len)
{
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;
	struct kg_error err = {0};
	char *path KG_AUTOFREE = kg_asprintf("%s/tmp-object", dir);

	if (objects)
		setenv("GIT_OBJECT_DIRECTORY", objects, 1);
	assert_int_equal(kg_file_replace(path, data, len, 0644, &err), 0);
	assert_int_equal(
		TEST_GIT(&out, dir, "hash-object", "-w", "--literally", "-t", type, path), 0);
	unsetenv("GIT_OBJECT_DIRECTORY");
	unlink(path);
	memcpy(id, out.data, 40);
	id[40] = '\0';
}

struct file {
	const char *mode, *name, *text; /* text NULL: of a directory, the previous tree made */
};

static void make_tree(char id[41], const char *dir, const char *objects, const struct file *files,
	size_t n, const char *sub)
{
	struct kg_buf tree KG_AUTOBUF = KG_BUF_INIT;

	for (size_t i = 0; i < n; i++) {
		char hex[41];
		unsigned char raw[20];

		if (files[i].text)
			hash_object(
				hex, dir, objects, "blob", files[i].text, strlen(files[i].text));
		else
			memcpy(hex, sub, 41);
		kg_unhex(raw, 20, hex);
		kg_buf_addf(&tree, "%s %s%c", files[i].mode, files[i].name, 0);
		kg_buf_add(&tree, raw, 20);
	}
	hash_object(id, dir, objects, "tree", tree.len ? tree.data : "", tree.len);
}

static void make_commit(char id[41], const char *dir, const char *objects, const char *tree)
{
	char *text KG_AUTOFREE = kg_asprintf(
		"tree %s\nauthor a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\nm\n", tree);

	hash_object(id, dir, objects, "commit", text, strlen(text));
}

static void commit_files(
	char id[41], const char *dir, const struct file *files, size_t n, const char *sub)
{
	char tree[41];

	make_tree(tree, dir, NULL, files, n, sub);
	make_commit(id, dir, NULL, tree);
}

static void join(struct kg_buf *out, const struct kg_tree_delta *d)
{
	kg_buf_clear(out);
	for (size_t i = 0; i < d->nremoved; i++)
		kg_buf_addf(out, "-%s ", d->removed[i].path);
	for (size_t i = 0; i < d->nwritten; i++)
		kg_buf_addf(out, "+%s ", d->written[i].path);
	kg_buf_addf(out, "of %zu%s", d->total, d->all ? " all" : "");
}

static void check_delta(struct kg_store *s, const char *before, const char *after, const char *want)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_buf got KG_AUTOBUF = KG_BUF_INIT;
	struct kg_tree_delta d;
	struct kg_error err = {0};

	if (kg_store_tree_delta(&d, s, &a, before, after, NULL, 100, &err) != 0)
		fail_msg("%s", err.msg);
	join(&got, &d);
	assert_string_equal(kg_buf_str(&got), want);
}

static void test_delta(void **state)
{
	char *dir = test_dir();
	struct kg_store *s = open_store(dir);
	char sub[41], one[41], two[41], three[41], four[41];

	(void)state;
	make_tree(sub, dir, NULL,
		(struct file[]){{"100644", "README.md", "r"}, {"100644", "in.json", "{}"}}, 2,
		NULL);
	commit_files(one, dir,
		(struct file[]){{"40000", ".hidden", NULL}, {"100644", "a.yaml", "a"},
			{"100755", "b.yml", "b"}, {"40000", "dir", NULL}},
		4, sub);
	check_delta(s, "", one, "+a.yaml +b.yml +dir/in.json of 3");
	check_delta(s, one, one, "of 3");
	check_delta(s, one, "", "-a.yaml -b.yml -dir/in.json of 0");
	commit_files(two, dir,
		(struct file[]){{"100644", "b.yml", "b2"}, {"100644", "c.yaml", "c"},
			{"40000", "dir", NULL}},
		3, sub);
	check_delta(s, one, two, "-a.yaml +b.yml +c.yaml of 3");
	commit_files(three, dir,
		(struct file[]){{"100644", ".kgitignore", "/dir\n"}, {"100644", "b.yml", "b2"},
			{"100644", "c.yaml", "c"}, {"40000", "dir", NULL}},
		4, sub);
	check_delta(s, two, three, "-dir/in.json +b.yml +c.yaml of 2 all");
	check_delta(s, three, two, "+b.yml +c.yaml +dir/in.json of 3 all");
	make_tree(sub, dir, NULL, (struct file[]){{"100644", "settings.yaml", "{}"}}, 1, NULL);
	commit_files(four, dir,
		(struct file[]){{"40000", ".kgit", NULL}, {"100644", "b.yml", "b2"}}, 2, sub);
	check_delta(s, two, four, "-c.yaml -dir/in.json +b.yml of 1 all");
	kg_store_close(s);
	test_dir_remove(dir);
}

static const struct {
	struct file files[3];
	size_t n;
	int code;
	const char *says;
} bad_cases[] = {
	{{{"120000", "link.yaml", "target"}}, 1, KG_E_INVALID, "link.yaml: a symbolic link"},
	{{{"120000", "README", "target"}}, 1, KG_E_INVALID, "README: a symbolic link"},
	{{{"120000", ".kgitignore", "x"}}, 1, KG_E_INVALID, ".kgitignore: a symbolic link"},
	{{{"120000", ".kgit", "x"}}, 1, KG_E_INVALID, ".kgit: a symbolic link"},
	{{{"120000", ".envrc", "x"}}, 1, 0, NULL},
	{{{"100644", ".kgitignore", "/docs\n"}, {"120000", "docs", "x"}}, 2, 0, NULL},
	{{{"160000", "module", "x"}}, 1, KG_E_INVALID, "module: a submodule"},
	{{{"100644", "..", "x"}}, 1, KG_E_INVALID, "..: not a name"},
	{{{"100644", ".Git", "x"}}, 1, KG_E_INVALID, ".Git: not a name"},
	{{{"100644", "a/b.yaml", "x"}}, 1, KG_E_INVALID, "a/b.yaml: not a name"},
	{{{"100644", "a.yaml", "x"}, {"100644", "a.yaml", "y"}}, 2, KG_E_INVALID, "a.yaml: twice"},
	{{{"100644", "d", "x"}, {"100644", "d.yaml", "y"}, {"40000", "d", NULL}}, 3, KG_E_INVALID,
		"d: twice"},
	{{{"100644", "b.yaml", "x"}, {"100644", "a.yaml", "y"}}, 2, KG_E_INVALID,
		"a.yaml: out of order"},
	{{{"100664", "a.yaml", "x"}}, 1, KG_E_INVALID, "a.yaml: neither"},
	{{{"100644", "a\x01.yaml", "x"}}, 1, KG_E_INVALID, "UTF-8"},
	{{{"100644", "a\xff.yaml", "x"}}, 1, KG_E_INVALID, "UTF-8"},
	{{{"100644", "\xc3\xa4.yaml", "x"}}, 1, 0, NULL},
};

static void test_bad_trees(void **state)
{
	char *dir = test_dir();
	struct kg_store *s = open_store(dir);
	char empty[41];

	(void)state;
	make_tree(empty, dir, NULL, NULL, 0, NULL);
	for (size_t i = 0; i < KG_ARRAY_LEN(bad_cases); i++) {
		struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
		struct kg_tree_delta d;
		struct kg_error err = {0};
		char id[41];

		commit_files(id, dir, bad_cases[i].files, bad_cases[i].n, empty);
		int rc = kg_store_tree_delta(&d, s, &a, "", id, NULL, 100, &err);
		assert_int_equal(rc, -bad_cases[i].code);
		if (rc && !strstr(err.msg, bad_cases[i].says))
			fail_msg("case %zu: %s", i, err.msg);
	}
	kg_store_close(s);
	test_dir_remove(dir);
}

/* Ten trees that name 10^9 paths. */
static void test_tree_bomb(void **state)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	char *dir = test_dir();
	struct kg_store *s = open_store(dir);
	struct file files[10];
	char names[10][8], tree[41], id[41];
	struct kg_tree_delta d;
	struct kg_error err = {0};

	(void)state;
	make_tree(tree, dir, NULL, (struct file[]){{"100644", "x.txt", "x"}}, 1, NULL);
	for (int i = 0; i < 10; i++) {
		snprintf(names[i], sizeof(names[i]), "d%d", i);
		files[i] = (struct file){"40000", names[i], NULL};
	}
	for (int level = 0; level < 9; level++)
		make_tree(tree, dir, NULL, files, 10, memcpy(id, tree, 41));
	make_commit(id, dir, NULL, tree);
	assert_int_equal(kg_store_tree_delta(&d, s, &a, "", id, NULL, 1000, &err), -KG_E_TOO_LARGE);
	/* And a plain too many. */
	commit_files(id, dir, (struct file[]){{"100644", "a.yaml", "a"}, {"100644", "b.yaml", "b"}},
		2, NULL);
	assert_int_equal(kg_store_tree_delta(&d, s, &a, "", id, NULL, 1, &err), -KG_E_TOO_LARGE);
	assert_int_equal(kg_store_tree_delta(&d, s, &a, "", id, NULL, 2, &err), 0);
	kg_store_close(s);
	test_dir_remove(dir);
}

/* Objects of a push that is not accepted yet lie in a directory of their own. */
static void test_quarantine(void **state)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	char *dir = test_dir();
	struct kg_store *s = open_store(dir);
	char *objects KG_AUTOFREE = kg_asprintf("%s/objects/tmp_objdir-incoming-x", dir);
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	struct kg_tree_delta d;
	struct kg_error err = {0};
	char tree[41], id[41];
	bool is = false;

	(void)state;
	assert_int_equal(kg_mkdir_p(objects, 0755, &err), 0);
	make_tree(tree, dir, objects, (struct file[]){{"100644", "a.yaml", "hello"}}, 1, NULL);
	make_commit(id, dir, objects, tree);
	assert_int_equal(kg_store_tree_delta(&d, s, &a, "", id, NULL, 100, &err), -KG_E_NOT_FOUND);
	assert_int_equal(kg_store_tree_delta(&d, s, &a, "", id, objects, 100, &err), 0);
	assert_int_equal(d.nwritten, 1);
	assert_int_equal(kg_store_read_blob(&text, s, d.written[0].blob, objects, 100, &err), 0);
	assert_string_equal(kg_buf_str(&text), "hello");
	assert_int_equal(
		kg_store_read_blob(&text, s, d.written[0].blob, objects, 4, &err), -KG_E_TOO_LARGE);
	assert_int_equal(kg_store_is_ancestor(&is, s, id, id, objects, &err), 0);
	assert_true(is);
	kg_store_close(s);
	test_dir_remove(dir);
}

static void write_at(const char *dir, const char *name, const char *text)
{
	char *path KG_AUTOFREE = kg_asprintf("%s/%s", dir, name);
	char *parent KG_AUTOFREE = kg_strdup(path);
	struct kg_error err = {0};

	*strrchr(parent, '/') = '\0';
	assert_int_equal(kg_mkdir_p(parent, 0755, &err), 0);
	assert_int_equal(kg_file_replace(path, text, strlen(text), 0644, &err), 0);
}

static void test_directory(void **state)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	char *dir = test_dir();
	struct kg_tree_file *files;
	struct kg_error err = {0};
	size_t n;

	(void)state;
	write_at(dir, "b.yaml", "b");
	write_at(dir, "a/c.yml", "c");
	write_at(dir, "a.json", "{}");
	write_at(dir, "notes.txt", "");
	write_at(dir, ".git/x.yaml", "");
	write_at(dir, ".github/x.yaml", "");
	write_at(dir, "vendor/x.yaml", "");
	write_at(dir, ".kgitignore", "vendor/\n");
	assert_int_equal(kg_dir_manifests(&files, &n, &a, dir, 10, &err), 0);
	assert_int_equal(n, 3);
	assert_string_equal(files[0].path, "a.json");
	assert_string_equal(files[1].path, "a/c.yml");
	assert_string_equal(files[2].path, "b.yaml");
	assert_int_equal(kg_dir_manifests(&files, &n, &a, dir, 2, &err), -KG_E_TOO_LARGE);
	char *hidden KG_AUTOFREE = kg_asprintf("%s/.envrc", dir);
	char *ignored KG_AUTOFREE = kg_asprintf("%s/vendor", dir);
	assert_int_equal(symlink("x", hidden), 0);
	assert_int_equal(kg_remove_tree(ignored, &err), 0);
	assert_int_equal(symlink("x", ignored), 0);
	write_at(dir, ".kgitignore", "vendor\n");
	assert_int_equal(kg_dir_manifests(&files, &n, &a, dir, 10, &err), 0);
	assert_int_equal(n, 3);
	char *link KG_AUTOFREE = kg_asprintf("%s/a/l.yaml", dir);
	assert_int_equal(symlink("c.yml", link), 0);
	assert_int_equal(kg_dir_manifests(&files, &n, &a, dir, 10, &err), -KG_E_INVALID);
	assert_non_null(strstr(err.msg, "a/l.yaml: a symbolic link"));
	test_dir_remove(dir);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ignore),
		cmocka_unit_test(test_ignore_levels),
		cmocka_unit_test(test_delta),
		cmocka_unit_test(test_bad_trees),
		cmocka_unit_test(test_tree_bomb),
		cmocka_unit_test(test_quarantine),
		cmocka_unit_test(test_directory),
	};

	kg_kinds_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
