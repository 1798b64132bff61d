#include "kgitd/pushers.h"

#include "pki/pki.h"

#include <pthread.h>
#include <string.h>

struct pusher {
	struct pusher *next;
	char id[KGD_PUSHER_ID_LEN + 1];
	struct kg_user user;
};

/* As many as there are git processes: few. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct pusher *pushers;

void kgd_pusher_enter(char id[KGD_PUSHER_ID_LEN + 1], const struct kg_user *user)
{
	struct pusher *p = kg_alloc(sizeof(*p));

	kg_random_hex(p->id, KGD_PUSHER_ID_LEN / 2);
	p->user = *user;
	memcpy(id, p->id, sizeof(p->id));
	pthread_mutex_lock(&lock);
	p->next = pushers;
	pushers = p;
	pthread_mutex_unlock(&lock);
}

/* With the lock held. */
static struct pusher **find(const char *id)
{
	struct pusher **at = &pushers;

	while (*at && strcmp((*at)->id, id) != 0)
		at = &(*at)->next;
	return at;
}

void kgd_pusher_leave(const char *id)
{
	pthread_mutex_lock(&lock);
	struct pusher **at = find(id), *p = *at;
	if (p)
		*at = p->next;
	pthread_mutex_unlock(&lock);
	free(p);
}

bool kgd_pusher_find(struct kg_user *out, const char *id)
{
	pthread_mutex_lock(&lock);
	const struct pusher *p = *find(id);
	if (p)
		*out = p->user;
	pthread_mutex_unlock(&lock);
	return p != NULL;
}
