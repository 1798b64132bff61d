/*
 * One endpoint: what a Service says of one pod that answers for it.
 */
#ifndef KG_RECONCILE_ENDPOINT_H
#define KG_RECONCILE_ENDPOINT_H

#include "reconcile/internal.h"

/* Does the Service have pods of its own choosing? */
bool kg_service_selects(const struct kg_object *svc);
/* Does the pod (NULL: no) answer for a Service of this selector? */
bool kg_endpoint_answers(const struct kg_value *selector, const struct kg_object *pod);
/* Do a Service's ports (spec.ports) depend on the pod? */
bool kg_endpoint_ports_vary(const struct kg_value *ports);
/* A Service's ports as they are on this pod, as EndpointSlices have them. */
struct kg_value kg_endpoint_ports(
	struct kg_arena *a, const struct kg_value *ports, const struct kg_object *pod);
/* The pod's endpoint; old: the one that there is (or NULL), which is it where it says the same. */
struct kg_value kg_endpoint_of(struct kg_arena *a, const struct kg_object *svc,
	const struct kg_object *pod, const struct kg_value *old);
/* Of the pod that an endpoint is; "" where it says none. */
const char *kg_endpoint_uid(const struct kg_value *endpoint);
const char *kg_endpoint_name(const struct kg_value *endpoint);

#endif
