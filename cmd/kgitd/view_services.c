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

/* What a port is in one slice. */
struct number {
	const struct kg_object *slice;
	int64_t port; /* 0: it has none */
	struct number *next;
};
struct port {
	const struct kg_value *said; /* by the Service itself, else by the first slice */
	struct number *first, *last;
};
struct service {
	struct kg_arena *a;
	const struct kg_object *svc, **slices; /* borrowed; in order of their names; heap */
	size_t n, cap;
	size_t naddresses;     /* of all endpoints of all slices */
	struct kg_value *room; /* heap: for one list of so many */
	struct kg_map ports;   /* those that nodes are told: "NAME/PROTOCOL" -> struct port */
	struct kg_buf key;     /* of such a one */
	bool headless, local, foreign; /* one of the slices is not made of pods */
};

static bool is(const struct kg_value *spec, const char *field, const char *text)
{
	return strcmp(kg_string(kg_get(spec, field), ""), text) == 0;
}

static const char *protocol_of(const struct kg_value *port)
{
	return kg_string(kg_get(port, "protocol"), "TCP");
}

/* The port of that name and protocol; NULL: nodes are not told of it. */
static struct port *find_port(struct service *x, const struct kg_value *said, bool add)
{
	kg_buf_clear(&x->key);
	kg_buf_adds(&x->key, kg_string(kg_get(said, "name"), ""));
	kg_buf_addc(&x->key, '/');
	kg_buf_adds(&x->key, protocol_of(said));
	if (!add)
		return kg_map_get(&x->ports, x->key.data);
	void **at = kg_map_at(&x->ports, x->key.data);
	if (!*at) {
		struct port *port = *at = kg_arena_alloc(x->a, sizeof(*port));
		port->said = said;
	}
	return *at;
}

/* A headless service has the ports of its endpoints, also such as it does not name itself. */
static void add_numbers(struct service *x, const struct kg_object *slice)
{
	const struct kg_value *ports = kg_get(kg_obj(slice), "ports");

	for (uint32_t i = 0; i < kg_len(ports); i++) {
		struct port *port = find_port(x, &ports->items[i], x->headless);

		if (!port)
			continue;
		if (!port->last || port->last->slice != slice) {
			struct number *n = kg_arena_alloc(x->a, sizeof(*n));
			*(port->last ? &port->last->next : &port->first) = n;
			port->last = n;
			n->slice = slice;
		}
		port->last->port = kg_int(kg_get(&ports->items[i], "port"), 0);
	}
}

static void open_service(struct service *x, const struct kg_snapshot *s)
{
	const struct kg_value *spec = kg_get(kg_obj(x->svc), "spec"),
			      *ports = kg_get(spec, "ports");
	const struct kg_object *slice;
	struct kg_object_iter it;

	x->headless = is(spec, "clusterIP", "None");
	x->local = is(spec, "internalTrafficPolicy", "Local") ||
		   is(spec, "externalTrafficPolicy", "Local");
	for (uint32_t i = 0; i < kg_len(ports); i++)
		find_port(x, &ports->items[i], true);
	kg_iter_slices(&it, s, x->svc->ns, x->svc->name);
	while ((slice = kg_iter_next(&it))) {
		const struct kg_value *eps = kg_get(kg_obj(slice), "endpoints");

		KG_GROW(x->slices, x->cap, x->n + 1);
		x->slices[x->n++] = slice;
		x->foreign |= !kg_slice_is_of_pods(slice);
		add_numbers(x, slice);
		for (uint32_t i = 0; i < kg_len(eps); i++)
			x->naddresses += kg_len(kg_get(&eps->items[i], "addresses"));
	}
	kg_iter_release(&it);
	x->room = kg_alloc((x->naddresses + 1) * sizeof(*x->room));
}

/* ---- ports ---- */

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
	const struct service *x, const struct port *port, bool draining)
{
	struct kg_value *items = x->room;
	size_t n = 0, unique = 0;

	for (const struct number *at = port->first; at; at = at->next)
		if (at->port > 0)
			n += add_endpoints(x, items + n, at->slice, at->port, draining);
	if (x->foreign && n) { /* two slices may say the same */
		qsort(items, n, sizeof(*items), cmp_text);
		for (size_t i = 0; i < n; i++)
			if (!i || strcmp(items[i].s, items[unique - 1].s) != 0)
				items[unique++] = items[i];
		n = unique;
	}
	return kg_v_array(x->a, items, n);
}

static struct kg_value port_of(const struct service *x, const struct port *port)
{
	const struct kg_value *p = port->said;
	struct kg_value ready = port_endpoints(x, port, false), draining = kg_v_null();
	bool none = !x->headless && !kg_len(&ready);

	/* Names are of those that are ready alone. */
	if (none || x->local)
		draining = port_endpoints(x, port, true);
	return kg_v_obj(x->a, "name", kg_v_lit(kg_string(kg_get(p, "name"), "")), "protocol",
		kg_v_lit(protocol_of(p)), "port", *kg_get(p, "port"), "nodePort",
		*kg_get(p, "nodePort"), "endpoints", none ? draining : ready, "draining",
		!none && kg_len(&draining) ? draining : kg_v_null(), (char *)NULL);
}

/* In the order in which they are said, the Service's own first. */
static struct kg_value ports_of(const struct service *x)
{
	struct kg_value *items = kg_arena_alloc(x->a, (x->ports.count + 1) * sizeof(*items));
	const struct kg_map_entry *e;
	size_t n = 0;

	for (size_t i = 0; (e = kg_map_next(&x->ports, &i));)
		items[n++] = port_of(x, e->value);
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
	const struct kg_value *outer = kg_get(spec, "externalIPs");
	bool inner_local = is(spec, "internalTrafficPolicy", "Local");
	struct kg_value v = kg_v_obj(a, "name", kg_v_lit(svc->name), "namespace", kg_v_lit(svc->ns),
		"clusterIP", kg_v_lit(kg_string(kg_get(spec, "clusterIP"), "")), "type",
		*kg_get(spec, "type"), "sessionAffinity", *kg_get(spec, "sessionAffinity"),
		"externalTrafficPolicy", *kg_get(spec, "externalTrafficPolicy"),
		"internalTrafficPolicy", inner_local ? kg_v_lit("Local") : kg_v_null(),
		"externalIPs", kg_len(outer) && !x.headless ? *outer : kg_v_null(), "externalName",
		*kg_get(spec, "externalName"), "hosts", x.headless ? hosts_of(&x) : kg_v_null(),
		"places", x.local ? places_of(&x) : kg_v_null(), "ports", ports_of(&x),
		(char *)NULL);
	kg_map_release(&x.ports);
	kg_buf_release(&x.key);
	free(x.room);
	free(x.slices);
	return v;
}
