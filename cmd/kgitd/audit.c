#include "kgitd/audit.h"

#include "base/hash.h"
#include "base/log.h"
#include "kgitd/master.h"
#include "reconcile/admission.h"
#include "sys/file.h"
#include "sys/loop.h"
#include "value/json.h"
#include "watch/hub.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_PENDING ((size_t)8 << 20)
#define GATHER_US   20000 /* lines of so long are written together */

struct kgd_audit {
	char *path;
	size_t max_bytes, max_files;
	struct kg_hub *hub;
	uint64_t born; /* random */
	_Atomic uint64_t named;
	/* the thread's */
	int fd;
	size_t size;
	bool failed;
	pthread_t thread;

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t cond;
	struct kg_buf pending;
	uint64_t dropped;
	bool stop;
};

/* ---- the thread ---- */

static int open_file(struct kgd_audit *a, struct kg_error *err)
{
	struct stat st;

	a->fd = open(a->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (a->fd < 0 || fstat(a->fd, &st) < 0)
		return kg_fail_errno(err, "%s", a->path);
	a->size = (size_t)st.st_size;
	return 0;
}

static void rotate(struct kgd_audit *a)
{
	struct kg_error err;

	for (size_t i = a->max_files; i > 0; i--) {
		char *to KG_AUTOFREE = kg_asprintf("%s.%zu", a->path, i);
		char *from KG_AUTOFREE =
			i > 1 ? kg_asprintf("%s.%zu", a->path, i - 1) : kg_strdup(a->path);

		/* Of those in between some may not be there yet. */
		if (rename(from, to) < 0 && i == 1)
			kg_warn("%s cannot be renamed: it grows on", a->path);
	}
	if (!a->max_files)
		unlink(a->path);
	kg_closep(&a->fd);
	a->fd = -1;
	if (open_file(a, &err) < 0)
		kg_error_log("audit log: %s", err.msg);
}

static void count_dropped(struct kgd_audit *a, uint64_t n)
{
	pthread_mutex_lock(&a->lock);
	a->dropped += n;
	pthread_mutex_unlock(&a->lock);
}

static uint64_t lines_of(const struct kg_buf *text)
{
	uint64_t n = 0;

	for (size_t i = 0; i < text->len; i++)
		n += text->data[i] == '\n';
	return n;
}

static void write_out(struct kgd_audit *a, const struct kg_buf *text)
{
	struct kg_error err;

	if (a->fd >= 0 && a->size && a->size + text->len > a->max_bytes)
		rotate(a);
	int rc = a->fd < 0 ? open_file(a, &err) : 0;
	if (rc == 0)
		rc = kg_write_all(a->fd, text->data, text->len, &err);
	if (rc == 0) {
		a->size += text->len;
		a->failed = false;
		return;
	}
	if (!a->failed)
		kg_error_log("audit log: lines are lost: %s", err.msg);
	a->failed = true;
	count_dropped(a, lines_of(text));
}

/* Takes over what is pending, after a word on what was dropped. False: it is the end. */
static bool take(struct kgd_audit *a, struct kg_buf *out)
{
	pthread_mutex_lock(&a->lock);
	while (!a->pending.len && !a->stop)
		pthread_cond_wait(&a->cond, &a->lock);
	bool gather = !a->stop;
	pthread_mutex_unlock(&a->lock);
	if (gather)
		usleep(GATHER_US);
	pthread_mutex_lock(&a->lock);
	if (a->dropped && a->pending.len)
		kg_buf_addf(out, "{\"dropped\":%llu}\n", (unsigned long long)a->dropped);
	if (a->pending.len)
		a->dropped = 0;
	kg_buf_add(out, a->pending.data, a->pending.len);
	kg_buf_clear(&a->pending);
	bool more = out->len || !a->stop;
	pthread_mutex_unlock(&a->lock);
	return more;
}

static void *work(void *arg)
{
	struct kgd_audit *a = arg;
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;

	while (take(a, &text)) {
		if (text.len)
			write_out(a, &text);
		kg_buf_clear(&text);
	}
	return NULL;
}

/* ---- life ---- */

static void destroy(struct kgd_audit *a)
{
	kg_closep(&a->fd);
	kg_buf_release(&a->pending);
	pthread_mutex_destroy(&a->lock);
	pthread_cond_destroy(&a->cond);
	free(a->path);
	free(a);
}

int kgd_audit_open(
	struct kgd_audit **out, const struct kgd_audit_options *opts, struct kg_error *err)
{
	struct kgd_audit *a;

	*out = NULL;
	if (!opts->path)
		return 0;
	a = kg_alloc(sizeof(*a));
	a->path = kg_strdup(opts->path);
	a->max_bytes = opts->max_bytes ? opts->max_bytes : (size_t)100 << 20;
	a->max_files = opts->max_files;
	a->hub = opts->hub;
	if (getrandom(&a->born, sizeof(a->born), 0) < 0)
		a->born = (uint64_t)kg_realtime_ms();
	a->fd = -1;
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->cond, NULL);
	int rc = open_file(a, err);
	if (rc == 0 && pthread_create(&a->thread, NULL, work, a) != 0)
		rc = kg_fail(err, KG_E_IO, "start the audit log's thread");
	if (rc < 0) {
		destroy(a);
		return kg_wrap(err, "audit log");
	}
	*out = a;
	return 0;
}

