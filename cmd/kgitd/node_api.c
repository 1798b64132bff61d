/* The endpoints that a node calls: register, watch, lease, status, streams; others' handlers
 * are named here. */
#include "kgitd/join.h"
#include "kgitd/master.h"
#include "kinds/node_labels.h"
#include "value/json.h"

#include <stdio.h>
#include <string.h>

#define MAX_STATUS_PODS 5000

static void reply_revision(struct kg_http_req *req, uint64_t revision, const char *pod_cidr)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value v = kg_v_obj(&a, "revision", kg_v_int((int64_t)revision), "podCIDR",
		pod_cidr ? kg_v_str(&a, pod_cidr) : kg_v_null(), (char *)NULL);

	kgd_reply_value(req, 200, &v);
}

static int parse_body(
	struct kg_value *out, struct kg_arena *a, struct kg_http_req *req, struct kg_error *err)
{
	const struct kg_buf *body = kg_http_body(req);
	int rc = kg_json_parse(out, a, kg_buf_str(body), body->len, err);

	if (rc == 0 && out->type != KG_OBJECT)
		rc = kg_fail(err, KG_E_BAD_REQUEST, "the body must be a JSON object");
	return rc < 0 ? kg_wrap(err, "%s", kg_http_path(req)) : 0;
}

/* All that reads them, clients too, relies on their shape. */
static int check_shape(enum kg_kind_id kind, const struct kg_value *labels,
	const struct kg_value *status, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value metadata = kg_v_obj(&a, "labels", *labels, (char *)NULL);
	struct kg_value v = kg_v_obj(&a, "metadata", metadata, "status", *status, (char *)NULL);
	const char *bad = kg_schema_shape(kg_kinds[kind].schema, &v, &kg_null);

	if (!bad)
		return 0;
	return kg_fail(err, KG_E_BAD_REQUEST, "what is reported of a %s: %s is of another type",
		kg_kinds[kind].kind, bad);
}

static int take_node(
	struct kgd_request *r, const char *name, const struct kg_value *body, struct kg_error *err)
{
	int rc = check_shape(KG_KIND_NODE, kg_get(body, "labels"), kg_get(body, "status"), err);

	if (rc == 0)
		rc = kg_node_labels_check(kg_get(body, "labels"), err);
	if (rc < 0)
		return rc;
	r->node = (struct kg_input_node){
		.name = kg_arena_strdup(&r->arena, name),
		.labels = kg_deep_copy(&r->arena, kg_get(body, "labels")),
		.status = kg_deep_copy(&r->arena, kg_get(body, "status")),
	};
	return 0;
}

/* ---- register ---- */

static void registered(struct kgd_request *r, int rc, uint64_t revision, const struct kg_error *err)
{
	struct kg_http_req *req = r->ctx;
	struct kgd_exchange *x = kgd_exchange(req);
	struct kg_snapshot *s = kg_hub_snapshot(x->master->hub);
	const struct kg_object *node = kg_snapshot_get(s, KG_KIND_NODE, "", x->node);

	if (rc < 0)
		kgd_reply_error(req, err);
	else
		reply_revision(req, revision,
			node ? kg_string(kg_at(kg_obj(node), "spec.podCIDR"), "") : "");
	kg_snapshot_unref(s);
}

static void handle_register(struct kg_http_req *req, void *ctx)
{
	struct kgd_exchange *x = kgd_exchange(req);
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value body;
	struct kg_error err;

	(void)ctx;
	struct kgd_request *r = kgd_request_new(KGD_REPORT);
	if (parse_body(&body, &a, req, &err) < 0 || take_node(r, x->node, &body, &err) < 0) {
		kgd_request_free(r);
		kgd_reply_error(req, &err);
		return;
	}
	r->liveness = kgd_nodes_heard(x->master->nodes, r->node.name);
	r->done = registered;
	r->ctx = req;
	kg_http_defer(req);
	kgd_writer_submit(x->master->writer, r);
}

/* ---- status ---- */

static int one_pod(struct kg_input_pod_status *out, struct kg_arena *a, const char *node,
	const struct kg_value *v, struct kg_error *err)
{
	*out = (struct kg_input_pod_status){
		.node = node,
		.ns = kg_arena_strdup(a, kg_string(kg_get(v, "namespace"), "")),
		.name = kg_arena_strdup(a, kg_string(kg_get(v, "name"), "")),
		.uid = kg_arena_strdup(a, kg_string(kg_get(v, "uid"), "")),
		.status = kg_deep_copy(a, kg_get(v, "status")),
		.gone = kg_bool(kg_get(v, "gone"), false),
	};
	/* Without a namespace: a PersistentVolume whose directory is gone. */
	if ((!*out->ns && !out->gone) || !*out->name || !*out->uid)
		return kg_fail(
			err, KG_E_BAD_REQUEST, "a pod's status needs its namespace, name and uid");
	if (out->status.type != KG_OBJECT && !out->gone)
		return kg_fail(err, KG_E_BAD_REQUEST, "pod %s/%s: status must be an object",
			out->ns, out->name);
	return check_shape(KG_KIND_POD, &kg_null, &out->status, err);
}

