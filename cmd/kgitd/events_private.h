/*
 * What is told of one change of an object, in the words of Kubernetes' components: a pure function
 * of the change and, where it is at hand, of the state after it.
 */
#ifndef KGITD_EVENTS_PRIVATE_H
#define KGITD_EVENTS_PRIVATE_H

#include "api/api.h"
#include "kinds/snapshot.h"

struct kgd_teller {
	/* Called for each Event; its texts live as long as the call. */
	void (*emit)(void *ctx, const struct kg_api_event *event);
	void *ctx;
	const struct kg_snapshot *snapshot; /* after the commit; NULL: of a revision read back */
	kg_time time;                       /* of the commit */
	uint32_t nth;      /* of its changes that are told: 0 where a commit begins */
	uint32_t place;    /* of the next Event of that change: it goes by the change alone */
	struct kg_arena a; /* to be released after the last */
};
void kgd_tell_change(struct kgd_teller *t, const struct kg_change *c);

/* ---- between the files that tell ---- */

/* Whom an Event is about. */
struct kgd_who {
	const struct kg_kind *kind; /* NULL: nobody */
	const char *ns, *name, *uid;
};
struct kgd_what {
	const char *type, *reason, *component, *host, *field;
};
void kgd_tell_of(struct kgd_teller *t, const struct kgd_who *who, const struct kgd_what *w,
	const char *message);
void kgd_tell(struct kgd_teller *t, const struct kg_object *obj, const struct kgd_what *w,
	const char *message);
/* Of an object that may be NULL: kg_null and "" then. */
const struct kg_value *kgd_at(const struct kg_object *obj, const char *path);
const char *kgd_text_at(const struct kg_object *obj, const char *path);
const struct kg_value *kgd_condition(const struct kg_object *obj, const char *type);
/* The controlling owner, where it is of that kind and, as far as can be seen, still what it was. */
struct kgd_who kgd_owner(struct kgd_teller *t, const struct kg_object *obj, enum kg_kind_id kind);
/* The owner that made a pod, and its controller. */
struct kgd_who kgd_maker(struct kgd_teller *t, const struct kg_object *pod, const char **component);
/* Did the condition come to be true with the change. */
bool kgd_came_true(const struct kg_object *before, const struct kg_object *after, const char *type);

/* events_pod.c */
void kgd_tell_pod(
	struct kgd_teller *t, const struct kg_object *before, const struct kg_object *after);
/* events_storage.c */
void kgd_tell_claim(
	struct kgd_teller *t, const struct kg_object *before, const struct kg_object *after);
/* events_batch.c */
void kgd_tell_job(
	struct kgd_teller *t, const struct kg_object *before, const struct kg_object *after);
void kgd_tell_cronjob(
	struct kgd_teller *t, const struct kg_object *before, const struct kg_object *after);

#endif
