#include "kgitd/policies.h"

#include "base/hash.h"
#include "base/map.h"
#include "kgitd/policy_rules.h"

#include <string.h>

struct policy {
	struct kg_object *obj;
	char *bucket;
	struct kg_arena arena; /* of rules */
	struct kgd_policy_rules rules;
};

struct kgd_policies {
	struct kgd_peers *peers;
	struct kg_map all;     /* key -> struct policy */
	struct kg_map buckets; /* peers.h */
	char *pod_cidr;
};

/* ---- the policies ---- */

static void drop_policy(struct kgd_policies *p, struct policy *old)
{
	kgd_bucket_remove(&p->buckets, old->bucket, old);
	kgd_policy_rules_drop(&old->rules, p->peers);
	kg_arena_release(&old->arena);
	kg_object_unref(old->obj);
	free(old->bucket);
	free(old);
}

static struct policy *make_policy(
	struct kgd_policies *p, const struct kg_snapshot *s, const struct kg_object *obj)
{
	struct policy *new = kg_alloc(sizeof(*new));
	KG_AUTOBUF struct kg_buf bucket = KG_BUF_INIT;

	new->obj = kg_object_ref(obj);
	kgd_policy_rules_make(&new->rules, &new->arena, p->peers, s, obj, p->pod_cidr);
	kgd_bucket_of_selector(&bucket, obj->ns, kg_at(kg_obj(obj), "spec.podSelector"));
	new->bucket = kg_buf_steal(&bucket);
	kgd_bucket_add(&p->buckets, new->bucket, new);
	return new;
}

struct kgd_policies *kgd_policies_new(const struct kg_snapshot *s, const char *pod_cidr)
{
	struct kgd_policies *p = kg_alloc(sizeof(*p));
	struct kg_object_iter it KG_CLEANUP(kg_iter_release);
	const struct kg_object *obj;

	p->peers = kgd_peers_new();
	p->pod_cidr = kg_strdup(pod_cidr);
	kg_iter_kind(&it, s, KG_KIND_NETWORKPOLICY, NULL, NULL);
	while ((obj = kg_iter_next(&it)))
		kg_map_put(&p->all, obj->key, make_policy(p, s, obj));
	return p;
}

void kgd_policies_free(struct kgd_policies *p)
{
	struct kg_map_entry *e;

	if (!p)
		return;
	for (size_t i = 0; (e = kg_map_next(&p->all, &i));)
		drop_policy(p, e->value);
	kg_map_release(&p->all);
	kgd_buckets_release(&p->buckets);
	kgd_peers_free(p->peers);
	free(p->pod_cidr);
	free(p);
}

/* ---- changes ---- */

/* What kgd_view_node_of does not see. */
static bool ended(const struct kg_change *c)
{
	return c->before && c->after &&
	       (kgd_pod_address(c->before) == NULL) != (kgd_pod_address(c->after) == NULL);
}

static void note_policy(
	struct kgd_policies *p, const struct kg_snapshot *s, const struct kg_object *changed)
{
	const struct kg_object *now =
		kg_snapshot_get(s, KG_KIND_NETWORKPOLICY, changed->ns, changed->name);
	struct policy *old = kg_map_get(&p->all, changed->key);

	if (old && now && kg_equal(kg_obj(old->obj), kg_obj(now)))
		return;
	/* The new one first: sets that both name stay. */
	struct policy *new = now ? make_policy(p, s, now) : NULL;
	if (new)
		kg_map_put(&p->all, new->obj->key, new);
	else
		kg_map_remove(&p->all, changed->key);
	if (old)
		drop_policy(p, old);
}

void kgd_policies_note(struct kgd_policies *p, const struct kg_snapshot *s,
	const struct kg_change *c, void (*mark)(void *ctx, const char *node, const char *ns),
	void *ctx)
{
	const struct kg_object *obj = kg_change_object(c);

	kgd_peers_note(p->peers, s, c);
	if (obj->kind->id == KG_KIND_NETWORKPOLICY && !c->quiet) {
		note_policy(p, s, obj);
		mark(ctx, NULL, obj->ns);
	} else if (obj->kind->id == KG_KIND_POD && ended(c)) {
		mark(ctx, kg_string(kg_at(kg_obj(obj), "spec.nodeName"), ""), NULL);
	}
}

