/*
 * PersistentVolumeClaims: each is bound to a volume that fits, at once or, where its class waits
 * for the first consumer, when a pod that uses it has a node; there a volume of the class
 * kgit.dev/local-path is made. A claim that a pod uses stays until the pod is gone.
 */
#include "reconcile/belong.h"
#include "reconcile/ephemeral.h"
#include "reconcile/podpolicy.h"
#include "reconcile/volume.h"

#include <stdio.h>
#include <string.h>

static const char *text_at(const struct kg_object *obj, const char *path)
{
	return kg_string(kg_at(kg_obj(obj), path), "");
}

/* ---- who uses it ---- */

bool kg_claim_key(char key[KG_KEY_SIZE], const struct kg_object *pod, const struct kg_value *volume)
{
	char name[KG_CLAIM_NAME_SIZE];
	if (!kg_volume_claim(name, pod->name, volume))
		return false;
	kg_make_key(key, pod->ns, name);
	return true;
}

static const struct kg_value *volumes_of(const struct kg_object *pod)
{
	return pod ? kg_spec(pod, "volumes") : &kg_null;
}

void kg_claim_track(struct kg_reconcile_state *st, const struct kg_object *before,
	const struct kg_object *after)
{
	const struct kg_value *was = volumes_of(before), *is = volumes_of(after);
	char key[KG_KEY_SIZE];
	if (before && after && kg_equal(was, is))
		return;
	for (uint32_t i = 0; i < kg_len(was); i++)
		if (kg_claim_key(key, before, &was->items[i]))
			kg_sets_remove(&st->claimants, key, before->key);
	for (uint32_t i = 0; i < kg_len(is); i++)
		if (kg_claim_key(key, after, &is->items[i]))
			kg_sets_add(&st->claimants, key, after->key);
}

/* ---- whom a volume concerns ---- */

/* What finds the claim; false: no volume concerns it. */
static bool supply_of(char out[600], const struct kg_object *claim)
{
	const char *volume = text_at(claim, "spec.volumeName");
	if (*volume)
		snprintf(out, 600, "v %s", volume);
	else
		snprintf(out, 600, "c %s", text_at(claim, "spec.storageClassName"));
	return *volume || !kg_object_deleting(claim);
}

void kg_claim_track_volume(struct kg_reconcile_state *st, const struct kg_object *before,
	const struct kg_object *after)
{
	char was[600], is[600];
	bool had = before && supply_of(was, before), has = after && supply_of(is, after);
	if (had && has && strcmp(was, is) == 0)
		return;
	if (had)
		kg_sets_remove(&st->claims, was, before->key);
	if (has)
		kg_sets_add(&st->claims, is, after->key);
}

static void enqueue_claims(struct kg_reconcile_state *st, const char *name)
{
	const struct kg_map *keys = kg_sets_get(&st->claims, name);
	struct kg_map_entry *e;
	for (size_t i = 0; keys && (e = kg_map_next(keys, &i));) {
		kg_enqueue(st, KG_C_CLAIM, e->key);
		st->looked++;
	}
}

void kg_claims_of_volume(struct kg_reconcile_state *st, const struct kg_object *pv)
{
	char name[600];
	snprintf(name, sizeof(name), "v %s", pv->name);
	enqueue_claims(st, name);
	snprintf(name, sizeof(name), "c %s", text_at(pv, "spec.storageClassName"));
	kg_map_put(&st->supplied, name, st);
}

void kg_claims_supply(struct kg_reconcile_state *st)
{
	struct kg_map_entry *e;
	if (!st->supplied.count)
		return;
	for (size_t i = 0; (e = kg_map_next(&st->supplied, &i));)
		enqueue_claims(st, e->key);
	kg_map_clear(&st->supplied);
}

/* ---- binding ---- */

/* The first pod that uses the claim and has a node. */
static const struct kg_object *consumer(struct kg_run *r, const struct kg_object *claim)
{
	const struct kg_map *pods = kg_sets_get(&r->st->claimants, claim->key);
	const struct kg_object *found = NULL;
	struct kg_map_entry *e;
	for (size_t i = 0; pods && (e = kg_map_next(pods, &i));) {
		const struct kg_object *pod = kg_snapshot_get_key(kg_now(r), KG_KIND_POD, e->key);
		if (pod && !kg_pod_terminal(pod) && *kg_pod_node(pod) &&
			(!found || strcmp(pod->key, found->key) < 0))
			found = pod;
	}
	return found;
}

