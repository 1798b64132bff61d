/*
 * What history costs on disk. One figure a line: NAME VALUE UNIT.
 *   disk_bench [--revisions N] [--nodes N] [--pods N] [--namespaces N] [DIR]
 * Each revision binds one pod, which until then had no node; when all are bound, one more revision
 * puts pods without nodes in their place. In the middle and at the end the packs are made compact,
 * as kgitd does in the background, the last time while more is bound: "quiet" is a commit before
 * that, "beside" one during it. "repository" is all but the journal, whose size is fixed. DIR is
 * where the repository is made (default: a new directory under $TMPDIR, removed afterwards).
 */
#include "store/compact.h"
#include "store/test_support.h"
#include "sys/loop.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TEMPLATES 20

struct bench {
	int revisions, nodes, pods, namespaces;
	const char *dir;
	struct test_template t[TEMPLATES];
	struct test_cluster c;
	int bound, round, shift; /* shift: pods go to other nodes */
};

static void check(int rc, const struct kg_error *err)
{
	if (rc < 0) {
		fprintf(stderr, "disk_bench: %s\n", err->msg);
		exit(1);
	}
}

static void figure(const char *name, double value, const char *unit)
{
	printf("%s %.3f %s\n", name, value, unit);
	fflush(stdout);
}

