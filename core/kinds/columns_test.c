#include "kinds/object.h"
#include "kinds/test_util.h"

/* Cells of every column, joined with '|', at 2026-01-01T01:00:00Z. */
#define CREATED "\"metadata\":{\"creationTimestamp\":\"2026-01-01T00:00:00Z\"}"
#define DELETED                                                                                    \
	"\"metadata\":{\"creationTimestamp\":\"2026-01-01T00:00:00Z\",\"deletionTimestamp\":"      \
	"\"2026-01-01T00:59:00Z\"}"
#define OBJ(meta, spec, status) "{" meta ",\"spec\":{" spec "},\"status\":{" status "}}"
#define ONE                     "\"containers\":[{\"name\":\"a\"}]"
#define TWO                     "\"containers\":[{\"name\":\"a\"},{\"name\":\"b\"}]"
#define INIT                    "\"initContainers\":[{\"name\":\"i\"},{\"name\":\"j\"}]," ONE
#define SIDECAR                                                                                    \
	"\"initContainers\":[{\"name\":\"s\",\"restartPolicy\":\"Always\"},{\"name\":\"i\"}]," ONE
#define SIDECAR_READY                                                                              \
	"{\"name\":\"s\",\"started\":true,\"ready\":true,\"restartCount\":5,\"state\":{"           \
	"\"running\":{}}}"
#define RUNNING          "\"phase\":\"Running\""
#define PENDING          "\"phase\":\"Pending\""
#define STATUSES(x)      "\"containerStatuses\":[" x "]"
#define INIT_STATUSES(x) "\"initContainerStatuses\":[" x "]"
#define READY            "{\"ready\":true,\"state\":{\"running\":{}}}"
#define TAIL             "|60m|<none>|<none>|<none>|<none>"

