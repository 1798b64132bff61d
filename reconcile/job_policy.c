/* podFailurePolicy and successPolicy. */
#include "reconcile/job.h"

#include <string.h>

static bool has_code(const struct kg_value *values, int64_t code)
{
	for (uint32_t i = 0; i < kg_len(values); i++)
		if (kg_int(&values->items[i], -1) == code)
			return true;
	return false;
}

/* The status of the first container that failed as the rule says, or &kg_null. */
static const struct kg_value *match_codes(
	const struct kg_value *rule, const struct kg_object *pod, int64_t *code)
{
	static const char *const lists[] = {
		"status.containerStatuses", "status.initContainerStatuses"};
	const char *only = kg_string(kg_get(rule, "containerName"), NULL);
	bool in = strcmp(kg_string(kg_get(rule, "operator"), ""), "In") == 0;
	for (size_t l = 0; l < KG_ARRAY_LEN(lists); l++) {
		const struct kg_value *list = kg_at(kg_obj(pod), lists[l]);
		for (uint32_t i = 0; i < kg_len(list); i++) {
			const struct kg_value *c = &list->items[i];
			const char *name = kg_string(kg_get(c, "name"), "");
			*code = kg_int(kg_at(c, "state.terminated.exitCode"), 0);
			if (*code != 0 && (!only || strcmp(only, name) == 0) &&
				has_code(kg_get(rule, "values"), *code) == in)
				return c;
		}
	}
	return &kg_null;
}

static const struct kg_value *match_conditions(
	const struct kg_value *patterns, const struct kg_object *pod)
{
	for (uint32_t i = 0; i < kg_len(patterns); i++) {
		const struct kg_value *c = kg_condition(kg_get(kg_obj(pod), "status"),
			kg_string(kg_get(&patterns->items[i], "type"), ""));
		if (strcmp(kg_string(kg_get(c, "status"), ""),
			    kg_string(kg_get(&patterns->items[i], "status"), "True")) == 0)
			return c;
	}
	return &kg_null;
}

static enum kg_pod_failure action_of(const struct kg_value *rule)
{
	const char *s = kg_string(kg_get(rule, "action"), "");
	return strcmp(s, "FailJob") == 0     ? KG_FAILURE_JOB
	       : strcmp(s, "FailIndex") == 0 ? KG_FAILURE_INDEX
	       : strcmp(s, "Ignore") == 0    ? KG_FAILURE_IGNORE
					     : KG_FAILURE_COUNT;
}

enum kg_pod_failure kg_job_failure(
	struct kg_job_sync *x, const struct kg_object *pod, const char **message)
{
	struct kg_arena *a = &x->r->a;
	const struct kg_value *rules = kg_at(x->spec, "podFailurePolicy.rules");
	for (uint32_t i = 0; i < kg_len(rules); i++) {
		const struct kg_value *rule = &rules->items[i], *found;
		const char *action = kg_string(kg_get(rule, "action"), "");
		int64_t code = 0;
		if (!kg_is_null(kg_get(rule, "onExitCodes"))) {
			found = match_codes(kg_get(rule, "onExitCodes"), pod, &code);
			if (!kg_is_null(found))
				*message = kg_arena_printf(a,
					"Container %s for pod %s/%s failed with exit code %lld "
					"matching %s rule at index %u",
					kg_string(kg_get(found, "name"), ""), pod->ns, pod->name,
					(long long)code, action, i);
		} else {
			found = match_conditions(kg_get(rule, "onPodConditions"), pod);
			if (!kg_is_null(found))
				*message = kg_arena_printf(a,
					"Pod %s/%s has condition %s matching %s rule at index %u",
					pod->ns, pod->name, kg_string(kg_get(found, "type"), ""),
					action, i);
		}
		if (!kg_is_null(found))
			return action_of(rule);
	}
	return KG_FAILURE_COUNT;
}

int kg_job_success(const struct kg_job_sync *x)
{
	const struct kg_value *rules = kg_at(x->spec, "successPolicy.rules");
	for (uint32_t i = 0; i < kg_len(rules); i++) {
		const struct kg_value *rule = &rules->items[i];
		const char *text = kg_string(kg_get(rule, "succeededIndexes"), NULL);
		int64_t have = kg_indexes_count(&x->done), all = 0;
		if (text) {
			KG_CLEANUP(kg_indexes_release) struct kg_indexes want = {0};
			kg_indexes_parse(&want, text, x->completions);
			all = kg_indexes_count(&want);
			have = kg_indexes_common(&want, &x->done);
		}
		if (have > 0 && have >= kg_int(kg_get(rule, "succeededCount"), all))
			return (int)i;
	}
	return -1;
}
