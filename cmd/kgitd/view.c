#include "kgitd/view_private.h"

#include "auth/accounts.h"
#include "base/hash.h"
#include "base/map.h"
#include "kinds/claim.h"

#include <stdatomic.h>
#include <string.h>

/*
 * Overview. A view is a sorted list of files, each a path, the id of its blob and the object that
 * its bytes are made from; bytes are made again when a pack needs them, so that a view costs
 * little while nothing changes. Trees are made from the list.
 */

static const unsigned char zero_oid[20];

const char *kgd_view_volume_node(const struct kg_object *pv)
{
	return kg_string(kg_get(kg_at(kg_obj(pv), "metadata.annotations"), "kgit.dev/node"), NULL);
}

struct own {
	struct kgd_view_files *files;
	struct kg_map seen; /* paths */
	const struct kg_snapshot *s;
	const char *ns, *pod; /* being looked at */
};

static void add_named(struct own *o, enum kg_kind_id kind, const char *name)
{
	const struct kg_object *obj = name ? kg_snapshot_get(o->s, kind, o->ns, name) : NULL;
	if (!obj)
		return;
	char *path = kg_asprintf("%s/%s/%s.yaml", obj->kind->plural, o->ns, name);
	if (kg_map_has(&o->seen, path)) {
		free(path);
		return;
	}
	kg_map_put(&o->seen, path, o);
	kgd_view_add_object(o->files, path, obj);
}

static void add_at(struct own *o, enum kg_kind_id kind, const struct kg_value *v, const char *path)
{
	add_named(o, kind, kg_string(kg_at(v, path), NULL));
}

static void add_persistent(struct own *o, const struct kg_object *pv)
{
	char *path = kg_asprintf("volumes/%s.yaml", pv->name);

	if (kg_map_has(&o->seen, path)) {
		free(path);
		return;
	}
	kg_map_put(&o->seen, path, o);
	kgd_view_add_object(o->files, path, pv);
}

/* The volume that a claim is bound to. */
static void add_claim(struct own *o, const char *name)
{
	const struct kg_object *claim =
		kg_snapshot_get(o->s, KG_KIND_PERSISTENTVOLUMECLAIM, o->ns, name);
	const char *volume = claim ? kg_string(kg_at(kg_obj(claim), "spec.volumeName"), "") : "";
	const struct kg_object *pv =
		*volume ? kg_snapshot_get(o->s, KG_KIND_PERSISTENTVOLUME, "", volume) : NULL;

	if (pv && strcmp(kg_string(kg_at(kg_obj(pv), "spec.claimRef.uid"), ""),
			  kg_object_uid(claim)) == 0)
		add_persistent(o, pv);
}

/* What the node is to remove. */
static void add_reclaimed(struct own *o, const char *node)
{
	struct kg_object_iter it KG_CLEANUP(kg_iter_release);
	const struct kg_object *pv;

	kg_iter_kind(&it, o->s, KG_KIND_PERSISTENTVOLUME, NULL, NULL);
	while ((pv = kg_iter_next(&it)))
		if (kg_object_deleting(pv) && kgd_view_volume_node(pv) &&
			strcmp(kgd_view_volume_node(pv), node) == 0)
			add_persistent(o, pv);
}

static void add_volume(struct own *o, const struct kg_value *v)
{
	char claim[KG_CLAIM_NAME_SIZE];
	const struct kg_value *sources = kg_at(v, "projected.sources");

	add_at(o, KG_KIND_CONFIGMAP, v, "configMap.name");
	add_at(o, KG_KIND_SECRET, v, "secret.secretName");
	if (kg_volume_claim(claim, o->pod, v))
		add_claim(o, claim);
	for (uint32_t i = 0; i < kg_len(sources); i++) {
		add_at(o, KG_KIND_CONFIGMAP, &sources->items[i], "configMap.name");
		add_at(o, KG_KIND_SECRET, &sources->items[i], "secret.name");
	}
}

