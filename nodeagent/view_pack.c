/*
 * Packs that come from the master. It sends whole objects, which are read here in memory, so that
 * a view can be applied before it is written; a pack with deltas (another server's) or a large one
 * is left to libgit2.
 */
#include "base/mem.h"
#include "nodeagent/view.h"
#include "view_private.h"

#include <arpa/inet.h>
#include <git2/sys/odb_backend.h>
#include <string.h>
#include <zlib.h>

#define MAX_PACK   ((size_t)1 << 20)
#define MAX_OBJECT ((size_t)8 << 20)

int kg_view_write_pack(struct kg_view *v, const char *pack, size_t n, struct kg_error *err)
{
	git_odb_writepack *w;
	git_indexer_progress progress = {0};

	if (git_odb_write_pack(&w, v->odb, NULL, NULL) < 0)
		return kg_view_fail(err, "write a pack");
	int rc = w->append(w, pack, n, &progress);
	if (rc == 0)
		rc = w->commit(w, &progress);
	w->free(w);
	if (rc < 0 || git_odb_refresh(v->odb) < 0)
		return kg_view_fail(err, "write a pack");
	return 0;
}

struct reader {
	const unsigned char *p, *end;
};

static int cut_short(struct kg_error *err)
{
	return kg_fail(err, KG_E_CORRUPT, "the pack is cut short or damaged");
}

/* An object's type and size: four bits of size, then seven a byte. */
static int read_header(struct reader *r, unsigned *type, size_t *size, struct kg_error *err)
{
	unsigned shift = 4;

	if (r->p == r->end)
		return cut_short(err);
	unsigned char c = *r->p++;
	*type = c >> 4 & 7;
	*size = c & 15;
	while (c & 0x80) {
		if (r->p == r->end || shift > 32)
			return cut_short(err);
		c = *r->p++;
		*size |= (size_t)(c & 0x7F) << shift;
		shift += 7;
	}
	return 0;
}

static int inflate_object(struct reader *r, unsigned char *out, size_t size, struct kg_error *err)
{
	z_stream z = {.next_in = (unsigned char *)r->p,
		.avail_in = (unsigned)(r->end - r->p),
		.next_out = out,
		.avail_out = (unsigned)size};

	if (inflateInit(&z) != Z_OK)
		return cut_short(err);
	int rc = inflate(&z, Z_FINISH);
	r->p = z.next_in;
	inflateEnd(&z);
	return rc == Z_STREAM_END && z.avail_out == 0 ? 0 : cut_short(err);
}

static int take_object(struct kg_view *v, struct reader *r, struct kg_error *err)
{
	unsigned type = 0;
	size_t size = 0;
	git_oid oid;
	int rc = read_header(r, &type, &size, err);

	if (rc < 0)
		return rc;
	if (type < GIT_OBJECT_COMMIT || type > GIT_OBJECT_BLOB || size > MAX_OBJECT)
		return kg_fail(err, KG_E_UNSUPPORTED, "the pack has deltas or large objects");
	KG_AUTOFREE unsigned char *data = kg_alloc(size + 1);
	rc = inflate_object(r, data, size, err);
	if (rc == 0 && git_odb_write(&oid, v->odb, data, size, (git_object_t)type) < 0)
		rc = kg_view_fail(err, "take an object over");
	return rc;
}

int kg_view_unpack(struct kg_view *v, const char *pack, size_t n, struct kg_error *err)
{
	struct reader r = {(const unsigned char *)pack + 12, (const unsigned char *)pack + n - 20};
	uint32_t word[2];
	int rc = 0;

	if (n < 32)
		return cut_short(err);
	if (n > MAX_PACK)
		return kg_fail(err, KG_E_UNSUPPORTED, "the pack is large");
	memcpy(word, pack + 4, sizeof(word));
	if (ntohl(word[0]) != 2)
		return kg_fail(err, KG_E_CORRUPT, "the pack is of version %u", ntohl(word[0]));
	for (uint32_t left = ntohl(word[1]); left && rc == 0; left--)
		rc = take_object(v, &r, err);
	if (rc < 0)
		return rc;
	KG_GROW(v->unsaved, v->unsaved_cap, v->nunsaved + 1);
	struct kg_buf *keep = &v->unsaved[v->nunsaved++];
	*keep = (struct kg_buf)KG_BUF_INIT;
	kg_buf_add(keep, pack, n);
	return 0;
}
