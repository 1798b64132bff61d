/*
 * The node's view: a git commit made by the master for this node, kept in DIR/view.git (so that a
 * node that starts without its master knows what it is to run), and read by difference: the cost
 * of a change is that of what changed. One thread at a time.
 */
#ifndef KG_NODEAGENT_VIEW_H
#define KG_NODEAGENT_VIEW_H

#include "base/err.h"
#include "http/client.h"
#include "value/value.h"

struct kg_view;
/* Opens, or makes, DIR/view.git; one that cannot be read is made anew, empty. */
int kg_view_open(struct kg_view **out, const char *dir, struct kg_error *err);
void kg_view_free(struct kg_view *v);
/* The commit that was pulled last, 40 hex digits; "": none. */
const char *kg_view_commit(const struct kg_view *v);

/*
 * Pulls a commit of the node's view over git's smart protocol; nothing is transferred that the
 * last commit had. commit NULL, or one that the master no longer has: the present one. Nothing
 * where it is here already. What is small is only in memory until kg_view_save: it can be read
 * and applied before it is written.
 */
int kg_view_pull(struct kg_view *v, struct kg_http_client *client, const char *node,
	const char *commit, struct kg_error *err);

/* Writes what was pulled, so that the next kg_view_open finds it. */
int kg_view_save(struct kg_view *v, struct kg_error *err);

/* What differs between the last read and the commit pulled last. */
struct kg_view_diff {
	/* Something of that kind changed; configmaps: of what pods name, of whatever kind. */
	bool node, nodes, pods, configmaps;
	bool all; /* the lists are the whole: every other one is removed */
	struct kg_view_list {
		struct kg_view_item {
			char *key;          /* of a service or policy "NS/NAME" */
			struct kg_doc *doc; /* NULL: removed */
		} * items;
		size_t n, cap;
	} services, policies, peers;
};
void kg_view_diff_release(struct kg_view_diff *d);
/*
 * Reads the commit pulled last. On failure (a file that is not YAML, an object that is missing)
 * nothing is changed and the same difference is read again; KG_E_CORRUPT: the repository itself is
 * broken, kg_view_reset it. KG_E_NOT_FOUND: nothing was ever pulled.
 */
int kg_view_read(struct kg_view *v, struct kg_view_diff *out, struct kg_error *err);
/* Forgets the repository (not what was read): the next pull transfers all. */
int kg_view_reset(struct kg_view *v, struct kg_error *err);

/* ---- what was read ---- */
const struct kg_value *kg_view_node(const struct kg_view *v); /* node.yaml, or null */
/* Every object of pods/, configmaps/, ..., in the order of paths: a heap array of new references.
 */
enum kg_view_kind {
	KG_VIEW_PODS,
	KG_VIEW_CONFIGMAPS,
	KG_VIEW_NODES,
	KG_VIEW_SECRETS,
	KG_VIEW_VOLUMES, /* the PersistentVolumes of claims that pods name */
	KG_VIEW_KINDS
};
struct kg_doc **kg_view_docs(const struct kg_view *v, enum kg_view_kind kind, size_t *n);

#endif
