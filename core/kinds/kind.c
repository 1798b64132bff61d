/* The list of kinds. Adding one is adding its tables and its entry here. */
#include "kinds/tables.h"

#include "base/map.h"

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NO_NAMES   ((const char *const[]){NULL})

const struct kg_kind kg_kinds[KG_KIND_COUNT] = {
	[KG_KIND_NAMESPACE] =
		{
			.id = KG_KIND_NAMESPACE,
			.group = "",
			.version = "v1",
			.kind = "Namespace",
			.plural = "namespaces",
			.singular = "namespace",
			.list_kind = "NamespaceList",
			.short_names = NAMES("ns"),
			.categories = NO_NAMES,
			.flags = KG_KF_MANIFEST,
			.schema = &kg_schema_namespace,
			.columns = kg_columns_namespace,
			.field_selectors = NAMES("status.phase"),
		},
	[KG_KIND_NODE] =
		{
			.id = KG_KIND_NODE,
			.group = "",
			.version = "v1",
			.kind = "Node",
			.plural = "nodes",
			.singular = "node",
			.list_kind = "NodeList",
			.short_names = NAMES("no"),
			.categories = NO_NAMES,
			.flags = KG_KF_OBSERVED,
			.schema = &kg_schema_node,
			.columns = kg_columns_node,
			.field_selectors = NAMES("spec.unschedulable"),
		},
	[KG_KIND_CONFIGMAP] =
		{
			.id = KG_KIND_CONFIGMAP,
			.group = "",
			.version = "v1",
			.kind = "ConfigMap",
			.plural = "configmaps",
			.singular = "configmap",
			.list_kind = "ConfigMapList",
			.short_names = NAMES("cm"),
			.categories = NO_NAMES,
			.flags = KG_KF_NAMESPACED | KG_KF_MANIFEST,
			.schema = &kg_schema_configmap,
			.columns = kg_columns_configmap,
			.field_selectors = NO_NAMES,
		},
	[KG_KIND_POD] =
		{
			.id = KG_KIND_POD,
			.group = "",
			.version = "v1",
			.kind = "Pod",
			.plural = "pods",
			.singular = "pod",
			.list_kind = "PodList",
			.short_names = NAMES("po"),
			.categories = NAMES("all"),
			.flags = KG_KF_NAMESPACED | KG_KF_MANIFEST | KG_KF_OBSERVED,
			.schema = &kg_schema_pod,
			.columns = kg_columns_pod,
			.field_selectors = NAMES("spec.nodeName", "spec.restartPolicy",
				"spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork",
				"status.phase", "status.podIP", "status.podIPs",
				"status.nominatedNodeName"),
		},
	[KG_KIND_REPLICASET] =
		{
			.id = KG_KIND_REPLICASET,
			.group = "apps",
			.version = "v1",
			.kind = "ReplicaSet",
			.plural = "replicasets",
			.singular = "replicaset",
			.list_kind = "ReplicaSetList",
			.short_names = NAMES("rs"),
			.categories = NAMES("all"),
			.flags = KG_KF_NAMESPACED | KG_KF_MANIFEST,
			.schema = &kg_schema_replicaset,
			.columns = kg_columns_replicaset,
			.field_selectors = NAMES("status.replicas"),
		},
	[KG_KIND_DEPLOYMENT] =
		{
			.id = KG_KIND_DEPLOYMENT,
			.group = "apps",
			.version = "v1",
			.kind = "Deployment",
			.plural = "deployments",
			.singular = "deployment",
			.list_kind = "DeploymentList",
			.short_names = NAMES("deploy"),
			.categories = NAMES("all"),
			.flags = KG_KF_NAMESPACED | KG_KF_MANIFEST,
			.schema = &kg_schema_deployment,
			.columns = kg_columns_deployment,
			.field_selectors = NO_NAMES,
		},
	[KG_KIND_SERVICE] =
		{
			.id = KG_KIND_SERVICE,
			.group = "",
			.version = "v1",
			.kind = "Service",
			.plural = "services",
			.singular = "service",
			.list_kind = "ServiceList",
			.short_names = NAMES("svc"),
			.categories = NAMES("all"),
			.flags = KG_KF_NAMESPACED | KG_KF_MANIFEST,
			.schema = &kg_schema_service,
			.columns = kg_columns_service,
			.field_selectors = NAMES("spec.clusterIP", "spec.type"),
		},
	[KG_KIND_ENDPOINTSLICE] =
		{
			.id = KG_KIND_ENDPOINTSLICE,
			.group = "discovery.k8s.io",
			.version = "v1",
			.kind = "EndpointSlice",
			.plural = "endpointslices",
			.singular = "endpointslice",
			.list_kind = "EndpointSliceList",
			.short_names = NO_NAMES,
			.categories = NO_NAMES,
			.flags = KG_KF_NAMESPACED,
			.schema = &kg_schema_endpointslice,
			.columns = kg_columns_endpointslice,
			.field_selectors = NO_NAMES,
		},
	[KG_KIND_ENDPOINTS] =
		{
			.id = KG_KIND_ENDPOINTS,
			.group = "",
			.version = "v1",
			.kind = "Endpoints",
			.plural = "endpoints",
			.singular = "endpoints",
			.list_kind = "EndpointsList",
			.short_names = NAMES("ep"),
			.categories = NO_NAMES,
			.flags = KG_KF_NAMESPACED | KG_KF_SYNTHETIC,
			.schema = &kg_schema_endpoints,
			.columns = kg_columns_endpoints,
			.field_selectors = NO_NAMES,
		},
	[KG_KIND_EVENT] =
		{
			.id = KG_KIND_EVENT,
			.group = "",
			.version = "v1",
			.kind = "Event",
			.plural = "events",
			.singular = "event",
			.list_kind = "EventList",
			.short_names = NAMES("ev"),
			.categories = NO_NAMES,
			.flags = KG_KF_NAMESPACED | KG_KF_SYNTHETIC,
			.schema = &kg_schema_event,
			.columns = kg_columns_event,
			.field_selectors = NAMES("involvedObject.kind", "involvedObject.namespace",
				"involvedObject.name", "involvedObject.uid",
				"involvedObject.apiVersion", "involvedObject.resourceVersion",
				"involvedObject.fieldPath", "reason", "reportingComponent",
				"source", "type"),
		},
	[KG_KIND_LEASE] =
		{
			.id = KG_KIND_LEASE,
			.group = "coordination.k8s.io",
			.version = "v1",
			.kind = "Lease",
			.plural = "leases",
			.singular = "lease",
			.list_kind = "LeaseList",
			.short_names = NO_NAMES,
			.categories = NO_NAMES,
			.flags = KG_KF_NAMESPACED | KG_KF_SYNTHETIC,
			.schema = &kg_schema_lease,
			.columns = kg_columns_lease,
			.field_selectors = NO_NAMES,
		},
};

