/*
 * Reading git objects through libgit2, whose errors are translated here. A reader may look into a
 * quarantine (the objects of a push that is not accepted yet) before the repository. Any thread.
 */
#ifndef KG_STORE_ODB_H
#define KG_STORE_ODB_H

#include "base/buf.h"
#include "base/err.h"

#include <git2.h>
#include <stdbool.h>

struct kg_reader {
	git_odb *odb;   /* held */
	git_odb *extra; /* held: a quarantine; or NULL */
	struct kg_shared_odb *shared;
	const struct kg_packset *packs; /* borrowed: asked first where there is one; NULL */
};
void kg_reader_release(struct kg_reader *r);
/* Looks into a directory of objects first; NULL: none. */
int kg_reader_add(struct kg_reader *r, const char *objects_dir, struct kg_error *err);

/*
 * An object database that readers hold while another takes its place: libgit2 never forgets a
 * pack that it has seen, so after packs were put together a fresh one is opened.
 */
struct kg_shared_odb;
struct kg_shared_odb *kg_shared_odb_new(git_odb *odb); /* takes over odb */
void kg_shared_odb_unref(struct kg_shared_odb *o);     /* NULL is fine */
/* A reader that holds it. */
struct kg_reader kg_shared_odb_reader(struct kg_shared_odb *o);

/* The object of that type, or of GIT_OBJECT_ANY (git_odb_object_free it). KG_E_NOT_FOUND: there is
 * none; KG_E_CORRUPT: it is of another type or unreadable. */
int kg_reader_get(git_odb_object **out, const struct kg_reader *r, const unsigned char id[20],
	git_object_t type, struct kg_error *err);
/* How large it is and what, by its head alone: nothing is inflated. */
int kg_reader_size(size_t *size, git_object_t *type, const struct kg_reader *r,
	const unsigned char id[20], struct kg_error *err);
/* Its bytes appended to *out; KG_E_TOO_LARGE above max. */
int kg_reader_blob(struct kg_buf *out, const struct kg_reader *r, const unsigned char id[20],
	size_t max, struct kg_error *err);
/* Appends the object's bytes where the packset has it; false: kg_reader_get has to be asked. */
bool kg_reader_quick(struct kg_buf *out, const struct kg_reader *r, const unsigned char id[20],
	git_object_t type);
bool kg_reader_has(const struct kg_reader *r, const unsigned char id[20]);

void kg_odb_object_freep(git_odb_object **obj);
#define KG_AUTOOBJ KG_CLEANUP(kg_odb_object_freep)

/* Entries of a raw tree, one after the other. */
struct kg_tree_entry {
	unsigned mode; /* as git writes it: 0100644, 040000, ... */
	const char *name;
	const unsigned char *id;
	bool is_dir;
};
/* From *pos on: 1 an entry, 0 the end, KG_E_CORRUPT. */
int kg_tree_next(
	struct kg_tree_entry *e, const void *raw, size_t len, size_t *pos, struct kg_error *err);
/* The entry of that name in a raw tree; false where there is none. */
bool kg_tree_find(struct kg_tree_entry *e, const void *raw, size_t len, const char *name);
/* git's order of entries: directories sort as if their name ended with a slash. */
int kg_tree_name_cmp(const char *a, bool a_dir, const char *b, bool b_dir);

/* git's last error as the text of a failure. */
int kg_git_fail(struct kg_error *err, int git_rc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* libgit2's global state, as this room wants it; once, before anything else of it is used. */
void kg_git_init(void);

#endif
