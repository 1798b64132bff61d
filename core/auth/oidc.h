/*
 * OpenID Connect: ID tokens of one issuer (RS256, ES256, ...), verified with its keys, which come
 * from a file, a URL, or where the issuer's discovery document says. They are fetched by a thread
 * of its own, again after ten minutes, and when a token names a key not known, but not oftener than
 * every ten seconds; no request waits for that.
 */
#ifndef KG_AUTH_OIDC_H
#define KG_AUTH_OIDC_H

#include "auth/auth.h"

struct kg_oidc_options {
	const char *issuer_url, *client_id; /* must be the token's iss, and in its aud */
	const char *username_claim;         /* default "sub" */
	const char *username_prefix;        /* default: "ISSUER#", none for "email"; "-": none */
	const char *groups_claim;           /* a text or a list of them; NULL: no groups */
	const char *groups_prefix;          /* default "" */
	const char *jwks;                   /* FILE or https URL; NULL: by discovery */
	const char *ca_file; /* trusted for what is fetched; default: the machine's */
};
struct kg_oidc;
/* Fails where the options make no sense; keys that cannot be had yet are no failure. */
int kg_oidc_new(struct kg_oidc **out, const struct kg_oidc_options *opts, struct kg_error *err);
void kg_oidc_free(struct kg_oidc *o);
void kg_auth_add_oidc(struct kg_auth *auth, struct kg_oidc *o); /* owned by auth from here on */

#endif
