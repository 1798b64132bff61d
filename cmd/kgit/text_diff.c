/* Unified hunks of two texts: the longest common lines, found by a table. */
#include "kgit/fields.h"
#include "value/yaml.h"

#include <stdint.h>
#include <string.h>

#define AROUND    3
#define MAX_TABLE ((size_t)16 << 20) /* cells: what is larger is replaced as a whole */

struct lines {
	const char **at; /* heap; at[n] is the end */
	size_t n;
};

static void split(struct lines *l, const char *text)
{
	size_t cap = 0;

	while (*text) {
		const char *end = strchr(text, '\n');

		KG_GROW(l->at, cap, l->n + 2);
		l->at[l->n++] = text;
		text = end ? end + 1 : text + strlen(text);
	}
	KG_GROW(l->at, cap, l->n + 1);
	l->at[l->n] = text;
}

static size_t line_len(const struct lines *l, size_t i)
{
	return (size_t)(l->at[i + 1] - l->at[i]);
}

static bool same_line(const struct lines *a, size_t i, const struct lines *b, size_t j)
{
	size_t n = line_len(a, i);

	return n == line_len(b, j) && memcmp(a->at[i], b->at[j], n) == 0;
}

/* One line of the result: ' ' is at both. */
struct edit {
	char what;
	size_t a, b; /* lines before it */
};
struct script {
	struct edit *edits; /* heap */
	size_t n, cap;
};

static void add_edit(struct script *s, char what, size_t a, size_t b)
{
	KG_GROW(s->edits, s->cap, s->n + 1);
	s->edits[s->n++] = (struct edit){.what = what, .a = a, .b = b};
}

/* The middle, where neither the first nor the last lines are equal: [a, a_end) and [b, b_end). */
static void compare(struct script *s, const struct lines *x, const struct lines *y, size_t a,
	size_t a_end, size_t b, size_t b_end)
{
	size_t width = b_end - b + 1, height = a_end - a + 1;
	uint32_t *common KG_AUTOFREE =
		width <= MAX_TABLE / height ? kg_alloc(width * height * sizeof(*common)) : NULL;

	/* common[i][j]: of the lines from i and from j on. */
	for (size_t i = a_end - a; common && i-- > 0;)
		for (size_t j = b_end - b; j-- > 0;) {
			uint32_t down = common[(i + 1) * width + j];
			uint32_t right = common[i * width + j + 1];

			common[i * width + j] = same_line(x, a + i, y, b + j)
							? common[(i + 1) * width + j + 1] + 1
						: down > right ? down
							       : right;
		}
	for (size_t i = 0, j = 0; i < a_end - a || j < b_end - b;) {
		bool left = i < a_end - a, right = j < b_end - b;

		if (common && left && right && same_line(x, a + i, y, b + j)) {
			add_edit(s, ' ', a + i, b + j);
			i++, j++;
		} else if (left &&
			   (!right || !common ||
				   common[(i + 1) * width + j] >= common[i * width + j + 1])) {
			add_edit(s, '-', a + i, b + j);
			i++;
		} else {
			add_edit(s, '+', a + i, b + j);
			j++;
		}
	}
}

static void make_script(struct script *s, const struct lines *x, const struct lines *y)
{
	size_t a = 0, a_end = x->n, b_end = y->n;

	for (; a < a_end && a < b_end && same_line(x, a, y, a); a++)
		add_edit(s, ' ', a, a);
	while (a_end > a && b_end > a && same_line(x, a_end - 1, y, b_end - 1))
		a_end--, b_end--;
	compare(s, x, y, a, a_end, a, b_end);
	for (; a_end < x->n; a_end++, b_end++)
		add_edit(s, ' ', a_end, b_end);
}

/* Where the hunk that begins with a change at edit i ends: the last change that is near enough. */
static size_t hunk_end(const struct script *s, size_t i)
{
	size_t last = i;

	for (; i < s->n && i - last <= 2 * AROUND; i++)
		if (s->edits[i].what != ' ')
			last = i;
	return last + 1;
}

static void write_hunk(struct kg_buf *out, const struct script *s, size_t from, size_t to,
	const struct lines *x, const struct lines *y)
{
	size_t a = 0, b = 0;

	for (size_t i = from; i < to; i++) {
		a += s->edits[i].what != '+';
		b += s->edits[i].what != '-';
	}
	kg_buf_addf(out, "@@ -%zu,%zu +%zu,%zu @@\n", s->edits[from].a + (a > 0), a,
		s->edits[from].b + (b > 0), b);
	for (size_t i = from; i < to; i++) {
		const struct edit *e = &s->edits[i];
		const struct lines *l = e->what == '+' ? y : x;
		size_t at = e->what == '+' ? e->b : e->a, n = line_len(l, at);

		kg_buf_addc(out, e->what);
		kg_buf_add(out, l->at[at], n);
		if (!n || l->at[at][n - 1] != '\n')
			kg_buf_addc(out, '\n');
	}
}

void kgit_text_diff(struct kg_buf *out, const char *before, const char *after)
{
	struct lines x = {0}, y = {0};
	struct script s = {0};

	split(&x, before);
	split(&y, after);
	make_script(&s, &x, &y);
	for (size_t i = 0; i < s.n; i++) {
		if (s.edits[i].what == ' ')
			continue;
		size_t end = hunk_end(&s, i);
		size_t to = end + AROUND < s.n ? end + AROUND : s.n;

		write_hunk(out, &s, i > AROUND ? i - AROUND : 0, to, &x, &y);
		i = end - 1;
	}
	free(x.at);
	free(y.at);
	free(s.edits);
}

void kgit_value_diff(
	struct kg_buf *out, const struct kg_value *before, const struct kg_value *after)
{
	struct kg_buf a KG_AUTOBUF = KG_BUF_INIT, b KG_AUTOBUF = KG_BUF_INIT;

	if (!kg_is_null(before))
		kg_yaml_write(&a, before);
	if (!kg_is_null(after))
		kg_yaml_write(&b, after);
	kgit_text_diff(out, kg_buf_str(&a), kg_buf_str(&b));
}
