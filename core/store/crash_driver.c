/*
 * What the crash harness (testdata/crash/run) runs, kills, and looks at afterwards.
 *
 *   store_crash run REPO COMMITS ACKS   makes commits; every acknowledged revision is appended to
 *                                       the file ACKS as "REVISION COMMIT MAIN"
 *   store_crash check REPO ACKS         opens the repository as a restart would and sees that
 *                                       nothing acknowledged is lost and that it goes on
 *   store_crash compact REPO COMMITS ACKS, check-compact REPO ACKS
 *                                       the same with compactions between: the newest KEPT
 *                                       revisions are never lost
 *   store_crash cut DIR                 takes the power from the ext4 that DIR lies on
 *
 * Exit status of run: 0 all done; 3 the store refused to go on after a failed write, or git's files
 * could not be brought along; 4 it could
 * not be opened. Acks are written with writev, which the harness never makes fail.
 */
#include "store/compact.h"
#include "store/private.h"
#include "store/test_support.h"

#include "base/hash.h"
#include "sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/types.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#define KEPT  3 /* revisions, where there are compactions */
#define TRIES 2 /* an injected failure comes once: the second try meets a healthy disk */

static bool compacting;

static int complain(const char *what, const struct kg_error *err)
{
	fprintf(stderr, "%s: %s: %s\n", what, kg_code_name(err->code), err->msg);
	return -1;
}

static int open_store(struct test_cluster *c, const char *repo)
{
	struct kg_buf notes KG_AUTOBUF = KG_BUF_INIT;
	struct kg_error err = {0};

	for (int i = 0; i < TRIES; i++) {
		if (test_open(c, repo, true, &notes, &err) == 0) {
			fputs(kg_buf_str(&notes), stdout);
			return 0;
		}
		complain("open", &err);
	}
	return -1;
}

/* ---- run ---- */

static void acknowledge(int fd, const struct test_cluster *c)
{
	char line[128];
	int n = snprintf(line, sizeof(line), "%llu %s %s\n", (unsigned long long)c->now->revision,
		c->now->commit, c->now->main_commit[0] ? c->now->main_commit : "-");
	struct iovec v = {.iov_base = line, .iov_len = (size_t)n};

	if (writev(fd, &v, 1) != n)
		_exit(9);
}

/* So much that the journal's halves are both used within a few revisions. */
static void put_ballast(struct test_cluster *c, uint64_t r)
{
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	uint64_t h = r;

	for (int i = 0; i < 12000; i++) {
		char word[9];

		h = kg_hash64(&h, sizeof(h));
		kg_safe_encode(word, 8, h);
		kg_buf_add(&text, word, 8);
	}
	test_put_configmap(c, "default", "ballast", kg_buf_str(&text));
}

/* What revision r changes: nodes, pods, statuses, deletions in turn. */
static void change(struct test_cluster *c, const struct test_template *t, uint64_t r)
{
	char pod[32], old[32];

	snprintf(pod, sizeof(pod), "web-%llu", (unsigned long long)r);
	snprintf(old, sizeof(old), "web-%llu", (unsigned long long)(r - 2));
	test_put_node(c, "node-1", (int)r);
	test_put_pod(c, t, "default", pod, "node-1");
	test_set_status(c, "default", pod, (int)r);
	if (r > 2 && r % 2)
		kg_txn_delete(test_txn(c), KG_KIND_POD, "default", old);
	put_ballast(c, r);
}

/* A commit of the state branch serves as a user's: it is a commit, and it is there. */
static int set_main(struct test_cluster *c)
{
	struct kg_error err = {0};
	char now[41];

	for (int i = 0; i < TRIES; i++) {
		if (kg_store_get_main(c->store, now, &err) == 0 &&
			kg_store_set_main(c->store, now, c->now->main_commit, &err) == 0)
			return 0;
		complain("set main", &err);
	}
	return -1;
}

static int compact(struct test_cluster *c, struct kg_error *err)
{
	struct kg_compact_options o = {.revisions = KEPT,
		.now = TEST_TIME,
		.grace_ms = KG_COMPACT_NO_GRACE,
		.force = true};
	struct kg_compact_result r;

	return kg_store_compact(&r, c->store, &o, err);
}

static int one_revision(struct test_cluster *c, const struct test_template *t)
{
	uint64_t was = c->now->revision;
	struct kg_error err = {0};

	/* What happens in the background otherwise, at a place that is always the same. A failure
	 * of it is not one of the commit; after one that poisons, the commit fails by itself. */
	if (was % 3 == 2 && kg_store_merge_packs(c->store, &err) < 0)
		complain("merge", &err);
	if (compacting && was % 3 == 1 && was > KEPT && compact(c, &err) < 0)
		complain("compact", &err);
	for (int i = 0; i < TRIES; i++) {
		char push[41];

		memcpy(push, c->now->commit, sizeof(push));
		change(c, t, was + 1);
		if (test_commit_push(c, was % 3 == 1 ? push : NULL, &err) == 0)
			return was % 3 == 1 ? set_main(c) : 0;
		complain("commit", &err);
		if (kg_store_revision(c->store) != was)
			_exit(8);
	}
	return -1;
}

static int run(const char *repo, long commits, const char *acks)
{
	int fd = open(acks, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644), rc = 0;
	struct test_template t;
	struct test_cluster c;
	struct kg_error err = {0};

	if (fd < 0 || open_store(&c, repo) < 0)
		return 4;
	test_template_init(&t, 1);
	acknowledge(fd, &c);
	for (long i = 0; rc == 0 && i < commits; i++) {
		rc = one_revision(&c, &t) < 0 ? 3 : 0;
		if (rc == 0)
			acknowledge(fd, &c);
	}
	if (rc == 0 && kg_store_flush(c.store, 10000, &err) < 0)
		rc = complain("flush", &err) < 0 ? 3 : 0;
	test_template_release(&t);
	test_close(&c);
	close(fd);
	return rc;
}

