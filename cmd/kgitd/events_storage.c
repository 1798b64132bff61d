/* What is told of PersistentVolumeClaims. */
#include "kgitd/events_private.h"

#include "reconcile/reconcile.h"

#include <string.h>

/* The StatefulSet that made a claim, and its pod's name; NULL: none. */
static const struct kg_object *set_of(
	const struct kg_snapshot *s, const struct kg_object *claim, const char **pod)
{
	struct kg_object_iter it;
	const struct kg_object *set, *found = NULL;

	kg_iter_kind(&it, s, KG_KIND_STATEFULSET, claim->ns, NULL);
	while (!found && (set = kg_iter_next(&it))) {
		*pod = kg_stateful_claim_pod(set, claim->name);
		found = *pod ? set : NULL;
	}
	kg_iter_release(&it);
	return found;
}

static void made(struct kgd_teller *t, const struct kg_object *claim)
{
	const struct kgd_what w = {
		"Normal", "SuccessfulCreate", "statefulset-controller", NULL, NULL};
	const char *pod = NULL;
	const struct kg_object *set = t->snapshot && !claim->source && !*kg_object_owner_uid(claim)
					      ? set_of(t->snapshot, claim, &pod)
					      : NULL;
	uint32_t at = t->place;

	if (set)
		kgd_tell(t, set, &w,
			kg_arena_printf(&t->a, "create Claim %s Pod %s in StatefulSet %s success",
				claim->name, pod, set->name));
	t->place = at + 1;
}

/* It begins without a volume. */
static void pending(struct kgd_teller *t, const struct kg_object *claim)
{
	const char *name = kgd_text_at(claim, "spec.storageClassName");
	const struct kg_object *class =
		*name ? kg_snapshot_get(t->snapshot, KG_KIND_STORAGECLASS, "", name) : NULL;
	struct kgd_what w = {"Normal", NULL, "persistentvolume-controller", NULL, NULL};

	if (!*name) {
		w.reason = "FailedBinding";
		kgd_tell(t, claim, &w,
			"no persistent volumes available for this claim and no storage class is "
			"set");
	} else if (!class) {
		w.type = "Warning";
		w.reason = "ProvisioningFailed";
		kgd_tell(t, claim, &w,
			kg_arena_printf(
				&t->a, "storageclass.storage.k8s.io \"%s\" not found", name));
	} else if (strcmp(kgd_text_at(class, "volumeBindingMode"), "WaitForFirstConsumer") == 0) {
		w.reason = "WaitForFirstConsumer";
		kgd_tell(t, claim, &w, "waiting for first consumer to be created before binding");
	} else {
		w.reason = "ExternalProvisioning";
		kgd_tell(t, claim, &w,
			kg_arena_printf(&t->a,
				"Waiting for a volume to be created either by the external "
				"provisioner '%s' or manually by the system administrator. If "
				"volume creation is delayed, please verify that the provisioner "
				"is running and correctly registered.",
				kgd_text_at(class, "provisioner")));
	}
}

/* It got a volume that was made for it. */
static void provisioned(
	struct kgd_teller *t, const struct kg_object *before, const struct kg_object *after)
{
	const char *volume = kgd_text_at(after, "spec.volumeName");
	const struct kg_object *pv =
		kg_snapshot_get(t->snapshot, KG_KIND_PERSISTENTVOLUME, "", volume);
	const char *by = kg_string(
		kg_get(kgd_at(pv, "metadata.annotations"), "pv.kubernetes.io/provisioned-by"), "");
	const struct kgd_what w = {"Normal", "ProvisioningSucceeded", by, NULL, NULL};

	if (*by && !*kgd_text_at(before, "spec.volumeName"))
		kgd_tell(t, after, &w,
			kg_arena_printf(&t->a, "Successfully provisioned volume %s", volume));
}

void kgd_tell_claim(
	struct kgd_teller *t, const struct kg_object *before, const struct kg_object *after)
{
	if (!after)
		return;
	if (!before)
		made(t, after);
	if (!t->snapshot)
		return; /* what it says goes by its class, as it was then */
	if (!*kgd_text_at(before, "status.phase") &&
		strcmp(kgd_text_at(after, "status.phase"), "Pending") == 0)
		pending(t, after);
	if (*kgd_text_at(after, "spec.volumeName"))
		provisioned(t, before, after);
}
