/* /kgit/v1/tokens: who may have one, and of whom. */
#include "kgitd/audit.h"
#include "kgitd/join.h"
#include "kgitd/master.h"

#include <stdio.h>
#include <string.h>

#define DEFAULT_JOIN_S 3600
#define MAX_TTL_S      (10LL * 365 * 24 * 3600)
#define OWN_TOKENS     100
#define OWN_TOKEN_S    (30LL * 24 * 3600)

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
	if (kg_tokens_count(m->tokens, by->name, kg_realtime_ms()) >= OWN_TOKENS)
		return kg_fail(err, KG_E_TOO_MANY,
			"\"%s\" has %d access tokens; the oldest end within thirty days", by->name,
			OWN_TOKENS);
	if (*ttl_s <= 0 || *ttl_s > OWN_TOKEN_S)
		*ttl_s = OWN_TOKEN_S;
	return 0;
}

static int make_access(char out[192], struct kgd_master *m, const struct kg_user *by,
	const struct kg_value *body, int64_t ttl, struct kg_error *err)
{
	const struct kg_value *named = kg_array(kg_get(body, "groups"));
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
	const char *node = kg_string(kg_get(body, "node"), NULL);
	if (node && !kgd_node_name_ok(node))
		return kg_fail(
			err, KG_E_INVALID, "node: \"%s\" is no DNS name in lower case", node);
	return kg_tokens_create_join(m->tokens, out, kgd_authority(m)->pin, node,
		(ttl > 0 ? ttl : DEFAULT_JOIN_S) * 1000, kg_realtime_ms(), err);
}

static void audit(struct kgd_exchange *x, struct kg_http_req *req, const struct kg_value *body,
	const struct kg_error *why)
{
	bool access = strcmp(kg_string(kg_get(body, "kind"), "join"), "access") == 0;
	struct kg_attributes a = {.verb = "create",
		.group = "kgit",
		.resource = access ? "accesstokens" : "jointokens",
		.name = access ? kg_string(kg_get(body, "user"), x->user.name)
			       : kg_string(kg_get(body, "node"), "")};

	kgd_audit_request(x->master->audit, req, &x->user, &a, why);
}

static void handle_tokens(struct kg_http_req *req, void *ctx)
{
	struct kgd_exchange *x = kgd_exchange(req);
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	char token[192];
	struct kg_value body;
	struct kg_error err;

	(void)ctx;
	int rc = kgd_parse_body(&body, &a, req, &err);
	if (rc == 0) {
		rc = make_token(token, x->master, &x->user, &body, &err);
		audit(x, req, &body, rc < 0 ? &err : NULL);
	}
	if (rc < 0) {
		kgd_reply_error(req, &err);
		return;
	}
	struct kg_value v = kg_v_obj(&a, "token", kg_v_lit(token), (char *)NULL);
	kgd_reply_value(req, 201, &v);
}

bool kgd_admin_route(struct kg_http_req *req, const char *rest, struct kg_http_route *route)
{
	if (strcmp(rest, "tokens") != 0 || strcmp(kg_http_method(req), "POST") != 0)
		return kgd_join_route(req, rest, route);
	route->handle = handle_tokens;
	route->max_body = 64 << 10;
	return true;
}
