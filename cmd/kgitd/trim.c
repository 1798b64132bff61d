/*
 * Memory that changes and reads needed is given back when they are over, or now and then while they
 * go on: what is kept to answer the next who asks (objects as JSON, old events and revisions, maps
 * of packs) and what the allocator keeps. After a long silence the snapshot's maps are built anew,
 * on a thread of their own: that takes a tenth of a second for 150,000 pods.
 */
#include "kgitd/master.h"

#include "base/log.h"
#include "base/slab.h"

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>

#define LOOK_MS    2000
#define QUIET      2                 /* looks, in which nothing has happened */
#define LONG       10                /* and so many more */
#define ROUNDS     10                /* looks, in which something happens all the time */
#define KEPT_BYTES ((size_t)8 << 20) /* of events, for those who come back */
/* After a long silence; who comes back then reads history. What is old lies scattered among what
 * is not, and keeps several times its bytes from being given back. */
#define LEFT_BYTES   ((size_t)64 << 10)
#define LEFT_CHANGES 64 /* of a kind */

struct kgd_trim {
	struct kgd_master *m;
	struct kg_timer *timer;
	uint64_t seen; /* a sum of counters that only grow */
	unsigned quiet, busy;
	uint64_t settled;  /* the revision of the silence: long known to all */
	uint64_t settling; /* the same, as the thread was given it: written while there is none */
	pthread_t thread;  /* settles */
	bool started;      /* and is to be joined */
	atomic_bool done;
};

static uint64_t happened(const struct kgd_master *m)
{
	struct kg_api_stats s;

	kg_api_stats(m->api, &s);
	return kg_hub_revision(m->hub) + kg_store_reads(m->store) + s.encoded + s.reused;
}

static void trim(struct kgd_trim *t, bool all)
{
	struct kg_error err;

	if (all) {
		kg_hub_forget(t->m->hub, KEPT_BYTES);
		kg_api_drop_encoded(t->m->api);
		if (kg_store_let_go(t->m->store, &err) < 0)
			kg_warn("%s", err.msg);
	}
	malloc_trim(0);
	kg_slab_trim();
}

static void *settle(void *arg)
{
	struct kgd_trim *t = arg;
	struct kg_snapshot *now = kg_hub_snapshot(t->m->hub);

	/* Of a revision that has come since, subscribers may not have been told yet. */
	if (now->revision == t->settling) {
		struct kg_snapshot *anew = kg_snapshot_anew(now);

		kg_hub_settle(t->m->hub, anew);
		kg_snapshot_unref(anew);
	}
	kg_snapshot_unref(now);
	malloc_trim(0);
	kg_slab_trim();
	atomic_store(&t->done, true);
	return NULL;
}

/* Where there is no thread to be had, it is as good after the next silence. */
static void start_settling(struct kgd_trim *t)
{
	if (t->started && !atomic_load(&t->done))
		return;
	if (t->started)
		pthread_join(t->thread, NULL);
	atomic_store(&t->done, false);
	t->settling = t->settled;
	t->started = pthread_create(&t->thread, NULL, settle, t) == 0;
}

static void on_timer(void *ctx)
{
	struct kgd_trim *t = ctx;
	uint64_t now = happened(t->m);

	if (now != t->seen) {
		t->seen = now;
		t->quiet = 0;
		if (++t->busy % ROUNDS == 0)
			trim(t, false);
	} else if (t->busy && ++t->quiet == QUIET) {
		trim(t, true);
		t->seen = happened(t->m);
		t->settled = kg_hub_revision(t->m->hub);
	} else if (t->busy && t->quiet == QUIET + LONG) {
		t->busy = 0;
		kg_hub_forget(t->m->hub, LEFT_BYTES);
		kg_api_forget_changes(t->m->api, LEFT_CHANGES);
		kg_api_drop_loaded(t->m->api);
		start_settling(t);
	}
	kg_timer_set(t->timer, LOOK_MS);
}

struct kgd_trim *kgd_trim_new(struct kgd_master *m)
{
	struct kgd_trim *t = kg_alloc(sizeof(*t));

	t->m = m;
	t->timer = kg_timer_new(m->loop, on_timer, t);
	t->busy = 1; /* the start was work, too */
	kg_timer_set(t->timer, LOOK_MS);
	return t;
}

void kgd_trim_free(struct kgd_trim *t)
{
	if (!t)
		return;
	kg_timer_free(t->timer);
	if (t->started)
		pthread_join(t->thread, NULL);
	free(t);
}
