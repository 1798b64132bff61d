/*
 * A list of packs, oldest first. The writer adds at its end; the drainer replaces the beginning by
 * one pack of the same objects, deflated only now since that costs the most, and takes that away
 * when git's files have it. A reader that misses an object here has therefore to look into git's
 * files afterwards, never the other way round: that is the order in which libgit2 asks its
 * backends, and it looks for new packs before it gives up.
 */
#include "store/pending.h"

#include "base/mem.h"
#include "store/odb.h"
#include "store/packed.h"

#include <git2/sys/odb_backend.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

/* git's own backends have 1 and 2; the highest is asked first. */
#define FIRST 100

/* Immutable. */
struct held {
	atomic_int refs;
	struct kg_append a; /* pack and index are those of: */
	struct kg_buf pack, index;
	bool folded; /* made by a fold: deflated */
};

/* While much is written, what packs lay in is used for the next ones: pages that are new cost more
 * than what is copied to them. */
#define SPARE_MIN   (64u << 10) /* bytes; what is smaller is not kept */
#define SPARE_BYTES (8u << 20)
enum { SPARES = 16 };

struct kg_pending {
	atomic_int refs;
	struct kg_pack *fold; /* the drainer's */
	pthread_mutex_t lock; /* below */
	struct held **items;
	size_t cap;
	struct kg_buf spares[SPARES]; /* none while nothing is pending */
	size_t nspares, spare_bytes;
	atomic_size_t len; /* read without the lock: most of the time there is nothing */
};

/* ---- one pack ---- */

/* Moves the buffers in. */
static struct held *held_new(const struct kg_append *a, struct kg_buf *pack, struct kg_buf *index)
{
	struct held *h = kg_alloc(sizeof(*h));

	atomic_init(&h->refs, 1);
	h->a = *a;
	h->pack = *pack;
	h->index = *index;
	*pack = *index = (struct kg_buf)KG_BUF_INIT;
	h->a.pack = h->pack.data;
	h->a.pack_len = h->pack.len;
	h->a.index = h->index.data;
	h->a.index_len = h->index.len;
	return h;
}

static void held_unref(struct held *h)
{
	if (!h || atomic_fetch_sub(&h->refs, 1) != 1)
		return;
	kg_buf_release(&h->pack);
	kg_buf_release(&h->index);
	free(h);
}

static struct kg_packed packed(const struct held *h)
{
	return (struct kg_packed){.pack = h->a.pack,
		.pack_len = h->a.pack_len,
		.index = h->a.index,
		.index_len = h->a.index_len};
}

/* ---- the list ---- */

struct kg_pending *kg_pending_new(void)
{
	struct kg_pending *p = kg_alloc(sizeof(*p));

	atomic_init(&p->refs, 1);
	p->fold = kg_pack_new();
	pthread_mutex_init(&p->lock, NULL);
	return p;
}

/* ---- spares, with the lock held ---- */

static void drop_spares(struct kg_pending *p)
{
	while (p->nspares)
		kg_buf_release(&p->spares[--p->nspares]);
	p->spare_bytes = 0;
}

/* Takes the buffer, or leaves it. */
static void keep_spare(struct kg_pending *p, struct kg_buf *b)
{
	if (b->cap < SPARE_MIN || p->nspares == SPARES || p->spare_bytes + b->cap > SPARE_BYTES)
		return;
	p->spare_bytes += b->cap;
	kg_buf_clear(b);
	p->spares[p->nspares++] = *b;
	*b = (struct kg_buf)KG_BUF_INIT;
}

/* An empty buffer for so many bytes: a spare that has room without having too much, or a new one.
 */
static void take_spare(struct kg_buf *out, struct kg_pending *p, size_t n)
{
	*out = (struct kg_buf)KG_BUF_INIT;
	for (size_t i = 0; i < p->nspares && !out->data; i++) {
		if (p->spares[i].cap <= n || p->spares[i].cap / 4 > n)
			continue;
		*out = p->spares[i];
		p->spare_bytes -= out->cap;
		p->spares[i] = p->spares[--p->nspares];
	}
}

