/*
 * The paths of OpenAPI, of version 3 or (v2) 2: what can be read of each kind, with its parameters
 * and what comes back. Clients are generated from these (swagger-fluent at run time), so their
 * operations have the names that Kubernetes gives them. References are written as version 3 has
 * them.
 */
#include "api/handlers.h"
#include "api/openapi.h"

#include <ctype.h>

#define META     "io.k8s.apimachinery.pkg.apis.meta.v1."
#define SCALE    "io.k8s.api.autoscaling.v1.Scale"
#define REF_TO   "{\"$ref\":\"#/components/schemas/"
#define LIST_DOC "A list of objects, of one revision."

struct out {
	struct kg_buf *b;
	bool v2, more; /* more: a path was written */
};

/* ---- schemas that no kind's table has ---- */

static void write_list_schema(struct kg_buf *b, const struct kg_kind *k)
{
	kg_buf_addf(b,
		",\"%sList\":{\"description\":\"" LIST_DOC "\",\"type\":\"object\","
		"\"required\":[\"items\"],\"properties\":{\"apiVersion\":{\"type\":\"string\"},"
		"\"items\":{\"type\":\"array\",\"items\":" REF_TO "%s\"}},\"kind\":{\"type\":"
		"\"string\"},\"metadata\":" REF_TO META "ListMeta\"}},"
		"\"x-kubernetes-group-version-kind\":[{\"group\":\"%s\",\"kind\":\"%s\","
		"\"version\":\"%s\"}]}",
		k->schema->name, k->schema->name, k->group, k->list_kind, k->version);
}

static void write_shared_schemas(struct kg_buf *b)
{
	kg_buf_adds(b,
		",\"" META "ListMeta\":{\"description\":\"Of which revision a list is, and how "
		"it goes on.\",\"type\":\"object\",\"properties\":{\"continue\":{\"type\":"
		"\"string\"},\"remainingItemCount\":{\"type\":\"integer\",\"format\":\"int64\"},"
		"\"resourceVersion\":{\"type\":\"string\"}}},"
		"\"" META "WatchEvent\":{\"description\":\"What happened to an object.\","
		"\"type\":\"object\",\"required\":[\"type\",\"object\"],\"properties\":{"
		"\"object\":{\"type\":\"object\"},\"type\":{\"type\":\"string\"}}},"
		"\"" SCALE "\":{\"description\":\"How many replicas are wanted, and there.\","
		"\"type\":\"object\",\"properties\":{\"apiVersion\":{\"type\":\"string\"},"
		"\"kind\":{\"type\":\"string\"},\"metadata\":" REF_TO META "ObjectMeta\"},"
		"\"spec\":{\"type\":\"object\",\"properties\":{\"replicas\":{\"type\":\"integer\","
		"\"format\":\"int32\"}}},\"status\":{\"type\":\"object\",\"properties\":{"
		"\"replicas\":{\"type\":\"integer\",\"format\":\"int32\"},\"selector\":{\"type\":"
		"\"string\"}}}},\"x-kubernetes-group-version-kind\":[{\"group\":\"autoscaling\","
		"\"kind\":\"Scale\",\"version\":\"v1\"}]}");
}

bool kg_api_openapi_has(const struct kg_kind *k, const char *api_version)
{
	return k->schema && (!api_version || !strcmp(kg_kind_api_version(k), api_version));
}

void kg_api_openapi_lists(struct kg_buf *out, const char *api_version)
{
	for (int k = 0; k < KG_KIND_COUNT; k++)
		if (kg_api_openapi_has(&kg_kinds[k], api_version))
			write_list_schema(out, &kg_kinds[k]);
	write_shared_schemas(out);
}

/* ---- parameters ---- */

struct parameter {
	const char *name, *type, *doc;
};
static const struct parameter list_parameters[] = {
	{"allowWatchBookmarks", "boolean", "A watch also tells how far it came."},
	{"continue", "string", "The next page: metadata.continue of the last one."},
	{"fieldSelector", "string", "Only objects with these fields."},
	{"labelSelector", "string", "Only objects with these labels."},
	{"limit", "integer", "At most so many at once."},
	{"resourceVersion", "string", "Of this revision, or not older than it."},
	{"resourceVersionMatch", "string", "Exact or NotOlderThan."},
	{"sendInitialEvents", "boolean", "A watch begins with what there is."},
	{"timeoutSeconds", "integer", "How long a watch lasts."},
	{"watch", "boolean", "Changes as they come instead of a list."},
	{NULL, NULL, NULL},
};
static const struct parameter log_parameters[] = {
	{"container", "string", "Which container's; needed where there are several."},
	{"follow", "boolean", "Goes on as long as there is something to come."},
	{"limitBytes", "integer", "At most so many bytes."},
	{"previous", "boolean", "Of the container that ran before this one."},
	{"sinceSeconds", "integer", "Not older than that."},
	{"sinceTime", "string", "Likewise, as a time."},
	{"tailLines", "integer", "Only so many lines of the end."},
	{"timestamps", "boolean", "Each line with its time."},
	{NULL, NULL, NULL},
};
static const struct parameter pretty = {"pretty", "string", "JSON with lines, for people."};
static const struct parameter of_namespace = {"namespace", "string", "The namespace."};
static const struct parameter of_name = {"name", "string", "The object's name."};

