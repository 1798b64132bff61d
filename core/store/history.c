#include "store/history.h"

#include "base/endian.h"
#include "base/hash.h"
#include "base/mem.h"
#include "store/commit_text.h"
#include "store/view.h"
#include "sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC     "kgitrev1"
#define HEAD_SIZE 16

void kg_history_release(struct kg_history *h)
{
	free(h->path);
	free(h->ids);
	free(h->spare);
	kg_shallow_release(&h->stops);
	if (h->fd >= 0)
		close(h->fd);
	*h = (struct kg_history){.fd = -1};
}

/* ---- the file ---- */

/* What the file says, unchecked. */
static bool read_head(int fd, uint64_t *first, uint64_t *count)
{
	unsigned char head[HEAD_SIZE];
	struct stat st;

	if (pread(fd, head, sizeof(head), 0) != (ssize_t)sizeof(head) || fstat(fd, &st) < 0 ||
		memcmp(head, MAGIC, 8) != 0)
		return false;
	*first = kg_be64(head + 8);
	*count = ((uint64_t)st.st_size - HEAD_SIZE) / 20;
	return true;
}

bool kg_history_newest(uint64_t *revision, const char *path)
{
	KG_AUTOCLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t first, count;

	if (fd < 0 || !read_head(fd, &first, &count) || !count)
		return false;
	*revision = first + count - 1;
	return true;
}

static bool read_id(const struct kg_history *h, uint64_t revision, unsigned char id[20])
{
	uint64_t i = revision - h->first;

	if (revision < h->first || i >= h->count)
		return false;
	if (!h->path) {
		memcpy(id, h->ids + 20 * (h->count - 1 - i), 20);
		return true;
	}
	return pread(h->fd, id, 20, (off_t)(HEAD_SIZE + 20 * i)) == 20;
}

/* ---- walking the commits ---- */

/* The commit's first parent; *has_parent false at the end, also where history was cut or the parent
 * is not here. */
static int parent_of(unsigned char parent[20], bool *has_parent, const struct kg_history *h,
	const struct kg_reader *r, const unsigned char commit[20], uint64_t revision,
	struct kg_error *err)
{
	git_odb_object *obj KG_AUTOOBJ = NULL;
	struct kg_commit_view c = {0};
	int rc = kg_commit_read(&obj, &c, r, commit, err);

	if (rc < 0)
		return rc;
	if (!c.has_revision || c.revision != revision)
		return kg_fail(err, KG_E_CORRUPT,
			"the state branch's history: expected revision "
			"%llu, found %llu",
			(unsigned long long)revision, (unsigned long long)c.revision);
	*has_parent = c.has_parent && revision > 0 && !kg_shallow_has(&h->stops, commit) &&
		      kg_reader_has(r, c.parent);
	memcpy(parent, c.parent, 20);
	return 0;
}

struct walked {
	unsigned char *ids; /* newest first */
	size_t len, cap;
	bool joined; /* ended at an entry of the file that is right; else at the oldest commit */
};