void kgd_audit_close(struct kgd_audit *a)
{
	if (!a)
		return;
	pthread_mutex_lock(&a->lock);
	a->stop = true;
	pthread_cond_signal(&a->cond);
	pthread_mutex_unlock(&a->lock);
	pthread_join(a->thread, NULL);
	destroy(a);
}

/* ---- names ---- */

static bool is_name(const char *text)
{
	size_t n = text ? strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				       "0123456789-_.")
			: 0;

	return n && !text[n] && n < sizeof(((struct kgd_exchange *)NULL)->audit);
}

/* Never the same one twice, whatever the clock says of a restart. */
static void new_name(struct kgd_audit *a, char out[37])
{
	char text[80];

	snprintf(text, sizeof(text), "%llx.%llx", (unsigned long long)a->born,
		(unsigned long long)atomic_fetch_add(&a->named, 1));
	kg_uuid5(out, "5a0f7a2e-7d0c-5f51-8d53-6b6769740002", text);
}

void kgd_audit_name(struct kgd_audit *a, struct kg_http_req *req)
{
	struct kgd_exchange *x = kgd_exchange(req);
	const char *given = kg_http_header(req, "Audit-ID");

	if (!a)
		return;
	if (is_name(given))
		snprintf(x->audit, sizeof(x->audit), "%s", given);
	else
		new_name(a, x->audit);
	kg_http_set_header(req, "Audit-Id", x->audit);
}

/* ---- lines ---- */

static void hand_over(struct kgd_audit *a, struct kg_buf *line)
{
	kg_buf_adds(line, "}\n");
	pthread_mutex_lock(&a->lock);
	if (a->pending.len + line->len > MAX_PENDING)
		a->dropped++;
	else
		kg_buf_add(&a->pending, line->data, line->len);
	pthread_cond_signal(&a->cond);
	pthread_mutex_unlock(&a->lock);
}

static void add_text(struct kg_buf *line, const char *key, const char *text)
{
	if (!text || !*text)
		return;
	kg_buf_addf(line, ",\"%s\":", key);
	kg_json_write_string(line, text, strlen(text));
}

static void add_groups(struct kg_buf *line, const char *key, const struct kg_user *u)
{
	kg_buf_addf(line, ",\"%s\":[", key);
	for (unsigned i = 0; i < u->ngroups; i++) {
		if (i)
			kg_buf_addc(line, ',');
		kg_json_write_string(line, u->groups[i], strlen(u->groups[i]));
	}
	kg_buf_addc(line, ']');
}

static void begin(struct kg_buf *line, const struct kg_user *u, const struct kg_http_req *req)
{
	const struct kg_user *by = req ? kgd_exchange(req)->by : NULL;
	char now[40];

	kg_time_format_micro(now, kg_realtime_ms());
	kg_buf_addf(line, "{\"time\":\"%s\"", now);
	if (req)
		add_text(line, "id", kgd_exchange(req)->audit);
	if (u) {
		add_text(line, "user", by ? by->name : u->name);
		add_groups(line, "groups", by ? by : u);
	}
	if (u && by) {
		add_text(line, "as", u->name);
		add_groups(line, "asGroups", u);
	}
	if (req)
		add_text(line, "from", kg_http_peer_address(req));
}

