/* Bytes as text: hex, UUIDs, base64. */
#include "base/hash.h"
#include "base/mem.h"

#include <assert.h>
#include <nettle/base64.h>
#include <nettle/sha1.h>
#include <string.h>

void kg_hex(char *out, const unsigned char *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		*out++ = digits[p[i] >> 4];
		*out++ = digits[p[i] & 15];
	}
	*out = '\0';
}

int kg_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int kg_unhex(unsigned char *out, size_t n, const char *s)
{
	for (size_t i = 0; i < n; i++) {
		int high = kg_hex_digit(s[2 * i]);
		int low = high < 0 ? -1 : kg_hex_digit(s[2 * i + 1]);

		if (low < 0)
			return -1;
		out[i] = (unsigned char)(high << 4 | low);
	}
	return s[2 * n] ? -1 : 0;
}

void kg_uuid5(char out[37], const char *namespace_uuid, const char *name)
{
	char digits[33];
	unsigned char id[20];
	size_t n = 0;

	for (const char *s = namespace_uuid; *s && n < 32; s++) {
		if (*s != '-')
			digits[n++] = *s;
	}
	digits[n] = '\0';
	int malformed = kg_unhex(id, 16, digits);
	assert(!malformed);
	(void)malformed;

	struct sha1_ctx c;
	sha1_init(&c);
	sha1_update(&c, 16, id);
	sha1_update(&c, strlen(name), (const uint8_t *)name);
	sha1_digest(&c, 20, id);
	id[6] = (unsigned char)((id[6] & 0x0F) | 0x50);
	id[8] = (unsigned char)((id[8] & 0x3F) | 0x80);

	static const size_t groups[] = {4, 2, 2, 2, 6};
	const unsigned char *p = id;
	for (size_t i = 0; i < KG_ARRAY_LEN(groups); i++) {
		kg_hex(out, p, groups[i]);
		out += 2 * groups[i];
		p += groups[i];
		*out++ = i + 1 < KG_ARRAY_LEN(groups) ? '-' : '\0';
	}
}

char *kg_base64_encode(const void *bytes, size_t n)
{
	char *text = kg_alloc(BASE64_ENCODE_RAW_LENGTH(n) + 1);

	base64_encode_raw(text, n, bytes);
	return text;
}

unsigned char *kg_base64_decode(const char *s, size_t n, size_t *out_len)
{
	struct base64_decode_ctx c;
	size_t pad = 0, len = 0;

	if (n % 4)
		return NULL;
	while (pad < 2 && pad < n && s[n - 1 - pad] == '=')
		pad++;
	KG_AUTOFREE unsigned char *bytes = kg_alloc(BASE64_DECODE_LENGTH(n) + 1);
	base64_decode_init(&c);
	/* White space, which nettle passes over, would leave it with too few digits. */
	if (!base64_decode_update(&c, &len, bytes, n, s) || !base64_decode_final(&c) ||
		len != n / 4 * 3 - pad)
		return NULL;
	bytes[len] = '\0';
	*out_len = len;
	return kg_steal(&bytes);
}

char *kg_base64url_encode(const void *bytes, size_t n)
{
	char *text = kg_base64_encode(bytes, n);

	text[strcspn(text, "=")] = '\0';
	for (char *c = text; *c; c++)
		*c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
	return text;
}

unsigned char *kg_base64url_decode(const char *s, size_t n, size_t *out_len)
{
	size_t padded = (n + 3) / 4 * 4;
	KG_AUTOFREE char *text = kg_alloc(padded + 1);

	for (size_t i = 0; i < n; i++) {
		if (s[i] == '+' || s[i] == '/' || s[i] == '=')
			return NULL;
		text[i] = s[i] == '-' ? '+' : s[i] == '_' ? '/' : s[i];
	}
	memset(text + n, '=', padded - n);
	return kg_base64_decode(text, padded, out_len);
}
