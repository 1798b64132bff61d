/*
 * The scheduler's rules, as tables: a cluster (nodes, pods that are there, other objects), a pod,
 * and what is said of each node. A case's `want` is the chosen node ("-": none), then "NODE TOTAL"
 * or "NODE: REASON" as asked for. Each case cites the rule of Kubernetes that it holds.
 */
#include "base/map.h"
#include "reconcile/explain.h"
#include "reconcile/harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NODE(name, labels, spec)                                                                   \
	"---\napiVersion: v1\nkind: Node\nmetadata: {name: " name                                  \
	", labels: {kubernetes.io/hostname: " name labels "}}\nspec: {podCIDR: 10.1.0.0/24" spec   \
	"}\nstatus: {allocatable: {cpu: '4', memory: 8Gi, pods: '110'}}\n"
#define A   NODE("a", ", topology.kubernetes.io/zone: z1, disk: ssd, num: '5'", "")
#define B   NODE("b", ", topology.kubernetes.io/zone: z1, disk: hdd, num: '9'", "")
#define C   NODE("c", ", topology.kubernetes.io/zone: z2", "")
#define ABC A B C
#define POD(name, labels, spec)                                                                    \
	"---\napiVersion: v1\nkind: Pod\nmetadata: {name: " name                                   \
	", namespace: default, uid: u-" name ", labels: {" labels "}}\nspec: {" spec "}\n"
#define ON(node, name, labels) POD(name, labels, "nodeName: " node)
#define CPU(n)                                                                                     \
	"containers: [{name: c, image: i, resources: {requests: {cpu: '" n "', memory: 1Gi}}}]"
#define NEED(what) "affinity: {" what "}"
#define HARD       "requiredDuringSchedulingIgnoredDuringExecution: "
#define SOFT       "preferredDuringSchedulingIgnoredDuringExecution: "
#define NODES_IN(e)                                                                                \
	NEED("nodeAffinity: {" HARD "{nodeSelectorTerms: [{matchExpressions: [" e "]}]}}")
#define APP(x) "labelSelector: {matchLabels: {app: " x "}}"
#define ZONE   "topologyKey: topology.kubernetes.io/zone"
#define HOST   "topologyKey: kubernetes.io/hostname"
#define NS(name, labels)                                                                           \
	"---\napiVersion: v1\nkind: Namespace\nmetadata: {name: " name ", labels: {" labels "}}\n"

struct scene {
	const char *what, *cluster, *pod;
	const char *chosen; /* one of those named, "|" between them; "-": none */
	const char *want;   /* a part of the listing; NULL: not looked at */
};

static void put(struct kg_txn *txn, const struct kg_value *v)
{
	const struct kg_kind *kind = kg_kind_by_api(
		kg_string(kg_get(v, "apiVersion"), ""), kg_string(kg_get(v, "kind"), ""));
	struct kg_object_spec spec = {.kind = kind,
		.ns = kg_string(kg_at(v, "metadata.namespace"), ""),
		.name = kg_string(kg_at(v, "metadata.name"), ""),
		.value = v};
	kg_txn_put(txn, kg_object_new(&spec));
}

static void put_all(struct kg_txn *txn, struct kg_arena *a, const char *text)
{
	struct kg_error err;
	while (*text) {
		const char *end = strstr(text + 1, "---\n");
		size_t len = end ? (size_t)(end - text) : strlen(text);
		struct kg_value v;
		if (kg_yaml_load(&v, a, text, len, &err) < 0)
			fail_msg("%.*s: %s", (int)len, text, err.msg);
		put(txn, &v);
		text += len;
	}
}

static struct kg_object *pod_of(struct kg_arena *a, const char *text)
{
	struct kg_value v;
	struct kg_error err;
	if (kg_yaml_load(&v, a, text, strlen(text), &err) < 0)
		fail_msg("%s: %s", text, err.msg);
	struct kg_object_spec spec = {.kind = &kg_kinds[KG_KIND_POD],
		.ns = kg_string(kg_at(&v, "metadata.namespace"), ""),
		.name = kg_string(kg_at(&v, "metadata.name"), ""),
		.value = &v};
	return kg_object_new(&spec);
}

