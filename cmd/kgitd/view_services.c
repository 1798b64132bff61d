/*
 * A service as nodes are told of it: what its slices say, whoever made them, cut down to what
 * kube-proxy and the name server would make of it. For each port the endpoints that are ready, or,
 * where there are none, those that are on their way out and serve still. Where only a node's own
 * endpoints count (a traffic policy Local), such of those too, and where endpoints are that no pod
 * is behind.
 */
#include "kgitd/view_private.h"

#include "base/map.h"
#include "kinds/endpoints.h"

#include <string.h>

struct service {
	struct kg_arena *a;
	const struct kg_object *svc, **slices; /* borrowed; in order of their names; heap */
	size_t n, cap;
	size_t naddresses;             /* of all endpoints of all slices */
	struct kg_value *room;         /* heap: for one list of so many */
	bool headless, local, foreign; /* one of the slices is not made of pods */
};

static bool is(const struct kg_value *spec, const char *field, const char *text)
{
	return strcmp(kg_string(kg_get(spec, field), ""), text) == 0;
}

static void open_service(struct service *x, const struct kg_snapshot *s)
{
	const struct kg_value *spec = kg_get(kg_obj(x->svc), "spec");
	const struct kg_object *slice;
	struct kg_slice_iter it;

	x->headless = is(spec, "clusterIP", "None");
	x->local = is(spec, "internalTrafficPolicy", "Local") ||
		   is(spec, "externalTrafficPolicy", "Local");
	kg_slices_iter(&it, s, x->svc->ns, x->svc->name);
	while ((slice = kg_slices_next(&it))) {
		const struct kg_value *eps = kg_get(kg_obj(slice), "endpoints");

		KG_GROW(x->slices, x->cap, x->n + 1);
		x->slices[x->n++] = slice;
		x->foreign |= !kg_slice_is_of_pods(slice);
		for (uint32_t i = 0; i < kg_len(eps); i++)
			x->naddresses += kg_len(kg_get(&eps->items[i], "addresses"));
	}
	kg_iter_release(&it.it);
	x->room = kg_alloc((x->naddresses + 1) * sizeof(*x->room));
}

/* ---- ports ---- */

/* The number that a port of that name and protocol has in a slice; 0: it has none. */
static int64_t port_number(const struct kg_object *slice, const char *name, const char *protocol)
{
	const struct kg_value *ports = kg_get(kg_obj(slice), "ports");
	int64_t port = 0;

	for (uint32_t i = 0; i < kg_len(ports); i++) {
		const struct kg_value *p = &ports->items[i];

		if (strcmp(kg_string(kg_get(p, "name"), ""), name) == 0 &&
			strcmp(kg_string(kg_get(p, "protocol"), "TCP"), protocol) == 0)
			port = kg_int(kg_get(p, "port"), 0);
	}
	return port;
}

/* "ip:port" of a slice's endpoints. All addresses of one lead to the same: one is enough, but where
 * they have names. */
static size_t add_endpoints(const struct service *x, struct kg_value *out,
	const struct kg_object *slice, int64_t port, bool draining)
{
	const struct kg_value *eps = kg_get(kg_obj(slice), "endpoints");
	size_t n = 0;

	for (uint32_t i = 0; i < kg_len(eps); i++) {
		const struct kg_value *e = &eps->items[i], *addresses = kg_get(e, "addresses");
		uint32_t many = x->headless ? kg_len(addresses) : kg_len(addresses) > 0;
		bool ready = kg_endpoint_is_ready(e);

		if (draining ? ready || !kg_endpoint_is_draining(e) : !ready)
			continue;
		for (uint32_t k = 0; k < many; k++)
			out[n++] = kg_v_strf(x->a, "%s:%lld", kg_string(&addresses->items[k], ""),
				(long long)port);
	}
	return n;
}

static int cmp_text(const void *a, const void *b)
{
	const struct kg_value *x = a, *y = b;

	return strcmp(x->s, y->s);
}

static struct kg_value port_endpoints(
	const struct service *x, const char *name, const char *protocol, bool draining)
{
	struct kg_value *items = x->room;
	size_t n = 0, unique = 0;

	for (size_t i = 0; i < x->n; i++) {
		int64_t port = port_number(x->slices[i], name, protocol);

		if (port > 0)
			n += add_endpoints(x, items + n, x->slices[i], port, draining);
	}
	if (x->foreign && n) { /* two slices may say the same */
		qsort(items, n, sizeof(*items), cmp_text);
		for (size_t i = 0; i < n; i++)
			if (!i || strcmp(items[i].s, items[unique - 1].s) != 0)
				items[unique++] = items[i];
		n = unique;
	}
	return kg_v_array(x->a, items, n);
}

static struct kg_value port_of(const struct service *x, const struct kg_value *p)
{
	const char *name = kg_string(kg_get(p, "name"), "");
	const char *protocol = kg_string(kg_get(p, "protocol"), "TCP");
	struct kg_value ready = port_endpoints(x, name, protocol, false), draining = kg_v_null();
	bool none = !x->headless && !kg_len(&ready);

	/* Names are of those that are ready alone. */
	if (none || x->local)
		draining = port_endpoints(x, name, protocol, true);
	return kg_v_obj(x->a, "name", kg_v_lit(name), "protocol", kg_v_lit(protocol), "port",
		*kg_get(p, "port"), "nodePort", *kg_get(p, "nodePort"), "endpoints",
		none ? draining : ready, "draining",
		!none && kg_len(&draining) ? draining : kg_v_null(), (char *)NULL);
}

