#include "kgitd/push_answer.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* As git and zlib word it ("Out of memory, malloc failed", "inflateInit: out of memory"), in a line
 * that git dies with: what kgitd says of a manifest may quote the words. Their first letter comes
 * once, so that a match that fails begins anew. */
static const char dying[] = "fatal: ", words[] = "ut of memory";

static void look_at_line(struct kgd_push_answer *a, char c)
{
	if (c == '\n' || c == '\r') {
		a->dies = a->matched = 0;
		a->other = false;
	} else if (a->other) {
		return;
	} else if (dying[a->dies]) {
		a->other = c != dying[a->dies++];
	} else {
		a->matched = c == words[a->matched] ? a->matched + 1 : c == words[0];
		a->out = !words[a->matched];
	}
}

static void look(struct kgd_push_answer *a, char c)
{
	if (!a->begun) {
		a->begun = true;
		a->band = c;
		return;
	}
	a->last = c;
	if (a->band == 2 && !a->out)
		look_at_line(a, c);
}

static void begin_packet(struct kgd_push_answer *a)
{
	size_t len = strtoul(a->length, NULL, 16);

	a->digits = 0;
	a->left = len > 4 ? len - 4 : 0;
	a->flushed = len == 0;
	a->begun = false;
}

/* Between two packets, after the line that said it. */
static bool is_time(const struct kgd_push_answer *a)
{
	return a->out && !a->told && !a->left && a->last == '\n';
}

size_t kgd_push_answer_follow(struct kgd_push_answer *a, const char *p, size_t n, bool *due)
{
	*due = false;
	for (size_t i = 0; i < n;) {
		if (a->left) {
			look(a, p[i++]);
			a->left--;
			if (is_time(a)) {
				*due = a->told = true;
				return i;
			}
			continue;
		}
		a->flushed = false;
		a->length[a->digits++] = p[i++];
		if (a->digits == 4)
			begin_packet(a);
	}
	return n;
}

void kgd_push_answer_advice(struct kg_buf *out, size_t push_memory)
{
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;

	kg_buf_addf(&text,
		"\2git may have %zu bytes of memory to take a push in (kgitd --max-push-memory): "
		"push smaller files, or fewer commits at once\n",
		push_memory);
	kg_buf_addf(out, "%04zx", text.len + 4);
	kg_buf_add(out, text.data, text.len);
}
