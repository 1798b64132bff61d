/* Which PersistentVolumeClaim one of a pod's volumes is of. Pure; any thread. */
#ifndef KG_KINDS_CLAIM_H
#define KG_KINDS_CLAIM_H

#include "value/value.h"

/* A generic ephemeral volume: its claim is made for the pod, and goes with it. */
bool kg_volume_is_ephemeral(const struct kg_value *volume);

#define KG_CLAIM_NAME_SIZE 520
/* The claim's name into out: the one that the volume names; of an ephemeral volume POD-VOLUME. What
 * would be longer than any name is cut. False: the volume is of no claim. */
bool kg_volume_claim(char out[KG_CLAIM_NAME_SIZE], const char *pod, const struct kg_value *volume);

#endif
