#include "nodeagent/view.h"
#include "base/mem.h"
#include "sys/file.h"
#include "view_private.h"

#include <dirent.h>
#include <git2/sys/mempack.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define REF       "refs/heads/view"
#define MAX_PACKS 32

int kg_view_fail(struct kg_error *err, const char *what)
{
	const git_error *e = git_error_last();

	return kg_fail(err, KG_E_CORRUPT, "%s: %s", what, e && e->message ? e->message : "failed");
}

static void init_git(void)
{
	git_libgit2_init();
	/* Every object is read once, and what a crash loses is pulled again. */
	git_libgit2_opts(GIT_OPT_ENABLE_CACHING, 0);
	git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, GIT_CONFIG_LEVEL_GLOBAL, "");
	git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, GIT_CONFIG_LEVEL_XDG, "");
	git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, GIT_CONFIG_LEVEL_SYSTEM, "");
	git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
}

static void forget_unsaved(struct kg_view *v)
{
	for (size_t i = 0; i < v->nunsaved; i++)
		kg_buf_release(&v->unsaved[i]);
	v->nunsaved = 0;
}

static void close_repo(struct kg_view *v)
{
	forget_unsaved(v);
	git_odb_free(v->odb);
	git_repository_free(v->repo);
	v->odb = NULL;
	v->repo = NULL;
}

/* The objects of unsaved packs are looked for first; its memory belongs to the odb. */
static bool add_memory(struct kg_view *v)
{
	return git_mempack_new(&v->memory) == 0 && git_odb_add_backend(v->odb, v->memory, 999) == 0;
}

static bool open_repo(struct kg_view *v)
{
	git_oid oid;
	git_commit *commit;

	v->commit[0] = '\0';
	if (git_repository_open_bare(&v->repo, v->path) < 0 ||
		git_repository_odb(&v->odb, v->repo) < 0 || !add_memory(v))
		return false;
	if (git_reference_name_to_id(&oid, v->repo, REF) < 0)
		return true; /* nothing pulled yet */
	if (git_commit_lookup(&commit, v->repo, &oid) < 0)
		return false;
	git_commit_free(commit);
	git_oid_tostr(v->commit, sizeof(v->commit), &oid);
	return true;
}

int kg_view_reset(struct kg_view *v, struct kg_error *err)
{
	int rc;

	close_repo(v);
	v->commit[0] = '\0';
	rc = kg_remove_tree(v->path, err);
	if (rc < 0)
		return rc;
	if (git_repository_init(&v->repo, v->path, true) < 0 ||
		git_repository_odb(&v->odb, v->repo) < 0 || !add_memory(v))
		return kg_view_fail(err, v->path);
	return 0;
}

int kg_view_open(struct kg_view **out, const char *dir, struct kg_error *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct kg_view *v = kg_alloc(sizeof(*v));

	pthread_once(&once, init_git);
	v->path = kg_asprintf("%s/view.git", dir);
	if (!open_repo(v)) {
		int rc = kg_view_reset(v, err);

		if (rc < 0) {
			kg_view_free(v);
			return rc;
		}
	}
	*out = v;
	return 0;
}

void kg_view_free(struct kg_view *v)
{
	struct kg_map_entry *e;

	if (!v)
		return;
	for (size_t k = 0; k < KG_ARRAY_LEN(v->files); k++) {
		for (size_t i = 0; (e = kg_map_next(&v->files[k], &i));)
			kg_doc_unref(e->value);
		kg_map_release(&v->files[k]);
	}
	kg_doc_unref(v->node);
	close_repo(v);
	free(v->unsaved);
	free(v->path);
	free(v);
}

const char *kg_view_commit(const struct kg_view *v)
{
	return v->commit;
}

/* ---- packs: one a pull, so that they are put together now and then ---- */

static size_t count_packs(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	size_t n = 0;

	while (d && (e = readdir(d))) {
		size_t len = strlen(e->d_name);

		n += len > 5 && strcmp(e->d_name + len - 5, ".pack") == 0;
	}
	if (d)
		closedir(d);
	return n;
}

/* Removes every pack but the one whose name holds `keep`. */
static void remove_packs(const char *dir, const char *keep)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		KG_AUTOFREE char *path = kg_asprintf("%s/%s", dir, e->d_name);

		if (strncmp(e->d_name, "pack-", 5) == 0 && !strstr(e->d_name, keep))
			remove(path);
	}
	if (d)
		closedir(d);
}

static int write_one_pack(
	struct kg_view *v, const git_oid *commit, const char *dir, struct kg_error *err)
{
	git_packbuilder *pb = NULL;
	char name[GIT_OID_HEXSZ + 1] = "";

	if (git_packbuilder_new(&pb, v->repo) < 0)
		return kg_view_fail(err, "pack the view");
	int rc = git_packbuilder_insert_commit(pb, commit);
	if (rc == 0)
		rc = git_packbuilder_write(pb, dir, 0, NULL, NULL);
	if (rc == 0)
		git_oid_tostr(name, sizeof(name), git_packbuilder_hash(pb));
	git_packbuilder_free(pb);
	if (rc < 0)
		return kg_view_fail(err, "pack the view");
	remove_packs(dir, name);
	return 0;
}

static int consolidate(struct kg_view *v, struct kg_error *err)
{
	KG_AUTOFREE char *dir = kg_asprintf("%s/objects/pack", v->path);
	git_oid oid;

	if (count_packs(dir) <= MAX_PACKS)
		return 0;
	git_oid_fromstr(&oid, v->commit);
	int rc = write_one_pack(v, &oid, dir, err);
	if (rc < 0)
		return rc;
	close_repo(v); /* it has the old packs open */
	return open_repo(v) ? 0 : kg_view_fail(err, v->path);
}

static int save_ref(struct kg_view *v, struct kg_error *err)
{
	KG_AUTOFREE char *path = kg_asprintf("%s/" REF, v->path);
	char line[GIT_OID_HEXSZ + 2];

	snprintf(line, sizeof(line), "%s\n", v->commit);
	return kg_file_replace(path, line, strlen(line), 0644, err);
}

int kg_view_save(struct kg_view *v, struct kg_error *err)
{
	int rc = 0;

	if (!*v->commit)
		return 0;
	for (size_t i = 0; i < v->nunsaved && rc == 0; i++)
		rc = kg_view_write_pack(v, v->unsaved[i].data, v->unsaved[i].len, err);
	if (rc == 0)
		rc = save_ref(v, err);
	if (rc < 0)
		return kg_wrap(err, "save the view");
	if (v->nunsaved)
		git_mempack_reset(v->memory);
	forget_unsaved(v);
	return consolidate(v, err);
}
