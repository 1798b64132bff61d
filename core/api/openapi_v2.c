/*
 * OpenAPI v2, from the same schema tables: `kubectl explain` up to 1.26 and client-side checking
 * read it. They take only protobuf, of gnostic's openapi.v2.Document; what is written of it here
 * are the definitions, for who takes protobuf looks at no paths. Field numbers are those of
 * gnostic's OpenAPIv2.proto.
 */
#include "api/openapi.h"
#include "base/map.h"

enum { BYTES = 2 }; /* the wire type */

/* openapi.v2's messages and their fields */
enum {
	DOCUMENT_SWAGGER = 1,
	DOCUMENT_INFO = 2,
	DOCUMENT_PATHS = 8,
	DOCUMENT_DEFINITIONS = 9,
	INFO_TITLE = 1,
	INFO_VERSION = 2,
	DEFINITIONS_ITEM = 1,
	NAMED_NAME = 1,
	NAMED_VALUE = 2,
	SCHEMA_REF = 1,
	SCHEMA_FORMAT = 2,
	SCHEMA_DESCRIPTION = 4,
	SCHEMA_REQUIRED = 19,
	SCHEMA_ADDITIONAL = 21,
	SCHEMA_TYPE = 22,
	SCHEMA_ITEMS = 23,
	SCHEMA_PROPERTIES = 25,
	SCHEMA_EXTENSION = 31,
	TYPE_VALUE = 1,
	ITEMS_SCHEMA = 1,
	ADDITIONAL_SCHEMA = 1,
	PROPERTIES_ITEM = 1,
	ANY_YAML = 2,
};

static void add_varint(struct kg_buf *out, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		kg_buf_addc(out, (char)(v | 0x80));
	kg_buf_addc(out, (char)v);
}

static void add_bytes(struct kg_buf *out, unsigned field, const char *p, size_t n)
{
	add_varint(out, field << 3 | BYTES);
	add_varint(out, n);
	kg_buf_add(out, p, n);
}

static void add_text(struct kg_buf *out, unsigned field, const char *s)
{
	add_bytes(out, field, s, strlen(s));
}

/* The message becomes a field of another one, and is empty again. */
static void add_message(struct kg_buf *out, unsigned field, struct kg_buf *message)
{
	add_bytes(out, field, kg_buf_str(message), message->len);
	kg_buf_clear(message);
}

static void add_type(struct kg_buf *schema, const char *type, const char *format)
{
	KG_AUTOBUF struct kg_buf item = KG_BUF_INIT;

	add_text(&item, TYPE_VALUE, type);
	add_message(schema, SCHEMA_TYPE, &item);
	if (format)
		add_text(schema, SCHEMA_FORMAT, format);
}

static void add_extension(struct kg_buf *schema, const char *name, const char *yaml)
{
	KG_AUTOBUF struct kg_buf named = KG_BUF_INIT, any = KG_BUF_INIT;

	add_text(&any, ANY_YAML, yaml);
	add_text(&named, NAMED_NAME, name);
	add_message(&named, NAMED_VALUE, &any);
	add_message(schema, SCHEMA_EXTENSION, &named);
}

/* One value of the field: its type, or what it refers to. */
static void add_value_type(struct kg_buf *schema, const struct kg_field *f)
{
	static const struct {
		const char *type, *format;
	} plain[] = {
		[KG_F_STRING] = {"string", NULL},
		[KG_F_INT] = {"integer", "int64"},
		[KG_F_BOOL] = {"boolean", NULL},
		[KG_F_QUANTITY] = {"string", "quantity"},
		[KG_F_INT_OR_STRING] = {"string", "int-or-string"},
		[KG_F_TIME] = {"string", "date-time"},
		[KG_F_BYTES] = {"string", "byte"},
		[KG_F_ANY] = {"object", NULL},
	};

	if (f->type == KG_F_OBJECT) {
		KG_AUTOFREE char *ref = kg_asprintf("#/definitions/%s", f->schema->name);

		add_text(schema, SCHEMA_REF, ref);
		return;
	}
	add_type(schema, plain[f->type].type, plain[f->type].format);
}

static void add_list_keys(struct kg_buf *schema, const struct kg_field *f)
{
	KG_AUTOFREE char *first =
		kg_asprintf("%.*s", (int)strcspn(f->merge_key, ","), f->merge_key);

	add_extension(schema, "x-kubernetes-patch-merge-key", first);
	add_extension(schema, "x-kubernetes-patch-strategy", "merge");
}

