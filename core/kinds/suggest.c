/* The nearest known name to a misspelt one: optimal string alignment distance, case folded. */
#include "kinds/rules.h"

#include <ctype.h>

enum { MAX_WORD = 63 };

static unsigned char fold(char c)
{
	return (unsigned char)tolower((unsigned char)c);
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

static unsigned distance(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);
	unsigned row[3][MAX_WORD + 2];

	if (n > MAX_WORD || m > MAX_WORD)
		return UINT32_MAX;
	for (size_t j = 0; j <= m; j++)
		row[0][j] = (unsigned)j;
	for (size_t i = 1; i <= n; i++) {
		unsigned *cur = row[i % 3], *prev = row[(i + 2) % 3], *prev2 = row[(i + 1) % 3];
		cur[0] = (unsigned)i;
		for (size_t j = 1; j <= m; j++) {
			unsigned cost = fold(a[i - 1]) != fold(b[j - 1]);
			cur[j] = min3(cur[j - 1] + 1, prev[j] + 1, prev[j - 1] + cost);
			if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) &&
				fold(a[i - 2]) == fold(b[j - 1]) && prev2[j - 2] + 1 < cur[j])
				cur[j] = prev2[j - 2] + 1;
		}
	}
	return row[n % 3][m];
}

void kg_suggest_init(struct kg_suggest *s, const char *word)
{
	size_t n = strlen(word);

	/* A third of the word may be wrong, and never more than three letters. */
	*s = (struct kg_suggest){.word = word,
		.distance = n < 3   ? 1
			    : n < 9 ? (unsigned)(n / 3) + 1
				    : 4};
}

void kg_suggest_offer(struct kg_suggest *s, const char *candidate)
{
	unsigned d = distance(s->word, candidate);

	if (d < s->distance) {
		s->distance = d;
		s->best = candidate;
	}
}

const char *kg_suggest_text(struct kg_arena *a, const struct kg_suggest *s)
{
	return s->best ? kg_arena_printf(a, ", did you mean \"%s\"?", s->best) : "";
}
