#include "nodeagent/dns_zone.h"
#include "base/map.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* ---- records ---- */

#define MAX_NAME  253 /* as text, without a dot at its end */
#define MAX_LABEL 63

/* Nothing in a record is quoted: only what is a name gets there. What Kubernetes takes for one
 * may have longer labels than there can be, and a single such line makes a part unreadable. */
bool kg_dns_is_name(const char *s)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	size_t n = strlen(s), len;

	for (const char *p = s; *p; p += len + (p[len] == '.')) {
		len = strcspn(p, ".");
		if (len == 0 || len > MAX_LABEL)
			return false;
	}
	return n > 0 && n <= MAX_NAME && strspn(s, allowed) == n;
}

static bool is_address(const char *s)
{
	struct in_addr in;

	return inet_pton(AF_INET, s, &in) == 1;
}

struct records {
	struct kg_buf *names, *pointers;
	const char *domain;
	char base[512]; /* SERVICE.NS.svc */
	size_t room;    /* how long what is in front of that may be, with its dot */
};

static void add_pointer(struct records *r, const char *address, const char *host)
{
	kg_buf_addf(r->pointers, "%s %s%s%s.%s.\n", address, host, *host ? "." : "", r->base,
		r->domain);
}

static void add_srv(
	struct records *r, const struct kg_value *port, int64_t number, const char *host)
{
	const char *name = kg_string(kg_get(port, "name"), "");
	const char *protocol = kg_string(kg_get(port, "protocol"), "TCP");

	if (!kg_dns_is_name(name) || !kg_dns_is_name(protocol) || number < 1 || number > 65535)
		return;
	if (strlen(name) + 1 > MAX_LABEL || strlen(name) + strlen(protocol) + 4 > r->room)
		return;
	kg_buf_addf(r->names, "_%s._", name);
	for (const char *p = protocol; *p; p++)
		kg_buf_addc(r->names, (char)(*p | 0x20));
	kg_buf_addf(r->names, ".%s SRV 0 100 %lld %s%s%s\n", r->base, (long long)number, host,
		*host ? "." : "", r->base);
}

static void add_cluster_ip(struct records *r, const struct kg_value *service, const char *ip)
{
	const struct kg_value *ports = kg_get(service, "ports");

	kg_buf_addf(r->names, "%s A %s\n", r->base, ip);
	for (uint32_t i = 0; i < kg_len(ports); i++)
		add_srv(r, &ports->items[i], kg_int(kg_get(&ports->items[i], "port"), 0), "");
	add_pointer(r, ip, "");
}

/* An endpoint's own label. */
static void name_host(char out[64], const struct kg_value *host)
{
	const char *name = kg_string(kg_get(host, "hostname"), "");
	const char *address = kg_string(kg_get(host, "address"), "");

	snprintf(out, 64, "%s", kg_dns_is_name(name) ? name : address);
	for (char *p = out; out[0] && !kg_dns_is_name(name) && *p; p++) {
		if (*p == '.')
			*p = '-';
	}
}

/* The ports of an endpoint are its own: "ADDRESS:PORT" by port of the service. */
static void add_endpoint_ports(
	struct records *r, const struct kg_value *service, const char *address, const char *host)
{
	const struct kg_value *ports = kg_get(service, "ports");
	size_t n = strlen(address);

	for (uint32_t i = 0; i < kg_len(ports); i++) {
		const struct kg_value *list = kg_get(&ports->items[i], "endpoints");

		for (uint32_t k = 0; k < kg_len(list); k++) {
			const char *e = kg_string(&list->items[k], "");

			if (strncmp(e, address, n) == 0 && e[n] == ':')
				add_srv(r, &ports->items[i], strtoll(e + n + 1, NULL, 10), host);
		}
	}
}

static void add_headless(struct records *r, const struct kg_value *service)
{
	KG_CLEANUP(kg_map_release) struct kg_map seen = KG_MAP_INIT;
	const struct kg_value *hosts = kg_get(service, "hosts");

	for (uint32_t i = 0; i < kg_len(hosts); i++) {
		const struct kg_value *h = &hosts->items[i];
		const char *address = kg_string(kg_get(h, "address"), "");
		char host[64];

		if (!is_address(address))
			continue;
		name_host(host, h);
		if (!kg_map_put(&seen, address, &seen)) /* it may have several names */
			kg_buf_addf(r->names, "%s A %s\n", r->base, address);
		if (strlen(host) + 1 > r->room)
			continue;
		kg_buf_addf(r->names, "%s.%s A %s\n", host, r->base, address);
		add_endpoint_ports(r, service, address, host);
		if (kg_dns_is_name(kg_string(kg_get(h, "hostname"), "")))
			add_pointer(r, address, host);
	}
}

