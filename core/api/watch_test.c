/*
 * Watchers against a writer, checked as etcd checks its own: ordered, unique (but for the commit
 * at which a broken stream goes on), reliable (nothing is missing), resumable anywhere. Each
 * watcher breaks its stream at random places, sleeps at random, and resumes from its last
 * revision, by then often beyond what memory holds.
 */
#include "testserver.h"

#include "base/hash.h"
#include "value/json.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

enum { WATCHERS = 8, COMMITS = 3000, NAMES = 40 };

static struct test_server server;
static uint64_t last_revision; /* of the writer, once it has ended */
static _Atomic bool written;

/* What a watcher must have seen: the events of the history that it selects. */
struct expected {
	uint64_t revision;
	char type; /* A, M, D */
	char name[16];
};

struct watcher {
	const char *label; /* NULL: everything */
	const char *ns;    /* NULL: all */
	unsigned seed;
	uint64_t at; /* the last event's or bookmark's revision */
	struct kg_http_client *client;
	struct kg_buf partial;
	unsigned quota;   /* lines until it breaks off; 0: none */
	uint64_t resumed; /* the revision at which this stream began */
	struct expected *got;
	size_t ngot, cap;
	unsigned resumes, duplicates;
	char wrong[300];
};

static unsigned pick(struct watcher *w, unsigned n)
{
	return (unsigned)rand_r(&w->seed) % n;
}

static bool seen_already(const struct watcher *w, const struct expected *e)
{
	for (size_t i = w->ngot; i-- && w->got[i].revision >= e->revision;)
		if (w->got[i].revision == e->revision && !strcmp(w->got[i].name, e->name))
			return true;
	return false;
}

static void note(struct watcher *w, const struct kg_value *line)
{
	const char *type = kg_string(kg_get(line, "type"), "");
	const struct kg_value *md = kg_at(line, "object.metadata");
	struct expected e = {
		.revision = strtoull(kg_string(kg_get(md, "resourceVersion"), "0"), NULL, 10),
		.type = *type};

	snprintf(e.name, sizeof(e.name), "%s", kg_string(kg_get(md, "name"), ""));
	if (*type == 'E' || !e.revision) {
		snprintf(w->wrong, sizeof(w->wrong), "after %" PRIu64 ": %s %s", w->at, type,
			kg_string(kg_at(line, "object.message"), ""));
		return;
	}
	if (e.revision < w->at)
		snprintf(w->wrong, sizeof(w->wrong), "order: %" PRIu64 " after %" PRIu64,
			e.revision, w->at);
	w->at = e.revision;
	if (*type == 'B')
		return;
	if (seen_already(w, &e)) {
		w->duplicates++;
		if (e.revision != w->resumed)
			snprintf(w->wrong, sizeof(w->wrong), "twice: %s at %" PRIu64, e.name,
				e.revision);
		return;
	}
	KG_GROW(w->got, w->cap, w->ngot + 1);
	w->got[w->ngot++] = e;
}

static bool on_bytes(void *ctx, const char *p, size_t n)
{
	struct watcher *w = ctx;
	char *end;

	kg_buf_add(&w->partial, p, n);
	while ((end = memchr(w->partial.data, '\n', w->partial.len)) && !*w->wrong) {
		struct kg_arena a = KG_ARENA_INIT;
		struct kg_value line;
		struct kg_error err;

		if (kg_json_parse(
			    &line, &a, w->partial.data, (size_t)(end - w->partial.data), &err))
			snprintf(w->wrong, sizeof(w->wrong), "line: %.250s", err.msg);
		else
			note(w, &line);
		kg_arena_release(&a);
		kg_buf_remove(&w->partial, 0, (size_t)(end - w->partial.data) + 1);
		if (!--w->quota)
			return false; /* whatever came with it is lost */
		if (!w->partial.len)
			break;
	}
	return !*w->wrong && !(written && w->at >= last_revision);
}

static void *watch_main(void *arg)
{
	struct watcher *w = arg;
	struct kg_error err;

	w->client = test_client(&server);
	while (!*w->wrong && !(written && w->at >= last_revision)) {
		KG_AUTOFREE char *path = kg_asprintf("/api/v1/%s%s%sconfigmaps?watch=1%s%s"
						     "&allowWatchBookmarks=true&timeoutSeconds=%u"
						     "&resourceVersion=%" PRIu64,
			w->ns ? "namespaces/" : "", w->ns ? w->ns : "", w->ns ? "/" : "",
			w->label ? "&labelSelector=l%3D" : "", w->label ? w->label : "",
			1 + pick(w, 3), w->at);

		w->quota = 1 + pick(w, pick(w, 3) ? 60 : 600);
		w->resumed = w->at;
		kg_buf_clear(&w->partial);
		if (kg_http_get_stream(w->client, path, 20000, on_bytes, w, &err))
			snprintf(w->wrong, sizeof(w->wrong), "stream: %.250s", err.msg);
		w->resumes++;
		if (!pick(w, 5)) {
			struct timespec pause = {.tv_nsec = (long)pick(w, 100) * 1000000};

			nanosleep(&pause, NULL);
		}
	}
	kg_http_client_free(w->client);
	kg_buf_release(&w->partial);
	return NULL;
}

