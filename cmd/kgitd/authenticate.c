#include "kgitd/authenticate.h"

#include "auth/subprotocol.h"
#include "kgitd/join.h"

#include <string.h>
#include <strings.h>

static bool begins(const char *text, const char *with)
{
	return text && strncasecmp(text, with, strlen(with)) == 0;
}

static bool is_foreign(const struct kgd_master *m, const struct kg_http_req *req)
{
	const char *path = kg_http_path(req), *origin = kg_http_header(req, "Origin");

	if (!kg_http_is_foreign(req) || !(kg_http_is_websocket(req) || begins(path, "/kgit/") ||
						begins(path, "/cluster.git/")))
		return false;
	for (const char *const *o = m->origins; *o; o++)
		if (strcasecmp(*o, origin) == 0)
			return false;
	return true;
}

/* Of a page of another origin: what it brought itself, which is no password that the browser knows
 * of. */
static int keep_own(struct kg_credentials *c, const struct kg_http_req *req, struct kg_error *err)
{
	c->cert_cn = NULL;
	c->cert_orgs = NULL;
	if (!begins(c->authorization, "Bearer "))
		return kg_fail(err, KG_E_FORBIDDEN,
			"a page of %.200s may not use the browser's credential for this server: "
			"have it present a bearer token, or start kgitd with --allow-origin "
			"%.200s",
			kg_http_header(req, "Origin"), kg_http_header(req, "Origin"));
	return 0;
}

/* A connection may be older than the end of the CA that it was taken by. */
static int check_issuer(
	const struct kgd_exchange *x, const struct kg_http_req *req, struct kg_error *err)
{
	if (kgd_authority_made(kgd_authority(x->master), kg_http_peer_issuer(req)))
		return 0;
	return kg_fail(err, KG_E_UNAUTHORIZED,
		"Unauthorized: the certificate's CA was replaced and is not trusted any more");
}

int kgd_authenticate(struct kgd_exchange *x, struct kg_http_req *req, struct kg_error *err)
{
	struct kg_credentials c = {
		.cert_cn = kg_http_peer_cn(req),
		.cert_orgs = kg_http_peer_orgs(req),
		.authorization = kg_http_header(req, "Authorization"),
	};
	char *token KG_AUTOFREE = NULL;
	int rc = kg_subprotocol_token(&token, kg_http_websocket_offers(req), err);

	if (!c.authorization)
		c.authorization = token;
	if (rc == 0 && is_foreign(x->master, req))
		rc = keep_own(&c, req, err);
	if (rc == 0 && c.cert_cn)
		rc = check_issuer(x, req, err);
	if (rc == 0)
		rc = kg_auth_authenticate(x->master->auth, &x->user, &c, kg_realtime_ms(), err);
	if (rc < 0)
		return rc;
	/* The certificate of a machine whose name went to another. */
	if (c.cert_cn && *x->user.node &&
		!kgd_node_key_ok(x->master, x->user.node, kg_http_peer_key(req)))
		return kg_fail(err, KG_E_UNAUTHORIZED, "the node \"%s\" has another key now",
			x->user.node);
	return 0;
}
