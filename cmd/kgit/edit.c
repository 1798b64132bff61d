#include "kgit/edit.h"

#include "store/store.h"
#include "sys/file.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FILES 200000
#define MAX_FILE  (4 << 20)

bool kgit_edit_flag(struct kgit_edit *e, int c, const char *arg)
{
	if (c == 'P')
		e->no_push = true;
	else if (c == 'D')
		e->dry_run = true;
	else
		return c == 'o' && kgit_push_option(&e->push_options, arg);
	return true;
}

/* ---- finding the manifest ---- */

struct found {
	char *path; /* from the top */
	struct kg_buf text;
};

static void found_release(struct found *f)
{
	free(f->path);
	kg_buf_release(&f->text);
}

static const char *text_at(const struct kg_yaml_node *node, const char *outer, const char *inner)
{
	const struct kg_yaml_node *v = NULL;

	for (uint32_t i = 0; node->type == KG_OBJECT && i < node->len && !v; i++)
		if (strcmp(node->members[i].key, outer) == 0)
			v = &node->members[i].value;
	if (v && inner)
		return text_at(v, inner, NULL);
	return v && v->type == KG_STRING ? kg_string(&v->scalar, "") : "";
}

static bool is_object(const struct kg_yaml_node *node, const struct kgit_object_name *o)
{
	const struct kg_kind *kind =
		kg_kind_by_api(text_at(node, "apiVersion", NULL), text_at(node, "kind", NULL));
	const char *ns = text_at(node, "metadata", "namespace");

	if (kind != o->kind || strcmp(text_at(node, "metadata", "name"), o->name) != 0)
		return false;
	return !*o->ns || strcmp(*ns ? ns : "default", o->ns) == 0;
}

/* The object's node among the documents, and the items of Lists. */
static const struct kg_yaml_node *find_node(
	const struct kg_yaml_node *docs, size_t n, const struct kgit_object_name *o)
{
	for (size_t i = 0; i < n; i++) {
		const struct kg_yaml_node *d = &docs[i];

		if (is_object(d, o))
			return d;
		for (uint32_t k = 0; d->type == KG_OBJECT && k < d->len; k++) {
			const struct kg_yaml_node *items = &d->members[k].value;

			if (strcmp(d->members[k].key, "items") != 0 || items->type != KG_ARRAY)
				continue;
			const struct kg_yaml_node *in = find_node(items->items, items->len, o);
			if (in)
				return in;
		}
	}
	return NULL;
}

static bool defines(const struct kg_buf *text, const struct kgit_object_name *o)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_yaml_node *docs;
	struct kg_error ignored; /* a file that is no YAML defines nothing; the push will tell */
	size_t n;

	/* Most files do not even hold the name. */
	return memmem(kg_buf_str(text), text->len, o->name, strlen(o->name)) &&
	       kg_yaml_parse(&docs, &n, &a, kg_buf_str(text), text->len, NULL, &ignored) == 0 &&
	       find_node(docs, n, o);
}

/* f->path stays NULL where no manifest defines it. */
static int find(
	struct found *f, const char *top, const struct kgit_object_name *o, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_tree_file *files;
	size_t n;
	int rc = kg_dir_manifests(&files, &n, &a, top, MAX_FILES, err);

	for (size_t i = 0; rc == 0 && i < n && !f->path; i++) {
		char *path KG_AUTOFREE = kg_asprintf("%s/%s", top, files[i].path);

		kg_buf_clear(&f->text);
		rc = kg_file_read(&f->text, path, MAX_FILE, err);
		if (rc == 0 && defines(&f->text, o))
			f->path = kg_strdup(files[i].path);
	}
	return rc;
}

/* ---- changing it ---- */

static int apply_one(struct kg_buf *text, const struct kgit_edit *e, const struct kgit_change *c,
	struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_buf out = KG_BUF_INIT;
	struct kg_yaml_node *docs;
	size_t n;
	int rc = kg_yaml_parse(&docs, &n, &a, kg_buf_str(text), text->len, NULL, err);

	if (rc == 0)
		rc = kgit_yaml_set(&out, kg_buf_str(text), text->len,
			find_node(docs, n, &e->object), c->path, c->n, &c->value, err);
	if (rc == 0) {
		struct kg_buf old = *text;
		*text = out;
		out = old;
	}
	kg_buf_release(&out);
	return rc;
}

