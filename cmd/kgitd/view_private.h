/*
 * What the files of a view share: its files and their trees, and what is inside of the shared part
 * and of a view. Nobody else includes it. Lists and trees are the caller's; no locks: whoever made
 * a list is alone with it until its view is handed out, and from then on it is never changed.
 */
#ifndef KGITD_VIEW_PRIVATE_H
#define KGITD_VIEW_PRIVATE_H

#include "kgitd/view.h"

/* ---- view_file.c: a file is a path, its blob's id and the object that its bytes are made of ----
 */

struct kgd_view_file {
	char *path;
	unsigned char oid[20];
	bool api_access;       /* of a pod */
	struct kg_object *obj; /* what the bytes are made of; NULL: `text` holds them */
	char *text;
	size_t len;
	struct kgd_text *common; /* what many views have, instead of a text of its own */
};

struct kgd_view_files {
	struct kgd_view_file *items;
	size_t len, cap;
};

/* The path is moved in each of them; the object referenced, the value copied, the text moved. */
void kgd_view_add_value(struct kgd_view_files *l, char *path, const struct kg_value *value);
void kgd_view_add_object(struct kgd_view_files *l, char *path, const struct kg_object *obj);
void kgd_view_add_pod(
	struct kgd_view_files *l, char *path, const struct kg_object *pod, bool api_access);
void kgd_view_add_common(struct kgd_view_files *l, char *path, struct kgd_text *text);
/* By path, as all below want them. */
void kgd_view_sort(struct kgd_view_files *l);
void kgd_view_free_files(struct kgd_view_file *files, size_t n);
/* The bytes of a file, appended. */
void kgd_view_file_text(struct kg_buf *out, const struct kgd_view_file *f);
/* NULL: there is none of that path. */
const struct kgd_view_file *kgd_view_find(
	const struct kgd_view_file *files, size_t n, const char *path);
/* How many files are below "dir/", and the first of them. */
size_t kgd_view_below(const struct kgd_view_file *files, size_t n, const char *dir, size_t *first);

/* ---- view_tree.c: git trees of them ---- */

struct kgd_tree_entry {
	const char *name; /* borrowed, and not ended by a NUL */
	size_t name_len;
	bool dir;
	unsigned char oid[20];
};

struct kgd_tree_entry *kgd_tree_add(
	struct kgd_tree_entry *entries, size_t *n, const char *name, size_t name_len, bool dir);
/* The tree of files[0..n), sorted by path, that share the first `skip` bytes; `more` further
 * entries (of the shared part) are added to it. Every tree goes to the sink (NULL: none does). */
void kgd_tree_of(const struct kgd_view_file *files, size_t n, size_t skip,
	const struct kgd_tree_entry *more, size_t nmore, unsigned char oid[20],
	const struct kgd_object_sink *sink);

/* ---- view_services.c ---- */

/* A service as nodes are told of it; borrows from the snapshot and the arena. */
struct kg_value kgd_service_map(
	struct kg_arena *a, const struct kg_snapshot *s, const struct kg_object *svc);

/* ---- view_shared.c ---- */

struct kgd_shared {
	_Atomic int refs;
	struct kgd_view_file *files;
	size_t nfiles;
	unsigned char services[20], nodes[20]; /* tree ids; zero where there are none */
	char service_cidr[64], pod_cidr[64];
	char *ca_pem; /* or NULL */
};

/* The trees of one of its directories, "nodes/" or "services/"; oid is left alone where it has no
 * files. */
void kgd_shared_tree(const struct kgd_shared *sh, const char *dir, unsigned char oid[20],
	const struct kgd_object_sink *sink);

/* ---- view.c ---- */

void kgd_view_root_tree(
	const struct kgd_view *v, unsigned char oid[20], const struct kgd_object_sink *sink);
void kgd_view_commit_text(struct kg_buf *out, const struct kgd_view *v);

#endif