bool kgd_policies_pending(const struct kgd_policies *p)
{
	return kgd_peers_pending(p->peers);
}

void kgd_policies_publish(
	struct kgd_policies *p, void (*changed)(void *ctx, const char *id), void *ctx)
{
	kgd_peers_publish(p->peers, changed, ctx);
}

/* ---- what a node is told ---- */

/* A file in the making: the pods of one policy, and of equal numbers for the names of ports. */
struct file {
	const struct policy *policy;
	struct kg_value ingress;
	struct kg_value *pods;
	size_t n, cap;
};

struct telling {
	struct kg_arena a;
	struct kg_map files; /* path -> struct file */
	const struct kg_object *pod;
};

static char *path_of(const struct policy *policy, const struct kg_buf *names)
{
	char variant[10] = "";

	if (names->len) {
		unsigned char digest[32];

		kg_sha256(digest, names->data, names->len);
		variant[0] = '~';
		kg_hex(variant + 1, digest, 4);
	}
	return kg_asprintf("policies/%s/%s%s.yaml", policy->obj->ns, policy->obj->name, variant);
}

static void select_pod(void *ctx, void *item)
{
	struct telling *t = ctx;
	const struct policy *policy = item;
	KG_AUTOBUF struct kg_buf names = KG_BUF_INIT;

	if (!kg_selector_matches(kg_at(kg_obj(policy->obj), "spec.podSelector"),
		    kg_at(kg_obj(t->pod), "metadata.labels")))
		return;
	struct kg_value ingress = policy->rules.ingress;
	if (policy->rules.named)
		ingress = kgd_policy_ingress_of(&t->a, &ingress, t->pod, &names);
	KG_AUTOFREE char *path = path_of(policy, &names);
	struct file *f = kg_map_get(&t->files, path);
	if (!f) {
		f = kg_arena_alloc(&t->a, sizeof(*f));
		f->policy = policy;
		f->ingress = ingress;
		kg_map_put(&t->files, path, f);
	}
	KG_GROW(f->pods, f->cap, f->n + 1);
	f->pods[f->n++] = kg_v_lit(kgd_pod_address(t->pod));
}

static void select_pods(
	struct kgd_policies *p, struct telling *t, const struct kg_snapshot *s, const char *node)
{
	struct kg_object_iter it KG_CLEANUP(kg_iter_release);

	kg_iter_index(&it, s, KG_INDEX_NODE, node);
	while ((t->pod = kg_iter_next(&it))) {
		if (kgd_pod_address(t->pod))
			kgd_buckets_visit(&p->buckets, t->pod->ns,
				kg_at(kg_obj(t->pod), "metadata.labels"), select_pod, t);
	}
}

void kgd_policies_of_node(struct kgd_policies *p, const struct kg_snapshot *s, const char *node,
	void (*add)(void *ctx, char *path, const struct kg_value *value, struct kgd_text *text),
	void *ctx)
{
	struct telling t = {.files = KG_MAP_INIT};
	struct kg_map told = KG_MAP_INIT; /* ids */
	struct kg_map_entry *e;

	if (!p->all.count)
		return;
	select_pods(p, &t, s, node);
	for (size_t i = 0; (e = kg_map_next(&t.files, &i));) {
		struct file *f = e->value;
		const struct kgd_policy_rules *r = &f->policy->rules;
		struct kg_value v = kg_v_obj(&t.a, "pods", kg_v_array(&t.a, f->pods, f->n),
			"ingress", f->ingress, "egress", r->egress, (char *)NULL);

		add(ctx, kg_strdup(e->key), &v, NULL);
		free(f->pods);
		for (size_t k = 0; k < r->npeers; k++) {
			if (kg_map_has(&told, r->peers[k]))
				continue;
			kg_map_put(&told, r->peers[k], p);
			add(ctx, kg_asprintf("peers/%s.yaml", r->peers[k]), NULL,
				kgd_peers_text(p->peers, r->peers[k]));
		}
	}
	kg_map_release(&told);
	kg_map_release(&t.files);
	kg_arena_release(&t.a);
}
