#ifndef KG_AUTH_INTERNAL_H
#define KG_AUTH_INTERNAL_H

#include "auth.h"

struct kg_rbac;
struct kg_rbac *kg_auth_rbac(struct kg_auth *auth); /* borrowed; NULL: there is none */

/* 1: *out is the token's user. 0: no such thing as an access token of ours. Negative: refused. */
int kg_tokens_authenticate(struct kg_tokens *t, struct kg_user *out, const char *text, kg_time now,
	struct kg_error *err);

#endif
