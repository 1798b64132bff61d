/*
 * What a push of a directory would change. The state of the cluster is fetched as the commit it
 * is, and the very code that kgitd runs (admission, reconcile) runs here on it; nothing starts.
 */
#include "base/time.h"
#include "kgit/forecast.h"
#include "kgit/kgit.h"
#include "store/settings.h"
#include "sys/file.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_FILES 200000
#define MAX_FILE  (4 << 20)

/* The directory to compare: the one named, or the top of the working tree. */
static char *wanted_dir(const char *arg, struct kg_error *err)
{
	const char *argv[] = {"git", "rev-parse", "--show-toplevel", NULL};
	char *top = NULL;
	struct stat st;

	if (arg) {
		if (stat(arg, &st) < 0 || !S_ISDIR(st.st_mode)) {
			kg_fail(err, KG_E_NOT_FOUND, "%s: no such directory", arg);
			return NULL;
		}
		return kg_strdup(arg);
	}
	if (kgit_git_text(&top, argv, err) < 0)
		kg_fail(err, KG_E_NOT_FOUND,
			"this is no working tree of git; name the directory: kgit diff DIR");
	return top;
}

struct tree {
	const char *dir;
	struct kg_admission_file *files;
	size_t n;
};

static int read_tree(struct tree *t, struct kg_arena *a, struct kg_error *err)
{
	struct kg_tree_file *found;
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	int rc = kg_dir_manifests(&found, &t->n, a, t->dir, MAX_FILES, err);

	if (rc < 0)
		return rc;
	t->files = kg_arena_alloc(a, (t->n + 1) * sizeof(*t->files));
	for (size_t i = 0; i < t->n; i++) {
		char *path KG_AUTOFREE = kg_asprintf("%s/%s", t->dir, found[i].path);

		kg_buf_clear(&text);
		rc = kg_file_read(&text, path, MAX_FILE, err);
		if (rc < 0)
			return rc;
		t->files[i] = (struct kg_admission_file){
			.path = found[i].path,
			.text = kg_arena_strndup(a, kg_buf_str(&text), text.len),
			.len = text.len,
		};
	}
	return 0;
}

static void print_faults(const struct kg_fault_list *faults)
{
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;

	for (size_t i = 0; i < faults->len; i++) {
		kg_fault_format(&out, &faults->items[i]);
		if (out.len && out.data[out.len - 1] != '\n')
			kg_buf_addc(&out, '\n');
	}
	fputs(kg_buf_str(&out), stderr);
}

/* 0: no change; 1: changes; 2: a push would be refused. */
static int diff(const struct kg_snapshot *s, const char *dir, const struct kgit_forecast *f,
	struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_fault_list faults;
	struct kg_admission admission;
	struct kg_settings settings;
	struct tree t = {.dir = dir};
	int rc = read_tree(&t, &a, err);

	if (rc < 0)
		return rc;
	kg_faults_init(&faults, &a);
	rc = kg_settings_of_dir(&settings, &a, dir, &faults, err);
	if (rc < 0) {
		kg_faults_release(&faults);
		return rc;
	}
	kg_admit(&admission, s, t.files, t.n, true,
		&(struct kg_admission_options){
			.cluster = &f->sim.reconcile, .ignored_kinds = settings.ignored_kinds},
		&a, &faults);
	print_faults(&faults);
	size_t errors = kg_faults_errors(&faults);
	kg_faults_release(&faults);
	if (errors) {
		fprintf(stderr, "kgit: a push would be refused: %zu fault%s\n", errors,
			errors == 1 ? "" : "s");
		return 2;
	}
	return kgit_forecast(s, &admission, f, err);
}

struct args {
	struct kgit_forecast f;
	const char *at;
};

static bool is_range(const char *arg)
{
	return strstr(arg, "..") && !kg_path_exists(arg);
}

static int bad_time(const char *flag, const char *text)
{
	return kgit_bad_usage(
		&kgit_diff_verb, "--%s: expected a time such as 2s, got \"%s\"", flag, text);
}

