/*
 * Reading a container's log: the files of one attempt, oldest first, as people want to see them.
 * All files that are there are opened at once, so that a rotation meanwhile changes nothing.
 * Following waits by inotify for the log and for the pod's record, which says when the container
 * has ended.
 */
#include "nodeagent/logs.h"

#include "base/mem.h"
#include "base/time.h"
#include "nodeagent/podstate.h"
#include "sys/file.h"
#include "value/json.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_LINE (1 << 20)

struct kg_log_reader {
	char *dir, *run, *container; /* the pod's directories, see podfiles.h */
	int attempt;
	int fds[KG_LOG_FILES + 2];
	int nfds, at; /* being read: fds[at] */
	int inotify;
	bool follow, timestamps, middle, skipping, over;
	int64_t skip;  /* whole lines to leave out */
	int64_t lines; /* so many come after those, whatever is written meanwhile; < 0: all */
	int64_t since_ms, limit; /* limit < 0: none */
	struct kg_buf in, out;
};

/* ---- finding the files ---- */

static bool name_ok(const char *s)
{
	return *s && *s != '.' && strlen(s) < 256 && !strchr(s, '/');
}

/* "NAME.N.log": N, and how long NAME is; else -1. */
static long log_attempt(const char *file, size_t *name_len)
{
	char *end;
	*name_len = strcspn(file, ".");
	if (file[*name_len] != '.' || file[*name_len + 1] < '0' || file[*name_len + 1] > '9')
		return -1;
	long n = strtol(file + *name_len + 1, &end, 10);
	return strcmp(end, ".log") || n > INT_MAX ? -1 : n;
}

static int only_container(char **out, const char *dir, struct kg_error *err)
{
	DIR *d = opendir(dir);
	KG_AUTOFREE char *found = NULL;
	bool several = false;
	size_t len;
	for (struct dirent *e; d && (e = readdir(d));) {
		if (log_attempt(e->d_name, &len) < 0)
			continue;
		several = found && (strlen(found) != len || strncmp(found, e->d_name, len) != 0);
		if (several)
			break;
		if (!found)
			found = kg_strndup(e->d_name, len);
	}
	if (d)
		closedir(d);
	if (several)
		return kg_fail(err, KG_E_BAD_REQUEST,
			"a container name must be specified: the pod has several");
	if (!found)
		return kg_fail(err, KG_E_BAD_REQUEST, "no container of the pod has started yet");
	*out = kg_steal(&found);
	return 0;
}

/* The newest attempt that has a log, or the one before. */
static int find_attempt(const char *dir, const char *container, bool previous, int *out)
{
	int newest = -1, before = -1;
	DIR *d = opendir(dir);
	for (struct dirent *e; d && (e = readdir(d));) {
		size_t len;
		long n = log_attempt(e->d_name, &len);
		if (n < 0 || strlen(container) != len || strncmp(container, e->d_name, len) != 0)
			continue;
		if (n > newest) {
			before = newest;
			newest = (int)n;
		} else if (n > before) {
			before = (int)n;
		}
	}
	if (d)
		closedir(d);
	*out = previous ? before : newest;
	return *out < 0 ? -1 : 0;
}

static char *log_path(const struct kg_log_reader *r)
{
	return kg_asprintf("%s/%s.%d.log", r->dir, r->container, r->attempt);
}

static void open_files(struct kg_log_reader *r)
{
	KG_AUTOFREE char *newest = log_path(r);
	for (int i = KG_LOG_FILES; i >= 0; i--) {
		KG_AUTOFREE char *path = i ? kg_asprintf("%s.%d", newest, i) : kg_strdup(newest);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0)
			r->fds[r->nfds++] = fd;
	}
}

/* ---- the tail ---- */

/* The lines of a file; of the newest one also that which has no end yet. */
static int64_t count_lines(int fd, bool newest)
{
	char buf[65536];
	int64_t n = 0;
	int field = 0;
	off_t at = 0;
	bool whole = false, open = false;
	for (ssize_t got; (got = pread(fd, buf, sizeof(buf), at)) > 0; at += got) {
		for (ssize_t i = 0; i < got; i++) {
			if (buf[i] == '\n') {
				n += whole;
				open = !whole;
				field = 0;
				whole = false;
			} else if (buf[i] == ' ' && field < 3) {
				field++;
			} else if (field == 2) {
				whole = buf[i] == 'F';
			}
		}
	}
	return n + (newest && open);
}

