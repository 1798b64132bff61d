/* What a node alone is worth to a pod: NodeResourcesFit (least or most allocated),
 * NodeResourcesBalancedAllocation and ImageLocality, 0 to 100 each, in whole numbers as Kubernetes
 * has them. */
#include "reconcile/scheduler.h"

#include <string.h>

const char *kg_score_name(enum kg_score s)
{
	static const char *const names[KG_SCORE_COUNT] = {
		[KG_SCORE_TAINTS] = "TaintToleration",
		[KG_SCORE_AFFINITY] = "NodeAffinity",
		[KG_SCORE_RESOURCES] = "NodeResourcesFit",
		[KG_SCORE_SPREAD] = "PodTopologySpread",
		[KG_SCORE_POD_AFFINITY] = "InterPodAffinity",
		[KG_SCORE_BALANCE] = "NodeResourcesBalancedAllocation",
		[KG_SCORE_IMAGES] = "ImageLocality",
	};
	return names[s];
}

int kg_score_weight(enum kg_score s)
{
	static const int weights[KG_SCORE_COUNT] = {
		[KG_SCORE_TAINTS] = 3,
		[KG_SCORE_AFFINITY] = 2,
		[KG_SCORE_RESOURCES] = 1,
		[KG_SCORE_SPREAD] = 2,
		[KG_SCORE_POD_AFFINITY] = 2,
		[KG_SCORE_BALANCE] = 1,
		[KG_SCORE_IMAGES] = 1,
	};
	return weights[s];
}

/* x * 100 / y without overflow; y > 0, 0 <= x <= y. */
static int64_t percent(int64_t x, int64_t y)
{
	return (int64_t)((__int128)x * 100 / y);
}

static int64_t room_of(int64_t alloc, int64_t used, bool most)
{
	if (used > alloc)
		used = alloc;
	return percent(most ? used : alloc - used, alloc);
}

/* cpu and memory alike; a pod that asks for none counts as 100m and 200Mi. */
int64_t kg_score_room(const struct kg_pod_class *c, const struct kg_node_info *n)
{
	int64_t total = 0, weights = 0;
	if (n->alloc[KG_RES_CPU] > 0) {
		total += room_of(n->alloc[KG_RES_CPU],
			kg_amount_add(n->score_cpu, c->demand.score_cpu),
			c->profile->most_allocated);
		weights++;
	}
	if (n->alloc[KG_RES_MEMORY] > 0) {
		total += room_of(n->alloc[KG_RES_MEMORY],
			kg_amount_add(n->score_mem, c->demand.score_mem),
			c->profile->most_allocated);
		weights++;
	}
	return weights ? total / weights : 0;
}

static double fraction(int64_t alloc, int64_t used)
{
	return used >= alloc ? 1.0 : (double)used / (double)alloc;
}

/* 100 less the standard deviation of what cpu and memory are used to; nothing for pods that ask
 * for neither. */
int64_t kg_score_balance(const struct kg_pod_class *c, const struct kg_node_info *n)
{
	if (c->best_effort)
		return 0;
	if (n->alloc[KG_RES_CPU] <= 0 || n->alloc[KG_RES_MEMORY] <= 0)
		return 100;
	double x = fraction(n->alloc[KG_RES_CPU],
		kg_amount_add(n->used[KG_RES_CPU], c->demand.req[KG_RES_CPU]));
	double y = fraction(n->alloc[KG_RES_MEMORY],
		kg_amount_add(n->used[KG_RES_MEMORY], c->demand.req[KG_RES_MEMORY]));
	double deviation = x > y ? (x - y) / 2 : (y - x) / 2;
	return (int64_t)((1 - deviation) * 100);
}

/* ---- images ---- */

struct kg_image {
	int64_t nodes; /* that have it, by any name listed */
};

