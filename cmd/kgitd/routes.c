/* Every request comes through here: who asks, may they, and whose path it is. */
#include "http/limiter.h"
#include "kgitd/audit.h"
#include "kgitd/authenticate.h"
#include "kgitd/identity.h"
#include "kgitd/impersonate.h"
#include "kgitd/master.h"
#include "value/json.h"

#include <stdio.h>
#include <string.h>

void kgd_reply_value(struct kg_http_req *req, int status, const struct kg_value *v)
{
	struct kg_buf out = KG_BUF_INIT;

	kg_json_write(&out, v);
	kg_buf_addc(&out, '\n');
	kg_http_reply(req, status, "application/json", &out);
}

void kgd_reply_error(struct kg_http_req *req, const struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value v = kg_v_obj(&a, "kind", kg_v_lit("Status"), "apiVersion", kg_v_lit("v1"),
		"metadata", kg_v_object(&a, NULL, 0), "status", kg_v_lit("Failure"), "message",
		kg_v_str(&a, err->msg), "reason", kg_v_lit(kg_code_reason(err->code)), "code",
		kg_v_int(kg_code_http(err->code)), (char *)NULL);

	kgd_reply_value(req, kg_code_http(err->code), &v);
}

/* The git client asks for a password only when it is told so. */
static void reply_unauthorized(struct kg_http_req *req, const struct kg_error *err, bool git)
{
	/* Whoever knows the token is still being asked: clients come again by themselves. */
	if (err->code == KG_E_TOO_MANY) {
		kg_http_set_header(req, "Retry-After", "1");
		kgd_reply_error(req, err);
		return;
	}
	if (git) {
		struct kg_buf text = KG_BUF_INIT;

		kg_buf_addf(&text, "kgit: %s; `kgit clone` sets a credential up\n", err->msg);
		kg_http_set_header(req, "WWW-Authenticate", "Basic realm=\"kgit\"");
		kg_http_reply(req, 401, "text/plain; charset=utf-8", &text);
		return;
	}
	kgd_reply_error(req, err);
}

static bool authorize_path(
	struct kgd_exchange *x, const char *verb, const char *path, struct kg_error *err)
{
	struct kg_attributes a = {.verb = verb, .path = path};

	return kg_auth_authorize(x->master->auth, &x->user, &a, err) == 0;
}

static bool is_authenticated(const struct kg_user *u)
{
	return kg_user_in_group(u, "system:authenticated");
}

/* What tells of the whole cluster, as the repository does. */
static bool is_history(const char *path)
{
	static const char *const paths[] = {
		"/kgit/v1/log", "/kgit/v1/history", "/kgit/v1/explain", "/kgit/v1/options"};

	for (size_t i = 0; i < KG_ARRAY_LEN(paths); i++)
		if (strcmp(path, paths[i]) == 0)
			return true;
	return false;
}

/* Of these the handler judges, who knows what is asked for; everybody known gets that far. */
static bool is_judged_there(const char *path)
{
	return strcmp(path, "/kgit/v1/tokens") == 0 || strcmp(path, "/kgit/v1/evict") == 0;
}

/* The one who reads all may fetch, and push: what of that is taken, the push's judge says. */
static bool authorize(
	struct kgd_exchange *x, const char *verb, const char *path, bool git, struct kg_error *err)
{
	if (git || is_history(path))
		return kg_auth_reads_all(x->master->auth, &x->user, err) == 0;
	if (is_judged_there(path) && is_authenticated(&x->user))
		return true;
	return authorize_path(x, verb, path, err);
}

static const char *after(const char *path, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(path, prefix, n) == 0 ? path + n : NULL;
}

/* NAME/REST or NAME.git/REST of /kgit/v1/nodes/. */
static bool node_paths(struct kgd_exchange *x, struct kg_http_req *req, const char *rest,
	struct kg_http_route *route)
{
	const char *slash = strchr(rest, '/');
	size_t n = slash ? (size_t)(slash - rest) : 0;
	bool git = n > 4 && strncmp(slash - 4, ".git", 4) == 0;

	if (git)
		n -= 4;
	if (n == 0 || n >= sizeof(x->node))
		return false;
	memcpy(x->node, rest, n);
	x->node[n] = '\0';
	/* An admin who looks at a node's paths is no sign of the node's life. */
	if (strcmp(x->user.node, x->node) == 0)
		kgd_nodes_seen(x->master->nodes, x->node, kg_http_peer_issuer(req));
	return git ? kgd_view_git_route(req, slash + 1, route)
		   : kgd_node_route(req, slash + 1, route);
}