static void add_container(struct own *o, const struct kg_value *c)
{
	const struct kg_value *env = kg_get(c, "env"), *from = kg_get(c, "envFrom");

	for (uint32_t k = 0; k < kg_len(env); k++) {
		add_at(o, KG_KIND_CONFIGMAP, &env->items[k], "valueFrom.configMapKeyRef.name");
		add_at(o, KG_KIND_SECRET, &env->items[k], "valueFrom.secretKeyRef.name");
	}
	for (uint32_t k = 0; k < kg_len(from); k++) {
		add_at(o, KG_KIND_CONFIGMAP, &from->items[k], "configMapRef.name");
		add_at(o, KG_KIND_SECRET, &from->items[k], "secretRef.name");
	}
}

/* Every ConfigMap and Secret that a pod names: its containers, volumes and imagePullSecrets. */
static void add_named_by_pod(struct own *o, const struct kg_object *pod)
{
	static const char *const lists[] = {"initContainers", "containers"};
	const struct kg_value *spec = kg_get(kg_obj(pod), "spec");
	const struct kg_value *volumes = kg_get(spec, "volumes");
	const struct kg_value *pulls = kg_get(spec, "imagePullSecrets");

	o->ns = pod->ns;
	o->pod = pod->name;
	for (uint32_t i = 0; i < kg_len(pulls); i++)
		add_at(o, KG_KIND_SECRET, &pulls->items[i], "name");
	for (uint32_t i = 0; i < kg_len(volumes); i++)
		add_volume(o, &volumes->items[i]);
	for (size_t l = 0; l < KG_ARRAY_LEN(lists); l++) {
		const struct kg_value *cs = kg_get(spec, lists[l]);
		for (uint32_t i = 0; i < kg_len(cs); i++)
			add_container(o, &cs->items[i]);
	}
}

static void add_policy(void *ctx, char *path, const struct kg_value *value, struct kgd_text *text)
{
	if (value)
		kgd_view_add_value(ctx, path, value);
	else
		kgd_view_add_common(ctx, path, text);
}

/* {} where there are none: they are known. */
static struct kg_value node_labels(struct kg_arena *a, const struct kg_object *node)
{
	const struct kg_value *labels = kg_at(kg_obj(node), "metadata.labels");

	return labels->type == KG_OBJECT ? *labels : kg_v_object(a, NULL, 0);
}

static void own_files(struct kgd_view_files *files, const struct kg_snapshot *s, const char *node,
	const struct kgd_shared *shared, struct kgd_policies *policies)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct own own = {.files = files, .seen = KG_MAP_INIT, .s = s};
	struct kg_object_iter it KG_CLEANUP(kg_iter_release);
	const struct kg_object *self = kg_snapshot_get(s, KG_KIND_NODE, "", node);
	const struct kg_object *pod;

	struct kg_value v = kg_v_obj(&a, "name", kg_v_lit(node), "podCIDR",
		self ? *kg_at(kg_obj(self), "spec.podCIDR") : kg_v_null(), "labels",
		self ? node_labels(&a, self) : kg_v_null(), "taints",
		self ? *kg_at(kg_obj(self), "spec.taints") : kg_v_null(), "clusterCIDR",
		kg_v_lit(shared->pod_cidr), "serviceCIDR", kg_v_lit(shared->service_cidr), "ca",
		shared->ca_pem ? kg_v_lit(shared->ca_pem) : kg_v_null(), (char *)NULL);
	kgd_view_add_value(files, kg_strdup("node.yaml"), &v);
	kg_iter_index(&it, s, KG_INDEX_NODE, node);
	while ((pod = kg_iter_next(&it))) {
		kgd_view_add_pod(files, kg_asprintf("pods/%s/%s.yaml", pod->ns, pod->name), pod,
			kg_accounts_automount(s, pod));
		add_named_by_pod(&own, pod);
	}
	add_reclaimed(&own, node);
	if (policies)
		kgd_policies_of_node(policies, s, node, add_policy, files);
	kg_map_release(&own.seen);
	kgd_view_sort(files);
}

void kgd_view_root_tree(
	const struct kgd_view *v, unsigned char oid[20], const struct kgd_object_sink *sink)
{
	struct kgd_tree_entry more[2];
	size_t n = 0;

	if (memcmp(v->shared->services, zero_oid, 20) != 0)
		memcpy(kgd_tree_add(more, &n, "services", 8, true)->oid, v->shared->services, 20);
	if (memcmp(v->shared->nodes, zero_oid, 20) != 0)
		memcpy(kgd_tree_add(more, &n, "nodes", 5, true)->oid, v->shared->nodes, 20);
	kgd_tree_of(v->files, v->nfiles, 0, more, n, oid, sink);
}

