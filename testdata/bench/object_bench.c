/*
 * What objects cost in memory: pods as a large cluster has them, from Deployments of 100 replicas
 * each, bound and running, in one snapshot. One figure a line: NAME VALUE UNIT.
 *   object_bench [--pods N] [--nodes N]
 */
#include "base/slab.h"
#include "kinds/record.h"
#include "kinds/snapshot.h"
#include "value/yaml.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { REPLICAS = 100 };

struct deployment {
	char id[24];
	struct kg_doc *base;
};

static struct kg_value yaml(struct kg_arena *a, const char *text)
{
	struct kg_value v;
	struct kg_error err;

	if (kg_yaml_load(&v, a, text, strlen(text), &err) < 0) {
		fprintf(stderr, "object_bench: %s\n%s", err.msg, text);
		exit(1);
	}
	return v;
}

static void deployment_init(struct deployment *d, int i)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value v = yaml(&a,
		kg_arena_printf(&a,
			"metadata:\n  labels: {app: service-%d, tier: web, pod-template-hash: "
			"h%d}\n"
			"  annotations: {prometheus.io/scrape: 'true', prometheus.io/port: "
			"'9090'}\n"
			"spec:\n  restartPolicy: Always\n  dnsPolicy: ClusterFirst\n"
			"  schedulerName: default-scheduler\n  terminationGracePeriodSeconds: 30\n"
			"  enableServiceLinks: true\n  securityContext: {}\n"
			"  serviceAccountName: default\n"
			"  containers:\n  - name: main\n    image: "
			"registry.example.com/team/service:%d\n"
			"    imagePullPolicy: IfNotPresent\n"
			"    terminationMessagePath: /dev/termination-log\n"
			"    terminationMessagePolicy: File\n"
			"    env: [{name: LOG_LEVEL, value: info}, {name: PORT, value: '8080'}]\n"
			"    ports: [{containerPort: 8080, name: http, protocol: TCP}]\n"
			"    readinessProbe: {httpGet: {path: /ready, port: http, scheme: HTTP},\n"
			"      failureThreshold: 3, periodSeconds: 10, successThreshold: 1,\n"
			"      timeoutSeconds: 1}\n"
			"    resources: {requests: {cpu: 50m, memory: 64Mi},\n"
			"      limits: {memory: 128Mi}}\n"
			"    volumeMounts: [{mountPath: /etc/service, name: config}]\n"
			"  volumes: [{name: config, configMap: {name: config-%d, defaultMode: "
			"420}}]\n",
			i, i, i, i));
	struct kg_doc *content = kg_doc_new(&v, NULL, 0);

	kg_template_id(d->id, &v);
	d->base = kg_template_expand(&kg_kinds[KG_KIND_POD], content);
	kg_doc_unref(content);
}

static const char *at(struct kg_arena *a, int seconds)
{
	char text[32];

	kg_time_format(text, INT64_C(1795667286000) + INT64_C(1000) * seconds);
	return kg_arena_strdup(a, text);
}

/* What a controller, the scheduler and the node say of it. */
static struct kg_value patch_of(
	struct kg_arena *a, const char *ns, const char *name, int i, int node)
{
	int d = i / REPLICAS, born = d * 60 + i % REPLICAS / 10;

	return yaml(a,
		kg_arena_printf(a,
			"metadata:\n  creationTimestamp: \"%s\"\n"
			"  generateName: service-%d-5d4f8c7b9-\n  generation: 1\n  name: %s\n"
			"  namespace: %s\n  ownerReferences:\n  - apiVersion: apps/v1\n"
			"    blockOwnerDeletion: true\n    controller: true\n"
			"    kind: ReplicaSet\n    name: service-%d-5d4f8c7b9\n"
			"    uid: 3c1d2e4f-0000-5000-8000-%012d\n"
			"  uid: 7d0c8f9e-1b2a-5c3d-8e4f-%012d\n"
			"spec:\n  nodeName: node-%d\n"
			"status:\n  conditions:\n"
			"  - lastTransitionTime: \"%s\"\n    status: \"True\"\n"
			"    type: PodReadyToStartContainers\n"
			"  - lastTransitionTime: \"%s\"\n    status: \"True\"\n    type: "
			"Initialized\n"
			"  - lastTransitionTime: \"%s\"\n    status: \"True\"\n    type: Ready\n"
			"  - lastTransitionTime: \"%s\"\n    status: \"True\"\n"
			"    type: ContainersReady\n"
			"  - lastTransitionTime: \"%s\"\n    status: \"True\"\n    type: "
			"PodScheduled\n"
			"  containerStatuses:\n"
			"  - containerID: runc://%032d%032d\n"
			"    image: registry.example.com/team/service:%d\n"
			"    imageID: sha256:%032d%032d\n    lastState: {}\n"
			"    name: main\n    ready: true\n    restartCount: 0\n    started: true\n"
			"    state:\n      running:\n        startedAt: \"%s\"\n"
			"  hostIP: 10.0.%d.%d\n  hostIPs:\n  - ip: 10.0.%d.%d\n  phase: Running\n"
			"  podIP: 10.%d.%d.%d\n  podIPs:\n  - ip: 10.%d.%d.%d\n"
			"  qosClass: Burstable\n  startTime: \"%s\"\n",
			at(a, born), d, name, ns, d, d, i, node, at(a, born + 2), at(a, born + 1),
			at(a, born + 3 + i % 7), at(a, born + 3 + i % 7), at(a, born), i, i, d, d,
			d, at(a, born + 2), node / 256, node % 256, node / 256, node % 256,
			128 + node / 256, node % 256, 2 + i / 5000, 128 + node / 256, node % 256,
			2 + i / 5000, at(a, born)));
}

