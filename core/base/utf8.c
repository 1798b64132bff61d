#include "base/utf8.h"

unsigned kg_utf8_next(const char *s, size_t n, uint32_t *cp)
{
	static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned char c = (unsigned char)s[0];
	unsigned len = c < 0x80 ? 1 : c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC0 ? 2 : 0;
	uint32_t v = len == 1 ? c : c & (0x7Fu >> len);

	if (!len || len > n || c > 0xF4)
		return 0;
	for (unsigned i = 1; i < len; i++) {
		if (((unsigned char)s[i] & 0xC0) != 0x80)
			return 0;
		v = v << 6 | ((unsigned char)s[i] & 0x3F);
	}
	if (v < lowest[len] || v > 0x10FFFF || (v >= 0xD800 && v <= 0xDFFF))
		return 0;
	*cp = v;
	return len;
}

size_t kg_utf8_cut(const char *s, size_t n)
{
	while (n && ((unsigned char)s[n] & 0xC0) == 0x80)
		n--;
	return n;
}
