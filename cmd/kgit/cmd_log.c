#include "base/time.h"
#include "kgit/kgit.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SHOWN_LINES 20

static void print_entry(const struct kg_value *e, bool all_lines)
{
	const char *body = kg_string(kg_get(e, "body"), "");
	const char *pushed = kg_string(kg_get(e, "pushed"), "");
	kg_time t = 0;
	char when[40] = "";
	int lines = 0;

	if (kg_time_parse(&t, kg_string(kg_get(e, "time"), "")) == 0) {
		time_t seconds = (time_t)(t / 1000);
		struct tm tm;
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", localtime_r(&seconds, &tm));
	}
	printf("revision %lld  %s  %s%s%.12s\n", (long long)kg_int(kg_get(e, "revision"), 0), when,
		kg_string(kg_get(e, "author"), ""), *pushed ? "  " : "", pushed);
	while (*body) {
		const char *end = strchrnul(body, '\n');

		if (end > body && (all_lines || lines < SHOWN_LINES))
			printf("    %.*s\n", (int)(end - body), body);
		lines += end > body;
		body = *end ? end + 1 : end;
	}
	if (!all_lines && lines > SHOWN_LINES)
		printf("    ... %d more lines (--full)\n", lines - SHOWN_LINES);
}

static int run(int argc, char **argv, const char *kubeconfig)
{
	static const struct option options[] = {{"max-count", required_argument, NULL, 'n'},
		{"full", no_argument, NULL, 'f'}, {"pushes", no_argument, NULL, 'p'}, {0}};
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kgit_cluster cluster KG_CLEANUP(kgit_cluster_release) = {0};
	bool full = false, pushes = false;
	long count = 50;
	struct kg_value reply;
	struct kg_error err;
	int c;

	while ((c = getopt_long(argc, argv, "n:", options, NULL)) != -1) {
		if (c == 'n' && (count = strtol(optarg, NULL, 10)) <= 0)
			return kgit_bad_usage(&kgit_log_verb, "-n: expected a number above 0");
		else if (c == 'f')
			full = true;
		else if (c == 'p')
			pushes = true;
		else if (c == '?')
			return 2;
	}
	if (optind < argc)
		return kgit_bad_usage(&kgit_log_verb, "unexpected \"%s\"", argv[optind]);
	if (kgit_cluster_find(&cluster, kubeconfig, &err) < 0)
		return kgit_fail(&err);
	struct kg_http_client *http = kgit_connect(&cluster, 0);
	char path[80];
	snprintf(path, sizeof(path), "/kgit/v1/log?limit=%ld", pushes ? 5000 : count);
	int rc = kgit_call(&reply, &a, http, "GET", path, NULL, &err);
	kg_http_client_free(http);
	if (rc < 0)
		return kgit_fail(&err);
	const struct kg_value *entries = kg_get(&reply, "entries");
	for (uint32_t i = 0; i < kg_len(entries) && count > 0; i++) {
		if (pushes && kg_is_null(kg_get(&entries->items[i], "pushed")))
			continue;
		print_entry(&entries->items[i], full);
		count--;
	}
	return 0;
}

const struct kgit_verb kgit_log_verb = {
	.name = "log",
	.summary = "revisions: when, by whom, what changed",
	.usage = "kgit log [-n N] [--pushes] [--full]\n"
		 "\n"
		 "The newest revisions first: number, time, who caused it, the pushed commit, and "
		 "what\n"
		 "changed. --pushes leaves out what the system did by itself, --full shows every "
		 "line.\n",
	.run = run,
};