static const struct {
	enum kg_kind_id kind;
	const char *json, *cells;
} cases[] = {
	{KG_KIND_POD, OBJ(CREATED, ONE, PENDING), "x|0/1|Pending|0" TAIL},
	{KG_KIND_POD, OBJ(CREATED, TWO, RUNNING "," STATUSES(READY "," READY)),
		"x|2/2|Running|0" TAIL},
	{KG_KIND_POD,
		OBJ(CREATED, ONE,
			PENDING "," STATUSES("{\"state\":{\"waiting\":{\"reason\":"
					     "\"ContainerCreating\"}}}")),
		"x|0/1|ContainerCreating|0" TAIL},
	{KG_KIND_POD,
		OBJ(CREATED, ONE,
			RUNNING
			"," STATUSES("{\"restartCount\":3,\"state\":{\"waiting\":{\"reason\":"
				     "\"CrashLoopBackOff\"}},\"lastState\":{\"terminated\":{"
				     "\"finishedAt\":\"2026-01-01T00:59:30Z\",\"exitCode\":1}}}")),
		"x|0/1|CrashLoopBackOff|3 (30s ago)" TAIL},
	{KG_KIND_POD,
		OBJ(CREATED, ONE,
			"\"phase\":\"Succeeded\"," STATUSES("{\"state\":{\"terminated\":{"
							    "\"exitCode\":0,\"reason\":"
							    "\"Completed\"}}}")),
		"x|0/1|Completed|0" TAIL},
	{KG_KIND_POD,
		OBJ(CREATED, ONE,
			"\"phase\":\"Failed\"," STATUSES(
				"{\"state\":{\"terminated\":{\"exitCode\":3}}}")),
		"x|0/1|ExitCode:3|0" TAIL},
	{KG_KIND_POD,
		OBJ(CREATED, ONE,
			"\"phase\":\"Failed\"," STATUSES(
				"{\"state\":{\"terminated\":{\"exitCode\":137,\"signal\":9}}}")),
		"x|0/1|Signal:9|0" TAIL},
	{KG_KIND_POD,
		OBJ(CREATED, TWO,
			RUNNING
			",\"conditions\":[{\"type\":\"Ready\",\"status\":\"False\"}]," STATUSES(
				"{\"state\":{\"terminated\":{\"exitCode\":0,\"reason\":"
				"\"Completed\"}}}," READY)),
		"x|1/2|NotReady|0" TAIL},
	{KG_KIND_POD,
		OBJ(CREATED, TWO,
			RUNNING
			",\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]," STATUSES(
				"{\"state\":{\"terminated\":{\"exitCode\":0,\"reason\":"
				"\"Completed\"}}}," READY)),
		"x|1/2|Running|0" TAIL},
	{KG_KIND_POD,
		OBJ(CREATED, INIT,
			PENDING "," INIT_STATUSES(
				"{\"state\":{\"terminated\":{\"exitCode\":0}}},{\"state\":{"
				"\"running\":{}}}")),
		"x|0/1|Init:1/2|0" TAIL},
	{KG_KIND_POD,
		OBJ(CREATED, INIT,
			PENDING "," INIT_STATUSES(
				"{\"restartCount\":2,\"state\":{\"terminated\":{\"exitCode\":1,"
				"\"reason\":\"Error\"}}}")),
		"x|0/1|Init:Error|2" TAIL},
	{KG_KIND_POD,
		OBJ(CREATED, INIT,
			PENDING "," INIT_STATUSES("{\"state\":{\"terminated\":{\"exitCode\":7}}}")),
		"x|0/1|Init:ExitCode:7|0" TAIL},
	{KG_KIND_POD,
		OBJ(CREATED, INIT,
			PENDING "," INIT_STATUSES("{\"state\":{\"waiting\":{\"reason\":"
						  "\"ImagePullBackOff\"}}}")),
		"x|0/1|Init:ImagePullBackOff|0" TAIL},
	{KG_KIND_POD,
		OBJ(CREATED, INIT,
			PENDING "," INIT_STATUSES("{\"state\":{\"waiting\":{\"reason\":"
						  "\"PodInitializing\"}}}")),
		"x|0/1|Init:0/2|0" TAIL},
	/* a sidecar is one of the containers once it has started */
	{KG_KIND_POD,
		OBJ(CREATED, SIDECAR,
			PENDING "," INIT_STATUSES("{\"name\":\"s\",\"started\":false,\"state\":{"
						  "\"running\":{}}}")),
		"x|0/2|Init:0/2|0" TAIL},
	{KG_KIND_POD,
		OBJ(CREATED, SIDECAR,
			PENDING "," INIT_STATUSES(SIDECAR_READY ",{\"name\":\"i\",\"state\":{"
								"\"running\":{}}}")),
		"x|1/2|Init:1/2|5" TAIL},
	{KG_KIND_POD,
		OBJ(CREATED, SIDECAR,
			RUNNING "," INIT_STATUSES(SIDECAR_READY
				",{\"name\":\"i\",\"restartCount\":2,\"state\":{\"terminated\":{"
				"\"exitCode\":0}}}") "," STATUSES(READY)),
		"x|2/2|Running|5" TAIL},
	{KG_KIND_POD, OBJ(DELETED, ONE, RUNNING "," STATUSES(READY)), "x|1/1|Terminating|0" TAIL},
	{KG_KIND_POD, OBJ(DELETED, ONE, RUNNING ",\"reason\":\"NodeLost\""),
		"x|0/1|Unknown|0" TAIL},
	{KG_KIND_POD, OBJ(DELETED, ONE, "\"phase\":\"Succeeded\""), "x|0/1|Succeeded|0" TAIL},
	{KG_KIND_POD, OBJ(CREATED, ONE, "\"phase\":\"Failed\",\"reason\":\"Evicted\""),
		"x|0/1|Evicted|0" TAIL},
	{KG_KIND_POD,
		OBJ(CREATED, ONE ",\"nodeName\":\"n1\"",
			RUNNING ",\"podIPs\":[{\"ip\":\"10.1.2.3\"}]," STATUSES(READY)),
		"x|1/1|Running|0|60m|10.1.2.3|n1|<none>|<none>"},
	{KG_KIND_DEPLOYMENT,
		"{" CREATED ",\"spec\":{\"replicas\":3,\"selector\":{\"matchLabels\":{\"a\":\"b\"},"
		"\"matchExpressions\":[{\"key\":\"c\",\"operator\":\"In\",\"values\":[\"x\",\"y\"]"
		"},{\"key\":\"d\",\"operator\":\"DoesNotExist\"}]},\"template\":{\"spec\":{"
		"\"containers\":[{\"name\":\"a\",\"image\":\"i\"},{\"name\":\"b\",\"image\":\"j\"}]"
		"}}},\"status\":{\"readyReplicas\":2,\"updatedReplicas\":3,\"availableReplicas\":1}"
		"}",
		"x|2/3|3|1|60m|a,b|i,j|a=b,c in (x,y),!d"},
	{KG_KIND_REPLICASET, "{" CREATED ",\"spec\":{\"replicas\":3}}", "x|3|0|0|60m|||<none>"},
	{KG_KIND_SERVICE,
		"{" CREATED ",\"spec\":{\"type\":\"NodePort\",\"clusterIP\":\"10.96.0.9\","
		"\"ports\":[{\"port\":80,\"nodePort\":30080,\"protocol\":\"TCP\"},{\"port\":53,"
		"\"protocol\":\"UDP\"}],\"selector\":{\"a\":\"b\",\"c\":\"d\"}}}",
		"x|NodePort|10.96.0.9|<none>|80:30080/TCP,53/UDP|60m|a=b,c=d"},
	{KG_KIND_SERVICE,
		"{" CREATED ",\"spec\":{\"type\":\"ClusterIP\",\"clusterIPs\":[\"None\"]}}",
		"x|ClusterIP|None|<none>|<none>|60m|<none>"},
	{KG_KIND_ENDPOINTSLICE,
		"{" CREATED ",\"addressType\":\"IPv4\",\"ports\":[{\"port\":80}],\"endpoints\":[{"
		"\"addresses\":[\"1\"]},{\"addresses\":[\"2\"]},{\"addresses\":[\"3\"]},{"
		"\"addresses\":[\"4\"]},{\"addresses\":[\"5\"]}]}",
		"x|IPv4|80|1,2,3 + 2 more...|60m"},
	{KG_KIND_ENDPOINTSLICE, "{" CREATED ",\"addressType\":\"IPv4\"}",
		"x|IPv4|<unset>|<unset>|60m"},
	{KG_KIND_ENDPOINTS,
		"{" CREATED ",\"subsets\":[{\"addresses\":[{\"ip\":\"1.1.1.1\"},{\"ip\":"
		"\"1.1.1.2\"}],\"ports\":[{\"port\":80},{\"port\":81}]}]}",
		"x|1.1.1.1:80,1.1.1.2:80,1.1.1.1:81 + 1 more...|60m"},
	{KG_KIND_ENDPOINTS, "{" CREATED "}", "x|<none>|60m"},
	{KG_KIND_NODE,
		"{\"metadata\":{\"creationTimestamp\":\"2026-01-01T00:00:00Z\",\"labels\":{"
		"\"node-role.kubernetes.io/worker\":\"\"}},\"spec\":{\"unschedulable\":true},"
		"\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"Unknown\"}],"
		"\"addresses\":[{\"type\":\"InternalIP\",\"address\":\"10.0.0.1\"}],\"nodeInfo\":{"
		"\"kubeletVersion\":\"v1\",\"kernelVersion\":\"6\"}}}",
		"x|NotReady,SchedulingDisabled|worker|60m|v1|10.0.0.1|<none>|<unknown>|6|"
		"<unknown>"},
	{KG_KIND_NODE, "{" CREATED "}",
		"x|Unknown|<none>|60m||<none>|<none>|<unknown>|<unknown>|<unknown>"},
	{KG_KIND_NAMESPACE, "{" CREATED ",\"status\":{\"phase\":\"Active\"}}", "x|Active|60m"},
	{KG_KIND_CONFIGMAP,
		"{" CREATED ",\"data\":{\"a\":\"b\",\"c\":\"d\"},\"binaryData\":{\"e\":\"AA==\"}}",
		"x|3|60m"},
	{KG_KIND_CONFIGMAP, "{}", "x|0|<unknown>"},
	{KG_KIND_EVENT,
		"{\"lastTimestamp\":\"2026-01-01T00:59:58Z\",\"firstTimestamp\":"
		"\"2026-01-01T00:00:00Z\",\"count\":4,\"type\":\"Warning\",\"reason\":\"BackOff\","
		"\"message\":\" again \\n\",\"source\":{\"component\":\"node\",\"host\":\"n1\"},"
		"\"involvedObject\":{\"kind\":\"Pod\",\"name\":\"p\",\"fieldPath\":"
		"\"spec.containers{a}\"}}",
		"2s|Warning|BackOff|pod/p|spec.containers{a}|node, n1|again|60m|4|x"},
	{KG_KIND_STATEFULSET,
		"{" CREATED ",\"spec\":{\"replicas\":3},\"status\":{\"readyReplicas\":2}}",
		"x|2/3|60m||"},
	{KG_KIND_DAEMONSET,
		"{" CREATED ",\"spec\":{\"template\":{\"spec\":{\"nodeSelector\":{\"a\":\"b\"}}}},"
		"\"status\":{\"desiredNumberScheduled\":5,\"currentNumberScheduled\":4,"
		"\"numberReady\":3,\"updatedNumberScheduled\":2,\"numberAvailable\":1}}",
		"x|5|4|3|2|1|a=b|60m|||<none>"},
	{KG_KIND_CONTROLLERREVISION,
		"{\"metadata\":{\"creationTimestamp\":\"2026-01-01T00:00:00Z\",\"ownerReferences\":"
		"[{"
		"\"apiVersion\":\"apps/v1\",\"kind\":\"StatefulSet\",\"name\":\"web\","
		"\"controller\":true}]},\"revision\":4}",
		"x|statefulset.apps/web|4|60m"},
	{KG_KIND_JOB,
		"{" CREATED ",\"spec\":{\"completions\":3},\"status\":{\"succeeded\":3,"
		"\"startTime\":\"2026-01-01T00:00:00Z\",\"completionTime\":\"2026-01-01T00:01:"
		"05Z\","
		"\"conditions\":[{\"type\":\"Complete\",\"status\":\"True\"}]}}",
		"x|Complete|3/3|65s|60m|||<none>"},
	{KG_KIND_JOB,
		"{" CREATED ",\"spec\":{\"parallelism\":4},\"status\":{\"startTime\":"
		"\"2026-01-01T00:59:00Z\",\"conditions\":[{\"type\":\"Failed\",\"status\":"
		"\"False\"}]}}",
		"x|Running|0/1 of 4|60s|60m|||<none>"},
	{KG_KIND_JOB, "{" DELETED ",\"spec\":{\"parallelism\":1}}",
		"x|Terminating|0/1||60m|||<none>"},
	{KG_KIND_CRONJOB,
		"{" CREATED ",\"spec\":{\"schedule\":\"@daily\",\"suspend\":false,\"jobTemplate\":{"
		"\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"a\",\"image\":\"i\"}"
		"]"
		"}}}}},\"status\":{\"active\":[{\"name\":\"x-1\"}],\"lastScheduleTime\":"
		"\"2026-01-01T00:30:00Z\"}}",
		"x|@daily|<none>|False|1|30m|60m|a|i|<none>"},
	{KG_KIND_CRONJOB, "{" CREATED ",\"spec\":{\"schedule\":\"@daily\",\"timeZone\":\"UTC\"}}",
		"x|@daily|UTC|<unset>|0|<none>|60m|||<none>"},
	{KG_KIND_PODDISRUPTIONBUDGET,
		"{" CREATED ",\"spec\":{\"minAvailable\":2},\"status\":{\"disruptionsAllowed\":1}}",
		"x|2|N/A|1|60m"},
	{KG_KIND_PODDISRUPTIONBUDGET, "{" CREATED ",\"spec\":{\"maxUnavailable\":\"25%\"}}",
		"x|N/A|25%|0|60m"},
	{KG_KIND_REPLICATIONCONTROLLER,
		"{" CREATED ",\"spec\":{\"replicas\":2,\"selector\":{\"a\":\"b\"}}}",
		"x|2|0|0|60m|||a=b"},
	{KG_KIND_PODTEMPLATE,
		"{" CREATED ",\"template\":{\"metadata\":{\"labels\":{\"a\":\"b\"}},\"spec\":{"
		"\"containers\":[{\"name\":\"a\",\"image\":\"i\"}]}}}",
		"x|a|i|a=b"},
	{KG_KIND_SECRET, "{" CREATED ",\"type\":\"Opaque\",\"data\":{\"a\":\"AA==\"}}",
		"x|Opaque|1|60m"},
	{KG_KIND_SERVICEACCOUNT, "{" CREATED "}", "x|0|60m"},
	{KG_KIND_ROLE, "{" CREATED "}", "x|2026-01-01T00:00:00Z"},
	{KG_KIND_ROLEBINDING,
		"{" CREATED
		",\"roleRef\":{\"kind\":\"Role\",\"name\":\"r\"},\"subjects\":[{\"kind\":"
		"\"User\",\"name\":\"a\"},{\"kind\":\"User\",\"name\":\"b\"},{\"kind\":\"Group\","
		"\"name\":\"g\"},{\"kind\":\"ServiceAccount\",\"name\":\"s\",\"namespace\":\"n\"}]"
		"}",
		"x|Role/r|60m|a, b|g|n/s"},
	{KG_KIND_PERSISTENTVOLUME,
		"{" CREATED ",\"spec\":{\"capacity\":{\"storage\":\"1Gi\"},\"accessModes\":["
		"\"ReadWriteMany\",\"ReadWriteOnce\"],\"persistentVolumeReclaimPolicy\":\"Retain\","
		"\"claimRef\":{\"namespace\":\"n\",\"name\":\"c\"},\"storageClassName\":\"s\","
		"\"volumeMode\":\"Filesystem\"},\"status\":{\"phase\":\"Bound\"}}",
		"x|1Gi|RWO,RWX|Retain|Bound|n/c|s|<unset>||60m|Filesystem"},
	{KG_KIND_PERSISTENTVOLUMECLAIM,
		"{" CREATED ",\"spec\":{\"accessModes\":[\"ReadWriteOnce\"]},\"status\":{\"phase\":"
		"\"Pending\"}}",
		"x|Pending|||||<unset>|60m|<unset>"},
	{KG_KIND_PERSISTENTVOLUMECLAIM,
		"{" CREATED ",\"spec\":{\"volumeName\":\"v\"},\"status\":{\"phase\":\"Bound\","
		"\"accessModes\":[\"ReadWriteOncePod\"],\"capacity\":{\"storage\":\"2Gi\"}}}",
		"x|Bound|v|2Gi|RWOP||<unset>|60m|<unset>"},
	{KG_KIND_STORAGECLASS,
		"{\"metadata\":{\"creationTimestamp\":\"2026-01-01T00:00:00Z\",\"annotations\":{"
		"\"storageclass.kubernetes.io/is-default-class\":\"true\"}},\"provisioner\":\"p\"}",
		"x (default)|p|Delete|Immediate|false|60m"},
	{KG_KIND_PRIORITYCLASS, "{" CREATED ",\"value\":7,\"globalDefault\":true}",
		"x|7|true|60m|PreemptLowerPriority"},
	{KG_KIND_RESOURCEQUOTA,
		"{" CREATED ",\"status\":{\"hard\":{\"limits.cpu\":\"4\",\"pods\":\"10\","
		"\"requests.cpu\":\"2\"},\"used\":{\"pods\":\"3\",\"requests.cpu\":\"1\"}}}",
		"x|pods: 3/10, requests.cpu: 1/2|limits.cpu: 0/4|60m"},
	{KG_KIND_RUNTIMECLASS, "{" CREATED ",\"handler\":\"runc\"}", "x|runc|60m"},
	{KG_KIND_NETWORKPOLICY,
		"{" CREATED ",\"spec\":{\"podSelector\":{\"matchLabels\":{\"a\":\"b\"}}}}",
		"x|a=b|60m"},
	{KG_KIND_INGRESS,
		"{" CREATED
		",\"spec\":{\"ingressClassName\":\"c\",\"tls\":[{}],\"rules\":[{\"host\":"
		"\"a\"},{\"host\":\"b\"},{\"host\":\"c\"},{\"host\":\"d\"}]}}",
		"x|c|a,b,c + 1 more...||80, 443|60m"},
	{KG_KIND_INGRESS, "{" CREATED "}", "x|<none>|*||80|60m"},
	{KG_KIND_INGRESSCLASS,
		"{" CREATED ",\"spec\":{\"controller\":\"e/c\",\"parameters\":{\"apiGroup\":\"g\","
		"\"kind\":\"K\",\"name\":\"n\"}}}",
		"x|e/c|K.g/n|60m"},
	{KG_KIND_LEASE, "{" CREATED ",\"spec\":{\"holderIdentity\":\"n1\"}}", "x|n1|60m"},
	{KG_KIND_NODE_METRICS,
		"{" CREATED
		",\"window\":\"10s\",\"usage\":{\"cpu\":\"12345678n\",\"memory\":\"2Mi\"}}",
		"x|13m|2048Ki|10s"},
	{KG_KIND_POD_METRICS,
		"{" CREATED
		",\"window\":\"10s\",\"containers\":[{\"name\":\"a\",\"usage\":{\"cpu\":"
		"\"5m\",\"memory\":\"1Ki\"}},{\"name\":\"b\",\"usage\":{\"cpu\":\"1\",\"memory\":"
		"\"1Ki\"}"
		"}]}",
		"x|1005m|2Ki|10s"},
};

