/* Rules of containers and what lies in them. */
#include "base/quantity.h"
#include "kinds/amount.h"
#include "kinds/object.h"
#include "kinds/tables.h"

#include <stdio.h>

/* ---- defaults ---- */

static const char *pull_policy(const char *image)
{
	const char *slash = strrchr(image, '/'), *name = slash ? slash + 1 : image;
	const char *tag = strchr(name, ':');

	if (strchr(name, '@'))
		return "IfNotPresent";
	return !tag || !strcmp(tag, ":latest") ? "Always" : "IfNotPresent";
}

struct kg_value kg_default_container(struct kg_arena *a, const struct kg_value *v)
{
	if (!kg_is_null(kg_get(v, "imagePullPolicy")))
		return *v;
	return kg_with(
		a, v, "imagePullPolicy", kg_v_lit(pull_policy(kg_string(kg_get(v, "image"), ""))));
}

/* The API server does this for Pods alone; here the template has it too, so that a pod is its
 * template and nothing more. */
struct kg_value kg_default_resources(struct kg_arena *a, const struct kg_value *v)
{
	const struct kg_value *limits = kg_get(v, "limits");
	struct kg_value requests = *kg_get(v, "requests");

	if (!kg_len(limits))
		return *v;
	for (uint32_t i = 0; i < limits->len; i++) {
		const struct kg_member *m = &limits->members[i];
		if (kg_is_null(kg_get(&requests, m->key)))
			requests = kg_with_key(a, &requests, m->key, m->value);
	}
	return kg_with(a, v, "requests", requests);
}

struct kg_value kg_default_probe(struct kg_arena *a, const struct kg_value *v)
{
	static const struct {
		const char *name;
		int value;
	} numbers[] = {
		{"timeoutSeconds", 1},
		{"periodSeconds", 10},
		{"successThreshold", 1},
		{"failureThreshold", 3},
	};
	struct kg_value out = *v;

	/* A zero is the same as none. */
	for (size_t i = 0; i < KG_ARRAY_LEN(numbers); i++) {
		if (!kg_int(kg_get(&out, numbers[i].name), 0))
			out = kg_with(a, &out, numbers[i].name, kg_v_int(numbers[i].value));
	}
	return out;
}

/* ---- probes ---- */

static void validate_probe(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	static const char *const handlers[] = {"exec", "httpGet", "tcpSocket", "grpc"};
	int n = 0;

	for (size_t i = 0; i < KG_ARRAY_LEN(handlers); i++) {
		if (kg_is_null(kg_get(v, handlers[i])))
			continue;
		if (n++)
			kg_rule(f, path, handlers[i],
				"Forbidden: may not specify more than 1 handler type");
	}
	if (!n)
		kg_rule(f, path, "",
			"Required value: must specify a handler type: exec, httpGet, tcpSocket or "
			"grpc");
}

void kg_validate_liveness_probe(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const struct kg_value *successes = kg_get(v, "successThreshold");

	validate_probe(f, v, path);
	if (kg_int(successes, 1) > 1)
		kg_rule(f, path, "successThreshold", "Invalid value: %lld: must be 1",
			(long long)successes->i);
}

void kg_validate_readiness_probe(
	struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const struct kg_value *grace = kg_get(v, "terminationGracePeriodSeconds");

	validate_probe(f, v, path);
	if (!kg_is_null(grace))
		kg_rule(f, path, "terminationGracePeriodSeconds",
			"Invalid value: %s: must not be set for readinessProbes",
			kg_rule_show(f->arena, grace));
}

/* ---- environment ---- */

static int count_sources(const struct kg_value *v, const char *const *names)
{
	int n = 0;

	for (; *names; names++)
		n += !kg_is_null(kg_get(v, *names));
	return n;
}

void kg_validate_env_source(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	static const char *const sources[] = {"configMapKeyRef", "fieldRef", "resourceFieldRef",
		"secretKeyRef", "fileKeyRef", NULL};
	int n = count_sources(v, sources);

	if (!n)
		kg_rule(f, path, "",
			"Required value: must specify one of: `fieldRef`, `resourceFieldRef`, "
			"`configMapKeyRef` or `secretKeyRef`");
	else if (n > 1)
		kg_rule(f, path, "",
			"Invalid value: may not have more than one field specified at a time");
}

void kg_validate_env_var(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	if (kg_len(kg_get(v, "valueFrom")) && !kg_is_null(kg_get(v, "value")))
		kg_rule(f, path, "valueFrom",
			"Invalid value: may not be specified when `value` is not empty");
}

