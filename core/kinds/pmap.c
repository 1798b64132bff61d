#include "kinds/pmap.h"

#include "base/hash.h"
#include "base/mem.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>

struct kg_pnode {
	_Atomic unsigned refs;
	unsigned prio;
	const char *key;
	void *value;
	struct kg_pnode *left, *right;
};

/* Priorities are salted, so that nobody can choose names that make the treap a list. */
static uint64_t salt;

static void salt_init(void)
{
	if (getrandom(&salt, sizeof(salt), 0) != sizeof(salt))
		salt = (uintptr_t)&salt;
}

static unsigned priority(const char *key)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, salt_init);
	uint64_t h = kg_hash64(key, strlen(key)) ^ salt;
	h *= 0x9e3779b97f4a7c15u;
	return (unsigned)(h >> 32);
}

static bool above(const struct kg_pnode *a, const struct kg_pnode *b)
{
	return a->prio != b->prio ? a->prio > b->prio : strcmp(a->key, b->key) < 0;
}

static struct kg_pnode *node_ref(struct kg_pnode *n)
{
	if (n)
		atomic_fetch_add_explicit(&n->refs, 1, memory_order_relaxed);
	return n;
}

static void node_unref(const struct kg_pmap_ops *ops, struct kg_pnode *n)
{
	while (n && atomic_fetch_sub_explicit(&n->refs, 1, memory_order_acq_rel) == 1) {
		struct kg_pnode *right = n->right;

		node_unref(ops, n->left);
		if (ops && ops->unref)
			ops->unref(n->value);
		free(n);
		n = right;
	}
}

static void value_ref(const struct kg_pmap *m, void *value)
{
	if (m->ops && m->ops->ref)
		m->ops->ref(value);
}

static void value_unref(const struct kg_pmap *m, void *value)
{
	if (m->ops && m->ops->unref)
		m->ops->unref(value);
}

/* A node that only this version holds: n itself where that is so already, else a copy. */
static struct kg_pnode *own(const struct kg_pmap *m, struct kg_pnode *n)
{
	if (atomic_load_explicit(&n->refs, memory_order_acquire) == 1)
		return n;
	struct kg_pnode *copy = kg_alloc(sizeof(*copy));
	/* Not by assignment: readers of other versions change n->refs at the same time. */
	atomic_init(&copy->refs, 1);
	copy->prio = n->prio;
	copy->key = n->key;
	copy->value = n->value;
	copy->left = n->left;
	copy->right = n->right;
	value_ref(m, copy->value);
	node_ref(copy->left);
	node_ref(copy->right);
	node_unref(m->ops, n);
	return copy;
}

/* Takes over the reference to n and returns one to what stands in its place. */
static struct kg_pnode *put(struct kg_pmap *m, struct kg_pnode *n, struct kg_pnode *fresh)
{
	if (!n) {
		m->count++;
		return fresh;
	}
	int cmp = strcmp(fresh->key, n->key);
	n = own(m, n);
	if (cmp == 0) {
		void *old = n->value;

		n->key = fresh->key;
		n->value = fresh->value;
		value_unref(m, old);
		free(fresh);
		return n;
	}
	if (cmp < 0) {
		struct kg_pnode *child = n->left = put(m, n->left, fresh);

		if (above(child, n)) {
			n->left = child->right;
			child->right = n;
			return child;
		}
	} else {
		struct kg_pnode *child = n->right = put(m, n->right, fresh);

		if (above(child, n)) {
			n->right = child->left;
			child->left = n;
			return child;
		}
	}
	return n;
}

/* Joins two treaps, every key of l before every key of r; takes over both references. */
static struct kg_pnode *join(const struct kg_pmap *m, struct kg_pnode *l, struct kg_pnode *r)
{
	if (!l || !r)
		return l ? l : r;
	if (above(l, r)) {
		l = own(m, l);
		l->right = join(m, l->right, r);
		return l;
	}
	r = own(m, r);
	r->left = join(m, l, r->left);
	return r;
}

static struct kg_pnode *drop(const struct kg_pmap *m, struct kg_pnode *n, const char *key)
{
	int cmp = strcmp(key, n->key);

	if (cmp == 0) {
		struct kg_pnode *joined = join(m, node_ref(n->left), node_ref(n->right));

		node_unref(m->ops, n);
		return joined;
	}
	n = own(m, n);
	if (cmp < 0)
		n->left = drop(m, n->left, key);
	else
		n->right = drop(m, n->right, key);
	return n;
}

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

static const struct kg_pnode *find(const struct kg_pmap *m, const char *key)
{
	const struct kg_pnode *n = m->root;

	while (n) {
		int cmp = strcmp(key, n->key);

		if (cmp == 0)
			return n;
		n = cmp < 0 ? n->left : n->right;
	}
	return NULL;
}

void *kg_pmap_get(const struct kg_pmap *m, const char *key)
{
	const struct kg_pnode *n = find(m, key);

	return n ? n->value : NULL;
}

void kg_pmap_put(struct kg_pmap *m, const char *key, void *value)
{
	struct kg_pnode *fresh = kg_alloc(sizeof(*fresh));

	atomic_init(&fresh->refs, 1);
	fresh->prio = priority(key);
	fresh->key = key;
	fresh->value = value;
	value_ref(m, value);
	m->root = put(m, m->root, fresh);
}

bool kg_pmap_remove(struct kg_pmap *m, const char *key)
{
	if (!find(m, key))
		return false;
	m->root = drop(m, m->root, key);
	m->count--;
	return true;
}

static void push(struct kg_piter *it, const struct kg_pnode *n)
{
	/* Salted priorities keep the depth near 2 log n; 128 is out of reach. */
	assert(it->depth < (int)KG_ARRAY_LEN(it->stack));
	it->stack[it->depth++] = n;
}

void kg_piter_init(
	struct kg_piter *it, const struct kg_pmap *m, const char *prefix, const char *from)
{
	it->depth = 0;
	it->prefix = prefix ? prefix : "";
	it->prefix_len = strlen(it->prefix);
	const char *start = from && strcmp(from, it->prefix) > 0 ? from : it->prefix;

	for (const struct kg_pnode *n = m->root; n;) {
		if (strcmp(n->key, start) >= 0) {
			push(it, n);
			n = n->left;
		} else {
			n = n->right;
		}
	}
}

void *kg_piter_next(struct kg_piter *it, const char **key)
{
	if (it->depth == 0)
		return NULL;
	const struct kg_pnode *n = it->stack[--it->depth];
	if (strncmp(n->key, it->prefix, it->prefix_len) != 0) {
		it->depth = 0;
		return NULL;
	}
	for (const struct kg_pnode *c = n->right; c; c = c->left)
		push(it, c);
	if (key)
		*key = n->key;
	return n->value;
}
