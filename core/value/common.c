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
	uint32_t end;        /* the number of the first that is not within it */
	bool shared;         /* lies in a doc that is held anyway */
	bool whole;          /* nothing in it is shared, and it is not too large */
	struct kg_doc *held; /* it is the value of this one, which the old version holds */
};
enum { FEW_PARTS = 64 };
struct parts {
	struct part few[FEW_PARTS], *all;
	size_t n, cap, next; /* next: of the second walk */
	struct kg_doc *const *share;
	size_t nshare;
	const struct kg_doc *old;
	struct kg_arena arena;
	struct kg_doc *docs[MOST];
	size_t ndocs;
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

/* The part that the old version holds and that is this very value. What a doc holds is in the
 * order of addresses. */
static struct kg_doc *held_by_old(const struct parts *ps, const struct kg_value *v)
{
	size_t low = 0, high = ps->old ? ps->old->nheld : 0;

	while (low < high) {
		size_t mid = (low + high) / 2;
		struct kg_doc *doc = ps->old->held[mid];

		if ((uintptr_t)v->items < (uintptr_t)doc)
			high = mid;
		else if ((uintptr_t)v->items - (uintptr_t)doc >= doc->size)
			low = mid + 1;
		else
			return doc->common && doc->value.items == v->items &&
					       doc->value.len == v->len
				       ? doc
				       : NULL;
	}
	return NULL;
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
	p.held = p.shared ? NULL : held_by_old(ps, v);
	p.whole = !p.shared;
	if (p.held)
		p.bytes = p.held->size;
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
			const char *key = v->members[i].key;

			child = &v->members[i].value;
			hash = mix(hash, kg_text_hash(key, strlen(key)));
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
		hash = p->held ? p->held->hash : hash_within(ps, v, number);
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

static bool take(struct parts *ps, const struct kg_value *v, size_t number)
{
	const struct part *p = &ps->all[number];

	if (ps->ndocs == MOST)
		return false;
	if (p->held) {
		ps->docs[ps->ndocs] = kg_doc_ref(p->held);
		return true;
	}
	if (!p->whole || p->bytes < SMALLEST)
		return false;
	ps->docs[ps->ndocs] = doc_of(v, hash_of(ps, v, &number));
	return ps->docs[ps->ndocs] != NULL;
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
	if (!take(ps, v, number)) {
		/* Of one that was held nothing within was looked at. */
		return ps->all[number].held ? *v : replace_within(ps, v);
	}
	ps->next = ps->all[number].end;
	return ps->docs[ps->ndocs++]->value;
}

struct kg_doc *kg_doc_new_common(const struct kg_value *v, struct kg_doc *const *share,
	size_t nshare, const struct kg_doc *old)
{
	struct kg_doc *lenders[MOST + KG_COMMON_SHARE];
	_Alignas(16) char memory[SCRATCH];
	size_t bytes = 0;
	bool whole = true;

	if (!is_part(v) || nshare > KG_COMMON_SHARE)
		return kg_doc_new(v, share, nshare);
	struct parts ps;
	ps.all = ps.few;
	ps.cap = FEW_PARTS;
	ps.n = ps.ndocs = 0;
	ps.share = share;
	ps.nshare = nshare;
	ps.old = old;
	kg_arena_lend(&ps.arena, memory, sizeof(memory));
	look_at(&ps, v, &bytes, &whole);
	ps.next = 1; /* the root is no part */
	struct kg_value replaced = ps.all[0].shared ? *v : replace_within(&ps, v);
	if (nshare)
		memcpy(lenders, share, nshare * sizeof(*share));
	if (ps.ndocs)
		memcpy(lenders + nshare, ps.docs, ps.ndocs * sizeof(*ps.docs));
	struct kg_doc *doc = kg_doc_new_from(&replaced, lenders, nshare + ps.ndocs, old);
	for (size_t i = 0; i < ps.ndocs; i++)
		kg_doc_unref(ps.docs[i]);
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