static void add_verdict(struct kg_buf *line, struct kgd_audit *a, const char *bad,
	const struct kg_error *why, uint64_t revision)
{
	add_text(line, "verdict", why ? bad : "allowed");
	if (why)
		add_text(line, "reason", why->msg);
	kg_buf_addf(line, ",\"revision\":%llu",
		(unsigned long long)(revision ? revision : kg_hub_revision(a->hub)));
}

/* What comes by the second from everywhere, and is nobody's doing. */
static bool is_noise(const struct kg_user *u, const struct kg_attributes *what)
{
	static const char *const paths[] = {"/healthz", "/livez", "/readyz"};

	for (size_t i = 0; what->path && i < KG_ARRAY_LEN(paths); i++)
		if (strncmp(what->path, paths[i], strlen(paths[i])) == 0)
			return true;
	return what->path && *u->node && strncmp(what->path, "/kgit/v1/nodes/", 15) == 0 &&
	       !strstr(what->path, "/renew");
}

void kgd_audit_request(struct kgd_audit *a, const struct kg_http_req *req,
	const struct kg_user *user, const struct kg_attributes *what, const struct kg_error *why)
{
	struct kg_buf line KG_AUTOBUF = KG_BUF_INIT;

	if (!a || (!why && is_noise(user, what)))
		return;
	begin(&line, user, req);
	add_text(&line, "verb", what->verb);
	add_text(&line, "path", what->path);
	add_text(&line, "group", what->group);
	add_text(&line, "resource", what->resource);
	add_text(&line, "subresource", what->subresource);
	add_text(&line, "namespace", what->ns);
	add_text(&line, "name", what->name);
	add_verdict(&line, a, "forbidden", why, 0);
	hand_over(a, &line);
}

void kgd_audit_unknown(
	struct kgd_audit *a, const struct kg_http_req *req, const struct kg_error *why)
{
	struct kg_buf line KG_AUTOBUF = KG_BUF_INIT;

	if (!a)
		return;
	begin(&line, NULL, req);
	add_text(&line, "verb", kg_http_method(req));
	add_text(&line, "path", kg_http_path(req));
	add_verdict(&line, a, "unauthorized", why, 0);
	hand_over(a, &line);
}

static void begin_push(struct kg_buf *line, const struct kgd_audit_push *p)
{
	begin(line, p->user, NULL);
	add_text(line, "verb", "push");
	add_text(line, "ref", p->ref);
	add_text(line, "old", p->old_commit);
	add_text(line, "new", p->new_commit);
	if (p->dry_run)
		kg_buf_adds(line, ",\"dryRun\":true");
}

static void add_note(struct kg_buf *line, const struct kg_admission_note *n)
{
	size_t at;

	add_text(line, "group", n->kind->group);
	add_text(line, "resource", n->kind->plural);
	add_text(line, "namespace", n->ns);
	add_text(line, "name", n->name);
	kg_buf_adds(line, ",\"annotations\":{");
	at = line->len;
	add_text(line, "pod-security.kubernetes.io/enforce-policy", n->enforced);
	add_text(line, "pod-security.kubernetes.io/audit-violations", n->violations);
	kg_buf_remove(line, at, 1); /* the first one's comma */
	kg_buf_addc(line, '}');
}

void kgd_audit_pushed(struct kgd_audit *a, const struct kgd_audit_push *p)
{
	const struct kg_admission *m = p->admission;
	struct kg_buf line KG_AUTOBUF = KG_BUF_INIT;

	if (!a)
		return;
	begin_push(&line, p);
	if (m && m->noted)
		kg_buf_addf(&line, ",\"objectsNoted\":%zu", m->noted);
	add_verdict(&line, a, "refused", p->why, p->revision);
	hand_over(a, &line);
	for (size_t i = 0; m && i < m->nnotes; i++) {
		kg_buf_clear(&line);
		begin_push(&line, p);
		add_note(&line, &m->notes[i]);
		add_verdict(&line, a, "refused", p->why, p->revision);
		hand_over(a, &line);
	}
}
