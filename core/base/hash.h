/* Hashes and what is made of them. SHA-1, SHA-256 and base64 are nettle's. */
#ifndef KG_BASE_HASH_H
#define KG_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t kg_hash64(const void *p, size_t n); /* FNV-1a with a final mix; stable across releases */
void kg_sha1(unsigned char out[20], const void *p, size_t n);
void kg_sha256(unsigned char out[32], const void *p, size_t n);
/* Lower-case hex of n bytes into out[2n + 1]. */
void kg_hex(char *out, const unsigned char *p, size_t n);
int kg_hex_digit(char c); /* its value, or -1 */
/* Returns 0, or -1 where s is not exactly 2n hex digits. */
int kg_unhex(unsigned char *out, size_t n, const char *s);
/* UUIDv5 (RFC 4122) of name under a namespace UUID given as text; text into out[37]. */
void kg_uuid5(char out[37], const char *namespace_uuid, const char *name);
/* The alphabet Kubernetes names pods with (no vowels): n characters and a NUL into out, from h. */
void kg_safe_encode(char *out, size_t n, uint64_t h);
/* The object id of a git blob, tree or commit: SHA-1 over "type len\0" and the bytes. */
void kg_git_oid(unsigned char out[20], const char *type, const void *p, size_t n);
/* Standard base64 with padding; results are NUL-terminated heap memory. Decode returns NULL for
 * malformed input: white space, and bits that padding cuts off, are. */
char *kg_base64_encode(const void *p, size_t n);
unsigned char *kg_base64_decode(const char *s, size_t n, size_t *out_len);
/* The same in the alphabet of URLs, without padding. */
char *kg_base64url_encode(const void *p, size_t n);
unsigned char *kg_base64url_decode(const char *s, size_t n, size_t *out_len);

#endif
