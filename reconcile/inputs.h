/*
 * What came in with a revision, as it is kept with it (inputs.yaml in its tree), so that the
 * revision can be made again from the one before. Pure.
 *
 * Inputs that changed nothing are left out, and so is what the revision itself shows: the status
 * that a node reported of a pod is the one in observed/, unless the text says otherwise; a pod that
 * was being deleted and is gone was reported to be gone, unless the text says otherwise. What a
 * push desires is main's tree; the master's CA and address are in kinds/cluster.h's object. So most
 * revisions have no text at all. All members are optional:
 *
 *   nodes:                     registered; labels and status where the node's own are not those
 *   - {name, labels, status}
 *   liveness:
 *   - {name, ready, since, reason, message}
 *   reports:                   of pods; without a namespace: of PersistentVolumes
 *   - {namespace, name, status, gone}
 *   unreported:                pods whose status, or end, was the system's doing
 *   - NAMESPACE/NAME
 *   evictions:
 *   - {namespace, name, uid}
 *   skipped: true              nothing came in and nothing was run: the number alone was taken
 */
#ifndef KG_RECONCILE_INPUTS_H
#define KG_RECONCILE_INPUTS_H

#include "reconcile/reconcile.h"

/* The inputs of the last run of `state`, which still are in memory, appended to *out; nothing where
 * there is nothing to say. `changes` are those of the run's txn. */
void kg_inputs_write(struct kg_buf *out, const struct kg_reconcile_state *state,
	const struct kg_snapshot *prev, const struct kg_changes *changes);

/*
 * Back from the text (NULL or "": none): what has the same effect. `now` and what is desired are
 * the caller's to fill in. prev and changes are borrowed as long as *out is. *skipped: nothing is
 * to be run. KG_E_CORRUPT where the text is none of ours.
 */
int kg_inputs_read(struct kg_inputs *out, bool *skipped, struct kg_arena *a, const char *text,
	const struct kg_snapshot *prev, const struct kg_changes *changes, struct kg_error *err);

/* The text of a revision that takes a number and changes nothing but the clock. */
#define KG_INPUTS_SKIPPED "skipped: true\n"

#endif