static void status_done(
	struct kgd_request *r, int rc, uint64_t revision, const struct kg_error *err)
{
	if (rc < 0)
		kgd_reply_error(r->ctx, err);
	else
		reply_revision(r->ctx, revision, NULL);
}

static int make_statuses(
	struct kgd_request *r, const struct kg_value *pods, const char *node, struct kg_error *err)
{
	const char *name = kg_arena_strdup(&r->arena, node);

	if (kg_len(pods) > MAX_STATUS_PODS)
		return kg_fail(
			err, KG_E_TOO_LARGE, "a report holds at most %d pods", MAX_STATUS_PODS);
	r->pods = kg_arena_alloc(&r->arena, (kg_len(pods) + 1) * sizeof(*r->pods));
	for (uint32_t i = 0; i < kg_len(pods); i++) {
		int rc = one_pod(&r->pods[i], &r->arena, name, &pods->items[i], err);
		if (rc < 0)
			return rc;
		r->npods++;
	}
	return 0;
}

static void handle_status(struct kg_http_req *req, void *ctx)
{
	struct kgd_exchange *x = kgd_exchange(req);
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kgd_request *r = kgd_request_new(KGD_REPORT);
	struct kg_value body;
	struct kg_error err;

	(void)ctx;
	if (parse_body(&body, &a, req, &err) < 0 ||
		make_statuses(r, kg_array(kg_get(&body, "pods")), x->node, &err) < 0 ||
		(!kg_is_null(kg_get(&body, "node")) &&
			take_node(r, x->node, kg_get(&body, "node"), &err) < 0)) {
		kgd_request_free(r);
		kgd_reply_error(req, &err);
		return;
	}
	r->done = status_done;
	r->ctx = req;
	kg_http_defer(req);
	kgd_writer_submit(x->master->writer, r);
}

/* ---- lease, watch ---- */

/* A sign of life is any request of a node; this one may say what is used there. */
static void handle_lease(struct kg_http_req *req, void *ctx)
{
	struct kgd_exchange *x = kgd_exchange(req);
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value body;
	struct kg_error err;

	(void)ctx;
	if (parse_body(&body, &a, req, &err) < 0) {
		kgd_reply_error(req, &err);
		return;
	}
	const struct kg_value *usage = kg_get(&body, "usage");

	if (usage->type == KG_OBJECT) {
		struct kg_doc *said = kg_doc_new(usage, NULL, 0);

		kgd_nodes_use(x->master->nodes, x->node, said);
		kg_doc_unref(said);
	} else if (!kg_is_null(usage)) {
		kg_fail(&err, KG_E_BAD_REQUEST, "usage must be an object");
		kgd_reply_error(req, &err);
		return;
	}
	kg_http_reply_text(req, 200, "{}\n");
}

static void handle_watch(struct kg_http_req *req, void *ctx)
{
	struct kgd_exchange *x = kgd_exchange(req);

	(void)ctx;
	kgd_nodes_watch(x->master->nodes, x->node, req);
}

static void watch_done(struct kg_http_req *req, void *ctx)
{
	(void)ctx;
	kgd_nodes_watch_done(kgd_exchange(req)->master->nodes, req);
}

bool kgd_node_route(struct kg_http_req *req, const char *rest, struct kg_http_route *route)
{
	static const struct {
		const char *method, *rest;
		void (*handle)(struct kg_http_req *req, void *ctx);
		void (*done)(struct kg_http_req *req, void *ctx);
		size_t max_body;
	} routes[] = {
		{"POST", "register", handle_register, NULL, 256 << 10},
		{"POST", "status", handle_status, NULL, 16 << 20},
		{"POST", "lease", handle_lease, NULL, 1 << 20},
		{"POST", "renew", kgd_handle_renew, NULL, 64 << 10},
		{"POST", "tokens", kgd_handle_node_tokens, NULL, 256 << 10},
		{"GET", "watch", handle_watch, watch_done, 1},
	};
	struct kgd_exchange *x = kgd_exchange(req);

	if (strncmp(rest, "streams/", 8) == 0 && strcmp(kg_http_method(req), "POST") == 0) {
		snprintf(x->id, sizeof(x->id), "%s", rest + 8);
		kgd_logs_upload_route(req, route);
		return true;
	}
	for (size_t i = 0; i < KG_ARRAY_LEN(routes); i++) {
		if (strcmp(routes[i].rest, rest) != 0 ||
			strcmp(routes[i].method, kg_http_method(req)) != 0)
			continue;
		route->handle = routes[i].handle;
		route->done = routes[i].done;
		route->max_body = routes[i].max_body;
		return true;
	}
	return false;
}
