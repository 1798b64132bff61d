#include "nodeagent/work.h"

#include "base/mem.h"

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <time.h>

#define STUCK_MS 2000
#define IDLE_S   30

struct job {
	struct job *next;
	void (*run)(void *ctx), (*drop)(void *ctx);
	void *ctx;
};
struct worker {
	struct worker *next;
	struct kg_work *pool;
	int64_t since; /* of the job it runs; 0: none */
};
struct kg_work {
	pthread_mutex_t lock;
	pthread_cond_t some; /* a job came, or the end */
	pthread_cond_t none; /* a worker went */
	struct job *head, **tail;
	struct worker *workers;
	unsigned limit, max, threads, idle;
	bool ending;
};

static int64_t mono_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

struct kg_work *kg_work_new(unsigned limit, unsigned max_threads)
{
	struct kg_work *w = kg_alloc(sizeof(*w));
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->some, &attr);
	pthread_cond_init(&w->none, &attr);
	pthread_condattr_destroy(&attr);
	w->tail = &w->head;
	w->limit = limit;
	w->max = max_threads < limit ? limit : max_threads;
	return w;
}

static struct job *take(struct kg_work *w)
{
	struct job *j = w->head;
	w->head = j->next;
	if (!w->head)
		w->tail = &w->head;
	return j;
}

static bool wait_for_job(struct kg_work *w)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += IDLE_S;
	w->idle++;
	int rc = 0;
	while (!w->head && !w->ending && rc == 0)
		rc = pthread_cond_timedwait(&w->some, &w->lock, &t);
	w->idle--;
	return w->head && !w->ending;
}

static void forget(struct kg_work *w, struct worker *me)
{
	for (struct worker **p = &w->workers; *p; p = &(*p)->next) {
		if (*p == me) {
			*p = me->next;
			break;
		}
	}
	w->threads--;
	pthread_cond_signal(&w->none);
	free(me);
}

static void *work(void *arg)
{
	struct worker *me = arg;
	struct kg_work *w = me->pool;
	/* A working directory and a umask of its own. */
	if (unshare(CLONE_FS) == 0)
		umask(022);
	pthread_mutex_lock(&w->lock);
	while ((w->head && !w->ending) || wait_for_job(w)) {
		struct job *j = take(w);
		me->since = mono_ms();
		pthread_mutex_unlock(&w->lock);
		j->run(j->ctx);
		free(j);
		pthread_mutex_lock(&w->lock);
		me->since = 0;
	}
	forget(w, me);
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* Called with the lock held: starts a thread where the queue wants one and it may be. */
static void need_thread(struct kg_work *w)
{
	unsigned counted = 0;
	int64_t now = mono_ms();
	for (struct worker *x = w->workers; x; x = x->next)
		counted += x->since == 0 || now - x->since < STUCK_MS;
	if (w->idle > 0 || counted >= w->limit || w->threads >= w->max)
		return;
	struct worker *me = kg_alloc(sizeof(*me));
	me->pool = w;
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, 512 * 1024);
	pthread_t t;
	if (pthread_create(&t, &attr, work, me) == 0) {
		me->next = w->workers;
		w->workers = me;
		w->threads++;
	} else {
		free(me);
	}
	pthread_attr_destroy(&attr);
}

void kg_work_submit(struct kg_work *w, void (*run)(void *ctx), void (*drop)(void *ctx), void *ctx)
{
	struct job *j = kg_alloc(sizeof(*j));
	*j = (struct job){.run = run, .drop = drop, .ctx = ctx};
	pthread_mutex_lock(&w->lock);
	*w->tail = j;
	w->tail = &j->next;
	need_thread(w);
	pthread_cond_signal(&w->some);
	pthread_mutex_unlock(&w->lock);
}

void kg_work_free(struct kg_work *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->ending = true;
	pthread_cond_broadcast(&w->some);
	while (w->threads > 0)
		pthread_cond_wait(&w->none, &w->lock);
	pthread_mutex_unlock(&w->lock);
	while (w->head) {
		struct job *j = take(w);
		if (j->drop)
			j->drop(j->ctx);
		free(j);
	}
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->some);
	pthread_cond_destroy(&w->none);
	free(w);
}
