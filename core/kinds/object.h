/*
 * Objects: immutable, reference-counted (thread-safe). The value is the canonical API object
 * without metadata.resourceVersion, which is the object's revision and is added when it is
 * written out.
 */
#ifndef KG_KINDS_OBJECT_H
#define KG_KINDS_OBJECT_H

#include "kinds/kind.h"

/* Of an object, seen once as it is made. */
enum kg_object_flag {
	KG_OF_DELETING = 1, /* it has a deletionTimestamp */
	KG_OF_TERMINAL = 2, /* a pod that Succeeded or Failed */
	KG_OF_READY = 4,    /* its condition Ready is True */
};
/* Secondary indexes (snapshot.h): what an object is found by, beside its kind and key. */
enum kg_index {
	KG_INDEX_NODE,     /* pods by spec.nodeName */
	KG_INDEX_OWNER,    /* by the controlling owner's uid */
	KG_INDEX_SOURCE,   /* desired objects by the path of their file */
	KG_INDEX_TEMPLATE, /* by template id */
	KG_INDEX_SERVICE,  /* EndpointSlices by the name of their Service: see kinds/endpoints.h */
	KG_INDEX_COUNT
};
struct kg_object {
	_Atomic int refs;
	uint32_t flags; /* enum kg_object_flag */
	const struct kg_kind *kind;
	uint64_t revision; /* last commit that changed the value; 0 while a txn holds it */
	const char *ns;    /* "" for cluster-scoped; most often the value's own text */
	const char *name;
	const char *key;    /* "NS/NAME" ("/NAME" for cluster-scoped): its place among its kind */
	struct kg_doc *doc; /* owned: the value */
	/* What the stored record is a merge patch of. Desired objects: the manifest's value,
	 * defaulted. Pods and ReplicaSets made by a controller: the template (see record.h). NULL:
	 * nothing. */
	struct kg_doc *base;
	const char *source;       /* desired objects: "path/in/main.yaml"; NULL for derived ones */
	unsigned source_index;    /* of the document in that file */
	char template_id[24];     /* hex id of the template that base is made of, or "" */
	uint32_t size;            /* bytes of its block */
	union {                   /* borrowed from the value; NULL: none */
		const char *node; /* a pod's */
		const char *service; /* an EndpointSlice's, by its label */
	};
	const char *owner;                   /* the controller's uid, likewise */
	uint32_t index_hash[KG_INDEX_COUNT]; /* of kg_object_indexed_by, where it is not NULL */
};

struct kg_object_spec {
	const struct kg_kind *kind;
	const char *ns, *name;
	const struct kg_value *value; /* copied into a doc that shares base's memory */
	const struct kg_object *old;  /* that the value is a change of; NULL: of none */
	struct kg_doc *base;          /* referenced; may be NULL */
	const char *source;
	unsigned source_index;
	const char *template_id;
};
struct kg_object *kg_object_new(const struct kg_object_spec *spec);
/* A new version of obj with another value; base, source and template are kept. */
struct kg_object *kg_object_with(const struct kg_object *obj, const struct kg_value *value);
struct kg_object *kg_object_ref(const struct kg_object *obj);
void kg_object_unref(struct kg_object *obj);

