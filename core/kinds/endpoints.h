/*
 * Who says which addresses answer for a Service: EndpointSlices, those that kgit makes of its pods,
 * those that it makes of a manifest of kind Endpoints (mirrors), and those that are manifests
 * themselves. A slice belongs to the Service of its namespace that its label names; all slices of a
 * Service count alike. The rules are those of Kubernetes' EndpointSlice API and of its
 * endpointslicemirroring controller.
 */
#ifndef KG_KINDS_ENDPOINTS_H
#define KG_KINDS_ENDPOINTS_H

#include "kinds/snapshot.h"

#define KG_LABEL_SERVICE_NAME "kubernetes.io/service-name"
#define KG_LABEL_MANAGED_BY   "endpointslice.kubernetes.io/managed-by"
#define KG_LABEL_SKIP_MIRROR  "endpoints.kubernetes.io/skip-mirror"
#define KG_LEADER_ANNOTATION  "control-plane.alpha.kubernetes.io/leader"
/* Who manages the slices that kgit makes: of pods, of Endpoints. */
#define KG_SLICES_OF_PODS      "kgit"
#define KG_SLICES_OF_ENDPOINTS "endpointslicemirroring-controller.k8s.io"

/* Of a slice that is a manifest; addresses of a subset in a mirror. */
#define KG_ENDPOINTS_MAX 1000

/* The name of the Service that a slice's value belongs to; NULL: none. */
const char *kg_slice_service(const struct kg_value *slice);
/* Is the slice one that kgit makes, of pods or of Endpoints? */
static inline bool kg_slice_is_made(const struct kg_object *slice)
{
	return slice->owner != NULL;
}
/* And of a Service's pods? */
bool kg_slice_is_of_pods(const struct kg_object *slice);
/* Do nodes send connections to a slice's endpoint that can be had (nil: yes); and, where a Service
 * has no such endpoint, to one that is on its way out, but serves still. */
bool kg_endpoint_is_ready(const struct kg_value *endpoint);
bool kg_endpoint_is_draining(const struct kg_value *endpoint);

/* The slices of a Service, in the order of their names. */
static inline void kg_iter_slices(
	struct kg_object_iter *it, const struct kg_snapshot *s, const char *ns, const char *service)
{
	kg_iter_index_in(it, s, KG_INDEX_SERVICE, service, KG_KIND_ENDPOINTSLICE, ns);
}

/* Are Endpoints of this value made a slice, where their Service has no selector? */
bool kg_endpoints_are_mirrored(const struct kg_value *endpoints);
/* The uid of the Endpoints that the API makes of a Service's own slices. */
void kg_endpoints_made_uid(char out[37], const char *service_uid);
/* Are these Endpoints, read from the API beside the Services of s, such ones? */
bool kg_endpoints_are_made(const struct kg_snapshot *s, const struct kg_object *endpoints);

#endif
