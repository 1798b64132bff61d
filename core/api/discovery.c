/* Discovery: what there is, as aggregated documents (v2, v2beta1) and the older plain lists. */
#include "api/handlers.h"
#include "api/internal.h"
#include "api/reply.h"
#include "api/request.h"

#include <stdio.h>

/* A resource that is not a kind of ours: asked by POST, answered at once. */
struct virtual_resource {
	const char *group, *kind, *plural, *singular;
	bool namespaced;
};
#define AUTHN "authentication.k8s.io"
#define AUTHZ "authorization.k8s.io"
static const struct virtual_resource virtuals[] = {
	{AUTHN, "SelfSubjectReview", "selfsubjectreviews", "selfsubjectreview", false},
	{AUTHN, "TokenReview", "tokenreviews", "tokenreview", false},
	{AUTHZ, "LocalSubjectAccessReview", "localsubjectaccessreviews", "localsubjectaccessreview",
		true},
	{AUTHZ, "SelfSubjectAccessReview", "selfsubjectaccessreviews", "selfsubjectaccessreview",
		false},
	{AUTHZ, "SelfSubjectRulesReview", "selfsubjectrulesreviews", "selfsubjectrulesreview",
		false},
	{AUTHZ, "SubjectAccessReview", "subjectaccessreviews", "subjectaccessreview", false},
};

bool kg_api_is_self_subject(const char *group, const char *resource)
{
	for (size_t i = 0; i < KG_ARRAY_LEN(virtuals); i++)
		if (!strcmp(virtuals[i].group, group) && !strcmp(virtuals[i].plural, resource))
			return true;
	return false;
}

/* ---- groups: one version each ---- */

enum { MAX_GROUPS = 32 };
struct group {
	const char *name, *version;
};

static size_t add_group(struct group *groups, size_t n, const char *name, const char *version)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(groups[i].name, name))
			return n;
	groups[n++] = (struct group){name, version};
	return n;
}

/* Every group but the core one. */
static size_t all_groups(struct group groups[MAX_GROUPS])
{
	size_t n = 0;

	for (int k = 0; k < KG_KIND_COUNT; k++)
		if (*kg_kinds[k].group)
			n = add_group(groups, n, kg_kinds[k].group, kg_kinds[k].version);
	for (size_t i = 0; i < KG_ARRAY_LEN(virtuals); i++)
		n = add_group(groups, n, virtuals[i].group, "v1");
	return n;
}

/* ---- resources ---- */

struct comma {
	bool more;
};
static void comma(struct kg_buf *out, struct comma *c)
{
	if (c->more)
		kg_buf_addc(out, ',');
	c->more = true;
}

static void write_names(struct kg_buf *out, const char *key, const char *const *names)
{
	if (!names || !*names)
		return;
	kg_buf_addf(out, ",\"%s\":[", key);
	for (const char *const *n = names; *n; n++) {
		if (n != names)
			kg_buf_addc(out, ',');
		kg_api_write_str(out, *n);
	}
	kg_buf_addc(out, ']');
}

static const char *verbs_of(const struct kg_kind *k)
{
	return k->flags & KG_KF_NO_WATCH ? "[\"get\",\"list\"]" : "[\"get\",\"list\",\"watch\"]";
}

bool kg_api_has_status(const struct kg_kind *k)
{
	for (const struct kg_field *f = k->schema ? k->schema->fields : NULL; f && f->name; f++)
		if (!strcmp(f->name, "status"))
			return true;
	return false;
}

struct sub {
	const char *name, *group, *version, *kind; /* group NULL: the parent's type */
	const char *verb;                          /* NULL: get */
};
static size_t subs_of(const struct kg_kind *k, struct sub out[3])
{
	static const struct sub status = {.name = "status"}, log = {.name = "log"},
				scale = {"scale", "autoscaling", "v1", "Scale", NULL},
				token = {"token", "authentication.k8s.io", "v1", "TokenRequest",
					"create"};
	size_t n = 0;

	if (kg_api_has_status(k))
		out[n++] = status;
	if (k->id == KG_KIND_POD)
		out[n++] = log;
	if (k->flags & KG_KF_SCALE)
		out[n++] = scale;
	if (k->id == KG_KIND_SERVICEACCOUNT)
		out[n++] = token;
	return n;
}