static const struct {
	const char *api_version, *resource;
} texts[KG_KIND_COUNT] = {
	[KG_KIND_NAMESPACE] = {"v1", "namespaces"},
	[KG_KIND_NODE] = {"v1", "nodes"},
	[KG_KIND_CONFIGMAP] = {"v1", "configmaps"},
	[KG_KIND_POD] = {"v1", "pods"},
	[KG_KIND_REPLICASET] = {"apps/v1", "replicasets.apps"},
	[KG_KIND_DEPLOYMENT] = {"apps/v1", "deployments.apps"},
	[KG_KIND_SERVICE] = {"v1", "services"},
	[KG_KIND_ENDPOINTSLICE] = {"discovery.k8s.io/v1", "endpointslices.discovery.k8s.io"},
	[KG_KIND_ENDPOINTS] = {"v1", "endpoints"},
	[KG_KIND_EVENT] = {"v1", "events"},
	[KG_KIND_LEASE] = {"coordination.k8s.io/v1", "leases.coordination.k8s.io"},
};

const char *kg_kind_api_version(const struct kg_kind *kind)
{
	return texts[kind->id].api_version;
}

const char *kg_kind_resource(const struct kg_kind *kind)
{
	return texts[kind->id].resource;
}

const struct kg_kind *kg_kind_by_plural(const char *group, const char *version, const char *plural)
{
	for (size_t i = 0; i < KG_KIND_COUNT; i++) {
		const struct kg_kind *k = &kg_kinds[i];
		if (!strcmp(k->plural, plural) && !strcmp(k->group, group) &&
			!strcmp(k->version, version))
			return k;
	}
	return NULL;
}

const struct kg_kind *kg_kind_by_api(const char *api_version, const char *kind)
{
	for (size_t i = 0; i < KG_KIND_COUNT; i++) {
		if (!strcmp(kg_kinds[i].kind, kind) && !strcmp(texts[i].api_version, api_version))
			return &kg_kinds[i];
	}
	return NULL;
}

const struct kg_kind *kg_kind_by_name(const char *name)
{
	for (size_t i = 0; i < KG_KIND_COUNT; i++) {
		const struct kg_kind *k = &kg_kinds[i];
		if (!strcasecmp(k->kind, name) || !strcasecmp(k->plural, name) ||
			!strcasecmp(k->singular, name) || !strcasecmp(texts[i].resource, name) ||
			kg_rule_one_of(name, k->short_names))
			return k;
	}
	return NULL;
}

static void collect(struct kg_map *names, const struct kg_schema *s)
{
	for (const struct kg_field *f = s->fields; f->name; f++) {
		kg_map_put(names, f->name, (void *)f->name);
		if (f->schema)
			collect(names, f->schema);
	}
}

/* Values that nearly every object has. */
static const char *const common[] = {"v1", "apps/v1", "default", "kube-system", "True", "False",
	"Unknown", "Ready", "Initialized", "ContainersReady", "PodScheduled",
	"PodReadyToStartContainers", "Available", "Progressing", "Pending", "Running", "Succeeded",
	"Failed", "Guaranteed", "Burstable", "BestEffort", "Always", "IfNotPresent", "Never",
	"OnFailure", "ClusterFirst", "ClusterIP", "TCP", "UDP", "File", "HTTP", "RollingUpdate",
	"default-scheduler", "/dev/termination-log", "ContainersNotReady", "ContainerCreating",
	"Unschedulable", "Completed", "Error", "CrashLoopBackOff"};

void kg_kinds_init(void)
{
	KG_CLEANUP(kg_map_release) struct kg_map names = KG_MAP_INIT;
	struct kg_map_entry *e;
	size_t n = 0;

	for (size_t i = 0; i < KG_KIND_COUNT; i++) {
		collect(&names, kg_kinds[i].schema);
		kg_map_put(&names, kg_kinds[i].kind, (void *)kg_kinds[i].kind);
	}
	for (size_t i = 0; i < KG_ARRAY_LEN(common); i++)
		kg_map_put(&names, common[i], (void *)common[i]);
	KG_AUTOFREE const char **list = kg_alloc(names.count * sizeof(*list));
	for (size_t i = 0; (e = kg_map_next(&names, &i));)
		list[n++] = e->value;
	kg_keys_register(list, n);
}
