/*
 * Pushes: the socket that the repository's hooks (kgit-hook) speak to. pre-receive is where a push
 * is judged, its objects still in quarantine; proc-receive is where main moves: the writer
 * reconciles and commits, and the pusher's "ok" means that the revision is durable.
 *
 * One thread accepts, one a connection answers; both are few, since git processes are bounded.
 * What pre-receive admitted is kept for its proc-receive, so that manifests are parsed once; it
 * stays true, because desired state changes only where main does, and the writer checks that.
 */
#include "base/log.h"
#include "kgitd/admit.h"
#include "sys/file.h"

#include <errno.h>
#include <pthread.h>
#include <pwd.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_COMMANDS    1000
#define MAX_LINE        8192
#define MAX_CONNECTIONS 128
#define KEPT            16

struct kgd_pushes {
	struct kgd_master *m;
	char *path;
	int fd;
	pthread_t thread;
	atomic_int connections;
	atomic_bool stop;

	pthread_mutex_t lock;
	struct kgd_admitted *kept[KEPT]; /* newest first */
};

struct command {
	char old_commit[41], new_commit[41]; /* "" for absent */
	char *ref;
};

struct hook {
	struct kgd_pushes *pushes;
	FILE *io;
	bool proc;
	char *user, *quarantine;
	struct kgd_push_options opts;
	struct command *commands;
	size_t ncommands, cap;
	bool refused;
};

/* ---- what was admitted ---- */

static void keep(struct kgd_pushes *p, struct kgd_admitted *a)
{
	pthread_mutex_lock(&p->lock);
	kgd_admitted_free(p->kept[KEPT - 1]);
	memmove(&p->kept[1], &p->kept[0], (KEPT - 1) * sizeof(p->kept[0]));
	p->kept[0] = a;
	pthread_mutex_unlock(&p->lock);
}

static struct kgd_admitted *take(struct kgd_pushes *p, const struct command *c)
{
	struct kgd_admitted *found = NULL;

	pthread_mutex_lock(&p->lock);
	for (int i = 0; i < KEPT && !found; i++) {
		struct kgd_admitted *a = p->kept[i];

		if (!a || strcmp(a->old_commit, c->old_commit) != 0 ||
			strcmp(a->new_commit, c->new_commit) != 0)
			continue;
		found = a;
		p->kept[i] = NULL;
	}
	pthread_mutex_unlock(&p->lock);
	return found;
}

/* ---- talking to the hook ---- */

static void say(struct hook *h, const char *text)
{
	fprintf(h->io, "say %s\n", text);
}

static void say_lines(struct hook *h, const char *prefix, const struct kg_buf *lines)
{
	const char *p = kg_buf_str(lines);

	while (*p) {
		const char *end = strchrnul(p, '\n');

		if (end > p)
			fprintf(h->io, "say %s%.*s\n", prefix, (int)(end - p), p);
		p = *end ? end + 1 : end;
	}
	fflush(h->io);
}

static void say_error(struct hook *h, const struct kg_error *err)
{
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;

	kg_buf_adds(&text, err->msg);
	say_lines(h, "kgit: ", &text);
}

static void refuse(struct hook *h, const struct command *c, const char *reason)
{
	h->refused = true;
	if (h->proc) {
		/* One line, since it is a status of git's. */
		fprintf(h->io, "pkt ng %s %.*s\n", c->ref, (int)strcspn(reason, "\n"), reason);
	}
}

/* ---- pre-receive ---- */

static void pre_main(struct hook *h, const struct command *c)
{
	struct kg_buf lines KG_AUTOBUF = KG_BUF_INIT;
	struct kgd_admitted *a = NULL;
	struct kg_error err;
	int rc = kgd_admit(&a, h->pushes->m, c->old_commit, c->new_commit, h->quarantine, &h->opts,
		&lines, &err);

	say_lines(h, "", &lines);
	if (rc < 0) {
		say_error(h, &err);
		refuse(h, c, err.msg);
		return;
	}
	keep(h->pushes, a);
}

static void pre_receive(struct hook *h)
{
	for (size_t i = 0; i < h->ncommands; i++) {
		const struct command *c = &h->commands[i];
		char line[1200];

		if (strcmp(c->ref, "refs/heads/main") == 0) {
			pre_main(h, c);
		} else if (strncmp(c->ref, "refs/kgit/", 10) == 0) {
			snprintf(line, sizeof(line),
				"kgit: %s is written by kgitd alone; to change the cluster, push "
				"main",
				c->ref);
			say(h, line);
			h->refused = true;
		} else {
			snprintf(line, sizeof(line),
				"kgit: %s is stored; it changes nothing in the cluster (main does)",
				c->ref);
			say(h, line);
		}
	}
	if (h->refused)
		say(h, "kgit: nothing was changed");
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
	pthread_cond_signal(&w->cond);
	pthread_mutex_unlock(&w->lock);
}

