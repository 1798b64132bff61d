/* kgit evict, kgit drain: pods leave their nodes, as far as PodDisruptionBudgets allow. */
#include "base/time.h"
#include "kgit/edit.h"
#include "sys/loop.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DRAIN_MS (5 * 60 * 1000)
#define PAUSE_MS 1000

static int evict(struct kg_http_client *http, const char *ns, const char *name, const char *uid,
	struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value reply;
	struct kg_value body = kg_v_obj(&a, "namespace", kg_v_lit(ns), "name", kg_v_lit(name),
		"uid", kg_v_lit(uid), (char *)NULL);

	return kgit_call(&reply, &a, http, "POST", "/kgit/v1/evict", &body, err);
}

static int run_evict(int argc, char **argv, const char *kubeconfig)
{
	static const struct option options[] = {{"namespace", required_argument, NULL, 'n'}, {0}};
	struct kgit_cluster c KG_CLEANUP(kgit_cluster_release) = {0};
	const char *ns = "default";
	struct kg_error err;
	int o, rc = 0;

	while ((o = getopt_long(argc, argv, "n:", options, NULL)) != -1) {
		if (o == '?')
			return 2;
		ns = optarg;
	}
	if (optind == argc)
		return kgit_bad_usage(&kgit_evict_verb, "expected a pod");
	if (kgit_cluster_find(&c, kubeconfig, &err) < 0)
		return kgit_fail(&err);
	struct kg_http_client *http = kgit_connect(&c, 0);
	for (int i = optind; i < argc; i++) {
		const char *name = strncmp(argv[i], "pod/", 4) == 0 ? argv[i] + 4 : argv[i];

		if (evict(http, ns, name, "", &err) < 0)
			rc = kgit_fail(&err);
		else
			printf("evicted Pod %s/%s\n", ns, name);
	}
	kg_http_client_free(http);
	return rc;
}

const struct kgit_verb kgit_evict_verb = {
	.name = "evict",
	.summary = "a pod leaves its node; its owner makes another",
	.usage = "kgit evict POD... [-n NAMESPACE]\n"
		 "\n"
		 "Asks for it once; refused where a PodDisruptionBudget does not allow it. It is "
		 "an\n"
		 "input of the cluster's, recorded like every other: kgit log shows it. A pod that "
		 "main\n"
		 "defines begins anew.\n",
	.run = run_evict,
};

/* ---- drain ---- */

struct drain {
	struct kg_http_client *http;
	const char *node;
	unsigned left, blocked; /* of the last look */
	char why[300];
};

static bool leaves(const struct kg_object *pod, const char *node)
{
	const struct kg_value *v = kg_obj(pod);
	const struct kg_value *owners = kg_at(v, "metadata.ownerReferences");

	if (strcmp(kg_string(kg_at(v, "spec.nodeName"), ""), node) != 0)
		return false;
	if (kg_len(owners) &&
		strcmp(kg_string(kg_get(&owners->items[0], "kind"), ""), "DaemonSet") == 0)
		return false; /* its controller would put it back there */
	return !kg_pod_terminal(pod);
}

static int drain_once(struct drain *d, struct kg_error *err)
{
	const struct kg_object *pod;
	struct kg_object_iter it;
	struct kg_snapshot *s;
	int rc = kgit_load(&s, d->http, 0, err);

	if (rc < 0)
		return rc;
	d->left = d->blocked = 0;
	kg_iter_kind(&it, s, KG_KIND_POD, NULL, NULL);
	while ((pod = kg_iter_next(&it)) && rc == 0) {
		if (!leaves(pod, d->node))
			continue;
		d->left++;
		if (kg_object_deleting(pod))
			continue;
		int said = evict(d->http, pod->ns, pod->name, kg_object_uid(pod), err);
		if (said == 0) {
			printf("evicted Pod %s/%s\n", pod->ns, pod->name);
		} else if (err->code == KG_E_TOO_MANY) {
			d->blocked++;
			snprintf(d->why, sizeof(d->why), "Pod %s/%s: %.200s", pod->ns, pod->name,
				err->msg);
		} else if (err->code != KG_E_NOT_FOUND) {
			rc = said;
		}
	}
	kg_iter_release(&it);
	kg_snapshot_unref(s);
	return rc;
}

static int drain(const struct kgit_cluster *c, const char *node, int64_t ms)
{
	struct drain d = {.http = kgit_connect(c, 0), .node = node};
	int64_t until = kg_monotonic_ms() + ms;
	struct kg_error err;
	int rc;

	fflush(stdout);
	while ((rc = drain_once(&d, &err)) == 0 && d.left && kg_monotonic_ms() < until)
		usleep(PAUSE_MS * 1000);
	kg_http_client_free(d.http);
	if (rc < 0)
		return kgit_fail(&err);
	if (!d.left) {
		printf("node %s is drained\n", node);
		return 0;
	}
	fprintf(stderr, "kgit: node %s still has %u pod%s%s%s\n", node, d.left,
		d.left == 1 ? "" : "s", d.blocked ? "; " : "", d.blocked ? d.why : "");
	return 1;
}

static int run_drain(int argc, char **argv, const char *kubeconfig)
{
	static const struct option options[] = {{"timeout", required_argument, NULL, 't'}, {0}};
	struct kgit_cluster c KG_CLEANUP(kgit_cluster_release) = {0};
	int64_t ms = DRAIN_MS;
	struct kg_error err;
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (o != 't' || kg_duration_parse(&ms, optarg) < 0 || ms < 0)
			return kgit_bad_usage(
				&kgit_drain_verb, "--timeout: expected a time such as 5m");
	if (argc - optind != 1)
		return kgit_bad_usage(&kgit_drain_verb, "expected one node");
	if (kgit_cluster_find(&c, kubeconfig, &err) < 0)
		return kgit_fail(&err);
	char verb[] = "cordon", *node = argv[optind], *cordon[] = {verb, node, NULL};
	optind = 0;
	int rc = kgit_cordon_verb.run(2, cordon, kubeconfig);
	return rc ? rc : drain(&c, node, ms);
}

const struct kgit_verb kgit_drain_verb = {
	.name = "drain",
	.summary = "cordon a node, and evict its pods",
	.usage =
		"kgit drain NODE [--timeout 5m]\n"
		"\n"
		"Cordons it by a commit (kgit cordon), then evicts its pods but a DaemonSet's, as\n"
		"PodDisruptionBudgets allow, and waits until they are gone. kgit uncordon takes "
		"pods\n"
		"on it again.\n",
	.run = run_drain,
};
