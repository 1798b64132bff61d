/*
 * OpenAPI v3 (and v2 as JSON), from the schema tables: an index and one document a group version,
 * with the paths that exist and the component schemas they reach. `kubectl explain` reads these.
 */
#include "api/openapi.h"

#include "api/encode.h"
#include "api/handlers.h"
#include "api/reply.h"
#include "api/request.h"
#include "base/hash.h"
#include "base/map.h"

#include <inttypes.h>

static const char json_media[] = "application/json";

#define QUANTITY      "io.k8s.apimachinery.pkg.api.resource.Quantity"
#define INT_OR_STRING "io.k8s.apimachinery.pkg.util.intstr.IntOrString"

/* ---- schemas ---- */

static void write_reference(struct kg_buf *out, const char *name)
{
	kg_buf_addf(out, "\"allOf\":[{\"$ref\":\"#/components/schemas/%s\"}]", name);
}

/* Scalars of two types have names, by which `kubectl explain` calls them. Version 2 can say but one
 * of the types. */
static void write_scalars(struct kg_buf *out, bool v2)
{
	kg_buf_adds(out,
		"\"" QUANTITY "\":{\"description\":\"A number with a unit: 100m, 1.5, 64Mi.\",");
	kg_buf_adds(out, v2 ? "\"type\":\"string\"}"
			    : "\"oneOf\":[{\"type\":\"string\"},{\"type\":\"number\"}]}");
	kg_buf_adds(out,
		",\"" INT_OR_STRING "\":{\"description\":\"A number, or a percentage or name.\","
		"\"format\":\"int-or-string\",");
	kg_buf_adds(out, v2 ? "\"type\":\"string\"}"
			    : "\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"string\"}]}");
}

static void write_type(struct kg_buf *out, const struct kg_field *f)
{
	switch (f->type) {
	case KG_F_STRING:
		kg_buf_adds(out, "\"type\":\"string\"");
		break;
	case KG_F_INT:
		kg_buf_adds(out, "\"type\":\"integer\",\"format\":\"int64\"");
		break;
	case KG_F_BOOL:
		kg_buf_adds(out, "\"type\":\"boolean\"");
		break;
	case KG_F_QUANTITY:
		write_reference(out, QUANTITY);
		break;
	case KG_F_INT_OR_STRING:
		write_reference(out, INT_OR_STRING);
		break;
	case KG_F_TIME:
		kg_buf_adds(out, "\"type\":\"string\",\"format\":\"date-time\"");
		break;
	case KG_F_BYTES:
		kg_buf_adds(out, "\"type\":\"string\",\"format\":\"byte\"");
		break;
	case KG_F_OBJECT:
		write_reference(out, f->schema->name);
		break;
	case KG_F_ANY:
		kg_buf_adds(out, "\"type\":\"object\"");
		break;
	}
	if (f->values && !(f->flags & (KG_FF_LIST | KG_FF_MAP))) {
		kg_buf_adds(out, ",\"enum\":[");
		for (const char *const *v = f->values; *v; v++) {
			if (v != f->values)
				kg_buf_addc(out, ',');
			kg_api_write_str(out, *v);
		}
		kg_buf_addc(out, ']');
	}
}

static void write_list(struct kg_buf *out, const struct kg_field *f)
{
	kg_buf_adds(out, "\"type\":\"array\",\"items\":{");
	write_type(out, f);
	kg_buf_addc(out, '}');
	if (!f->merge_key)
		return;
	size_t first = strcspn(f->merge_key, ",");
	kg_buf_adds(out, ",\"x-kubernetes-list-type\":\"map\",\"x-kubernetes-list-map-keys\":[\"");
	for (const char *p = f->merge_key; *p; p++)
		if (*p == ',')
			kg_buf_adds(out, "\",\"");
		else
			kg_buf_addc(out, *p);
	kg_buf_addf(out,
		"\"],\"x-kubernetes-patch-merge-key\":\"%.*s\",\"x-kubernetes-patch-strategy\":"
		"\"merge\"",
		(int)first, f->merge_key);
}

static void write_property(struct kg_buf *out, const struct kg_field *f)
{
	kg_api_write_str(out, f->name);
	kg_buf_adds(out, ":{\"description\":");
	kg_api_write_str(out, f->doc ? f->doc : "");
	kg_buf_addc(out, ',');
	if (f->flags & KG_FF_LIST) {
		write_list(out, f);
	} else if (f->flags & KG_FF_MAP) {
		kg_buf_adds(out, "\"type\":\"object\",\"additionalProperties\":{");
		write_type(out, f);
		kg_buf_addc(out, '}');
	} else {
		write_type(out, f);
	}
	if (f->dflt)
		kg_buf_addf(out, ",\"default\":%s", f->dflt);
	kg_buf_addc(out, '}');
}

static void write_gvk_of(struct kg_buf *out, const struct kg_kind *k)
{
	kg_buf_addf(out, "{\"group\":\"%s\",\"kind\":\"%s\",\"version\":\"%s\"}", k->group, k->kind,
		k->version);
}

