#include "common/verify.h"

#include "common/pushed.h"
#include "kinds/annotations.h"
#include "reconcile/inputs.h"
#include "reconcile/step.h"
#include "store/replay.h"
#include "store/settings.h"

#include <stdio.h>
#include <string.h>

/* What was admitted once is not measured again; these only keep a history that somebody forged from
 * eating the memory. */
#define MAX_FILES 1000000
#define MAX_FILE  (256UL << 20)
#define MAX_TEXT  (1UL << 30) /* of all that one push changed */

#define MAX_SHOWN 20

struct verify {
	const struct kg_verify_options *o;
	struct kg_verify_result *out;
	struct kg_store *store;
	/* Where it stands; NULL: nowhere, it has to be loaded. */
	struct kg_snapshot *at;
	struct kg_replay *replay;
	struct kg_reconcile_state *state;
	struct kg_arena options_arena;
	struct kg_value options;          /* of the state; the arena's */
	const struct kg_changes *changes; /* of the revision in hand, as they are recorded */
	/* Revisions that cannot be judged, one after the other, and why. */
	uint64_t cannot_from, cannot_to;
	char why[200];
	size_t told;
	struct kg_error *err;
	int rc;
};

static void leave(struct verify *v)
{
	kg_snapshot_unref(v->at);
	v->at = NULL;
	kg_replay_free(v->replay);
	v->replay = NULL;
	kg_reconcile_state_free(v->state);
	v->state = NULL;
	kg_arena_release(&v->options_arena);
	v->options = kg_v_null();
}

/* ---- what can be judged ---- */

/* Why the revision cannot be judged; false (and nothing is written): it can. */
static bool is_foreign(char why[200], const struct kg_store_revision *r)
{
	int64_t number = kg_int(kg_get(&r->reconciler, "number"), 0);

	if (r->format < 2 || number < 1)
		snprintf(why, 200, "made by an earlier kgit, which did not record its inputs");
	else if (number != KG_RECONCILER)
		snprintf(why, 200,
			"made by reconciler %lld, this kgit has reconciler %d: verify it with the "
			"kgit that made it",
			(long long)number, KG_RECONCILER);
	else
		return false;
	return true;
}

static void tell_cannot(struct verify *v)
{
	if (v->cannot_from)
		v->o->cannot(v->o->ctx, v->cannot_from, v->cannot_to, v->why);
	v->cannot_from = 0;
}

static void cannot(struct verify *v, uint64_t revision, const char *why)
{
	if (v->cannot_from && strcmp(v->why, why) != 0)
		tell_cannot(v);
	if (!v->cannot_from)
		v->cannot_from = revision;
	v->cannot_to = revision;
	snprintf(v->why, sizeof(v->why), "%s", why);
	v->out->unjudged++;
	leave(v);
}

/* The first revision that can be judged, given that those before it cannot and those behind it can;
 * to + 1: there is none. */
static int find_first(uint64_t *first, struct verify *v, struct kg_error *err)
{
	uint64_t low = v->o->from, high = v->o->to + 1;

	while (low < high) {
		struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
		struct kg_store_revision r;
		uint64_t mid = low + (high - low) / 2;
		int rc = kg_store_revision_read(&r, v->store, &a, mid, err);

		if (rc < 0)
			return rc;
		if (is_foreign(v->out->why, &r))
			low = mid + 1;
		else
			high = mid;
	}
	*first = low;
	return 0;
}

/* ---- differences ---- */

static void differs(struct verify *v, uint64_t revision, const char *path, const char *recorded,
	const char *recomputed)
{
	struct kg_verify_difference d = {revision, path, recorded, recomputed};

	v->told++;
	v->o->differs(v->o->ctx, &d);
}

struct telling {
	struct verify *v;
	uint64_t revision;
};

static void tell_file(void *ctx, const char *path, const char *recorded, const char *recomputed)
{
	struct telling *t = ctx;

	differs(t->v, t->revision, path, recorded, recomputed);
}

