#include "kinds/rules.h"
#include "kinds/test_util.h"
#include "value/json.h"

/* ---- documents that the cases share ---- */

#define WORKLOAD(kind)                                                                             \
	"apiVersion: apps/v1\nkind: " kind "\nmetadata: {name: x}\nspec:\n"                        \
	"  selector: {matchLabels: {a: b}}\n"                                                      \
	"  template: {metadata: {labels: {a: b}}, spec: {containers: [{name: a, image: i}]}}\n"
#define JOB(spec)                                                                                  \
	"apiVersion: batch/v1\nkind: Job\nmetadata: {name: x}\nspec:\n"                            \
	"  template: {metadata: {labels: {a: b}}, spec: {restartPolicy: Never, containers: "       \
	"[{name: a, image: i}]}}\n" spec
#define SERVICE(spec) META("Service") "spec:\n" spec "  selector: {a: b}\n"
#define NOT_YET                                                                                    \
	"Forbidden: kgit does not support this field yet; ignoring it would not do what it asks "  \
	"for\n"
#define LABEL_RULE                                                                                 \
	"a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "   \
	"and must start and end with an alphanumeric character (e.g. 'my-name', or '123-abc')\n"

static const struct {
	const char *yaml, *faults;
} faults[] = {
	/* types */
	{DEPLOY("  replicas: three\n"),
		"m.yaml:7:13: spec.replicas: expected an integer, got the string \"three\"\n"},
	{DEPLOY("  replicas: 1.5\n"),
		"m.yaml:7:13: spec.replicas: expected an integer, got the number 1.5\n"},
	{DEPLOY("  replicas: -1\n"),
		"m.yaml:7:13: spec.replicas: Invalid value: -1: must be greater than or equal to "
		"0\n"},
	{DEPLOY("  replicas: 3000000000\n"),
		"m.yaml:7:13: spec.replicas: Invalid value: 3000000000: must be less than or equal "
		"to 2147483647\n"},
	{DEPLOY("  paused: 3\n"),
		"m.yaml:7:11: spec.paused: expected true or false, got the integer 3\n"},
	{META("ConfigMap") "data: {a: on, b: 1, c: x, d: null}\n",
		"m.yaml:4:11: data[a]: expected a string, got the boolean on; in quotes it is one: "
		"\"on\"\n"
		"m.yaml:4:18: data[b]: expected a string, got the integer 1; in quotes it is one: "
		"\"1\"\n"},
	{META("ConfigMap") "binaryData: {a: '%'}\n",
		"m.yaml:4:17: binaryData[a]: Invalid value: \"%\": expected base64\n"},
	{POD("  containers: {}\n"),
		"m.yaml:5:15: spec.containers: expected a list (items that begin with '- '), got a "
		"mapping\n"},
	{POD("  containers: [a]\n"),
		"m.yaml:5:16: spec.containers[0]: expected a mapping (fields, one a line), got the "
		"string \"a\"\n"},
	{META("Pod") "spec: []\n",
		"m.yaml:4:7: spec: expected a mapping (fields, one a line), got a list\n"},
	/* fields */
	{POD("  contaners: []\n" C("")),
		"m.yaml:5:3: spec: unknown field \"contaners\", did you mean \"containers\"?\n"},
	{POD("  xyzzy: 1\n" C("")), "m.yaml:5:3: spec: unknown field \"xyzzy\"\n"},
	{META("Pod"), "m.yaml:1:1: spec: Required value: What runs in the pod and how.\n"},
	{POD("  restartPolicy: Never\n"),
		"m.yaml:5:3: spec.containers: Required value: The programs that run in the pod.\n"},
	{POD(C("") "  setHostnameAsFQDN: true\n"), "m.yaml:7:3: spec.setHostnameAsFQDN: " NOT_YET},
	{POD(C("") "  shareProcessNamespace: true\n"), ""},
	{POD(C("") "  hostPID: true\n  shareProcessNamespace: true\n"),
		"m.yaml:8:26: spec.shareProcessNamespace: Invalid value: true: "
		"ShareProcessNamespace and HostPID cannot both be enabled\n"},
	{POD(C("") "  shareProcessNamespace: false\n  hostAliases: []\n  priority: 0\n"), ""},
	{POD(C("") "  restartPolicy: always\n"),
		"m.yaml:7:18: spec.restartPolicy: Unsupported value: \"always\": supported values: "
		"\"Always\", \"OnFailure\", \"Never\", did you mean \"Always\"?\n"},
	{"apiVersion: v1\nkind: Pod\nmetadata: {name: x, uid: u, resourceVersion: '1', "
	 "creationTimestamp: null, managedFields: [1]}\nspec:\n" C("") "status: {phase: 3}\n",
		""},
	/* names */
	{"apiVersion: v1\nkind: Namespace\nmetadata: {name: A.b}\n",
		"m.yaml:3:18: metadata.name: Invalid value: \"A.b\": " LABEL_RULE},
	{"apiVersion: v1\nkind: Namespace\nmetadata: {name: 12}\n",
		"m.yaml:3:18: metadata.name: expected a string, got the integer 12; in quotes it "
		"is one: \"12\"\n"},
	{"apiVersion: v1\nkind: Namespace\n",
		"m.yaml:1:1: metadata.name: Required value: the object's name\n"},
	{"apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: a-}\n",
		"m.yaml:3:26: metadata.generateName: Forbidden: a file is one object, so it needs "
		"a name: use metadata.name\n"},
	{"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {a/b/c: d}}\n",
		"m.yaml:3:30: metadata.labels: Invalid value: \"a/b/c\": a qualified name must "
		"consist of alphanumeric characters, '-', '_' or '.', with an optional DNS "
		"subdomain prefix and '/' (e.g. 'example.com/MyName')\n"},
	{META("ConfigMap") "data: {a/b: c}\n",
		"m.yaml:4:8: data: Invalid value: \"a/b\": a valid config key must consist of "
		"alphanumeric characters, '-', '_' or '.' (e.g. 'key.name', or 'KEY_NAME', or "
		"'key-name')\n"},
	{META("ConfigMap") "data: {a: b}\nbinaryData: {a: AAAA}\n",
		"m.yaml:5:17: binaryData[a]: Invalid value: \"a\": duplicate of key present in "
		"data\n"},
	/* pods */
	{POD("  containers: [{name: a, image: i}, {name: a, image: i}]\n"),
		"m.yaml:5:44: spec.containers[1].name: Duplicate value: \"a\"\n"},
	{POD(C("") "  initContainers: [{name: a, image: i}]\n"),
		"m.yaml:7:27: spec.initContainers[0].name: Duplicate value: \"a\": a container has "
		"this name\n"},
	{POD(C(", env: [{name: A, value: x}, {name: A, value: z}]")),
		"m.yaml:6:59: warning: spec.containers[0].env[1].name: Duplicate value: \"A\": "
		"hides an earlier one\n"},
	{POD(C(", env: [{name: A, value: x, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]")),
		"m.yaml:6:62: spec.containers[0].env[0].valueFrom: Invalid value: may not be "
		"specified when `value` is not empty\n"},
	{POD(C(", env: [{name: A, valueFrom: {secretKeyRef: {name: a, key: b}}}]")), ""},
	{POD(C(", env: [{name: A, valueFrom: {fileKeyRef: {volumeName: a, path: p, key: B}}}]")),
		"m.yaml:6:53: spec.containers[0].env[0].valueFrom.fileKeyRef: " NOT_YET},
	{POD(C("") "  volumes: [{name: d, secret: {secretName: s}}, {name: e, downwardAPI: {items: "
		   "[{path: l, fieldRef: {fieldPath: metadata.labels}}]}}, {name: f, projected: "
		   "{sources: [{configMap: {name: c}}, {secret: {name: s}}]}}]\n"),
		""},
	{POD(C("") "  volumes: [{name: f, projected: {sources: [{serviceAccountToken: {path: t}}]}}"
		   "]\n"),
		""},
	{POD(C("") "  volumes: [{name: f, projected: {sources: [{serviceAccountToken: {path: t, "
		   "expirationSeconds: 599}}]}}]\n"),
		"m.yaml:7:96: spec.volumes[0].projected.sources[0].serviceAccountToken."
		"expirationSeconds: Invalid value: 599: must be greater than or equal to 600\n"},
	{POD(C(", env: [{name: A, valueFrom: {fieldRef: {fieldPath: \"metadata.labels['a']\"}}}]")),
		""},
	{POD(C(", volumeMounts: [{name: dta, mountPath: /d}]") "  volumes: [{name: data}]\n"),
		"m.yaml:6:47: spec.containers[0].volumeMounts[0].name: Not found: \"dta\": "
		"spec.volumes has no volume of this name, did you mean \"data\"?\n"},
	{POD(C("") "  volumes: [{name: d, emptyDir: {}, configMap: {name: c}}]\n"),
		"m.yaml:7:33: spec.volumes[0].emptyDir: Forbidden: may not specify more than 1 "
		"volume type\n"},
	{POD(C("") "  volumes: [{name: d, hostPath: {path: /}}]\n"), ""},
	{POD(C("") "  volumes: [{name: d, image: {reference: a}}]\n"),
		"m.yaml:7:23: spec.volumes[0].image: " NOT_YET},
	{POD(C(", resources: {limits: {cpu: 1}, requests: {cpu: 1500m}}")),
		"m.yaml:6:71: spec.containers[0].resources.requests[cpu]: Invalid value: "
		"\"1500m\": "
		"must be less than or equal to cpu limit of 1\n"},
	{POD(C(", resources: {limits: {memory: 1GB}}")),
		"m.yaml:6:54: spec.containers[0].resources.limits[memory]: Invalid value: \"1GB\": "
		"expected a quantity such as 100m, 1.5 or 64Mi\n"},
	{POD(C(", resources: {limits: {gpu: 1}}")),
		"m.yaml:6:46: spec.containers[0].resources.limits: Invalid value: \"gpu\": must be "
		"a standard resource for containers (cpu, memory, ephemeral-storage) or fully "
		"qualified (e.g. 'example.com/gpu')\n"},
	{POD(C(", livenessProbe: {exec: {command: [a]}, tcpSocket: {port: 1}}")),
		"m.yaml:6:74: spec.containers[0].livenessProbe.tcpSocket: Forbidden: may not "
		"specify more than 1 handler type\n"},
	{POD(C(", readinessProbe: {periodSeconds: 1}")),
		"m.yaml:6:41: spec.containers[0].readinessProbe: Required value: must specify a "
		"handler type: exec, httpGet, tcpSocket or grpc\n"},
	{POD(C(", livenessProbe: {httpGet: {port: 0}, successThreshold: 2}")),
		"m.yaml:6:57: spec.containers[0].livenessProbe.httpGet.port: Invalid value: 0: "
		"must "
		"be between 1 and 65535, inclusive\n"
		"m.yaml:6:79: spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: "
		"must be 1\n"},
	{POD(C(", ports: [{containerPort: 1, name: p}, {containerPort: 2, name: p}]")),
		"m.yaml:6:87: spec.containers[0].ports[1].name: Duplicate value: \"p\"\n"},
	{POD(C(", ports: [{containerPort: 1, hostPort: 70000, hostIP: here}]")),
		"m.yaml:6:62: spec.containers[0].ports[0].hostPort: Invalid value: 70000: must be "
		"between 0 and 65535, inclusive\n"
		"m.yaml:6:77: spec.containers[0].ports[0].hostIP: Invalid value: \"here\": must be "
		"a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)\n"},
	{POD(C("") "  tolerations: [{operator: Equal}]\n"),
		"m.yaml:7:28: spec.tolerations[0].operator: Invalid value: \"Equal\": operator "
		"must "
		"be Exists when `key` is empty, which means \"match all values and all keys\"\n"},
	{POD(C(", securityContext: {capabilities: {add: [NET_ADMN]}}")),
		"m.yaml:6:64: spec.containers[0].securityContext.capabilities.add[0]: Invalid "
		"value: \"NET_ADMN\": not a Linux capability, did you mean \"NET_ADMIN\"?\n"},
	/* workloads */
	{DEPLOY("  strategy: {type: Recreate, rollingUpdate: {}}\n"),
		"m.yaml:7:45: spec.strategy.rollingUpdate: Forbidden: may not be specified when "
		"strategy `type` is 'Recreate'\n"},
	{DEPLOY("  strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 0%}}\n"),
		"m.yaml:7:59: spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"0%\": "
		"may not be 0 when `maxSurge` is 0\n"},
	{DEPLOY("  progressDeadlineSeconds: 5\n  minReadySeconds: 5\n"),
		"m.yaml:7:28: spec.progressDeadlineSeconds: Invalid value: 5: must be greater than "
		"minReadySeconds\n"},
	{"apiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {name: x}\nspec:\n"
	 "  selector: {matchExpressions: [{key: a, operator: NotIn, values: [b]}]}\n"
	 "  template: {metadata: {labels: {a: b}}, spec: {restartPolicy: Never,\n"
	 "    containers: [{name: a, image: i}]}}\n",
		"m.yaml:6:33: spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: "
		"`selector` does not match template `labels`; it asks for "
		"{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"NotIn\",\"values\":[\"b\"]}]}"
		"\n"
		"m.yaml:6:64: spec.template.spec.restartPolicy: Unsupported value: \"Never\": "
		"supported values: \"Always\"\n"},
	/* services */
	{SERVICE(""), "m.yaml:5:3: spec.ports: Required value: a Service needs a port, unless its "
		      "clusterIP is None\n"},
	{SERVICE("  clusterIP: None\n"), ""},
	{SERVICE("  ports: [{port: 1}, {port: 2, name: b}]\n"),
		"m.yaml:5:11: spec.ports[0].name: Required value: a Service of several ports needs "
		"a name for each\n"},
	{SERVICE("  ports: [{port: 1, name: a}, {port: 1, name: b}]\n"),
		"m.yaml:5:38: spec.ports[1].port: Duplicate value: \"1/TCP\"\n"},
	{SERVICE("  ports: [{port: 1, nodePort: 30000}]\n"),
		"m.yaml:5:31: spec.ports[0].nodePort: Forbidden: may not be used when `type` is "
		"'ClusterIP'\n"},
	{SERVICE("  type: NodePort\n  ports: [{port: 1, nodePort: 80}]\n"),
		"m.yaml:6:31: spec.ports[0].nodePort: Invalid value: 80: provided port is not in "
		"the valid range. The range of valid ports is 30000-32767\n"},
	{SERVICE("  type: Balanced\n  ports: [{port: 1}]\n"),
		"m.yaml:5:9: spec.type: Unsupported value: \"Balanced\": supported values: "
		"\"ClusterIP\", \"NodePort\", \"LoadBalancer\", \"ExternalName\"\n"},
	{SERVICE("  type: NodePort\n  clusterIP: None\n  ports: [{port: 1}]\n"),
		"m.yaml:6:14: spec.clusterIP: Invalid value: \"None\": may not be set to 'None' "
		"for NodePort services\n"},
	{"apiVersion: v1\nkind: Service\nmetadata: {name: 1x}\nspec: {ports: [{port: 1}], "
	 "selector: {a: b}}\n",
		"m.yaml:3:18: metadata.name: Invalid value: \"1x\": a DNS-1035 label must consist "
		"of lower case alphanumeric characters or '-', start with an alphabetic character, "
		"and end with an alphanumeric character (e.g. 'my-name', or 'abc-123')\n"},
};

