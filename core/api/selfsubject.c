/*
 * Reviews: POSTs that change nothing and are answered at once. `kubectl auth whoami` and `kubectl
 * auth can-i` ask of oneself; who may "create" the others asks of anybody (SubjectAccessReview) or
 * of a token (TokenReview). A verb that writes is answered as a push is judged.
 */
#include "api/handlers.h"
#include "api/internal.h"
#include "api/proto.h"
#include "api/reply.h"
#include "api/request.h"
#include "auth/accounts.h"
#include "value/json.h"

static const char *str(const struct kg_value *v, const char *key)
{
	return kg_string(kg_get(v, key), "");
}

static void reply(struct request *r, const char *group, const char *kind,
	const struct kg_value *spec, struct kg_value status)
{
	struct kg_arena *a = &r->arena;
	struct kg_buf out = KG_BUF_INIT;
	struct kg_value v =
		kg_v_obj(a, "kind", kg_v_lit(kind), "apiVersion", kg_v_strf(a, "%s/v1", group),
			"metadata", kg_v_object(a, NULL, 0), "status", status, (char *)NULL);

	if (spec)
		v = kg_with(a, &v, "spec", *spec);
	kg_json_write(&out, &v);
	kg_buf_addc(&out, '\n');
	kg_api_reply_json(r, 201, &out);
}

/* ---- may somebody ---- */

static bool is_allowed(struct request *r, const struct kg_user *u, const struct kg_value *spec)
{
	const struct kg_value *res = kg_get(spec, "resourceAttributes");
	const struct kg_value *path = kg_get(spec, "nonResourceAttributes");
	bool on_path = !kg_is_null(path);
	struct kg_attributes a = {.verb = str(on_path ? path : res, "verb"),
		.group = str(res, "group"),
		.resource = str(res, "resource"),
		.subresource = str(res, "subresource"),
		.ns = str(res, "namespace"),
		.name = str(res, "name"),
		.path = on_path ? str(path, "path") : NULL};
	struct kg_error why;

	return !r->api->opt.auth || !kg_auth_authorize(r->api->opt.auth, u, &a, &why);
}

/* One of the two, as Kubernetes judges. */
static bool asks_one(struct request *r, const struct kg_value *spec)
{
	bool resource = !kg_is_null(kg_get(spec, "resourceAttributes"));
	bool path = !kg_is_null(kg_get(spec, "nonResourceAttributes"));

	if (resource != path)
		return true;
	kg_api_reply_status(r, 422, "Invalid", NULL, "%s is invalid: spec.%s: Invalid value: %s",
		r->resource, resource ? "nonResourceAttributes" : "resourceAttributes",
		resource ? "cannot be specified in combination with resourceAttributes"
			 : "exactly one of nonResourceAttributes or resourceAttributes must be "
			   "specified");
	return false;
}

static void answer_access(
	struct request *r, const char *kind, const struct kg_user *u, const struct kg_value *spec)
{
	if (!asks_one(r, spec))
		return;
	struct kg_value status =
		kg_v_obj(&r->arena, "allowed", kg_v_bool(is_allowed(r, u, spec)), (char *)NULL);

	reply(r, "authorization.k8s.io", kind, spec, status);
}

static void answer_self_access(struct request *r, const struct kg_value *spec)
{
	answer_access(r, "SelfSubjectAccessReview", r->user, spec);
}

/* The user that a review names, as its name and groups are given; there may be groups alone. */
static int named_user(struct kg_user *u, const struct kg_value *spec, struct kg_error *err)
{
	const struct kg_value *groups = kg_array(kg_get(spec, "groups"));
	int rc = 0;

	*u = (struct kg_user){0};
	if (*str(spec, "user") || !kg_len(groups))
		rc = kg_user_set(u, str(spec, "user"), err);
	for (uint32_t i = 0; !rc && i < kg_len(groups); i++)
		rc = kg_user_add_group(u, kg_string(&groups->items[i], ""), err);
	return rc;
}

static void answer_subject_access(struct request *r, const struct kg_value *spec)
{
	bool local = !strcmp(r->resource, "localsubjectaccessreviews");
	const char *ns = str(kg_get(spec, "resourceAttributes"), "namespace");
	struct kg_error err;
	struct kg_user *u = kg_arena_alloc(&r->arena, sizeof(*u));

	if (named_user(u, spec, &err)) {
		kg_api_reply_status(r, 400, "BadRequest", NULL, "spec: %s", err.msg);
		return;
	}
	if (local && (!r->ns || strcmp(ns, r->ns) != 0)) {
		kg_api_reply_status(r, 400, "BadRequest", NULL,
			"spec.resourceAttributes.namespace: must be the request's namespace");
		return;
	}
	answer_access(r, local ? "LocalSubjectAccessReview" : "SubjectAccessReview", u, spec);
}

/* ---- one's rules ---- */

static struct kg_value everything(struct kg_arena *a)
{
	struct kg_value star = kg_v_lit("*"), all = kg_v_array(a, &star, 1);
	struct kg_value rules[] = {
		kg_v_obj(a, "verbs", all, "apiGroups", all, "resources", all, (char *)NULL),
		kg_v_obj(a, "verbs", all, "nonResourceURLs", all, (char *)NULL),
	};

	return kg_v_array(a, rules, 2);
}

