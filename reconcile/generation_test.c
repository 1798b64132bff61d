/* metadata.generation and status.observedGeneration of every kind, as Kubernetes' registries count
 * them: what of a manifest makes it grow, and that a controller has seen it in the same commit. */
#include "reconcile/harness.h"
#include "reconcile/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define POD "spec: {restartPolicy: %s, containers: [{name: c, image: i}]}"
#define SETS                                                                                       \
	"spec: {selector: {matchLabels: {a: b}}, minReadySeconds: %s, template: {metadata: "       \
	"{labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}"

static const struct {
	enum kg_kind_id kind;
	const char *rest;      /* after metadata; %s: a value of the spec */
	const char *one, *two; /* of it */
	/* The generations after a change of a label, of an annotation, of the value. */
	int labelled, annotated, changed;
	bool observed;
} cases[] = {
	{KG_KIND_DEPLOYMENT, SETS, "0", "1", 1, 2, 3, true},
	{KG_KIND_REPLICASET, SETS, "0", "1", 1, 1, 2, true},
	{KG_KIND_STATEFULSET, SETS, "0", "1", 1, 1, 2, true},
	{KG_KIND_DAEMONSET, SETS, "0", "1", 1, 1, 2, true},
	{KG_KIND_REPLICATIONCONTROLLER,
		"spec: {selector: {a: b}, minReadySeconds: %s, template: {metadata: {labels: {a: "
		"b}}, spec: {containers: [{name: c, image: i}]}}}",
		"0", "1", 1, 1, 2, true},
	{KG_KIND_JOB,
		"spec: {parallelism: %s, template: {spec: {restartPolicy: Never, containers: "
		"[{name: c, image: i}]}}}",
		"0", "1", 1, 1, 2, false},
	{KG_KIND_CRONJOB,
		"spec: {schedule: '%s 0 1 1 *', jobTemplate: {spec: {template: {spec: "
		"{restartPolicy: Never, containers: [{name: c, image: i}]}}}}}",
		"0", "1", 1, 1, 2, false},
	{KG_KIND_PODDISRUPTIONBUDGET, "spec: {selector: {matchLabels: {a: b}}, minAvailable: %s}",
		"0", "1", 1, 1, 2, true},
	{KG_KIND_PODTEMPLATE, "template: {" POD "}", "Always", "Never", 1, 1, 2, false},
	{KG_KIND_INGRESS,
		"spec: {ingressClassName: nginx, defaultBackend: {service: {name: s, port: "
		"{number: %s}}}}",
		"1", "2", 1, 1, 2, false},
	{KG_KIND_PRIORITYCLASS, "value: 1\ndescription: '%s'", "a", "b", 1, 1, 1, false},
	{KG_KIND_POD, POD, "Always", "Always", 0, 0, 0, false},
	{KG_KIND_CONFIGMAP, "data: {a: '%s'}", "1", "2", 0, 0, 0, false},
	{KG_KIND_SERVICE, "spec: {ports: [{port: %s}]}", "1", "2", 0, 0, 0, false},
};

static void push(struct kg_harness *h, size_t i, const char *meta, const char *value)
{
	const struct kg_kind *kind = &kg_kinds[cases[i].kind];
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	char rest[500];
	/* The table's own formats. */
	const char *at = strstr(cases[i].rest, "%s");
	snprintf(rest, sizeof(rest), "%.*s%s%s", (int)(at - cases[i].rest), cases[i].rest, value,
		at + 2);
	kg_buf_addf(&b, "apiVersion: %s\nkind: %s\nmetadata: {name: x%s}\n%s\n",
		kg_kind_api_version(kind), kind->kind, meta, rest);
	kg_harness_push(h, "x.yaml", kg_buf_str(&b));
}

