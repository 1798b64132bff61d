#include "seen.h"

#include "base/hash.h"

#include <pthread.h>
#include <string.h>

#define SLOTS 1024

struct slot {
	unsigned char hash[32];
	struct kg_verdict v;
};
struct kg_seen {
	pthread_mutex_t lock;
	struct slot *slots[SLOTS];
};

struct kg_seen *kg_seen_new(void)
{
	struct kg_seen *s = kg_alloc(sizeof(*s));

	pthread_mutex_init(&s->lock, NULL);
	return s;
}

void kg_seen_clear(struct kg_seen *s)
{
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < SLOTS; i++) {
		free(s->slots[i]);
		s->slots[i] = NULL;
	}
	pthread_mutex_unlock(&s->lock);
}

void kg_seen_free(struct kg_seen *s)
{
	if (!s)
		return;
	kg_seen_clear(s);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static struct slot **slot_of(struct kg_seen *s, const unsigned char hash[32])
{
	return &s->slots[(hash[0] | (unsigned)hash[1] << 8) % SLOTS];
}

bool kg_seen_get(struct kg_seen *s, struct kg_verdict *out, const char *token, kg_time now)
{
	unsigned char hash[32];

	kg_sha256(hash, token, strlen(token));
	pthread_mutex_lock(&s->lock);
	const struct slot *slot = *slot_of(s, hash);
	bool found = slot && memcmp(slot->hash, hash, sizeof(hash)) == 0 && slot->v.until > now;
	if (found)
		*out = slot->v;
	pthread_mutex_unlock(&s->lock);
	return found;
}

void kg_seen_put(struct kg_seen *s, const char *token, const struct kg_verdict *v)
{
	struct slot *slot = kg_alloc(sizeof(*slot));

	kg_sha256(slot->hash, token, strlen(token));
	slot->v = *v;
	pthread_mutex_lock(&s->lock);
	struct slot **at = slot_of(s, slot->hash), *old = *at;
	*at = slot;
	pthread_mutex_unlock(&s->lock);
	free(old);
}
