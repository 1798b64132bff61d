/* core/v1: containers and what lies in them. */
#include "kinds/tables.h"

static const char *const protocols[] = {"TCP", "UDP", "SCTP", NULL};
static const char *const pull_policies[] = {"Always", "IfNotPresent", "Never", NULL};
static const char *const message_policies[] = {"File", "FallbackToLogsOnError", NULL};
static const char *const schemes[] = {"HTTP", "HTTPS", NULL};
static const char *const seccomp_types[] = {"RuntimeDefault", "Unconfined", NULL};
static const char *const proc_mounts[] = {"Default", NULL};
static const char *const propagations[] = {"None", NULL};
static const char *const recursive_read_only[] = {"Disabled", NULL};

/* ---- ports ---- */

static const struct kg_field port_fields[] = {
	F_STR("name", 0, "A name for the port that Services and probes can use.",
		.check = kg_check_port_name),
	F_INT("containerPort", KG_FF_REQUIRED, "The port's number, 1 to 65535.", R_PORT),
	F_STR("protocol", 0, "TCP, UDP or SCTP.", .dflt = "\"TCP\"", .values = protocols),
	F_INT("hostPort", 0, "A port of the node; only with hostNetwork, where it is the same.",
		.min = 0, .max = 65535),
	F_NOSTR("hostIP", "The node's address that hostPort is bound to."),
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
static const struct kg_schema field_ref = {
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
static const struct kg_schema resource_ref = {
	.name = "io.k8s.api.core.v1.ResourceFieldSelector",
	.doc = "A container's resource limit or request.",
	.fields = resource_ref_fields,
};
static const struct kg_field env_source_fields[] = {
	F_OBJ("configMapKeyRef", config_key, 0, "A key of a ConfigMap."),
	F_OBJ("fieldRef", field_ref, 0, "A field of the pod."),
	F_OBJ("resourceFieldRef", resource_ref, 0, "A resource limit or request."),
	F_NOANY("secretKeyRef", "A key of a Secret."),
	F_NOANY("fileKeyRef", "A key of a file in a volume."),
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
const struct kg_schema kg_schema_env_var = {
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
static const struct kg_field env_from_fields[] = {
	F_STR("prefix", 0, "What is put before each name.", .check = kg_check_env_name),
	F_OBJ("configMapRef", config_env, 0, "The ConfigMap whose keys become variables."),
	F_NOANY("secretRef", "The Secret whose keys become variables."),
	F_END,
};
const struct kg_schema kg_schema_env_from = {
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
	F_NOLIST("claims", "Claims of dynamic resources."),
	F_END,
};
const struct kg_schema kg_schema_resources = {
	.name = "io.k8s.api.core.v1.ResourceRequirements",
	.doc = "What a container needs and may use.",
	.fields = resources_fields,
	.defaults = kg_default_resources,
	.validate = kg_validate_resources,
};

/* ---- probes ---- */

static const struct kg_field exec_fields[] = {
	F_STR("command", KG_FF_LIST | KG_FF_REQUIRED, "The command; it succeeds by exiting 0."),
	F_END,
};
static const struct kg_schema exec_action = {
	.name = "io.k8s.api.core.v1.ExecAction",
	.doc = "A command that is run in the container.",
	.fields = exec_fields,
};
static const struct kg_field http_header_fields[] = {
	F_STR("name", KG_FF_REQUIRED, "The header's name.", .check = kg_check_http_header),
	F_STR("value", 0, "Its value."),
	F_END,
};
static const struct kg_schema http_header = {
	.name = "io.k8s.api.core.v1.HTTPHeader",
	.doc = "A header of a probe's request.",
	.fields = http_header_fields,
};
static const struct kg_field http_get_fields[] = {
	F_STR("path", 0, "The path that is asked for.", .dflt = "\"/\""),
	F_IOS("port", KG_FF_REQUIRED, "The port's number or name.", .check = kg_check_port),
	F_STR("host", 0, "The host to connect to; the pod's address by default."),
	F_STR("scheme", 0, "HTTP or HTTPS.", .dflt = "\"HTTP\"", .values = schemes),
	F_ROW("httpHeaders", KG_F_OBJECT, KG_FF_LIST, "Headers that are sent along.",
		.schema = &http_header),
	F_END,
};
static const struct kg_schema http_get = {
	.name = "io.k8s.api.core.v1.HTTPGetAction",
	.doc = "An HTTP GET; it succeeds with a status of 200 to 399.",
	.fields = http_get_fields,
};
static const struct kg_field tcp_socket_fields[] = {
	F_IOS("port", KG_FF_REQUIRED, "The port's number or name.", .check = kg_check_port),
	F_STR("host", 0, "The host to connect to; the pod's address by default."),
	F_END,
};
static const struct kg_schema tcp_socket = {
	.name = "io.k8s.api.core.v1.TCPSocketAction",
	.doc = "A TCP connection; it succeeds where it is accepted.",
	.fields = tcp_socket_fields,
};
static const struct kg_field probe_fields[] = {
	F_OBJ("exec", exec_action, 0, "A command that is run in the container."),
	F_OBJ("httpGet", http_get, 0, "An HTTP GET."),
	F_OBJ("tcpSocket", tcp_socket, 0, "A TCP connection."),
	F_NOANY("grpc", "A gRPC health check."),
	F_INT("initialDelaySeconds", 0, "How long after the start the first one is made.", R_COUNT),
	F_INT("timeoutSeconds", 0, "How long an answer may take.", R_COUNT, .dflt = "1"),
	F_INT("periodSeconds", 0, "How often it is made.", R_COUNT, .dflt = "10"),
	F_INT("successThreshold", 0, "Successes in a row that count.", R_COUNT, .dflt = "1"),
	F_INT("failureThreshold", 0, "Failures in a row that count.", R_COUNT, .dflt = "3"),
	F_INT("terminationGracePeriodSeconds", 0,
		"How long the container has to stop after the probe failed.", .min = 1,
		.max = INT64_MAX),
	F_END,
};
#define PROBE_NAME "io.k8s.api.core.v1.Probe"
#define PROBE_DOC  "A check of a container's health."
const struct kg_schema kg_schema_probe = {
	/* startup */
	.name = PROBE_NAME,
	.doc = PROBE_DOC,
	.fields = probe_fields,
	.defaults = kg_default_probe,
	.validate = kg_validate_liveness_probe,
};
const struct kg_schema kg_schema_liveness_probe = {
	.name = PROBE_NAME,
	.doc = PROBE_DOC,
	.fields = probe_fields,
	.defaults = kg_default_probe,
	.validate = kg_validate_liveness_probe,
};
const struct kg_schema kg_schema_readiness_probe = {
	.name = PROBE_NAME,
	.doc = PROBE_DOC,
	.fields = probe_fields,
	.defaults = kg_default_probe,
	.validate = kg_validate_readiness_probe,
};

/* ---- mounts ---- */

static const struct kg_field mount_fields[] = {
	F_STR("name", KG_FF_REQUIRED, "The volume's name."),
	F_STR("mountPath", KG_FF_REQUIRED, "Where in the container it appears.",
		.check = kg_check_abs_path),
	F_BOOL("readOnly", 0, "Whether the container can only read it."),
	F_NOSTR("subPath", "A path within the volume."),
	F_NOSTR("subPathExpr", "A path within the volume, with variables."),
	F_STR("mountPropagation", 0, "Whether mounts pass between node and container: None.",
		.values = propagations),
	F_STR("recursiveReadOnly", 0, "Whether mounts below are read-only: Disabled.",
		.values = recursive_read_only),
	F_END,
};
static const struct kg_schema mount = {
	.name = "io.k8s.api.core.v1.VolumeMount",
	.doc = "A volume as a container sees it.",
	.fields = mount_fields,
};

/* ---- security ---- */

static const struct kg_field capabilities_fields[] = {
	F_STR("add", KG_FF_LIST, "Capabilities it has beyond the usual ones.",
		.check = kg_check_capability),
	F_STR("drop", KG_FF_LIST, "Capabilities it does not have; ALL is all of them.",
		.check = kg_check_capability),
	F_END,
};
static const struct kg_schema capabilities = {
	.name = "io.k8s.api.core.v1.Capabilities",
	.doc = "Linux capabilities.",
	.fields = capabilities_fields,
};
static const struct kg_field seccomp_fields[] = {
	F_STR("type", KG_FF_REQUIRED, "RuntimeDefault or Unconfined.", .values = seccomp_types),
	F_NOSTR("localhostProfile", "A profile in a file of the node."),
	F_END,
};
static const struct kg_schema seccomp = {
	.name = "io.k8s.api.core.v1.SeccompProfile",
	.doc = "Which system calls may be made.",
	.fields = seccomp_fields,
};
#define R_ID .min = 0, .max = INT32_MAX
static const struct kg_field security_context_fields[] = {
	F_INT("runAsUser", 0, "The user id of the process.", R_ID),
	F_INT("runAsGroup", 0, "The group id of the process.", R_ID),
	F_BOOL("runAsNonRoot", 0, "Refuses to start as user 0."),
	F_BOOL("readOnlyRootFilesystem", 0, "Whether the root file system is read-only."),
	F_BOOL("allowPrivilegeEscalation", 0, "Whether a process may gain privileges (setuid)."),
	F_BOOL("privileged", 0, "Whether it has all privileges of the node."),
	F_OBJ("capabilities", capabilities, 0, "Linux capabilities."),
	F_OBJ("seccompProfile", seccomp, 0, "Which system calls may be made."),
	F_STR("procMount", 0, "How /proc is masked: Default.", .values = proc_mounts),
	F_NOANY("seLinuxOptions", "The SELinux context."),
	F_NOANY("windowsOptions", "Settings of Windows containers."),
	F_NOANY("appArmorProfile", "The AppArmor profile."),
	F_END,
};
const struct kg_schema kg_schema_container_security_context = {
	.name = "io.k8s.api.core.v1.SecurityContext",
	.doc = "Whom a container runs as and what it may do.",
	.fields = security_context_fields,
	.validate = kg_validate_security_context,
};
static const char *const fs_group_policies[] = {"Always", "OnRootMismatch", NULL};
static const struct kg_field pod_security_context_fields[] = {
	F_INT("runAsUser", 0, "The user id of the processes.", R_ID),
	F_INT("runAsGroup", 0, "The group id of the processes.", R_ID),
	F_BOOL("runAsNonRoot", 0, "Refuses to start as user 0."),
	F_INT("fsGroup", 0, "The group that owns the volumes.", R_ID),
	F_STR("fsGroupChangePolicy", 0, "When volumes' ownership is set.",
		.values = fs_group_policies),
	F_INT("supplementalGroups", KG_FF_LIST, "Further groups of the processes.", R_ID),
	F_OBJ("seccompProfile", seccomp, 0, "Which system calls may be made."),
	F_NOLIST("sysctls", "Kernel parameters of the pod."),
	F_NOANY("seLinuxOptions", "The SELinux context."),
	F_NOANY("windowsOptions", "Settings of Windows containers."),
	F_NOANY("appArmorProfile", "The AppArmor profile."),
	F_NOSTR("supplementalGroupsPolicy", "How the image's groups are taken."),
	F_NOSTR("seLinuxChangePolicy", "How volumes are labelled."),
	F_END,
};
const struct kg_schema kg_schema_pod_security_context = {
	.name = "io.k8s.api.core.v1.PodSecurityContext",
	.doc = "Whom a pod's containers run as, where they do not say so themselves.",
	.fields = pod_security_context_fields,
};

/* ---- the container ---- */

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
		.schema = &kg_schema_env_var, .merge_key = "name"),
	F_ROW("envFrom", KG_F_OBJECT, KG_FF_LIST, "Environment variables from ConfigMaps.",
		.schema = &kg_schema_env_from),
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
	F_NOANY("lifecycle", "What is done after its start and before its stop."),
	F_NOBOOL("stdin", "Whether it has an open standard input."),
	F_NOBOOL("stdinOnce", "Whether standard input ends with the first client."),
	F_NOBOOL("tty", "Whether it has a terminal."),
	F_NOSTR("restartPolicy", "Always makes an init container a sidecar."),
	F_NOLIST("restartPolicyRules", "Restarts by exit code."),
	F_NOLIST("resizePolicy", "How resources are changed in place."),
	F_NOLIST("volumeDevices", "Block devices that it sees."),
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
