/*
 * Who says which addresses answer for a Service: its selector, or manifests of kind EndpointSlice
 * or Endpoints. Endpoints of a Service with a selector are refused: Kubernetes' controller would
 * overwrite them with what the selector finds, and a file of main that says something else than the
 * object would be no desired state.
 */
#include "reconcile/admitting.h"

#include "kinds/endpoints.h"

#include <string.h>

/* What main will define of that name, and where the push does; NULL: nothing. */
static const struct kg_value *desired(const struct kg_admitting *x, enum kg_kind_id kind,
	const char *ns, const char *name, const struct kg_definition **at)
{
	*at = kg_map_get(&x->by_key, kg_admit_key(x->a, &kg_kinds[kind], ns, name));
	if (*at)
		return &(*at)->m->value;
	const struct kg_object *obj = kg_snapshot_get(x->s, kind, ns, name);
	return kg_admit_untouched(x, obj) ? kg_obj(obj) : NULL;
}

static bool selects(const struct kg_value *svc)
{
	return kg_len(kg_at(svc, "spec.selector")) > 0;
}

static bool is_external_name(const struct kg_value *svc)
{
	return strcmp(kg_string(kg_at(svc, "spec.type"), ""), "ExternalName") == 0;
}

/* ---- who gives a Service endpoints ---- */

/* Of the slices that the push defines: by "NS/SERVICE". */
static void note_slices(
	struct kg_admitting *x, struct kg_map *slices, struct kg_definition **ds, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct kg_manifest *m = ds[i]->m;
		const char *service =
			m->kind->id == KG_KIND_ENDPOINTSLICE ? kg_slice_service(&m->value) : NULL;
		if (service && *service)
			kg_map_put(slices, kg_arena_printf(x->a, "%s/%s", m->ns, service), ds[i]);
	}
}

/* One that the push defines, or leaves as it is. */
static bool has_slice(
	struct kg_admitting *x, const struct kg_map *pushed, const char *ns, const char *service)
{
	if (kg_map_has(pushed, kg_arena_printf(x->a, "%s/%s", ns, service)))
		return true;
	struct kg_object_iter it KG_CLEANUP(kg_iter_release);
	const struct kg_object *slice;
	kg_iter_slices(&it, x->s, ns, service);
	do
		slice = kg_iter_next(&it);
	while (slice && !kg_admit_untouched(x, slice));
	return slice;
}

/* ---- rules ---- */

static void refuse(
	struct kg_admitting *x, const struct kg_definition *d, const char *path, const char *why)
{
	kg_admit_look_at(x, d);
	kg_fault_add(x->faults, path, "Forbidden: %s", why);
	x->faults->root = NULL;
}

static void check_service(
	struct kg_admitting *x, const struct kg_map *slices, const struct kg_definition *d)
{
	const struct kg_manifest *m = d->m;
	const struct kg_definition *at;
	const struct kg_value *said = desired(x, KG_KIND_ENDPOINTS, m->ns, m->name, &at);
	if (selects(&m->value) && said && !at) /* else it is said where the Endpoints are */
		refuse(x, d, "spec.selector",
			kg_arena_printf(x->a,
				"%s defines Endpoints %s/%s, and with a selector kgit makes them "
				"of "
				"the pods that it finds: remove that manifest, or the selector",
				kg_snapshot_get(x->s, KG_KIND_ENDPOINTS, m->ns, m->name)->source,
				m->ns, m->name));
	if (x->broken.count || selects(&m->value) || is_external_name(&m->value) ||
		(said && kg_endpoints_are_mirrored(said)))
		return;
	if (!has_slice(x, slices, m->ns, m->name))
		kg_admit_warn(x, d, "spec.selector",
			kg_arena_printf(x->a,
				"without one nothing answers yet: no manifest of kind "
				"EndpointSlice has the label " KG_LABEL_SERVICE_NAME ": %s, and no "
				"Endpoints %s are defined",
				m->name, m->name));
}