static struct kg_snapshot *snapshot_of(struct kg_arena *a, const char *cluster)
{
	struct kg_snapshot *empty = kg_snapshot_new("6ba7b810-9dad-11d1-80b4-00c04fd430c8"), *s;
	struct kg_txn *txn = kg_txn_new(empty);
	struct kg_changes changes;
	put_all(txn, a, cluster);
	kg_txn_finish(txn, &s, &changes);
	kg_changes_release(&changes);
	kg_snapshot_unref(empty);
	return s;
}

static void write(struct kg_buf *b, const struct kg_explain *ex)
{
	for (size_t i = 0; i < ex->n; i++) {
		const struct kg_explain_node *n = &ex->nodes[i];
		kg_buf_addf(b, "%s", n->name);
		if (n->fits) {
			kg_buf_addf(b, " %lld =", (long long)n->total);
			for (int k = 0; k < KG_SCORE_COUNT; k++)
				kg_buf_addf(b, " %lld", (long long)n->scores[k]);
		}
		for (size_t k = 0; k < n->nreasons; k++)
			kg_buf_addf(b, "%s%s", k ? ", " : ": ", n->reasons[k]);
		for (size_t k = 0; k < n->nvictims; k++)
			kg_buf_addf(b, "%s%s", k ? ", " : " instead of ", n->victims[k]);
		kg_buf_adds(b, "\n");
	}
	kg_buf_addf(b, "%s\n", ex->message ? ex->message : "");
}

static bool among(const char *list, const char *name)
{
	size_t len = strlen(name);
	for (const char *p = list; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL)
		if (strncmp(p, name, len) == 0 && (p[len] == '|' || !p[len]))
			return true;
	return false;
}

static void play(const struct scene *sc)
{
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_explain ex;
	struct kg_error err;
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	struct kg_snapshot *s = snapshot_of(&a, sc->cluster);
	struct kg_object *pod = pod_of(&a, sc->pod);
	assert_int_equal(kg_scheduler_explain(&ex, &a, s, NULL, pod, NULL, &err), 0);
	write(&b, &ex);
	const char *chosen = ex.chosen ? ex.chosen : ex.preempt && !sc->want ? ex.preempt : "-";
	if (!among(sc->chosen, chosen))
		fail_msg("%s: chose %s, not %s:\n%s", sc->what, chosen, sc->chosen, b.data);
	if (sc->want && !strstr(b.data, sc->want))
		fail_msg("%s: no \"%s\" in:\n%s", sc->what, sc->want, b.data);
	kg_object_unref(pod);
	kg_snapshot_unref(s);
	kg_arena_release(&a);
}

#define PLAY(scenes)                                                                               \
	for (size_t i = 0; i < KG_ARRAY_LEN(scenes); i++)                                          \
	play(&(scenes)[i])

/* NodeResourcesFit: requests against what is allocatable and not yet asked for; the number of
 * pods; every insufficient resource is a reason of its own. */
static void test_resources(void **state)
{
	(void)state;
	static const struct scene scenes[] = {
		{"cpu is short on two",
			ABC POD("p", "", "nodeName: a, " CPU("3"))
				POD("q", "", "nodeName: b, " CPU("3")),
			POD("x", "", CPU("2")), "c", "a: Insufficient cpu\nb: Insufficient cpu\n"},
		{"several reasons of one node", A,
			POD("x", "",
				"containers: [{name: c, resources: {requests: {cpu: '5', memory: "
				"9Gi}}}]"),
			"-", "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory."},
		{"a resource that no node has", A,
			POD("x", "",
				"containers: [{name: c, resources: {requests: {example.com/gpu: "
				"'1'}}}]"),
			"-", "a: Insufficient example.com/gpu\n"},
		{"init containers count by their maximum", A,
			POD("x", "",
				"initContainers: [{name: i, resources: {requests: {cpu: '5'}}}], "
				"containers: [{name: c}]"),
			"-", "a: Insufficient cpu\n"},
		{"sidecars count beside the containers", A,
			POD("x", "",
				"initContainers: [{name: i, restartPolicy: Always, resources: "
				"{requests: "
				"{cpu: '2'}}}], containers: [{name: c, resources: {requests: {cpu: "
				"'3'}}}]"),
			"-", "a: Insufficient cpu\n"},
		{"overhead is added", A, POD("x", "", "overhead: {cpu: '2'}, " CPU("3")), "-",
			"a: Insufficient cpu\n"},
		{"finished pods hold nothing",
			A
			"---\napiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: default}\n"
			"spec: {nodeName: a, " CPU("4") "}\nstatus: {phase: Succeeded}\n",
			POD("x", "", CPU("4")), "a", NULL},
		{"no nodes at all", "", POD("x", "", CPU("1")), "-",
			"no nodes available to schedule pods"},
	};
	PLAY(scenes);
}

