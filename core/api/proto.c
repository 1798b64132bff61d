#include "api/proto.h"

/* A message's field: a text, or a message of its own where `fields` is set. */
struct proto_field {
	unsigned number;
	const char *name;
	const struct proto_field *fields;
};

static const struct proto_field resource_attributes[] = {{1, "namespace", NULL}, {2, "verb", NULL},
	{3, "group", NULL}, {4, "version", NULL}, {5, "resource", NULL}, {6, "subresource", NULL},
	{7, "name", NULL}, {0, NULL, NULL}};
static const struct proto_field path_attributes[] = {
	{1, "path", NULL}, {2, "verb", NULL}, {0, NULL, NULL}};
static const struct proto_field access_spec[] = {{1, "resourceAttributes", resource_attributes},
	{2, "nonResourceAttributes", path_attributes}, {0, NULL, NULL}};
static const struct proto_field access_review[] = {{2, "spec", access_spec}, {0, NULL, NULL}};
static const struct proto_field rules_spec[] = {{1, "namespace", NULL}, {0, NULL, NULL}};
static const struct proto_field rules_review[] = {{2, "spec", rules_spec}, {0, NULL, NULL}};
static const struct proto_field object_meta[] = {{1, "name", NULL}, {0, NULL, NULL}};
static const struct proto_field named_object[] = {{1, "metadata", object_meta}, {0, NULL, NULL}};
static const struct proto_field raw[] = {{2, "raw", NULL}, {0, NULL, NULL}};

enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };
enum { MAX_FIELDS = 64 };

struct in {
	const unsigned char *p, *end;
};

static bool read_varint(struct in *in, uint64_t *out)
{
	*out = 0;
	for (unsigned shift = 0; shift < 64 && in->p < in->end; shift += 7) {
		unsigned char b = *in->p++;

		*out |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80))
			return true;
	}
	return false;
}

/* The next field; what is not bytes is passed over with *bytes empty. */
static bool read_field(struct in *in, unsigned *number, struct in *bytes)
{
	uint64_t tag, n = 0;

	*bytes = (struct in){in->p, in->p};
	if (!read_varint(in, &tag))
		return false;
	*number = (unsigned)(tag >> 3);
	switch (tag & 7) {
	case WIRE_VARINT:
		return read_varint(in, &n);
	case WIRE_64:
		n = 8;
		break;
	case WIRE_32:
		n = 4;
		break;
	case WIRE_BYTES:
		if (!read_varint(in, &n))
			return false;
		break;
	default:
		return false;
	}
	if (n > (uint64_t)(in->end - in->p))
		return false;
	if ((tag & 7) == WIRE_BYTES)
		*bytes = (struct in){in->p, in->p + n};
	in->p += n;
	return true;
}

static bool read_message(
	struct kg_value *out, struct kg_arena *a, struct in in, const struct proto_field *fields)
{
	struct kg_member members[MAX_FIELDS];
	unsigned number, n = 0;
	struct in bytes;

	while (in.p < in.end) {
		const struct proto_field *f = fields;
		struct kg_value v;

		if (n == MAX_FIELDS || !read_field(&in, &number, &bytes))
			return false;
		while (f->name && f->number != number)
			f++;
		if (!f->name)
			continue;
		if (f->fields) {
			if (!read_message(&v, a, bytes, f->fields))
				return false;
		} else {
			v = kg_v_strn(a, (const char *)bytes.p, (size_t)(bytes.end - bytes.p));
		}
		members[n++] = (struct kg_member){f->name, v};
	}
	*out = kg_v_object(a, members, n);
	return true;
}

static const char magic[4] = {'k', '8', 's', '\0'};

bool kg_proto_is(const void *p, size_t n)
{
	return n >= sizeof(magic) && !memcmp(p, magic, sizeof(magic));
}

/* The object inside the envelope. */
static bool read_object(struct kg_value *out, struct kg_arena *a, const void *p, size_t n,
	const struct proto_field *fields)
{
	struct in in = {(const unsigned char *)p + sizeof(magic), (const unsigned char *)p + n};
	struct kg_value unknown;

	if (!kg_proto_is(p, n) || !read_message(&unknown, a, in, raw))
		return false;
	const struct kg_value *inner = kg_get(&unknown, "raw");

	in.p = (const unsigned char *)kg_string(inner, "");
	in.end = in.p + (inner->type == KG_STRING ? inner->len : 0);
	return read_message(out, a, in, fields);
}

int kg_proto_review_spec(struct kg_value *out, struct kg_arena *a, const char *resource,
	const void *p, size_t n, struct kg_error *err)
{
	bool rules = !strcmp(resource, "selfsubjectrulesreviews");
	struct kg_value review;

	if (!read_object(&review, a, p, n, rules ? rules_review : access_review))
		return kg_fail(err, KG_E_BAD_REQUEST, "the body is not a whole protobuf message");
	*out = *kg_get(&review, "spec");
	return 0;
}

const char *kg_proto_object_name(struct kg_arena *a, const void *p, size_t n)
{
	struct kg_value object;

	if (!read_object(&object, a, p, n, named_object))
		return NULL;
	return kg_string(kg_at(&object, "metadata.name"), NULL);
}