/* ---- aggregated ---- */

static void write_gvk(struct kg_buf *out, const char *group, const char *version, const char *kind)
{
	kg_buf_addf(
		out, "{\"group\":\"%s\",\"version\":\"%s\",\"kind\":\"%s\"}", group, version, kind);
}

static void write_aggregated_subs(struct kg_buf *out, const struct kg_kind *k)
{
	struct sub subs[3];
	size_t n = subs_of(k, subs);

	if (!n)
		return;
	kg_buf_adds(out, ",\"subresources\":[");
	for (size_t i = 0; i < n; i++) {
		kg_buf_addf(out, "%s{\"subresource\":\"%s\",\"responseKind\":", i ? "," : "",
			subs[i].name);
		if (subs[i].group)
			write_gvk(out, subs[i].group, subs[i].version, subs[i].kind);
		else
			write_gvk(out, k->group, k->version, k->kind);
		kg_buf_addf(out, ",\"verbs\":[\"%s\"]}", subs[i].verb ? subs[i].verb : "get");
	}
	kg_buf_addc(out, ']');
}

static void write_aggregated_kind(struct kg_buf *out, const struct kg_kind *k)
{
	kg_buf_addf(out, "{\"resource\":\"%s\",\"responseKind\":", k->plural);
	write_gvk(out, k->group, k->version, k->kind);
	kg_buf_addf(out, ",\"scope\":\"%s\",\"singularResource\":\"%s\",\"verbs\":%s",
		k->flags & KG_KF_NAMESPACED ? "Namespaced" : "Cluster", k->singular, verbs_of(k));
	write_names(out, "shortNames", k->short_names);
	write_names(out, "categories", k->categories);
	write_aggregated_subs(out, k);
	kg_buf_addc(out, '}');
}

static void write_aggregated_group(struct kg_buf *out, const struct group *g)
{
	struct comma c = {0};

	kg_buf_adds(out, "{\"metadata\":{");
	if (*g->name)
		kg_buf_addf(out, "\"name\":\"%s\",", g->name);
	kg_buf_addf(out,
		"\"creationTimestamp\":null},\"versions\":[{\"version\":\"%s\",\"resources\":[",
		g->version);
	for (int k = 0; k < KG_KIND_COUNT; k++) {
		if (strcmp(kg_kinds[k].group, g->name))
			continue;
		comma(out, &c);
		write_aggregated_kind(out, &kg_kinds[k]);
	}
	for (size_t i = 0; i < KG_ARRAY_LEN(virtuals); i++) {
		const struct virtual_resource *v = &virtuals[i];

		if (strcmp(v->group, g->name))
			continue;
		comma(out, &c);
		kg_buf_addf(out, "{\"resource\":\"%s\",\"responseKind\":", v->plural);
		write_gvk(out, v->group, "v1", v->kind);
		kg_buf_addf(out,
			",\"scope\":\"%s\",\"singularResource\":\"%s\",\"verbs\":[\"create\"]"
			"}",
			v->namespaced ? "Namespaced" : "Cluster", v->singular);
	}
	kg_buf_adds(out, "],\"freshness\":\"Current\"}]}");
}

static void write_aggregated(struct kg_buf *out, const char *version, bool core)
{
	struct group groups[MAX_GROUPS];
	size_t n = core ? add_group(groups, 0, "", "v1") : all_groups(groups);

	kg_buf_addf(out,
		"{\"kind\":\"APIGroupDiscoveryList\",\"apiVersion\":\"apidiscovery.k8s.io/%s\","
		"\"metadata\":{},\"items\":[",
		version);
	for (size_t i = 0; i < n; i++) {
		if (i)
			kg_buf_addc(out, ',');
		write_aggregated_group(out, &groups[i]);
	}
	kg_buf_adds(out, "]}");
}

/* ---- plain ---- */

