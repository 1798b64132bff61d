/* What of a pod's spec may change once it exists: images, activeDeadlineSeconds (set or shortened)
 * and tolerations (added, or their tolerationSeconds); while gates keep it from being scheduled,
 * also where it may go, as long as that only becomes narrower. All else makes another pod. */
#include "kinds/tables.h"

#include <stdio.h>

static void forbidden(struct kg_fault_list *f, const char *path, const char *sub)
{
	kg_rule(f, path, sub,
		"Forbidden: pod updates may not change fields other than "
		"`spec.containers[*].image`, `spec.initContainers[*].image`, "
		"`spec.activeDeadlineSeconds`, `spec.tolerations` (only additions to existing "
		"tolerations); a pod of another name can have it");
}

static bool image_changes(const struct kg_value *before, const struct kg_value *after)
{
	return !kg_equal(kg_get(before, "image"), kg_get(after, "image"));
}

/* Calls for each key of either object whose members differ. */
static void diff_members(struct kg_fault_list *f, const struct kg_value *before,
	const struct kg_value *after, const char *path,
	bool (*allowed)(
		const char *key, const struct kg_value *before, const struct kg_value *after))
{
	for (uint32_t i = 0; i < kg_len(after); i++) {
		const struct kg_member *m = &after->members[i];
		if (!kg_equal(kg_get(before, m->key), &m->value) && !allowed(m->key, before, after))
			forbidden(f, path, m->key);
	}
	for (uint32_t i = 0; i < kg_len(before); i++) {
		const char *key = before->members[i].key;
		if (kg_is_null(kg_get(after, key)) && !allowed(key, before, after))
			forbidden(f, path, key);
	}
}

static bool container_allows(
	const char *key, const struct kg_value *before, const struct kg_value *after)
{
	/* The policy's default goes by the image's tag. */
	return !strcmp(key, "image") ||
	       (!strcmp(key, "imagePullPolicy") && image_changes(before, after));
}

static bool spec_allows(
	const char *key, const struct kg_value *before, const struct kg_value *after)
{
	static const char *const judged_apart[] = {"containers", "initContainers", "tolerations",
		"activeDeadlineSeconds", "schedulingGates", NULL};

	if (kg_len(kg_get(before, "schedulingGates")) &&
		(!strcmp(key, "nodeSelector") || !strcmp(key, "affinity")))
		return true; /* judged apart, too */
	/* The scheduler's binding is not the manifest's to take back. */
	return kg_rule_one_of(key, judged_apart) ||
	       (!strcmp(key, "nodeName") && kg_is_null(kg_get(after, key)));
}

static void update_containers(struct kg_fault_list *f, const struct kg_value *before,
	const struct kg_value *after, const char *path, const char *list)
{
	const struct kg_value *old = kg_get(before, list), *new = kg_get(after, list);

	if (kg_len(old) != kg_len(new)) {
		kg_rule(f, path, list,
			"Forbidden: pod updates may not add or remove containers; a pod of another "
			"name can have them");
		return;
	}
	for (uint32_t i = 0; i < kg_len(new); i++)
		diff_members(f, &old->items[i], &new->items[i],
			kg_rule_path(f, path, "%s[%u]", list, i), container_allows);
}

static bool contains(const struct kg_value *list, const struct kg_value *item)
{
	for (uint32_t i = 0; i < kg_len(list); i++) {
		if (kg_equal(&list->items[i], item))
			return true;
	}
	return false;
}

/* The toleration among the new ones, but for its tolerationSeconds. */
static bool is_tolerated(
	struct kg_arena *a, const struct kg_value *list, const struct kg_value *old)
{
	static const char seconds[] = "tolerationSeconds";

	for (uint32_t i = 0; i < kg_len(list); i++) {
		struct kg_value now = kg_with(a, &list->items[i], seconds, *kg_get(old, seconds));
		if (kg_equal(&now, old))
			return true;
	}
	return false;
}

static void update_tolerations(struct kg_fault_list *f, const struct kg_value *before,
	const struct kg_value *after, const char *path)
{
	const struct kg_value *old = kg_get(before, "tolerations");
	const struct kg_value *new = kg_get(after, "tolerations");

	for (uint32_t i = 0; i < kg_len(old); i++) {
		if (!is_tolerated(f->arena, new, &old->items[i])) {
			kg_rule(f, path, "tolerations",
				"Forbidden: existing toleration can not be modified except its "
				"tolerationSeconds; tolerations can only be added");
			return;
		}
	}
}

/* ---- of a pod that gates hold back ---- */

