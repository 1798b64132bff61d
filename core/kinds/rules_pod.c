/* Rules of pods: what containers, volumes and the rest must say together. */
#include "base/map.h"
#include "kinds/claim.h"
#include "kinds/object.h"
#include "kinds/tables.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_NAMESERVERS = 3, MAX_SEARCHES = 32, SEARCHES_SIZE_MAX = 2048 };

static const char *const container_lists[] = {"containers", "initContainers"};

/* ---- defaults ---- */

static struct kg_value with_host_ports(struct kg_arena *a, const struct kg_value *container)
{
	const struct kg_value *ports = kg_get(container, "ports");

	if (!kg_len(ports))
		return *container;
	struct kg_value *items = kg_arena_alloc(a, ports->len * sizeof(*items));
	for (uint32_t i = 0; i < ports->len; i++) {
		items[i] = ports->items[i];
		if (!kg_int(kg_get(&items[i], "hostPort"), 0))
			items[i] = kg_with(
				a, &items[i], "hostPort", *kg_get(&items[i], "containerPort"));
	}
	return kg_with(a, container, "ports", kg_v_array(a, items, ports->len));
}

struct kg_value kg_default_pod_spec(struct kg_arena *a, const struct kg_value *v)
{
	const struct kg_value *account = kg_get(v, "serviceAccount");
	struct kg_value out = *v;

	if (!kg_is_null(account) && kg_is_null(kg_get(v, "serviceAccountName")))
		out = kg_with(a, &out, "serviceAccountName", *account);
	if (!kg_bool(kg_get(v, "hostNetwork"), false))
		return out;
	for (size_t l = 0; l < KG_ARRAY_LEN(container_lists); l++) {
		const struct kg_value *list = kg_get(v, container_lists[l]);
		if (!kg_len(list))
			continue;
		struct kg_value *items = kg_arena_alloc(a, list->len * sizeof(*items));
		for (uint32_t i = 0; i < list->len; i++)
			items[i] = with_host_ports(a, &list->items[i]);
		out = kg_with(a, &out, container_lists[l], kg_v_array(a, items, list->len));
	}
	return out;
}

/* ---- the spec ---- */

static bool is_claim(const struct kg_value *claims, const char *name)
{
	for (uint32_t i = 0; i < kg_len(claims); i++) {
		if (!strcmp(kg_string(kg_at(&claims->items[i], "metadata.name"), ""), name))
			return true;
	}
	return false;
}

/* Of other volumes what is mounted there would be in the way of who removes them. */
static void validate_both_ways(struct kg_fault_list *f, const struct kg_value *mount,
	const struct kg_value *volumes, const char *path, uint32_t i)
{
	const char *name = kg_string(kg_get(mount, "name"), "");

	if (kg_mount_propagation(mount) == KG_PROPAGATION_BOTH &&
		kg_is_null(kg_get(kg_find(volumes, "name", name), "hostPath")))
		kg_rule(f, path, kg_arena_printf(f->arena, "volumeMounts[%u].mountPropagation", i),
			"Forbidden: kgit has Bidirectional for hostPath volumes alone");
}

static void validate_mounts(struct kg_fault_list *f, const struct kg_value *container,
	const struct kg_value *volumes, const struct kg_value *claims, const char *path)
{
	const struct kg_value *mounts = kg_get(container, "volumeMounts");

	for (uint32_t i = 0; i < kg_len(mounts); i++) {
		const struct kg_value *name = kg_get(&mounts->items[i], "name");
		struct kg_suggest near;

		validate_both_ways(f, &mounts->items[i], volumes, path, i);
		if (kg_is_null(name) || !kg_is_null(kg_find(volumes, "name", name->s)) ||
			is_claim(claims, name->s))
			continue;
		kg_suggest_init(&near, name->s);
		for (uint32_t j = 0; j < kg_len(volumes); j++)
			kg_suggest_offer(&near, kg_string(kg_get(&volumes->items[j], "name"), ""));
		for (uint32_t j = 0; j < kg_len(claims); j++)
			kg_suggest_offer(
				&near, kg_string(kg_at(&claims->items[j], "metadata.name"), ""));
		kg_rule(f, path, kg_arena_printf(f->arena, "volumeMounts[%u].name", i),
			"Not found: %s: spec.volumes has no volume of this name%s",
			kg_rule_show(f->arena, name), kg_suggest_text(f->arena, &near));
	}
}

