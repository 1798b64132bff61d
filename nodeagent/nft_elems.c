/* Lists of set elements: sorting, differences. */
#include "nodeagent/nft_elems.h"
#include "base/mem.h"

#include <string.h>

void kg_nft_elems_release(struct kg_nft_elems *e)
{
	free(e->items);
	*e = (struct kg_nft_elems){0};
}

struct kg_nft_elem *kg_nft_elems_add(struct kg_nft_elems *e, unsigned set)
{
	KG_GROW(e->items, e->cap, e->n + 1);
	struct kg_nft_elem *item = &e->items[e->n++];
	memset(item, 0, sizeof(*item));
	item->set = (uint8_t)set;
	return item;
}

static int compare(const struct kg_nft_elem *a, const struct kg_nft_elem *b)
{
	if (a->set != b->set)
		return a->set - b->set;
	return memcmp(a->key, b->key, sizeof(a->key));
}

static int compare_items(const void *a, const void *b)
{
	return compare(a, b);
}

static int compare_whole(const void *a, const void *b)
{
	const struct kg_nft_elem *x = a, *y = b;
	int order = compare(x, y);

	return order ? order : memcmp(x->data, y->data, sizeof(x->data));
}

void kg_nft_elems_sort(struct kg_nft_elems *e)
{
	size_t n = 0;

	if (e->n)
		qsort(e->items, e->n, sizeof(*e->items), compare_whole);
	for (size_t i = 0; i < e->n; i++) {
		if (n == 0 || compare(&e->items[i], &e->items[n - 1]) != 0)
			e->items[n++] = e->items[i];
	}
	e->n = n;
}

static void copy(struct kg_nft_elems *to, const struct kg_nft_elem *e)
{
	*kg_nft_elems_add(to, e->set) = *e;
}

void kg_nft_elems_diff(struct kg_nft_elems *del, struct kg_nft_elems *add,
	const struct kg_nft_elems *have, const struct kg_nft_elems *want)
{
	size_t h = 0, w = 0;

	while (h < have->n || w < want->n) {
		int order = h == have->n   ? 1
			    : w == want->n ? -1
					   : compare(&have->items[h], &want->items[w]);

		if (order == 0 && memcmp(have->items[h].data, want->items[w].data, 8) != 0) {
			copy(del, &have->items[h]);
			copy(add, &want->items[w]);
		} else if (order < 0) {
			copy(del, &have->items[h]);
		} else if (order > 0) {
			copy(add, &want->items[w]);
		}
		h += order <= 0;
		w += order >= 0;
	}
}

const struct kg_nft_elem *kg_nft_elems_find(
	const struct kg_nft_elems *e, const struct kg_nft_elem *key)
{
	return e->n ? bsearch(key, e->items, e->n, sizeof(*key), compare_items) : NULL;
}

void kg_nft_elems_copy(struct kg_nft_elems *to, const struct kg_nft_elems *from)
{
	if (!from->n)
		return;
	KG_GROW(to->items, to->cap, to->n + from->n);
	memcpy(to->items + to->n, from->items, from->n * sizeof(*from->items));
	to->n += from->n;
}
