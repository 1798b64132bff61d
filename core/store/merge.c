/*
 * Putting packs together. Every commit leaves a small pack; git, libgit2 and the directory get
 * slower with their number, so from time to time many become one, away from the writer's path.
 *
 * Which: the smallest ones, so many that each pack left is at least twice the size of all that
 * are smaller (as `git repack --geometric`): an object is copied O(log n) times in its life.
 *
 * How: entries are copied as they lie, checked by the CRC of their index, not inflated. Deltas
 * against an id find their base in the same pack as before; those against an offset still do as
 * long as nothing between is left out, so of a pack with such deltas either everything is taken
 * or nothing. An object that was taken already is left out elsewhere.
 *
 * Order: the new pack and its index are synced, renamed, their directory synced; only then the
 * old ones are removed, index first. A crash anywhere leaves every object in some whole pack.
 * Packs that a push still holds (*.keep) are left alone.
 */
#include "store/merge.h"
#include "store/pack.h"
#include "store/packfile.h"

#include "base/endian.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "store/refs.h"
#include "store/zpack.h"
#include "sys/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <nettle/sha1.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define LARGEST   (256u << 20) /* packs of more bytes stay as they are */
#define PACK_MIN  32
#define INDEX_MIN 1072

/* ---- one pack that may be merged ---- */

struct span {
	const unsigned char *data;
	size_t len;
};
struct source {
	char *base; /* owned: path without the ending */
	size_t size;
	time_t mtime;
	struct span pack, index;
	struct kg_pack_entry *entries; /* owned; by offset */
	size_t n;
	bool offset_deltas, used;
};

static void unmap(struct span *s)
{
	if (s->data)
		munmap((void *)(uintptr_t)s->data, s->len);
	*s = (struct span){0};
}

static void source_close(struct source *p)
{
	unmap(&p->pack);
	unmap(&p->index);
	free(p->entries);
	p->entries = NULL;
	p->n = 0;
}

/* False where it is not there (any more) or too small to be one. */
static bool map(struct span *s, const char *base, const char *ending, size_t min)
{
	char *path KG_AUTOFREE = kg_asprintf("%s%s", base, ending);
	KG_AUTOCLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || (size_t)st.st_size < min)
		return false;
	void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return false;
	*s = (struct span){.data = p, .len = (size_t)st.st_size};
	return true;
}

static int by_offset(const void *a, const void *b)
{
	uint64_t x = ((const struct kg_pack_entry *)a)->offset;
	uint64_t y = ((const struct kg_pack_entry *)b)->offset;

	return (x > y) - (x < y);
}

/* The index's entries, by offset. Small packs have no 64-bit offsets. */
static bool read_entries(struct source *p)
{
	const unsigned char *x = p->index.data;

	if (memcmp(x, "\377tOc\0\0\0\2", 8) != 0 || memcmp(p->pack.data, "PACK\0\0\0\2", 8) != 0)
		return false;
	p->n = kg_be32(x + 8 + 255 * 4);
	if (p->index.len != 8 + 1024 + p->n * 28 + 40 || kg_be32(p->pack.data + 8) != p->n ||
		memcmp(x + p->index.len - 40, p->pack.data + p->pack.len - 20, 20) != 0)
		return false;
	const unsigned char *ids = x + 8 + 1024, *crcs = ids + 20 * p->n,
			    *offsets = crcs + 4 * p->n;
	p->entries = kg_alloc((p->n ? p->n : 1) * sizeof(*p->entries));
	for (size_t i = 0; i < p->n; i++) {
		memcpy(p->entries[i].id, ids + 20 * i, 20);
		p->entries[i].crc = kg_be32(crcs + 4 * i);
		p->entries[i].offset = kg_be32(offsets + 4 * i);
	}
	if (p->n)
		qsort(p->entries, p->n, sizeof(*p->entries), by_offset);
	return true;
}

static size_t entry_end(const struct source *p, size_t i)
{
	return i + 1 < p->n ? (size_t)p->entries[i + 1].offset : p->pack.len - 20;
}

