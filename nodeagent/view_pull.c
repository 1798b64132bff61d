/* git's smart protocol, version 0, over HTTP: as little of it as one ref and one pack need. */
#include "base/mem.h"
#include "nodeagent/view.h"
#include "view_private.h"

#include <stdio.h>
#include <string.h>

#define SERVICE "git-upload-pack"

/* One pkt-line at *p; its text is borrowed. False at the end, or where the bytes are none. A flush
 * has no text. */
static bool next_pkt(const char **p, const char *end, const char **text, size_t *len)
{
	char hex[5] = {0}, *stop;

	if (end - *p < 4)
		return false;
	memcpy(hex, *p, 4);
	unsigned long n = strtoul(hex, &stop, 16);
	if (*stop || (n != 0 && n < 4) || (size_t)(end - *p) < n)
		return false;
	*text = n ? *p + 4 : NULL;
	*len = n ? n - 4 : 0;
	*p += n ? n : 4;
	return true;
}

static void put_pkt(struct kg_buf *out, const char *text)
{
	kg_buf_addf(out, "%04zx%s", strlen(text) + 4, text);
}

/* The id of the one ref. */
static int ask_ref(char out[GIT_OID_HEXSZ + 1], struct kg_http_client *client, const char *node,
	struct kg_error *err)
{
	KG_AUTOFREE char *path =
		kg_asprintf("/kgit/v1/nodes/%s.git/info/refs?service=" SERVICE, node);
	KG_AUTOBUF struct kg_buf reply = KG_BUF_INIT;
	const char *text;
	size_t len;
	int rc = kg_http_call(client, "GET", path, NULL, NULL, 0, &reply, err);

	if (rc < 0)
		return rc;
	const char *p = kg_buf_str(&reply), *end = p + reply.len;
	while (next_pkt(&p, end, &text, &len)) {
		if (!text || *text == '#' || len < GIT_OID_HEXSZ + 1)
			continue;
		memcpy(out, text, GIT_OID_HEXSZ);
		out[GIT_OID_HEXSZ] = '\0';
		if (strspn(out, "0123456789abcdef") == GIT_OID_HEXSZ)
			return 0;
	}
	return kg_fail(err, KG_E_UNAVAILABLE, "the master has no view for node %s", node);
}

/* Where the pack begins in a reply; says why where there is none. */
static int find_pack(const char **pack, const struct kg_buf *reply, struct kg_error *err)
{
	const char *p = kg_buf_str(reply), *end = p + reply->len, *text;
	size_t len;

	while (end - p >= 4 && memcmp(p, "PACK", 4) != 0) {
		if (!next_pkt(&p, end, &text, &len))
			return kg_fail(err, KG_E_CORRUPT, "the master's answer is not git's");
		if (text && len > 4 && memcmp(text, "ERR ", 4) == 0)
			return kg_fail(err, KG_E_NOT_FOUND, "%.*s", (int)(len - 4), text + 4);
	}
	if (end - p < 4)
		return kg_fail(err, KG_E_CORRUPT, "the master's answer has no pack");
	*pack = p;
	return 0;
}

static int fetch(struct kg_view *v, struct kg_http_client *client, const char *node,
	const char *commit, struct kg_error *err)
{
	KG_AUTOFREE char *path = kg_asprintf("/kgit/v1/nodes/%s.git/" SERVICE, node);
	KG_AUTOBUF struct kg_buf body = KG_BUF_INIT, reply = KG_BUF_INIT;
	char line[128];
	const char *pack = NULL;

	snprintf(line, sizeof(line), "want %s ofs-delta agent=kgit/" KGIT_VERSION "\n", commit);
	put_pkt(&body, line);
	kg_buf_adds(&body, "0000");
	if (*v->commit) {
		snprintf(line, sizeof(line), "have %s\n", v->commit);
		put_pkt(&body, line);
	}
	put_pkt(&body, "done\n");
	int rc = kg_http_call(client, "POST", path, "application/x-" SERVICE "-request", body.data,
		body.len, &reply, err);
	if (rc == 0)
		rc = find_pack(&pack, &reply, err);
	if (rc < 0)
		return rc;
	size_t n = (size_t)(reply.data + reply.len - pack);
	rc = kg_view_unpack(v, pack, n, err);
	return rc == -KG_E_UNSUPPORTED ? kg_view_write_pack(v, pack, n, err) : rc;
}

static int check_commit(struct kg_view *v, const char *commit, struct kg_error *err)
{
	git_oid oid;
	git_commit *c;
	git_tree *tree;

	if (git_oid_fromstr(&oid, commit) < 0 || git_commit_lookup(&c, v->repo, &oid) < 0)
		return kg_view_fail(err, "the pack lacks the view's commit");
	int rc = git_commit_tree(&tree, c);
	git_commit_free(c);
	if (rc < 0)
		return kg_view_fail(err, "the pack lacks the view's tree");
	git_tree_free(tree);
	return 0;
}

int kg_view_pull(struct kg_view *v, struct kg_http_client *client, const char *node,
	const char *commit, struct kg_error *err)
{
	char id[GIT_OID_HEXSZ + 1];
	int rc = -KG_E_NOT_FOUND;

	if (commit) {
		if (strlen(commit) != GIT_OID_HEXSZ ||
			strspn(commit, "0123456789abcdef") != GIT_OID_HEXSZ)
			return kg_fail(err, KG_E_BAD_REQUEST, "\"%s\" is no commit", commit);
		if (strcmp(commit, v->commit) == 0)
			return 0;
		strcpy(id, commit);
		rc = fetch(v, client, node, id, err);
	}
	if (rc == -KG_E_NOT_FOUND) { /* moved on meanwhile */
		rc = ask_ref(id, client, node, err);
		if (rc == 0 && strcmp(id, v->commit) == 0)
			return 0;
		if (rc == 0)
			rc = fetch(v, client, node, id, err);
	}
	if (rc == 0)
		rc = check_commit(v, id, err);
	if (rc < 0)
		return kg_wrap(err, "pull the view");
	strcpy(v->commit, id);
	return 0;
}