static void row(struct kg_buf *out, struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	for (const struct kg_column *c = obj->kind->columns; c->name; c++) {
		struct kg_value v = c->cell(a, obj, now);
		if (c != obj->kind->columns)
			kg_buf_addc(out, '|');
		if (v.type == KG_INT)
			kg_buf_addf(out, "%lld", (long long)v.i);
		else if (v.type == KG_BOOL)
			kg_buf_adds(out, v.b ? "true" : "false");
		else
			kg_buf_adds(out, kg_string(&v, "?"));
	}
}

static struct kg_object *object_of(enum kg_kind_id kind, const struct kg_value *v)
{
	return kg_object_new(
		&(struct kg_object_spec){.kind = &kg_kinds[kind], .name = "x", .value = v});
}

static void test_cells(void **state)
{
	kg_time now;

	(void)state;
	assert_int_equal(kg_time_parse(&now, "2026-01-01T01:00:00Z"), 0);
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		KG_AUTOBUF struct kg_buf got = KG_BUF_INIT;
		struct kg_arena a = KG_ARENA_INIT;
		struct kg_error err;
		struct kg_value v;

		if (kg_json_parse(&v, &a, cases[i].json, strlen(cases[i].json), &err))
			fail_msg("case %zu: %s", i, err.msg);
		struct kg_object *obj = object_of(cases[i].kind, &v);
		row(&got, &a, obj, now);
		if (strcmp(kg_buf_str(&got), cases[i].cells) != 0)
			fail_msg("case %zu: got\n%s\nexpected\n%s", i, kg_buf_str(&got),
				cases[i].cells);
		kg_object_unref(obj);
		kg_arena_release(&a);
	}
}

/* Every column of every kind can be asked of an empty object. */
static void test_empty(void **state)
{
	(void)state;
	for (size_t i = 0; i < KG_KIND_COUNT; i++) {
		KG_AUTOBUF struct kg_buf got = KG_BUF_INIT;
		struct kg_arena a = KG_ARENA_INIT;
		struct kg_value v = kg_v_object(&a, NULL, 0);
		struct kg_object *obj = object_of((enum kg_kind_id)i, &v);

		row(&got, &a, obj, 0);
		kg_object_unref(obj);
		kg_arena_release(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cells),
		cmocka_unit_test(test_empty),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