void kg_claims_of_pod(struct kg_run *r, const struct kg_object *pod)
{
	const struct kg_value *volumes = kg_spec(pod, "volumes");
	char key[KG_KEY_SIZE];
	for (uint32_t i = 0; i < kg_len(volumes); i++)
		if (kg_claim_key(key, pod, &volumes->items[i]))
			kg_enqueue(r->st, KG_C_CLAIM, key);
}

void kg_claims_follow(struct kg_run *r, const struct kg_object *pod)
{
	const struct kg_value *volumes = kg_spec(pod, "volumes");
	char key[KG_KEY_SIZE];
	for (uint32_t i = 0; i < kg_len(volumes); i++)
		if (kg_claim_key(key, pod, &volumes->items[i]))
			kg_claim_run(r, key);
}

static void put_status(struct kg_run *r, const struct kg_object *claim, const char *phase,
	const struct kg_object *pv)
{
	struct kg_arena *a = &r->a;
	struct kg_value st = kg_v_obj(a, "phase", kg_v_lit(phase), (char *)NULL);
	struct kg_value v = *kg_obj(claim);
	if (pv) {
		const struct kg_value *spec = kg_get(kg_obj(pv), "spec");
		st = kg_with_key(a, &st, "accessModes", *kg_get(spec, "accessModes"));
		st = kg_with_key(a, &st, "capacity", *kg_get(spec, "capacity"));
		v = kg_with(a, &v, "spec.volumeName", kg_v_str(a, pv->name));
	}
	v = kg_with_key(a, &v, "status", st);
	kg_put_value(r, claim, &v);
}

static struct kg_value reference(struct kg_arena *a, const struct kg_object *claim)
{
	return kg_v_obj(a, "apiVersion", kg_v_lit("v1"), "kind", kg_v_lit("PersistentVolumeClaim"),
		"namespace", kg_v_str(a, claim->ns), "name", kg_v_str(a, claim->name), "uid",
		kg_v_str(a, kg_object_uid(claim)), (char *)NULL);
}

static void bind(struct kg_run *r, struct kg_object *claim, struct kg_object *pv)
{
	struct kg_value v = kg_with(&r->a, kg_obj(pv), "spec.claimRef", reference(&r->a, claim));
	kg_put_value(r, pv, &v);
	put_status(r, claim, "Bound", pv);
}

/* ---- making one ---- */

static const char *place(struct kg_arena *a, const struct kg_object *class, const char *name)
{
	const char *dir = kg_string(kg_get(kg_get(kg_obj(class), "parameters"), "path"), "");
	/* A relative path is below the volumes of the node's state directory. */
	return *dir ? kg_arena_printf(a, "%s/%s", dir, name) : name;
}

