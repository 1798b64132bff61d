#include "nodeagent/resolv.h"
#include "base/mem.h"
#include "nodeagent/oci_spec.h"

#include <string.h>

#define MAX_SERVERS      3
#define MAX_SEARCH       32
#define MAX_SEARCH_BYTES 2048
#define MAX_OPTIONS      32

struct list {
	const char *items[MAX_SEARCH];
	size_t n;
};
struct conf {
	struct kg_arena *a;
	struct list servers, search, options;
};

static void add(struct list *l, size_t max, const char *item)
{
	for (size_t i = 0; i < l->n; i++) {
		if (strcmp(l->items[i], item) == 0)
			return;
	}
	if (*item && l->n < max)
		l->items[l->n++] = item;
}

/* "name" or "name:value"; a later one of the same name is the one that counts. */
static void add_option(struct list *l, const char *option)
{
	size_t name = strcspn(option, ":");

	for (size_t i = 0; i < l->n; i++) {
		if (strcspn(l->items[i], ":") == name && memcmp(l->items[i], option, name) == 0) {
			l->items[i] = option;
			return;
		}
	}
	add(l, MAX_OPTIONS, option);
}

/* ---- the host's ---- */

static void read_line(struct conf *c, char *line)
{
	char *rest, *word = strtok_r(line, " \t", &rest), *item;

	if (!word)
		return;
	if (strcmp(word, "search") == 0 || strcmp(word, "domain") == 0)
		c->search.n = 0; /* the last such line counts */
	while ((item = strtok_r(NULL, " \t", &rest))) {
		if (strcmp(word, "nameserver") == 0)
			add(&c->servers, MAX_SERVERS, item);
		else if (strcmp(word, "search") == 0 || strcmp(word, "domain") == 0)
			add(&c->search, MAX_SEARCH, item);
		else if (strcmp(word, "options") == 0)
			add_option(&c->options, item);
	}
}

static void read_host(struct conf *c, const char *text)
{
	char *copy = kg_arena_strndup(c->a, text, strlen(text)), *rest, *line;

	for (line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		line[strcspn(line, "#;\r")] = '\0';
		read_line(c, line);
	}
}

/* ---- the cluster's ---- */

#define DNS_NAMESPACE "kube-system"
#define DNS_NAME      "kube-dns"

struct kg_value kg_cluster_dns(struct kg_arena *a, const char *address, const char *domain)
{
	return kg_v_obj(a, "kind", kg_v_lit("Service"), "metadata",
		kg_v_obj(a, "name", kg_v_lit(DNS_NAME), "namespace", kg_v_lit(DNS_NAMESPACE),
			(char *)NULL),
		"clusterIP", kg_v_str(a, address), "domain", kg_v_str(a, domain), (char *)NULL);
}

static const struct kg_value *find_dns(const struct kg_value *objects)
{
	for (uint32_t i = 0; i < kg_len(objects); i++) {
		const struct kg_value *o = &objects->items[i];

		if (!strcmp(kg_string(kg_get(o, "kind"), ""), "Service") &&
			!strcmp(kg_string(kg_at(o, "metadata.name"), ""), DNS_NAME))
			return o;
	}
	return &kg_null;
}

bool kg_has_cluster_dns(const struct kg_value *objects)
{
	return !kg_is_null(find_dns(objects));
}

const char *kg_pod_fqdn(
	struct kg_arena *a, const struct kg_value *pod, const struct kg_value *objects)
{
	const struct kg_value *dns = find_dns(objects);
	const char *subdomain = kg_string(kg_at(pod, "spec.subdomain"), "");

	if (kg_is_null(dns) || !*subdomain)
		return "";
	return kg_arena_printf(a, "%s.%s.%s.svc.%s", kg_pod_hostname(a, pod), subdomain,
		kg_string(kg_at(pod, "metadata.namespace"), "default"),
		kg_string(kg_get(dns, "domain"), ""));
}

static void use_cluster(struct conf *c, const struct kg_value *dns, const char *ns)
{
	const char *domain = kg_string(kg_get(dns, "domain"), "");
	struct list host = c->search;

	c->servers.n = c->search.n = c->options.n = 0;
	add(&c->servers, MAX_SERVERS, kg_string(kg_get(dns, "clusterIP"), ""));
	add(&c->search, MAX_SEARCH, kg_arena_printf(c->a, "%s.svc.%s", ns, domain));
	add(&c->search, MAX_SEARCH, kg_arena_printf(c->a, "svc.%s", domain));
	add(&c->search, MAX_SEARCH, domain);
	for (size_t i = 0; i < host.n; i++)
		add(&c->search, MAX_SEARCH, host.items[i]);
	add_option(&c->options, "ndots:5");
}

/* ---- the pod's ---- */

static void add_config(struct conf *c, const struct kg_value *config)
{
	const struct kg_value *servers = kg_get(config, "nameservers");
	const struct kg_value *search = kg_get(config, "searches");
	const struct kg_value *options = kg_get(config, "options");

	for (uint32_t i = 0; i < kg_len(servers); i++)
		add(&c->servers, MAX_SERVERS, kg_string(&servers->items[i], ""));
	for (uint32_t i = 0; i < kg_len(search); i++)
		add(&c->search, MAX_SEARCH, kg_string(&search->items[i], ""));
	for (uint32_t i = 0; i < kg_len(options); i++) {
		const char *value = kg_string(kg_get(&options->items[i], "value"), "");

		add_option(&c->options, kg_arena_printf(c->a, "%s%s%s",
						kg_string(kg_get(&options->items[i], "name"), ""),
						*value ? ":" : "", value));
	}
}

static void print_list(struct kg_buf *out, const char *word, const struct list *l, size_t most)
{
	size_t start = out->len;

	for (size_t i = 0; i < l->n; i++) {
		if (out->len - start + strlen(l->items[i]) > most)
			break;
		kg_buf_addf(out, "%s %s", i ? "" : word, l->items[i]);
	}
	if (out->len > start)
		kg_buf_addc(out, '\n');
}

void kg_resolv_conf(struct kg_buf *out, const struct kg_value *pod, const char *host,
	const struct kg_value *objects)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct conf c = {.a = &a};
	const struct kg_value *dns = find_dns(objects);
	const char *policy = kg_string(kg_at(pod, "spec.dnsPolicy"), "ClusterFirst");
	bool cluster = strcmp(policy, "ClusterFirstWithHostNet") == 0 ||
		       (strcmp(policy, "ClusterFirst") == 0 && !kg_pod_host_network(pod));

	if (strcmp(policy, "None") != 0)
		read_host(&c, host);
	if (cluster && !kg_is_null(dns))
		use_cluster(&c, dns, kg_string(kg_at(pod, "metadata.namespace"), "default"));
	add_config(&c, kg_at(pod, "spec.dnsConfig"));
	for (size_t i = 0; i < c.servers.n; i++)
		kg_buf_addf(out, "nameserver %s\n", c.servers.items[i]);
	print_list(out, "search", &c.search, MAX_SEARCH_BYTES);
	print_list(out, "options", &c.options, SIZE_MAX);
}