static void answer_rules(struct request *r, const struct kg_value *spec)
{
	struct kg_arena *a = &r->arena;
	struct kg_auth *auth = r->api->opt.auth;
	struct kg_value rules =
		auth ? kg_auth_rules(auth, r->user, str(spec, "namespace"), a) : everything(a);
	uint32_t n = kg_len(&rules), nresources = 0, npaths = 0;
	struct kg_value *resources = kg_arena_alloc(a, (n + 1) * sizeof(*resources));
	struct kg_value *paths = kg_arena_alloc(a, (n + 1) * sizeof(*paths));

	for (uint32_t i = 0; i < n; i++)
		if (kg_len(kg_get(&rules.items[i], "nonResourceURLs")))
			paths[npaths++] = rules.items[i];
		else
			resources[nresources++] = rules.items[i];
	/* What is bound to a node is no rule. */
	struct kg_value status = kg_v_obj(a, "resourceRules", kg_v_array(a, resources, nresources),
		"nonResourceRules", kg_v_array(a, paths, npaths), "incomplete",
		kg_v_bool(*r->user->node != '\0'), (char *)NULL);
	reply(r, "authorization.k8s.io", "SelfSubjectRulesReview", spec, status);
}

/* ---- who ---- */

static void answer_who(struct request *r)
{
	struct kg_value status =
		kg_v_obj(&r->arena, "userInfo", kg_user_value(&r->arena, r->user), (char *)NULL);

	reply(r, "authentication.k8s.io", "SelfSubjectReview", NULL, status);
}

static bool has_text(const struct kg_value *list, const char *text)
{
	for (uint32_t i = 0; i < kg_len(list); i++)
		if (!strcmp(kg_string(&list->items[i], ""), text))
			return true;
	return false;
}

/* Whose token is it? Where audiences are asked for, *audiences are those of them that it is for:
 * a ServiceAccount's says so itself, all others are for this server. */
static int who_has(struct request *r, struct kg_user *u, const char *token,
	const struct kg_value *wanted, struct kg_value *audiences, struct kg_error *err)
{
	struct kg_accounts *accounts = r->api->opt.accounts;
	struct kg_credentials c = {.authorization = kg_arena_printf(&r->arena, "Bearer %s", token)};
	struct kg_value own = kg_v_lit(accounts ? kg_accounts_issuer(accounts) : "");
	int rc = 0;

	if (kg_len(wanted) && accounts)
		rc = kg_accounts_review(
			accounts, &r->arena, u, token, wanted, audiences, kg_api_now(r->api), err);
	if (rc)
		return rc < 0 ? rc : 0;
	if (kg_len(wanted) && !has_text(wanted, kg_string(&own, "")))
		return kg_fail(err, KG_E_UNAUTHORIZED, "the token is for another audience");
	*audiences = accounts ? kg_v_array(&r->arena, &own, 1) : kg_v_null();
	return kg_auth_authenticate(r->api->opt.auth, u, &c, kg_api_now(r->api), err);
}

static void answer_token(struct request *r, const struct kg_value *spec)
{
	struct kg_arena *a = &r->arena;
	const struct kg_value *wanted = kg_array(kg_get(spec, "audiences"));
	struct kg_user *u = kg_arena_alloc(a, sizeof(*u));
	struct kg_error err = {.msg = "there are no authenticators"};
	struct kg_value status, audiences = kg_v_null();

	if (kg_len(wanted) > KG_MAX_AUDIENCES) {
		kg_api_reply_status(r, 422, "Invalid", NULL,
			"TokenReview.authentication.k8s.io \"\" is invalid: spec.audiences: a "
			"token "
			"has at most %d, not %u",
			KG_MAX_AUDIENCES, (unsigned)kg_len(wanted));
		return;
	}
	if (r->api->opt.auth && !who_has(r, u, str(spec, "token"), wanted, &audiences, &err))
		status = kg_v_obj(a, "authenticated", kg_v_bool(true), "user", kg_user_value(a, u),
			"audiences", audiences, (char *)NULL);
	else
		status = kg_v_obj(a, "authenticated", kg_v_bool(false), "error",
			kg_v_str(a, err.msg), (char *)NULL);
	struct kg_value said = kg_with(a, spec, "token", kg_v_null());
	reply(r, "authentication.k8s.io", "TokenReview", &said, status);
}

/* ---- */

int kg_api_read_spec(
	struct kg_value *spec, struct request *r, const char *resource, struct kg_error *err)
{
	const struct kg_buf *body = kg_http_body(r->http);
	struct kg_value v;
	int rc;

	*spec = kg_null;
	if (kg_proto_is(body->data, body->len))
		return kg_proto_review_spec(spec, &r->arena, resource, body->data, body->len, err);
	if (!body->len || *body->data != '{')
		return 0;
	rc = kg_json_parse(&v, &r->arena, body->data, body->len, err);
	if (!rc)
		*spec = *kg_get(&v, "spec");
	return rc;
}

void kg_api_handle_self_subject(struct request *r, const char *resource)
{
	static const struct {
		const char *resource;
		void (*answer)(struct request *r, const struct kg_value *spec);
	} reviews[] = {
		{"selfsubjectaccessreviews", answer_self_access},
		{"selfsubjectrulesreviews", answer_rules},
		{"subjectaccessreviews", answer_subject_access},
		{"localsubjectaccessreviews", answer_subject_access},
		{"tokenreviews", answer_token},
	};
	struct kg_value spec;
	struct kg_error err;

	/* A review of oneself says nothing that must be read. */
	if (!strcmp(resource, "selfsubjectreviews")) {
		answer_who(r);
		return;
	}
	if (kg_api_read_spec(&spec, r, resource, &err)) {
		kg_api_reply_error(r, &err);
		return;
	}
	if (kg_is_null(&spec)) {
		kg_api_reply_status(r, 415, "UnsupportedMediaType", NULL,
			"the body of the request was in an unknown format - accepted media types "
			"include: application/json, application/vnd.kubernetes.protobuf");
		return;
	}
	for (size_t i = 0; i < KG_ARRAY_LEN(reviews); i++)
		if (!strcmp(reviews[i].resource, resource))
			reviews[i].answer(r, &spec);
}
