/*
 * Who may what, by the roles and bindings of one snapshot together with the system's own: compiled
 * once, then immutable and reference-counted. A question costs a look-up for the user and for each
 * of its groups, and the rules found there.
 */
#ifndef KG_AUTH_POLICY_H
#define KG_AUTH_POLICY_H

#include "auth/rule.h"
#include "kinds/snapshot.h"

struct kg_role {
	const struct kg_rule *rules; /* with those that it aggregates */
	size_t n;
};
struct kg_policy;
/* s NULL: the system's own roles and bindings alone. */
struct kg_policy *kg_policy_new(const struct kg_snapshot *s);
struct kg_policy *kg_policy_ref(struct kg_policy *p);
void kg_policy_unref(struct kg_policy *p);

bool kg_policy_allows(
	const struct kg_policy *p, const struct kg_user *u, const struct kg_attributes *a);
/* Calls fn for each role bound to the user: in the whole cluster and, unless ns is "", in ns. */
void kg_policy_roles(const struct kg_policy *p, const struct kg_user *u, const char *ns,
	void (*fn)(void *ctx, const struct kg_role *role, bool whole_cluster), void *ctx);
/* A Role of a namespace, or a ClusterRole (ns ""); NULL: there is none. */
const struct kg_role *kg_policy_role(const struct kg_policy *p, const char *ns, const char *name);

#endif
