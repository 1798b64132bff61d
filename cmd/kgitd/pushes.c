/*
 * Pushes. pre-receive is where a push is judged, its objects still in quarantine; proc-receive is
 * where main moves: the writer reconciles and commits, and the pusher's "ok" means that the
 * revision is durable. Every ref of a push goes through proc-receive, so that the others are
 * refused where main is: a push takes effect whole or not at all.
 *
 * What pre-receive admitted is kept for its proc-receive, so that manifests are parsed once; it
 * stays true, because desired state changes only where main does, and the writer checks that.
 */
#include "kgitd/audit.h"
#include "kgitd/authorize.h"
#include "kgitd/hook.h"
#include "kgitd/rollout.h"
#include "store/refs.h"

#include <pthread.h>
#include <string.h>

#define MAIN "refs/heads/main"
#define KEPT 16

struct kgd_pushes {
	struct kgd_master *m;
	pthread_mutex_t lock;
	struct kgd_admitted *kept[KEPT]; /* newest first */
};

struct kgd_pushes *kgd_pushes_new(struct kgd_master *m)
{
	struct kgd_pushes *p = kg_alloc(sizeof(*p));

	p->m = m;
	pthread_mutex_init(&p->lock, NULL);
	return p;
}

void kgd_pushes_free(struct kgd_pushes *p)
{
	if (!p)
		return;
	for (int i = 0; i < KEPT; i++)
		kgd_admitted_free(p->kept[i]);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

/* ---- what was admitted ---- */

/* What starts from another main than the current one can no longer come to pass. */
static void forget_stale(struct kgd_pushes *p)
{
	struct kg_snapshot *s = kg_hub_snapshot(p->m->hub);

	pthread_mutex_lock(&p->lock);
	for (int i = 0; i < KEPT; i++) {
		if (!p->kept[i] || strcmp(p->kept[i]->old_commit, s->main_commit) == 0)
			continue;
		kgd_admitted_free(p->kept[i]);
		p->kept[i] = NULL;
	}
	pthread_mutex_unlock(&p->lock);
	kg_snapshot_unref(s);
}

static void keep(struct kgd_pushes *p, struct kgd_admitted *a)
{
	pthread_mutex_lock(&p->lock);
	kgd_admitted_free(p->kept[KEPT - 1]);
	memmove(&p->kept[1], &p->kept[0], (KEPT - 1) * sizeof(p->kept[0]));
	p->kept[0] = a;
	pthread_mutex_unlock(&p->lock);
}

static struct kgd_admitted *take(
	struct kgd_pushes *p, const struct kgd_hook *h, const struct kgd_command *c)
{
	struct kgd_admitted *found = NULL;

	pthread_mutex_lock(&p->lock);
	for (int i = 0; i < KEPT && !found; i++) {
		struct kgd_admitted *a = p->kept[i];

		if (!a || strcmp(a->old_commit, c->old_commit) != 0 ||
			strcmp(a->new_commit, c->new_commit) != 0 ||
			strcmp(a->user, h->user.name) != 0)
			continue;
		found = a;
		p->kept[i] = NULL;
	}
	pthread_mutex_unlock(&p->lock);
	return found;
}

static void audit(const struct kgd_hook *h, const struct kgd_command *c, uint64_t revision,
	const struct kg_admission *admission, const struct kg_error *why)
{
	struct kgd_audit_push p = {.user = &h->user,
		.ref = c->ref,
		.old_commit = c->old_commit,
		.new_commit = c->new_commit,
		.dry_run = h->opts.dry_run,
		.revision = revision,
		.admission = admission,
		.why = why};

	kgd_audit_pushed(h->m->audit, &p);
}

static bool is_ours(const char *ref)
{
	return strncmp(ref, "refs/kgit/", 10) == 0;
}

/* ---- pre-receive ---- */

static void judge_main(struct kgd_pushes *p, struct kgd_hook *h, const struct kgd_command *c)
{
	struct kg_buf lines KG_AUTOBUF = KG_BUF_INIT;
	struct kgd_admitted *a = NULL;
	struct kg_error err;
	int rc = kgd_has_room(p->m, &err);

	if (rc == 0)
		rc = kgd_admit(&a, p->m, &h->user, c->old_commit, c->new_commit, h->quarantine,
			&h->opts, &lines, &err);
	kgd_hook_say(h, "", kg_buf_str(&lines));
	if (rc < 0) {
		kgd_hook_sayf(h, "%s", err.msg);
		kgd_hook_refuse(h, c, err.msg);
		audit(h, c, 0, NULL, &err);
		return;
	}
	keep(p, a);
}

/* Before anything of the push is read: an object may be larger than our memory. */
static bool fits(struct kgd_pushes *p, struct kgd_hook *h)
{
	const char **commits KG_AUTOFREE = kg_alloc((h->ncommands + 1) * sizeof(*commits));
	const struct kg_object_limits max = {p->m->limits.object_bytes, p->m->limits.delta_depth};
	struct kg_error err = {0};

	for (size_t i = 0; i < h->ncommands; i++)
		commits[i] = h->commands[i].new_commit;
	if (kg_store_check_objects(p->m->store, h->quarantine, commits, h->ncommands, &max, &err) ==
		0)
		return true;
	kgd_hook_sayf(h, "%s", err.msg);
	for (size_t i = 0; i < h->ncommands; i++) {
		kgd_hook_refuse(
			h, &h->commands[i], err.code == KG_E_TOO_LARGE ? "too large" : err.msg);
		audit(h, &h->commands[i], 0, NULL, &err);
	}
	return false;
}

static void refuse(struct kgd_hook *h, const struct kgd_command *c, const struct kg_error *err)
{
	kgd_hook_sayf(h, "%s", err->msg);
	kgd_hook_refuse(h, c, err->code == KG_E_FORBIDDEN ? "forbidden" : err->msg);
	audit(h, c, 0, NULL, err);
}

/* What is below a name comes right behind it. */
static int by_path(const void *a, const void *b)
{
	const struct kgd_command *const *x = a, *const *y = b;
	const char *p = (*x)->ref, *q = (*y)->ref;

	while (*p && *p == *q) {
		p++;
		q++;
	}
	int l = *p == '/' ? 1 : (unsigned char)*p, r = *q == '/' ? 1 : (unsigned char)*q;
	return l - r;
}

/* Two commands of one push that git would not both carry out; `before` has the lesser name. */
static int check_pair(const struct kgd_command *before, const struct kgd_command *c,
	const struct kgd_command *above, struct kg_error *err)
{
	size_t n = above ? strlen(above->ref) : 0;

	if (before && strcmp(before->ref, c->ref) == 0)
		return kg_fail(err, KG_E_CONFLICT, "%s is twice in one push", c->ref);
	if (above && *c->new_commit && strncmp(above->ref, c->ref, n) == 0 && c->ref[n] == '/')
		return kg_fail(err, KG_E_CONFLICT,
			"%s and %s cannot both be: a name is a ref or a directory of refs. Push "
			"one of them",
			above->ref, c->ref);
	return 0;
}

/* The names alone. Before any is looked up: git asks us before it judges them itself. */
static bool may_be(struct kgd_pushes *p, struct kgd_hook *h)
{
	const struct kgd_command **sorted KG_AUTOFREE =
		kg_alloc((h->ncommands + 1) * sizeof(*sorted));
	const struct kgd_command *above = NULL; /* the last one that is not a deletion */
	struct kg_error err;

	for (size_t i = 0; i < h->ncommands; i++) {
		sorted[i] = &h->commands[i];
		if (kg_ref_check_format(p->m->repo, sorted[i]->ref, &err) < 0)
			refuse(h, sorted[i], &err);
	}
	qsort(sorted, h->ncommands, sizeof(*sorted), by_path);
	for (size_t i = 0; i < h->ncommands; i++) {
		if (check_pair(i ? sorted[i - 1] : NULL, sorted[i], above, &err) < 0)
			refuse(h, sorted[i], &err);
		if (*sorted[i]->new_commit)
			above = sorted[i];
	}
	return !h->refused;
}

static int check_is_commit(
	struct kgd_pushes *p, struct kgd_hook *h, const struct kgd_command *c, struct kg_error *err)
{
	if (!*c->new_commit || strncmp(c->ref, "refs/heads/", 11) != 0)
		return 0;
	int rc = kg_store_check_commit(p->m->store, c->new_commit, h->quarantine, err);
	return rc < 0 ? kg_wrap(err, "%s can only be a commit", c->ref) : 0;
}

/* What git would refuse of a ref after main has moved is refused before. */
static int check_ref(
	struct kgd_pushes *p, struct kgd_hook *h, const struct kgd_command *c, struct kg_error *err)
{
	char now[41];
	int rc = kgd_authorize_branch(p->m, &h->user, c->ref, c->old_commit, c->new_commit, err);

	if (rc == 0)
		rc = kg_ref_read(now, p->m->repo, c->ref, err);
	if (rc == 0 && strcmp(now, c->old_commit) != 0)
		return kg_fail(err, KG_E_CONFLICT,
			"another push came first: %s is %s%.12s by now; git fetch, then push again",
			c->ref, *now ? "at " : "", *now ? now : "gone");
	if (rc == 0 && *c->new_commit && !*now)
		rc = kg_ref_check_name(p->m->repo, c->ref, err);
	return rc == 0 ? check_is_commit(p, h, c, err) : rc;
}

void kgd_pushes_judge(struct kgd_pushes *p, struct kgd_hook *h)
{
	struct kg_error err;
	bool judged = may_be(p, h) && fits(p, h);

	for (size_t i = 0; judged && i < h->ncommands; i++) {
		const struct kgd_command *c = &h->commands[i];

		if (strcmp(c->ref, MAIN) == 0) {
			judge_main(p, h, c);
		} else if (is_ours(c->ref)) {
			kgd_hook_sayf(h,
				"%s is written by kgitd alone; to change the cluster, push main",
				c->ref);
			kgd_hook_refuse(h, c, "written by kgitd alone");
		} else if (check_ref(p, h, c, &err) < 0) {
			refuse(h, c, &err);
		}
	}
	if (h->refused)
		kgd_hook_sayf(h, "nothing was changed");
}

/* ---- proc-receive ---- */

/* Where the pusher's thread waits for the writer. */
struct wait {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool done;
	int rc;
	uint64_t revision;
	struct kg_buf plan;
	char plan_id[KG_PLAN_ID_LEN + 1];
	struct kg_error err;
};

static void written(struct kgd_request *req, int rc, uint64_t revision, const struct kg_error *err)
{
	struct wait *w = req->ctx;

	pthread_mutex_lock(&w->lock);
	w->done = true;
	w->rc = rc;
	w->revision = revision;
	if (rc < 0)
		w->err = *err;
	w->plan = req->push.plan;
	req->push.plan = (struct kg_buf)KG_BUF_INIT;
	memcpy(w->plan_id, req->push.plan_id, sizeof(w->plan_id));
	pthread_cond_signal(&w->cond);
	pthread_mutex_unlock(&w->lock);
}

static void submit_and_wait(struct kgd_hook *h, const struct kgd_command *c,
	const struct kgd_admitted *a, struct wait *w)
{
	struct kgd_request *req = kgd_request_new(KGD_PUSH);

	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->cond, NULL);
	memcpy(req->push.old_commit, c->old_commit, sizeof(req->push.old_commit));
	memcpy(req->push.new_commit, c->new_commit, sizeof(req->push.new_commit));
	req->push.user = kg_arena_strdup(&req->arena, h->user.name);
	req->push.dry_run = h->opts.dry_run;
	memcpy(req->push.want_plan, h->opts.plan, sizeof(req->push.want_plan));
	req->push.admission = &a->admission;
	req->done = written;
	req->ctx = w;
	kgd_writer_submit(h->m->writer, req);
	pthread_mutex_lock(&w->lock);
	while (!w->done)
		pthread_cond_wait(&w->cond, &w->lock);
	pthread_mutex_unlock(&w->lock);
	pthread_cond_destroy(&w->cond);
	pthread_mutex_destroy(&w->lock);
}

