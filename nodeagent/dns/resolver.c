#include "dns/resolver.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "sys/file.h"

#include <arpa/nameser.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unbound.h>
#include <unistd.h>

/*
 * Overview. There are two libunbound contexts, which cannot be changed once they were asked: one of
 * the cluster's zones, made anew whenever they change, so that nothing stale is in its cache, and
 * one of all the rest. Both are made anew when the host's resolv.conf changes: what an ExternalName
 * leads to is asked by the first. A context that was replaced goes when its last question is
 * answered.
 *
 * libunbound reads the zones at the first question, and whoever asks it waits for that: a new
 * context is asked by a thread of its own, and takes the old one's place when it has answered.
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

/* Zones that are to be loaded, and who is told. */
struct wanted {
	struct kg_doc *zones; /* or NULL */
	kg_resolver_loaded_fn *done;
	void *ctx;
};

struct kg_resolver {
	struct kg_loop *loop;
	struct kg_resolver_options opts;
	struct source *cluster, *rest; /* rest NULL: there is no resolver to ask */
	struct stat seen;              /* of resolv.conf */
	int64_t looked_ms;
	char **zones; /* their names */
	size_t nzones;
	struct kg_doc *loaded;    /* as they were given; NULL: none yet */
	struct question *unasked; /* answered with NULL, from the loop */
	struct kg_timer *fail;
	struct loading *loading; /* or NULL */
	struct wanted next;      /* then */
};

/* Zones on their way. The thread has all of it but `wanted`, until it is done. */
struct loading {
	struct kg_resolver *resolver;
	struct wanted wanted;
	struct kg_buf conf;
	char *zone; /* the first one's name */
	bool upstream;
	pthread_t thread;
	struct source *source; /* what came of it; NULL: err says why */
	struct kg_error err;
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

/* No zone of its own invention; what is private here is the cluster's or the host's resolver's. An
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

/* ---- all but the cluster's: by the host's resolvers ---- */

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

/* ---- the cluster's zones ---- */

static void set_zones(struct kg_resolver *r, const struct kg_value *zones)
{
	for (size_t i = 0; i < r->nzones; i++)
		free(r->zones[i]);
	r->nzones = kg_len(zones);
	r->zones = kg_realloc(r->zones, (r->nzones + 1) * sizeof(*r->zones));
	for (size_t i = 0; i < r->nzones; i++)
		r->zones[i] = kg_strdup(kg_string(kg_get(&zones->items[i], "name"), "."));
}

/* A forward zone without an address keeps the zone from the forwarders, where a CNAME of an
 * ExternalName Service leads. */
static void zones_conf(struct kg_buf *out, const char *dir, const struct kg_value *zones)
{
	for (uint32_t i = 0; i < kg_len(zones); i++) {
		const char *name = kg_string(kg_get(&zones->items[i], "name"), "");

		kg_buf_addf(out,
			"auth-zone:\n  name: \"%s\"\n  zonefile: \"%s/%s\"\n"
			"  for-downstream: no\n  for-upstream: yes\n"
			"forward-zone:\n  name: \"%s\"\n",
			name, dir, kg_string(kg_get(&zones->items[i], "file"), ""), name);
	}
}

static void on_probe(void *ctx, const uint8_t *packet, size_t len)
{
	(void)ctx;
	(void)packet;
	(void)len;
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

/* By a file of no directory: there may be none where this process can write. */
static int configure(struct ub_ctx *ub, const struct kg_buf *text, struct kg_error *err)
{
	KG_AUTOCLOSE int fd = memfd_create("unbound.conf", MFD_CLOEXEC);
	char path[32];

	if (fd < 0)
		return kg_fail_errno(err, "memfd");
	int rc = kg_write_all(fd, kg_buf_str(text), text->len, err);
	if (rc < 0)
		return rc;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	rc = ub_ctx_config(ub, path);
	return rc ? kg_fail(err, KG_E_IO, "libunbound: %s", ub_strerror(rc)) : 0;
}

/* The context reads its files at the first question. */
static int read_zones(struct loading *l, struct source *s, struct kg_error *err)
{
	int rc = configure(s->ub, &l->conf, err);

	if (rc < 0)
		return rc;
	if (l->upstream)
		rc = ub_ctx_resolvconf(s->ub, l->resolver->opts.resolv_conf);
	if (rc == 0)
		rc = ask(s, l->zone, ns_t_soa, on_probe, NULL);
	return rc ? kg_fail(err, KG_E_CORRUPT, "the zone files: %s", ub_strerror(rc)) : 0;
}

static struct loading *loading_new(struct kg_resolver *r, struct wanted wanted)
{
	struct loading *l = kg_alloc(sizeof(*l));
	const struct kg_value *zones = kg_doc_value(wanted.zones);

	l->resolver = r;
	l->wanted = wanted;
	l->zone = kg_strdup(kg_string(kg_get(&zones->items[0], "name"), "."));
	l->upstream = r->rest != NULL;
	zones_conf(&l->conf, r->opts.dir, zones);
	return l;
}

static void loading_free(struct loading *l)
{
	if (!l)
		return;
	free_source(l->source);
	kg_doc_unref(l->wanted.zones);
	kg_buf_release(&l->conf);
	free(l->zone);
	free(l);
}

/* Any thread. */
static void load(struct loading *l)
{
	struct source *s;

	if (new_source(&s, l->resolver, &l->err) < 0)
		return;
	if (read_zones(l, s, &l->err) == 0)
		l->source = s;
	else
		free_source(s);
}

static int take_over(struct kg_resolver *r, struct loading *l, struct kg_error *err)
{
	if (!l->source || watch_source(l->source, &l->err) < 0) {
		*err = l->err;
		return -(int)err->code;
	}
	replace(&r->cluster, kg_steal(&l->source));
	set_zones(r, kg_doc_value(l->wanted.zones));
	kg_doc_unref(r->loaded);
	r->loaded = kg_doc_ref(l->wanted.zones);
	return 0;
}

static void told(const struct wanted *w, const struct kg_error *err)
{
	if (w->done)
		w->done(w->ctx, err);
	else if (err)
		kg_error_log("dns: %s; what was known before is served", err->msg);
}

static void finish(struct loading *l)
{
	struct kg_error err;
	int rc = take_over(l->resolver, l, &err);

	told(&l->wanted, rc < 0 ? &err : NULL);
	loading_free(l);
}

static void begin_loading(struct kg_resolver *r, struct wanted wanted);

static void on_loaded(void *ctx)
{
	struct kg_resolver *r = ctx;
	struct loading *l = kg_steal(&r->loading);
	struct wanted next = r->next;

	r->next = (struct wanted){0};
	pthread_join(l->thread, NULL);
	finish(l);
	if (next.zones)
		begin_loading(r, next);
}

static void *run_loading(void *ctx)
{
	struct loading *l = ctx;

	load(l);
	kg_loop_post(l->resolver->loop, on_loaded, l->resolver);
	return NULL;
}

static void begin_loading(struct kg_resolver *r, struct wanted wanted)
{
	struct loading *l = loading_new(r, wanted);

	r->loading = l;
	if (pthread_create(&l->thread, NULL, run_loading, l) == 0)
		return;
	r->loading = NULL;
	load(l); /* no thread is to be had: it stands still for it */
	finish(l);
}

/* ---- both ---- */

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
	if (r->loaded && !r->next.zones)
		kg_resolver_reload(r,
			kg_doc_value(r->loading ? r->loading->wanted.zones : r->loaded), NULL,
			NULL);
}

int kg_resolver_load(struct kg_resolver *r, const struct kg_value *zones, struct kg_error *err)
{
	if (kg_len(zones) == 0)
		return kg_fail(err, KG_E_INVALID, "no zones");
	look_at_resolv_conf(r);
	struct loading *l = loading_new(r, (struct wanted){.zones = kg_doc_new(zones, NULL, 0)});
	load(l);
	int rc = take_over(r, l, err);
	loading_free(l);
	return rc;
}

void kg_resolver_reload(
	struct kg_resolver *r, const struct kg_value *zones, kg_resolver_loaded_fn *done, void *ctx)
{
	struct wanted w = {.zones = kg_doc_new(zones, NULL, 0), .done = done, .ctx = ctx};
	struct wanted old = r->next;
	struct kg_error err;