static void write_plain_kind(struct kg_buf *out, const struct kg_kind *k)
{
	const char *namespaced = k->flags & KG_KF_NAMESPACED ? "true" : "false";
	struct sub subs[3];
	size_t n = subs_of(k, subs);

	kg_buf_addf(out,
		"{\"name\":\"%s\",\"singularName\":\"%s\",\"namespaced\":%s,\"kind\":\"%s\","
		"\"verbs\":%s",
		k->plural, k->singular, namespaced, k->kind, verbs_of(k));
	write_names(out, "shortNames", k->short_names);
	write_names(out, "categories", k->categories);
	kg_buf_addc(out, '}');
	for (size_t i = 0; i < n; i++) {
		kg_buf_addf(out,
			",{\"name\":\"%s/"
			"%s\",\"singularName\":\"\",\"namespaced\":%s,\"kind\":\"%s\","
			"\"verbs\":[\"%s\"]",
			k->plural, subs[i].name, namespaced, subs[i].group ? subs[i].kind : k->kind,
			subs[i].verb ? subs[i].verb : "get");
		if (subs[i].group)
			kg_buf_addf(out, ",\"group\":\"%s\",\"version\":\"%s\"", subs[i].group,
				subs[i].version);
		kg_buf_addc(out, '}');
	}
}

static void write_resource_list(struct kg_buf *out, const struct group *g)
{
	struct comma c = {0};

	kg_buf_addf(out,
		"{\"kind\":\"APIResourceList\",\"apiVersion\":\"v1\",\"groupVersion\":\"%s%s%s\","
		"\"resources\":[",
		g->name, *g->name ? "/" : "", g->version);
	for (int k = 0; k < KG_KIND_COUNT; k++) {
		if (strcmp(kg_kinds[k].group, g->name))
			continue;
		comma(out, &c);
		write_plain_kind(out, &kg_kinds[k]);
	}
	for (size_t i = 0; i < KG_ARRAY_LEN(virtuals); i++) {
		const struct virtual_resource *v = &virtuals[i];

		if (strcmp(v->group, g->name))
			continue;
		comma(out, &c);
		kg_buf_addf(out,
			"{\"name\":\"%s\",\"singularName\":\"%s\",\"namespaced\":%s,\"kind\":\"%"
			"s\","
			"\"verbs\":[\"create\"]}",
			v->plural, v->singular, v->namespaced ? "true" : "false", v->kind);
	}
	kg_buf_adds(out, "]}\n");
}

static void write_group(struct kg_buf *out, const struct group *g, bool top)
{
	const char *kind = top ? "\"kind\":\"APIGroup\",\"apiVersion\":\"v1\"," : "";

	kg_buf_addf(out,
		"{%s\"name\":\"%s\",\"versions\":[{\"groupVersion\":\"%s/%s\",\"version\":\"%s\"}],"
		"\"preferredVersion\":{\"groupVersion\":\"%s/%s\",\"version\":\"%s\"}}",
		kind, g->name, g->name, g->version, g->version, g->name, g->version, g->version);
}

static void write_group_list(struct kg_buf *out)
{
	struct group groups[MAX_GROUPS];
	size_t n = all_groups(groups);

	kg_buf_adds(out, "{\"kind\":\"APIGroupList\",\"apiVersion\":\"v1\",\"groups\":[");
	for (size_t i = 0; i < n; i++) {
		if (i)
			kg_buf_addc(out, ',');
		write_group(out, &groups[i], false);
	}
	kg_buf_adds(out, "]}\n");
}

static void write_versions(struct kg_buf *out, const struct request *r)
{
	kg_buf_adds(out, "{\"kind\":\"APIVersions\",\"versions\":[\"v1\"],"
			 "\"serverAddressByClientCIDRs\":[");
	if (r->api->opt.server_address) {
		kg_buf_adds(out, "{\"clientCIDR\":\"0.0.0.0/0\"");
		kg_api_write_member(out, "serverAddress", r->api->opt.server_address);
		kg_buf_addc(out, '}');
	}
	kg_buf_adds(out, "]}\n");
}

