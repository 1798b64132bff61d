/* Rules of PriorityClass, ResourceQuota and LimitRange. */
#include "base/quantity.h"
#include "kinds/amount.h"
#include "kinds/tables.h"

enum { PRIORITY_MAX = 1000000000 };

/* ---- PriorityClass ---- */

void kg_validate_priorityclass(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const char *name = kg_string(kg_at(v, "metadata.name"), "");

	kg_rule_object_meta(f, v, path, kg_check_dns_subdomain);
	if (!strncmp(name, "system-", 7))
		kg_rule(f, path, "metadata.name",
			"Forbidden: priority class names with 'system-' prefix are reserved for "
			"system use only");
	if (kg_int(kg_get(v, "value"), 0) > PRIORITY_MAX)
		kg_rule(f, path, "value",
			"Forbidden: maximum allowed value of a user defined priority is %d",
			PRIORITY_MAX);
}

void kg_update_priorityclass(struct kg_fault_list *f, const struct kg_value *before,
	const struct kg_value *after, const char *path)
{
	if (!kg_equal(kg_get(before, "value"), kg_get(after, "value")))
		kg_rule(f, path, "value", "Forbidden: may not be changed in an update.");
	kg_rule_immutable(f, before, after, path, "preemptionPolicy");
}

/* ---- ResourceQuota ---- */

static const char *const counted[] = {"pods", "services", "services.nodeports",
	"services.loadbalancers", "replicationcontrollers", "resourcequotas", "secrets",
	"configmaps", "persistentvolumeclaims", NULL};
static const char *const compute[] = {"cpu", "memory", "ephemeral-storage", "storage",
	"requests.cpu", "requests.memory", "requests.storage", "requests.ephemeral-storage",
	"limits.cpu", "limits.memory", "limits.ephemeral-storage", NULL};

const char *kg_check_quota_resource(struct kg_arena *a, const struct kg_value *v)
{
	const char *s = kg_string(v, ""), *huge = s;

	if (strchr(s, '/'))
		return kg_check_label_key(a, v);
	if (!strncmp(huge, "requests.", 9))
		huge += 9;
	if (kg_rule_one_of(s, counted) || kg_rule_one_of(s, compute) || kg_rule_is_huge_pages(huge))
		return NULL;
	return "must be a standard resource for quota (e.g. pods, requests.cpu, limits.memory, "
	       "persistentvolumeclaims) or fully qualified (e.g. 'count/deployments.apps')";
}

void kg_validate_scope_requirement(
	struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const char *scope = kg_string(kg_get(v, "scopeName"), "PriorityClass");
	const char *op = kg_string(kg_get(v, "operator"), "");
	bool in = !strcmp(op, "In") || !strcmp(op, "NotIn");
	uint32_t n = kg_len(kg_get(v, "values"));

	if (strcmp(scope, "PriorityClass") != 0 && (in || !strcmp(op, "DoesNotExist")))
		kg_rule_invalid(f, v, path, "operator",
			"must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, "
			"ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, "
			"ResourceQuotaScopeNotBestEffort or "
			"ResourceQuotaScopeCrossNamespacePodAffinity");
	if (in && !n)
		kg_rule(f, path, "values",
			"Required value: must be at least one value when `operator` is 'In' or "
			"'NotIn' for scope selector");
	else if (n && (!strcmp(op, "Exists") || !strcmp(op, "DoesNotExist")))
		kg_rule_invalid(f, v, path, "values",
			"must be no value when `operator` is 'Exists' or 'DoesNotExist' for scope "
			"selector");
}

/* Of the standard resources a scope goes with those of pods alone, BestEffort with their number. */
static bool goes_with(const char *scope, const char *resource)
{
	static const char *const of_pods[] = {"cpu", "memory", "requests.cpu", "requests.memory",
		"limits.cpu", "limits.memory", NULL};
	bool standard = kg_rule_one_of(resource, counted) || kg_rule_one_of(resource, compute) ||
			strstr(resource, KG_HUGEPAGES);

	return !standard || !strcmp(resource, "pods") ||
	       (strcmp(scope, "BestEffort") != 0 && kg_rule_one_of(resource, of_pods));
}

struct scopes {
	struct kg_fault_list *f;
	const char *path, *field;
	const struct kg_value *hard;
	bool best, not_best, ends, goes_on;
};

static void look_at_scope(struct scopes *x, const char *scope)
{
	x->best |= !strcmp(scope, "BestEffort");
	x->not_best |= !strcmp(scope, "NotBestEffort");
	x->ends |= !strcmp(scope, "Terminating");
	x->goes_on |= !strcmp(scope, "NotTerminating");
	for (uint32_t i = 0; i < kg_len(x->hard); i++) {
		const char *resource = x->hard->members[i].key;
		if (!goes_with(scope, resource))
			kg_rule(x->f, x->path, x->field,
				"Invalid value: \"%s\": unsupported scope applied to resource %s: "
				"only %s are counted by it",
				scope, resource,
				strcmp(scope, "BestEffort") ? "pods, their cpu and memory"
							    : "pods");
	}
}

static void judge_scopes(const struct scopes *x)
{
	if ((x->best && x->not_best) || (x->ends && x->goes_on))
		kg_rule(x->f, x->path, x->field, "Invalid value: conflicting scopes: nothing is %s",
			x->best && x->not_best ? "both BestEffort and NotBestEffort"
					       : "both Terminating and NotTerminating");
}