/* Of this process and of its children. */
static double cpu_s(void)
{
	double s = 0;

	for (int who = RUSAGE_CHILDREN; who <= RUSAGE_SELF; who++) {
		struct rusage u;

		getrusage(who, &u);
		s += (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
		     (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
	}
	return s;
}

/* Bytes as the disk counts them, but for the journal. */
static double disk_bytes(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	double sum = 0;

	while (d && (e = readdir(d))) {
		char *sub KG_AUTOFREE = kg_asprintf("%s/%s", path, e->d_name);
		struct stat st;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
			strcmp(e->d_name, "journal") == 0 || lstat(sub, &st) < 0)
			continue;
		sum += (double)st.st_blocks * 512;
		if (S_ISDIR(st.st_mode))
			sum += disk_bytes(sub);
	}
	if (d)
		closedir(d);
	return sum;
}

static void put_pod(struct bench *b, int i, const char *node)
{
	char name[64], ns[32];

	snprintf(ns, sizeof(ns), "team-%d", i % b->namespaces);
	snprintf(name, sizeof(name), "web-%d-%05d", b->round, i);
	test_put_pod(&b->c, &b->t[i % TEMPLATES], ns, name, node);
}

static void delete_pod(struct bench *b, int i)
{
	char name[64], ns[32];

	snprintf(ns, sizeof(ns), "team-%d", i % b->namespaces);
	snprintf(name, sizeof(name), "web-%d-%05d", b->round, i);
	kg_txn_delete(test_txn(&b->c), KG_KIND_POD, ns, name);
}

static void commit(struct bench *b)
{
	struct kg_error err = {0};

	check(test_commit(&b->c, &err), &err);
}

static void renew_pods(struct bench *b)
{
	for (int i = 0; b->round && i < b->pods; i++)
		delete_pod(b, i);
	b->round++;
	for (int i = 0; i < b->pods; i++)
		put_pod(b, i, NULL);
	commit(b);
	b->bound = 0;
}

static void bind_pods(struct bench *b, int n)
{
	while (n--) {
		char node[32];

		if (b->bound == b->pods)
			renew_pods(b);
		/* In no order that the tree has. */
		int i = (int)((long long)b->bound++ * 7919 % b->pods);
		snprintf(node, sizeof(node), "node-%d", (i * 31 + b->round + b->shift) % b->nodes);
		put_pod(b, i, node);
		commit(b);
	}
}

static void compact(struct bench *b)
{
	struct kg_compact_options o = {.now = TEST_TIME, .force = true};
	struct kg_compact_result r;
	struct kg_error err = {0};
	double cpu = cpu_s();

	check(kg_store_compact(&r, b->c.store, &o, &err), &err);
	figure("compaction_cpu", cpu_s() - cpu, "s");
	figure("packs_before", (double)r.bytes_before / 1e6, "MB");
	figure("packs_after", (double)r.bytes_after / 1e6, "MB");
}

/* ---- commits beside a compaction ---- */

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct times {
	double *ms;
	size_t n, cap;
};

static void timed_bind(struct bench *b, struct times *t)
{
	/* Pods are moved rather than renewed, which is one large commit. */
	if (b->bound == b->pods) {
		b->bound = 0;
		b->shift++;
	}
	double from = now_ms();
	bind_pods(b, 1);
	KG_GROW(t->ms, t->cap, t->n + 1);
	t->ms[t->n++] = now_ms() - from;
}

static void say_times(const char *name, struct times *t)
{
	char label[64];

	qsort(t->ms, t->n, sizeof(*t->ms), by_value);
	snprintf(label, sizeof(label), "commit_%s_p50", name);
	figure(label, t->ms[t->n / 2], "ms");
	snprintf(label, sizeof(label), "commit_%s_p99", name);
	figure(label, t->ms[t->n * 99 / 100], "ms");
	snprintf(label, sizeof(label), "commit_%s_max", name);
	figure(label, t->ms[t->n - 1], "ms");
	free(t->ms);
}

struct beside {
	struct kg_store *store;
	atomic_bool done;
};

static void *compact_beside(void *arg)
{
	struct kg_compact_options o = {.now = TEST_TIME, .force = true};
	struct beside *s = arg;
	struct kg_compact_result r;
	struct kg_error err = {0};

	/* As kgitd's thread does it. */
	setpriority(PRIO_PROCESS, (id_t)gettid(), 19);
	check(kg_store_compact(&r, s->store, &o, &err), &err);
	atomic_store(&s->done, true);
	return NULL;
}

static void commit_beside(struct bench *b)
{
	struct beside s = {.store = b->c.store};
	struct times quiet = {0}, beside = {0};
	pthread_t thread;

	b->bound = b->pods;
	for (int i = 0; i < 500 && i < b->pods; i++)
		timed_bind(b, &quiet);
	atomic_init(&s.done, false);
	if (pthread_create(&thread, NULL, compact_beside, &s) != 0)
		exit(1);
	while (!atomic_load(&s.done))
		timed_bind(b, &beside);
	pthread_join(thread, NULL);
	say_times("quiet", &quiet);
	say_times("beside", &beside);
}

static void measure(struct bench *b)
{
	struct kg_error err = {0};

	check(test_open(&b->c, b->dir, true, NULL, &err), &err);
	for (int i = 0; i < b->nodes; i++) {
		char node[32];

		snprintf(node, sizeof(node), "node-%d", i);
		test_put_node(&b->c, node, 0);
	}
	renew_pods(b);
	compact(b);
	double before = disk_bytes(b->dir);
	figure("repository_at_first", before / 1e6, "MB");
	bind_pods(b, b->revisions / 2);
	compact(b);
	bind_pods(b, b->revisions - b->revisions / 2);
	test_flush(&b->c);
	compact(b);
	double after = disk_bytes(b->dir);
	figure("repository", after / 1e6, "MB");
	figure("disk_per_100000_revisions", (after - before) / 1e6 * 1e5 / b->revisions, "MB");
	double from = (double)kg_monotonic_ms();
	test_close(&b->c);
	check(test_open(&b->c, b->dir, false, NULL, &err), &err);
	figure("load_afterwards", (double)kg_monotonic_ms() - from, "ms");
	commit_beside(b);
	test_close(&b->c);
}

int main(int argc, char **argv)
{
	struct bench b = {.revisions = 100000, .nodes = 100, .pods = 3000, .namespaces = 10};
	char *made = NULL;

	for (int i = 1; i < argc; i++) {
		int *out = strcmp(argv[i], "--revisions") == 0    ? &b.revisions
			   : strcmp(argv[i], "--nodes") == 0      ? &b.nodes
			   : strcmp(argv[i], "--pods") == 0       ? &b.pods
			   : strcmp(argv[i], "--namespaces") == 0 ? &b.namespaces
								  : NULL;

		if (out && i + 1 < argc)
			*out = (int)strtol(argv[++i], NULL, 10);
		else if (argv[i][0] != '-')
			b.dir = argv[i];
		else
			return fprintf(stderr,
				       "usage: disk_bench [--revisions N] [--nodes N] [--pods N] "
				       "[--namespaces N] [DIR]\n"),
			       2;
	}
	if (b.revisions < 2 || b.nodes < 1 || b.pods < 1 || b.namespaces < 1)
		return fprintf(stderr, "disk_bench: at least 2 revisions, and one of the rest\n"),
		       2;
	kg_kinds_init();
	if (!b.dir)
		b.dir = made = test_dir();
	for (int i = 0; i < TEMPLATES; i++)
		test_template_init(&b.t[i], i);
	measure(&b);
	for (int i = 0; i < TEMPLATES; i++)
		test_template_release(&b.t[i]);
	if (made)
		test_dir_remove(made);
	return 0;
}
