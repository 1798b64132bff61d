/* Open addressing over a dense array of entries. An index slot holds 0 (never used) or the entry's
 * number plus one; a removed entry stays as a hole, which a search walks over, until the map grows.
 */
#include "base/map.h"
#include "base/mem.h"
#include "base/slab.h"

#include <assert.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>

struct kg_map_slot {
	uint32_t entry, hash; /* the low bits, so that others' entries are not looked at */
};

static uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t word_at(const char *s)
{
	uint64_t word;

	memcpy(&word, s, 8);
	return word;
}

/* Of this process alone: nothing that is kept, and no order, depends on it. It begins with a
 * secret, since peers choose keys and could choose ones that collide. */
static uint64_t secret;

static void __attribute__((constructor)) choose_secret(void)
{
	if (getrandom(&secret, sizeof(secret), GRND_NONBLOCK) != sizeof(secret))
		secret = (uintptr_t)&secret; /* early in the boot: where the program lies */
}

static uint64_t hash_of(const char *s, size_t n)
{
	uint64_t h = secret ^ n * UINT64_C(0x9E3779B97F4A7C15), last = 0;

	for (; n > 8; s += 8, n -= 8)
		h = fold(h ^ word_at(s), UINT64_C(0xA0761D6478BD642F));
	if (n == 8)
		last = word_at(s);
	else
		for (size_t i = 0; i < n; i++)
			last = last << 8 | (unsigned char)s[i];
	return fold(h ^ last, UINT64_C(0xE7037ED1A0B428DB));
}

static void free_key(struct kg_map_entry *e)
{
	if (e->key)
		kg_slab_free(e->key, e->key_len + 1);
	e->key = NULL;
}

static void free_index(struct kg_map *m)
{
	kg_slab_free(m->index, m->index_size * sizeof(*m->index));
}

void kg_map_clear(struct kg_map *m)
{
	for (size_t i = 0; i < m->used; i++)
		free_key(&m->entries[i]);
	m->count = m->used = 0;
	if (m->index)
		memset(m->index, 0, m->index_size * sizeof(*m->index));
}

void kg_map_release(struct kg_map *m)
{
	kg_map_clear(m);
	kg_slab_free(m->entries, m->cap * sizeof(*m->entries));
	free_index(m);
	*m = (struct kg_map)KG_MAP_INIT;
}

void kg_map_trim(struct kg_map *m)
{
	enum { FEW = 1024 };

	if (!m->count && m->cap > FEW)
		kg_map_release(m);
}

static struct kg_map_entry *lookup(const struct kg_map *m, const char *key, size_t len, size_t hash)
{
	if (!m->count)
		return NULL;
	size_t mask = m->index_size - 1;
	for (size_t i = hash & mask; m->index[i].entry; i = (i + 1) & mask) {
		if (m->index[i].hash != (uint32_t)hash)
			continue;
		struct kg_map_entry *e = &m->entries[m->index[i].entry - 1];

		if (e->key && e->hash == hash && e->key_len == len && !memcmp(e->key, key, len))
			return e;
	}
	return NULL;
}

static struct kg_map_entry *find(const struct kg_map *m, const char *key)
{
	if (!m->count)
		return NULL;
	size_t len = strlen(key);
	return lookup(m, key, len, hash_of(key, len));
}

static void index_add(struct kg_map *m, size_t entry)
{
	size_t mask = m->index_size - 1;
	size_t i = m->entries[entry].hash & mask;

	while (m->index[i].entry)
		i = (i + 1) & mask;
	m->index[i] = (struct kg_map_slot){
		.entry = (uint32_t)entry + 1, .hash = (uint32_t)m->entries[entry].hash};
}

/* Closes the holes and makes room for one more entry, keeping the order. */
static void rebuild(struct kg_map *m)
{
	size_t n = 0;

	for (size_t i = 0; i < m->used; i++) {
		if (m->entries[i].key)
			m->entries[n++] = m->entries[i];
	}
	assert(n == m->count);
	m->used = n;
	size_t cap = 8;
	while (cap < n + n / 2 + 1)
		cap *= 2;
	assert(cap < UINT_MAX / 2);
	if (cap != m->cap) {
		m->entries = kg_slab_resize(KG_SLAB_STATE, m->entries, m->cap * sizeof(*m->entries),
			cap * sizeof(*m->entries));
		free_index(m);
		m->cap = cap;
		m->index_size = cap * 2;
		m->index = kg_slab_zeroed(KG_SLAB_STATE, m->index_size * sizeof(*m->index));
	} else {
		memset(m->index, 0, m->index_size * sizeof(*m->index));
	}
	for (size_t i = 0; i < n; i++)
		index_add(m, i);
}

void *kg_map_get(const struct kg_map *m, const char *key)
{
	struct kg_map_entry *e = find(m, key);

	return e ? e->value : NULL;
}

bool kg_map_has(const struct kg_map *m, const char *key)
{
	return find(m, key) != NULL;
}

void **kg_map_at(struct kg_map *m, const char *key)
{
	size_t len = strlen(key);
	size_t hash = hash_of(key, len);
	struct kg_map_entry *e = lookup(m, key, len, hash);

	if (e)
		return &e->value;
	if (m->used == m->cap)
		rebuild(m);
	char *copy = memcpy(kg_slab_alloc(KG_SLAB_STATE, len + 1), key, len + 1);
	m->entries[m->used] = (struct kg_map_entry){.key = copy, .key_len = len, .hash = hash};
	index_add(m, m->used);
	m->count++;
	return &m->entries[m->used++].value;
}

void *kg_map_put(struct kg_map *m, const char *key, void *value)
{
	void **at = kg_map_at(m, key), *old = *at;

	*at = value;
	return old;
}

void *kg_map_remove(struct kg_map *m, const char *key)
{
	struct kg_map_entry *e = find(m, key);

	if (!e)
		return NULL;
	void *old = e->value;
	free_key(e);
	e->value = NULL;
	m->count--;
	return old;
}

struct kg_map_entry *kg_map_next(const struct kg_map *m, size_t *pos)
{
	while (*pos < m->used) {
		struct kg_map_entry *e = &m->entries[(*pos)++];

		if (e->key)
			return e;
	}
	return NULL;
}

static int by_key(const void *pa, const void *pb)
{
	const struct kg_map_entry *a = *(struct kg_map_entry *const *)pa;
	const struct kg_map_entry *b = *(struct kg_map_entry *const *)pb;

	return strcmp(a->key, b->key);
}

struct kg_map_entry **kg_map_sorted(const struct kg_map *m)
{
	struct kg_map_entry **sorted = kg_alloc(m->count * sizeof(struct kg_map_entry *));
	struct kg_map_entry *e;
	size_t n = 0;

	for (size_t i = 0; (e = kg_map_next(m, &i));)
		sorted[n++] = e;
	if (n > 1)
		qsort(sorted, n, sizeof(struct kg_map_entry *), by_key);
	return sorted;
}
