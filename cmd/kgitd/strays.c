/*
 * Strays: main moved by another road than a push (git update-ref, an editor of refs). Only what
 * was admitted runs, so main is set back to it; the stray is kept under refs/kgit/refused/.
 *
 * inotify says that something under refs moved; whether main is off is judged on the writer's
 * thread, between commits, since during a push main lags behind the state branch.
 */
#include "base/log.h"
#include "kgitd/master.h"
#include "sys/spawn.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

struct kgd_strays {
	struct kgd_master *m;
	int fd;
	struct kg_watch *watch;
};

static int update_ref(
	struct kgd_master *m, const char *ref, const char *commit, struct kg_error *err)
{
	const char *set[] = {"git", "--git-dir", m->repo, "update-ref", ref, commit, NULL};
	const char *drop[] = {"git", "--git-dir", m->repo, "update-ref", "-d", ref, NULL};
	struct kg_run run = {.spawn = KG_SPAWN_INIT, .timeout_ms = 10000};

	run.spawn.argv = *commit ? set : drop;
	return kg_run(&run, NULL, err);
}

static void report(struct kgd_master *m, const char *stray, const char *admitted)
{
	char text[300];

	snprintf(text, sizeof(text),
		"main was moved to %.12s without a push; it was set back to %.12s, and the stray "
		"is kept "
		"as refs/kgit/refused/%.12s: push it to have it judged",
		stray, *admitted ? admitted : "nothing", stray);
	kg_warn("%s", text);
	struct kg_api_event e = {
		.type = "Warning",
		.reason = "MainMoved",
		.message = text,
		.component = "kgitd",
		.api_version = "v1",
		.kind = "Namespace",
		.name = "default",
		.ns = "default",
		.time = kg_realtime_ms(),
	};
	kg_api_event_add(m->api, &e);
}

/* On the writer's thread: no push is under way. */
static void judge(struct kgd_request *req, int rc, uint64_t revision, const struct kg_error *e)
{
	struct kgd_master *m = req->ctx;
	struct kg_snapshot *s = kg_hub_snapshot(m->hub);
	struct kg_error err;
	char now[41], ref[80];

	(void)revision;
	if (rc < 0)
		err = *e;
	if (rc == 0 && (rc = kg_store_get_main(m->store, now, &err)) == 0 &&
		strcmp(now, s->main_commit) != 0) {
		snprintf(ref, sizeof(ref), "refs/kgit/refused/%.12s", now);
		if (*now)
			rc = update_ref(m, ref, now, &err);
		if (rc == 0)
			rc = *s->main_commit
				     ? kg_store_set_main(m->store, now, s->main_commit, &err)
				     : update_ref(m, "refs/heads/main", "", &err);
		if (rc == 0)
			report(m, *now ? now : "nothing", s->main_commit);
	}
	if (rc < 0)
		kg_error_log("main cannot be held to what was admitted: %s", err.msg);
	kg_snapshot_unref(s);
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

			if (e->len && (strcmp(e->name, "main") == 0 ||
					      strcmp(e->name, "packed-refs") == 0))
				main_touched = true;
			p += sizeof(*e) + e->len;
		}
	}
	if (!main_touched)
		return;
	struct kgd_request *req = kgd_request_new(KGD_MAIN_MOVED);
	req->done = judge;
	req->ctx = s->m;
	kgd_writer_submit(s->m->writer, req);
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
	s->watch = kg_loop_watch(m->loop, fd, EPOLLIN, moved, s);
	*out = s;
	return 0;
}

void kgd_strays_free(struct kgd_strays *s)
{
	if (!s)
		return;
	kg_watch_free(s->watch);
	close(s->fd);
	free(s);
}
