#include "common/pushed.h"

void kg_pushed_tree_release(struct kg_pushed_tree *t)
{
	kg_map_release(&t->blobs);
	kg_arena_release(&t->arena);
}

static int list(struct kg_pushed_tree *t, struct kg_error *err)
{
	const struct kg_pushed *p = t->pushed;
	struct kg_tree_delta d;
	int rc = kg_store_tree_delta(
		&d, p->store, &t->arena, "", t->commit, p->quarantine, p->max_files, err);

	for (size_t i = 0; rc == 0 && i < d.nwritten; i++)
		kg_map_put(&t->blobs, d.written[i].path, d.written[i].blob);
	t->listed = rc == 0;
	return rc;
}

int kg_pushed_read(void *tree, const char *path, struct kg_buf *out)
{
	struct kg_pushed_tree *t = tree;
	const struct kg_pushed *p = t->pushed;
	struct kg_error err;
	int rc = t->listed ? 0 : list(t, &err);
	const char *blob = rc == 0 ? kg_map_get(&t->blobs, path) : NULL;

	if (rc < 0)
		return rc;
	if (!blob)
		return -KG_E_NOT_FOUND;
	return kg_store_read_blob(out, p->store, blob, p->quarantine, p->max_file, &err);
}

static void blobs_closep(struct kg_blobs **b)
{
	kg_blobs_close(*b);
}

int kg_pushed_files(struct kg_admission_file **out, size_t *n, bool *all, const struct kg_pushed *p,
	struct kg_arena *a, struct kg_error *err)
{
	struct kg_blobs *blobs KG_CLEANUP(blobs_closep) = NULL;
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	struct kg_tree_delta d;
	size_t count = 0, total = 0;
	int rc = kg_store_tree_delta(
		&d, p->store, a, p->old_commit, p->new_commit, p->quarantine, p->max_files, err);

	if (rc == 0)
		rc = kg_blobs_open(&blobs, p->store, p->quarantine, err);
	if (rc < 0)
		return rc;
	struct kg_admission_file *files =
		kg_arena_alloc(a, (d.nwritten + d.nremoved + 1) * sizeof(*files));
	for (size_t i = 0; i < d.nremoved; i++)
		files[count++].path = d.removed[i].path;
	for (size_t i = 0; i < d.nwritten; i++) {
		kg_buf_clear(&text);
		rc = kg_blobs_read(&text, blobs, d.written[i].blob, p->max_file, err);
		if (rc == -KG_E_TOO_LARGE)
			return kg_fail(err, KG_E_TOO_LARGE,
				"%s: a manifest has at most %zu bytes (kgitd "
				"--max-manifest-bytes); what is no manifest is named in "
				".kgitignore",
				d.written[i].path, p->max_file);
		if (rc < 0)
			return kg_wrap(err, "%s", d.written[i].path);
		total += text.len;
		if (total > p->max_text)
			return kg_fail(err, KG_E_TOO_LARGE,
				"the changed manifests have more than %zu bytes; push them in "
				"parts",
				p->max_text);
		files[count++] = (struct kg_admission_file){
			.path = d.written[i].path,
			.text = kg_arena_strndup(a, kg_buf_str(&text), text.len),
			.len = text.len,
		};
	}
	*out = files;
	*n = count;
	*all = d.all;
	return 0;
}