/* Begins in the newest files that have `tail` lines together. */
static void seek_tail(struct kg_log_reader *r, int64_t tail)
{
	int64_t have = 0;
	int first = r->nfds;
	for (; first > 0 && have < tail; first--)
		have += count_lines(r->fds[first - 1], first == r->nfds);
	if (first == r->nfds && r->nfds > 0) { /* nothing of what is there */
		first = r->nfds - 1;
		have = count_lines(r->fds[first], true);
	}
	r->at = first;
	r->skip = have > tail ? have - tail : 0;
	r->skipping = r->skip > 0;
}

/* ---- opening ---- */

static int open_reader(
	struct kg_log_reader *r, const struct kg_log_request *req, struct kg_error *err)
{
	if (!kg_path_exists(r->dir))
		return kg_fail(err, KG_E_NOT_FOUND, "the pod is not on this node");
	if (req->container && *req->container)
		r->container = kg_strdup(req->container);
	int rc = r->container ? 0 : only_container(&r->container, r->dir, err);
	if (rc < 0)
		return rc;
	if (!name_ok(r->container))
		return kg_fail(
			err, KG_E_BAD_REQUEST, "\"%s\" is not a container's name", r->container);
	if (find_attempt(r->dir, r->container, req->previous, &r->attempt) < 0)
		return req->previous
			       ? kg_fail(err, KG_E_BAD_REQUEST,
					 "previous terminated container \"%s\" not found",
					 r->container)
			       : kg_fail(err, KG_E_BAD_REQUEST,
					 "container \"%s\" is waiting to start", r->container);
	if (req->follow) {
		r->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
		if (r->inotify < 0 ||
			inotify_add_watch(r->inotify, r->dir, IN_MODIFY | IN_CREATE | IN_MOVED_TO) <
				0 ||
			inotify_add_watch(r->inotify, r->run, IN_MOVED_TO | IN_DELETE_SELF) < 0)
			return kg_fail_errno(err, "watch %s", r->dir);
	}
	open_files(r);
	if (req->tail >= 0)
		seek_tail(r, req->tail);
	return 0;
}

int kg_log_open_in(struct kg_log_reader **out, const char *dir, const struct kg_log_request *req,
	struct kg_error *err)
{
	if (!req->uid || !name_ok(req->uid))
		return kg_fail(err, KG_E_BAD_REQUEST, "\"%.80s\" is no uid of a pod",
			req->uid ? req->uid : "");
	struct kg_log_reader *r = kg_alloc(sizeof(*r));
	r->inotify = -1;
	r->dir = kg_asprintf("%s/pods/%s", dir, req->uid);
	r->run = kg_asprintf("%s/run/pods/%s", dir, req->uid);
	r->follow = req->follow && !req->previous;
	r->timestamps = req->timestamps;
	r->since_ms = req->since_ms;
	r->limit = req->limit_bytes > 0 ? req->limit_bytes : -1;
	r->lines = req->tail >= 0 && !r->follow ? req->tail : -1;
	int rc = open_reader(r, req, err);
	if (rc < 0) {
		kg_log_close(r);
		return rc;
	}
	*out = r;
	return 0;
}

int kg_log_open(struct kg_log_reader **out, struct kg_pods *pods, const struct kg_log_request *req,
	struct kg_error *err)
{
	return kg_log_open_in(out, kg_pods_dir(pods), req, err);
}

void kg_log_close(struct kg_log_reader *r)
{
	if (!r)
		return;
	for (int i = 0; i < r->nfds; i++)
		kg_closep(&r->fds[i]);
	kg_closep(&r->inotify);
	kg_buf_release(&r->in);
	kg_buf_release(&r->out);
	free(r->dir);
	free(r->run);
	free(r->container);
	free(r);
}

/* ---- reading ---- */

/* conmon's "+00:00" as all of Kubernetes' times have it: "Z". */
static void add_time(struct kg_log_reader *r, const char *time)
{
	static const char utc[] = "+00:00";
	size_t n = strlen(time);

	if (n > strlen(utc) && strcmp(time + n - strlen(utc), utc) == 0)
		kg_buf_addf(&r->out, "%.*sZ ", (int)(n - strlen(utc)), time);
	else
		kg_buf_addf(&r->out, "%s ", time);
}