/* git shows its user a text that comes with a refusal, but no JSON. */
static void reply_forbidden(struct kg_http_req *req, const struct kg_error *err, bool git)
{
	struct kg_buf text = KG_BUF_INIT;

	if (!git) {
		kgd_reply_error(req, err);
		return;
	}
	kg_buf_addf(&text, "kgit: %s\n", err->msg);
	kg_http_reply(req, kg_code_http(err->code), "text/plain", &text);
}

/* Who asks too often is told when to come again; masters are never. Whoever is not known, or has a
 * wrong credential, is one by his address. */
static bool is_limited(struct kgd_exchange *x, struct kg_http_req *req, bool known)
{
	char key[300], seconds[16];
	struct kg_error err;

	if (known && kg_user_in_group(&x->user, "system:masters"))
		return false;
	known = known && is_authenticated(&x->user);
	snprintf(key, sizeof(key), "%s%s", known ? "" : "@",
		known ? x->user.name : kg_http_peer_address(req));
	int wait = kg_limiter_take(x->master->limiter, key, kg_monotonic_ms());
	if (!wait)
		return false;
	kg_fail(&err, KG_E_TOO_MANY, "too many requests; try again in %d s", wait);
	snprintf(seconds, sizeof(seconds), "%d", wait);
	kg_http_set_header(req, "Retry-After", seconds);
	kgd_reply_error(req, &err);
	return true;
}

static void exchange_free(void *p)
{
	struct kgd_exchange *x = p;

	free(x->by);
	free(x);
}

/* Acting as another is for the API: what one pushes and fetches is one's own doing. */
static int impersonate(
	struct kgd_exchange *x, struct kg_http_req *req, bool git, struct kg_error *err)
{
	const char *path = kg_http_path(req);
	struct kg_attributes what = {
		.verb = strcmp(kg_http_method(req), "GET") == 0 ? "get" : "create", .path = path};
	int rc = kgd_impersonate(x, req, err);

	if (rc < 0 || !x->by || !(git || after(path, "/kgit/")))
		return rc;
	rc = kg_fail(err, KG_E_BAD_REQUEST,
		"%s is asked for in one's own name: the headers Impersonate-* are for Kubernetes' "
		"API",
		path);
	kgd_audit_request(x->master->audit, req, &x->user, &what, err);
	return rc;
}

bool kgd_route(struct kg_http_req *req, struct kg_http_route *route, void *ctx)
{
	struct kgd_exchange *x = kg_alloc(sizeof(*x));
	const char *path = kg_http_path(req), *rest;
	bool git = after(path, "/cluster.git/") != NULL;
	struct kg_error err;

	x->master = ctx;
	kg_http_set_user(req, x, exchange_free);
	kgd_audit_name(x->master->audit, req);
	bool known = kgd_authenticate(x, req, &err) == 0;
	if (is_limited(x, req, known))
		return true;
	if (!known) {
		kgd_audit_unknown(x->master->audit, req, &err);
		reply_unauthorized(req, &err, git);
		return true;
	}
	if (git && strcmp(x->user.name, "system:anonymous") == 0) {
		kg_fail(&err, KG_E_UNAUTHORIZED, "a credential is needed");
		reply_unauthorized(req, &err, true);
		return true;
	}
	if (impersonate(x, req, git, &err) < 0) {
		reply_forbidden(req, &err, git);
		return true;
	}
	if (kg_api_route(x->master->api, req, &x->user, route))
		return true;
	const char *verb = strcmp(kg_http_method(req), "GET") == 0 ? "get" : "create";
	struct kg_attributes what = {.verb = verb, .path = path};
	bool allowed = authorize(x, verb, path, git, &err);
	if (!allowed || !is_judged_there(path))
		kgd_audit_request(x->master->audit, req, &x->user, &what, allowed ? NULL : &err);
	if (!allowed) {
		reply_forbidden(req, &err, git);
		return true;
	}
	if (kgd_identity_route(req, route))
		return true;
	if ((rest = after(path, "/cluster.git/")))
		return kgd_git_route(req, rest, route);
	if ((rest = after(path, "/kgit/v1/nodes/")))
		return node_paths(x, req, rest, route);
	if ((rest = after(path, "/kgit/v1/")))
		return kgd_history_route(req, rest, route) || kgd_options_route(req, rest, route) ||
		       kgd_evict_route(req, rest, route) || kgd_ca_route(req, rest, route) ||
		       kgd_admin_route(req, rest, route);
	return false;
}
