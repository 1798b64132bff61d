/*
 * Leases: what liveness remembers of each node, as objects. Liveness does not say when it changes
 * (a node is heard with each request of its own), so it is looked at: when somebody reads Leases,
 * at most once a second, and every five while somebody watches them. As Events, they have revisions
 * of their own, a clock reading at start and then counting: who watched another run of kgitd lists
 * again.
 */
#include "api/internal.h"
#include "api/watch.h"
#include "api/worker.h"
#include "base/hash.h"

enum { READ_MS = 1000, WATCH_MS = 5000 };

static const enum kg_kind_id form = KG_KIND_LEASE;

void kg_api_leases_init(struct kg_api *api)
{
	kg_api_versions_init(
		&api->leases.v, (uint64_t)kg_api_now(api) * 1000, KG_ARRAY_LEN(api->leases.v.kept));
	kg_api_feed_init(&api->feeds[KG_KIND_LEASE], api->leases.v.seq);
	api->leases.read = -1;
}

void kg_api_leases_release(struct kg_api *api)
{
	kg_api_versions_release(&api->leases.v);
}

static struct kg_object *lease_new(const struct kg_object *node, const struct kg_api_lease *lease)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	char acquired[40], renewed[40], created[32], uid[37];

	kg_time_format_micro(acquired, lease->acquired);
	kg_time_format_micro(renewed, lease->renewed);
	kg_time_format(created, lease->acquired);
	kg_uuid5(uid, kg_object_uid(node), "lease");
	struct kg_value meta = kg_v_obj(&a, "name", kg_v_str(&a, node->name), "namespace",
		kg_v_lit(LEASE_NS), "uid", kg_v_str(&a, uid), "creationTimestamp",
		kg_v_str(&a, created), (char *)NULL);
	struct kg_value spec = kg_v_obj(&a, "holderIdentity", kg_v_str(&a, node->name),
		"leaseDurationSeconds", kg_v_int(lease->duration_s), "acquireTime",
		kg_v_str(&a, acquired), "renewTime", kg_v_str(&a, renewed), (char *)NULL);
	struct kg_value out = kg_v_obj(&a, "apiVersion", kg_v_lit("coordination.k8s.io/v1"), "kind",
		kg_v_lit("Lease"), "metadata", meta, "spec", spec, (char *)NULL);

	return kg_object_new(&(struct kg_object_spec){.kind = &kg_kinds[KG_KIND_LEASE],
		.ns = LEASE_NS,
		.name = node->name,
		.value = &out});
}

static struct kg_object *find(const struct lease_store *s, const char *node)
{
	KG_AUTOFREE char *key = kg_asprintf(LEASE_NS "/%s", node);

	return (struct kg_object *)kg_pmap_get(&s->v.objects, key);
}

/* Of one node, whose uid may be another one than the last time. */
static void read_node(struct kg_api *api, const struct kg_object *node)
{
	struct kg_object *old = find(&api->leases, node->name), *now;
	struct kg_api_lease lease = {0};

	if (!api->opt.lease || !api->opt.lease(api->opt.ctx, node->name, &lease))
		return;
	now = lease_new(node, &lease);
	if (!old || !kg_equal(kg_obj(old), kg_obj(now))) {
		old = old ? kg_object_ref(old) : NULL;
		kg_api_versions_publish(api, &api->leases.v, old, now, &form, 1);
		kg_object_unref(old);
	}
	kg_object_unref(now);
}

static void drop_others(struct kg_api *api, const struct kg_snapshot *s)
{
	struct kg_pmap all = {0};
	const struct kg_object *obj;
	struct kg_piter it;
	const char *key;

	kg_pmap_copy(&all, &api->leases.v.objects);
	kg_piter_init(&it, &all, "", NULL);
	while ((obj = kg_piter_next(&it, &key)))
		if (!kg_snapshot_get(s, KG_KIND_NODE, "", obj->name))
			kg_api_versions_publish(
				api, &api->leases.v, (struct kg_object *)obj, NULL, &form, 1);
	kg_pmap_release(&all);
}

void kg_api_leases_read(struct kg_api *api)
{
	struct lease_store *l = &api->leases;
	int64_t now = kg_api_now_ms();
	const struct kg_object *node;
	struct kg_object_iter it;

	pthread_mutex_lock(&l->v.lock);
	if (l->read >= 0 && now - l->read < READ_MS) {
		pthread_mutex_unlock(&l->v.lock);
		return;
	}
	l->read = now;
	struct kg_snapshot *s = kg_hub_snapshot(api->opt.hub);

	kg_iter_kind(&it, s, KG_KIND_NODE, NULL, NULL);
	while ((node = kg_iter_next(&it)))
		read_node(api, node);
	kg_iter_release(&it);
	drop_others(api, s);
	pthread_mutex_unlock(&l->v.lock);
	kg_snapshot_unref(s);
}

int64_t kg_api_leases_due(int64_t read)
{
	return read < 0 ? 0 : read + WATCH_MS;
}

int64_t kg_api_leases_tick(struct kg_api *api, int64_t now)
{
	if (!kg_api_is_watched(api, KG_KIND_LEASE))
		return INT64_MAX;
	if (kg_api_leases_due(api->leases.read) > now)
		return kg_api_leases_due(api->leases.read);
	kg_api_leases_read(api);
	return kg_api_leases_due(now);
}
