/* core/v1: containers and what lies in them. */
#include "kinds/tables.h"

static const char *const protocols[] = {"TCP", "UDP", "SCTP", NULL};
static const char *const pull_policies[] = {"Always", "IfNotPresent", "Never", NULL};
static const char *const message_policies[] = {"File", "FallbackToLogsOnError", NULL};
static const char *const propagations[] = {"None", "HostToContainer", "Bidirectional", NULL};
static const char *const recursive_read_only[] = {"Disabled", NULL};
static const char *const container_restarts[] = {"Always", NULL};
static const char *const resized[] = {"cpu", "memory", NULL};
static const char *const resize_restarts[] = {"NotRequired", "RestartContainer", NULL};

/* ---- ports ---- */

static const struct kg_field port_fields[] = {
	F_STR("name", 0, "A name for the port that Services and probes can use.",
		.check = kg_check_port_name),
	F_INT("containerPort", KG_FF_REQUIRED, "The port's number, 1 to 65535.", R_PORT),
	F_STR("protocol", 0, "TCP, UDP or SCTP.", .dflt = "\"TCP\"", .values = protocols),
	F_INT("hostPort", 0, "A port of its node that leads to it; the same with hostNetwork.",
		.min = 0, .max = 65535),
	F_STR("hostIP", 0, "The node's address that hostPort is of; all by default.",
		.check = kg_check_ip),
	F_END,
};
static const struct kg_schema port = {
	.name = "io.k8s.api.core.v1.ContainerPort",
	.doc = "A port that a container listens on.",
	.fields = port_fields,
};

/* ---- environment ---- */

static const struct kg_field config_key_fields[] = {
	F_STR("name", KG_FF_REQUIRED, "The ConfigMap's name.", .check = kg_check_dns_subdomain),
	F_STR("key", KG_FF_REQUIRED, "The key in it.", .check = kg_check_config_key),
	F_BOOL("optional", 0, "Whether it may be missing."),
	F_END,
};
static const struct kg_schema config_key = {
	.name = "io.k8s.api.core.v1.ConfigMapKeySelector",
	.doc = "One key of a ConfigMap.",
	.fields = config_key_fields,
};
static const struct kg_field field_ref_fields[] = {
	F_STR("apiVersion", 0, "Version of the schema that fieldPath is of.", .dflt = "\"v1\""),
	F_STR("fieldPath", KG_FF_REQUIRED, "The pod's field, e.g. metadata.name or status.podIP."),
	F_END,
};
const struct kg_schema kg_schema_field_ref = {
	.name = "io.k8s.api.core.v1.ObjectFieldSelector",
	.doc = "A field of the pod.",
	.fields = field_ref_fields,
	.validate = kg_validate_field_ref,
};
static const struct kg_field resource_ref_fields[] = {
	F_STR("containerName", 0, "The container; by default the one that asks."),
	F_STR("resource", KG_FF_REQUIRED, "E.g. limits.cpu or requests.memory.",
		.check = kg_check_resource_field),
	F_QTY("divisor", 0, "The unit in which the value is given; 1 by default.", .dflt = "\"0\""),
	F_END,
};
const struct kg_schema kg_schema_resource_ref = {
	.name = "io.k8s.api.core.v1.ResourceFieldSelector",
	.doc = "A container's resource limit or request.",
	.fields = resource_ref_fields,
	.validate = kg_validate_resource_ref,
};
static const struct kg_field secret_key_fields[] = {
	F_STR("name", KG_FF_REQUIRED, "The Secret's name.", .check = kg_check_dns_subdomain),
	F_STR("key", KG_FF_REQUIRED, "The key in it.", .check = kg_check_config_key),
	F_BOOL("optional", 0, "Whether it may be missing."),
	F_END,
};
static const struct kg_schema secret_key = {
	.name = "io.k8s.api.core.v1.SecretKeySelector",
	.doc = "One key of a Secret.",
	.fields = secret_key_fields,
};
static const struct kg_field file_key_fields[] = {
	F_STR("volumeName", KG_FF_REQUIRED, "The volume.", .check = kg_check_dns_label),
	F_STR("path", KG_FF_REQUIRED, "The file in it.", .check = kg_check_relative_path),
	F_STR("key", KG_FF_REQUIRED, "The key in that.", .check = kg_check_env_name),
	F_BOOL("optional", 0, "Whether it may be missing."),
	F_END,
};
static const struct kg_schema file_key = {
	.name = "io.k8s.api.core.v1.FileKeySelector",
	.doc = "One key of a file of variables.",
	.fields = file_key_fields,
};
static const struct kg_field env_source_fields[] = {
	F_OBJ("configMapKeyRef", config_key, 0, "A key of a ConfigMap."),
	F_OBJ("fieldRef", kg_schema_field_ref, 0, "A field of the pod."),
	F_OBJ("resourceFieldRef", kg_schema_resource_ref, 0, "A resource limit or request."),
	F_OBJ("secretKeyRef", secret_key, 0, "A key of a Secret."),
	F_OBJ("fileKeyRef", file_key, KG_FF_UNSUPPORTED, "A key of a file in a volume."),
	F_END,
};
static const struct kg_schema env_source = {
	.name = "io.k8s.api.core.v1.EnvVarSource",
	.doc = "Where a variable's value comes from.",
	.fields = env_source_fields,
	.validate = kg_validate_env_source,
};
static const struct kg_field env_var_fields[] = {
	F_STR("name", KG_FF_REQUIRED, "The variable's name.", .check = kg_check_env_name),
	F_STR("value", 0, "Its value; $(NAME) is an earlier variable's, $$ a dollar sign."),
	F_OBJ("valueFrom", env_source, 0, "Where its value comes from."),
	F_END,
};
static const struct kg_schema env_var = {
	.name = "io.k8s.api.core.v1.EnvVar",
	.doc = "An environment variable.",
	.fields = env_var_fields,
	.validate = kg_validate_env_var,
};
static const struct kg_field config_env_fields[] = {
	F_STR("name", KG_FF_REQUIRED, "The ConfigMap's name.", .check = kg_check_dns_subdomain),
	F_BOOL("optional", 0, "Whether it may be missing."),
	F_END,
};
static const struct kg_schema config_env = {
	.name = "io.k8s.api.core.v1.ConfigMapEnvSource",
	.doc = "All keys of a ConfigMap.",
	.fields = config_env_fields,
};
static const struct kg_field secret_env_fields[] = {
	F_STR("name", KG_FF_REQUIRED, "The Secret's name.", .check = kg_check_dns_subdomain),
	F_BOOL("optional", 0, "Whether it may be missing."),
	F_END,
};
static const struct kg_schema secret_env = {
	.name = "io.k8s.api.core.v1.SecretEnvSource",
	.doc = "All keys of a Secret.",
	.fields = secret_env_fields,
};
static const struct kg_field env_from_fields[] = {
	F_STR("prefix", 0, "What is put before each name.", .check = kg_check_env_name),
	F_OBJ("configMapRef", config_env, 0, "The ConfigMap whose keys become variables."),
	F_OBJ("secretRef", secret_env, 0, "The Secret whose keys become variables."),
	F_END,
};
static const struct kg_schema env_from = {
	.name = "io.k8s.api.core.v1.EnvFromSource",
	.doc = "Variables from all keys of a ConfigMap.",
	.fields = env_from_fields,
	.validate = kg_validate_env_from,
};

