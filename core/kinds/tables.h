/*
 * What the tables are written with, and the schemas that more than one file names. Private to the
 * room. A row is F_xxx(name, flags, doc, more designated initialisers...).
 */
#ifndef KG_KINDS_TABLES_H
#define KG_KINDS_TABLES_H

#include "kinds/kind.h"
#include "kinds/rules.h"

#define F_ROW(n, t, f, d, ...)                                                                     \
	{                                                                                          \
		.name = (n), .type = (t), .flags = (f), .doc = (d), ##__VA_ARGS__                  \
	}
#define F_STR(n, f, d, ...)    F_ROW(n, KG_F_STRING, f, d, ##__VA_ARGS__)
#define F_INT(n, f, d, ...)    F_ROW(n, KG_F_INT, f, d, ##__VA_ARGS__)
#define F_BOOL(n, f, d, ...)   F_ROW(n, KG_F_BOOL, f, d, ##__VA_ARGS__)
#define F_QTY(n, f, d, ...)    F_ROW(n, KG_F_QUANTITY, f, d, ##__VA_ARGS__)
#define F_IOS(n, f, d, ...)    F_ROW(n, KG_F_INT_OR_STRING, f, d, ##__VA_ARGS__)
#define F_TIME(n, f, d, ...)   F_ROW(n, KG_F_TIME, f, d, ##__VA_ARGS__)
#define F_ANY(n, f, d, ...)    F_ROW(n, KG_F_ANY, f, d, ##__VA_ARGS__)
#define F_OBJ(n, s, f, d, ...) F_ROW(n, KG_F_OBJECT, f, d, .schema = &(s), ##__VA_ARGS__)
/* Known to Kubernetes, refused by kgit for now. */
#define F_NO(n, t, f, d) F_ROW(n, t, (f) | KG_FF_UNSUPPORTED, d)
#define F_NOSTR(n, d)    F_NO(n, KG_F_STRING, 0, d)
#define F_NOBOOL(n, d)   F_NO(n, KG_F_BOOL, 0, d)
#define F_NOINT(n, d)    F_NO(n, KG_F_INT, 0, d)
#define F_NOANY(n, d)    F_NO(n, KG_F_ANY, 0, d)
#define F_NOLIST(n, d)   F_NO(n, KG_F_ANY, KG_FF_LIST, d)
/* Refused for good, or for a reason of its own. */
#define F_NOWHY(n, t, f, d, w) F_ROW(n, t, (f) | KG_FF_UNSUPPORTED, d, .why = (w))
#define F_END                                                                                      \
	{                                                                                          \
		.name = NULL                                                                       \
	}
/* Ranges of F_INT. */
#define R_INT32    .min = INT32_MIN, .max = INT32_MAX
#define R_COUNT    .min = 0, .max = INT32_MAX
#define R_POSITIVE .min = 1, .max = INT32_MAX
#define R_PORT     .min = 1, .max = 65535
/* What every object begins with. */
#define F_TYPE_META                                                                                \
	F_STR("apiVersion", 0, "The group and version of the object's schema, e.g. apps/v1."),     \
		F_STR("kind", 0, "What the object is, e.g. Deployment.")
#define F_METADATA                                                                                 \
	F_OBJ("metadata", kg_schema_object_meta, 0,                                                \
		"The object's name, namespace, labels and "                                        \
		"annotations.")
