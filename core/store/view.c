#include "store/view.h"

#include "base/hash.h"
#include "base/mem.h"
#include "store/commit_text.h"
#include "store/fan.h"
#include "value/yaml.h"

#include <stdio.h>
#include <string.h>

#define SMALL_FILE 65536

static int read_yaml(struct kg_value *out, struct kg_arena *a, const struct kg_reader *r,
	const unsigned char id[20], const char *name, struct kg_error *err)
{
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	int rc = kg_reader_blob(&text, r, id, SMALL_FILE, err);

	if (rc == 0)
		rc = kg_yaml_load(out, a, kg_buf_str(&text), text.len, err);
	return rc < 0 ? kg_wrap(err, "%s", name) : 0;
}

static int read_clock(struct kg_view *v, const struct kg_reader *r, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value clock;
	int rc = read_yaml(&clock, &a, r, v->clock_blob, "clock.yaml", err);

	if (rc < 0)
		return rc;
	int64_t revision = kg_int(kg_get(&clock, "revision"), -1);
	if (revision < 0 || kg_time_parse(&v->time, kg_string(kg_get(&clock, "time"), "")) < 0)
		return kg_fail(err, KG_E_CORRUPT, "clock.yaml without a time or a revision");
	v->revision = (uint64_t)revision;
	snprintf(v->main_commit, sizeof(v->main_commit), "%s",
		kg_string(kg_get(&clock, "main"), ""));
	return 0;
}

static int read_cluster(struct kg_view *v, const struct kg_reader *r, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value cluster;
	int rc = read_yaml(&cluster, &a, r, v->cluster_blob, "cluster.yaml", err);

	if (rc < 0)
		return rc;
	const char *id = kg_string(kg_get(&cluster, "id"), "");
	if (strlen(id) != sizeof(v->cluster_id) - 1)
		return kg_fail(err, KG_E_CORRUPT, "cluster.yaml: id \"%s\" is not a UUID", id);
	memcpy(v->cluster_id, id, sizeof(v->cluster_id));
	return 0;
}

static int check_format(struct kg_view *v, const struct kg_reader *r, struct kg_error *err)
{
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	int rc = kg_reader_blob(&text, r, v->format_blob, SMALL_FILE, err);

	if (rc < 0)
		return kg_wrap(err, "format");
	for (v->format = 1; v->format <= KG_STORE_FORMAT_NUMBER; v->format++) {
		char known[16];

		snprintf(known, sizeof(known), "%d\n", v->format);
		if (strcmp(kg_buf_str(&text), known) == 0)
			return 0;
	}
	return kg_fail(err, KG_E_UNSUPPORTED,
		"the state has format %.20s, this kgit reads formats up to " KG_STORE_FORMAT,
		kg_buf_str(&text));
}

static int read_root(struct kg_view *v, const struct kg_reader *r, struct kg_error *err)
{
	git_odb_object *root KG_AUTOOBJ = NULL;
	struct kg_tree_entry e;
	size_t pos = 0;
	unsigned files = 0;
	struct {
		const char *name;
		unsigned char *id;
		bool *there; /* NULL: it must be */
		bool is_dir;
	} places[] = {
		{"clock.yaml", v->clock_blob, NULL, false},
		{"cluster.yaml", v->cluster_blob, NULL, false},
		{"format", v->format_blob, NULL, false},
		{"inputs.yaml", v->inputs.id, &v->inputs.there, false},
		{"decided", v->decided.id, &v->decided.there, true},
		{"desired", v->desired.id, &v->desired.there, true},
		{"observed", v->observed.id, &v->observed.there, true},
		{"templates", v->templates.id, &v->templates.there, true},
	};

	int rc = kg_reader_get(&root, r, v->root, GIT_OBJECT_TREE, err);
	if (rc < 0)
		return rc;
	while ((rc = kg_tree_next(
			&e, git_odb_object_data(root), git_odb_object_size(root), &pos, err)) > 0) {
		for (size_t i = 0; i < KG_ARRAY_LEN(places); i++) {
			if (strcmp(e.name, places[i].name) != 0 || e.is_dir != places[i].is_dir)
				continue;
			memcpy(places[i].id, e.id, 20);
			if (places[i].there)
				*places[i].there = true;
			else
				files++;
		}
	}
	if (rc == 0 && files != 3)
		return kg_fail(err, KG_E_CORRUPT, "not the tree of a state commit");
	return rc;
}

int kg_view_open(struct kg_view *out, const struct kg_reader *r, const unsigned char commit[20],
	struct kg_error *err)
{
	git_odb_object *obj KG_AUTOOBJ = NULL;
	struct kg_commit_view c;
	struct kg_view v = {0};
	char hex[41];