/* ---- resources ---- */

static const struct kg_field resources_fields[] = {
	F_ROW("limits", KG_F_QUANTITY, KG_FF_MAP, "The most that may be used: cpu, memory, ...",
		.check = kg_check_quantity, .check_key = kg_check_resource_name),
	F_ROW("requests", KG_F_QUANTITY, KG_FF_MAP,
		"What a node must have free; the limits where not given.",
		.check = kg_check_quantity, .check_key = kg_check_resource_name),
	F_NOWHY("claims", KG_F_ANY, KG_FF_LIST, "Claims of dynamic resources.",
		"kgit has no dynamic resources"),
	F_END,
};
const struct kg_schema kg_schema_resources = {
	.name = "io.k8s.api.core.v1.ResourceRequirements",
	.doc = "What a container needs and may use.",
	.fields = resources_fields,
	.defaults = kg_default_resources,
	.validate = kg_validate_resources,
};

/* ---- mounts ---- */

static const struct kg_field mount_fields[] = {
	F_STR("name", KG_FF_REQUIRED, "The volume's name."),
	F_STR("mountPath", KG_FF_REQUIRED, "Where in the container it appears.",
		.check = kg_check_abs_path),
	F_BOOL("readOnly", 0, "Whether the container can only read it."),
	F_STR("subPath", 0, "A path within the volume, that is mounted in its stead.",
		.check = kg_check_descending_path),
	F_STR("subPathExpr", 0, "As subPath, with variables of the container: $(NAME).",
		.check = kg_check_descending_path),
	F_STR("mountPropagation", 0,
		"Whether mounts that come later pass: None, HostToContainer, Bidirectional.",
		.values = propagations),
	F_NOLIST("bindMountOptions", "Options of the mount."),
	F_STR("recursiveReadOnly", 0, "Whether mounts below are read-only: Disabled.",
		.values = recursive_read_only),
	F_END,
};
static const struct kg_schema mount = {
	.name = "io.k8s.api.core.v1.VolumeMount",
	.doc = "A volume as a container sees it.",
	.fields = mount_fields,
	.validate = kg_validate_mount,
};

/* ---- the container ---- */

