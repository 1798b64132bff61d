#include "kgitd/view.h"

#include "auth/accounts.h"
#include "base/hash.h"
#include "base/map.h"
#include "value/yaml.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/*
 * Overview. A view is a sorted list of files, each a path, the id of its blob and the object that
 * its bytes are made from; bytes are made again when a pack needs them, so that a view costs
 * little while nothing changes. Trees are made from the list. The shared part keeps its bytes:
 * there is one of it.
 */

struct kgd_view_file {
	char *path;
	unsigned char oid[20];
	bool api_access;       /* of a pod */
	struct kg_object *obj; /* what the bytes are made of; NULL: `text` holds them */
	char *text;
	size_t len;
	struct kgd_text *common; /* what many views have, instead of a text of its own */
};

struct kgd_shared {
	_Atomic int refs;
	struct kgd_view_file *files;
	size_t nfiles;
	unsigned char services[20], nodes[20]; /* tree ids; zero where there are none */
	char service_cidr[64], pod_cidr[64];
	char *ca_pem; /* or NULL */
};

static const unsigned char zero_oid[20];

/* ---- what the files say ---- */

static void pod_text(struct kg_buf *out, const struct kg_object *pod, bool api_access)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	const struct kg_value *v = kg_obj(pod);
	struct kg_value own = kg_with_key(&a, v, "status", kg_v_null());

	own = kg_with_key(&a, &own, "podIP", *kg_at(v, "status.podIP"));
	own = kg_with_key(&a, &own, "hostIP", *kg_at(v, "status.hostIP"));
	if (api_access)
		own = kg_with_key(&a, &own, "apiAccess", kg_v_bool(true));
	kg_yaml_write(out, &own);
}

static void file_text(struct kg_buf *out, const struct kgd_view_file *f)
{
	if (f->common)
		kg_buf_add(out, f->common->data, f->common->len);
	else if (!f->obj)
		kg_buf_add(out, f->text, f->len);
	else if (f->obj->kind->id == KG_KIND_POD)
		pod_text(out, f->obj, f->api_access);
	else
		kg_yaml_write(out, kg_obj(f->obj));
}

static const char *node_address(const struct kg_object *node)
{
	const struct kg_value *addrs = kg_at(kg_obj(node), "status.addresses");
	const struct kg_value *ip = kg_find(addrs, "type", "InternalIP");

	return kg_string(kg_get(ip, "address"), "");
}

static bool node_ready(const struct kg_object *node)
{
	const struct kg_value *c =
		kg_find(kg_at(kg_obj(node), "status.conditions"), "type", "Ready");

	return strcmp(kg_string(kg_get(c, "status"), ""), "True") == 0;
}

static struct kg_value node_route(struct kg_arena *a, const struct kg_object *node)
{
	return kg_v_obj(a, "name", kg_v_lit(node->name), "podCIDR",
		*kg_at(kg_obj(node), "spec.podCIDR"), "address", kg_v_lit(node_address(node)),
		"ready", kg_v_bool(node_ready(node)), (char *)NULL);
}

/* The number that a port of that name has in a slice; 0: it has none. */
static int64_t port_number(const struct kg_object *slice, const char *name)
{
	const struct kg_value *ports = kg_get(kg_obj(slice), "ports");
	int64_t port = 0;

	for (uint32_t i = 0; i < kg_len(ports); i++)
		if (strcmp(kg_string(kg_get(&ports->items[i], "name"), ""), name) == 0)
			port = kg_int(kg_get(&ports->items[i], "port"), 0);
	return port;
}

static size_t add_endpoints(
	struct kg_arena *a, struct kg_value *out, const struct kg_object *slice, int64_t port)
{
	const struct kg_value *eps = kg_get(kg_obj(slice), "endpoints");
	size_t n = 0;

	for (uint32_t i = 0; i < kg_len(eps); i++)
		if (kg_bool(kg_at(&eps->items[i], "conditions.ready"), true))
			out[n++] = kg_v_strf(a, "%s:%lld",
				kg_string(kg_at(&eps->items[i], "addresses.0"), ""),
				(long long)port);
	return n;
}

static size_t count_endpoints(const struct kg_snapshot *s, const struct kg_object *svc)
{
	struct kg_object_iter it KG_CLEANUP(kg_iter_release);
	const struct kg_object *slice;
	size_t n = 0;

	kg_iter_index(&it, s, KG_INDEX_OWNER, kg_object_uid(svc));
	while ((slice = kg_iter_next(&it)))
		n += kg_len(kg_get(kg_obj(slice), "endpoints"));
	return n;
}

