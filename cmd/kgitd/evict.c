/* POST /kgit/v1/evict {"namespace", "name", "uid"}: a recorded input. 429 where a budget forbids
 * it, as Kubernetes' eviction subresource answers. */
#include "kgitd/audit.h"
#include "kgitd/master.h"
#include "value/json.h"

#include <string.h>

static void evicted(struct kgd_request *r, int rc, uint64_t revision, const struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value v = kg_v_obj(&a, "revision", kg_v_int((int64_t)revision), (char *)NULL);
	struct kg_error why;

	if (rc == 0 && *r->eviction_why) {
		kg_fail(&why, KG_E_TOO_MANY, "%s", r->eviction_why);
		kgd_reply_error(r->ctx, &why);
	} else if (rc < 0) {
		kgd_reply_error(r->ctx, err);
	} else {
		kgd_reply_value(r->ctx, 200, &v);
	}
}

static int take(struct kgd_request *r, struct kg_http_req *req, struct kg_error *err)
{
	const struct kg_buf *body = kg_http_body(req);
	struct kgd_exchange *x = kgd_exchange(req);
	struct kg_value v;
	int rc = kg_json_parse(&v, &r->arena, kg_buf_str(body), body->len, err);

	if (rc < 0)
		return kg_wrap(err, "%s", kg_http_path(req));
	r->eviction =
		(struct kg_input_eviction){.ns = kg_string(kg_get(&v, "namespace"), "default"),
			.name = kg_string(kg_get(&v, "name"), ""),
			.uid = kg_string(kg_get(&v, "uid"), "")};
	if (!*r->eviction.name)
		return kg_fail(err, KG_E_BAD_REQUEST, "expected the pod's namespace and name");
	struct kg_attributes a = {.verb = "create",
		.group = "",
		.resource = "pods",
		.subresource = "eviction",
		.ns = r->eviction.ns,
		.name = r->eviction.name};
	rc = kg_auth_authorize(x->master->auth, &x->user, &a, err);
	kgd_audit_request(x->master->audit, req, &x->user, &a, rc < 0 ? err : NULL);
	if (rc < 0)
		return rc;
	struct kg_snapshot *s = kg_hub_snapshot(x->master->hub);
	if (!kg_snapshot_get(s, KG_KIND_POD, r->eviction.ns, r->eviction.name))
		rc = kg_fail(err, KG_E_NOT_FOUND, "pods \"%s\" not found", r->eviction.name);
	else
		rc = 0;
	kg_snapshot_unref(s);
	return rc;
}

static void handle_evict(struct kg_http_req *req, void *ctx)
{
	struct kgd_request *r = kgd_request_new(KGD_REPORT);
	struct kg_error err;

	(void)ctx;
	if (take(r, req, &err) < 0) {
		kgd_request_free(r);
		kgd_reply_error(req, &err);
		return;
	}
	r->done = evicted;
	r->ctx = req;
	kg_http_defer(req);
	kgd_writer_submit(kgd_exchange(req)->master->writer, r);
}

bool kgd_evict_route(struct kg_http_req *req, const char *rest, struct kg_http_route *route)
{
	if (strcmp(rest, "evict") != 0 || strcmp(kg_http_method(req), "POST") != 0)
		return false;
	route->handle = handle_evict;
	return true;
}
