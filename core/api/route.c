/* From a path to what is asked for, and whether it may be asked. */
#include "api/handlers.h"
#include "api/internal.h"
#include "api/reply.h"
#include "api/request.h"

/* ---- authorisation ---- */

static int authorize_as(struct request *r, const struct kg_attributes *attr, struct kg_error *err)
{
	struct kg_auth *auth = r->api->opt.auth;

	return auth ? kg_auth_authorize(auth, r->user, attr, err) : 0;
}

/* As authorize_as, of the request itself. */
static int judge(struct request *r, const struct kg_attributes *a, struct kg_error *err)
{
	const struct kg_api_options *o = &r->api->opt;
	int rc = authorize_as(r, a, err);

	if (o->judged)
		o->judged(o->ctx, r->http, r->user, a, rc ? err : NULL);
	return rc;
}

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

/* A list or watch of the one object that a field selector names counts as of that object, as in
 * Kubernetes: all parts of a selector must hold, so it never gives more. NULL: it is of several. */
static const char *selected_name(struct request *r)
{
	static const char field[] = "metadata.name=";
	const char *selector = kg_http_query(r->http, "fieldSelector"), *p = selector;

	while (p && strncmp(p, field, sizeof(field) - 1) != 0) {
		p = strchr(p, ',');
		p = p ? p + 1 : NULL;
	}
	if (!p || strchr(selector, '\\'))
		return NULL;
	p += sizeof(field) - 1;
	p += *p == '=';
	return kg_arena_strndup(&r->arena, p, strcspn(p, ","));
}

static int authorize_resource(struct request *r, struct kg_error *err)
{
	const char *name = r->name ? r->name : selected_name(r);

	struct kg_attributes a = {.verb = r->verb,
		.group = r->group,
		.resource = r->resource,
		.subresource = or_empty(r->sub),
		.ns = or_empty(r->ns),
		.name = or_empty(name)};

	return judge(r, &a, err);
}

static int authorize_path(struct request *r, const char *path, struct kg_error *err)
{
	struct kg_attributes a = {.verb = "get",
		.group = "",
		.resource = "",
		.subresource = "",
		.ns = "",
		.name = "",
		.path = path};

	return judge(r, &a, err);
}

/* ---- paths ---- */

enum { MAX_PARTS = 10 };

/* "/apis/apps/v1/namespaces/ns/deployments/web/scale" in its parts; 0 where there are too many. */
static size_t split(struct kg_arena *a, const char *path, char *parts[MAX_PARTS])
{
	char *copy = kg_arena_strdup(a, path), *save;
	size_t n = 0;

	for (char *p = strtok_r(copy, "/", &save); p; p = strtok_r(NULL, "/", &save)) {
		if (n == MAX_PARTS)
			return 0;
		parts[n++] = p;
	}
	return n;
}

static const char *verb_of(const struct request *r, const char *method)
{
	if (!strcmp(method, "GET") || !strcmp(method, "HEAD"))
		return r->watch ? "watch" : r->name ? "get" : "list";
	if (!strcmp(method, "POST"))
		return "create";
	if (!strcmp(method, "PUT"))
		return "update";
	if (!strcmp(method, "PATCH"))
		return "patch";
	if (!strcmp(method, "DELETE"))
		return r->name ? "delete" : "deletecollection";
	return ""; /* which only a rule of every verb allows: then it is refused as a write is */
}

/* What comes after the version. False: not the path of a resource. */
static bool parse_resource(struct request *r, char **parts, size_t n)
{
	bool watch = false;

	if (n && !strcmp(parts[0], "watch")) { /* the old form: /api/v1/watch/... */
		watch = true;
		parts++;
		n--;
	}
	if (n >= 3 && !strcmp(parts[0], "namespaces") && strcmp(parts[2], "status") != 0 &&
		strcmp(parts[2], "finalize") != 0) {
		r->ns = parts[1];
		parts += 2;
		n -= 2;
	}
	if (!n || n > 3)
		return false;
	r->resource = parts[0];
	r->name = n > 1 ? parts[1] : NULL;
	r->sub = n > 2 ? parts[2] : NULL;
	/* Of one object `watch` is nothing to ask for; its watch has a field selector. */
	r->watch = watch || (!r->name && kg_http_query_bool(r->http, "watch"));
	r->kind = kg_kind_by_plural(r->group, r->version, r->resource);
	return true;
}

