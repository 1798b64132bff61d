/* Rules of Deployment and ReplicaSet. */
#include "kinds/tables.h"

static void validate_template(
	struct kg_fault_list *f, const struct kg_value *spec, const char *path, const char *kind)
{
	const struct kg_value *pod = kg_at(spec, "template.spec");
	const struct kg_value *restart = kg_get(pod, "restartPolicy");
	const char *policy = kg_string(restart, "");

	kg_rule_selects_template(f, spec, path, kind);
	if (!strcmp(policy, "OnFailure") || !strcmp(policy, "Never"))
		kg_rule(f, path, "template.spec.restartPolicy",
			"Unsupported value: %s: supported values: \"Always\"",
			kg_rule_show(f->arena, restart));
	if (!kg_is_null(kg_get(pod, "activeDeadlineSeconds")))
		kg_rule(f, path, "template.spec.activeDeadlineSeconds",
			"Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported");
}

/* The number of a value such as 2 or "25%"; *percent says which. */
static int64_t amount(const struct kg_value *v, bool *percent)
{
	*percent = v->type == KG_STRING;
	return *percent ? strtoll(v->s, NULL, 10) : kg_int(v, -1);
}

void kg_validate_deployment_strategy(
	struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const struct kg_value *rolling = kg_get(v, "rollingUpdate");
	const struct kg_value *unavailable = kg_get(rolling, "maxUnavailable");
	bool percent, ignored;

	if (!strcmp(kg_string(kg_get(v, "type"), ""), "Recreate")) {
		if (!kg_is_null(rolling))
			kg_rule(f, path, "rollingUpdate",
				"Forbidden: may not be specified when strategy `type` is "
				"'Recreate'");
		return;
	}
	int64_t missing = amount(unavailable, &percent);
	if (!missing && !amount(kg_get(rolling, "maxSurge"), &ignored))
		kg_rule(f, path, "rollingUpdate.maxUnavailable",
			"Invalid value: %s: may not be 0 when `maxSurge` is 0",
			kg_rule_show(f->arena, unavailable));
	if (percent && missing > 100)
		kg_rule(f, path, "rollingUpdate.maxUnavailable",
			"Invalid value: %s: must not be greater than 100%%",
			kg_rule_show(f->arena, unavailable));
}

void kg_validate_deployment_spec(
	struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	int64_t deadline = kg_int(kg_get(v, "progressDeadlineSeconds"), INT64_MAX);

	validate_template(f, v, path, "deployment");
	if (deadline <= kg_int(kg_get(v, "minReadySeconds"), 0))
		kg_rule(f, path, "progressDeadlineSeconds",
			"Invalid value: %lld: must be greater than minReadySeconds",
			(long long)deadline);
}

void kg_validate_deployment(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	kg_rule_object_meta(f, v, path, kg_check_dns_subdomain);
}

void kg_validate_replicaset_spec(
	struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	validate_template(f, v, path, "replicaset");
}

void kg_validate_replicaset(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	kg_rule_object_meta(f, v, path, kg_check_dns_subdomain);
}
