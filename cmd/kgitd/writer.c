#include "kgitd/writer.h"

#include "base/log.h"
#include "base/map.h"
#include "base/metrics.h"
#include "kgitd/clock.h"
#include "sys/loop.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Lines of the plan that a pusher is told; the rest is counted. */
#define PUSH_LINES 400
/* How long the writer waits before it tries again to commit what timers made due. */
#define RETRY_MS 1000

struct kgd_writer {
	struct kg_store *store;
	struct kg_hub *hub;
	struct kg_reconcile_options ropts;
	struct kg_arena arena;
	struct kg_value reconciler; /* ropts as recorded; the arena's */
	int (*hold_main)(void *ctx, const struct kg_snapshot *s, struct kg_error *err);
	void *hold_ctx;
	bool main_behind;   /* a push's main could not follow yet */
	bool commit_failed; /* the last one */
	struct kg_reconcile_state *state;
	struct kg_input_cluster *cluster; /* owned; NULL: not said yet */
	struct kgd_clock clock;
	kg_time wake_at; /* cluster time */
	pthread_t thread;
	size_t max_pending;

	pthread_mutex_t lock; /* what follows */
	pthread_cond_t cond;
	struct kgd_request *head, **tail;
	size_t pending;
	struct kg_input_cluster *cluster_next; /* owned; NULL: no other */
	bool stop;
	char health[256];

	/* for /metrics */
	struct kg_histogram reconciles, commits, queued;
	_Atomic uint64_t failed, refused, conflicts;
};

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

/* The requests that one commit answers, and the inputs made of them. */
struct batch {
	struct kgd_request *requests; /* in order of arrival */
	struct kgd_request *push;     /* the one push among them, or NULL */
	struct kg_input_node *nodes;
	struct kg_input_liveness *liveness;
	struct kg_input_pod_status *pods;
	struct kg_input_eviction *evictions;
	struct kg_inputs inputs;
	bool full;
};

struct kgd_request *kgd_request_new(enum kgd_request_type type)
{
	struct kgd_request *req = kg_alloc(sizeof(*req));

	req->type = type;
	return req;
}

void kgd_request_free(struct kgd_request *req)
{
	if (!req)
		return;
	kg_buf_release(&req->push.plan);
	kg_arena_release(&req->arena);
	free(req);
}

static void answer(struct kgd_request *req, int rc, uint64_t revision, const struct kg_error *err)
{
	if (req->done)
		req->done(req, rc, revision, err);
	kgd_request_free(req);
}

static void answer_all(struct batch *b, int rc, uint64_t revision, const struct kg_error *err)
{
	while (b->requests) {
		struct kgd_request *req = b->requests;

		b->requests = req->next;
		answer(req, rc, revision, err);
	}
	b->push = NULL;
}

/* ---- a batch's inputs: of several words on one thing the last one counts ---- */

static void *last_by_name(struct kg_map *seen, const char *name, void *item)
{
	void *slot = kg_map_get(seen, name);

	if (!slot)
		kg_map_put(seen, name, item);
	return slot;
}

static void add_node(struct batch *b, struct kg_map *seen, const struct kgd_request *req)
{
	if (!req->node.name)
		return;
	struct kg_input_node *slot =
		last_by_name(seen, req->node.name, &b->nodes[b->inputs.nnodes]);

	if (!slot)
		slot = &b->nodes[b->inputs.nnodes++];
	*slot = req->node;
}

static void add_liveness(struct batch *b, struct kg_map *seen, const struct kgd_request *req)
{
	if (!req->liveness.name)
		return;
	struct kg_input_liveness *slot =
		last_by_name(seen, req->liveness.name, &b->liveness[b->inputs.nliveness]);

	if (!slot)
		slot = &b->liveness[b->inputs.nliveness++];
	*slot = req->liveness;
}

