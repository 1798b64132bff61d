#include "store/packed.h"

#include "base/endian.h"
#include "base/mem.h"

#include <string.h>
#include <zlib.h>

#define PACK_HEAD    12
#define TRAILER      20
#define INDEX_HEAD   (8 + 1024)
#define LARGE_OFFSET 0x80000000u

/* Types that others' packs have, too: the last is a delta of an id's object, the one before it of
 * what lies so many bytes before. */
enum { TAG = 4, OFS_DELTA = 6, REF_DELTA = 7 };

static int malformed(struct kg_error *err)
{
	return kg_fail(err, KG_E_CORRUPT, "malformed pack");
}

bool kg_packed_has_index(const struct kg_packed *p)
{
	return p->index_len >= INDEX_HEAD + 40 && memcmp(p->index, "\377tOc\0\0\0\2", 8) == 0 &&
	       (p->index_len - INDEX_HEAD - 40) / 28 >= kg_be32(p->index + INDEX_HEAD - 4);
}

/* What lies far in a large pack has its place in another table. */
static size_t offset_of(const struct kg_packed *p, size_t i, size_t n)
{
	uint32_t at = kg_be32(p->index + INDEX_HEAD + 24 * n + 4 * i);
	size_t far = INDEX_HEAD + 28 * n + 8 * (size_t)(at & ~LARGE_OFFSET);

	if (!(at & LARGE_OFFSET))
		return at;
	if (far + 8 + 40 > p->index_len)
		return 0;
	return (size_t)kg_be64(p->index + far);
}

uint32_t kg_packed_count(const struct kg_packed *p)
{
	return kg_packed_has_index(p) ? kg_be32(p->index + INDEX_HEAD - 4) : 0;
}

const unsigned char *kg_packed_id(const struct kg_packed *p, uint32_t i)
{
	return p->index + INDEX_HEAD + 20 * (size_t)i;
}

size_t kg_packed_at(const struct kg_packed *p, uint32_t i)
{
	return offset_of(p, i, kg_packed_count(p));
}

size_t kg_packed_find(const struct kg_packed *p, const unsigned char id[20])
{
	if (!kg_packed_has_index(p))
		return 0;
	uint32_t n = kg_be32(p->index + INDEX_HEAD - 4);
	int64_t i = kg_pack_index_find(p->index, n, id);
	return i < 0 ? 0 : offset_of(p, (size_t)i, n);
}

/* *at moves behind it. */
static int read_any_head(
	unsigned *type, size_t *len, const struct kg_packed *p, size_t *at, struct kg_error *err)
{
	size_t end = p->pack_len - TRAILER, i = *at;
	unsigned shift = 4;

	if (p->pack_len < PACK_HEAD + TRAILER || i < PACK_HEAD || i >= end)
		return malformed(err);
	unsigned c = p->pack[i++];
	*type = c >> 4 & 7;
	*len = c & 15;
	for (; c & 0x80; shift += 7) {
		if (i >= end || shift > 50)
			return malformed(err);
		c = p->pack[i++];
		*len |= (size_t)(c & 0x7f) << shift;
	}
	*at = i;
	return 0;
}

static bool is_whole(unsigned type)
{
	return type >= KG_PACK_COMMIT && type <= KG_PACK_BLOB;
}

/* Of a whole object; *at moves to the entry's zlib stream. */
static int read_head(enum kg_pack_type *type, size_t *len, const struct kg_packed *p, size_t *at,
	struct kg_error *err)
{
	unsigned any = 0;
	int rc = read_any_head(&any, len, p, at, err);

	*type = (enum kg_pack_type)any;
	return rc == 0 && !is_whole(any) ? malformed(err) : rc;
}

int kg_packed_header(enum kg_pack_type *type, size_t *len, const struct kg_packed *p, size_t at,
	struct kg_error *err)
{
	return read_head(type, len, p, &at, err);
}

/* ---- sizes, and what deltas are of ---- */

