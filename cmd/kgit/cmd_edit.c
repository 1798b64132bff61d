/* kgit scale, kgit restart, kgit set image, kgit cordon, kgit uncordon. */
#include "base/time.h"
#include "kgit/edit.h"
#include "sys/loop.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_REPLICAS 100000

static void add_path(struct kgit_change *c, const char *dotted, struct kg_arena *a)
{
	char *s = kg_arena_strdup(a, dotted), *key;

	while ((key = strsep(&s, ".")) && c->n < KGIT_EDIT_DEPTH)
		c->path[c->n++] = (struct kgit_step){.key = key};
}

/* Where a kind keeps its pods' template; NULL: it has none. */
static const char *template_of(const struct kg_kind *kind)
{
	switch (kind->id) {
	case KG_KIND_DEPLOYMENT:
	case KG_KIND_REPLICASET:
	case KG_KIND_STATEFULSET:
	case KG_KIND_DAEMONSET:
	case KG_KIND_REPLICATIONCONTROLLER:
	case KG_KIND_JOB:
		return "spec.template";
	case KG_KIND_CRONJOB:
		return "spec.jobTemplate.spec.template";
	default:
		return NULL;
	}
}

/* The common part: flags, and the object that the words name. */
struct args {
	struct kgit_edit e;
	const char *ns;
	int64_t replicas;
	bool cordon;
	const char *kubeconfig;
	char **rest; /* after the object */
	int nrest;
};

static int parse(struct args *x, const struct kgit_verb *verb, int argc, char **argv, bool node)
{
	static const struct option options[] = {{"replicas", required_argument, NULL, 'r'},
		{"namespace", required_argument, NULL, 'n'}, KGIT_EDIT_OPTIONS, {0}};
	struct kg_error err;
	char *end;
	int c;

	x->e.verb = verb;
	x->replicas = -1;
	while ((c = getopt_long(argc, argv, "n:o:", options, NULL)) != -1) {
		if (c == '?')
			return 2;
		if ((c == 'r' && verb != &kgit_scale_verb) || (c == 'n' && node))
			return kgit_bad_usage(
				verb, "there is no --%s here", c == 'r' ? "replicas" : "namespace");
		if (c == 'n')
			x->ns = optarg;
		else if (c == 'r')
			x->replicas = strtoll(optarg, &end, 10);
		else if (!kgit_edit_flag(&x->e, c, optarg))
			return kgit_bad_usage(
				verb, "-o: at most %d push options", KGIT_PUSH_OPTIONS);
		if (c == 'r' &&
			(end == optarg || *end || x->replicas < 0 || x->replicas > MAX_REPLICAS))
			return kgit_bad_usage(
				verb, "--replicas: expected a count, got \"%s\"", optarg);
	}
	int left = argc - optind;
	if (left < 1)
		return kgit_bad_usage(verb, "expected %s", node ? "a node" : "KIND/NAME");
	bool slash = strchr(argv[optind], '/') != NULL;
	const char *words[] = {
		node ? "node" : argv[optind], node ? argv[optind] : argv[optind + 1]};
	int used = node || slash ? 1 : 2;
	if (left < used || kgit_object_parse(&x->e.object, node ? 2 : used, (char *const *)words,
				   x->ns, &err) < 0)
		return kgit_bad_usage(verb, "%s", left < used ? "expected KIND/NAME" : err.msg);
	x->rest = argv + optind + used;
	x->nrest = left - used;
	return 0;
}