/* NodeAffinity: nodeSelector and required terms; terms are ORed, expressions ANDed; Gt and Lt
 * compare integers; an empty term matches nothing; matchFields knows metadata.name. */
static void test_node_affinity(void **state)
{
	(void)state;
	static const struct scene scenes[] = {
		{"nodeSelector", ABC, POD("x", "", "nodeSelector: {disk: ssd}"), "a",
			"c: node(s) didn't match Pod's node affinity/selector\n"},
		{"In", ABC, POD("x", "", NODES_IN("{key: disk, operator: In, values: [hdd, x]}")),
			"b", NULL},
		{"NotIn takes nodes without the label", ABC,
			POD("x", "", NODES_IN("{key: disk, operator: NotIn, values: [hdd, ssd]}")),
			"c", NULL},
		{"Exists", ABC, POD("x", "", NODES_IN("{key: disk, operator: Exists}")), "a|b",
			NULL},
		{"DoesNotExist", ABC, POD("x", "", NODES_IN("{key: disk, operator: DoesNotExist}")),
			"c", NULL},
		{"Gt", ABC, POD("x", "", NODES_IN("{key: num, operator: Gt, values: ['5']}")), "b",
			NULL},
		{"Lt", ABC, POD("x", "", NODES_IN("{key: num, operator: Lt, values: ['6']}")), "a",
			NULL},
		{"Gt of what is no number", ABC,
			POD("x", "", NODES_IN("{key: disk, operator: Gt, values: ['5']}")), "-",
			NULL},
		{"expressions are ANDed", ABC,
			POD("x", "",
				NODES_IN("{key: disk, operator: Exists}, {key: num, operator: Gt, "
					 "values: ['6']}")),
			"b", NULL},
		{"terms are ORed", ABC,
			POD("x", "",
				NEED("nodeAffinity: {" HARD
				     "{nodeSelectorTerms: [{}, {matchExpressions: [{key: num, "
				     "operator: Gt, "
				     "values: ['6']}]}]}}")),
			"b", NULL},
		{"matchFields", ABC,
			POD("x", "",
				NEED("nodeAffinity: {" HARD "{nodeSelectorTerms: [{matchFields: "
				     "[{key: metadata.name, operator: In, "
				     "values: [c]}]}]}}")),
			"c", "a: node(s) didn't satisfy plugin(s) [NodeAffinity]\n"},
		{"preferred: weights add up and are normalised to 100", ABC,
			POD("x", "",
				NEED("nodeAffinity: {" SOFT
				     "[{weight: 10, preference: {matchExpressions: "
				     "[{key: disk, operator: Exists}]}}, {weight: 30, preference: "
				     "{matchExpressions: [{key: disk, operator: In, values: "
				     "[hdd]}]}}]}")),
			"b", "a 450 = 100 25 100 0 0 0 0\n"},
	};
	PLAY(scenes);
}

/* TaintToleration and NodeUnschedulable. */
static void test_taints(void **state)
{
	(void)state;
#define TAINTED(name, taint) NODE(name, "", ", taints: [" taint "]")
	static const struct scene scenes[] = {
		{"untolerated", TAINTED("a", "{key: k, value: v, effect: NoSchedule}"),
			POD("x", "", ""), "-",
			"0/1 nodes are available: 1 node(s) had untolerated taint {k: v}."},
		{"tolerated by value", TAINTED("a", "{key: k, value: v, effect: NoExecute}"),
			POD("x", "", "tolerations: [{key: k, value: v}]"), "a", NULL},
		{"another value", TAINTED("a", "{key: k, value: v, effect: NoSchedule}"),
			POD("x", "", "tolerations: [{key: k, value: w}]"), "-", NULL},
		{"another effect", TAINTED("a", "{key: k, value: v, effect: NoExecute}"),
			POD("x", "",
				"tolerations: [{key: k, operator: Exists, effect: NoSchedule}]"),
			"-", NULL},
		{"everything", TAINTED("a", "{key: k, value: v, effect: NoExecute}"),
			POD("x", "", "tolerations: [{operator: Exists}]"), "a", NULL},
		{"above a number", TAINTED("a", "{key: k, value: '7', effect: NoSchedule}"),
			POD("x", "", "tolerations: [{key: k, operator: Gt, value: '5'}]"), "a",
			NULL},
		{"not below it", TAINTED("a", "{key: k, value: '7', effect: NoSchedule}"),
			POD("x", "", "tolerations: [{key: k, operator: Lt, value: '5'}]"), "-",
			NULL},
		{"PreferNoSchedule costs its weight",
			TAINTED("a", "{key: k, effect: PreferNoSchedule}") C, POD("x", "", ""), "c",
			"a 100 = 0 0 100 0 0 0 0\n"},
		{"cordoned", NODE("a", "", ", unschedulable: true"), POD("x", "", ""), "-",
			"a: node(s) were unschedulable\n"},
		{"cordoned, and tolerated", NODE("a", "", ", unschedulable: true"),
			POD("x", "",
				"tolerations: [{key: node.kubernetes.io/unschedulable, "
				"operator: Exists}]"),
			"a", NULL},
	};
	PLAY(scenes);
}

