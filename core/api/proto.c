#include "api/proto.h"

enum field_flags { REPEATED = 1, NUMBER = 2 };

/* A message's field: a text, or a message of its own where `fields` is set. */
struct proto_field {
	unsigned number;
	const char *name;
	const struct proto_field *fields;
	unsigned flags;
};
#define F(number, name)                                                                            \
	{                                                                                          \
		number, name, NULL, 0                                                              \
	}
#define F_IN(number, name, of)                                                                     \
	{                                                                                          \
		number, name, of, 0                                                                \
	}
#define F_END                                                                                      \
	{                                                                                          \
		0, NULL, NULL, 0                                                                   \
	}

static const struct proto_field resource_attributes[] = {F(1, "namespace"), F(2, "verb"),
	F(3, "group"), F(4, "version"), F(5, "resource"), F(6, "subresource"), F(7, "name"), F_END};
static const struct proto_field path_attributes[] = {F(1, "path"), F(2, "verb"), F_END};
static const struct proto_field self_access_spec[] = {
	F_IN(1, "resourceAttributes", resource_attributes),
	F_IN(2, "nonResourceAttributes", path_attributes), F_END};
static const struct proto_field access_spec[] = {F_IN(1, "resourceAttributes", resource_attributes),
	F_IN(2, "nonResourceAttributes", path_attributes), F(3, "user"),
	{4, "groups", NULL, REPEATED}, F_END};
static const struct proto_field rules_spec[] = {F(1, "namespace"), F_END};
static const struct proto_field token_review_spec[] = {
	F(1, "token"), {2, "audiences", NULL, REPEATED}, F_END};
static const struct proto_field bound_object[] = {
	F(1, "kind"), F(2, "apiVersion"), F(3, "name"), F(4, "uid"), F_END};
static const struct proto_field token_spec[] = {{1, "audiences", NULL, REPEATED},
	F_IN(3, "boundObjectRef", bound_object), {4, "expirationSeconds", NULL, NUMBER}, F_END};
static const struct proto_field object_meta[] = {F(1, "name"), F_END};
static const struct proto_field named_object[] = {F_IN(1, "metadata", object_meta), F_END};
static const struct proto_field raw[] = {F(2, "raw"), F_END};

/* What is POSTed to be answered, by its resource: the message of field 2, its spec. */
static const struct {
	const char *resource;
	const struct proto_field review[2];
} reviews[] = {
	{"selfsubjectaccessreviews", {F_IN(2, "spec", self_access_spec), F_END}},
	{"selfsubjectrulesreviews", {F_IN(2, "spec", rules_spec), F_END}},
	{"subjectaccessreviews", {F_IN(2, "spec", access_spec), F_END}},
	{"localsubjectaccessreviews", {F_IN(2, "spec", access_spec), F_END}},
	{"tokenreviews", {F_IN(2, "spec", token_review_spec), F_END}},
	{"token", {F_IN(2, "spec", token_spec), F_END}},
};

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

/* The next field; what is not bytes is passed over with *bytes empty, *varint being a number. */
static bool read_field(struct in *in, unsigned *number, struct in *bytes, uint64_t *varint)
{
	uint64_t tag, n = 0;

	*varint = 0;

	*bytes = (struct in){in->p, in->p};
	if (!read_varint(in, &tag))
		return false;
	*number = (unsigned)(tag >> 3);
	switch (tag & 7) {
	case WIRE_VARINT:
		return read_varint(in, varint);
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
	struct kg_value *out, struct kg_arena *a, struct in in, const struct proto_field *fields);

static bool read_value(struct kg_value *out, struct kg_arena *a, const struct proto_field *f,
	struct in bytes, uint64_t varint)
{
	if (f->fields)
		return read_message(out, a, bytes, f->fields);
	*out = f->flags & NUMBER
		       ? kg_v_int((int64_t)varint)
		       : kg_v_strn(a, (const char *)bytes.p, (size_t)(bytes.end - bytes.p));
	return true;
}

/* The values of a repeated field so far, and one more. */
static struct kg_value longer(struct kg_arena *a, const struct kg_member *members, unsigned n,
	const char *name, struct kg_value v)
{
	for (unsigned i = n; i-- > 0;)
		if (!strcmp(members[i].key, name))
			return kg_with_item(a, &members[i].value, v);
	return kg_v_array(a, &v, 1);
}

static bool read_message(
	struct kg_value *out, struct kg_arena *a, struct in in, const struct proto_field *fields)
{
	struct kg_member members[MAX_FIELDS];
	unsigned number, n = 0;
	struct in bytes;
	uint64_t varint;

	while (in.p < in.end) {
		const struct proto_field *f = fields;
		struct kg_value v;

		if (n == MAX_FIELDS || !read_field(&in, &number, &bytes, &varint))
			return false;
		while (f->name && f->number != number)
			f++;
		if (!f->name)
			continue;
		if (!read_value(&v, a, f, bytes, varint))
			return false;
		if (f->flags & REPEATED)
			v = longer(a, members, n, f->name, v);
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
	struct kg_value review;
	size_t at = 0;

	while (at < KG_ARRAY_LEN(reviews) && strcmp(reviews[at].resource, resource) != 0)
		at++;
	if (at == KG_ARRAY_LEN(reviews) || !read_object(&review, a, p, n, reviews[at].review))
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
