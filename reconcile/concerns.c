/* Whom a change concerns: the controllers' keys that must be run after it. */
#include "reconcile/adopt.h"
#include "reconcile/belong.h"
#include "reconcile/summary.h"

#include <string.h>

static void enqueue_owner(struct kg_run *r, const struct kg_object *obj, enum kg_controller c)
{
	const struct kg_value *ref = kg_owner_ref(obj);
	if (kg_is_null(ref))
		return;
	char key[KG_KEY_SIZE];
	kg_make_key(key, obj->ns, kg_string(kg_get(ref, "name"), ""));
	kg_enqueue(r->st, c, key);
}

/* It waits for the last object within to go. */
static void enqueue_namespace(struct kg_run *r, const struct kg_object *obj)
{
	char key[KG_KEY_SIZE];
	kg_make_key(key, "", obj->ns);
	kg_enqueue(r->st, KG_C_NAMESPACE, key);
}

static void enqueue_owned(
	struct kg_run *r, const struct kg_object *owner, enum kg_kind_id kind, enum kg_controller c)
{
	struct kg_object_iter it;
	const struct kg_object *obj;
	kg_iter_index(&it, kg_now(r), KG_INDEX_OWNER, kg_object_uid(owner));
	while ((obj = kg_iter_next(&it)))
		if (obj->kind->id == kind)
			kg_enqueue(r->st, c, obj->key);
	kg_iter_release(&it);
}

/* Written by its own controller at the end of a run that looked at all there is: what else changes
 * it hears of by itself, and a second look would find nothing to do. */
static bool is_own_word(const struct kg_run *r, enum kg_controller c, const char *key)
{
	return r->key && r->c == c && strcmp(r->key, key) == 0;
}

static bool is_new_identity(const struct kg_object *before, const struct kg_object *after)
{
	return before && (!after || strcmp(kg_object_uid(before), kg_object_uid(after)) != 0);
}

/* The same object before and after, and its end has not begun. */
static bool is_same(const struct kg_object *before, const struct kg_object *after)
{
	return before && after && !is_new_identity(before, after) && !kg_object_deleting(before) &&
	       !kg_object_deleting(after);
}

/* The controller of the kind that made the pod. */
static void enqueue_pod_owner(struct kg_run *r, const struct kg_object *pod)
{
	static const struct {
		const char *kind;
		enum kg_controller c;
	} owners[] = {
		{"ReplicaSet", KG_C_REPLICASET},
		{"ReplicationController", KG_C_REPLICATIONCONTROLLER},
		{"Job", KG_C_JOB},
		{"DaemonSet", KG_C_DAEMONSET},
		{"StatefulSet", KG_C_STATEFULSET},
	};
	const char *kind = kg_string(kg_get(kg_owner_ref(pod), "kind"), "");
	for (size_t i = 0; i < KG_ARRAY_LEN(owners); i++)
		if (strcmp(owners[i].kind, kind) == 0)
			enqueue_owner(r, pod, owners[i].c);
}

/* A pod that is gone may have held the name that a StatefulSet waits for. */
static void enqueue_namesake(struct kg_run *r, const struct kg_object *pod)
{
	char key[KG_KEY_SIZE];
	const char *dash = strrchr(pod->key, '-');
	if (!dash || !dash[1] || dash[1 + strspn(dash + 1, "0123456789")] ||
		(size_t)(dash - pod->key) >= sizeof(key))
		return;
	memcpy(key, pod->key, (size_t)(dash - pod->key));
	key[dash - pod->key] = '\0';
	if (kg_snapshot_get_key(kg_now(r), KG_KIND_STATEFULSET, key))
		kg_enqueue(r->st, KG_C_STATEFULSET, key);
}

/* Budgets count what the owners of their pods ask for. */
static void scale_concerns(
	struct kg_run *r, const struct kg_object *before, const struct kg_object *after)
{
	const struct kg_object *obj = after ? after : before;
	const struct kg_value *x = before ? kg_spec(before, "replicas") : &kg_null;
	const struct kg_value *y = after ? kg_spec(after, "replicas") : &kg_null;
	if (!before || !after || !kg_equal(x, y))
		kg_track_budgets(r->st, obj->ns,
			kg_get(kg_get(kg_spec(obj, "template"), "metadata"), "labels"));
}

