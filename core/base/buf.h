/* A growable byte buffer, always NUL-terminated once something was added. */
#ifndef KG_BASE_BUF_H
#define KG_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct kg_buf {
	char *data; /* owned; NULL while empty */
	size_t len, cap;
};
#define KG_BUF_INIT                                                                                \
	{                                                                                          \
		0                                                                                  \
	}

void kg_buf_release(struct kg_buf *b); /* frees; the buffer is empty again */
void kg_buf_clear(struct kg_buf *b);   /* keeps the memory */
char *kg_buf_steal(struct kg_buf *b);  /* the bytes, NUL-terminated, never NULL; free() */
void kg_buf_reserve(struct kg_buf *b, size_t extra);
void kg_buf_add(struct kg_buf *b, const void *p, size_t n);
void kg_buf_addc(struct kg_buf *b, char c);
void kg_buf_adds(struct kg_buf *b, const char *s);
void kg_buf_addf(struct kg_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void kg_buf_addv(struct kg_buf *b, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));
/* As a part of a URI: percent-encoded but for RFC 3986's unreserved characters. */
void kg_buf_add_uri(struct kg_buf *b, const char *s);
void kg_buf_remove(struct kg_buf *b, size_t pos, size_t n); /* drops n bytes at pos */
const char *kg_buf_str(const struct kg_buf *b);             /* "" while empty */
/* A number as text; returns its length. What is said at every change is not worth a printf. */
size_t kg_int_text(char out[24], int64_t i);
#define KG_AUTOBUF KG_CLEANUP(kg_buf_release)

#endif