/* From the head back to where the file is right, or to the end. */
static int walk(struct walked *w, const struct kg_history *h, const struct kg_reader *r,
	const unsigned char head[20], uint64_t revision, bool trust, struct kg_error *err)
{
	unsigned char at[20], known[20];
	bool more = true;

	memcpy(at, head, 20);
	for (; more; revision--) {
		if (trust && read_id(h, revision, known) && memcmp(known, at, 20) == 0) {
			w->joined = true;
			return 0;
		}
		w->ids = kg_grow(w->ids, &w->cap, w->len + 1, 20);
		memcpy(w->ids + 20 * w->len++, at, 20);
		int rc = parent_of(at, &more, h, r, at, revision, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* What the file could not take for want of room. */
static bool read_spare(const struct kg_history *h, uint64_t revision, unsigned char id[20])
{
	if (revision > h->spare_newest || h->spare_newest - revision >= h->nspare)
		return false;
	memcpy(id, h->spare + 20 * (h->spare_newest - revision), 20);
	return true;
}

static void keep_spare(struct kg_history *h, struct walked *w, uint64_t revision)
{
	free(h->spare);
	h->spare = kg_steal(&w->ids);
	h->nspare = w->len;
	h->spare_newest = revision;
}

/* A disk that fills up takes a part first. */
static int write_at(
	const struct kg_history *h, const void *p, size_t n, off_t at, struct kg_error *err)
{
	const char *s = p;

	while (n) {
		ssize_t w = pwrite(h->fd, s, n, at);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return kg_fail_errno(err, "write %s", h->path);
		s += w;
		n -= (size_t)w;
		at += w;
	}
	return 0;
}

/* Rewrites the file, or its end. */
static int save(struct kg_history *h, struct walked *w, uint64_t revision, struct kg_error *err)
{
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;
	uint64_t from = revision + 1 - w->len;
	unsigned char head[HEAD_SIZE] = MAGIC;

	if (!w->joined)
		h->first = from;
	h->count = revision + 1 - h->first;
	kg_put_be64(head + 8, h->first);
	for (size_t i = w->len; i-- > 0;)
		kg_buf_add(&out, w->ids + 20 * i, 20);
	off_t at = (off_t)(HEAD_SIZE + 20 * (from - h->first));
	if (ftruncate(h->fd, at) < 0)
		return kg_fail_errno(err, "write %s", h->path);
	int rc = write_at(h, head, sizeof(head), 0, err);
	return rc < 0 ? rc : write_at(h, kg_buf_str(&out), out.len, at, err);
}

/* The newest of the commits without parents on the way ends it. */
static void find_oldest(struct kg_history *h, const struct kg_reader *r)
{
	h->oldest = h->first;
	for (size_t i = 0; i < h->stops.n; i++) {
		git_odb_object *obj KG_AUTOOBJ = NULL;
		struct kg_commit_view c = {0};
		unsigned char id[20];

		if (!kg_reader_has(r, h->stops.ids[i]) ||
			kg_commit_read(&obj, &c, r, h->stops.ids[i], NULL) < 0)
			continue;
		if (c.has_revision && c.revision > h->oldest && read_id(h, c.revision, id) &&
			memcmp(id, h->stops.ids[i], 20) == 0)
			h->oldest = c.revision;
	}
}

static int refresh(struct kg_history *h, const struct kg_reader *r, const unsigned char head[20],
	uint64_t revision, bool trust, struct kg_error *err)
{
	struct walked w = {0};
	int rc;

	if (h->path && (!trust || !read_head(h->fd, &h->first, &h->count))) {
		trust = false;
		h->count = 0;
	}
	rc = walk(&w, h, r, head, revision, trust && h->path, err);
	if (rc == 0 && h->path) {
		rc = save(h, &w, revision, err);
		if (rc == -KG_E_NO_SPACE) {
			keep_spare(h, &w, revision);
			rc = 0;
		}
	} else if (rc == 0) {
		free(h->ids);
		h->ids = kg_steal(&w.ids);
		h->count = w.len;
		h->first = revision + 1 - w.len;
	}
	free(w.ids);
	if (rc == 0)
		find_oldest(h, r);
	return rc;
}

static int open_file(struct kg_history *h, const char *path, struct kg_error *err)
{
	if (!path)
		return 0;
	h->path = kg_strdup(path);
	h->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	return h->fd < 0 ? kg_fail_errno(err, "open %s", path) : 0;
}

int kg_history_open(struct kg_history *h, const char *dir, const char *path,
	const struct kg_reader *r, const unsigned char head[20], uint64_t revision,
	struct kg_error *err)
{
	*h = (struct kg_history){.fd = -1};
	int rc = kg_shallow_read(&h->stops, dir, err);
	if (rc == 0)
		rc = open_file(h, path, err);
	if (rc == 0)
		rc = refresh(h, r, head, revision, true, err);
	if (rc < 0)
		kg_history_release(h);
	return rc;
}

void kg_history_append(struct kg_history *h, const unsigned char commit[20])
{
	/* Where this fails, the entry is not what a look-up expects and the file is made again. */
	if (h->path && pwrite(h->fd, commit, 20, (off_t)(HEAD_SIZE + 20 * h->count)) != 20)
		errno = 0;
	h->count++;
}

/* The file without what is no longer retained, in its place. Where that fails, or the power is cut,
 * it is what it was, or wrong, which the next look-up mends. */
static void trim(struct kg_history *h)
{
	char *tmp KG_AUTOFREE = kg_asprintf("%s.new", h->path);
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;
	uint64_t skip = h->oldest - h->first;
	size_t n = (size_t)(20 * (h->count - skip));
	unsigned char head[HEAD_SIZE] = MAGIC;

	kg_put_be64(head + 8, h->oldest);
	kg_buf_add(&out, head, sizeof(head));
	kg_buf_reserve(&out, n);
	if (pread(h->fd, out.data + HEAD_SIZE, n, (off_t)(HEAD_SIZE + 20 * skip)) != (ssize_t)n)
		return;
	out.len += n;
	KG_AUTOCLOSE int fd = open(tmp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return;
	if (kg_write_all(fd, out.data, out.len, NULL) < 0 || rename(tmp, h->path) < 0) {
		unlink(tmp); /* the disk is full: not by this */
		return;
	}
	int old = h->fd;
	h->fd = fd;
	fd = old;
	h->first = h->oldest;
	h->count -= skip;
}

void kg_history_cut(struct kg_history *h, uint64_t oldest, const unsigned char commit[20])
{
	kg_shallow_add(&h->stops, commit);
	if (oldest > h->oldest)
		h->oldest = oldest;
	/* So rarely that an id is copied few times. */
	if (h->path && (h->oldest - h->first) * 4 >= h->count)
		trim(h);
}

/* Is that the commit of the revision. */
static bool right(const struct kg_history *h, const struct kg_reader *r, const unsigned char id[20],
	uint64_t revision)
{
	unsigned char parent[20];
	bool more = false;

	return parent_of(parent, &more, h, r, id, revision, NULL) == 0;
}

int kg_history_gone(const struct kg_history *h, uint64_t revision, struct kg_error *err)
{
	return kg_fail(err, KG_E_GONE,
		"revision %llu is not kept any more: the oldest that is kept is %llu. Ask for that "
		"or a later one, or without a revision for the newest; how much is kept says "
		"retention in .kgit/settings.yaml",
		(unsigned long long)revision, (unsigned long long)h->oldest);
}

int kg_history_find(unsigned char commit[20], struct kg_history *h, const struct kg_reader *r,
	const unsigned char head[20], uint64_t head_revision, uint64_t revision,
	struct kg_error *err)
{
	if (revision > head_revision)
		return kg_fail(err, KG_E_NOT_FOUND, "revision %llu is ahead of the newest, %llu",
			(unsigned long long)revision, (unsigned long long)head_revision);
	if (revision == head_revision) {
		memcpy(commit, head, 20);
		return 0;
	}
	if (revision < h->oldest)
		return kg_history_gone(h, revision, err);
	if ((read_id(h, revision, commit) && right(h, r, commit, revision)) ||
		(read_spare(h, revision, commit) && right(h, r, commit, revision)))
		return 0;
	int rc = refresh(h, r, head, head_revision, false, err);
	if (rc < 0)
		return rc;
	if (revision >= h->oldest &&
		(read_spare(h, revision, commit) || read_id(h, revision, commit)))
		return 0;
	return kg_history_gone(h, revision, err);
}
