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
#include "kinds/object.h"

#include <stdbool.h>
#include <stddef.h>

struct kg_user {
	char name[254]; /* "system:anonymous" where nobody */
	char groups[16][254];
	unsigned ngroups;
	char node[254]; /* set for system:node:NAME */
	/* What no rule looks at, but who is told of the user is told as well: "" where there is
	 * none; and pairs of a key and a value, each with its NUL. */
	char uid[254];
	char extra[1024];
	unsigned extra_len;
};
bool kg_user_in_group(const struct kg_user *u, const char *group);
/* Starts one anew: no groups, and the node of system:node:NAME. */
int kg_user_set(struct kg_user *u, const char *name, struct kg_error *err);
/* Groups that do not fit or are too long are refused (KG_E_UNAUTHORIZED): a user who lost one is
 * another user. */
int kg_user_add_group(struct kg_user *u, const char *group, struct kg_error *err);
/* A uid, and an extra, of which a key may have several values. No rule looks at them: what does not
 * fit is left out as a whole, which the log of debugging says. */
void kg_user_set_uid(struct kg_user *u, const char *uid);
void kg_user_add_extra(struct kg_user *u, const char *key, const char *value);
/* As Kubernetes' UserInfo: username, uid, groups, extra. */
struct kg_value kg_user_value(struct kg_arena *a, const struct kg_user *u);

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
 * password). */
void kg_auth_add_certificates(struct kg_auth *auth);
struct kg_tokens;
void kg_auth_add_tokens(struct kg_auth *auth, struct kg_tokens *tokens); /* borrowed */
/*
 * system:masters may do anything; nodes what is theirs; everybody may ask for the CA and join (by
 * a token); and whatever the roles and bindings say: those of the hub's newest revision (borrowed;
 * it outlives the auth) and the system's own (builtin.h), which give anonymous health and nothing
 * else. hub NULL: the system's own alone.
 */
struct kg_hub;
void kg_auth_add_default_authorizers(struct kg_auth *auth, struct kg_hub *hub);
/* The last part of it. At most one. */
void kg_auth_add_rbac(struct kg_auth *auth, struct kg_hub *hub);

/* May the user read every object there is: he may fetch the repository, and nobody else. */
int kg_auth_reads_all(struct kg_auth *auth, const struct kg_user *u, struct kg_error *err);

/* The rules that apply to the user in a namespace ("": those of the whole cluster alone), one
 * PolicyRule each, in the arena. What masters and nodes may besides is not among them. */
struct kg_value kg_auth_rules(
	struct kg_auth *auth, const struct kg_user *u, const char *ns, struct kg_arena *a);

/*
 * What a push changes, object by object, judged by the rules as they are when the judge is made,
 * with Kubernetes' escalation check: a role that the user does not hold himself may be written
 * only with the verb "escalate", and given to others only with "bind".
 */
struct kg_judge;
struct kg_auth_change {
	const char *verb; /* create, update, delete */
	const struct kg_kind *kind;
	const char *ns, *name;
	const struct kg_value *value; /* as it will be; NULL where deleted */
};
struct kg_judge_options {
	struct kg_auth *auth; /* borrowed, as all here */
	const struct kg_user *user;
	/* A role as the push leaves it: 1 and *value; 1 and NULL where the push deletes it; 0 where
	 * the push does not touch it. NULL: it touches none. */
	int (*pushed)(void *ctx, enum kg_kind_id kind, const char *ns, const char *name,
		const struct kg_value **value);
	void *ctx;
};
struct kg_judge *kg_judge_new(const struct kg_judge_options *opts);
void kg_judge_free(struct kg_judge *j);
/* KG_E_FORBIDDEN, with the reason. */
int kg_judge_change(struct kg_judge *j, const struct kg_auth_change *c, struct kg_error *err);

/*
 * Tokens, kept as SHA-256 in one file of the state directory (0600), durably. A join token lets
 * one node name itself until it expires; an access token is a user's bearer and git password.
 */
int kg_tokens_open(struct kg_tokens **out, const char *path, struct kg_error *err);
void kg_tokens_free(struct kg_tokens *t);
/* "kgit.<id>.<secret>"; ttl_ms <= 0: no end. */
int kg_tokens_create_access(struct kg_tokens *t, char out[128], const char *user,
	const char *const *groups, int64_t ttl_ms, kg_time now, struct kg_error *err);
/* How many access tokens of a user are good. Of all kinds there are at most 20,000: then making one
 * is KG_E_TOO_MANY. */
size_t kg_tokens_count(struct kg_tokens *t, const char *user, kg_time now);
/* "kgj.<id>.<secret>.<ca pin hex>": the pin is appended so that the node can trust the CA. For the
 * node of that name alone, or (NULL) for any. */
int kg_tokens_create_join(struct kg_tokens *t, char out[192], const char *ca_pin, const char *node,
	int64_t ttl_ms, kg_time now, struct kg_error *err);
/* node: whom it is for, "" for any. */
int kg_tokens_check_join(
	struct kg_tokens *t, const char *token, char node[254], kg_time now, struct kg_error *err);

#endif