static void update_selector(struct kg_fault_list *f, const struct kg_value *before,
	const struct kg_value *after, const char *path)
{
	const struct kg_value *old = kg_get(before, "nodeSelector");
	const struct kg_value *new = kg_get(after, "nodeSelector");

	for (uint32_t i = 0; i < kg_len(old); i++) {
		const struct kg_member *m = &old->members[i];
		if (kg_equal(kg_get(new, m->key), &m->value))
			continue;
		kg_rule(f, path, "nodeSelector",
			"Invalid value: %s: only additions to spec.nodeSelector are allowed (no "
			"mutations or deletions)",
			kg_rule_show(f->arena, new));
		return;
	}
}

/* Every requirement that the term had is there, in the same order, before those that are new. */
static bool is_narrower(const struct kg_value *old, const struct kg_value *new)
{
	static const char *const lists[] = {"matchExpressions", "matchFields"};

	for (size_t l = 0; l < KG_ARRAY_LEN(lists); l++) {
		const struct kg_value *was = kg_get(old, lists[l]), *is = kg_get(new, lists[l]);
		if (kg_len(is) < kg_len(was))
			return false;
		for (uint32_t i = 0; i < kg_len(was); i++) {
			if (!kg_equal(&was->items[i], &is->items[i]))
				return false;
		}
	}
	return kg_len(kg_get(old, lists[0])) || kg_len(kg_get(old, lists[1])) || kg_equal(old, new);
}

static void update_affinity(struct kg_fault_list *f, const struct kg_value *before,
	const struct kg_value *after, const char *path)
{
	static const char required[] = "affinity.nodeAffinity."
				       "requiredDuringSchedulingIgnoredDuringExecution."
				       "nodeSelectorTerms";
	static const char *const others[] = {"affinity.podAffinity", "affinity.podAntiAffinity"};
	const struct kg_value *old = kg_at(before, required), *new = kg_at(after, required);

	for (size_t i = 0; i < KG_ARRAY_LEN(others); i++) {
		if (!kg_equal(kg_at(before, others[i]), kg_at(after, others[i])))
			forbidden(f, path, others[i]);
	}
	if (kg_is_null(old))
		return;
	if (kg_len(old) != kg_len(new)) {
		kg_rule(f, path, required,
			"Invalid value: %s: no additions/deletions to non-empty NodeSelectorTerms "
			"list are allowed",
			kg_rule_show(f->arena, new));
		return;
	}
	for (uint32_t i = 0; i < kg_len(new); i++) {
		if (!is_narrower(&old->items[i], &new->items[i]))
			kg_rule(f, path, kg_arena_printf(f->arena, "%s[%u]", required, i),
				"Invalid value: %s: only additions are allowed (no mutations or "
				"deletions)",
				kg_rule_show(f->arena, &new->items[i]));
	}
}

static void update_deadline(struct kg_fault_list *f, const struct kg_value *before,
	const struct kg_value *after, const char *path)
{
	const struct kg_value *old = kg_get(before, "activeDeadlineSeconds");
	const struct kg_value *new = kg_get(after, "activeDeadlineSeconds");

	if (kg_is_null(old))
		return;
	if (kg_is_null(new))
		kg_rule(f, path, "activeDeadlineSeconds",
			"Invalid value: must not update from a positive integer to nil value");
	else if (kg_int(new, 0) > kg_int(old, 0))
		kg_rule(f, path, "activeDeadlineSeconds",
			"Invalid value: %lld: must be less than or equal to previous value",
			(long long)new->i);
}

/* Gates can only be taken out. */
static void update_gates(struct kg_fault_list *f, const struct kg_value *before,
	const struct kg_value *after, const char *path)
{
	const struct kg_value *old = kg_get(before, "schedulingGates");
	const struct kg_value *new = kg_get(after, "schedulingGates");

	for (uint32_t i = 0; i < kg_len(new); i++) {
		if (!contains(old, &new->items[i]))
			kg_rule(f, path, kg_arena_printf(f->arena, "schedulingGates[%u]", i),
				"Forbidden: only deletion is allowed, but found new scheduling "
				"gate '%s'",
				kg_string(kg_get(&new->items[i], "name"), ""));
	}
}

void kg_update_pod(struct kg_fault_list *f, const struct kg_value *before,
	const struct kg_value *after, const char *path)
{
	const struct kg_value *old = kg_get(before, "spec"), *new = kg_get(after, "spec");
	const char *spec = kg_rule_path(f, path, "spec");

	diff_members(f, old, new, spec, spec_allows);
	update_containers(f, old, new, spec, "containers");
	update_containers(f, old, new, spec, "initContainers");
	update_tolerations(f, old, new, spec);
	update_deadline(f, old, new, spec);
	update_gates(f, old, new, spec);
	if (!kg_len(kg_get(old, "schedulingGates")))
		return;
	update_selector(f, old, new, spec);
	update_affinity(f, old, new, spec);
}
