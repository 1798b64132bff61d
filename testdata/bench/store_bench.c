/*
 * What the store costs. One figure a line: NAME VALUE UNIT. What begins with "straight_" is without
 * the journal, in the same run on the same disk; "speedup" is the ratio of the two medians.
 *   store_bench [--pods N] [--nodes N] [--commits N] [DIR]
 * DIR is where the repositories are made (default: a new directory under $TMPDIR, removed
 * afterwards); which disk it lies on decides the figures.
 */
#include "store/test_support.h"
#include "sys/file.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* In place of libc's, to count: those of the thread that commits, and of all. */
static _Thread_local unsigned long own_syncs;
static unsigned long all_syncs;

static void count_sync(void)
{
	own_syncs++;
	__atomic_fetch_add(&all_syncs, 1, __ATOMIC_RELAXED);
}

int fsync(int fd)
{
	count_sync();
	return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	count_sync();
	return (int)syscall(SYS_fdatasync, fd);
}

static void check(int rc, const struct kg_error *err)
{
	if (rc < 0) {
		fprintf(stderr, "store_bench: %s\n", err->msg);
		exit(1);
	}
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double resident_mb(void)
{
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	struct kg_error err = {0};
	char *end;

	check(kg_file_read(&text, "/proc/self/statm", 4096, &err), &err);
	strtol(kg_buf_str(&text), &end, 10);
	return (double)strtol(end, NULL, 10) * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

static void figure(const char *name, double value, const char *unit)
{
	printf("%s %.3f %s\n", name, value, unit);
	fflush(stdout);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Returns the median. */
static double percentiles(const char *prefix, const char *name, double *ms, size_t n)
{
	char label[100];

	qsort(ms, n, sizeof(*ms), by_value);
	snprintf(label, sizeof(label), "%s%s_p50", prefix, name);
	figure(label, ms[n / 2], "ms");
	snprintf(label, sizeof(label), "%s%s_p99", prefix, name);
	figure(label, ms[n * 99 / 100], "ms");
	return ms[n / 2];
}

static void prefixed(const char *prefix, const char *name, double value, const char *unit)
{
	char label[100];

	snprintf(label, sizeof(label), "%s%s", prefix, name);
	figure(label, value, unit);
}

static void put_nodes(struct test_cluster *c, int n)
{
	for (int i = 0; i < n; i++) {
		char name[32];

		snprintf(name, sizeof(name), "node-%d", i);
		test_put_node(c, name, 0);
	}
}

static void put_pods(struct test_cluster *c, struct test_template *t, int from, int to, int nodes)
{
	for (int i = from; i < to; i++) {
		char name[64], ns[32], node[32];

		snprintf(ns, sizeof(ns), "team-%d", i % 50);
		snprintf(name, sizeof(name), "web-5d4f8c7b9-%05d", i);
		snprintf(node, sizeof(node), "node-%d", i % nodes);
		test_put_pod(c, &t[i % 100], ns, name, node);
	}
}

static void set_statuses(struct test_cluster *c, int from, int to, int restarts)
{
	for (int i = from; i < to; i++) {
		char name[64], ns[32];

		snprintf(ns, sizeof(ns), "team-%d", i % 50);
		snprintf(name, sizeof(name), "web-5d4f8c7b9-%05d", i);
		test_set_status(c, ns, name, restarts);
	}
}

/* Only the store's part is timed, not the making of objects. */
static double timed_commit(struct test_cluster *c)
{
	struct kg_error err = {0};

	test_txn(c);
	double from = now_ms();
	check(test_commit(c, &err), &err);
	return now_ms() - from;
}

/* One changed object a commit. Returns the median. */
static double one_by_one(struct test_cluster *c, const char *prefix, int nodes, int commits)
{
	double *ms = kg_alloc((size_t)commits * sizeof(*ms));
	unsigned long own = own_syncs, all = __atomic_load_n(&all_syncs, __ATOMIC_RELAXED);

	for (int i = 0; i < commits; i++) {
		set_statuses(c, i % (30 * nodes), i % (30 * nodes) + 1, i);
		ms[i] = timed_commit(c);
	}
	own = own_syncs - own;
	all = __atomic_load_n(&all_syncs, __ATOMIC_RELAXED) - all;
	double median = percentiles(prefix, "commit_one_object", ms, (size_t)commits);
	prefixed(prefix, "commit_fsyncs", (double)own / commits, "calls");
	/* Those that put revisions to git's files, and packs together, meanwhile. */
	prefixed(prefix, "background_fsyncs", (double)(all - own) / commits, "calls");
	free(ms);
	return median;
}

static void batches(struct test_cluster *c, const char *prefix)
{
	int batch = 1000, rounds = 10;
	double sum = 0;

	for (int i = 0; i < rounds; i++) {
		set_statuses(c, 0, batch, 1000 + i);
		sum += timed_commit(c);
	}
	prefixed(prefix, "commit_batch_of_1000", sum / rounds, "ms");
	prefixed(prefix, "commit_objects_per_second", 1e3 * batch * rounds / sum, "objects/s");
}

static double small_commits(
	const char *dir, const char *prefix, int nodes, int commits, struct test_template *t)
{
	struct kg_error err = {0};
	struct test_cluster c;

	check(test_open(&c, dir, true, NULL, &err), &err);
	put_nodes(&c, nodes);
	put_pods(&c, t, 0, 30 * nodes, nodes);
	timed_commit(&c);
	double median = one_by_one(&c, prefix, nodes, commits);
	batches(&c, prefix);
	double from = now_ms();
	test_flush(&c);
	prefixed(prefix, "flush", now_ms() - from, "ms");
	test_close(&c);
	return median;
}

static void with_and_without(const char *dir, int nodes, int commits, struct test_template *t)
{
	char *plain KG_AUTOFREE = kg_asprintf("%s/straight", dir);
	char *small KG_AUTOFREE = kg_asprintf("%s/small", dir);

	test_journal_size = KG_STORE_NO_JOURNAL;
	double before = small_commits(plain, "straight_", nodes, commits, t);
	test_journal_size = 0;
	double after = small_commits(small, "", nodes, commits, t);
	figure("commit_one_object_speedup", before / after, "times");
}

static void large_cluster(const char *dir, int nodes, int pods, struct test_template *t)
{
	struct kg_error err = {0};
	struct test_cluster c;
	double ms[200];

	check(test_open(&c, dir, true, NULL, &err), &err);
	put_nodes(&c, nodes);
	for (int i = 0; i < pods; i += 10000) {
		int to = i + 10000 < pods ? i + 10000 : pods;

		put_pods(&c, t, i, to, nodes);
		set_statuses(&c, i, to, 0);
		timed_commit(&c);
	}
	for (int i = 0; i < 200; i++) {
		set_statuses(&c, i * 7, i * 7 + 1, 1 + i);
		ms[i] = timed_commit(&c);
	}
	percentiles("", "large_commit_one_object", ms, 200);
	test_close(&c);
	malloc_trim(0);
	double before = resident_mb(), from = now_ms();
	check(test_open(&c, dir, false, NULL, &err), &err);
	figure("large_cold_load", now_ms() - from, "ms");
	malloc_trim(0);
	figure("large_resident", resident_mb() - before, "MB");
	set_statuses(&c, 0, 1, 777);
	figure("large_first_commit", timed_commit(&c), "ms");
	test_close(&c);
}

int main(int argc, char **argv)
{
	int pods = 150000, nodes = 5000, commits = 500;
	struct test_template t[100];
	char *made = NULL;
	const char *dir = NULL;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--pods") == 0 && i + 1 < argc)
			pods = (int)strtol(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--nodes") == 0 && i + 1 < argc)
			nodes = (int)strtol(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--commits") == 0 && i + 1 < argc)
			commits = (int)strtol(argv[++i], NULL, 10);
		else if (argv[i][0] != '-')
			dir = argv[i];
		else
			return fprintf(stderr, "usage: store_bench [--pods N] [--nodes N] "
					       "[--commits N] [DIR]\n"),
			       2;
	}
	if (pods < 2000 || nodes < 1 || commits < 1)
		return fprintf(stderr, "store_bench: at least 2000 pods, one node, one commit\n"),
		       2;
	kg_kinds_init();
	if (!dir)
		dir = made = test_dir();
	for (int i = 0; i < 100; i++)
		test_template_init(&t[i], i);
	char *large KG_AUTOFREE = kg_asprintf("%s/large", dir);
	with_and_without(dir, 100, commits, t);
	large_cluster(large, nodes, pods, t);
	for (int i = 0; i < 100; i++)
		test_template_release(&t[i]);
	if (made)
		test_dir_remove(made);
	return 0;
}
