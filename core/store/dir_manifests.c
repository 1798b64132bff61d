/* The manifests of a directory of files: what a push of it would carry. */
#include "store/manifests.h"

#include "base/mem.h"
#include "sys/file.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct walk {
	const char *root;
	struct kg_arena *a;
	struct kg_ignore ignore;
	struct kg_file_list manifests;
	size_t max_files, entries;
	struct kg_error *err;
};

static void walk_release(struct walk *w)
{
	kg_ignore_release(&w->ignore);
	free(w->manifests.items);
}

static char *below(const char *dir, const char *name)
{
	return *dir ? kg_asprintf("%s/%s", dir, name) : kg_strdup(name);
}

static int push_rules(struct walk *w, const char *dir)
{
	char *rel KG_AUTOFREE = below(dir, KG_IGNORE_FILE);
	char *path KG_AUTOFREE = kg_asprintf("%s/%s", w->root, rel);
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	struct stat st;

	if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	int rc = kg_file_read(&text, path, KG_IGNORE_MAX, w->err);
	if (rc == 0)
		kg_ignore_push(&w->ignore, dir, kg_buf_str(&text), text.len);
	return rc;
}

static int walk_dir(struct walk *w, const char *dir, unsigned depth);

static int walk_file(struct walk *w, const char *rel)
{
	if (!kg_manifest_is_path(rel))
		return 0;
	int rc = kg_check_path(rel, w->err);
	if (rc < 0)
		return rc;
	if (w->manifests.len >= w->max_files)
		return kg_too_many_files(w->max_files, w->err);
	kg_file_list_add(&w->manifests, w->a, rel, NULL);
	return 0;
}

static int walk_entry(struct walk *w, const char *dir, const char *name, unsigned depth)
{
	char *rel KG_AUTOFREE = below(dir, name);
	char *path KG_AUTOFREE = kg_asprintf("%s/%s", w->root, rel);
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : kg_fail_errno(w->err, "stat %s", path);
	if (++w->entries > KG_WALK_ENTRIES)
		return kg_fail(w->err, KG_E_TOO_LARGE, "more than %d files and directories",
			KG_WALK_ENTRIES);
	if (kg_ignore_matches(&w->ignore, rel, S_ISDIR(st.st_mode)))
		return 0;
	if (S_ISLNK(st.st_mode))
		return kg_link_is_hidden(name) ? 0 : kg_no_links(rel, w->err);
	if (S_ISREG(st.st_mode))
		return walk_file(w, rel);
	if (!S_ISDIR(st.st_mode) || name[0] == '.')
		return 0;
	return walk_dir(w, rel, depth + 1);
}

static int not_dots(const struct dirent *e)
{
	return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int walk_dir(struct walk *w, const char *dir, unsigned depth)
{
	char *path KG_AUTOFREE = *dir ? kg_asprintf("%s/%s", w->root, dir) : kg_strdup(w->root);
	size_t mark = w->ignore.len;
	struct dirent **names;
	int rc;

	if (depth > KG_WALK_DEPTH)
		return kg_fail(w->err, KG_E_INVALID, "%.200s...: more than %d directories deep",
			dir, KG_WALK_DEPTH);
	int n = scandir(path, &names, not_dots, by_bytes);
	if (n < 0)
		return kg_fail_errno(w->err, "read %s", path);
	rc = push_rules(w, dir);
	for (int i = 0; i < n; i++) {
		if (rc == 0)
			rc = walk_entry(w, dir, names[i]->d_name, depth);
		free(names[i]);
	}
	free(names);
	kg_ignore_pop(&w->ignore, mark);
	return rc;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(
		((const struct kg_tree_file *)a)->path, ((const struct kg_tree_file *)b)->path);
}

int kg_dir_manifests(struct kg_tree_file **out, size_t *n, struct kg_arena *a, const char *dir,
	size_t max_files, struct kg_error *err)
{
	struct kg_error why = {0};
	struct walk w KG_CLEANUP(walk_release) = {
		.root = dir, .a = a, .max_files = max_files ? max_files : SIZE_MAX, .err = &why};
	int rc = walk_dir(&w, "", 0);

	if (rc < 0)
		return kg_fail(err, why.code, "%s", why.msg);
	*n = w.manifests.len;
	*out = kg_arena_alloc(a, (*n ? *n : 1) * sizeof(**out));
	if (*n) {
		qsort(w.manifests.items, *n, sizeof(**out), by_path);
		memcpy(*out, w.manifests.items, *n * sizeof(**out));
	}
	return 0;
}
