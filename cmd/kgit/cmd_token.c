#include "base/time.h"
#include "kgit/kgit.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static int create(const char *kubeconfig, int64_t ttl_ms, const char *node)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kgit_cluster c KG_CLEANUP(kgit_cluster_release) = {0};
	struct kg_value reply;
	struct kg_error err;

	if (kgit_cluster_find(&c, kubeconfig, &err) < 0)
		return kgit_fail(&err);
	struct kg_http_client *http = kgit_connect(&c, 0);
	struct kg_value body = kg_v_obj(&a, "kind", kg_v_lit("join"), "ttlSeconds",
		kg_v_int((ttl_ms + 999) / 1000), "node", kg_v_str(&a, node), (char *)NULL);
	int rc = kgit_call(&reply, &a, http, "POST", "/kgit/v1/tokens", &body, &err);
	kg_http_client_free(http);
	if (rc < 0)
		return kgit_fail(&err);
	puts(kg_string(kg_get(&reply, "token"), ""));
	return 0;
}

static int run(int argc, char **argv, const char *kubeconfig)
{
	static const struct option options[] = {
		{"ttl", required_argument, NULL, 't'}, {"node", required_argument, NULL, 'n'}, {0}};
	const char *node = NULL;
	int64_t ttl = 3600 * 1000;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'n') {
			node = optarg;
			continue;
		}
		if (c != 't')
			return 2;
		if (kg_duration_parse(&ttl, optarg) < 0 || ttl <= 0)
			return kgit_bad_usage(&kgit_token_verb,
				"--ttl: expected a time such as 1h, got \"%s\"", optarg);
	}
	if (argc - optind != 1 || strcmp(argv[optind], "create") != 0)
		return kgit_bad_usage(&kgit_token_verb, "expected `create`");
	return create(kubeconfig, ttl, node);
}

const struct kgit_verb kgit_token_verb = {
	.name = "token",
	.summary = "make a token with which a node joins",
	.usage =
		"kgit token create [--ttl 1h] [--node NAME]\n"
		"\n"
		"Prints a join token. It lets one node name itself until it expires, and pins the\n"
		"cluster's CA:\n"
		"  kgit-node --state DIR --master URL --join TOKEN --name NAME\n"
		"A name belongs to the machine that joined by it first. With --node the token is "
		"for that\nname alone, and may give it to another machine, or to one made anew.\n",
	.run = run,
};
