/*
 * Strays: main moved by another road than a push (git update-ref, an editor of refs). Only what
 * was admitted runs, so main is set back to it; the stray is kept under refs/kgit/refused/.
 *
 * inotify says that something under refs moved; whether main is off is judged on the writer's
 * thread, between commits, since during a push main lags behind the state branch.
 */
#include "base/log.h"
#include "kgitd/master.h"
#include "store/refs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#define RETRY_MS 250
#define LOUD_TRY 8

struct kgd_strays {
	struct kgd_master *m;
	int fd;
	struct kg_watch *watch;
	struct kg_timer *timer; /* of the next try */
	unsigned tries;         /* that failed in a row; the loop's */
};

static void report(struct kgd_master *m, const char *stray, const char *admitted)
{
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;

	if (*stray)
		kg_buf_addf(&text,
			"main was moved to %.12s without a push; it was set back to %.12s, and the "
			"stray is kept as refs/kgit/refused/%s: push it to have it judged",
			stray, *admitted ? admitted : "nothing", stray);
	else
		kg_buf_addf(&text, "main was removed; it was set back to %.12s", admitted);
	kg_warn("%s", kg_buf_str(&text));
	struct kg_api_event e = {
		.type = "Warning",
		.reason = "MainMoved",
		.message = kg_buf_str(&text),
		.component = "kgitd",
		.api_version = "v1",
		.kind = "Namespace",
		.name = "default",
		.ns = "default",
		.time = kg_realtime_ms(),
	};
	/* Before the first push there is nobody to tell yet. */
	if (m->api)
		kg_api_event_add(m->api, &e);
}

static int keep(struct kgd_master *m, const char *stray, struct kg_error *err)
{
	struct kg_ref_outcome outcome;
	char ref[80], now[41];

	snprintf(ref, sizeof(ref), "refs/kgit/refused/%s", stray);
	int rc = kg_ref_read(now, m->repo, ref, err);
	return rc < 0 || *now ? rc : kg_ref_update(m->repo, ref, "", stray, &outcome, err);
}

/* Main behind what was admitted is a push whose last step was cut off, and no stray. */
static int is_behind(
	bool *out, struct kgd_master *m, const char *now, const char *want, struct kg_error *err)
{
	*out = false;
	return *now && *want ? kg_store_is_ancestor(out, m->store, now, want, NULL, err) : 0;
}

int kgd_main_hold(void *ctx, const struct kg_snapshot *s, struct kg_error *err)
{
	struct kgd_master *m = ctx;
	const char *want = s->main_commit;
	bool behind = false;
	char now[41];
	int rc = kg_store_get_main(m->store, now, err);

	if (rc < 0 || strcmp(now, want) == 0)
		return rc;
	rc = is_behind(&behind, m, now, want, err);
	if (rc == 0 && *now && !behind)
		rc = keep(m, now, err);
	if (rc == 0)
		rc = kg_store_set_main(m->store, now, want, err);
	if (rc < 0)
		return kg_wrap(err, "set main back to %.12s, which was admitted",
			*want ? want : "nothing");
	if (!behind)
		report(m, now, want);
	return 0;
}

static void try_later(void *ctx)
{
	struct kgd_strays *s = ctx;

	s->tries++;
	kg_timer_set(s->timer, RETRY_MS);
}

static void held(void *ctx)
{
	struct kgd_strays *s = ctx;

	s->tries = 0;
}

/* On the writer's thread: no push is under way. */
static void judge(struct kgd_request *req, int rc, uint64_t revision, const struct kg_error *e)
{
	struct kgd_strays *s = req->ctx;
	struct kg_snapshot *snapshot = kg_hub_snapshot(s->m->hub);
	struct kg_error err;

	(void)rc; /* of a commit that has nothing to do with it */
	(void)e;
	(void)revision;
	rc = kgd_main_hold(s->m, snapshot, &err);
	/* Whoever moves it may not have let go of its lock yet. */
	if (rc < 0 && (rc != -KG_E_CONFLICT || req->attempt == LOUD_TRY))
		kg_error_log("%s", err.msg);
	kg_loop_post(s->m->loop, rc < 0 ? try_later : held, s);
	kg_snapshot_unref(snapshot);
}

static void look(void *ctx)
{
	struct kgd_strays *s = ctx;
	struct kgd_request *req = kgd_request_new(KGD_CALL);

	req->attempt = s->tries;
	req->done = judge;
	req->ctx = s;
	kgd_writer_submit(s->m->writer, req);
}

static void moved(void *ctx, uint32_t events)
{
	struct kgd_strays *s = ctx;
	_Alignas(struct inotify_event) char buf[4096];
	bool main_touched = false;
	ssize_t n;

	(void)events;
	while ((n = read(s->fd, buf, sizeof(buf))) > 0) {
		for (char *p = buf; p < buf + n;) {
			const struct inotify_event *e = (const struct inotify_event *)p;

			/* Where the queue overflowed anything may have moved. */
			if ((e->mask & IN_Q_OVERFLOW) ||
				(e->len && (strcmp(e->name, "main") == 0 ||
						   strcmp(e->name, "packed-refs") == 0)))
				main_touched = true;
			p += sizeof(*e) + e->len;
		}
	}
	if (main_touched)
		look(s);
}

int kgd_strays_new(struct kgd_strays **out, struct kgd_master *m, struct kg_error *err)
{
	char *heads KG_AUTOFREE = kg_asprintf("%s/refs/heads", m->repo);
	const uint32_t mask = IN_MOVED_TO | IN_CLOSE_WRITE | IN_DELETE;
	struct kgd_strays *s;
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	if (fd < 0)
		return kg_fail_errno(err, "inotify");
	if (inotify_add_watch(fd, heads, mask) < 0 || inotify_add_watch(fd, m->repo, mask) < 0) {
		int rc = kg_fail_errno(err, "watch %s", heads);
		close(fd);
		return rc;
	}
	s = kg_alloc(sizeof(*s));
	s->m = m;
	s->fd = fd;
	s->timer = kg_timer_new(m->loop, look, s);
	s->watch = kg_loop_watch(m->loop, fd, EPOLLIN, moved, s);
	if (!s->watch) {
		int rc = kg_fail_errno(err, "watch %s", heads);
		kgd_strays_free(s);
		return rc;
	}
	*out = s;
	return 0;
}

void kgd_strays_free(struct kgd_strays *s)
{
	if (!s)
		return;
	kg_watch_free(s->watch);
	kg_timer_free(s->timer);
	close(s->fd);
	free(s);
}
