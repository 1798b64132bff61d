/*
 * PersistentVolumes: which one a claim gets, and what becomes of one whose claim is gone. One that
 * kgit made and that is to be deleted stays until its node says that the directory is gone.
 */
#include "reconcile/volume.h"
#include "reconcile/belong.h"
#include "reconcile/scheduler.h"

#include <stdio.h>
#include <string.h>

static const char *text_at(const struct kg_object *obj, const char *path)
{
	return kg_string(kg_at(kg_obj(obj), path), "");
}

const struct kg_object *kg_volume_claim(const struct kg_snapshot *s, const struct kg_object *pv)
{
	const struct kg_object *claim = kg_snapshot_get(s, KG_KIND_PERSISTENTVOLUMECLAIM,
		text_at(pv, "spec.claimRef.namespace"), text_at(pv, "spec.claimRef.name"));
	return claim && strcmp(kg_object_uid(claim), text_at(pv, "spec.claimRef.uid")) == 0 ? claim
											    : NULL;
}

bool kg_volume_is_for(const struct kg_object *pv, const struct kg_object *claim)
{
	const char *uid = text_at(pv, "spec.claimRef.uid");
	return strcmp(text_at(pv, "spec.claimRef.name"), claim->name) == 0 &&
	       strcmp(text_at(pv, "spec.claimRef.namespace"), claim->ns) == 0 &&
	       (!*uid || strcmp(uid, kg_object_uid(claim)) == 0);
}

/* ---- matching ---- */

static int64_t size_of(const struct kg_value *v)
{
	int64_t n = 0;
	if (v->type == KG_INT)
		return v->i;
	return kg_quantity_value(&n, kg_string(v, "0")) < 0 ? 0 : n;
}

static bool has_modes(const struct kg_value *have, const struct kg_value *want)
{
	for (uint32_t i = 0; i < kg_len(want); i++) {
		bool found = false;
		for (uint32_t k = 0; k < kg_len(have) && !found; k++)
			found = kg_equal(&have->items[k], &want->items[i]);
		if (!found)
			return false;
	}
	return true;
}

static bool reaches(const struct kg_object *pv, const struct kg_node_info *node)
{
	const struct kg_value *required = kg_at(kg_obj(pv), "spec.nodeAffinity.required");
	const struct kg_value *terms = kg_get(required, "nodeSelectorTerms");
	if (!node || kg_is_null(required))
		return true;
	for (uint32_t i = 0; i < kg_len(terms); i++)
		if (kg_node_selector_matches(&terms->items[i], node))
			return true;
	return false;
}

bool kg_volume_fits(const struct kg_object *pv, const struct kg_object *claim)
{
	const struct kg_value *v = kg_get(kg_obj(pv), "spec");
	const struct kg_value *c = kg_get(kg_obj(claim), "spec");
	const struct kg_value *selector = kg_get(c, "selector");
	if (kg_object_deleting(pv) ||
		(!kg_is_null(kg_get(v, "claimRef")) && !kg_volume_is_for(pv, claim)))
		return false;
	return strcmp(kg_string(kg_get(v, "storageClassName"), ""),
		       kg_string(kg_get(c, "storageClassName"), "")) == 0 &&
	       strcmp(kg_string(kg_get(v, "volumeMode"), "Filesystem"),
		       kg_string(kg_get(c, "volumeMode"), "Filesystem")) == 0 &&
	       has_modes(kg_get(v, "accessModes"), kg_get(c, "accessModes")) &&
	       size_of(kg_at(v, "capacity.storage")) >=
		       size_of(kg_at(c, "resources.requests.storage")) &&
	       (kg_is_null(selector) ||
		       kg_selector_matches(selector, kg_at(kg_obj(pv), "metadata.labels")));
}

static void shelf_of(char out[600], const struct kg_object *pv)
{
	const struct kg_value *ref = kg_at(kg_obj(pv), "spec.claimRef");
	if (kg_is_null(ref))
		snprintf(out, 600, "c %s", text_at(pv, "spec.storageClassName"));
	else
		snprintf(out, 600, "k %s/%s", kg_string(kg_get(ref, "namespace"), ""),
			kg_string(kg_get(ref, "name"), ""));
}

void kg_volume_track(struct kg_reconcile_state *st, const struct kg_object *before,
	const struct kg_object *after)
{
	char was[600], is[600];
	if (before)
		shelf_of(was, before);
	if (after)
		shelf_of(is, after);
	if (before && after && strcmp(was, is) == 0)
		return;
	if (before)
		kg_sets_remove(&st->volumes, was, before->key);
	if (after)
		kg_sets_add(&st->volumes, is, after->key);
}

