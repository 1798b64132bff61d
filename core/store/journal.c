#include "store/journal.h"

#include "base/endian.h"
#include "base/hash.h"
#include "base/mem.h"
#include "sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAGIC    "kgitjnl1"
#define BLOCK    4096
#define HEAD     120
#define SUMMED   100
#define SMALLEST (256u << 10) /* a smaller half is of no use */

/* The journal takes one of FREE_PART of what is free. */
#define FREE_PART 8

struct half {
	size_t start; /* in the file */
	size_t tail;  /* where the next record begins, from the start */
	uint64_t use;
	int64_t first, last; /* revisions; -1: it is empty */
};
struct kg_journal {
	char *path;
	int fd;      /* -1: there is none */
	size_t size; /* of each half */
	struct half halves[2];
	int at; /* the one that is being filled */
};

static size_t record_size(size_t pack_len)
{
	return (HEAD + pack_len + BLOCK - 1) / BLOCK * BLOCK;
}

static void write_head(unsigned char h[HEAD], const struct kg_append *a, uint64_t use)
{
	memcpy(h, MAGIC, 8);
	kg_put_be64(h + 8, use);
	kg_put_be64(h + 16, a->epoch);
	kg_put_be64(h + 24, a->revision);
	kg_put_be64(h + 32, a->pack_len);
	memcpy(h + 40, a->parent, 20);
	memcpy(h + 60, a->commit, 20);
	memcpy(h + 80, a->pack_id, 20);
	kg_sha1(h + SUMMED, h, SUMMED);
}

/* ---- reading ---- */

/* Reads n bytes: *whole false where the file ends before. */
static int read_at(bool *whole, const struct kg_journal *j, void *out, size_t n, size_t at,
	struct kg_error *err)
{
	size_t got = 0;

	while (got < n) {
		ssize_t r = pread(j->fd, (char *)out + got, n - got, (off_t)(at + got));

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return kg_fail_errno(err, "read %s", j->path);
		if (r == 0)
			break;
		got += (size_t)r;
	}
	*whole = got == n;
	return 0;
}

/* What a replay reads with. */
struct scan {
	struct kg_journal *j;
	int64_t after;
	int (*fn)(void *ctx, const struct kg_append *a, struct kg_error *err);
	void *ctx;
	/* The record that was read. */
	struct kg_append a;
	uint64_t use;
	struct kg_buf pack;
};

static bool read_head(struct scan *s, const unsigned char h[HEAD], size_t space)
{
	unsigned char sum[20];

	if (memcmp(h, MAGIC, 8) != 0)
		return false;
	kg_sha1(sum, h, SUMMED);
	s->use = kg_be64(h + 8);
	s->a = (struct kg_append){
		.epoch = kg_be64(h + 16), .revision = kg_be64(h + 24), .pack_len = kg_be64(h + 32)};
	memcpy(s->a.parent, h + 40, 20);
	memcpy(s->a.commit, h + 60, 20);
	memcpy(s->a.pack_id, h + 80, 20);
	return memcmp(sum, h + SUMMED, 20) == 0 && s->a.revision <= INT64_MAX &&
	       s->a.pack_len >= 20 && s->a.pack_len <= space;
}

/* Reads the record at `at` of a half; *counts: there is one that is whole. */
static int read_record(
	bool *counts, struct scan *s, const struct half *h, size_t at, struct kg_error *err)
{
	unsigned char head[HEAD], sum[20];
	size_t space = s->j->size - at;
	bool whole = false;

	*counts = false;
	if (space < BLOCK)
		return 0;
	int rc = read_at(&whole, s->j, head, HEAD, h->start + at, err);
	if (rc < 0 || !whole || !read_head(s, head, space - HEAD))
		return rc;
	kg_buf_clear(&s->pack);
	kg_buf_reserve(&s->pack, s->a.pack_len + 1);
	rc = read_at(&whole, s->j, s->pack.data, s->a.pack_len, h->start + at + HEAD, err);
	if (rc < 0 || !whole)
		return rc;
	s->a.pack = s->pack.data;
	kg_sha1(sum, s->a.pack, s->a.pack_len - 20);
	*counts = memcmp(sum, s->a.pack_id, 20) == 0 &&
		  memcmp(sum, s->pack.data + s->a.pack_len - 20, 20) == 0;
	return 0;
}

/* Behind the end of a half's records there is none of the same use that git still needs. */
static int check_end(struct scan *s, const struct half *h, struct kg_error *err)
{
	for (size_t at = h->tail; h->last >= 0 && at < s->j->size; at += BLOCK) {
		bool counts;
		int rc = read_record(&counts, s, h, at, err);

		if (rc < 0)
			return rc;
		if (counts && s->use == h->use && (int64_t)s->a.revision > h->last &&
			(int64_t)s->a.revision > s->after)
			return kg_fail(err, KG_E_CORRUPT,
				"%s is damaged at byte %zu, behind revision %lld, though revision "
				"%llu follows: restore a backup, or move the file away to go on "
				"with what git has",
				s->j->path, h->start + h->tail, (long long)h->last,
				(unsigned long long)s->a.revision);
	}
	return 0;
}