static void test_faults(void **state)
{
	int failed = 0;

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(faults); i++) {
		struct kg_test_read t;
		kg_test_read(&t, faults[i].yaml);
		if (strcmp(kg_buf_str(&t.text), faults[i].faults) != 0 && ++failed)
			print_error("case %zu:\n%s\ngot:\n%s\nexpected:\n%s\n", i, faults[i].yaml,
				kg_buf_str(&t.text), faults[i].faults);
		assert_int_equal(t.len, kg_faults_errors(&t.faults) ? 0 : 1);
		kg_test_read_release(&t);
	}
	assert_int_equal(failed, 0);
}

static const struct {
	const char *yaml, *path, *json;
} defaults[] = {
	{DEPLOY(""), "spec.replicas", "1"},
	{DEPLOY("  replicas: 0\n"), "spec.replicas", "0"},
	{DEPLOY(""), "spec.strategy",
		"{\"rollingUpdate\":{\"maxSurge\":\"25%\",\"maxUnavailable\":\"25%\"},\"type\":"
		"\"RollingUpdate\"}"},
	{DEPLOY("  strategy: {type: Recreate}\n"), "spec.strategy", "{\"type\":\"Recreate\"}"},
	{DEPLOY("  strategy: {rollingUpdate: {maxSurge: 3}}\n"), "spec.strategy.rollingUpdate",
		"{\"maxSurge\":3,\"maxUnavailable\":\"25%\"}"},
	{DEPLOY(""), "spec.template.spec.containers.0",
		"{\"image\":\"i\",\"imagePullPolicy\":\"Always\",\"name\":\"a\",\"resources\":{},"
		"\"terminationMessagePath\":\"/dev/termination-log\",\"terminationMessagePolicy\":"
		"\"File\"}"},
	{POD("  containers: [{name: a, image: 'r:5000/i'}]\n"), "spec.containers.0.imagePullPolicy",
		"\"Always\""},
	{POD("  containers: [{name: a, image: 'r:5000/i:1'}]\n"),
		"spec.containers.0.imagePullPolicy", "\"IfNotPresent\""},
	{POD(C(", resources: {limits: {cpu: 0.5, memory: 128Mi}, requests: {cpu: 100m}}")),
		"spec.containers.0.resources",
		"{\"limits\":{\"cpu\":\"500m\",\"memory\":\"128Mi\"},\"requests\":{\"cpu\":"
		"\"100m\",\"memory\":\"128Mi\"}}"},
	{POD(C(", livenessProbe: {httpGet: {port: http}, periodSeconds: 0}")),
		"spec.containers.0.livenessProbe",
		"{\"failureThreshold\":3,\"httpGet\":{\"path\":\"/\",\"port\":\"http\",\"scheme\":"
		"\"HTTP\"},\"periodSeconds\":10,\"successThreshold\":1,\"timeoutSeconds\":1}"},
	{POD(C("") "  volumes: [{name: d}]\n"), "spec.volumes.0",
		"{\"emptyDir\":{},\"name\":\"d\"}"},
	{POD(C("") "  volumes: [{name: d, configMap: {name: c, defaultMode: 0644}}]\n"),
		"spec.volumes.0.configMap", "{\"defaultMode\":420,\"name\":\"c\"}"},
	{POD(C(", ports: [{containerPort: 80}]") "  hostNetwork: true\n"),
		"spec.containers.0.ports",
		"[{\"containerPort\":80,\"hostPort\":80,\"protocol\":\"TCP\"}]"},
	{POD(C(", args: []")), "spec.containers.0.args", "null"},
	{POD(C("")), "metadata", "{\"name\":\"x\",\"namespace\":\"default\"}"},
	{SERVICE("  ports: [{port: 80}]\n"), "spec",
		"{\"internalTrafficPolicy\":\"Cluster\",\"ipFamilies\":[\"IPv4\"],"
		"\"ipFamilyPolicy\":\"SingleStack\",\"ports\":[{\"port\":80,\"protocol\":\"TCP\","
		"\"targetPort\":80}],\"selector\":{\"a\":\"b\"},\"sessionAffinity\":\"None\","
		"\"type\":\"ClusterIP\"}"},
	{SERVICE("  clusterIP: None\n"), "spec.clusterIPs", "[\"None\"]"},
	{SERVICE("  type: NodePort\n  ports: [{port: 80, nodePort: 0}]\n"),
		"spec.externalTrafficPolicy", "\"Cluster\""},
	{SERVICE("  externalIPs: [192.0.2.1]\n  ports: [{port: 80}]\n"),
		"spec.externalTrafficPolicy", "\"Cluster\""},
	{SERVICE("  sessionAffinity: ClientIP\n  ports: [{port: 80}]\n"),
		"spec.sessionAffinityConfig", "{\"clientIP\":{\"timeoutSeconds\":10800}}"},
	{META("Namespace"), "metadata.labels", "{\"kubernetes.io/metadata.name\":\"x\"}"},
	{WORKLOAD("StatefulSet"), "spec.updateStrategy",
		"{\"rollingUpdate\":{\"partition\":0},\"type\":\"RollingUpdate\"}"},
	{WORKLOAD("StatefulSet"), "spec.podManagementPolicy", "\"OrderedReady\""},
	{WORKLOAD("StatefulSet"), "spec.persistentVolumeClaimRetentionPolicy",
		"{\"whenDeleted\":\"Retain\",\"whenScaled\":\"Retain\"}"},
	{WORKLOAD("StatefulSet") "  updateStrategy: {type: OnDelete}\n", "spec.updateStrategy",
		"{\"type\":\"OnDelete\"}"},
	{WORKLOAD("DaemonSet"), "spec.updateStrategy",
		"{\"rollingUpdate\":{\"maxSurge\":0,\"maxUnavailable\":1},\"type\":"
		"\"RollingUpdate\"}"},
	{JOB(""), "spec.parallelism", "1"},
	{JOB(""), "spec.completions", "1"},
	{JOB("  parallelism: 3\n"), "spec.completions", "null"},
	{JOB("  completions: 3\n"), "spec.parallelism", "1"},
	{JOB(""), "spec.backoffLimit", "6"},
	{JOB("  completionMode: Indexed\n  completions: 2\n  backoffLimitPerIndex: 1\n"),
		"spec.backoffLimit", "2147483647"},
	{JOB(""), "spec.podReplacementPolicy", "\"TerminatingOrFailed\""},
	{JOB("  podFailurePolicy: {rules: [{action: Ignore, onPodConditions: [{type: "
	     "DisruptionTarget}]}]}\n"),
		"spec.podReplacementPolicy", "\"Failed\""},
	{JOB(""), "metadata.labels", "{\"a\":\"b\"}"},
	{"apiVersion: v1\nkind: ReplicationController\nmetadata: {name: x}\nspec:\n  template: "
	 "{metadata: {labels: {a: b}}, spec: {containers: [{name: a, image: i}]}}\n",
		"spec.selector", "{\"a\":\"b\"}"},
	{"apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: "
	 "x}\nsubjects: [{kind: User, name: a}, {kind: ServiceAccount, name: b}]\nroleRef: {kind: "
	 "Role, name: r}\n",
		"subjects",
		"[{\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":\"User\",\"name\":\"a\"},{"
		"\"kind\":\"ServiceAccount\",\"name\":\"b\"}]"},
	{"apiVersion: v1\nkind: LimitRange\nmetadata: {name: x}\nspec: {limits: [{type: Container, "
	 "max: {cpu: 2}, min: {memory: 1Mi}}]}\n",
		"spec.limits.0",
		"{\"default\":{\"cpu\":\"2\"},\"defaultRequest\":{\"cpu\":\"2\",\"memory\":\"1Mi\"}"
		","
		"\"max\":{\"cpu\":\"2\"},\"min\":{\"memory\":\"1Mi\"},\"type\":\"Container\"}"},
	{"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: x}\nspec: "
	 "{egress: [{}]}\n",
		"spec",
		"{\"egress\":[{}],\"podSelector\":{},\"policyTypes\":[\"Ingress\",\"Egress\"]}"},
};