static void add_property(struct kg_buf *properties, const struct kg_field *f)
{
	KG_AUTOBUF struct kg_buf named = KG_BUF_INIT, schema = KG_BUF_INIT, inner = KG_BUF_INIT,
				 wrap = KG_BUF_INIT;

	add_text(&schema, SCHEMA_DESCRIPTION, f->doc ? f->doc : "");
	if (f->flags & KG_FF_LIST) {
		add_type(&schema, "array", NULL);
		add_value_type(&inner, f);
		add_message(&wrap, ITEMS_SCHEMA, &inner);
		add_message(&schema, SCHEMA_ITEMS, &wrap);
		if (f->merge_key)
			add_list_keys(&schema, f);
	} else if (f->flags & KG_FF_MAP) {
		add_type(&schema, "object", NULL);
		add_value_type(&inner, f);
		add_message(&wrap, ADDITIONAL_SCHEMA, &inner);
		add_message(&schema, SCHEMA_ADDITIONAL, &wrap);
	} else {
		add_value_type(&schema, f);
	}
	add_text(&named, NAMED_NAME, f->name);
	add_message(&named, NAMED_VALUE, &schema);
	add_message(properties, PROPERTIES_ITEM, &named);
}

/* Which kinds an object of this schema is, as JSON; the same schema may serve several. */
static void add_kinds(struct kg_buf *schema, const struct kg_schema *s)
{
	KG_AUTOBUF struct kg_buf list = KG_BUF_INIT;

	for (int k = 0; k < KG_KIND_COUNT; k++)
		if (kg_kinds[k].schema == s)
			kg_buf_addf(&list,
				"%s{\"group\":\"%s\",\"kind\":\"%s\",\"version\":\"%s\"}",
				list.len ? "," : "[", kg_kinds[k].group, kg_kinds[k].kind,
				kg_kinds[k].version);
	if (!list.len)
		return;
	kg_buf_addc(&list, ']');
	add_extension(schema, "x-kubernetes-group-version-kind", list.data);
}

static bool is_kind(const struct kg_schema *s)
{
	for (int k = 0; k < KG_KIND_COUNT; k++)
		if (kg_kinds[k].schema == s)
			return true;
	return false;
}

static bool has_field(const struct kg_schema *s, const char *name)
{
	for (const struct kg_field *f = s->fields; f->name; f++)
		if (!strcmp(f->name, name))
			return true;
	return false;
}

static void add_properties(struct kg_buf *schema, const struct kg_schema *s)
{
	static const struct kg_field meta[] = {
		{.name = "apiVersion", .type = KG_F_STRING, .doc = "The API's group and version."},
		{.name = "kind", .type = KG_F_STRING, .doc = "The kind of the object."},
	};
	KG_AUTOBUF struct kg_buf properties = KG_BUF_INIT;

	for (const struct kg_field *f = s->fields; f->name; f++)
		add_property(&properties, f);
	for (size_t i = 0; i < KG_ARRAY_LEN(meta); i++)
		if (is_kind(s) && !has_field(s, meta[i].name))
			add_property(&properties, &meta[i]);
	add_message(schema, SCHEMA_PROPERTIES, &properties);
}

static void add_schema(struct kg_buf *definitions, const struct kg_schema *s, struct kg_map *seen)
{
	KG_AUTOBUF struct kg_buf named = KG_BUF_INIT, schema = KG_BUF_INIT;

	if (kg_map_has(seen, s->name))
		return;
	kg_map_put(seen, s->name, NULL);
	add_text(&schema, SCHEMA_DESCRIPTION, s->doc ? s->doc : "");
	add_type(&schema, "object", NULL);
	for (const struct kg_field *f = s->fields; f->name; f++)
		if (f->flags & KG_FF_REQUIRED)
			add_text(&schema, SCHEMA_REQUIRED, f->name);
	add_properties(&schema, s);
	add_kinds(&schema, s);
	add_text(&named, NAMED_NAME, s->name);
	add_message(&named, NAMED_VALUE, &schema);
	add_message(definitions, DEFINITIONS_ITEM, &named);
}

/* Every schema that the fields of s reach and that was not seen yet. */
static void add_reached(struct kg_buf *definitions, const struct kg_schema *s, struct kg_map *seen)
{
	for (const struct kg_field *f = s->fields; f->name; f++) {
		if (f->type != KG_F_OBJECT || kg_map_has(seen, f->schema->name))
			continue;
		add_schema(definitions, f->schema, seen);
		add_reached(definitions, f->schema, seen);
	}
}

void kg_api_write_openapi_v2(struct kg_buf *out)
{
	KG_AUTOBUF struct kg_buf info = KG_BUF_INIT, definitions = KG_BUF_INIT;
	struct kg_map seen = KG_MAP_INIT;

	add_text(out, DOCUMENT_SWAGGER, "2.0");
	add_text(&info, INFO_TITLE, "kgit");
	add_text(&info, INFO_VERSION, "v" KGIT_VERSION);
	add_message(out, DOCUMENT_INFO, &info);
	add_bytes(out, DOCUMENT_PATHS, "", 0);
	/* First the kinds: what is one may also be part of another, under the same name. */
	for (int k = 0; k < KG_KIND_COUNT; k++)
		if (kg_kinds[k].schema)
			add_schema(&definitions, kg_kinds[k].schema, &seen);
	for (int k = 0; k < KG_KIND_COUNT; k++)
		if (kg_kinds[k].schema)
			add_reached(&definitions, kg_kinds[k].schema, &seen);
	add_message(out, DOCUMENT_DEFINITIONS, &definitions);
	kg_map_release(&seen);
}
