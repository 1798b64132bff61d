/* GET of one object, its status, or its scale: as it is, or with resourceVersionMatch=Exact as it
 * was at a revision, which Kubernetes has for lists alone. */
#include "api/encode.h"
#include "api/endpoints.h"
#include "api/handlers.h"
#include "api/reader.h"
#include "api/reply.h"
#include "api/request.h"
#include "api/table.h"

#include <inttypes.h>

/* autoscaling/v1 Scale of what has KG_KF_SCALE. */
static void write_scale(struct kg_buf *out, const struct kg_object *obj)
{
	bool plain = obj->kind->id == KG_KIND_REPLICATIONCONTROLLER;
	const struct kg_value *v = kg_obj(obj);
	const struct kg_value *labels =
		kg_at(v, plain ? "spec.selector" : "spec.selector.matchLabels");
	KG_AUTOBUF struct kg_buf selector = KG_BUF_INIT;

	for (uint32_t i = 0; labels->type == KG_OBJECT && i < labels->len; i++)
		kg_buf_addf(&selector, "%s%s=%s", i ? "," : "", labels->members[i].key,
			kg_string(&labels->members[i].value, ""));
	kg_buf_adds(out,
		"{\"kind\":\"Scale\",\"apiVersion\":\"autoscaling/v1\",\"metadata\":{\"name\":");
	kg_api_write_str(out, obj->name);
	kg_api_write_member(out, "namespace", obj->ns);
	kg_api_write_member(out, "uid", kg_object_uid(obj));
	kg_api_write_member(
		out, "creationTimestamp", kg_string(kg_at(v, "metadata.creationTimestamp"), ""));
	kg_buf_addf(out,
		",\"resourceVersion\":\"%" PRIu64 "\"},\"spec\":{\"replicas\":%" PRId64
		"},\"status\":{\"replicas\":%" PRId64,
		obj->revision, kg_int(kg_at(v, "spec.replicas"), 1),
		kg_int(kg_at(v, "status.replicas"), 0));
	kg_api_write_member(out, "selector", kg_buf_str(&selector));
	kg_buf_adds(out, "}}");
}

static void write_scale_table(struct kg_buf *out, struct request *r, const struct kg_object *obj)
{
	r->columns = kg_columns_scale;
	kg_api_table_open(out, r, true);
	kg_buf_addc(out, '{');
	kg_api_table_cells(out, r, obj, &r->arena);
	if (r->include != 'N')
		kg_buf_adds(out, ",\"object\":");
	if (r->include == 'M')
		kg_api_write_partial(out, obj, obj->revision, r->form_version);
	else if (r->include == 'O')
		write_scale(out, obj);
	kg_buf_addc(out, '}');
	kg_api_table_close(out, obj->revision);
}

/* PartialObjectMetadata of a scale is that of what it scales. */
static void write_scale_form(struct kg_buf *out, struct request *r, const struct kg_object *obj)
{
	if (r->form == FORM_TABLE)
		write_scale_table(out, r, obj);
	else if (r->form == FORM_PARTIAL)
		kg_api_write_partial(out, obj, obj->revision, r->form_version);
	else
		write_scale(out, obj);
}

static void write_whole(struct kg_buf *out, const struct request *r, const struct kg_object *obj)
{
	/* What is read from history is not remembered in its text. */
	if (r->form != FORM_OBJECT || r->exact || kg_api_is_made(r->kind)) {
		kg_api_write_form(out, r, obj, obj->revision, true);
		return;
	}
	struct blob *b = kg_api_encode_shared(r->api, obj, obj->revision, false);

	kg_buf_reserve(out, b->len + 1);
	kg_buf_add(out, b->data, b->len);
	kg_api_blob_unref(b);
}

static void get_reply(struct request *r, struct source *src)
{
	struct kg_buf out = KG_BUF_INIT;
	struct kg_object *obj = kg_api_read_one(r->api, src, r->kind, r->ns ? r->ns : "", r->name);

	if (!obj) {
		kg_api_reply_not_found(r);
	} else {
		if (r->sub && !strcmp(r->sub, "scale"))
			write_scale_form(&out, r, obj);
		else
			write_whole(&out, r, obj);
		kg_api_reply_json(r, 200, &out);
	}
	kg_object_unref(obj);
	kg_api_source_release(src);
}

static void get_now(struct request *r)
{
	struct source src;

	if (r->exact) {
		kg_api_read_at(r, r->revision, get_reply);
		return;
	}
	kg_api_source_one(&src, r->api, r->kind, r->ns ? r->ns : "", r->name);
	get_reply(r, &src);
}

/* What a node may read was judged by what is bound to it now (auth/nodes.c). */
static bool is_node(const struct request *r)
{
	return r->user && *r->user->node;
}

void kg_api_handle_get(struct request *r)
{
	struct kg_error err;

	if (kg_api_request_parse(r, &err))
		kg_api_reply_error(r, &err);
	else if (r->exact && is_node(r))
		kg_api_reply_status(r, 403, "Forbidden", NULL,
			"a node reads what is bound to it now, not history: ask without "
			"resourceVersionMatch=Exact");
	else
		kg_api_request_at(r, r->revision, get_now);
}