static void test_defaults(void **state)
{
	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(defaults); i++) {
		KG_AUTOBUF struct kg_buf got = KG_BUF_INIT;
		struct kg_test_read t;
		kg_test_read(&t, defaults[i].yaml);
		assert_string_equal(kg_buf_str(&t.text), "");
		kg_test_at(&got, &t, defaults[i].path);
		if (strcmp(kg_buf_str(&got), defaults[i].json) != 0)
			fail_msg("case %zu: %s: got %s, expected %s", i, defaults[i].path,
				kg_buf_str(&got), defaults[i].json);
		kg_test_read_release(&t);
	}
}

/* What kgit exports can be pushed again: defaulting a defaulted manifest changes nothing. */
static void test_defaults_are_stable(void **state)
{
	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(defaults); i++) {
		KG_AUTOBUF struct kg_buf once = KG_BUF_INIT, twice = KG_BUF_INIT;
		struct kg_test_read t, u;
		kg_test_read(&t, defaults[i].yaml);
		kg_yaml_write(&once, &t.items[0].value);
		kg_test_read(&u, once.data);
		assert_string_equal(kg_buf_str(&u.text), "");
		kg_yaml_write(&twice, &u.items[0].value);
		assert_string_equal(once.data, twice.data);
		kg_test_read_release(&t);
		kg_test_read_release(&u);
	}
}

