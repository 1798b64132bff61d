/* Looking kinds up, and the words that their objects are made of. */
#include "kinds/tables.h"

#include "base/map.h"
#include "kinds/annotations.h"
#include "kinds/endpoints.h"

const char *kg_kind_api_version(const struct kg_kind *kind)
{
	return kind->api_version;
}

const char *kg_kind_resource(const struct kg_kind *kind)
{
	return kind->resource;
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

/* Objects mostly say it by the very names of the list. */
const struct kg_kind *kg_kind_by_api(const char *api_version, const char *kind)
{
	for (size_t i = 0; i < KG_KIND_COUNT; i++) {
		if (kg_kinds[i].kind == kind && kg_kinds[i].api_version == api_version)
			return &kg_kinds[i];
	}
	for (size_t i = 0; i < KG_KIND_COUNT; i++) {
		if (!strcmp(kg_kinds[i].kind, kind) &&
			!strcmp(kg_kinds[i].api_version, api_version))
			return &kg_kinds[i];
	}
	return NULL;
}

const struct kg_kind *kg_kind_by_name(const char *name)
{
	for (size_t i = 0; i < KG_KIND_COUNT; i++) {
		const struct kg_kind *k = &kg_kinds[i];
		if (!strcasecmp(k->kind, name) || !strcasecmp(k->plural, name) ||
			!strcasecmp(k->singular, name) || !strcasecmp(k->resource, name) ||
			kg_rule_one_of(name, k->short_names))
			return k;
	}
	return NULL;
}

const char *kg_kind_pod_spec(const struct kg_kind *kind)
{
	switch (kind->id) {
	case KG_KIND_POD:
		return "spec";
	case KG_KIND_PODTEMPLATE:
		return "template.spec";
	case KG_KIND_REPLICASET:
	case KG_KIND_DEPLOYMENT:
	case KG_KIND_STATEFULSET:
	case KG_KIND_DAEMONSET:
	case KG_KIND_REPLICATIONCONTROLLER:
	case KG_KIND_JOB:
		return "spec.template.spec";
	case KG_KIND_CRONJOB:
		return "spec.jobTemplate.spec.template.spec";
	default:
		return NULL;
	}
}

static void collect(struct kg_map *names, const struct kg_schema *s)
{
	for (const struct kg_field *f = s->fields; f->name; f++) {
		kg_map_put(names, f->name, (void *)f->name);
		if (f->schema)
			collect(names, f->schema);
	}
}

#define DEFINE(id, key, ...) const char id[] = key;
KG_MANIFEST_ANNOTATIONS(DEFINE)
KG_SYSTEM_ANNOTATIONS(DEFINE)
#undef DEFINE

/* Values that nearly every object has, and annotations and labels that the system gives many. */
static const char *const common[] = {"pod-template-hash", "deployment.kubernetes.io/revision",
	"deployment.kubernetes.io/revision-history", "deployment.kubernetes.io/desired-replicas",
	"deployment.kubernetes.io/max-replicas", "controller.kubernetes.io/pod-deletion-cost",
	"controller.kubernetes.io/hash", "controller-revision-hash",
	"statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index",
	"batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name",
	"batch.kubernetes.io/job-completion-index", "batch.kubernetes.io/job-tracking",
	KG_LABEL_SERVICE_NAME, KG_LABEL_MANAGED_BY, "kubernetes.io/hostname",
	"topology.kubernetes.io/zone", "v1", "apps/v1", "default", "kube-system", "True", "False",
	"Unknown", "Ready", "Initialized", "ContainersReady", "PodScheduled",
	"PodReadyToStartContainers", "Available", "Progressing", "Pending", "Running", "Succeeded",
	"Failed", "Guaranteed", "Burstable", "BestEffort", "Always", "IfNotPresent", "Never",
	"OnFailure", "ClusterFirst", "ClusterIP", "TCP", "UDP", "File", "HTTP", "RollingUpdate",
	"default-scheduler", "/dev/termination-log", "ContainersNotReady", "ContainerCreating",
	"Unschedulable", "Completed", "Error", "CrashLoopBackOff",
#define NAME(id, key, ...) id,
	KG_MANIFEST_ANNOTATIONS(NAME) KG_SYSTEM_ANNOTATIONS(NAME)
#undef NAME
};

void kg_kinds_init(void)
{
	KG_CLEANUP(kg_map_release) struct kg_map names = KG_MAP_INIT;
	struct kg_map_entry *e;
	size_t n = 0;

	for (size_t i = 0; i < KG_KIND_COUNT; i++) {
		collect(&names, kg_kinds[i].schema);
		kg_map_put(&names, kg_kinds[i].kind, (void *)kg_kinds[i].kind);
		kg_map_put(&names, kg_kinds[i].api_version, (void *)kg_kinds[i].api_version);
	}
	for (size_t i = 0; i < KG_ARRAY_LEN(common); i++)
		kg_map_put(&names, common[i], (void *)common[i]);
	KG_AUTOFREE const char **list = kg_alloc(names.count * sizeof(*list));
	for (size_t i = 0; (e = kg_map_next(&names, &i));)
		list[n++] = e->value;
	kg_keys_register(list, n);
}
