/* Rules of NetworkPolicy, Ingress and IngressClass. */
#include "kinds/tables.h"

#include <arpa/inet.h>
#include <stdlib.h>

/* ---- blocks of addresses ---- */

struct block {
	unsigned char address[16];
	int family;
	unsigned bits;
};

static bool read_block(struct block *out, const char *s)
{
	char address[INET6_ADDRSTRLEN];
	const char *slash = strchr(s, '/');
	size_t n = slash ? (size_t)(slash - s) : sizeof(address), digits;

	if (n >= sizeof(address))
		return false;
	memcpy(address, s, n);
	address[n] = 0;
	out->family = strchr(address, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(out->family, address, out->address) != 1)
		return false;
	digits = strspn(slash + 1, "0123456789");
	if (!digits || digits > 3 || slash[1 + digits] || (slash[1] == '0' && digits > 1))
		return false;
	out->bits = (unsigned)strtoul(slash + 1, NULL, 10);
	return out->bits <= (out->family == AF_INET6 ? 128U : 32U);
}

const char *kg_check_cidr(struct kg_arena *a, const struct kg_value *v)
{
	struct block b;

	(void)a;
	return read_block(&b, kg_string(v, "")) ? NULL
						: "must be a valid CIDR value, (e.g. 10.9.8.0/24 "
						  "or 2001:db8::/64)";
}

static bool same_bits(const struct block *a, const struct block *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	if (memcmp(a->address, b->address, whole) != 0)
		return false;
	return !rest || !((a->address[whole] ^ b->address[whole]) >> (8 - rest));
}

void kg_validate_ip_block(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const struct kg_value *except = kg_get(v, "except");
	struct block all, part;

	if (!read_block(&all, kg_string(kg_get(v, "cidr"), "")))
		return;
	for (uint32_t i = 0; i < kg_len(except); i++) {
		if (!read_block(&part, kg_string(&except->items[i], "")))
			continue;
		if (part.family != all.family || part.bits <= all.bits ||
			!same_bits(&all, &part, all.bits))
			kg_rule(f, path, kg_arena_printf(f->arena, "except[%u]", i),
				"Invalid value: %s: must be a strict subset of `cidr`",
				kg_rule_show(f->arena, &except->items[i]));
	}
}

/* ---- NetworkPolicy ---- */

struct kg_value kg_default_policy_spec(struct kg_arena *a, const struct kg_value *v)
{
	struct kg_value types[2] = {kg_v_lit("Ingress"), kg_v_lit("Egress")};

	if (kg_len(kg_get(v, "policyTypes")))
		return *v;
	return kg_with(
		a, v, "policyTypes", kg_v_array(a, types, kg_len(kg_get(v, "egress")) ? 2 : 1));
}

void kg_validate_policy_spec(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	if (kg_len(kg_get(v, "policyTypes")) > 2)
		kg_rule_invalid(
			f, v, path, "policyTypes", "may not specify more than two policyTypes");
}

void kg_validate_policy_port(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const struct kg_value *port = kg_get(v, "port"), *end = kg_get(v, "endPort");

	if (kg_is_null(end))
		return;
	if (kg_is_null(port))
		kg_rule_invalid(
			f, v, path, "endPort", "may not be specified when `port` is not specified");
	else if (port->type == KG_STRING)
		kg_rule_invalid(
			f, v, path, "endPort", "may not be specified when `port` is non-numeric");
	else if (kg_int(end, 0) < kg_int(port, 0))
		kg_rule_invalid(f, v, path, "endPort", "must be greater than or equal to `port`");
}

void kg_validate_policy_peer(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	bool selects = !kg_is_null(kg_get(v, "podSelector")) ||
		       !kg_is_null(kg_get(v, "namespaceSelector"));
	bool block = !kg_is_null(kg_get(v, "ipBlock"));

	if (!selects && !block)
		kg_rule(f, path, "", "Required value: must specify a peer");
	else if (selects && block)
		kg_rule(f, path, "", "Forbidden: may not specify both ipBlock and another peer");
}

/* ---- Ingress ---- */

const char *kg_check_ingress_host(struct kg_arena *a, const struct kg_value *v)
{
	static const char wildcard[] =
		"a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS "
		"subdomain, which must consist of lower case alphanumeric characters, '-' or '.' "
		"and end with an alphanumeric character (e.g. '*.example.com')";
	const char *s = kg_string(v, "");
	struct kg_value rest = kg_v_lit(s + (strncmp(s, "*.", 2) ? 0 : 2));

	if (!kg_check_ip(a, v))
		return "must be a DNS name, not an IP address";
	if (strchr(s, '*'))
		return rest.s == s || kg_check_dns_subdomain(a, &rest) ? wildcard : NULL;
	return kg_check_dns_subdomain(a, v);
}

