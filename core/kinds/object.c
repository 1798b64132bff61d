#include "kinds/object.h"

#include "base/hash.h"
#include "base/slab.h"
#include "kinds/endpoints.h"
#include "kinds/snapshot.h"
#include "value/json.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

uint32_t kg_index_hash(const char *what)
{
	return (uint32_t)kg_hash64(what, strlen(what));
}

static const char *owner_uid(const struct kg_object *obj)
{
	/* A stored object's shape is looked at once it is made. */
	const struct kg_value *owners = kg_array(kg_meta(obj, "ownerReferences"));

	for (uint32_t i = 0; i < kg_len(owners); i++)
		if (kg_bool(kg_get(&owners->items[i], "controller"), false))
			return kg_string(kg_get(&owners->items[i], "uid"), "");
	return "";
}

bool kg_phase_is_terminal(const char *phase)
{
	return strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0;
}

const struct kg_value *kg_condition(const struct kg_value *status, const char *type)
{
	return kg_find(kg_get(status, "conditions"), "type", type);
}

bool kg_condition_is_true(const struct kg_value *status, const char *type)
{
	return strcmp(kg_string(kg_get(kg_condition(status, type), "status"), ""), "True") == 0;
}

static void set_flags(struct kg_object *obj)
{
	const struct kg_value *status = kg_get(kg_obj(obj), "status");

	if (!kg_is_null(kg_meta(obj, "deletionTimestamp")))
		obj->flags |= KG_OF_DELETING;
	if (obj->kind->id == KG_KIND_POD &&
		kg_phase_is_terminal(kg_string(kg_get(status, "phase"), "")))
		obj->flags |= KG_OF_TERMINAL;
	if (kg_condition_is_true(status, "Ready"))
		obj->flags |= KG_OF_READY;
}

static const char *some(const char *s)
{
	return s && *s ? s : NULL;
}

/* old: the version before, which most often is found by the same; or NULL. */
static uint32_t hash_by(
	const struct kg_object *obj, const struct kg_object *old, enum kg_index index)
{
	const char *by = kg_object_indexed_by(obj, index);
	const char *was = by && old ? kg_object_indexed_by(old, index) : NULL;

	if (!by)
		return 0;
	return was && strcmp(was, by) == 0 ? old->index_hash[index] : kg_index_hash(by);
}

static void set_indexes(struct kg_object *obj, const struct kg_object *old)
{
	if (obj->kind->id == KG_KIND_POD)
		obj->node = some(kg_string(kg_spec(obj, "nodeName"), NULL));
	else if (obj->kind->id == KG_KIND_ENDPOINTSLICE)
		obj->service = some(kg_slice_service(kg_obj(obj)));
	obj->owner = some(owner_uid(obj));
	for (int i = 0; i < KG_INDEX_COUNT; i++)
		obj->index_hash[i] = hash_by(obj, old, i);
}

static char *place(char **at, const char *s, size_t n)
{
	char *p = *at;

	memcpy(p, s, n);
	p[n] = '\0';
	*at += n + 1;
	return p;
}

/* The namespace as the value says it, which it nearly always does; else NULL. */
static const char *ns_within(const struct kg_doc *doc, const char *ns)
{
	const struct kg_value *md = kg_get(kg_doc_value(doc), "metadata");
	const char *said = *ns ? kg_string(kg_get(md, "namespace"), "") : "";

	return strcmp(said, ns) == 0 ? said : NULL;
}

/* "NS/NAME" behind the object, NS where it has to be, and the source. */
struct kg_object *kg_object_new(const struct kg_object_spec *spec)
{
	const char *ns = spec->ns ? spec->ns : "";
	struct kg_doc *doc = kg_doc_new_common(
		spec->value, &spec->base, spec->base ? 1 : 0, spec->old ? spec->old->doc : NULL);
	const char *within = ns_within(doc, ns);
	size_t ns_len = strlen(ns), name_len = strlen(spec->name);
	size_t source_len = spec->source ? strlen(spec->source) + 1 : 0;