/* Without a parent: each view stands alone, so that a node needs nothing but the newest. */
void kgd_view_commit_text(struct kg_buf *out, const struct kgd_view *v)
{
	char tree[41];
	long long at = (long long)(v->time / 1000);

	kg_hex(tree, v->tree, 20);
	kg_buf_addf(out,
		"tree %s\nauthor kgitd <kgitd@kgit> %lld +0000\n"
		"committer kgitd <kgitd@kgit> %lld +0000\n\nview of %s\n\nKgit-Revision: %llu\n",
		tree, at, at, v->node, (unsigned long long)v->revision);
}

struct kgd_view *kgd_view_new(const struct kg_snapshot *s, const char *node,
	struct kgd_shared *shared, struct kgd_policies *policies, struct kgd_view *last)
{
	struct kgd_view *v = kg_alloc(sizeof(*v));
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	struct kgd_view_files files = {0};
	unsigned char oid[20];

	atomic_init(&v->refs, 1);
	v->shared = kgd_shared_ref(shared);
	v->node = kg_strdup(node);
	v->revision = s->revision;
	v->time = s->time;
	own_files(&files, s, node, shared, policies);
	v->files = files.items;
	v->nfiles = files.len;
	v->npeers = kgd_view_below(v->files, v->nfiles, "peers/", &v->first_peers);
	kgd_view_root_tree(v, v->tree, NULL);
	if (last && memcmp(last->tree, v->tree, 20) == 0) {
		kgd_view_unref(v);
		return kgd_view_ref(last);
	}
	kgd_view_commit_text(&text, v);
	kg_git_oid(oid, "commit", kg_buf_str(&text), text.len);
	kg_hex(v->commit, oid, 20);
	return v;
}

bool kgd_view_has_peers(const struct kgd_view *view, const char *id)
{
	KG_AUTOFREE char *path = kg_asprintf("peers/%s.yaml", id);

	return kgd_view_find(&view->files[view->first_peers], view->npeers, path) != NULL;
}

struct kgd_view *kgd_view_ref(struct kgd_view *view)
{
	if (view)
		atomic_fetch_add(&view->refs, 1);
	return view;
}

void kgd_view_unref(struct kgd_view *view)
{
	if (!view || atomic_fetch_sub(&view->refs, 1) != 1)
		return;
	kgd_view_free_files(view->files, view->nfiles);
	kgd_shared_unref(view->shared);
	free(view->node);
	free(view);
}

static bool same_but_status(const struct kg_change *c)
{
	if (!c->before || !c->after)
		return false;
	const struct kg_value *b = kg_obj(c->before), *n = kg_obj(c->after);
	return kg_equal(kg_get(b, "metadata"), kg_get(n, "metadata")) &&
	       kg_equal(kg_get(b, "spec"), kg_get(n, "spec")) &&
	       kg_equal(kg_at(b, "status.podIP"), kg_at(n, "status.podIP"));
}

/* What node.yaml says of a node. */
static bool node_own_changed(const struct kg_change *c)
{
	static const char *const parts[] = {"metadata.labels", "spec.taints", "spec.podCIDR"};
	bool changed = !c->before || !c->after;

	for (size_t i = 0; i < KG_ARRAY_LEN(parts) && !changed; i++)
		changed = !kg_equal(
			kg_at(kg_obj(c->before), parts[i]), kg_at(kg_obj(c->after), parts[i]));
	return changed;
}

const char *kgd_view_node_of(const struct kg_change *c, bool before)
{
	const struct kg_object *obj = before ? c->before : c->after;

	if (obj && obj->kind->id == KG_KIND_NODE)
		return node_own_changed(c) ? obj->name : NULL;
	if (!obj || c->quiet || obj->kind->id != KG_KIND_POD || same_but_status(c))
		return NULL;
	const char *node = kg_string(kg_at(kg_obj(obj), "spec.nodeName"), "");
	return *node ? node : NULL;
}