static void validate_host_ports(struct kg_fault_list *f, const struct kg_value *container,
	bool host_network, const char *path)
{
	const struct kg_value *ports = kg_get(container, "ports");

	for (uint32_t i = 0; i < kg_len(ports); i++) {
		int64_t host = kg_int(kg_get(&ports->items[i], "hostPort"), 0);
		const char *sub = kg_arena_printf(f->arena, "ports[%u].hostPort", i);

		if (!host)
			continue;
		const char *ip = kg_string(kg_get(&ports->items[i], "hostIP"), "");
		if (!host_network && strchr(ip, ':'))
			kg_rule_warn(f, path, kg_arena_printf(f->arena, "ports[%u].hostIP", i),
				"pods have IPv4 addresses: no port of this one is opened");
		if (host_network && host != kg_int(kg_get(&ports->items[i], "containerPort"), host))
			kg_rule(f, path, sub,
				"Invalid value: %lld: must match `containerPort` when "
				"`hostNetwork` is true",
				(long long)host);
	}
}

static void validate_pre_stop(
	struct kg_fault_list *f, const struct kg_value *container, int64_t grace, const char *path)
{
	const struct kg_value *sleep = kg_at(container, "lifecycle.preStop.sleep");
	int64_t seconds = kg_int(kg_get(sleep, "seconds"), 0);

	if (!kg_is_null(sleep) && grace >= 0 && seconds > grace)
		kg_rule(f, path, "lifecycle.preStop.sleep.seconds",
			"Invalid value: %lld: must be non-negative and less than "
			"terminationGracePeriodSeconds (%lld)",
			(long long)seconds, (long long)grace);
}

/* Names may begin with or hold underscores, and end with a dot. */
static bool is_search(struct kg_arena *a, const char *s)
{
	char *name = kg_arena_strdup(a, s);
	size_t n = strlen(name);

	if (n > 1 && name[n - 1] == '.')
		name[n - 1] = 0;
	for (char *p = name; *p; p++) {
		if (*p == '_')
			*p = 'x';
	}
	struct kg_value v = kg_v_lit(name);
	return !strcmp(s, ".") || !kg_check_dns_subdomain(a, &v);
}

static void validate_searches(
	struct kg_fault_list *f, const struct kg_value *list, const char *path)
{
	struct kg_value rule = kg_v_lit("");
	size_t total = 0;

	if (kg_len(list) > MAX_SEARCHES)
		kg_rule(f, path, "dnsConfig.searches",
			"Invalid value: must not have more than %d search paths", MAX_SEARCHES);
	for (uint32_t i = 0; i < kg_len(list); i++) {
		const char *s = kg_string(&list->items[i], ".");
		total += strlen(s) + (i > 0);
		if (!is_search(f->arena, s))
			kg_rule(f, path, kg_arena_printf(f->arena, "dnsConfig.searches[%u]", i),
				"Invalid value: \"%s\": %s", s,
				kg_check_dns_subdomain(f->arena, &rule));
	}
	if (total > SEARCHES_SIZE_MAX)
		kg_rule(f, path, "dnsConfig.searches",
			"Invalid value: must not have more than %d characters (including spaces) "
			"in the search list",
			SEARCHES_SIZE_MAX);
}

static void validate_dns(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	uint32_t servers = kg_len(kg_at(v, "dnsConfig.nameservers"));

	if (!strcmp(kg_string(kg_get(v, "dnsPolicy"), ""), "None") && !servers)
		kg_rule(f, path, "dnsConfig.nameservers",
			"Required value: must provide at least one DNS nameserver when `dnsPolicy` "
			"is None");
	if (servers > MAX_NAMESERVERS)
		kg_rule(f, path, "dnsConfig.nameservers",
			"Invalid value: must not have more than %d nameservers", MAX_NAMESERVERS);
	validate_searches(f, kg_at(v, "dnsConfig.searches"), path);
}

/* No two of a pod's ports can be the same port of the node. */
static void validate_host_port_conflicts(
	struct kg_fault_list *f, const struct kg_value *v, const char *list, const char *path)
{
	const struct kg_value *containers = kg_get(v, list);
	KG_CLEANUP(kg_map_release) struct kg_map seen = KG_MAP_INIT;

	for (uint32_t i = 0; i < kg_len(containers); i++) {
		const struct kg_value *ports = kg_get(&containers->items[i], "ports");
		for (uint32_t p = 0; p < kg_len(ports); p++) {
			const struct kg_value *port = &ports->items[p];
			int64_t host = kg_int(kg_get(port, "hostPort"), 0);
			if (!host)
				continue;
			const char *what = kg_arena_printf(f->arena, "%s/%s/%lld",
				kg_string(kg_get(port, "protocol"), "TCP"),
				kg_string(kg_get(port, "hostIP"), ""), (long long)host);
			if (!kg_map_has(&seen, what)) {
				kg_map_put(&seen, what, (void *)port);
				continue;
			}
			kg_rule(f, path,
				kg_arena_printf(f->arena, "%s[%u].ports[%u].hostPort", list, i, p),
				"Duplicate value: \"%s\"", what);
		}
	}
}

