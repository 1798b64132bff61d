/*
 * Joining: an object from its records and its base (its manifest in the desired tree, or its
 * template). Bases are made once and shared by the objects that use them, also across revisions.
 * Thread-safe.
 */
#ifndef KG_STORE_RESOLVE_H
#define KG_STORE_RESOLVE_H

#include "kinds/record.h"
#include "store/fan.h"
#include "store/view.h"

struct kg_bases;
struct kg_bases *kg_bases_new(void);
void kg_bases_free(struct kg_bases *b);

struct kg_resolve {
	const struct kg_view *view;
	const struct kg_reader *reader;
	struct kg_bases *bases;
	const struct kg_fan *observed; /* the observed tree in memory; NULL: read from the view */
};
/* The object whose decided record is that blob. KG_E_CORRUPT where its base is not there. */
int kg_resolve_object(struct kg_object **out, const struct kg_resolve *r,
	const struct kg_kind *kind, const char *ns, const char *name,
	const unsigned char decided[20], struct kg_error *err);
/* The same by name; *out is NULL where the view has no such object. */
int kg_resolve_by_name(struct kg_object **out, const struct kg_resolve *r,
	const struct kg_kind *kind, const char *ns, const char *name, struct kg_error *err);

/* The path of a record: up to three parts into path[], text into buf. Returns how many. */
#define KG_RECORD_NAME_MAX 300
size_t kg_decided_path(const char *path[3], char buf[KG_RECORD_NAME_MAX],
	const struct kg_kind *kind, const char *ns, const char *name);
size_t kg_observed_path(const char *path[3], char buf[KG_RECORD_NAME_MAX], const char *node,
	const char *ns, const char *name);
/* The kind whose records lie in decided/RESOURCE; NULL where there is none. */
const struct kg_kind *kg_kind_of_resource(const char *resource);

#endif
