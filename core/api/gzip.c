/*
 * Large answers, packed for who takes gzip, as Kubernetes' API server does it: from 128 KiB on, at
 * zlib's fastest level. Objects of a list say much the same, so a list becomes a twentieth of
 * itself. It takes twice the CPU time of sending it as it is, which pays over any network and not
 * over the loopback.
 */
#include "api/internal.h"
#include "api/reply.h"
#include "api/request.h"

#include <assert.h>
#include <zlib.h>

enum { LEVEL = 1, GZIP_WINDOW = 15 + 16, MEM_LEVEL = 8 };

struct gzip {
	z_stream z;
};

static bool refuses(const char *params, size_t n)
{
	const char *q = memmem(params, n, "q=", 2);

	return q && strtod(q + 2, NULL) == 0;
}

static bool is_local(const char *address)
{
	const char *v4 = strncmp(address, "::ffff:", 7) == 0 ? address + 7 : address;

	return !strncmp(v4, "127.", 4) || !strcmp(address, "::1");
}

bool kg_api_gzip_wanted(const struct request *r)
{
	const char *p = kg_http_header(r->http, "Accept-Encoding");
	enum kg_api_gzip when = r->api->opt.gzip;

	if (when == KG_API_GZIP_NEVER ||
		(when == KG_API_GZIP_REMOTE && is_local(kg_http_peer_address(r->http))))
		return false;

	while (p && *p) {
		p += strspn(p, ", \t");
		size_t n = strcspn(p, ","), word = strcspn(p, "; \t,");

		if (word == 4 && !strncasecmp(p, "gzip", 4))
			return !refuses(p + word, n - word);
		p += n;
	}
	return false;
}

void kg_api_gzip_headers(struct request *r)
{
	kg_http_set_header(r->http, "Content-Encoding", "gzip");
	kg_http_set_header(r->http, "Vary", "Accept, Accept-Encoding");
}

struct gzip *kg_api_gzip_new(void)
{
	struct gzip *g = kg_alloc(sizeof(*g));
	int rc = deflateInit2(&g->z, LEVEL, Z_DEFLATED, GZIP_WINDOW, MEM_LEVEL, Z_DEFAULT_STRATEGY);

	if (rc != Z_OK)
		kg_out_of_memory(); /* all else that can be wrong is a constant */
	return g;
}

void kg_api_gzip_free(struct gzip *g)
{
	if (!g)
		return;
	deflateEnd(&g->z);
	free(g);
}

void kg_api_gzip_add(struct gzip *g, struct kg_buf *out, const char *p, size_t n, bool last)
{
	int rc;

	g->z.next_in = (Bytef *)(uintptr_t)p;
	g->z.avail_in = (uInt)n;
	do {
		kg_buf_reserve(out, 16384);
		g->z.next_out = (Bytef *)out->data + out->len;
		g->z.avail_out = 16384;
		rc = deflate(&g->z, last ? Z_FINISH : Z_SYNC_FLUSH);
		assert(rc != Z_STREAM_ERROR);
		out->len += 16384 - g->z.avail_out;
	} while (g->z.avail_out == 0 && rc != Z_STREAM_END);
}

void kg_api_gzip_body(struct request *r, struct kg_buf *body, size_t least)
{
	struct kg_buf packed = KG_BUF_INIT;
	struct gzip *g;

	if (body->len <= least || !kg_api_gzip_wanted(r))
		return;
	g = kg_api_gzip_new();
	kg_api_gzip_add(g, &packed, body->data, body->len, true);
	kg_api_gzip_free(g);
	kg_buf_release(body);
	*body = packed;
	kg_api_gzip_headers(r);
}
