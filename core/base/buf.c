#include "base/buf.h"
#include "base/mem.h"

#include <assert.h>
#include <stdio.h>

void kg_buf_release(struct kg_buf *b)
{
	free(b->data);
	*b = (struct kg_buf)KG_BUF_INIT;
}

void kg_buf_clear(struct kg_buf *b)
{
	b->len = 0;
	if (b->data)
		b->data[0] = '\0';
}

char *kg_buf_steal(struct kg_buf *b)
{
	char *s = b->data ? b->data : kg_alloc(1);

	*b = (struct kg_buf)KG_BUF_INIT;
	return s;
}

void kg_buf_reserve(struct kg_buf *b, size_t extra)
{
	size_t need;

	if (extra < b->cap - b->len)
		return;
	if (__builtin_add_overflow(b->len, extra, &need) || need > SIZE_MAX / 4)
		need = SIZE_MAX / 2; /* fails to allocate, and aborts */
	size_t cap = b->cap + b->cap / 2;
	if (cap < need + 1)
		cap = need + 1;
	if (cap < 64)
		cap = 64;
	b->data = kg_realloc(b->data, cap);
	if (!b->cap)
		b->data[0] = '\0';
	b->cap = cap;
}

void kg_buf_add(struct kg_buf *b, const void *p, size_t n)
{
	kg_buf_reserve(b, n);
	if (n)
		memcpy(b->data + b->len, p, n);
	b->len += n;
	b->data[b->len] = '\0';
}

void kg_buf_addc(struct kg_buf *b, char c)
{
	kg_buf_reserve(b, 1);
	b->data[b->len++] = c;
	b->data[b->len] = '\0';
}

void kg_buf_adds(struct kg_buf *b, const char *s)
{
	kg_buf_add(b, s, strlen(s));
}

void kg_buf_addv(struct kg_buf *b, const char *fmt, va_list ap)
{
	va_list again;

	kg_buf_reserve(b, 1);
	va_copy(again, ap);
	int n = vsnprintf(b->data + b->len, b->cap - b->len, fmt, ap);
	assert(n >= 0);
	if (n > 0 && (size_t)n >= b->cap - b->len) {
		kg_buf_reserve(b, (size_t)n);
		vsnprintf(b->data + b->len, b->cap - b->len, fmt, again);
	}
	va_end(again);
	if (n > 0)
		b->len += (size_t)n;
}

void kg_buf_addf(struct kg_buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	kg_buf_addv(b, fmt, ap);
	va_end(ap);
}

void kg_buf_add_uri(struct kg_buf *b, const char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			strchr("-._~", c))
			kg_buf_addc(b, *s);
		else
			kg_buf_addf(b, "%%%02X", c);
	}
}

void kg_buf_remove(struct kg_buf *b, size_t pos, size_t n)
{
	assert(pos <= b->len && n <= b->len - pos);
	if (!n)
		return;
	memmove(b->data + pos, b->data + pos + n, b->len - pos - n + 1);
	b->len -= n;
}

const char *kg_buf_str(const struct kg_buf *b)
{
	return b->data ? b->data : "";
}

size_t kg_int_text(char out[24], int64_t i)
{
	char digits[24], *p = digits + sizeof(digits);
	uint64_t u = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;

	do {
		*--p = (char)('0' + u % 10);
		u /= 10;
	} while (u);
	if (i < 0)
		*--p = '-';
	size_t n = (size_t)(digits + sizeof(digits) - p);
	memcpy(out, p, n);
	out[n] = '\0';
	return n;
}