/* "ip:port" of every ready endpoint of one service port. */
static struct kg_value port_endpoints(struct kg_arena *a, const struct kg_snapshot *s,
	const struct kg_object *svc, const char *port_name)
{
	struct kg_object_iter it KG_CLEANUP(kg_iter_release);
	const struct kg_object *slice;
	struct kg_value *items = kg_arena_alloc(a, (count_endpoints(s, svc) + 1) * sizeof(*items));
	size_t n = 0;

	kg_iter_index(&it, s, KG_INDEX_OWNER, kg_object_uid(svc));
	while ((slice = kg_iter_next(&it))) {
		int64_t port = slice->kind->id == KG_KIND_ENDPOINTSLICE
				       ? port_number(slice, port_name)
				       : 0;

		if (port > 0)
			n += add_endpoints(a, items + n, slice, port);
	}
	return kg_v_array(a, items, n);
}

static size_t add_hosts(struct kg_arena *a, struct kg_value *out, struct kg_map *seen,
	const struct kg_object *slice)
{
	const struct kg_value *eps = kg_get(kg_obj(slice), "endpoints");
	size_t n = 0;

	for (uint32_t i = 0; i < kg_len(eps); i++) {
		const struct kg_value *e = &eps->items[i];
		const char *address = kg_string(kg_at(e, "addresses.0"), "");

		if (!kg_bool(kg_at(e, "conditions.ready"), true) || kg_map_has(seen, address))
			continue;
		kg_map_put(seen, address, seen);
		out[n++] = kg_v_obj(a, "address", kg_v_lit(address), "hostname",
			*kg_get(e, "hostname"), (char *)NULL);
	}
	return n;
}

/* {address, hostname} of every ready endpoint of a headless service, for names. */
static struct kg_value service_hosts(
	struct kg_arena *a, const struct kg_snapshot *s, const struct kg_object *svc)
{
	struct kg_map seen KG_CLEANUP(kg_map_release) = KG_MAP_INIT;
	struct kg_object_iter it KG_CLEANUP(kg_iter_release);
	struct kg_value *items = kg_arena_alloc(a, (count_endpoints(s, svc) + 1) * sizeof(*items));
	const struct kg_object *slice;
	size_t n = 0;

	kg_iter_index(&it, s, KG_INDEX_OWNER, kg_object_uid(svc));
	while ((slice = kg_iter_next(&it))) {
		if (slice->kind->id == KG_KIND_ENDPOINTSLICE)
			n += add_hosts(a, items + n, &seen, slice);
	}
	return kg_v_array(a, items, n);
}

static struct kg_value service_map(
	struct kg_arena *a, const struct kg_snapshot *s, const struct kg_object *svc)
{
	const struct kg_value *spec = kg_get(kg_obj(svc), "spec");
	const char *ip = kg_string(kg_get(spec, "clusterIP"), "");
	const struct kg_value *ports = kg_get(spec, "ports");
	/* Said only where it is not the usual one: what views have of services stays as it is. */
	bool local = strcmp(kg_string(kg_get(spec, "internalTrafficPolicy"), ""), "Local") == 0;
	bool headless = strcmp(ip, "None") == 0;
	struct kg_value *items = kg_arena_alloc(a, (kg_len(ports) + 1) * sizeof(*items));
	for (uint32_t i = 0; i < kg_len(ports); i++) {
		const struct kg_value *p = &ports->items[i];
		const char *name = kg_string(kg_get(p, "name"), "");

		items[i] = kg_v_obj(a, "name", kg_v_lit(name), "protocol", *kg_get(p, "protocol"),
			"port", *kg_get(p, "port"), "nodePort", *kg_get(p, "nodePort"), "endpoints",
			port_endpoints(a, s, svc, name), (char *)NULL);
	}
	return kg_v_obj(a, "name", kg_v_lit(svc->name), "namespace", kg_v_lit(svc->ns), "clusterIP",
		kg_v_lit(ip), "type", *kg_get(spec, "type"), "sessionAffinity",
		*kg_get(spec, "sessionAffinity"), "externalTrafficPolicy",
		*kg_get(spec, "externalTrafficPolicy"), "internalTrafficPolicy",
		local ? kg_v_lit("Local") : kg_v_null(), "externalName",
		*kg_get(spec, "externalName"), "hosts",
		headless ? service_hosts(a, s, svc) : kg_v_null(), "ports",
		kg_v_array(a, items, kg_len(ports)), (char *)NULL);
}