static void check(const struct kg_harness *h, size_t i, int want, const char *after)
{
	const struct kg_kind *kind = &kg_kinds[cases[i].kind];
	const char *ns = kind->flags & KG_KF_NAMESPACED ? "default" : "";
	const struct kg_object *obj = kg_snapshot_get(h->s, kind->id, ns, "x");
	int64_t generation = kg_int(kg_at(kg_obj(obj), "metadata.generation"), 0);
	int64_t observed = kg_int(kg_at(kg_obj(obj), "status.observedGeneration"), 0);
	if (generation != want || observed != (cases[i].observed ? want : 0))
		fail_msg("%s after %s: generation %lld, observed %lld, not %d", kind->kind, after,
			(long long)generation, (long long)observed, want);
}

static void test_generations(void **state)
{
	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_harness h;
		kg_harness_init(&h, NULL);
		h.check = true;
		push(&h, i, "", cases[i].one);
		check(&h, i, cases[i].labelled, "its birth");
		push(&h, i, ", labels: {l: m}", cases[i].one);
		check(&h, i, cases[i].labelled, "a label");
		push(&h, i, ", labels: {l: m}, annotations: {note: o}", cases[i].one);
		check(&h, i, cases[i].annotated, "an annotation");
		push(&h, i, ", labels: {l: m}, annotations: {note: o}", cases[i].two);
		check(&h, i, cases[i].changed, "its spec");
		kg_harness_release(&h);
	}
}

/* Its controllers do nothing of weight from then on: that is a change. */
static void test_deletion(void **state)
{
	(void)state;
	struct kg_harness h;
	kg_harness_init(&h, NULL);
	h.check = true;
	kg_harness_push(&h, "x.yaml",
		"apiVersion: apps/v1\nkind: Deployment\n"
		"metadata: {name: x, finalizers: [example.com/x]}\n"
		"spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, "
		"spec: {containers: [{name: c, image: i}]}}}\n");
	kg_harness_push(&h, "x.yaml", NULL);
	const struct kg_object *obj = kg_snapshot_get(h.s, KG_KIND_DEPLOYMENT, "default", "x");
	assert_non_null(obj);
	assert_true(kg_object_deleting(obj));
	assert_int_equal(kg_int(kg_at(kg_obj(obj), "metadata.generation"), 0), 2);
	kg_harness_release(&h);
}

static const struct kg_object *only_slice(const struct kg_harness *h)
{
	struct kg_object_iter it KG_CLEANUP(kg_iter_release);
	kg_iter_kind(&it, h->s, KG_KIND_ENDPOINTSLICE, NULL, NULL);
	return kg_iter_next(&it);
}

static void test_slices(void **state)
{
	(void)state;
	static const struct {
		const char *svc;
		int want;
	} steps[] = {
		{"metadata: {name: s}\nspec: {selector: {a: b}, ports: [{port: 1}]}", 1},
		{"metadata: {name: s, annotations: {note: o}}\nspec: {selector: {a: b}, ports: "
		 "[{port: 1}]}",
			1},
		{"metadata: {name: s, labels: {l: m}}\nspec: {selector: {a: b}, ports: [{port: "
		 "1}]}",
			2},
		{"metadata: {name: s, labels: {l: m}}\nspec: {selector: {a: b}, ports: [{port: "
		 "2}]}",
			3},
	};
	struct kg_harness h;
	kg_harness_init(&h, NULL);
	kg_harness_nodes(&h, 1, "8", "16Gi");
	h.check = true;
	kg_harness_push(&h, "p.yaml",
		"apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {a: b}}\n"
		"spec: {containers: [{name: c, image: i}]}\n");
	for (size_t i = 0; i < KG_ARRAY_LEN(steps); i++) {
		char text[300];
		snprintf(text, sizeof(text), "apiVersion: v1\nkind: Service\n%s\n", steps[i].svc);
		kg_harness_push(&h, "s.yaml", text);
		assert_int_equal(kg_int(kg_at(kg_obj(only_slice(&h)), "metadata.generation"), 0),
			steps[i].want);
	}
	kg_harness_release(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_generations),
		cmocka_unit_test(test_deletion),
		cmocka_unit_test(test_slices),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