static const struct {
	kg_check_fn *check;
	const char *text;
	bool ok;
} checks[] = {
	{kg_check_dns_label, "a-1", true},
	{kg_check_dns_label, "-a", false},
	{kg_check_dns_label, "a.b", false},
	{kg_check_dns_label, "a234567890123456789012345678901234567890123456789012345678901234",
		false},
	{kg_check_dns_subdomain, "a.b-c.d", true},
	{kg_check_dns_subdomain, "a..b", false},
	{kg_check_dns_subdomain, "a.", false},
	{kg_check_dns1035_label, "a1", true},
	{kg_check_dns1035_label, "1a", false},
	{kg_check_label_key, "app.kubernetes.io/name", true},
	{kg_check_label_key, "App", true},
	{kg_check_label_key, "/a", false},
	{kg_check_label_key, "a/", false},
	{kg_check_label_key, "A/b", false},
	{kg_check_label_value, "", true},
	{kg_check_label_value, "a_b.C-1", true},
	{kg_check_label_value, "a b", false},
	{kg_check_env_name, "my.env-NAME_1", true},
	{kg_check_env_name, "1A", false},
	{kg_check_env_name, "A=B", false},
	{kg_check_config_key, "index.html", true},
	{kg_check_config_key, "..a", false},
	{kg_check_config_key, "a/b", false},
	{kg_check_abs_path, "/a/..b", true},
	{kg_check_abs_path, "a", false},
	{kg_check_abs_path, "/a/../b", false},
	{kg_check_ip, "10.0.0.1", true},
	{kg_check_ip, "::1", true},
	{kg_check_ip, "10.0.0.256", false},
	{kg_check_port_name, "http-2", true},
	{kg_check_port_name, "123", false},
	{kg_check_port_name, "a--b", false},
	{kg_check_port_name, "Http", false},
	{kg_check_port_name, "a234567890123456", false},
	{kg_check_percent_or_int, "25%", true},
	{kg_check_percent_or_int, "25", false},
	{kg_check_percent_or_int, "-5%", false},
	{kg_check_quantity, "1Gi", true},
	{kg_check_quantity, "-1", false},
	{kg_check_image, "busybox", true},
	{kg_check_image, "localhost:5000/a/b_c:V1.2-x", true},
	{kg_check_image,
		"r.io/a@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
		true},
	{kg_check_image, "a@sha256:xyz", false},
	{kg_check_image, "Busybox", false},
	{kg_check_image, "a:", false},
	{kg_check_image, "a//b", false},
	{kg_check_image, " a", false},
	{kg_check_image, "a b", false},
	{kg_check_image, "http://a/b", false},
};

