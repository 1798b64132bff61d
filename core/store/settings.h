/*
 * The repository's own settings: .kgit/settings.yaml in main, versioned like the rest.
 *
 *   retention:             how much of the cluster's history is kept; never the user's commits
 *     revisions: 100000    at least the newest so many; older ones are dropped
 *     age: 30d             those that are older are dropped, too; s, m, h, d, or "forever"
 *   allowed_signers:       only commits signed with one of these ssh keys come to main
 *   - ann@example.org ssh-ed25519 AAAA...     (lines of ssh-keygen's file of that name)
 *   ignored_kinds:         kinds whose documents are passed over, with a warning
 *   - ServiceMonitor.monitoring.coreos.com
 *   - "*.cert-manager.io"  all of a group
 *
 * What is not there is as kgitd's flags say. The head is always kept.
 */
#ifndef KG_STORE_SETTINGS_H
#define KG_STORE_SETTINGS_H

#include "kinds/schema.h"
#include "store/store.h"

#define KG_SETTINGS_PATH ".kgit/settings.yaml"

struct kg_settings {
	uint64_t revisions; /* 0: not said */
	int64_t age_ms;     /* 0: not said; INT64_MAX: forever */
	/* A line each, in kg_settings_parse's arena; NULL: nobody is named, or of
	 * kg_store_settings. */
	const char *allowed_signers;
	/* Ends with NULL; likewise. */
	const char *const *ignored_kinds;
};

/* "90s", "30d", "12h30m" or "forever" as milliseconds; -1 where it is none of these, or not above
 * 0. */
int kg_settings_age(int64_t *out, const char *text);

/* Faults of the text are added, with the file's path; what was right is in *out all the same. */
void kg_settings_parse(struct kg_settings *out, struct kg_arena *a, const char *text, size_t len,
	struct kg_fault_list *faults);

/* The same of a directory's file; without one nothing is said. */
int kg_settings_of_dir(struct kg_settings *out, struct kg_arena *a, const char *dir,
	struct kg_fault_list *faults, struct kg_error *err);
/* The text of the file in a commit (hex; "" for none), appended to *out; KG_E_NOT_FOUND where it
 * has no such file. `objects_dir` is a quarantine or NULL. Any thread. */
int kg_store_settings_text(struct kg_buf *out, struct kg_store *store, const char *commit,
	const char *objects_dir, struct kg_error *err);
/* Warns of what else lies in .kgit: a misspelt name would leave settings unsaid. Any thread. */
int kg_store_settings_strays(struct kg_fault_list *faults, struct kg_store *store,
	const char *commit, const char *objects_dir, struct kg_error *err);
/* Those of main as the head has it; a file that was not admitted counts as none. Any thread. */
int kg_store_settings(struct kg_settings *out, struct kg_store *store, struct kg_error *err);

#endif
