/*
 * The proof that the cluster's history is what its reconciler makes of what came in. It is made on
 * the commits themselves: fetched from the cluster, or those of any repository that has them.
 */
#include "kgit/bundle.h"
#include "kgit/kgit.h"
#include "kgit/verify_show.h"
#include "store/replay.h"
#include "sys/loop.h"
#include "value/json.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PROGRESS_MS 200

struct args {
	const char *git_dir, *from, *range;
	bool keep_going, json;
};

struct report {
	const struct args *args;
	struct kg_arena a;
	struct kg_value *differences, *cannot; /* of JSON */
	size_t n, cap, ncannot, cannot_cap;
	uint64_t differing; /* the revision whose head line was printed last */
	uint64_t to;
	bool terminal;
	int64_t began, shown;
};

static void report_release(struct report *r)
{
	free(r->differences);
	free(r->cannot);
	kg_arena_release(&r->a);
}

static void clear_progress(struct report *r)
{
	if (r->terminal && r->shown)
		fputs("\r\033[K", stderr);
	r->shown = 0;
}

/* ---- what is found ---- */

static void differs(void *ctx, const struct kg_verify_difference *d)
{
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;
	struct report *r = ctx;

	if (r->args->json) {
		KG_GROW(r->differences, r->cap, r->n + 1);
		r->differences[r->n++] = kgit_difference_value(&r->a, d);
		return;
	}
	clear_progress(r);
	if (r->differing != d->revision)
		printf("revision %llu is not what its inputs make:\n",
			(unsigned long long)d->revision);
	r->differing = d->revision;
	kgit_difference_write(&out, d);
	fputs(kg_buf_str(&out), stdout);
}

static void differs_more(void *ctx, uint64_t revision, size_t more)
{
	struct report *r = ctx;
	struct kg_verify_difference d = {.revision = revision, .path = ""};

	d.recorded = kg_arena_printf(&r->a, "and %zu more files", more);
	differs(ctx, &d);
}

static void cannot(void *ctx, uint64_t from, uint64_t to, const char *why)
{
	struct report *r = ctx;

	if (r->args->json) {
		KG_GROW(r->cannot, r->cannot_cap, r->ncannot + 1);
		r->cannot[r->ncannot++] = kg_v_obj(&r->a, "from", kg_v_int((int64_t)from), "to",
			kg_v_int((int64_t)to), "reason", kg_v_str(&r->a, why), (char *)NULL);
		return;
	}
	clear_progress(r);
	printf("revisions %llu to %llu cannot be verified: %s\n", (unsigned long long)from,
		(unsigned long long)to, why);
}

static void progress(void *ctx, uint64_t revision)
{
	struct report *r = ctx;
	int64_t now = kg_monotonic_ms();

	if (!r->terminal || now - r->shown < PROGRESS_MS)
		return;
	r->shown = now;
	fprintf(stderr, "\rrevision %llu of %llu\033[K", (unsigned long long)revision,
		(unsigned long long)r->to);
}

/* ---- the range ---- */

/* The newest revision at or before a time. */
static int revision_at(uint64_t *out, struct kg_store *store, kg_time time, struct kg_error *err)
{
	uint64_t oldest = kg_store_oldest(store), low = oldest, high = kg_store_revision(store) + 1;

	while (low < high) {
		struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
		uint64_t middle = low + (high - low) / 2;
		struct kg_store_revision r;
		int rc = kg_store_revision_read(&r, store, &a, middle, err);

		if (rc < 0)
			return rc;
		if (r.time <= time)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == oldest)
		return kg_fail(err, KG_E_GONE,
			"there is no revision of that time: the oldest that is kept is %llu",
			(unsigned long long)oldest);
	*out = low - 1;
	return 0;
}

static int parse_revision(
	uint64_t *out, struct kg_store *store, const char *text, struct kg_error *err)
{
	char *end;
	kg_time time;

	*out = strtoull(text, &end, 10);
	if (*text >= '0' && *text <= '9' && !*end)
		return 0;
	if (!kgit_time_parse(&time, text))
		return kg_fail(err, KG_E_BAD_REQUEST,
			"\"%s\" is neither a revision (42) nor a time (2026-11-26T05:04:03Z, "
			"\"2026-11-26 05:04:03\", \"10m ago\")",
			text);
	return revision_at(out, store, time, err);
}

/* A..B is what came after A, up to B, as git has it. */
static int parse_range(struct kg_verify_options *o, struct kg_store *store, const char *range,
	struct kg_error *err)
{
	const char *dots = strstr(range, "..");
	char *from KG_AUTOFREE = NULL;
	uint64_t after;

	if (!dots)
		return kg_fail(err, KG_E_BAD_REQUEST, "\"%s\": expected REV..REV", range);
	from = kg_strndup(range, (size_t)(dots - range));
	int rc = 0;
	if (*from) {
		rc = parse_revision(&after, store, from, err);
		o->from = after + 1;
		o->first_possible = false;
	}
	if (rc == 0 && dots[2])
		rc = parse_revision(&o->to, store, dots + 2, err);
	return rc;
}

