/*
 * What the files of the writer share: its state, the batch of requests that one commit answers, and
 * that commit. Only the writer's own files include it; all is the writer's thread's but for what
 * stands below the lock.
 */
#ifndef KGITD_WRITER_PRIVATE_H
#define KGITD_WRITER_PRIVATE_H

#include "kgitd/writer.h"

#include "base/metrics.h"
#include "kgitd/clock.h"

#include <pthread.h>

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

/* ---- writer_batch.c ---- */

/* The requests that one commit answers, and the inputs made of them. */
struct kgd_batch {
	struct kgd_request *requests; /* in order of arrival */
	struct kgd_request *push;     /* the one push among them, or NULL */
	struct kg_input_node *nodes;
	struct kg_input_liveness *liveness;
	struct kg_input_pod_status *pods;
	struct kg_input_eviction *evictions;
	struct kg_inputs inputs;
	bool full;
};

/* Makes the batch's inputs of its requests, for a step from prev: of several words on one thing the
 * last one counts. */
void kgd_batch_inputs(struct kgd_batch *b, const struct kg_snapshot *prev, kg_time now);
/* Of the inputs; the requests have been answered. */
void kgd_batch_release(struct kgd_batch *b);
/* Answers a request and frees it. */
void kgd_request_answer(
	struct kgd_request *req, int rc, uint64_t revision, const struct kg_error *err);
void kgd_batch_answer(struct kgd_batch *b, int rc, uint64_t revision, const struct kg_error *err);

/* ---- writer_commit.c ---- */

/* How long the writer waits before it tries again to commit what timers made due. */
#define KGD_RETRY_MS 1000

/* Is a push applied with nothing else: to be thrown away, or held against a plan. */
bool kgd_push_goes_alone(const struct kgd_push *p);
/* Main as the snapshot has it: it is not where a crash or a lock kept it from following, or where
 * somebody moved it by another road than a push. */
int kgd_writer_hold_main(struct kgd_writer *w, const struct kg_snapshot *s, struct kg_error *err);
void kgd_writer_set_health(struct kgd_writer *w, const char *text);
/* Applies a batch: 0 and *revision, or an error after which nothing has changed. */
int kgd_writer_apply(
	struct kgd_writer *w, struct kgd_batch *b, uint64_t *revision, struct kg_error *err);

#endif