/* Every entry lies where the index says and is what it was written as. */
static bool check_entries(struct source *p)
{
	for (size_t i = 0; i < p->n; i++) {
		size_t from = (size_t)p->entries[i].offset, to = entry_end(p, i);

		if (from < (i ? 13 : 12) || from >= to || to > p->pack.len - 20 ||
			(i == 0 && from != 12))
			return false;
		if (kg_zpack_crc(p->pack.data + from, to - from) != p->entries[i].crc)
			return false;
		p->offset_deltas |= (p->pack.data[from] >> 4 & 7) == 6;
	}
	return true;
}

static bool source_open(struct source *p)
{
	if (map(&p->pack, p->base, ".pack", PACK_MIN) &&
		map(&p->index, p->base, ".idx", INDEX_MIN) && read_entries(p) && check_entries(p))
		return true;
	source_close(p);
	return false;
}

/* ---- which ---- */

/* Bytes of a source's pack that are copied as they are. */
struct piece {
	const struct source *from;
	size_t first, end;
};

struct merge {
	const char *packs; /* directory */
	const struct kg_map *skip;
	struct source *sources;
	size_t len, cap;
	struct kg_map taken; /* hex ids */
	/* The new pack: what is copied, and where it will lie. */
	struct piece *pieces;
	size_t npieces, pieces_cap;
	struct kg_pack_entry *entries;
	size_t n, entries_cap;
	uint64_t at;
	bool sync_failed;
};

static void merge_release(struct merge *m)
{
	for (size_t i = 0; i < m->len; i++) {
		source_close(&m->sources[i]);
		free(m->sources[i].base);
	}
	free(m->sources);
	free(m->pieces);
	free(m->entries);
	kg_map_release(&m->taken);
}

static bool has(const char *base, const char *ending)
{
	char *path KG_AUTOFREE = kg_asprintf("%s%s", base, ending);

	return kg_path_exists(path);
}

static void consider(struct merge *m, const char *name)
{
	size_t n = strlen(name);
	struct stat st;

	if (n != 50 || strncmp(name, "pack-", 5) != 0 || strcmp(name + 45, ".pack") != 0)
		return;
	char *path KG_AUTOFREE = kg_asprintf("%s/%s", m->packs, name);
	char *base KG_AUTOFREE = kg_strndup(path, strlen(path) - 5);
	if (m->skip && kg_map_has(m->skip, strrchr(base, '/') + 1))
		return;
	if (stat(path, &st) < 0 || (size_t)st.st_size > LARGEST || !has(base, ".idx") ||
		has(base, ".keep") || has(base, ".promisor"))
		return;
	KG_GROW(m->sources, m->cap, m->len + 1);
	m->sources[m->len++] = (struct source){
		.base = kg_steal(&base), .size = (size_t)st.st_size, .mtime = st.st_mtime};
}

static int by_size(const void *a, const void *b)
{
	const struct source *x = a, *y = b;

	return x->size != y->size ? (x->size > y->size) - (x->size < y->size)
				  : strcmp(x->base, y->base);
}

static int list(struct merge *m, struct kg_error *err)
{
	DIR *d = opendir(m->packs);
	struct dirent *e;

	if (!d)
		return kg_fail_errno(err, "open %s", m->packs);
	while ((errno = 0, e = readdir(d)))
		consider(m, e->d_name);
	int rc = errno ? kg_fail_errno(err, "read %s", m->packs) : 0;
	closedir(d);
	if (m->len)
		qsort(m->sources, m->len, sizeof(*m->sources), by_size);
	return rc;
}

/* How many of the smallest are put together. */
static size_t choose(const struct merge *m)
{
	size_t k = m->len, sum = 0, n = 0;

	while (k > 1 && m->sources[k - 1].size >= 2 * m->sources[k - 2].size)
		k--;
	for (; n < k || (n < m->len && m->sources[n].size < 2 * sum); n++)
		sum += m->sources[n].size;
	return k > 1 ? n : 0;
}

/* ---- copying ---- */

struct output {
	int fd;
	uint64_t at;
	struct sha1_ctx sum;
};

static int put(struct output *o, const void *p, size_t n, struct kg_error *err)
{
	sha1_update(&o->sum, n, p);
	o->at += n;
	return kg_write_all(o->fd, p, n, err);
}

