/* core/v1: whom containers run as and what they may do. */
#include "kinds/tables.h"

static const char *const seccomp_types[] = {"RuntimeDefault", "Unconfined", NULL};
static const char *const proc_mounts[] = {"Default", NULL};
static const char *const apparmor_types[] = {"RuntimeDefault", "Localhost", "Unconfined", NULL};
static const char *const group_policies[] = {"Merge", "Strict", NULL};
static const char *const label_policies[] = {"MountOption", "Recursive", NULL};

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
static const struct kg_field selinux_fields[] = {
	F_STR("user", 0, "The SELinux user."),
	F_STR("role", 0, "The SELinux role."),
	F_STR("type", 0, "The SELinux type."),
	F_STR("level", 0, "The SELinux level."),
	F_END,
};
static const struct kg_schema selinux = {
	.name = "io.k8s.api.core.v1.SELinuxOptions",
	.doc = "An SELinux context.",
	.fields = selinux_fields,
};
static const struct kg_field apparmor_fields[] = {
	F_STR("type", KG_FF_REQUIRED, "RuntimeDefault, Localhost or Unconfined.",
		.values = apparmor_types),
	F_STR("localhostProfile", 0, "A profile that the node has loaded."),
	F_END,
};
static const struct kg_schema apparmor = {
	.name = "io.k8s.api.core.v1.AppArmorProfile",
	.doc = "An AppArmor profile.",
	.fields = apparmor_fields,
};
static const struct kg_field sysctl_fields[] = {
	F_STR("name", KG_FF_REQUIRED, "The parameter's name."),
	F_STR("value", KG_FF_REQUIRED, "Its value."),
	F_END,
};
static const struct kg_schema sysctl = {
	.name = "io.k8s.api.core.v1.Sysctl",
	.doc = "A kernel parameter.",
	.fields = sysctl_fields,
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
	F_OBJ("seLinuxOptions", selinux, KG_FF_UNSUPPORTED, "The SELinux context."),
	F_NOWHY("windowsOptions", KG_F_ANY, 0, "Settings of Windows containers.",
		"kgit runs Linux containers"),
	F_OBJ("appArmorProfile", apparmor, KG_FF_UNSUPPORTED, "The AppArmor profile."),
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
	F_ROW("sysctls", KG_F_OBJECT, KG_FF_LIST | KG_FF_UNSUPPORTED,
		"Kernel parameters of the pod.", .schema = &sysctl),
	F_OBJ("seLinuxOptions", selinux, KG_FF_UNSUPPORTED, "The SELinux context."),
	F_NOWHY("windowsOptions", KG_F_ANY, 0, "Settings of Windows containers.",
		"kgit runs Linux containers"),
	F_OBJ("appArmorProfile", apparmor, KG_FF_UNSUPPORTED, "The AppArmor profile."),
	F_STR("supplementalGroupsPolicy", KG_FF_UNSUPPORTED, "How the image's groups are taken.",
		.values = group_policies),
	F_STR("seLinuxChangePolicy", KG_FF_UNSUPPORTED, "How volumes are labelled.",
		.values = label_policies),
	F_END,
};
const struct kg_schema kg_schema_pod_security_context = {
	.name = "io.k8s.api.core.v1.PodSecurityContext",
	.doc = "Whom a pod's containers run as, where they do not say so themselves.",
	.fields = pod_security_context_fields,
};
