#include "kinds/placement.h"

#include "base/hash.h"
#include "kinds/object.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool numeric_compare(const char *have, const char *want, bool greater)
{
	char *e1, *e2;
	errno = 0;
	long long a = strtoll(have, &e1, 10), b = strtoll(want, &e2, 10);
	if (errno || !*have || *e1 || !*want || *e2)
		return false;
	return greater ? a > b : a < b;
}

/* ---- priorities ---- */

bool kg_priority_built_in(int64_t *priority, const char *class_name)
{
	if (strcmp(class_name, "system-cluster-critical") == 0)
		*priority = KG_PRIORITY_CRITICAL;
	else if (strcmp(class_name, "system-node-critical") == 0)
		*priority = KG_PRIORITY_CRITICAL + 1000;
	else
		return false;
	return true;
}

/* ---- taints ---- */

bool kg_tolerates(const struct kg_value *t, const struct kg_value *taint)
{
	const char *effect = kg_string(kg_get(t, "effect"), "");
	const char *key = kg_string(kg_get(t, "key"), "");
	const char *op = kg_string(kg_get(t, "operator"), "Equal");
	bool exists = strcmp(op, "Exists") == 0;
	if (*effect && strcmp(effect, kg_string(kg_get(taint, "effect"), "")) != 0)
		return false;
	if (*key && strcmp(key, kg_string(kg_get(taint, "key"), "")) != 0)
		return false;
	if (!*key && !exists)
		return false;
	const char *want = kg_string(kg_get(t, "value"), "");
	const char *have = kg_string(kg_get(taint, "value"), "");
	if (strcmp(op, "Lt") == 0 || strcmp(op, "Gt") == 0)
		return numeric_compare(have, want, op[0] == 'G');
	return exists || strcmp(want, have) == 0;
}

bool kg_is_tolerated(const struct kg_value *taint, const struct kg_value *tolerations)
{
	for (uint32_t k = 0; k < kg_len(tolerations); k++)
		if (kg_tolerates(&tolerations->items[k], taint))
			return true;
	return false;
}

const struct kg_value *kg_untolerated(
	const struct kg_value *taints, const struct kg_value *tolerations, bool hard)
{
	for (uint32_t i = 0; i < kg_len(taints); i++) {
		const struct kg_value *taint = &taints->items[i];
		bool soft = strcmp(kg_string(kg_get(taint, "effect"), ""), "PreferNoSchedule") == 0;
		if (soft != hard && !kg_is_tolerated(taint, tolerations))
			return taint;
	}
	return NULL;
}

/* ---- node selectors ---- */

/* v NULL: the node has no such label. */
static bool expression_matches(const struct kg_value *e, const char *v)
{
	const char *op = kg_string(kg_get(e, "operator"), "");
	const struct kg_value *values = kg_get(e, "values");
	if (strcmp(op, "Gt") == 0 || strcmp(op, "Lt") == 0)
		return v && kg_len(values) == 1 &&
		       numeric_compare(v, kg_string(&values->items[0], ""), op[0] == 'G');
	return kg_requirement_matches(e, v);
}

bool kg_node_term_matches(
	const struct kg_value *term, const char *node, const struct kg_value *labels)
{
	const struct kg_value *es = kg_get(term, "matchExpressions");
	const struct kg_value *fs = kg_get(term, "matchFields");
	if (kg_len(es) == 0 && kg_len(fs) == 0)
		return false; /* an empty term matches nothing */
	for (uint32_t i = 0; i < kg_len(es); i++) {
		const struct kg_value *e = &es->items[i];
		const char *v = kg_string(kg_get(labels, kg_string(kg_get(e, "key"), "")), NULL);
		if (!expression_matches(e, v))
			return false;
	}
	for (uint32_t i = 0; i < kg_len(fs); i++) {
		bool name =
			strcmp(kg_string(kg_get(&fs->items[i], "key"), ""), "metadata.name") == 0;
		if (!name || !expression_matches(&fs->items[i], node))
			return false;
	}
	return true;
}

/* ---- ports ---- */

static size_t container_ports(
	struct kg_host_port *out, size_t max, size_t n, const struct kg_value *container)
{
	const struct kg_value *ports = kg_get(container, "ports");
	for (uint32_t i = 0; i < kg_len(ports); i++) {
		const struct kg_value *p = &ports->items[i];
		int64_t port = kg_int(kg_get(p, "hostPort"), 0);
		const char *ip = kg_string(kg_get(p, "hostIP"), "");
		if (port <= 0 || port > UINT16_MAX)
			continue;
		bool every = !*ip || strcmp(ip, "0.0.0.0") == 0;
		if (n < max)
			out[n] = (struct kg_host_port){.port = (uint16_t)port,
				.protocol = kg_string(kg_get(p, "protocol"), "TCP")[0],
				.address = every ? 0 : kg_hash64(ip, strlen(ip))};
		n++;
	}
	return n;
}

/* Those of containers and of sidecars, which run beside them. */
size_t kg_host_ports(struct kg_host_port *out, size_t max, const struct kg_value *spec)
{
	const struct kg_value *cs = kg_get(spec, "containers"),
			      *is = kg_get(spec, "initContainers");
	size_t n = 0;
	for (uint32_t i = 0; i < kg_len(cs); i++)
		n = container_ports(out, max, n, &cs->items[i]);
	for (uint32_t i = 0; i < kg_len(is); i++)
		if (kg_container_is_sidecar(&is->items[i]))
			n = container_ports(out, max, n, &is->items[i]);
	return n;
}

bool kg_host_ports_clash(const struct kg_host_port *a, const struct kg_host_port *b)
{
	return a->port == b->port && a->protocol == b->protocol &&
	       (!a->address || !b->address || a->address == b->address);
}