static bool is_taken(const struct merge *m, const unsigned char id[20])
{
	char hex[41];

	kg_hex(hex, id, 20);
	return kg_map_has(&m->taken, hex);
}

/* Plans what of a source is copied: keeps the entries that are new. */
static void plan(struct merge *m, struct source *p, bool *keep)
{
	bool all = true;

	for (size_t i = 0; i < p->n; i++) {
		keep[i] = !is_taken(m, p->entries[i].id);
		all &= keep[i];
	}
	p->used = all || !p->offset_deltas;
	for (size_t i = 0; p->used && i < p->n; i++) {
		char hex[41];

		kg_hex(hex, p->entries[i].id, 20);
		kg_map_put(&m->taken, hex, m);
	}
}

/* One entry to the end of the new pack. */
static void add_entry(
	struct merge *m, const struct source *p, const struct kg_pack_entry *e, size_t end)
{
	struct piece *last = m->npieces ? &m->pieces[m->npieces - 1] : NULL;
	size_t from = (size_t)e->offset;

	if (last && last->from == p && last->end == from) {
		last->end = end;
	} else {
		KG_GROW(m->pieces, m->pieces_cap, m->npieces + 1);
		m->pieces[m->npieces++] = (struct piece){.from = p, .first = from, .end = end};
	}
	KG_GROW(m->entries, m->entries_cap, m->n + 1);
	m->entries[m->n] = *e;
	m->entries[m->n++].offset = m->at;
	m->at += end - from;
}

/* Lays what is new of a source out behind those before it. */
static void take(struct merge *m, struct source *p)
{
	bool *keep KG_AUTOFREE = kg_alloc(p->n + 1);

	plan(m, p, keep);
	for (size_t i = 0; p->used && i < p->n; i++)
		if (keep[i])
			add_entry(m, p, &p->entries[i], entry_end(p, i));
}

static int copy(struct output *o, const struct merge *m, struct kg_error *err)
{
	unsigned char head[12] = "PACK\0\0\0\2";

	for (int i = 0; i < 4; i++)
		head[8 + i] = (unsigned char)(m->n >> (24 - 8 * i));
	int rc = put(o, head, sizeof(head), err);
	for (size_t i = 0; rc == 0 && i < m->npieces; i++)
		rc = put(o, m->pieces[i].from->pack.data + m->pieces[i].first,
			m->pieces[i].end - m->pieces[i].first, err);
	return rc;
}

static int sync_file(struct merge *m, int fd, const char *what, struct kg_error *err)
{
	if (fsync(fd) == 0)
		return 0;
	m->sync_failed |= kg_sync_lost(errno);
	return kg_fail_errno(err, "sync %s", what);
}

static int write_pack(struct merge *m, const char *path, unsigned char id[20], struct kg_error *err)
{
	KG_AUTOCLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0444);
	struct output o = {.fd = fd};

	if (fd < 0)
		return kg_fail_errno(err, "make %s", path);
	sha1_init(&o.sum);
	int rc = copy(&o, m, err);
	sha1_digest(&o.sum, 20, id);
	if (rc == 0)
		rc = kg_write_all(fd, id, 20, err);
	return rc < 0 ? rc : sync_file(m, fd, path, err);
}

static int write_index(
	struct merge *m, const char *path, const unsigned char id[20], struct kg_error *err)
{
	KG_AUTOCLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0444);
	struct kg_buf index KG_AUTOBUF = KG_BUF_INIT;

	if (fd < 0)
		return kg_fail_errno(err, "make %s", path);
	kg_pack_sort(m->entries, m->n);
	kg_pack_index_write(&index, m->entries, m->n, id);
	int rc = kg_write_all(fd, index.data, index.len, err);
	return rc < 0 ? rc : sync_file(m, fd, path, err);
}

