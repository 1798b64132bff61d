/*
 * Who asks, and may they: a chain of authenticators, then one of authorisers. The first
 * authenticator that knows the credential decides; the first authoriser that allows does.
 * Thread-safe.
 */
#ifndef KG_AUTH_AUTH_H
#define KG_AUTH_AUTH_H

#include "base/buf.h"
#include "base/err.h"
#include "base/time.h"

#include <stdbool.h>
#include <stddef.h>

struct kg_user {
	char name[254]; /* "system:anonymous" where nobody */
	char groups[16][254];
	unsigned ngroups;
	char node[254]; /* set for system:node:NAME */
};
bool kg_user_in_group(const struct kg_user *u, const char *group);

struct kg_credentials {
	const char *cert_cn; /* verified client certificate, or NULL */
	const char *const *cert_orgs;
	const char *authorization; /* the header, or NULL */
};
struct kg_authenticator {
	/* 1: it is *out. 0: not mine. Negative: mine and refused (KG_E_UNAUTHORIZED). */
	int (*authenticate)(void *self, struct kg_user *out, const struct kg_credentials *c,
		kg_time now, struct kg_error *err);
	void (*free)(void *self);
};

struct kg_attributes {    /* Kubernetes' authorization attributes */
	const char *verb; /* get, list, watch, create, update, delete; "push", "fetch" for git */
	const char *group, *resource, *subresource, *ns, *name;
	const char *path; /* non-resource requests; or NULL */
};
struct kg_authorizer {
	/* 1: allowed. 0: no opinion. Negative: denied, with the reason. */
	int (*authorize)(void *self, const struct kg_user *u, const struct kg_attributes *a,
		struct kg_error *err);
	void (*free)(void *self);
};

struct kg_auth;
struct kg_auth *kg_auth_new(void);
void kg_auth_free(struct kg_auth *auth);
/* In order; auth owns self from here on. Not after the first use. */
void kg_auth_add_authenticator(struct kg_auth *auth, const struct kg_authenticator *vt, void *self);
void kg_auth_add_authorizer(struct kg_auth *auth, const struct kg_authorizer *vt, void *self);
/* No credential at all is system:anonymous (success). */
int kg_auth_authenticate(struct kg_auth *auth, struct kg_user *out, const struct kg_credentials *c,
	kg_time now, struct kg_error *err);
int kg_auth_authorize(struct kg_auth *auth, const struct kg_user *u, const struct kg_attributes *a,
	struct kg_error *err);

/* Built-in: client certificates; tokens of a kg_tokens (bearer, or Basic with the token as
 * password); system:masters may do anything, nodes what is theirs, anonymous health, version and
 * the CA. */
void kg_auth_add_certificates(struct kg_auth *auth);
struct kg_tokens;
void kg_auth_add_tokens(struct kg_auth *auth, struct kg_tokens *tokens); /* borrowed */
void kg_auth_add_default_authorizers(struct kg_auth *auth);

/*
 * Tokens, kept as SHA-256 in one file of the state directory (0600), durably. A join token lets
 * one node name itself until it expires; an access token is a user's bearer and git password.
 */
int kg_tokens_open(struct kg_tokens **out, const char *path, struct kg_error *err);
void kg_tokens_free(struct kg_tokens *t);
/* "kgit.<id>.<secret>"; ttl_ms <= 0: no end. */
int kg_tokens_create_access(struct kg_tokens *t, char out[128], const char *user,
	const char *const *groups, int64_t ttl_ms, kg_time now, struct kg_error *err);
/* "kgj.<id>.<secret>.<ca pin hex>": the pin is appended so that the node can trust the CA. */
int kg_tokens_create_join(struct kg_tokens *t, char out[192], const char *ca_pin, int64_t ttl_ms,
	kg_time now, struct kg_error *err);
int kg_tokens_check_join(struct kg_tokens *t, const char *token, kg_time now, struct kg_error *err);

#endif