/* NodePorts: port, protocol and address; an empty address is every address. */
static void test_ports(void **state)
{
	(void)state;
#define PORT(x) "containers: [{name: c, ports: [{containerPort: 80, " x "}]}]"
	static const struct scene scenes[] = {
		{"taken", A POD("p", "", "nodeName: a, " PORT("hostPort: 80")),
			POD("x", "", PORT("hostPort: 80")), "-",
			"a: node(s) didn't have free ports for the requested pod ports\n"},
		{"another protocol", A POD("p", "", "nodeName: a, " PORT("hostPort: 80")),
			POD("x", "", PORT("hostPort: 80, protocol: UDP")), "a", NULL},
		{"another address",
			A POD("p", "", "nodeName: a, " PORT("hostPort: 80, hostIP: 10.0.0.1")),
			POD("x", "", PORT("hostPort: 80, hostIP: 10.0.0.2")), "a", NULL},
		{"one of them is every address",
			A POD("p", "", "nodeName: a, " PORT("hostPort: 80, hostIP: 10.0.0.1")),
			POD("x", "", PORT("hostPort: 80, hostIP: 0.0.0.0")), "-", NULL},
	};
	PLAY(scenes);
}

/* InterPodAffinity: required, the exception for the first of a group, namespaces, keys, symmetry;
 * scores. */
