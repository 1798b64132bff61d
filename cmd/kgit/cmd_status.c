#include "base/time.h"
#include "kgit/kgit.h"
#include "kgit/waiting.h"
#include "kinds/cluster.h"
#include "kinds/endpoints.h"
#include "reconcile/summary.h"
#include "value/json.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

/* ---- as a tree ---- */

static const char *node_name(const struct kg_object *pod)
{
	return kg_string(kg_at(kg_obj(pod), "spec.nodeName"), "");
}

static void print_object(const struct kg_snapshot *s, const struct kg_object *obj, int depth)
{
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;
	struct kg_summary sum;
	char name[400];

	kg_summarize(&sum, s, obj);
	snprintf(name, sizeof(name), "%*s%s %s", depth * 2, "", obj->kind->kind, obj->name);
	kg_buf_addf(&out, "%-48s %s", name, sum.state);
	if (obj->kind->id == KG_KIND_POD && *node_name(obj))
		kg_buf_addf(&out, "  %s  %s", node_name(obj),
			kg_string(kg_at(kg_obj(obj), "status.podIP"), ""));
	if (obj->kind->id == KG_KIND_NODE)
		kg_buf_addf(&out, "  %s",
			kg_string(kg_at(kg_obj(obj), "status.addresses.0.address"), ""));
	if (*sum.reason)
		kg_buf_addf(&out, "  (%s)", sum.reason);
	kg_buf_addc(&out, '\n');
	kgit_print(out.data, out.len);
}

static void print_owned(const struct kg_snapshot *s, const struct kg_object *owner, int depth)
{
	struct kg_object_iter it KG_CLEANUP(kg_iter_release);
	const struct kg_object *obj;

	kg_iter_index(&it, s, KG_INDEX_OWNER, kg_object_uid(owner));
	while ((obj = kg_iter_next(&it))) {
		/* Old revisions of a Deployment that hold no pods say nothing. */
		if ((obj->kind->id == KG_KIND_ENDPOINTSLICE && kg_slice_is_made(obj)) ||
			obj->kind->id == KG_KIND_CONTROLLERREVISION ||
			(obj->kind->id == KG_KIND_REPLICASET &&
				kg_int(kg_at(kg_obj(obj), "spec.replicas"), 0) == 0 &&
				kg_int(kg_at(kg_obj(obj), "status.replicas"), 0) == 0))
			continue;
		print_object(s, obj, depth);
		print_owned(s, obj, depth + 1);
	}
}

/* The kinds that are shown, and of all others what is on its way out. */
static bool is_shown(const struct kg_snapshot *s, const struct kg_object *obj, bool listed)
{
	return !kg_is_owned(s, obj) && !kg_cluster_is(obj) && (listed || kg_object_deleting(obj));
}

static bool is_listed(const enum kg_kind_id *order, size_t n, int kind)
{
	while (n > 0 && (int)order[n - 1] != kind)
		n--;
	return n > 0;
}

/* *titled: whether the namespace's own line is there. */
static void print_kind(const struct kg_snapshot *s, const char *ns, enum kg_kind_id kind,
	bool listed, bool *titled)
{
	struct kg_object_iter it KG_CLEANUP(kg_iter_release);
	const struct kg_object *obj;

	kg_iter_kind(&it, s, kind, ns, NULL);
	while ((obj = kg_iter_next(&it))) {
		if (!is_shown(s, obj, listed))
			continue;
		if (!*titled)
			printf("\nnamespace %s\n", ns);
		*titled = true;
		print_object(s, obj, 1);
		print_owned(s, obj, 2);
	}
}

static void print_namespace(const struct kg_snapshot *s, const struct kg_object *ns)
{
	static const enum kg_kind_id order[] = {KG_KIND_DEPLOYMENT, KG_KIND_REPLICASET,
		KG_KIND_STATEFULSET, KG_KIND_DAEMONSET, KG_KIND_REPLICATIONCONTROLLER,
		KG_KIND_CRONJOB, KG_KIND_JOB, KG_KIND_POD, KG_KIND_SERVICE,
		KG_KIND_PODDISRUPTIONBUDGET, KG_KIND_CONFIGMAP, KG_KIND_PERSISTENTVOLUMECLAIM,
		KG_KIND_RESOURCEQUOTA};
	bool titled = false;
	struct kg_summary sum;

	kg_summarize(&sum, s, ns);
	if (*sum.state) {
		printf("\nnamespace %s: %s%s%s\n", ns->name, sum.state, *sum.reason ? ", " : "",
			sum.reason);
		titled = true;
	}
	for (size_t i = 0; i < KG_ARRAY_LEN(order); i++)
		print_kind(s, ns->name, order[i], true, &titled);
	for (int k = 0; k < KG_KIND_COUNT; k++)
		if (kg_kinds[k].flags & KG_KF_NAMESPACED &&
			!is_listed(order, KG_ARRAY_LEN(order), k))
			print_kind(s, ns->name, (enum kg_kind_id)k, false, &titled);
}

