/* How a node comes to its credential: once by a join token, which pins the cluster's CA; from then
 * on by what is kept in DIR/pki. */
#ifndef KG_NODEAGENT_JOIN_H
#define KG_NODEAGENT_JOIN_H

#include "base/err.h"
#include "base/time.h"

struct kg_credential {
	char *ca_pem, *cert_pem, *key_pem; /* heap */
};
void kg_credential_release(struct kg_credential *c);

/* KG_E_NOT_FOUND: this node has not joined. KG_E_INVALID: it joined under another name. */
int kg_credential_load(
	struct kg_credential *out, const char *dir, const char *name, struct kg_error *err);
/*
 * Fetches the CA from url, unverified, and trusts it only where it is the one that the token pins;
 * then has a certificate made for a key that never leaves this node, and stores all durably.
 * DIR/pki/node.crt is written last: it is there or the node has not joined.
 */
int kg_join(struct kg_credential *out, const char *dir, const char *url, const char *token,
	const char *name, struct kg_error *err);

/* The CAs that the master says are to be trusted, stored durably and put in *c. */
int kg_credential_trust(
	struct kg_credential *c, const char *dir, const char *ca_pem, struct kg_error *err);
/* When two thirds of the certificate's time are over: it is to be renewed then; 0, which is at
 * once, where the first of the CAs did not make it. */
int kg_credential_due(kg_time *out, const struct kg_credential *c, struct kg_error *err);
/* A new certificate for the same key, by the one that is still good, stored durably and put in *c.
 * Blocks. On failure nothing has changed. */
int kg_credential_renew(struct kg_credential *c, const char *dir, const char *url, const char *name,
	struct kg_error *err);

#endif
