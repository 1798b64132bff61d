/*
 * A slab is 64 KiB, aligned to that, so that what lies in it finds it, and large enough that little
 * of it is too small a rest for one more; its head says which class it is of and which of its
 * places are free. The first free one is always taken: so what is alive gathers at the beginning,
 * and pages that nothing lies in can go before the slab does. Those that are more than half full
 * are filled first, so that the others become empty. Slabs are cut from regions, which are never
 * given back; their pages are.
 *
 * Locks: a class's, then `pool`'s.
 */
#include "base/slab.h"

#include "base/mem.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#define WITH_MALLOC 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_MALLOC 1
#endif
#endif
#ifndef WITH_MALLOC
#define WITH_MALLOC 0 /* 1: each block is malloc's, which the sanitizer watches */
#endif

#define SLAB   ((size_t)64 << 10)
#define PAGE   ((size_t)4096)
#define WORDS  (SLAB / 16 / 64)
#define REGION ((size_t)4 << 20)
#define WARM   16 /* empty slabs that keep their pages, for the next */

/* Sizes of classes: in steps of 16 bytes up to 512, of 32 above. */
#define FINE    512u
#define CLASSES (FINE / 16 + (KG_SLAB_MAX - FINE) / 32)

struct slab {
	struct slab *prev, *next; /* those of the class that have room; of a full one NULL */
	uint16_t use, class;
	uint32_t used;        /* places that are not free */
	uint64_t free[WORDS]; /* a bit a place */
	_Alignas(16) char places[];
};
struct class
{
	pthread_mutex_t lock;
	struct slab *room, *last; /* the list of those that have room */
	size_t used;              /* places */
};
static struct class classes[KG_SLAB_USES][CLASSES] = {
	[0 ... KG_SLAB_USES - 1] = {[0 ... CLASSES - 1] = {.lock = PTHREAD_MUTEX_INITIALIZER}}};