static int scan_half(struct scan *s, struct half *h, struct kg_error *err)
{
	for (;;) {
		bool counts;
		int rc = read_record(&counts, s, h, h->tail, err);

		if (rc < 0)
			return rc;
		if (!counts ||
			(h->last >= 0 && (s->use != h->use || (int64_t)s->a.revision <= h->last)))
			return check_end(s, h, err);
		rc = (int64_t)s->a.revision > s->after ? s->fn(s->ctx, &s->a, err) : 0;
		if (rc < 0)
			return rc;
		h->use = s->use;
		h->last = (int64_t)s->a.revision;
		h->tail += record_size(s->a.pack_len);
	}
}

/* The older half first; the younger one is then filled further. */
static int scan_all(struct scan *s, struct kg_error *err)
{
	struct kg_journal *j = s->j;
	int rc = 0;

	/* What a process wrote that was killed before it synced. */
	if (fdatasync(j->fd) < 0)
		return kg_fail_errno(err, "sync %s", j->path);
	for (int i = 0; rc == 0 && i < 2; i++) {
		bool counts;

		rc = read_record(&counts, s, &j->halves[i], 0, err);
		if (rc == 0 && counts)
			j->halves[i].first = (int64_t)s->a.revision;
	}
	j->at = j->halves[1].first > j->halves[0].first;
	if (rc == 0)
		rc = scan_half(s, &j->halves[!j->at], err);
	if (rc == 0)
		rc = scan_half(s, &j->halves[j->at], err);
	return rc;
}

/* ---- the file ---- */

static int fill(int fd, const char *path, size_t size, struct kg_error *err)
{
	char *zeros KG_AUTOFREE = kg_alloc(SMALLEST);

	/* Says early and at once that there is no room, where the filesystem can. */
	if (fallocate(fd, 0, 0, (off_t)size) < 0 && errno != EOPNOTSUPP && errno != ENOSYS)
		return kg_fail_errno(err, "make room for %s", path);
	for (size_t at = 0; at < size; at += SMALLEST) {
		int rc = kg_write_all(fd, zeros, SMALLEST, err);
		if (rc < 0)
			return kg_wrap(err, "%s", path);
	}
	return fsync(fd) < 0 ? kg_fail_errno(err, "sync %s", path) : 0;
}

static int make_file(const char *path, size_t size, struct kg_error *err)
{
	char *tmp KG_AUTOFREE = kg_asprintf("%s.tmp", path);
	KG_AUTOCLOSE int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		return kg_fail_errno(err, "make %s", tmp);
	int rc = fill(fd, tmp, size, err);
	if (rc == 0 && rename(tmp, path) < 0)
		rc = kg_fail_errno(err, "rename %s", tmp);
	if (rc < 0)
		unlink(tmp);
	return rc;
}

/* How large it may be. */
static size_t fitting_size(const char *dir, size_t size)
{
	struct statvfs v;

	if (statvfs(dir, &v) == 0 && v.f_bavail * v.f_frsize / FREE_PART < size)
		size = v.f_bavail * v.f_frsize / FREE_PART;
	return size / (2 * SMALLEST) * (2 * SMALLEST);
}

static int open_file(struct kg_journal *j, const char *dir, struct kg_error *err)
{
	char *parent KG_AUTOFREE = kg_asprintf("%s/..", dir);
	struct stat st;

	j->fd = open(j->path, O_RDWR | O_CLOEXEC);
	if (j->fd < 0 || fstat(j->fd, &st) < 0)
		return kg_fail_errno(err, "open %s", j->path);
	j->size = (size_t)st.st_size / 2 / BLOCK * BLOCK;
	j->halves[1].start = j->size;
	/* Whoever made it may not have come as far as this. */
	int rc = kg_sync_dir(dir, err);
	return rc < 0 ? rc : kg_sync_dir(parent, err);
}

/* The file is there, or it is not for want of room. */
static int need_file(struct kg_journal *j, const char *dir, size_t size, struct kg_buf *notes,
	struct kg_error *err)
{
	if (kg_path_exists(j->path))
		return 0;
	size = fitting_size(dir, size);
	int rc = size ? make_file(j->path, size, err) : -KG_E_NO_SPACE;
	if (rc != -KG_E_NO_SPACE)
		return rc;
	if (notes)
		kg_buf_addf(notes,
			"no room for %s: until a restart revisions are stored without a journal, "
			"which is slower\n",
			j->path);
	return 0;
}

int kg_journal_open(struct kg_journal **out, const char *dir, size_t size, int64_t after,
	int (*fn)(void *ctx, const struct kg_append *a, struct kg_error *err), void *ctx,
	struct kg_buf *notes, struct kg_error *err)
{
	struct kg_journal *j = kg_alloc(sizeof(*j));
	struct scan s = {.j = j, .after = after, .fn = fn, .ctx = ctx};

