/*
 * Between the files of EndpointSlices: a Service's slices as they are about to be.
 */
#ifndef KG_RECONCILE_ENDPOINTSLICE_H
#define KG_RECONCILE_ENDPOINTSLICE_H

#include "kinds/endpoints.h"
#include "reconcile/endpoint.h"

#define KG_SLICE_MAX 100

/* Endpoints whose pods have the same ports. */
struct kg_ends {
	struct kg_value ports;
	struct kg_value *endpoints; /* heap; in the order of their pods' keys */
	size_t n, cap;
	struct kg_map wanted; /* uid of a pod that has no place yet -> its endpoint */
};
struct kg_ends_list {
	struct kg_ends *v;
	size_t n, cap;
};
void kg_ends_release(struct kg_ends_list *l);
void kg_ends_add(struct kg_ends_list *l, struct kg_value ports, struct kg_value endpoint);
void kg_ends_sort(struct kg_ends_list *l); /* by their ports */

/* One slice as it will be. */
struct kg_slice {
	const struct kg_object *old; /* held by the list of them; NULL: a new one */
	struct kg_value ports;
	struct kg_value *endpoints; /* arena; NULL: those of old */
	size_t n;
	bool kept, touched; /* it stays; what it holds changes */
};
/* Where the endpoints of a Service's pods are, and which pods changed since. */
struct kg_places {
	struct kg_map at;    /* name of a pod -> number of its slice, from 1; empty: not yet made */
	struct kg_map dirty; /* keys of pods */
	size_t endpoints;    /* how many there were when they were last looked at */
};
struct kg_slices {
	struct kg_run *r;
	const struct kg_object *svc;
	struct kg_list existing; /* in order of their names */
	struct kg_slice *v;      /* arena: existing ones first, in that order */
	size_t n, cap;
	struct kg_places *places; /* only what changed is looked at; NULL: everything is */
};
/* A name for another slice of a Service's or Endpoints' that neither `taken` nor the namespace has,
 * manifests' slices among them. */
void kg_slice_name(
	char out[300], struct kg_run *r, const struct kg_object *of, const struct kg_map *taken);
/* A slice of that name, without labels, endpoints and ports. */
struct kg_value kg_slice_newborn(struct kg_run *r, const struct kg_object *of, const char *name);
/* Makes its endpoints ones that may be changed. */
void kg_slice_open(struct kg_slices *c, struct kg_slice *s);
/* Gives all that a group wants a place; false: that takes a slice more, and only what changed is
 * looked at. */
bool kg_slices_place(struct kg_slices *c, const struct kg_ends *g);
/* Puts the endpoints of one that there is; all else it says stays. */
void kg_slice_put(struct kg_slices *c, const struct kg_slice *s);

/* endpointslice_follow.c: by what changed alone. False: nothing was done, as everything must be
 * looked at. */
bool kg_slices_follow(struct kg_slices *c);
/* Everything was looked at: from now on the state says which pods change. */
void kg_slices_remember(struct kg_slices *c);

#endif
