/* What is printed holds texts that others wrote: commits' subjects and authors, messages of nodes.
 */
#include "kgit/kgit.h"

#include <stdio.h>
#include <string.h>

/* The length of the control character at p, 0 where there is none; lines and tabs are let be. */
static size_t control(const unsigned char *p, size_t n)
{
	if (n > 1 && p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
		return 2; /* C1, in UTF-8 */
	return (*p < ' ' && *p != '\n' && *p != '\t') || *p == 0x7f ? 1 : 0;
}

void kgit_plain_add(struct kg_buf *out, const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text;

	for (size_t i = 0, n; i < len; i += n ? n : 1) {
		n = control(p + i, len - i);
		kg_buf_addc(out, (char)(n ? ' ' : text[i]));
	}
}

void kgit_print(const char *text, size_t len)
{
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;

	kgit_plain_add(&out, text, len);
	fwrite(kg_buf_str(&out), 1, out.len, stdout);
}