static void provision(struct kg_run *r, const struct kg_object *claim,
	const struct kg_object *class, const struct kg_node_info *node)
{
	struct kg_arena *a = &r->a;
	const struct kg_kind *kind = &kg_kinds[KG_KIND_PERSISTENTVOLUME];
	const struct kg_value *want = kg_get(kg_obj(claim), "spec");
	const char *name = kg_arena_printf(a, "pvc-%s", kg_object_uid(claim));
	struct kg_value value = kg_v_str(a, node->name);
	struct kg_value e = kg_v_obj(a, "key", kg_v_lit("metadata.name"), "operator",
		kg_v_lit("In"), "values", kg_v_array(a, &value, 1), (char *)NULL);
	struct kg_value term = kg_v_obj(a, "matchFields", kg_v_array(a, &e, 1), (char *)NULL);
	struct kg_value affinity = kg_v_object(a, NULL, 0);
	affinity = kg_with(a, &affinity, "required.nodeSelectorTerms", kg_v_array(a, &term, 1));
	struct kg_value capacity =
		kg_v_obj(a, "storage", *kg_at(want, "resources.requests.storage"), (char *)NULL);
	struct kg_value spec = kg_v_obj(a, "capacity", capacity, "accessModes",
		*kg_get(want, "accessModes"), "persistentVolumeReclaimPolicy",
		kg_v_str(a, text_at(class, "reclaimPolicy")), "storageClassName",
		kg_v_str(a, class->name), "volumeMode", kg_v_lit("Filesystem"), "claimRef",
		reference(a, claim), "local",
		kg_v_obj(a, "path", kg_v_lit(place(a, class, name)), (char *)NULL), "nodeAffinity",
		affinity, (char *)NULL);
	struct kg_value v =
		kg_v_obj(a, "apiVersion", kg_v_lit("v1"), "kind", kg_v_lit("PersistentVolume"),
			"metadata", kg_v_object(a, NULL, 0), "spec", spec, (char *)NULL);
	v = kg_with_annotation(a, &v, KG_PROVISIONED_BY, KG_LOCAL_PATH);
	v = kg_with_annotation(a, &v, KG_PROVISIONED_NODE, node->name);
	v = kg_finalizer_add(a, &v, "kubernetes.io/pv-protection");
	v = kg_birth(r, kind, "", name, &v);
	struct kg_object_spec os = {.kind = kind, .ns = "", .name = name, .value = &v};
	kg_txn_put(r->txn, kg_object_new(&os));
	put_status(r, claim, "Bound", kg_snapshot_get(kg_now(r), kind->id, "", name));
}

/* ---- the claim ---- */

static void find_one(struct kg_run *r, struct kg_object *claim)
{
	const struct kg_object *class = kg_snapshot_get(
		kg_now(r), KG_KIND_STORAGECLASS, "", text_at(claim, "spec.storageClassName"));
	const struct kg_node_info *node = NULL;
	if (class && strcmp(text_at(class, "volumeBindingMode"), "WaitForFirstConsumer") == 0) {
		const struct kg_object *pod = consumer(r, claim);
		node = pod ? kg_node_info(r->st, kg_pod_node(pod)) : NULL;
		if (!node) {
			put_status(r, claim, "Pending", NULL);
			return;
		}
	}
	const struct kg_object *pv = kg_volume_match(r, claim, node);
	bool ours = class && strcmp(text_at(class, "provisioner"), KG_LOCAL_PATH) == 0 &&
		    strcmp(text_at(claim, "spec.volumeMode"), "Block") != 0 &&
		    kg_is_null(kg_spec(claim, "selector"));
	if (pv) {
		struct kg_object *held = kg_object_ref(pv);
		bind(r, claim, held);
		kg_object_unref(held);
	} else if (node && ours) {
		provision(r, claim, class, node);
	} else {
		put_status(r, claim, "Pending", NULL);
	}
}

/* A directory holds as much as it is said to: it grows with its claim, where the class lets it. */
static const struct kg_object *grown(
	struct kg_run *r, const struct kg_object *claim, const struct kg_object *pv)
{
	const struct kg_object *class = kg_snapshot_get(
		kg_now(r), KG_KIND_STORAGECLASS, "", text_at(claim, "spec.storageClassName"));
	const struct kg_value *want = kg_at(kg_obj(claim), "spec.resources.requests.storage");
	const char *name = kg_arena_strdup(&r->a, pv->name);
	if (!kg_volume_is_ours(pv) || !class ||
		!kg_bool(kg_get(kg_obj(class), "allowVolumeExpansion"), false) ||
		kg_amount_whole(want) <=
			kg_amount_whole(kg_at(kg_obj(pv), "spec.capacity.storage")))
		return pv;
	struct kg_value v = kg_with(&r->a, kg_obj(pv), "spec.capacity.storage", *want);
	kg_put_value(r, pv, &v);
	return kg_snapshot_get(kg_now(r), KG_KIND_PERSISTENTVOLUME, "", name);
}

