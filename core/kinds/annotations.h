/*
 * kgit's own annotations, each by its one name: whoever sets or reads one takes it from here, and
 * by the same lists a manifest is judged, since a slip in one would be ignored silently. Texts:
 * they are stored.
 */
#ifndef KG_KINDS_ANNOTATIONS_H
#define KG_KINDS_ANNOTATIONS_H

/* That a manifest may set, and what to. */
#define KG_MANIFEST_ANNOTATIONS(X)                                                                 \
	/* What becomes of what an owner owns when main defines it no more. */                     \
	X(KG_DELETION_ANNOTATION, "kgit/deletion", "background", "foreground", "orphan")           \
	/* A ConfigMap or Secret that changes rolls the pods. */                                   \
	X(KG_ROLL_ANNOTATION, "kgit/roll-on-config-change", "true", "false")

/* That the system sets; a manifest may hold them, as what was exported does. */
#define KG_SYSTEM_ANNOTATIONS(X)                                                                   \
	/* A Job's failures in a row and the time of the last; and those of indexes that wait to   \
	 * be tried again. */                                                                      \
	X(KG_BACKOFF_ANNOTATION, "kgit/backoff")                                                   \
	X(KG_INDEX_FAILURES_ANNOTATION, "kgit/index-failures")                                     \
	/* Of the ConfigMaps and Secrets that a template names, where their change rolls it. */    \
	X(KG_DIGEST_ANNOTATION, "kgit/config-digest")                                              \
	/* How many pods an owner ever made: the counter that pod names are hashed from. */        \
	X(KG_CREATED_ANNOTATION, "kgit/pods-created")                                              \
	/* The last time of a CronJob's schedule at which no Job was made, and why:                \
	 * "TIME REASON MESSAGE", as the event says it. */                                         \
	X(KG_SKIPPED_ANNOTATION, "kgit/skipped")                                                   \
	/* The rule of a CronJob's time zone, as it was when the CronJob was last defined. */      \
	X(KG_ZONE_ANNOTATION, "kgit/time-zone")                                                    \
	/* On a Service's first slice, where it has several: how many they are. So the newest of   \
	 * their revisions is that of what they say together (Endpoints), also where one went. */  \
	X(KG_SLICES_ANNOTATION, "kgit/slices")

#define KG_ANNOTATION_NAME(id, key, ...) extern const char id[]; /* kind.c */
KG_MANIFEST_ANNOTATIONS(KG_ANNOTATION_NAME)
KG_SYSTEM_ANNOTATIONS(KG_ANNOTATION_NAME)
#undef KG_ANNOTATION_NAME

#endif
