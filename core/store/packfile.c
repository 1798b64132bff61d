#include "store/packfile.h"

#include "base/buf.h"
#include "base/mem.h"
#include "store/pack.h"
#include "store/zpack.h"
#include "sys/file.h"

#include <assert.h>
#include <fcntl.h>
#include <nettle/sha1.h>
#include <unistd.h>

#define FLUSH     (256u << 10)
#define COPIED    ((size_t)64 << 10)
#define OFS_DELTA 6
#define LEVEL     9

struct kg_packfile {
	char *path; /* owned: without the ending */
	int fd;
	uint64_t written; /* bytes that are no longer in buf */
	struct kg_buf buf;
	struct sha1_ctx sum;
	struct kg_zpack z;
	struct kg_pack_entry *entries;
	uint32_t n, expected;
};

static int open_file(const char *path, struct kg_error *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0444);

	return fd < 0 ? kg_fail_errno(err, "make %s", path) : fd;
}

int kg_packfile_new(struct kg_packfile **out, const char *path, uint32_t n, struct kg_error *err)
{
	unsigned char head[12] = {'P', 'A', 'C', 'K', 0, 0, 0, 2, (unsigned char)(n >> 24),
		(unsigned char)(n >> 16), (unsigned char)(n >> 8), (unsigned char)n};
	char *file KG_AUTOFREE = kg_asprintf("%s.pack", path);
	int fd = open_file(file, err);

	if (fd < 0)
		return fd;
	struct kg_packfile *p = kg_alloc(sizeof(*p));
	p->path = kg_strdup(path);
	p->fd = fd;
	p->expected = n;
	p->entries = kg_alloc((n + 1) * sizeof(*p->entries));
	p->z.level = LEVEL;
	sha1_init(&p->sum);
	kg_buf_add(&p->buf, head, sizeof(head));
	*out = p;
	return 0;
}

void kg_packfile_free(struct kg_packfile *p)
{
	if (!p)
		return;
	kg_closep(&p->fd);
	kg_zpack_release(&p->z);
	kg_buf_release(&p->buf);
	free(p->entries);
	free(p->path);
	free(p);
}

uint64_t kg_packfile_at(const struct kg_packfile *p)
{
	return p->written + p->buf.len;
}

static int flush(struct kg_packfile *p, struct kg_error *err)
{
	sha1_update(&p->sum, p->buf.len, (const uint8_t *)p->buf.data);
	int rc = kg_write_all(p->fd, p->buf.data, p->buf.len, err);
	p->written += p->buf.len;
	kg_buf_clear(&p->buf);
	return rc < 0 ? kg_wrap(err, "%s.pack", p->path) : 0;
}

static void begin_entry(struct kg_packfile *p, const unsigned char id[20])
{
	struct kg_pack_entry *e = &p->entries[p->n++];

	assert(p->n <= p->expected);
	memcpy(e->id, id, 20);
	e->offset = kg_packfile_at(p);
}

static int end_entry(struct kg_packfile *p, const void *data, size_t len, struct kg_error *err)
{
	struct kg_pack_entry *e = &p->entries[p->n - 1];

	kg_zpack_add(&p->buf, &p->z, data, len, false);
	size_t from = (size_t)(e->offset - p->written);
	e->crc = kg_zpack_crc(p->buf.data + from, p->buf.len - from);
	return p->buf.len >= FLUSH ? flush(p, err) : 0;
}

/* How far back the base lies. */
static void add_distance(struct kg_buf *out, uint64_t n)
{
	unsigned char bytes[10];
	size_t at = sizeof(bytes);

	bytes[--at] = n & 0x7f;
	while (n >>= 7)
		bytes[--at] = (unsigned char)(0x80 | (--n & 0x7f));
	kg_buf_add(out, bytes + at, sizeof(bytes) - at);
}

int kg_packfile_add(struct kg_packfile *p, const unsigned char id[20], int type, const void *data,
	size_t len, struct kg_error *err)
{
	begin_entry(p, id);
	kg_pack_object_header(&p->buf, type, len);
	return end_entry(p, data, len, err);
}

int kg_packfile_add_delta(struct kg_packfile *p, const unsigned char id[20], uint64_t base,
	const void *delta, size_t len, struct kg_error *err)
{
	uint64_t at = kg_packfile_at(p);

	begin_entry(p, id);
	kg_pack_object_header(&p->buf, OFS_DELTA, len);
	add_distance(&p->buf, at - base);
	return end_entry(p, delta, len, err);
}

int kg_packfile_copy(struct kg_packfile *p, const unsigned char id[20], int type, uint64_t size,
	int fd, off_t from, uint64_t n, struct kg_error *err)
{
	begin_entry(p, id);
	struct kg_pack_entry *e = &p->entries[p->n - 1];
	size_t fresh = p->buf.len; /* what of it is not in the sum yet begins there */
	int rc = 0;

	kg_pack_object_header(&p->buf, type, size);
	e->crc = (uint32_t)crc32(0, NULL, 0);
	while (rc == 0 && (n || fresh < p->buf.len)) {
		size_t piece = n < COPIED ? (size_t)n : COPIED;

		kg_buf_reserve(&p->buf, piece);
		ssize_t got = piece ? pread(fd, p->buf.data + p->buf.len, piece, from) : 0;
		if (got < 0)
			return kg_fail_errno(err, "read a pack");
		if (piece && !got)
			return kg_fail(err, KG_E_CORRUPT, "a pack ends within an object");
		p->buf.len += (size_t)got;
		from += got;
		n -= (uint64_t)got;
		e->crc = (uint32_t)crc32_z(
			e->crc, (const unsigned char *)p->buf.data + fresh, p->buf.len - fresh);
		if (p->buf.len >= FLUSH)
			rc = flush(p, err);
		fresh = p->buf.len;
	}
	return rc;
}

static int write_index(struct kg_packfile *p, const unsigned char id[20], struct kg_error *err)
{
	struct kg_buf index KG_AUTOBUF = KG_BUF_INIT;
	char *file KG_AUTOFREE = kg_asprintf("%s.idx", p->path);
	KG_AUTOCLOSE int fd = open_file(file, err);

	if (fd < 0)
		return fd;
	kg_pack_sort(p->entries, p->n);
	kg_pack_index_write(&index, p->entries, p->n, id);
	int rc = kg_write_all(fd, index.data, index.len, err);
	return rc < 0 ? kg_wrap(err, "%s", file) : 0;
}

int kg_packfile_finish(struct kg_packfile *p, unsigned char id[20], struct kg_error *err)
{
	assert(p->n == p->expected);
	int rc = flush(p, err);

	sha1_digest(&p->sum, 20, id);
	if (rc == 0)
		rc = kg_write_all(p->fd, id, 20, err);
	return rc < 0 ? rc : write_index(p, id, err);
}