static void print_tree(const struct kg_snapshot *s, const char *url)
{
	struct kg_object_iter it;
	const struct kg_object *obj;

	printf("cluster %s, revision %llu: %s\n", url, (unsigned long long)s->revision,
		kg_all_ready(s) ? "all is ready" : "not everything is ready");
	kg_iter_kind(&it, s, KG_KIND_NODE, NULL, NULL);
	while ((obj = kg_iter_next(&it)))
		print_object(s, obj, 0);
	kg_iter_release(&it);
	kg_iter_kind(&it, s, KG_KIND_NAMESPACE, NULL, NULL);
	while ((obj = kg_iter_next(&it)))
		print_namespace(s, obj);
	kg_iter_release(&it);
}

/* ---- as JSON ---- */

static struct kg_value json_object(
	struct kg_arena *a, const struct kg_snapshot *s, const struct kg_object *obj)
{
	const struct kg_value *v = kg_obj(obj);
	struct kg_summary sum;
	struct kg_value owner = kg_v_null();

	kg_summarize(&sum, s, obj);
	const struct kg_value *owners = kg_at(v, "metadata.ownerReferences");
	if (kg_len(owners))
		owner = kg_v_strf(a, "%s/%s", kg_string(kg_get(&owners->items[0], "kind"), ""),
			kg_string(kg_get(&owners->items[0], "name"), ""));
	return kg_v_obj(a, "kind", kg_v_lit(obj->kind->kind), "namespace",
		*obj->ns ? kg_v_str(a, obj->ns) : kg_v_null(), "name", kg_v_str(a, obj->name),
		"ready", kg_v_bool(sum.ready), "state", kg_v_str(a, sum.state), "reason",
		*sum.reason ? kg_v_str(a, sum.reason) : kg_v_null(), "owner", owner, "node",
		*kg_at(v, "spec.nodeName"), "podIP", *kg_at(v, "status.podIP"), "clusterIP",
		*kg_at(v, "spec.clusterIP"), (char *)NULL);
}

static void print_json(const struct kg_snapshot *s, const char *url)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;
	struct kg_value *items = NULL;
	size_t n = 0, cap = 0;
	const struct kg_object *obj;

	for (int k = 0; k < KG_KIND_COUNT; k++) {
		struct kg_object_iter it KG_CLEANUP(kg_iter_release);

		kg_iter_kind(&it, s, (enum kg_kind_id)k, NULL, NULL);
		while ((obj = kg_iter_next(&it))) {
			KG_GROW(items, cap, n + 1);
			items[n++] = json_object(&a, s, obj);
		}
	}
	struct kg_value v = kg_v_obj(&a, "cluster", kg_v_lit(url), "revision",
		kg_v_int((int64_t)s->revision), "ready", kg_v_bool(kg_all_ready(s)), "objects",
		kg_v_array(&a, items, n), (char *)NULL);
	free(items);
	kg_json_write_pretty(&out, &v);
	puts(kg_buf_str(&out));
}

static int run(int argc, char **argv, const char *kubeconfig)
{
	static const struct option options[] = {{"wait", required_argument, NULL, 'w'},
		{"output", required_argument, NULL, 'o'}, {"at", required_argument, NULL, 'a'},
		{0}};
	struct kgit_cluster cluster KG_CLEANUP(kgit_cluster_release) = {0};
	int64_t wait_ms = -1;
	struct kg_snapshot *s;
	const char *at = NULL;
	uint64_t revision = 0;
	struct kg_error err;
	bool json = false;
	int c, rc;

	while ((c = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
		if (c == 'w' && (kg_duration_parse(&wait_ms, optarg) < 0 || wait_ms < 0))
			return kgit_bad_usage(&kgit_status_verb,
				"--wait: expected a time such as 30s, got \"%s\"", optarg);
		if (c == 'o' && strcmp(optarg, "json") != 0)
			return kgit_bad_usage(
				&kgit_status_verb, "-o: expected json, got \"%s\"", optarg);
		json |= c == 'o';
		if (c == 'a')
			at = optarg;
		if (c == '?')
			return 2;
	}
	if (at && wait_ms >= 0)
		return kgit_bad_usage(&kgit_status_verb, "the past cannot be waited for");
	if (optind < argc)
		return kgit_bad_usage(&kgit_status_verb, "unexpected \"%s\"", argv[optind]);
	if (kgit_cluster_find(&cluster, kubeconfig, &err) < 0)
		return kgit_fail(&err);
	struct kg_http_client *http = kgit_connect(&cluster, 0);
	if (at) {
		rc = kgit_revision_parse(&revision, http, at, &err);
		if (rc == 0)
			rc = kgit_load(&s, http, revision, &err);
	} else {
		rc = kgit_load_ready(&s, http, wait_ms, &err);
	}
	kg_http_client_free(http);
	if (rc < 0)
		return kgit_fail(&err);
	if (json)
		print_json(s, cluster.url);
	else
		print_tree(s, cluster.url);
	bool ready = kg_all_ready(s);
	kg_snapshot_unref(s);
	return wait_ms >= 0 && !ready ? 1 : 0;
}

const struct kgit_verb kgit_status_verb = {
	.name = "status",
	.summary = "what is desired, what runs, where, and why not",
	.usage =
		"kgit status [--wait DURATION | --at REV|TIME] [-o json]\n"
		"\n"
		"  --wait 30s    wait until all is ready; exit status 1 when the time is up first\n"
		"  --at REV      the cluster as it was\n"
		"  -o json       for programs\n",
	.run = run,
};
