/*
 * To act as another: Kubernetes' impersonation (`kubectl --as`). Who asks must be allowed the verb
 * "impersonate" of all that he says he is; from then on he is that and nothing else.
 */
#ifndef KG_AUTH_IMPERSONATE_H
#define KG_AUTH_IMPERSONATE_H

#include "auth/auth.h"

/* What the headers Impersonate-* say; all borrowed. */
struct kg_impersonation {
	const char *user, *uid; /* "" or NULL: not said */
	const char *groups[16];
	size_t ngroups;
	struct kg_impersonation_extra {
		const char *key, *value; /* the key percent-decoded and in lower case */
	} extras[16];
	size_t nextras;
};
/* Is anything said at all? */
bool kg_impersonation_any(const struct kg_impersonation *i);
/* *out: who acts from now on. A service account has the groups of one unless groups are said.
 * KG_E_BAD_REQUEST: there is no user;
 * KG_E_FORBIDDEN: `by` may not, in Kubernetes' words; KG_E_UNAUTHORIZED: no such user can be. */
int kg_auth_impersonate(struct kg_auth *auth, struct kg_user *out, const struct kg_user *by,
	const struct kg_impersonation *i, struct kg_error *err);

#endif
