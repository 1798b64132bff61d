/* The registered field names: written before threads start, only read afterwards. */
#include "base/hash.h"
#include "value/internal.h"

static struct {
	const char **slots; /* open addressing; NULL is free */
	uint32_t *lens;
	size_t size, count; /* size is a power of two */
} table;

uint64_t kg_text_hash(const char *s, size_t n)
{
	uint64_t h = n;

	for (; n >= 8; s += 8, n -= 8) {
		uint64_t word;

		memcpy(&word, s, 8);
		h = (h ^ word) * 0x9E3779B97F4A7C15u;
		h ^= h >> 32;
	}
	uint64_t word = 0;
	memcpy(&word, s, n);
	h = (h ^ word) * 0x9E3779B97F4A7C15u;
	return h ^ (h >> 32);
}

static size_t slot_of(const char *key, size_t n)
{
	size_t mask = table.size - 1, i = kg_text_hash(key, n) & mask;

	while (table.slots[i] && (table.lens[i] != n || memcmp(table.slots[i], key, n) != 0))
		i = (i + 1) & mask;
	return i;
}

static void grow(void)
{
	const char **old = table.slots;
	size_t old_size = table.size;

	free(table.lens);
	table.size = old_size ? old_size * 2 : 256;
	table.slots = kg_alloc(table.size * sizeof(*table.slots));
	table.lens = kg_alloc(table.size * sizeof(*table.lens));
	for (size_t i = 0; i < old_size; i++) {
		if (old[i]) {
			size_t n = strlen(old[i]), at = slot_of(old[i], n);

			table.slots[at] = old[i];
			table.lens[at] = (uint32_t)n;
		}
	}
	free(old);
}

void kg_keys_register(const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(names[i]);

		if (table.count * 4 >= table.size)
			grow();
		size_t at = slot_of(names[i], len);
		if (table.slots[at])
			continue;
		table.slots[at] = names[i];
		table.lens[at] = (uint32_t)len;
		table.count++;
	}
}

const char *kg_key_find(const char *key, size_t n)
{
	return table.count ? table.slots[slot_of(key, n)] : NULL;
}

const char *kg_key_intern(struct kg_arena *a, const char *key, size_t n)
{
	const char *known = kg_key_find(key, n);

	return known ? known : kg_arena_strndup(a, key, n);
}
