/*
 * /kgit/v1/{log,history,explain}: the log of revisions, the history of one object, and why a pod is
 * where it is. All read what is on disk, so they run on a thread of their own, one after the other:
 * no other request waits for them, and they cost one core at most. What one request may ask for is
 * bounded, in revisions, in versions and in bytes; where that does not suffice the answer names in
 * `next` where to go on.
 */
#include "kgitd/history.h"
#include "store/trace.h"
#include "value/json.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define MAX_WAITING   64
#define MAX_REPLY     ((size_t)8 << 20)
#define LOG_DEFAULT   50
#define LOG_MAX       5000
#define LOG_STEP      100 /* entries that are held in memory at once */
#define TRACE_DEFAULT 50
#define TRACE_MAX     1000
#define TRACE_STEP    16
#define SCAN_BUDGET   20000 /* revisions */
#define BLAME_BUDGET  2000  /* commits of main for one version */

struct job {
	struct kg_http_req *req;
	void (*run)(struct kg_http_req *req, struct kgd_master *m);
};

struct kgd_history {
	struct kgd_master *m;
	pthread_t thread;
	pthread_mutex_t lock; /* all below */
	pthread_cond_t wake;
	struct job waiting[MAX_WAITING]; /* a ring */
	size_t first, n;
	bool stopping;
};

/* ---- the thread ---- */

static void *work(void *arg)
{
	struct kgd_history *h = arg;

	pthread_mutex_lock(&h->lock);
	for (;;) {
		while (!h->n && !h->stopping)
			pthread_cond_wait(&h->wake, &h->lock);
		if (!h->n)
			break;
		struct job job = h->waiting[h->first];
		bool stopping = h->stopping;

		h->first = (h->first + 1) % MAX_WAITING;
		h->n--;
		pthread_mutex_unlock(&h->lock);
		if (stopping) {
			struct kg_error err;

			kg_fail(&err, KG_E_UNAVAILABLE, "kgitd is stopping; try again");
			kgd_reply_error(job.req, &err);
		} else {
			job.run(job.req, h->m);
		}
		pthread_mutex_lock(&h->lock);
	}
	pthread_mutex_unlock(&h->lock);
	return NULL;
}

struct kgd_history *kgd_history_new(struct kgd_master *m)
{
	struct kgd_history *h = kg_alloc(sizeof(*h));

	h->m = m;
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->wake, NULL);
	if (pthread_create(&h->thread, NULL, work, h))
		abort(); /* as out of memory */
	return h;
}

void kgd_history_stop(struct kgd_history *h)
{
	if (!h)
		return;
	pthread_mutex_lock(&h->lock);
	h->stopping = true;
	pthread_cond_signal(&h->wake);
	pthread_mutex_unlock(&h->lock);
	pthread_join(h->thread, NULL);
}