static const struct kg_kind *kind_of(const struct kg_schema *s)
{
	for (int k = 0; k < KG_KIND_COUNT; k++)
		if (kg_kinds[k].schema == s)
			return &kg_kinds[k];
	return NULL;
}

/* What every kind has although its table need not say so. */
static void write_type_meta(struct kg_buf *out, const struct kg_schema *s, bool *more)
{
	static const struct kg_field meta[] = {
		{.name = "apiVersion", .type = KG_F_STRING, .doc = "The API's group and version."},
		{.name = "kind", .type = KG_F_STRING, .doc = "The kind of the object."},
	};

	for (size_t i = 0; i < KG_ARRAY_LEN(meta); i++) {
		const struct kg_field *f = s->fields;

		while (f->name && strcmp(f->name, meta[i].name))
			f++;
		if (f->name)
			continue;
		if (*more)
			kg_buf_addc(out, ',');
		*more = true;
		write_property(out, &meta[i]);
	}
}

static void write_required(struct kg_buf *out, const struct kg_schema *s)
{
	bool more = false;

	for (const struct kg_field *f = s->fields; f->name; f++) {
		if (!(f->flags & KG_FF_REQUIRED))
			continue;
		kg_buf_adds(out, more ? "," : ",\"required\":[");
		more = true;
		kg_api_write_str(out, f->name);
	}
	if (more)
		kg_buf_addc(out, ']');
}

static void write_schema(struct kg_buf *out, const struct kg_schema *s)
{
	const struct kg_kind *k = kind_of(s);
	bool more = false;

	kg_api_write_str(out, s->name);
	kg_buf_adds(out, ":{\"description\":");
	kg_api_write_str(out, s->doc ? s->doc : "");
	kg_buf_adds(out, ",\"type\":\"object\",\"properties\":{");
	for (const struct kg_field *f = s->fields; f->name; f++) {
		if (more)
			kg_buf_addc(out, ',');
		more = true;
		write_property(out, f);
	}
	if (k)
		write_type_meta(out, s, &more);
	kg_buf_addc(out, '}');
	write_required(out, s);
	if (k) {
		kg_buf_adds(out, ",\"x-kubernetes-group-version-kind\":[");
		write_gvk_of(out, k);
		kg_buf_addc(out, ']');
	}
	kg_buf_addc(out, '}');
}

static void write_new(struct kg_buf *out, const struct kg_schema *s, struct kg_map *seen)
{
	if (kg_map_has(seen, s->name))
		return;
	if (seen->count)
		kg_buf_addc(out, ',');
	kg_map_put(seen, s->name, NULL);
	write_schema(out, s);
}

/* Every schema that the fields of s reach and that was not seen yet. */
static void write_reached(struct kg_buf *out, const struct kg_schema *s, struct kg_map *seen)
{
	for (const struct kg_field *f = s->fields; f->name; f++) {
		if (f->type != KG_F_OBJECT || kg_map_has(seen, f->schema->name))
			continue;
		write_new(out, f->schema, seen);
		write_reached(out, f->schema, seen);
	}
}

/* The schemas of a group version's kinds (NULL: of all), and what they reach. First the kinds: what
 * is one may also be part of another, under the same name. */
static void write_schemas(struct kg_buf *out, const char *api_version)
{
	struct kg_map seen = KG_MAP_INIT;

	for (int pass = 0; pass < 2; pass++) {
		for (int k = 0; k < KG_KIND_COUNT; k++) {
			const struct kg_kind *kind = &kg_kinds[k];

			if (!kg_api_openapi_has(kind, api_version))
				continue;
			if (pass)
				write_reached(out, kind->schema, &seen);
			else
				write_new(out, kind->schema, &seen);
		}
	}
	kg_map_release(&seen);
}

/* ---- documents ---- */

/* The document of "v1" or "apps/v1"; empty where nothing is of that version. */
static void write_document(struct kg_buf *out, const char *api_version)
{
	bool more = false;

	for (int k = 0; k < KG_KIND_COUNT; k++)
		more |= kg_api_openapi_has(&kg_kinds[k], api_version);
	if (!more)
		return;
	kg_buf_adds(out,
		"{\"openapi\":\"3.0.0\",\"info\":{\"title\":\"kgit\",\"version\":\"v" KGIT_VERSION
		"\"},\"paths\":{");
	kg_api_openapi_paths(out, api_version, false);
	kg_buf_adds(out, "},\"components\":{\"schemas\":{");
	write_scalars(out, false);
	kg_buf_addc(out, ',');
	write_schemas(out, api_version);
	kg_api_openapi_lists(out, api_version);
	kg_buf_adds(out, "}}}");
}

/* ---- the index ---- */

