/*
 * What becomes of what an object owns when main defines the object no more. In the background: the
 * object goes at once, and what it owns after it. With the annotation kgit/deletion it is
 * "foreground": it stays, marked, until all that it owns is gone; or "orphan": what it owns stays
 * and is nobody's. The finalizers foregroundDeletion and orphan ask for the same.
 */
#include "reconcile/belong.h"

#include <string.h>

#define FINALIZER "foregroundDeletion"

static const struct {
	enum kg_kind_id kind;
	enum kg_controller c;
} owners[] = {{KG_KIND_REPLICASET, KG_C_REPLICASET},
	{KG_KIND_REPLICATIONCONTROLLER, KG_C_REPLICATIONCONTROLLER}, {KG_KIND_JOB, KG_C_JOB},
	{KG_KIND_DAEMONSET, KG_C_DAEMONSET}, {KG_KIND_STATEFULSET, KG_C_STATEFULSET},
	{KG_KIND_CRONJOB, KG_C_CRONJOB}, {KG_KIND_DEPLOYMENT, KG_C_DEPLOYMENT}};

static bool is_owner(enum kg_kind_id kind)
{
	for (size_t i = 0; i < KG_ARRAY_LEN(owners); i++)
		if (owners[i].kind == kind)
			return true;
	return false;
}

static void list_owned(struct kg_list *l, struct kg_run *r, const struct kg_object *owner)
{
	struct kg_object_iter it;
	const struct kg_object *obj;
	kg_iter_index(&it, kg_now(r), KG_INDEX_OWNER, kg_object_uid(owner));
	while ((obj = kg_iter_next(&it)))
		kg_list_add(l, obj);
	kg_iter_release(&it);
}

/* It stays, marked, and is no longer what a manifest says. */
static void mark(struct kg_run *r, const struct kg_object *obj)
{
	struct kg_arena *a = &r->a;
	if (kg_object_deleting(obj))
		return;
	struct kg_value v = kg_with_deletion(r, kg_obj(obj));
	v = kg_finalizer_add(a, &v, FINALIZER);
	struct kg_object_spec spec = {
		.kind = obj->kind, .ns = obj->ns, .name = obj->name, .value = &v};
	if (obj->template_id[0]) {
		spec.base = obj->base;
		spec.template_id = obj->template_id;
	}
	kg_txn_put(r->txn, kg_object_new(&spec));
}

static void orphan(struct kg_run *r, const struct kg_object *owner)
{
	KG_AUTOLIST struct kg_list l = {0};
	list_owned(&l, r, owner);
	for (size_t i = 0; i < l.n; i++) {
		if (l.v[i]->kind->id == KG_KIND_CONTROLLERREVISION)
			continue; /* of no use to anybody else */
		struct kg_value v =
			kg_with(&r->a, kg_obj(l.v[i]), "metadata.ownerReferences", kg_v_null());
		if (owner->kind->id == KG_KIND_JOB) /* nobody counts its pods any more */
			v = kg_with(&r->a, &v, "metadata.finalizers", kg_v_null());
		kg_put_value(r, l.v[i], &v);
	}
}

void kg_cascade_undefine(struct kg_run *r, const struct kg_object *obj)
{
	const char *how =
		is_owner(obj->kind->id) ? kg_annotation(obj, KG_DELETION_ANNOTATION, "") : "";
	if (is_owner(obj->kind->id) && kg_finalizer_has(obj, "orphan"))
		how = "orphan";
	else if (is_owner(obj->kind->id) && kg_finalizer_has(obj, FINALIZER))
		how = "foreground";
	if (strcmp(how, "foreground") == 0) {
		mark(r, obj);
		return;
	}
	if (strcmp(how, "orphan") == 0)
		orphan(r, obj);
	else if (obj->kind->id == KG_KIND_STATEFULSET)
		kg_stateful_forget_claims(r, obj);
	kg_delete_object(r, obj);
}

/* Nobody counts a Job's pods any more. */
static void let_go(struct kg_run *r, const struct kg_object *pod)
{
	if (kg_job_let_go(pod)) { /* its node let go of it in this very run */
		kg_delete_object(r, pod);
		return;
	}
	struct kg_value v = kg_with(&r->a, kg_obj(pod), "metadata.finalizers", kg_v_null());
	kg_put_value(r, pod, &v);
	pod = kg_snapshot_get(kg_now(r), KG_KIND_POD, pod->ns, pod->name);
	if (pod && !kg_object_deleting(pod))
		kg_pod_delete(r, pod);
}

/* One step of an owner's end: what it owns goes, and then it goes itself. */
static void go_on(struct kg_run *r, struct kg_object *obj)
{
	KG_AUTOLIST struct kg_list l = {0};
	bool left = false;
	list_owned(&l, r, obj);
	for (size_t i = 0; i < l.n; i++) {
		const struct kg_object *o = l.v[i];
		if (o->kind->id == KG_KIND_POD)
			let_go(r, o);
		else if (is_owner(o->kind->id))
			mark(r, o);
		else
			kg_delete_object(r, o);
		left |= kg_snapshot_get_key(kg_now(r), o->kind->id, o->key) != NULL;
	}
	if (left || kg_belong_blocks(r, obj))
		return;
	if (obj->kind->id == KG_KIND_STATEFULSET && !obj->source)
		kg_stateful_forget_claims(r, obj);
	kg_end_object(r, obj);
}

void kg_cascade_enqueue(struct kg_run *r, const struct kg_object *owner)
{
	for (size_t i = 0; i < KG_ARRAY_LEN(owners); i++)
		if (owners[i].kind == owner->kind->id)
			kg_enqueue(r->st, owners[i].c, owner->key);
}

bool kg_cascade_run(struct kg_run *r, const char *key)
{
	for (size_t i = 0; i < KG_ARRAY_LEN(owners); i++) {
		if (owners[i].c != r->c)
			continue;
		const struct kg_object *obj = kg_snapshot_get_key(kg_now(r), owners[i].kind, key);
		if (!obj || !kg_object_deleting(obj))
			return false;
		struct kg_object *held = kg_object_ref(obj);
		if (kg_finalizer_has(held, FINALIZER))
			go_on(r, held);
		else /* held by a finalizer of somebody's: its pods run on */
			kg_end_object(r, held);
		kg_object_unref(held);
		return true;
	}
	return false;
}
