/* Capabilities of a container. */
#ifndef KG_NODEAGENT_CAPS_H
#define KG_NODEAGENT_CAPS_H

#include "value/value.h"

#define KG_CAPS_MAX 64
/* Names ("CAP_CHOWN") into out; returns how many. security: the container's securityContext;
 * available: bits of what can be given at all (bounds "ALL"; what is asked for by name is passed
 * on, so that the runtime says no). */
size_t kg_caps_of(
	const char *out[KG_CAPS_MAX], const struct kg_value *security, uint64_t available);

#endif
