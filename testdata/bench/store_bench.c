/*
 * What the store costs. One figure a line: NAME VALUE UNIT. What begins with "straight_" is without
 * the journal, in the same run on the same disk; "speedup" is the ratio of the two medians.
 *   store_bench [--pods N] [--nodes N] [--commits N] [--only small|group|large] [DIR]
 * DIR is where the repositories are made (default: a new directory under $TMPDIR, removed
 * afterwards); which disk it lies on decides the figures.
 */
#include "base/hash.h"
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

/* ---- group commit ---- */

/* A status of 1 KB of YAML that is like no other. */
static void set_unlike_status(struct test_cluster *c, int i, unsigned round)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	char ns[32], name[64], image[65], container[65];
	unsigned char sum[32];
	unsigned seed[2] = {(unsigned)i, round};

	snprintf(ns, sizeof(ns), "team-%d", i % 50);
	snprintf(name, sizeof(name), "web-5d4f8c7b9-%05d", i);
	const struct kg_object *pod =
		kg_snapshot_get(kg_txn_snapshot(test_txn(c)), KG_KIND_POD, ns, name);
	kg_sha256(sum, seed, sizeof(seed));
	kg_hex(container, sum, 32);
	kg_sha256(sum, sum, sizeof(sum));
	kg_hex(image, sum, 32);
	struct kg_value status = kg_deep_copy(&a, kg_get(kg_obj(pod), "status"));
	struct kg_value one = kg_v_obj(&a, "name", kg_v_lit("web"), "image",
		kg_v_str(&a, kg_arena_printf(&a, "registry.example.com/team/web@sha256:%s", image)),
		"imageID", kg_v_str(&a, kg_arena_printf(&a, "sha256:%s", image)), "containerID",
		kg_v_str(&a, kg_arena_printf(&a, "runc://%s", container)), "ready", kg_v_bool(true),
		"started", kg_v_bool(true), "restartCount", kg_v_int((int64_t)round), "state",
		kg_v_obj(&a, "running",
			kg_v_obj(&a, "startedAt", kg_v_lit("2026-11-26T04:28:08Z"), (char *)NULL),
			(char *)NULL),
		(char *)NULL);
	status = kg_with(&a, &status, "containerStatuses", kg_v_array(&a, &one, 1));
	status = kg_with(&a, &status, "podIP",
		kg_v_str(&a, kg_arena_printf(
				     &a, "10.%u.%d.%d", 128 + round % 64, i / 250 % 250, i % 250)));
	struct kg_value v = kg_with(&a, kg_obj(pod), "status", status);
	kg_txn_put(test_txn(c), kg_object_with(pod, &v));
}

static double record_bytes(struct test_cluster *c, const char *ns, const char *name)
{
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;

	kg_record_observed(&text, kg_snapshot_get(c->now, KG_KIND_POD, ns, name), 1);
	return (double)text.len;
}

static double cpu_ms(clockid_t of)
{
	struct timespec t;

	clock_gettime(of, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* What the store's own threads have used. */
static double background_ms(void)
{
	return cpu_ms(CLOCK_PROCESS_CPUTIME_ID) - cpu_ms(CLOCK_THREAD_CPUTIME_ID);
}

/* Until git's files have all of it. */
static void batches(struct test_cluster *c, const char *prefix, int pods)
{
	int batch = 1000, rounds = 30;
	double *ms = kg_alloc((size_t)rounds * sizeof(*ms)), sum = 0, cpu = 0;
	double background = background_ms();

	for (int i = 0; i < rounds; i++) {
		for (int k = 0; k < batch; k++)
			set_unlike_status(c, (i * batch + k) % pods, (unsigned)i + 1);
		double thread = cpu_ms(CLOCK_THREAD_CPUTIME_ID);
		ms[i] = timed_commit(c);
		cpu += cpu_ms(CLOCK_THREAD_CPUTIME_ID) - thread;
		sum += ms[i];
	}
	double from = now_ms();
	test_flush(c);
	double flush = now_ms() - from;
	prefixed(prefix, "group_record", record_bytes(c, "team-7", "web-5d4f8c7b9-00007"), "bytes");
	percentiles(prefix, "group_commit_of_1000", ms, (size_t)rounds);
	prefixed(prefix, "group_flush", flush, "ms");
	prefixed(prefix, "group_commit_cpu", cpu * 1e3 / batch / rounds, "us/object");
	prefixed(prefix, "group_background_cpu",
		(background_ms() - background) * 1e3 / batch / rounds, "us/object");
	prefixed(prefix, "group_objects_per_second", 1e3 * batch * rounds / (sum + flush),
		"objects/s");
	free(ms);
}

static void group_commits(const char *dir, int nodes, struct test_template *t)
{
	struct kg_error err = {0};
	struct test_cluster c;

	check(test_open(&c, dir, true, NULL, &err), &err);
	put_nodes(&c, nodes);
	put_pods(&c, t, 0, 30 * nodes, nodes);
	set_statuses(&c, 0, 30 * nodes, 0);
	timed_commit(&c);
	test_flush(&c);
	batches(&c, "", 30 * nodes);
	test_close(&c);
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
	const char *only = "";
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
		else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc)
			only = argv[++i];
		else if (argv[i][0] != '-')
			dir = argv[i];
		else
			return fprintf(stderr, "usage: store_bench [--pods N] [--nodes N] "
					       "[--commits N] [--only small|group|large] "
					       "[DIR]\n"),
			       2;
	}
	if (pods < 2000 || nodes < 1 || commits < 1)
		return fprintf(stderr, "store_bench: at least 2000 pods, one node, one commit\n"),
		       2;
	kg_kinds_init();
	test_journal_size = 0;
	if (!dir)
		dir = made = test_dir();
	for (int i = 0; i < 100; i++)
		test_template_init(&t[i], i);
	char *large KG_AUTOFREE = kg_asprintf("%s/large", dir);
	char *group KG_AUTOFREE = kg_asprintf("%s/group", dir);
	if (!*only || strcmp(only, "small") == 0)
		with_and_without(dir, 100, commits, t);
	if (!*only || strcmp(only, "group") == 0)
		group_commits(group, 1000, t);
	if (!*only || strcmp(only, "large") == 0)
		large_cluster(large, nodes, pods, t);
	for (int i = 0; i < 100; i++)
		test_template_release(&t[i]);
	if (made)
		test_dir_remove(made);
	return 0;
}
