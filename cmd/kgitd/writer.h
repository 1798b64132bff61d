/*
 * The writer: the one thread that reconciles and commits. Others hand it requests; it takes all
 * that is pending, applies it in memory, commits once (one commit a push, everything else folded
 * in), publishes, and only then answers.
 */
#ifndef KGITD_WRITER_H
#define KGITD_WRITER_H

#include "reconcile/admission.h"
#include "reconcile/plan.h"
#include "reconcile/step.h"
#include "store/store.h"
#include "watch/hub.h"

/* KGD_REPORT: what a node says or liveness says of it. KGD_CALL: nothing but `done`, which then
 * runs between two commits. */
enum kgd_request_type { KGD_PUSH, KGD_REPORT, KGD_CALL };

struct kgd_push {
	const char *user;    /* who pushed: "admin" */
	char old_commit[41]; /* what main must be; "" for absent */
	char new_commit[41];
	bool dry_run;
	/* The plan that it must have ("" for any): else KG_E_CONFLICT, and nothing is changed. */
	char want_plan[KG_PLAN_ID_LEN + 1];
	const struct kg_admission *admission;
	/* Out: the plan as text lines for the pusher, whether or not it was a dry run. */
	struct kg_buf plan;
	char plan_id[KG_PLAN_ID_LEN + 1]; /* of a dry run, and where one was wanted */
};

/*
 * One request. The maker allocates it with kgd_request_new, fills it from its arena and submits;
 * `done` is called once on the writer's thread, after which the request is freed.
 */
struct kgd_request {
	enum kgd_request_type type;
	struct kg_arena arena; /* owns everything below */
	struct kgd_push push;
	/* Of a report; each part may be absent (a NULL name, npods 0). */
	struct kg_input_node node;
	struct kg_input_liveness liveness;
	struct kg_input_pod_status *pods;
	size_t npods;
	struct kg_input_eviction eviction; /* of a report, too */
	char eviction_why[256];            /* out: why it was not granted; "" */
	/* rc 0: committed (or nothing to commit) as of `revision`. */
	void (*done)(
		struct kgd_request *req, int rc, uint64_t revision, const struct kg_error *err);
	void *ctx;
	unsigned attempt;     /* the maker's own */
	int64_t submitted_ns; /* the writer's */
	struct kgd_request *next;
};
struct kgd_request *kgd_request_new(enum kgd_request_type type);
void kgd_request_free(struct kgd_request *req);

struct kgd_writer;
struct kgd_writer_options {
	struct kg_store *store; /* borrowed */
	struct kg_hub *hub;     /* borrowed */
	struct kg_reconcile_options reconcile;
	const struct kg_input_cluster *cluster; /* as for kgd_writer_set_cluster; NULL: not known */
	size_t max_pending; /* requests; default 100,000: more are refused with KG_E_TOO_MANY */
	/* Makes main what the snapshot says, keeping what it was where that was no push of ours:
	 * called on the writer's thread before a push is judged and, until it succeeds, after one
	 * whose main could not follow. */
	int (*hold_main)(void *ctx, const struct kg_snapshot *s, struct kg_error *err);
	void *ctx;
};
/* Starts the thread: brings the head to a fixpoint first (what was due while kgitd was away).
 * Fails where that commit fails. */
int kgd_writer_start(
	struct kgd_writer **out, const struct kgd_writer_options *opts, struct kg_error *err);
/* Finishes what is pending, ends the thread and frees the writer: nobody may submit any more. */
void kgd_writer_stop(struct kgd_writer *w);
/* Takes over the request; refused ones are answered at once on the caller's thread. */
void kgd_writer_submit(struct kgd_writer *w, struct kgd_request *req);
/* What clients are to know of the master from now on; texts are copied. Any thread; committed where
 * the state says otherwise, as soon as that can be done. */
void kgd_writer_set_cluster(struct kgd_writer *w, const struct kg_input_cluster *in);
/* The last error of the store that still holds ("" while all is well): /readyz. */
void kgd_writer_health(struct kgd_writer *w, char out[256]);

/* What it did, for /metrics. */
void kgd_writer_metrics(struct kgd_writer *w, struct kg_buf *out);

#endif
