/*
 * What it costs to follow one object's history, against what a look at every revision would cost.
 * CPU time of the thread, one figure a line: NAME VALUE UNIT.
 *   history_bench [--revisions N] [--pods N]
 */
#include "store/test_support.h"
#include "store/trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RARE  100  /* the ConfigMap changes every so many revisions */
#define SHORT 1000 /* the pod that is looked for was there up to this revision */

static void check(int rc, const struct kg_error *err)
{
	if (rc < 0) {
		fprintf(stderr, "history_bench: %s\n", err->msg);
		exit(1);
	}
}

static double cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void fill(struct test_cluster *c, const struct test_template *t, int pods, int revisions)
{
	struct kg_error err = {0};
	char name[32], node[32], text[32];

	for (int i = 0; i < pods; i++) {
		snprintf(name, sizeof(name), "pod-%d", i);
		snprintf(node, sizeof(node), "node-%d", i % 100);
		test_put_pod(c, t, "default", name, node);
	}
	test_put_pod(c, t, "default", "lost", "node-1");
	check(test_commit(c, &err), &err);
	for (int r = 2; r <= revisions; r++) {
		for (int k = 0; k < 3; k++) {
			snprintf(name, sizeof(name), "pod-%d", (r * 3 + k) % pods);
			test_set_status(c, "default", name, r);
		}
		snprintf(text, sizeof(text), "%d", r);
		if (r % RARE == 0)
			test_put_configmap(c, "default", "rare", text);
		if (r == SHORT)
			kg_txn_delete(test_txn(c), KG_KIND_POD, "default", "lost");
		check(test_commit(c, &err), &err);
	}
	test_flush(c);
}

static void trace(struct kg_store *s, const char *what, enum kg_kind_id kind, const char *name)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_trace_options opts = {.limit = 1000, .budget = 1000000};
	struct kg_error err = {0};
	struct kg_trace t;
	double began = cpu_ms();

	check(kg_store_trace(&t, s, &a, &kg_kinds[kind], "default", name, &opts, &err), &err);
	double took = cpu_ms() - began;
	printf("%s_versions %zu versions\n%s %.2f ms\n", what, t.n, what, took);
	if (t.looked)
		printf("%s_per_revision %.1f us\n", what, took * 1e3 / (double)t.looked);
	else
		printf("%s_per_version %.1f us\n", what, took * 1e3 / (double)(t.n ? t.n : 1));
	kg_trace_release(&t);
}

static int count(void *ctx, uint64_t revision, kg_time time, const struct kg_changes *changes)
{
	size_t *n = ctx;

	(void)revision;
	(void)time;
	*n += changes->len;
	return 0;
}

int main(int argc, char **argv)
{
	int revisions = 10000, pods = 3000;
	struct kg_error err = {0};
	struct test_template t;
	struct test_cluster c;
	size_t n = 0;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--revisions") == 0)
			revisions = atoi(argv[i + 1]);
		if (strcmp(argv[i], "--pods") == 0)
			pods = atoi(argv[i + 1]);
	}
	kg_kinds_init();
	test_journal_size = 16 << 20;
	char *dir = test_dir();
	check(test_open(&c, dir, true, NULL, &err), &err);
	test_template_init(&t, 1);
	fill(&c, &t, pods, revisions);
	printf("revisions %d revisions\npods %d pods\n", revisions, pods);
	trace(c.store, "rare", KG_KIND_CONFIGMAP, "rare");
	trace(c.store, "busy", KG_KIND_POD, "pod-7");
	trace(c.store, "deleted", KG_KIND_POD, "lost");
	trace(c.store, "never", KG_KIND_POD, "never");
	double began = cpu_ms();
	check(kg_store_changes(c.store, 1, (uint64_t)revisions, 0, count, &n, &err), &err);
	printf("every_revision %.2f ms\n", cpu_ms() - began);
	test_template_release(&t);
	test_close(&c);
	test_dir_remove(dir);
	return 0;
}
