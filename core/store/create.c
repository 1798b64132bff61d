/* A new repository and its first revision. The steps can be cut off anywhere and done again. */
#include "store/commit_text.h"
#include "store/private.h"

#include "base/hash.h"
#include "base/mem.h"
#include "sys/file.h"
#include "value/yaml.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

static const char *const directories[] = {"objects", "objects/info", "objects/pack", "refs",
	"refs/heads", "refs/tags", "refs/kgit", "info", "hooks", KG_SIDE_DIR};

static int write_new(const char *dir, const char *name, const char *text, struct kg_error *err)
{
	char *path KG_AUTOFREE = kg_asprintf("%s/%s", dir, name);

	if (kg_path_exists(path))
		return 0;
	return kg_file_write(path, text, strlen(text), 0644, err);
}

static int sync_parent(const char *dir, struct kg_error *err)
{
	char *parent KG_AUTOFREE = kg_asprintf("%s/..", dir);

	return kg_sync_dir(parent, err);
}

int kg_repo_create(const char *dir, struct kg_error *err)
{
	struct kg_buf config KG_AUTOBUF = KG_BUF_INIT;
	int rc = kg_mkdir_p(dir, 0755, err);

	kg_config_write(&config);
	for (size_t i = 0; rc == 0 && i < KG_ARRAY_LEN(directories); i++) {
		char *path KG_AUTOFREE = kg_asprintf("%s/%s", dir, directories[i]);
		rc = kg_mkdir_p(path, 0755, err);
	}
	for (size_t i = 0; rc == 0 && i < KG_ARRAY_LEN(directories); i++) {
		char *path KG_AUTOFREE = kg_asprintf("%s/%s", dir, directories[i]);
		rc = kg_sync_dir(path, err);
	}
	if (rc == 0)
		rc = write_new(dir, "config", kg_buf_str(&config), err);
	if (rc == 0)
		rc = write_new(dir, "description", "kgit: the cluster's state\n", err);
	/* Last: what has a HEAD is a repository. */
	if (rc == 0)
		rc = write_new(dir, "HEAD", "ref: " KG_MAIN_REF "\n", err);
	if (rc == 0)
		rc = kg_sync_dir(dir, err);
	if (rc == 0)
		rc = sync_parent(dir, err);
	return rc < 0 ? kg_wrap(err, "make repository %s", dir) : 0;
}

/* ---- pieces of a state tree ---- */

void kg_clock_write(struct kg_buf *out, kg_time time, uint64_t revision, const char *main_commit)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	char text[40];

	kg_time_format_micro(text, time);
	struct kg_value v = kg_v_obj(&a, "time", kg_v_str(&a, text), "revision",
		kg_v_int((int64_t)revision), "main",
		*main_commit ? kg_v_str(&a, main_commit) : kg_v_null(), (char *)NULL);
	kg_yaml_write(out, &v);
}

static void add_entry(struct kg_buf *tree, const char *name, const unsigned char id[20], bool dir)
{
	kg_buf_adds(tree, dir ? "40000 " : "100644 ");
	kg_buf_add(tree, name, strlen(name) + 1);
	kg_buf_add(tree, id, 20);
}

void kg_root_pack(struct kg_pack *pack, struct kg_view *v)
{
	struct kg_buf tree KG_AUTOBUF = KG_BUF_INIT, clock KG_AUTOBUF = KG_BUF_INIT;

	kg_clock_write(&clock, v->time, v->revision, v->main_commit);
	kg_pack_add(pack, KG_PACK_BLOB, clock.data, clock.len, v->clock_blob);
	/* In git's order. */
	add_entry(&tree, "clock.yaml", v->clock_blob, false);
	add_entry(&tree, "cluster.yaml", v->cluster_blob, false);
	if (v->decided.there)
		add_entry(&tree, "decided", v->decided.id, true);
	if (v->desired.there)
		add_entry(&tree, "desired", v->desired.id, true);
	add_entry(&tree, "format", v->format_blob, false);
	if (v->inputs.there)
		add_entry(&tree, "inputs.yaml", v->inputs.id, false);
	if (v->observed.there)
		add_entry(&tree, "observed", v->observed.id, true);
	if (v->templates.there)
		add_entry(&tree, "templates", v->templates.id, true);
	kg_pack_add(pack, KG_PACK_TREE, tree.data, tree.len, v->root);
}

/* ---- revision 0 ---- */

/* RFC 4122 version 4. */
static int random_uuid(char out[37], struct kg_error *err)
{
	unsigned char b[16];
	char hex[33];

	if (getrandom(b, sizeof(b), 0) != (ssize_t)sizeof(b))
		return kg_fail_errno(err, "getrandom");
	b[6] = (b[6] & 0x0f) | 0x40;
	b[8] = (b[8] & 0x3f) | 0x80;
	kg_hex(hex, b, 16);
	snprintf(out, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
	return 0;
}

/* A state branch that is gone is not a new cluster. */
static int check_new(struct kg_store *s, struct kg_error *err)
{
	char *path KG_AUTOFREE = kg_asprintf("%s/" KG_SIDE_DIR "/revisions", s->dir);
	uint64_t newest;

	if (kg_history_newest(&newest, path))
		return kg_fail(err, KG_E_CORRUPT,
			"%s is missing, but %s says that revision %llu was stored: restore the ref",
			s->ref, path, (unsigned long long)newest);
	return 0;
}

static int cluster_id(char out[37], const struct kg_store_options *opts, struct kg_error *err)
{
	if (!opts->cluster_id)
		return random_uuid(out, err);
	if (strlen(opts->cluster_id) != 36)
		return kg_fail(
			err, KG_E_INVALID, "cluster id \"%s\" is not a UUID", opts->cluster_id);
	memcpy(out, opts->cluster_id, 37);
	return 0;
}

static void pack_first(struct kg_store *s, struct kg_view *v)
{
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;

	kg_pack_clear(s->pack);
	kg_pack_add(s->pack, KG_PACK_BLOB, KG_STORE_FORMAT "\n", strlen(KG_STORE_FORMAT "\n"),
		v->format_blob);
	kg_buf_addf(&text, "id: %s\n", v->cluster_id);
	kg_pack_add(s->pack, KG_PACK_BLOB, text.data, text.len, v->cluster_blob);
	kg_root_pack(s->pack, v);
	struct kg_commit_text c = {
		.cluster = v->cluster_id, .message = "A new cluster\n", .time = v->time};
	memcpy(c.tree, v->root, 20);
	kg_buf_clear(&text);
	kg_commit_text_write(&text, &c);
	kg_pack_add(s->pack, KG_PACK_COMMIT, text.data, text.len, v->commit);
}

int kg_store_begin(struct kg_store *s, const struct kg_store_options *opts, struct kg_error *err)
{
	struct kg_view v = {.time = opts->now, .format = KG_STORE_FORMAT_NUMBER};
	const struct kg_buf *pack, *index;
	struct kg_append a = {.epoch = 1};

	int rc = check_new(s, err);
	if (rc == 0)
		rc = cluster_id(v.cluster_id, opts, err);
	if (rc < 0)
		return rc;
	pack_first(s, &v);
	kg_pack_finish(s->pack, &pack, &index, a.pack_id);
	memcpy(a.commit, v.commit, 20);
	a.pack = pack->data;
	a.pack_len = pack->len;
	a.index = index->data;
	a.index_len = index->len;
	rc = s->backend->append(s->backend, &a, err);
	if (rc < 0)
		return rc;
	/* The new pack is noticed when something in it is missed. */
	s->has_head = true;
	s->head = v;
	return 0;
}
