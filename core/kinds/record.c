#include "kinds/record.h"

#include "base/hash.h"
#include "value/yaml.h"

#include <stdio.h>
#include <string.h>

bool kg_record_is_observed(const struct kg_object *obj)
{
	return kg_record_node(obj) != NULL;
}

/* Is all of a pod's status what binding it gives: its node has said nothing yet. */
static bool is_as_bound(const struct kg_value *status)
{
	static const char *const given[] = {"hostIP", "hostIPs", "podIP", "podIPs", "qosClass"};
	const struct kg_value *conditions = kg_get(status, "conditions");
	const char *phase = kg_string(kg_get(status, "phase"), NULL);
	uint32_t known = conditions->type == KG_ARRAY;

	if (phase && strcmp(phase, "Pending") != 0)
		return false;
	for (uint32_t i = 0; i < kg_len(conditions); i++)
		if (strcmp(kg_string(kg_get(&conditions->items[i], "type"), ""), "PodScheduled"))
			return false;
	for (size_t i = 0; i < KG_ARRAY_LEN(given); i++)
		known += !kg_is_null(kg_get(status, given[i]));
	known += phase != NULL;
	return known == kg_len(status);
}

const char *kg_record_node(const struct kg_object *obj)
{
	if (!(obj->kind->flags & KG_KF_OBSERVED))
		return NULL;
	if (obj->kind->id == KG_KIND_NODE)
		return obj->name;
	const char *node = kg_string(kg_get(kg_get(kg_obj(obj), "spec"), "nodeName"), "");
	return *node && !is_as_bound(kg_get(kg_obj(obj), "status")) ? node : NULL;
}

/* A base that no record names is not found again (the system's namespaces are made of one). */
static const struct kg_value *base_value(const struct kg_object *obj)
{
	static const struct kg_value empty = {.type = KG_OBJECT};
	bool named = obj->source || *obj->template_id;

	return obj->base && named ? kg_doc_value(obj->base) : &empty;
}

/* The part of the value that the decided record answers for. */
static struct kg_value decided_part(struct kg_arena *a, const struct kg_object *obj)
{
	if (!kg_record_is_observed(obj))
		return *kg_obj(obj);
	return kg_with_key(a, kg_obj(obj), "status", kg_v_null());
}

void kg_record_decided(struct kg_buf *out, const struct kg_object *obj, uint64_t revision)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value value = decided_part(&a, obj);
	struct kg_value source = kg_v_null();

	if (obj->source)
		source = kg_v_obj(&a, "path", kg_v_lit(obj->source), "index",
			kg_v_int(obj->source_index), (char *)NULL);
	struct kg_value record = kg_v_obj(&a, "revision", kg_v_int((int64_t)revision), "source",
		source, "template", *obj->template_id ? kg_v_lit(obj->template_id) : kg_v_null(),
		"patch", kg_patch_make(&a, base_value(obj), &value), (char *)NULL);
	kg_yaml_write(out, &record);
}

void kg_record_observed(struct kg_buf *out, const struct kg_object *obj, uint64_t revision)
{
	const struct kg_value *status = kg_get(kg_obj(obj), "status");
	const struct kg_member members[] = {
		{.key = "revision", .value = kg_v_int((int64_t)revision)},
		{.key = "status", .value = *status}};
	struct kg_value record = {
		.type = KG_OBJECT, .len = kg_is_null(status) ? 1 : 2, .members = members};

	kg_yaml_write(out, &record);
}

/* Equal members, `status` aside where skip_status. Members are sorted on both sides. */
static bool equal_members(const struct kg_value *a, const struct kg_value *b, bool skip_status)
{
	uint32_t i = 0, k = 0;

	for (;;) {
		if (skip_status && i < a->len && strcmp(a->members[i].key, "status") == 0)
			i++;
		if (skip_status && k < b->len && strcmp(b->members[k].key, "status") == 0)
			k++;
		if (i == a->len || k == b->len)
			return i == a->len && k == b->len;
		if (strcmp(a->members[i].key, b->members[k].key) != 0 ||
			!kg_equal(&a->members[i].value, &b->members[k].value))
			return false;
		i++;
		k++;
	}
}

