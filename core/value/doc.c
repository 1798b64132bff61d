/*
 * Docs. The block of one doc: the header, the docs it holds references to, arrays of members and
 * items, text. Its size is found by one walk, which a second walk that copies repeats exactly:
 * both take the same decisions in the same order (enum step, struct seen).
 */
#include "base/slab.h"
#include "value/doc_private.h"
#include "value/internal.h"

#include <assert.h>

/*
 * The docs whose memory may be pointed to, by address: those that were named, and those that they
 * hold to any depth. Of the latter only so many are looked at, since what lies beyond them may as
 * well be copied; that also keeps docs made one from another from being a chain without end.
 */
enum { FEW_LENDERS = 16, HELD_LENDERS = 64 };
/* Those in which a text is looked for that does not lie there, such as the template's image that a
 * node names: the first of them, if they are small. */
enum { TEXT_LENDERS = 3, TEXT_LENDER_SIZE = 16384, SHORTEST_LENT = 24 };
/* A shorter one is looked for in small parts that the doc has in common with others: an address is
 * there in its list, too, and the time of a start in a condition. */
enum { PART_LENDERS = 12, PART_LENDER_SIZE = 256, SHORTEST_OF_PART = 8 };
/* So many of a doc's texts are sought there, the first ones: a pod says fewer that long and anew.
 * Of 1 MiB of texts of 30 bytes, none of them there, all searches would be 155 ms of CPU time,
 * where the doc is otherwise made in 2 ms. */
enum { MOST_SOUGHT = 64 };

struct lenders {
	struct lender {
		struct kg_doc *doc;
		bool used;
	} few[FEW_LENDERS + HELD_LENDERS], *all;
	size_t n, last; /* last: where a search succeeded last */
	const struct kg_doc *texts[TEXT_LENDERS], *parts[PART_LENDERS];
	size_t ntexts, nparts, sought;
	const struct kg_doc *old;
};

static int by_address(const void *pa, const void *pb)
{
	const struct lender *a = pa, *b = pb;

	return (a->doc > b->doc) - (a->doc < b->doc);
}

/* Few, or what a doc held in this order. */
static void sort_by_address(struct lender *v, size_t n)
{
	if (n > FEW_LENDERS) {
		qsort(v, n, sizeof(*v), by_address);
		return;
	}
	for (size_t i = 1; i < n; i++) {
		struct lender x = v[i];
		size_t k = i;

		for (; k > 0 && v[k - 1].doc > x.doc; k--)
			v[k] = v[k - 1];
		v[k] = x;
	}
}

/* Adds what the docs hold, and what those hold: the list grows while it is walked. */
static void lenders_add_held(struct lenders *l)
{
	size_t first = l->n;

	for (size_t i = 0; i < l->n; i++) {
		const struct kg_doc *doc = l->all[i].doc;

		for (size_t k = 0; k < doc->nheld; k++) {
			size_t at = first;

			while (at < l->n && l->all[at].doc != doc->held[k])
				at++;
			if (at == first + HELD_LENDERS)
				return;
			if (at == l->n)
				l->all[l->n++] = (struct lender){.doc = doc->held[k]};
		}
	}
}

/* taken: held for certain. */
static void choose_texts(struct lenders *l, struct kg_doc *const *taken, size_t ntaken)
{
	l->ntexts = l->nparts = l->sought = 0;
	for (size_t i = 0; i < l->n; i++) {
		const struct kg_doc *doc = l->all[i].doc;

		if (!doc->common && doc->size <= TEXT_LENDER_SIZE && l->ntexts < TEXT_LENDERS)
			l->texts[l->ntexts++] = doc;
	}
	for (size_t i = 0; i < ntaken && l->nparts < PART_LENDERS; i++)
		if (taken[i]->size <= PART_LENDER_SIZE)
			l->parts[l->nparts++] = taken[i];
}

static void lenders_init(struct lenders *l, struct kg_doc *const *share, size_t nshare,
	struct kg_doc *const *taken, size_t ntaken)
{
	size_t kept = 0;

	l->all = l->few;
	l->n = l->last = 0;
	if (nshare > FEW_LENDERS)
		l->all = kg_alloc((nshare + HELD_LENDERS) * sizeof(*l->all));
	for (size_t i = 0; i < nshare; i++) {
		if (share[i])
			l->all[l->n++] = (struct lender){.doc = share[i]};
	}
	lenders_add_held(l);
	choose_texts(l, taken, ntaken);
	sort_by_address(l->all, l->n);
	for (size_t i = 0; i < l->n; i++) {
		if (!kept || l->all[kept - 1].doc != l->all[i].doc)
			l->all[kept++] = l->all[i];
	}
	l->n = kept;
}

static void lenders_release(struct lenders *l)
{
	if (l->all != l->few)
		free(l->all);
}

static bool lies_in(const struct kg_doc *doc, const void *p)
{
	return (uintptr_t)p - (uintptr_t)doc < doc->size;
}