static bool parse_path(struct request *r, const char *path)
{
	char *parts[MAX_PARTS];
	size_t n = split(&r->arena, path, parts);

	if (n >= 3 && !strcmp(parts[0], "api")) {
		r->group = "";
		r->version = parts[1];
		return parse_resource(r, parts + 2, n - 2);
	}
	if (n >= 4 && !strcmp(parts[0], "apis")) {
		r->group = parts[1];
		r->version = parts[2];
		return parse_resource(r, parts + 3, n - 3);
	}
	return false;
}

/* ---- handlers ---- */

static void handle_denied(struct kg_http_req *http, void *ctx)
{
	struct request *r = ctx;
	(void)http;

	kg_api_reply_error(r, &r->error);
}

static bool sub_known(const struct request *r)
{
	if (!strcmp(r->sub, "status"))
		return kg_api_has_status(r->kind);
	if (!strcmp(r->sub, "log"))
		return r->kind->id == KG_KIND_POD;
	return !strcmp(r->sub, "scale") && (r->kind->flags & KG_KF_SCALE);
}

/* What goes on inside a running pod; known to clients, not served. */
static bool is_into_pod(const struct request *r)
{
	static const char *const subs[] = {"exec", "attach", "portforward", "proxy"};

	for (size_t i = 0; r->sub && r->kind->id == KG_KIND_POD && i < KG_ARRAY_LEN(subs); i++)
		if (!strcmp(r->sub, subs[i]))
			return true;
	return false;
}

/* What to do instead. */
static void reply_into_pod(struct request *r)
{
	struct kg_snapshot *s = kg_hub_snapshot(r->api->opt.hub);
	const struct kg_object *pod =
		r->ns && r->name ? kg_snapshot_get(s, KG_KIND_POD, r->ns, r->name) : NULL;
	const char *node = pod ? kg_string(kg_at(kg_obj(pod), "spec.nodeName"), "?") : NULL;
	const char *ip = pod ? kg_string(kg_at(kg_obj(pod), "status.podIP"), "?") : NULL;
	bool runs = !strcmp(r->sub, "exec") || !strcmp(r->sub, "attach");

	if (!pod)
		kg_api_reply_not_found(r);
	else if (runs)
		kg_api_reply_status(r, 501, "NotImplemented", NULL,
			"pods/%s is not served: kgit leads into no pod. On its node %s, as root: "
			"runc --root STATE/run/runc exec -t ID COMMAND, where STATE is kgit-node's "
			"--state, and ID the pod's containerID without runc://",
			r->sub, node);
	else
		kg_api_reply_status(r, 501, "NotImplemented", NULL,
			"pods/%s is not served: kgit leads into no pod. It is at %s from its node "
			"%s and from other pods; a Service of type NodePort, or a hostPort, leads "
			"to it from elsewhere",
			r->sub, ip, node);
	kg_snapshot_unref(s);
}

static bool is_token(const struct request *r)
{
	return r->kind->id == KG_KIND_SERVICEACCOUNT && r->name && r->sub &&
	       !strcmp(r->sub, "token");
}

static bool is_read(const struct request *r)
{
	return !strcmp(r->verb, "get") || !strcmp(r->verb, "list") || !strcmp(r->verb, "watch");
}

/* allow: what there is to do instead. */
static void reply_no_method(struct request *r, const char *allow)
{
	kg_http_set_header(r->http, "Allow", allow);
	kg_api_reply_status(r, 405, "MethodNotAllowed", NULL, "the server does not allow %s on %s",
		kg_http_method(r->http), r->resource);
}

static void handle_resource(struct kg_http_req *http, void *ctx)
{
	struct request *r = ctx;
	bool scoped = r->kind && (r->kind->flags & KG_KF_NAMESPACED);

	(void)http;
	if (kg_api_is_self_subject(r->group, r->resource) && !strcmp(r->verb, "create"))
		kg_api_handle_self_subject(r, r->resource);
	else if (kg_api_is_self_subject(r->group, r->resource))
		reply_no_method(r, "POST");
	else if (!r->kind || (r->ns && !scoped) || (r->name && scoped && !r->ns))
		kg_api_reply_unknown_path(r);
	else if (is_token(r) && !strcmp(r->verb, "create"))
		kg_api_handle_token(r);
	else if (!*r->verb)
		reply_no_method(r, "GET, HEAD");
	else if (is_into_pod(r))
		reply_into_pod(r);
	else if (!is_read(r))
		kg_api_handle_write(r);
	else if (r->sub && (r->watch || !sub_known(r)))
		kg_api_reply_unknown_path(r);
	else if (r->watch && (r->kind->flags & KG_KF_NO_WATCH))
		reply_no_method(r, "GET, HEAD");
	else if (r->watch)
		kg_api_handle_watch(r);
	else if (r->name)
		kg_api_handle_get(r);
	else
		kg_api_handle_list(r);
}