static void submit_and_wait(
	struct hook *h, const struct command *c, const struct kgd_admitted *a, struct wait *w)
{
	struct kgd_request *req = kgd_request_new(KGD_PUSH);

	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->cond, NULL);
	snprintf(req->push.old_commit, sizeof(req->push.old_commit), "%s", c->old_commit);
	snprintf(req->push.new_commit, sizeof(req->push.new_commit), "%s", c->new_commit);
	req->push.user = kg_arena_strdup(&req->arena, h->user);
	req->push.dry_run = h->opts.dry_run;
	req->push.admission = &a->admission;
	req->done = written;
	req->ctx = w;
	kgd_writer_submit(h->pushes->m->writer, req);
	pthread_mutex_lock(&w->lock);
	while (!w->done)
		pthread_cond_wait(&w->cond, &w->lock);
	pthread_mutex_unlock(&w->lock);
	pthread_cond_destroy(&w->cond);
	pthread_mutex_destroy(&w->lock);
}

static void move_main(struct hook *h, const struct command *c, const struct kgd_admitted *a)
{
	struct wait w = {0};
	char line[120];

	submit_and_wait(h, c, a, &w);
	if (w.rc < 0) {
		say_error(h, &w.err);
		say(h, "kgit: nothing was changed");
		refuse(h, c, w.err.msg);
		kg_buf_release(&w.plan);
		return;
	}
	say_lines(h, "kgit: ", &w.plan);
	if (h->opts.dry_run)
		snprintf(line, sizeof(line), "kgit: dry run: nothing was changed (revision %llu)",
			(unsigned long long)w.revision);
	else
		snprintf(line, sizeof(line), "kgit: revision %llu", (unsigned long long)w.revision);
	say(h, line);
	fprintf(h->io, "pkt ok %s\n", c->ref);
	if (h->opts.dry_run)
		fprintf(h->io, "pkt option new-oid %s\n",
			*c->old_commit ? c->old_commit
				       : "0000000000000000000000000000000000000000");
	kg_buf_release(&w.plan);
}

static void proc_main(struct hook *h, const struct command *c)
{
	struct kg_buf lines KG_AUTOBUF = KG_BUF_INIT;
	struct kgd_admitted *a = take(h->pushes, c);
	struct kg_error err;

	if (!a && kgd_admit(&a, h->pushes->m, c->old_commit, c->new_commit, NULL, &h->opts, &lines,
			  &err) < 0) {
		say_lines(h, "", &lines);
		say_error(h, &err);
		refuse(h, c, err.msg);
		return;
	}
	move_main(h, c, a);
	kgd_admitted_free(a);
}

static void proc_receive(struct hook *h)
{
	for (size_t i = 0; i < h->ncommands; i++) {
		const struct command *c = &h->commands[i];

		if (strcmp(c->ref, "refs/heads/main") == 0)
			proc_main(h, c);
		else
			refuse(h, c, "written by kgitd alone");
	}
}

/* ---- reading what the hook sends ---- */

static void set_commit(char out[41], const char *hex)
{
	if (strspn(hex, "0") >= 40)
		out[0] = '\0';
	else
		snprintf(out, 41, "%.40s", hex);
}

static int add_command(struct hook *h, char *text, struct kg_error *err)
{
	if (strlen(text) < 83 || text[40] != ' ' || text[81] != ' ')
		return kg_fail(err, KG_E_BAD_REQUEST, "malformed command of git: %s", text);
	if (h->ncommands == MAX_COMMANDS)
		return kg_fail(
			err, KG_E_TOO_LARGE, "a push may update at most %d refs", MAX_COMMANDS);
	KG_GROW(h->commands, h->cap, h->ncommands + 1);
	struct command *c = &h->commands[h->ncommands++];
	set_commit(c->old_commit, text);
	set_commit(c->new_commit, text + 41);
	c->ref = kg_strdup(text + 82);
	return 0;
}

static int take_line(struct hook *h, char *line, struct kg_error *err)
{
	char *value = strchr(line, ' ');

	if (!value)
		return kg_fail(err, KG_E_BAD_REQUEST, "malformed line from the hook: %s", line);
	*value++ = '\0';
	if (strcmp(line, "hook") == 0) {
		h->proc = strcmp(value, "proc-receive") == 0;
	} else if (strcmp(line, "user") == 0) {
		free(h->user);
		h->user = kg_strdup(value);
	} else if (strcmp(line, "quarantine") == 0) {
		free(h->quarantine);
		h->quarantine = kg_strdup(value);
	} else if (strcmp(line, "option") == 0) {
		return kgd_push_option(&h->opts, value, err);
	} else if (strcmp(line, "command") == 0) {
		return add_command(h, value, err);
	}
	return 0;
}

static int read_hook(struct hook *h, struct kg_error *err)
{
	char line[MAX_LINE];
	struct kg_error first = {.code = KG_OK};

	while (fgets(line, sizeof(line), h->io)) {
		char *nl = strchr(line, '\n');

		if (!nl)
			return kg_fail(err, KG_E_BAD_REQUEST,
				"the hook sent a line of over %d bytes", MAX_LINE);
		*nl = '\0';
		if (!*line) {
			*err = first;
			return -(int)first.code;
		}
		/* The rest is still read: the hook is answered once it has sent all. */
		if (take_line(h, line, err) < 0 && first.code == KG_OK)
			first = *err;
	}
	return kg_fail(err, KG_E_BAD_REQUEST, "the hook went away");
}

