/*
 * A node's view over git's own protocol (version 0, smart HTTP): one ref, refs/heads/view, and
 * packs made from memory. Nothing else can be asked for, whatever ids are wanted.
 */
#include "kgitd/gunzip.h"
#include "kgitd/master.h"
#include "store/pack.h"

#include <stdio.h>
#include <string.h>

#define CAPABILITIES "ofs-delta symref=HEAD:refs/heads/view agent=kgit/" KGIT_VERSION

#define MAX_WANTS ((size_t)4 << 20)

static void pkt(struct kg_buf *out, const char *text)
{
	kg_buf_addf(out, "%04zx%s", strlen(text) + 4, text);
}

static void not_registered(struct kg_http_req *req)
{
	struct kg_error err;

	kg_fail(&err, KG_E_NOT_FOUND, "node %s is not registered", kgd_exchange(req)->node);
	kgd_reply_error(req, &err);
}

static void handle_refs(struct kg_http_req *req, void *ctx)
{
	struct kgd_exchange *x = kgd_exchange(req);
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;
	const char *service = kg_http_query(req, "service");
	char *line KG_AUTOFREE = NULL;

	(void)ctx;
	if (!service || strcmp(service, "git-upload-pack") != 0) {
		struct kg_error err;
		kg_fail(&err, KG_E_FORBIDDEN, "a view can only be fetched");
		kgd_reply_error(req, &err);
		return;
	}
	struct kgd_view *view = kgd_nodes_view(x->master->nodes, x->node);
	if (!view) {
		not_registered(req);
		return;
	}
	pkt(&out, "# service=git-upload-pack\n");
	kg_buf_adds(&out, "0000");
	/* Capabilities stand behind a NUL of the first ref, which no format can write. */
	kg_buf_addf(&out, "%04zx%s HEAD", 4 + 40 + strlen(" HEAD") + 1 + strlen(CAPABILITIES) + 1,
		view->commit);
	kg_buf_addc(&out, '\0');
	kg_buf_adds(&out, CAPABILITIES "\n");
	line = kg_asprintf("%s refs/heads/view\n", view->commit);
	pkt(&out, line);
	kg_buf_adds(&out, "0000");
	kgd_view_unref(view);
	kg_http_set_header(req, "Cache-Control", "no-cache");
	kg_http_reply(req, 200, "application/x-git-upload-pack-advertisement", &out);
}

/* What a request of git-upload-pack says. */
struct wants {
	char want[41];
	char have[32][41];
	size_t nhave;
	bool done;
};

/* One pkt-line's text; moves *p. Returns false at the end or where it is malformed. */
static bool next_pkt(const char **p, const char *end, const char **text, size_t *len)
{
	unsigned n;
	char hex[5] = {0};

	if (end - *p < 4)
		return false;
	memcpy(hex, *p, 4);
	if (strspn(hex, "0123456789abcdefABCDEF") != 4)
		return false;
	n = (unsigned)strtoul(hex, NULL, 16);
	if (n == 0) {
		*text = "";
		*len = 0;
		*p += 4;
		return true;
	}
	if (n < 4 || (size_t)(end - *p) < n)
		return false;
	*text = *p + 4;
	*len = n - 4;
	*p += n;
	return true;
}

static int parse_wants(struct wants *w, const struct kg_buf *body, struct kg_error *err)
{
	const char *p = kg_buf_str(body), *end = p + body->len, *text;
	size_t len;

	while (p < end) {
		if (!next_pkt(&p, end, &text, &len))
			return kg_fail(err, KG_E_BAD_REQUEST, "malformed pkt-line");
		if (len >= 45 && strncmp(text, "want ", 5) == 0 && !*w->want)
			snprintf(w->want, sizeof(w->want), "%.40s", text + 5);
		else if (len >= 45 && strncmp(text, "have ", 5) == 0 &&
			 w->nhave < KG_ARRAY_LEN(w->have))
			snprintf(w->have[w->nhave++], sizeof(w->have[0]), "%.40s", text + 5);
		else if (len >= 4 && strncmp(text, "done", 4) == 0)
			w->done = true;
	}
	return *w->want ? 0 : kg_fail(err, KG_E_BAD_REQUEST, "nothing is wanted");
}

static int read_wants(struct wants *w, struct kg_http_req *req, struct kg_error *err)
{
	struct kg_buf plain KG_AUTOBUF = KG_BUF_INIT;

	if (!kgd_is_gzip(kg_http_header(req, "Content-Encoding")))
		return parse_wants(w, kg_http_body(req), err);
	int rc = kgd_gunzip_all(&plain, kg_http_body(req), MAX_WANTS, err);
	return rc < 0 ? rc : parse_wants(w, &plain, err);
}

static void add_object(
	void *ctx, const char *type, const unsigned char oid[20], const void *p, size_t len)
{
	enum kg_pack_type t = strcmp(type, "commit") == 0 ? KG_PACK_COMMIT
			      : strcmp(type, "tree") == 0 ? KG_PACK_TREE
							  : KG_PACK_BLOB;

	kg_pack_add_known(ctx, t, p, len, oid);
}

static void add_pack(struct kg_buf *out, const struct kgd_view *view, const struct kgd_view *have)
{
	struct kg_pack *pack = kg_pack_new();
	struct kgd_object_sink sink = {.emit = add_object, .ctx = pack};
	const struct kg_buf *bytes, *index;
	unsigned char id[20];

	kgd_view_objects(view, have, &sink);
	kg_pack_finish(pack, &bytes, &index, id);
	kg_buf_add(out, bytes->data, bytes->len);
	kg_pack_free(pack);
}

static void handle_pack(struct kg_http_req *req, void *ctx)
{
	struct kgd_exchange *x = kgd_exchange(req);
	struct kgd_nodes *nodes = x->master->nodes;
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;
	struct kgd_view *have = NULL;
	struct wants w = {0};
	struct kg_error err;

	(void)ctx;
	if (read_wants(&w, req, &err) < 0) {
		kgd_reply_error(req, &err);
		return;
	}
	struct kgd_view *view = kgd_nodes_view_by_commit(nodes, x->node, w.want);
	if (!view) {
		kg_buf_clear(&out);
		char *line KG_AUTOFREE = kg_asprintf("ERR upload-pack: not our ref %s", w.want);
		pkt(&out, line);
		kg_http_reply(req, 200, "application/x-git-upload-pack-result", &out);
		return;
	}
	for (size_t i = 0; i < w.nhave && !have; i++)
		have = kgd_nodes_view_by_commit(nodes, x->node, w.have[i]);
	if (have) {
		char *line KG_AUTOFREE = kg_asprintf("ACK %s\n", have->commit);
		pkt(&out, line);
	} else {
		pkt(&out, "NAK\n");
	}
	if (w.done)
		add_pack(&out, view, have);
	kgd_view_unref(have);
	kgd_view_unref(view);
	kg_http_reply(req, 200, "application/x-git-upload-pack-result", &out);
}

bool kgd_view_git_route(struct kg_http_req *req, const char *rest, struct kg_http_route *route)
{
	if (strcmp(rest, "info/refs") == 0 && strcmp(kg_http_method(req), "GET") == 0)
		route->handle = handle_refs;
	else if (strcmp(rest, "git-upload-pack") == 0 && strcmp(kg_http_method(req), "POST") == 0)
		route->handle = handle_pack;
	else
		return false;
	return true;
}