static int check_range(
	const struct kg_verify_options *o, struct kg_store *store, struct kg_error *err)
{
	uint64_t oldest = kg_store_oldest(store), head = kg_store_revision(store);

	if (o->from <= oldest && !o->first_possible)
		return kg_fail(err, KG_E_GONE,
			"revision %llu cannot be verified: what was before it is not kept any "
			"more. The oldest that can be is %llu; how much is kept says retention in "
			".kgit/settings.yaml",
			(unsigned long long)o->from, (unsigned long long)oldest + 1);
	if (o->to > head)
		return kg_fail(err, KG_E_NOT_FOUND, "revision %llu is ahead of the newest, %llu",
			(unsigned long long)o->to, (unsigned long long)head);
	if (o->from > o->to && !o->first_possible)
		return kg_fail(err, KG_E_BAD_REQUEST, "there is no revision from %llu to %llu",
			(unsigned long long)o->from, (unsigned long long)o->to);
	return 0;
}

static int find_range(struct kg_verify_options *o, struct kg_store *store, const struct args *args,
	struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_store_revision head;
	int rc = kg_store_revision_read(&head, store, &a, kg_store_revision(store), err);

	if (rc < 0)
		return rc;
	o->from = kg_store_oldest(store) + 1;
	o->to = head.revision;
	o->first_possible = true;
	if (args->from) {
		rc = parse_revision(&o->from, store, args->from, err);
		o->first_possible = false;
	} else if (args->range) {
		rc = parse_range(o, store, args->range, err);
	}
	return rc < 0 ? rc : check_range(o, store, err);
}

/* ---- the verdict ---- */

static const char *verdict_of(const struct kg_verify_result *res, int rc)
{
	if (res->differ || rc == -KG_E_CORRUPT)
		return "differs";
	return res->unjudged || rc < 0 || !res->proven ? "unproven" : "proven";
}

static void print_json(struct report *r, const struct kg_verify_options *o,
	const struct kg_verify_result *res, double seconds, int rc, const struct kg_error *err)
{
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;
	struct kg_arena *a = &r->a;
	struct kg_value v = kg_v_obj(a, "verdict", kg_v_lit(verdict_of(res, rc)), "from",
		kg_v_int((int64_t)res->from), "to", kg_v_int((int64_t)o->to), "proven",
		kg_v_int((int64_t)res->proven), "differing", kg_v_int((int64_t)res->differ),
		"notJudged", kg_v_int((int64_t)res->unjudged), "seconds", kg_v_float(seconds),
		"reconciler", kg_v_int(KG_RECONCILER), "differences",
		kg_v_array(a, r->differences, r->n), "cannot", kg_v_array(a, r->cannot, r->ncannot),
		"error", rc < 0 ? kg_v_str(a, err->msg) : kg_v_null(), (char *)NULL);

	kg_json_write_pretty(&out, &v);
	puts(kg_buf_str(&out));
}

static void print_words(const struct kg_verify_options *o, const struct kg_verify_result *res,
	double seconds, int rc, const struct kg_error *err)
{
	struct kg_buf why KG_AUTOBUF = KG_BUF_INIT;

	if (rc < 0)
		kgit_words_add(&why, err->msg);
	if (*res->why)
		printf("revisions %llu to %llu were left out: %s\n", (unsigned long long)o->from,
			(unsigned long long)res->from - 1, res->why);
	if (rc < 0)
		printf("%s\n", kg_buf_str(&why));
	if (strcmp(verdict_of(res, rc), "proven") == 0)
		printf("revisions %llu to %llu are proven: each is what reconciler %d makes of the "
		       "one before and of what came in, commit id by commit id (%.1f s, %.0f a "
		       "second)\n",
			(unsigned long long)res->from, (unsigned long long)o->to, KG_RECONCILER,
			seconds, seconds > 0 ? (double)res->proven / seconds : 0);
	else if (!res->proven && !res->differ && !res->unjudged && rc == 0)
		printf("there is no revision that could be verified\n");
	else
		printf("%llu revision%s proven, %llu differ%s, %llu not judged\n",
			(unsigned long long)res->proven, res->proven == 1 ? "" : "s",
			(unsigned long long)res->differ, res->differ == 1 ? "s" : "",
			(unsigned long long)res->unjudged);
}

