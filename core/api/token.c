/* TokenRequest: POST .../serviceaccounts/NAME/token, answered with a token of that account. */
#include "api/handlers.h"
#include "api/internal.h"
#include "api/reply.h"
#include "api/request.h"
#include "auth/accounts.h"
#include "value/json.h"

static bool on_own_node(struct request *r, const char *pod)
{
	struct kg_snapshot *s = kg_hub_snapshot(r->api->opt.hub);
	const struct kg_object *obj = pod ? kg_snapshot_get(s, KG_KIND_POD, r->ns, pod) : NULL;
	const char *node = obj ? kg_string(kg_at(kg_obj(obj), "spec.nodeName"), "") : "";
	bool own = !strcmp(node, r->user->node);

	kg_snapshot_unref(s);
	return own;
}

static bool read_bound(struct request *r, const struct kg_value *spec, struct kg_token_request *req)
{
	const struct kg_value *bound = kg_get(spec, "boundObjectRef");

	if (!kg_is_null(bound)) {
		if (strcmp(kg_string(kg_get(bound, "kind"), ""), "Pod") != 0) {
			kg_api_reply_status(r, 422, "Invalid", NULL,
				"spec.boundObjectRef.kind: a token is bound to a Pod or to "
				"nothing");
			return false;
		}
		req->pod = kg_string(kg_get(bound, "name"), "");
		req->pod_uid = kg_string(kg_get(bound, "uid"), "");
	}
	/* A node speaks for the pods that it runs, and no namesake of them. */
	if (*r->user->node && (!on_own_node(r, req->pod) || !*req->pod_uid)) {
		kg_api_reply_status(r, 403, "Forbidden", NULL,
			"a node may only have tokens that are bound, by name and uid, to pods of "
			"its own");
		return false;
	}
	return true;
}

/* As Kubernetes has it; what it takes and is more than thirty days becomes that. */
static bool check_time(struct request *r, const struct kg_value *spec)
{
	const struct kg_value *said = kg_get(spec, "expirationSeconds");
	int64_t s = kg_int(said, 0);
	bool less = s < 600;

	if (kg_is_null(said) || (s >= 600 && s <= INT64_C(1) << 32))
		return true;
	kg_api_reply_status(r, 422, "Invalid", NULL,
		"TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: "
		"Invalid "
		"value: %lld: may not specify a duration %s",
		(long long)s, less ? "less than 10 minutes" : "larger than 2^32 seconds");
	return false;
}

static void reply(struct request *r, const struct kg_value *spec, const char *token,
	kg_time expires, kg_time now)
{
	struct kg_arena *a = &r->arena;
	struct kg_buf out = KG_BUF_INIT;
	char end[32], made[32];

	kg_time_format(end, expires);
	kg_time_format(made, now);
	struct kg_value whole =
		kg_with(a, spec, "expirationSeconds", kg_v_int((expires - now + 999) / 1000));
	struct kg_value v = kg_v_obj(a, "kind", kg_v_lit("TokenRequest"), "apiVersion",
		kg_v_lit("authentication.k8s.io/v1"), "metadata",
		kg_v_obj(a, "name", kg_v_lit(r->name), "namespace", kg_v_lit(r->ns),
			"creationTimestamp", kg_v_lit(made), (char *)NULL),
		"spec", whole, "status",
		kg_v_obj(a, "token", kg_v_lit(token), "expirationTimestamp", kg_v_lit(end),
			(char *)NULL),
		(char *)NULL);
	kg_json_write(&out, &v);
	kg_buf_addc(&out, '\n');
	kg_api_reply_json(r, 201, &out);
}

void kg_api_handle_token(struct request *r)
{
	struct kg_accounts *accounts = r->api->opt.accounts;
	struct kg_token_request req = {.ns = r->ns, .name = r->name};
	kg_time now = kg_api_now(r->api), expires;
	char *token KG_AUTOFREE = NULL;
	struct kg_value spec;
	struct kg_error err;

	if (!accounts) {
		kg_api_reply_status(
			r, 501, "NotImplemented", NULL, "this server makes no such tokens");
		return;
	}
	if (kg_api_read_spec(&spec, r, "token", &err)) {
		kg_api_reply_error(r, &err);
		return;
	}
	if (spec.type != KG_OBJECT)
		spec = kg_v_object(&r->arena, NULL, 0);
	req.audiences = kg_get(&spec, "audiences");
	req.seconds = kg_int(kg_get(&spec, "expirationSeconds"), 0);
	if (!check_time(r, &spec) || !read_bound(r, &spec, &req))
		return;
	if (kg_accounts_issue(accounts, &token, &expires, &req, now, &err))
		kg_api_reply_error(r, &err);
	else
		reply(r, &spec, token, expires, now);
}