/* A headless service has the ports of its endpoints, also such as it does not name itself. */
static struct kg_value ports_of(const struct service *x)
{
	KG_CLEANUP(kg_map_release) struct kg_map seen = KG_MAP_INIT;
	const struct kg_value *own = kg_at(kg_obj(x->svc), "spec.ports");
	size_t most = kg_len(own), n = 0;

	for (size_t i = 0; x->headless && i < x->n; i++)
		most += kg_len(kg_get(kg_obj(x->slices[i]), "ports"));
	struct kg_value *items = kg_arena_alloc(x->a, (most + 1) * sizeof(*items));
	for (size_t i = 0; i < (x->headless ? x->n : 0) + 1; i++) {
		const struct kg_value *ports = i ? kg_get(kg_obj(x->slices[i - 1]), "ports") : own;

		for (uint32_t k = 0; k < kg_len(ports); k++) {
			const struct kg_value *p = &ports->items[k];
			const char *id =
				kg_arena_printf(x->a, "%s/%s", kg_string(kg_get(p, "name"), ""),
					kg_string(kg_get(p, "protocol"), "TCP"));

			if (!kg_map_put(&seen, id, &seen))
				items[n++] = port_of(x, p);
		}
	}
	return kg_v_array(x->a, items, n);
}

/* ---- addresses ---- */

/* {address, hostname} of every ready endpoint of a headless service, for names. */
static struct kg_value hosts_of(const struct service *x)
{
	struct kg_map seen KG_CLEANUP(kg_map_release) = KG_MAP_INIT;
	struct kg_value *items = x->room;
	size_t n = 0;

	for (size_t i = 0; i < x->n; i++) {
		const struct kg_value *eps = kg_get(kg_obj(x->slices[i]), "endpoints");

		for (uint32_t k = 0; k < kg_len(eps); k++) {
			const struct kg_value *e = &eps->items[k];
			const struct kg_value *addresses = kg_get(e, "addresses");
			const struct kg_value *hostname = kg_get(e, "hostname");

			for (uint32_t m = 0; kg_endpoint_is_ready(e) && m < kg_len(addresses);
				m++) {
				const char *address = kg_string(&addresses->items[m], "");
				const char *id = kg_arena_printf(
					x->a, "%s %s", address, kg_string(hostname, ""));

				if (!kg_map_put(&seen, id, &seen))
					items[n++] = kg_v_obj(x->a, "address", kg_v_lit(address),
						"hostname", *hostname, (char *)NULL);
			}
		}
	}
	return kg_v_array(x->a, items, n);
}

static void note_pods(struct kg_map *addresses, const struct service *x)
{
	for (size_t i = 0; i < x->n; i++) {
		const struct kg_value *eps = kg_get(kg_obj(x->slices[i]), "endpoints");

		for (uint32_t k = 0; kg_slice_is_of_pods(x->slices[i]) && k < kg_len(eps); k++)
			kg_map_put(addresses, kg_string(kg_at(&eps->items[k], "addresses.0"), ""),
				addresses);
	}
}

/* Where the endpoints are that no pod is behind: {address, nodeName}. The nodes know the others by
 * their addresses, also where somebody's slice names a pod's. */
static struct kg_value places_of(const struct service *x)
{
	KG_CLEANUP(kg_map_release) struct kg_map pods = KG_MAP_INIT;
	struct kg_value *items = x->room;
	size_t n = 0;

	if (x->foreign)
		note_pods(&pods, x);
	for (size_t i = 0; i < x->n; i++) {
		const struct kg_value *eps = kg_get(kg_obj(x->slices[i]), "endpoints");

		for (uint32_t k = 0; !kg_slice_is_of_pods(x->slices[i]) && k < kg_len(eps); k++) {
			const struct kg_value *e = &eps->items[k];
			const struct kg_value *address = kg_at(e, "addresses.0");

			if (!kg_map_has(&pods, kg_string(address, "")))
				items[n++] = kg_v_obj(x->a, "address", *address, "nodeName",
					kg_v_lit(kg_string(kg_get(e, "nodeName"), "")),
					(char *)NULL);
		}
	}
	return n ? kg_v_array(x->a, items, n) : kg_v_null();
}

struct kg_value kgd_service_map(
	struct kg_arena *a, const struct kg_snapshot *s, const struct kg_object *svc)
{
	const struct kg_value *spec = kg_get(kg_obj(svc), "spec");
	struct service x = {.a = a, .svc = svc};

	open_service(&x, s);
	/* Said only where it is not the usual one: what views have of services stays as it is. */
	bool inner_local = is(spec, "internalTrafficPolicy", "Local");
	struct kg_value v = kg_v_obj(a, "name", kg_v_lit(svc->name), "namespace", kg_v_lit(svc->ns),
		"clusterIP", kg_v_lit(kg_string(kg_get(spec, "clusterIP"), "")), "type",
		*kg_get(spec, "type"), "sessionAffinity", *kg_get(spec, "sessionAffinity"),
		"externalTrafficPolicy", *kg_get(spec, "externalTrafficPolicy"),
		"internalTrafficPolicy", inner_local ? kg_v_lit("Local") : kg_v_null(),
		"externalName", *kg_get(spec, "externalName"), "hosts",
		x.headless ? hosts_of(&x) : kg_v_null(), "places",
		x.local ? places_of(&x) : kg_v_null(), "ports", ports_of(&x), (char *)NULL);
	free(x.room);
	free(x.slices);
	return v;
}
