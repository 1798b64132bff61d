#include "kgit/kgit.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static bool print_piece(void *ctx, const char *p, size_t n)
{
	(void)ctx;
	return fwrite(p, 1, n, stdout) == n && fflush(stdout) == 0;
}

/* Of NAMESPACE/POD as `kgit status` prints it, or pod/NAME as kubectl does. The kind, where what
 * stands for a namespace names one, too; or NULL. */
static const struct kg_kind *add_path(struct kg_buf *path, const char *pod, const char *ns)
{
	const char *slash = strchr(pod, '/');
	char *word KG_AUTOFREE = slash ? kg_strndup(pod, (size_t)(slash - pod)) : NULL;
	const struct kg_kind *kind = word ? kg_kind_by_name(word) : NULL;
	bool is_pod = kind && kind->id == KG_KIND_POD;

	kg_buf_adds(path, "/api/v1/namespaces/");
	kg_buf_add_uri(path, word && !is_pod ? word : ns);
	kg_buf_adds(path, "/pods/");
	kg_buf_add_uri(path, slash ? slash + 1 : pod);
	kg_buf_adds(path, "/log");
	return is_pod ? NULL : kind;
}

static int run(int argc, char **argv, const char *kubeconfig)
{
	static const struct option options[] = {{"container", required_argument, NULL, 'c'},
		{"follow", no_argument, NULL, 'f'}, {"tail", required_argument, NULL, 't'},
		{"namespace", required_argument, NULL, 'n'}, {"previous", no_argument, NULL, 'p'},
		{"timestamps", no_argument, NULL, 'T'}, {0}};
	struct kgit_cluster cluster KG_CLEANUP(kgit_cluster_release) = {0};
	struct kg_buf path KG_AUTOBUF = KG_BUF_INIT, query KG_AUTOBUF = KG_BUF_INIT;
	const char *ns = "default";
	struct kg_error err;
	char *end;
	int c;

	while ((c = getopt_long(argc, argv, "c:fn:p", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			kg_buf_adds(&query, "&container=");
			kg_buf_add_uri(&query, optarg);
			break;
		case 'f':
			kg_buf_adds(&query, "&follow=true");
			break;
		case 'p':
			kg_buf_adds(&query, "&previous=true");
			break;
		case 'T':
			kg_buf_adds(&query, "&timestamps=true");
			break;
		case 'n':
			ns = optarg;
			break;
		case 't':
			if (strtol(optarg, &end, 10) < 0 || end == optarg || *end)
				return kgit_bad_usage(&kgit_logs_verb,
					"--tail: expected a number of lines, got \"%s\"", optarg);
			kg_buf_addf(&query, "&tailLines=%s", optarg);
			break;
		default:
			return 2;
		}
	}
	if (argc - optind != 1)
		return kgit_bad_usage(&kgit_logs_verb, "expected one pod");
	const struct kg_kind *kind = add_path(&path, argv[optind], ns);
	if (query.len)
		kg_buf_addf(&path, "?%s", query.data + 1);
	if (kgit_cluster_find(&cluster, kubeconfig, &err) < 0)
		return kgit_fail(&err);
	struct kg_http_client *http = kgit_connect(&cluster, 0);
	int rc = kg_http_get_stream(http, path.data, 0, print_piece, NULL, &err);
	kg_http_client_free(http);
	if (rc == -KG_E_NOT_FOUND && kind)
		return kgit_bad_usage(&kgit_logs_verb,
			"expected a pod, got a %s; kgit status lists its pods", kind->kind);
	return rc < 0 ? kgit_fail(&err) : 0;
}

const struct kgit_verb kgit_logs_verb = {
	.name = "logs",
	.summary = "what a container printed",
	.usage = "kgit logs [NAMESPACE/]POD [-n NAMESPACE] [-c NAME] [-f] [--tail N] [-p] "
		 "[--timestamps]\n"
		 "\n"
		 "  -c NAME       the container, where the pod has several\n"
		 "  -f            go on as it prints more\n"
		 "  --tail N      the last N lines\n"
		 "  -p            of the container before its last restart\n",
	.run = run,
};
