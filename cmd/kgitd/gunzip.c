#include "kgitd/gunzip.h"

#include "base/mem.h"

#include <string.h>

bool kgd_is_gzip(const char *encoding)
{
	return encoding && (strcmp(encoding, "gzip") == 0 || strcmp(encoding, "x-gzip") == 0);
}

void kgd_gunzip_init(struct kgd_gunzip *g)
{
	*g = (struct kgd_gunzip){0};
	/* Fails only where there is no memory. */
	if (inflateInit2(&g->z, 15 + 16) != Z_OK)
		abort();
}

void kgd_gunzip_release(struct kgd_gunzip *g)
{
	inflateEnd(&g->z);
}

int kgd_gunzip(struct kgd_gunzip *g, struct kg_buf *out, size_t full, const void *p, size_t n,
	size_t *used, struct kg_error *err)
{
	g->z.next_in = (Bytef *)(uintptr_t)p;
	g->z.avail_in = (uInt)n;
	while (!g->end && g->z.avail_in && out->len < full) {
		size_t room = full - out->len;

		kg_buf_reserve(out, room);
		g->z.next_out = (Bytef *)out->data + out->len;
		g->z.avail_out = (uInt)room;
		int rc = inflate(&g->z, Z_NO_FLUSH);
		out->len += room - g->z.avail_out;
		g->end = rc == Z_STREAM_END;
		if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
			return kg_fail(err, KG_E_BAD_REQUEST, "the body is not gzip");
	}
	*used = g->end ? n : n - g->z.avail_in;
	return 0;
}

int kgd_gunzip_all(struct kg_buf *out, const struct kg_buf *in, size_t max, struct kg_error *err)
{
	struct kgd_gunzip g KG_CLEANUP(kgd_gunzip_release);
	size_t at = 0, full = 4096;
	int rc = 0;

	kgd_gunzip_init(&g);
	while (rc == 0 && at < in->len && !g.end) {
		size_t used = 0;

		if (out->len == full && (full *= 2) > max)
			return kg_fail(err, KG_E_TOO_LARGE, "the body is too large");
		rc = kgd_gunzip(&g, out, full, in->data + at, in->len - at, &used, err);
		at += used;
	}
	if (rc == 0 && !g.end)
		rc = kg_fail(err, KG_E_BAD_REQUEST, "the gzip body is cut off");
	return rc;
}