	kg_hex(hex, commit, 20);
	memcpy(v.commit, commit, 20);
	int rc = kg_commit_read(&obj, &c, r, commit, err);
	if (rc == 0) {
		memcpy(v.root, c.tree, 20);
		rc = read_root(&v, r, err);
	}
	if (rc == 0)
		rc = check_format(&v, r, err);
	if (rc == 0)
		rc = read_clock(&v, r, err);
	if (rc == 0)
		rc = read_cluster(&v, r, err);
	if (rc == 0 && (!c.has_revision || c.revision != v.revision))
		rc = kg_fail(err, KG_E_CORRUPT, "trailer and clock.yaml name different revisions");
	if (rc < 0)
		return kg_wrap(err, "state commit %s", hex);
	*out = v;
	return 0;
}

/* ---- paths ---- */

static int not_found(const char *name, struct kg_error *err)
{
	return kg_fail(err, KG_E_NOT_FOUND, "no entry \"%s\"", name);
}

/* One entry of a tree. */
static int find_entry(unsigned char id[20], const struct kg_reader *r, const unsigned char tree[20],
	const char *name, bool want_dir, struct kg_error *err)
{
	git_odb_object *obj KG_AUTOOBJ = NULL;
	struct kg_tree_entry e;
	int rc = kg_reader_get(&obj, r, tree, GIT_OBJECT_TREE, err);

	if (rc < 0)
		return rc;
	if (!kg_tree_find(&e, git_odb_object_data(obj), git_odb_object_size(obj), name) ||
		e.is_dir != want_dir)
		return not_found(name, err);
	memcpy(id, e.id, 20);
	return 0;
}

/* One entry of a logical directory. */
static int find_in_fan(unsigned char id[20], const struct kg_reader *r, const unsigned char dir[20],
	const char *name, bool want_dir, struct kg_error *err)
{
	unsigned char tree[20];

	memcpy(tree, dir, 20);
	for (unsigned level = 0; level < 40; level++) {
		git_odb_object *obj KG_AUTOOBJ = NULL;
		char part[3] = {'_', kg_fan_digit(name, level), '\0'};
		struct kg_tree_entry e;
		size_t pos = 0;
		int rc = kg_reader_get(&obj, r, tree, GIT_OBJECT_TREE, err);

		if (rc < 0)
			return rc;
		const void *raw = git_odb_object_data(obj);
		size_t len = git_odb_object_size(obj);
		if (kg_tree_find(&e, raw, len, name) && e.is_dir == want_dir) {
			memcpy(id, e.id, 20);
			return 0;
		}
		rc = kg_tree_next(&e, raw, len, &pos, err);
		if (rc < 0)
			return rc;
		if (rc == 0 || !e.is_dir || !kg_fan_is_split_name(e.name) ||
			!kg_tree_find(&e, raw, len, part))
			break;
		memcpy(tree, e.id, 20);
	}
	return not_found(name, err);
}

int kg_view_find(unsigned char id[20], const struct kg_reader *r, const struct kg_subtree *dir,
	const char *const *path, size_t n, struct kg_error *err)
{
	unsigned char at[20];

	if (!dir->there)
		return not_found(path[0], err);
	memcpy(at, dir->id, 20);
	for (size_t i = 0; i < n; i++) {
		int rc = find_in_fan(at, r, at, path[i], i + 1 < n, err);
		if (rc < 0)
			return rc;
	}
	memcpy(id, at, 20);
	return 0;
}

int kg_view_find_path(unsigned char id[20], const struct kg_reader *r, const struct kg_subtree *dir,
	const char *path, struct kg_error *err)
{
	size_t n = strlen(path);
	bool want_dir = n && path[n - 1] == '/';
	char *copy KG_AUTOFREE = kg_strndup(path, n - want_dir);
	unsigned char at[20];

	if (!dir->there)
		return not_found(path, err);
	memcpy(at, dir->id, 20);
	for (char *part = copy, *slash; part; part = slash) {
		slash = strchr(part, '/');
		if (slash)
			*slash++ = '\0';
		int rc = find_entry(at, r, at, part, slash || want_dir, err);
		if (rc < 0)
			return rc;
	}
	memcpy(id, at, 20);
	return 0;
}

int kg_commit_read(git_odb_object **obj, struct kg_commit_view *out, const struct kg_reader *r,
	const unsigned char id[20], struct kg_error *err)
{
	int rc = kg_reader_get(obj, r, id, GIT_OBJECT_COMMIT, err);

	if (rc < 0)
		return rc;
	return kg_commit_text_read(out, git_odb_object_data(*obj), git_odb_object_size(*obj), err);
}

int kg_subtree_of_commit(
	struct kg_subtree *out, const struct kg_reader *r, const char *commit, struct kg_error *err)
{
	git_odb_object *obj KG_AUTOOBJ = NULL;
	struct kg_commit_view c;
	unsigned char id[20];

	*out = (struct kg_subtree){0};
	if (!commit || !*commit)
		return 0;
	if (kg_unhex(id, 20, commit) < 0)
		return kg_fail(err, KG_E_INVALID, "\"%s\" is not a commit's id", commit);
	int rc = kg_commit_read(&obj, &c, r, id, err);
	if (rc < 0)
		return rc;
	out->there = true;
	memcpy(out->id, c.tree, 20);
	return 0;
}