/* ---- check ---- */

static int wrong(const char *what)
{
	fprintf(stderr, "WRONG: %s\n", what);
	return 1;
}

/* Every acknowledged revision is there, under the id it was acknowledged with. */
static int check_acks(struct test_cluster *c, const char *acks)
{
	FILE *f = fopen(acks, "re");
	char line[200];
	int rc = 0;

	uint64_t oldest = kg_store_oldest(c->store);

	if (compacting && oldest && oldest + KEPT > c->now->revision + 1)
		rc = wrong("more is gone than may go");
	while (f && rc == 0 && fgets(line, sizeof(line), f)) {
		struct kg_snapshot *s = NULL;
		struct kg_error err = {0};
		char *end;
		uint64_t revision = strtoull(line, &end, 10);

		if (compacting && revision < oldest)
			continue;
		if (kg_store_load_at(&s, c->store, revision, &err) != 0)
			rc = complain("acknowledged revision", &err);
		else if (*end != ' ' || strncmp(s->commit, end + 1, 40) != 0)
			rc = wrong("an acknowledged revision is another commit");
		kg_snapshot_unref(s);
	}
	if (f)
		fclose(f);
	return rc;
}

static int check_chain(struct test_cluster *c)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_error err = {0};
	struct kg_log_entry *log;
	size_t n;

	if (kg_store_log(&log, &n, c->store, &a, 0, 1000, &err) < 0)
		return complain("log", &err);
	if (n != c->now->revision + 1 - kg_store_oldest(c->store))
		return wrong("the history is not whole");
	for (size_t i = 0; i < n; i++)
		if (log[i].revision != c->now->revision - i)
			return wrong("revisions do not follow one another");
	return 0;
}

static int check_main(struct test_cluster *c)
{
	struct kg_error err = {0};
	char now[41];

	if (kg_store_get_main(c->store, now, &err) < 0)
		return complain("main", &err);
	if (strcmp(now, c->now->main_commit) != 0)
		return wrong("main is not what the state says");
	return 0;
}

static int count(void *ctx, uint64_t revision, kg_time time, const struct kg_changes *changes)
{
	(void)revision;
	(void)time;
	*(size_t *)ctx += changes->len;
	return 0;
}

/* What was cut off is done now. */
static int check_compacts(struct test_cluster *c)
{
	char *left KG_AUTOFREE = kg_asprintf("%s/kgit/compact", c->dir);
	struct kg_error err = {0};

	/* The first one may have to finish an earlier horizon. */
	for (int i = 0; i < 2; i++)
		if (compact(c, &err) < 0)
			return complain("compact", &err);
	if (kg_store_oldest(c->store) + KEPT != c->now->revision + 1)
		return wrong("the horizon does not move");
	if (kg_path_exists(left))
		return wrong("a compaction was not cleaned up");
	return 0;
}

static int check_goes_on(struct test_cluster *c, const char *repo)
{
	struct kg_snapshot *was;
	struct kg_error err = {0};
	struct test_template t;
	size_t changes = 0;

	test_template_init(&t, 1);
	int rc = one_revision(c, &t);
	if (rc == 0)
		rc = one_revision(c, &t);
	test_template_release(&t);
	if (rc < 0)
		return rc;
	if (compacting && check_compacts(c) != 0)
		return 1;
	if (kg_store_changes(c->store, kg_store_oldest(c->store), c->now->revision, 0, count,
		    &changes, &err) < 0)
		return complain("changes", &err);
	if (!changes)
		return wrong("no changes");
	was = kg_snapshot_ref(c->now);
	test_close(c);
	rc = open_store(c, repo);
	if (rc == 0 && !test_same_snapshot(was, c->now))
		rc = wrong("what was committed is not what is loaded");
	kg_snapshot_unref(was);
	return rc;
}

static int check(const char *repo, const char *acks)
{
	struct test_cluster c;

	if (open_store(&c, repo) < 0)
		return 1;
	int rc = check_acks(&c, acks);
	if (rc == 0)
		rc = check_chain(&c);
	if (rc == 0)
		rc = check_main(&c);
	if (rc == 0)
		rc = check_goes_on(&c, repo);
	test_close(&c);
	return rc ? 1 : 0;
}

/* ---- cut ---- */

/* linux/fs/ext4: the journal is not flushed, so what was not synced is gone after a remount. */
#define EXT4_IOC_SHUTDOWN _IOR('X', 125, __u32)
#define NO_LOG_FLUSH      2

static int cut(const char *dir)
{
	__u32 flags = NO_LOG_FLUSH;
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0 && ioctl(fd, EXT4_IOC_SHUTDOWN, &flags) == 0) {
		close(fd);
		return 0;
	}
	perror("shutdown ioctl");
	if (fd >= 0)
		close(fd);
	return 1;
}

int main(int argc, char **argv)
{
	kg_kinds_init();
	test_pack_limit = 1000000;
	test_journal_size = 512 << 10;
	compacting = argc > 1 && strstr(argv[1], "compact");
	if (argc == 5 && (compacting || strcmp(argv[1], "run") == 0))
		return run(argv[2], strtol(argv[3], NULL, 10), argv[4]);
	if (argc == 4 && (compacting || strcmp(argv[1], "check") == 0))
		return check(argv[2], argv[3]);
	if (argc == 3 && strcmp(argv[1], "cut") == 0)
		return cut(argv[2]);
	fprintf(stderr, "usage: store_crash run|compact REPO COMMITS ACKS | "
			"check|check-compact REPO ACKS | cut DIR\n");
	return 2;
}
