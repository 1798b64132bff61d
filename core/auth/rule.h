/*
 * One rule of a role, compiled: which verbs on which resources, or on which paths. What matches
 * and what covers is as Kubernetes' RBAC has it.
 */
#ifndef KG_AUTH_RULE_H
#define KG_AUTH_RULE_H

#include "auth/auth.h"
#include "value/value.h"

struct kg_words {
	const char *const *items;
	size_t n;
	bool all; /* "*" is among them */
};
struct kg_rule {
	struct kg_words verbs, groups, resources, names, urls;
};
/* From a PolicyRule; all is the arena's. */
struct kg_rule kg_rule_read(struct kg_arena *a, const struct kg_value *v);
bool kg_rule_allows(const struct kg_rule *r, const struct kg_attributes *a);

/* Is all that `wanted` allows allowed by the rules `held` together? Each of wanted's parts (one
 * verb on one resource) must lie in one held rule. *steps is counted down; at 0 the answer is
 * no. */
bool kg_rules_cover(const struct kg_rule *const *held, size_t nheld, const struct kg_rule *wanted,
	size_t *steps);
/* {APIGroups:["apps"], Resources:["deployments"], Verbs:["get" "list"]}, as Kubernetes says it. */
void kg_rule_say(struct kg_buf *out, const struct kg_rule *r);

#endif