/* It names its volume. */
static void follow(struct kg_run *r, struct kg_object *claim, const char *name)
{
	bool was_bound = strcmp(text_at(claim, "status.phase"), "Pending") != 0 &&
			 *text_at(claim, "status.phase");
	const struct kg_object *pv = kg_snapshot_get(kg_now(r), KG_KIND_PERSISTENTVOLUME, "", name);
	bool open = pv && kg_is_null(kg_spec(pv, "claimRef")) &&
		    (was_bound || kg_volume_fits(pv, claim));
	if (pv && (open || kg_volume_is_for(pv, claim))) {
		struct kg_object *held = kg_object_ref(grown(r, claim, pv));
		bind(r, claim, held);
		kg_object_unref(held);
	} else {
		put_status(r, claim, was_bound ? "Lost" : "Pending", NULL);
	}
}

void kg_claim_run(struct kg_run *r, const char *key)
{
	const struct kg_object *found =
		kg_snapshot_get_key(kg_now(r), KG_KIND_PERSISTENTVOLUMECLAIM, key);
	if (!found) {
		kg_ephemeral_make(r, key);
		return;
	}
	r->st->looked++;
	struct kg_object *claim = kg_object_ref(found);
	const char *volume = text_at(claim, "spec.volumeName");
	if (kg_object_deleting(claim)) {
		if (!consumer(r, claim))
			kg_end_object(r, claim);
	} else if (!kg_owner_exists(kg_now(r), claim)) {
		kg_claim_undefine(r, claim);
	} else if (*volume) {
		follow(r, claim, volume);
	} else {
		find_one(r, claim);
	}
	kg_object_unref(claim);
}

void kg_claim_undefine(struct kg_run *r, const struct kg_object *claim)
{
	if (!consumer(r, claim)) {
		kg_delete_object(r, claim);
		return;
	}
	struct kg_value v = *kg_obj(claim);
	if (!kg_object_deleting(claim))
		v = kg_with(&r->a, &v, "metadata.deletionTimestamp", kg_now_value(r));
	struct kg_object_spec spec = {
		.kind = claim->kind, .ns = claim->ns, .name = claim->name, .value = &v};
	kg_txn_put(r->txn, kg_object_new(&spec));
}

struct kg_value kg_claim_newborn(
	struct kg_arena *a, const struct kg_snapshot *s, struct kg_value claim)
{
	struct kg_object_iter it;
	const struct kg_object *class, *best = NULL;
	claim = kg_with(a, &claim, "status.phase", kg_v_lit("Pending"));
	claim = kg_finalizer_add(a, &claim, "kubernetes.io/pvc-protection");
	if (!kg_is_null(kg_at(&claim, "spec.storageClassName")))
		return claim;
	/* Of several defaults the newest, then the first by name. */
	kg_iter_kind(&it, s, KG_KIND_STORAGECLASS, NULL, NULL);
	while ((class = kg_iter_next(&it)))
		if (strcmp(kg_annotation(class, "storageclass.kubernetes.io/is-default-class", ""),
			    "true") == 0 &&
			(!best || kg_object_created(class) > kg_object_created(best)))
			best = class;
	kg_iter_release(&it);
	if (best)
		claim = kg_with(a, &claim, "spec.storageClassName", kg_v_str(a, best->name));
	return claim;
}

struct kg_value kg_claim_of_template(struct kg_arena *a, const struct kg_value *template)
{
	const struct kg_value *meta = kg_get(template, "metadata");
	struct kg_value names = kg_v_obj(a, "labels", *kg_get(meta, "labels"), "annotations",
		*kg_get(meta, "annotations"), (char *)NULL);
	return kg_v_obj(a, "apiVersion", kg_v_lit("v1"), "kind", kg_v_lit("PersistentVolumeClaim"),
		"metadata", names, "spec", *kg_get(template, "spec"), (char *)NULL);
}

const char *kg_claim_make(
	struct kg_run *r, const char *ns, const char *name, const struct kg_value *claim)
{
	const struct kg_kind *kind = &kg_kinds[KG_KIND_PERSISTENTVOLUMECLAIM];
	struct kg_value v = kg_birth(r, kind, ns, name, claim);
	v = kg_claim_newborn(&r->a, kg_now(r), v);
	const char *why = kg_claim_forbidden(r->st, kg_now(r), &r->a, ns, name, &v);
	struct kg_object_spec spec = {.kind = kind, .ns = ns, .name = name, .value = &v};
	if (!why)
		kg_txn_put(r->txn, kg_object_new(&spec));
	return why;
}
