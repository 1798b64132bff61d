/* kgit: the cluster's command line. One verb a file; this is the table. */
#include "kgit/kgit.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct kgit_verb *const verbs[] = {
	&kgit_clone_verb,
	&kgit_status_verb,
	&kgit_diff_verb,
	&kgit_test_verb,
	&kgit_log_verb,
	&kgit_why_verb,
	&kgit_logs_verb,
	&kgit_rollback_verb,
	&kgit_verify_verb,
	&kgit_scale_verb,
	&kgit_set_verb,
	&kgit_restart_verb,
	&kgit_cordon_verb,
	&kgit_uncordon_verb,
	&kgit_drain_verb,
	&kgit_evict_verb,
	&kgit_backup_verb,
	&kgit_restore_verb,
	&kgit_token_verb,
	&kgit_ca_verb,
};

static void help(FILE *out)
{
	fputs("usage: kgit [--kubeconfig FILE] VERB [arguments]\n"
	      "\n"
	      "The cluster is git: manifests are changed by `git push`; these look at it.\n"
	      "\n",
		out);
	for (size_t i = 0; i < KG_ARRAY_LEN(verbs); i++)
		fprintf(out, "  %-8s %s\n", verbs[i]->name, verbs[i]->summary);
	fputs("\n"
	      "The cluster is found by --kubeconfig, $KUBECONFIG, or the clone you stand in.\n"
	      "`kgit VERB --help` says more.\n",
		out);
}

int kgit_bad_usage(const struct kgit_verb *verb, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "kgit %s: ", verb->name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nusage: %s", verb->usage);
	return 2;
}

int kgit_fail(const struct kg_error *err)
{
	fprintf(stderr, "kgit: %s\n", err->msg);
	return 1;
}

static bool wants_help(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--") == 0)
			return false;
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	}
	return false;
}

/* Takes --kubeconfig out of argv, wherever it stands. */
static int take_kubeconfig(int *argc, char **argv, const char **out)
{
	int kept = 1;

	for (int i = 1; i < *argc; i++) {
		if (strncmp(argv[i], "--kubeconfig=", 13) == 0) {
			*out = argv[i] + 13;
		} else if (strcmp(argv[i], "--kubeconfig") == 0) {
			if (i + 1 == *argc) {
				fputs("kgit: --kubeconfig: expected a file\n", stderr);
				return -1;
			}
			*out = argv[++i];
		} else {
			argv[kept++] = argv[i];
		}
	}
	argv[kept] = NULL;
	*argc = kept;
	return 0;
}

/* What was to be said must have been: a full disk makes no success. */
static int written(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, "kgit: not all of the output could be written: %s\n", strerror(errno));
	return 2;
}

static int run(const struct kgit_verb *verb, int argc, char **argv, const char *kubeconfig)
{
	char *name KG_AUTOFREE = kg_asprintf("kgit %s", verb->name);

	argv[0] = name; /* what getopt's faults begin with */
	return written(verb->run(argc, argv, kubeconfig));
}

int main(int argc, char **argv)
{
	const char *kubeconfig = NULL;

	signal(SIGPIPE, SIG_DFL);
	kg_kinds_init();
	if (take_kubeconfig(&argc, argv, &kubeconfig) < 0)
		return 2;
	if (argc < 2) {
		help(stderr);
		return 2;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
		strcmp(argv[1], "help") == 0) {
		help(stdout);
		return written(0);
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0) {
		printf("kgit %s\n", KGIT_VERSION);
		return written(0);
	}
	for (size_t i = 0; i < KG_ARRAY_LEN(verbs); i++) {
		if (strcmp(verbs[i]->name, argv[1]) != 0)
			continue;
		if (wants_help(argc - 1, argv + 1)) {
			printf("usage: %s", verbs[i]->usage);
			return written(0);
		}
		return run(verbs[i], argc - 1, argv + 1, kubeconfig);
	}
	fprintf(stderr, "kgit: \"%s\" is no verb of kgit; `kgit --help` lists them\n", argv[1]);
	return 2;
}