	j->path = kg_asprintf("%s/journal", dir);
	j->fd = -1;
	for (int i = 0; i < 2; i++)
		j->halves[i].first = j->halves[i].last = -1;
	int rc = need_file(j, dir, size, notes, err);
	if (rc == 0 && kg_path_exists(j->path)) {
		rc = open_file(j, dir, err);
		if (rc == 0)
			rc = scan_all(&s, err);
	}
	kg_buf_release(&s.pack);
	if (rc < 0)
		kg_journal_free(j);
	else
		*out = j;
	return rc;
}

void kg_journal_free(struct kg_journal *j)
{
	if (!j)
		return;
	kg_closep(&j->fd);
	free(j->path);
	free(j);
}

/* ---- writing ---- */

bool kg_journal_fits(const struct kg_journal *j, size_t pack_len)
{
	return j->fd >= 0 && record_size(pack_len) <= j->size;
}

static bool has_room(const struct kg_journal *j, size_t pack_len)
{
	return record_size(pack_len) <= j->size - j->halves[j->at].tail;
}

bool kg_journal_has_room(const struct kg_journal *j, size_t pack_len, int64_t stored)
{
	return has_room(j, pack_len) || j->halves[!j->at].last <= stored;
}

/* Begins a half: what is in it counts no more. */
static int begin(struct half *h, struct kg_error *err)
{
	uint64_t use;

	if (getrandom(&use, sizeof(use), 0) != (ssize_t)sizeof(use))
		return kg_fail_errno(err, "getrandom");
	h->use = use;
	h->tail = 0;
	h->last = -1;
	return 0;
}

/* The half that takes a record for which there is room. */
static int choose(struct kg_journal *j, size_t pack_len, struct kg_error *err)
{
	if (has_room(j, pack_len))
		return j->halves[j->at].last < 0 ? begin(&j->halves[j->at], err) : 0;
	int rc = begin(&j->halves[!j->at], err);
	if (rc == 0)
		j->at = !j->at;
	return rc;
}

/* Takes n bytes from the front of what is to be written. */
static int advance(struct iovec v[3], int first, size_t n)
{
	while (n) {
		size_t part = n < v[first].iov_len ? n : v[first].iov_len;

		v[first].iov_base = (char *)v[first].iov_base + part;
		v[first].iov_len -= part;
		n -= part;
		if (v[first].iov_len == 0 && first < 2)
			first++;
	}
	return first;
}

static int write_record(struct kg_journal *j, const struct kg_append *a, struct kg_error *err)
{
	static const char zeros[BLOCK];
	const struct half *h = &j->halves[j->at];
	size_t at = h->start + h->tail, left = record_size(a->pack_len);
	unsigned char head[HEAD];
	struct iovec v[3] = {{.iov_base = head, .iov_len = HEAD},
		{.iov_base = (void *)(uintptr_t)a->pack, .iov_len = a->pack_len},
		{.iov_base = (void *)(uintptr_t)zeros, .iov_len = left - HEAD - a->pack_len}};
	int first = 0;

	write_head(head, a, h->use);
	while (left) {
		ssize_t n = pwritev(j->fd, v + first, 3 - first, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return kg_fail_errno(err, "write %s", j->path);
		if (n == 0)
			return kg_fail(err, KG_E_IO, "write %s: it takes nothing", j->path);
		at += (size_t)n;
		left -= (size_t)n;
		first = advance(v, first, (size_t)n);
	}
	return 0;
}

int kg_journal_append(struct kg_journal *j, const struct kg_append *a, int64_t stored, bool *lost,
	struct kg_error *err)
{
	*lost = false;
	if (!kg_journal_fits(j, a->pack_len) || !kg_journal_has_room(j, a->pack_len, stored))
		return kg_fail(err, KG_E_NO_SPACE, "the journal is full");
	int rc = choose(j, a->pack_len, err);
	if (rc == 0)
		rc = write_record(j, a, err);
	if (rc < 0)
		return rc;
	if (fdatasync(j->fd) < 0) {
		*lost = true;
		return kg_fail_errno(err, "sync %s", j->path);
	}
	j->halves[j->at].last = (int64_t)a->revision;
	j->halves[j->at].tail += record_size(a->pack_len);
	return 0;
}

int kg_journal_clear(struct kg_journal *j, struct kg_error *err)
{
	static const char zeros[BLOCK];
	const struct iovec block = {.iov_base = (void *)(uintptr_t)zeros, .iov_len = BLOCK};

	for (int i = 0; i < 2; i++) {
		struct half *h = &j->halves[i];

		if (h->last < 0)
			continue;
		if (pwritev2(j->fd, &block, 1, (off_t)h->start, RWF_DSYNC) != BLOCK)
			return kg_fail_errno(err, "clear %s", j->path);
		h->tail = 0;
		h->last = -1;
	}
	return 0;
}