/* ---- lists of files ---- */

struct file_list {
	struct kgd_view_file *items;
	size_t len, cap;
};

/* The path is moved. Made of obj, or of value. */
static void add_file(struct file_list *l, char *path, const struct kg_object *obj, bool api_access,
	const struct kg_value *value)
{
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;

	KG_GROW(l->items, l->cap, l->len + 1);
	struct kgd_view_file *f = &l->items[l->len++];
	*f = (struct kgd_view_file){
		.path = path, .obj = kg_object_ref(obj), .api_access = api_access};
	if (value)
		kg_yaml_write(&text, value);
	else
		file_text(&text, f);
	kg_git_oid(f->oid, "blob", kg_buf_str(&text), text.len);
	if (value) {
		f->len = text.len;
		f->text = kg_buf_steal(&text);
	}
}

static void add_value(struct file_list *l, char *path, const struct kg_value *value)
{
	add_file(l, path, NULL, false, value);
}

static void add_object(struct file_list *l, char *path, const struct kg_object *obj)
{
	add_file(l, path, obj, false, NULL);
}

static int by_path(const void *a, const void *b)
{
	return strcmp(
		((const struct kgd_view_file *)a)->path, ((const struct kgd_view_file *)b)->path);
}

static void free_files(struct kgd_view_file *files, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(files[i].path);
		free(files[i].text);
		kgd_text_unref(files[i].common);
		kg_object_unref(files[i].obj);
	}
	free(files);
}

/* ---- trees ---- */

struct tree_entry {
	const char *name;
	size_t name_len;
	bool dir;
	unsigned char oid[20];
};

static int git_order(const void *pa, const void *pb)
{
	const struct tree_entry *a = pa, *b = pb;
	size_t n = a->name_len < b->name_len ? a->name_len : b->name_len;
	int cmp = memcmp(a->name, b->name, n);

	if (cmp)
		return cmp;
	unsigned char ca = a->name_len > n ? (unsigned char)a->name[n] : a->dir ? '/' : 0;
	unsigned char cb = b->name_len > n ? (unsigned char)b->name[n] : b->dir ? '/' : 0;
	return (int)ca - (int)cb;
}

static void write_tree(struct tree_entry *entries, size_t n, unsigned char oid[20],
	const struct kgd_object_sink *sink)
{
	struct kg_buf tree KG_AUTOBUF = KG_BUF_INIT;

	qsort(entries, n, sizeof(*entries), git_order);
	for (size_t i = 0; i < n; i++) {
		kg_buf_adds(&tree, entries[i].dir ? "40000 " : "100644 ");
		kg_buf_add(&tree, entries[i].name, entries[i].name_len);
		kg_buf_addc(&tree, '\0');
		kg_buf_add(&tree, entries[i].oid, 20);
	}
	kg_git_oid(oid, "tree", kg_buf_str(&tree), tree.len);
	if (sink)
		sink->emit(sink->ctx, "tree", oid, kg_buf_str(&tree), tree.len);
}

static struct tree_entry *add_entry(
	struct tree_entry *entries, size_t *n, const char *name, size_t name_len, bool dir)
{
	struct tree_entry *e = &entries[(*n)++];

	*e = (struct tree_entry){.name = name, .name_len = name_len, .dir = dir};
	return e;
}

/* The tree of files[0..n), sorted by path, that share the first `skip` bytes; `more` further
 * entries (of the shared part) are added to it. */
static void tree_of(const struct kgd_view_file *files, size_t n, size_t skip,
	const struct tree_entry *more, size_t nmore, unsigned char oid[20],
	const struct kgd_object_sink *sink)
{
	struct tree_entry *entries KG_AUTOFREE = kg_alloc((n + nmore + 1) * sizeof(*entries));
	size_t count = 0;

	for (size_t i = 0; i < n;) {
		const char *rest = files[i].path + skip;
		const char *slash = strchr(rest, '/');

		if (!slash) {
			memcpy(add_entry(entries, &count, rest, strlen(rest), false)->oid,
				files[i].oid, 20);
			i++;
			continue;
		}
		size_t dir_len = (size_t)(slash - rest), end = i;
		while (end < n && strncmp(files[end].path + skip, rest, dir_len + 1) == 0)
			end++;
		struct tree_entry *e = add_entry(entries, &count, rest, dir_len, true);
		tree_of(&files[i], end - i, skip + dir_len + 1, NULL, 0, e->oid, sink);
		i = end;
	}
	for (size_t i = 0; i < nmore; i++)
		entries[count++] = more[i];
	write_tree(entries, count, oid, sink);
}

