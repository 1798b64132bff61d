/* /kgit/v1/{ca,join,tokens}: the cluster's CA, joining it, and tokens. */
#include "kgitd/master.h"
#include "pki/pki.h"
#include "value/json.h"

#include <stdio.h>
#include <string.h>

#define HOUR_MS        (3600LL * 1000)
#define NODE_CERT_MS   (365LL * 24 * HOUR_MS)
#define CLOCK_SKEW_MS  (5LL * 60 * 1000)
#define DEFAULT_JOIN_S 3600
#define MAX_TTL_S      (10LL * 365 * 24 * 3600)
#define OWN_TOKEN_S    (30LL * 24 * 3600)

static int parse(
	struct kg_value *out, struct kg_arena *a, struct kg_http_req *req, struct kg_error *err)
{
	const struct kg_buf *body = kg_http_body(req);
	int rc = kg_json_parse(out, a, kg_buf_str(body), body->len, err);

	if (rc == 0 && out->type != KG_OBJECT)
		rc = kg_fail(err, KG_E_BAD_REQUEST, "the body must be a JSON object");
	return rc;
}

static void handle_ca(struct kg_http_req *req, void *ctx)
{
	struct kg_buf b = KG_BUF_INIT;

	(void)ctx;
	kg_buf_adds(&b, kgd_exchange(req)->master->ca_pem);
	kg_http_reply(req, 200, "application/x-pem-file", &b);
}

/* ---- join ---- */

static bool node_name_ok(const char *name)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value v = kg_v_str(&a, name);

	return *name && strlen(name) < 254 && kg_check_dns_subdomain(&a, &v) == NULL;
}

static int sign_node(
	char **cert, struct kgd_master *m, const struct kg_value *body, struct kg_error *err)
{
	static const char *const orgs[] = {"system:nodes", NULL};
	const char *name = kg_string(kg_get(body, "node"), "");
	const char *csr = kg_string(kg_get(body, "csr"), "");
	kg_time now = kg_realtime_ms();
	char cn[300];
	int rc = kg_tokens_check_join(m->tokens, kg_string(kg_get(body, "token"), ""), now, err);

	if (rc < 0)
		return rc;
	if (!node_name_ok(name))
		return kg_fail(err, KG_E_INVALID,
			"the node's name \"%s\" must be a DNS name in lower case", name);
	snprintf(cn, sizeof(cn), "system:node:%s", name);
	struct kg_pki_cert c = {
		.cn = cn,
		.orgs = orgs,
		.client = true,
		.not_before = now - CLOCK_SKEW_MS,
		.not_after = now + NODE_CERT_MS,
	};
	return kg_pki_sign(cert, m->ca_pem, m->ca_key_pem, csr, &c, err);
}

static void handle_join(struct kg_http_req *req, void *ctx)
{
	struct kgd_master *m = kgd_exchange(req)->master;
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	char *cert KG_AUTOFREE = NULL;
	struct kg_value body;
	struct kg_error err;

	(void)ctx;
	if (parse(&body, &a, req, &err) < 0 || sign_node(&cert, m, &body, &err) < 0) {
		kgd_reply_error(req, &err);
		return;
	}
	struct kg_value v = kg_v_obj(
		&a, "certificate", kg_v_lit(cert), "ca", kg_v_lit(m->ca_pem), (char *)NULL);
	kgd_reply_value(req, 200, &v);
}

/* ---- tokens ---- */

static bool may(struct kgd_master *m, const struct kg_user *by, const char *verb, const char *group,
	const char *resource, const char *name, struct kg_error *err)
{
	struct kg_attributes a = {.verb = verb, .group = group, .resource = resource, .name = name};

	return kg_auth_authorize(m->auth, by, &a, err) == 0;
}

/* Who makes a token for another could be him: Kubernetes' "impersonate" of the user and of every
 * group that is not the maker's own. */
static int check_impersonation(struct kgd_master *m, const struct kg_user *by, const char *user,
	const char *const *groups, struct kg_error *err)
{
	if (strcmp(user, by->name) != 0 && !may(m, by, "impersonate", "", "users", user, err))
		return -(int)err->code;
	for (size_t i = 0; groups[i]; i++)
		if (!kg_user_in_group(by, groups[i]) &&
			!may(m, by, "impersonate", "", "groups", groups[i], err))
			return -(int)err->code;
	return 0;
}

