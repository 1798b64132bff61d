/* Objects that are there without anybody's writing them: of every namespace the ServiceAccount
 * default and the ConfigMap kube-root-ca.crt, of the namespace default the Service kubernetes,
 * its slice and Endpoints. A stored object of that name takes the place of one. */
#ifndef KG_API_IMPLICIT_H
#define KG_API_IMPLICIT_H

#include "kinds/cluster.h"
#include "kinds/snapshot.h"

struct kg_api;
struct feed_entry;

/* The name that the kind's have; NULL: it has none. */
static inline const char *kg_api_implicit_name(enum kg_kind_id kind)
{
	bool everywhere;

	return kg_cluster_made_name(kind, &everywhere);
}
/* Has every namespace one, or `default` alone? */
static inline bool kg_api_implicit_is_everywhere(enum kg_kind_id kind)
{
	bool everywhere;

	return kg_cluster_made_name(kind, &everywhere) && everywhere;
}
/* Is it where one of these is, and does an object that is not one of them take the place? */
bool kg_api_implicit_is_place(enum kg_kind_id kind, const char *ns, const char *name);
bool kg_api_implicit_is_taken(const struct kg_snapshot *s, enum kg_kind_id kind, const char *ns);

/* That of a namespace and of what the master is told to be (NULL: not yet): a reference; NULL. */
struct kg_object *kg_api_implicit_make(
	const struct kg_object *space, const struct kg_object *cluster, const struct kg_kind *kind);
/* Those of the name, or of the namespace, as far as there is one: a reference; NULL. What is stored
 * is not looked at. */
struct kg_object *kg_api_implicit_get(
	const struct kg_snapshot *s, const struct kg_kind *kind, const char *ns, const char *name);
struct kg_object *kg_api_implicit_of(
	const struct kg_snapshot *s, const struct kg_object *space, const struct kg_kind *kind);
/* The namespaces that may have one of that kind, by the order of its keys; heap (NULL: none), the
 * objects are the snapshot's. ns NULL: all. */
const struct kg_object **kg_api_implicit_spaces(
	const struct kg_snapshot *s, const struct kg_kind *kind, const char *ns, size_t *n);
/* How many of those come before the key: a page need not make what earlier ones gave out. */
size_t kg_api_implicit_before(
	const struct kg_object *const *spaces, size_t n, enum kg_kind_id kind, const char *key);
/* How many the kind has that no stored object takes the place of. */
size_t kg_api_implicit_count(const struct kg_snapshot *s, const struct kg_kind *kind);
/* ---- of a commit (implicit_changes.c) ---- */

/* What it is for the kind: e is what it is for stored objects (NULL: nothing; taken over),
 * and so is the result. after: its snapshot, where it is at hand. */
struct feed_entry *kg_api_implicit_entry(struct kg_api *api, const struct kg_kind *kind,
	uint64_t revision, const struct kg_changes *changes, const struct kg_snapshot *after,
	struct feed_entry *e);
/* Would that, of a commit that is not the newest, load a snapshot: of a commit that changes
 * namespaces, that makes or removes some before the master was told what it is, that tells the
 * latter, or in which an object takes a place or leaves it. */
bool kg_api_implicit_loads(struct kg_api *api, uint64_t revision, const struct kg_changes *changes);

#endif
