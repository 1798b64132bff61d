/* Where a pod's volumes are: its claims, the volumes that they are bound to, and for claims that
 * are bound only when the pod has a node, where their class can make volumes. */
#include "reconcile/ephemeral.h"
#include "reconcile/scheduler.h"
#include "reconcile/volume.h"
#include "value/json.h"

#include <string.h>

/* allowedTopologies as a node selector; null where the class allows all. */
static struct kg_value allowed(struct kg_arena *a, const struct kg_object *class)
{
	const struct kg_value *topologies = kg_get(kg_obj(class), "allowedTopologies");
	uint32_t n = kg_len(topologies);
	if (!n)
		return kg_v_null();
	struct kg_value *terms = kg_arena_alloc(a, n * sizeof(*terms));
	for (uint32_t i = 0; i < n; i++) {
		const struct kg_value *es = kg_get(&topologies->items[i], "matchLabelExpressions");
		struct kg_value *out = kg_arena_alloc(a, (kg_len(es) + 1) * sizeof(*out));
		for (uint32_t k = 0; k < kg_len(es); k++)
			out[k] = kg_with_key(a, &es->items[k], "operator", kg_v_lit("In"));
		terms[i] = kg_v_obj(
			a, "matchExpressions", kg_v_array(a, out, kg_len(es)), (char *)NULL);
	}
	return kg_v_obj(a, "nodeSelectorTerms", kg_v_array(a, terms, n), (char *)NULL);
}

/* ---- claims that nobody makes volumes for ---- */

/* Volumes that are to be reached from the same nodes. */
struct spot {
	const struct kg_value *required; /* null: any node */
	struct kg_list volumes;
};
struct spots {
	struct spot *v; /* heap, in order of their first volumes */
	size_t n, cap;
	struct kg_map by_place; /* JSON of `required` -> number, from 1 */
};

static void spots_release(struct spots *l)
{
	for (size_t i = 0; i < l->n; i++)
		kg_list_release(&l->v[i].volumes);
	free(l->v);
	kg_map_release(&l->by_place);
}

static void spots_add(struct spots *l, const struct kg_object *pv)
{
	const struct kg_value *required = kg_at(kg_obj(pv), "spec.nodeAffinity.required");
	KG_AUTOBUF struct kg_buf place = KG_BUF_INIT;
	kg_json_write(&place, required);
	size_t i = (size_t)kg_map_get(&l->by_place, kg_buf_str(&place));
	if (!i) {
		KG_GROW(l->v, l->cap, l->n + 1);
		l->v[l->n++] = (struct spot){.required = required};
		i = l->n;
		kg_map_put(&l->by_place, kg_buf_str(&place), (void *)i);
	}
	kg_list_add(&l->v[i - 1].volumes, pv);
}

static int64_t size_at(const struct kg_object *obj, const char *path)
{
	return kg_amount_whole(kg_at(kg_obj(obj), path));
}

/* The smallest of the volumes that fits the claim and is not taken, which it then is. */
static bool take(struct kg_map *taken, const struct spot *spots[2], const struct kg_object *claim)
{
	const struct kg_object *best = NULL;
	for (size_t k = 0; k < 2; k++)
		for (size_t i = 0; spots[k] && i < spots[k]->volumes.n; i++) {
			const struct kg_object *pv = spots[k]->volumes.v[i];
			if (kg_map_has(taken, pv->key) || !kg_volume_fits(pv, claim))
				continue;
			if (!best || size_at(pv, "spec.capacity.storage") <
					     size_at(best, "spec.capacity.storage"))
				best = pv;
		}
	if (best)
		kg_map_put(taken, best->key, taken);
	return best != NULL;
}

static int cmp_request(const void *a, const void *b)
{
	const struct kg_object *x = *(const struct kg_object *const *)a;
	const struct kg_object *y = *(const struct kg_object *const *)b;
	int64_t m = size_at(x, "spec.resources.requests.storage");
	int64_t n = size_at(y, "spec.resources.requests.storage");
	return m != n ? (m < n ? -1 : 1) : strcmp(x->key, y->key);
}

/* Can each of the claims get a volume of its own there, or of those that are anywhere. */
static bool serves(const struct spot *spot, const struct spot *anywhere,
	const struct kg_object **claims, size_t n)
{
	KG_CLEANUP(kg_map_release) struct kg_map taken = KG_MAP_INIT;
	const struct spot *spots[2] = {spot, spot == anywhere ? NULL : anywhere};
	for (size_t i = 0; i < n; i++)
		if (!take(&taken, spots, claims[i]))
			return false;
	return true;
}

/* Where all of a pod's claims of one class can get volumes, each its own; no term where they
 * cannot. (Volumes of one class that are given by different places, of which one lies within the
 * other, are not put together.) */