/* A delta's base; *at, behind the entry's head, moves to its zlib stream. */
static int read_base(size_t *base, unsigned type, const struct kg_packed *p, size_t entry,
	size_t *at, struct kg_error *err)
{
	size_t end = p->pack_len - TRAILER, i = *at, back = 0;

	if (type == REF_DELTA) {
		if (end - i <= 20)
			return malformed(err);
		*base = p->index ? kg_packed_find(p, p->pack + i) : 0;
		*at = i + 20;
		return 0;
	}
	if (type != OFS_DELTA)
		return malformed(err);
	/* Seven bits a byte; each but the last stands for one more. */
	for (unsigned c = 0x80; c & 0x80;) {
		if (i >= end || back >= entry)
			return malformed(err);
		c = p->pack[i++];
		back = back << 7 | (c & 0x7f);
		if (c & 0x80)
			back++;
	}
	if (!back || back >= entry)
		return malformed(err);
	*base = entry - back;
	*at = i;
	return 0;
}

int kg_packed_base(size_t *base, const struct kg_packed *p, size_t at, struct kg_error *err)
{
	size_t entry = at, size;
	unsigned type;
	int rc = read_any_head(&type, &size, p, &at, err);

	*base = 0;
	if (rc < 0 || is_whole(type) || type == TAG)
		return rc;
	rc = read_base(base, type, p, entry, &at, err);
	if (rc == 0 && !*base)
		rc = kg_fail(err, KG_E_CORRUPT, "a delta of what its pack lacks");
	return rc;
}

static bool read_number(size_t *out, const unsigned char **p, const unsigned char *end)
{
	unsigned shift = 0;

	for (*out = 0; *p < end && shift <= 56; shift += 7) {
		unsigned c = *(*p)++;

		*out |= (size_t)(c & 0x7f) << shift;
		if (!(c & 0x80))
			return true;
	}
	return false;
}

/* What the delta whose zlib stream lies there makes: it begins with the base's size and that. */
static int made_by(size_t *size, const struct kg_packed *p, size_t at, struct kg_error *err)
{
	unsigned char head[20];
	const unsigned char *from = head;
	size_t base, left = p->pack_len - TRAILER - at;
	z_stream z = {.next_in = (unsigned char *)(uintptr_t)p->pack + at,
		.avail_in = left < UINT32_MAX ? (unsigned)left : UINT32_MAX,
		.next_out = head,
		.avail_out = sizeof(head)};

	if (inflateInit(&z) != Z_OK)
		kg_out_of_memory();
	inflate(&z, Z_SYNC_FLUSH);
	const unsigned char *end = z.next_out;
	inflateEnd(&z);
	if (!read_number(&base, &from, end) || !read_number(size, &from, end))
		return malformed(err);
	return 0;
}

int kg_packed_size(size_t *size, const struct kg_packed *p, size_t at, struct kg_error *err)
{
	size_t entry = at, base;
	unsigned type;
	int rc = read_any_head(&type, size, p, &at, err);

	if (rc < 0 || is_whole(type) || type == TAG)
		return rc;
	rc = read_base(&base, type, p, entry, &at, err);
	if (rc < 0)
		return rc;
	return at < p->pack_len - TRAILER ? made_by(size, p, at, err) : malformed(err);
}

/* ---- reading ---- */

/* Inflates the stream at *at, which must give len bytes; *at moves behind it. */
static int inflate_at(
	void *out, size_t len, const struct kg_packed *p, size_t *at, struct kg_error *err)
{
	uLongf got = len;
	uLong used = p->pack_len - TRAILER - *at;

	if (uncompress2(out, &got, p->pack + *at, &used) != Z_OK || got != len)
		return malformed(err);
	*at += used;
	return 0;
}

int kg_packed_read(
	void *out, size_t len, const struct kg_packed *p, size_t at, struct kg_error *err)
{
	enum kg_pack_type type;
	size_t is = 0;
	int rc = read_head(&type, &is, p, &at, err);

	if (rc == 0 && is != len)
		rc = malformed(err);
	return rc < 0 ? rc : inflate_at(out, len, p, &at, err);
}

/* ---- into another pack ---- */

static int by_offset(const void *a, const void *b)
{
	uint64_t x = ((const struct kg_pack_entry *)a)->offset;
	uint64_t y = ((const struct kg_pack_entry *)b)->offset;

	return (x > y) - (x < y);
}

