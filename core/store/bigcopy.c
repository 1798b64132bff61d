#include "store/bigcopy.h"

#include "base/mem.h"

#include <fcntl.h>
#include <nettle/sha1.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#define PIECE        (64u << 10)
#define INDEX_HEAD   (8 + 1024)
#define LARGE_OFFSET 0x80000000u /* it is in the table of large offsets */

struct entry {
	const char *path; /* of the pack */
	int fd;
	int type;
	uint64_t size; /* inflated */
	off_t at;      /* of what is deflated */
};

static uint64_t be(const unsigned char *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

static int damaged(const struct entry *e, struct kg_error *err)
{
	return kg_fail(
		err, KG_E_CORRUPT, "%s: the entry at %lld is damaged", e->path, (long long)e->at);
}

/* Where the pack has it, by the index. */
static int find_offset(off_t *at, const struct kg_livepacks_pack *p, uint32_t i)
{
	const unsigned char *offsets = p->index + INDEX_HEAD + (size_t)24 * p->n;
	uint64_t v = be(offsets + (size_t)4 * i, 4);

	if (v >= LARGE_OFFSET) {
		size_t far = INDEX_HEAD + (size_t)28 * p->n + 8 * (size_t)(v - LARGE_OFFSET);

		if (far + 8 > p->index_len)
			return -1;
		v = be(p->index + far, 8);
	}
	*at = (off_t)v;
	return v > INT64_MAX ? -1 : 0;
}

static int read_head(struct entry *e, struct kg_error *err)
{
	unsigned char head[16];
	ssize_t n = pread(e->fd, head, sizeof(head), e->at), i = 0;
	unsigned shift = 4;

	if (n <= 0)
		return n < 0 ? kg_fail_errno(err, "read %s", e->path) : damaged(e, err);
	e->type = head[0] >> 4 & 7;
	e->size = head[0] & 15;
	while (head[i] & 0x80) {
		if (++i == n || shift > 57)
			return damaged(e, err);
		e->size |= (uint64_t)(head[i] & 0x7f) << shift;
		shift += 7;
	}
	e->at += i + 1;
	return 0;
}

static void begin_sum(struct sha1_ctx *sum, const struct entry *e)
{
	static const char *const names[] = {"", "commit", "tree", "blob", "tag"};
	char head[40];
	int n = snprintf(
		head, sizeof(head), "%s %llu", names[e->type], (unsigned long long)e->size);

	sha1_init(sum);
	sha1_update(sum, (size_t)n + 1, (const uint8_t *)head);
}

/* Inflates all of it, and how many bytes that takes; KG_E_CORRUPT where that is not the object. */
static int check(uint64_t *len, const struct entry *e, const unsigned char id[20], z_stream *z,
	unsigned char *in, struct kg_error *err)
{
	unsigned char *out = in + PIECE, digest[20];
	struct sha1_ctx sum;
	uint64_t made = 0;
	int rc = Z_OK;

	*len = 0;
	begin_sum(&sum, e);
	while (rc == Z_OK) {
		ssize_t n = pread(e->fd, in, PIECE, e->at + (off_t)*len);

		if (n <= 0)
			return n < 0 ? kg_fail_errno(err, "read %s", e->path) : damaged(e, err);
		z->next_in = in;
		z->avail_in = (unsigned)n;
		do {
			z->next_out = out;
			z->avail_out = PIECE;
			rc = inflate(z, Z_NO_FLUSH);
			made += PIECE - z->avail_out;
			sha1_update(&sum, PIECE - z->avail_out, out);
		} while (rc == Z_OK && (z->avail_in || !z->avail_out) && made <= e->size);
		*len += (uint64_t)n - z->avail_in;
		if (rc == Z_BUF_ERROR)
			rc = Z_OK; /* more input */
		if (made > e->size)
			break;
	}
	sha1_digest(&sum, sizeof(digest), digest);
	if (rc != Z_STREAM_END || made != e->size || memcmp(digest, id, 20) != 0)
		return damaged(e, err);
	return 0;
}

static int copy(struct kg_packfile *to, const struct entry *e, const unsigned char id[20],
	struct kg_error *err)
{
	unsigned char *pieces KG_AUTOFREE = kg_realloc(NULL, (size_t)2 * PIECE);
	z_stream z = {0};
	uint64_t len;

	if (inflateInit(&z) != Z_OK)
		kg_out_of_memory();
	int rc = check(&len, e, id, &z, pieces, err);
	inflateEnd(&z);
	if (rc == 0)
		rc = kg_packfile_copy(to, id, e->type, e->size, e->fd, e->at, len, err);
	return rc < 0 ? rc : 1;
}

int kg_bigcopy(struct kg_packfile *to, const struct kg_livepacks *set,
	const struct kg_livepacks_at *at, struct kg_error *err)
{
	char *path KG_AUTOFREE = kg_asprintf("%s/%s.pack", set->dir, at->pack->name);
	KG_AUTOCLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct entry e = {.path = path, .fd = fd};

	if (fd < 0)
		return kg_fail_errno(err, "open %s", path);
	if (find_offset(&e.at, at->pack, at->i) < 0)
		return kg_fail(err, KG_E_CORRUPT, "the index of %s is damaged", path);
	int rc = read_head(&e, err);
	if (rc < 0)
		return rc;
	return e.type >= 1 && e.type <= 4 ? copy(to, &e, kg_livepacks_id(at->pack, at->i), err) : 0;
}