static void write_parameter(struct out *o, const struct parameter *p, bool in_path)
{
	char c = o->b->data[o->b->len - 1];

	kg_buf_addf(o->b, "%s{\"name\":\"%s\",\"in\":\"%s\",\"description\":\"%s\",%s",
		c == '[' ? "" : ",", p->name, in_path ? "path" : "query", p->doc,
		in_path ? "\"required\":true," : "");
	if (o->v2)
		kg_buf_addf(o->b, "\"uniqueItems\":true,\"type\":\"%s\"}", p->type);
	else
		kg_buf_addf(o->b, "\"schema\":{\"type\":\"%s\",\"uniqueItems\":true}}", p->type);
}

/* ---- operations ---- */

struct operation {
	const struct kg_kind *k;
	bool ns, item;
	const char *sub; /* "status"; NULL: none */
	bool watch;      /* by its older path */
};

/* "RbacAuthorizationV1" of rbac.authorization.k8s.io/v1; tag: "rbacAuthorization_v1". */
static void add_version_name(struct kg_buf *b, const struct kg_kind *k, bool tag)
{
	const char *group = *k->group ? k->group : "core", *end = strstr(group, ".k8s.io");
	size_t n = end ? (size_t)(end - group) : strlen(group);
	bool start = !tag;

	for (size_t i = 0; i < n; i++) {
		if (group[i] != '.')
			kg_buf_addc(b, start ? (char)toupper((unsigned char)group[i]) : group[i]);
		start = group[i] == '.';
	}
	kg_buf_addf(b, "%s%c%s", tag ? "_" : "", tag ? k->version[0] : toupper(k->version[0]),
		k->version + 1);
}

static const char *action_of(const struct operation *op)
{
	if (op->watch)
		return op->item ? "watch" : "watchlist";
	return op->item ? "get" : "list";
}

static void write_operation_id(struct kg_buf *b, const struct operation *op)
{
	const struct kg_kind *k = op->k;
	bool all = !op->ns && !op->item && (k->flags & KG_KF_NAMESPACED);

	kg_buf_addf(b, "\"operationId\":\"%s", op->watch ? "watch" : op->item ? "read" : "list");
	add_version_name(b, k, false);
	kg_buf_addf(b, "%s%s", op->ns ? "Namespaced" : "", k->kind);
	if (op->sub)
		kg_buf_addf(b, "%c%s", toupper(*op->sub), op->sub + 1);
	kg_buf_addf(
		b, "%s%s\",", op->watch && !op->item ? "List" : "", all ? "ForAllNamespaces" : "");
}

static void write_result(struct out *o, const struct operation *op)
{
	static const char *const media[] = {"application/json", "application/yaml"};
	bool log = op->sub && !strcmp(op->sub, "log");
	KG_AUTOBUF struct kg_buf schema = KG_BUF_INIT;

	if (log)
		kg_buf_adds(&schema, "{\"type\":\"string\"}");
	else if (op->sub && !strcmp(op->sub, "scale"))
		kg_buf_adds(&schema, REF_TO SCALE "\"}");
	else if (op->watch)
		kg_buf_adds(&schema, REF_TO META "WatchEvent\"}");
	else
		kg_buf_addf(&schema, REF_TO "%s%s\"}", op->k->schema->name, op->item ? "" : "List");
	kg_buf_adds(o->b, "\"responses\":{\"200\":{\"description\":\"OK\",");
	if (o->v2) {
		kg_buf_addf(o->b, "\"schema\":%s}", schema.data);
	} else if (log) {
		kg_buf_addf(o->b, "\"content\":{\"text/plain\":{\"schema\":%s}}}", schema.data);
	} else {
		kg_buf_adds(o->b, "\"content\":{");
		for (size_t i = 0; i < (op->watch ? 1 : KG_ARRAY_LEN(media)); i++)
			kg_buf_addf(o->b, "%s\"%s\":{\"schema\":%s}", i ? "," : "", media[i],
				schema.data);
		kg_buf_adds(o->b, "}}");
	}
	kg_buf_adds(o->b, ",\"401\":{\"description\":\"Unauthorized\"}}");
}

