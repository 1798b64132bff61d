/* Lists of set elements: sorting, differences, text. */
#include "base/mem.h"
#include "nodeagent/services_plan.h"

#include <arpa/inet.h>
#include <string.h>

const struct kg_nft_set_info kg_nft_sets[KG_SET_COUNT] = {
	[KG_SET_SERVICES] = {"services", 12, 0, true},
	[KG_SET_NODEPORTS] = {"nodeports", 8, 0, true},
	[KG_SET_SLOTS] = {"slots", 16, 8, false},
	[KG_SET_NODESLOTS] = {"nodeslots", 12, 8, false},
	[KG_SET_HAIRPIN] = {"hairpin", 8, 0, false},
};

void kg_nft_elems_release(struct kg_nft_elems *e)
{
	free(e->items);
	*e = (struct kg_nft_elems){0};
}

struct kg_nft_elem *kg_nft_elems_add(struct kg_nft_elems *e, enum kg_nft_set set)
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

void kg_nft_elems_sort(struct kg_nft_elems *e)
{
	size_t n = 0;

	if (e->n)
		qsort(e->items, e->n, sizeof(*e->items), compare_items);
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

static void print_addr(struct kg_buf *out, const uint8_t *p)
{
	kg_buf_addf(out, "%u.%u.%u.%u", p[0], p[1], p[2], p[3]);
}

static unsigned port_at(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static void print_protocol(struct kg_buf *out, uint8_t protocol)
{
	if (protocol == IPPROTO_TCP)
		kg_buf_adds(out, "tcp");
	else if (protocol == IPPROTO_UDP)
		kg_buf_adds(out, "udp");
	else
		kg_buf_addf(out, "%u", protocol);
}

void kg_nft_elem_print(struct kg_buf *out, const struct kg_nft_elem *e)
{
	const uint8_t *key = e->key;
	bool node = e->set == KG_SET_NODEPORTS || e->set == KG_SET_NODESLOTS;
	uint32_t slot;

	kg_buf_addf(out, "%s ", kg_nft_sets[e->set].name);
	if (!node) {
		print_addr(out, key);
		kg_buf_adds(out, " . ");
		key += 4;
	}
	if (e->set == KG_SET_HAIRPIN) {
		print_addr(out, key);
		kg_buf_addc(out, '\n');
		return;
	}
	print_protocol(out, key[0]);
	kg_buf_addf(out, " . %u", port_at(key + 4));
	if (kg_nft_sets[e->set].verdict) {
		kg_buf_addf(out, " : goto %s\n", e->chain);
		return;
	}
	memcpy(&slot, key + 8, sizeof(slot));
	kg_buf_addf(out, " . %u : ", slot);
	print_addr(out, e->data);
	kg_buf_addf(out, " . %u\n", port_at(e->data + 4));
}
