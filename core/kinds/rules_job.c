/* Rules of Job; limits and words are those of Kubernetes' batch validation. */
#include "kinds/tables.h"

#include <stdlib.h>

enum {
	INDEXED_MAX = 100000, /* parallelism and maxFailedIndexes of indexed Jobs */
	MANY_COMPLETIONS = 100000,
	MANY_MAX = 10000, /* the same where there are more completions than that */
	RULES_MAX = 20,
	EXIT_CODES_MAX = 255,
	INDEXES_TEXT_MAX = 64 * 1024,
	LABEL_MAX = 63,
};

/* ---- defaults ---- */

struct kg_value kg_default_job_spec(struct kg_arena *a, const struct kg_value *v)
{
	bool per_index = !kg_is_null(kg_get(v, "backoffLimitPerIndex"));
	bool policy = !kg_is_null(kg_get(v, "podFailurePolicy"));
	bool parallelism = !kg_is_null(kg_get(v, "parallelism"));
	struct kg_value out = *v;

	if (!parallelism && kg_is_null(kg_get(v, "completions")))
		out = kg_with(a, &out, "completions", kg_v_int(1));
	if (!parallelism)
		out = kg_with(a, &out, "parallelism", kg_v_int(1));
	if (kg_is_null(kg_get(v, "backoffLimit")))
		out = kg_with(a, &out, "backoffLimit", kg_v_int(per_index ? INT32_MAX : 6));
	if (kg_is_null(kg_get(v, "podReplacementPolicy")))
		out = kg_with(a, &out, "podReplacementPolicy",
			kg_v_lit(policy ? "Failed" : "TerminatingOrFailed"));
	return out;
}

struct kg_value kg_default_job(struct kg_arena *a, const struct kg_value *v)
{
	const struct kg_value *labels = kg_at(v, "spec.template.metadata.labels");

	if (!kg_len(labels) || kg_len(kg_at(v, "metadata.labels")))
		return *v;
	return kg_with(a, v, "metadata.labels", *labels);
}

/* ---- failure and success policies ---- */

static void too_many(struct kg_fault_list *f, const struct kg_value *v, uint32_t max,
	const char *path, const char *field)
{
	uint32_t n = kg_len(kg_at(v, field));

	if (n > max)
		kg_rule(f, path, field, "Too many: %u: must have at most %u items", n, max);
}

void kg_validate_exit_codes(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const struct kg_value *values = kg_get(v, "values");
	bool in = !strcmp(kg_string(kg_get(v, "operator"), ""), "In"), ordered = true;

	if (!kg_len(values))
		kg_rule(f, path, "values", "Invalid value: []: at least one value is required");
	too_many(f, v, EXIT_CODES_MAX, path, "values");
	for (uint32_t i = 0; i < kg_len(values); i++) {
		int64_t code = kg_int(&values->items[i], -1);
		const char *sub = kg_arena_printf(f->arena, "values[%u]", i);
		if (in && !code)
			kg_rule(f, path, sub,
				"Invalid value: 0: must not be 0 for the In operator");
		if (i && kg_int(&values->items[i - 1], -1) == code)
			kg_rule(f, path, sub, "Duplicate value: %lld", (long long)code);
		ordered &= !i || kg_int(&values->items[i - 1], -1) <= code;
	}
	if (!ordered)
		kg_rule_invalid(f, v, path, "values", "must be ordered");
}

void kg_validate_failure_rule(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	bool codes = !kg_is_null(kg_get(v, "onExitCodes"));
	bool conditions = kg_len(kg_get(v, "onPodConditions"));

	too_many(f, v, RULES_MAX, path, "onPodConditions");
	if (codes && conditions)
		kg_rule(f, path, "",
			"Invalid value: specifying both OnExitCodes and OnPodConditions is not "
			"supported");
	else if (!codes && !conditions)
		kg_rule(f, path, "",
			"Invalid value: specifying one of OnExitCodes and OnPodConditions is "
			"required");
}

static bool has_container(const struct kg_value *spec, const char *name)
{
	return !kg_is_null(kg_find(kg_at(spec, "template.spec.containers"), "name", name)) ||
	       !kg_is_null(kg_find(kg_at(spec, "template.spec.initContainers"), "name", name));
}

