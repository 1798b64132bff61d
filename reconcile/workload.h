/*
 * Shared by the controllers that make pods or keep revisions of their template: moulds (what all
 * pods of one template share), names, owners, ControllerRevisions, availability.
 */
#ifndef KG_RECONCILE_WORKLOAD_H
#define KG_RECONCILE_WORKLOAD_H

#include "reconcile/internal.h"

/* ---- mould.c ---- */

/* What all pods of one template share: its id and the base that their records are patches of. */
struct kg_mould {
	char id[24];
	struct kg_doc *base;
};
/* id: the template's, where it is known; NULL or "": it is computed. What the
 * running key's namespace and the RuntimeClass give pods is added. */
void kg_mould_make(
	struct kg_mould *m, struct kg_run *r, const struct kg_value *template, const char *id);
void kg_mould_release(struct kg_mould *m);
/* What a new pod of the owner's is, but for its name and birth. generate_name NULL: none. */
struct kg_value kg_mould_pod(struct kg_mould *m, struct kg_run *r, const struct kg_object *owner,
	const char *generate_name);
/* The pod comes to be, where its namespace's LimitRanges, Pod Security and quotas let it: else
 * NULL, and the owner will say why. Borrowed until the next change of the txn. */
const struct kg_object *kg_mould_put(struct kg_mould *m, struct kg_run *r, const char *ns,
	const char *name, const struct kg_value *pod);
/* "STEM-xxxxx": a hash of the owner's uid and the counter, which it moves on; never used twice. */
void kg_pod_name(char out[300], struct kg_run *r, const struct kg_object *owner, const char *stem,
	int64_t *counter);
/* The counter that an owner's record keeps, and the value with it noted. */
int64_t kg_pods_created(const struct kg_object *owner);
struct kg_value kg_with_created(struct kg_run *r, const struct kg_value *v, int64_t created);

/* Ready, and for so long; else, where it is a matter of time alone, the running key is woken. */
bool kg_pod_available(struct kg_run *r, const struct kg_object *pod, int64_t min_ready_ms);
/* An integer of a status that is left out where it is zero. */
struct kg_value kg_count_or_null(int64_t n);
int64_t kg_generation(const struct kg_object *obj);
/* A label of a pod, or dflt. */
const char *kg_label(const struct kg_object *obj, const char *key, const char *dflt);
/* v with one label of its metadata set; text NULL removes it. */
struct kg_value kg_with_label(
	struct kg_arena *a, const struct kg_value *v, const char *key, const char *text);

/* ---- revision.c: the history of a StatefulSet's or DaemonSet's template ---- */

#define KG_HASH_LABEL "controller-revision-hash"

struct kg_revisions {
	struct kg_list all;              /* the owner's, oldest first */
	const struct kg_object *current; /* of the template as it is; in `all` */
	int64_t collisions;
};
/* Finds the revision of the owner's template, or makes it; hash_label is the label that says its
 * hash on the revision itself. */
void kg_revisions_sync(struct kg_revisions *v, struct kg_run *r, const struct kg_object *owner,
	const char *hash_label);
void kg_revisions_release(struct kg_revisions *v);
/* One by its name, or NULL. */
const struct kg_object *kg_revisions_get(const struct kg_revisions *v, const char *name);
/* The pod template that a revision keeps. */
struct kg_value kg_revision_template(struct kg_arena *a, const struct kg_object *revision);
/* Deletes the oldest of those that are not `live` (keys: names) beyond the limit. */
void kg_revisions_forget(
	struct kg_revisions *v, struct kg_run *r, const struct kg_map *live, int64_t limit);

/* ---- configs.c ---- */

/* spec.template; where it rolls so, with a digest of what its pods use. */
struct kg_value kg_owner_template(struct kg_run *r, const struct kg_object *owner);

/* Deletes the found object and returns true where its controlling owner is gone. */
bool kg_reap_orphan(struct kg_run *r, const struct kg_object *obj);

#endif