static void add_pods(struct batch *b, struct kg_map *seen, const struct kgd_request *req)
{
	for (size_t i = 0; i < req->npods; i++) {
		const struct kg_input_pod_status *p = &req->pods[i];
		struct kg_input_pod_status *slot =
			last_by_name(seen, p->uid, &b->pods[b->inputs.npods]);

		if (!slot)
			slot = &b->pods[b->inputs.npods++];
		else if (slot->gone)
			continue; /* gone is final */
		*slot = *p;
	}
}

/* What the push desires on this very revision: it may have been judged on an earlier one. */
static void add_desired(struct batch *b, const struct kg_snapshot *prev)
{
	struct kgd_request *req = b->push;
	const struct kg_admission *a = req->push.admission;
	struct kg_admission now = *a;

	if (a->revision != prev->revision)
		kg_admission_renew(&now, a, prev, &req->arena);
	b->inputs.desired = now.desired;
	b->inputs.ndesired = now.n;
}

static void batch_inputs(struct batch *b, const struct kg_snapshot *prev, kg_time now)
{
	struct kg_map nodes KG_CLEANUP(kg_map_release) = KG_MAP_INIT;
	struct kg_map liveness KG_CLEANUP(kg_map_release) = KG_MAP_INIT;
	struct kg_map pods KG_CLEANUP(kg_map_release) = KG_MAP_INIT;
	size_t n = 1, npods = 1;

	for (struct kgd_request *r = b->requests; r; r = r->next) {
		n++;
		npods += r->npods;
	}
	b->nodes = kg_alloc(n * sizeof(*b->nodes));
	b->liveness = kg_alloc(n * sizeof(*b->liveness));
	b->pods = kg_alloc(npods * sizeof(*b->pods));
	b->evictions = kg_alloc(n * sizeof(*b->evictions));
	b->inputs = (struct kg_inputs){.now = now, .full = b->full};
	for (struct kgd_request *r = b->requests; r; r = r->next) {
		add_node(b, &nodes, r);
		add_liveness(b, &liveness, r);
		add_pods(b, &pods, r);
		if (r->eviction.name) {
			r->eviction.why = &r->eviction_why;
			b->evictions[b->inputs.nevictions++] = r->eviction;
		}
	}
	b->inputs.nodes = b->nodes;
	b->inputs.liveness = b->liveness;
	b->inputs.pods = b->pods;
	b->inputs.evictions = b->evictions;
	if (b->push)
		add_desired(b, prev);
}

static void batch_release(struct batch *b)
{
	free(b->nodes);
	free(b->liveness);
	free(b->pods);
	free(b->evictions);
	*b = (struct batch){0};
}

/* ---- one commit ---- */

/* Main as the snapshot has it: it is not where a crash or a lock kept it from following, or where
 * somebody moved it by another road than a push. */
static int hold_main(struct kgd_writer *w, const struct kg_snapshot *s, struct kg_error *err)
{
	int rc = w->hold_main ? w->hold_main(w->hold_ctx, s, err) : 0;

	w->main_behind = rc < 0;
	return rc;
}

static int check_main(struct kgd_writer *w, const struct kg_snapshot *s, const struct kgd_push *p,
	struct kg_error *err)
{
	if (strcmp(s->main_commit, p->old_commit) != 0) {
		atomic_fetch_add(&w->conflicts, 1);
		return kg_fail(err, KG_E_CONFLICT,
			"another push came first: main is at %.12s by now; git pull, then push "
			"again",
			*s->main_commit ? s->main_commit : "nothing");
	}
	return hold_main(w, s, err);
}

static int commit(struct kgd_writer *w, struct batch *b, struct kg_step *step, struct kg_error *err)
{
	kg_step_describe(step, w->state);
	struct kg_store_commit c = {.next = step->next,
		.prev = step->prev,
		.changes = &step->changes,
		.message = kg_buf_str(&step->message),
		.author = step->author.len ? step->author.data : NULL,
		.parent2 = b->push ? b->push->push.new_commit : NULL,
		.inputs = kg_buf_str(&step->record),
		.reconciler = &w->reconciler};

	return kg_store_commit(w->store, &c, err);
}