bool kg_record_decided_equal(const struct kg_object *a, const struct kg_object *b)
{
	if (!a->source != !b->source || (a->source && strcmp(a->source, b->source) != 0))
		return false;
	if (a->source_index != b->source_index || strcmp(a->template_id, b->template_id) != 0)
		return false;
	bool observed = kg_record_is_observed(a);
	if (observed != kg_record_is_observed(b))
		return false;
	return equal_members(kg_obj(a), kg_obj(b), observed) &&
	       kg_equal(base_value(a), base_value(b));
}

bool kg_record_observed_equal(const struct kg_object *a, const struct kg_object *b)
{
	const char *node_a = kg_record_node(a), *node_b = kg_record_node(b);

	if (!node_a || !node_b || strcmp(node_a, node_b) != 0)
		return !node_a && !node_b;
	return kg_equal(kg_get(kg_obj(a), "status"), kg_get(kg_obj(b), "status"));
}

int kg_record_parse(struct kg_record *out, struct kg_arena *a, const char *text, size_t len,
	struct kg_error *err)
{
	struct kg_value v;
	int rc = kg_yaml_load(&v, a, text, len, err);

	if (rc < 0)
		return rc;
	int64_t revision = kg_int(kg_get(&v, "revision"), -1);
	const char *template_id = kg_string(kg_get(&v, "template"), "");
	if (revision < 0)
		return kg_fail(err, KG_E_CORRUPT, "record without a revision");
	if (strlen(template_id) >= sizeof(((struct kg_object *)0)->template_id))
		return kg_fail(
			err, KG_E_CORRUPT, "record with the template id \"%s\"", template_id);
	*out = (struct kg_record){
		.revision = (uint64_t)revision,
		.source = kg_string(kg_at(&v, "source.path"), NULL),
		.source_index = (unsigned)kg_int(kg_at(&v, "source.index"), 0),
		.template_id = template_id,
		.patch = *kg_get(&v, "patch"),
		.status = *kg_get(&v, "status"),
	};
	return 0;
}

struct kg_object *kg_record_join(const struct kg_kind *kind, const char *ns, const char *name,
	struct kg_doc *base, const struct kg_record *decided, const struct kg_record *observed)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	static const struct kg_value empty = {.type = KG_OBJECT};
	const struct kg_value *from = base ? kg_doc_value(base) : &empty;
	struct kg_value value =
		kg_is_null(&decided->patch) ? *from : kg_patch_apply(&a, from, &decided->patch);

	if (observed)
		value = kg_with_key(&a, &value, "status", observed->status);
	struct kg_object_spec spec = {
		.kind = kind,
		.ns = ns,
		.name = name,
		.value = &value,
		.base = base,
		.source = decided->source,
		.source_index = decided->source_index,
		.template_id = decided->template_id,
	};
	struct kg_object *obj = kg_object_new(&spec);
	obj->revision = decided->revision;
	if (observed && observed->revision > obj->revision)
		obj->revision = observed->revision;
	return obj;
}

void kg_template_id(char out[24], const struct kg_value *pod_template)
{
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	unsigned char digest[20];

	kg_yaml_write(&text, pod_template);
	kg_sha1(digest, text.data, text.len);
	kg_hex(out, digest, 10);
}

struct kg_doc *kg_template_expand(const struct kg_kind *kind, struct kg_doc *pod_template)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	const struct kg_value *t = kg_doc_value(pod_template);
	struct kg_value v = kg_v_obj(&a, "apiVersion", kg_v_lit(kg_kind_api_version(kind)), "kind",
		kg_v_lit(kind->kind), (char *)NULL);

	if (kind->id == KG_KIND_POD) {
		v = kg_with_key(&a, &v, "metadata", *kg_get(t, "metadata"));
		v = kg_with_key(&a, &v, "spec", *kg_get(t, "spec"));
	} else {
		v = kg_with(&a, &v, "spec.template", *t);
	}
	return kg_doc_new(&v, &pod_template, 1);
}

struct kg_value kg_template_of(struct kg_arena *a, const struct kg_object *obj)
{
	const struct kg_value *base = base_value(obj);

	if (obj->kind->id != KG_KIND_POD)
		return *kg_at(base, "spec.template");
	return kg_v_obj(a, "metadata", *kg_get(base, "metadata"), "spec", *kg_get(base, "spec"),
		(char *)NULL);
}