static void validate_container_names(
	struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const struct kg_value *init = kg_get(v, "initContainers");
	const struct kg_value *containers = kg_get(v, "containers");

	for (uint32_t i = 0; i < kg_len(init); i++) {
		const struct kg_value *name = kg_get(&init->items[i], "name");
		if (!kg_is_null(name) && !kg_is_null(kg_find(containers, "name", name->s)))
			kg_rule(f, path, kg_arena_printf(f->arena, "initContainers[%u].name", i),
				"Duplicate value: %s: a container has this name",
				kg_rule_show(f->arena, name));
	}
}

void kg_rule_mounts(struct kg_fault_list *f, const struct kg_value *pod_spec,
	const struct kg_value *claims, const char *path)
{
	for (size_t l = 0; l < KG_ARRAY_LEN(container_lists); l++) {
		const struct kg_value *list = kg_get(pod_spec, container_lists[l]);
		for (uint32_t i = 0; i < kg_len(list); i++)
			validate_mounts(f, &list->items[i], kg_get(pod_spec, "volumes"), claims,
				kg_rule_path(f, path, "%s[%u]", container_lists[l], i));
	}
}

void kg_validate_claiming_pod_spec(
	struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	bool host_network = kg_bool(kg_get(v, "hostNetwork"), false);
	int64_t grace = kg_int(kg_get(v, "terminationGracePeriodSeconds"), 30);

	validate_container_names(f, v, path);
	for (size_t l = 0; l < KG_ARRAY_LEN(container_lists); l++)
		validate_host_port_conflicts(f, v, container_lists[l], path);
	validate_dns(f, v, path);
	for (size_t l = 0; l < KG_ARRAY_LEN(container_lists); l++) {
		const struct kg_value *list = kg_get(v, container_lists[l]);
		for (uint32_t i = 0; i < kg_len(list); i++) {
			const char *at = kg_rule_path(f, path, "%s[%u]", container_lists[l], i);
			validate_host_ports(f, &list->items[i], host_network, at);
			validate_pre_stop(f, &list->items[i], grace, at);
		}
	}
	if (kg_bool(kg_get(v, "hostPID"), false) &&
		kg_bool(kg_get(v, "shareProcessNamespace"), false))
		kg_rule(f, path, "shareProcessNamespace",
			"Invalid value: true: ShareProcessNamespace and HostPID cannot both be "
			"enabled");
	if (kg_len(kg_get(v, "schedulingGates")) && !kg_is_null(kg_get(v, "nodeName")))
		kg_rule(f, path, "nodeName",
			"Forbidden: cannot be set until all schedulingGates have been cleared");
	const struct kg_value *account = kg_get(v, "serviceAccount");
	if (!kg_is_null(account) && !kg_equal(account, kg_get(v, "serviceAccountName")))
		kg_rule(f, path, "serviceAccount",
			"Invalid value: %s: must be the same as serviceAccountName",
			kg_rule_show(f->arena, account));
}

void kg_validate_pod_spec(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	kg_validate_claiming_pod_spec(f, v, path);
	kg_rule_mounts(f, v, &kg_null, path);
}

#define COST "controller.kubernetes.io/pod-deletion-cost"

/* By which a ReplicaSet chooses the pods that go first: a decimal number, without a plus or zeros
 * before it. */
static bool is_cost(const char *s)
{
	bool minus = *s == '-';
	size_t n = strspn(s + minus, "0123456789");

	if (!n || s[minus + n] || n > 10 || (!minus && *s == '0' && n > 1))
		return false;
	long long cost = strtoll(s, NULL, 10);
	return cost >= INT32_MIN && cost <= INT32_MAX;
}

void kg_validate_pod_template(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const char *cost = kg_string(kg_get(kg_at(v, "metadata.annotations"), COST), NULL);

	if (cost && !is_cost(cost))
		kg_rule(f, path, "metadata.annotations[" COST "]",
			"Invalid value: \"%.80s\": must be a 32bit integer", cost);
	kg_rule_pod_annotations(f, v, path);
}

/* Claims that are named after the pod. */
static void validate_own_claims(
	struct kg_fault_list *f, const struct kg_value *pod, const char *path)
{
	const struct kg_value *volumes = kg_at(pod, "spec.volumes");
	const char *name = kg_string(kg_at(pod, "metadata.name"), "");
	char claim[KG_CLAIM_NAME_SIZE];

	for (uint32_t i = 0; i < kg_len(volumes); i++) {
		const struct kg_value *volume = &volumes->items[i];
		if (!kg_volume_is_ephemeral(volume) || !kg_volume_claim(claim, name, volume))
			continue;
		if (strlen(claim) > 253)
			kg_rule(f, path, kg_arena_printf(f->arena, "spec.volumes[%u].name", i),
				"Invalid value: %s: PVC name \"%s\": must be no more than 253 "
				"characters",
				kg_rule_show(f->arena, kg_get(volume, "name")), claim);
	}
}

void kg_validate_pod(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	kg_validate_pod_template(f, v, path);
	kg_rule_object_meta(f, v, path, kg_check_dns_subdomain);
	validate_own_claims(f, v, path);
}