/* The smallest of a shelf that fits; of equals the first by name. */
static const struct kg_object *smallest(struct kg_run *r, const char *shelf,
	const struct kg_object *claim, const struct kg_node_info *node)
{
	const struct kg_map *keys = kg_sets_get(&r->st->volumes, shelf);
	const struct kg_object *best = NULL;
	struct kg_map_entry *e;
	int64_t best_size = 0;
	for (size_t i = 0; keys && (e = kg_map_next(keys, &i));) {
		const struct kg_object *pv =
			kg_snapshot_get_key(kg_now(r), KG_KIND_PERSISTENTVOLUME, e->key);
		if (!pv || !kg_volume_fits(pv, claim) || !reaches(pv, node))
			continue;
		int64_t size = size_of(kg_at(kg_obj(pv), "spec.capacity.storage"));
		if (best &&
			(size > best_size || (size == best_size && strcmp(pv->key, best->key) > 0)))
			continue;
		best = pv;
		best_size = size;
	}
	return best;
}

/* One that is kept for the claim, else the smallest. */
const struct kg_object *kg_volume_match(
	struct kg_run *r, const struct kg_object *claim, const struct kg_node_info *node)
{
	char shelf[600];
	snprintf(shelf, sizeof(shelf), "k %s", claim->key);
	const struct kg_object *kept = smallest(r, shelf, claim, node);
	snprintf(shelf, sizeof(shelf), "c %s", text_at(claim, "spec.storageClassName"));
	return kept ? kept : smallest(r, shelf, claim, node);
}

/* ---- phases ---- */

static struct kg_value with_phase(struct kg_run *r, const struct kg_value *v, const char *phase,
	const char *reason, const char *message)
{
	struct kg_arena *a = &r->a;
	const struct kg_value *old = kg_get(v, "status");
	bool same = strcmp(kg_string(kg_get(old, "phase"), ""), phase) == 0;
	const struct kg_value *since = kg_get(old, "lastPhaseTransitionTime");
	struct kg_value st = kg_v_obj(a, "phase", kg_v_lit(phase), "reason", kg_v_str(a, reason),
		"message", kg_v_str(a, message), "lastPhaseTransitionTime",
		same && !kg_is_null(since) ? *since : kg_now_value(r), (char *)NULL);
	return kg_with_key(a, v, "status", st);
}

static void put_phase(struct kg_run *r, const struct kg_object *pv, const char *phase,
	const char *reason, const char *message)
{
	struct kg_value v = with_phase(r, kg_obj(pv), phase, reason, message);
	kg_put_value(r, pv, &v);
}

/* Its claim is gone. */
static void release(struct kg_run *r, const struct kg_object *pv)
{
	const char *policy = text_at(pv, "spec.persistentVolumeReclaimPolicy");
	const char *node = kg_annotation(pv, KG_PROVISIONED_NODE, "");
	if (strcmp(policy, "Delete") != 0) {
		put_phase(r, pv, "Released", NULL, NULL);
	} else if (!kg_volume_is_ours(pv)) {
		put_phase(r, pv, "Failed", "VolumeFailedDelete",
			kg_arena_printf(&r->a,
				"error getting deleter volume plugin for volume \"%s\": no "
				"deletable volume plugin matched",
				pv->name));
	} else if (!kg_snapshot_get(kg_now(r), KG_KIND_NODE, "", node)) {
		kg_delete_object(r, pv); /* nobody is left who could say so */
	} else if (!kg_object_deleting(pv)) {
		struct kg_value v = with_phase(r, kg_obj(pv), "Released", NULL, NULL);
		v = kg_with(&r->a, &v, "metadata.deletionTimestamp", kg_now_value(r));
		kg_put_value(r, pv, &v);
	}
}

void kg_volume_run(struct kg_run *r, const char *key)
{
	const struct kg_object *pv = kg_snapshot_get_key(kg_now(r), KG_KIND_PERSISTENTVOLUME, key);
	if (!pv)
		return;
	bool bound = *text_at(pv, "spec.claimRef.uid");
	const struct kg_object *claim = bound ? kg_volume_claim(kg_now(r), pv) : NULL;
	if (!claim && kg_object_deleting(pv) && !kg_volume_is_ours(pv))
		kg_end_object(r, pv); /* its manifest is gone, and now its claim */
	else if (claim)
		put_phase(r, pv, "Bound", NULL, NULL);
	else if (bound)
		release(r, pv);
	else
		put_phase(r, pv, "Available", NULL, NULL);
}

void kg_volume_undefine(struct kg_run *r, const struct kg_object *pv)
{
	if (!kg_volume_claim(kg_now(r), pv)) {
		kg_delete_object(r, pv);
		return;
	}
	struct kg_value v = *kg_obj(pv);
	if (!kg_object_deleting(pv))
		v = kg_with(&r->a, &v, "metadata.deletionTimestamp", kg_now_value(r));
	struct kg_object_spec spec = {.kind = pv->kind, .ns = "", .name = pv->name, .value = &v};
	kg_txn_put(r->txn, kg_object_new(&spec));
}

void kg_volume_report(struct kg_run *r, const struct kg_input_pod_status *in)
{
	const struct kg_object *pv =
		kg_snapshot_get(kg_now(r), KG_KIND_PERSISTENTVOLUME, "", in->name);
	if (pv && in->gone && kg_object_deleting(pv) && kg_volume_is_ours(pv) &&
		strcmp(kg_object_uid(pv), in->uid) == 0 &&
		strcmp(kg_annotation(pv, KG_PROVISIONED_NODE, ""), in->node) == 0)
		kg_delete_object(r, pv);
}