static void test_pod_affinity(void **state)
{
	(void)state;
#define NEAR(t) NEED("podAffinity: {" HARD "[{" t "}]}")
#define AWAY(t) NEED("podAntiAffinity: {" HARD "[{" t "}]}")
#define OTHER(name, labels, spec)                                                                  \
	"---\napiVersion: v1\nkind: Pod\nmetadata: {name: " name                                   \
	", namespace: other, labels: {" labels "}}\nspec: {" spec "}\n"
	static const struct scene scenes[] = {
		{"near, by zone", ABC ON("a", "p", "app: db"),
			POD("x", "", NEAR(APP("db") ", " ZONE)), "b",
			"c: node(s) didn't match pod affinity rules\n"},
		{"near, by host", ABC ON("a", "p", "app: db"),
			POD("x", "", NEAR(APP("db") ", " HOST)), "a", NULL},
		{"nobody is there", ABC, POD("x", "", NEAR(APP("db") ", " ZONE)), "-",
			"0/3 nodes are available: 3 node(s) didn't match pod affinity rules."},
		{"nobody is there, and it seeks itself", ABC,
			POD("x", "app: db", NEAR(APP("db") ", " ZONE)), "a|b|c", NULL},
		{"not without the label", NODE("a", "", ""),
			POD("x", "app: db", NEAR(APP("db") ", " ZONE)), "-", NULL},
		{"both terms of one pod",
			ABC ON("a", "p", "app: db") ON("c", "q", "app: db, t: '1'"),
			POD("x", "",
				NEED("podAffinity: {" HARD "[{" APP(
					"db") ", " ZONE
					      "}, {labelSelector: {matchLabels: {t: '1'}}, " ZONE
					      "}]}")),
			"c", NULL},
		{"away, by zone", ABC ON("a", "p", "app: db"),
			POD("x", "", AWAY(APP("db") ", " ZONE)), "c",
			"b: node(s) didn't match pod anti-affinity rules\n"},
		{"the others keep away",
			ABC POD("p", "app: db", "nodeName: a, " AWAY(APP("x") ", " ZONE)),
			POD("x", "app: x", ""), "c",
			"b: node(s) didn't satisfy existing pods anti-affinity rules\n"},
		{"not of another namespace", ABC OTHER("p", "app: db", "nodeName: a"),
			POD("x", "", AWAY(APP("db") ", " ZONE)), "a|b|c", NULL},
		{"but where it is named", ABC OTHER("p", "app: db", "nodeName: a"),
			POD("x", "", AWAY(APP("db") ", namespaces: [other], " ZONE)), "c", NULL},
		{"or selected", ABC NS("other", "team: t") OTHER("p", "app: db", "nodeName: a"),
			POD("x", "",
				AWAY(APP("db") ", namespaceSelector: {matchLabels: {team: "
					       "t}}, " ZONE)),
			"c", NULL},
		{"or all are", ABC NS("other", "") OTHER("p", "app: db", "nodeName: a"),
			POD("x", "", AWAY(APP("db") ", namespaceSelector: {}, " ZONE)), "c", NULL},
		{"matchLabelKeys: of its own version alone", ABC ON("a", "p", "app: db, v: '1'"),
			POD("x", "app: db, v: '2'", AWAY(APP("db") ", matchLabelKeys: [v], " ZONE)),
			"a|b|c", NULL},
		{"mismatchLabelKeys: of other versions alone",
			ABC ON("a", "p", "app: db, v: '1'") ON("c", "q", "app: db, v: '2'"),
			POD("x", "app: db, v: '2'",
				AWAY(APP("db") ", mismatchLabelKeys: [v], " ZONE)),
			"c", NULL},
		{"preferred, near", ABC ON("c", "p", "app: db"),
			POD("x", "",
				NEED("podAffinity: {" SOFT
				     "[{weight: 7, podAffinityTerm: {" APP("db") ", " ZONE "}}]}")),
			"c", "a 400 = 100 0 100 0 0 0 0\n"},
		{"preferred, away", ABC ON("a", "p", "app: db"),
			POD("x", "",
				NEED("podAntiAffinity: {" SOFT
				     "[{weight: 7, podAffinityTerm: {" APP("db") ", " ZONE "}}]}")),
			"c", NULL},
		{"others prefer it",
			ABC POD("p", "",
				"nodeName: c, " NEED(
					"podAffinity: {" SOFT "[{weight: 7, podAffinityTerm: {" APP(
						"x") ", " ZONE "}}]}")),
			POD("x", "app: x", ""), "c", NULL},
		{"required affinity of others draws",
			ABC POD("p", "", "nodeName: c, " NEAR(APP("x") ", " ZONE)),
			POD("x", "app: x", ""), "c", NULL},
	};
	PLAY(scenes);
}

