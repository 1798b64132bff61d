/* Columns of PersistentVolume, PersistentVolumeClaim and StorageClass. */
#include "kinds/columns.h"

/* "RWO,ROX": in this order, each once. */
static struct kg_value modes_text(struct kg_arena *a, const struct kg_value *modes)
{
	static const char *const names[][2] = {{"ReadWriteOnce", "RWO"}, {"ReadOnlyMany", "ROX"},
		{"ReadWriteMany", "RWX"}, {"ReadWriteOncePod", "RWOP"}};
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;

	for (size_t k = 0; k < KG_ARRAY_LEN(names); k++) {
		for (uint32_t i = 0; i < kg_len(modes); i++) {
			if (strcmp(kg_string(&modes->items[i], ""), names[k][0]) != 0)
				continue;
			kg_buf_addf(&b, "%s%s", b.len ? "," : "", names[k][1]);
			break;
		}
	}
	return kg_v_strn(a, kg_buf_str(&b), b.len);
}

KG_TEXT_CELL(cell_class, "spec.storageClassName", "")
KG_TEXT_CELL(cell_attributes, "spec.volumeAttributesClassName", "<unset>")
KG_TEXT_CELL(cell_mode, "spec.volumeMode", "<unset>")
KG_TEXT_CELL(cell_reason, "status.reason", "")
KG_TEXT_CELL(cell_policy, "spec.persistentVolumeReclaimPolicy", "")
KG_TEXT_CELL(cell_size, "spec.capacity.storage", "")
KG_TEXT_CELL(cell_volume, "spec.volumeName", "")

static struct kg_value cell_phase(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)a, (void)now;
	if (kg_object_deleting(obj))
		return kg_v_lit("Terminating");
	return kg_v_lit(kg_string(kg_at(kg_obj(obj), "status.phase"), ""));
}

static struct kg_value cell_volume_modes(
	struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)now;
	return modes_text(a, kg_at(kg_obj(obj), "spec.accessModes"));
}

static struct kg_value cell_claim(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	const struct kg_value *ref = kg_at(kg_obj(obj), "spec.claimRef");

	(void)now;
	if (kg_is_null(ref))
		return kg_v_lit("");
	return kg_v_strf(a, "%s/%s", kg_string(kg_get(ref, "namespace"), ""),
		kg_string(kg_get(ref, "name"), ""));
}

const struct kg_column kg_columns_persistentvolume[] = {
	KG_COLUMN_NAME,
	KG_COLUMN("Capacity", "string", 0, cell_size, "How much it holds."),
	KG_COLUMN("Access Modes", "string", 0, cell_volume_modes, "How it may be mounted."),
	KG_COLUMN("Reclaim Policy", "string", 0, cell_policy,
		"What becomes of it when its claim is gone."),
	KG_COLUMN("Status", "string", 0, cell_phase, "Its phase."),
	KG_COLUMN("Claim", "string", 0, cell_claim, "The claim it is bound to."),
	KG_COLUMN("StorageClass", "string", 0, cell_class, "The StorageClass it belongs to."),
	KG_COLUMN("VolumeAttributesClass", "string", 0, cell_attributes,
		"The class of its attributes."),
	KG_COLUMN("Reason", "string", 0, cell_reason, "Why it is in its phase."),
	KG_COLUMN_AGE,
	KG_COLUMN("VolumeMode", "string", 1, cell_mode, "Filesystem or Block."),
	{.name = NULL},
};

/* ---- PersistentVolumeClaim: what it has once it is bound ---- */

static bool is_bound(const struct kg_object *obj)
{
	return *kg_string(kg_at(kg_obj(obj), "spec.volumeName"), "");
}

static struct kg_value cell_claim_size(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)a, (void)now;
	if (!is_bound(obj))
		return kg_v_lit("");
	return kg_v_lit(kg_string(kg_at(kg_obj(obj), "status.capacity.storage"), ""));
}

static struct kg_value cell_claim_modes(
	struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)now;
	return is_bound(obj) ? modes_text(a, kg_at(kg_obj(obj), "status.accessModes"))
			     : kg_v_lit("");
}

const struct kg_column kg_columns_persistentvolumeclaim[] = {
	KG_COLUMN_NAME,
	KG_COLUMN("Status", "string", 0, cell_phase, "Its phase."),
	KG_COLUMN("Volume", "string", 0, cell_volume, "The volume that is bound to it."),
	KG_COLUMN("Capacity", "string", 0, cell_claim_size, "How much the volume holds."),
	KG_COLUMN("Access Modes", "string", 0, cell_claim_modes, "How it may be mounted."),
	KG_COLUMN("StorageClass", "string", 0, cell_class, "The StorageClass it asks for."),
	KG_COLUMN("VolumeAttributesClass", "string", 0, cell_attributes,
		"The class of the volume's attributes."),
	KG_COLUMN_AGE,
	KG_COLUMN("VolumeMode", "string", 1, cell_mode, "Filesystem or Block."),
	{.name = NULL},
};

/* ---- StorageClass ---- */

static struct kg_value cell_class_name(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	const struct kg_value *notes = kg_at(kg_obj(obj), "metadata.annotations");
	const char *is =
		kg_string(kg_get(notes, "storageclass.kubernetes.io/is-default-class"), "");

	(void)now;
	return kg_v_strf(a, "%s%s", obj->name, !strcmp(is, "true") ? " (default)" : "");
}

static struct kg_value cell_expansion(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)a, (void)now;
	return kg_v_bool(kg_bool(kg_get(kg_obj(obj), "allowVolumeExpansion"), false));
}

KG_TEXT_CELL(cell_provisioner, "provisioner", "")
KG_TEXT_CELL(cell_class_policy, "reclaimPolicy", "Delete")
KG_TEXT_CELL(cell_binding, "volumeBindingMode", "Immediate")

const struct kg_column kg_columns_storageclass[] = {
	{.name = "Name",
		.type = "string",
		.format = "name",
		.doc = NAME_DOC,
		.cell = cell_class_name},
	KG_COLUMN("Provisioner", "string", 0, cell_provisioner, "Who makes its volumes."),
	KG_COLUMN("ReclaimPolicy", "string", 0, cell_class_policy,
		"What becomes of a volume when its claim is gone."),
	KG_COLUMN("VolumeBindingMode", "string", 0, cell_binding, "When a volume is bound."),
	KG_COLUMN("AllowVolumeExpansion", "string", 0, cell_expansion,
		"Whether its volumes can grow."),
	KG_COLUMN_AGE,
	{.name = NULL},
};