/* An object that owns pods changed. */
static void owner_concerns(struct kg_run *r, const struct kg_object *before,
	const struct kg_object *after, enum kg_controller c)
{
	kg_enqueue(r->st, c, after ? after->key : before->key);
	if (!is_new_identity(before, after))
		return;
	enqueue_owned(r, before, KG_KIND_POD, KG_C_POD);
	enqueue_owned(r, before, KG_KIND_CONTROLLERREVISION, KG_C_GARBAGE);
}

/* Its status alone: what the controller wrote does not make it look at all nodes once more. */
static bool daemonset_is_same(const struct kg_object *before, const struct kg_object *after)
{
	return is_same(before, after) &&
	       kg_equal(kg_get(kg_obj(before), "spec"), kg_get(kg_obj(after), "spec")) &&
	       kg_rolls_on_config(before) == kg_rolls_on_config(after);
}

static void revision_concerns(
	struct kg_run *r, const struct kg_object *before, const struct kg_object *after)
{
	const struct kg_object *obj = after ? after : before;
	const char *kind = kg_string(kg_get(kg_owner_ref(obj), "kind"), "");
	if (after)
		kg_enqueue(r->st, KG_C_GARBAGE, obj->key);
	if (strcmp(kind, "DaemonSet") == 0)
		enqueue_owner(r, obj, KG_C_DAEMONSET);
	else if (strcmp(kind, "StatefulSet") == 0)
		enqueue_owner(r, obj, KG_C_STATEFULSET);
}

/* ns NULL: of all namespaces. */
static void enqueue_kind(
	struct kg_run *r, enum kg_kind_id kind, const char *ns, enum kg_controller c)
{
	struct kg_object_iter it;
	const struct kg_object *obj;
	kg_iter_kind(&it, kg_now(r), kind, ns, NULL);
	while ((obj = kg_iter_next(&it)))
		kg_enqueue(r->st, c, obj->key);
	kg_iter_release(&it);
}

static void claim_concerns(
	struct kg_run *r, const struct kg_object *before, const struct kg_object *after)
{
	const struct kg_object *obj = after ? after : before;
	char key[KG_KEY_SIZE];
	kg_enqueue(r->st, KG_C_CLAIM, obj->key);
	const char *volume = kg_string(kg_spec(obj, "volumeName"), "");
	kg_make_key(key, "", volume);
	if (*volume)
		kg_enqueue(r->st, KG_C_VOLUME, key);
	if (!after) { /* a namespace waits for its last claim; a pod that waits gets another */
		enqueue_kind(r, KG_KIND_STATEFULSET, obj->ns, KG_C_STATEFULSET);
		enqueue_namespace(r, obj);
	}
}

static void volume_concerns(
	struct kg_run *r, const struct kg_object *before, const struct kg_object *after)
{
	const struct kg_object *obj = after ? after : before;
	const struct kg_value *ref = kg_spec(obj, "claimRef");
	char key[KG_KEY_SIZE];
	kg_enqueue(r->st, KG_C_VOLUME, obj->key);
	kg_make_key(
		key, kg_string(kg_get(ref, "namespace"), ""), kg_string(kg_get(ref, "name"), ""));
	if (!kg_is_null(ref))
		kg_enqueue(r->st, KG_C_CLAIM, key);
	else if (!before || !after ||
		 !kg_equal(kg_get(kg_obj(before), "spec"), kg_get(kg_obj(after), "spec")) ||
		 !kg_equal(kg_meta(before, "labels"), kg_meta(after, "labels")))
		kg_claims_of_volume(r->st, obj);
}