static int sync_packs(struct merge *m, struct kg_error *err)
{
	KG_AUTOCLOSE int fd = open(m->packs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? kg_fail_errno(err, "open %s", m->packs) : sync_file(m, fd, m->packs, err);
}

/* As young as the youngest of what it is made of: how old a pack is says how long its objects have
 * been there (compact.c). */
static void keep_age(const struct merge *m, const char *pack)
{
	struct timespec t[2] = {{.tv_nsec = UTIME_OMIT}, {0}};

	for (size_t i = 0; i < m->len; i++)
		if (m->sources[i].used && m->sources[i].mtime > t[1].tv_sec)
			t[1].tv_sec = m->sources[i].mtime;
	/* Where this fails it seems younger than it is, and stays longer. */
	if (utimensat(AT_FDCWD, pack, t, 0) < 0)
		errno = 0;
}

/* Writes the new pack under its name, durably; *base is its path without the ending. */
static int place(struct merge *m, char **base, struct kg_error *err)
{
	char *tmp_pack KG_AUTOFREE =
		kg_asprintf("%s/" KG_NEW_PREFIX "merge.pack" KG_NEW_SUFFIX, m->packs);
	char *tmp_index KG_AUTOFREE =
		kg_asprintf("%s/" KG_NEW_PREFIX "merge.idx" KG_NEW_SUFFIX, m->packs);
	unsigned char id[20];
	char hex[41];

	int rc = write_pack(m, tmp_pack, id, err);
	if (rc == 0)
		rc = write_index(m, tmp_index, id, err);
	kg_hex(hex, id, 20);
	*base = kg_asprintf("%s/pack-%s", m->packs, hex);
	char *pack KG_AUTOFREE = kg_asprintf("%s.pack", *base);
	char *index KG_AUTOFREE = kg_asprintf("%s.idx", *base);
	if (rc == 0)
		keep_age(m, tmp_pack);
	if (rc == 0 && rename(tmp_pack, pack) < 0)
		rc = kg_fail_errno(err, "rename %s", tmp_pack);
	if (rc == 0 && rename(tmp_index, index) < 0)
		rc = kg_fail_errno(err, "rename %s", tmp_index);
	if (rc == 0)
		rc = sync_packs(m, err);
	/* What is in place may stay: it holds nothing but copies. */
	if (rc < 0) {
		unlink(tmp_index);
		unlink(tmp_pack);
	}
	return rc;
}

static void remove_sources(const struct merge *m, const char *except)
{
	static const char *const endings[] = {".idx", ".rev", ".bitmap", ".pack"};

	for (size_t i = 0; i < m->len; i++) {
		if (!m->sources[i].used || strcmp(m->sources[i].base, except) == 0)
			continue;
		for (size_t k = 0; k < KG_ARRAY_LEN(endings); k++) {
			char *path KG_AUTOFREE =
				kg_asprintf("%s%s", m->sources[i].base, endings[k]);
			/* One that stays is a copy too many, no more. */
			unlink(path);
		}
	}
}

/* Returns how many packs became one, or an error. */
static int merge_packs(struct merge *m, struct kg_error *err)
{
	char *base KG_AUTOFREE = NULL;
	int used = 0;

	int rc = list(m, err);
	size_t chosen = rc == 0 ? choose(m) : 0;
	m->at = 12;
	for (size_t i = 0; i < chosen; i++) {
		if (source_open(&m->sources[i]))
			take(m, &m->sources[i]);
		used += m->sources[i].used;
	}
	if (used > 1)
		rc = place(m, &base, err);
	if (rc < 0 || used < 2)
		return rc;
	remove_sources(m, base);
	return used;
}

int kg_packs_merge(
	const char *dir, const struct kg_map *skip, bool *sync_failed, struct kg_error *err)
{
	char *packs KG_AUTOFREE = kg_asprintf("%s/objects/pack", dir);
	struct merge m KG_CLEANUP(merge_release) = {.packs = packs, .skip = skip};
	int rc = merge_packs(&m, err);

	*sync_failed = m.sync_failed;
	return rc;
}

size_t kg_packs_count(const char *dir)
{
	char *packs KG_AUTOFREE = kg_asprintf("%s/objects/pack", dir);
	struct merge m KG_CLEANUP(merge_release) = {.packs = packs};

	return list(&m, NULL) < 0 ? 0 : m.len;
}