static void write_media_v2(struct out *o, const struct operation *op)
{
	bool log = op->sub && !strcmp(op->sub, "log");

	kg_buf_addf(o->b, "\"consumes\":[\"*/*\"],\"produces\":[%s],\"schemes\":[\"https\"],",
		log         ? "\"text/plain\""
		: op->watch ? "\"application/json\""
			    : "\"application/json\",\"application/yaml\"");
}

static void write_operation(struct out *o, const struct operation *op)
{
	const struct kg_kind *k = op->k;
	bool scale = op->sub && !strcmp(op->sub, "scale");

	kg_buf_adds(o->b, "\"get\":{\"tags\":[\"");
	add_version_name(o->b, k, true);
	kg_buf_addf(o->b, "\"],\"description\":\"%s%s%s %s\",",
		op->watch  ? "watch "
		: op->item ? "read "
			   : "list or watch ",
		op->sub ? op->sub : "",
		op->sub    ? " of the specified"
		: op->item ? "the specified"
			   : "objects of kind",
		k->kind);
	write_operation_id(o->b, op);
	if (o->v2)
		write_media_v2(o, op);
	write_result(o, op);
	kg_buf_addf(o->b,
		",\"x-kubernetes-action\":\"%s\",\"x-kubernetes-group-version-kind\":{\"group\":"
		"\"%s\",\"kind\":\"%s\",\"version\":\"%s\"}}",
		action_of(op), scale ? "autoscaling" : k->group, scale ? "Scale" : k->kind,
		scale ? "v1" : k->version);
}

static void write_path(struct out *o, const struct operation *op)
{
	const struct parameter *more = !op->item || op->watch               ? list_parameters
				       : op->sub && !strcmp(op->sub, "log") ? log_parameters
									    : NULL;

	kg_buf_addf(o->b, "%s\"/%s%s%s%s/%s%s", o->more ? "," : "",
		*op->k->group ? "apis/" : "api/", kg_kind_api_version(op->k),
		op->watch ? "/watch" : "", op->ns ? "/namespaces/{namespace}" : "", op->k->plural,
		op->item ? "/{name}" : "");
	o->more = true;
	kg_buf_addf(o->b, "%s%s\":{", op->sub ? "/" : "", op->sub ? op->sub : "");
	write_operation(o, op);
	kg_buf_adds(o->b, ",\"parameters\":[");
	if (op->item)
		write_parameter(o, &of_name, true);
	if (op->ns)
		write_parameter(o, &of_namespace, true);
	for (; more && more->name; more++)
		write_parameter(o, more, false);
	write_parameter(o, &pretty, false);
	kg_buf_adds(o->b, "]}");
}

static void write_kind(struct out *o, const struct kg_kind *k)
{
	const bool ns = k->flags & KG_KF_NAMESPACED;
	const char *const subs[] = {kg_api_has_status(k) ? "status" : NULL,
		k->id == KG_KIND_POD ? "log" : NULL, k->flags & KG_KF_SCALE ? "scale" : NULL};

	for (int watch = 0; watch < 2; watch++) {
		struct operation op = {.k = k, .watch = watch};

		write_path(o, &op);
		op.ns = ns;
		if (ns)
			write_path(o, &op);
		op.item = true;
		write_path(o, &op);
		for (size_t i = 0; !watch && i < KG_ARRAY_LEN(subs); i++) {
			op.sub = subs[i];
			if (op.sub)
				write_path(o, &op);
		}
	}
}

/* Of no kind. */
static void write_plain_path(struct out *o, const char *path)
{
	kg_buf_addf(o->b,
		"%s\"%s\":{\"get\":{\"description\":\"what there is\",%s\"responses\":{\"200\":{"
		"\"description\":\"OK\"}}}}",
		o->more ? "," : "", path,
		o->v2 ? "\"consumes\":[\"*/*\"],\"produces\":[\"application/json\"],\"schemes\":["
			"\"https\"],"
		      : "");
	o->more = true;
}

void kg_api_openapi_paths(struct kg_buf *out, const char *api_version, bool v2)
{
	struct out o = {.b = out, .v2 = v2};

	if (!api_version) {
		static const char *const roots[] = {"/api/", "/apis/", "/version/"};

		for (size_t i = 0; i < KG_ARRAY_LEN(roots); i++)
			write_plain_path(&o, roots[i]);
	}
	for (int i = 0; i < KG_KIND_COUNT; i++) {
		if (kg_api_openapi_has(&kg_kinds[i], api_version))
			write_kind(&o, &kg_kinds[i]);
	}
}