static int change(struct kg_buf *text, const struct kgit_edit *e, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kgit_change changes[KGIT_EDIT_CHANGES];
	struct kg_yaml_node *docs;
	size_t n, count = 0;
	int rc = kg_yaml_parse(&docs, &n, &a, kg_buf_str(text), text->len, NULL, err);

	if (rc < 0)
		return rc;
	struct kg_value object = kg_yaml_value(&a, find_node(docs, n, &e->object));
	rc = e->changes(changes, &count, &a, &object, e->ctx, err);
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = apply_one(text, e, &changes[i], err);
	return rc;
}

static int write_file(
	const char *top, const char *path, const struct kg_buf *text, struct kg_error *err)
{
	char *full KG_AUTOFREE = kg_asprintf("%s/%s", top, path);
	char *dir KG_AUTOFREE = kg_strdup(full);
	struct stat st;
	mode_t mode = stat(full, &st) == 0 ? st.st_mode & 0777 : 0666;

	*strrchr(dir, '/') = '\0';
	int rc = kg_mkdir_p(dir, 0777, err);
	return rc < 0 ? rc : kg_file_replace(full, kg_buf_str(text), text->len, mode, err);
}

/* ---- committing ---- */

static int check_clean(const char *top, const char *path, struct kg_error *err)
{
	const char *argv[] = {"git", "-C", top, "diff", "--quiet", "HEAD", "--", path, NULL};

	if (kgit_git_text(NULL, argv, err) == 0)
		return 0;
	return kg_fail(err, KG_E_CONFLICT,
		"it has changes that are not committed: commit them, or take them back, first");
}

/* What is pushed is main; the commits of another branch are not to go there unasked. */
static int check_branch(const char *top, struct kg_error *err)
{
	const char *argv[] = {"git", "-C", top, "symbolic-ref", "-q", "--short", "HEAD", NULL};
	char *branch KG_AUTOFREE = NULL, *merge KG_AUTOFREE = NULL;
	struct kg_error none; /* no branch; no upstream */

	if (kgit_git_text(&branch, argv, &none) < 0)
		return kg_fail(err, KG_E_CONFLICT,
			"HEAD is on no branch, and what is pushed is main: git switch main first, "
			"or --no-push");
	char *key KG_AUTOFREE = kg_asprintf("branch.%s.merge", branch);
	const char *upstream[] = {"git", "-C", top, "config", "--get", key, NULL};

	if (strcmp(branch, "main") == 0 || (kgit_git_text(&merge, upstream, &none) == 0 &&
						   strcmp(merge, "refs/heads/main") == 0))
		return 0;
	return kg_fail(err, KG_E_CONFLICT,
		"this is branch %s, and what is pushed is main: git switch main first, or "
		"--no-push, and merge it",
		branch);
}

static void say_no_change(const char *top, const char *path)
{
	const char *argv[] = {"git", "-C", top, "rev-list", "--count",
		"refs/remotes/origin/main..HEAD", "--", path, NULL};
	char *count KG_AUTOFREE = NULL;
	struct kg_error none; /* no such remote */
	bool ahead = kgit_git_text(&count, argv, &none) == 0 && strcmp(count, "0") != 0;

	printf("no change: %s is so already%s\n", path,
		ahead ? ", in a commit that is not pushed: git push" : "");
}

/* With its directory where nothing else is in that. */
static int remove_file(char *full)
{
	int rc = unlink(full);

	*strrchr(full, '/') = '\0';
	rmdir(full);
	return rc;
}

/* Back to what was, after a commit that could not be pushed. */
static void take_back(
	const char *top, const char *path, const struct kg_buf *old, bool committed, bool was_there)
{
	const char *undo[] = {"git", "-C", top, "reset", "-q", "--soft", "HEAD~1", NULL};
	const char *unstage[] = {"git", "-C", top, "reset", "-q", "--", path, NULL};
	char *full KG_AUTOFREE = kg_asprintf("%s/%s", top, path);
	struct kg_error err;
	int rc = committed ? kgit_git_text(NULL, undo, &err) : 0;

	if (rc == 0)
		rc = kgit_git_text(NULL, unstage, &err);
	if (rc == 0)
		rc = was_there ? write_file(top, path, old, &err) : remove_file(full);
	if (rc < 0)
		fprintf(stderr, "kgit: %s could not be put back as it was; see git status\n", path);
}

