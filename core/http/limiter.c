#include "http/limiter.h"

#include "base/map.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdatomic.h>

enum { MAX_KEYS = 8192 };

struct bucket {
	double tokens;
	int64_t at_ms;
};
struct kg_limiter {
	double per_ms, burst;
	pthread_mutex_t lock;
	struct kg_map buckets;
	_Atomic uint64_t refused;
};

struct kg_limiter *kg_limiter_new(double per_second, double burst)
{
	struct kg_limiter *l = kg_alloc(sizeof(*l));

	l->per_ms = per_second / 1000;
	l->burst = burst > 0 ? burst : per_second * 2;
	pthread_mutex_init(&l->lock, NULL);
	return l;
}

static void forget_all(struct kg_map *m)
{
	struct kg_map_entry *e;

	for (size_t i = 0; (e = kg_map_next(m, &i));)
		free(e->value);
	kg_map_release(m);
}

void kg_limiter_free(struct kg_limiter *l)
{
	if (!l)
		return;
	forget_all(&l->buckets);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

static void refill(const struct kg_limiter *l, struct bucket *b, int64_t now_ms)
{
	if (now_ms > b->at_ms)
		b->tokens += (double)(now_ms - b->at_ms) * l->per_ms;
	if (b->tokens > l->burst)
		b->tokens = l->burst;
	b->at_ms = now_ms;
}

/* Keeps those whose buckets are not full. Where that is most of them, so many are at it that one
 * more full bucket for each does no harm, and each new key would have all looked at again. */
static void purge(struct kg_limiter *l, int64_t now_ms)
{
	struct kg_map kept = KG_MAP_INIT;
	struct kg_map_entry *e;

	for (size_t i = 0; (e = kg_map_next(&l->buckets, &i));) {
		struct bucket *b = e->value;

		refill(l, b, now_ms);
		if (b->tokens >= l->burst)
			free(b);
		else
			kg_map_put(&kept, e->key, b);
	}
	kg_map_release(&l->buckets);
	if (kept.count > MAX_KEYS / 2)
		forget_all(&kept);
	l->buckets = kept;
}

int kg_limiter_take(struct kg_limiter *l, const char *key, int64_t now_ms)
{
	int wait = 0;

	pthread_mutex_lock(&l->lock);
	struct bucket *b = kg_map_get(&l->buckets, key);

	if (!b) {
		if (l->buckets.count >= MAX_KEYS)
			purge(l, now_ms);
		b = kg_alloc(sizeof(*b));
		*b = (struct bucket){.tokens = l->burst, .at_ms = now_ms};
		kg_map_put(&l->buckets, key, b);
	}
	refill(l, b, now_ms);
	if (b->tokens >= 1)
		b->tokens -= 1;
	else
		wait = (int)(((1 - b->tokens) / l->per_ms + 999) / 1000);
	pthread_mutex_unlock(&l->lock);
	if (wait)
		atomic_fetch_add(&l->refused, 1);
	return wait;
}

uint64_t kg_limiter_refused(const struct kg_limiter *l)
{
	return l->refused;
}

size_t kg_limiter_keys(struct kg_limiter *l)
{
	pthread_mutex_lock(&l->lock);
	size_t n = l->buckets.count;
	pthread_mutex_unlock(&l->lock);
	return n;
}
