/* One commit: what a batch asks for is reconciled, committed and published, and main follows. */
#include "kgitd/writer_private.h"

#include "base/log.h"
#include "sys/loop.h"

#include <stdio.h>
#include <string.h>

/* Lines of the plan that a pusher is told; the rest is counted. */
#define PUSH_LINES 400

int kgd_writer_hold_main(struct kgd_writer *w, const struct kg_snapshot *s, struct kg_error *err)
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
	return kgd_writer_hold_main(w, s, err);
}

static int commit(
	struct kgd_writer *w, struct kgd_batch *b, struct kg_step *step, struct kg_error *err)
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

bool kgd_push_goes_alone(const struct kgd_push *p)
{
	return p->dry_run || *p->want_plan;
}

/* Says what the push does, and whether that is what it was to do. */
static int make_plan(struct kgd_push *p, const struct kg_changes *changes, struct kg_error *err)
{
	struct kg_plan_options opts = {.max_lines = PUSH_LINES};

	kg_plan_write(&p->plan, changes, &opts);
	if (kgd_push_goes_alone(p))
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

void kgd_writer_set_health(struct kgd_writer *w, const char *text)
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
	kgd_writer_set_health(w, text);
}

/* Commits and publishes; main follows when watchers and nodes have been told. */
static int make_revision(
	struct kgd_writer *w, struct kgd_batch *b, struct kg_step *step, struct kg_error *err)
{
	int64_t began = kg_monotonic_ns();
	int rc = commit(w, b, step, err);

	if (rc == 0)
		kg_histogram_observe(&w->commits, kg_monotonic_ns() - began);
	else
		atomic_fetch_add(&w->failed, 1);
	w->commit_failed = rc < 0;
	if (rc < 0) {
		kgd_writer_set_health(w, err->msg);
		return rc;
	}
	if (!w->main_behind)
		kgd_writer_set_health(w, "");
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

static int apply_inputs(struct kgd_writer *w, struct kgd_batch *b, const struct kg_snapshot *prev,
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
		undo(w, prev, now + KGD_RETRY_MS);
		return rc;
	}
	if (b->push)
		rc = make_plan(&b->push->push, &step.changes, err);
	if (rc < 0 || (b->push && b->push->push.dry_run)) {
		undo(w, prev, now);
	} else if (step.changes.len || b->push) {
		rc = make_revision(w, b, &step, err);
		if (rc < 0)
			undo(w, prev, now + KGD_RETRY_MS);
		else
			*revision = step.next->revision;
	} else if (!w->commit_failed && !w->main_behind) {
		kgd_writer_set_health(w, "");
	}
	return rc;
}

int kgd_writer_apply(
	struct kgd_writer *w, struct kgd_batch *b, uint64_t *revision, struct kg_error *err)
{
	struct kg_snapshot *prev = kg_hub_snapshot(w->hub);
	kg_time now = kgd_clock_read(&w->clock, kg_realtime_ms(), kg_monotonic_ms());
	int rc = 0;

	*revision = prev->revision;
	kgd_batch_inputs(b, prev, now);
	b->inputs.cluster = w->cluster;
	if (b->push)
		rc = check_main(w, prev, &b->push->push, err);
	if (rc == 0)
		rc = apply_inputs(w, b, prev, revision, err);
	if (w->main_behind && w->wake_at > now + KGD_RETRY_MS)
		w->wake_at = now + KGD_RETRY_MS;
	kg_snapshot_unref(prev);
	return rc;
}