/* Who is at the other end, where git was not run by kgitd itself: the owner of the process. */
static char *local_user(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return NULL;
	if (cred.uid != 0 && cred.uid != geteuid())
		return NULL;
	struct passwd pw, *found = NULL;
	char buf[4096];
	if (getpwuid_r(cred.uid, &pw, buf, sizeof(buf), &found) == 0 && found)
		return kg_strdup(found->pw_name);
	return kg_asprintf("uid-%u", (unsigned)cred.uid);
}

static void hook_release(struct hook *h)
{
	for (size_t i = 0; i < h->ncommands; i++)
		free(h->commands[i].ref);
	free(h->commands);
	free(h->user);
	free(h->quarantine);
	if (h->io)
		fclose(h->io);
}

struct connection {
	struct kgd_pushes *pushes;
	int fd;
};

static void serve(struct kgd_pushes *p, int fd)
{
	struct hook h = {.pushes = p, .opts = {.allow_delete = -1}};
	struct kg_error err;

	h.user = local_user(fd);
	h.io = h.user ? fdopen(fd, "r+") : NULL;
	if (!h.io) {
		close(fd);
		hook_release(&h);
		return;
	}
	if (read_hook(&h, &err) < 0) {
		h.refused = true;
		say_error(&h, &err);
	} else {
		/* A stream that was read must be repositioned before it is written to; on a
		 * socket this is fflush. */
		fflush(h.io);
		if (h.proc)
			proc_receive(&h);
		else
			pre_receive(&h);
	}
	fprintf(h.io, "exit %d\n", h.refused && !h.proc ? 1 : 0);
	fflush(h.io);
	hook_release(&h);
}

static void *serve_thread(void *arg)
{
	struct connection *c = arg;

	serve(c->pushes, c->fd);
	atomic_fetch_sub(&c->pushes->connections, 1);
	free(c);
	return NULL;
}

static void *accept_thread(void *arg)
{
	struct kgd_pushes *p = arg;

	while (!atomic_load(&p->stop)) {
		int fd = accept4(p->fd, NULL, NULL, SOCK_CLOEXEC);
		pthread_attr_t attr;
		pthread_t thread;

		if (fd < 0) {
			if (errno == EINTR || errno == ECONNABORTED)
				continue;
			break;
		}
		if (atomic_load(&p->stop) || atomic_load(&p->connections) >= MAX_CONNECTIONS) {
			close(fd);
			continue;
		}
		struct connection *c = kg_alloc(sizeof(*c));
		*c = (struct connection){.pushes = p, .fd = fd};
		atomic_fetch_add(&p->connections, 1);
		pthread_attr_init(&attr);
		pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
		pthread_attr_setstacksize(&attr, 512 << 10);
		if (pthread_create(&thread, &attr, serve_thread, c) != 0) {
			kg_error_log("a hook cannot be served: no thread can be started");
			atomic_fetch_sub(&p->connections, 1);
			close(fd);
			free(c);
		}
		pthread_attr_destroy(&attr);
	}
	return NULL;
}

static int listen_unix(const char *path, struct kg_error *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(addr.sun_path))
		return kg_fail(err, KG_E_INVALID,
			"%s: a socket's path has at most %zu bytes; choose a shorter --state", path,
			sizeof(addr.sun_path) - 1);
	strcpy(addr.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return kg_fail_errno(err, "socket");
	unlink(path);
	mode_t old = umask(0177);
	int rc = bind(fd, (struct sockaddr *)&addr, sizeof(addr));
	umask(old);
	if (rc < 0 || listen(fd, 64) < 0) {
		rc = kg_fail_errno(err, "listen on %s", path);
		close(fd);
		return rc;
	}
	return fd;
}

int kgd_pushes_new(struct kgd_pushes **out, struct kgd_master *m, struct kg_error *err)
{
	struct kgd_pushes *p = kg_alloc(sizeof(*p));

	p->m = m;
	p->path = kg_asprintf("%s/kgitd.sock", m->dir);
	pthread_mutex_init(&p->lock, NULL);
	p->fd = listen_unix(p->path, err);
	if (p->fd < 0) {
		int rc = p->fd;
		free(p->path);
		free(p);
		return rc;
	}
	if (pthread_create(&p->thread, NULL, accept_thread, p) != 0) {
		close(p->fd);
		free(p->path);
		free(p);
		return kg_fail(err, KG_E_IO, "start the hooks' thread");
	}
	*out = p;
	return 0;
}

void kgd_pushes_free(struct kgd_pushes *p)
{
	if (!p)
		return;
	atomic_store(&p->stop, true);
	shutdown(p->fd, SHUT_RDWR);
	pthread_join(p->thread, NULL);
	close(p->fd);
	unlink(p->path);
	/* Those being served end when the writer has answered them. */
	while (atomic_load(&p->connections) > 0)
		usleep(1000);
	for (int i = 0; i < KEPT; i++)
		kgd_admitted_free(p->kept[i]);
	pthread_mutex_destroy(&p->lock);
	free(p->path);
	free(p);
}
