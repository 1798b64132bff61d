/*
 * Writes. Desired state is changed by git push, so every write is 405; the message says which file
 * to change: the object's own, or that of what it is made from.
 */
#include "api/handlers.h"
#include "api/internal.h"
#include "api/proto.h"
#include "api/reader.h"
#include "api/reply.h"
#include "api/request.h"
#include "kinds/cluster.h"
#include "value/json.h"

/* The controlling owner, borrowed from the snapshot; NULL where there is none. */
static const struct kg_object *owner_of(const struct kg_snapshot *s, const struct kg_object *obj)
{
	const struct kg_value *refs = kg_at(kg_obj(obj), "metadata.ownerReferences");

	for (uint32_t i = 0; i < kg_len(refs); i++) {
		const struct kg_value *ref = &refs->items[i];
		const struct kg_kind *kind =
			kg_kind_by_api(kg_string(kg_get(ref, "apiVersion"), ""),
				kg_string(kg_get(ref, "kind"), ""));

		if (!kind || !kg_bool(kg_get(ref, "controller"), refs->len == 1))
			continue;
		return kg_snapshot_get(s, kind->id, kind->flags & KG_KF_NAMESPACED ? obj->ns : "",
			kg_string(kg_get(ref, "name"), ""));
	}
	return NULL;
}

/* What a person wrote that the object is, or is made from; NULL: nothing. */
static const struct kg_object *root_of(const struct kg_snapshot *s, const struct kg_object *obj)
{
	for (int i = 0; obj && !obj->source && i < 10; i++)
		obj = owner_of(s, obj);
	return obj && obj->source ? obj : NULL;
}

static void add_name(
	struct kg_buf *out, const struct kg_kind *kind, const char *ns, const char *name)
{
	kg_buf_addf(out, "%s ", kind->kind);
	if (ns && *ns)
		kg_buf_addf(out, "%s/", ns);
	kg_buf_adds(out, name);
}

static bool is_sub(const struct request *r, const char *sub)
{
	return r->sub && !strcmp(r->sub, sub);
}

static bool body_has(const struct request *r, const char *text)
{
	const struct kg_buf *body = kg_http_body(r->http);

	return body->len && memmem(body->data, body->len, text, strlen(text));
}

/* Of whose pods: a Pod's own containers, or those of a template. */
static bool has_template(const struct kg_object *root)
{
	return root && (!kg_is_null(kg_at(kg_obj(root), "spec.template")) ||
			       !kg_is_null(kg_at(kg_obj(root), "spec.jobTemplate")));
}

/* What kgit's own commands edit is a manifest: of the root, which NULL is none of. In `what` what
 * follows "kgit ", but for the namespace. False: there is no such command. */
static bool edit_words(struct kg_buf *what, const struct request *r, const struct kg_object *root)
{
	bool patch = !strcmp(r->verb, "patch");

	if (!root)
		return false;
	if (is_sub(r, "scale") && strncmp(r->verb, "delete", 6) != 0) {
		if (!(root->kind->flags & KG_KF_SCALE))
			return false;
		kg_buf_addf(what, "scale %s/%s --replicas N", root->kind->singular, root->name);
	} else if (patch && body_has(r, "kubectl.kubernetes.io/restartedAt")) {
		if (!has_template(root))
			return false;
		kg_buf_addf(what, "restart %s/%s", root->kind->singular, root->name);
	} else if (patch && body_has(r, "\"image\":") && body_has(r, "\"containers\":")) {
		if (!has_template(root) && root->kind->id != KG_KIND_POD)
			return false;
		kg_buf_addf(
			what, "set image %s/%s CONTAINER=IMAGE", root->kind->singular, root->name);
	} else {
		return false;
	}
	return true;
}

/* kgit's own way to do what kubectl just tried with obj, if it has one. */
static void add_kgit_way(struct kg_buf *out, const struct request *r, const struct kg_object *obj,
	const struct kg_object *root)
{
	KG_AUTOBUF struct kg_buf what = KG_BUF_INIT;
	bool remove = !strncmp(r->verb, "delete", 6);
	const char *in_clone = "; or in a clone of it: kgit";

	if (obj->kind->id == KG_KIND_NODE && !remove && body_has(r, "\"unschedulable\"")) {
		bool no = body_has(r, "\"unschedulable\":null") ||
			  body_has(r, "\"unschedulable\":false");

		kg_buf_addf(out, "%s %s %s", in_clone, no ? "uncordon" : "cordon", obj->name);
		return;
	}
	if (obj->kind->id == KG_KIND_POD && (remove || is_sub(r, "eviction")))
		kg_buf_addf(out, "; to have it begin anew: kgit evict %s", obj->name);
	else if (edit_words(&what, r, root))
		kg_buf_addf(out, "%s %s", in_clone, kg_buf_str(&what));
	else
		return;
	if (*obj->ns && strcmp(obj->ns, "default") != 0)
		kg_buf_addf(out, " -n %s", obj->ns);
}

