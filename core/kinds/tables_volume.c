/* core/v1: volumes. */
#include "kinds/tables.h"

static const char *const pull_policies[] = {"Always", "IfNotPresent", "Never", NULL};
static const char no_driver[] = "kgit has no driver for this type of volume; it mounts configMap, "
				"downwardAPI, emptyDir, ephemeral, hostPath, "
				"persistentVolumeClaim, projected and secret";

static const struct kg_field key_to_path_fields[] = {
	F_STR("key", KG_FF_REQUIRED, "The key.", .check = kg_check_config_key),
	F_STR("path", KG_FF_REQUIRED, "The file that its value becomes.",
		.check = kg_check_relative_path),
	F_INT("mode", 0, "The file's mode, e.g. 0644.", .min = 0, .max = 0777),
	F_NOINT("user", "The user that owns the file."),
	F_END,
};
static const struct kg_schema key_to_path = {
	.name = "io.k8s.api.core.v1.KeyToPath",
	.doc = "A key and the file it becomes.",
	.fields = key_to_path_fields,
};
static const struct kg_field configmap_volume_fields[] = {
	F_STR("name", KG_FF_REQUIRED, "The ConfigMap's name.", .check = kg_check_dns_subdomain),
	F_ROW("items", KG_F_OBJECT, KG_FF_LIST, "The keys that become files; all by default.",
		.schema = &key_to_path),
	F_INT("defaultMode", 0, "The files' mode, e.g. 0644.", .min = 0, .max = 0777,
		.dflt = "420"),
	F_NOINT("defaultUser", "The user that owns the files."),
	F_BOOL("optional", 0, "Whether the ConfigMap may be missing."),
	F_END,
};
static const struct kg_schema configmap_volume = {
	.name = "io.k8s.api.core.v1.ConfigMapVolumeSource",
	.doc = "A ConfigMap whose keys are files.",
	.fields = configmap_volume_fields,
};
static const struct kg_field empty_dir_fields[] = {
	F_STR("medium", 0,
		"Where it lies: the node's disk, Memory, HugePages, or HugePages-SIZE, such as "
		"HugePages-2Mi.",
		.check = kg_check_medium),
	F_QTY("sizeLimit", 0, "How much it may hold.", .check = kg_check_quantity),
	F_NOINT("mode", "The directory's mode, e.g. 0755."),
	F_END,
};
static const struct kg_schema empty_dir = {
	.name = "io.k8s.api.core.v1.EmptyDirVolumeSource",
	.doc = "A directory that is empty at first and lives as long as the pod.",
	.fields = empty_dir_fields,
};

static const struct kg_field secret_volume_fields[] = {
	F_STR("secretName", KG_FF_REQUIRED, "The Secret's name.", .check = kg_check_dns_subdomain),
	F_ROW("items", KG_F_OBJECT, KG_FF_LIST, "The keys that become files; all by default.",
		.schema = &key_to_path),
	F_INT("defaultMode", 0, "The files' mode, e.g. 0644.", .min = 0, .max = 0777,
		.dflt = "420"),
	F_NOINT("defaultUser", "The user that owns the files."),
	F_BOOL("optional", 0, "Whether the Secret may be missing."),
	F_END,
};
static const struct kg_schema secret_volume = {
	.name = "io.k8s.api.core.v1.SecretVolumeSource",
	.doc = "A Secret whose keys are files.",
	.fields = secret_volume_fields,
};
static const struct kg_field claim_volume_fields[] = {
	F_STR("claimName", KG_FF_REQUIRED, "The claim's name.", .check = kg_check_dns_subdomain),
	F_BOOL("readOnly", 0, "Whether it can only be read."),
	F_END,
};
static const struct kg_schema claim_volume = {
	.name = "io.k8s.api.core.v1.PersistentVolumeClaimVolumeSource",
	.doc = "A claimed persistent volume.",
	.fields = claim_volume_fields,
};
static const struct kg_field image_volume_fields[] = {
	F_STR("reference", KG_FF_REQUIRED, "The image.", .check = kg_check_image),
	F_STR("pullPolicy", 0, "Always, IfNotPresent or Never.", .values = pull_policies),
	F_END,
};
static const struct kg_schema image_volume = {
	.name = "io.k8s.api.core.v1.ImageVolumeSource",
	.doc = "An image as a volume.",
	.fields = image_volume_fields,
};

/* ---- the downward API and projections ---- */

