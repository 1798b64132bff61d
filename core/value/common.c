/*
 * What many objects have in common, below what they share by being made from one another: owner
 * references, conditions of the same second, addresses of a node. Such a part, met again, becomes
 * a doc of its own, which the docs that have it hold; a table finds it by its hash. The table holds
 * no references: a part goes when the last doc that has it goes.
 *
 * That a part was met is remembered by a hash in a place that later ones overwrite: what is rare
 * costs nothing but that, and what is met often is soon met twice in a row.
 */
#include "value/doc_private.h"
#include "value/internal.h"

#include <pthread.h>

enum {
	SMALLEST = 48, /* bytes; below, a doc of its own costs more than it saves */
	LARGEST = 2048,
	SCRATCH = 4096,
	MOST = 104, /* parts of one doc */
	KEPT = 512, /* of what the old version holds: the first that may be kept */
	MET = 1 << 17
};

static struct {
	pthread_mutex_t lock;
	struct slot {
		uint64_t hash;
		struct kg_doc *doc;
	} * slots;
	size_t size, count; /* size is a power of two; half of the slots are free */
	uint32_t met[MET];
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- the table, under its lock ---- */

static size_t next_slot(size_t i)
{
	return (i + 1) & (table.size - 1);
}

static size_t free_slot(uint64_t hash)
{
	size_t i = hash & (table.size - 1);

	while (table.slots[i].doc)
		i = next_slot(i);
	return i;
}

static void grow(void)
{
	struct slot *old = table.slots;
	size_t n = table.size;

	table.size = n ? n * 2 : 1024;
	table.slots = kg_alloc(table.size * sizeof(*table.slots));
	for (size_t i = 0; i < n; i++) {
		if (old[i].doc)
			table.slots[free_slot(old[i].hash)] = old[i];
	}
	free(old);
}

static void insert(uint64_t hash, struct kg_doc *doc)
{
	if (++table.count * 2 > table.size)
		grow();
	table.slots[free_slot(hash)] = (struct slot){.hash = hash, .doc = doc};
}

/* Empties the slot and moves up those behind it that then would not be found. */
static void drop_slot(size_t i)
{
	for (size_t k = next_slot(i); table.slots[k].doc; k = next_slot(k)) {
		size_t home = table.slots[k].hash & (table.size - 1);

		if (((k - home) & (table.size - 1)) < ((k - i) & (table.size - 1)))
			continue;
		table.slots[i] = table.slots[k];
		i = k;
	}
	table.slots[i].doc = NULL;
	table.count--;
}

/* A reference, but to a doc whose last one is gone already. */
static bool ref_living(struct kg_doc *doc)
{
	unsigned refs = atomic_load_explicit(&doc->refs, memory_order_relaxed);

	while (refs) {
		if (atomic_compare_exchange_weak_explicit(&doc->refs, &refs, refs + 1,
			    memory_order_acquire, memory_order_relaxed))
			return true;
	}
	return false;
}

static struct kg_doc *find(uint64_t hash)
{
	if (!table.size)
		return NULL;
	for (size_t i = hash & (table.size - 1); table.slots[i].doc; i = next_slot(i)) {
		if (table.slots[i].hash == hash && ref_living(table.slots[i].doc))
			return table.slots[i].doc;
	}
	return NULL;
}

static bool meet(uint64_t hash)
{
	uint32_t *met = &table.met[hash % MET], tag = (uint32_t)(hash >> 32);
	bool again = *met == tag;

	*met = tag;
	return again;
}

/* ---- parts ---- */

/* A collection within the value, numbered as a walk comes upon them. */
struct part {
	uint64_t hash; /* 0: not yet taken */
	size_t bytes;
	uint32_t end; /* the number of the first that is not within it */
	bool shared;  /* lies in a doc that is held anyway */
	bool whole;   /* nothing in it is shared, and it is not too large */
	int16_t kept; /* it is the value of this one of those that the old version holds, or -1 */
};
enum { FEW_PARTS = 64 };
struct parts {
	struct part few[FEW_PARTS], *all;
	size_t n, cap, next; /* next: of the second walk */
	struct kg_doc *const *share;
	size_t nshare;
	const struct kg_doc *old;
	struct kg_arena arena;
	/* What is taken: of what the old version holds a bit each, and what was found or made, in
	 * the order of addresses, with a reference each. */
	uint64_t kept[KEPT / 64];
	struct kg_doc *found[MOST];
	size_t nfound, ntaken; /* ntaken: at most that many are both together */
};

static uint64_t mix(uint64_t h, uint64_t word)
{
	h = (h ^ word) * 0x9E3779B97F4A7C15u;
	return h ^ (h >> 29);
}

static bool lends(const struct kg_doc *doc, const void *p, unsigned depth)
{
	if (!doc)
		return false;
	if ((uintptr_t)p - (uintptr_t)doc < doc->size)
		return true;
	for (uint32_t i = 0; depth && i < doc->nheld; i++) {
		if (lends(doc->held[i], p, depth - 1))
			return true;
	}
	return false;
}

static bool is_shared(const struct parts *ps, const void *p)
{
	for (size_t i = 0; i < ps->nshare; i++) {
		if (lends(ps->share[i], p, 2))
			return true;
	}
	return false;
}

static bool is_part(const struct kg_value *v)
{
	return v->type >= KG_ARRAY && v->len;
}

/* Which of the parts that the old version holds is this very value; -1: none. What a doc holds is
 * in the order of addresses. */
static int16_t kept_of_old(const struct parts *ps, const struct kg_value *v)
{
	uint32_t low = 0, high = ps->old ? ps->old->nheld : 0;

	if (high > KEPT)
		high = KEPT;
	while (low < high) {
		uint32_t mid = (low + high) / 2;
		const struct kg_doc *doc = ps->old->held[mid];

		if ((uintptr_t)v->items < (uintptr_t)doc)
			high = mid;
		else if ((uintptr_t)v->items - (uintptr_t)doc >= doc->size)
			low = mid + 1;
		else
			return doc->common && doc->value.items == v->items &&
					       doc->value.len == v->len
				       ? (int16_t)mid
				       : -1;
	}
	return -1;
}

static size_t part_new(struct parts *ps)
{
	if (ps->n == ps->cap) {
		ps->cap *= 4;
		struct part *more = kg_realloc(NULL, ps->cap * sizeof(*more));
		memcpy(more, ps->all, ps->n * sizeof(*more));
		if (ps->all != ps->few)
			free(ps->all);
		ps->all = more;
	}
	return ps->n++;
}

static void look_at(struct parts *ps, const struct kg_value *v, size_t *bytes, bool *whole);

static void look_within(struct parts *ps, const struct kg_value *v, struct part *p)
{
	bool object = v->type == KG_OBJECT;

	for (uint32_t i = 0; i < v->len; i++) {
		look_at(ps, object ? &v->members[i].value : &v->items[i], &p->bytes, &p->whole);
		p->bytes += sizeof(*v) + (object ? sizeof(char *) : 0);
	}
	p->whole &= p->bytes <= LARGEST;
}

/* Adds to what it is in: its bytes, and whether it is whole. */
static void look_at(struct parts *ps, const struct kg_value *v, size_t *bytes, bool *whole)
{
	if (v->type == KG_STRING)
		*bytes += v->len + 1;
	if (!is_part(v))
		return;
	size_t number = part_new(ps);
	struct part p = {.shared = is_shared(ps, v->items)};
	p.kept = p.shared ? -1 : kept_of_old(ps, v);
	p.whole = !p.shared;
	if (p.kept >= 0)
		p.bytes = ps->old->held[p.kept]->size;
	else if (!p.shared)
		look_within(ps, v, &p);
	p.end = (uint32_t)ps->n;
	ps->all[number] = p;
	*bytes += p.bytes;
	*whole &= p.whole;
}

/* ---- hashes, of the parts that may be looked for ---- */

static uint64_t hash_of(struct parts *ps, const struct kg_value *v, size_t *number);

/* Of a part within goes in what its doc remembers of its hash. */
static uint64_t hash_within(struct parts *ps, const struct kg_value *v, size_t *number)
{
	uint64_t hash = mix(v->type, v->len);

	for (uint32_t i = 0; i < v->len; i++) {
		const struct kg_value *child = &v->items[i];

		if (v->type == KG_OBJECT) {
			child = &v->members[i].value;
			hash = mix(hash, kg_key_hash(v->members[i].key));
		}
		hash = mix(hash, (uint32_t)hash_of(ps, child, number));
	}
	return hash;
}

/* *number: of the next part, which goes on behind the value. */
static uint64_t hash_of(struct parts *ps, const struct kg_value *v, size_t *number)
{
	uint64_t hash = mix(v->type, v->len);

	if (v->type == KG_STRING)
		return mix(hash, kg_text_hash(v->s, v->len));
	if (v->type == KG_BOOL)
		return mix(hash, v->b);
	if (v->type == KG_INT || v->type == KG_FLOAT)
		return mix(hash, (uint64_t)v->i);
	if (!is_part(v))
		return hash;
	struct part *p = &ps->all[(*number)++];
	if (!p->hash) {
		hash = p->kept >= 0 ? ps->old->held[p->kept]->hash : hash_within(ps, v, number);
		p->hash = hash;
	}
	*number = p->end;
	return p->hash;
}

/* ---- the second walk ---- */

/* A new reference to the doc of that value; NULL where it has none and is to have none. */
static struct kg_doc *doc_of(const struct kg_value *v, uint64_t hash)
{
	pthread_mutex_lock(&table.lock);
	bool again = meet(hash);
	struct kg_doc *doc = again ? find(hash) : NULL, *made = NULL;
	pthread_mutex_unlock(&table.lock);
	if (again && !doc) {
		made = kg_doc_new_common(v, NULL, 0, NULL);
		made->common = 1;
		made->hash = (uint32_t)hash;
		pthread_mutex_lock(&table.lock);
		doc = find(hash);
		if (!doc)
			insert(hash, made);
		pthread_mutex_unlock(&table.lock);
		if (!doc)
			return made;
		made->common = 0;
		kg_doc_unref(made);
	}
	if (doc && !kg_equal(v, &doc->value)) {
		kg_doc_unref(doc);
		return NULL;
	}
	return doc;
}

/* Takes over the reference. */
static void put_found(struct parts *ps, struct kg_doc *doc)
{
	size_t i = ps->nfound;

	while (i && ps->found[i - 1] > doc)
		i--;
	if (i && ps->found[i - 1] == doc) {
		kg_doc_unref(doc);
		return;
	}
	memmove(&ps->found[i + 1], &ps->found[i], (ps->nfound - i) * sizeof(struct kg_doc *));
	ps->found[i] = doc;
	ps->nfound++;
}

/* The value of the doc that it is taken from, as that says it; false: of none. */
static bool take(struct kg_value *out, struct parts *ps, const struct kg_value *v, size_t number)
{
	const struct part *p = &ps->all[number];

	if (ps->ntaken == MOST)
		return false;
	if (p->kept >= 0) {
		ps->kept[p->kept / 64] |= UINT64_C(1) << (p->kept % 64);
		*out = *v;
	} else {
		struct kg_doc *doc = p->whole && p->bytes >= SMALLEST
					     ? doc_of(v, hash_of(ps, v, &number))
					     : NULL;
		if (!doc)
			return false;
		*out = doc->value;
		put_found(ps, doc);
	}
	ps->ntaken++;
	out->type |= KG_TAKEN;
	return true;
}

static struct kg_value replace(struct parts *ps, const struct kg_value *v);

static struct kg_value replace_within(struct parts *ps, const struct kg_value *v)
{
	struct kg_value copy = *v;

