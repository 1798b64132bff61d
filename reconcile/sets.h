/* Sets of keys by a name: what the state finds things by. A set that is empty is not there. */
#ifndef KG_RECONCILE_SETS_H
#define KG_RECONCILE_SETS_H

#include "base/map.h"

struct kg_sets {
	struct kg_map by_name; /* -> struct kg_map of the members, owned */
};

void kg_sets_add(struct kg_sets *s, const char *name, const char *member);
void kg_sets_remove(struct kg_sets *s, const char *name, const char *member);
/* The members of a set, as keys; NULL: it is empty. Borrowed until the set changes. */
const struct kg_map *kg_sets_get(const struct kg_sets *s, const char *name);
void kg_sets_release(struct kg_sets *s);

#endif