/* The range of files below "dir/". */
static size_t below(const struct kgd_view_file *files, size_t n, const char *dir, size_t *first)
{
	size_t len = strlen(dir), i = 0, end;

	while (i < n && strncmp(files[i].path, dir, len) != 0)
		i++;
	for (end = i; end < n && strncmp(files[end].path, dir, len) == 0;)
		end++;
	*first = i;
	return end - i;
}

static void shared_tree(const struct kgd_shared *sh, const char *dir, unsigned char oid[20],
	const struct kgd_object_sink *sink)
{
	size_t first, n = below(sh->files, sh->nfiles, dir, &first);

	if (n)
		tree_of(&sh->files[first], n, strlen(dir), NULL, 0, oid, sink);
}

/* ---- the shared part ---- */

struct kgd_shared *kgd_shared_new(
	const struct kg_snapshot *s, const struct kgd_shared_options *opts)
{
	struct kgd_shared *sh = kg_alloc(sizeof(*sh));
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct file_list files = {0};
	struct kg_object_iter it;
	const struct kg_object *obj;

	atomic_init(&sh->refs, 1);
	snprintf(sh->service_cidr, sizeof(sh->service_cidr), "%s", opts->service_cidr);
	snprintf(sh->pod_cidr, sizeof(sh->pod_cidr), "%s", opts->pod_cidr);
	sh->ca_pem = opts->ca_pem ? kg_strdup(opts->ca_pem) : NULL;
	kg_iter_kind(&it, s, KG_KIND_NODE, NULL, NULL);
	while ((obj = kg_iter_next(&it))) {
		struct kg_value v = node_route(&a, obj);
		add_value(&files, kg_asprintf("nodes/%s.yaml", obj->name), &v);
	}
	kg_iter_release(&it);
	kg_iter_kind(&it, s, KG_KIND_SERVICE, NULL, NULL);
	while ((obj = kg_iter_next(&it))) {
		struct kg_value v = service_map(&a, s, obj);
		add_value(&files, kg_asprintf("services/%s/%s.yaml", obj->ns, obj->name), &v);
	}
	kg_iter_release(&it);
	if (files.len)
		qsort(files.items, files.len, sizeof(*files.items), by_path);
	sh->files = files.items;
	sh->nfiles = files.len;
	shared_tree(sh, "services/", sh->services, NULL);
	shared_tree(sh, "nodes/", sh->nodes, NULL);
	return sh;
}

struct kgd_shared *kgd_shared_ref(struct kgd_shared *sh)
{
	if (sh)
		atomic_fetch_add(&sh->refs, 1);
	return sh;
}

void kgd_shared_unref(struct kgd_shared *sh)
{
	if (!sh || atomic_fetch_sub(&sh->refs, 1) != 1)
		return;
	free_files(sh->files, sh->nfiles);
	free(sh->ca_pem);
	free(sh);
}

bool kgd_shared_equal(const struct kgd_shared *a, const struct kgd_shared *b)
{
	return strcmp(a->ca_pem ? a->ca_pem : "", b->ca_pem ? b->ca_pem : "") == 0 &&
	       memcmp(a->services, b->services, 20) == 0 && memcmp(a->nodes, b->nodes, 20) == 0;
}

/* ---- a node's own part ---- */

const char *kgd_view_volume_node(const struct kg_object *pv)
{
	return kg_string(kg_get(kg_at(kg_obj(pv), "metadata.annotations"), "kgit.dev/node"), NULL);
}

struct own {
	struct file_list *files;
	struct kg_map seen; /* paths */
	const struct kg_snapshot *s;
	const char *ns; /* of the pod being looked at */
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
	add_object(o->files, path, obj);
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
	add_object(o->files, path, pv);
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
	const char *claim = kg_string(kg_at(v, "persistentVolumeClaim.claimName"), NULL);