static void say_outcome(struct kgd_hook *h, const struct wait *w)
{
	if (w->rc < 0) {
		kgd_hook_sayf(h, "%s", w->err.msg);
		/* What a failed sync left is known to nobody yet. */
		if (w->err.code == KG_E_IO)
			kgd_hook_sayf(h, "kgitd writes no more until it is restarted; then `kgit "
					 "log` tells whether the push was taken");
		else
			kgd_hook_sayf(h, "nothing was changed");
		return;
	}
	kgd_hook_say(h, "kgit: ", kg_buf_str(&w->plan));
	if (h->opts.dry_run)
		kgd_hook_sayf(h, "dry run: nothing was changed (revision %llu); plan %s",
			(unsigned long long)w->revision, w->plan_id);
	else
		kgd_hook_sayf(h, "revision %llu", (unsigned long long)w->revision);
	if (kgd_authority(h->m)->old_pem)
		kgd_hook_sayf(h, "the cluster's CA is being replaced: `kgit ca trust` once in each "
				 "clone, before the old one ends");
}

static void move_main(struct kgd_hook *h, const struct kgd_command *c, const struct kgd_admitted *a)
{
	struct wait w = {0};

	submit_and_wait(h, c, a, &w);
	audit(h, c, w.revision, &a->admission, w.rc < 0 ? &w.err : NULL);
	say_outcome(h, &w);
	if (w.rc < 0)
		kgd_hook_refuse(h, c, w.err.msg);
	else
		kgd_hook_accept(h, c, false, h->opts.dry_run ? c->old_commit : NULL);
	if (w.rc == 0 && h->opts.wait_ms && !h->opts.dry_run)
		kgd_rollout_wait(h, &a->admission, w.revision, h->opts.wait_ms);
	kg_buf_release(&w.plan);
}