void kg_validate_backend_service(
	struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	bool name = !kg_is_null(kg_at(v, "port.name"));
	bool number = !kg_is_null(kg_at(v, "port.number"));

	if (name && number)
		kg_rule(f, path, "", "Invalid value: cannot set both port name & port number");
	else if (!name && !number)
		kg_rule(f, path, "", "Required value: port name or number is required");
}

void kg_validate_backend(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	bool service = !kg_is_null(kg_get(v, "service"));
	bool resource = !kg_is_null(kg_get(v, "resource"));

	if (service && resource)
		kg_rule(f, path, "",
			"Invalid value: cannot set both resource and service backends");
	else if (!service && !resource)
		kg_rule(f, path, "", "Required value: resource or service backend is required");
}

void kg_validate_http_path(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	static const char *const sequences[] = {"//", "/./", "/../", "%2f", "%2F"};
	static const char *const endings[] = {"/..", "/."};
	const char *type = kg_string(kg_get(v, "pathType"), "");
	const char *s = kg_string(kg_get(v, "path"), "");
	bool literal = !strcmp(type, "Exact") || !strcmp(type, "Prefix");
	size_t n = strlen(s);

	if (*s != '/' && (literal || *s)) {
		kg_rule(f, path, "path", "Invalid value: \"%s\": must be an absolute path", s);
		return;
	}
	for (size_t i = 0; literal && i < KG_ARRAY_LEN(sequences); i++) {
		if (strstr(s, sequences[i]))
			kg_rule_invalid(f, v, path, "path",
				kg_arena_printf(f->arena, "must not contain '%s'", sequences[i]));
	}
	for (size_t i = 0; literal && i < KG_ARRAY_LEN(endings); i++) {
		size_t len = strlen(endings[i]);
		if (n >= len && !strcmp(s + n - len, endings[i]))
			kg_rule_invalid(f, v, path, "path",
				kg_arena_printf(f->arena, "cannot end with '%s'", endings[i]));
	}
}

void kg_validate_ingress_spec(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	if (!kg_len(kg_get(v, "rules")) && kg_is_null(kg_get(v, "defaultBackend")))
		kg_rule(f, path, "",
			"Invalid value: either `defaultBackend` or `rules` must be specified");
}

void kg_validate_ingress(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	kg_rule_object_meta(f, v, path, kg_check_dns_subdomain);
	kg_rule_warn(f, path, "kind",
		"an Ingress is stored and served, but nothing in kgit acts on it yet");
}

/* ---- IngressClass ---- */

/* "example.com/any/path". */
const char *kg_check_prefixed_path(struct kg_arena *a, const struct kg_value *v)
{
	static const char rule[] = "must be a domain-prefixed path (such as \"acme.io/foo\")";
	const char *s = kg_string(v, ""), *slash = strchr(s, '/');

	if (strlen(s) > 250)
		return "must be no more than 250 characters";
	if (!slash || !slash[1])
		return rule;
	struct kg_value domain = kg_v_strn(a, s, (size_t)(slash - s));
	if (kg_check_dns_subdomain(a, &domain))
		return kg_arena_printf(a, "prefix %s", kg_check_dns_subdomain(a, &domain));
	for (const char *p = slash + 1; *p; p++) {
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			    "/:@%!$&'()*+,;=-._~",
			    *p))
			return rule;
	}
	return NULL;
}

void kg_validate_class_parameters(
	struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	bool within = !strcmp(kg_string(kg_get(v, "scope"), ""), "Namespace");
	bool named = !kg_is_null(kg_get(v, "namespace"));

	if (within && !named)
		kg_rule(f, path, "namespace",
			"Required value: `parameters.scope` is set to 'Namespace'");
	else if (!within && named)
		kg_rule(f, path, "namespace", "Forbidden: `parameters.scope` is set to 'Cluster'");
}

void kg_validate_ingressclass(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	kg_rule_object_meta(f, v, path, kg_check_dns_subdomain);
	kg_rule_warn(f, path, "kind",
		"an IngressClass is stored and served, but nothing in kgit acts on it yet");
}