/* The first kind of its group version stands for it. */
static bool leads(int k)
{
	if (!kg_kinds[k].schema)
		return false;
	for (int i = 0; i < k; i++)
		if (kg_kinds[i].schema && !strcmp(kg_kind_api_version(&kg_kinds[i]),
						  kg_kind_api_version(&kg_kinds[k])))
			return false;
	return true;
}

/* Where the index says that a document is: its hash makes it one that never changes. */
static void write_url(
	struct kg_buf *out, const char *at, const char *api_version, const struct kg_buf *doc)
{
	kg_buf_addf(out, "/openapi/v3/%s/%s?hash=%016" PRIX64, at, api_version,
		kg_hash64(doc->data, doc->len));
}

static void write_index(struct kg_buf *out)
{
	bool more = false;

	kg_buf_adds(out, "{\"paths\":{");
	for (int k = 0; k < KG_KIND_COUNT; k++) {
		const struct kg_kind *kind = &kg_kinds[k];
		KG_AUTOBUF struct kg_buf doc = KG_BUF_INIT;
		const char *at = *kind->group ? "apis" : "api", *v = kg_kind_api_version(kind);

		if (!leads(k))
			continue;
		write_document(&doc, v);
		kg_buf_addf(out, "%s\"%s/%s\":{\"serverRelativeURL\":\"", more ? "," : "", at, v);
		write_url(out, at, v, &doc);
		kg_buf_adds(out, "\"}");
		more = true;
	}
	kg_buf_adds(out, "}}");
}

/* Version 2 as JSON: the same schemas, found elsewhere. */
static void write_v2_json(struct kg_buf *out)
{
	static const char from[] = "#/components/schemas/", to[] = "#/definitions/";
	KG_AUTOBUF struct kg_buf doc = KG_BUF_INIT;

	kg_buf_adds(&doc,
		"{\"swagger\":\"2.0\",\"info\":{\"title\":\"kgit\",\"version\":\"v" KGIT_VERSION
		"\"},\"paths\":{");
	kg_api_openapi_paths(&doc, NULL, true);
	kg_buf_adds(&doc, "},\"definitions\":{");
	write_scalars(&doc, true);
	kg_buf_addc(&doc, ',');
	write_schemas(&doc, NULL);
	kg_api_openapi_lists(&doc, NULL);
	const char *p = kg_buf_str(&doc), *next;

	for (; (next = strstr(p, from)); p = next + strlen(from)) {
		kg_buf_add(out, p, (size_t)(next - p));
		kg_buf_adds(out, to);
	}
	kg_buf_adds(out, p);
	kg_buf_adds(out, "}}\n");
}

static void reply_v2(struct request *r)
{
	const char *accept = kg_http_header(r->http, "Accept");
	struct kg_buf out = KG_BUF_INIT;

	if (accept && strstr(accept, "proto-openapi.spec.v2")) {
		kg_api_write_openapi_v2(&out);
		kg_api_reply_cached(r, "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
			KG_API_ASK_AGAIN, &out);
		return;
	}
	write_v2_json(&out);
	kg_api_reply_cached(r, json_media, KG_API_ASK_AGAIN, &out);
}

/* A hash of another document, from before kgitd was another one: the client is sent on. */
static void reply_moved(struct request *r, const char *url)
{
	struct kg_buf none = KG_BUF_INIT;

	kg_http_set_header(r->http, "Location", url);
	kg_http_reply(r->http, 301, "text/plain", &none);
}

static void reply_document(struct request *r, const char *at, const char *api_version)
{
	const char *hash = kg_http_query(r->http, "hash");
	KG_AUTOBUF struct kg_buf url = KG_BUF_INIT;
	struct kg_buf doc = KG_BUF_INIT;

	write_document(&doc, api_version);
	if (!doc.len) {
		kg_api_reply_unknown_path(r);
		return;
	}
	if (!hash || !*hash) {
		kg_api_reply_cached(r, json_media, KG_API_ASK_AGAIN, &doc);
		return;
	}
	write_url(&url, at, api_version, &doc);
	if (!strcmp(strchr(kg_buf_str(&url), '=') + 1, hash)) {
		kg_api_reply_cached(r, json_media, KG_API_FOR_EVER, &doc);
		return;
	}
	kg_buf_release(&doc);
	reply_moved(r, kg_buf_str(&url));
}

void kg_api_handle_openapi(struct request *r, const char *path)
{
	struct kg_buf out = KG_BUF_INIT;

	if (!strcmp(path, "/openapi/v2")) {
		reply_v2(r);
	} else if (!strcmp(path, "/openapi/v3") || !strcmp(path, "/openapi/v3/")) {
		write_index(&out);
		kg_api_reply_cached(r, json_media, KG_API_ASK_AGAIN, &out);
	} else if (!strncmp(path, "/openapi/v3/apis/", 17)) {
		reply_document(r, "apis", path + 17);
	} else if (!strncmp(path, "/openapi/v3/api/", 16)) {
		reply_document(r, "api", path + 16);
	} else {
		kg_api_reply_unknown_path(r);
	}
}