static void handle_path(struct kg_http_req *http, void *ctx)
{
	struct request *r = ctx;
	const char *path = kg_http_path(http), *method = kg_http_method(http);

	if (strcmp(method, "GET") && strcmp(method, "HEAD")) {
		kg_http_set_header(r->http, "Allow", "GET, HEAD");
		kg_api_reply_status(r, 405, "MethodNotAllowed", NULL, "%s is only read", path);
	} else if (!strcmp(path, "/")) {
		kg_api_handle_roots(r);
	} else if (!strncmp(path, "/openapi", 8)) {
		kg_api_handle_openapi(r, path);
	} else if (!strcmp(path, "/metrics")) {
		kg_api_handle_metrics(r);
	} else if (kg_api_is_discovery_path(path)) {
		kg_api_handle_discovery(r, path);
	} else {
		kg_api_handle_health(r, path);
	}
}

static void handle_no_log(struct kg_http_req *http, void *ctx)
{
	(void)http;
	kg_api_reply_status(ctx, 501, "NotImplemented", NULL, "this server has no logs");
}

static void handle_no_pod(struct kg_http_req *http, void *ctx)
{
	(void)http;
	kg_api_reply_not_found(ctx);
}

static void on_done(struct kg_http_req *http, void *ctx)
{
	(void)http;
	kg_api_request_done(ctx);
}

/* A pods/log request is served by whoever has the logs; true where it took the route. */
static bool route_log(struct request *r, struct kg_http_route *route)
{
	struct kg_api *api = r->api;
	struct kg_snapshot *s = kg_hub_snapshot(api->opt.hub);
	const struct kg_object *pod = kg_snapshot_get(s, KG_KIND_POD, r->ns, r->name);
	bool taken = false;

	if (!pod) {
		route->handle = handle_no_pod;
	} else if (!api->opt.log_route) {
		route->handle = handle_no_log;
	} else {
		*route = (struct kg_http_route){0};
		api->opt.log_route(api->opt.ctx, r->http, r->user, pod, route);
		taken = true;
	}
	kg_snapshot_unref(s);
	return taken;
}

static bool ours(const char *path)
{
	static const char *const roots[] = {"/api", "/apis", "/openapi", "/version", "/healthz",
		"/livez", "/readyz", "/metrics"};

	for (size_t i = 0; i < KG_ARRAY_LEN(roots); i++) {
		size_t n = strlen(roots[i]);

		if (!strncmp(path, roots[i], n) && (!path[n] || path[n] == '/'))
			return true;
	}
	return !strcmp(path, "/");
}

static bool is_log(const struct request *r)
{
	return r->kind && r->kind->id == KG_KIND_POD && r->ns && r->sub && !strcmp(r->sub, "log") &&
	       !strcmp(r->verb, "get");
}

bool kg_api_route(struct kg_api *api, struct kg_http_req *http, const struct kg_user *user,
	struct kg_http_route *route)
{
	const char *path = kg_http_path(http);

	if (!ours(path))
		return false;
	struct request *r = kg_alloc(sizeof(*r));

	r->refs = 1;
	r->api = api;
	r->http = http;
	r->user = user;
	r->began_ns = kg_monotonic_ns();
	pthread_mutex_init(&r->lock, NULL);
	*route = (struct kg_http_route){.done = on_done, .ctx = r};
	/* What is answered is for this user, now. */
	kg_http_set_header(http, "Cache-Control", "no-cache, private");
	if (!parse_path(r, path)) {
		route->handle = authorize_path(r, path, &r->error) ? handle_denied : handle_path;
		return true;
	}
	r->verb = verb_of(r, kg_http_method(http));
	route->handle = handle_resource;
	if (authorize_resource(r, &r->error))
		route->handle = handle_denied;
	else if (is_log(r) && route_log(r, route))
		kg_api_request_unref(r); /* not in use */
	return true;
}
