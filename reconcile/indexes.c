#include "reconcile/indexes.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void kg_indexes_release(struct kg_indexes *x)
{
	free(x->v);
	*x = (struct kg_indexes){0};
}

static void append(struct kg_indexes *x, int64_t first, int64_t last)
{
	if (x->n && x->v[x->n - 1].last + 1 >= first) {
		if (last > x->v[x->n - 1].last)
			x->v[x->n - 1].last = last;
		return;
	}
	KG_GROW(x->v, x->cap, x->n + 1);
	x->v[x->n++] = (struct kg_span){first, last};
}

void kg_indexes_parse(struct kg_indexes *x, const char *text, int64_t limit)
{
	const char *p = text;
	while (*p >= '0' && *p <= '9') {
		char *end;
		int64_t first = strtoll(p, &end, 10), last = first;
		if (*end == '-')
			last = strtoll(end + 1, &end, 10);
		if (last >= limit)
			last = limit - 1;
		if (first <= last)
			append(x, first, last);
		p = *end == ',' ? end + 1 : "";
	}
}

void kg_indexes_write(struct kg_buf *out, const struct kg_indexes *x)
{
	for (size_t i = 0; i < x->n; i++) {
		kg_buf_addf(out, "%s%" PRId64, i ? "," : "", x->v[i].first);
		if (x->v[i].last > x->v[i].first) /* two in a row are a list, as in Kubernetes */
			kg_buf_addf(out, "%c%" PRId64,
				x->v[i].last == x->v[i].first + 1 ? ',' : '-', x->v[i].last);
	}
}

/* The first span that ends at or after i. */
static size_t find(const struct kg_indexes *x, int64_t i)
{
	size_t lo = 0, hi = x->n;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (x->v[mid].last < i)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool kg_indexes_has(const struct kg_indexes *x, int64_t i)
{
	size_t k = find(x, i);
	return k < x->n && x->v[k].first <= i;
}

bool kg_indexes_add(struct kg_indexes *x, int64_t i)
{
	size_t k = find(x, i);
	if (k < x->n && x->v[k].first <= i)
		return false;
	bool before = k > 0 && x->v[k - 1].last + 1 == i;
	bool after = k < x->n && x->v[k].first == i + 1;
	if (before && after) {
		x->v[k - 1].last = x->v[k].last;
		memmove(&x->v[k], &x->v[k + 1], (x->n - k - 1) * sizeof(*x->v));
		x->n--;
	} else if (before) {
		x->v[k - 1].last = i;
	} else if (after) {
		x->v[k].first = i;
	} else {
		KG_GROW(x->v, x->cap, x->n + 1);
		memmove(&x->v[k + 1], &x->v[k], (x->n - k) * sizeof(*x->v));
		x->v[k] = (struct kg_span){i, i};
		x->n++;
	}
	return true;
}

int64_t kg_indexes_gap(const struct kg_indexes *x, int64_t i)
{
	size_t k = find(x, i); /* spans do not touch: after one there is a gap */
	return k < x->n && x->v[k].first <= i ? x->v[k].last + 1 : i;
}

int64_t kg_indexes_count(const struct kg_indexes *x)
{
	int64_t n = 0;
	for (size_t i = 0; i < x->n; i++)
		n += x->v[i].last - x->v[i].first + 1;
	return n;
}

int64_t kg_indexes_common(const struct kg_indexes *x, const struct kg_indexes *y)
{
	int64_t n = 0;
	for (size_t i = 0, k = 0; i < x->n && k < y->n;) {
		int64_t first = x->v[i].first > y->v[k].first ? x->v[i].first : y->v[k].first;
		int64_t last = x->v[i].last < y->v[k].last ? x->v[i].last : y->v[k].last;
		if (first <= last)
			n += last - first + 1;
		if (x->v[i].last < y->v[k].last)
			i++;
		else
			k++;
	}
	return n;
}
