#include "store/pack.h"

#include "base/endian.h"
#include "base/hash.h"
#include "base/mem.h"
#include "store/zpack.h"

#include <assert.h>
#include <string.h>

#define PLAIN_MAX (4u << 20) /* of a pack's bytes */
#define KEPT_MAX  (4u << 20) /* the memory of a larger one is not kept */

struct kg_pack {
	struct kg_buf data, index;
	struct kg_pack_entry *entries;
	size_t len, cap;
	uint32_t *slots; /* open addressing: entry number plus one */
	size_t nslots;
	struct kg_zpack z;
	bool plain;
};

static const char *const type_names[] = {
	[KG_PACK_COMMIT] = "commit", [KG_PACK_TREE] = "tree", [KG_PACK_BLOB] = "blob"};

static void add_be32(struct kg_buf *b, uint32_t v)
{
	char s[4];

	kg_put_be32(s, v);
	kg_buf_add(b, s, sizeof(s));
}

static void begin(struct kg_pack *p)
{
	kg_buf_clear(&p->data);
	kg_buf_clear(&p->index);
	p->len = 0;
	if (p->slots)
		memset(p->slots, 0, p->nslots * sizeof(*p->slots));
	kg_buf_add(&p->data, "PACK\0\0\0\2\0\0\0\0", 12);
}

struct kg_pack *kg_pack_new(void)
{
	struct kg_pack *p = kg_alloc(sizeof(*p));

	begin(p);
	return p;
}

void kg_pack_free(struct kg_pack *p)
{
	if (!p)
		return;
	kg_buf_release(&p->data);
	kg_buf_release(&p->index);
	kg_zpack_release(&p->z);
	free(p->entries);
	free(p->slots);
	free(p);
}

static void drop_entries(struct kg_pack *p)
{
	free(p->slots);
	free(p->entries);
	p->slots = NULL;
	p->entries = NULL;
	p->nslots = p->cap = 0;
}

void kg_pack_clear(struct kg_pack *p)
{
	if (p->data.cap > KEPT_MAX) {
		kg_buf_release(&p->data);
		kg_buf_release(&p->index);
		drop_entries(p);
	}
	begin(p);
}

void kg_pack_reserve(struct kg_pack *p, size_t bytes)
{
	kg_buf_reserve(&p->data, bytes);
}

void kg_pack_set_plain(struct kg_pack *p, bool plain)
{
	p->plain = plain;
}

size_t kg_pack_count(const struct kg_pack *p)
{
	return p->len;
}

static size_t hash_id(const unsigned char id[20])
{
	size_t h;

	memcpy(&h, id, sizeof(h));
	return h;
}

/* The slot that holds the id, or the empty one where it belongs. */
static uint32_t *slot_of(const struct kg_pack *p, const unsigned char id[20])
{
	size_t i = hash_id(id) & (p->nslots - 1);

	while (p->slots[i] && memcmp(p->entries[p->slots[i] - 1].id, id, 20) != 0)
		i = (i + 1) & (p->nslots - 1);
	return &p->slots[i];
}

static void grow_slots(struct kg_pack *p)
{
	if (p->nslots >= 2 * (p->len + 1))
		return;
	free(p->slots);
	p->nslots = p->nslots ? 2 * p->nslots : 64;
	p->slots = kg_alloc(p->nslots * sizeof(*p->slots));
	for (size_t i = 0; i < p->len; i++)
		*slot_of(p, p->entries[i].id) = (uint32_t)(i + 1);
}

void kg_pack_object_header(struct kg_buf *out, int type, size_t len)
{
	unsigned c = (unsigned)type << 4 | (len & 15);

	for (len >>= 4; len; len >>= 7) {
		kg_buf_addc(out, (char)(c | 0x80));
		c = len & 0x7f;
	}
	kg_buf_addc(out, (char)c);
}

/* The entry that is to be made at the pack's end; NULL where the object is there already. */
static struct kg_pack_entry *add_entry(struct kg_pack *p, const unsigned char id[20])
{
	grow_slots(p);
	uint32_t *slot = slot_of(p, id);
	if (*slot)
		return NULL;
	KG_GROW(p->entries, p->cap, p->len + 1);
	struct kg_pack_entry *e = &p->entries[p->len++];
	*slot = (uint32_t)p->len;
	memcpy(e->id, id, 20);
	e->offset = p->data.len;
	return e;
}

