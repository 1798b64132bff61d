/* The thread that keeps the repository within bounds, at the lowest priority; and the repository's
 * own settings in a push. */
#ifndef KGITD_COMPACT_H
#define KGITD_COMPACT_H

#include "kinds/schema.h"
#include "store/settings.h"

struct kgd_compact_options {
	struct kg_store *store;
	kg_time head; /* the newest revision's: ages are those by the cluster's clock (clock.h) */
	/* Where .kgit/settings.yaml does not say: so many revisions are kept, and for so long;
	 * INT64_MAX: forever. */
	uint64_t revisions;
	int64_t age_ms;
	int64_t every_ms; /* between two looks at what there is to do */
	int64_t grace_ms; /* what was dropped stays readable so long for who began before */
};
struct kgd_compact;
int kgd_compact_start(
	struct kgd_compact **out, const struct kgd_compact_options *opts, struct kg_error *err);
/* Ends what it is at, and waits for that. NULL is fine. */
void kgd_compact_stop(struct kgd_compact *c);

/* .kgit/settings.yaml of a commit that is being pushed (texts are faults->arena's); its faults are
 * added. Any thread. */
int kgd_check_settings(struct kg_settings *out, struct kg_fault_list *faults,
	struct kg_store *store, const char *commit, const char *quarantine, struct kg_error *err);

#endif
