#include "base/mem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void kg_out_of_memory(void)
{
	static const char text[] = "kgit: out of memory\n";
	ssize_t ignored = write(STDERR_FILENO, text, sizeof(text) - 1);

	(void)ignored;
	abort();
}

static void *must(void *p)
{
	if (!p)
		kg_out_of_memory();
	return p;
}

void *kg_alloc(size_t size)
{
	return must(calloc(1, size ? size : 1));
}

void *kg_realloc(void *p, size_t size)
{
	return must(realloc(p, size ? size : 1));
}

char *kg_strdup(const char *s)
{
	return s ? must(strdup(s)) : NULL;
}

char *kg_strndup(const char *s, size_t n)
{
	return must(strndup(s, n));
}

void *kg_memdup(const void *p, size_t n)
{
	void *copy = must(malloc(n ? n : 1));

	if (n)
		memcpy(copy, p, n);
	return copy;
}

char *kg_asprintf(const char *fmt, ...)
{
	char *s;
	va_list ap;

	va_start(ap, fmt);
	int n = vasprintf(&s, fmt, ap);
	va_end(ap);
	return must(n < 0 ? NULL : s);
}

void *kg_grow(void *items, size_t *cap, size_t need, size_t size)
{
	size_t bytes, n = *cap;

	if (need <= n)
		return items;
	n += n / 2;
	if (n < need)
		n = need;
	if (n < 8)
		n = 8;
	if (__builtin_mul_overflow(n, size, &bytes))
		must(NULL);
	items = kg_realloc(items, bytes);
	*cap = n;
	return items;
}

void kg_closep(int *fd)
{
	int e = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = e;
}

/* ---- arena ---- */

enum { FIRST_BLOCK = 4096, LARGEST_BLOCK = 1 << 20 };

struct kg_arena_block {
	struct kg_arena_block *next;
	size_t used, size;
	bool lent; /* the memory is the caller's */
	_Alignas(16) char data[];
};

/* Not zeroed: each piece of it is, when it is handed out. */
static struct kg_arena_block *block_new(size_t size)
{
	struct kg_arena_block *b = kg_realloc(NULL, sizeof(*b) + size);

	*b = (struct kg_arena_block){.size = size};
	return b;
}

void kg_arena_lend(struct kg_arena *a, void *memory, size_t size)
{
	struct kg_arena_block *b = memory;

	*b = (struct kg_arena_block){.size = size - sizeof(*b), .lent = true};
	a->head = b;
	a->used = 0;
}

void kg_arena_release(struct kg_arena *a)
{
	struct kg_arena_block *lent = NULL;

	for (struct kg_arena_block *b = a->head, *next; b; b = next) {
		next = b->next;
		if (b->lent)
			lent = b;
		else
			free(b);
	}
	if (lent) {
		lent->next = NULL;
		lent->used = 0;
	}
	a->head = lent;
	a->used = 0;
}

/* A block of its own for what would waste the rest of the current one. */
static void *alloc_large(struct kg_arena *a, size_t size)
{
	struct kg_arena_block *b = kg_alloc(sizeof(*b) + size);

	b->size = b->used = size;
	if (a->head) {
		b->next = a->head->next;
		a->head->next = b;
	} else {
		a->head = b;
	}
	return b->data;
}

void *kg_arena_alloc(struct kg_arena *a, size_t size)
{
	struct kg_arena_block *b = a->head;

	if (size > SIZE_MAX / 2)
		must(NULL);
	size = (size + 7) & ~(size_t)7;
	a->used += size;
	if (!b || b->size - b->used < size) {
		size_t next = b ? b->size * 2 : FIRST_BLOCK - sizeof(*b);

		if (next < FIRST_BLOCK - sizeof(*b))
			next = FIRST_BLOCK - sizeof(*b);
		if (next > LARGEST_BLOCK)
			next = LARGEST_BLOCK;
		if (size > next / 4)
			return alloc_large(a, size);
		b = block_new(next);
		b->next = a->head;
		a->head = b;
	}
	void *p = b->data + b->used;
	b->used += size;
	return memset(p, 0, size);
}

static char *arena_copy(struct kg_arena *a, const char *s, size_t len)
{
	char *copy = kg_arena_alloc(a, len + 1);

	memcpy(copy, s, len);
	return copy;
}

char *kg_arena_strndup(struct kg_arena *a, const char *s, size_t n)
{
	return arena_copy(a, s, strnlen(s, n));
}

char *kg_arena_strdup(struct kg_arena *a, const char *s)
{
	return s ? arena_copy(a, s, strlen(s)) : NULL;
}

char *kg_arena_printf(struct kg_arena *a, const char *fmt, ...)
{
	char small[256];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(small, sizeof(small), fmt, ap);
	va_end(ap);
	if (n < 0)
		must(NULL);
	char *s = kg_arena_alloc(a, (size_t)n + 1);
	if ((size_t)n < sizeof(small)) {
		memcpy(s, small, (size_t)n);
		return s;
	}
	va_start(ap, fmt);
	vsnprintf(s, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return s;
}