void kg_dns_records(struct kg_buf *names, struct kg_buf *pointers, const struct kg_value *service,
	const char *domain)
{
	const char *name = kg_string(kg_get(service, "name"), "");
	const char *ns = kg_string(kg_get(service, "namespace"), "");
	const char *ip = kg_string(kg_get(service, "clusterIP"), "");
	const char *external = kg_string(kg_get(service, "externalName"), "");
	struct records r = {.names = names, .pointers = pointers, .domain = domain};
	size_t n = strlen(external);

	if (!kg_dns_is_name(name) || !kg_dns_is_name(ns))
		return;
	size_t whole = (size_t)snprintf(r.base, sizeof(r.base), "%s.%s.svc", name, ns);
	whole += 1 + strlen(domain);
	if (whole > MAX_NAME)
		return;
	r.room = MAX_NAME - whole;
	if (kg_dns_is_name(external))
		kg_buf_addf(names, "%s CNAME %s%s\n", r.base, external,
			external[n - 1] == '.' ? "" : ".");
	else if (is_address(ip))
		add_cluster_ip(&r, service, ip);
	else if (strcmp(ip, "None") == 0)
		add_headless(&r, service);
}

/* ---- zones ---- */

static bool is_there(const struct kg_dns_zones *z, const char *name)
{
	for (size_t i = 0; i < z->n; i++) {
		if (strcmp(z->names[i], name) == 0)
			return true;
	}
	return false;
}

static void add_zone(struct kg_dns_zones *z, const char *name)
{
	z->names = kg_realloc(z->names, (z->n + 1) * sizeof(*z->names));
	z->names[z->n++] = kg_strdup(name);
}

/* The name of an address's first `octets` octets: "244.10.in-addr.arpa.". */
static void reverse_name(char out[64], uint32_t addr, unsigned octets)
{
	size_t n = 0;

	for (unsigned i = octets; i-- > 0;)
		n += (size_t)snprintf(out + n, 64 - n, "%u.", (addr >> (24 - 8 * i)) & 0xff);
	snprintf(out + n, 64 - n, "in-addr.arpa.");
}

/* Zones end at whole octets: a range of prefix 12 takes 16 of them. */
static void add_range(struct kg_dns_zones *z, const struct kg_cidr *range)
{
	unsigned octets = range->prefix <= 8 ? 1 : range->prefix <= 16 ? 2 : 3;
	unsigned count = range->prefix >= 8 * octets ? 1 : 1u << (8 * octets - range->prefix);
	uint32_t first = ntohl(range->addr & kg_cidr_mask(range->prefix));
	char name[64];

	for (unsigned i = 0; i < count; i++) {
		reverse_name(name, first + (i << (32 - 8 * octets)), octets);
		if (!is_there(z, name))
			add_zone(z, name);
	}
}

void kg_dns_zones_init(
	struct kg_dns_zones *z, const char *domain, const struct kg_cidr *ranges, size_t nranges)
{
	KG_AUTOFREE char *name = kg_asprintf("%s.", domain);

	*z = (struct kg_dns_zones){0};
	add_zone(z, name);
	for (size_t i = 0; i < nranges; i++)
		add_range(z, &ranges[i]);
}

void kg_dns_zones_release(struct kg_dns_zones *z)
{
	for (size_t i = 0; i < z->n; i++)
		free(z->names[i]);
	free(z->names);
	*z = (struct kg_dns_zones){0};
}

/* Nobody transfers zones: the numbers mean nothing, but for the last one, how long it may be
 * remembered that a name is not there. */
void kg_dns_zones_own(
	struct kg_buf *out, const struct kg_dns_zones *z, const char *domain, in_addr_t server)
{
	char address[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, &server, address, sizeof(address));
	for (size_t i = 0; i < z->n; i++)
		kg_buf_addf(out,
			"%s SOA ns.dns.%s. hostmaster.%s. 1 7200 1800 86400 5\n"
			"%s NS ns.dns.%s.\n",
			z->names[i], domain, domain, z->names[i], domain);
	kg_buf_addf(out, "ns.dns A %s\ndns-version TXT 1.1.0\n", address);
}

static void add_pointer_record(
	struct kg_buf *out, const struct kg_dns_zones *z, const char *address, const char *name)
{
	struct in_addr in;
	char whole[64];

	if (inet_pton(AF_INET, address, &in) != 1)
		return;
	reverse_name(whole, ntohl(in.s_addr), 4);
	for (const char *dot = whole; (dot = strchr(dot, '.')); dot++) {
		if (is_there(z, dot + 1)) {
			kg_buf_addf(out, "%s PTR %s\n", whole, name);
			return;
		}
	}
}

void kg_dns_zones_pointers(struct kg_buf *out, const struct kg_dns_zones *z, const char *pointers)
{
	char address[64], name[1024];
	int n = 0;

	for (const char *p = pointers; sscanf(p, "%63s %1023s\n%n", address, name, &n) == 2; p += n)
		add_pointer_record(out, z, address, name);
}