/* PodTopologySpread: skew = pods of the domain + itself - the least of the eligible domains. */
static void test_spread(void **state)
{
	(void)state;
#define SPREAD(x) "topologySpreadConstraints: [{maxSkew: 1, " x "}]"
#define DO_NOT    "whenUnsatisfiable: DoNotSchedule, "
#define ANYWAY    "whenUnsatisfiable: ScheduleAnyway, "
	static const struct scene scenes[] = {
		{"the emptier zone", ABC ON("a", "p", "app: s"),
			POD("x", "app: s", SPREAD(DO_NOT ZONE ", " APP("s"))), "c",
			"b: node(s) didn't match pod topology spread constraints\n"},
		{"pods that leave do not count",
			ABC
			"---\napiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: default, "
			"labels: {app: s}, deletionTimestamp: '2026-01-01T00:00:00Z'}\n"
			"spec: {nodeName: a}\n",
			POD("x", "app: s", SPREAD(DO_NOT HOST ", " APP("s"))), "a|b|c", "a "},
		{"a node without the label", ABC NODE("d", "", ""),
			POD("x", "app: s", SPREAD(DO_NOT ZONE ", " APP("s"))), "a|b|c",
			"d: node(s) didn't match pod topology spread constraints (missing required "
			"label)\n"},
		{"it need not count itself", ABC ON("a", "p", "app: s"),
			POD("x", "", SPREAD(DO_NOT ZONE ", " APP("s"))), "a|b|c", "a "},
		{"fewer domains than minDomains: the least is none", A B ON("a", "p", "app: s"),
			POD("x", "app: s", SPREAD(DO_NOT "minDomains: 2, " ZONE ", " APP("s"))),
			"-", NULL},
		{"only domains that the pod may use (nodeAffinityPolicy Honor)",
			ABC ON("a", "p", "app: s"),
			POD("x", "app: s",
				"nodeSelector: {disk: ssd}, " SPREAD(DO_NOT ZONE ", " APP("s"))),
			"a", NULL},
		{"or all of them (Ignore)", ABC ON("a", "p", "app: s"),
			POD("x", "app: s",
				"nodeSelector: {disk: ssd}, " SPREAD(
					DO_NOT "nodeAffinityPolicy: Ignore, " ZONE ", " APP("s"))),
			"-", NULL},
		{"tainted nodes count (nodeTaintsPolicy Ignore)",
			A NODE("t", ", topology.kubernetes.io/zone: z2",
				", taints: [{key: k, effect: NoSchedule}]") ON("a", "p", "app: s"),
			POD("x", "app: s", SPREAD(DO_NOT ZONE ", " APP("s"))), "-", NULL},
		{"or do not (Honor)",
			A NODE("t", ", topology.kubernetes.io/zone: z2",
				", taints: [{key: k, effect: NoSchedule}]") ON("a", "p", "app: s"),
			POD("x", "app: s",
				SPREAD(DO_NOT "nodeTaintsPolicy: Honor, " ZONE ", " APP("s"))),
			"a", NULL},
		{"matchLabelKeys", ABC ON("a", "p", "app: s, v: '1'"),
			POD("x", "app: s, v: '2'",
				SPREAD(DO_NOT "matchLabelKeys: [v], " ZONE ", " APP("s"))),
			"a|b|c", "a "},
		{"soft: 100 (max + min - it) / max",
			ABC ON("a", "p", "app: s") ON("a", "q", "app: s") ON("b", "r", "app: s"),
			POD("x", "app: s", SPREAD(ANYWAY HOST ", " APP("s"))), "c",
			"b 466 = 100 0 100 33 0 0 0\n"},
		{"the defaults: by the Service's selector",
			ABC ON("a", "p", "app: s") "---\napiVersion: v1\nkind: Service\nmetadata: "
						   "{name: s, namespace: default}\n"
						   "spec: {selector: {app: s}}\n",
			POD("x", "app: s", ""), "c", NULL},
	};
	PLAY(scenes);
}

/* Scores of resources, and profiles. */
static void test_scores(void **state)
{
	(void)state;
	static const struct scene scenes[] = {
		/* LeastAllocated: ((4 - 1) / 4 + (8 - 1) / 8) / 2; balanced: 1 - |1/4 - 1/8| / 2 */
		{"least allocated and balanced", A, POD("x", "", CPU("1")), "a",
			"a 474 = 100 0 81 0 0 93 0\n"},
		{"most allocated", ABC POD("p", "", "nodeName: b, " CPU("1")),
			POD("x", "", "schedulerName: most-allocated-scheduler, " CPU("1")), "b",
			"a 411 = 100 0 18 0 0 93 0\n"},
		{"another scheduler's", A, POD("x", "", "schedulerName: mine, " CPU("1")), "-",
			NULL},
		{"gated", A, POD("x", "", "schedulingGates: [{name: g}]"), "-",
			"Scheduling is blocked due to non-empty scheduling gates"},
		/* ImageLocality: (500 MB x 1/2 - 23 MB) / (1000 MB - 23 MB) */
		{"the image is there",
			C "---\napiVersion: v1\nkind: Node\nmetadata: {name: a}\nspec: {podCIDR: "
			  "10.1.0.0/24}\nstatus: {allocatable: {cpu: '4', memory: 8Gi}, images: "
			  "[{names: "
			  "['i:latest'], sizeBytes: 524288000}]}\n",
			POD("x", "", CPU("1")), "a", "a 497 = 100 0 81 0 0 93 23\n"},
	};
	PLAY(scenes);
}

/* VolumeBinding: a bound volume's node affinity; claims that are not there or are yet to be bound.
 */
