/* core/v1: volumes. */
#include "kinds/tables.h"

static const char *const media[] = {"Memory", NULL};

static const struct kg_field key_to_path_fields[] = {
	F_STR("key", KG_FF_REQUIRED, "The key.", .check = kg_check_config_key),
	F_STR("path", KG_FF_REQUIRED, "The file that its value becomes.",
		.check = kg_check_relative_path),
	F_INT("mode", 0, "The file's mode, e.g. 0644.", .min = 0, .max = 0777),
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
	F_BOOL("optional", 0, "Whether the ConfigMap may be missing."),
	F_END,
};
static const struct kg_schema configmap_volume = {
	.name = "io.k8s.api.core.v1.ConfigMapVolumeSource",
	.doc = "A ConfigMap whose keys are files.",
	.fields = configmap_volume_fields,
};
static const struct kg_field empty_dir_fields[] = {
	F_STR("medium", 0, "Where it lies: the node's disk, or Memory.", .values = media),
	F_QTY("sizeLimit", 0, "How much it may hold.", .check = kg_check_quantity),
	F_END,
};
static const struct kg_schema empty_dir = {
	.name = "io.k8s.api.core.v1.EmptyDirVolumeSource",
	.doc = "A directory that is empty at first and lives as long as the pod.",
	.fields = empty_dir_fields,
};

static const struct kg_field volume_fields[] = {
	F_STR("name", KG_FF_REQUIRED, "The volume's name, unique in its pod.",
		.check = kg_check_dns_label),
	F_OBJ("configMap", configmap_volume, 0, "A ConfigMap whose keys are files."),
	F_OBJ("emptyDir", empty_dir, 0, "A directory that is empty at first."),
	F_NOANY("secret", "A Secret whose keys are files."),
	F_NOANY("hostPath", "A directory or file of the node."),
	F_NOANY("persistentVolumeClaim", "A claimed persistent volume."),
	F_NOANY("downwardAPI", "Fields of the pod as files."),
	F_NOANY("projected", "Several sources in one directory."),
	F_NOANY("image", "An image as a volume."),
	F_NOANY("csi", "A volume of a CSI driver."),
	F_NOANY("ephemeral", "A claim that lives as long as the pod."),
	F_NOANY("nfs", "An NFS export."),
	F_NOANY("iscsi", "An iSCSI disk."),
	F_NOANY("fc", "A Fibre Channel disk."),
	F_NOANY("awsElasticBlockStore", "An AWS disk."),
	F_NOANY("azureDisk", "An Azure disk."),
	F_NOANY("azureFile", "An Azure file share."),
	F_NOANY("cephfs", "A Ceph file system."),
	F_NOANY("cinder", "An OpenStack disk."),
	F_NOANY("flexVolume", "A volume of a flex driver."),
	F_NOANY("flocker", "A Flocker volume."),
	F_NOANY("gcePersistentDisk", "A Google disk."),
	F_NOANY("gitRepo", "A git repository's content."),
	F_NOANY("glusterfs", "A Gluster volume."),
	F_NOANY("photonPersistentDisk", "A Photon disk."),
	F_NOANY("portworxVolume", "A Portworx volume."),
	F_NOANY("quobyte", "A Quobyte volume."),
	F_NOANY("rbd", "A Ceph block device."),
	F_NOANY("scaleIO", "A ScaleIO volume."),
	F_NOANY("storageos", "A StorageOS volume."),
	F_NOANY("vsphereVolume", "A vSphere disk."),
	F_END,
};
const struct kg_schema kg_schema_volume = {
	.name = "io.k8s.api.core.v1.Volume",
	.doc = "A directory that a pod's containers can mount.",
	.fields = volume_fields,
	.defaults = kg_default_volume,
	.validate = kg_validate_volume,
};