static const struct kg_field downward_file_fields[] = {
	F_STR("path", KG_FF_REQUIRED, "The file.", .check = kg_check_relative_path),
	F_OBJ("fieldRef", kg_schema_field_ref, 0, "A field of the pod."),
	F_OBJ("resourceFieldRef", kg_schema_resource_ref, 0, "A resource limit or request."),
	F_INT("mode", 0, "The file's mode, e.g. 0644.", .min = 0, .max = 0777),
	F_NOINT("user", "The user that owns the file."),
	F_END,
};
static const struct kg_schema downward_file = {
	.name = "io.k8s.api.core.v1.DownwardAPIVolumeFile",
	.doc = "A field of the pod and the file it becomes.",
	.fields = downward_file_fields,
	.validate = kg_validate_downward_file,
};
static const struct kg_field downward_volume_fields[] = {
	F_ROW("items", KG_F_OBJECT, KG_FF_LIST, "The files.", .schema = &downward_file),
	F_INT("defaultMode", 0, "The files' mode, e.g. 0644.", .min = 0, .max = 0777,
		.dflt = "420"),
	F_NOINT("defaultUser", "The user that owns the files."),
	F_END,
};
static const struct kg_schema downward_volume = {
	.name = "io.k8s.api.core.v1.DownwardAPIVolumeSource",
	.doc = "Fields of the pod as files.",
	.fields = downward_volume_fields,
};
static const struct kg_field projected_items_fields[] = {
	F_STR("name", KG_FF_REQUIRED, "The object's name.", .check = kg_check_dns_subdomain),
	F_ROW("items", KG_F_OBJECT, KG_FF_LIST, "The keys that become files; all by default.",
		.schema = &key_to_path),
	F_BOOL("optional", 0, "Whether it may be missing."),
	F_END,
};
static const struct kg_schema configmap_projection = {
	.name = "io.k8s.api.core.v1.ConfigMapProjection",
	.doc = "A ConfigMap whose keys are files.",
	.fields = projected_items_fields,
};
static const struct kg_schema secret_projection = {
	.name = "io.k8s.api.core.v1.SecretProjection",
	.doc = "A Secret whose keys are files.",
	.fields = projected_items_fields,
};
static const struct kg_field downward_projection_fields[] = {
	F_ROW("items", KG_F_OBJECT, KG_FF_LIST, "The files.", .schema = &downward_file),
	F_END,
};
static const struct kg_schema downward_projection = {
	.name = "io.k8s.api.core.v1.DownwardAPIProjection",
	.doc = "Fields of the pod as files.",
	.fields = downward_projection_fields,
};
static const struct kg_field token_projection_fields[] = {
	F_STR("path", KG_FF_REQUIRED, "The file.", .check = kg_check_relative_path),
	F_STR("audience", 0, "Whom the token is for; the API by default."),
	F_INT("expirationSeconds", 0, "How long it is valid, at least 600.", .min = 600,
		.max = UINT32_MAX, .dflt = "3600"),
	F_NOINT("user", "The user that owns the file."),
	F_END,
};
static const struct kg_schema token_projection = {
	.name = "io.k8s.api.core.v1.ServiceAccountTokenProjection",
	.doc = "A token of the pod's ServiceAccount as a file.",
	.fields = token_projection_fields,
};
static const struct kg_field projection_fields[] = {
	F_OBJ("configMap", configmap_projection, 0, "A ConfigMap whose keys are files."),
	F_OBJ("secret", secret_projection, 0, "A Secret whose keys are files."),
	F_OBJ("downwardAPI", downward_projection, 0, "Fields of the pod as files."),
	F_OBJ("serviceAccountToken", token_projection, 0, "A token of the pod's ServiceAccount."),
	F_NOANY("clusterTrustBundle", "Certificates that are trusted."),
	F_NOANY("podCertificate", "A certificate of the pod."),
	F_END,
};
static const struct kg_schema projection = {
	.name = "io.k8s.api.core.v1.VolumeProjection",
	.doc = "One of the sources of a projected volume.",
	.fields = projection_fields,
	.validate = kg_validate_projection,
};
static const struct kg_field projected_volume_fields[] = {
	F_ROW("sources", KG_F_OBJECT, KG_FF_LIST, "The sources.", .schema = &projection),
	F_INT("defaultMode", 0, "The files' mode, e.g. 0644.", .min = 0, .max = 0777,
		.dflt = "420"),
	F_NOINT("defaultUser", "The user that owns the files."),
	F_END,
};
static const struct kg_schema projected_volume = {
	.name = "io.k8s.api.core.v1.ProjectedVolumeSource",
	.doc = "Several sources in one directory.",
	.fields = projected_volume_fields,
	.validate = kg_validate_projected,
};

static const struct kg_field ephemeral_volume_fields[] = {
	F_OBJ("volumeClaimTemplate", kg_schema_own_claim, KG_FF_REQUIRED,
		"The claim, which is named POD-VOLUME."),
	F_END,
};
static const struct kg_schema ephemeral_volume = {
	.name = "io.k8s.api.core.v1.EphemeralVolumeSource",
	.doc = "A claim that is made for the pod, and goes with it.",
	.fields = ephemeral_volume_fields,
};

/* ---- the volume ---- */

static const struct kg_field volume_fields[] = {
	F_STR("name", KG_FF_REQUIRED, "The volume's name, unique in its pod.",
		.check = kg_check_dns_label),
	F_OBJ("configMap", configmap_volume, 0, "A ConfigMap whose keys are files."),
	F_OBJ("emptyDir", empty_dir, 0, "A directory that is empty at first."),
	F_OBJ("secret", secret_volume, 0, "A Secret whose keys are files."),
	F_OBJ("hostPath", kg_schema_host_path, 0, "A directory or file of the node."),
	F_OBJ("persistentVolumeClaim", claim_volume, 0, "A claimed persistent volume."),
	F_OBJ("downwardAPI", downward_volume, 0, "Fields of the pod as files."),
	F_OBJ("projected", projected_volume, 0, "Several sources in one directory."),
	F_OBJ("image", image_volume, KG_FF_UNSUPPORTED, "An image as a volume."),
	F_OBJ("ephemeral", ephemeral_volume, 0, "A claim that lives as long as the pod."),
	F_DRIVERS(no_driver),
	F_NOWHY("gitRepo", KG_F_ANY, 0, "A git repository's content.", no_driver),
	F_END,
};
const struct kg_schema kg_schema_volume = {
	.name = "io.k8s.api.core.v1.Volume",
	.doc = "A directory that a pod's containers can mount.",
	.fields = volume_fields,
	.defaults = kg_default_volume,
	.validate = kg_validate_volume,
};