/* A zlib stream of one stored block of len bytes: the bytes; else NULL. */
static const unsigned char *stored_bytes(const unsigned char *z, size_t n, size_t len)
{
	if (n != len + 11 || z[0] != 0x78 || z[2] != 1 || (z[3] | z[4] << 8) != (int)len)
		return NULL;
	return z + 7;
}

typedef int add_fn(struct kg_pack *to, const struct kg_packed *p, const struct kg_pack_entry *e,
	size_t n, struct kg_error *err);

static int add_as_it_lies(struct kg_pack *to, const struct kg_packed *p,
	const struct kg_pack_entry *e, size_t n, struct kg_error *err)
{
	(void)err;
	kg_pack_add_packed(to, p->pack + e->offset, n, e);
	return 0;
}

static int add_deflated(struct kg_pack *to, const struct kg_packed *p,
	const struct kg_pack_entry *e, size_t n, struct kg_error *err)
{
	size_t len, at = (size_t)e->offset;
	enum kg_pack_type type;
	int rc = read_head(&type, &len, p, &at, err);

	if (rc < 0)
		return rc;
	size_t head = at - (size_t)e->offset;
	const unsigned char *bytes =
		head < n && type != KG_PACK_TREE ? stored_bytes(p->pack + at, n - head, len) : NULL;
	if (bytes)
		kg_pack_add_known(to, type, bytes, len, e->id);
	else
		kg_pack_add_packed(to, p->pack + e->offset, n, e);
	return 0;
}

static int add_all(struct kg_pack *to, const struct kg_packed *p, add_fn *add, struct kg_error *err)
{
	struct kg_pack_entry *entries KG_AUTOFREE = NULL;
	size_t n = kg_packed_count(p);

	if (!n || p->pack_len < PACK_HEAD + TRAILER)
		return malformed(err);
	entries = kg_alloc(n * sizeof(*entries));
	for (size_t i = 0; i < n; i++) {
		memcpy(entries[i].id, p->index + INDEX_HEAD + 20 * i, 20);
		entries[i].crc = kg_be32(p->index + INDEX_HEAD + 20 * n + 4 * i);
		entries[i].offset = offset_of(p, i, n);
	}
	qsort(entries, n, sizeof(*entries), by_offset);
	for (size_t i = 0; i < n; i++) {
		size_t from = (size_t)entries[i].offset;
		size_t end = i + 1 < n ? (size_t)entries[i + 1].offset : p->pack_len - TRAILER;

		if (from < PACK_HEAD || end <= from || end > p->pack_len - TRAILER)
			return malformed(err);
		int rc = add(to, p, &entries[i], end - from, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int kg_packed_copy(struct kg_pack *to, const struct kg_packed *p, struct kg_error *err)
{
	return add_all(to, p, add_as_it_lies, err);
}

int kg_packed_deflate(struct kg_pack *to, const struct kg_packed *p, struct kg_error *err)
{
	return add_all(to, p, add_deflated, err);
}

int kg_packed_reindex(struct kg_pack *to, const void *pack, size_t len, struct kg_error *err)
{
	struct kg_packed p = {.pack = pack, .pack_len = len};
	struct kg_buf raw KG_AUTOBUF = KG_BUF_INIT;
	size_t at = PACK_HEAD;

	if (len < PACK_HEAD + TRAILER || memcmp(pack, "PACK\0\0\0\2", 8) != 0)
		return malformed(err);
	for (uint32_t n = kg_be32(p.pack + 8); n; n--) {
		enum kg_pack_type type = KG_PACK_BLOB;
		unsigned char id[20];
		size_t size = 0;
		int rc = read_head(&type, &size, &p, &at, err);

		/* zlib makes at most 1,032 bytes of one. */
		if (rc == 0 && size / 1032 > len)
			rc = malformed(err);
		if (rc == 0) {
			kg_buf_clear(&raw);
			kg_buf_reserve(&raw, size + 1);
			rc = inflate_at(raw.data, size, &p, &at, err);
		}
		if (rc < 0)
			return rc;
		kg_pack_add(to, type, raw.data, size, id);
	}
	return at == len - TRAILER ? 0 : malformed(err);
}
