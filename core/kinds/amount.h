/*
 * Amounts that objects name, as numbers, and what a pod's containers come to by Kubernetes' rules:
 * the scheduler, quotas, limits and the node that takes a pod in count alike. Pure; any thread.
 */
#ifndef KG_KINDS_AMOUNT_H
#define KG_KINDS_AMOUNT_H

#include "value/value.h"

/* A quantity, a text or a whole number, in thousandths or in whole units: rounded up, at most
 * INT64_MAX; 0 where it is none. */
int64_t kg_amount_milli(const struct kg_value *quantity);
int64_t kg_amount_whole(const struct kg_value *quantity);
/* The sum, at most INT64_MAX. */
int64_t kg_amount_add(int64_t a, int64_t b);
/* Thousandths in whole units, rounded up. */
int64_t kg_amount_of_milli(int64_t milli);

/* A resource of huge pages is this and their size: "hugepages-2Mi". */
#define KG_HUGEPAGES "hugepages-"
/* The text behind it, whatever it says; NULL: it is another resource. */
const char *kg_hugepages_size(const char *resource);

/* What a container names of its "requests" or "limits", in thousandths; -1: nothing. */
int64_t kg_container_milli(
	const struct kg_value *container, const char *list, const char *resource);

/* The sum over containers and sidecars or, where that is more, what an init container needs with
 * the sidecars before it; thousandths, without the pod's overhead. Without a request a container
 * asks for its limit. -1: no container names any. */
int64_t kg_pod_milli(const struct kg_value *pod_spec, const char *list, const char *resource);
int64_t kg_pod_overhead(const struct kg_value *pod_spec, const char *resource); /* so, too */
/* What the pod asks of its node, with its overhead; each_asks is counted for every container that
 * asks for nothing (Kubernetes' scoring takes some for it). */
int64_t kg_pod_request(const struct kg_value *pod_spec, const char *resource, int64_t each_asks);

/* "Guaranteed", "Burstable" or "BestEffort". */
const char *kg_pod_qos(const struct kg_value *pod_spec);

#endif
