/* Objects that are there without anybody's writing them: of every namespace the ServiceAccount
 * default and the ConfigMap kube-root-ca.crt, of the namespace default the Service kubernetes,
 * its slice and Endpoints. A stored object of that name takes the place of one. */
#ifndef KG_API_IMPLICIT_H
#define KG_API_IMPLICIT_H

#include "kinds/snapshot.h"

struct kg_api;
struct feed_entry;

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
/* What a commit is for the kind: e is what it is for stored objects (NULL: nothing; taken over),
 * and so is the result. after: its snapshot, where it is at hand. */
struct feed_entry *kg_api_implicit_entry(struct kg_api *api, const struct kg_kind *kind,
	uint64_t revision, const struct kg_changes *changes, const struct kg_snapshot *after,
	struct feed_entry *e);
/* Would that, of a commit that is not the newest, load a snapshot: of a commit that changes
 * namespaces, that makes or removes some before the master was told what it is, that tells the
 * latter, or in which an object takes a place or leaves it. */
bool kg_api_implicit_loads(struct kg_api *api, uint64_t revision, const struct kg_changes *changes);

#endif