static int compare(struct verify *v, const struct kg_store_revision *r, struct kg_error *err)
{
	struct telling t = {v, r->revision};
	char tree[41];
	size_t n = 0;

	kg_replay_tree(v->replay, tree);
	if (strcmp(r->commit, v->at->commit) == 0)
		return 0;
	if (strcmp(tree, r->tree) != 0) {
		int rc = kg_replay_diff(&n, v->replay,
			v->o->max_shown ? v->o->max_shown : MAX_SHOWN, tell_file, &t, err);

		/* Trees that are none of ours in shape differ as a whole. */
		if (rc == -KG_E_CORRUPT)
			differs(v, r->revision, "", err->msg, NULL);
		else if (rc < 0)
			return rc;
		else if (n == 0)
			differs(v, r->revision, "",
				"the root of its tree holds what no revision has", NULL);
		if (n > v->told)
			v->o->differs_more(v->o->ctx, r->revision, n - v->told);
	}
	differs(v, r->revision, "commit", r->text, kg_replay_text(v->replay));
	return 0;
}

/* ---- the inputs ---- */

/* A CronJob's time zone has the rule that was noted with it. */
static bool zone_rule(void *ctx, const char *name, char rule[KG_ZONE_RULE_SIZE])
{
	const struct verify *v = ctx;

	for (size_t i = 0; i < v->changes->len; i++) {
		const struct kg_object *obj = v->changes->items[i].after;
		const char *text;

		if (!obj || obj->kind->id != KG_KIND_CRONJOB ||
			strcmp(kg_string(kg_at(kg_obj(obj), "spec.timeZone"), ""), name) != 0)
			continue;
		text = kg_string(
			kg_get(kg_at(kg_obj(obj), "metadata.annotations"), KG_ZONE_ANNOTATION), "");
		if (!*text || strlen(text) >= KG_ZONE_RULE_SIZE)
			continue;
		memcpy(rule, text, strlen(text) + 1);
		return true;
	}
	return false;
}

/* The kinds that main's own settings have passed over. */
static int read_ignored(const char *const **out, struct kg_arena *a, struct kg_store *store,
	const char *commit, struct kg_error *err)
{
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	struct kg_fault_list faults;
	struct kg_settings s = {0};
	int rc = kg_store_settings_text(&text, store, commit, NULL, err);

	kg_faults_init(&faults, a);
	if (rc == 0)
		kg_settings_parse(&s, a, kg_buf_str(&text), text.len, &faults);
	kg_faults_release(&faults);
	*out = s.ignored_kinds;
	return rc == -KG_E_NOT_FOUND ? 0 : rc;
}

/* What the push desires, by the manifests in main. What was admitted is not judged again: on what
 * the faults depend may have changed between the judgement and the commit, and the kgit that judged
 * may have had fewer rules. */
static int read_push(struct kg_inputs *in, struct verify *v, const struct kg_store_revision *r,
	struct kg_arena *a, struct kg_error *err)
{
	struct kg_pushed pushed = {.store = v->store,
		.old_commit = v->at->main_commit,
		.new_commit = r->parent2,
		.max_files = MAX_FILES,
		.max_file = MAX_FILE,
		.max_text = MAX_TEXT};
	struct kg_admission_options how = {.admitted = true};
	struct kg_admission_file *files;
	struct kg_fault_list ignored;
	struct kg_admission admission;
	size_t n;
	bool all;
	int rc = kg_pushed_files(&files, &n, &all, &pushed, a, err);

	if (rc == 0)
		rc = read_ignored(&how.ignored_kinds, a, v->store, r->parent2, err);
	if (rc < 0)
		return rc;
	kg_faults_init(&ignored, a);
	kg_admit(&admission, v->at, files, n, all, &how, a, &ignored);
	kg_faults_release(&ignored);
	in->desired = admission.desired;
	in->ndesired = admission.n;
	return 0;
}

/* ---- one revision ---- */

/* The state of a reconciler that is set up as the one that made the revision. */
static void set_up(struct verify *v, const struct kg_store_revision *r)
{
	struct kg_reconcile_options opts;

	if (v->state && kg_equal(&v->options, &r->reconciler))
		return;
	kg_reconcile_state_free(v->state);
	kg_arena_release(&v->options_arena);
	v->options = kg_deep_copy(&v->options_arena, &r->reconciler);
	kg_reconcile_options_read(&opts, &v->options);
	opts.zone = zone_rule;
	opts.zone_ctx = v;
	v->state = kg_reconcile_state_new(v->at, &opts);
}

static int stand_before(struct verify *v, const struct kg_store_revision *r, struct kg_error *err)
{
	int rc = v->at ? 0 : kg_store_load_at(&v->at, v->store, r->revision - 1, err);

	if (rc == 0 && !v->replay)
		rc = kg_replay_new(&v->replay, v->store, r->revision - 1, err);
	if (rc == 0)
		set_up(v, r);
	return rc;
}