/* A Deployment of the kind Recreate waits for the last pod to end. */
static void enqueue_deployment(struct kg_run *r, const struct kg_object *pod)
{
	const struct kg_object *rs = kg_snapshot_get(kg_now(r), KG_KIND_REPLICASET, pod->ns,
		kg_string(kg_get(kg_owner_ref(pod), "name"), ""));
	if (rs)
		enqueue_owner(r, rs, KG_C_DEPLOYMENT);
}

static void pod_concerns(
	struct kg_run *r, const struct kg_object *before, const struct kg_object *after)
{
	const struct kg_object *obj = after ? after : before;
	if (after)
		kg_enqueue(r->st, KG_C_POD, obj->key);
	kg_adopt_concerns(r, before, after);
	enqueue_pod_owner(r, obj);
	kg_claims_of_pod(r, obj);
	if (!after || (kg_pod_terminal(after) && !(before && kg_pod_terminal(before))))
		enqueue_deployment(r, obj);
	if (after)
		return;
	enqueue_namesake(r, obj);
	enqueue_namespace(r, obj);
}

static void node_concerns(
	struct kg_run *r, const struct kg_object *before, const struct kg_object *after)
{
	const char *name = after ? after->name : before->name;
	kg_enqueue(r->st, KG_C_NODE, after ? after->key : before->key);
	if (!after) /* volumes that only it could remove */
		enqueue_kind(r, KG_KIND_PERSISTENTVOLUME, NULL, KG_C_VOLUME);
	if (r->st->pending.count)
		kg_enqueue(r->st, KG_C_SCHEDULER, "");
	const struct kg_value *x = before ? kg_obj(before) : &kg_null;
	const struct kg_value *y = after ? kg_obj(after) : &kg_null;
	if (!before || !after ||
		!kg_equal(kg_get(kg_get(x, "metadata"), "labels"),
			kg_get(kg_get(y, "metadata"), "labels")) ||
		!kg_equal(kg_at(x, "spec.taints"), kg_at(y, "spec.taints")))
		enqueue_kind(r, KG_KIND_DAEMONSET, NULL, KG_C_DAEMONSET);
	if (!before || !after || kg_object_ready(before) != kg_object_ready(after) ||
		!kg_equal(kg_at(x, "spec.taints"), kg_at(y, "spec.taints")))
		kg_enqueue(r->st, KG_C_NODE, KG_LOST_NODES);
	/* Volumes may be reached from it now that claims of its pods wait for. */
	bool moved = !kg_equal(
		kg_get(kg_get(x, "metadata"), "labels"), kg_get(kg_get(y, "metadata"), "labels"));
	bool told = !kg_equal(kg_condition(kg_get(x, "status"), "Ready"),
			    kg_condition(kg_get(y, "status"), "Ready")) ||
		    !kg_equal(kg_at(x, "spec.taints"), kg_at(y, "spec.taints"));
	if (!moved && !told)
		return;
	struct kg_object_iter it;
	const struct kg_object *pod;
	kg_iter_index(&it, kg_now(r), KG_INDEX_NODE, name);
	while ((pod = kg_iter_next(&it))) {
		if (pod->kind->id != KG_KIND_POD)
			continue;
		if (told)
			kg_enqueue(r->st, KG_C_POD, pod->key);
		if (moved)
			kg_claims_of_pod(r, pod);
	}
	kg_iter_release(&it);
}

static void slice_concerns(struct kg_run *r, const struct kg_object *slice)
{
	char key[KG_KEY_SIZE];
	const char *name = kg_string(kg_get(kg_owner_ref(slice), "name"), NULL);
	if (!name)
		return;
	kg_make_key(key, slice->ns, name);
	if (is_own_word(r, KG_C_SERVICE, key))
		return;
	kg_slices_forget(r->st, key);
	kg_enqueue(r->st, KG_C_SERVICE, key);
}