static void validate_failure_policy(
	struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const struct kg_value *rules = kg_at(v, "podFailurePolicy.rules");

	too_many(f, v, RULES_MAX, path, "podFailurePolicy.rules");
	for (uint32_t i = 0; i < kg_len(rules); i++) {
		const char *rule = kg_rule_path(f, path, "podFailurePolicy.rules[%u]", i);
		const struct kg_value *name = kg_at(&rules->items[i], "onExitCodes.containerName");
		if (!strcmp(kg_string(kg_get(&rules->items[i], "action"), ""), "FailIndex") &&
			kg_is_null(kg_get(v, "backoffLimitPerIndex")))
			kg_rule(f, rule, "action",
				"Invalid value: \"FailIndex\": requires the backoffLimitPerIndex "
				"to be set");
		if (!kg_is_null(name) && !has_container(v, kg_string(name, "")))
			kg_rule_invalid(f, &rules->items[i], rule, "onExitCodes.containerName",
				"must be one of the container or initContainer names in the pod "
				"template");
	}
}

void kg_validate_success_rule(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	if (kg_is_null(kg_get(v, "succeededIndexes")) && kg_is_null(kg_get(v, "succeededCount")))
		kg_rule(f, path, "",
			"Required value: at least one of succeededCount or succeededIndexes must "
			"be specified");
}

/* "0,2-5": ascending, below completions. Counts them; NULL, or what is wrong. */
static const char *read_indexes(
	struct kg_arena *a, int64_t *count, const char *text, int64_t completions)
{
	int64_t last = -1;

	*count = 0;
	if (strlen(text) > INDEXES_TEXT_MAX)
		return "must have at most 65536 bytes";
	for (const char *p = text;; p++) {
		size_t n = strspn(p, "0123456789");
		int64_t first = n && n < 10 ? strtoll(p, NULL, 10) : -1, end = first;
		p += n;
		if (first >= 0 && *p == '-') {
			n = strspn(++p, "0123456789");
			end = n && n < 10 ? strtoll(p, NULL, 10) : -1;
			p += n;
		}
		if (first < 0 || end < first || (*p && *p != ','))
			return "must be indexes and ranges of them, joined by commas (e.g. 0,2-5)";
		if (first <= last)
			return kg_arena_printf(a,
				"non-increasing order, previous: %lld, current: %lld",
				(long long)last, (long long)first);
		if (end >= completions)
			return kg_arena_printf(a, "too large index: \"%lld\"", (long long)end);
		*count += end - first + 1;
		last = end;
		if (!*p)
			return NULL;
	}
}

static void validate_success_policy(
	struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const struct kg_value *rules = kg_at(v, "successPolicy.rules");
	int64_t completions = kg_int(kg_get(v, "completions"), INT32_MAX), n;

	too_many(f, v, RULES_MAX, path, "successPolicy.rules");
	for (uint32_t i = 0; i < kg_len(rules); i++) {
		const char *rule = kg_rule_path(f, path, "successPolicy.rules[%u]", i);
		const struct kg_value *indexes = kg_get(&rules->items[i], "succeededIndexes");
		int64_t wanted = kg_int(kg_get(&rules->items[i], "succeededCount"), 0);
		const char *msg = NULL;
		if (!kg_is_null(indexes))
			msg = read_indexes(f->arena, &n, kg_string(indexes, ""), completions);
		if (msg)
			kg_rule(f, rule, "succeededIndexes",
				"Invalid value: %s: error parsing succeededIndexes: %s",
				kg_rule_show(f->arena, indexes), msg);
		else if (!kg_is_null(indexes) && wanted > n)
			kg_rule(f, rule, "succeededCount",
				"Invalid value: %lld: must be less than or equal to %lld (the "
				"number of indexes in the specified succeededIndexes field)",
				(long long)wanted, (long long)n);
		else if (wanted > completions)
			kg_rule(f, rule, "succeededCount",
				"Invalid value: %lld: must be less than or equal to %lld (the "
				"number of specified completions)",
				(long long)wanted, (long long)completions);
	}
}

/* ---- Job ---- */

static void too_large(struct kg_fault_list *f, const struct kg_value *v, int64_t max,
	const char *path, const char *field, const char *when)
{
	const struct kg_value *n = kg_get(v, field);

	if (kg_int(n, 0) > max)
		kg_rule(f, path, field, "Invalid value: %lld: must be less than or equal to %lld%s",
			(long long)n->i, (long long)max, when);
}