void kgd_history_free(struct kgd_history *h)
{
	if (!h)
		return;
	pthread_cond_destroy(&h->wake);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

static void submit(
	struct kg_http_req *req, void (*run)(struct kg_http_req *req, struct kgd_master *m))
{
	struct kgd_history *h = kgd_exchange(req)->master->history;
	struct kg_error err;

	pthread_mutex_lock(&h->lock);
	bool taken = h->n < MAX_WAITING && !h->stopping;
	bool stopping = h->stopping;
	if (taken) {
		kg_http_defer(req);
		h->waiting[(h->first + h->n++) % MAX_WAITING] = (struct job){req, run};
		pthread_cond_signal(&h->wake);
	}
	pthread_mutex_unlock(&h->lock);
	if (taken)
		return;
	if (stopping)
		kg_fail(&err, KG_E_UNAVAILABLE, "kgitd is stopping; try again");
	else
		kg_fail(&err, KG_E_TOO_MANY, "too many ask for history at once; try again");
	kgd_reply_error(req, &err);
}

/* ---- what both say ---- */

/* A number of the query between 1 and max; dflt where there is none. */
static uint64_t number(struct kg_http_req *req, const char *name, uint64_t dflt, uint64_t max)
{
	const char *text = kg_http_query(req, name);
	uint64_t n = text ? strtoull(text, NULL, 10) : 0;

	if (n == 0)
		return dflt;
	return n < max ? n : max;
}

static void reply(struct kg_http_req *req, struct kg_buf *out)
{
	kg_http_reply(req, 200, "application/json", out);
}

static struct kg_value entry_value(struct kg_arena *a, const struct kg_log_entry *e)
{
	char time[40];

	kg_time_format_micro(time, e->time);
	return kg_v_obj(a, "revision", kg_v_int((int64_t)e->revision), "time", kg_v_str(a, time),
		"commit", kg_v_str(a, e->commit), "main",
		*e->main ? kg_v_str(a, e->main) : kg_v_null(), "pushed",
		*e->parent2 ? kg_v_str(a, e->parent2) : kg_v_null(), "author",
		kg_v_str(a, e->author), "subject", kg_v_str(a, e->subject), (char *)NULL);
}

/* ---- the log ---- */

/* Some more entries; *from is where to go on, 0 at the end. */
static int add_log(struct kg_buf *out, uint64_t *from, size_t *left, struct kg_store *store,
	struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	size_t n, want = *left < LOG_STEP ? *left : LOG_STEP;
	struct kg_log_entry *entries;
	int rc = kg_store_log(&entries, &n, store, &a, *from, want, err);

	for (size_t i = 0; rc == 0 && i < n; i++) {
		struct kg_value v = entry_value(&a, &entries[i]);

		v = kg_with(&a, &v, "body", kg_v_lit(entries[i].body));
		if (out->data[out->len - 1] != '[')
			kg_buf_addc(out, ',');
		kg_json_write(out, &v);
	}
	if (rc < 0)
		return rc;
	*left -= n;
	uint64_t last = n ? entries[n - 1].revision : 0;
	*from = n < want || last <= 1 || last <= kg_store_oldest(store) ? 0 : last - 1;
	return 0;
}

static void run_log(struct kg_http_req *req, struct kgd_master *m)
{
	size_t left = number(req, "limit", LOG_DEFAULT, LOG_MAX);
	uint64_t from = number(req, "from", 0, UINT64_MAX);
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;
	struct kg_error err;
	int rc = 0;

	kg_buf_adds(&out, "{\"entries\":[");
	do {
		rc = add_log(&out, &from, &left, m->store, &err);
	} while (rc == 0 && from && left && out.len < MAX_REPLY);
	if (rc < 0) {
		kgd_reply_error(req, &err);
		return;
	}
	kg_buf_addc(&out, ']');
	if (from)
		kg_buf_addf(&out, ",\"next\":%llu", (unsigned long long)from);
	kg_buf_adds(&out, "}\n");
	reply(req, &out);
}

static void handle_log(struct kg_http_req *req, void *ctx)
{
	(void)ctx;
	submit(req, run_log);
}

/* ---- one object's history ---- */

struct telling {
	struct kg_http_req *req;
	struct kg_store *store;
	struct kg_buf *out;
	const struct kg_kind *kind;
	const char *ns, *name;
};

static bool manifest_changed(const struct kg_object *before, const struct kg_object *after)
{
	if (!after->source)
		return false;
	return !before || !before->base || !after->base ||
	       !kg_equal(kg_doc_value(before->base), kg_doc_value(after->base));
}

/* Who pushed: the commit that gave the manifest its content, or, of what followed, the push's. */
static int add_pushed(struct kg_value *v, struct kg_arena *a, const struct telling *t,
	const struct kg_trace_step *step, bool changed, struct kg_error *err)
{
	const char *path = changed ? step->object->source : NULL;
	struct kg_blame b;
	uint32_t line = 0;
	char time[40];

	if (!*step->commit.parent2)
		return 0;
	int rc = kg_store_blame(&b, t->store, a, step->commit.parent2, path, BLAME_BUDGET, err);
	if (rc == -KG_E_NOT_FOUND && path)
		rc = kg_store_blame(&b, t->store, a, step->commit.parent2, NULL, 1, err);
	if (rc == 0 && path)
		rc = kg_store_line(
			&line, t->store, step->commit.parent2, path, t->kind, t->ns, t->name, err);
	if (rc < 0)
		return rc;
	kg_time_format(time, b.time);
	struct kg_value pushed = kg_v_obj(a, "commit", kg_v_str(a, b.commit), "author",
		kg_v_lit(b.author), "time", kg_v_str(a, time), "subject", kg_v_lit(b.subject),
		"head", kg_v_str(a, step->commit.parent2), (char *)NULL);
	*v = kg_with(a, v, "pushed", pushed);
	if (line)
		*v = kg_with(a, v, "line", kg_v_int(line));
	return 0;
}

/* A step, `before` being the version that it replaced. */
static int add_step(const struct telling *t, const struct kg_trace_step *step,
	const struct kg_object *before, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value v = entry_value(&a, &step->commit);
	bool changed = step->object && manifest_changed(before, step->object);
	int rc;

	v = kg_with(&a, &v, "main", kg_v_null());
	rc = add_pushed(&v, &a, t, step, changed, err);
	if (rc < 0)
		return rc;
	const struct kg_object *any = step->object ? step->object : before;
	if (any && any->source)
		v = kg_with(&a, &v, "file", kg_v_lit(any->source));
	if (changed)
		v = kg_with(&a, &v, "manifest", kg_v_bool(true));
	if (step->object)
		v = kg_with(&a, &v, "object", kg_object_shown(&a, step->object));
	if (t->out->data[t->out->len - 1] != '[')
		kg_buf_addc(t->out, ',');
	kg_json_write(t->out, &v);
	return 0;
}

static void add_end(const struct telling *t, const struct kg_trace *trace)
{
	kg_buf_addc(t->out, ']');
	if (trace->before) {
		kg_buf_adds(t->out, ",\"before\":");
		struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
		struct kg_value v = kg_object_shown(&a, trace->before);
		kg_json_write(t->out, &v);
	}
	if (trace->next)
		kg_buf_addf(t->out, ",\"next\":%llu", (unsigned long long)trace->next);
	if (trace->cut)
		kg_buf_adds(t->out, ",\"cut\":true");
	kg_buf_addf(t->out, ",\"head\":%llu,\"oldest\":%llu}\n",
		(unsigned long long)kg_store_revision(t->store),
		(unsigned long long)kg_store_oldest(t->store));
}

static int tell(const struct telling *t, struct kg_error *err)
{
	size_t left = number(t->req, "limit", TRACE_DEFAULT, TRACE_MAX);
	struct kg_trace_options opts = {
		.from = number(t->req, "from", 0, UINT64_MAX),
		.budget = SCAN_BUDGET,
		.namesakes = kg_http_query_bool(t->req, "namesakes"),
	};
	bool more = true;
	int rc = 0;

	kg_buf_adds(t->out, "{\"entries\":[");
	while (rc == 0 && more) {
		struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
		struct kg_trace trace KG_CLEANUP(kg_trace_release) = {0};

		opts.limit = left < TRACE_STEP ? left : TRACE_STEP;
		rc = kg_store_trace(&trace, t->store, &a, t->kind, t->ns, t->name, &opts, err);
		for (size_t i = 0; rc == 0 && i < trace.n; i++)
			rc = add_step(t, &trace.steps[i],
				i + 1 < trace.n ? trace.steps[i + 1].object : trace.before, err);
		left -= trace.n;
		opts.from = trace.next;
		opts.budget -= trace.looked < opts.budget - 2 ? trace.looked : opts.budget - 2;
		/* Steps that fell short: the budget is used up. */
		more = trace.next && left && trace.n == opts.limit && t->out->len < MAX_REPLY;
		if (rc == 0 && !more)
			add_end(t, &trace);
	}
	return rc;
}

static void run_history(struct kg_http_req *req, struct kgd_master *m)
{
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;
	const char *kind = kg_http_query(req, "kind"), *ns = kg_http_query(req, "namespace");
	const char *name = kg_http_query(req, "name");
	struct telling t = {
		.req = req,
		.store = m->store,
		.out = &out,
		.kind = kg_kind_by_name(kind ? kind : ""),
		.ns = ns ? ns : "",
		.name = name ? name : "",
	};
	struct kg_error err;
	int rc = 0;

	if (!t.kind || (t.kind->flags & KG_KF_SYNTHETIC))
		rc = kg_fail(
			&err, KG_E_BAD_REQUEST, "kind: \"%s\" has no history", kind ? kind : "");
	else if (!*t.name || !(t.kind->flags & KG_KF_NAMESPACED) != !*t.ns)
		rc = kg_fail(&err, KG_E_BAD_REQUEST, "a %s is named by %s", t.kind->kind,
			t.kind->flags & KG_KF_NAMESPACED ? "namespace and name" : "name alone");
	if (rc == 0)
		rc = tell(&t, &err);
	if (rc < 0)
		kgd_reply_error(req, &err);
	else
		reply(req, &out);
}

static void handle_history(struct kg_http_req *req, void *ctx)
{
	(void)ctx;
	submit(req, run_history);
}

static void handle_explain(struct kg_http_req *req, void *ctx)
{
	(void)ctx;
	submit(req, kgd_explain_run);
}

bool kgd_history_route(struct kg_http_req *req, const char *rest, struct kg_http_route *route)
{
	if (strcmp(kg_http_method(req), "GET") != 0)
		return false;
	if (strcmp(rest, "log") == 0)
		route->handle = handle_log;
	else if (strcmp(rest, "history") == 0)
		route->handle = handle_history;
	else if (strcmp(rest, "explain") == 0)
		route->handle = handle_explain;
	return route->handle != NULL;
}
