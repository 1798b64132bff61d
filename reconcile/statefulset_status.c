/* What a StatefulSet says of itself, and when its update is complete. */
#include "reconcile/statefulset.h"

#include <string.h>

struct tally {
	int64_t replicas, ready, available, current, updated;
};

static void count(struct kg_stateful_sync *x, struct tally *t, const struct kg_object *pod)
{
	if (!pod)
		return;
	bool ready = kg_stateful_runs(pod); /* as long as it says so, on its way out too */
	t->replicas++;
	t->ready += ready;
	t->available += ready && kg_pod_available(x->r, pod, x->min_ready_ms);
	if (kg_object_deleting(pod))
		return;
	t->current += strcmp(kg_stateful_revision(pod), x->current) == 0;
	t->updated += strcmp(kg_stateful_revision(pod), x->update) == 0;
}

void kg_stateful_put_status(struct kg_stateful_sync *x)
{
	struct kg_arena *a = &x->r->a;
	struct tally t = {0};
	int64_t want = (int64_t)x->n;
	KG_AUTOLIST struct kg_list now = {0}; /* as they are after this sync */
	kg_list_owned(&now, kg_now(x->r), KG_KIND_POD, kg_object_uid(x->set));
	for (size_t i = 0; i < now.n; i++)
		count(x, &t, now.v[i]);
	if (x->rolling && t.updated == want && t.ready == want && t.replicas == want) {
		x->current = x->update;
		t.current = t.updated;
	}
	const struct kg_value *old = kg_get(kg_obj(x->set), "status");
	struct kg_value st = kg_v_obj(a, "observedGeneration", kg_v_int(kg_generation(x->set)),
		"replicas", kg_v_int(t.replicas), "readyReplicas", kg_count_or_null(t.ready),
		"availableReplicas", kg_v_int(t.available), "currentReplicas",
		kg_count_or_null(t.current), "updatedReplicas", kg_count_or_null(t.updated),
		"currentRevision", kg_v_str(a, x->current), "updateRevision",
		kg_v_str(a, x->update), "collisionCount", kg_v_int(x->revisions.collisions),
		"conditions", *kg_get(old, "conditions"), (char *)NULL);
	struct kg_value v = kg_with_key(a, kg_obj(x->set), "status", st);
	kg_put_value(x->r, x->set, &v);
}