static struct kg_value free_volumes(
	const struct kg_snapshot *s, struct kg_arena *a, const struct kg_object **claims, size_t n)
{
	KG_CLEANUP(spots_release) struct spots l = {0};
	struct kg_value terms = kg_v_array(a, NULL, 0);
	const struct spot *anywhere = NULL;
	struct kg_object_iter it;
	const struct kg_object *pv;
	qsort(claims, n, sizeof(*claims), cmp_request);
	kg_iter_kind(&it, s, KG_KIND_PERSISTENTVOLUME, NULL, NULL);
	while ((pv = kg_iter_next(&it))) {
		bool fits = false;
		for (size_t i = 0; i < n && !fits; i++)
			fits = kg_volume_fits(pv, claims[i]);
		if (fits)
			spots_add(&l, pv);
	}
	kg_iter_release(&it);
	for (size_t i = 0; i < l.n; i++)
		if (kg_is_null(l.v[i].required))
			anywhere = &l.v[i];
	if (anywhere && serves(anywhere, anywhere, claims, n))
		return kg_v_null();
	for (size_t i = 0; i < l.n; i++) {
		const struct kg_value *more = kg_get(l.v[i].required, "nodeSelectorTerms");
		if (!serves(&l.v[i], anywhere, claims, n))
			continue;
		for (uint32_t k = 0; k < kg_len(more); k++)
			terms = kg_with_item(a, &terms, more->items[k]);
	}
	return kg_v_obj(a, "nodeSelectorTerms", terms, (char *)NULL);
}

/* ---- one claim ---- */

struct look {
	struct kg_pod_class *c;
	struct kg_reconcile_state *st;
	const struct kg_snapshot *s;
	struct kg_arena *a;
};

/* Why the claim of that name is none for the pod's volume; NULL: it is one. */
static const char *refuse_claim(const struct look *l, const struct kg_object *pvc,
	const struct kg_value *volume, const char *name)
{
	const struct kg_object *pod = l->c->pod;
	bool own = kg_volume_is_ephemeral(volume);
	if (!pvc && own)
		return kg_ephemeral_missing(l->st, l->s, l->a, pod, volume, name);
	if (!pvc)
		return kg_arena_printf(l->a, "persistentvolumeclaim \"%s\" not found", name);
	if (kg_object_deleting(pvc))
		return kg_arena_printf(l->a, "persistentvolumeclaim \"%s\" is being deleted", name);
	if (own && !kg_ephemeral_is_of(pvc, pod))
		return kg_arena_printf(l->a, "PVC %s was not created for pod %s (pod is not owner)",
			pvc->key, pod->key);
	return NULL;
}

#define UNBOUND "pod has unbound immediate PersistentVolumeClaims"

/* The volume that a claim names, which it may not have got. */
static const char *named_volume(struct kg_value *out, const struct kg_snapshot *s,
	struct kg_arena *a, const struct kg_object *claim, const char *name)
{
	const struct kg_object *pv = kg_snapshot_get(s, KG_KIND_PERSISTENTVOLUME, "", name);
	if (!pv)
		return kg_arena_printf(a, "persistentvolume \"%s\" not found", name);
	*out = *kg_at(kg_obj(pv), "spec.nodeAffinity.required");
	return strcmp(kg_string(kg_at(kg_obj(claim), "status.phase"), ""), "Pending") == 0 ? UNBOUND
											   : NULL;
}

/* The selector of the place of one claim, that of a volume, into *out (null: anywhere); or why
 * there is none. *waits is the claim where that is a matter of the volumes that are free. */
static const char *place_of(struct kg_value *out, const struct kg_object **waits,
	const struct look *l, const struct kg_value *volume, const char *key)
{
	const struct kg_object *pvc = kg_snapshot_get_key(l->s, KG_KIND_PERSISTENTVOLUMECLAIM, key);
	const char *why = refuse_claim(l, pvc, volume, strchr(key, '/') + 1);
	*out = kg_v_null();
	*waits = NULL;
	if (why)
		return why;
	const struct kg_value *spec = kg_get(kg_obj(pvc), "spec");
	const char *name = kg_string(kg_get(spec, "volumeName"), "");
	if (*name)
		return named_volume(out, l->s, l->a, pvc, name);
	const struct kg_object *class = kg_snapshot_get(
		l->s, KG_KIND_STORAGECLASS, "", kg_string(kg_get(spec, "storageClassName"), ""));
	const char *mode =
		class ? kg_string(kg_get(kg_obj(class), "volumeBindingMode"), "Immediate")
		      : "Immediate";
	if (strcmp(mode, "WaitForFirstConsumer") != 0)
		return UNBOUND;
	l->c->unbound = true;
	/* What nobody makes must be there already. */
	if (strcmp(kg_string(kg_get(kg_obj(class), "provisioner"), ""),
		    "kubernetes.io/no-provisioner") == 0)
		*waits = pvc;
	else
		*out = allowed(l->a, class);
	return NULL;
}

