/* Whose rollout a push waits for, beside what it defines itself. */
#include "kgitd/rollout.h"
#include "value/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MADE 7

#define ROLLS   "metadata: {annotations: {kgit/roll-on-config-change: 'true'}}\n"
#define UPDATED "spec: {replicas: 3}\nstatus: {updatedReplicas: 3}\n"
#define MIDWAY  "spec: {replicas: 3}\nstatus: {updatedReplicas: 1}\n"

enum {
	FOLLOWS = 1,
	REMOVED = 2, /* what is pushed is gone */
	DERIVED = 4, /* the object is of no manifest */
};
/* One object in the namespace "ours" and what a push changes in `ns`. */
static const struct {
	const char *name;
	enum kg_kind_id kind;
	const char *yaml;
	uint64_t revision;
	enum kg_kind_id pushed;
	const char *ns;
	unsigned is;
} cases[] = {
	{"a ConfigMap", KG_KIND_DEPLOYMENT, ROLLS MIDWAY, MADE, KG_KIND_CONFIGMAP, "ours", FOLLOWS},
	{"a Secret, and it is seen later", KG_KIND_STATEFULSET, ROLLS MIDWAY, MADE + 2,
		KG_KIND_SECRET, "ours", FOLLOWS},
	{"one that is taken away", KG_KIND_DEPLOYMENT, ROLLS MIDWAY, MADE, KG_KIND_CONFIGMAP,
		"ours", REMOVED | FOLLOWS},
	{"all of the new ones are there, beside the old ones", KG_KIND_DEPLOYMENT,
		ROLLS "spec: {replicas: 1}\nstatus: {replicas: 2, updatedReplicas: 1}\n", MADE,
		KG_KIND_CONFIGMAP, "ours", FOLLOWS},
	{"a DaemonSet", KG_KIND_DAEMONSET,
		ROLLS "status: {desiredNumberScheduled: 2, updatedNumberScheduled: 0}\n", MADE,
		KG_KIND_CONFIGMAP, "ours", FOLLOWS},
	{"no pod is to be replaced", KG_KIND_DEPLOYMENT, ROLLS UPDATED, MADE, KG_KIND_CONFIGMAP,
		"ours", 0},
	{"of a DaemonSet neither", KG_KIND_DAEMONSET,
		ROLLS "status: {desiredNumberScheduled: 2, updatedNumberScheduled: 2}\n", MADE,
		KG_KIND_CONFIGMAP, "ours", 0},
	{"those below the partition stay", KG_KIND_STATEFULSET,
		ROLLS "spec: {replicas: 3, updateStrategy: {rollingUpdate: {partition: 2}}}\n"
		      "status: {updatedReplicas: 1}\n",
		MADE, KG_KIND_CONFIGMAP, "ours", 0},
	{"it waits for somebody to delete its pods", KG_KIND_STATEFULSET,
		ROLLS "spec: {replicas: 3, updateStrategy: {type: OnDelete}}\n", MADE,
		KG_KIND_CONFIGMAP, "ours", 0},
	{"it is paused", KG_KIND_DEPLOYMENT, ROLLS "spec: {replicas: 3, paused: true}\n", MADE,
		KG_KIND_CONFIGMAP, "ours", 0},
	{"it was so before", KG_KIND_DEPLOYMENT, ROLLS MIDWAY, MADE - 1, KG_KIND_CONFIGMAP, "ours",
		0},
	{"no manifest's", KG_KIND_DEPLOYMENT, ROLLS MIDWAY, MADE, KG_KIND_CONFIGMAP, "ours",
		DERIVED},
	/* Strangers: whose rollout another push, or a node's word, is of the same commit with. */
	{"it does not ask for it", KG_KIND_DEPLOYMENT, MIDWAY, MADE, KG_KIND_CONFIGMAP, "ours", 0},
	{"a ConfigMap of another namespace", KG_KIND_DEPLOYMENT, ROLLS MIDWAY, MADE,
		KG_KIND_CONFIGMAP, "theirs", 0},
	{"the push configures nothing", KG_KIND_DEPLOYMENT, ROLLS MIDWAY, MADE, KG_KIND_SERVICE,
		"ours", 0},
};

static void follows_what_it_configures(void **state)
{
	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
		struct kg_value v;
		struct kg_error err;

		if (kg_yaml_load(&v, &a, cases[i].yaml, strlen(cases[i].yaml), &err) < 0)
			fail_msg("%s: %s", cases[i].name, err.msg);
		struct kg_object_spec spec = {.kind = &kg_kinds[cases[i].kind],
			.ns = "ours",
			.name = "web",
			.value = &v,
			.source = cases[i].is & DERIVED ? NULL : "web.yaml"};
		struct kg_object *obj = kg_object_new(&spec);
		obj->revision = cases[i].revision;
		struct kg_input_desired pushed[] = {
			{.kind = &kg_kinds[KG_KIND_SERVICE], .ns = "ours", .name = "other"},
			{.kind = &kg_kinds[cases[i].pushed], .ns = cases[i].ns, .name = "conf"}};
		if (!(cases[i].is & REMOVED))
			pushed[1].value = kg_v_obj(&a, "kind", kg_v_lit("any"), (char *)NULL);
		struct kg_admission push = {.desired = pushed, .n = KG_ARRAY_LEN(pushed)};
		if (kgd_rollout_follows(obj, &push, MADE) != (cases[i].is & FOLLOWS))
			fail_msg("%s", cases[i].name);
		kg_object_unref(obj);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(follows_what_it_configures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