void kg_validate_env_from(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	bool map = !kg_is_null(kg_get(v, "configMapRef"));
	bool secret = !kg_is_null(kg_get(v, "secretRef"));

	if (map && secret)
		kg_rule(f, path, "",
			"Invalid value: may not have more than one field specified at a time");
	else if (!map && !secret)
		kg_rule(f, path, "",
			"Required value: must specify one of: `configMapRef` or `secretRef`");
}

/* ---- resources ---- */

static bool is_standard(const char *resource)
{
	static const char *const standard[] = {"cpu", "memory", "ephemeral-storage", NULL};

	return kg_rule_one_of(resource, standard);
}

static void validate_limit(struct kg_fault_list *f, const struct kg_value *requests,
	const struct kg_member *limit, const char *path)
{
	const struct kg_value *request = kg_get(requests, limit->key);
	const char *sub = kg_arena_printf(f->arena, "requests[%s]", limit->key);
	int64_t want, most;

	if (kg_quantity_milli(&want, kg_string(request, "")) ||
		kg_quantity_milli(&most, kg_string(&limit->value, "")))
		return;
	if (!is_standard(limit->key) && want != most)
		kg_rule(f, path, sub, "Invalid value: \"%s\": must be equal to %s limit of %s",
			request->s, limit->key, limit->value.s);
	else if (want > most)
		kg_rule(f, path, sub,
			"Invalid value: \"%s\": must be less than or equal to %s limit of %s",
			request->s, limit->key, limit->value.s);
}

/* Of pages that are whole. */
static void validate_pages(
	struct kg_fault_list *f, const struct kg_member *m, const char *path, const char *sub)
{
	const char *size = kg_hugepages_size(m->key);
	int64_t page, all;

	if (!size)
		return;
	if (kg_quantity_value(&page, size) || page <= 0)
		kg_rule(f, path, sub, "Invalid value: \"%s\": must name a size of pages", m->key);
	else if (kg_quantity_value(&all, kg_string(&m->value, "")) || all % page)
		kg_rule(f, path, sub,
			"Invalid value: \"%s\": %s is not positive integer multiple of %s",
			m->value.s, m->value.s, m->key);
}

static void validate_extended(struct kg_fault_list *f, const struct kg_value *list,
	const char *what, bool needs_limit, const struct kg_value *limits, const char *path)
{
	for (uint32_t i = 0; i < kg_len(list); i++) {
		const struct kg_member *m = &list->members[i];
		const char *sub = kg_arena_printf(f->arena, "%s[%s]", what, m->key);
		int64_t milli;

		if (is_standard(m->key) || kg_quantity_milli(&milli, kg_string(&m->value, "")))
			continue;
		if (milli % 1000)
			kg_rule(f, path, sub, "Invalid value: \"%s\": must be an integer",
				m->value.s);
		if (!needs_limit || !kg_equal(kg_get(limits, m->key), &m->value))
			validate_pages(f, m, path, sub); /* once, where the request is the limit */
		if (needs_limit && kg_is_null(kg_get(limits, m->key)))
			kg_rule(f, path, kg_arena_printf(f->arena, "limits[%s]", m->key),
				"Required value: limit must be set for non overcommitable "
				"resources");
	}
}

static bool names_pages(const struct kg_value *list)
{
	for (uint32_t i = 0; i < kg_len(list); i++)
		if (kg_hugepages_size(list->members[i].key))
			return true;
	return false;
}

/* 512m is half a byte. */
static void warn_fraction(struct kg_fault_list *f, const struct kg_value *v, const char *field,
	const char *resource, const char *path)
{
	const struct kg_value *said = kg_get(kg_get(v, field), resource);
	const char *at = kg_rule_path(f, path, "%s[%s]", field, resource);
	int64_t milli;

	/* What is not given is made of the limit, of which it is said then. */
	if (kg_rule_written(f, at) && !kg_quantity_milli(&milli, kg_string(said, "")) &&
		milli < INT64_MAX && milli % 1000)
		kg_rule_warn(f, at, "",
			"%s is a fraction of bytes: m are thousandths, Mi is a mebibyte",
			kg_rule_show(f->arena, said));
}