static void apply_main(struct kgd_pushes *p, struct kgd_hook *h, const struct kgd_command *c)
{
	struct kg_buf lines KG_AUTOBUF = KG_BUF_INIT;
	struct kgd_admitted *a = take(p, h, c);
	struct kg_error err;

	if (!a && kgd_admit(&a, p->m, &h->user, c->old_commit, c->new_commit, NULL, &h->opts,
			  &lines, &err) < 0) {
		kgd_hook_say(h, "", kg_buf_str(&lines));
		kgd_hook_sayf(h, "%s", err.msg);
		kgd_hook_refuse(h, c, err.msg);
		audit(h, c, 0, NULL, &err);
		return;
	}
	move_main(h, c, a);
	kgd_admitted_free(a);
	forget_stale(p);
}

static void apply_other(struct kgd_hook *h, const struct kgd_command *c)
{
	struct kg_error err;

	if (is_ours(c->ref))
		kgd_hook_refuse(h, c, "written by kgitd alone");
	else if (h->refused)
		kgd_hook_refuse(h, c, "main was refused, so nothing of this push is taken");
	else if (kgd_authorize_branch(h->m, &h->user, c->ref, c->old_commit, c->new_commit, &err) <
		 0)
		kgd_hook_refuse(h, c, "forbidden");
	else if (h->opts.dry_run)
		kgd_hook_accept(h, c, false, c->old_commit);
	else {
		kgd_hook_accept(h, c, true, NULL);
		audit(h, c, 0, NULL, NULL);
		if (*c->new_commit)
			kgd_hook_sayf(h,
				"%s is stored; it changes nothing in the cluster (main does)",
				c->ref);
	}
}

void kgd_pushes_apply(struct kgd_pushes *p, struct kgd_hook *h)
{
	for (size_t i = 0; i < h->ncommands; i++)
		if (strcmp(h->commands[i].ref, MAIN) == 0)
			apply_main(p, h, &h->commands[i]);
	for (size_t i = 0; i < h->ncommands; i++)
		if (strcmp(h->commands[i].ref, MAIN) != 0)
			apply_other(h, &h->commands[i]);
}
