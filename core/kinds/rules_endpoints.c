/* Rules of EndpointSlice and Endpoints, as pkg/apis/discovery/validation and ValidateEndpoints of
 * Kubernetes' core validation have them. */
#include "kinds/endpoints.h"
#include "kinds/tables.h"

#include <arpa/inet.h>

/* Kubernetes has no bound of subsets; each set of ports is a slice of its own. Bounds of what an
 * object may be are the same in each cluster: where a manifest is taken, another takes it, too. */
enum { ADDRESSES_MAX = 100, PORTS_MAX = 20000, PAIRS_MAX = 100000, SUBSETS_MAX = 100 };

/* ---- one value ---- */

const char *kg_check_endpoint_ip(struct kg_arena *a, const struct kg_value *v)
{
	static const struct {
		uint32_t net;
		unsigned bits;
		const char *msg;
	} special[] = {
		{0, 32, "may not be unspecified (0.0.0.0)"},
		{0x7f000000, 8, "may not be in the loopback range (127.0.0.0/8)"},
		{0xa9fe0000, 16, "may not be in the link-local range (169.254.0.0/16)"},
		{0xe0000000, 24, "may not be in the link-local multicast range (224.0.0.0/24)"},
	};
	const char *s = kg_string(v, "");
	struct in6_addr six;
	struct in_addr in;

	(void)a;
	if (inet_pton(AF_INET6, s, &six) == 1)
		return "must be an IPv4 address: kgit's Services have no IPv6";
	if (inet_pton(AF_INET, s, &in) != 1)
		return "must be a valid IPv4 address, (e.g. 10.9.8.7)";
	for (size_t i = 0; i < KG_ARRAY_LEN(special); i++)
		if (!((ntohl(in.s_addr) ^ special[i].net) >> (32 - special[i].bits)))
			return special[i].msg;
	return NULL;
}

const char *kg_check_address_type(struct kg_arena *a, const struct kg_value *v)
{
	const char *s = kg_string(v, "");

	(void)a;
	if (!strcmp(s, "IPv4"))
		return NULL;
	if (!strcmp(s, "IPv6"))
		return "must be IPv4: kgit's Services have no IPv6";
	if (!strcmp(s, "FQDN"))
		return "must be IPv4: no Service leads to names; a Service of type ExternalName is "
		       "an alias of one";
	return "must be IPv4";
}

const char *kg_check_label_or_empty(struct kg_arena *a, const struct kg_value *v)
{
	return *kg_string(v, "") ? kg_check_dns_label(a, v) : NULL;
}

static bool too_many(struct kg_fault_list *f, const struct kg_value *list, const char *path,
	const char *field, uint32_t max)
{
	if (kg_len(list) <= max)
		return false;
	kg_rule(f, path, field, "Too many: %u: must have at most %u items", kg_len(list), max);
	return true;
}

/* ---- EndpointSlice ---- */

/* Each is told to every node: what Kubernetes once took of both, together. Of a headless Service
 * all addresses of an endpoint are. */
static void check_pairs(struct kg_fault_list *f, const struct kg_value *slice, const char *path)
{
	const struct kg_value *eps = kg_get(slice, "endpoints");
	uint32_t ports = kg_len(kg_get(slice, "ports"));
	uint64_t addresses = 0;

	for (uint32_t i = 0; i < kg_len(eps); i++)
		addresses += kg_len(kg_get(&eps->items[i], "addresses"));
	if (addresses * ports > PAIRS_MAX)
		kg_rule(f, path, "ports",
			"Too many: %llu addresses of %u ports: kgit takes at most %d such pairs: "
			"divide it into several slices",
			(unsigned long long)addresses, ports, PAIRS_MAX);
}

void kg_validate_endpoint(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	too_many(f, kg_get(v, "addresses"), path, "addresses", ADDRESSES_MAX);
}

static void validate_slice_ports(
	struct kg_fault_list *f, const struct kg_value *ports, const char *path)
{
	unsigned unnamed = 0;

	if (too_many(f, ports, path, "ports", PORTS_MAX))
		return;
	kg_rule_unique(f, ports, "name", kg_rule_path(f, path, "ports"), false);
	for (uint32_t i = 0; i < kg_len(ports); i++) {
		const char *sub = kg_arena_printf(f->arena, "ports[%u]", i);
		const char *port = kg_arena_printf(f->arena, "%s.port", sub);
		const struct kg_value *name = kg_get(&ports->items[i], "name");

		unnamed += name->type == KG_STRING && !name->len;
		if (name->type == KG_STRING && !name->len && unnamed > 1)
			kg_rule(f, path, kg_arena_printf(f->arena, "%s.name", sub),
				"Duplicate value: \"\": only one port of a slice needs no name");
		if (kg_is_null(kg_get(&ports->items[i], "port")) &&
			!kg_rule_written(f, kg_rule_path(f, path, "%s", port)))
			kg_rule_warn(f, path, sub,
				"without a number no Service leads to this port: give it `port`");
	}
}