/* One line of the file, without its newline, to the output. */
static void take_line(struct kg_log_reader *r, char *line, size_t n)
{
	char *f[3] = {line, NULL, NULL}, *text = line, *end = line + n;
	for (int i = 0; i < 3; i++) {
		f[i] = text;
		text = memchr(text, ' ', (size_t)(end - text));
		if (!text)
			return; /* not a line of conmon's */
		*text++ = '\0';
	}
	bool whole = f[2][0] == 'F';
	if (r->skipping) {
		if (whole && --r->skip == 0)
			r->skipping = false;
		return;
	}
	if (r->lines == 0)
		return;
	r->lines -= whole && r->lines > 0;
	kg_time t;
	if (r->since_ms && kg_time_parse(&t, f[0]) == 0 && t < r->since_ms)
		return;
	if (r->timestamps && !r->middle)
		add_time(r, f[0]);
	kg_buf_add(&r->out, text, (size_t)(end - text));
	if (whole)
		kg_buf_addc(&r->out, '\n');
	r->middle = !whole;
}

static void take_lines(struct kg_log_reader *r)
{
	size_t from = 0;
	for (char *nl; from < r->in.len; from = (size_t)(nl - r->in.data) + 1) {
		nl = memchr(r->in.data + from, '\n', r->in.len - from);
		if (!nl)
			break;
		take_line(r, r->in.data + from, (size_t)(nl - r->in.data) - from);
	}
	kg_buf_remove(&r->in, 0, from);
	if (r->in.len > MAX_LINE)
		kg_buf_clear(&r->in); /* not a log */
}

/* Returns false at the end of the last file that is open. */
static bool fill(struct kg_log_reader *r)
{
	while (r->at < r->nfds && r->out.len == 0) {
		char buf[32768];
		ssize_t n = read(r->fds[r->at], buf, sizeof(buf));
		if (n > 0) {
			kg_buf_add(&r->in, buf, (size_t)n);
			take_lines(r);
		} else if (r->at + 1 < r->nfds) {
			r->at++;
		} else {
			return false;
		}
	}
	return r->out.len > 0;
}

/* The file was rotated away: go on with the new one. */
static bool next_file(struct kg_log_reader *r)
{
	struct stat now, mine;
	KG_AUTOFREE char *path = log_path(r);
	if (stat(path, &now) < 0 || r->nfds == 0 || fstat(r->fds[r->nfds - 1], &mine) < 0 ||
		now.st_ino == mine.st_ino)
		return false;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	/* The old one first, to its end: it may have grown since it was looked at last. */
	for (int i = 0; i < r->nfds - 1; i++)
		kg_closep(&r->fds[i]);
	r->fds[0] = r->fds[r->nfds - 1];
	r->fds[1] = fd;
	r->nfds = 2;
	r->at = 0;
	return true;
}

/* Does the attempt still run, as the pod's record has it? */
static bool still_runs(const struct kg_log_reader *r)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	KG_AUTOFREE char *path = kg_asprintf("%s/record.json", r->run);
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	struct kg_error err;
	struct kg_value v;
	if (kg_file_read(&b, path, KG_RECORD_MAX, &err) < 0 ||
		kg_json_parse(&v, &a, kg_buf_str(&b), b.len, &err) < 0)
		return false;
	const struct kg_value *c = kg_find(kg_at(&v, "state.containers"), "name", r->container);
	int64_t phase = kg_int(kg_get(c, "phase"), KG_C_EXITED);
	/* While it is starting its number is not counted yet. */
	if (phase == KG_C_STARTING)
		return true;
	return phase == KG_C_RUNNING && kg_int(kg_get(c, "restarts"), 0) == r->attempt;
}

static ssize_t give(struct kg_log_reader *r, char *buf, size_t max)
{
	size_t n = r->out.len < max ? r->out.len : max;
	if (r->limit >= 0 && (int64_t)n > r->limit)
		n = (size_t)r->limit;
	memcpy(buf, r->out.data, n);
	kg_buf_remove(&r->out, 0, n);
	if (r->limit >= 0)
		r->limit -= (int64_t)n;
	return (ssize_t)n;
}

ssize_t kg_log_read(struct kg_log_reader *r, char *buf, size_t max, int wait_ms)
{
	int64_t until = kg_monotonic_ms() + wait_ms;
	for (;;) {
		if (r->limit == 0)
			return 0;
		if (r->out.len > 0 || fill(r))
			return give(r, buf, max);
		if (!r->follow)
			return 0;
		if (next_file(r))
			continue;
		if (r->over)
			return 0;
		/* What it wrote before it ended is there by now: one more look. */
		if (!still_runs(r)) {
			r->over = true;
			continue;
		}
		int64_t left = until - kg_monotonic_ms();
		struct pollfd p = {r->inotify, POLLIN, 0};
		if (left <= 0 || poll(&p, 1, (int)left) == 0)
			return -1;
		char drop[4096];
		while (read(r->inotify, drop, sizeof(drop)) > 0)
			;
	}
}