/* A token of one's own outlives the credential that it was asked with: not for long, but for those
 * who could make any. Machines have other ways. */
static int bound_ttl(
	struct kgd_master *m, const struct kg_user *by, int64_t *ttl_s, struct kg_error *err)
{
	struct kg_error why;

	if (may(m, by, "impersonate", "", "users", by->name, &why))
		return 0;
	if (strncmp(by->name, "system:", 7) == 0)
		return kg_fail(err, KG_E_FORBIDDEN, "\"%s\" may not make access tokens", by->name);
	if (*ttl_s <= 0 || *ttl_s > OWN_TOKEN_S)
		*ttl_s = OWN_TOKEN_S;
	return 0;
}

static int make_access(char out[192], struct kgd_master *m, const struct kg_user *by,
	const struct kg_value *body, int64_t ttl, struct kg_error *err)
{
	const struct kg_value *named = kg_get(body, "groups");
	const char *user = kg_string(kg_get(body, "user"), by->name);
	const char *groups[17] = {NULL};
	uint32_t n = 0;

	for (uint32_t i = 0; i < kg_len(named) && n < 16; i++)
		groups[n++] = kg_string(&named->items[i], "");
	if (kg_is_null(kg_get(body, "user")))
		for (unsigned i = 0; i < by->ngroups && n < 16; i++)
			if (strcmp(by->groups[i], "system:authenticated") != 0)
				groups[n++] = by->groups[i];
	int rc = check_impersonation(m, by, user, groups, err);
	if (rc == 0)
		rc = bound_ttl(m, by, &ttl, err);
	if (rc < 0)
		return rc;
	return kg_tokens_create_access(
		m->tokens, out, user, groups, ttl > 0 ? ttl * 1000 : 0, kg_realtime_ms(), err);
}

static int make_token(char out[192], struct kgd_master *m, const struct kg_user *by,
	const struct kg_value *body, struct kg_error *err)
{
	const char *kind = kg_string(kg_get(body, "kind"), "join");
	int64_t ttl = kg_int(kg_get(body, "ttlSeconds"), -1);

	if (ttl > MAX_TTL_S)
		return kg_fail(err, KG_E_INVALID, "ttlSeconds: at most %lld", (long long)MAX_TTL_S);
	if (strcmp(kind, "access") == 0)
		return make_access(out, m, by, body, ttl, err);
	if (strcmp(kind, "join") != 0)
		return kg_fail(
			err, KG_E_INVALID, "kind: expected join or access, got \"%s\"", kind);
	if (!may(m, by, "create", "kgit", "jointokens", "", err))
		return -(int)err->code;
	return kg_tokens_create_join(m->tokens, out, m->ca_pin,
		(ttl > 0 ? ttl : DEFAULT_JOIN_S) * 1000, kg_realtime_ms(), err);
}

static void handle_tokens(struct kg_http_req *req, void *ctx)
{
	struct kgd_exchange *x = kgd_exchange(req);
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	char token[192];
	struct kg_value body;
	struct kg_error err;

	(void)ctx;
	if (parse(&body, &a, req, &err) < 0 ||
		make_token(token, x->master, &x->user, &body, &err) < 0) {
		kgd_reply_error(req, &err);
		return;
	}
	struct kg_value v = kg_v_obj(&a, "token", kg_v_lit(token), (char *)NULL);
	kgd_reply_value(req, 201, &v);
}

bool kgd_admin_route(struct kg_http_req *req, const char *rest, struct kg_http_route *route)
{
	static const struct {
		const char *method, *rest;
		void (*handle)(struct kg_http_req *req, void *ctx);
	} routes[] = {
		{"GET", "ca", handle_ca},
		{"POST", "join", handle_join},
		{"POST", "tokens", handle_tokens},
	};

	for (size_t i = 0; i < KG_ARRAY_LEN(routes); i++) {
		if (strcmp(routes[i].rest, rest) != 0 ||
			strcmp(routes[i].method, kg_http_method(req)) != 0)
			continue;
		route->handle = routes[i].handle;
		route->max_body = 64 << 10;
		return true;
	}
	return false;
}