/* Makes the step that the revision was; where that fails it is no fault of the history's being
 * unreadable, but a difference. */
static int make_step(struct kg_step *step, struct verify *v, const struct kg_store_revision *r,
	struct kg_arena *a, struct kg_inputs *in, struct kg_error *err)
{
	bool skipped = false;
	int rc = kg_inputs_read(in, &skipped, a, r->inputs, v->at, v->changes, err);

	if (rc == 0 && r->time < v->at->time)
		rc = kg_fail(err, KG_E_CORRUPT, "its clock is behind that of the one before");
	if (rc < 0)
		return rc;
	in->now = r->time;
	if (skipped) {
		kg_step_skip(step, r->time);
		return 0;
	}
	if (*r->parent2) {
		step->user = kg_step_user(a, r->message);
		step->new_commit = r->parent2;
		if (!step->user)
			return kg_fail(err, KG_E_CORRUPT,
				"it has a second parent, but its message is not a push's");
		rc = read_push(in, v, r, a, err);
	}
	if (rc == 0)
		rc = kg_step_run(step, v->state, err);
	if (rc == 0)
		kg_step_describe(step, v->state);
	return rc;
}

static int again(struct kg_step *step, struct verify *v, const struct kg_store_revision *r,
	struct kg_error *err)
{
	struct kg_store_commit c = {.next = step->next,
		.prev = v->at,
		.changes = &step->changes,
		.message = kg_buf_str(&step->message),
		.author = step->author.len ? step->author.data : NULL,
		.parent2 = *r->parent2 ? r->parent2 : NULL,
		.inputs = kg_buf_str(&step->record),
		.reconciler = &v->options};
	int rc = kg_replay_commit(v->replay, &c, err);

	if (rc < 0)
		return rc;
	kg_snapshot_unref(v->at);
	v->at = kg_snapshot_ref(step->next);
	return compare(v, r, err);
}

static bool is_verdict(int rc)
{
	return rc == -KG_E_CORRUPT || rc == -KG_E_INVALID;
}

static int judge(struct verify *v, const struct kg_store_revision *r, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_step step KG_CLEANUP(kg_step_release) = {0};
	struct kg_inputs in;
	int rc = stand_before(v, r, err);

	if (rc < 0)
		return rc;
	v->told = 0;
	step.prev = v->at;
	step.inputs = &in;
	rc = make_step(&step, v, r, &a, &in, err);
	if (rc == 0)
		rc = again(&step, v, r, err);
	if (is_verdict(rc)) {
		differs(v, r->revision, "", err->msg, NULL);
		rc = 0;
	}
	if (rc == 0 && v->told) {
		v->out->differ++;
		leave(v);
	} else if (rc == 0) {
		v->out->proven++;
	}
	return rc;
}

/* As kg_store_changes' callback: non-zero ends it. */
static int one(void *ctx, uint64_t revision, kg_time time, const struct kg_changes *changes)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct verify *v = ctx;
	struct kg_store_revision r;
	char why[200];

	(void)time;
	v->changes = changes;
	v->rc = kg_store_revision_read(&r, v->store, &a, revision, v->err);
	if (v->rc < 0)
		return 1;
	if (is_foreign(why, &r)) {
		cannot(v, revision, why);
	} else {
		tell_cannot(v);
		v->rc = judge(v, &r, v->err);
	}
	if (v->o->progress)
		v->o->progress(v->o->ctx, revision);
	return v->rc < 0 || (v->out->differ && !v->o->keep_going);
}

int kg_verify(struct kg_verify_result *out, struct kg_store *store,
	const struct kg_verify_options *opts, struct kg_error *err)
{
	struct verify v = {.o = opts, .out = out, .store = store, .err = err};
	uint64_t first = opts->from;
	int rc = 0;

	*out = (struct kg_verify_result){.from = first};
	if (opts->first_possible)
		rc = find_first(&first, &v, err);
	if (rc < 0)
		return rc;
	out->from = first;
	if (first <= opts->to)
		rc = kg_store_changes(store, first - 1, opts->to, 0, one, &v, err);
	if (rc == 0)
		rc = v.rc;
	tell_cannot(&v);
	leave(&v);
	return rc;
}