static struct {
	pthread_mutex_t lock;
	struct stack {
		struct slab **slabs;
		size_t n, cap;
	} warm, cold; /* cold: without pages */
	size_t out;   /* slabs of classes */
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint32_t class_of(size_t size)
{
	if (size <= FINE)
		return (uint32_t)((size ? size - 1 : 0) / 16);
	return (uint32_t)(FINE / 16 + (size - FINE - 1) / 32);
}

static size_t size_of(uint32_t class)
{
	if (class < FINE / 16)
		return (class + 1) * (size_t)16;
	return FINE + (class + 1 - FINE / 16) * (size_t)32;
}

static bool is_mallocs(size_t size)
{
	return WITH_MALLOC || size > KG_SLAB_MAX;
}

/* ---- slabs ---- */

static void push(struct stack *s, struct slab *slab)
{
	KG_GROW(s->slabs, s->cap, s->n + 1);
	s->slabs[s->n++] = slab;
}

static void map_region(void)
{
	char *at = mmap(
		NULL, REGION + SLAB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *end = at + REGION + SLAB;

	if (at == MAP_FAILED) /* as malloc fails */
		kg_out_of_memory();
	char *first = (char *)(((uintptr_t)at + SLAB - 1) & ~(uintptr_t)(SLAB - 1));
	if (first > at)
		munmap(at, (size_t)(first - at));
	if (end > first + REGION)
		munmap(first + REGION, (size_t)(end - first - REGION));
	for (size_t i = REGION; i > 0; i -= SLAB)
		push(&pool.cold, (struct slab *)(void *)(first + i - SLAB));
}

static uint32_t places_of(uint32_t class)
{
	return (uint32_t)((SLAB - sizeof(struct slab)) / size_of(class));
}

static struct slab *take_slab(enum kg_slab_use use, uint32_t class)
{
	pthread_mutex_lock(&pool.lock);
	if (!pool.warm.n && !pool.cold.n)
		map_region();
	struct stack *from = pool.warm.n ? &pool.warm : &pool.cold;
	struct slab *s = from->slabs[--from->n];
	pool.out++;
	pthread_mutex_unlock(&pool.lock);
	*s = (struct slab){.use = (uint16_t)use, .class = (uint16_t) class};
	for (uint32_t i = 0; i < places_of(class); i++)
		s->free[i / 64] |= UINT64_C(1) << i % 64;
	return s;
}

static void give_slab(struct slab *s)
{
	pthread_mutex_lock(&pool.lock);
	pool.out--;
	/* Where it fails the pages stay. */
	if (pool.warm.n < WARM || madvise(s, SLAB, MADV_DONTNEED) < 0)
		push(&pool.warm, s);
	else
		push(&pool.cold, s);
	pthread_mutex_unlock(&pool.lock);
}

/* ---- a class's slabs that have room ---- */

static void link_first(struct class *c, struct slab *s)
{
	s->prev = NULL;
	s->next = c->room;
	if (s->next)
		s->next->prev = s;
	else
		c->last = s;
	c->room = s;
}

static void link_last(struct class *c, struct slab *s)
{
	s->next = NULL;
	s->prev = c->last;
	if (s->prev)
		s->prev->next = s;
	else
		c->room = s;
	c->last = s;
}

static void unlink_slab(struct class *c, struct slab *s)
{
	if (s->prev)
		s->prev->next = s->next;
	else
		c->room = s->next;
	if (s->next)
		s->next->prev = s->prev;
	else
		c->last = s->prev;
	s->prev = s->next = NULL;
}

/* ---- blocks ---- */

static uint32_t first_free(const struct slab *s)
{
	uint32_t i = 0;

	while (!s->free[i])
		i++;
	return i * 64 + (uint32_t)__builtin_ctzll(s->free[i]);
}

void *kg_slab_alloc(enum kg_slab_use use, size_t size)
{
	if (is_mallocs(size))
		return kg_realloc(NULL, size);
	uint32_t number = class_of(size);
	struct class *c = &classes[use][number];

	pthread_mutex_lock(&c->lock);
	if (!c->room)
		link_first(c, take_slab(use, number));
	struct slab *s = c->room;
	uint32_t i = first_free(s);
	s->free[i / 64] &= ~(UINT64_C(1) << i % 64);
	s->used++;
	c->used++;
	if (s->used == places_of(number))
		unlink_slab(c, s);
	pthread_mutex_unlock(&c->lock);
	return s->places + i * size_of(number);
}

void kg_slab_free(void *p, size_t size)
{
	if (!p || is_mallocs(size)) {
		free(p);
		return;
	}
	struct slab *s = (struct slab *)((uintptr_t)p & ~(uintptr_t)(SLAB - 1)), *empty = NULL;
	struct class *c = &classes[s->use][s->class];
	uint32_t i = (uint32_t)((char *)p - s->places) / (uint32_t)size_of(s->class);

	pthread_mutex_lock(&c->lock);
	s->free[i / 64] |= UINT64_C(1) << i % 64;
	c->used--;
	if (s->used-- == places_of(s->class)) {
		link_first(c, s);
	} else if (s->used == places_of(s->class) / 2) {
		unlink_slab(c, s);
		link_last(c, s);
	}
	/* The only one that has room stays, for the next block. */
	if (!s->used && (s->next || s->prev)) {
		unlink_slab(c, s);
		empty = s;
	}
	pthread_mutex_unlock(&c->lock);
	if (empty)
		give_slab(empty);
}

void *kg_slab_resize(enum kg_slab_use use, void *p, size_t old, size_t size)
{
	if (!p)
		return kg_slab_alloc(use, size);
	if (is_mallocs(old) && is_mallocs(size))
		return kg_realloc(p, size);
	if (!is_mallocs(old) && !is_mallocs(size) && class_of(old) == class_of(size))
		return p;
	void *q = kg_slab_alloc(use, size);
	memcpy(q, p, old < size ? old : size);
	kg_slab_free(p, old);
	return q;
}

void *kg_slab_zeroed(enum kg_slab_use use, size_t size)
{
	return memset(kg_slab_alloc(use, size), 0, size);
}

char *kg_slab_strdup(enum kg_slab_use use, const char *s)
{
	size_t size = strlen(s) + 1;

	return memcpy(kg_slab_alloc(use, size), s, size);
}

void kg_slab_strfree(char *s)
{
	if (s)
		kg_slab_free(s, strlen(s) + 1);
}

void *kg_slab_grow(enum kg_slab_use use, void *items, size_t *cap, size_t need, size_t size)
{
	size_t n = *cap + *cap / 2, bytes;

	if (need <= *cap)
		return items;
	if (n < need)
		n = need;
	if (n < 2)
		n = 2;
	if (__builtin_mul_overflow(n, size, &bytes))
		kg_out_of_memory();
	items = kg_slab_resize(use, items, *cap * size, bytes);
	*cap = n;
	return items;
}

/* ---- pages in which nothing lies ---- */

static bool is_page_free(const struct slab *s, size_t page)
{
	size_t size = size_of(s->class), head = sizeof(*s);
	size_t last = (page + PAGE - 1 - head) / size;

	for (size_t i = (page - head) / size; i <= last && i < places_of(s->class); i++)
		if (!(s->free[i / 64] >> i % 64 & 1))
			return false;
	return true;
}

static void trim_slab(struct slab *s)
{
	/* The head lies in the first. Where it fails the pages stay. */
	for (size_t page = PAGE, end; page < SLAB; page = end + PAGE) {
		for (end = page; end < SLAB && is_page_free(s, end); end += PAGE)
			;
		if (end > page)
			(void)madvise((char *)s + page, end - page, MADV_DONTNEED);
	}
}

void kg_slab_trim(void)
{
	for (uint32_t i = 0; i < KG_SLAB_USES * CLASSES; i++) {
		struct class *c = &classes[i / CLASSES][i % CLASSES];

		pthread_mutex_lock(&c->lock);
		for (struct slab *s = c->room; s; s = s->next)
			trim_slab(s);
		pthread_mutex_unlock(&c->lock);
	}
}

void kg_slab_stats(size_t *held, size_t *used)
{
	*used = 0;
	for (uint32_t i = 0; i < KG_SLAB_USES * CLASSES; i++) {
		struct class *c = &classes[i / CLASSES][i % CLASSES];

		pthread_mutex_lock(&c->lock);
		*used += c->used * size_of(i % CLASSES);
		pthread_mutex_unlock(&c->lock);
	}
	pthread_mutex_lock(&pool.lock);
	*held = (pool.out + pool.warm.n) * SLAB;
	pthread_mutex_unlock(&pool.lock);
}