void kg_concerns(struct kg_run *r, const struct kg_object *before, const struct kg_object *after)
{
	const struct kg_object *obj = after ? after : before;
	bool gone = is_new_identity(before, after);
	kg_belong_concerns(r, before, after);
	if (!after && *obj->ns && kg_object_deleting(obj)) { /* its namespace may wait for it */
		enqueue_namespace(r, obj);
	}
	if (r->st->starved.count)
		kg_starved_concerns(r, before, after);
	if (obj->kind->flags & KG_KF_SCALE)
		scale_concerns(r, before, after);
	switch (obj->kind->id) {
	case KG_KIND_NAMESPACE:
		kg_enqueue(r->st, KG_C_NAMESPACE, obj->key);
		break;
	case KG_KIND_NODE:
		node_concerns(r, before, after);
		break;
	case KG_KIND_POD:
		pod_concerns(r, before, after);
		break;
	case KG_KIND_REPLICASET:
		/* Not one that its run marked for its end, nor its successor. */
		if (!is_same(before, after) || !is_own_word(r, KG_C_REPLICASET, obj->key))
			kg_enqueue(r->st, KG_C_REPLICASET, obj->key);
		kg_adopt_concerns(r, before, after);
		enqueue_owner(r, obj, KG_C_DEPLOYMENT);
		if (gone)
			enqueue_owned(r, before, KG_KIND_POD, KG_C_POD);
		break;
	case KG_KIND_DEPLOYMENT:
		if (!is_same(before, after) || !is_own_word(r, KG_C_DEPLOYMENT, obj->key))
			kg_enqueue(r->st, KG_C_DEPLOYMENT, obj->key);
		if (gone)
			enqueue_owned(r, before, KG_KIND_REPLICASET, KG_C_REPLICASET);
		break;
	case KG_KIND_REPLICATIONCONTROLLER:
		owner_concerns(r, before, after, KG_C_REPLICATIONCONTROLLER);
		break;
	case KG_KIND_DAEMONSET:
		if (!daemonset_is_same(before, after))
			owner_concerns(r, before, after, KG_C_DAEMONSET);
		break;
	case KG_KIND_STATEFULSET:
		owner_concerns(r, before, after, KG_C_STATEFULSET);
		break;
	case KG_KIND_CONTROLLERREVISION:
		revision_concerns(r, before, after);
		break;
	case KG_KIND_JOB:
		owner_concerns(r, before, after, KG_C_JOB);
		enqueue_owner(r, obj, KG_C_CRONJOB);
		break;
	case KG_KIND_CONFIGMAP:
	case KG_KIND_SECRET:
		kg_track_rollers(r->st, obj->ns);
		break;
	case KG_KIND_PODDISRUPTIONBUDGET:
		kg_enqueue(r->st, KG_C_BUDGET, obj->key);
		break;
	case KG_KIND_CRONJOB:
		kg_enqueue(r->st, KG_C_CRONJOB, obj->key);
		if (gone)
			enqueue_owned(r, before, KG_KIND_JOB, KG_C_JOB);
		break;
	case KG_KIND_PERSISTENTVOLUMECLAIM:
		claim_concerns(r, before, after);
		break;
	case KG_KIND_PERSISTENTVOLUME:
		volume_concerns(r, before, after);
		break;
	case KG_KIND_STORAGECLASS:
		enqueue_kind(r, KG_KIND_PERSISTENTVOLUMECLAIM, NULL, KG_C_CLAIM);
		break;
	case KG_KIND_SERVICE:
		kg_slices_forget(r->st, obj->key);
		kg_enqueue(r->st, KG_C_SERVICE, obj->key);
		if (gone)
			enqueue_owned(r, before, KG_KIND_ENDPOINTSLICE, KG_C_GARBAGE);
		break;
	case KG_KIND_ENDPOINTS:
		kg_enqueue(r->st, KG_C_SERVICE, obj->key);
		if (gone)
			enqueue_owned(r, before, KG_KIND_ENDPOINTSLICE, KG_C_GARBAGE);
		break;
	case KG_KIND_ENDPOINTSLICE:
		if (after)
			kg_enqueue(r->st, KG_C_GARBAGE, obj->key);
		slice_concerns(r, obj);
		break;
	default:
		break;
	}
}
