/* Unified hunks of two texts: the longest common lines, found by a table; of large texts first the
 * lines that each has but once (as in Bram Cohen's patience diff), then what lies between them. */
#include "kgit/fields.h"

#include "base/hash.h"
#include "value/yaml.h"

#include <stdint.h>
#include <string.h>

#define AROUND    3
#define MAX_DEPTH 4                 /* how often lines are looked for that are there once */
#define MAX_TABLE ((size_t)1 << 20) /* cells */

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

/* By a table; what is too large for one is replaced as a whole: [a, a_end) by [b, b_end). */
static void compare_small(struct script *s, const struct lines *x, const struct lines *y, size_t a,
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

/* ---- lines that each has once ---- */

struct unique {
	uint64_t hash;
	size_t at;
};

static int cmp_unique(const void *a, const void *b)
{
	const struct unique *x = a, *y = b;

	return (x->hash > y->hash) - (x->hash < y->hash);
}

/* The lines of [from, to) that are there once, by their hashes. */
static struct unique *find_unique(size_t *n, const struct lines *l, size_t from, size_t to)
{
	struct unique *v = kg_alloc((to - from + 1) * sizeof(*v));
	size_t kept = 0;

	for (size_t i = from; i < to; i++)
		v[i - from] = (struct unique){kg_hash64(l->at[i], line_len(l, i)), i};
	qsort(v, to - from, sizeof(*v), cmp_unique);
	for (size_t i = 0, end; i < to - from; i = end) {
		for (end = i + 1; end < to - from && v[end].hash == v[i].hash;)
			end++;
		if (end == i + 1)
			v[kept++] = v[i];
	}
	*n = kept;
	return v;
}

struct pair {
	size_t a, b;
	size_t before; /* the pair before it in the longest chain that ends here, from 1; 0: none */
};

static int cmp_pair(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;

	return (x->a > y->a) - (x->a < y->a);
}

/* Of pairs in the order of a the most that are in the order of b, too: they come first then. */
static size_t longest_chain(struct pair *p, size_t n)
{
	size_t *ends KG_AUTOFREE = kg_alloc((n + 1) * sizeof(*ends)); /* of a chain of so many */
	struct pair *chain KG_AUTOFREE = kg_alloc((n + 1) * sizeof(*chain));
	size_t longest = 0;

	for (size_t i = 0; i < n; i++) {
		size_t low = 0, high = longest;
		while (low < high) {
			size_t mid = (low + high) / 2;
			if (p[ends[mid]].b < p[i].b)
				low = mid + 1;
			else
				high = mid;
		}
		p[i].before = low ? ends[low - 1] + 1 : 0;
		ends[low] = i;
		longest += low == longest;
	}
	for (size_t i = longest, at = longest ? ends[longest - 1] + 1 : 0; i-- > 0;
		at = p[at - 1].before)
		chain[i] = p[at - 1];
	memcpy(p, chain, longest * sizeof(*p));
	return longest;
}

/* Lines that stand for each other, in order; heap. */
static struct pair *find_pairs(size_t *n, const struct lines *x, const struct lines *y, size_t a,
	size_t a_end, size_t b, size_t b_end)
{
	size_t nu, nv, len = 0;
	struct unique *u KG_AUTOFREE = find_unique(&nu, x, a, a_end);
	struct unique *v KG_AUTOFREE = find_unique(&nv, y, b, b_end);
	struct pair *out = kg_alloc((nu + 1) * sizeof(*out));

	for (size_t i = 0, j = 0; i < nu && j < nv;) {
		int order = cmp_unique(&u[i], &v[j]);
		if (order == 0 && same_line(x, u[i].at, y, v[j].at))
			out[len++] = (struct pair){.a = u[i].at, .b = v[j].at};
		i += order <= 0;
		j += order >= 0;
	}
	qsort(out, len, sizeof(*out), cmp_pair);
	*n = longest_chain(out, len);
	return out;
}

/* [a, a_end) of the one and [b, b_end) of the other. */
static void compare(struct script *s, const struct lines *x, const struct lines *y, size_t a,
	size_t a_end, size_t b, size_t b_end, int depth)
{
	size_t n = 0;
	struct pair *pairs KG_AUTOFREE = NULL;

	for (; a < a_end && b < b_end && same_line(x, a, y, b); a++, b++)
		add_edit(s, ' ', a, b);
	if (depth < MAX_DEPTH && b_end - b + 1 > MAX_TABLE / (a_end - a + 1))
		pairs = find_pairs(&n, x, y, a, a_end, b, b_end);
	for (size_t i = 0; i < n; i++) {
		compare(s, x, y, a, pairs[i].a, b, pairs[i].b, depth + 1);
		add_edit(s, ' ', pairs[i].a, pairs[i].b);
		a = pairs[i].a + 1;
		b = pairs[i].b + 1;
	}
	if (n)
		compare(s, x, y, a, a_end, b, b_end, depth + 1);
	else
		compare_small(s, x, y, a, a_end, b, b_end);
}

static void make_script(struct script *s, const struct lines *x, const struct lines *y)
{
	size_t a = 0, a_end = x->n, b_end = y->n;

	for (; a < a_end && a < b_end && same_line(x, a, y, a); a++)
		add_edit(s, ' ', a, a);
	while (a_end > a && b_end > a && same_line(x, a_end - 1, y, b_end - 1))
		a_end--, b_end--;
	compare(s, x, y, a, a_end, a, b_end, 0);
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