	size_t size = sizeof(struct kg_object) + ns_len + name_len + 2 + (within ? 0 : ns_len + 1) +
		      source_len;
	struct kg_object *obj = kg_slab_alloc(KG_SLAB_VALUES, size);
	char *at = (char *)(obj + 1);
	memset(obj, 0, sizeof(*obj));
	obj->size = (uint32_t)size;
	atomic_init(&obj->refs, 1);
	obj->kind = spec->kind;
	obj->key = at;
	memcpy(at, ns, ns_len);
	at[ns_len] = '/';
	at += ns_len + 1;
	obj->name = place(&at, spec->name, name_len);
	obj->ns = within ? within : place(&at, ns, ns_len);
	obj->source = spec->source ? place(&at, spec->source, source_len - 1) : NULL;
	obj->source_index = spec->source_index;
	if (spec->template_id)
		strncpy(obj->template_id, spec->template_id, sizeof(obj->template_id) - 1);
	obj->base = spec->base ? kg_doc_ref(spec->base) : NULL;
	obj->doc = doc;
	set_indexes(obj, spec->old);
	set_flags(obj);
	return obj;
}

struct kg_object *kg_object_with(const struct kg_object *obj, const struct kg_value *value)
{
	struct kg_object_spec spec = {
		.kind = obj->kind,
		.ns = obj->ns,
		.name = obj->name,
		.value = value,
		.old = obj,
		.base = obj->base,
		.source = obj->source,
		.source_index = obj->source_index,
		.template_id = obj->template_id,
	};
	return kg_object_new(&spec);
}

struct kg_object *kg_object_ref(const struct kg_object *obj)
{
	struct kg_object *o = (struct kg_object *)(uintptr_t)obj;

	if (o)
		atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
	return o;
}

void kg_object_unref(struct kg_object *obj)
{
	if (!obj || atomic_fetch_sub_explicit(&obj->refs, 1, memory_order_acq_rel) != 1)
		return;
	kg_doc_unref(obj->doc);
	kg_doc_unref(obj->base);
	kg_slab_free(obj, obj->size);
}

const char *kg_object_uid(const struct kg_object *obj)
{
	return kg_string(kg_meta(obj, "uid"), "");
}

kg_time kg_object_created(const struct kg_object *obj)
{
	const char *s = kg_string(kg_meta(obj, "creationTimestamp"), NULL);
	kg_time t = 0;

	return s && kg_time_parse(&t, s) == 0 ? t : 0;
}

const char *kg_object_owner_uid(const struct kg_object *obj)
{
	return obj->owner ? obj->owner : "";
}

int64_t kg_pods_desired(const struct kg_kind *kind, const struct kg_value *v)
{
	const struct kg_value *spec = kg_get(v, "spec");
	int64_t n = 0, most;

	switch (kind->id) {
	case KG_KIND_POD:
		return 1;
	case KG_KIND_DEPLOYMENT:
	case KG_KIND_REPLICASET:
	case KG_KIND_REPLICATIONCONTROLLER:
	case KG_KIND_STATEFULSET:
		n = kg_int(kg_get(spec, "replicas"), 1);
		break;
	case KG_KIND_JOB:
		most = kg_int(kg_get(spec, "completions"), INT64_MAX);
		n = kg_int(kg_get(spec, "parallelism"), 1);
		n = n < most ? n : most;
		break;
	default:
		break;
	}
	return n > KG_MAX_REPLICAS ? KG_MAX_REPLICAS : n;
}

static void write_member(struct kg_buf *out, bool *first, const char *key, const struct kg_value *v)
{
	if (!*first)
		kg_buf_addc(out, ',');
	*first = false;
	kg_json_write_string(out, key, strlen(key));
	kg_buf_addc(out, ':');
	kg_json_write(out, v);
}

/* metadata with resourceVersion at its sorted place, without building a value for it. */
static void write_metadata(struct kg_buf *out, const struct kg_value *md, uint64_t revision)
{
	bool first = true, written = false;
	char text[24] = "";
	struct kg_value rv = kg_v_lit(text);

	snprintf(text, sizeof(text), "%llu", (unsigned long long)revision);
	rv.len = (uint32_t)strlen(text);
	kg_buf_addc(out, '{');
	for (uint32_t i = 0; i < kg_len(md); i++) {
		if (!written && strcmp(md->members[i].key, "resourceVersion") > 0) {
			write_member(out, &first, "resourceVersion", &rv);
			written = true;
		}
		write_member(out, &first, md->members[i].key, &md->members[i].value);
	}
	if (!written)
		write_member(out, &first, "resourceVersion", &rv);
	kg_buf_addc(out, '}');
}

void kg_object_write_json(struct kg_buf *out, const struct kg_object *obj)
{
	const struct kg_value *v = kg_obj(obj);
	bool first = true;

	kg_buf_addc(out, '{');
	for (uint32_t i = 0; i < kg_len(v); i++) {
		if (strcmp(v->members[i].key, "metadata") != 0) {
			write_member(out, &first, v->members[i].key, &v->members[i].value);
			continue;
		}
		if (!first)
			kg_buf_addc(out, ',');
		first = false;
		kg_buf_adds(out, "\"metadata\":");
		write_metadata(out, &v->members[i].value, obj->revision);
	}
	kg_buf_addc(out, '}');
}

