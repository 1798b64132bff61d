/*
 * What a commit's changes mean, as a plan: for people (lines), for programs (JSON) and for holding
 * one against another (an id). Pure; the same in kgitd and in `kgit diff`.
 */
#ifndef KG_RECONCILE_PLAN_H
#define KG_RECONCILE_PLAN_H

#include "kinds/snapshot.h"

/* The words of a push's answer, `kgit diff` and the commit message: one line a change ("created
 * Deployment default/web", "bound Pod default/web-x to node-1"), from a txn's net changes. */
struct kg_plan_options {
	size_t max_lines; /* further ones are counted; 0: no bound */
	const char *prefix;
};
void kg_plan_write(
	struct kg_buf *out, const struct kg_changes *changes, const struct kg_plan_options *opts);

#define KG_PLAN_ID_LEN 16
/*
 * 16 hex digits over what the changes do: objects, operations, what they are to be and on which
 * nodes, sorted; no times, uids, revisions, addresses or statuses. Names that come of a uid count
 * by their owner's, so that a plan made at one revision is the same at the next one, if nothing
 * moved that matters. Changes of status alone have the id of no change.
 */
void kg_plan_id(char out[KG_PLAN_ID_LEN + 1], const struct kg_changes *changes);
bool kg_plan_id_ok(const char *text);

/* {"plan": ID, "changes": [{"operation", "kind", "namespace", "name", "node", "reason", "from",
 * "to"}, ...]}; operations are create, change, scale, bind, stop (a pod with its grace) and delete;
 * reason says why a pod stays pending. */
struct kg_value kg_plan_value(struct kg_arena *a, const struct kg_changes *changes);

#endif
