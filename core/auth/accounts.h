/*
 * Tokens of ServiceAccounts: JWTs that kgitd signs (ES256) and takes. A key signs for thirty days
 * and verifies until the last token of it has expired. A token is good as long as its account, and
 * the pod that it is bound to, are there. Thread-safe.
 */
#ifndef KG_AUTH_ACCOUNTS_H
#define KG_AUTH_ACCOUNTS_H

#include "auth/auth.h"
#include "kinds/snapshot.h"

struct kg_accounts;
struct kg_accounts_options {
	const char *dir;    /* where the keys lie, one file each (0600); made where absent */
	const char *issuer; /* names who made a token, and its audience where none is asked for */
	struct kg_hub *hub; /* borrowed */
};
int kg_accounts_open(struct kg_accounts **out, const struct kg_accounts_options *opts, kg_time now,
	struct kg_error *err);
void kg_accounts_free(struct kg_accounts *a);
/* A new key where it is time, and old ones dropped; to be called once a day. */
int kg_accounts_rotate(struct kg_accounts *a, kg_time now, struct kg_error *err);

/* A key that signs as of now: all tokens made from now on outlive kg_accounts_retire, which drops
 * every key that is older than the last one made so. */
int kg_accounts_renew(struct kg_accounts *a, kg_time now, struct kg_error *err);
int kg_accounts_retire(struct kg_accounts *a, struct kg_error *err);

/* Of one token, and of one question for whom it is: each of the one is looked for among the
 * other's.
 */
#define KG_MAX_AUDIENCES 64

struct kg_token_request {
	const char *ns, *name;            /* name NULL: the pod's account */
	const struct kg_value *audiences; /* a list of texts, at most KG_MAX_AUDIENCES, or
					   * KG_E_INVALID; null: the issuer */
	int64_t seconds;                  /* 0: an hour; bounded to ten minutes and thirty days */
	const char *pod, *pod_uid;        /* bound to this pod; NULL: to none; the uid may be "" */
	const char *node;                 /* where the pod must be bound to; NULL: wherever */
};
/* KG_E_NOT_FOUND: no such account, or pod. The times are whole seconds, as the token has them. */
int kg_accounts_issue(struct kg_accounts *a, char **token, kg_time *expires,
	const struct kg_token_request *req, kg_time now, struct kg_error *err);
/* Does a pod get a token of its account mounted: as it says, else as its account says, else yes. */
bool kg_accounts_automount(const struct kg_snapshot *s, const struct kg_object *pod);
/* The public keys, as a JWK set. */
void kg_accounts_jwks(struct kg_accounts *a, struct kg_buf *out);
const char *kg_accounts_issuer(const struct kg_accounts *a);
/* Whose token it is, of whichever of the wanted audiences (a list of texts): 1, *out, and in the
 * arena *audiences of which it is. 0: it is no token of a ServiceAccount's. KG_E_UNAUTHORIZED: it
 * is, and is no good, or for others. */
int kg_accounts_review(struct kg_accounts *a, struct kg_arena *arena, struct kg_user *out,
	const char *token, const struct kg_value *wanted, struct kg_value *audiences, kg_time now,
	struct kg_error *err);
void kg_auth_add_accounts(struct kg_auth *auth, struct kg_accounts *a); /* borrowed */

#endif