/* 0, or the exit status. */
static int parse(struct args *out, int argc, char **argv)
{
	enum { AT = 256, SIMULATE, WITHOUT, ADD, READY, HORIZON };
	static const struct option options[] = {{"at", required_argument, NULL, AT},
		{"simulate", no_argument, NULL, SIMULATE},
		{"without-node", required_argument, NULL, WITHOUT},
		{"add-node", required_argument, NULL, ADD},
		{"ready-after", required_argument, NULL, READY},
		{"horizon", required_argument, NULL, HORIZON},
		{"output", required_argument, NULL, 'o'}, {0}};
	struct kgit_forecast *f = &out->f;
	int c;

	while ((c = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
		if (c == '?')
			return 2;
		if (c == 'o' && strcmp(optarg, "json") != 0)
			return kgit_bad_usage(
				&kgit_diff_verb, "-o: expected json, got \"%s\"", optarg);
		if (c == READY &&
			(kg_duration_parse(&f->sim.ready_ms, optarg) < 0 || f->sim.ready_ms <= 0))
			return bad_time("ready-after", optarg);
		if (c == HORIZON && (kg_duration_parse(&f->sim.horizon_ms, optarg) < 0 ||
					    f->sim.horizon_ms <= 0))
			return bad_time("horizon", optarg);
		if ((c == WITHOUT && f->nwithout == KGIT_FORECAST_NODES) ||
			(c == ADD && f->nadd == KGIT_FORECAST_NODES))
			return kgit_bad_usage(
				&kgit_diff_verb, "at most %d nodes at once", KGIT_FORECAST_NODES);
		if (c == WITHOUT)
			f->without_nodes[f->nwithout++] = optarg;
		if (c == ADD)
			f->add_nodes[f->nadd++] = optarg;
		if (c == AT)
			out->at = optarg;
		f->json |= c == 'o';
		f->simulate |= c == SIMULATE;
	}
	f->show_id = !out->at && !f->simulate && !f->nwithout && !f->nadd;
	if (argc - optind > 1)
		return kgit_bad_usage(&kgit_diff_verb, "expected at most one directory");
	if (!f->show_id && optind < argc && is_range(argv[optind]))
		return kgit_bad_usage(&kgit_diff_verb,
			"%s is what was: nothing can be played or supposed of it", argv[optind]);
	return 0;
}

static int load_state(struct kg_snapshot **out, const struct kgit_cluster *c, const char *at,
	struct kg_error *err)
{
	uint64_t revision = 0;

	if (at) {
		struct kg_http_client *http = kgit_connect(c, 0);
		int rc = kgit_revision_parse(&revision, http, at, err);

		kg_http_client_free(http);
		if (rc < 0)
			return rc;
	}
	return kgit_fetch_state(out, c, revision, err);
}

static int run_diff(
	const struct kgit_cluster *c, const char *arg, struct args *args, struct kg_error *err)
{
	struct kgit_options o KG_CLEANUP(kgit_options_release) = {0};
	char *dir KG_AUTOFREE = wanted_dir(arg, err);
	struct kg_snapshot *s;

	if (!dir)
		return -(int)err->code;
	int rc = load_state(&s, c, args->at, err);
	if (rc < 0)
		return rc;
	rc = kgit_options_get(&o, c, err);
	args->f.sim.reconcile = o.reconcile;
	if (rc == 0)
		rc = diff(s, dir, &args->f, err);
	kg_snapshot_unref(s);
	return rc;
}

static int run(int argc, char **argv, const char *kubeconfig)
{
	struct kgit_cluster c KG_CLEANUP(kgit_cluster_release) = {0};
	struct args args = {0};
	struct kg_error err;
	int rc = parse(&args, argc, argv);

	if (rc)
		return rc;
	const char *arg = optind < argc ? argv[optind] : NULL;
	rc = kgit_cluster_find(&c, kubeconfig, &err);
	if (rc == 0 && arg && is_range(arg))
		rc = kgit_diff_revisions(&c, arg, args.f.json, &err);
	else if (rc == 0)
		rc = run_diff(&c, arg, &args, &err);
	if (rc < 0)
		kgit_fail(&err);
	return rc < 0 ? 2 : rc;
}

const struct kgit_verb kgit_diff_verb = {
	.name = "diff",
	.summary = "what a push would change, down to pods and nodes",
	.usage = "kgit diff [DIR | REV..REV] [--simulate] [-o json]\n"
		 "\n"
		 "Compares DIR (default: the working tree) with what the cluster runs: objects, "
		 "pods and\n"
		 "the nodes they would be bound to. Nothing is started. With REV..REV: what\n"
		 "changed between two revisions (or times). The plan's id, printed last, makes\n"
		 "`git push -o plan=ID` do just that or nothing.\n"
		 "\n"
		 "  --simulate            play it forward: the rollout's timeline, to its end\n"
		 "  --ready-after TIME    how long a pod takes to be ready; default 1s\n"
		 "  --horizon TIME        how far to play; default 10m\n"
		 "  --without-node NODE   as if this node were lost (may be repeated)\n"
		 "  --add-node FILE       as if these Nodes (YAML) were there, too\n"
		 "  --at REV              on the cluster as it was at a revision or time\n"
		 "  -o json               for programs\n"
		 "\n"
		 "Exit status: 0 no change, 1 changes, 2 refused.\n",
	.run = run,
};
