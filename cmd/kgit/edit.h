/*
 * Edits without an editor: one object's manifest is found in the working tree and changed in place,
 * committed and pushed as the user. What is refused leaves everything as it was.
 */
#ifndef KGIT_EDIT_H
#define KGIT_EDIT_H

#include "kgit/kgit.h"
#include "kgit/yaml_edit.h"

#define KGIT_EDIT_DEPTH   10
#define KGIT_EDIT_CHANGES 64

struct kgit_change {
	struct kgit_step path[KGIT_EDIT_DEPTH];
	size_t n;
	struct kg_value value;
};
struct kgit_edit {
	const struct kgit_verb *verb;
	struct kgit_object_name object;
	/* The changes that the object, as it is written, needs; from the arena. */
	int (*changes)(struct kgit_change *out, size_t *n, struct kg_arena *a,
		const struct kg_value *object, void *ctx, struct kg_error *err);
	void *ctx;
	char *message; /* the commit's; owned by the caller */
	/* Where no manifest defines the object: the text of a new file, and its path from the top
	 * of the working tree; NULL: that is an error. */
	const char *new_file, *new_text;
	int (*may_make)(void *ctx, struct kg_error *err); /* asked before that; or NULL */
	/* As the common flags say (kgit_edit_flag). */
	struct kgit_push_options push_options;
	bool no_push, dry_run;
};
/* Exit status. */
int kgit_edit_run(struct kgit_edit *e);

/* The long options that every such verb takes; `c` of getopt_long: returns false where it is none
 * of them. */
#define KGIT_EDIT_OPTIONS                                                                          \
	{"no-push", no_argument, NULL, 'P'},                                                       \
	{                                                                                          \
		"dry-run", no_argument, NULL, 'D'                                                  \
	}
bool kgit_edit_flag(struct kgit_edit *e, int c, const char *arg);
#define KGIT_EDIT_USAGE                                                                            \
	"  --dry-run       show the change; commit and push nothing\n"                             \
	"  --no-push       commit only\n"                                                          \
	"  -o OPTION       git push's (-o wait, -o plan=ID)\n"

#endif
