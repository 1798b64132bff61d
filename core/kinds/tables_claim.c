/* core/v1: PersistentVolumeClaim, as an object, as a StatefulSet's template and as a volume's. */
#include "kinds/tables.h"

static const char *const access_modes[] = {
	"ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod", NULL};
static const char *const volume_modes[] = {"Filesystem", "Block", NULL};

static const struct kg_field claim_resources_fields[] = {
	F_ROW("limits", KG_F_QUANTITY, KG_FF_MAP, "The most that is wanted: storage.",
		.check = kg_check_quantity),
	F_ROW("requests", KG_F_QUANTITY, KG_FF_MAP, "The least that is wanted: storage.",
		.check = kg_check_quantity),
	F_END,
};
static const struct kg_schema claim_resources = {
	.name = "io.k8s.api.core.v1.VolumeResourceRequirements",
	.doc = "How much a volume must hold.",
	.fields = claim_resources_fields,
};
static const struct kg_field claim_spec_fields[] = {
	F_STR("accessModes", KG_FF_LIST, "How it may be mounted.", .values = access_modes),
	F_OBJ("selector", kg_schema_label_selector, 0, "Which volumes may be bound to it."),
	F_OBJ("resources", claim_resources, 0, "How much it must hold.", .dflt = "{}"),
	F_STR("volumeName", 0, "The volume that is bound to it."),
	F_STR("storageClassName", 0, "The StorageClass it asks for.",
		.check = kg_check_dns_subdomain),
	F_STR("volumeMode", 0, "Filesystem or Block.", .dflt = "\"Filesystem\"",
		.values = volume_modes),
	F_NOANY("dataSource", "What it is filled with."),
	F_NOANY("dataSourceRef", "What it is filled with."),
	F_NOSTR("volumeAttributesClassName", "The class of the volume's attributes."),
	F_END,
};
static const struct kg_schema claim_spec = {
	.name = "io.k8s.api.core.v1.PersistentVolumeClaimSpec",
	.doc = "What a claim asks for.",
	.fields = claim_spec_fields,
	.validate = kg_validate_claim_spec,
	.update = kg_update_claim_spec,
};
static const struct kg_field claim_condition_fields[] = {
	F_STR("type", KG_FF_REQUIRED, "Resizing, FileSystemResizePending, ..."),
	F_STR("status", KG_FF_REQUIRED, "True, False or Unknown."),
	F_STR("reason", 0, "Why, in one word."),
	F_STR("message", 0, "Why, for people."),
	F_TIME("lastProbeTime", 0, "When it was last looked at."),
	F_TIME("lastTransitionTime", 0, "When it last changed."),
	F_END,
};
static const struct kg_schema claim_condition = {
	.name = "io.k8s.api.core.v1.PersistentVolumeClaimCondition",
	.doc = "Something that is or is not true of a claim.",
	.fields = claim_condition_fields,
};
static const struct kg_field claim_status_fields[] = {
	F_STR("phase", 0, "Pending, Bound or Lost."),
	F_STR("accessModes", KG_FF_LIST, "How the volume may be mounted."),
	F_ROW("capacity", KG_F_QUANTITY, KG_FF_MAP, "How much the volume holds."),
	F_ROW("conditions", KG_F_OBJECT, KG_FF_LIST, "What is true of it.",
		.schema = &claim_condition, .merge_key = "type"),
	F_ROW("allocatedResources", KG_F_QUANTITY, KG_FF_MAP, "What is kept for it."),
	F_ROW("allocatedResourceStatuses", KG_F_STRING, KG_FF_MAP, "How far a resize is."),
	F_STR("currentVolumeAttributesClassName", 0, "The class of the volume's attributes."),
	F_ANY("modifyVolumeStatus", 0, "How far a change of attributes is."),
	F_ANY("healthStatus", 0, "The volume's state."),
	F_END,
};
static const struct kg_schema claim_status = {
	.name = "io.k8s.api.core.v1.PersistentVolumeClaimStatus",
	.doc = "What was observed of a claim.",
	.fields = claim_status_fields,
};
static const struct kg_field claim_fields[] = {
	F_TYPE_META,
	F_METADATA,
	F_OBJ("spec", claim_spec, KG_FF_REQUIRED, "What it asks for."),
	F_OBJ("status", claim_status, KG_FF_STATUS, "What was observed of it."),
	F_END,
};
const struct kg_schema kg_schema_persistentvolumeclaim = {
	.name = "io.k8s.api.core.v1.PersistentVolumeClaim",
	.doc = "Asks for a volume that outlives pods.",
	.fields = claim_fields,
	.validate = kg_validate_with_class,
};
static const struct kg_field own_claim_fields[] = {
	F_OBJ("metadata", kg_schema_own_claim_meta, 0, "The claim's labels and annotations."),
	F_OBJ("spec", claim_spec, KG_FF_REQUIRED, "What it asks for."),
	F_END,
};
const struct kg_schema kg_schema_own_claim = {
	.name = "io.k8s.api.core.v1.PersistentVolumeClaimTemplate",
	.doc = "A claim that is made for one volume of a pod.",
	.fields = own_claim_fields,
	.validate = kg_rule_class_annotations,
};
static const struct kg_field claim_template_fields[] = {
	F_TYPE_META,
	F_OBJ("metadata", kg_schema_template_meta, 0, "The claims' name, labels and annotations."),
	F_OBJ("spec", claim_spec, KG_FF_REQUIRED, "What it asks for."),
	F_OBJ("status", claim_status, KG_FF_STATUS, "What was observed of it."),
	F_END,
};
const struct kg_schema kg_schema_claim_template = {
	.name = "io.k8s.api.core.v1.PersistentVolumeClaim",
	.doc = "A claim that each pod of a StatefulSet gets.",
	.fields = claim_template_fields,
	.validate = kg_validate_claim_template,
};