static void validate_indexed(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	static const char when[] =
		" when completions are above 100000 and used with backoff limit per index";
	const struct kg_value *completions = kg_get(v, "completions");
	const struct kg_value *failed = kg_get(v, "maxFailedIndexes");

	if (kg_is_null(completions))
		kg_rule(f, path, "completions", "Required value: when completion mode is Indexed");
	too_large(f, v, INDEXED_MAX, path, "parallelism", " when completion mode is Indexed");
	too_large(f, v, INDEXED_MAX, path, "maxFailedIndexes", "");
	if (kg_int(failed, 0) > kg_int(completions, INT64_MAX))
		kg_rule_invalid(f, v, path, "maxFailedIndexes",
			"must be less than or equal to completions");
	if (kg_int(completions, 0) <= MANY_COMPLETIONS ||
		kg_is_null(kg_get(v, "backoffLimitPerIndex")))
		return;
	if (kg_is_null(failed))
		kg_rule(f, path, "maxFailedIndexes",
			"Required value: must be specified when completions is above %d",
			MANY_COMPLETIONS);
	too_large(f, v, MANY_MAX, path, "parallelism", when);
	too_large(f, v, MANY_MAX, path, "maxFailedIndexes", when);
}

static void validate_restart_policy(
	struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	static const char at[] = "template.spec.restartPolicy";
	const char *policy = kg_string(kg_at(v, at), "Never");

	if (!strcmp(policy, "Always"))
		kg_rule(f, path, at, "Required value: valid values: \"OnFailure\", \"Never\"");
	if (strcmp(policy, "OnFailure") != 0)
		return;
	if (!kg_is_null(kg_get(v, "podFailurePolicy")))
		kg_rule_invalid(f, v, path, at,
			"only \"Never\" is supported when podFailurePolicy is specified");
	if (!kg_is_null(kg_get(v, "backoffLimitPerIndex")))
		kg_rule_invalid(f, v, path, at,
			"only \"Never\" is supported when backoffLimitPerIndex is specified");
}

static void validate_common(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	static const char *const indexed_only[] = {
		"backoffLimitPerIndex", "maxFailedIndexes", "successPolicy"};
	bool indexed = !strcmp(kg_string(kg_get(v, "completionMode"), ""), "Indexed");

	if (indexed)
		validate_indexed(f, v, path);
	for (size_t i = 0; !indexed && i < KG_ARRAY_LEN(indexed_only); i++)
		kg_rule_invalid(f, v, path, indexed_only[i], "requires indexed completion mode");
	if (!kg_is_null(kg_get(v, "maxFailedIndexes")) &&
		kg_is_null(kg_get(v, "backoffLimitPerIndex")))
		kg_rule(f, path, "backoffLimitPerIndex",
			"Required value: when maxFailedIndexes is specified");
	validate_failure_policy(f, v, path);
	validate_success_policy(f, v, path);
	validate_restart_policy(f, v, path);
	if (!kg_is_null(kg_get(v, "podFailurePolicy")) &&
		strcmp(kg_string(kg_get(v, "podReplacementPolicy"), "Failed"), "Failed") != 0)
		kg_rule(f, path, "podReplacementPolicy",
			"Unsupported value: \"TerminatingOrFailed\": supported values: \"Failed\" "
			"when podFailurePolicy is specified");
}

void kg_validate_job_spec(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	validate_common(f, v, path);
	if (kg_bool(kg_get(v, "manualSelector"), false)) {
		if (kg_is_null(kg_get(v, "selector")))
			kg_rule(f, path, "selector", "Required value: when manualSelector is true");
		kg_rule_selects_template(f, v, path, "job");
	} else if (!kg_is_null(kg_get(v, "selector"))) {
		kg_rule_invalid(f, v, path, "selector",
			"`selector` not auto-generated: leave it out, or set manualSelector");
	}
}

void kg_validate_cronjob_job_spec(
	struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	validate_common(f, v, path);
	kg_rule_invalid(f, v, path, "selector", "`selector` will be auto-generated");
	if (kg_bool(kg_get(v, "manualSelector"), false))
		kg_rule(f, path, "manualSelector",
			"Unsupported value: true: supported values: \"nil\", \"false\"");
}

