#include "kgitd/peers.h"

#include "base/hash.h"
#include "base/map.h"
#include "value/json.h"
#include "value/yaml.h"

#include <stdatomic.h>
#include <string.h>

struct set {
	char id[17];
	char *ns;     /* of its pods; "": any that namespaces selects */
	char *bucket; /* where it is found */
	struct kg_doc *doc;
	const struct kg_value *pods, *namespaces; /* of doc */
	const char *port, *protocol;              /* of doc; port NULL: none */
	size_t refs;
	struct kg_map members; /* key of a pod -> what the text says of it */
	struct kgd_text *text; /* as published; NULL: never */
	bool dirty;            /* the text is older than the members */
};

struct kgd_peers {
	struct kg_map sets;    /* id -> struct set */
	struct kg_map buckets; /* peers.h */
	struct kg_map dirty;   /* ids of published sets whose text is old */
};

/* ---- texts ---- */

static struct kgd_text *text_new(const char *data, size_t len)
{
	struct kgd_text *t = kg_alloc(sizeof(*t) + len + 1);

	atomic_init(&t->refs, 1);
	t->len = len;
	memcpy(t->data, data, len);
	kg_git_oid(t->oid, "blob", data, len);
	return t;
}

static struct kgd_text *text_ref(struct kgd_text *t)
{
	if (t)
		atomic_fetch_add(&t->refs, 1);
	return t;
}

void kgd_text_unref(struct kgd_text *t)
{
	if (t && atomic_fetch_sub(&t->refs, 1) == 1)
		free(t);
}

/* ---- members ---- */

const char *kgd_pod_address(const struct kg_object *pod)
{
	const struct kg_value *v = kg_obj(pod);
	const char *ip = kg_string(kg_at(v, "status.podIP"), "");

	if (!*ip || kg_bool(kg_at(v, "spec.hostNetwork"), false) || kg_pod_terminal(pod))
		return NULL;
	return ip;
}

/* What the set's text says of the pod, heap; NULL: it is no member. */
static char *entry_of(
	const struct set *set, const struct kg_snapshot *s, const struct kg_object *pod)
{
	const struct kg_object *ns;
	const char *ip = kgd_pod_address(pod);

	if (!ip || (*set->ns && strcmp(set->ns, pod->ns) != 0) ||
		!kg_selector_matches(set->pods, kg_at(kg_obj(pod), "metadata.labels")))
		return NULL;
	if (!*set->ns) {
		ns = kg_snapshot_get(s, KG_KIND_NAMESPACE, "", pod->ns);
		if (!ns ||
			!kg_selector_matches(set->namespaces, kg_at(kg_obj(ns), "metadata.labels")))
			return NULL;
	}
	if (!set->port)
		return kg_strdup(ip);
	int64_t port = kg_pod_named_port(kg_obj(pod), set->port, set->protocol);
	return port ? kg_asprintf("%s:%lld", ip, (long long)port) : NULL;
}

/* entry is moved. */
static void set_member(struct kgd_peers *p, struct set *set, const char *key, char *entry)
{
	char *old = kg_map_get(&set->members, key);

	if (old == entry || (old && entry && strcmp(old, entry) == 0)) {
		free(entry);
		return;
	}
	if (entry)
		kg_map_put(&set->members, key, entry);
	else
		kg_map_remove(&set->members, key);
	free(old);
	if (!set->dirty && set->text)
		kg_map_put(&p->dirty, set->id, set);
	set->dirty = true;
}

static void fill(struct kgd_peers *p, struct set *set, const struct kg_snapshot *s)
{
	struct kg_object_iter it KG_CLEANUP(kg_iter_release);
	const struct kg_object *pod;

	kg_iter_kind(&it, s, KG_KIND_POD, *set->ns ? set->ns : NULL, NULL);
	while ((pod = kg_iter_next(&it)))
		set_member(p, set, pod->key, entry_of(set, s, pod));
}

struct look {
	struct kgd_peers *peers;
	const struct kg_snapshot *s;
	const struct kg_object *pod; /* as it is now; NULL: gone */
	const char *key;
};

static void look_at(void *ctx, void *item)
{
	struct look *l = ctx;
	struct set *set = item;

	set_member(l->peers, set, l->key, l->pod ? entry_of(set, l->s, l->pod) : NULL);
}

/* The sets that had it are among those of the labels that it had. */
static void note_pod(struct kgd_peers *p, const struct kg_snapshot *s,
	const struct kg_object *before, const struct kg_object *now)
{
	const struct kg_value *had = before ? kg_at(kg_obj(before), "metadata.labels") : NULL;
	const struct kg_value *has = now ? kg_at(kg_obj(now), "metadata.labels") : NULL;
	struct look l = {p, s, now, (now ? now : before)->key};

	if (had && !(has && kg_equal(had, has)))
		kgd_buckets_visit(&p->buckets, before->ns, had, look_at, &l);
	if (has)
		kgd_buckets_visit(&p->buckets, now->ns, has, look_at, &l);
}

static void note_namespace(
	struct kgd_peers *p, const struct kg_snapshot *s, const struct kg_change *c)
{
	const struct kg_object *ns = kg_change_object(c), *pod;
	struct kg_object_iter it;

	if (c->before && c->after &&
		kg_equal(kg_at(kg_obj(c->before), "metadata.labels"),
			kg_at(kg_obj(c->after), "metadata.labels")))
		return;
	kg_iter_kind(&it, s, KG_KIND_POD, ns->name, NULL);
	while ((pod = kg_iter_next(&it)))
		note_pod(p, s, NULL, pod);
	kg_iter_release(&it);
}

