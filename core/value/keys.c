/* The registered field names: written before threads start, only read afterwards. */
#include "base/hash.h"
#include "value/internal.h"

struct slot {
	const char *text; /* NULL: free */
	uint32_t len, hash;
};
static struct {
	struct slot *slots; /* open addressing */
	size_t size, count; /* size is a power of two */
} table;

struct kg_keys kg_keys;

static uint64_t word_at(const char *s)
{
	uint64_t word;

	memcpy(&word, s, 8);
	return word;
}

/* At most eight bytes, as one word. */
static uint64_t last_word(const char *s, size_t n)
{
	uint32_t head, tail;

	if (n == 8)
		return word_at(s);
	if (n >= 4) {
		memcpy(&head, s, 4);
		memcpy(&tail, s + n - 4, 4);
		return head | (uint64_t)tail << 32;
	}
	return n ? (unsigned char)s[0] | (uint64_t)(unsigned char)s[n / 2] << 8 |
			       (uint64_t)(unsigned char)s[n - 1] << 16
		 : 0;
}

static uint64_t mix(uint64_t h, uint64_t word)
{
	h = (h ^ word) * 0x9E3779B97F4A7C15u;
	return h ^ (h >> 32);
}

uint64_t kg_text_hash(const char *s, size_t n)
{
	uint64_t h = n;

	for (; n > 8; s += 8, n -= 8)
		h = mix(h, word_at(s));
	return mix(h, last_word(s, n));
}

static struct slot *slot_of(const char *key, size_t n)
{
	uint64_t hash = kg_text_hash(key, n);
	size_t mask = table.size - 1, i = hash & mask;

	for (; table.slots[i].text; i = (i + 1) & mask) {
		const struct slot *s = &table.slots[i];

		if (s->hash == (uint32_t)hash && s->len == n && !memcmp(s->text, key, n))
			break;
	}
	return &table.slots[i];
}

static void add(const char *text, size_t n)
{
	*slot_of(text, n) = (struct slot){
		.text = text, .len = (uint32_t)n, .hash = (uint32_t)kg_text_hash(text, n)};
}

static void grow(void)
{
	struct slot *old = table.slots;
	size_t old_size = table.size;

	table.size = old_size ? old_size * 2 : 256;
	table.slots = kg_alloc(table.size * sizeof(*table.slots));
	for (size_t i = 0; i < old_size; i++) {
		if (old[i].text)
			add(old[i].text, old[i].len);
	}
	free(old);
}

static void note_address(const char *text, size_t n)
{
	size_t i = kg_keys_home(text);

	while (kg_keys.at[i])
		i = (i + 1) & kg_keys.mask;
	kg_keys.at[i] = text;
	kg_keys.hashes[i] = kg_text_hash(text, n);
}

/* A quarter of the places are taken, as in the table. */
static void note_addresses(void)
{
	free(kg_keys.at);
	free(kg_keys.hashes);
	kg_keys.at = kg_alloc(table.size * sizeof(*kg_keys.at));
	kg_keys.hashes = kg_alloc(table.size * sizeof(*kg_keys.hashes));
	kg_keys.mask = table.size - 1;
	for (size_t i = 0; i < table.size; i++) {
		if (table.slots[i].text)
			note_address(table.slots[i].text, table.slots[i].len);
	}
}

void kg_keys_register(const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(names[i]);

		if (table.count * 4 >= table.size)
			grow();
		if (slot_of(names[i], len)->text)
			continue;
		add(names[i], len);
		table.count++;
	}
	if (table.size)
		note_addresses();
}

const char *kg_key_find(const char *key, size_t n)
{
	return table.count ? slot_of(key, n)->text : NULL;
}

const char *kg_key_intern(struct kg_arena *a, const char *key, size_t n)
{
	const char *known = kg_key_find(key, n);

	return known ? known : kg_arena_strndup(a, key, n);
}