static int finish(struct args *x, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int finish(struct args *x, const char *fmt, ...)
{
	struct kg_buf message KG_AUTOBUF = KG_BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	kg_buf_addv(&message, fmt, ap);
	va_end(ap);
	x->e.message = message.data;
	x->e.ctx = x;
	return kgit_edit_run(&x->e);
}

/* ---- scale ---- */

static int scale_changes(struct kgit_change *out, size_t *n, struct kg_arena *a,
	const struct kg_value *object, void *ctx, struct kg_error *err)
{
	const struct args *x = ctx;

	(void)err;
	if (kg_int(kg_at(object, "spec.replicas"), -1) == x->replicas)
		return 0;
	out[0] = (struct kgit_change){.value = kg_v_int(x->replicas)};
	add_path(&out[0], "spec.replicas", a);
	*n = 1;
	return 0;
}

static int run_scale(int argc, char **argv, const char *kubeconfig)
{
	struct args x = {.e.changes = scale_changes};
	int rc = parse(&x, &kgit_scale_verb, argc, argv, false);

	(void)kubeconfig;
	if (rc)
		return rc;
	if (x.replicas < 0 || x.nrest)
		return kgit_bad_usage(&kgit_scale_verb, "expected one object and --replicas N");
	if (!(x.e.object.kind->flags & KG_KF_SCALE))
		return kgit_bad_usage(
			&kgit_scale_verb, "a %s has no replicas", x.e.object.kind->kind);
	return finish(&x, "scale %s/%s to %lld", x.e.object.kind->singular, x.e.object.name,
		(long long)x.replicas);
}

const struct kgit_verb kgit_scale_verb = {
	.name = "scale",
	.summary = "another number of replicas, by a commit",
	.usage = "kgit scale KIND/NAME --replicas N [-n NAMESPACE]\n"
		 "\n"
		 "Changes the manifest in this working tree (comments and order stay), commits "
		 "that\n"
		 "and pushes it as you.\n"
		 "\n" KGIT_EDIT_USAGE,
	.run = run_scale,
};

/* ---- restart ---- */

static int restart_changes(struct kgit_change *out, size_t *n, struct kg_arena *a,
	const struct kg_value *object, void *ctx, struct kg_error *err)
{
	const struct args *x = ctx;
	char now[32];

	if (kg_bool(kg_at(object, "spec.paused"), false))
		return kg_fail(err, KG_E_INVALID,
			"the Deployment is paused: nothing would start anew; take spec.paused away "
			"first");
	kg_time_format(now, kg_realtime_ms());
	out[0] = (struct kgit_change){.value = kg_v_str(a, now)};
	add_path(&out[0], template_of(x->e.object.kind), a);
	add_path(&out[0], "metadata.annotations", a);
	out[0].path[out[0].n++] = (struct kgit_step){.key = "kubectl.kubernetes.io/restartedAt"};
	*n = 1;
	return 0;
}

/* Others' templates are for pods to come: no pod that runs would begin anew. */
static bool rolls(enum kg_kind_id kind)
{
	return kind == KG_KIND_DEPLOYMENT || kind == KG_KIND_STATEFULSET ||
	       kind == KG_KIND_DAEMONSET;
}

static int run_restart(int argc, char **argv, const char *kubeconfig)
{
	struct args x = {.e.changes = restart_changes};
	int rc = parse(&x, &kgit_restart_verb, argc, argv, false);

	(void)kubeconfig;
	if (rc)
		return rc;
	if (x.nrest)
		return kgit_bad_usage(&kgit_restart_verb, "expected one object");
	if (!rolls(x.e.object.kind->id))
		return kgit_bad_usage(&kgit_restart_verb,
			"a %s has no rollout, as Deployments, StatefulSets and DaemonSets have; "
			"kgit evict POD has one pod made anew",
			x.e.object.kind->kind);
	return finish(&x, "restart %s/%s", x.e.object.kind->singular, x.e.object.name);
}

const struct kgit_verb kgit_restart_verb = {
	.name = "restart",
	.summary = "new pods for all of a workload, by a rollout",
	.usage = "kgit restart KIND/NAME [-n NAMESPACE]\n"
		 "\n"
		 "Sets the annotation kubectl.kubernetes.io/restartedAt of its template, commits "
		 "that\n"
		 "and pushes it as you.\n"
		 "\n" KGIT_EDIT_USAGE,
	.run = run_restart,
};

/* ---- set image ---- */

static int image_change(struct kgit_change *out, size_t *n, struct kg_arena *a,
	const struct args *x, const struct kg_value *object, const char *list, const char *word)
{
	const char *eq = strchr(word, '='), *template = template_of(x->e.object.kind);
	char *spec =
		template ? kg_arena_printf(a, "%s.spec", template) : kg_arena_strdup(a, "spec");
	const struct kg_value *containers = kg_get(kg_at(object, spec), list);
	int found = 0;

	for (uint32_t i = 0; i < kg_len(containers) && *n < KGIT_EDIT_CHANGES; i++) {
		const struct kg_value *c = &containers->items[i];
		const char *name = kg_string(kg_get(c, "name"), "");

		if (strncmp(word, "*=", 2) != 0 && (strlen(name) != (size_t)(eq - word) ||
							   strncmp(name, word, strlen(name)) != 0))
			continue;
		found++;
		if (strcmp(kg_string(kg_get(c, "image"), ""), eq + 1) == 0)
			continue;
		struct kgit_change *change = &out[(*n)++];
		*change = (struct kgit_change){.value = kg_v_str(a, eq + 1)};
		add_path(change, spec, a);
		change->path[change->n++] = (struct kgit_step){.key = list};
		change->path[change->n++] = (struct kgit_step){.index = i};
		change->path[change->n++] = (struct kgit_step){.key = "image"};
	}
	return found;
}

static int image_changes(struct kgit_change *out, size_t *n, struct kg_arena *a,
	const struct kg_value *object, void *ctx, struct kg_error *err)
{
	const struct args *x = ctx;

	for (int i = 0; i < x->nrest; i++) {
		int found = image_change(out, n, a, x, object, "containers", x->rest[i]) +
			    image_change(out, n, a, x, object, "initContainers", x->rest[i]);

		if (!found)
			return kg_fail(err, KG_E_NOT_FOUND, "there is no container \"%.*s\"",
				(int)strcspn(x->rest[i], "="), x->rest[i]);
	}
	return 0;
}

static int run_set(int argc, char **argv, const char *kubeconfig)
{
	struct args x = {.e.changes = image_changes};

	(void)kubeconfig;
	if (argc < 2 || strcmp(argv[1], "image") != 0)
		return kgit_bad_usage(&kgit_set_verb, "expected `image`");
	argv[1] = argv[0]; /* what getopt's faults begin with */
	int rc = parse(&x, &kgit_set_verb, argc - 1, argv + 1, false);
	if (rc)
		return rc;
	if (x.nrest < 1)
		return kgit_bad_usage(&kgit_set_verb, "expected CONTAINER=IMAGE");
	for (int i = 0; i < x.nrest; i++) {
		const char *eq = strchr(x.rest[i], '=');
		if (!eq || eq == x.rest[i] || !eq[1])
			return kgit_bad_usage(
				&kgit_set_verb, "expected CONTAINER=IMAGE, got \"%s\"", x.rest[i]);
	}
	if (!template_of(x.e.object.kind) && x.e.object.kind->id != KG_KIND_POD)
		return kgit_bad_usage(
			&kgit_set_verb, "a %s has no containers", x.e.object.kind->kind);
	return finish(&x, "set image of %s/%s: %s%s", x.e.object.kind->singular, x.e.object.name,
		x.rest[0], x.nrest > 1 ? ", ..." : "");
}

const struct kgit_verb kgit_set_verb = {
	.name = "set",
	.summary = "another image, by a commit",
	.usage = "kgit set image KIND/NAME CONTAINER=IMAGE... [-n NAMESPACE]\n"
		 "\n"
		 "Changes the manifest in this working tree (comments and order stay), commits "
		 "that\n"
		 "and pushes it as you. *=IMAGE is every container.\n"
		 "\n" KGIT_EDIT_USAGE,
	.run = run_set,
};

/* ---- cordon ---- */

static int cordon_changes(struct kgit_change *out, size_t *n, struct kg_arena *a,
	const struct kg_value *object, void *ctx, struct kg_error *err)
{
	const struct args *x = ctx;

	(void)err;
	if (kg_bool(kg_at(object, "spec.unschedulable"), false) == x->cordon)
		return 0;
	out[0] = (struct kgit_change){.value = kg_v_bool(x->cordon)};
	add_path(&out[0], "spec.unschedulable", a);
	*n = 1;
	return 0;
}

/* A manifest makes a Node: a slip in a name would be one that never answers. */
static int node_is_there(void *ctx, struct kg_error *err)
{
	const struct args *x = ctx;
	struct kgit_cluster cluster KG_CLEANUP(kgit_cluster_release) = {0};
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	char *path KG_AUTOFREE = kg_asprintf("/api/v1/nodes/%s", x->e.object.name);
	struct kg_value node;
	int rc = kgit_cluster_find(&cluster, x->kubeconfig, err);

	if (rc < 0)
		return rc;
	struct kg_http_client *http = kgit_connect(&cluster, 0);
	rc = kgit_call(&node, &a, http, "GET", path, NULL, err);
	kg_http_client_free(http);
	if (rc == -KG_E_NOT_FOUND)
		return kg_fail(err, KG_E_NOT_FOUND,
			"there is no node \"%s\": kgit status lists them", x->e.object.name);
	return rc;
}

static int cordon(
	const struct kgit_verb *verb, int argc, char **argv, bool on, const char *kubeconfig)
{
	struct args x = {.e.changes = cordon_changes, .kubeconfig = kubeconfig};
	int rc = parse(&x, verb, argc, argv, true);

	if (rc)
		return rc;
	if (x.nrest)
		return kgit_bad_usage(verb, "expected one node");
	char *file KG_AUTOFREE = kg_asprintf("nodes/%s.yaml", x.e.object.name);
	char *text KG_AUTOFREE = kg_asprintf(
		"apiVersion: v1\nkind: Node\nmetadata:\n  name: %s\nspec:\n  unschedulable: true\n",
		x.e.object.name);
	x.cordon = on;
	if (on) {
		x.e.new_file = file;
		x.e.new_text = text;
		x.e.may_make = node_is_there;
	}
	return finish(&x, "%s %s", verb->name, x.e.object.name);
}

static int run_cordon(int argc, char **argv, const char *kubeconfig)
{
	return cordon(&kgit_cordon_verb, argc, argv, true, kubeconfig);
}

static int run_uncordon(int argc, char **argv, const char *kubeconfig)
{
	return cordon(&kgit_uncordon_verb, argc, argv, false, kubeconfig);
}

const struct kgit_verb kgit_cordon_verb = {
	.name = "cordon",
	.summary = "no further pods on a node, by a commit",
	.usage = "kgit cordon NODE\n"
		 "\n"
		 "Sets spec.unschedulable in the node's manifest (nodes/NODE.yaml where there is "
		 "none),\n"
		 "commits that and pushes it as you.\n"
		 "\n" KGIT_EDIT_USAGE,
	.run = run_cordon,
};
const struct kgit_verb kgit_uncordon_verb = {
	.name = "uncordon",
	.summary = "pods on a node again, by a commit",
	.usage = "kgit uncordon NODE\n\n" KGIT_EDIT_USAGE,
	.run = run_uncordon,
};
