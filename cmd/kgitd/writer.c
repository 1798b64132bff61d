#include "kgitd/writer_private.h"

#include "sys/loop.h"

#include <string.h>
#include <time.h>

/* ---- what clients are to know of the master ---- */

static void cluster_free(struct kg_input_cluster *c)
{
	if (!c)
		return;
	free((char *)c->ca);
	free((char *)c->address);
	free((char *)c->service);
	free(c);
}

static struct kg_input_cluster *cluster_copy(const struct kg_input_cluster *in)
{
	struct kg_input_cluster *c = kg_alloc(sizeof(*c));

	*c = (struct kg_input_cluster){.ca = kg_strdup(in->ca),
		.address = kg_strdup(in->address),
		.service = kg_strdup(in->service)};
	return c;
}

void kgd_writer_set_cluster(struct kgd_writer *w, const struct kg_input_cluster *in)
{
	struct kg_input_cluster *c = cluster_copy(in);

	pthread_mutex_lock(&w->lock);
	struct kg_input_cluster *old = w->cluster_next;

	w->cluster_next = c;
	pthread_cond_signal(&w->cond);
	pthread_mutex_unlock(&w->lock);
	cluster_free(old);
}

/* With the lock held. */
static void take_cluster(struct kgd_writer *w)
{
	if (!w->cluster_next)
		return;
	cluster_free(w->cluster);
	w->cluster = w->cluster_next;
	w->cluster_next = NULL;
}

/* ---- the thread ---- */

/* One bad request must not take the others with it: where a batch fails, each goes alone. */
static void apply_batch(struct kgd_writer *w, struct kgd_batch *b)
{
	struct kg_error err;
	uint64_t revision;
	int rc = kgd_writer_apply(w, b, &revision, &err);

	if (rc == 0 || !b->requests || !b->requests->next) {
		if (rc < 0 && !b->requests)
			kgd_writer_set_health(w, err.msg);
		kgd_batch_answer(b, rc, revision, &err);
		kgd_batch_release(b);
		return;
	}
	struct kgd_request *list = b->requests;
	kgd_batch_release(b);
	while (list) {
		struct kgd_request *req = list;
		struct kgd_batch one = {
			.requests = req, .push = req->type == KGD_PUSH ? req : NULL};

		list = req->next;
		req->next = NULL;
		kg_buf_clear(&req->push.plan);
		rc = kgd_writer_apply(w, &one, &revision, &err);
		kgd_batch_answer(&one, rc, revision, &err);
		kgd_batch_release(&one);
	}
}

/* Takes what is pending up to and with the first push: the next push is a commit of its own. */
static void take(struct kgd_writer *w, struct kgd_batch *b)
{
	struct kgd_request **end = &w->head;
	int64_t now = kg_monotonic_ns();

	while (*end) {
		bool push = (*end)->type == KGD_PUSH;

		if (push && kgd_push_goes_alone(&(*end)->push) && end != &w->head)
			break;
		kg_histogram_observe(&w->queued, now - (*end)->submitted_ns);
		if (push)
			b->push = *end;
		end = &(*end)->next;
		w->pending--;
		if (push)
			break;
	}
	b->requests = w->head;
	w->head = *end;
	*end = NULL;
	if (!w->head)
		w->tail = &w->head;
}

/* Waits for requests or for wake_at. False: stop. */
static bool wait_for_work(struct kgd_writer *w)
{
	bool go;

	pthread_mutex_lock(&w->lock);
	while (!w->head && !w->stop && !w->cluster_next) {
		if (w->wake_at == KG_TIME_NEVER) {
			pthread_cond_wait(&w->cond, &w->lock);
			continue;
		}
		kg_time now = kgd_clock_read(&w->clock, kg_realtime_ms(), kg_monotonic_ms());
		if (now >= w->wake_at)
			break;
		int64_t in = w->wake_at - now;
		struct timespec ts;
		/* A slewed clock may run a tenth slower: wake up again and look. */
		clock_gettime(CLOCK_MONOTONIC, &ts);
		ts.tv_sec += in / 1000;
		ts.tv_nsec += (in % 1000) * 1000000;
		if (ts.tv_nsec >= 1000000000) {
			ts.tv_sec++;
			ts.tv_nsec -= 1000000000;
		}
		pthread_cond_timedwait(&w->cond, &w->lock, &ts);
	}
	go = w->head || !w->stop;
	pthread_mutex_unlock(&w->lock);
	return go;
}

static void retry_main(struct kgd_writer *w)
{
	struct kg_snapshot *s = kg_hub_snapshot(w->hub);
	struct kg_error err;

	if (kgd_writer_hold_main(w, s, &err) < 0)
		kgd_writer_set_health(w, err.msg);
	else if (!w->commit_failed)
		kgd_writer_set_health(w, "");
	kg_snapshot_unref(s);
}

static void *run(void *arg)
{
	struct kgd_writer *w = arg;

	while (wait_for_work(w)) {
		struct kgd_batch b = {0};

		pthread_mutex_lock(&w->lock);
		take(w, &b);
		take_cluster(w);
		pthread_mutex_unlock(&w->lock);
		if (w->main_behind)
			retry_main(w);
		apply_batch(w, &b);
	}
	return NULL;
}

