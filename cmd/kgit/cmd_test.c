/*
 * kgit test: golden cases, so that a team can hold its own manifests to what they come to, without
 * a cluster. The usage below says what a case is. Each step is also held against a full run with
 * its inputs turned round, and against what the stored records give back (reconcile/harness.h).
 */
#include "kgit/forecast.h"
#include "kgit/kgit.h"
#include "kgit/test_case.h"
#include "kgit/test_play.h"
#include "reconcile/plan.h"
#include "sys/file.h"

#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 16
#define LINES     1000 /* of what differs in one step */

struct golden {
	struct kgit_play play;
	bool update;
	size_t lines;   /* at most so many are shown of what differs in one step */
	size_t written; /* files of want/ */
};

/* ---- what came out ---- */

static void render(struct kg_buf *out, struct golden *g, const struct kg_snapshot *before)
{
	struct kg_changes c;
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_plan_options opts = {.prefix = "# "};
	kgit_changes_between(&c, before, g->play.h.s);
	if (g->play.faults.len)
		kg_buf_addf(out, "%s", g->play.faults.data);
	if (g->play.timeline.len)
		kg_buf_add(out, g->play.timeline.data, g->play.timeline.len);
	else
		kg_plan_write(out, &c, &opts);
	for (size_t i = 0; i < c.len; i++) {
		if (!c.items[i].after)
			continue;
		struct kg_value v = kg_object_value(&a, c.items[i].after);
		kg_buf_adds(out, "---\n");
		kg_yaml_write(out, &v);
	}
	kg_changes_release(&c);
	kg_arena_release(&a);
}

static void show(const struct kg_buf *text, size_t max)
{
	const char *at = kg_buf_str(text), *rest = at;
	size_t more = 0;
	for (size_t i = 0; *at; at += strcspn(at, "\n"), at += *at == '\n', i++) {
		if (i == max)
			rest = at;
		more += i >= max;
	}
	fwrite(kg_buf_str(text), 1, more ? (size_t)(rest - kg_buf_str(text)) : text->len, stderr);
	if (more)
		fprintf(stderr,
			"... and %zu more lines (--lines N; or kgit test --update, and git diff)\n",
			more);
}

/* What differs is shown, and is a failure but where it was written anew. */
static void settle_accounts(struct golden *g, int rc, const struct kg_buf *text, const char *what,
	const struct kg_error *err)
{
	if (rc < 0)
		kgit_play_fail(&g->play, what, err->msg);
	else if (rc > 0 && g->update)
		g->written += (size_t)rc;
	else if (rc > 0)
		g->play.failures++;
	if (text->len)
		show(text, g->lines);
}

static void hold(struct golden *g, const char *name, const struct kg_buf *got)
{
	KG_AUTOBUF struct kg_buf diff = KG_BUF_INIT;
	struct kg_error err;
	int rc = kgit_want_hold(&diff, g->play.dir, name, got, g->update, &err);
	settle_accounts(g, rc, &diff, name, &err);
}

static void run_steps(struct golden *g, const struct kg_value *steps)
{
	uint32_t n = kg_len(steps);
	KG_AUTOFREE char **names = kg_alloc((n + 1) * sizeof(*names));
	KG_AUTOBUF struct kg_buf stale = KG_BUF_INIT;
	struct kg_error err;
	for (uint32_t i = 0; i < n; i++) {
		const struct kg_member *s = steps->items[i].members;
		struct kg_snapshot *before = kg_snapshot_ref(g->play.h.s);
		KG_AUTOBUF struct kg_buf out = KG_BUF_INIT;
		names[i] = kg_asprintf("%u-%s.yaml", i + 1, s->key);
		kgit_play_step(&g->play, s->key, &s->value);
		render(&out, g, before);
		hold(g, names[i], &out);
		kg_buf_release(&g->play.faults);
		kg_buf_release(&g->play.timeline);
		kg_snapshot_unref(before);
		g->play.h.now += 1000;
	}
	int rc = kgit_want_stale(&stale, g->play.dir, names, n, g->update, &err);
	settle_accounts(g, rc, &stale, "want", &err);
	for (uint32_t i = 0; i < n; i++)
		free(names[i]);
}

/* The text of what is wrong with the case itself; empty: it can be run. */
static void read_case(
	struct kgit_case *out, struct kg_arena *a, const char *dir, struct kg_buf *faults)
{
	struct kg_fault_list list;
	kg_faults_init(&list, a);
	kgit_case_read(out, a, dir, &list);
	for (size_t i = 0; i < list.len; i++) {
		kg_fault_format(faults, &list.items[i]);
		kg_buf_adds(faults, "\n");
	}
	kg_faults_release(&list);
}

