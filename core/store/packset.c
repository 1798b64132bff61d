/*
 * Small packs' objects are all in one hash table; a large pack, of which the merger leaves few, is
 * searched by its own index.
 */
#include "store/packset.h"

#include "base/hash.h"
#include "base/mem.h"
#include "store/packed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define LARGE 100000 /* objects */

/* An object of a small pack. */
struct slot {
	uint32_t pack; /* plus one; 0: empty */
	uint32_t at;
};
struct kg_packset {
	struct kg_packed *packs; /* those that are searched first */
	size_t len, cap;
	size_t nlarge;
	char *unmapped; /* the first pack that could not be mapped, and why; NULL: none */
	struct slot *slots;
	size_t nslots; /* a power of two, or 0 */
};

/* ---- mapping ---- */

static bool map_file(const unsigned char **out, size_t *len, const char *path)
{
	KG_AUTOCLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size <= 0)
		return false;
	void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return false;
	*out = p;
	*len = (size_t)st.st_size;
	return true;
}

static void unmap(struct kg_packed *p)
{
	if (p->pack)
		munmap((void *)(uintptr_t)p->pack, p->pack_len);
	if (p->index)
		munmap((void *)(uintptr_t)p->index, p->index_len);
	*p = (struct kg_packed){0};
}

/* The pack whose index has that name. */
static void add_pack(struct kg_packset *s, const char *dir, const char *index)
{
	char *idx KG_AUTOFREE = kg_asprintf("%s/%s", dir, index);
	char *pack KG_AUTOFREE = kg_asprintf("%.*s.pack", (int)(strlen(idx) - 4), idx);
	struct kg_packed p = {0};

	errno = 0;
	if (!map_file(&p.index, &p.index_len, idx) || !kg_packed_has_index(&p) ||
		!map_file(&p.pack, &p.pack_len, pack)) {
		if (!s->unmapped)
			s->unmapped = kg_asprintf(
				"%s: %s", idx, errno ? strerror(errno) : "it is no index");
		unmap(&p);
		return;
	}
	KG_GROW(s->packs, s->cap, s->len + 1);
	s->packs[s->len++] = p;
}

static int larger_first(const void *a, const void *b)
{
	size_t x = kg_packed_count(a), y = kg_packed_count(b);

	return (x < y) - (x > y);
}

static void map_packs(struct kg_packset *s, const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	if (!d && errno != ENOENT)
		s->unmapped = kg_asprintf("%s: %s", dir, strerror(errno));
	while (d && (e = readdir(d))) {
		size_t n = strlen(e->d_name);

		if (n > 9 && strncmp(e->d_name, "pack-", 5) == 0 &&
			strcmp(e->d_name + n - 4, ".idx") == 0)
			add_pack(s, dir, e->d_name);
	}
	if (d)
		closedir(d);
	if (s->len)
		qsort(s->packs, s->len, sizeof(*s->packs), larger_first);
	while (s->nlarge < s->len && kg_packed_count(&s->packs[s->nlarge]) >= LARGE)
		s->nlarge++;
}

/* ---- the table ---- */

static size_t first_slot(const struct kg_packset *s, const unsigned char id[20])
{
	size_t h;

	/* The first bytes are alike in neighbours of an index. */
	memcpy(&h, id + 4, sizeof(h));
	return h & (s->nslots - 1);
}

/* Objects that are in two packs are the same in both. */
static void fill_table(struct kg_packset *s)
{
	size_t total = 0;

	for (size_t i = s->nlarge; i < s->len; i++)
		total += kg_packed_count(&s->packs[i]);
	if (!total)
		return;
	for (s->nslots = 64; s->nslots < 2 * total;)
		s->nslots *= 2;
	s->slots = kg_alloc(s->nslots * sizeof(*s->slots));
	for (size_t i = s->nlarge; i < s->len; i++) {
		uint32_t n = kg_packed_count(&s->packs[i]);

		for (uint32_t k = 0; k < n; k++) {
			size_t at = first_slot(s, kg_packed_id(&s->packs[i], k));

			while (s->slots[at].pack)
				at = (at + 1) & (s->nslots - 1);
			s->slots[at] = (struct slot){(uint32_t)i + 1, k};
		}
	}
}

struct kg_packset *kg_packset_new(const char *packs_dir)
{
	struct kg_packset *s = kg_alloc(sizeof(*s));

	map_packs(s, packs_dir);
	fill_table(s);
	return s;
}

void kg_packset_free(struct kg_packset *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->len; i++)
		unmap(&s->packs[i]);
	free(s->packs);
	free(s->slots);
	free(s->unmapped);
	free(s);
}

/* ---- reading ---- */

/* Where the object lies; 0: not here. */
static size_t find(const struct kg_packed **in, const struct kg_packset *s, const unsigned char *id)
{
	for (size_t at = s->nslots ? first_slot(s, id) : 0; s->nslots && s->slots[at].pack;
		at = (at + 1) & (s->nslots - 1)) {
		const struct kg_packed *p = &s->packs[s->slots[at].pack - 1];

		if (memcmp(kg_packed_id(p, s->slots[at].at), id, 20) != 0)
			continue;
		*in = p;
		return kg_packed_at(p, s->slots[at].at);
	}
	for (size_t i = 0; i < s->nlarge; i++) {
		size_t at = kg_packed_find(&s->packs[i], id);

		*in = &s->packs[i];
		if (at)
			return at;
	}
	return 0;
}

int kg_packset_size(
	size_t *size, const struct kg_packset *s, const unsigned char id[20], struct kg_error *err)
{
	const struct kg_packed *in;
	size_t at = find(&in, s, id);

	if (!at)
		return 0;
	int rc = kg_packed_size(size, in, at, err);
	return rc < 0 ? rc : 1;
}

int kg_packset_depth(size_t *depth, unsigned char id[20], const struct kg_packset *s, size_t max,
	struct kg_error *err)
{
	*depth = 0;
	if (s->unmapped)
		return kg_fail(err, KG_E_IO,
			"%s: this pack cannot be mapped, so the depth of its deltas is not known: "
			"see git fsck",
			s->unmapped);
	for (size_t i = 0; i < s->len && *depth <= max; i++) {
		unsigned char deepest[20];
		size_t d = 0;
		int rc = kg_packed_depth(&d, deepest, &s->packs[i], max, err);

		if (rc < 0)
			return rc;
		if (d > *depth) {
			*depth = d;
			memcpy(id, deepest, 20);
		}
	}
	return 0;
}

bool kg_packset_read(struct kg_buf *out, const struct kg_packset *s, enum kg_pack_type type,
	const unsigned char id[20], size_t max)
{
	const struct kg_packed *in;
	enum kg_pack_type is;
	struct kg_error err;
	size_t len, at = find(&in, s, id);

	if (!at || kg_packed_header(&is, &len, in, at, &err) < 0 || is != type || len > max)
		return false;
	kg_buf_reserve(out, len + 1);
	char *to = out->data + out->len;
	bool good = kg_packed_read(to, len, in, at, &err) == 0 && kg_pack_is(id, type, to, len);
	if (good)
		out->len += len;
	out->data[out->len] = '\0';
	return good;
}