static void writer_free(struct kgd_writer *w)
{
	kg_reconcile_state_free(w->state);
	kg_arena_release(&w->arena);
	cluster_free(w->cluster);
	cluster_free(w->cluster_next);
	pthread_cond_destroy(&w->cond);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

int kgd_writer_start(
	struct kgd_writer **out, const struct kgd_writer_options *opts, struct kg_error *err)
{
	struct kgd_writer *w = kg_alloc(sizeof(*w));
	struct kg_snapshot *head = kg_hub_snapshot(opts->hub);
	struct kgd_batch first = {.full = true};
	uint64_t revision;
	pthread_condattr_t attr;

	w->store = opts->store;
	w->hub = opts->hub;
	w->ropts = opts->reconcile;
	w->reconciler = kg_reconcile_options_value(&w->arena, &w->ropts);
	w->hold_main = opts->hold_main;
	w->hold_ctx = opts->ctx;
	w->cluster = opts->cluster ? cluster_copy(opts->cluster) : NULL;
	w->max_pending = opts->max_pending ? opts->max_pending : 100000;
	w->wake_at = KG_TIME_NEVER;
	w->tail = &w->head;
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->cond, &attr);
	pthread_condattr_destroy(&attr);
	kgd_clock_start(&w->clock, head->time, kg_realtime_ms(), kg_monotonic_ms());
	w->state = kg_reconcile_state_new(head, &w->ropts);
	kg_snapshot_unref(head);
	/* The store may have found no room to bring it along. */
	w->main_behind = true;

	int rc = kgd_writer_apply(w, &first, &revision, err);
	kgd_batch_release(&first);
	/* What is due is tried again; until there is room the cluster is served as it is. */
	if (rc == -KG_E_NO_SPACE)
		rc = 0;
	if (rc == 0 && pthread_create(&w->thread, NULL, run, w) != 0)
		rc = kg_fail(err, KG_E_IO, "start the writer's thread");
	if (rc < 0) {
		writer_free(w);
		return rc;
	}
	*out = w;
	return 0;
}

void kgd_writer_stop(struct kgd_writer *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->cond);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	writer_free(w);
}

void kgd_writer_submit(struct kgd_writer *w, struct kgd_request *req)
{
	bool refused, stop;

	pthread_mutex_lock(&w->lock);
	stop = w->stop;
	refused = stop || w->pending >= w->max_pending;
	if (!refused) {
		req->next = NULL;
		req->submitted_ns = kg_monotonic_ns();
		*w->tail = req;
		w->tail = &req->next;
		w->pending++;
		pthread_cond_signal(&w->cond);
	}
	pthread_mutex_unlock(&w->lock);
	if (refused) {
		atomic_fetch_add(&w->refused, 1);
		struct kg_error err;
		int rc = stop ? kg_fail(&err, KG_E_UNAVAILABLE, "kgitd is stopping; try again")
			      : kg_fail(&err, KG_E_TOO_MANY,
					"%zu requests wait for the writer; try again",
					w->max_pending);

		kgd_request_answer(req, rc, 0, &err);
	}
}

void kgd_writer_health(struct kgd_writer *w, char out[256])
{
	pthread_mutex_lock(&w->lock);
	memcpy(out, w->health, sizeof(w->health));
	pthread_mutex_unlock(&w->lock);
}

void kgd_writer_metrics(struct kgd_writer *w, struct kg_buf *out)
{
	pthread_mutex_lock(&w->lock);
	size_t pending = w->pending;
	pthread_mutex_unlock(&w->lock);
	kg_metric_one(out, "kgit_writer_queue", "gauge", "Requests that wait for the writer.",
		(double)pending);
	kg_metric_one(out, "kgit_writer_queue_max", "gauge", "More than so many are refused.",
		(double)w->max_pending);
	kg_metric_one(out, "kgit_writer_refused_total", "counter", "Requests refused for that.",
		(double)w->refused);
	kg_metric_head(out, "kgit_writer_queue_duration_seconds", "histogram",
		"From a request's submission until the writer takes it.");
	kg_metric_histogram(out, "kgit_writer_queue_duration_seconds", "", &w->queued);
	kg_metric_head(out, "kgit_reconcile_duration_seconds", "histogram",
		"One reconcile: controllers and scheduler, to the fixpoint.");
	kg_metric_histogram(out, "kgit_reconcile_duration_seconds", "", &w->reconciles);
	kg_metric_head(out, "kgit_commit_duration_seconds", "histogram",
		"One commit, until it is durable.");
	kg_metric_histogram(out, "kgit_commit_duration_seconds", "", &w->commits);
	kg_metric_one(out, "kgit_commit_failures_total", "counter",
		"Commits that the store could not make.", (double)w->failed);
	kg_metric_one(out, "kgit_push_conflicts_total", "counter",
		"Pushes refused because another one came first.", (double)w->conflicts);
}