static void test_volumes(void **state)
{
	(void)state;
#define CLAIM(spec)                                                                                \
	"---\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: c, namespace: "        \
	"default}\nspec: {" spec "}\n"
#define VOLUME                                                                                     \
	"---\napiVersion: v1\nkind: PersistentVolume\nmetadata: {name: v}\nspec: {nodeAffinity: "  \
	"{required: {nodeSelectorTerms: [{matchExpressions: [{key: " HOSTNAME                      \
	", operator: In, values: [b]}]}]}}}\n"
#define HOSTNAME "kubernetes.io/hostname"
#define CLASS(mode)                                                                                \
	"---\napiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: k}\n"            \
	"volumeBindingMode: " mode                                                                 \
	"\nallowedTopologies: [{matchLabelExpressions: [{key: topology.kubernetes.io/zone, "       \
	"values: [z2]}]}]\n"
#define ONCE "accessModes: [ReadWriteOncePod]"
#define USES "volumes: [{name: d, persistentVolumeClaim: {claimName: c}}]"
	static const struct scene scenes[] = {
		{"no such claim", ABC, POD("x", "", USES), "-",
			"0/3 nodes are available: persistentvolumeclaim \"c\" not found. "
			"preemption: "
			"0/3 nodes are available: 3 Preemption is not helpful for scheduling."},
		{"bound to a volume of one node", ABC VOLUME CLAIM("volumeName: v"),
			POD("x", "", USES), "b",
			"a: node(s) didn't match PersistentVolume's node affinity\n"},
		{"to a volume that is gone", ABC CLAIM("volumeName: v"), POD("x", "", USES), "-",
			"persistentvolume \"v\" not found"},
		{"not bound yet", ABC CLASS("Immediate") CLAIM("storageClassName: k"),
			POD("x", "", USES), "-",
			"0/3 nodes are available: pod has unbound immediate "
			"PersistentVolumeClaims."},
		{"bound once it has a node, where the class allows",
			ABC CLASS("WaitForFirstConsumer") CLAIM("storageClassName: k"),
			POD("x", "", USES), "c", NULL},
		{"for one pod, and free", ABC VOLUME CLAIM("volumeName: v, " ONCE),
			POD("x", "", USES), "b", NULL},
		{"for one pod, which is another",
			ABC VOLUME CLAIM("volumeName: v, " ONCE) POD("p", "", "nodeName: b, " USES),
			POD("x", "", USES), "-",
			"0/3 nodes are available: 3 node has pod using PersistentVolumeClaim with "
			"the same name and ReadWriteOncePod access mode. preemption: 0/3 nodes are "
			"available: 3 No preemption victims found for incoming pod."},
		{"for one pod, which is less important",
			ABC VOLUME CLAIM("volumeName: v, " ONCE)
				POD("p", "", "nodeName: b, priority: 1, " USES)
					POD("q", "", "nodeName: a, priority: 1"),
			POD("x", "", "priority: 2, " USES), "b", NULL},
	};
	PLAY(scenes);
}

#define PRIO(n) "priority: " n ", "
#define GUEST(node, name, prio, cpu)                                                               \
	POD(name, "app: " name, "nodeName: " node ", " PRIO(prio) CPU(cpu))

/* DefaultPreemption: victims are fewest and least important; nodes by violated budgets, highest
 * priority, sum of priorities, number, and the start of the most important. */
