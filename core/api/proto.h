/* The little that is read of the protobuf bodies that typed Kubernetes clients send. */
#ifndef KG_API_PROTO_H
#define KG_API_PROTO_H

#include "value/value.h"

/* Is this a body in application/vnd.kubernetes.protobuf: "k8s\0" and a runtime.Unknown. */
bool kg_proto_is(const void *p, size_t n);
/* The `spec` of a review (or TokenRequest, resource "token") as JSON would give it.
 * KG_E_BAD_REQUEST for what is cut off or malformed. */
int kg_proto_review_spec(struct kg_value *out, struct kg_arena *a, const char *resource,
	const void *p, size_t n, struct kg_error *err);
/* metadata.name of any object, in the arena; NULL where it has none or is malformed. */
const char *kg_proto_object_name(struct kg_arena *a, const void *p, size_t n);

#endif