static inline const struct kg_value *kg_obj(const struct kg_object *obj)
{
	return kg_doc_value(obj->doc);
}
/* One member of its metadata, spec or status. */
static inline const struct kg_value *kg_meta(const struct kg_object *obj, const char *key)
{
	return kg_get(kg_get(kg_obj(obj), "metadata"), key);
}
static inline const struct kg_value *kg_spec(const struct kg_object *obj, const char *key)
{
	return kg_get(kg_get(kg_obj(obj), "spec"), key);
}
static inline const struct kg_value *kg_status(const struct kg_object *obj, const char *key)
{
	return kg_get(kg_get(kg_obj(obj), "status"), key);
}
/* Short cuts; borrowed, "" where absent. */
const char *kg_object_uid(const struct kg_object *obj);
kg_time kg_object_created(const struct kg_object *obj);
static inline bool kg_object_deleting(const struct kg_object *obj) /* has a deletionTimestamp */
{
	return obj->flags & KG_OF_DELETING;
}
static inline bool kg_object_ready(const struct kg_object *obj) /* its condition Ready is True */
{
	return obj->flags & KG_OF_READY;
}
static inline bool kg_pod_terminal(const struct kg_object *pod) /* Succeeded or Failed */
{
	return pod->flags & KG_OF_TERMINAL;
}
bool kg_phase_is_terminal(const char *phase); /* a pod's */
/* One condition, or &kg_null; and is it True? */
const struct kg_value *kg_condition(const struct kg_value *status, const char *type);
bool kg_condition_is_true(const struct kg_value *status, const char *type);
static inline const struct kg_value *kg_object_condition(
	const struct kg_object *obj, const char *type)
{
	return kg_condition(kg_get(kg_obj(obj), "status"), type);
}
const char *kg_object_owner_uid(const struct kg_object *obj); /* the controller's; "" */
uint32_t kg_index_hash(const char *what);
/* What it is found by in the index; NULL: it is not in it. */
static inline const char *kg_object_indexed_by(const struct kg_object *obj, enum kg_index index)
{
	switch (index) {
	case KG_INDEX_NODE:
		return obj->kind->id == KG_KIND_POD ? obj->node : NULL;
	case KG_INDEX_OWNER:
		return obj->owner;
	case KG_INDEX_SOURCE:
		return obj->source;
	case KG_INDEX_SERVICE:
		return obj->kind->id == KG_KIND_ENDPOINTSLICE ? obj->service : NULL;
	default:
		return obj->template_id[0] ? obj->template_id : NULL;
	}
}

#define KG_MAX_REPLICAS 100000 /* of one Deployment or ReplicaSet */
#define KG_MAX_WAYS_IN  1024   /* to one Service: its externalIPs times its ports */
/* How many pods such a manifest asks for. */
int64_t kg_pods_desired(const struct kg_kind *kind, const struct kg_value *v);

/* The whole API object with resourceVersion, as JSON. */
void kg_object_write_json(struct kg_buf *out, const struct kg_object *obj);
/* The value with metadata.resourceVersion set. */
struct kg_value kg_object_value(struct kg_arena *a, const struct kg_object *obj);

/* The same for logs, diffs and whatever else people are shown beside the object itself: what lies
 * in a KG_FF_SECRET is "<redacted>" (its keys stay), and annotations that copy the object are left
 * out. */
struct kg_value kg_object_shown(struct kg_arena *a, const struct kg_object *obj);

/* Label selectors (metav1.LabelSelector, or a plain map as in Services) against labels. */
bool kg_selector_matches(const struct kg_value *label_selector, const struct kg_value *labels);
/* Is one of a selector's matchExpressions (In, NotIn, Exists, DoesNotExist; another is true of
 * nothing) true of its label's value; NULL: there is no such label. */
bool kg_requirement_matches(const struct kg_value *requirement, const char *value);
bool kg_labels_match_map(const struct kg_value *map, const struct kg_value *labels);

/* An init container that runs on beside the others. */
bool kg_container_is_sidecar(const struct kg_value *init_container);
/* A volumeMount's mountPropagation; what comes later gives more. */
enum kg_propagation {
	KG_PROPAGATION_NONE,
	KG_PROPAGATION_IN,   /* HostToContainer */
	KG_PROPAGATION_BOTH, /* Bidirectional */
};
enum kg_propagation kg_mount_propagation(const struct kg_value *mount);
/* The number of a pod's container port of this name and protocol; 0: it has none. */
int64_t kg_pod_named_port(const struct kg_value *pod, const char *name, const char *protocol);

#endif
