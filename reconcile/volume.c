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

/* The claim that the volume is bound to, where it is there with the uid that the volume names. */
static const struct kg_object *claim_of(const struct kg_snapshot *s, const struct kg_object *pv)
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
	       kg_amount_whole(kg_at(v, "capacity.storage")) >=
		       kg_amount_whole(kg_at(c, "resources.requests.storage")) &&
	       (kg_is_null(selector) ||
		       kg_selector_matches(selector, kg_at(kg_obj(pv), "metadata.labels")));
}

/* ---- shelves ---- */

/*
 * Volumes lie in one order, each under "SHELF\x01SIZE NAME". The shelf of those that are kept for a
 * claim, or bound to it, is its key, "k NS/NAME"; of those that are free their class, "c CLASS",
 * and once more either the host that they can be reached from alone, "h CLASS\x02HOST", or
 * "f CLASS". So the first of a shelf that fits is the smallest.
 */
enum { SHELF_SIZE = 900 };

static const char *shelf_key(const void *place)
{
	return place;
}

static const struct kg_pmap_ops shelf_ops = {.unref = free, .key = shelf_key};

/* The only host that the volume can be reached from; NULL: there may be others. */
static const char *host_of(const struct kg_object *pv)
{
	const struct kg_value *terms =
		kg_at(kg_obj(pv), "spec.nodeAffinity.required.nodeSelectorTerms");
	const struct kg_value *es =
		kg_len(terms) == 1 ? kg_get(&terms->items[0], "matchExpressions") : &kg_null;
	for (uint32_t i = 0; i < kg_len(es); i++) {
		const struct kg_value *e = &es->items[i], *values = kg_get(e, "values");
		if (strcmp(kg_string(kg_get(e, "key"), ""), KG_HOSTNAME) == 0 &&
			strcmp(kg_string(kg_get(e, "operator"), ""), "In") == 0 &&
			kg_len(values) == 1)
			return kg_string(&values->items[0], NULL);
	}
	return NULL;
}

static void place_at(char out[SHELF_SIZE], const char *shelf, int64_t size, const char *name)
{
	snprintf(
		out, SHELF_SIZE, "%s\x01%019lld %s", shelf, (long long)(size < 0 ? 0 : size), name);
}

/* The places of a volume: one, or two. */
static size_t places_of(char out[2][SHELF_SIZE], const struct kg_object *pv)
{
	const struct kg_value *ref = kg_at(kg_obj(pv), "spec.claimRef");
	const char *class = text_at(pv, "spec.storageClassName"), *host = host_of(pv);
	int64_t size = kg_amount_whole(kg_at(kg_obj(pv), "spec.capacity.storage"));
	char shelf[600];
	if (!kg_is_null(ref)) {
		snprintf(shelf, sizeof(shelf), "k %s/%s", kg_string(kg_get(ref, "namespace"), ""),
			kg_string(kg_get(ref, "name"), ""));
		place_at(out[0], shelf, size, pv->name);
		return 1;
	}
	snprintf(shelf, sizeof(shelf), "c %s", class);
	place_at(out[0], shelf, size, pv->name);
	snprintf(shelf, sizeof(shelf), "%c %s%s%s", host ? 'h' : 'f', class, host ? "\x02" : "",
		host ? host : "");
	place_at(out[1], shelf, size, pv->name);
	return 2;
}

void kg_volume_track(struct kg_reconcile_state *st, const struct kg_object *before,
	const struct kg_object *after)
{
	char was[2][SHELF_SIZE], is[2][SHELF_SIZE];
	size_t nwas = before ? places_of(was, before) : 0, nis = after ? places_of(is, after) : 0;
	bool same = nwas == nis;
	for (size_t i = 0; same && i < nis; i++)
		same = strcmp(was[i], is[i]) == 0;
	if (same)
		return;
	if (!st->volumes.ops)
		kg_pmap_init(&st->volumes, &shelf_ops);
	for (size_t i = 0; i < nwas; i++)
		kg_pmap_remove(&st->volumes, was[i]);
	for (size_t i = 0; i < nis; i++) {
		char *place = kg_strdup(is[i]);
		kg_pmap_put(&st->volumes, place, place);
	}
}

/* The smallest of a shelf that fits; of equals the first by name. */
static const struct kg_object *smallest(struct kg_run *r, const char *shelf,
	const struct kg_object *claim, const struct kg_node_info *node)
{
	const struct kg_object *found = NULL;
	char prefix[SHELF_SIZE], from[SHELF_SIZE];
	struct kg_piter it;
	const char *place;
	if (!r->st->volumes.count)
		return NULL;
	snprintf(prefix, sizeof(prefix), "%s\x01", shelf);
	place_at(from, shelf,
		kg_amount_whole(kg_at(kg_obj(claim), "spec.resources.requests.storage")), "");
	kg_piter_init(&it, &r->st->volumes, prefix, from);
	while (!found && (place = kg_piter_next(&it, NULL))) {
		const struct kg_object *pv = kg_snapshot_get(kg_now(r), KG_KIND_PERSISTENTVOLUME,
			"", strchr(place + strlen(prefix), ' ') + 1);
		r->st->looked++;
		if (pv && kg_volume_fits(pv, claim) && reaches(pv, node))
			found = pv;
	}
	return found;
}

static const struct kg_object *smaller(const struct kg_object *x, const struct kg_object *y)
{
	if (!x || !y)
		return x ? x : y;
	int64_t p = kg_amount_whole(kg_at(kg_obj(x), "spec.capacity.storage"));
	int64_t q = kg_amount_whole(kg_at(kg_obj(y), "spec.capacity.storage"));
	if (p != q)
		return p < q ? x : y;
	return strcmp(x->key, y->key) < 0 ? x : y;
}

/* One that is kept for the claim, else the smallest. */
const struct kg_object *kg_volume_match(
	struct kg_run *r, const struct kg_object *claim, const struct kg_node_info *node)
{
	const char *class = text_at(claim, "spec.storageClassName");
	char shelf[600];
	snprintf(shelf, sizeof(shelf), "k %s", claim->key);
	const struct kg_object *kept = smallest(r, shelf, claim, node);
	if (kept)
		return kept;
	snprintf(shelf, sizeof(shelf), "%c %s", node ? 'f' : 'c', class);
	const struct kg_object *any = smallest(r, shelf, claim, node);
	if (!node)
		return any;
	snprintf(shelf, sizeof(shelf), "h %s\x02%s", class,
		kg_string(kg_get(node->labels, KG_HOSTNAME), ""));
	return smaller(any, smallest(r, shelf, claim, node));
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
	const struct kg_object *claim = bound ? claim_of(kg_now(r), pv) : NULL;
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
	if (!claim_of(kg_now(r), pv)) {
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
