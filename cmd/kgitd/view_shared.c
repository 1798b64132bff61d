#include "kgitd/view_private.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/*
 * Overview. What all nodes share: where the others' pods are (nodes/) and the map of services
 * (services/; view_services.c). It is made once for all views, and again at most so often, however
 * many pods come and go; its bytes are kept, there is one of it.
 */

static const char *node_address(const struct kg_object *node)
{
	const struct kg_value *addrs = kg_at(kg_obj(node), "status.addresses");
	const struct kg_value *ip = kg_find(addrs, "type", "InternalIP");

	return kg_string(kg_get(ip, "address"), "");
}

static struct kg_value node_route(struct kg_arena *a, const struct kg_object *node)
{
	return kg_v_obj(a, "name", kg_v_lit(node->name), "podCIDR",
		*kg_at(kg_obj(node), "spec.podCIDR"), "address", kg_v_lit(node_address(node)),
		"ready", kg_v_bool(kg_object_ready(node)), (char *)NULL);
}

void kgd_shared_tree(const struct kgd_shared *sh, const char *dir, unsigned char oid[20],
	const struct kgd_object_sink *sink)
{
	size_t first, n = kgd_view_below(sh->files, sh->nfiles, dir, &first);

	if (n)
		kgd_tree_of(&sh->files[first], n, strlen(dir), NULL, 0, oid, sink);
}

struct kgd_shared *kgd_shared_new(
	const struct kg_snapshot *s, const struct kgd_shared_options *opts)
{
	struct kgd_shared *sh = kg_alloc(sizeof(*sh));
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kgd_view_files files = {0};
	struct kg_object_iter it;
	const struct kg_object *obj;

	atomic_init(&sh->refs, 1);
	snprintf(sh->service_cidr, sizeof(sh->service_cidr), "%s", opts->service_cidr);
	snprintf(sh->pod_cidr, sizeof(sh->pod_cidr), "%s", opts->pod_cidr);
	sh->ca_pem = opts->ca_pem ? kg_strdup(opts->ca_pem) : NULL;
	kg_iter_kind(&it, s, KG_KIND_NODE, NULL, NULL);
	while ((obj = kg_iter_next(&it))) {
		struct kg_value v = node_route(&a, obj);
		kgd_view_add_value(&files, kg_asprintf("nodes/%s.yaml", obj->name), &v);
	}
	kg_iter_release(&it);
	kg_iter_kind(&it, s, KG_KIND_SERVICE, NULL, NULL);
	while ((obj = kg_iter_next(&it))) {
		struct kg_value v = kgd_service_map(&a, s, obj);
		kgd_view_add_value(
			&files, kg_asprintf("services/%s/%s.yaml", obj->ns, obj->name), &v);
	}
	kg_iter_release(&it);
	kgd_view_sort(&files);
	sh->files = files.items;
	sh->nfiles = files.len;
	kgd_shared_tree(sh, "services/", sh->services, NULL);
	kgd_shared_tree(sh, "nodes/", sh->nodes, NULL);
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
	kgd_view_free_files(sh->files, sh->nfiles);
	free(sh->ca_pem);
	free(sh);
}

bool kgd_shared_equal(const struct kgd_shared *a, const struct kgd_shared *b)
{
	return strcmp(a->ca_pem ? a->ca_pem : "", b->ca_pem ? b->ca_pem : "") == 0 &&
	       memcmp(a->services, b->services, 20) == 0 && memcmp(a->nodes, b->nodes, 20) == 0;
}

static bool node_shared_changed(const struct kg_change *c)
{
	if (!c->before || !c->after)
		return true;
	return strcmp(node_address(c->before), node_address(c->after)) != 0 ||
	       kg_object_ready(c->before) != kg_object_ready(c->after) ||
	       !kg_equal(kg_at(kg_obj(c->before), "spec.podCIDR"),
		       kg_at(kg_obj(c->after), "spec.podCIDR"));
}

bool kgd_view_is_shared(const struct kg_change *c)
{
	const struct kg_object *obj = kg_change_object(c);

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