static void validate_scopes(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const struct kg_value *list = kg_get(v, "scopes"), *hard = kg_get(v, "hard");
	const struct kg_value *terms = kg_at(v, "scopeSelector.matchExpressions");
	struct scopes plain = {.f = f, .path = path, .field = "scopes", .hard = hard};
	struct scopes chosen = {.f = f, .path = path, .hard = hard};

	for (uint32_t i = 0; i < kg_len(list); i++)
		look_at_scope(&plain, kg_string(&list->items[i], ""));
	judge_scopes(&plain);
	for (uint32_t i = 0; i < kg_len(terms); i++) {
		chosen.field = kg_arena_printf(
			f->arena, "scopeSelector.matchExpressions[%u].scopeName", i);
		look_at_scope(&chosen, kg_string(kg_get(&terms->items[i], "scopeName"), ""));
	}
	chosen.field = "scopeSelector.matchExpressions";
	judge_scopes(&chosen);
}

void kg_validate_quota_spec(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const struct kg_value *hard = kg_get(v, "hard");

	for (uint32_t i = 0; i < kg_len(hard); i++) {
		const struct kg_member *m = &hard->members[i];
		int64_t milli;
		if (kg_rule_one_of(m->key, compute) ||
			kg_quantity_milli(&milli, kg_string(&m->value, "")) || !(milli % 1000))
			continue;
		kg_rule(f, path, kg_arena_printf(f->arena, "hard[%s]", m->key),
			"Invalid value: \"%s\": must be an integer", m->value.s);
	}
	validate_scopes(f, v, path);
}

/* ---- LimitRange ---- */

const char *kg_check_limit_resource(struct kg_arena *a, const struct kg_value *v)
{
	return strcmp(kg_string(v, ""), "storage") ? kg_check_resource_name(a, v) : NULL;
}

static struct kg_value fill(
	struct kg_arena *a, const struct kg_value *to, const struct kg_value *from)
{
	struct kg_value out = *to;

	for (uint32_t i = 0; i < kg_len(from); i++) {
		if (kg_is_null(kg_get(&out, from->members[i].key)))
			out = kg_with_key(a, &out, from->members[i].key, from->members[i].value);
	}
	return out;
}

struct kg_value kg_default_limit(struct kg_arena *a, const struct kg_value *v)
{
	if (strcmp(kg_string(kg_get(v, "type"), ""), "Container") != 0)
		return *v;
	struct kg_value limits = fill(a, kg_get(v, "default"), kg_get(v, "max"));
	struct kg_value requests = fill(a, kg_get(v, "defaultRequest"), &limits);
	requests = fill(a, &requests, kg_get(v, "min"));
	struct kg_value out = kg_with(a, v, "default", limits);
	return kg_with(a, &out, "defaultRequest", requests);
}

/* One resource's bound must not be more than another's. */
static void in_order(struct kg_fault_list *f, const struct kg_value *v, const char *path,
	const char *low, const char *low_name, const char *high, const char *high_name)
{
	const struct kg_value *lows = kg_get(v, low), *highs = kg_get(v, high);

	for (uint32_t i = 0; i < kg_len(lows); i++) {
		const struct kg_member *m = &lows->members[i];
		const struct kg_value *other = kg_get(highs, m->key);
		int64_t less, more;
		if (kg_quantity_milli(&less, kg_string(&m->value, "")) ||
			kg_quantity_milli(&more, kg_string(other, "")) || less <= more)
			continue;
		kg_rule(f, path, kg_arena_printf(f->arena, "%s[%s]", low, m->key),
			"Invalid value: \"%s\": %s value %s is greater than %s value %s",
			m->value.s, low_name, m->value.s, high_name, other->s);
	}
}

static void validate_ratio(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const struct kg_value *ratios = kg_get(v, "maxLimitRequestRatio");

	for (uint32_t i = 0; i < kg_len(ratios); i++) {
		const struct kg_member *m = &ratios->members[i];
		const char *sub = kg_arena_printf(f->arena, "maxLimitRequestRatio[%s]", m->key);
		int64_t ratio, max, min;
		if (kg_quantity_milli(&ratio, kg_string(&m->value, "")))
			continue;
		if (ratio < 1000)
			kg_rule(f, path, sub, "Invalid value: \"%s\": ratio %s is less than 1",
				m->value.s, m->value.s);
		if (!kg_quantity_milli(&max, kg_string(kg_get(kg_get(v, "max"), m->key), "")) &&
			!kg_quantity_milli(&min, kg_string(kg_get(kg_get(v, "min"), m->key), "")) &&
			min > 0 && (double)ratio / 1000 > (double)max / (double)min)
			kg_rule(f, path, sub,
				"Invalid value: \"%s\": ratio %s is greater than max/min = %f",
				m->value.s, m->value.s, (double)max / (double)min);
	}
}

void kg_validate_limit(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	static const char *const containers_only[] = {"default", "defaultRequest"};
	const char *type = kg_string(kg_get(v, "type"), "");

	for (size_t i = 0; !strcmp(type, "Pod") && i < KG_ARRAY_LEN(containers_only); i++) {
		if (!kg_is_null(kg_get(v, containers_only[i])))
			kg_rule(f, path, containers_only[i],
				"Forbidden: may not be specified when `type` is 'Pod'");
	}
	if (!strcmp(type, "PersistentVolumeClaim") && kg_is_null(kg_at(v, "min.storage")) &&
		kg_is_null(kg_at(v, "max.storage")))
		kg_rule(f, path, "",
			"Required value: either minimum or maximum storage value is required, but "
			"neither was provided");
	in_order(f, v, path, "min", "min", "max", "max");
	in_order(f, v, path, "min", "min", "defaultRequest", "default request");
	in_order(f, v, path, "defaultRequest", "default request", "max", "max");
	in_order(f, v, path, "defaultRequest", "default request", "default", "default limit");
	in_order(f, v, path, "min", "min", "default", "default");
	in_order(f, v, path, "default", "default", "max", "max");
	validate_ratio(f, v, path);
}