/* "app" is "app:latest", as nodes list it. */
static void normalise(struct kg_buf *out, const char *name)
{
	const char *colon = strrchr(name, ':'), *slash = strrchr(name, '/');
	kg_buf_clear(out);
	kg_buf_adds(out, name);
	if (!colon || (slash && colon < slash))
		kg_buf_adds(out, ":latest");
}

void kg_images_track(struct kg_sched *sc, const struct kg_object *node, bool on)
{
	const struct kg_value *images = kg_get(kg_get(kg_obj(node), "status"), "images");
	sc->images_version += kg_len(images) > 0;
	for (uint32_t i = 0; i < kg_len(images); i++) {
		const struct kg_value *names = kg_get(&images->items[i], "names");
		for (uint32_t k = 0; k < kg_len(names); k++) {
			const char *name = kg_string(&names->items[k], "");
			struct kg_image *im = kg_map_get(&sc->images, name);
			if (!im && on) {
				im = kg_alloc(sizeof(*im));
				kg_map_put(&sc->images, name, im);
			}
			if (im)
				im->nodes += on ? 1 : -1;
			if (im && im->nodes <= 0) {
				kg_map_remove(&sc->images, name);
				free(im);
			}
		}
	}
}

void kg_images_free(struct kg_sched *sc)
{
	struct kg_map_entry *e;
	for (size_t i = 0; (e = kg_map_next(&sc->images, &i));)
		free(e->value);
	kg_map_release(&sc->images);
}

static int64_t image_size(const struct kg_node_info *n, const char *name)
{
	const struct kg_value *images = kg_get(kg_get(kg_obj(n->obj), "status"), "images");
	for (uint32_t i = 0; i < kg_len(images); i++) {
		const struct kg_value *names = kg_get(&images->items[i], "names");
		for (uint32_t k = 0; k < kg_len(names); k++)
			if (strcmp(kg_string(&names->items[k], ""), name) == 0)
				return kg_int(kg_get(&images->items[i], "sizeBytes"), 0);
	}
	return 0;
}

static const char *const container_lists[] = {"initContainers", "containers"};

bool kg_images_known(const struct kg_sched *sc, const struct kg_pod_class *c)
{
	KG_AUTOBUF struct kg_buf name = KG_BUF_INIT;
	if (sc->images.count == 0)
		return false;
	for (size_t l = 0; l < KG_ARRAY_LEN(container_lists); l++) {
		const struct kg_value *cs = kg_get(c->spec, container_lists[l]);
		for (uint32_t i = 0; i < kg_len(cs); i++) {
			normalise(&name, kg_string(kg_get(&cs->items[i], "image"), ""));
			if (kg_map_has(&sc->images, kg_buf_str(&name)))
				return true;
		}
	}
	return false;
}

/* The sizes of the images that are there, each by the part of the nodes that have it; from 23 MB,
 * which count for nothing, to 1,000 MB a container. */
int64_t kg_score_images(
	const struct kg_sched *sc, const struct kg_pod_class *c, const struct kg_node_info *n)
{
	const int64_t mb = 1024 * 1024, least = 23 * mb;
	int64_t total = 0, count = 0, nodes = (int64_t)sc->nslots - (int64_t)sc->nfree;
	KG_AUTOBUF struct kg_buf name = KG_BUF_INIT;
	for (size_t l = 0; l < KG_ARRAY_LEN(container_lists); l++) {
		const struct kg_value *cs = kg_get(c->spec, container_lists[l]);
		for (uint32_t i = 0; i < kg_len(cs); i++) {
			count++;
			normalise(&name, kg_string(kg_get(&cs->items[i], "image"), ""));
			const struct kg_image *im = kg_map_get(&sc->images, kg_buf_str(&name));
			if (im && nodes > 0)
				total += (int64_t)((double)image_size(n, name.data) *
						   ((double)im->nodes / (double)nodes));
		}
	}
	int64_t most = 1000 * mb * (count ? count : 1);
	total = total < least ? least : total > most ? most : total;
	return 100 * (total - least) / (most - least);
}
