#include "dns/resolver.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "sys/file.h"

#include <arpa/nameser.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unbound.h>
#include <unistd.h>

/*
 * Overview. A libunbound context cannot be changed once it was asked: it is made anew when the
 * host's resolv.conf changes. One that was replaced goes when its last question is answered.
 */

#define LOOK_MS 1000 /* between two looks at resolv.conf */

struct source {
	struct kg_resolver *resolver;
	struct ub_ctx *ub;
	struct kg_watch *watch;
	struct question *first; /* those that were not answered yet */
	bool replaced;
};

struct question {
	kg_resolver_fn *done;
	void *ctx;
	struct question *next, **prev;
};

struct kg_resolver {
	struct kg_loop *loop;
	struct kg_resolver_options opts;
	struct source *rest; /* NULL: there is no resolver to ask */
	struct stat seen;    /* of resolv.conf */
	int64_t looked_ms;
	struct question *unasked; /* answered with NULL, from the loop */
	struct kg_timer *fail;
};

/* ---- questions ---- */

static struct question *add_question(struct question **list, kg_resolver_fn *done, void *ctx)
{
	struct question *q = kg_alloc(sizeof(*q));

	*q = (struct question){.done = done, .ctx = ctx, .next = *list, .prev = list};
	if (q->next)
		q->next->prev = &q->next;
	*list = q;
	return q;
}

static void answer(struct question *q, const uint8_t *packet, size_t len)
{
	kg_resolver_fn *done = q->done;
	void *ctx = q->ctx;

	*q->prev = q->next;
	if (q->next)
		q->next->prev = q->prev;
	free(q);
	done(ctx, packet, len);
}

static void drop_questions(struct question **list)
{
	while (*list) {
		struct question *q = *list;

		*list = q->next;
		free(q);
	}
}

static void on_answer(void *ctx, int rc, struct ub_result *result)
{
	if (rc == 0 && result && result->answer_packet && result->answer_len > 0)
		answer(ctx, result->answer_packet, (size_t)result->answer_len);
	else
		answer(ctx, NULL, 0);
	ub_resolve_free(result);
}

/* ---- contexts ---- */

static void free_source(struct source *s)
{
	if (!s)
		return;
	kg_watch_free(s->watch);
	ub_ctx_delete(s->ub); /* ends its thread; what it did not answer is not told */
	drop_questions(&s->first);
	free(s);
}

static void replace(struct source **place, struct source *fresh)
{
	struct source *old = *place;

	*place = fresh;
	if (old && old->first)
		old->replaced = true; /* goes with its last answer */
	else
		free_source(old);
}

static void on_ready(void *ctx, uint32_t events)
{
	struct source *s = ctx;

	(void)events;
	ub_process(s->ub);
	if (s->replaced && !s->first)
		free_source(s);
}

static int set_option(struct ub_ctx *ub, const char *name, const char *value, struct kg_error *err)
{
	int rc = ub_ctx_set_option(ub, name, value);

	return rc ? kg_fail(err, KG_E_IO, "libunbound: %s %s: %s", name, value, ub_strerror(rc))
		  : 0;
}

/* No zone of its own invention; what is private here is the host's resolver's. An
 * upstream that failed is soon tried again: it is often the only one. */
static int set_options(struct ub_ctx *ub, struct kg_error *err)
{
	static const char *const options[][2] = {
		{"module-config:", "iterator"},
		{"unblock-lan-zones:", "yes"},
		{"do-not-query-localhost:", "no"},
		{"infra-host-ttl:", "15"},
		{"msg-cache-size:", "4m"},
		{"rrset-cache-size:", "8m"},
	};

	for (size_t i = 0; i < KG_ARRAY_LEN(options); i++) {
		int rc = set_option(ub, options[i][0], options[i][1], err);

		if (rc < 0)
			return rc;
	}
	return 0;
}

static int new_source(struct source **out, struct kg_resolver *r, struct kg_error *err)
{
	struct source *s = kg_alloc(sizeof(*s));

	s->resolver = r;
	s->ub = ub_ctx_create();
	if (!s->ub)
		abort(); /* out of memory */
	int rc = set_options(s->ub, err);
	if (rc == 0 && ub_ctx_async(s->ub, 1) != 0)
		rc = kg_fail(err, KG_E_IO, "libunbound: no threads");
	if (rc < 0) {
		free_source(s);
		return rc;
	}
	*out = s;
	return 0;
}

