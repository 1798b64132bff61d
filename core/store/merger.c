/* The store's thread that puts packs together when there are many. */
#include "store/merge.h"
#include "store/private.h"

#include "base/mem.h"

#include <string.h>

#define DEFAULT_LIMIT 256

int kg_store_renew_odb(struct kg_store *s, struct kg_error *err)
{
	git_odb *odb = NULL;
	int rc = kg_store_open_odb(&odb, s, err);

	if (rc < 0)
		return rc;
	struct kg_shared_odb *fresh = kg_shared_odb_new(odb);
	atomic_fetch_add_explicit(&s->reads, 1, memory_order_relaxed);
	pthread_mutex_lock(&s->lock);
	struct kg_shared_odb *old = s->odb;
	s->odb = fresh;
	pthread_mutex_unlock(&s->lock);
	kg_shared_odb_unref(old);
	return 0;
}

int kg_store_merge_packs(struct kg_store *s, struct kg_error *err)
{
	struct kg_error why = {0};
	bool sync_failed;

	pthread_mutex_lock(&s->merger.busy);
	int rc = kg_packs_merge(s->dir, &s->merger.skip, &sync_failed, &why);
	pthread_mutex_unlock(&s->merger.busy);

	if (sync_failed)
		atomic_store(&s->sync_failed, true);
	if (rc > 0)
		rc = kg_store_renew_odb(s, &why);
	return rc < 0 ? kg_fail(err, why.code, "put packs together: %s", why.msg) : 0;
}

static void *work(void *arg)
{
	struct kg_store *s = arg;
	struct kg_merger *m = &s->merger;

	pthread_mutex_lock(&m->lock);
	while (!m->stop) {
		if (m->apart < m->limit) {
			pthread_cond_wait(&m->wake, &m->lock);
			continue;
		}
		m->apart = 0;
		pthread_mutex_unlock(&m->lock);
		/* A failure leaves the packs as they are; it is tried again as many commits later,
		 * and where the disk is at fault the next commit says so. */
		kg_store_merge_packs(s, NULL);
		pthread_mutex_lock(&m->lock);
	}
	pthread_mutex_unlock(&m->lock);
	return NULL;
}

void kg_merger_init(struct kg_store *s)
{
	pthread_mutex_init(&s->merger.busy, NULL);
	pthread_mutex_init(&s->merger.lock, NULL);
	pthread_cond_init(&s->merger.wake, NULL);
}

int kg_merger_start(struct kg_store *s, size_t limit, struct kg_error *err)
{
	char *side KG_AUTOFREE = kg_asprintf("%s/" KG_SIDE_DIR, s->dir);
	struct kg_merger *m = &s->merger;

	kg_compact_names(&m->skip, side);
	size_t apart = kg_packs_count(s->dir);

	pthread_mutex_lock(&m->lock);
	m->limit = limit ? limit : DEFAULT_LIMIT;
	m->apart += apart;
	pthread_mutex_unlock(&m->lock);
	int e = pthread_create(&m->thread, NULL, work, s);
	if (e)
		return kg_fail(err, KG_E_UNAVAILABLE, "start a thread: %s", strerror(e));
	m->started = true;
	return 0;
}

void kg_merger_stop(struct kg_store *s)
{
	struct kg_merger *m = &s->merger;

	if (!m->started)
		return;
	pthread_mutex_lock(&m->lock);
	m->stop = true;
	pthread_cond_signal(&m->wake);
	pthread_mutex_unlock(&m->lock);
	pthread_join(m->thread, NULL);
	m->started = false;
}

void kg_merger_release(struct kg_store *s)
{
	struct kg_merger *m = &s->merger;

	kg_map_release(&m->skip);
	pthread_cond_destroy(&m->wake);
	pthread_mutex_destroy(&m->lock);
	pthread_mutex_destroy(&m->busy);
}

void kg_merger_poke(struct kg_store *s)
{
	struct kg_merger *m = &s->merger;

	pthread_mutex_lock(&m->lock);
	if (++m->apart >= m->limit && m->limit)
		pthread_cond_signal(&m->wake);
	pthread_mutex_unlock(&m->lock);
}
