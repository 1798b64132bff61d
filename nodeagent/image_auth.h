/* Credentials of registries, from the Secrets that a pod names as imagePullSecrets. Pure. */
#ifndef KG_NODEAGENT_IMAGE_AUTH_H
#define KG_NODEAGENT_IMAGE_AUTH_H

#include "value/value.h"

/*
 * What of them is for the image's registry, as the text of a file that skopeo's --authfile takes;
 * heap, NULL where there is none. As kubelet: of the entries whose host (a "*" stands for any label
 * of it) and path are the image's, the one of the longest path, of equal ones the first. objects:
 * what pods of the node name (env.h); a Secret that is not there, or not of the types
 * kubernetes.io/dockerconfigjson and kubernetes.io/dockercfg, has none.
 */
char *kg_image_auth(const struct kg_value *pod, const struct kg_value *objects, const char *ref);

#endif
