/*
 * `kubectl auth whoami` and `kubectl auth can-i`: POSTs that change nothing and are answered at
 * once. What nobody can do through this API (write) is answered no, with the reason.
 */
#include "api/internal.h"
#include "api/proto.h"

static const char no_writes[] = "desired state is changed by git push, not through the API";

static void write_user(struct kg_buf *out, const struct kg_user *u)
{
	kg_buf_adds(out, "{\"username\":");
	kg_api_write_str(out, u->name);
	kg_buf_adds(out, ",\"groups\":[");
	for (unsigned i = 0; i < u->ngroups; i++) {
		if (i)
			kg_buf_addc(out, ',');
		kg_api_write_str(out, u->groups[i]);
	}
	kg_buf_adds(out, "]}");
}

static const char *str(const struct kg_value *v, const char *key)
{
	return kg_string(kg_get(v, key), "");
}

static bool is_read_verb(const char *verb)
{
	static const char *const reads[] = {"get", "list", "watch", "*", "push", "fetch"};

	for (size_t i = 0; i < KG_ARRAY_LEN(reads); i++)
		if (!strcmp(reads[i], verb))
			return true;
	return false;
}

static void answer_access(struct request *r, const struct kg_value *spec, struct kg_buf *out)
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
	const char *reason = "";
	struct kg_error err;
	bool allowed = false;

	if (!is_read_verb(a.verb) && !kg_api_is_self_subject(a.group, a.resource))
		reason = no_writes;
	else if (kg_api_authorize(r, &a, &err))
		reason = err.msg;
	else
		allowed = true;
	kg_buf_adds(out, "{\"kind\":\"SelfSubjectAccessReview\","
			 "\"apiVersion\":\"authorization.k8s.io/v1\",\"metadata\":{},\"spec\":");
	kg_json_write(out, spec);
	kg_buf_addf(out, ",\"status\":{\"allowed\":%s", allowed ? "true" : "false");
	if (*reason)
		kg_api_write_member(out, "reason", reason);
	kg_buf_adds(out, "}}\n");
}

static bool may(struct request *r, const char *verb, const struct kg_kind *k, const char *ns)
{
	struct kg_attributes a = {.verb = verb,
		.group = k->group,
		.resource = k->plural,
		.subresource = "",
		.ns = k->flags & KG_KF_NAMESPACED ? ns : "",
		.name = ""};
	struct kg_error err;

	return !kg_api_authorize(r, &a, &err);
}

static void answer_rules(struct request *r, const struct kg_value *spec, struct kg_buf *out)
{
	static const char *const verbs[] = {"get", "list", "watch"};
	const char *ns = str(spec, "namespace");
	bool more = false;

	kg_buf_adds(out, "{\"kind\":\"SelfSubjectRulesReview\","
			 "\"apiVersion\":\"authorization.k8s.io/v1\",\"metadata\":{},\"spec\":{},"
			 "\"status\":{\"resourceRules\":[");
	for (int i = 0; i < KG_KIND_COUNT; i++) {
		const struct kg_kind *k = &kg_kinds[i];
		bool first = true;

		for (size_t v = 0; v < KG_ARRAY_LEN(verbs); v++) {
			if (!may(r, verbs[v], k, ns))
				continue;
			if (first)
				kg_buf_addf(out, "%s{\"verbs\":[", more ? "," : "");
			kg_buf_addf(out, "%s\"%s\"", first ? "" : ",", verbs[v]);
			first = false;
		}
		if (first)
			continue;
		kg_buf_addf(out, "],\"apiGroups\":[\"%s\"],\"resources\":[\"%s\"]}", k->group,
			k->plural);
		more = true;
	}
	kg_buf_adds(out, "],\"nonResourceRules\":[{\"verbs\":[\"get\"],\"nonResourceURLs\":["
			 "\"/healthz\",\"/livez\",\"/readyz\",\"/version\"]}],"
			 "\"incomplete\":false}}\n");
}

/* *spec is null where the body is of no format that is known. */
static int read_spec(
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
	struct kg_buf out = KG_BUF_INIT;
	struct kg_value spec;
	struct kg_error err;

	/* A review of oneself says nothing that must be read. */
	if (!strcmp(resource, "selfsubjectreviews")) {
		kg_buf_adds(&out, "{\"kind\":\"SelfSubjectReview\",\"apiVersion\":"
				  "\"authentication.k8s.io/v1\",\"metadata\":{},\"status\":"
				  "{\"userInfo\":");
		write_user(&out, r->user);
		kg_buf_adds(&out, "}}\n");
		kg_api_reply_json(r, 201, &out);
		return;
	}
	if (read_spec(&spec, r, resource, &err)) {
		kg_api_reply_error(r, &err);
		return;
	}
	if (kg_is_null(&spec)) {
		kg_api_reply_status(r, 415, "UnsupportedMediaType", NULL,
			"the body of the request was in an unknown format - accepted media types "
			"include: application/json, application/vnd.kubernetes.protobuf");
		return;
	}
	if (!strcmp(resource, "selfsubjectaccessreviews"))
		answer_access(r, &spec, &out);
	else
		answer_rules(r, &spec, &out);
	kg_api_reply_json(r, 201, &out);
}
