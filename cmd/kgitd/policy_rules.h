/* A NetworkPolicy's rules with their peers resolved. */
#ifndef KGITD_POLICY_RULES_H
#define KGITD_POLICY_RULES_H

#include "kgitd/peers.h"

struct kgd_policy_rules {
	/* As nodeagent/policy.h has them; null: it says nothing of that direction. Ingress may have
	 * names as ports, which are those of the pod that is spoken to. */
	struct kg_value ingress, egress;
	bool named;         /* ingress has names */
	const char **peers; /* ids that are used, each as often as it is here */
	size_t npeers, cap;
};
/* Values lie in the arena; what is used is to be dropped (kgd_policy_rules_drop). */
void kgd_policy_rules_make(struct kgd_policy_rules *out, struct kg_arena *a,
	struct kgd_peers *peers, const struct kg_snapshot *s, const struct kg_object *policy,
	const char *pod_cidr);
void kgd_policy_rules_drop(struct kgd_policy_rules *r, struct kgd_peers *peers);

/* Ingress for one pod: names become numbers, and what it has no port for is left out. *names says
 * what was looked up ("" for nothing): pods of equal names have equal rules. */
struct kg_value kgd_policy_ingress_of(struct kg_arena *a, const struct kg_value *ingress,
	const struct kg_object *pod, struct kg_buf *names);

#endif