static void test_preemption(void **state)
{
	(void)state;
	static const struct scene scenes[] = {
		{"nobody is less important", A GUEST("a", "p", "5", "3"),
			POD("x", "", PRIO("5") CPU("2")), "-",
			"0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are "
			"available: 1 No preemption victims found for incoming pod."},
		{"not where it never fits", A GUEST("a", "p", "1", "3"),
			POD("x", "", PRIO("5") CPU("5")), "-",
			"preemption: 0/1 nodes are available: 1 Preemption is not helpful for "
			"scheduling."},
		{"Never", A GUEST("a", "p", "1", "3"),
			POD("x", "", "preemptionPolicy: Never, " PRIO("5") CPU("2")), "-",
			"0/1 nodes are available: 1 Insufficient cpu. preemption: not eligible due "
			"to "
			"preemptionPolicy=Never."},
		{"a victim", A GUEST("a", "p", "1", "3"), POD("x", "", PRIO("5") CPU("2")), "-",
			"a: Insufficient cpu instead of default/p\n"},
		{"no more victims than needed, the least important",
			A GUEST("a", "p", "1", "1") GUEST("a", "q", "2", "1")
				GUEST("a", "r", "3", "2"),
			POD("x", "", PRIO("5") CPU("1")), "-",
			"a: Insufficient cpu instead of default/p\n"},
		{"several",
			A GUEST("a", "p", "1", "1") GUEST("a", "q", "2", "1")
				GUEST("a", "r", "3", "2"),
			POD("x", "", PRIO("5") CPU("2")), "-",
			"a: Insufficient cpu instead of default/q, default/p\n"},
		{"the node whose highest is lowest",
			A B GUEST("a", "p", "3", "4") GUEST("b", "q", "2", "4"),
			POD("x", "", PRIO("5") CPU("4")), "b", NULL},
		{"then the smaller sum",
			A B GUEST("a", "p", "2", "2") GUEST("a", "q", "2", "2")
				GUEST("b", "r", "2", "2") GUEST("b", "s", "1", "2"),
			POD("x", "", PRIO("5") CPU("4")), "b", NULL},
		{"then fewer",
			A B GUEST("a", "p", "2", "2") GUEST("a", "q", "2", "2")
				GUEST("b", "r", "2", "4"),
			POD("x", "", PRIO("5") CPU("4")), "b", NULL},
		{"budgets first of all",
			A B GUEST("a", "p", "1", "4") GUEST(
				"b", "q", "3", "4") "---\napiVersion: policy/v1\nkind: "
						    "PodDisruptionBudget\nmetadata: {name: p, "
						    "namespace: default}\nspec: {selector: "
						    "{matchLabels: {app: p}}}\n"
						    "status: {disruptionsAllowed: 0}\n",
			POD("x", "", PRIO("5") CPU("4")), "b", NULL},
		{"anti-affinity that leaves with its pods",
			A POD("p", "app: x", "nodeName: a, " PRIO("1") CPU("1")),
			POD("x", "", PRIO("5") AWAY(APP("x") ", " HOST) ", " CPU("1")), "-",
			"a: node(s) didn't match pod anti-affinity rules instead of default/p\n"},
		{"spreading",
			A C POD("p", "app: s", "nodeName: a, " PRIO("1") CPU("1"))
				POD("q", "", "nodeName: c, " PRIO("9") CPU("4")),
			POD("x", "app: s",
				PRIO("5") SPREAD(DO_NOT ZONE ", " APP("s")) ", " CPU("1")),
			"-",
			"a: node(s) didn't match pod topology spread constraints instead of "
			"default/p\n"},
	};
	for (size_t i = 0; i < KG_ARRAY_LEN(scenes); i++)
		if (!strstr(scenes[i].cluster, "PodDisruptionBudget") ||
			kg_kind_by_api("policy/v1", "PodDisruptionBudget"))
			play(&scenes[i]);
}

/* A placed pod: what it takes itself does not count, nor what came after it in its revision. */
static void test_placed(void **state)
{
	(void)state;
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_explain ex;
	struct kg_error err;
	struct kg_snapshot *before = snapshot_of(&a, A B);
	struct kg_snapshot *s = snapshot_of(&a,
		A B POD("p", "", "nodeName: b, " CPU("3")) POD("q", "", "nodeName: a, " CPU("3")));
	const struct kg_object *p = kg_snapshot_get(s, KG_KIND_POD, "default", "p");
	const struct kg_object *q = kg_snapshot_get(s, KG_KIND_POD, "default", "q");
	assert_int_equal(kg_scheduler_explain(&ex, &a, s, before, p, NULL, &err), 0);
	assert_int_equal(ex.nfit, 2);
	assert_int_equal(kg_scheduler_explain(&ex, &a, s, before, q, NULL, &err), 0);
	assert_int_equal(ex.nfit, 1);
	assert_string_equal(ex.chosen, "a");
	assert_int_equal(kg_scheduler_explain(&ex, &a, s, before,
				 kg_snapshot_get(s, KG_KIND_NODE, "", "a"), NULL, &err),
		-KG_E_INVALID);
	kg_snapshot_unref(s);
	kg_snapshot_unref(before);
	kg_arena_release(&a);
}

int main(void)
{
	kg_kinds_init();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_resources),
		cmocka_unit_test(test_node_affinity),
		cmocka_unit_test(test_taints),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_pod_affinity),
		cmocka_unit_test(test_spread),
		cmocka_unit_test(test_scores),
		cmocka_unit_test(test_volumes),
		cmocka_unit_test(test_preemption),
		cmocka_unit_test(test_placed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