/* 0: proven; 1: something differs; 2: it cannot be said. */
static int verify(struct kg_store *store, const struct args *args, struct kg_error *err)
{
	struct report r KG_CLEANUP(report_release) = {.args = args,
		.terminal = isatty(STDERR_FILENO) && !args->json,
		.began = kg_monotonic_ms()};
	struct kg_verify_options o = {.keep_going = args->keep_going,
		.ctx = &r,
		.differs = differs,
		.differs_more = differs_more,
		.cannot = cannot,
		.progress = progress};
	struct kg_verify_result res;
	int rc = find_range(&o, store, args, err);

	if (rc < 0)
		return rc;
	r.to = o.to;
	rc = kg_verify(&res, store, &o, err);
	clear_progress(&r);
	double seconds = (double)(kg_monotonic_ms() - r.began) / 1000;
	if (args->json)
		print_json(&r, &o, &res, seconds, rc, err);
	else
		print_words(&o, &res, seconds, rc, err);
	const char *verdict = verdict_of(&res, rc);
	return strcmp(verdict, "proven") == 0 ? 0 : strcmp(verdict, "differs") == 0 ? 1 : 2;
}

/* ---- the verb ---- */

/* 0, or the exit status. */
static int parse(struct args *out, int argc, char **argv)
{
	enum { GIT_DIR = 256, FROM, KEEP };
	static const struct option options[] = {{"git-dir", required_argument, NULL, GIT_DIR},
		{"from", required_argument, NULL, FROM}, {"keep-going", no_argument, NULL, KEEP},
		{"output", required_argument, NULL, 'o'}, {0}};
	int c;

	while ((c = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
		if (c == '?')
			return 2;
		if (c == 'o' && strcmp(optarg, "json") != 0)
			return kgit_bad_usage(
				&kgit_verify_verb, "-o: expected json, got \"%s\"", optarg);
		if (c == GIT_DIR)
			out->git_dir = optarg;
		if (c == FROM)
			out->from = optarg;
		out->keep_going |= c == KEEP;
		out->json |= c == 'o';
	}
	if (argc - optind > 1 || (out->from && optind < argc))
		return kgit_bad_usage(&kgit_verify_verb, "expected REV..REV, or --from REV");
	out->range = optind < argc ? argv[optind] : NULL;
	return 0;
}

static int find_repo(
	char **repo, const struct args *args, const char *kubeconfig, struct kg_error *err)
{
	struct kgit_cluster c KG_CLEANUP(kgit_cluster_release) = {0};

	if (args->git_dir) {
		*repo = kg_strdup(args->git_dir);
		return 0;
	}
	int rc = kgit_cluster_find(&c, kubeconfig, err);
	return rc < 0 ? rc : kgit_fetch_history(repo, &c, err);
}

static int verify_repo(const char *repo, const struct args *args, struct kg_error *err)
{
	struct kg_store_options opts = {.read_only = true};
	struct kg_store *store = NULL;
	int rc = kg_store_open(&store, repo, &opts, NULL, err);

	if (rc == 0 && !kg_store_has_state(store))
		rc = kg_fail(err, KG_E_NOT_FOUND,
			"%s has no history of a cluster; in a clone of it, git fetch "
			"origin " KGIT_STATE_REF ":" KGIT_STATE_REF " brings that",
			repo);
	if (rc == 0)
		rc = verify(store, args, err);
	kg_store_close(store);
	return rc;
}

static int run(int argc, char **argv, const char *kubeconfig)
{
	char *repo KG_AUTOFREE = NULL;
	struct args args = {0};
	struct kg_error err;
	int rc = parse(&args, argc, argv);

	if (rc)
		return rc;
	rc = find_repo(&repo, &args, kubeconfig, &err);
	if (rc == 0)
		rc = verify_repo(repo, &args, &err);
	if (rc < 0)
		kgit_fail(&err);
	return rc == -KG_E_CORRUPT ? 1 : rc < 0 ? 2 : rc;
}

const struct kgit_verb kgit_verify_verb = {
	.name = "verify",
	.summary = "prove that the history is what its inputs make, commit by commit",
	.usage = "kgit verify [REV..REV | --from REV] [--git-dir DIR] [--keep-going] [-o json]\n"
		 "\n"
		 "Makes every revision again, with kgitd's own code, from the one before and from "
		 "what is\n"
		 "recorded to have come in (pushes, what nodes said, evictions, the clock), and "
		 "holds the\n"
		 "commit ids against each other: trees, messages, authors, dates, parents. What "
		 "differs\n"
		 "is shown as recorded and recomputed; values of Secrets are not.\n"
		 "\n"
		 "  REV..REV       after the first up to the second, by number or time; default: "
		 "all\n"
		 "                 that is kept and that this kgit can judge\n"
		 "  --from REV     this one and all that follow\n"
		 "  --git-dir DIR  in this repository (kgitd's, a clone of it, or of a backup) "
		 "instead "
		 "of\n"
		 "                 the cluster's history, which is fetched into a cache\n"
		 "  --keep-going   past a difference, from the revision as it is recorded\n"
		 "  -o json        for programs\n"
		 "\n"
		 "Exit status: 0 proven, 1 something differs, 2 it cannot be said.\n",
	.run = run,
};
