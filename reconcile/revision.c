/* ControllerRevisions: every template that a StatefulSet or DaemonSet had, found again by its
 * content (which is what `kubectl rollout undo`, or a git revert, comes to). */
#include "reconcile/workload.h"

#include <stdio.h>
#include <string.h>

static int64_t number(const struct kg_object *rev)
{
	return kg_int(kg_get(kg_obj(rev), "revision"), 0);
}

static int cmp_number(const void *a, const void *b)
{
	const struct kg_object *x = *(struct kg_object *const *)a;
	const struct kg_object *y = *(struct kg_object *const *)b;
	int64_t p = number(x), q = number(y);
	return p != q ? (p < q ? -1 : 1) : strcmp(x->name, y->name);
}

static struct kg_value data_of(struct kg_arena *a, const struct kg_value *template)
{
	struct kg_value t = kg_with_key(a, template, "$patch", kg_v_lit("replace"));
	return kg_v_obj(a, "spec", kg_v_obj(a, "template", t, (char *)NULL), (char *)NULL);
}

struct kg_value kg_revision_template(struct kg_arena *a, const struct kg_object *rev)
{
	return kg_with_key(a, kg_at(kg_obj(rev), "data.spec.template"), "$patch", kg_v_null());
}

/* Annotations of the owner's manifest that its revisions carry too: `rollout history` reads
 * kubernetes.io/change-cause there. */
static struct kg_value annotations_of(struct kg_arena *a, const struct kg_object *owner)
{
	const struct kg_value *ann = kg_at(kg_obj(owner), "metadata.annotations");
	struct kg_value out = kg_v_null();
	for (uint32_t i = 0; i < (ann->type == KG_OBJECT ? ann->len : 0); i++)
		if (strncmp(ann->members[i].key, "kgit/", 5) != 0)
			out = kg_with_key(a, &out, ann->members[i].key, ann->members[i].value);
	return out;
}

static void make(struct kg_revisions *v, struct kg_run *r, const struct kg_object *owner,
	const char *hash_label, const struct kg_value *template)
{
	const struct kg_kind *kind = &kg_kinds[KG_KIND_CONTROLLERREVISION];
	struct kg_arena *a = &r->a;
	struct kg_value data = data_of(a, template);
	char id[24], what[48], hash[16], name[300];
	kg_template_id(id, template);
	for (;; v->collisions++) {
		int n = snprintf(what, sizeof(what), "%s/%lld", id, (long long)v->collisions);
		kg_safe_encode(hash, 10, kg_hash64(what, (size_t)n));
		snprintf(name, sizeof(name), "%.242s-%s", owner->name, hash);
		if (!kg_snapshot_get(kg_now(r), kind->id, owner->ns, name))
			break;
	}
	struct kg_value labels =
		kg_with_key(a, kg_at(template, "metadata.labels"), hash_label, kg_v_str(a, hash));
	struct kg_value meta =
		kg_v_obj(a, "labels", labels, "annotations", annotations_of(a, owner),
			"ownerReferences", kg_make_owner_ref(a, owner), (char *)NULL);
	int64_t last = v->all.n ? number(v->all.v[v->all.n - 1]) : 0;
	struct kg_value value = kg_v_obj(a, "apiVersion", kg_v_lit("apps/v1"), "kind",
		kg_v_lit("ControllerRevision"), "metadata", meta, "data", data, "revision",
		kg_v_int(last + 1), (char *)NULL);
	value = kg_birth(r, kind, owner->ns, name, &value);
	struct kg_object_spec spec = {.kind = kind, .ns = owner->ns, .name = name, .value = &value};
	kg_txn_put(r->txn, kg_object_new(&spec));
	kg_list_add(&v->all, kg_snapshot_get(kg_now(r), kind->id, owner->ns, name));
	v->current = v->all.v[v->all.n - 1];
}

/* An older revision that is current again becomes the newest. */
static void renew(struct kg_revisions *v, struct kg_run *r, size_t i)
{
	struct kg_object *old = v->all.v[i];
	struct kg_value value = kg_with(
		&r->a, kg_obj(old), "revision", kg_v_int(number(v->all.v[v->all.n - 1]) + 1));
	kg_put_value(r, old, &value);
	v->all.v[i] =
		kg_object_ref(kg_snapshot_get_key(kg_now(r), KG_KIND_CONTROLLERREVISION, old->key));
	kg_object_unref(old);
	qsort(v->all.v, v->all.n, sizeof(*v->all.v), cmp_number);
}

void kg_revisions_sync(struct kg_revisions *v, struct kg_run *r, const struct kg_object *owner,
	const char *hash_label)
{
	struct kg_value template = kg_owner_template(r, owner);
	struct kg_value data = data_of(&r->a, &template);
	kg_list_owned(&v->all, kg_now(r), KG_KIND_CONTROLLERREVISION, kg_object_uid(owner));
	if (v->all.n)
		qsort(v->all.v, v->all.n, sizeof(*v->all.v), cmp_number);
	size_t i = 0;
	while (i < v->all.n && !kg_equal(kg_get(kg_obj(v->all.v[i]), "data"), &data))
		i++;
	if (i == v->all.n) {
		make(v, r, owner, hash_label, &template);
		return;
	}
	if (i + 1 < v->all.n) {
		renew(v, r, i);
		i = v->all.n - 1;
	}
	v->current = v->all.v[i];
}

void kg_revisions_release(struct kg_revisions *v)
{
	kg_list_release(&v->all);
}

const struct kg_object *kg_revisions_get(const struct kg_revisions *v, const char *name)
{
	for (size_t i = 0; i < v->all.n; i++)
		if (strcmp(v->all.v[i]->name, name) == 0)
			return v->all.v[i];
	return NULL;
}

void kg_revisions_forget(
	struct kg_revisions *v, struct kg_run *r, const struct kg_map *live, int64_t limit)
{
	int64_t idle = 0;
	for (size_t i = 0; i < v->all.n; i++)
		idle += v->all.v[i] != v->current && !kg_map_has(live, v->all.v[i]->name);
	for (size_t i = 0; i < v->all.n && idle > limit; i++) {
		if (v->all.v[i] == v->current || kg_map_has(live, v->all.v[i]->name))
			continue;
		kg_delete_object(r, v->all.v[i]);
		idle--;
	}
}
