/* RBAC over the newest revision: the policy is compiled anew when a role or binding changed, on
 * the thread that publishes, so that who was told "ok" finds it in force. */
#ifndef KG_AUTH_RBAC_H
#define KG_AUTH_RBAC_H

#include "auth/policy.h"

struct kg_hub;
struct kg_rbac;
/* hub: borrowed; NULL: the system's own roles alone. Freed by the authoriser. */
struct kg_rbac *kg_rbac_new(struct kg_hub *hub);
struct kg_policy *kg_rbac_policy(struct kg_rbac *r); /* a reference */
/* self is a struct kg_rbac, which it frees. */
extern const struct kg_authorizer kg_rbac_authorizer;

#endif
