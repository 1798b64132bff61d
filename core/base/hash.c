#include "base/hash.h"

#include <assert.h>
#include <nettle/sha1.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <string.h>

static uint64_t mix(uint64_t h)
{
	h ^= h >> 33;
	h *= 0xFF51AFD7ED558CCDu;
	h ^= h >> 33;
	h *= 0xC4CEB9FE1A85EC53u;
	return h ^ (h >> 33);
}

uint64_t kg_hash64(const void *p, size_t n)
{
	const unsigned char *s = p;
	uint64_t h = 0xCBF29CE484222325u;

	for (size_t i = 0; i < n; i++)
		h = (h ^ s[i]) * 0x100000001B3u;
	return mix(h);
}

void kg_sha1(unsigned char out[20], const void *p, size_t n)
{
	struct sha1_ctx c;

	sha1_init(&c);
	sha1_update(&c, n, p);
	sha1_digest(&c, 20, out);
}

void kg_sha256(unsigned char out[32], const void *p, size_t n)
{
	struct sha256_ctx c;

	sha256_init(&c);
	sha256_update(&c, n, p);
	sha256_digest(&c, 32, out);
}

void kg_git_oid(unsigned char out[20], const char *type, const void *p, size_t n)
{
	char head[64], *at = head + sizeof(head);
	size_t type_len = strlen(type), left = n;
	struct sha1_ctx c;

	/* "type len\0", from its end */
	*--at = '\0';
	do
		*--at = (char)('0' + left % 10);
	while (left /= 10);
	*--at = ' ';
	assert(type_len <= (size_t)(at - head));
	at -= type_len;
	memcpy(at, type, type_len);
	sha1_init(&c);
	sha1_update(&c, (size_t)(head + sizeof(head) - at), (const uint8_t *)at);
	sha1_update(&c, n, p);
	sha1_digest(&c, 20, out);
}

void kg_safe_encode(char *out, size_t n, uint64_t h)
{
	static const char alphabet[] = "bcdfghjklmnpqrstvwxz2456789";
	enum { LETTERS = sizeof(alphabet) - 1, PER_WORD = 12 };
	uint64_t rest = h;

	for (size_t i = 0; i < n; i++) {
		if (i && i % PER_WORD == 0)
			rest = mix(h + i); /* 64 bits hold no more letters */
		out[i] = alphabet[rest % LETTERS];
		rest /= LETTERS;
	}
	out[n] = '\0';
}
