#include "kinds/amount.h"

#include "base/quantity.h"
#include "kinds/object.h"

#include <string.h>

int64_t kg_amount_milli(const struct kg_value *v)
{
	int64_t n = 0;

	if (v->type == KG_INT)
		return __builtin_mul_overflow(v->i, 1000, &n) ? INT64_MAX : n;
	return kg_quantity_milli(&n, kg_string(v, "0")) < 0 ? 0 : n;
}

int64_t kg_amount_whole(const struct kg_value *v)
{
	int64_t n = 0;

	if (v->type == KG_INT)
		return v->i;
	return kg_quantity_value(&n, kg_string(v, "0")) < 0 ? 0 : n;
}

int64_t kg_amount_add(int64_t a, int64_t b)
{
	int64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

int64_t kg_amount_of_milli(int64_t milli)
{
	return milli / 1000 + (milli % 1000 > 0);
}

const char *kg_hugepages_size(const char *resource)
{
	const size_t n = sizeof(KG_HUGEPAGES) - 1;

	return strncmp(resource, KG_HUGEPAGES, n) == 0 ? resource + n : NULL;
}

/* ---- containers ---- */

int64_t kg_container_milli(const struct kg_value *container, const char *list, const char *resource)
{
	const struct kg_value *v = kg_get(kg_get(kg_get(container, "resources"), list), resource);

	return kg_is_null(v) ? -1 : kg_amount_milli(v);
}

static int64_t asked_of(const struct kg_value *container, const char *list, const char *resource)
{
	int64_t v = kg_container_milli(container, list, resource);

	return v < 0 && !strcmp(list, "requests")
		       ? kg_container_milli(container, "limits", resource)
		       : v;
}

/* ---- pods ---- */

static int64_t pod_sum(
	const struct kg_value *spec, const char *list, const char *resource, int64_t otherwise)
{
	const struct kg_value *init = kg_get(spec, "initContainers");
	const struct kg_value *main = kg_get(spec, "containers");
	int64_t sum = 0, most = 0;
	bool any = otherwise;

	for (uint32_t i = 0; i < kg_len(init); i++) {
		int64_t v = asked_of(&init->items[i], list, resource);
		int64_t now = kg_amount_add(sum, v > 0 ? v : otherwise);
		any |= v >= 0;
		most = now > most ? now : most;
		if (kg_container_is_sidecar(&init->items[i]))
			sum = now;
	}
	for (uint32_t i = 0; i < kg_len(main); i++) {
		int64_t v = asked_of(&main->items[i], list, resource);
		any |= v >= 0;
		sum = kg_amount_add(sum, v > 0 ? v : otherwise);
	}
	return !any ? -1 : sum > most ? sum : most;
}

int64_t kg_pod_milli(const struct kg_value *spec, const char *list, const char *resource)
{
	return pod_sum(spec, list, resource, 0);
}

int64_t kg_pod_overhead(const struct kg_value *spec, const char *resource)
{
	return kg_amount_milli(kg_get(kg_get(spec, "overhead"), resource));
}

int64_t kg_pod_request(const struct kg_value *spec, const char *resource, int64_t each_asks)
{
	int64_t sum = pod_sum(spec, "requests", resource, each_asks);

	return kg_amount_add(sum > 0 ? sum : 0, kg_pod_overhead(spec, resource));
}

const char *kg_pod_qos(const struct kg_value *spec)
{
	static const char *const lists[] = {"containers", "initContainers"};
	static const char *const names[] = {"cpu", "memory"};
	bool any = false, guaranteed = true;

	for (size_t l = 0; l < KG_ARRAY_LEN(lists); l++) {
		const struct kg_value *cs = kg_get(spec, lists[l]);
		for (uint32_t i = 0; i < kg_len(cs) * KG_ARRAY_LEN(names); i++) {
			const struct kg_value *c = &cs->items[i / KG_ARRAY_LEN(names)];
			const char *name = names[i % KG_ARRAY_LEN(names)];
			int64_t request = kg_container_milli(c, "requests", name);
			int64_t limit = kg_container_milli(c, "limits", name);
			any |= request > 0 || limit > 0;
			guaranteed &= limit > 0 && (request < 0 || request == limit);
		}
	}
	return !any ? "BestEffort" : guaranteed ? "Guaranteed" : "Burstable";
}
