#include "fakegit.h"

#include "value/testing.h"

#include <stdio.h>

static void need(int rc, const char *what)
{
	if (rc < 0)
		fail_msg("fakegit: %s", what);
}

void fakegit_init(struct fakegit *g, const char *dir)
{
	git_libgit2_init();
	g->commit[0] = '\0';
	need(git_repository_init(&g->repo, dir, true), "repository");
}

void fakegit_release(struct fakegit *g)
{
	git_repository_free(g->repo);
	git_libgit2_shutdown();
}

void fakegit_commit(struct fakegit *g, const struct fm_file *files, unsigned n)
{
	git_tree_update updates[64];
	git_commit *parent = NULL;
	git_tree *tree = NULL;
	git_signature *who;
	git_oid oid;

	if (*g->commit) {
		git_oid_fromstr(&oid, g->commit);
		need(git_commit_lookup(&parent, g->repo, &oid), "parent");
		need(git_commit_tree(&tree, parent), "tree");
	}
	for (unsigned i = 0; i < n; i++) {
		updates[i] = (git_tree_update){.action = GIT_TREE_UPDATE_UPSERT,
			.filemode = GIT_FILEMODE_BLOB,
			.path = files[i].path};
		if (!files[i].text)
			updates[i].action = GIT_TREE_UPDATE_REMOVE;
		else
			need(git_blob_create_from_buffer(
				     &updates[i].id, g->repo, files[i].text, strlen(files[i].text)),
				"blob");
	}
	need(git_tree_create_updated(&oid, g->repo, tree, n, updates), "tree");
	git_tree_free(tree);
	need(git_tree_lookup(&tree, g->repo, &oid), "tree");
	need(git_signature_new(&who, "test", "test@localhost", 1000, 0), "signature");
	const git_commit *parents[] = {parent};
	need(git_commit_create(
		     &oid, g->repo, NULL, who, who, NULL, "view", tree, parent ? 1 : 0, parents),
		"commit");
	git_oid_tostr(g->commit, sizeof(g->commit), &oid);
	git_signature_free(who);
	git_tree_free(tree);
	git_commit_free(parent);
}

void fakegit_refs(struct fakegit *g, struct kg_buf *out)
{
	kg_buf_adds(out, "001e# service=git-upload-pack\n0000");
	kg_buf_addf(out, "%04x%s refs/heads/view", 4 + 40 + 16 + 1 + 10, g->commit);
	kg_buf_addc(out, '\0');
	kg_buf_adds(out, "ofs-delta\n0000");
}

static int add_chunk(void *p, size_t n, void *ctx)
{
	kg_buf_add(ctx, p, n);
	return 0;
}

static unsigned add_pack(struct fakegit *g, struct kg_buf *out, const char *want, const char *have)
{
	git_packbuilder *pb;
	git_revwalk *walk;
	git_oid oid;

	need(git_packbuilder_new(&pb, g->repo), "packbuilder");
	need(git_revwalk_new(&walk, g->repo), "revwalk");
	git_oid_fromstr(&oid, want);
	need(git_revwalk_push(walk, &oid), "want");
	if (have && git_oid_fromstr(&oid, have) == 0)
		need(git_revwalk_hide(walk, &oid), "have");
	/* As the master does: without a common commit the present view alone. */
	if (have) {
		need(git_packbuilder_insert_walk(pb, walk), "insert");
	} else {
		git_oid_fromstr(&oid, want);
		need(git_packbuilder_insert_commit(pb, &oid), "insert");
	}
	unsigned n = (unsigned)git_packbuilder_object_count(pb);
	need(git_packbuilder_foreach(pb, add_chunk, out), "pack");
	git_revwalk_free(walk);
	git_packbuilder_free(pb);
	return n;
}

unsigned fakegit_pack(struct fakegit *g, struct kg_buf *out, const char *body)
{
	const char *have = strstr(body, "have ");
	char want[GIT_OID_HEXSZ + 1] = "", common[GIT_OID_HEXSZ + 1] = "";
	git_commit *commit = NULL;
	unsigned n = 0;
	git_oid oid;

	snprintf(want, sizeof(want), "%.40s", strlen(body) > 9 ? body + 9 : "");
	if (have)
		snprintf(common, sizeof(common), "%.40s", have + 5);
	if (git_oid_fromstr(&oid, want) < 0 || git_commit_lookup(&commit, g->repo, &oid) < 0) {
		kg_buf_addf(out, "%04xERR upload-pack: not our ref %s", 4 + 29 + 40, want);
	} else {
		kg_buf_adds(out, have ? "" : "0008NAK\n");
		if (have)
			kg_buf_addf(out, "0031ACK %s\n", common);
		n = add_pack(g, out, want, have ? common : NULL);
	}
	git_commit_free(commit);
	return n;
}