/* Whether p lies in a lender's block; that lender is then used. */
static bool lent(struct lenders *l, const void *p)
{
	size_t low = 0, high = l->n;

	if (!l->n || (l->old && lies_in(l->old, p)))
		return false;
	if (!lies_in(l->all[l->last].doc, p)) {
		while (high - low > 1) {
			size_t mid = low + (high - low) / 2;

			if ((uintptr_t)l->all[mid].doc <= (uintptr_t)p)
				low = mid;
			else
				high = mid;
		}
		if (!lies_in(l->all[low].doc, p))
			return false;
		l->last = low;
	}
	l->all[l->last].used = true;
	return true;
}

/* A copy of the text in a lender; NULL: none is found, or enough was sought. What is the same bytes
 * is as good. */
static const char *lent_copy(struct lenders *l, const char *s, size_t n)
{
	bool is_short = n < SHORTEST_LENT;
	const struct kg_doc *const *docs = is_short ? l->parts : l->texts;
	size_t ndocs = is_short ? l->nparts : l->ntexts;

	if (!ndocs || n < SHORTEST_OF_PART || l->sought == MOST_SOUGHT)
		return NULL;
	l->sought++;
	for (size_t i = 0; i < ndocs; i++) {
		const struct kg_doc *doc = docs[i];
		const char *from = (const char *)&doc->held[doc->nheld];
		size_t len = doc->size - (size_t)(from - (const char *)doc);
		const char *copy = memmem(from, len, s, n + 1);

		if (copy && (is_short || lent(l, copy)))
			return copy;
	}
	return NULL;
}

/* Texts met in this walk: a doc has no text twice. A full or occupied place only costs a second
 * copy. */
struct seen {
	const char *text, *copy;
	size_t n;
};
enum { SEEN_SIZE = 64, LONGEST_SEEN = 64 }; /* a bit of w->filled each */

/* What the first walk found of its texts, in their order: the lent or registered one; NULL: to be
 * copied. Those beyond are looked up a second time. */
enum { RECORDED = 1024 };

struct walk {
	struct lenders *lenders;
	struct seen seen[SEEN_SIZE];
	uint64_t filled;         /* which of them are */
	size_t nodes, text;      /* bytes */
	char *node_at, *text_at; /* where the next goes; NULL while sizes are taken */
	const char **record;
	size_t texts;
};

static void walk_begin(struct walk *w, struct lenders *lenders, const char **record)
{
	w->lenders = lenders;
	w->record = record;
	w->filled = 0;
	w->nodes = w->text = w->texts = 0;
	w->node_at = w->text_at = NULL;
}

/* n > 0. Times differ in their last digits. */
static size_t seen_slot(const char *s, size_t n)
{
	const unsigned char *u = (const unsigned char *)s;

	return (n * 7 + u[0] * 3u + u[n / 2] * 5u + u[n - 1] + u[n - 1 - (n > 1)] * 31u) %
	       SEEN_SIZE;
}

static const char *walk_copy(struct walk *w, const char *s, size_t n)
{
	w->text += n + 1;
	if (!w->text_at)
		return s;
	char *copy = w->text_at;
	memcpy(copy, s, n);
	copy[n] = '\0';
	w->text_at += n + 1;
	return copy;
}

/* Where the text lies already; NULL: nowhere. seek: it may be sought in what lenders say. */
static const char *look_up_text(struct walk *w, const char *s, size_t n, bool seek)
{
	const struct kg_doc *old = w->lenders->old;

	if (old && lies_in(old, s)) /* it was looked up when that was made */
		return NULL;
	if (lent(w->lenders, s))
		return s;
	if (n > LONGEST_SEEN)
		return NULL;
	const char *key = kg_key_find(s, n);
	return key || !seek ? key : lent_copy(w->lenders, s, n);
}

static const char *known_text(struct walk *w, const char *s, size_t n)
{
	size_t number = w->texts++;

	if (number >= RECORDED)
		return look_up_text(w, s, n, false); /* twice, and alike */
	if (!w->text_at)
		w->record[number] = look_up_text(w, s, n, true);
	return w->record[number];
}

static const char *walk_text(struct walk *w, const char *s, size_t n)
{
	if (!n)
		return "";
	if (kg_key_is(s))
		return s;
	const char *known = known_text(w, s, n);
	if (known)
		return known;
	if (n > LONGEST_SEEN)
		return walk_copy(w, s, n);
	size_t at = seen_slot(s, n);
	struct seen *slot = &w->seen[at];
	if (w->filled >> at & 1 && slot->n == n && (slot->text == s || !memcmp(slot->text, s, n)))
		return slot->copy;
	w->filled |= UINT64_C(1) << at;
	*slot = (struct seen){.text = s, .copy = walk_copy(w, s, n), .n = n};
	return slot->copy;
}

static void *walk_nodes(struct walk *w, size_t bytes)
{
	char *at = w->node_at;

	w->nodes += bytes;
	if (at)
		w->node_at += bytes;
	return at;
}