/* Is a push applied with nothing else: to be thrown away, or held against a plan. */
static bool goes_alone(const struct kgd_push *p)
{
	return p->dry_run || *p->want_plan;
}

/* Says what the push does, and whether that is what it was to do. */
static int make_plan(struct kgd_push *p, const struct kg_changes *changes, struct kg_error *err)
{
	struct kg_plan_options opts = {.max_lines = PUSH_LINES};

	kg_plan_write(&p->plan, changes, &opts);
	if (goes_alone(p))
		kg_plan_id(p->plan_id, changes);
	if (!*p->want_plan || strcmp(p->want_plan, p->plan_id) == 0)
		return 0;
	return kg_fail(err, KG_E_CONFLICT,
		"the plan is %s by now, not %s: something moved since. Look again (kgit diff, or "
		"git push -o dry-run), then push with -o plan=%s",
		p->plan_id, p->want_plan, p->plan_id);
}

static void renew_state(struct kgd_writer *w, const struct kg_snapshot *s)
{
	kg_reconcile_state_free(w->state);
	w->state = kg_reconcile_state_new(s, &w->ropts);
}

static void set_health(struct kgd_writer *w, const char *text)
{
	char now[sizeof(w->health)];

	snprintf(now, sizeof(now), "%s", text);
	pthread_mutex_lock(&w->lock);
	bool news = strcmp(now, w->health) != 0;
	memcpy(w->health, now, sizeof(now));
	pthread_mutex_unlock(&w->lock);
	if (news && *now)
		kg_error_log("%s", now);
	else if (news)
		kg_info("revisions can be committed again, and main follows");
}

/* Reconcile's result for a batch; the state has moved along with it. */
static int reconcile(struct kgd_writer *w, struct kg_step *step, struct kg_error *err)
{
	int64_t began = kg_monotonic_ns();
	int rc = kg_step_run(step, w->state, err);

	kg_histogram_observe(&w->reconciles, kg_monotonic_ns() - began);
	if (rc == 0)
		w->wake_at = step->wake_at;
	return rc;
}

/* The state commit is the commit point; main follows. Where it cannot, it is tried once more at
 * once (what was wrong may be over), and then again and again. */
static void move_main(struct kgd_writer *w, const struct kgd_push *p)
{
	char text[sizeof(w->health)];
	struct kg_error err;

	if (kg_store_set_main(w->store, p->old_commit, p->new_commit, &err) == 0)
		return;
	kg_error_log("main could not follow at once: %s", err.msg);
	if (kg_store_set_main(w->store, p->old_commit, p->new_commit, &err) == 0)
		return;
	snprintf(text, sizeof(text),
		"the push of %.12s is committed, but main could not follow yet: %.160s",
		p->new_commit, err.msg);
	w->main_behind = true;
	set_health(w, text);
}

/* Commits and publishes; main follows when watchers and nodes have been told. */
static int make_revision(
	struct kgd_writer *w, struct batch *b, struct kg_step *step, struct kg_error *err)
{
	int64_t began = kg_monotonic_ns();
	int rc = commit(w, b, step, err);

	if (rc == 0)
		kg_histogram_observe(&w->commits, kg_monotonic_ns() - began);
	else
		atomic_fetch_add(&w->failed, 1);
	w->commit_failed = rc < 0;
	if (rc < 0) {
		set_health(w, err->msg);
		return rc;
	}
	if (!w->main_behind)
		set_health(w, "");
	kg_hub_publish(w->hub, kg_commit_event_new(step->next->revision, step->next->time,
				       &step->changes, step->next));
	if (b->push)
		move_main(w, &b->push->push);
	return 0;
}