static void unref_and_keep(struct kg_pending *p, struct held *h)
{
	if (atomic_load(&h->refs) == 1) {
		keep_spare(p, &h->pack);
		keep_spare(p, &h->index);
	}
	held_unref(h);
}

void kg_pending_unref(struct kg_pending *p)
{
	if (!p || atomic_fetch_sub(&p->refs, 1) != 1)
		return;
	drop_spares(p);
	for (size_t i = 0; i < p->len; i++)
		held_unref(p->items[i]);
	free(p->items);
	kg_pack_free(p->fold);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

void kg_pending_add(struct kg_pending *p, const struct kg_append *a)
{
	struct kg_buf pack, index;

	pthread_mutex_lock(&p->lock);
	take_spare(&pack, p, a->pack_len);
	take_spare(&index, p, a->index_len);
	pthread_mutex_unlock(&p->lock);
	kg_buf_add(&pack, a->pack, a->pack_len);
	kg_buf_add(&index, a->index, a->index_len);
	struct held *h = held_new(a, &pack, &index);
	pthread_mutex_lock(&p->lock);
	KG_GROW(p->items, p->cap, p->len + 1);
	p->items[p->len] = h;
	atomic_fetch_add(&p->len, 1);
	pthread_mutex_unlock(&p->lock);
}

/* The first n give way to one, or to none. */
static void replace(struct kg_pending *p, size_t n, struct held *by)
{
	size_t keep = by ? 1 : 0;

	pthread_mutex_lock(&p->lock);
	/* Who reads one has found it in the list, with the lock held. */
	for (size_t i = 0; i < n; i++)
		unref_and_keep(p, p->items[i]);
	memmove(p->items + keep, p->items + n, (p->len - n) * sizeof(struct held *));
	if (by)
		p->items[0] = by;
	if (atomic_fetch_sub(&p->len, n - keep) == n - keep)
		drop_spares(p);
	pthread_mutex_unlock(&p->lock);
}

/* From so many bytes on packs are put together as they lie: deflating would keep git's files behind
 * who writes so much, and of so many a compaction soon makes deltas. */
#define DEFLATED_MAX (1u << 20)

static size_t bytes_of(struct held **items, size_t n)
{
	size_t bytes = 0;

	for (size_t i = 0; i < n; i++)
		bytes += items[i]->a.pack_len;
	return bytes;
}

size_t kg_pending_bytes(struct kg_pending *p)
{
	pthread_mutex_lock(&p->lock);
	size_t bytes = bytes_of(p->items, p->len);
	pthread_mutex_unlock(&p->lock);
	return bytes;
}

/* The first n packs as one. */
static int join(struct held **out, struct kg_pending *p, struct held **items, size_t n,
	struct kg_error *err)
{
	struct kg_append a = items[n - 1]->a;
	struct kg_buf pack, index;
	size_t bytes = bytes_of(items, n);
	bool much = bytes > DEFLATED_MAX;

	kg_pack_clear(p->fold);
	if (much)
		kg_pack_reserve(p->fold, bytes);
	for (size_t i = 0; i < n; i++) {
		struct kg_packed from = packed(items[i]);
		int rc = much ? kg_packed_copy(p->fold, &from, err)
			      : kg_packed_deflate(p->fold, &from, err);
		if (rc < 0)
			return rc;
	}
	kg_pack_take(p->fold, &pack, &index, a.pack_id);
	memcpy(a.parent, items[0]->a.parent, 20);
	*out = held_new(&a, &pack, &index);
	(*out)->folded = true;
	return 0;
}

int kg_pending_fold(const struct kg_append **out, struct kg_pending *p, struct kg_error *err)
{
	struct held **items KG_AUTOFREE = NULL, *one;

	pthread_mutex_lock(&p->lock);
	size_t n = p->len;
	items = kg_alloc((n + 1) * sizeof(struct held *));
	if (n)
		memcpy(items, p->items, n * sizeof(struct held *));
	pthread_mutex_unlock(&p->lock);
	/* Only this thread takes away, so they stay without being held. */
	if (n > 1 || (n && !items[0]->folded)) {
		int rc = join(&one, p, items, n, err);
		if (rc < 0)
			return rc;
		replace(p, n, one);
		items[0] = one;
	}
	*out = n ? &items[0]->a : NULL;
	return 0;
}

void kg_pending_drop(struct kg_pending *p)
{
	replace(p, 1, NULL);
}

/* ---- for libgit2 ---- */

struct backend {
	git_odb_backend base;
	struct kg_pending *p;
};

/* The newest pack that has the object, to be released, and where in it. */
static struct held *find(struct kg_pending *p, const git_oid *oid, size_t *at)
{
	struct held *h = NULL;

	if (atomic_load(&p->len) == 0)
		return NULL;
	pthread_mutex_lock(&p->lock);
	for (size_t i = p->len; i-- > 0 && !h;) {
		struct kg_packed in = packed(p->items[i]);

		*at = kg_packed_find(&in, oid->id);
		if (*at) {
			h = p->items[i];
			atomic_fetch_add(&h->refs, 1);
		}
	}
	pthread_mutex_unlock(&p->lock);
	return h;
}

static int head_of(size_t *len, git_object_t *type, const struct held *h, size_t at)
{
	struct kg_packed in = packed(h);
	enum kg_pack_type t;
	struct kg_error err;

	if (kg_packed_header(&t, len, &in, at, &err) < 0) {
		git_error_set_str(GIT_ERROR_ODB, err.msg);
		return GIT_ERROR;
	}
	/* Both number the types as packs do. */
	*type = (git_object_t)t;
	return 0;
}

static int body_of(void *out, size_t len, const struct held *h, size_t at)
{
	struct kg_packed in = packed(h);
	struct kg_error err;

	((char *)out)[len] = '\0';
	if (kg_packed_read(out, len, &in, at, &err) == 0)
		return 0;
	git_error_set_str(GIT_ERROR_ODB, err.msg);
	return GIT_ERROR;
}

static int backend_read(
	void **out, size_t *len, git_object_t *type, git_odb_backend *base, const git_oid *oid)
{
	size_t at;
	struct held *h = find(((struct backend *)base)->p, oid, &at);

	if (!h)
		return GIT_ENOTFOUND;
	int rc = head_of(len, type, h, at);
	void *data = rc == 0 ? git_odb_backend_data_alloc(base, *len + 1) : NULL;
	if (rc == 0)
		rc = data ? body_of(data, *len, h, at) : GIT_ERROR;
	held_unref(h);
	if (rc < 0)
		git_odb_backend_data_free(base, data);
	else
		*out = data;
	return rc;
}

static int backend_read_header(
	size_t *len, git_object_t *type, git_odb_backend *base, const git_oid *oid)
{
	size_t at;
	struct held *h = find(((struct backend *)base)->p, oid, &at);

	if (!h)
		return GIT_ENOTFOUND;
	int rc = head_of(len, type, h, at);
	held_unref(h);
	return rc;
}

static int backend_exists(git_odb_backend *base, const git_oid *oid)
{
	size_t at;
	struct held *h = find(((struct backend *)base)->p, oid, &at);

	held_unref(h);
	return h != NULL;
}

static void backend_free(git_odb_backend *base)
{
	struct backend *b = (struct backend *)base;

	kg_pending_unref(b->p);
	free(b);
}

int kg_pending_attach(struct kg_pending *p, git_odb *odb, struct kg_error *err)
{
	struct backend *b = kg_alloc(sizeof(*b));

	git_odb_init_backend(&b->base, GIT_ODB_BACKEND_VERSION);
	b->base.read = backend_read;
	b->base.read_header = backend_read_header;
	b->base.exists = backend_exists;
	b->base.free = backend_free;
	b->p = p;
	atomic_fetch_add(&p->refs, 1);
	int rc = git_odb_add_backend(odb, &b->base, FIRST);
	if (rc == 0)
		return 0;
	backend_free(&b->base);
	return kg_git_fail(err, rc, "add what is pending to an object database");
}