static struct kg_value walk(struct walk *w, const struct kg_value *v)
{
	struct kg_value copy = *v;

	if (v->type < KG_STRING)
		return copy;
	if (v->type & KG_TAKEN) {
		copy.type &= (uint8_t)~KG_TAKEN;
		return copy;
	}
	if (!v->len) {
		copy.s = v->type == KG_STRING ? "" : NULL;
		return copy;
	}
	if (v->type != KG_STRING && lent(w->lenders, v->items))
		return copy;
	if (v->type == KG_STRING) {
		copy.s = walk_text(w, v->s, v->len);
	} else if (v->type == KG_ARRAY) {
		struct kg_value *items = walk_nodes(w, v->len * sizeof(*items));

		for (uint32_t i = 0; i < v->len; i++) {
			struct kg_value item = walk(w, &v->items[i]);

			if (items)
				items[i] = item;
		}
		copy.items = items;
	} else {
		struct kg_member *members = walk_nodes(w, v->len * sizeof(*members));

		for (uint32_t i = 0; i < v->len; i++) {
			const char *name = v->members[i].key;
			const char *key = kg_key_is(name) ? name : walk_text(w, name, strlen(name));
			struct kg_value value = walk(w, &v->members[i].value);

			if (members)
				members[i] = (struct kg_member){.key = key, .value = value};
		}
		copy.members = members;
	}
	return copy;
}

/* The docs taken and the lenders used, in the order of addresses; how many these are. held NULL:
 * they are counted. */
static size_t hold(
	struct kg_doc **held, const struct lenders *l, struct kg_doc *const *taken, size_t ntaken)
{
	size_t n = 0, t = 0;

	for (size_t i = 0; i < l->n; i++) {
		struct kg_doc *doc = l->all[i].doc;

		if (!l->all[i].used)
			continue;
		for (; t < ntaken && taken[t] < doc; t++, n++)
			if (held)
				held[n] = taken[t];
		if (t < ntaken && taken[t] == doc)
			continue;
		if (held)
			held[n] = kg_doc_ref(doc);
		n++;
	}
	if (held && t < ntaken)
		memcpy(held + n, taken + t, (ntaken - t) * sizeof(struct kg_doc *));
	return n + ntaken - t;
}

struct kg_doc *kg_doc_new(const struct kg_value *v, struct kg_doc *const *share, size_t nshare)
{
	return kg_doc_new_from(v, share, nshare, NULL, 0, NULL);
}

struct kg_doc *kg_doc_new_from(const struct kg_value *v, struct kg_doc *const *share, size_t nshare,
	struct kg_doc *const *taken, size_t ntaken, const struct kg_doc *old)
{
	struct lenders lenders;
	const char *record[RECORDED];
	struct walk w;

	lenders.old = old;
	lenders_init(&lenders, share, nshare, taken, ntaken);
	walk_begin(&w, &lenders, record);
	(void)walk(&w, v);

	size_t nodes = w.nodes, text = w.text, nheld = hold(NULL, &lenders, taken, ntaken);
	size_t head = sizeof(struct kg_doc) + nheld * sizeof(struct kg_doc *);
	size_t size = head + nodes + text;
	struct kg_doc *doc = kg_slab_alloc(KG_SLAB_VALUES, size);
	assert(size <= UINT32_MAX);
	*doc = (struct kg_doc){.size = (uint32_t)size};
	atomic_init(&doc->refs, 1);
	doc->nheld = hold(doc->held, &lenders, taken, ntaken) & INT32_MAX;

	walk_begin(&w, &lenders, record);
	w.node_at = (char *)doc + head;
	w.text_at = (char *)doc + head + nodes;
	doc->value = walk(&w, v);
	assert(w.nodes == nodes && w.text == text);
	lenders_release(&lenders);
	return doc;
}

struct kg_doc *kg_doc_ref(struct kg_doc *doc)
{
	atomic_fetch_add_explicit(&doc->refs, 1, memory_order_relaxed);
	return doc;
}

/* Drops a reference; the last one puts the doc in front of the list of the dead. */
static struct kg_doc *drop(struct kg_doc *doc, struct kg_doc *dead)
{
	if (atomic_fetch_sub_explicit(&doc->refs, 1, memory_order_acq_rel) > 1)
		return dead;
	doc->dead = dead;
	return doc;
}

void kg_doc_unref(struct kg_doc *doc)
{
	/* No recursion: a chain of docs that hold one another may be long. */
	struct kg_doc *dead = doc ? drop(doc, NULL) : NULL;

	while (dead) {
		struct kg_doc *d = dead;

		dead = d->dead;
		for (size_t i = 0; i < d->nheld; i++)
			dead = drop(d->held[i], dead);
		if (d->common)
			kg_common_forget(d);
		kg_slab_free(d, d->size);
	}
}

const struct kg_value *kg_doc_value(const struct kg_doc *doc)
{
	return &doc->value;
}

size_t kg_doc_size(const struct kg_doc *doc)
{
	return doc->size;
}
