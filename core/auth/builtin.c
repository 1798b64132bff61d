/* The authenticators that come with kgit. */
#include "base/hash.h"
#include "base/mem.h"
#include "internal.h"
#include "pki/jwt.h"

#include <string.h>
#include <strings.h>

static int by_certificate(void *self, struct kg_user *out, const struct kg_credentials *c,
	kg_time now, struct kg_error *err)
{
	(void)self;
	(void)now;
	if (!c->cert_cn)
		return 0;
	int rc = kg_user_set(out, c->cert_cn, err);
	for (size_t i = 0; !rc && c->cert_orgs && c->cert_orgs[i]; i++)
		rc = kg_user_add_group(out, c->cert_orgs[i], err);
	return rc ? rc : 1;
}

static const struct kg_authenticator certificates = {.authenticate = by_certificate};

void kg_auth_add_certificates(struct kg_auth *auth)
{
	kg_auth_add_authenticator(auth, &certificates, NULL);
}

/* What stands behind the scheme, or NULL where it is another one. */
static const char *after_scheme(const char *authorization, const char *scheme)
{
	size_t n = strlen(scheme);

	if (strncasecmp(authorization, scheme, n) != 0 || authorization[n] != ' ')
		return NULL;
	return authorization + n + strspn(authorization + n, " ");
}

int kg_credentials_token(char **out, const struct kg_credentials *c, struct kg_error *err)
{
	if (!c->authorization)
		return 0;
	const char *token = after_scheme(c->authorization, "Bearer");
	if (token) {
		*out = kg_strdup(token);
		return 1;
	}
	const char *basic = after_scheme(c->authorization, "Basic");
	if (!basic)
		return 0;
	size_t len;
	KG_AUTOFREE unsigned char *pair = kg_base64_decode(basic, strlen(basic), &len);
	if (!pair || memchr(pair, '\0', len))
		return kg_fail(err, KG_E_UNAUTHORIZED, "the Authorization header is malformed");
	/* The name is git's business; the token says who it is. */
	const char *colon = strchr((char *)pair, ':');
	*out = kg_strdup(colon ? colon + 1 : NULL);
	return colon ? 1 : 0;
}

bool kg_token_is_of(const char *token, const char *issuer)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value claims;
	struct kg_error err;

	return kg_jwt_is(token) && kg_jwt_peek(&claims, &a, token, &err) == 0 &&
	       strcmp(kg_string(kg_get(&claims, "iss"), ""), issuer) == 0;
}

static int by_token(void *self, struct kg_user *out, const struct kg_credentials *c, kg_time now,
	struct kg_error *err)
{
	char *token KG_AUTOFREE = NULL;
	int rc = kg_credentials_token(&token, c, err);

	return rc > 0 ? kg_tokens_authenticate(self, out, token, now, err) : rc;
}

static const struct kg_authenticator tokens = {.authenticate = by_token};

void kg_auth_add_tokens(struct kg_auth *auth, struct kg_tokens *t)
{
	kg_auth_add_authenticator(auth, &tokens, t);
}