void kg_validate_endpointslice(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	static const char *const reserved[] = {
		KG_SLICES_OF_PODS, KG_SLICES_OF_ENDPOINTS, "endpointslice-controller.k8s.io", NULL};
	const struct kg_value *labels = kg_get(kg_get(v, "metadata"), "labels");
	const char *manager = kg_string(kg_get(labels, KG_LABEL_MANAGED_BY), "");
	const char *service = kg_slice_service(v);

	kg_rule_object_meta(f, v, path, kg_check_dns_subdomain);
	if (kg_rule_one_of(manager, reserved))
		kg_rule(f, path, "metadata.labels[" KG_LABEL_MANAGED_BY "]",
			"Invalid value: \"%s\": that is who manages the slices that are made by "
			"the "
			"system: name another manager, \"staff\" say",
			manager);
	if ((!service || !*service) &&
		!kg_rule_written(
			f, kg_rule_path(f, path, "metadata.labels[%s]", KG_LABEL_SERVICE_NAME)))
		kg_rule_warn(f, path, "metadata.labels",
			"no Service leads here: its name is to be in the label "
			"\"" KG_LABEL_SERVICE_NAME "\"");
	if (!too_many(f, kg_get(v, "endpoints"), path, "endpoints", KG_ENDPOINTS_MAX))
		check_pairs(f, v, path);
	validate_slice_ports(f, kg_get(v, "ports"), path);
}

/* ---- Endpoints ---- */

static void validate_ports(struct kg_fault_list *f, const struct kg_value *ports, const char *path)
{
	if (too_many(f, ports, path, "ports", PORTS_MAX))
		return;
	for (uint32_t i = 0; kg_len(ports) > 1 && i < ports->len; i++) {
		const struct kg_value *port = &ports->items[i];
		const char *sub = kg_arena_printf(f->arena, "ports[%u].name", i);

		if (port->type == KG_OBJECT && !*kg_string(kg_get(port, "name"), "") &&
			!kg_rule_written_items(f, kg_rule_path(f, path, "%s", sub)))
			kg_rule(f, path, sub,
				"Required value: Endpoints of several ports need a name for each");
	}
	kg_rule_unique(f, ports, "name", kg_rule_path(f, path, "ports"), false);
}

static const char *const lists[] = {"addresses", "notReadyAddresses"};

static uint32_t count_addresses(const struct kg_value *subset)
{
	uint32_t n = 0;

	for (size_t i = 0; i < KG_ARRAY_LEN(lists); i++)
		n += kg_len(kg_get(subset, lists[i]));
	return n;
}

void kg_validate_endpoint_subset(
	struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	uint32_t written = 0, n = count_addresses(v);

	for (size_t i = 0; i < KG_ARRAY_LEN(lists); i++)
		written += kg_rule_written_items(f, kg_rule_path(f, path, "%s", lists[i]));
	if (!written && !n)
		kg_rule(f, path, "",
			"Required value: must specify `addresses` or `notReadyAddresses`");
	if (n > KG_ENDPOINTS_MAX)
		kg_rule_warn(f, path, "",
			"of these %u addresses %u are used, the ready ones first, as in "
			"Kubernetes: "
			"use EndpointSlices for more",
			n, (unsigned)KG_ENDPOINTS_MAX);
	validate_ports(f, kg_get(v, "ports"), path);
}

/* As check_pairs, of all subsets together: they are one object. */
static void check_all_pairs(
	struct kg_fault_list *f, const struct kg_value *subsets, const char *path)
{
	uint64_t pairs = 0;

	for (uint32_t i = 0; i < kg_len(subsets); i++) {
		uint64_t n = count_addresses(&subsets->items[i]);

		n = n > KG_ENDPOINTS_MAX ? KG_ENDPOINTS_MAX : n;
		pairs += n * kg_len(kg_get(&subsets->items[i], "ports"));
	}
	if (pairs > PAIRS_MAX)
		kg_rule(f, path, "subsets",
			"Too many: %llu pairs of an address and one of its ports: kgit takes at "
			"most %d in all subsets: use EndpointSlices",
			(unsigned long long)pairs, PAIRS_MAX);
}

void kg_validate_endpoints(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const struct kg_value *subsets = kg_get(v, "subsets");

	kg_rule_object_meta(f, v, path, kg_check_dns_subdomain);
	if (kg_len(subsets) > SUBSETS_MAX)
		kg_rule(f, path, "subsets",
			"Too many: %u: must have at most %d items: put addresses of the same ports "
			"into one, or use EndpointSlices",
			kg_len(subsets), SUBSETS_MAX);
	else
		check_all_pairs(f, subsets, path);
}
