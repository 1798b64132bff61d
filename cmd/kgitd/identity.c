#include "kgitd/identity.h"

#include "auth/accounts.h"

#include <string.h>

int kgd_identity_start(
	struct kgd_master *m, const struct kgd_identity_options *opts, struct kg_error *err)
{
	char *keys KG_AUTOFREE = kg_asprintf("%s/pki/sa", m->dir);
	struct kg_accounts_options a = {.dir = keys, .issuer = opts->account_issuer, .hub = m->hub};
	struct kg_oidc *oidc = NULL;
	struct kg_webhook *webhook = NULL;
	int rc = kg_accounts_open(&m->accounts, &a, kg_realtime_ms(), err);

	if (rc == 0 && opts->oidc.issuer_url)
		rc = kg_oidc_new(&oidc, &opts->oidc, err);
	if (rc == 0 && opts->webhook.url)
		rc = kg_webhook_new(&webhook, &opts->webhook, err);
	if (rc < 0) {
		kg_oidc_free(oidc);
		return rc;
	}
	m->auth = kg_auth_new();
	kg_auth_add_certificates(m->auth);
	kg_auth_add_tokens(m->auth, m->tokens);
	kg_auth_add_accounts(m->auth, m->accounts);
	if (oidc)
		kg_auth_add_oidc(m->auth, oidc);
	if (webhook)
		kg_auth_add_webhook(m->auth, webhook);
	kg_auth_add_default_authorizers(m->auth, m->hub);
	return 0;
}

void kgd_identity_stop(struct kgd_master *m)
{
	kg_auth_free(m->auth);
	kg_accounts_free(m->accounts);
}

static void get_keys(struct kg_http_req *req, void *ctx)
{
	struct kg_buf out = KG_BUF_INIT;

	(void)ctx;
	kg_accounts_jwks(kgd_exchange(req)->master->accounts, &out);
	kg_http_reply(req, 200, "application/jwk-set+json", &out);
}

static void get_configuration(struct kg_http_req *req, void *ctx)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	const struct kgd_master *m = kgd_exchange(req)->master;
	struct kg_value token = kg_v_lit("id_token"), pub = kg_v_lit("public"),
			alg = kg_v_lit("ES256");
	struct kg_value v = kg_v_obj(&a, "issuer", kg_v_str(&a, kg_accounts_issuer(m->accounts)),
		"jwks_uri", kg_v_strf(&a, "https://%s/openid/v1/jwks", m->address),
		"response_types_supported", kg_v_array(&a, &token, 1), "subject_types_supported",
		kg_v_array(&a, &pub, 1), "id_token_signing_alg_values_supported",
		kg_v_array(&a, &alg, 1), (char *)NULL);

	(void)ctx;
	kgd_reply_value(req, 200, &v);
}

bool kgd_identity_route(struct kg_http_req *req, struct kg_http_route *route)
{
	const char *path = kg_http_path(req);

	if (strcmp(kg_http_method(req), "GET") != 0)
		return false;
	if (strcmp(path, "/openid/v1/jwks") == 0)
		route->handle = get_keys;
	else if (strcmp(path, "/.well-known/openid-configuration") == 0)
		route->handle = get_configuration;
	return route->handle != NULL;
}
