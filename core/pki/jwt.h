/*
 * JSON Web Tokens (RFC 7519) signed with RS256, RS384, RS512, ES256 or ES384, and the public keys
 * that verify them (JWK sets, RFC 7517). The algorithm is the key's, whatever the token says
 * besides; "none" and shared secrets are no algorithms. GnuTLS does the arithmetic. Any thread.
 */
#ifndef KG_PKI_JWT_H
#define KG_PKI_JWT_H

#include "value/value.h"

/* Public keys by their ids; immutable once it is shared. */
struct kg_jwks;
struct kg_jwks *kg_jwks_new(void);
void kg_jwks_free(struct kg_jwks *set);
/* Adds the keys of a JWK set. Those of other uses or kinds are passed over; at most 64 in all, RSA
 * keys from 2048 to 8192 bits, EC keys on P-256 and P-384. */
int kg_jwks_read(struct kg_jwks *set, const char *json, size_t len, struct kg_error *err);
/* Adds the public half of a private key (PEM, EC P-256), as kg_jwt_public_key
 * has it. */
int kg_jwks_add(struct kg_jwks *set, const char *key_pem, struct kg_error *err);
size_t kg_jwks_count(const struct kg_jwks *set);

/* The public half as a JWK, in the arena. Its id, "1f0c...", is 16 digits made of the key. */
int kg_jwt_public_key(
	struct kg_value *out, struct kg_arena *a, const char *key_pem, struct kg_error *err);

/* A private key that is ready to sign: reading one takes longer than its signature. Immutable. */
struct kg_jwt_signer;
int kg_jwt_signer_new(struct kg_jwt_signer **out, const char *key_pem, struct kg_error *err);
void kg_jwt_signer_free(struct kg_jwt_signer *s);
/* A token of these claims, signed with ES256; heap. */
int kg_jwt_sign(char **out, const struct kg_jwt_signer *s, const struct kg_value *claims,
	struct kg_error *err);

/* Has the text the form of a token: three parts. */
bool kg_jwt_is(const char *text);
/* The claims, unverified: to find out whose token it is. */
int kg_jwt_peek(
	struct kg_value *claims, struct kg_arena *a, const char *token, struct kg_error *err);
/*
 * The claims of a token that one of the keys signed; neither times nor audiences are looked at.
 * KG_E_NOT_FOUND: it names a key that is not in the set. KG_E_UNAUTHORIZED: anything else.
 */
int kg_jwt_verify(struct kg_value *claims, struct kg_arena *a, const struct kg_jwks *set,
	const char *token, struct kg_error *err);

#endif