struct kg_value kg_object_value(struct kg_arena *a, const struct kg_object *obj)
{
	return kg_with(a, kg_obj(obj), "metadata.resourceVersion",
		kg_v_strf(a, "%llu", (unsigned long long)obj->revision));
}

static struct kg_value redacted(struct kg_arena *a, const struct kg_value *v)
{
	struct kg_value out = *v;

	if (v->type != KG_OBJECT)
		return kg_is_null(v) ? *v : kg_v_lit("<redacted>");
	for (uint32_t i = 0; i < v->len; i++)
		out = kg_with_key(a, &out, v->members[i].key, kg_v_lit("<redacted>"));
	return out;
}

struct kg_value kg_object_shown(struct kg_arena *a, const struct kg_object *obj)
{
	static const char copy[] = "kubectl.kubernetes.io/last-applied-configuration";
	struct kg_value out = kg_object_value(a, obj);
	bool secret = false;

	for (const struct kg_field *f = obj->kind->schema->fields; f->name; f++) {
		if (!(f->flags & KG_FF_SECRET) || kg_is_null(kg_get(&out, f->name)))
			continue;
		out = kg_with_key(a, &out, f->name, redacted(a, kg_get(&out, f->name)));
		secret = true;
	}
	const struct kg_value *notes = kg_at(&out, "metadata.annotations");
	if (secret && !kg_is_null(kg_get(notes, copy)))
		out = kg_with(
			a, &out, "metadata.annotations", kg_with_key(a, notes, copy, kg_v_null()));
	return out;
}

bool kg_labels_match_map(const struct kg_value *map, const struct kg_value *labels)
{
	for (uint32_t i = 0; i < kg_len(map); i++) {
		const char *have = kg_string(kg_get(labels, map->members[i].key), NULL);
		const char *want = kg_string(&map->members[i].value, "");

		if (!have || strcmp(have, want) != 0)
			return false;
	}
	return true;
}

static bool value_among(const struct kg_value *values, const char *s)
{
	for (uint32_t i = 0; i < kg_len(values); i++)
		if (strcmp(kg_string(&values->items[i], ""), s) == 0)
			return true;
	return false;
}

bool kg_requirement_matches(const struct kg_value *requirement, const char *have)
{
	const char *op = kg_string(kg_get(requirement, "operator"), "");
	const struct kg_value *values = kg_get(requirement, "values");

	if (strcmp(op, "In") == 0)
		return have && value_among(values, have);
	if (strcmp(op, "NotIn") == 0)
		return !have || !value_among(values, have);
	if (strcmp(op, "Exists") == 0)
		return have != NULL;
	return strcmp(op, "DoesNotExist") == 0 && !have;
}

bool kg_selector_matches(const struct kg_value *selector, const struct kg_value *labels)
{
	if (kg_is_null(selector))
		return false;
	if (!kg_labels_match_map(kg_get(selector, "matchLabels"), labels))
		return false;
	const struct kg_value *exprs = kg_get(selector, "matchExpressions");
	for (uint32_t i = 0; i < kg_len(exprs); i++) {
		const struct kg_value *e = &exprs->items[i];
		const char *key = kg_string(kg_get(e, "key"), "");

		if (!kg_requirement_matches(e, kg_string(kg_get(labels, key), NULL)))
			return false;
	}
	return true;
}

bool kg_container_is_sidecar(const struct kg_value *init_container)
{
	return !strcmp(kg_string(kg_get(init_container, "restartPolicy"), ""), "Always");
}

int64_t kg_pod_named_port(const struct kg_value *pod, const char *name, const char *protocol)
{
	static const char *const lists[] = {"containers", "initContainers"};

	for (size_t l = 0; l < KG_ARRAY_LEN(lists); l++) {
		const struct kg_value *cs = kg_get(kg_get(pod, "spec"), lists[l]);
		for (uint32_t i = 0; i < kg_len(cs); i++) {
			const struct kg_value *ps = kg_get(&cs->items[i], "ports");
			for (uint32_t k = 0; k < kg_len(ps); k++) {
				const struct kg_value *p = &ps->items[k];
				if (strcmp(kg_string(kg_get(p, "name"), ""), name) == 0 &&
					strcmp(kg_string(kg_get(p, "protocol"), "TCP"), protocol) ==
						0)
					return kg_int(kg_get(p, "containerPort"), 0);
			}
		}
	}
	return 0;
}
