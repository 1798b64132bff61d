#include "store/zpack.h"

#include "base/mem.h"

#include <libdeflate.h>
#include <stdlib.h>

#define FASTEST      1          /* libdeflate's level */
#define SMALL_TABLES 6          /* zlib's memLevel */
#define PIECE        (1u << 20) /* zlib counts in 32 bits; a blob may be larger */

void kg_zpack_release(struct kg_zpack *z)
{
	if (z->ready)
		deflateEnd(&z->z);
	libdeflate_free_compressor(z->fast);
	*z = (struct kg_zpack){0};
}

static void add_be32(struct kg_buf *out, uint32_t v)
{
	unsigned char b[4] = {(unsigned char)(v >> 24), (unsigned char)(v >> 16),
		(unsigned char)(v >> 8), (unsigned char)v};

	kg_buf_add(out, b, sizeof(b));
}

/* RFC 1950 around RFC 1951's stored blocks. */
static void add_stored(struct kg_buf *out, const unsigned char *p, size_t n)
{
	uint32_t sum = libdeflate_adler32(1, p, n);

	kg_buf_reserve(out, n + n / 65535 * 5 + 11);
	kg_buf_add(out, "\x78\x01", 2);
	do {
		unsigned len = n > 65535 ? 65535 : (unsigned)n;
		unsigned char head[5] = {len == n, (unsigned char)len, (unsigned char)(len >> 8),
			(unsigned char)~len, (unsigned char)(~len >> 8)};

		kg_buf_add(out, head, sizeof(head));
		kg_buf_add(out, p, len);
		p += len;
		n -= len;
	} while (n);
	add_be32(out, sum);
}

static void add_fast(struct kg_buf *out, struct kg_zpack *z, const unsigned char *p, size_t n)
{
	if (!z->fast)
		z->fast = libdeflate_alloc_compressor(FASTEST);
	if (!z->fast)
		kg_out_of_memory();
	kg_buf_reserve(out, libdeflate_zlib_compress_bound(z->fast, n) + 1);
	size_t len = libdeflate_zlib_compress(
		z->fast, p, n, out->data + out->len, out->cap - out->len - 1);
	/* Only for want of room. */
	if (!len)
		abort();
	out->len += len;
	out->data[out->len] = '\0';
}

/* With tables no larger than small objects need: they are cleared for each. */
static int init(struct kg_zpack *z)
{
	return deflateInit2(
		&z->z, z->level, Z_DEFLATED, MAX_WBITS, SMALL_TABLES, Z_DEFAULT_STRATEGY);
}

static void add_deflated(struct kg_buf *out, struct kg_zpack *z, const unsigned char *p, size_t n)
{
	/* Only a wrong argument or lack of memory can fail here; both end the process. */
	if (!z->ready && init(z) != Z_OK)
		abort();
	if (z->ready && deflateReset(&z->z) != Z_OK)
		abort();
	z->ready = 1;
	kg_buf_reserve(out, deflateBound(&z->z, n) + 1);
	for (int rc = Z_OK; rc != Z_STREAM_END;) {
		size_t room = out->cap - out->len - 1, k = n < PIECE ? n : PIECE;

		z->z.next_in = (Bytef *)(uintptr_t)p;
		z->z.avail_in = (uInt)k;
		z->z.next_out = (Bytef *)out->data + out->len;
		z->z.avail_out = room < UINT32_MAX ? (uInt)room : UINT32_MAX;
		rc = deflate(&z->z, k == n ? Z_FINISH : Z_NO_FLUSH);
		if (rc != Z_OK && rc != Z_STREAM_END)
			abort();
		p = z->z.next_in;
		n -= k - z->z.avail_in;
		out->len = (size_t)((char *)z->z.next_out - out->data);
	}
	out->data[out->len] = '\0';
}

void kg_zpack_add(struct kg_buf *out, struct kg_zpack *z, const void *p, size_t n, int stored)
{
	if (stored || (!z->level && n < 32))
		add_stored(out, n ? p : (const void *)"", n);
	else if (!z->level)
		add_fast(out, z, p, n);
	else
		add_deflated(out, z, p, n);
}

uint32_t kg_zpack_crc(const void *p, size_t n)
{
	return libdeflate_crc32(0, p, n);
}
