/* What authenticators and the judge share; nobody else includes it. */
#ifndef KG_AUTH_INTERNAL_H
#define KG_AUTH_INTERNAL_H

#include "auth.h"

struct kg_rbac;
struct kg_rbac *kg_auth_rbac(struct kg_auth *auth); /* borrowed; NULL: there is none */

/* The token of a bearer, or of Basic as its password: 1 and heap in *out. 0: there is none. */
int kg_credentials_token(char **out, const struct kg_credentials *c, struct kg_error *err);
/* Is it a JWT that says it is of this issuer? Nothing is verified. */
bool kg_token_is_of(const char *token, const char *issuer);

/* "https://host:port/path" in two: *base is heap, *path lies in url. False: it is none. */
bool kg_url_split(char **base, const char **path, const char *url);
/* The PEM of the CAs that are trusted: of a file, or (NULL) the machine's. */
int kg_read_cas(struct kg_buf *out, const char *file, struct kg_error *err);

/* 1: *out is the token's user. 0: no such thing as an access token of ours. Negative: refused. */
int kg_tokens_authenticate(struct kg_tokens *t, struct kg_user *out, const char *text, kg_time now,
	struct kg_error *err);

#endif