void kg_validate_job(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const struct kg_value *spec = kg_get(v, "spec");
	const struct kg_value *name = kg_at(v, "metadata.name");
	int64_t completions = kg_int(kg_get(spec, "completions"), 0);

	kg_rule_object_meta(f, v, path, kg_check_dns_subdomain);
	if (kg_is_null(name))
		return;
	if (strlen(name->s) > LABEL_MAX && !kg_bool(kg_get(spec, "manualSelector"), false))
		kg_rule_invalid(f, v, path, "metadata.name",
			"must be no more than 63 characters: it is the value of a label");
	if (strcmp(kg_string(kg_get(spec, "completionMode"), ""), "Indexed") != 0 ||
		completions < 1)
		return;
	struct kg_value host = kg_v_strf(f->arena, "%s-%lld", name->s, (long long)completions - 1);
	if (kg_check_dns_label(f->arena, &host))
		kg_rule_invalid(f, v, path, "metadata.name",
			kg_arena_printf(f->arena,
				"will not able to create pod with invalid DNS label: %s", host.s));
}

/* The containers of a list without what they ask for. */
static struct kg_value without_resources(
	struct kg_arena *a, const struct kg_value *template, const char *list)
{
	const struct kg_value *old = kg_at(template, list);
	struct kg_value *items = kg_arena_alloc(a, (kg_len(old) + 1) * sizeof(*items));

	for (uint32_t i = 0; i < kg_len(old); i++)
		items[i] = kg_with_key(a, &old->items[i], "resources", kg_v_null());
	return kg_len(old) ? kg_with(a, template, list, kg_v_array(a, items, kg_len(old)))
			   : *template;
}

/* What the scheduler goes by, and what containers ask for, may change while there are no pods. */
static struct kg_value without_directives(struct kg_arena *a, const struct kg_value *template)
{
	static const char *const open[] = {"metadata.labels", "metadata.annotations",
		"spec.nodeSelector", "spec.tolerations", "spec.schedulingGates",
		"spec.affinity.nodeAffinity"};
	struct kg_value out = *template;

	for (size_t i = 0; i < KG_ARRAY_LEN(open); i++) {
		if (!kg_is_null(kg_at(&out, open[i])))
			out = kg_with(a, &out, open[i], kg_v_null());
	}
	out = without_resources(a, &out, "spec.initContainers");
	out = without_resources(a, &out, "spec.containers");
	if (!kg_len(kg_at(&out, "spec.affinity")))
		out = kg_with(a, &out, "spec.affinity", kg_v_null());
	if (!kg_len(kg_get(&out, "metadata")))
		out = kg_with(a, &out, "metadata", kg_v_null());
	return out;
}

void kg_update_job_spec(struct kg_fault_list *f, const struct kg_value *before,
	const struct kg_value *after, const char *path)
{
	static const char *const fixed[] = {"selector", "completionMode", "podFailurePolicy",
		"successPolicy", "backoffLimitPerIndex", "managedBy"};
	const struct kg_value *completions = kg_get(after, "completions");
	bool indexed = !strcmp(kg_string(kg_get(after, "completionMode"), ""), "Indexed");

	for (size_t i = 0; i < KG_ARRAY_LEN(fixed); i++)
		kg_rule_immutable(f, before, after, path, fixed[i]);
	if (!indexed)
		kg_rule_immutable(f, before, after, path, "completions");
	else if (!kg_equal(kg_get(before, "completions"), completions) &&
		 !kg_equal(completions, kg_get(after, "parallelism")))
		kg_rule_invalid(f, after, path, "completions",
			"can only be modified in tandem with spec.parallelism");
	if (!kg_bool(kg_get(before, "suspend"), false)) {
		kg_rule_immutable_part(f, before, after, path, "template");
		return;
	}
	struct kg_value was = without_directives(f->arena, kg_get(before, "template"));
	struct kg_value now = without_directives(f->arena, kg_get(after, "template"));
	struct kg_value old = kg_v_obj(f->arena, "template", was, (char *)NULL);
	struct kg_value new = kg_v_obj(f->arena, "template", now, (char *)NULL);
	kg_rule_immutable_part(f, &old, &new, path, "template");
}