static int commit(const char *top, const char *path, const char *message, struct kg_error *err)
{
	const char *add[] = {"git", "-C", top, "add", "--", path, NULL};
	const char *argv[] = {"git", "-C", top, "commit", "-q", "-m", message, "--", path, NULL};
	int rc = kgit_git_text(NULL, add, err);

	return rc < 0 ? rc : kgit_git_text(NULL, argv, err);
}

static int show(const char *top, const char *path, bool was_there)
{
	const char *argv[] = {"git", "-C", top, "--no-pager", "diff", "--", path, NULL};
	const char *fresh[] = {
		"git", "-C", top, "--no-pager", "diff", "--no-index", "/dev/null", path, NULL};

	kgit_git_loud(was_there ? argv : fresh);
	return 0;
}

static int store(const struct kgit_edit *e, const char *top, const struct found *f,
	const struct kg_buf *text, bool was_there)
{
	struct kg_error err;

	if (write_file(top, f->path, text, &err) < 0)
		return kgit_fail(&err);
	if (e->dry_run) {
		int rc = show(top, f->path, was_there);
		take_back(top, f->path, &f->text, false, was_there);
		return rc;
	}
	if (commit(top, f->path, e->message, &err) < 0) {
		take_back(top, f->path, &f->text, false, was_there);
		return kgit_fail(&err);
	}
	if (e->no_push) {
		printf("committed: %s (%s)\n", e->message, f->path);
		return 0;
	}
	int rc = kgit_push(top, "HEAD", &e->push_options);
	if (rc != 0) {
		take_back(top, f->path, &f->text, true, was_there);
		fprintf(stderr, "kgit: the push was refused: %s is as it was\n", f->path);
	} else if (kgit_push_is_dry(&e->push_options)) {
		take_back(top, f->path, &f->text, true, was_there);
	}
	return rc;
}

static int edit(struct kgit_edit *e, const char *top, struct found *f, struct kg_error *err)
{
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	int rc = find(f, top, &e->object, err);
	bool was_there = f->path != NULL;

	if (rc < 0)
		return rc;
	if (!was_there && !e->new_file) {
		char *words KG_AUTOFREE = kgit_object_words(&e->object);
		return kg_fail(err, KG_E_NOT_FOUND,
			"no manifest below %s defines %s; git pull brings what others pushed", top,
			words);
	}
	if (!e->dry_run && !e->no_push)
		rc = check_branch(top, err);
	if (rc == 0 && !was_there && e->may_make)
		rc = e->may_make(e->ctx, err);
	if (rc < 0)
		return rc;
	if (was_there) {
		rc = check_clean(top, f->path, err);
		kg_buf_add(&text, kg_buf_str(&f->text), f->text.len);
		if (rc == 0)
			rc = change(&text, e, err);
		if (rc < 0)
			return kg_wrap(err, "%s", f->path);
		if (text.len == f->text.len &&
			!memcmp(kg_buf_str(&text), kg_buf_str(&f->text), text.len)) {
			say_no_change(top, f->path);
			return 0;
		}
	} else {
		f->path = kg_strdup(e->new_file);
		kg_buf_adds(&text, e->new_text);
	}
	return store(e, top, f, &text, was_there);
}

int kgit_edit_run(struct kgit_edit *e)
{
	const char *argv[] = {"git", "rev-parse", "--show-toplevel", NULL};
	struct found f KG_CLEANUP(found_release) = {.text = KG_BUF_INIT};
	char *top KG_AUTOFREE = NULL;
	struct kg_error err;

	if (kgit_git_text(&top, argv, &err) < 0)
		return kgit_bad_usage(e->verb, "stand in a clone (kgit clone DIR): manifests are "
					       "changed and pushed from it");
	int rc = edit(e, top, &f, &err);
	return rc < 0 ? kgit_fail(&err) : rc;
}