/* What is undone is found again from the snapshot; not at once, since it may fail again. */
static void undo(struct kgd_writer *w, const struct kg_snapshot *s, kg_time again)
{
	renew_state(w, s);
	w->wake_at = again;
}

static int apply_inputs(struct kgd_writer *w, struct batch *b, const struct kg_snapshot *prev,
	uint64_t *revision, struct kg_error *err)
{
	struct kg_step step KG_CLEANUP(kg_step_release) = {.prev = prev, .inputs = &b->inputs};
	kg_time now = b->inputs.now;

	if (b->push) {
		step.user = b->push->push.user;
		step.new_commit = b->push->push.new_commit;
	}
	int rc = reconcile(w, &step, err);
	if (rc < 0) {
		undo(w, prev, now + RETRY_MS);
		return rc;
	}
	if (b->push)
		rc = make_plan(&b->push->push, &step.changes, err);
	if (rc < 0 || (b->push && b->push->push.dry_run)) {
		undo(w, prev, now);
	} else if (step.changes.len || b->push) {
		rc = make_revision(w, b, &step, err);
		if (rc < 0)
			undo(w, prev, now + RETRY_MS);
		else
			*revision = step.next->revision;
	} else if (!w->commit_failed && !w->main_behind) {
		set_health(w, "");
	}
	return rc;
}

/* Applies a batch: 0 and *revision, or an error after which nothing has changed. */
static int apply(struct kgd_writer *w, struct batch *b, uint64_t *revision, struct kg_error *err)
{
	struct kg_snapshot *prev = kg_hub_snapshot(w->hub);
	kg_time now = kgd_clock_read(&w->clock, kg_realtime_ms(), kg_monotonic_ms());
	int rc = 0;

	*revision = prev->revision;
	batch_inputs(b, prev, now);
	b->inputs.cluster = w->cluster;
	if (b->push)
		rc = check_main(w, prev, &b->push->push, err);
	if (rc == 0)
		rc = apply_inputs(w, b, prev, revision, err);
	if (w->main_behind && w->wake_at > now + RETRY_MS)
		w->wake_at = now + RETRY_MS;
	kg_snapshot_unref(prev);
	return rc;
}

/* One bad request must not take the others with it: where a batch fails, each goes alone. */
static void apply_batch(struct kgd_writer *w, struct batch *b)
{
	struct kg_error err;
	uint64_t revision;
	int rc = apply(w, b, &revision, &err);

	if (rc == 0 || !b->requests || !b->requests->next) {
		if (rc < 0 && !b->requests)
			set_health(w, err.msg);
		answer_all(b, rc, revision, &err);
		batch_release(b);
		return;
	}
	struct kgd_request *list = b->requests;
	batch_release(b);
	while (list) {
		struct kgd_request *req = list;
		struct batch one = {.requests = req, .push = req->type == KGD_PUSH ? req : NULL};

		list = req->next;
		req->next = NULL;
		kg_buf_clear(&req->push.plan);
		rc = apply(w, &one, &revision, &err);
		answer_all(&one, rc, revision, &err);
		batch_release(&one);
	}
}

/* ---- the thread ---- */

/* Takes what is pending up to and with the first push: the next push is a commit of its own. */
static void take(struct kgd_writer *w, struct batch *b)
{
	struct kgd_request **end = &w->head;
	int64_t now = kg_monotonic_ns();

	while (*end) {
		bool push = (*end)->type == KGD_PUSH;

		if (push && goes_alone(&(*end)->push) && end != &w->head)
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

	if (hold_main(w, s, &err) < 0)
		set_health(w, err.msg);
	else if (!w->commit_failed)
		set_health(w, "");
	kg_snapshot_unref(s);
}

static void *run(void *arg)
{
	struct kgd_writer *w = arg;

	while (wait_for_work(w)) {
		struct batch b = {0};

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
	struct batch first = {.full = true};
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

	int rc = apply(w, &first, &revision, err);
	batch_release(&first);
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

		answer(req, rc, 0, &err);
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