	if (kg_len(zones) == 0) {
		kg_fail(&err, KG_E_INVALID, "no zones");
		told(&w, &err);
		kg_doc_unref(w.zones);
		return;
	}
	if (!r->loading) {
		begin_loading(r, w);
		return;
	}
	r->next = w;
	if (!old.zones)
		return;
	kg_fail(&err, KG_E_CONFLICT, "newer ones came");
	if (old.done)
		old.done(old.ctx, &err);
	kg_doc_unref(old.zones);
}

/* ---- asking ---- */

static bool within(const char *name, const char *zone)
{
	size_t n = strlen(name), z = strlen(zone);

	return n >= z && strcasecmp(name + n - z, zone) == 0 && (n == z || name[n - z - 1] == '.');
}

bool kg_resolver_has(const struct kg_resolver *r, const char *name)
{
	for (size_t i = 0; i < r->nzones; i++) {
		if (within(name, r->zones[i]))
			return true;
	}
	return false;
}

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
	struct source *s;

	look_at_resolv_conf(r);
	s = kg_resolver_has(r, name) ? r->cluster : r->rest;
	if (s && ask(s, name, type, done, ctx) == 0)
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
	if (r->loading)
		pthread_join(r->loading->thread, NULL);
	loading_free(r->loading);
	kg_doc_unref(r->next.zones);
	kg_doc_unref(r->loaded);
	free_source(r->cluster);
	free_source(r->rest);
	drop_questions(&r->unasked);
	kg_timer_free(r->fail);
	for (size_t i = 0; i < r->nzones; i++)
		free(r->zones[i]);
	free(r->zones);
	free(r);
}
