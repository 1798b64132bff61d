/* What lists and watches cost: `api_bench [PODS] [WATCHERS] [COMMITS]`, figures on stdout. */
#include "testserver.h"

#include "value/json.h"

#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double cpu(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* The fixture's pod under other names. */
static void put_pods(struct test_server *s, const struct kg_value *pod, int n)
{
	for (int i = 0; i < n; i++) {
		struct kg_arena a = KG_ARENA_INIT;
		struct kg_value v = kg_with(&a, pod, "metadata.name", kg_v_strf(&a, "pod-%06d", i));

		test_put(s, &v);
		kg_arena_release(&a);
	}
	test_commit(s);
}

static void list(struct test_server *s, const char *what, const char *path)
{
	struct kg_http_client *c = test_client(s);
	struct kg_error err;
	double best = 1e9;
	size_t len = 0;

	for (int i = 0; i < 6; i++) {
		KG_AUTOBUF struct kg_buf reply = KG_BUF_INIT;
		double from = now();

		if (kg_http_call(c, "GET", path, NULL, NULL, 0, &reply, &err)) {
			fprintf(stderr, "%s\n", err.msg);
			exit(1);
		}
		if (now() - from < best)
			best = now() - from;
		len = reply.len;
	}
	printf("%-28s %8.1f ms %10zu bytes\n", what, best * 1e3, len);
	kg_http_client_free(c);
}

struct follower {
	pthread_t thread;
	struct test_server *s;
	uint64_t from;
	size_t lines, wanted;
};

static bool count(void *ctx, const char *p, size_t n)
{
	struct follower *f = ctx;

	for (const char *end = p + n; (p = memchr(p, '\n', (size_t)(end - p))); p++)
		f->lines++;
	return f->lines < f->wanted;
}

static void *follow(void *arg)
{
	struct follower *f = arg;
	struct kg_http_client *c = test_client(f->s);
	KG_AUTOFREE char *path = kg_asprintf(
		"/api/v1/pods?watch=1&resourceVersion=%llu", (unsigned long long)f->from);
	struct kg_error err;

	if (kg_http_get_stream(c, path, 60000, count, f, &err))
		fprintf(stderr, "watch: %s\n", err.msg);
	kg_http_client_free(c);
	return NULL;
}

static void say(struct test_server *s, const struct kg_value *pod, int i)
{
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_value v = kg_with(&a, pod, "status.message", kg_v_strf(&a, "%d", i));

	test_put(s, &v);
	test_commit(s);
	kg_arena_release(&a);
}

static void watch(struct test_server *s, const struct kg_value *pod, int watchers, int commits)
{
	struct follower *f = kg_alloc((size_t)watchers * sizeof(*f));
	struct kg_api_stats stats;
	pthread_attr_t attr;

	/* Who begins at a revision of several changes is told all of that one again. */
	say(s, pod, -1);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 256 * 1024);
	for (int i = 0; i < watchers; i++) {
		f[i] = (struct follower){
			.s = s, .from = kg_hub_revision(s->hub), .wanted = (size_t)commits};
		pthread_create(&f[i].thread, &attr, follow, &f[i]);
	}
	pthread_attr_destroy(&attr);
	do {
		struct timespec pause = {.tv_nsec = 10 * 1000000};

		nanosleep(&pause, NULL);
		kg_api_stats(s->api, &stats);
	} while (stats.watchers < (size_t)watchers);
	double from = now(), used = cpu();
	for (int i = 0; i < commits; i++)
		say(s, pod, i);
	double published = now() - from;
	for (int i = 0; i < watchers; i++)
		pthread_join(f[i].thread, NULL);
	double took = now() - from, events = (double)watchers * commits;
	kg_api_stats(s->api, &stats);
	printf("%d watchers, %d commits: published in %.1f ms, all seen in %.1f ms, "
	       "%.1f us of CPU an event (clients included), %llu encodings\n",
		watchers, commits, published * 1e3, took * 1e3, (cpu() - used) / events * 1e6,
		(unsigned long long)stats.encoded);
	free(f);
}

int main(int argc, char **argv)
{
	int pods = argc > 1 ? atoi(argv[1]) : 10000, watchers = argc > 2 ? atoi(argv[2]) : 200,
	    commits = argc > 3 ? atoi(argv[3]) : 500;
	struct test_server s;

	kg_kinds_init();
	test_server_start(&s, (struct kg_api_options){0}, 0);
	KG_AUTOFREE char *text = test_read_file(KGIT_SOURCE_DIR "/core/api/testdata/cluster.yaml");
	test_put_yaml(&s, text);
	test_commit(&s);
	struct kg_snapshot *snapshot = kg_hub_snapshot(s.hub);
	const struct kg_object *pod =
		kg_snapshot_get(snapshot, KG_KIND_POD, "default", "web-5d6f7c8b9-bcdfg");

	put_pods(&s, kg_obj(pod), pods);
	printf("%d pods\n", pods);
	list(&s, "list", "/api/v1/pods");
	list(&s, "list, limit 500", "/api/v1/pods?limit=500");
	list(&s, "list of one namespace", "/api/v1/namespaces/default/pods");
	list(&s, "list of one node", "/api/v1/pods?fieldSelector=spec.nodeName%3Dn1&limit=500");
	list(&s, "list by label, none match", "/api/v1/pods?labelSelector=app%3Dnone");
	list(&s, "get", "/api/v1/namespaces/default/pods/pod-000007");
	watch(&s, kg_obj(pod), watchers, commits);
	kg_snapshot_unref(snapshot);
	test_server_stop(&s);
	return 0;
}
