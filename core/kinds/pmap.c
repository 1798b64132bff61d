#include "kinds/pmap.h"

#include "base/mem.h"
#include "base/slab.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

enum { MAX = 32, MIN = MAX / 4 };

/* Values in a leaf, at height 0; above, of each child its least value (borrowed: the child holds
 * it), and then the children. A node is as large as it must be. */
struct kg_pnode {
	_Atomic unsigned refs;
	uint16_t n, height;
	void *slots[];
};

/* A node taken apart, to be changed and put together again. */
struct parts {
	unsigned n, height;
	void *values[2 * MAX];
	struct kg_pnode *children[2 * MAX];
};

static size_t size_of(unsigned n, unsigned height)
{
	return sizeof(struct kg_pnode) + (height ? 2 : 1) * n * sizeof(void *);
}

static void node_free(struct kg_pnode *n)
{
	kg_slab_free(n, size_of(n->n, n->height));
}

static struct kg_pnode *child_of(const struct kg_pnode *n, unsigned i)
{
	return n->slots[n->n + i];
}

static void *least(const struct kg_pnode *n)
{
	return n->slots[0];
}

static struct kg_pnode *node_ref(struct kg_pnode *n)
{
	if (n)
		atomic_fetch_add_explicit(&n->refs, 1, memory_order_relaxed);
	return n;
}

static void value_ref(const struct kg_pmap *m, void *value)
{
	if (m->ops->ref)
		m->ops->ref(value);
}

static void value_unref(const struct kg_pmap_ops *ops, void *value)
{
	if (ops->unref)
		ops->unref(value);
}

