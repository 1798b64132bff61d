/* What pods of one template share, how they are named, and small words of their owners. */
#include "reconcile/podpolicy.h"
#include "reconcile/workload.h"

#include <string.h>

void kg_mould_release(struct kg_mould *m)
{
	kg_doc_unref(m->base);
	m->base = NULL;
}

void kg_mould_make(
	struct kg_mould *m, struct kg_run *r, const struct kg_value *template, const char *id)
{
	const char *ns = kg_arena_strndup(&r->a, r->key, strcspn(r->key, "/"));
	struct kg_value with_defaults = kg_pod_defaults(r, ns, template);
	if (!kg_equal(&with_defaults, template)) {
		template = &with_defaults;
		id = NULL;
	}
	if (id && *id)
		memcpy(m->id, id, sizeof(m->id));
	else
		kg_template_id(m->id, template);
	struct kg_object_iter it;
	const struct kg_object *obj;
	kg_iter_index(&it, kg_now(r), KG_INDEX_TEMPLATE, m->id);
	while (!m->base && (obj = kg_iter_next(&it)))
		if (obj->kind->id == KG_KIND_POD)
			m->base = kg_doc_ref(obj->base);
	kg_iter_release(&it);
	if (m->base)
		return;
	struct kg_doc *doc = kg_doc_new(template, NULL, 0);
	m->base = kg_template_expand(&kg_kinds[KG_KIND_POD], doc);
	kg_doc_unref(doc);
}

struct kg_value kg_mould_pod(struct kg_mould *m, struct kg_run *r, const struct kg_object *owner,
	const char *generate_name)
{
	const struct kg_value *base = kg_doc_value(m->base);
	struct kg_arena *a = &r->a;
	struct kg_value meta = *kg_get(base, "metadata");
	if (meta.type != KG_OBJECT)
		meta = kg_v_object(a, NULL, 0);
	meta = kg_with_key(a, &meta, "ownerReferences", kg_make_owner_ref(a, owner));
	meta = kg_with_key(a, &meta, "generateName", kg_v_str(a, generate_name));
	struct kg_value v = kg_with_key(a, base, "metadata", meta);
	v = kg_with_key(a, &v, "status", kg_pod_new_status(a, kg_get(base, "spec")));
	if (!kg_is_null(kg_at(base, "spec.nodeName")))
		v = kg_with(a, &v, "spec.nodeName", kg_v_null());
	return v;
}

const struct kg_object *kg_mould_put(struct kg_mould *m, struct kg_run *r, const char *ns,
	const char *name, const struct kg_value *pod)
{
	const struct kg_kind *kind = &kg_kinds[KG_KIND_POD];
	const char *why = kg_pod_forbidden(r, ns, name, pod);
	if (why) {
		r->refused = why;
		return NULL;
	}
	struct kg_value v = kg_birth(r, kind, ns, name, pod);
	struct kg_object_spec spec = {.kind = kind,
		.ns = ns,
		.name = name,
		.value = &v,
		.base = m->base,
		.template_id = m->id};
	kg_txn_put(r->txn, kg_object_new(&spec));
	return kg_snapshot_get(kg_now(r), KG_KIND_POD, ns, name);
}

void kg_pod_name(char out[300], struct kg_run *r, const struct kg_object *owner, const char *stem,
	int64_t *counter)
{
	enum {
		STEM = 57,
		SUFFIX = 5
	}; /* generated names are cut at 58 + 5 bytes, as Kubernetes' */
	size_t n = strnlen(stem, STEM);
	char what[64];
	const char *uid = kg_object_uid(owner);
	size_t len = strnlen(uid, sizeof(what) - 25);
	memcpy(what, uid, len);
	what[len++] = '#';
	memcpy(out, stem, n);
	out[n] = '-';
	do {
		size_t all = len + kg_int_text(what + len, ++*counter);
		kg_safe_encode(out + n + 1, SUFFIX, kg_hash64(what, all));
	} while (kg_snapshot_get(kg_now(r), KG_KIND_POD, owner->ns, out));
}

int64_t kg_pods_created(const struct kg_object *owner)
{
	return strtoll(kg_annotation(owner, KG_CREATED_ANNOTATION, "0"), NULL, 10);
}

struct kg_value kg_with_created(struct kg_run *r, const struct kg_value *v, int64_t created)
{
	char text[24];
	kg_int_text(text, created);
	return kg_with_annotation(&r->a, v, KG_CREATED_ANNOTATION, text);
}

bool kg_pod_available(struct kg_run *r, const struct kg_object *pod, int64_t min_ready_ms)
{
	if (!kg_object_ready(pod))
		return false;
	if (min_ready_ms == 0)
		return true;
	const struct kg_value *c = kg_condition(kg_get(kg_obj(pod), "status"), "Ready");
	kg_time since = kg_time_of(kg_get(c, "lastTransitionTime"), 0);
	if (since + min_ready_ms <= r->now)
		return true;
	kg_wake(r, since + min_ready_ms);
	return false;
}

struct kg_value kg_count_or_null(int64_t n)
{
	return n ? kg_v_int(n) : kg_v_null();
}

int64_t kg_generation(const struct kg_object *obj)
{
	return kg_int(kg_meta(obj, "generation"), 0);
}

const char *kg_label(const struct kg_object *obj, const char *key, const char *dflt)
{
	return kg_string(kg_get(kg_meta(obj, "labels"), key), dflt);
}

struct kg_value kg_with_label(
	struct kg_arena *a, const struct kg_value *v, const char *key, const char *text)
{
	struct kg_value labels =
		kg_with_key(a, kg_get(kg_get(v, "metadata"), "labels"), key, kg_v_str(a, text));
	return kg_with(a, v, "metadata.labels", labels);
}

bool kg_reap_orphan(struct kg_run *r, const struct kg_object *obj)
{
	if (kg_owner_exists(kg_now(r), obj))
		return false;
	kg_delete_object(r, obj);
	return true;
}