	const struct kg_value *sources = kg_at(v, "projected.sources");

	add_at(o, KG_KIND_CONFIGMAP, v, "configMap.name");
	add_at(o, KG_KIND_SECRET, v, "secret.secretName");
	if (claim)
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
	struct file_list *l = ctx;

	if (value) {
		add_value(l, path, value);
		return;
	}
	KG_GROW(l->items, l->cap, l->len + 1);
	struct kgd_view_file *f = &l->items[l->len++];
	*f = (struct kgd_view_file){.path = path, .common = text};
	memcpy(f->oid, text->oid, 20);
}

static void own_files(struct file_list *files, const struct kg_snapshot *s, const char *node,
	const struct kgd_shared *shared, struct kgd_policies *policies)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct own own = {.files = files, .seen = KG_MAP_INIT, .s = s};
	struct kg_object_iter it KG_CLEANUP(kg_iter_release);
	const struct kg_object *self = kg_snapshot_get(s, KG_KIND_NODE, "", node);
	const struct kg_object *pod;

	struct kg_value v = kg_v_obj(&a, "name", kg_v_lit(node), "podCIDR",
		self ? *kg_at(kg_obj(self), "spec.podCIDR") : kg_v_null(), "clusterCIDR",
		kg_v_lit(shared->pod_cidr), "serviceCIDR", kg_v_lit(shared->service_cidr), "ca",
		shared->ca_pem ? kg_v_lit(shared->ca_pem) : kg_v_null(), (char *)NULL);
	add_value(files, kg_strdup("node.yaml"), &v);
	kg_iter_index(&it, s, KG_INDEX_NODE, node);
	while ((pod = kg_iter_next(&it))) {
		add_file(files, kg_asprintf("pods/%s/%s.yaml", pod->ns, pod->name), pod,
			kg_accounts_automount(s, pod), NULL);
		add_named_by_pod(&own, pod);
	}
	add_reclaimed(&own, node);
	if (policies)
		kgd_policies_of_node(policies, s, node, add_policy, files);
	kg_map_release(&own.seen);
	qsort(files->items, files->len, sizeof(*files->items), by_path);
}

static void root_tree(
	const struct kgd_view *v, unsigned char oid[20], const struct kgd_object_sink *sink)
{
	struct tree_entry more[2];
	size_t n = 0;

	if (memcmp(v->shared->services, zero_oid, 20) != 0)
		memcpy(add_entry(more, &n, "services", 8, true)->oid, v->shared->services, 20);
	if (memcmp(v->shared->nodes, zero_oid, 20) != 0)
		memcpy(add_entry(more, &n, "nodes", 5, true)->oid, v->shared->nodes, 20);
	tree_of(v->files, v->nfiles, 0, more, n, oid, sink);
}

/* Without a parent: each view stands alone, so that a node needs nothing but the newest. */
static void commit_text(struct kg_buf *out, const struct kgd_view *v)
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
	struct file_list files = {0};
	unsigned char oid[20];

	atomic_init(&v->refs, 1);
	v->shared = kgd_shared_ref(shared);
	v->node = kg_strdup(node);
	v->revision = s->revision;
	v->time = s->time;
	own_files(&files, s, node, shared, policies);
	v->files = files.items;
	v->nfiles = files.len;
	v->npeers = below(v->files, v->nfiles, "peers/", &v->first_peers);
	root_tree(v, v->tree, NULL);
	if (last && memcmp(last->tree, v->tree, 20) == 0) {
		kgd_view_unref(v);
		return kgd_view_ref(last);
	}
	commit_text(&text, v);
	kg_git_oid(oid, "commit", kg_buf_str(&text), text.len);
	kg_hex(v->commit, oid, 20);
	return v;
}

bool kgd_view_has_peers(const struct kgd_view *view, const char *id)
{
	KG_AUTOFREE char *path = kg_asprintf("peers/%s.yaml", id);
	struct kgd_view_file key = {.path = path};

	return view->npeers && bsearch(&key, &view->files[view->first_peers], view->npeers,
				       sizeof(key), by_path) != NULL;
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
	free_files(view->files, view->nfiles);
	kgd_shared_unref(view->shared);
	free(view->node);
	free(view);
}

/* ---- what a pack holds ---- */

struct filter {
	struct kg_map have; /* hex ids of what the other side has, and of what was sent */
	const struct kgd_object_sink *sink;
};