static void put_pod(struct kg_txn *txn, const struct deployment *d, int i, int nodes)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	const char *ns = kg_arena_printf(&a, "team-%d", i / REPLICAS % 50);
	const char *name =
		kg_arena_printf(&a, "service-%d-5d4f8c7b9-%05d", i / REPLICAS, i % 100000);
	struct kg_value patch = patch_of(&a, ns, name, i, i % nodes);
	struct kg_value v = kg_patch_apply(&a, kg_doc_value(d->base), &patch);
	struct kg_object_spec spec = {.kind = &kg_kinds[KG_KIND_POD],
		.ns = ns,
		.name = name,
		.value = &v,
		.base = d->base,
		.template_id = d->id};

	kg_txn_put(txn, kg_object_new(&spec));
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double allocated(void)
{
	size_t held, used;

	kg_slab_stats(&held, &used);
	return (double)mallinfo2().uordblks + (double)used;
}

static double doc_bytes(const struct kg_snapshot *s)
{
	struct kg_object_iter it KG_CLEANUP(kg_iter_release);
	const struct kg_object *obj;
	double sum = 0;

	kg_iter_kind(&it, s, KG_KIND_POD, NULL, NULL);
	while ((obj = kg_iter_next(&it)))
		sum += (double)kg_doc_size(obj->doc);
	return sum;
}

static double yaml_bytes(const struct kg_snapshot *s)
{
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	struct kg_object_iter it KG_CLEANUP(kg_iter_release);

	kg_iter_kind(&it, s, KG_KIND_POD, NULL, NULL);
	kg_yaml_write(&text, kg_obj(kg_iter_next(&it)));
	return (double)text.len;
}

int main(int argc, char **argv)
{
	int pods = 150000, nodes = 5000;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--pods") == 0)
			pods = (int)strtol(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--nodes") == 0)
			nodes = (int)strtol(argv[i + 1], NULL, 10);
	}
	kg_kinds_init();
	mallopt(M_MMAP_THRESHOLD, 1 << 30);
	int n = (pods + REPLICAS - 1) / REPLICAS;
	struct deployment *d = kg_alloc((size_t)n * sizeof(*d));
	for (int i = 0; i < n; i++)
		deployment_init(&d[i], i);
	struct kg_snapshot *s = kg_snapshot_new("c");
	double before = allocated(), t = seconds();
	for (int i = 0; i < pods; i += 10000) {
		struct kg_txn *txn = kg_txn_new(s);
		struct kg_changes changes;

		for (int k = i; k < pods && k < i + 10000; k++)
			put_pod(txn, &d[k / REPLICAS], k, nodes);
		kg_snapshot_unref(s);
		kg_txn_finish(txn, &s, &changes);
		kg_changes_release(&changes);
	}
	printf("pod_yaml %.0f bytes\n", yaml_bytes(s));
	printf("pod_make %.2f us\n", (seconds() - t) * 1e6 / pods);
	printf("pod_doc %.0f bytes\n", doc_bytes(s) / pods);
	printf("pod_memory %.0f bytes\n", (allocated() - before) / pods);
	printf("pods_memory %.1f MB\n", (allocated() - before) / 1e6);
	kg_snapshot_unref(s);
	for (int i = 0; i < n; i++)
		kg_doc_unref(d[i].base);
	free(d);
	return 0;
}