static void explain(struct kg_buf *out, const struct request *r, const struct kg_snapshot *s,
	const struct kg_object *obj)
{
	const struct kg_object *root = root_of(s, obj);
	if (!root && obj->kind->id == KG_KIND_ENDPOINTS) /* made of what its Service selects */
		root = root_of(s, kg_snapshot_get(s, KG_KIND_SERVICE, obj->ns, obj->name));
	bool remove = !strncmp(r->verb, "delete", 6), everywhere;
	const char *own;

	add_name(out, obj->kind, obj->ns, obj->name);
	if (!root && obj->kind->id == KG_KIND_NODE) {
		kg_buf_addf(out,
			" is what its machine says of itself: to add labels, annotations or "
			"taints, "
			"or to cordon it, write a Node manifest to a .yaml file in the repository "
			"and %s",
			r->api->opt.write_hint);
		add_kgit_way(out, r, obj, root);
		return;
	}
	if (!root && (own = kg_cluster_made_name(obj->kind->id, &everywhere)) &&
		!strcmp(own, obj->name)) {
		kg_buf_addf(out,
			" is the system's own: a manifest of that name, written to a .yaml file in "
			"the repository, takes its place with %s",
			r->api->opt.write_hint);
		return;
	}
	if (!root) {
		kg_buf_adds(out, " is the system's own: no file in the repository makes it");
		return;
	}
	if (root == obj) {
		kg_buf_adds(out, " is desired state: ");
	} else {
		kg_buf_adds(out, " is made from ");
		add_name(out, root->kind, root->ns, root->name);
		kg_buf_adds(out, ": ");
	}
	if (remove && root == obj)
		kg_buf_addf(out, "delete it from %s in the repository and %s", root->source,
			r->api->opt.write_hint);
	else
		kg_buf_addf(out, "edit %s in the repository and %s", root->source,
			r->api->opt.write_hint);
	kg_buf_addf(out, " (object %u of that file)", root->source_index + 1);
	add_kgit_way(out, r, obj, root);
}

/* The name in the body of a create; NULL where it cannot be read. */
static const char *name_in_body(struct request *r)
{
	const struct kg_buf *body = kg_http_body(r->http);
	struct kg_value v;
	struct kg_error err;

	if (kg_proto_is(body->data, body->len))
		return kg_proto_object_name(&r->arena, body->data, body->len);
	if (!body->len || kg_json_parse(&v, &r->arena, body->data, body->len, &err))
		return NULL;
	return kg_string(kg_at(&v, "metadata.name"), NULL);
}

static bool may_create(const struct request *r)
{
	const char *type = kg_http_header(r->http, "Content-Type");

	return !strcmp(r->verb, "create") ||
	       (!strcmp(r->verb, "patch") && type && strstr(type, "apply-patch"));
}

void kg_api_handle_write(struct request *r)
{
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;
	struct source src;
	struct kg_object *obj = NULL;

	if (!r->name && !strcmp(r->verb, "create"))
		r->name = name_in_body(r);
	kg_api_source_now(&src, r->api, r->kind);
	if (r->name)
		obj = kg_api_read_one(r->api, &src, r->kind, r->ns ? r->ns : "", r->name);
	kg_http_set_header(r->http, "Allow", "GET, HEAD");
	if (obj && src.snapshot) {
		explain(&text, r, src.snapshot, obj);
		kg_api_reply_status(r, 405, "MethodNotAllowed", NULL, "%s", text.data);
	} else if (r->name && !obj && !may_create(r)) {
		kg_api_reply_not_found(r);
	} else if (!(r->kind->flags & KG_KF_MANIFEST)) {
		kg_api_reply_status(r, 405, "MethodNotAllowed", NULL,
			"%s is the system's own: it is only read", r->kind->plural);
	} else {
		if (r->name)
			add_name(&text, r->kind, r->ns, r->name);
		else
			kg_buf_adds(&text, r->kind->plural);
		kg_api_reply_status(r, 405, "MethodNotAllowed", NULL,
			"%s: desired state is not changed through the API: write it to a .yaml "
			"file in "
			"the repository and %s",
			text.data, r->api->opt.write_hint);
	}
	kg_object_unref(obj);
	kg_api_source_release(&src);
}
