/*
 * Tokens for the pods of a node, many at once: POST /kgit/v1/nodes/NAME/tokens with {"tokens":
 * [{"namespace", "pod", "uid", "audience", "expirationSeconds"}]}. As Kubernetes' TokenRequest, but
 * that the account is the pod's, and the pod must be bound to this node. Answered in the same
 * order, each with {"token", "issued", "expires"} (seconds of the epoch) or {"error"}.
 */
#include "auth/accounts.h"
#include "kgitd/join.h"
#include "kgitd/master.h"

#include <string.h>

#define MAX_TOKENS 256 /* the agent's batches are that large */

static struct kg_value error_value(struct kg_arena *a, const char *why)
{
	return kg_v_obj(a, "error", kg_v_str(a, why), (char *)NULL);
}

static struct kg_value issue_one(
	struct kg_arena *a, const struct kgd_exchange *x, const struct kg_value *item, kg_time now)
{
	const char *audience = kg_string(kg_get(item, "audience"), "");
	struct kg_value aud = kg_v_lit(audience);
	struct kg_value audiences = kg_v_array(a, &aud, *audience ? 1 : 0);
	struct kg_token_request req = {
		.ns = kg_string(kg_get(item, "namespace"), ""),
		.pod = kg_string(kg_get(item, "pod"), ""),
		.pod_uid = kg_string(kg_get(item, "uid"), ""),
		.node = x->node,
		.audiences = &audiences,
		.seconds = kg_int(kg_get(item, "expirationSeconds"), 0),
	};
	char *token KG_AUTOFREE = NULL;
	struct kg_error err;
	kg_time expires;

	if (!*req.pod_uid)
		return error_value(a, "the pod's uid is needed");
	if (kg_accounts_issue(x->master->accounts, &token, &expires, &req, now, &err) < 0)
		return error_value(a, err.msg);
	return kg_v_obj(a, "token", kg_v_str(a, token), "issued", kg_v_int(now / 1000), "expires",
		kg_v_int(expires / 1000), (char *)NULL);
}

static int check(const struct kgd_exchange *x, const struct kg_value *list, struct kg_error *err)
{
	/* An admin who may use the path is no node. */
	if (strcmp(x->user.node, x->node) != 0)
		return kg_fail(
			err, KG_E_FORBIDDEN, "tokens of a node's pods are for the node itself");
	if (list->type != KG_ARRAY)
		return kg_fail(err, KG_E_BAD_REQUEST, "tokens: expected a list");
	if (kg_len(list) > MAX_TOKENS)
		return kg_fail(
			err, KG_E_TOO_LARGE, "at most %d tokens can be asked for", MAX_TOKENS);
	return 0;
}

void kgd_handle_node_tokens(struct kg_http_req *req, void *ctx)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kgd_exchange *x = kgd_exchange(req);
	kg_time now = kg_realtime_ms();
	struct kg_value body;
	struct kg_error err;

	(void)ctx;
	int rc = kgd_parse_body(&body, &a, req, &err);
	const struct kg_value *list = rc < 0 ? &kg_null : kg_get(&body, "tokens");
	if (rc < 0 || check(x, list, &err) < 0) {
		kgd_reply_error(req, &err);
		return;
	}
	struct kg_value *items = kg_arena_alloc(&a, (kg_len(list) + 1) * sizeof(*items));
	for (uint32_t i = 0; i < kg_len(list); i++)
		items[i] = issue_one(&a, x, &list->items[i], now);
	struct kg_value v =
		kg_v_obj(&a, "tokens", kg_v_array(&a, items, kg_len(list)), (char *)NULL);
	kgd_reply_value(req, 200, &v);
}