void kgd_peers_note(struct kgd_peers *p, const struct kg_snapshot *s, const struct kg_change *c)
{
	const struct kg_object *obj = kg_change_object(c);

	if (c->quiet || !p->sets.count)
		return;
	if (obj->kind->id == KG_KIND_NAMESPACE) {
		note_namespace(p, s, c);
	} else if (obj->kind->id == KG_KIND_POD) {
		/* The snapshot may be of a later revision than the change: what the pod is by then
		 * counts, and what it was in between is a later change's `before`. */
		const struct kg_object *now = kg_snapshot_get(s, KG_KIND_POD, obj->ns, obj->name);

		if (c->before || now)
			note_pod(p, s, c->before, now);
	}
}

/* ---- sets ---- */

struct kgd_peers *kgd_peers_new(void)
{
	return kg_alloc(sizeof(struct kgd_peers));
}

static void free_set(struct set *set)
{
	struct kg_map_entry *e;

	for (size_t i = 0; (e = kg_map_next(&set->members, &i));)
		free(e->value);
	kg_map_release(&set->members);
	kgd_text_unref(set->text);
	kg_doc_unref(set->doc);
	free(set->bucket);
	free(set->ns);
	free(set);
}

void kgd_peers_free(struct kgd_peers *p)
{
	struct kg_map_entry *e;

	if (!p)
		return;
	for (size_t i = 0; (e = kg_map_next(&p->sets, &i));)
		free_set(e->value);
	kg_map_release(&p->sets);
	kg_map_release(&p->dirty);
	kgd_buckets_release(&p->buckets);
	free(p);
}

static struct set *make_set(
	struct kgd_peers *p, const char *id, const char *ns, const struct kg_value *spec)
{
	struct set *set = kg_alloc(sizeof(*set));
	KG_AUTOBUF struct kg_buf bucket = KG_BUF_INIT;

	memcpy(set->id, id, sizeof(set->id));
	set->ns = kg_strdup(ns);
	set->doc = kg_doc_new(spec, NULL, 0);
	set->pods = kg_get(kg_doc_value(set->doc), "pods");
	set->namespaces = kg_get(kg_doc_value(set->doc), "namespaces");
	set->port = kg_string(kg_get(kg_doc_value(set->doc), "port"), NULL);
	set->protocol = kg_string(kg_get(kg_doc_value(set->doc), "protocol"), "TCP");
	kgd_bucket_of_selector(&bucket, *ns ? ns : "*", set->pods);
	set->bucket = kg_buf_steal(&bucket);
	kgd_bucket_add(&p->buckets, set->bucket, set);
	kg_map_put(&p->sets, id, set);
	return set;
}

const char *kgd_peers_use(
	struct kgd_peers *p, const struct kg_snapshot *s, const struct kgd_peer_spec *spec)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;
	const char *ns = kg_is_null(spec->namespaces) ? spec->ns : "";
	struct kg_value empty = kg_v_object(&a, NULL, 0);
	unsigned char digest[32];
	char id[17];

	struct kg_value v = kg_v_obj(&a, "ns", kg_v_str(&a, ns), "pods",
		kg_is_null(spec->pods) ? empty : *spec->pods, "namespaces", *spec->namespaces,
		"port", kg_v_str(&a, spec->port), "protocol",
		spec->port ? kg_v_str(&a, spec->protocol) : kg_v_null(), (char *)NULL);
	kg_json_write(&text, &v);
	kg_sha256(digest, text.data, text.len);
	kg_hex(id, digest, 8);
	struct set *set = kg_map_get(&p->sets, id);
	if (!set) {
		set = make_set(p, id, ns, &v);
		fill(p, set, s);
	}
	set->refs++;
	return set->id;
}

void kgd_peers_drop(struct kgd_peers *p, const char *id)
{
	struct set *set = kg_map_get(&p->sets, id);

	if (!set || --set->refs)
		return;
	kg_map_remove(&p->sets, id);
	kg_map_remove(&p->dirty, set->id);
	kgd_bucket_remove(&p->buckets, set->bucket, set);
	free_set(set);
}

/* ---- what nodes are told ---- */

static int by_text(const void *a, const void *b)
{
	return strcmp(((const struct kg_value *)a)->s, ((const struct kg_value *)b)->s);
}

static void make_text(struct set *set)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;
	struct kg_value *items = kg_arena_alloc(&a, (set->members.count + 1) * sizeof(*items));
	struct kg_map_entry *e;
	size_t n = 0;

	for (size_t i = 0; (e = kg_map_next(&set->members, &i));)
		items[n++] = kg_v_lit(e->value);
	if (n)
		qsort(items, n, sizeof(*items), by_text);
	struct kg_value v = kg_v_obj(&a, "addresses", kg_v_array(&a, items, n), (char *)NULL);
	kg_yaml_write(&text, &v);
	kgd_text_unref(set->text);
	set->text = text_new(kg_buf_str(&text), text.len);
	set->dirty = false;
}

bool kgd_peers_pending(const struct kgd_peers *p)
{
	return p->dirty.count > 0;
}

void kgd_peers_publish(struct kgd_peers *p, void (*changed)(void *ctx, const char *id), void *ctx)
{
	struct kg_map_entry *e;

	for (size_t i = 0; (e = kg_map_next(&p->dirty, &i));) {
		make_text(e->value);
		changed(ctx, e->key);
	}
	kg_map_clear(&p->dirty);
}

struct kgd_text *kgd_peers_text(struct kgd_peers *p, const char *id)
{
	struct set *set = kg_map_get(&p->sets, id);

	if (set && !set->text)
		make_text(set);
	return set ? text_ref(set->text) : NULL;
}
