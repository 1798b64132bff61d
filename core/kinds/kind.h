/*
 * Kinds: what the cluster serves. Each is one struct kg_kind with its schema, its names, its
 * table columns and field selectors.
 */
#ifndef KG_KINDS_KIND_H
#define KG_KINDS_KIND_H

#include "base/time.h"
#include "kinds/schema.h"

struct kg_object;

/* Ids are dense and index arrays; their order is the order of this list. They are not stored. */
enum kg_kind_id {
	KG_KIND_NAMESPACE,
	KG_KIND_NODE,
	KG_KIND_CONFIGMAP,
	KG_KIND_POD,
	KG_KIND_REPLICASET,
	KG_KIND_DEPLOYMENT,
	KG_KIND_SERVICE,
	KG_KIND_ENDPOINTSLICE,
	/* Stored are those that are manifests; of a Service with a selector they are made of its
	 * EndpointSlices when they are read. */
	KG_KIND_ENDPOINTS,
	KG_KIND_EVENT, /* synthetic: kept by the watch room, never stored as an object */
	KG_KIND_LEASE, /* synthetic: liveness, in memory */
	KG_KIND_STATEFULSET,
	KG_KIND_DAEMONSET,
	KG_KIND_CONTROLLERREVISION,
	KG_KIND_JOB,
	KG_KIND_CRONJOB,
	KG_KIND_PODDISRUPTIONBUDGET,
	KG_KIND_REPLICATIONCONTROLLER,
	KG_KIND_PODTEMPLATE,
	KG_KIND_SECRET,
	KG_KIND_SERVICEACCOUNT,
	KG_KIND_ROLE,
	KG_KIND_CLUSTERROLE,
	KG_KIND_ROLEBINDING,
	KG_KIND_CLUSTERROLEBINDING,
	KG_KIND_PERSISTENTVOLUME,
	KG_KIND_PERSISTENTVOLUMECLAIM,
	KG_KIND_STORAGECLASS,
	KG_KIND_PRIORITYCLASS,
	KG_KIND_RESOURCEQUOTA,
	KG_KIND_LIMITRANGE,
	KG_KIND_RUNTIMECLASS,
	KG_KIND_NETWORKPOLICY,
	KG_KIND_INGRESS,
	KG_KIND_INGRESSCLASS,
	KG_KIND_EVENT_V1,     /* synthetic: the same Events in the form of events.k8s.io */
	KG_KIND_NODE_METRICS, /* synthetic: what nodes say is used of them, in memory */
	KG_KIND_POD_METRICS,
	KG_KIND_COUNT
};

enum kg_kind_flags {
	KG_KF_NAMESPACED = 1 << 0,
	KG_KF_MANIFEST = 1 << 1, /* users may push it; otherwise it is the system's alone */
	/* Bound to a node its status is what the node observed (kept under observed/NODE). */
	KG_KF_OBSERVED = 1 << 2,
	KG_KF_SYNTHETIC = 1 << 3,
	KG_KF_SCALE = 1 << 4, /* has the subresource scale: spec.replicas, status.replicas */
	KG_KF_NO_WATCH = 1 << 5,
};

struct kg_column {
	const char *name, *type, *format, *doc; /* Table column definition */
	int priority;
	/* The cell. For ages and the like `now` is the reader's clock. NULL: take `path`. */
	struct kg_value (*cell)(struct kg_arena *a, const struct kg_object *obj, kg_time now);
	const char *path; /* e.g. "spec.replicas" */
};

struct kg_kind {
	enum kg_kind_id id;
	const char *group, *version; /* "" is the core group */
	const char *kind, *plural, *singular, *list_kind;
	const char *api_version, *resource; /* "apps/v1", "deployments.apps" */
	const char *const *short_names;     /* NULL-terminated */
	const char *const *categories;
	unsigned flags;
	const struct kg_schema *schema;
	const struct kg_column *columns; /* ends with a NULL name */
	/* Field selectors beyond metadata.name and metadata.namespace: paths, NULL-terminated. */
	const char *const *field_selectors;
};

