/* The labels that a node may give itself when it registers, as Kubernetes' NodeRestriction has
 * them: others of kubernetes.io and k8s.io, by which pods are kept to nodes that are trusted, are
 * for whoever may change main (a Node manifest there). */
#ifndef KG_KINDS_NODE_LABELS_H
#define KG_KINDS_NODE_LABELS_H

#include "base/err.h"
#include "value/value.h"

bool kg_node_label_is_allowed(const char *key);
/* KG_E_INVALID where one is no label, KG_E_FORBIDDEN where the node may not set it; the error
 * names it. labels: an object of texts, or null. */
int kg_node_labels_check(const struct kg_value *labels, struct kg_error *err);

#endif