/* Types of volumes that take a driver: of pods, and PersistentVolumes. */
#define F_DRIVERS(why)                                                                             \
	F_NOWHY("nfs", KG_F_ANY, 0, "An NFS export.", why),                                        \
		F_NOWHY("csi", KG_F_ANY, 0, "A volume of a CSI driver.", why),                     \
		F_NOWHY("iscsi", KG_F_ANY, 0, "An iSCSI disk.", why),                              \
		F_NOWHY("fc", KG_F_ANY, 0, "A Fibre Channel disk.", why),                          \
		F_NOWHY("awsElasticBlockStore", KG_F_ANY, 0, "An AWS disk.", why),                 \
		F_NOWHY("azureDisk", KG_F_ANY, 0, "An Azure disk.", why),                          \
		F_NOWHY("azureFile", KG_F_ANY, 0, "An Azure file share.", why),                    \
		F_NOWHY("cephfs", KG_F_ANY, 0, "A Ceph file system.", why),                        \
		F_NOWHY("cinder", KG_F_ANY, 0, "An OpenStack disk.", why),                         \
		F_NOWHY("flexVolume", KG_F_ANY, 0, "A volume of a flex driver.", why),             \
		F_NOWHY("flocker", KG_F_ANY, 0, "A Flocker volume.", why),                         \
		F_NOWHY("gcePersistentDisk", KG_F_ANY, 0, "A Google disk.", why),                  \
		F_NOWHY("glusterfs", KG_F_ANY, 0, "A Gluster volume.", why),                       \
		F_NOWHY("photonPersistentDisk", KG_F_ANY, 0, "A Photon disk.", why),               \
		F_NOWHY("portworxVolume", KG_F_ANY, 0, "A Portworx volume.", why),                 \
		F_NOWHY("quobyte", KG_F_ANY, 0, "A Quobyte volume.", why),                         \
		F_NOWHY("rbd", KG_F_ANY, 0, "A Ceph block device.", why),                          \
		F_NOWHY("scaleIO", KG_F_ANY, 0, "A ScaleIO volume.", why),                         \
		F_NOWHY("storageos", KG_F_ANY, 0, "A StorageOS volume.", why),                     \
		F_NOWHY("vsphereVolume", KG_F_ANY, 0, "A vSphere disk.", why)

/* meta/v1 */
extern const struct kg_schema kg_schema_object_meta, kg_schema_template_meta,
	kg_schema_label_selector, kg_schema_condition;
/* core/v1: pods */
extern const struct kg_schema kg_schema_pod, kg_schema_pod_template, kg_schema_pod_status,
	kg_schema_container, kg_schema_init_container, kg_schema_pod_security_context,
	kg_schema_container_security_context, kg_schema_probe, kg_schema_readiness_probe,
	kg_schema_liveness_probe, kg_schema_volume, kg_schema_affinity, kg_schema_toleration,
	kg_schema_resources, kg_schema_object_reference;
/* A pod template whose mounts may name volumes that its owner adds (claim templates). */
extern const struct kg_schema kg_schema_claiming_pod_template;
/* type, status, reason, message and time: the conditions of most workloads. */
extern const struct kg_field kg_fields_workload_condition[];
/* the other kinds */
extern const struct kg_schema kg_schema_statefulset, kg_schema_daemonset,
	kg_schema_controllerrevision, kg_schema_job, kg_schema_cronjob,
	kg_schema_poddisruptionbudget, kg_schema_replicationcontroller, kg_schema_podtemplate,
	kg_schema_claim_template, kg_schema_own_claim_meta, kg_schema_own_claim,
	kg_schema_persistentvolumeclaim;
extern const struct kg_schema kg_schema_namespace, kg_schema_node, kg_schema_configmap,
	kg_schema_replicaset, kg_schema_deployment, kg_schema_service, kg_schema_endpointslice,
	kg_schema_endpoints, kg_schema_event, kg_schema_event_v1, kg_schema_lease,
	kg_schema_node_metrics, kg_schema_pod_metrics;

/* Table columns. */
extern const struct kg_column kg_columns_pod[], kg_columns_deployment[], kg_columns_replicaset[],
	kg_columns_service[], kg_columns_node[], kg_columns_namespace[], kg_columns_configmap[],
	kg_columns_endpointslice[], kg_columns_endpoints[], kg_columns_event[],
	kg_columns_event_v1[], kg_columns_lease[], kg_columns_node_metrics[],
	kg_columns_pod_metrics[], kg_columns_statefulset[], kg_columns_daemonset[],
	kg_columns_controllerrevision[], kg_columns_job[], kg_columns_cronjob[],
	kg_columns_poddisruptionbudget[], kg_columns_replicationcontroller[],
	kg_columns_podtemplate[];

extern const struct kg_schema kg_schema_secret, kg_schema_serviceaccount, kg_schema_role,
	kg_schema_clusterrole, kg_schema_rolebinding, kg_schema_clusterrolebinding;
extern const struct kg_column kg_columns_secret[], kg_columns_serviceaccount[], kg_columns_role[],
	kg_columns_clusterrole[], kg_columns_rolebinding[], kg_columns_clusterrolebinding[];

extern const struct kg_schema kg_schema_persistentvolume, kg_schema_storageclass,
	kg_schema_priorityclass, kg_schema_resourcequota, kg_schema_limitrange,
	kg_schema_runtimeclass, kg_schema_networkpolicy, kg_schema_ingress, kg_schema_ingressclass;
