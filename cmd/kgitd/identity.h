/* Who kgitd knows: the chain of authenticators as the flags set it up, ServiceAccounts' tokens, and
 * what others verify these by. */
#ifndef KGITD_IDENTITY_H
#define KGITD_IDENTITY_H

#include "auth/oidc.h"
#include "auth/webhook.h"
#include "kgitd/master.h"

struct kgd_identity_options {
	const char *account_issuer;        /* of ServiceAccounts' tokens */
	struct kg_oidc_options oidc;       /* without an issuer: none */
	struct kg_webhook_options webhook; /* without a URL: none */
};
/* Makes m->accounts and m->auth. */
int kgd_identity_start(
	struct kgd_master *m, const struct kgd_identity_options *opts, struct kg_error *err);
void kgd_identity_stop(struct kgd_master *m);
/* /openid/v1/jwks and /.well-known/openid-configuration. */
bool kgd_identity_route(struct kg_http_req *req, struct kg_http_route *route);

#endif