void kg_pack_add_packed(
	struct kg_pack *p, const void *bytes, size_t n, const struct kg_pack_entry *from)
{
	struct kg_pack_entry *e = add_entry(p, from->id);

	if (!e)
		return;
	e->crc = from->crc;
	kg_buf_add(&p->data, bytes, n);
}

void kg_pack_add_known(struct kg_pack *p, enum kg_pack_type type, const void *data, size_t len,
	const unsigned char id[20])
{
	struct kg_pack_entry *e = add_entry(p, id);

	if (!e)
		return;
	kg_pack_object_header(&p->data, type, len);
	bool stored = type == KG_PACK_TREE || (p->plain && p->data.len < PLAIN_MAX);
	kg_zpack_add(&p->data, &p->z, data, len, stored);
	e->crc = kg_zpack_crc(p->data.data + e->offset, p->data.len - (size_t)e->offset);
}

bool kg_pack_is(const unsigned char id[20], enum kg_pack_type type, const void *data, size_t len)
{
	unsigned char is[20];

	kg_git_oid(is, type_names[type], data, len);
	return memcmp(is, id, 20) == 0;
}

void kg_pack_add(struct kg_pack *p, enum kg_pack_type type, const void *data, size_t len,
	unsigned char id[20])
{
	kg_git_oid(id, type_names[type], data, len);
	kg_pack_add_known(p, type, data, len, id);
}

static int cmp_entries(const void *a, const void *b)
{
	return memcmp(
		((const struct kg_pack_entry *)a)->id, ((const struct kg_pack_entry *)b)->id, 20);
}

static void add_fanout(struct kg_buf *out, const struct kg_pack_entry *entries, size_t n)
{
	uint32_t at = 0;

	for (unsigned byte = 0; byte < 256; byte++) {
		while (at < n && entries[at].id[0] == byte)
			at++;
		add_be32(out, at);
	}
}

/* Offsets that do not fit in 31 bits go to a table of their own. */
static void add_offsets(struct kg_buf *out, const struct kg_pack_entry *entries, size_t n)
{
	uint32_t large = 0;

	for (size_t i = 0; i < n; i++)
		add_be32(out, entries[i].offset >> 31 ? 0x80000000u | large++
						      : (uint32_t)entries[i].offset);
	for (size_t i = 0; i < n; i++) {
		if (!(entries[i].offset >> 31))
			continue;
		add_be32(out, (uint32_t)(entries[i].offset >> 32));
		add_be32(out, (uint32_t)entries[i].offset);
	}
}

#define IN_PARTS 512 /* entries */
#define FEW      32

/* To 256 parts by the first byte, in place: qsort of very many takes as much memory again. */
static void part_entries(struct kg_pack_entry *entries, size_t n, size_t ends[256])
{
	size_t next[256], at = 0;

	memset(ends, 0, 256 * sizeof(*ends));
	for (size_t i = 0; i < n; i++)
		ends[entries[i].id[0]]++;
	for (unsigned byte = 0; byte < 256; byte++) {
		next[byte] = at;
		at = ends[byte] += at;
	}
	for (unsigned byte = 0; byte < 256; byte++)
		while (next[byte] < ends[byte]) {
			struct kg_pack_entry *e = &entries[next[byte]], was = *e;
			struct kg_pack_entry *home = &entries[next[was.id[0]]++];

			*e = *home;
			*home = was;
		}
}

static void sort_few(struct kg_pack_entry *entries, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		struct kg_pack_entry e = entries[i];
		size_t k = i;

		for (; k && memcmp(e.id, entries[k - 1].id, 20) < 0; k--)
			entries[k] = entries[k - 1];
		entries[k] = e;
	}
}

static void sort_part(struct kg_pack_entry *entries, size_t n)
{
	if (n <= FEW)
		sort_few(entries, n);
	else
		qsort(entries, n, sizeof(*entries), cmp_entries);
}

