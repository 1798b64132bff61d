/*
 * The node authoriser. Nodes live by /kgit/v1/nodes/NAME; of Kubernetes' API a node may get its own
 * Node and Lease, the pods bound to it, and the ConfigMaps, Secrets and ServiceAccounts that those
 * name, one by one: no lists. It may have a token made for the ServiceAccount of such a pod.
 */
#include "nodes.h"

#include "internal.h"
#include "kinds/claim.h"
#include "watch/hub.h"

#include <string.h>

/* A node "a.git" could be taken for the view of a node "a". */
static bool is_node_name(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && !strchr(name, '/') && (n < 4 || strcmp(name + n - 4, ".git") != 0);
}

static const char *skip(const char *path, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(path, prefix, n) == 0 ? path + n : NULL;
}

static int judge_path(const struct kg_user *u, const char *path, struct kg_error *err)
{
	const char *rest = skip(path, "/kgit/v1/nodes/");

	if (!rest)
		return 0;
	const char *own = skip(rest, u->node);
	if (own && (*own == '/' || strncmp(own, ".git/", 5) == 0))
		return 1;
	return kg_fail(err, KG_E_FORBIDDEN, "a node may only ask for what is its own");
}

/* ---- what pods name ---- */

struct reference {
	const char *member; /* of a pod's spec, at any depth */
	enum kg_kind_id kind;
	const char *name; /* the member of it that names the object */
};
static const struct reference references[] = {
	{"configMap", KG_KIND_CONFIGMAP, "name"},
	{"configMapKeyRef", KG_KIND_CONFIGMAP, "name"},
	{"configMapRef", KG_KIND_CONFIGMAP, "name"},
	{"imagePullSecrets", KG_KIND_SECRET, "name"},
	{"secret", KG_KIND_SECRET, "name"},
	{"secret", KG_KIND_SECRET, "secretName"},
	{"secretKeyRef", KG_KIND_SECRET, "name"},
	{"secretRef", KG_KIND_SECRET, "name"},
};

static bool member_names(const struct kg_member *m, enum kg_kind_id kind, const char *name)
{
	for (size_t i = 0; i < KG_ARRAY_LEN(references); i++) {
		const struct reference *r = &references[i];

		if (r->kind != kind || strcmp(r->member, m->key) != 0)
			continue;
		if (!kg_is_null(kg_find(&m->value, r->name, name)))
			return true;
		if (strcmp(kg_string(kg_get(&m->value, r->name), ""), name) == 0)
			return true;
	}
	return false;
}

/* Values are at most as deep as a schema. */
static bool names(const struct kg_value *v, enum kg_kind_id kind, const char *name)
{
	for (uint32_t i = 0; v->type == KG_ARRAY && i < v->len; i++)
		if (names(&v->items[i], kind, name))
			return true;
	for (uint32_t i = 0; v->type == KG_OBJECT && i < v->len; i++)
		if (member_names(&v->members[i], kind, name) ||
			names(&v->members[i].value, kind, name))
			return true;
	return false;
}

static bool pod_claims(const struct kg_object *pod, const char *name)
{
	const struct kg_value *volumes = kg_at(kg_obj(pod), "spec.volumes");
	char claim[KG_CLAIM_NAME_SIZE];

	for (uint32_t i = 0; i < kg_len(volumes); i++)
		if (kg_volume_claim(claim, pod->name, &volumes->items[i]) &&
			strcmp(claim, name) == 0)
			return true;
	return false;
}

static bool pod_names(const struct kg_object *pod, enum kg_kind_id kind, const char *name)
{
	const struct kg_value *spec = kg_get(kg_obj(pod), "spec");

	if (kind == KG_KIND_SERVICEACCOUNT)
		return strcmp(kg_string(kg_get(spec, "serviceAccountName"), "default"), name) == 0;
	if (kind == KG_KIND_PERSISTENTVOLUMECLAIM)
		return pod_claims(pod, name);
	return names(spec, kind, name);
}

static bool a_pod_names(const struct kg_snapshot *s, const char *node, enum kg_kind_id kind,
	const char *ns, const char *name)
{
	const struct kg_object *pod;
	struct kg_object_iter it;
	bool found = false;

	kg_iter_index(&it, s, KG_INDEX_NODE, node);
	while (!found && (pod = kg_iter_next(&it)))
		found = pod->kind->id == KG_KIND_POD && strcmp(pod->ns, ns) == 0 &&
			pod_names(pod, kind, name);
	kg_iter_release(&it);
	return found;
}

/* ---- resources ---- */

static const char *text(const char *s)
{
	return s ? s : "";
}

static bool is_bound(
	const struct kg_snapshot *s, const char *node, const char *ns, const char *name)
{
	const struct kg_object *pod = kg_snapshot_get(s, KG_KIND_POD, ns, name);

	return pod && strcmp(kg_string(kg_at(kg_obj(pod), "spec.nodeName"), ""), node) == 0;
}

static bool may_get(const struct kg_snapshot *s, const char *node, const struct kg_kind *kind,
	const struct kg_attributes *a)
{
	const char *ns = text(a->ns), *name = text(a->name);

	switch (kind->id) {
	case KG_KIND_NODE:
		return strcmp(name, node) == 0;
	case KG_KIND_LEASE:
		return strcmp(ns, "kube-node-lease") == 0 && strcmp(name, node) == 0;
	case KG_KIND_POD:
		return is_bound(s, node, ns, name);
	case KG_KIND_CONFIGMAP:
	case KG_KIND_SECRET:
	case KG_KIND_PERSISTENTVOLUMECLAIM:
	case KG_KIND_SERVICEACCOUNT:
		return a_pod_names(s, node, kind->id, ns, name);
	default:
		return false;
	}
}

static const struct kg_kind *kind_of(const struct kg_attributes *a)
{
	for (int i = 0; i < KG_KIND_COUNT; i++)
		if (strcmp(kg_kinds[i].plural, text(a->resource)) == 0 &&
			strcmp(kg_kinds[i].group, text(a->group)) == 0)
			return &kg_kinds[i];
	return NULL;
}

static bool judge_resource(
	struct kg_hub *hub, const struct kg_user *u, const struct kg_attributes *a)
{
	const struct kg_kind *kind = kind_of(a);
	bool get = strcmp(a->verb, "get") == 0 && !*text(a->subresource);
	bool token = kind && kind->id == KG_KIND_SERVICEACCOUNT && strcmp(a->verb, "create") == 0 &&
		     strcmp(text(a->subresource), "token") == 0;

	if (!hub || !kind || !*text(a->name) || !(get || token))
		return false;
	struct kg_snapshot *s = kg_hub_snapshot(hub);
	bool allowed = may_get(s, u->node, kind, a);
	kg_snapshot_unref(s);
	return allowed;
}

static int authorize(
	void *self, const struct kg_user *u, const struct kg_attributes *a, struct kg_error *err)
{
	if (!is_node_name(u->node) || !kg_user_in_group(u, "system:nodes"))
		return 0;
	return a->path ? judge_path(u, a->path, err) : judge_resource(self, u, a);
}

const struct kg_authorizer kg_nodes_authorizer = {.authorize = authorize};