static int watch_source(struct source *s, struct kg_error *err)
{
	s->watch = kg_loop_watch(s->resolver->loop, ub_fd(s->ub), EPOLLIN, on_ready, s);
	return s->watch ? 0 : kg_fail_errno(err, "watch libunbound");
}

/* ---- the host's resolvers ---- */

static bool names_a_server(const struct kg_resolver *r)
{
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;
	struct kg_error err;

	return kg_file_read(&text, r->opts.resolv_conf, 1 << 20, &err) == 0 &&
	       (strncmp(kg_buf_str(&text), "nameserver", 10) == 0 ||
		       strstr(kg_buf_str(&text), "\nnameserver"));
}

static int open_rest(struct source **out, struct kg_resolver *r, struct kg_error *err)
{
	struct source *s;
	int rc = new_source(&s, r, err);

	if (rc < 0)
		return rc;
	rc = ub_ctx_resolvconf(s->ub, r->opts.resolv_conf);
	if (rc != 0)
		rc = kg_fail(
			err, KG_E_IO, "libunbound: %s: %s", r->opts.resolv_conf, ub_strerror(rc));
	if (rc == 0)
		rc = watch_source(s, err);
	if (rc < 0) {
		free_source(s);
		return rc;
	}
	*out = s;
	return 0;
}

static void new_rest(struct kg_resolver *r)
{
	struct source *s = NULL;
	struct kg_error err;

	/* Without one libunbound would ask the root of the Internet. */
	if (names_a_server(r) && open_rest(&s, r, &err) < 0)
		kg_error_log("dns: %s; external names are not looked up", err.msg);
	replace(&r->rest, s);
}

static int ask(struct source *s, const char *name, int type, kg_resolver_fn *done, void *ctx)
{
	struct question *q = add_question(&s->first, done, ctx);
	int rc = ub_resolve_async(s->ub, name, type, ns_c_in, q, on_answer, NULL);

	if (rc != 0) {
		s->first = q->next;
		if (q->next)
			q->next->prev = &s->first;
		free(q);
	}
	return rc;
}

static void look_at_resolv_conf(struct kg_resolver *r)
{
	int64_t now = kg_monotonic_ms();
	struct stat st = {0};

	if (r->looked_ms && now - r->looked_ms < LOOK_MS)
		return;
	if (stat(r->opts.resolv_conf, &st) < 0)
		st = (struct stat){0};
	bool changed = !r->looked_ms || st.st_ino != r->seen.st_ino ||
		       st.st_size != r->seen.st_size ||
		       memcmp(&st.st_mtim, &r->seen.st_mtim, sizeof(st.st_mtim)) != 0;

	r->seen = st;
	r->looked_ms = now;
	if (!changed)
		return;
	new_rest(r);
}

/* ---- asking ---- */

/* Those that are asked meanwhile wait for the next turn. */
static void on_fail(void *ctx)
{
	struct kg_resolver *r = ctx;
	struct question *list = kg_steal(&r->unasked);

	if (list)
		list->prev = &list;
	while (list)
		answer(list, NULL, 0);
}

void kg_resolver_ask(
	struct kg_resolver *r, const char *name, uint16_t type, kg_resolver_fn *done, void *ctx)
{
	look_at_resolv_conf(r);
	if (r->rest && ask(r->rest, name, type, done, ctx) == 0)
		return;
	add_question(&r->unasked, done, ctx);
	kg_timer_set(r->fail, 0);
}

/* ---- life ---- */

struct kg_resolver *kg_resolver_new(struct kg_loop *loop, const struct kg_resolver_options *opts)
{
	struct kg_resolver *r = kg_alloc(sizeof(*r));

	r->loop = loop;
	r->opts = *opts;
	r->fail = kg_timer_new(loop, on_fail, r);
	return r;
}

void kg_resolver_free(struct kg_resolver *r)
{
	if (!r)
		return;
	free_source(r->rest);
	drop_questions(&r->unasked);
	kg_timer_free(r->fail);
	free(r);
}