static void test_checks(void **state)
{
	struct kg_arena a = KG_ARENA_INIT;

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(checks); i++) {
		struct kg_value v = kg_v_str(&a, checks[i].text);
		const char *msg = checks[i].check(&a, &v);
		if (!msg != checks[i].ok)
			fail_msg("case %zu: \"%s\": %s", i, checks[i].text, msg ? msg : "accepted");
	}
	kg_arena_release(&a);
}

static void test_fault_limit(void **state)
{
	KG_AUTOBUF struct kg_buf yaml = KG_BUF_INIT;
	struct kg_test_read t;

	(void)state;
	kg_buf_adds(&yaml, META("ConfigMap") "data:\n");
	for (int i = 0; i < 1500; i++)
		kg_buf_addf(&yaml, "  k%d: 1\n", i);
	kg_test_read(&t, yaml.data);
	assert_int_equal(t.faults.len, 1000);
	assert_int_equal(t.faults.dropped, 500);
	assert_int_equal(kg_faults_errors(&t.faults), 1500);
	/* A warning that finds no place is none. */
	kg_fault_add_at(&t.faults, 1, 1, "", "w");
	kg_fault_warn_at(&t.faults, 1000);
	assert_int_equal(kg_faults_errors(&t.faults), 1500);
	kg_test_read_release(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_defaults_are_stable),
		cmocka_unit_test(test_checks),
		cmocka_unit_test(test_fault_limit),
	};

	kg_kinds_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
