/* Rules of Deployment, ReplicaSet and ReplicationController, and what workloads share. */
#include "kinds/object.h"
#include "kinds/tables.h"

#include <stdlib.h>

static void kept_running(
	struct kg_fault_list *f, const struct kg_value *spec, const char *path, const char *kind)
{
	const struct kg_value *pod = kg_at(spec, "template.spec");
	const struct kg_value *restart = kg_get(pod, "restartPolicy");
	const char *policy = kg_string(restart, "");

	if (!strcmp(policy, "OnFailure") || !strcmp(policy, "Never"))
		kg_rule(f, path, "template.spec.restartPolicy",
			"Unsupported value: %s: supported values: \"Always\"",
			kg_rule_show(f->arena, restart));
	if (!kg_is_null(kg_get(pod, "activeDeadlineSeconds")))
		kg_rule(f, path, "template.spec.activeDeadlineSeconds",
			"Forbidden: activeDeadlineSeconds in %s is not Supported", kind);
}

void kg_rule_workload_template(struct kg_fault_list *f, const struct kg_value *spec,
	const char *path, const char *lower, const char *kind)
{
	kg_rule_selects_template(f, spec, path, lower);
	kept_running(f, spec, path, kind);
}

int64_t kg_rule_amount(const struct kg_value *v, bool *percent)
{
	*percent = v->type == KG_STRING;
	return *percent ? strtoll(v->s, NULL, 10) : kg_int(v, -1);
}

void kg_rule_at_most_all(
	struct kg_fault_list *f, const struct kg_value *v, const char *path, const char *sub)
{
	bool percent;

	if (kg_rule_amount(v, &percent) > 100 && percent)
		kg_rule(f, path, sub, "Invalid value: %s: must not be greater than 100%%",
			kg_rule_show(f->arena, v));
}

void kg_rule_invalid(struct kg_fault_list *f, const struct kg_value *v, const char *path,
	const char *field, const char *msg)
{
	const struct kg_value *value = kg_at(v, field);

	if (!kg_is_null(value))
		kg_rule(f, path, field, "Invalid value: %s: %s", kg_rule_show(f->arena, value),
			msg);
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
	int64_t missing = kg_rule_amount(unavailable, &percent);
	if (!missing && !kg_rule_amount(kg_get(rolling, "maxSurge"), &ignored))
		kg_rule(f, path, "rollingUpdate.maxUnavailable",
			"Invalid value: %s: may not be 0 when `maxSurge` is 0",
			kg_rule_show(f->arena, unavailable));
	kg_rule_at_most_all(f, unavailable, path, "rollingUpdate.maxUnavailable");
}

void kg_validate_deployment_spec(
	struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	int64_t deadline = kg_int(kg_get(v, "progressDeadlineSeconds"), INT64_MAX);

	kg_rule_workload_template(f, v, path, "deployment", "ReplicaSet");
	if (deadline <= kg_int(kg_get(v, "minReadySeconds"), 0))
		kg_rule(f, path, "progressDeadlineSeconds",
			"Invalid value: %lld: must be greater than minReadySeconds",
			(long long)deadline);
}

void kg_validate_replicaset_spec(
	struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	kg_rule_workload_template(f, v, path, "replicaset", "ReplicaSet");
}

/* ---- ReplicationController: its selector is a plain map ---- */

struct kg_value kg_default_replicationcontroller(struct kg_arena *a, const struct kg_value *v)
{
	const struct kg_value *labels = kg_at(v, "spec.template.metadata.labels");
	struct kg_value out = *v;

	if (!kg_len(labels))
		return out;
	if (kg_is_null(kg_at(v, "spec.selector")))
		out = kg_with(a, &out, "spec.selector", *labels);
	if (kg_is_null(kg_at(v, "metadata.labels")))
		out = kg_with(a, &out, "metadata.labels", *labels);
	return out;
}

/* The selector's default is the object's, not the spec's: an absent one is no fault here unless
 * there are no labels to take. */
void kg_validate_replicationcontroller_spec(
	struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const struct kg_value *labels = kg_at(v, "template.metadata.labels");
	const struct kg_value *selector = kg_get(v, "selector");

	kept_running(f, v, path, "ReplicationController");
	if (kg_is_null(selector) && !kg_len(labels))
		kg_rule(f, path, "selector",
			"Required value: or labels in the template, which it is made of");
	else if (!kg_labels_match_map(selector, labels))
		kg_rule(f, path, "template.metadata.labels",
			"Invalid value: %s: `selector` does not match template `labels`; it asks "
			"for %s",
			kg_rule_show(f->arena, labels), kg_rule_show(f->arena, selector));
}

void kg_validate_any_named(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	kg_rule_object_meta(f, v, path, kg_check_dns_subdomain);
}
