/*
 * What one change has to tell as Events. Called by events.c alone, for each change of a commit in
 * turn, on the loop or on the thread that tells the history again; texts are the teller's arena's.
 */
#ifndef KGITD_EVENTS_PRIVATE_H
#define KGITD_EVENTS_PRIVATE_H

#include "api/api.h"
#include "kinds/snapshot.h"

struct kgd_teller {
	struct kg_api *api;
	const struct kg_snapshot *snapshot; /* NULL: of a revision read back */
	kg_time time;
	size_t *told; /* of this commit; not more than max are handed on */
	size_t max;
	struct kg_arena a;
};

/* Tells what a change says of its object and of that object's owner. */
void kgd_tell_change(struct kgd_teller *t, const struct kg_change *c);

/* ---- for those who say it ---- */

/* Whom an Event is about; texts are borrowed. */
struct kgd_event_of {
	const struct kg_kind *kind; /* NULL: nobody */
	const char *ns, *name, *uid;
};
struct kgd_event_what {
	const char *type, *reason, *component, *host, *field;
};
void kgd_tell_of(struct kgd_teller *t, const struct kgd_event_of *who,
	const struct kgd_event_what *w, const char *message);
void kgd_tell(struct kgd_teller *t, const struct kg_object *obj, const struct kgd_event_what *w,
	const char *message);
/* The controlling owner, where it is of that kind and, as far as can be seen, still what it was. */
struct kgd_event_of kgd_event_owner(
	struct kgd_teller *t, const struct kg_object *obj, enum kg_kind_id kind);

/* Of what an object says; of NULL, nothing is said: null and "". */
const struct kg_value *kgd_at(const struct kg_object *obj, const char *path);
const char *kgd_text_at(const struct kg_object *obj, const char *path);
const struct kg_value *kgd_condition(const struct kg_object *obj, const char *type);

/* The kinds that own pods, and who speaks for them. */
#define KGD_POD_OWNERS 5
extern const struct kgd_pod_owner {
	enum kg_kind_id kind;
	const char *component;
} kgd_pod_owners[KGD_POD_OWNERS];

/* What is told of a pod, its containers and its owner (events_pod.c). Either may be NULL. */
void kgd_tell_pod(
	struct kgd_teller *t, const struct kg_object *before, const struct kg_object *after);

#endif