void kg_pack_sort(struct kg_pack_entry *entries, size_t n)
{
	size_t ends[256], from = 0;

	if (n < IN_PARTS) {
		sort_part(entries, n);
		return;
	}
	part_entries(entries, n, ends);
	for (unsigned byte = 0; byte < 256; from = ends[byte++])
		sort_part(entries + from, ends[byte] - from);
}

void kg_pack_index_write(struct kg_buf *out, const struct kg_pack_entry *entries, size_t n,
	const unsigned char pack_id[20])
{
	size_t from = out->len;
	unsigned char sum[20];

	kg_buf_reserve(out, 1100 + n * 28);
	kg_buf_add(out, "\377tOc\0\0\0\2", 8);
	add_fanout(out, entries, n);
	for (size_t i = 0; i < n; i++)
		kg_buf_add(out, entries[i].id, 20);
	for (size_t i = 0; i < n; i++)
		add_be32(out, entries[i].crc);
	add_offsets(out, entries, n);
	kg_buf_add(out, pack_id, 20);
	kg_sha1(sum, out->data + from, out->len - from);
	kg_buf_add(out, sum, 20);
}

void kg_pack_finish(struct kg_pack *p, const struct kg_buf **pack, const struct kg_buf **index,
	unsigned char id[20])
{
	assert(p->len < UINT32_MAX && p->index.len == 0);
	kg_put_be32(p->data.data + 8, (uint32_t)p->len);
	kg_sha1(id, p->data.data, p->data.len);
	kg_buf_add(&p->data, id, 20);
	kg_pack_sort(p->entries, p->len);
	kg_pack_index_write(&p->index, p->entries, p->len, id);
	*pack = &p->data;
	*index = &p->index;
}

void kg_pack_take(
	struct kg_pack *p, struct kg_buf *pack, struct kg_buf *index, unsigned char id[20])
{
	const struct kg_buf *data, *idx;

	kg_pack_finish(p, &data, &idx, id);
	*pack = p->data;
	*index = p->index;
	p->data = p->index = (struct kg_buf)KG_BUF_INIT;
	if (pack->len > KEPT_MAX)
		drop_entries(p);
	begin(p);
}

/* ---- an index, read ---- */

#define INDEX_HEAD (8 + 1024)

bool kg_pack_index_check(const unsigned char *index, size_t len, uint32_t *n)
{
	if (len < INDEX_HEAD + 40 || memcmp(index, "\377tOc\0\0\0\2", 8) != 0)
		return false;
	for (int i = 1; i < 256; i++)
		if (kg_be32(index + 8 + 4 * i) < kg_be32(index + 4 + 4 * i))
			return false;
	*n = kg_be32(index + INDEX_HEAD - 4);
	/* Behind them there may be offsets of 64 bits. */
	return (len - INDEX_HEAD - 40) / 28 >= *n;
}

#define GUESSES 12

/* Ids are spread evenly, so where one lies is guessed, and from how far off that was, guessed
 * again: of a large index two or three places are touched where halving would touch twenty. */
int64_t kg_pack_index_find(const unsigned char *index, uint32_t n, const unsigned char id[20])
{
	int64_t low = id[0] ? kg_be32(index + 8 + 4 * (id[0] - 1)) : 0;
	int64_t high = kg_be32(index + 8 + 4 * id[0]), all = high - low;
	int64_t want = kg_be32(id), at = low + ((want & 0xffffff) * all >> 24);

	if (high > n)
		return -1;
	for (int tries = 0; low < high; tries++) {
		if (tries >= GUESSES)
			at = low + (high - low) / 2;
		at = at < low ? low : at >= high ? high - 1 : at;
		const unsigned char *there = index + INDEX_HEAD + 20 * at;
		int c = memcmp(id, there, 20);

		if (c == 0)
			return at;
		int64_t off = (want - kg_be32(there)) * all / (1 << 24);
		if (c < 0) {
			high = at;
			at += off < 0 ? off : -1;
		} else {
			low = at + 1;
			at += off > 0 ? off : 1;
		}
	}
	return -1;
}