static const struct kg_field resize_policy_fields[] = {
	F_STR("resourceName", KG_FF_REQUIRED, "cpu or memory.", .values = resized),
	F_STR("restartPolicy", KG_FF_REQUIRED, "NotRequired or RestartContainer.",
		.values = resize_restarts),
	F_END,
};
static const struct kg_schema resize_policy = {
	.name = "io.k8s.api.core.v1.ContainerResizePolicy",
	.doc = "Whether a resource can change while the container runs.",
	.fields = resize_policy_fields,
};
static const struct kg_field volume_device_fields[] = {
	F_STR("name", KG_FF_REQUIRED, "The volume's name."),
	F_STR("devicePath", KG_FF_REQUIRED, "Where in the container it appears.",
		.check = kg_check_abs_path),
	F_END,
};
static const struct kg_schema volume_device = {
	.name = "io.k8s.api.core.v1.VolumeDevice",
	.doc = "A block device as a container sees it.",
	.fields = volume_device_fields,
};
static const struct kg_field container_fields[] = {
	F_STR("name", KG_FF_REQUIRED, "The container's name, unique in its pod.",
		.check = kg_check_dns_label),
	F_STR("image", KG_FF_REQUIRED, "The image it is made of.", .check = kg_check_image),
	F_STR("imagePullPolicy", 0,
		"Always, IfNotPresent or Never; Always for the tag latest, else IfNotPresent.",
		.values = pull_policies),
	F_STR("command", KG_FF_LIST, "The command, instead of the image's entrypoint."),
	F_STR("args", KG_FF_LIST, "Its arguments, instead of the image's."),
	F_STR("workingDir", 0, "Its working directory, instead of the image's."),
	F_ROW("env", KG_F_OBJECT, KG_FF_LIST | KG_FF_REPEATS, "Environment variables.",
		.schema = &env_var, .merge_key = "name"),
	F_ROW("envFrom", KG_F_OBJECT, KG_FF_LIST, "Environment variables from ConfigMaps.",
		.schema = &env_from),
	F_ROW("ports", KG_F_OBJECT, KG_FF_LIST | KG_FF_REPEATS, "Ports that it listens on.",
		.schema = &port, .merge_key = "containerPort,protocol"),
	F_OBJ("resources", kg_schema_resources, 0, "What it needs and may use.", .dflt = "{}"),
	F_ROW("volumeMounts", KG_F_OBJECT, KG_FF_LIST, "The pod's volumes that it sees.",
		.schema = &mount, .merge_key = "mountPath"),
	F_OBJ("livenessProbe", kg_schema_liveness_probe, 0,
		"It is restarted where this check fails."),
	F_OBJ("readinessProbe", kg_schema_readiness_probe, 0,
		"It gets no traffic of Services where this check fails."),
	F_OBJ("startupProbe", kg_schema_probe, 0, "The other probes wait for this one."),
	F_OBJ("securityContext", kg_schema_container_security_context, 0,
		"Whom it runs as and what it may do."),
	F_STR("terminationMessagePath", 0, "The file whose content becomes its last message.",
		.dflt = "\"/dev/termination-log\""),
	F_STR("terminationMessagePolicy", 0, "File or FallbackToLogsOnError.", .dflt = "\"File\"",
		.values = message_policies),
	F_OBJ("lifecycle", kg_schema_lifecycle, 0,
		"What is done after its start and before its stop."),
	F_BOOL("stdin", 0, "Whether it has an open standard input, which nobody writes to."),
	F_BOOL("stdinOnce", 0, "Whether standard input ends with the first client."),
	F_BOOL("tty", 0, "Whether it has a terminal, whose output is its log."),
	F_STR("restartPolicy", 0, "Always makes an init container a sidecar.",
		.values = container_restarts),
	F_NOLIST("restartPolicyRules", "Restarts by exit code."),
	F_ROW("resizePolicy", KG_F_OBJECT, KG_FF_LIST | KG_FF_UNSUPPORTED,
		"How resources are changed in place.", .schema = &resize_policy,
		.merge_key = "resourceName"),
	F_ROW("volumeDevices", KG_F_OBJECT, KG_FF_LIST | KG_FF_UNSUPPORTED,
		"Block devices that it sees.", .schema = &volume_device, .merge_key = "devicePath"),
	F_END,
};
const struct kg_schema kg_schema_container = {
	.name = "io.k8s.api.core.v1.Container",
	.doc = "A program that runs in a pod.",
	.fields = container_fields,
	.defaults = kg_default_container,
	.validate = kg_validate_container,
};
const struct kg_schema kg_schema_init_container = {
	.name = "io.k8s.api.core.v1.Container",
	.doc = "A program that runs to its end before the pod's containers start.",
	.fields = container_fields,
	.defaults = kg_default_container,
	.validate = kg_validate_init_container,
};