extern const struct kg_column kg_columns_persistentvolume[], kg_columns_persistentvolumeclaim[],
	kg_columns_storageclass[], kg_columns_priorityclass[], kg_columns_resourcequota[],
	kg_columns_limitrange[], kg_columns_runtimeclass[], kg_columns_networkpolicy[],
	kg_columns_ingress[], kg_columns_ingressclass[];

/* Rules of types that lie in a file of their own (rules_pod.c, rules_service.c, ...). */
kg_default_fn kg_default_container, kg_default_resources, kg_default_probe, kg_default_volume,
	kg_default_pod_spec, kg_default_service_port, kg_default_service_spec, kg_default_namespace;
kg_validate_fn kg_validate_container, kg_validate_init_container, kg_validate_resources,
	kg_validate_liveness_probe, kg_validate_readiness_probe, kg_validate_volume,
	kg_validate_pod_spec, kg_validate_pod, kg_validate_pod_template, kg_validate_env_var,
	kg_validate_mount, kg_validate_env_from, kg_validate_env_source, kg_validate_field_ref,
	kg_validate_security_context, kg_validate_toleration, kg_validate_node_expression,
	kg_validate_node_field, kg_validate_service, kg_validate_service_spec,
	kg_validate_deployment_spec, kg_validate_deployment_strategy, kg_validate_replicaset_spec,
	kg_validate_configmap, kg_validate_namespace;
kg_validate_fn kg_validate_claiming_pod_spec, kg_validate_statefulset_spec,
	kg_validate_statefulset_strategy, kg_validate_daemonset_spec,
	kg_validate_daemonset_strategy, kg_validate_any_named, kg_validate_with_class,
	kg_validate_job, kg_validate_job_spec, kg_validate_cronjob_job_spec, kg_validate_exit_codes,
	kg_validate_failure_rule, kg_validate_success_rule, kg_validate_cronjob,
	kg_validate_cronjob_spec, kg_validate_pdb_spec, kg_validate_replicationcontroller_spec,
	kg_validate_claim_spec, kg_validate_claim_template;
kg_default_fn kg_default_job, kg_default_job_spec, kg_default_replicationcontroller;
kg_validate_fn kg_validate_secret, kg_validate_serviceaccount, kg_validate_rbac,
	kg_validate_role_rule, kg_validate_clusterrole_rule, kg_validate_subject,
	kg_validate_cluster_subject;
kg_default_fn kg_default_secret, kg_default_subject;
kg_update_fn kg_update_secret;
kg_check_fn kg_check_path_segment;
extern const struct kg_schema kg_schema_local_reference, kg_schema_host_path,
	kg_schema_node_selector, kg_schema_spread, kg_schema_lifecycle, kg_schema_field_ref,
	kg_schema_resource_ref;
kg_validate_fn kg_validate_downward_file, kg_validate_projection, kg_validate_projected,
	kg_validate_resource_ref;
kg_validate_fn kg_validate_affinity_term, kg_validate_spread, kg_validate_handler;
kg_validate_fn kg_validate_volume_spec, kg_validate_storageclass, kg_validate_priorityclass,
	kg_validate_scope_requirement, kg_validate_quota_spec, kg_validate_limit,
	kg_validate_policy_port, kg_validate_ip_block, kg_validate_policy_peer,
	kg_validate_policy_spec, kg_validate_backend_service, kg_validate_backend,
	kg_validate_http_path, kg_validate_ingress_spec, kg_validate_ingress,
	kg_validate_class_parameters, kg_validate_ingressclass;
kg_default_fn kg_default_limit, kg_default_policy_spec;
kg_update_fn kg_update_volume_spec, kg_update_storageclass, kg_update_priorityclass;
kg_check_fn kg_check_no_backsteps, kg_check_provisioner, kg_check_quota_resource,
	kg_check_limit_resource, kg_check_cidr, kg_check_ingress_host, kg_check_prefixed_path;
kg_update_fn kg_update_pod, kg_update_configmap, kg_update_statefulset_spec, kg_update_job_spec,
	kg_update_claim_spec, kg_update_service_spec;
kg_check_fn kg_check_resource_name, kg_check_capability, kg_check_port, kg_check_relative_path,
	kg_check_descending_path, kg_check_host_users, kg_check_cluster_ip, kg_check_http_header,
	kg_check_resource_field, kg_check_medium, kg_check_endpoint_ip, kg_check_address_type,
	kg_check_label_or_empty;
kg_validate_fn kg_validate_endpoint, kg_validate_endpointslice, kg_validate_endpoint_subset,
	kg_validate_endpoints;

#endif
