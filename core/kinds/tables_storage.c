/* core/v1: PersistentVolume; storage.k8s.io/v1: StorageClass. */
#include "kinds/tables.h"

static const char *const access_modes[] = {
	"ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod", NULL};
static const char *const volume_modes[] = {"Filesystem", "Block", NULL};
static const char *const reclaim_policies[] = {"Retain", "Delete", NULL};
static const char *const binding_modes[] = {"Immediate", "WaitForFirstConsumer", NULL};
static const char *const path_types[] = {"DirectoryOrCreate", "Directory", "FileOrCreate", "File",
	"Socket", "CharDevice", "BlockDevice", NULL};

static const char no_driver[] = "kgit has no driver for this type of volume; it has hostPath and "
				"local";

/* ---- PersistentVolume ---- */

static const struct kg_field host_path_fields[] = {
	F_STR("path", KG_FF_REQUIRED, "The path on the node.", .check = kg_check_no_backsteps),
	F_STR("type", 0, "What must be there, or is made; nothing is checked by default.",
		.values = path_types),
	F_END,
};
const struct kg_schema kg_schema_host_path = {
	.name = "io.k8s.api.core.v1.HostPathVolumeSource",
	.doc = "A directory or file of the node.",
	.fields = host_path_fields,
};
static const struct kg_field local_fields[] = {
	F_STR("path", KG_FF_REQUIRED, "The directory on the node.", .check = kg_check_no_backsteps),
	F_NOSTR("fsType", "The file system of a block device."),
	F_END,
};
static const struct kg_schema local = {
	.name = "io.k8s.api.core.v1.LocalVolumeSource",
	.doc = "A directory of one node.",
	.fields = local_fields,
};
static const struct kg_field volume_affinity_fields[] = {
	F_OBJ("required", kg_schema_node_selector, 0, "Which nodes can reach it."),
	F_END,
};
static const struct kg_schema volume_affinity = {
	.name = "io.k8s.api.core.v1.VolumeNodeAffinity",
	.doc = "Which nodes can reach a volume.",
	.fields = volume_affinity_fields,
};
static const struct kg_field volume_spec_fields[] = {
	F_ROW("capacity", KG_F_QUANTITY, KG_FF_MAP | KG_FF_REQUIRED, "How much it holds: storage.",
		.check = kg_check_quantity),
	F_STR("accessModes", KG_FF_LIST, "How it may be mounted.", .values = access_modes),
	F_STR("persistentVolumeReclaimPolicy", 0,
		"Retain or Delete: what becomes of it when its claim is gone.",
		.dflt = "\"Retain\"", .values = reclaim_policies),
	F_STR("storageClassName", 0, "The StorageClass it belongs to.",
		.check = kg_check_dns_subdomain),
	F_STR("volumeMode", 0, "Filesystem or Block.", .dflt = "\"Filesystem\"",
		.values = volume_modes),
	F_OBJ("claimRef", kg_schema_object_reference, 0, "The claim it is kept for, or bound to."),
	F_OBJ("nodeAffinity", volume_affinity, 0, "Which nodes can reach it."),
	F_OBJ("hostPath", kg_schema_host_path, 0, "A directory or file of the node."),
	F_OBJ("local", local, 0, "A directory of one node."),
	F_NO("mountOptions", KG_F_STRING, KG_FF_LIST, "Options that it is mounted with."),
	F_NOSTR("volumeAttributesClassName", "The class of its attributes."),
	F_DRIVERS(no_driver),
	F_END,
};
static const struct kg_schema volume_spec = {
	.name = "io.k8s.api.core.v1.PersistentVolumeSpec",
	.doc = "What a volume is.",
	.fields = volume_spec_fields,
	.validate = kg_validate_volume_spec,
	.update = kg_update_volume_spec,
};
static const struct kg_field volume_status_fields[] = {
	F_STR("phase", 0, "Pending, Available, Bound, Released or Failed."),
	F_STR("reason", 0, "Why, in one word."),
	F_STR("message", 0, "Why, for people."),
	F_TIME("lastPhaseTransitionTime", 0, "When the phase last changed."),
	F_END,
};
static const struct kg_schema volume_status = {
	.name = "io.k8s.api.core.v1.PersistentVolumeStatus",
	.doc = "What was observed of a volume.",
	.fields = volume_status_fields,
};
static const struct kg_field volume_fields[] = {
	F_TYPE_META,
	F_METADATA,
	F_OBJ("spec", volume_spec, KG_FF_REQUIRED, "What it is."),
	F_OBJ("status", volume_status, KG_FF_STATUS, "What was observed of it."),
	F_END,
};
const struct kg_schema kg_schema_persistentvolume = {
	.name = "io.k8s.api.core.v1.PersistentVolume",
	.doc = "A volume that outlives pods.",
	.fields = volume_fields,
	.validate = kg_validate_with_class,
};

/* ---- StorageClass ---- */

static const struct kg_field topology_label_fields[] = {
	F_STR("key", KG_FF_REQUIRED, "The label.", .check = kg_check_label_key),
	F_STR("values", KG_FF_LIST | KG_FF_REQUIRED, "Its values, of which one must be there."),
	F_END,
};
static const struct kg_schema topology_label = {
	.name = "io.k8s.api.core.v1.TopologySelectorLabelRequirement",
	.doc = "A label and its values.",
	.fields = topology_label_fields,
};
static const struct kg_field topology_term_fields[] = {
	F_ROW("matchLabelExpressions", KG_F_OBJECT, KG_FF_LIST, "Labels that must all be there.",
		.schema = &topology_label, .merge_key = "key"),
	F_END,
};
static const struct kg_schema topology_term = {
	.name = "io.k8s.api.core.v1.TopologySelectorTerm",
	.doc = "Where a volume may be made.",
	.fields = topology_term_fields,
};
static const struct kg_field class_fields[] = {
	F_TYPE_META,
	F_METADATA,
	F_STR("provisioner", KG_FF_REQUIRED, "Who makes its volumes.",
		.check = kg_check_provisioner),
	F_ROW("parameters", KG_F_STRING, KG_FF_MAP, "What the provisioner is told."),
	F_STR("reclaimPolicy", KG_FF_IMMUTABLE,
		"Delete or Retain: what becomes of a volume when its claim is gone.",
		.dflt = "\"Delete\"", .values = reclaim_policies),
	F_STR("volumeBindingMode", KG_FF_IMMUTABLE,
		"Immediate, or WaitForFirstConsumer: when a pod needs it.", .dflt = "\"Immediate\"",
		.values = binding_modes),
	F_BOOL("allowVolumeExpansion", 0, "Whether its volumes can grow."),
	F_NO("mountOptions", KG_F_STRING, KG_FF_LIST, "Options its volumes are mounted with."),
	F_ROW("allowedTopologies", KG_F_OBJECT, KG_FF_LIST, "Where its volumes may be made.",
		.schema = &topology_term),
	F_END,
};
const struct kg_schema kg_schema_storageclass = {
	.name = "io.k8s.api.storage.v1.StorageClass",
	.doc = "A way of making volumes.",
	.fields = class_fields,
	.validate = kg_validate_storageclass,
	.update = kg_update_storageclass,
};
