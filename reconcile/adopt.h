/*
 * Adoption, by the rules of Kubernetes' ControllerRefManager: what nobody owns and a controller's
 * selector matches becomes the controller's (a Deployment's ReplicaSets, the others' Pods). What a
 * manifest defines is main's and never adopted: scaled away it would stand in main still.
 */
#ifndef KG_RECONCILE_ADOPT_H
#define KG_RECONCILE_ADOPT_H

#include "reconcile/internal.h"

/* More than the selector asks of what is adopted; NULL: nothing. */
typedef bool kg_adopt_fits_fn(const struct kg_object *owner, const struct kg_object *obj);

/* The owner's orphans become its own, each with the finalizer (NULL: none). First in a run. */
void kg_adopt(struct kg_run *r, const struct kg_object *owner, kg_adopt_fits_fn *fits,
	const char *finalizer);
/* What the owner controls and its selector matches no more is let go of. */
void kg_adopt_release(struct kg_run *r, const struct kg_object *owner);

/* Does the selector of a controller match these labels; false where the kind has none. */
bool kg_adopt_selects(
	const struct kg_kind *kind, const struct kg_value *owner, const struct kg_value *labels);
/* The kinds whose selectors adopt Pods; ends with KG_KIND_COUNT. */
extern const enum kg_kind_id kg_adopt_kinds[];

/* The state follows: which objects have no owner. */
void kg_adopt_track(struct kg_reconcile_state *st, const struct kg_object *before,
	const struct kg_object *after);
/* An object lost its owner: whoever selects it is run. */
void kg_adopt_concerns(
	struct kg_run *r, const struct kg_object *before, const struct kg_object *after);

#endif
