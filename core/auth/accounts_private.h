/* What accounts.c (tokens) and accounts_keys.c (the keys that sign them) share. */
#ifndef KG_AUTH_ACCOUNTS_PRIVATE_H
#define KG_AUTH_ACCOUNTS_PRIVATE_H

#include "accounts.h"

#include "pki/jwt.h"
#include "seen.h"

#include <pthread.h>

#define KG_ACCOUNTS_MAX_KEYS 32

struct kg_account_key {
	kg_time made;
	bool at_once;
	char *pem;
	struct kg_jwt_signer *signer;
};
struct kg_accounts {
	char *dir, *issuer;
	struct kg_hub *hub;
	struct kg_seen *seen;
	pthread_rwlock_t lock;                            /* of what follows */
	struct kg_account_key keys[KG_ACCOUNTS_MAX_KEYS]; /* oldest first */
	size_t n;
	struct kg_jwks *set;
};

/* The newest that was shown long enough; with the lock held. */
const struct kg_jwt_signer *kg_accounts_signer(const struct kg_accounts *a, kg_time now);

#endif
