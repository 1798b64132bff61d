/* UTF-8 (RFC 3629). Pure. */
#ifndef KG_BASE_UTF8_H
#define KG_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Length of the sequence at s (n > 0 bytes are there) and its code point, or 0 where it is
 * malformed: overlong, a surrogate, beyond U+10FFFF, cut off. */
unsigned kg_utf8_next(const char *s, size_t n, uint32_t *cp);
/* The most bytes of s, up to n, that split no character; s is NUL-terminated, or has n + 1. */
size_t kg_utf8_cut(const char *s, size_t n);

#endif