void kg_api_handle_roots(struct request *r)
{
	static const char *const others[] = {"/healthz", "/livez", "/metrics", "/openapi/v2",
		"/openapi/v3", "/readyz", "/version"};
	struct group groups[MAX_GROUPS];
	size_t n = all_groups(groups);
	struct kg_buf out = KG_BUF_INIT;

	kg_buf_adds(&out, "{\"paths\":[\"/api\",\"/api/v1\",\"/apis\"");
	for (size_t i = 0; i < n; i++)
		kg_buf_addf(&out, ",\"/apis/%s\",\"/apis/%s/%s\"", groups[i].name, groups[i].name,
			groups[i].version);
	for (size_t i = 0; i < KG_ARRAY_LEN(others); i++)
		kg_buf_addf(&out, ",\"%s\"", others[i]);
	kg_buf_adds(&out, "]}\n");
	kg_http_reply(r->http, 200, "application/json", &out); /* as in Kubernetes, nothing else */
}

/* ---- paths ---- */

/* "/apis/apps/v1" in its parts; each "" where absent. */
struct where {
	bool core;
	char group[100], version[32];
	bool deeper;
};
static bool parse_where(struct where *w, const char *path)
{
	char rest[8];
	int n;

	*w = (struct where){0};
	if (!strcmp(path, "/api") || !strcmp(path, "/api/") || !strcmp(path, "/apis") ||
		!strcmp(path, "/apis/")) {
		w->core = path[4] != 's';
		return true;
	}
	if (!strncmp(path, "/api/", 5)) {
		w->core = true;
		n = sscanf(path, "/api/%31[^/]/%7s", w->version, rest);
		return n == 1;
	}
	n = sscanf(path, "/apis/%99[^/]/%31[^/]/%7s", w->group, w->version, rest);
	return n == 1 || n == 2;
}

bool kg_api_is_discovery_path(const char *path)
{
	struct where w;

	return !strncmp(path, "/api", 4) && parse_where(&w, path);
}

/* Discovery's plain documents. */
static void reply_document(struct request *r, struct kg_buf *out)
{
	struct kg_buf yaml = KG_BUF_INIT;
	struct accepted accepted;
	struct kg_error err;

	if (kg_api_request_accept(&accepted, r, &err) < 0) {
		kg_buf_release(out);
		kg_api_reply_error(r, &err);
		return;
	}
	if (!accepted.yaml) {
		kg_api_reply_cached(r, "application/json", KG_API_ASK_AGAIN, out);
		return;
	}
	kg_api_yaml(&yaml, out);
	kg_buf_release(out);
	kg_api_reply_cached(r, "application/yaml", KG_API_ASK_AGAIN, &yaml);
}

static void handle_root(struct request *r, bool core)
{
	const char *version = kg_api_accepts_aggregated(r);
	struct kg_buf out = KG_BUF_INIT;

	if (version) {
		char type[100];

		snprintf(type, sizeof(type),
			"application/json;g=apidiscovery.k8s.io;v=%s;as=APIGroupDiscoveryList",
			version);
		write_aggregated(&out, version, core);
		kg_api_reply_cached(r, type, KG_API_ASK_AGAIN, &out);
		return;
	}
	if (core)
		write_versions(&out, r);
	else
		write_group_list(&out);
	reply_document(r, &out);
}

void kg_api_handle_discovery(struct request *r, const char *path)
{
	struct group groups[MAX_GROUPS];
	size_t n = add_group(groups, all_groups(groups), "", "v1");
	struct kg_buf out = KG_BUF_INIT;
	struct where w;

	parse_where(&w, path);
	if (!*w.group && !*w.version) {
		handle_root(r, w.core);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		if (strcmp(groups[i].name, w.group) ||
			(*w.version && strcmp(groups[i].version, w.version)))
			continue;
		if (*w.version)
			write_resource_list(&out, &groups[i]);
		else
			write_group(&out, &groups[i], true);
		reply_document(r, &out);
		return;
	}
	kg_api_reply_unknown_path(r);
}
