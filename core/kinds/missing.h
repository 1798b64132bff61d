/* Documents that are no objects of kgit's: what is said of them, and which way out there is. */
#ifndef KG_KINDS_MISSING_H
#define KG_KINDS_MISSING_H

#include "kinds/schema.h"

/* A fault for a kind that kgit does not have: nodes of the two, strings. */
void kg_missing_kind(struct kg_fault_list *faults, const struct kg_yaml_node *version,
	const struct kg_yaml_node *kind);
/* Is the mapping no object at all, but kustomize's or Helm's or somebody else's? Then a fault says
 * so. faults->file tells, too. */
bool kg_missing_object(struct kg_fault_list *faults, const struct kg_yaml_node *node);

#endif