/* Nodes translate an address once: what is sent on to another Service's goes nowhere. */
static bool check_address(struct kg_admitting *x, const struct kg_definition *d,
	const struct kg_value *address, const char *path)
{
	const char *ip = kg_string(address, "");
	struct kg_ip_range range = kg_service_range(x->cluster);
	uint32_t addr;
	char first[16];
	if (kg_ip_parse(&addr, ip) < 0 || addr - range.first >= range.size)
		return false;
	kg_ip_format(first, range.first);
	kg_admit_warn(x, d, path,
		kg_arena_printf(x->a,
			"nothing answers at %s: it is one of the Services' own addresses (%s/%u), "
			"and no Service leads to another",
			ip, first, range.prefix));
	return true;
}

/* Of one that is said, not of each. */
static void check_slice_addresses(struct kg_admitting *x, const struct kg_definition *d)
{
	const struct kg_value *eps = kg_get(&d->m->value, "endpoints");
	bool said = !x->cluster;
	for (uint32_t i = 0; !said && i < kg_len(eps); i++) {
		const struct kg_value *list = kg_get(&eps->items[i], "addresses");
		for (uint32_t k = 0; !said && k < kg_len(list); k++)
			said = check_address(x, d, &list->items[k],
				kg_arena_printf(x->a, "endpoints[%u].addresses[%u]", i, k));
	}
}

static void check_subset_addresses(struct kg_admitting *x, const struct kg_definition *d)
{
	const struct kg_value *subsets = kg_get(&d->m->value, "subsets");
	bool said = !x->cluster;
	for (uint32_t i = 0; !said && i < kg_len(subsets); i++) {
		const struct kg_value *list = kg_get(&subsets->items[i], "addresses");
		for (uint32_t k = 0; !said && k < kg_len(list); k++)
			said = check_address(x, d, kg_get(&list->items[k], "ip"),
				kg_arena_printf(x->a, "subsets[%u].addresses[%u].ip", i, k));
	}
}

static void check_endpoints(struct kg_admitting *x, const struct kg_definition *d)
{
	const struct kg_manifest *m = d->m;
	const struct kg_definition *at;
	const struct kg_value *svc = desired(x, KG_KIND_SERVICE, m->ns, m->name, &at);
	check_subset_addresses(x, d);
	if (svc && selects(svc))
		refuse(x, d, "metadata.name",
			kg_arena_printf(x->a,
				"Service %s/%s has a selector, so that kgit makes its Endpoints of "
				"the pods that it finds: remove this, or the selector; further "
				"addresses are given by an EndpointSlice",
				m->ns, m->name));
	else if (!svc && !x->broken.count && kg_endpoints_are_mirrored(&m->value))
		kg_admit_warn(x, d, "metadata.name",
			kg_arena_printf(x->a,
				"no Service leads here: main defines no Service %s/%s", m->ns,
				m->name));
}

static void check_slice(struct kg_admitting *x, const struct kg_definition *d)
{
	const struct kg_manifest *m = d->m;
	const struct kg_definition *at;
	const char *name = kg_slice_service(&m->value);
	check_slice_addresses(x, d);
	if (name && *name && !x->broken.count && !desired(x, KG_KIND_SERVICE, m->ns, name, &at))
		kg_admit_warn(x, d, "metadata.labels[" KG_LABEL_SERVICE_NAME "]",
			kg_arena_printf(x->a,
				"no Service leads here: main defines no Service %s/%s", m->ns,
				name));
}

void kg_admit_endpoints(struct kg_admitting *x, struct kg_definition **ds, size_t n)
{
	struct kg_map slices = {0};
	note_slices(x, &slices, ds, n);
	for (size_t i = 0; i < n; i++) {
		if (ds[i]->m->kind->id == KG_KIND_SERVICE)
			check_service(x, &slices, ds[i]);
		else if (ds[i]->m->kind->id == KG_KIND_ENDPOINTS)
			check_endpoints(x, ds[i]);
		else if (ds[i]->m->kind->id == KG_KIND_ENDPOINTSLICE)
			check_slice(x, ds[i]);
	}
	kg_map_release(&slices);
}
