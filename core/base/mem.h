/*
 * Allocation. Out of memory aborts the process (all state is in git), so none of these returns
 * NULL; every size that a peer controls is bounded by its caller before it comes here.
 */
#ifndef KG_BASE_MEM_H
#define KG_BASE_MEM_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

_Noreturn void kg_out_of_memory(void);  /* says so, and aborts */
void *kg_alloc(size_t size);            /* zeroed; free() */
void *kg_realloc(void *p, size_t size); /* not zeroed */
char *kg_strdup(const char *s);         /* NULL gives NULL */
char *kg_strndup(const char *s, size_t n);
void *kg_memdup(const void *p, size_t n);
char *kg_asprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Grows a heap array so that it holds at least `need` items of `size` bytes; *cap in items. */
void *kg_grow(void *items, size_t *cap, size_t need, size_t size);
#define KG_GROW(items, cap, need) ((items) = kg_grow((items), &(cap), (need), sizeof(*(items))))

#define KG_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Cleanup attributes for locals; kg_steal hands the value over: `return kg_steal(&p);`. */
static inline void kg_freep(void *p)
{
	free(*(void **)p);
}
static inline void *kg_steal_(void *pp)
{
	void *p = *(void **)pp;
	*(void **)pp = NULL;
	return p;
}
#define kg_steal(pp)   ((__typeof__(*(pp)))kg_steal_(pp))
#define KG_CLEANUP(fn) __attribute__((cleanup(fn)))
#define KG_AUTOFREE    KG_CLEANUP(kg_freep)
void kg_closep(int *fd); /* closes a fd >= 0, keeps errno */
#define KG_AUTOCLOSE KG_CLEANUP(kg_closep)

/*
 * An arena: what one request or one reconcile makes is freed at once. Memory is zeroed, aligned
 * to 8. Not thread-safe. KG_ARENA_INIT is an empty one that has allocated nothing.
 */
struct kg_arena_block;
struct kg_arena {
	struct kg_arena_block *head;
	size_t used; /* bytes handed out, for bounds and metrics */
};
#define KG_ARENA_INIT                                                                              \
	{                                                                                          \
		0                                                                                  \
	}
void kg_arena_release(struct kg_arena *a); /* frees all; the arena can be used again */
/* An empty arena begins, and begins anew after each release, with memory of the caller's that
 * outlives it: at least KG_ARENA_LEAST bytes, aligned as malloc aligns. What is of short life and
 * mostly small so costs no allocation. */
#define KG_ARENA_LEAST 256
void kg_arena_lend(struct kg_arena *a, void *memory, size_t size);
void *kg_arena_alloc(struct kg_arena *a, size_t size);
char *kg_arena_strdup(struct kg_arena *a, const char *s);
char *kg_arena_strndup(struct kg_arena *a, const char *s, size_t n);
char *kg_arena_printf(struct kg_arena *a, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