/* Adds the id; false where it was there already. */
static bool first_time(struct filter *f, const unsigned char oid[20])
{
	char hex[41];

	kg_hex(hex, oid, 20);
	if (kg_map_has(&f->have, hex))
		return false;
	kg_map_put(&f->have, hex, f);
	return true;
}

static void note(
	void *ctx, const char *type, const unsigned char oid[20], const void *p, size_t len)
{
	(void)type;
	(void)p;
	(void)len;
	first_time(ctx, oid);
}

static void pass(
	void *ctx, const char *type, const unsigned char oid[20], const void *p, size_t len)
{
	struct filter *f = ctx;

	if (first_time(f, oid))
		f->sink->emit(f->sink->ctx, type, oid, p, len);
}

static void note_files(struct filter *f, const struct kgd_view_file *files, size_t n)
{
	for (size_t i = 0; i < n; i++)
		first_time(f, files[i].oid);
}

static void send_files(struct filter *f, const struct kgd_view_file *files, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;

		if (!first_time(f, files[i].oid))
			continue;
		file_text(&text, &files[i]);
		f->sink->emit(f->sink->ctx, "blob", files[i].oid, kg_buf_str(&text), text.len);
	}
}

static void note_view(struct filter *f, const struct kgd_view *have)
{
	struct kgd_object_sink sink = {.emit = note, .ctx = f};
	unsigned char oid[20];

	root_tree(have, oid, &sink);
	note_files(f, have->files, have->nfiles);
}

void kgd_view_objects(const struct kgd_view *view, const struct kgd_view *have,
	const struct kgd_object_sink *sink)
{
	struct filter f = {.sink = sink};
	struct kgd_object_sink passing = {.emit = pass, .ctx = &f};
	struct kgd_object_sink noting = {.emit = note, .ctx = &f};
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	unsigned char oid[20];

	if (have)
		note_view(&f, have);
	if (!have || !kgd_shared_equal(have->shared, view->shared)) {
		if (have) {
			shared_tree(have->shared, "services/", oid, &noting);
			shared_tree(have->shared, "nodes/", oid, &noting);
			note_files(&f, have->shared->files, have->shared->nfiles);
		}
		shared_tree(view->shared, "services/", oid, &passing);
		shared_tree(view->shared, "nodes/", oid, &passing);
		send_files(&f, view->shared->files, view->shared->nfiles);
	}
	root_tree(view, oid, &passing);
	send_files(&f, view->files, view->nfiles);
	commit_text(&text, view);
	kg_unhex(oid, 20, view->commit);
	sink->emit(sink->ctx, "commit", oid, kg_buf_str(&text), text.len);
	kg_map_release(&f.have);
}

/* ---- what a change concerns ---- */

static bool same_but_status(const struct kg_change *c)
{
	if (!c->before || !c->after)
		return false;
	const struct kg_value *b = kg_obj(c->before), *n = kg_obj(c->after);
	return kg_equal(kg_get(b, "metadata"), kg_get(n, "metadata")) &&
	       kg_equal(kg_get(b, "spec"), kg_get(n, "spec")) &&
	       kg_equal(kg_at(b, "status.podIP"), kg_at(n, "status.podIP"));
}

const char *kgd_view_node_of(const struct kg_change *c, bool before)
{
	const struct kg_object *obj = before ? c->before : c->after;

	if (!obj || c->quiet || obj->kind->id != KG_KIND_POD || same_but_status(c))
		return NULL;
	const char *node = kg_string(kg_at(kg_obj(obj), "spec.nodeName"), "");
	return *node ? node : NULL;
}

static bool node_shared_changed(const struct kg_change *c)
{
	if (!c->before || !c->after)
		return true;
	return strcmp(node_address(c->before), node_address(c->after)) != 0 ||
	       node_ready(c->before) != node_ready(c->after) ||
	       !kg_equal(kg_at(kg_obj(c->before), "spec.podCIDR"),
		       kg_at(kg_obj(c->after), "spec.podCIDR"));
}

bool kgd_view_is_shared(const struct kg_change *c)
{
	const struct kg_object *obj = c->after ? c->after : c->before;

	switch (obj->kind->id) {
	case KG_KIND_SERVICE:
	case KG_KIND_ENDPOINTSLICE:
		return !c->quiet;
	case KG_KIND_NODE:
		return node_shared_changed(c);
	default:
		return false;
	}
}