static void *write_main(void *arg)
{
	static const char *const labels[] = {"a", "b", "c"}, *const spaces[] = {"x", "y"};
	unsigned seed = 7;
	char name[16];
	(void)arg;

	for (int i = 0; i < COMMITS; i++) {
		int changes = rand_r(&seed) % 10 ? 1 : 1 + rand_r(&seed) % 30;

		while (changes--) {
			const char *ns = spaces[rand_r(&seed) % 2];

			snprintf(name, sizeof(name), "%s%d", ns, rand_r(&seed) % NAMES);
			if (rand_r(&seed) % 4)
				test_put_configmap(&server, ns, name, i, labels[rand_r(&seed) % 3]);
			else
				test_delete(&server, KG_KIND_CONFIGMAP, ns, name);
		}
		test_commit(&server);
		if (i % 50 == 0) {
			struct timespec pause = {.tv_nsec = 20 * 1000000};

			nanosleep(&pause, NULL);
		}
	}
	/* One that everybody sees ends it. */
	for (int l = 0; l < 3; l++) {
		for (int s = 0; s < 2; s++) {
			snprintf(name, sizeof(name), "%s-end%d", spaces[s], l);
			test_put_configmap(&server, spaces[s], name, 0, labels[l]);
		}
	}
	last_revision = test_commit(&server);
	written = true;
	return NULL;
}

static bool selected(const struct watcher *w, const struct kg_object *obj)
{
	return obj && (!w->ns || !strcmp(w->ns, obj->ns)) &&
	       (!w->label ||
		       !strcmp(w->label, kg_string(kg_at(kg_obj(obj), "metadata.labels.l"), "")));
}

/* Compares what it got with what the commits say. The last commit may be cut short: it stops at
 * its first event. */
static void check(const struct watcher *w)
{
	size_t at = 0;

	assert_string_equal(w->wrong, "");
	for (size_t c = 0; c + 1 < server.ncommits; c++) {
		const struct kg_commit_event *e = server.commits[c];

		for (size_t i = 0; i < e->changes.len; i++) {
			const struct kg_change *ch = &e->changes.items[i];
			bool was = selected(w, ch->before), is = selected(w, ch->after);

			if (!was && !is)
				continue;
			assert_true(at < w->ngot);
			assert_int_equal(w->got[at].revision, e->revision);
			assert_string_equal(
				w->got[at].name, ch->after ? ch->after->name : ch->before->name);
			assert_int_equal(w->got[at].type, is ? (was ? 'M' : 'A') : 'D');
			at++;
		}
	}
}

static void test_watchers_lose_nothing(void **state)
{
	struct watcher w[WATCHERS] = {{.label = NULL}, {.label = "a"}, {.label = "b"}, {.ns = "x"},
		{.ns = "y", .label = "c"}, {.label = NULL}, {.label = "a"},
		{.ns = "x", .label = "b"}};
	pthread_t threads[WATCHERS], writer;
	struct kg_api_stats stats;
	(void)state;

	/* Memory holds little, so that resuming often needs the history. */
	test_server_start(
		&server, (struct kg_api_options){.bookmark_ms = 100, .max_feed = 300}, 300);
	test_put_configmap(&server, "x", "x-first", 0, "none");
	test_commit(&server);
	for (int i = 0; i < WATCHERS; i++) {
		w[i].seed = 1000u + (unsigned)i;
		w[i].at = 1;
		pthread_create(&threads[i], NULL, watch_main, &w[i]);
	}
	/* The first commit's event is before their beginning. */
	pthread_create(&writer, NULL, write_main, NULL);
	pthread_join(writer, NULL);
	for (int i = 0; i < WATCHERS; i++)
		pthread_join(threads[i], NULL);
	kg_commit_event_unref(server.commits[0]);
	server.ncommits--;
	memmove(server.commits, server.commits + 1, server.ncommits * sizeof(*server.commits));
	kg_api_stats(server.api, &stats);
	for (int i = 0; i < WATCHERS; i++) {
		print_message("watcher %d: %zu events, %u streams, %u twice\n", i, w[i].ngot,
			w[i].resumes, w[i].duplicates);
		check(&w[i]);
		free(w[i].got);
	}
	print_message(
		"%" PRIu64 " events sent, %" PRIu64 " encoded\n", stats.events_sent, stats.encoded);
	test_server_stop(&server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_watchers_lose_nothing)};

	kg_kinds_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
