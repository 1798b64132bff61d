/* What of a pod's spec may change once it exists: images, activeDeadlineSeconds (set or shortened)
 * and tolerations (added). All else makes another pod. */
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

	(void)before;
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

static void update_tolerations(struct kg_fault_list *f, const struct kg_value *before,
	const struct kg_value *after, const char *path)
{
	const struct kg_value *old = kg_get(before, "tolerations");
	const struct kg_value *new = kg_get(after, "tolerations");

	for (uint32_t i = 0; i < kg_len(old); i++) {
		if (!contains(new, &old->items[i])) {
			kg_rule(f, path, "tolerations",
				"Forbidden: existing toleration can not be modified except its "
				"tolerationSeconds; tolerations can only be added");
			return;
		}
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
}