static bool run_case(const char *dir, bool update, size_t lines)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	KG_AUTOBUF struct kg_buf faults = KG_BUF_INIT;
	struct golden g = {.update = update, .lines = lines};
	struct kgit_case c;
	bool failed = true;
	read_case(&c, &a, dir, &faults);
	if (faults.len) {
		fputs(kg_buf_str(&faults), stderr);
	} else {
		kgit_play_begin(&g.play, dir, &c.nodes);
		run_steps(&g, &c.steps);
		failed = g.play.failures > 0;
		kgit_play_end(&g.play);
	}
	printf("%s %s\n", failed ? "FAILED" : g.written ? "updated" : "ok", dir);
	return !failed;
}

/* ---- finding cases ---- */

struct tally {
	bool update;
	size_t lines;
	size_t cases, failed;
	size_t unread; /* directories */
};

static bool is_there(const char *dir, const char *name)
{
	KG_AUTOFREE char *path = kg_asprintf("%s/%s", dir, name);
	return kg_path_exists(path);
}

static int is_dir(const struct dirent *e)
{
	return e->d_name[0] != '.' && (e->d_type == DT_DIR || e->d_type == DT_UNKNOWN);
}

/* Every case at or below dir, in the order of their names. */
static void run_below(struct tally *t, const char *dir, int depth)
{
	struct dirent **names;
	if (is_there(dir, "steps.yaml") || is_there(dir, "manifests")) {
		t->cases++;
		t->failed += !run_case(dir, t->update, t->lines);
		return;
	}
	int n = depth < MAX_DEPTH ? scandir(dir, &names, is_dir, alphasort) : -1;
	/* What could not be looked at is not thought to hold. */
	if (n < 0 && !(depth && errno == ENOTDIR)) {
		fprintf(stderr, "kgit: %s: %s\n", dir,
			depth < MAX_DEPTH ? strerror(errno) : "it lies too deep");
		t->unread++;
	}
	for (int i = 0; i < n; i++) {
		KG_AUTOFREE char *below = kg_asprintf("%s/%s", dir, names[i]->d_name);
		run_below(t, below, depth + 1);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

static int run(int argc, char **argv, const char *kubeconfig)
{
	static const struct option options[] = {
		{"update", no_argument, NULL, 'u'}, {"lines", required_argument, NULL, 'l'}, {0}};
	struct tally t = {.lines = LINES};
	char *end;
	int c;
	(void)kubeconfig;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == '?')
			return 2;
		if (c == 'u') {
			t.update = true;
			continue;
		}
		t.lines = strtoul(optarg, &end, 10);
		if (end == optarg || *end || *optarg == '-')
			return kgit_bad_usage(
				&kgit_test_verb, "--lines: expected a number, got \"%s\"", optarg);
	}
	if (optind == argc)
		return kgit_bad_usage(&kgit_test_verb, "expected a directory");
	for (int i = optind; i < argc; i++) {
		size_t before = t.cases + t.unread;
		run_below(&t, argv[i], 0);
		if (t.cases + t.unread == before) {
			fprintf(stderr, "kgit: there is no case in %s\n", argv[i]);
			return 2;
		}
	}
	if (t.cases > 1)
		printf("%zu cases, %zu failed\n", t.cases, t.failed);
	if (t.unread)
		return 2;
	return t.failed ? 1 : 0;
}

const struct kgit_verb kgit_test_verb = {
	.name = "test",
	.summary = "hold manifests to goldens, without a cluster",
	.usage =
		"kgit test [--update] [--lines N] DIR...\n"
		"\n"
		"Runs every case at or below DIR by the cluster's own admission, controllers and\n"
		"scheduler, with a clock that jumps. A case is a directory with\n"
		"  nodes.yaml    a list of {name, labels, status, taints, unschedulable, ready}; "
		"where\n"
		"                no status is, a node has room for all (but for extended "
		"resources);\n"
		"                labels that every node has, kubernetes.io/os say, are there\n"
		"  manifests/    what is pushed; or other directories (../../deploy, say), named "
		"by\n"
		"  steps.yaml    a list of\n"
		"    push: DIR            what main holds from now on (one commit); the "
		"ignored_kinds of\n"
		"                         its .kgit/settings.yaml, where it has one, are passed "
		"over\n"
		"    play: SECONDS        pods become ready after so long, until nothing moves: "
		"the "
		"timeline\n"
		"    settle: true         the same at once\n"
		"    advance: SECONDS     time passes; what falls due happens\n"
		"    ready, unready, failed, succeeded, gone: [POD...]   a prefix of the name, or "
		"'*'\n"
		"    exited: {code: N, pods: [POD...]}\n"
		"    evict: [POD...]      as kgit evict asks for it\n"
		"    lost, back: [NODE...]\n"
		"    taint: {node: NODE, taints: [TAINT...]}\n"
		"  want/N-STEP.yaml   what step N changed: the plan's words, and every object that "
		"is new\n"
		"                or different; a refused push gives its faults\n"
		"\n"
		"What differs is printed as a diff from want/ to what came out.\n"
		"\n"
		"  --update      write want/ anew, the first time, too; git diff is the review\n"
		"  --lines N     at most so many lines of what differs in one step; default 1000\n"
		"\n"
		"Exit status: 0 all as wanted, 1 not, 2 no case, or a directory cannot be read.\n",
	.run = run,
};