	if (v->type == KG_ARRAY) {
		struct kg_value *items = kg_arena_alloc(&ps->arena, v->len * sizeof(*items));

		for (uint32_t i = 0; i < v->len; i++)
			items[i] = replace(ps, &v->items[i]);
		copy.items = items;
		return copy;
	}
	struct kg_member *m = kg_arena_alloc(&ps->arena, v->len * sizeof(*m));
	for (uint32_t i = 0; i < v->len; i++)
		m[i] = (struct kg_member){
			.key = v->members[i].key, .value = replace(ps, &v->members[i].value)};
	copy.members = m;
	return copy;
}

static struct kg_value replace(struct parts *ps, const struct kg_value *v)
{
	if (!is_part(v))
		return *v;
	size_t number = ps->next++;
	if (ps->all[number].shared)
		return *v;
	struct kg_value taken;
	if (!take(&taken, ps, v, number)) {
		/* Of one that was held nothing within was looked at. */
		return ps->all[number].kept >= 0 ? *v : replace_within(ps, v);
	}
	ps->next = ps->all[number].end;
	return taken;
}

/* All that is taken, in the order of addresses, each with a reference and once. */
static size_t list_taken(struct kg_doc **out, struct parts *ps)
{
	size_t n = 0, f = 0;

	for (size_t w = 0; w < KEPT / 64; w++) {
		for (uint64_t bits = ps->kept[w]; bits; bits &= bits - 1) {
			struct kg_doc *doc = ps->old->held[w * 64 + (size_t)__builtin_ctzll(bits)];

			while (f < ps->nfound && ps->found[f] < doc)
				out[n++] = ps->found[f++];
			if (f < ps->nfound && ps->found[f] == doc)
				out[n++] = ps->found[f++];
			else
				out[n++] = kg_doc_ref(doc);
		}
	}
	while (f < ps->nfound)
		out[n++] = ps->found[f++];
	return n;
}

struct kg_doc *kg_doc_new_common(const struct kg_value *v, struct kg_doc *const *share,
	size_t nshare, const struct kg_doc *old)
{
	struct kg_doc *taken[MOST];
	_Alignas(16) char memory[SCRATCH];
	size_t bytes = 0;
	bool whole = true;

	if (!is_part(v) || nshare > KG_COMMON_SHARE)
		return kg_doc_new(v, share, nshare);
	struct parts ps;
	ps.all = ps.few;
	ps.cap = FEW_PARTS;
	ps.n = ps.nfound = ps.ntaken = 0;
	memset(ps.kept, 0, sizeof(ps.kept));
	ps.share = share;
	ps.nshare = nshare;
	ps.old = old;
	kg_arena_lend(&ps.arena, memory, sizeof(memory));
	look_at(&ps, v, &bytes, &whole);
	ps.next = 1; /* the root is no part */
	struct kg_value replaced = ps.all[0].shared ? *v : replace_within(&ps, v);
	size_t ntaken = list_taken(taken, &ps);
	struct kg_doc *doc = kg_doc_new_from(&replaced, share, nshare, taken, ntaken, old);
	kg_arena_release(&ps.arena);
	if (ps.all != ps.few)
		free(ps.all);
	return doc;
}

/* ---- the end of a part ---- */

void kg_common_forget(const struct kg_doc *doc)
{
	pthread_mutex_lock(&table.lock);
	size_t i = doc->hash & (table.size - 1);
	while (table.slots[i].doc != doc)
		i = next_slot(i);
	drop_slot(i);
	pthread_mutex_unlock(&table.lock);
}