static void node_unref(const struct kg_pmap_ops *ops, struct kg_pnode *n)
{
	if (!n || atomic_fetch_sub_explicit(&n->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (unsigned i = 0; i < n->n; i++) {
		if (n->height)
			node_unref(ops, child_of(n, i));
		else
			value_unref(ops, n->slots[i]);
	}
	node_free(n);
}

/* ---- order ---- */

static const char *key_of(const struct kg_pmap_ops *ops, const void *value)
{
	return ops->key ? ops->key(value)
			: *(const char *const *)((const char *)value + ops->key_at);
}

static int cmp(const struct kg_pmap_ops *ops, const void *value, const void *key)
{
	return ops->cmp ? ops->cmp(value, key) : strcmp(key_of(ops, value), key);
}

/* The first of n whose key is not below; *found: it is that key. */
static unsigned search(const struct kg_pmap_ops *ops, void *const *values, unsigned n,
	const void *key, bool *found)
{
	unsigned low = 0, high = n;

	*found = false;
	while (low < high) {
		unsigned mid = (low + high) / 2;
		int c = cmp(ops, values[mid], key);

		if (c == 0) {
			*found = true;
			return mid;
		}
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* The child in which the key is, or would be. */
static unsigned search_child(
	const struct kg_pmap_ops *ops, void *const *values, unsigned n, const void *key)
{
	bool found;
	unsigned i = search(ops, values, n, key, &found);

	return found || i == 0 ? i : i - 1;
}

/* ---- apart and together ---- */

/* No other version has the node: it may be changed where it is. */
static bool is_mine(struct kg_pnode *n)
{
	return atomic_load_explicit(&n->refs, memory_order_acquire) == 1;
}

/* Takes over the reference to n; the parts have references of their own. */
static void unpack(const struct kg_pmap *m, struct parts *p, struct kg_pnode *n)
{
	bool mine = is_mine(n);

	p->n = n->n;
	p->height = n->height;
	memcpy(p->values, n->slots, n->n * sizeof(void *));
	if (n->height)
		memcpy(p->children, n->slots + n->n, n->n * sizeof(void *));
	if (mine) {
		node_free(n);
		return;
	}
	for (unsigned i = 0; i < p->n; i++) {
		if (p->height)
			node_ref(p->children[i]);
		else
			value_ref(m, p->values[i]);
	}
	node_unref(m->ops, n);
}

/* Takes over the reference to n, and gives one to a node of the same, which nobody else has. */
static struct kg_pnode *make_mine(const struct kg_pmap *m, struct kg_pnode *n)
{
	if (is_mine(n))
		return n;
	size_t size = size_of(n->n, n->height);
	struct kg_pnode *copy = kg_slab_alloc(KG_SLAB_MAPS, size);

	atomic_init(&copy->refs, 1);
	copy->n = n->n;
	copy->height = n->height;
	memcpy(copy->slots, n->slots, size - sizeof(*n));
	for (unsigned i = 0; i < n->n; i++) {
		if (n->height)
			node_ref(child_of(n, i));
		else
			value_ref(m, n->slots[i]);
	}
	node_unref(m->ops, n);
	return copy;
}

static struct kg_pnode *pack(const struct parts *p, unsigned from, unsigned to)
{
	unsigned n = to - from;
	struct kg_pnode *node = kg_slab_alloc(KG_SLAB_MAPS, size_of(n, p->height));

	atomic_init(&node->refs, 1);
	node->n = (uint16_t)n;
	node->height = (uint16_t)p->height;
	memcpy(node->slots, p->values + from, n * sizeof(void *));
	if (p->height)
		memcpy(node->slots + n, p->children + from, n * sizeof(void *));
	return node;
}

static void insert(struct parts *p, unsigned at, void *value, struct kg_pnode *child)
{
	memmove(p->values + at + 1, p->values + at, (p->n - at) * sizeof(void *));
	p->values[at] = value;
	if (p->height) {
		memmove(p->children + at + 1, p->children + at, (p->n - at) * sizeof(void *));
		p->children[at] = child;
	}
	p->n++;
}

static void take_out(struct parts *p, unsigned at)
{
	p->n--;
	memmove(p->values + at, p->values + at + 1, (p->n - at) * sizeof(void *));
	if (p->height)
		memmove(p->children + at, p->children + at + 1, (p->n - at) * sizeof(void *));
}

/* ---- put ---- */

static struct kg_pnode *put(struct kg_pmap *m, struct kg_pnode *n, const void *key, void *value,
	struct kg_pnode **right);

/* The parts put together as one node, or as two. */
static struct kg_pnode *pack_or_split(const struct parts *p, struct kg_pnode **right)
{
	unsigned half = p->n > MAX ? p->n / 2 : p->n;

	*right = half < p->n ? pack(p, half, p->n) : NULL;
	return pack(p, 0, half);
}

static struct kg_pnode *put_below(struct kg_pmap *m, struct kg_pnode *n, const void *key,
	void *value, struct kg_pnode **right)
{
	struct kg_pnode *more = NULL;
	struct parts p;

	n = make_mine(m, n);
	unsigned i = search_child(m->ops, n->slots, n->n, key);
	struct kg_pnode *child = put(m, child_of(n, i), key, value, &more);
	n->slots[n->n + i] = child;
	n->slots[i] = least(child);
	if (!more)
		return n;
	unpack(m, &p, n);
	insert(&p, i + 1, least(more), more);
	return pack_or_split(&p, right);
}

static struct kg_pnode *insert_mine(struct kg_pnode *n, unsigned at, void *value)
{
	n = kg_slab_resize(KG_SLAB_MAPS, n, size_of(n->n, 0), size_of(n->n + 1u, 0));
	memmove(n->slots + at + 1, n->slots + at, (n->n - at) * sizeof(void *));
	n->slots[at] = value;
	n->n++;
	return n;
}

static struct kg_pnode *put_in_leaf(struct kg_pmap *m, struct kg_pnode *n, const void *key,
	void *value, struct kg_pnode **right)
{
	bool found;
	unsigned i = search(m->ops, n->slots, n->n, key, &found);
	struct parts p;

	m->count += !found;
	if (found) {
		n = make_mine(m, n);
		value_unref(m->ops, n->slots[i]);
		n->slots[i] = value;
		return n;
	}
	if (is_mine(n) && n->n < MAX)
		return insert_mine(n, i, value);
	unpack(m, &p, n);
	insert(&p, i, value, NULL);
	return pack_or_split(&p, right);
}

/* Takes over the reference to n and returns one to what stands in its place; *right is what
 * follows that, where it had to be split (else untouched). */
static struct kg_pnode *put(struct kg_pmap *m, struct kg_pnode *n, const void *key, void *value,
	struct kg_pnode **right)
{
	return n->height ? put_below(m, n, key, value, right)
			 : put_in_leaf(m, n, key, value, right);
}

/* A root above two nodes. */
static struct kg_pnode *above(struct kg_pnode *left, struct kg_pnode *right)
{
	struct parts p = {.n = 2, .height = left->height + 1u};

	p.values[0] = least(left);
	p.values[1] = least(right);
	p.children[0] = left;
	p.children[1] = right;
	return pack(&p, 0, 2);
}

void kg_pmap_put(struct kg_pmap *m, const void *key, void *value)
{
	struct kg_pnode *right = NULL;

	value_ref(m, value);
	if (!m->root) {
		struct parts p = {.n = 1};

		p.values[0] = value;
		m->root = pack(&p, 0, 1);
		m->count = 1;
		return;
	}
	m->root = put(m, m->root, key, value, &right);
	if (right)
		m->root = above(m->root, right);
}

/* ---- remove ---- */

/* Child i has become small: it and a neighbour become one where they fit. */
static void join(const struct kg_pmap *m, struct parts *p, unsigned i)
{
	unsigned left = i + 1 < p->n ? i : i - 1;
	struct parts both, more;

	if (p->n < 2 || p->children[left]->n + p->children[left + 1]->n > MAX)
		return;
	unpack(m, &both, p->children[left]);
	unpack(m, &more, p->children[left + 1]);
	memcpy(both.values + both.n, more.values, more.n * sizeof(void *));
	memcpy(both.children + both.n, more.children, (more.height ? more.n : 0) * sizeof(void *));
	both.n += more.n;
	take_out(p, left + 1);
	p->children[left] = pack(&both, 0, both.n);
}

/* As put. The key is there. NULL: nothing is left. */
static struct kg_pnode *drop(const struct kg_pmap *m, struct kg_pnode *n, const void *key)
{
	struct parts p;
	bool found;

	if (is_mine(n) && !n->height && n->n > 1) {
		unsigned i = search(m->ops, n->slots, n->n, key, &found);
		void *value = n->slots[i];

		n->n--;
		memmove(n->slots + i, n->slots + i + 1, (n->n - i) * sizeof(void *));
		value_unref(m->ops, value);
		return kg_slab_resize(KG_SLAB_MAPS, n, size_of(n->n + 1u, 0), size_of(n->n, 0));
	}
	unpack(m, &p, n);
	if (p.height) {
		unsigned i = search_child(m->ops, p.values, p.n, key);

		p.children[i] = drop(m, p.children[i], key);
		if (!p.children[i]) {
			take_out(&p, i);
		} else {
			p.values[i] = least(p.children[i]);
			if (p.children[i]->n < MIN)
				join(m, &p, i);
		}
	} else {
		unsigned i = search(m->ops, p.values, p.n, key, &found);
		void *value = p.values[i];

		take_out(&p, i);
		value_unref(m->ops, value);
	}
	return p.n ? pack(&p, 0, p.n) : NULL;
}

bool kg_pmap_remove(struct kg_pmap *m, const void *key)
{
	if (!kg_pmap_get(m, key))
		return false;
	m->root = drop(m, m->root, key);
	m->count--;
	while (m->root && m->root->height && m->root->n == 1) {
		struct kg_pnode *only = node_ref(child_of(m->root, 0));

		node_unref(m->ops, m->root);
		m->root = only;
	}
	return true;
}

/* ---- whole maps ---- */

void kg_pmap_init(struct kg_pmap *m, const struct kg_pmap_ops *ops)
{
	*m = (struct kg_pmap){.ops = ops};
}

void kg_pmap_copy(struct kg_pmap *to, const struct kg_pmap *from)
{
	*to = *from;
	node_ref(to->root);
}

void kg_pmap_release(struct kg_pmap *m)
{
	node_unref(m->ops, m->root);
	m->root = NULL;
	m->count = 0;
}

/* How many of the `left` go into one node, so that the last is not a small one. */
static size_t share(size_t left)
{
	return left <= MAX ? left : left < 2 * MAX ? left / 2 : MAX;
}

void kg_pmap_build(struct kg_pmap *m, void *const *values, size_t n)
{
	KG_AUTOFREE struct kg_pnode **nodes = kg_alloc((n ? n : 1) * sizeof(struct kg_pnode *));
	size_t len = 0;
	struct parts p = {0};

	assert(!m->root);
	for (size_t i = 0; i < n; i += p.n) {
		p.n = (unsigned)share(n - i);
		memcpy(p.values, values + i, p.n * sizeof(void *));
		nodes[len++] = pack(&p, 0, p.n);
		for (unsigned k = 0; k < p.n; k++)
			value_ref(m, p.values[k]);
	}
	while (len > 1) {
		size_t kept = 0;

		p.height++;
		for (size_t i = 0; i < len; i += p.n) {
			p.n = (unsigned)share(len - i);
			for (unsigned k = 0; k < p.n; k++) {
				p.children[k] = nodes[i + k];
				p.values[k] = least(nodes[i + k]);
			}
			nodes[kept++] = pack(&p, 0, p.n);
		}
		len = kept;
	}
	m->root = len ? nodes[0] : NULL;
	m->count = n;
}

void *kg_pmap_get(const struct kg_pmap *m, const void *key)
{
	const struct kg_pnode *n = m->root;
	bool found;

	while (n && n->height)
		n = child_of(n, search_child(m->ops, n->slots, n->n, key));
	if (!n)
		return NULL;
	unsigned i = search(m->ops, n->slots, n->n, key, &found);
	return found ? n->slots[i] : NULL;
}

/* ---- iteration ---- */

static void push(struct kg_piter *it, const struct kg_pnode *n, unsigned at)
{
	/* MIN to the power of that is out of reach. */
	assert(it->depth < (int)KG_ARRAY_LEN(it->stack));
	it->stack[it->depth].node = n;
	it->stack[it->depth++].at = at;
}

/* from NULL: the first of all. */
static void descend(struct kg_piter *it, const struct kg_pnode *n, const void *from)
{
	bool found;

	for (; n && n->height; n = child_of(n, it->stack[it->depth - 1].at))
		push(it, n, from ? search_child(it->ops, n->slots, n->n, from) : 0);
	if (n)
		push(it, n, from ? search(it->ops, n->slots, n->n, from, &found) : 0);
}

void kg_piter_init(
	struct kg_piter *it, const struct kg_pmap *m, const char *prefix, const char *from)
{
	*it = (struct kg_piter){.ops = m->ops, .range = prefix ? prefix : ""};
	it->prefix_len = strlen(it->range);
	const char *start = from && strcmp(from, it->range) > 0 ? from : it->range;
	descend(it, m->root, *start ? start : NULL);
}

void kg_piter_init_range(struct kg_piter *it, const struct kg_pmap *m, const void *from,
	bool (*within)(const void *value, const void *range), const void *range)
{
	*it = (struct kg_piter){.ops = m->ops, .range = range, .within = within};
	descend(it, m->root, from);
}

static bool within(const struct kg_piter *it, const void *value)
{
	if (it->within)
		return it->within(value, it->range);
	return !it->prefix_len || !strncmp(key_of(it->ops, value), it->range, it->prefix_len);
}

void *kg_piter_next(struct kg_piter *it, const char **key)
{
	while (it->depth > 0) {
		const struct kg_pnode *n = it->stack[it->depth - 1].node;
		unsigned at = it->stack[it->depth - 1].at;

		if (at >= n->n) {
			/* The leaf, or a node, is at its end: on in the one above. */
			if (--it->depth > 0)
				it->stack[it->depth - 1].at++;
			continue;
		}
		if (n->height) {
			descend(it, child_of(n, at), NULL);
			continue;
		}
		void *value = n->slots[at];
		if (!within(it, value)) {
			it->depth = 0;
			return NULL;
		}
		it->stack[it->depth - 1].at++;
		if (key)
			*key = key_of(it->ops, value);
		return value;
	}
	return NULL;
}

void kg_pmap_rebuild(struct kg_pmap *m)
{
	void **values KG_AUTOFREE = kg_alloc((m->count ? m->count : 1) * sizeof(*values));
	struct kg_pmap anew = {.ops = m->ops};
	struct kg_piter it;
	size_t n = 0;
	void *value;

	kg_piter_init(&it, m, NULL, NULL);
	while ((value = kg_piter_next(&it, NULL)))
		values[n++] = value;
	assert(n == m->count);
	kg_pmap_build(&anew, values, n);
	kg_pmap_release(m);
	*m = anew;
}
