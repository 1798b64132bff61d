/*
 * The list of kinds. Adding one is adding its tables, its id in kind.h and its entry here. Every
 * group has one version.
 */
#include "kinds/tables.h"

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NO_NAMES   ((const char *const[]){NULL})
/* What an entry is called, and the tables it is made of. */
#define KIND(v, i, k, p, s, t)                                                                     \
	.id = KG_KIND_##i, .version = (v), .kind = (k), .plural = (p), .singular = (s),            \
	.list_kind = k "List", .schema = &kg_schema_##t, .columns = kg_columns_##t
#define CORE(i, k, p, s, t)                                                                        \
	KIND("v1", i, k, p, s, t), .group = "", .api_version = "v1", .resource = (p)
#define VERSION(g, v, i, k, p, s, t)                                                               \
	KIND(v, i, k, p, s, t), .group = (g), .api_version = g "/" v, .resource = p "." g
#define GROUP(g, i, k, p, s, t) VERSION(g, "v1", i, k, p, s, t)

const struct kg_kind kg_kinds[KG_KIND_COUNT] = {
	[KG_KIND_NAMESPACE] =
		{
			CORE(NAMESPACE, "Namespace", "namespaces", "namespace", namespace),
			.flags = KG_KF_MANIFEST,
			.short_names = NAMES("ns"),
			.categories = NO_NAMES,
			.field_selectors = NAMES("status.phase"),
		},
	[KG_KIND_NODE] =
		{
			CORE(NODE, "Node", "nodes", "node", node),
			.flags = KG_KF_OBSERVED | KG_KF_MANIFEST,
			.short_names = NAMES("no"),
			.categories = NO_NAMES,
			.field_selectors = NAMES("spec.unschedulable"),
		},
	[KG_KIND_CONFIGMAP] =
		{
			CORE(CONFIGMAP, "ConfigMap", "configmaps", "configmap", configmap),
			.flags = KG_KF_NAMESPACED | KG_KF_MANIFEST,
			.short_names = NAMES("cm"),
			.categories = NO_NAMES,
			.field_selectors = NO_NAMES,
		},
	[KG_KIND_POD] =
		{
			CORE(POD, "Pod", "pods", "pod", pod),
			.flags = KG_KF_NAMESPACED | KG_KF_MANIFEST | KG_KF_OBSERVED,
			.short_names = NAMES("po"),
			.categories = NAMES("all"),
			.field_selectors = NAMES("spec.nodeName", "spec.restartPolicy",
				"spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork",
				"status.phase", "status.podIP", "status.podIPs",
				"status.nominatedNodeName"),
		},
	[KG_KIND_REPLICASET] =
		{
			GROUP("apps", REPLICASET, "ReplicaSet", "replicasets", "replicaset",
				replicaset),
			.flags = KG_KF_NAMESPACED | KG_KF_MANIFEST | KG_KF_SCALE,
			.short_names = NAMES("rs"),
			.categories = NAMES("all"),
			.field_selectors = NAMES("status.replicas"),
		},
	[KG_KIND_DEPLOYMENT] =
		{
			GROUP("apps", DEPLOYMENT, "Deployment", "deployments", "deployment",
				deployment),
			.flags = KG_KF_NAMESPACED | KG_KF_MANIFEST | KG_KF_SCALE,
			.short_names = NAMES("deploy"),
			.categories = NAMES("all"),
			.field_selectors = NO_NAMES,
		},
	[KG_KIND_SERVICE] =
		{
			CORE(SERVICE, "Service", "services", "service", service),
			.flags = KG_KF_NAMESPACED | KG_KF_MANIFEST,
			.short_names = NAMES("svc"),
			.categories = NAMES("all"),
			.field_selectors = NAMES("spec.clusterIP", "spec.type"),
		},
	[KG_KIND_ENDPOINTSLICE] =
		{
			GROUP("discovery.k8s.io", ENDPOINTSLICE, "EndpointSlice", "endpointslices",
				"endpointslice", endpointslice),
			.flags = KG_KF_NAMESPACED | KG_KF_MANIFEST,
			.short_names = NO_NAMES,
			.categories = NO_NAMES,
			.field_selectors = NO_NAMES,
		},
	[KG_KIND_ENDPOINTS] =
		{
			CORE(ENDPOINTS, "Endpoints", "endpoints", "endpoints", endpoints),
			.flags = KG_KF_NAMESPACED | KG_KF_MANIFEST,
			.short_names = NAMES("ep"),
			.categories = NO_NAMES,
			.field_selectors = NO_NAMES,
		},
	[KG_KIND_EVENT] =
		{
			CORE(EVENT, "Event", "events", "event", event),
			.flags = KG_KF_NAMESPACED | KG_KF_SYNTHETIC,
			.short_names = NAMES("ev"),
			.categories = NO_NAMES,
			.field_selectors = NAMES("involvedObject.kind", "involvedObject.namespace",
				"involvedObject.name", "involvedObject.uid",
				"involvedObject.apiVersion", "involvedObject.resourceVersion",
				"involvedObject.fieldPath", "reason", "reportingComponent",
				"source", "type"),
		},
	[KG_KIND_EVENT_V1] =
		{
			GROUP("events.k8s.io", EVENT_V1, "Event", "events", "event", event_v1),
			.flags = KG_KF_NAMESPACED | KG_KF_SYNTHETIC,
			.short_names = NAMES("ev"),
			.categories = NO_NAMES,
			.field_selectors =
				NAMES("regarding.kind", "regarding.namespace", "regarding.name",
					"regarding.uid", "regarding.apiVersion",
					"regarding.resourceVersion", "regarding.fieldPath",
					"reason", "reportingController", "type"),
		},
	[KG_KIND_LEASE] =
		{
			GROUP("coordination.k8s.io", LEASE, "Lease", "leases", "lease", lease),
			.flags = KG_KF_NAMESPACED | KG_KF_SYNTHETIC,
			.short_names = NO_NAMES,
			.categories = NO_NAMES,
			.field_selectors = NO_NAMES,
		},
	[KG_KIND_NODE_METRICS] =
		{
			VERSION("metrics.k8s.io", "v1beta1", NODE_METRICS, "NodeMetrics", "nodes",
				"nodemetrics", node_metrics),
			.flags = KG_KF_SYNTHETIC | KG_KF_NO_WATCH,
			.short_names = NO_NAMES,
			.categories = NO_NAMES,
			.field_selectors = NO_NAMES,
		},
	[KG_KIND_POD_METRICS] =
		{
			VERSION("metrics.k8s.io", "v1beta1", POD_METRICS, "PodMetrics",
				"pods", "podmetrics", pod_metrics),
			.flags = KG_KF_NAMESPACED | KG_KF_SYNTHETIC | KG_KF_NO_WATCH,
			.short_names = NO_NAMES,
			.categories = NO_NAMES,
			.field_selectors = NO_NAMES,
		},
	[KG_KIND_STATEFULSET] =
		{
			GROUP("apps", STATEFULSET, "StatefulSet", "statefulsets", "statefulset",
				statefulset),
			.flags = KG_KF_NAMESPACED | KG_KF_MANIFEST | KG_KF_SCALE,
			.short_names = NAMES("sts"),
			.categories = NAMES("all"),
			.field_selectors = NO_NAMES,
		},
	[KG_KIND_DAEMONSET] =
		{
			GROUP("apps", DAEMONSET, "DaemonSet", "daemonsets", "daemonset", daemonset),
			.flags = KG_KF_NAMESPACED | KG_KF_MANIFEST,
			.short_names = NAMES("ds"),
			.categories = NAMES("all"),
			.field_selectors = NO_NAMES,
		},
	[KG_KIND_CONTROLLERREVISION] =
		{
			GROUP("apps", CONTROLLERREVISION, "ControllerRevision",
				"controllerrevisions", "controllerrevision", controllerrevision),
			.flags = KG_KF_NAMESPACED,
			.short_names = NO_NAMES,
			.categories = NO_NAMES,
			.field_selectors = NO_NAMES,
		},
	[KG_KIND_JOB] =
		{
			GROUP("batch", JOB, "Job", "jobs", "job", job),
			.flags = KG_KF_NAMESPACED | KG_KF_MANIFEST,
			.short_names = NO_NAMES,
			.categories = NAMES("all"),
			.field_selectors = NAMES("status.successful"),
		},
	[KG_KIND_CRONJOB] =
		{
			GROUP("batch", CRONJOB, "CronJob", "cronjobs", "cronjob", cronjob),
			.flags = KG_KF_NAMESPACED | KG_KF_MANIFEST,
			.short_names = NAMES("cj"),
			.categories = NAMES("all"),
			.field_selectors = NO_NAMES,
		},
	[KG_KIND_PODDISRUPTIONBUDGET] =
		{
			GROUP("policy", PODDISRUPTIONBUDGET, "PodDisruptionBudget",
				"poddisruptionbudgets", "poddisruptionbudget", poddisruptionbudget),
			.flags = KG_KF_NAMESPACED | KG_KF_MANIFEST,
			.short_names = NAMES("pdb"),
			.categories = NO_NAMES,
			.field_selectors = NO_NAMES,
		},
	[KG_KIND_REPLICATIONCONTROLLER] =
		{
			CORE(REPLICATIONCONTROLLER, "ReplicationController",
				"replicationcontrollers", "replicationcontroller",
				replicationcontroller),
			.flags = KG_KF_NAMESPACED | KG_KF_MANIFEST | KG_KF_SCALE,
			.short_names = NAMES("rc"),
			.categories = NAMES("all"),
			.field_selectors = NAMES("status.replicas"),
		},
	[KG_KIND_PODTEMPLATE] =
		{
			CORE(PODTEMPLATE, "PodTemplate", "podtemplates", "podtemplate",
				podtemplate),
			.flags = KG_KF_NAMESPACED | KG_KF_MANIFEST,
			.short_names = NO_NAMES,
			.categories = NO_NAMES,
			.field_selectors = NO_NAMES,
		},
	[KG_KIND_SECRET] =
		{
			CORE(SECRET, "Secret", "secrets", "secret", secret),
			.flags = KG_KF_NAMESPACED | KG_KF_MANIFEST,
			.short_names = NO_NAMES,
			.categories = NO_NAMES,
			.field_selectors = NAMES("type"),
		},
	[KG_KIND_SERVICEACCOUNT] =
		{
			CORE(SERVICEACCOUNT, "ServiceAccount", "serviceaccounts", "serviceaccount",
				serviceaccount),
			.flags = KG_KF_NAMESPACED | KG_KF_MANIFEST,
			.short_names = NAMES("sa"),
			.categories = NO_NAMES,
			.field_selectors = NO_NAMES,
		},
	[KG_KIND_ROLE] =
		{
			GROUP("rbac.authorization.k8s.io", ROLE, "Role", "roles", "role", role),
			.flags = KG_KF_NAMESPACED | KG_KF_MANIFEST,
			.short_names = NO_NAMES,
			.categories = NO_NAMES,
			.field_selectors = NO_NAMES,
		},
	[KG_KIND_CLUSTERROLE] =
		{
			GROUP("rbac.authorization.k8s.io", CLUSTERROLE, "ClusterRole",
				"clusterroles", "clusterrole", clusterrole),
			.flags = KG_KF_MANIFEST,
			.short_names = NO_NAMES,
			.categories = NO_NAMES,
			.field_selectors = NO_NAMES,
		},
	[KG_KIND_ROLEBINDING] =
		{
			GROUP("rbac.authorization.k8s.io", ROLEBINDING, "RoleBinding",
				"rolebindings", "rolebinding", rolebinding),
			.flags = KG_KF_NAMESPACED | KG_KF_MANIFEST,
			.short_names = NO_NAMES,
			.categories = NO_NAMES,
			.field_selectors = NO_NAMES,
		},
	[KG_KIND_CLUSTERROLEBINDING] =
		{
			GROUP("rbac.authorization.k8s.io", CLUSTERROLEBINDING, "ClusterRoleBinding",
				"clusterrolebindings", "clusterrolebinding", clusterrolebinding),
			.flags = KG_KF_MANIFEST,
			.short_names = NO_NAMES,
			.categories = NO_NAMES,
			.field_selectors = NO_NAMES,
		},
	[KG_KIND_PERSISTENTVOLUME] =
		{
			CORE(PERSISTENTVOLUME, "PersistentVolume", "persistentvolumes",
				"persistentvolume", persistentvolume),
			.flags = KG_KF_MANIFEST,
			.short_names = NAMES("pv"),
			.categories = NO_NAMES,
			.field_selectors = NO_NAMES,
		},
	[KG_KIND_PERSISTENTVOLUMECLAIM] =
		{
			CORE(PERSISTENTVOLUMECLAIM, "PersistentVolumeClaim",
				"persistentvolumeclaims", "persistentvolumeclaim",
				persistentvolumeclaim),
			.flags = KG_KF_NAMESPACED | KG_KF_MANIFEST,
			.short_names = NAMES("pvc"),
			.categories = NO_NAMES,
			.field_selectors = NO_NAMES,
		},
	[KG_KIND_STORAGECLASS] =
		{
			GROUP("storage.k8s.io", STORAGECLASS, "StorageClass", "storageclasses",
				"storageclass", storageclass),
			.flags = KG_KF_MANIFEST,
			.short_names = NAMES("sc"),
			.categories = NO_NAMES,
			.field_selectors = NO_NAMES,
		},
	[KG_KIND_PRIORITYCLASS] =
		{
			GROUP("scheduling.k8s.io", PRIORITYCLASS, "PriorityClass",
				"priorityclasses", "priorityclass", priorityclass),
			.flags = KG_KF_MANIFEST,
			.short_names = NAMES("pc"),
			.categories = NO_NAMES,
			.field_selectors = NO_NAMES,
		},
	[KG_KIND_RESOURCEQUOTA] =
		{
			CORE(RESOURCEQUOTA, "ResourceQuota", "resourcequotas", "resourcequota",
				resourcequota),
			.flags = KG_KF_NAMESPACED | KG_KF_MANIFEST,
			.short_names = NAMES("quota"),
			.categories = NO_NAMES,
			.field_selectors = NO_NAMES,
		},
	[KG_KIND_LIMITRANGE] =
		{
			CORE(LIMITRANGE, "LimitRange", "limitranges", "limitrange", limitrange),
			.flags = KG_KF_NAMESPACED | KG_KF_MANIFEST,
			.short_names = NAMES("limits"),
			.categories = NO_NAMES,
			.field_selectors = NO_NAMES,
		},
	[KG_KIND_RUNTIMECLASS] =
		{
			GROUP("node.k8s.io", RUNTIMECLASS, "RuntimeClass", "runtimeclasses",
				"runtimeclass", runtimeclass),
			.flags = KG_KF_MANIFEST,
			.short_names = NO_NAMES,
			.categories = NO_NAMES,
			.field_selectors = NO_NAMES,
		},
	[KG_KIND_NETWORKPOLICY] =
		{
			GROUP("networking.k8s.io", NETWORKPOLICY, "NetworkPolicy",
				"networkpolicies", "networkpolicy", networkpolicy),
			.flags = KG_KF_NAMESPACED | KG_KF_MANIFEST,
			.short_names = NAMES("netpol"),
			.categories = NO_NAMES,
			.field_selectors = NO_NAMES,
		},
	[KG_KIND_INGRESS] =
		{
			GROUP("networking.k8s.io", INGRESS, "Ingress", "ingresses", "ingress",
				ingress),
			.flags = KG_KF_NAMESPACED | KG_KF_MANIFEST,
			.short_names = NAMES("ing"),
			.categories = NO_NAMES,
			.field_selectors = NO_NAMES,
		},
	[KG_KIND_INGRESSCLASS] =
		{
			GROUP("networking.k8s.io", INGRESSCLASS, "IngressClass", "ingressclasses",
				"ingressclass", ingressclass),
			.flags = KG_KF_MANIFEST,
			.short_names = NO_NAMES,
			.categories = NO_NAMES,
			.field_selectors = NO_NAMES,
		},
};