extern const struct kg_kind kg_kinds[KG_KIND_COUNT];
/* Of the scale of what has KG_KF_SCALE: cells are made from the object itself. */
extern const struct kg_column kg_columns_scale[];

const struct kg_kind *kg_kind_by_plural(const char *group, const char *version, const char *plural);
/* apiVersion as written ("apps/v1", "v1"). NULL where unknown. */
const struct kg_kind *kg_kind_by_api(const char *api_version, const char *kind);
const struct kg_kind *kg_kind_by_name(const char *kind); /* "Pod", "pods", "po", "deploy" */
/* "v1", "apps/v1": static text per kind. */
const char *kg_kind_api_version(const struct kg_kind *kind);
/* "pods", "deployments.apps": directory and resource name, static text per kind. */
const char *kg_kind_resource(const struct kg_kind *kind);
/* Where in its objects a pod's spec lies: "spec", "spec.template.spec", ...; NULL: nowhere. */
const char *kg_kind_pod_spec(const struct kg_kind *kind);
/* Registers every field name, and what is said everywhere, with the value room. Call once, before
 * threads start. */
void kg_kinds_init(void);

/*
 * One document of a manifest file as an object's desired value: apiVersion, kind, metadata (name,
 * namespace, labels, annotations), spec, data; typed, defaulted and validated, what is the
 * system's (status, uid, resourceVersion, ...) left out. A List is opened into its items, and so is
 * a RoleList, whose items need not say what they are. Faults carry positions.
 */
struct kg_manifest {
	const struct kg_kind *kind;
	const char *ns,
		*name; /* arena; ns "" for cluster-scoped, "default" where none was written */
	struct kg_value value; /* arena */
	uint32_t line, col;    /* where the document begins */
	unsigned index;        /* of the document in its file, Lists opened */
	bool faulty; /* kg_manifest_read_all alone: what it says besides its kind and name is not
			to be relied on, though it can be looked at */
};
/*
 * Kinds whose documents are passed over, whatever their version and whether kgit has them, as the
 * repository's settings say it: "ServiceMonitor.monitoring.coreos.com", or "*.istio.io" for all of
 * a group.
 */
struct kg_ignored_kind {
	const char *name;
	size_t seen;      /* so many documents were passed over */
	const char *file; /* where the first lies */
	uint32_t line, col;
};
struct kg_ignored_kinds {
	struct kg_ignored_kind *items;
	size_t len;
};
kg_check_fn kg_check_ignored_kind;
/* NULL: it is none of them. */
struct kg_ignored_kind *kg_ignored_kind_find(
	struct kg_ignored_kind *items, size_t n, const char *api_version, const char *kind);

/* Decodes every document of one file into *out (arena array). Faults are added to `faults` with
 * file = path; documents without faults are in *out all the same. */
void kg_manifest_read(struct kg_manifest **out, size_t *n, struct kg_arena *a, const char *path,
	const char *text, size_t len, const struct kg_yaml_limits *limits,
	struct kg_fault_list *faults);
/* The same, and with them those that have faults, but have a kind, a name and a namespace. What is
 * of a kind to be ignored is passed over, and counted. */
void kg_manifest_read_all(struct kg_manifest **out, size_t *n, struct kg_arena *a, const char *path,
	const char *text, size_t len, const struct kg_yaml_limits *limits,
	const struct kg_ignored_kinds *ignored, struct kg_fault_list *faults);
/* The same of what was admitted once, by a kgit that may have had fewer rules: rules of today do
 * not matter, and what a field cannot hold is left out (or null, in a list). `ignored` may be NULL:
 * nothing was passed over. */
void kg_manifest_read_admitted(struct kg_manifest **out, size_t *n, struct kg_arena *a,
	const char *path, const char *text, size_t len, const struct kg_yaml_limits *limits,
	const struct kg_ignored_kinds *ignored);
/* Is this path (from the repository's root) a manifest: by its ending, itself no dotfile and below
 * no dot-directory. */
bool kg_manifest_is_path(const char *path);

#endif