void kg_validate_resources(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const struct kg_value *limits = kg_get(v, "limits");
	const struct kg_value *requests = kg_get(v, "requests");

	warn_fraction(f, v, "limits", "memory", path);
	warn_fraction(f, v, "limits", "ephemeral-storage", path);
	warn_fraction(f, v, "requests", "memory", path);
	warn_fraction(f, v, "requests", "ephemeral-storage", path);

	for (uint32_t i = 0; i < kg_len(limits); i++)
		validate_limit(f, requests, &limits->members[i], path);
	validate_extended(f, limits, "limits", false, limits, path);
	validate_extended(f, requests, "requests", true, limits, path);
	if ((names_pages(limits) || names_pages(requests)) && kg_is_null(kg_get(limits, "cpu")) &&
		kg_is_null(kg_get(limits, "memory")) && kg_is_null(kg_get(requests, "cpu")) &&
		kg_is_null(kg_get(requests, "memory")))
		kg_rule(f, path, "", "Forbidden: HugePages require cpu or memory");
}

/* ---- containers ---- */

void kg_validate_security_context(
	struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const struct kg_value *add = kg_at(v, "capabilities.add");

	if (kg_bool(kg_get(v, "allowPrivilegeEscalation"), true))
		return;
	if (kg_bool(kg_get(v, "privileged"), false))
		kg_rule(f, path, "",
			"Invalid value: cannot set `allowPrivilegeEscalation` to false and "
			"`privileged` to true");
	for (uint32_t i = 0; i < kg_len(add); i++) {
		const char *s = kg_string(&add->items[i], "");
		if (!strcmp(s, "CAP_SYS_ADMIN"))
			kg_rule(f, path, "",
				"Invalid value: cannot set `allowPrivilegeEscalation` to false and "
				"`capabilities.add` %s",
				s);
	}
}

void kg_validate_mount(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	if (*kg_string(kg_get(v, "subPath"), "") && *kg_string(kg_get(v, "subPathExpr"), ""))
		kg_rule(f, path, "subPathExpr",
			"Invalid value: %s: subPathExpr and subPath are mutually exclusive",
			kg_rule_show(f->arena, kg_get(v, "subPathExpr")));
	if (kg_mount_propagation(v) != KG_PROPAGATION_NONE &&
		(*kg_string(kg_get(v, "subPath"), "") || *kg_string(kg_get(v, "subPathExpr"), "")))
		kg_rule(f, path, "mountPropagation",
			"Forbidden: kgit propagates the mounts of whole volumes alone, without a "
			"subPath");
}

enum kg_propagation kg_mount_propagation(const struct kg_value *mount)
{
	const char *s = kg_string(kg_get(mount, "mountPropagation"), "");

	if (!strcmp(s, "Bidirectional"))
		return KG_PROPAGATION_BOTH;
	return strcmp(s, "HostToContainer") ? KG_PROPAGATION_NONE : KG_PROPAGATION_IN;
}

/* What a container mounts is the node's then. */
static void validate_propagation(
	struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const struct kg_value *mounts = kg_get(v, "volumeMounts");

	if (kg_bool(kg_at(v, "securityContext.privileged"), false))
		return;
	for (uint32_t i = 0; i < kg_len(mounts); i++) {
		if (kg_mount_propagation(&mounts->items[i]) != KG_PROPAGATION_BOTH)
			continue;
		kg_rule(f, path, kg_arena_printf(f->arena, "volumeMounts[%u].mountPropagation", i),
			"Forbidden: Bidirectional mount propagation is available only to "
			"privileged containers");
	}
}

static void validate_any(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	validate_propagation(f, v, path);
	kg_rule_unique(f, kg_get(v, "ports"), "name", kg_rule_path(f, path, "ports"), false);
}

void kg_validate_container(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	validate_any(f, v, path);
	if (!kg_is_null(kg_get(v, "restartPolicy")))
		kg_rule(f, path, "restartPolicy",
			"Forbidden: may not be set for non-init containers");
}

/* A sidecar (restartPolicy: Always) runs beside the containers, so it is held to their rules. */
void kg_validate_init_container(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	static const char *const running[] = {
		"livenessProbe", "readinessProbe", "startupProbe", "lifecycle"};

	validate_any(f, v, path);
	if (kg_container_is_sidecar(v))
		return;
	for (size_t i = 0; i < KG_ARRAY_LEN(running); i++) {
		if (!kg_is_null(kg_get(v, running[i])))
			kg_rule(f, path, running[i],
				"Forbidden: may not be set for init containers without "
				"restartPolicy=Always");
	}
}

void kg_validate_handler(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	if (kg_len(v) > 1)
		kg_rule(f, path, "", "Forbidden: may not specify more than 1 handler type");
	else if (!kg_len(v))
		kg_rule(f, path, "",
			"Required value: must specify a handler type: exec, httpGet or sleep");
}
