/*
 * The room's own threads: workers for what blocks (history on disk) or has waited (a revision
 * ahead of now), and a clock that wakes watchers whose bookmark or end is due. All sleep when
 * there is nothing to do.
 */
#include "api/worker.h"

#include "api/internal.h"
#include "api/request.h"
#include "api/watch.h"

#include <time.h>

int64_t kg_api_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void *worker_main(void *arg)
{
	struct kg_api *api = arg;

	pthread_mutex_lock(&api->work_lock);
	for (;;) {
		while (!api->jobs && !api->stopping)
			pthread_cond_wait(&api->work_ready, &api->work_lock);
		struct job *job = api->jobs;

		if (!job)
			break;
		api->jobs = job->next;
		if (!api->jobs)
			api->jobs_end = &api->jobs;
		pthread_mutex_unlock(&api->work_lock);
		job->run(job->arg);
		free(job);
		pthread_mutex_lock(&api->work_lock);
	}
	pthread_mutex_unlock(&api->work_lock);
	return NULL;
}

void kg_api_worker_add(struct kg_api *api, void (*run)(void *arg), void *arg)
{
	struct job *job = kg_alloc(sizeof(*job));

	job->run = run;
	job->arg = arg;
	pthread_mutex_lock(&api->work_lock);
	*api->jobs_end = job;
	api->jobs_end = &job->next;
	pthread_cond_signal(&api->work_ready);
	pthread_mutex_unlock(&api->work_lock);
}

static void *clock_main(void *arg)
{
	struct kg_api *api = arg;

	pthread_mutex_lock(&api->clock_lock);
	while (!api->stopping) {
		int64_t now = kg_api_now_ms(), due = api->clock_due;

		if (due > now) {
			struct timespec ts = {
				.tv_sec = due / 1000, .tv_nsec = due % 1000 * 1000000};

			if (due == INT64_MAX)
				pthread_cond_wait(&api->clock_moved, &api->clock_lock);
			else
				pthread_cond_timedwait(&api->clock_moved, &api->clock_lock, &ts);
			continue;
		}
		api->clock_due = INT64_MAX;
		pthread_mutex_unlock(&api->clock_lock);
		int64_t dues[] = {kg_api_watch_tick(api, now), kg_api_request_expire(api, now),
			kg_api_leases_tick(api, now)};
		pthread_mutex_lock(&api->clock_lock);
		for (size_t i = 0; i < KG_ARRAY_LEN(dues); i++)
			if (dues[i] < api->clock_due)
				api->clock_due = dues[i];
	}
	pthread_mutex_unlock(&api->clock_lock);
	return NULL;
}

void kg_api_clock_kick(struct kg_api *api, int64_t due)
{
	pthread_mutex_lock(&api->clock_lock);
	if (due < api->clock_due) {
		api->clock_due = due;
		pthread_cond_signal(&api->clock_moved);
	}
	pthread_mutex_unlock(&api->clock_lock);
}

void kg_api_worker_start(struct kg_api *api)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&api->work_lock, NULL);
	pthread_mutex_init(&api->clock_lock, NULL);
	pthread_cond_init(&api->work_ready, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&api->clock_moved, &attr);
	pthread_condattr_destroy(&attr);
	api->jobs_end = &api->jobs;
	api->clock_due = INT64_MAX;
	for (size_t i = 0; i < KG_ARRAY_LEN(api->workers); i++)
		if (pthread_create(&api->workers[i], NULL, worker_main, api))
			abort(); /* as out of memory */
	if (pthread_create(&api->clock, NULL, clock_main, api))
		abort();
}

void kg_api_worker_stop(struct kg_api *api)
{
	pthread_mutex_lock(&api->work_lock);
	pthread_mutex_lock(&api->clock_lock);
	api->stopping = true;
	pthread_cond_broadcast(&api->work_ready);
	pthread_cond_broadcast(&api->clock_moved);
	pthread_mutex_unlock(&api->clock_lock);
	pthread_mutex_unlock(&api->work_lock);
	for (size_t i = 0; i < KG_ARRAY_LEN(api->workers); i++)
		pthread_join(api->workers[i], NULL);
	pthread_join(api->clock, NULL);
	pthread_cond_destroy(&api->clock_moved);
	pthread_cond_destroy(&api->work_ready);
	pthread_mutex_destroy(&api->clock_lock);
	pthread_mutex_destroy(&api->work_lock);
}