/* ---- all of a pod's ---- */

static bool is_for_one(const struct kg_snapshot *s, const char *key)
{
	const struct kg_object *pvc = kg_snapshot_get_key(s, KG_KIND_PERSISTENTVOLUMECLAIM, key);
	const struct kg_value *modes = pvc ? kg_at(kg_obj(pvc), "spec.accessModes") : &kg_null;
	/* It stands alone: core/kinds/rules_claim.c. */
	return kg_len(modes) == 1 &&
	       strcmp(kg_string(&modes->items[0], ""), "ReadWriteOncePod") == 0;
}

int64_t kg_class_users(const struct kg_pod_class *c, const struct kg_reconcile_state *st,
	const struct kg_snapshot *s)
{
	int64_t n = 0;
	for (size_t i = 0; i < c->nsole; i++) {
		const struct kg_map *keys = kg_sets_get(&st->claimants, c->sole[i]);
		struct kg_map_entry *e;
		for (size_t k = 0; keys && (e = kg_map_next(keys, &k));) {
			const struct kg_object *pod = kg_snapshot_get_key(s, KG_KIND_POD, e->key);
			n += pod && *kg_pod_node(pod) && !kg_pod_terminal(pod);
		}
	}
	return n;
}

int64_t kg_class_uses(const struct kg_pod_class *c, const struct kg_object *pod)
{
	const struct kg_value *volumes = kg_get(kg_get(kg_obj(pod), "spec"), "volumes");
	char key[KG_KEY_SIZE];
	int64_t n = 0;
	for (size_t k = 0; k < c->nsole; k++) {
		bool uses = false;
		for (uint32_t i = 0; i < kg_len(volumes) && !uses; i++)
			uses = kg_claim_key(key, pod, &volumes->items[i]) &&
			       strcmp(key, c->sole[k]) == 0;
		n += uses;
	}
	return n;
}

/* Notes the claim, where it is for one pod. */
static void add_sole(const struct look *l, const char *key)
{
	struct kg_pod_class *c = l->c;
	if (!is_for_one(l->s, key))
		return;
	for (size_t i = 0; i < c->nsole; i++)
		if (strcmp(c->sole[i], key) == 0)
			return;
	c->sole[c->nsole++] = kg_arena_strdup(l->a, key);
}

static const char *class_of(const struct kg_object *claim)
{
	return kg_string(kg_at(kg_obj(claim), "spec.storageClassName"), "");
}

/* Those of one class together, in order of the pod's volumes. */
static size_t add_free(struct kg_value *out, const struct kg_snapshot *s, struct kg_arena *a,
	const struct kg_object **waiting, size_t n)
{
	const struct kg_object **same = kg_arena_alloc(a, (n + 1) * sizeof(*same));
	size_t found = 0;
	for (size_t i = 0; i < n; i++) {
		size_t len = 0;
		bool first = true;
		for (size_t k = 0; k < n; k++) {
			if (strcmp(class_of(waiting[k]), class_of(waiting[i])) != 0)
				continue;
			first &= k >= i;
			same[len++] = waiting[k];
		}
		if (!first)
			continue;
		out[found] = free_volumes(s, a, same, len);
		found += !kg_is_null(&out[found]);
	}
	return found;
}

void kg_class_volumes(struct kg_pod_class *c, struct kg_reconcile_state *st,
	const struct kg_snapshot *s, struct kg_arena *a)
{
	const struct look look = {c, st, s, a};
	const struct kg_value *volumes = kg_get(c->spec, "volumes");
	size_t max = kg_len(volumes) + 1, nwaiting = 0;
	struct kg_value *out = kg_arena_alloc(a, max * sizeof(*out));
	const struct kg_object **waiting = kg_arena_alloc(a, max * sizeof(*waiting));
	c->sole = kg_arena_alloc(a, max * sizeof(*c->sole));
	for (uint32_t i = 0; i < kg_len(volumes) && !c->unclaimed; i++) {
		const struct kg_value *v = &volumes->items[i];
		const struct kg_object *waits;
		bool twice = false;
		char key[KG_KEY_SIZE];
		if (!kg_claim_key(key, c->pod, v))
			continue;
		c->unclaimed = place_of(&out[c->nvolumes], &waits, &look, v, key);
		if (c->unclaimed)
			break;
		add_sole(&look, key);
		for (size_t k = 0; k < nwaiting; k++)
			twice |= waiting[k] == waits;
		if (waits && !twice)
			waiting[nwaiting++] = waits;
		c->nvolumes += !kg_is_null(&out[c->nvolumes]);
	}
	if (!c->unclaimed)
		c->nvolumes += add_free(out + c->nvolumes, s, a, waiting, nwaiting);
	c->volumes = out;
}
