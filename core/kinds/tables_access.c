/* core/v1: Secret and ServiceAccount; rbac.authorization.k8s.io/v1. */
#include "kinds/tables.h"

/* ---- Secret: its values are shown nowhere but in the object itself ---- */

static const struct kg_field secret_fields[] = {
	F_TYPE_META,
	F_METADATA,
	F_ROW("data", KG_F_BYTES, KG_FF_MAP | KG_FF_SECRET, "Keys and bytes, in base64.",
		.check_key = kg_check_config_key),
	F_ROW("stringData", KG_F_STRING, KG_FF_MAP | KG_FF_SECRET,
		"Keys and texts; they become part of data.", .check_key = kg_check_config_key),
	F_STR("type", KG_FF_IMMUTABLE, "What its keys must be; Opaque: anything.",
		.dflt = "\"Opaque\""),
	F_BOOL("immutable", 0, "Whether its data may not change any more."),
	F_END,
};
const struct kg_schema kg_schema_secret = {
	.name = "io.k8s.api.core.v1.Secret",
	.doc = "Bytes that few may see and pods read as files or environment variables.",
	.fields = secret_fields,
	.defaults = kg_default_secret,
	.validate = kg_validate_secret,
	.update = kg_update_secret,
};

/* ---- ServiceAccount ---- */

static const struct kg_field local_reference_fields[] = {
	F_STR("name", 0, "Name of the object.", .check = kg_check_dns_subdomain),
	F_END,
};
const struct kg_schema kg_schema_local_reference = {
	.name = "io.k8s.api.core.v1.LocalObjectReference",
	.doc = "Names an object of the same namespace.",
	.fields = local_reference_fields,
};
static const struct kg_field serviceaccount_fields[] = {
	F_TYPE_META,
	F_METADATA,
	F_ROW("secrets", KG_F_OBJECT, KG_FF_LIST, "Secrets that its pods may use.",
		.schema = &kg_schema_object_reference, .merge_key = "name"),
	F_ROW("imagePullSecrets", KG_F_OBJECT, KG_FF_LIST,
		"Secrets with credentials of registries, for its pods.",
		.schema = &kg_schema_local_reference),
	F_BOOL("automountServiceAccountToken", 0, "Whether its pods get a token of it."),
	F_END,
};
const struct kg_schema kg_schema_serviceaccount = {
	.name = "io.k8s.api.core.v1.ServiceAccount",
	.doc = "Whom pods act as.",
	.fields = serviceaccount_fields,
	.validate = kg_validate_serviceaccount,
};

/* ---- roles ---- */

static const struct kg_field rule_fields[] = {
	F_STR("verbs", KG_FF_LIST, "What may be done: get, list, watch, create, ..., or *."),
	F_STR("apiGroups", KG_FF_LIST, "Groups of the resources; \"\" is the core group, * all."),
	F_STR("resources", KG_FF_LIST, "Resources, e.g. pods or deployments/scale, or *."),
	F_STR("resourceNames", KG_FF_LIST, "Names of the objects; all where there are none."),
	F_STR("nonResourceURLs", KG_FF_LIST, "Paths such as /metrics or /healthz/*."),
	F_END,
};
#define RULE_NAME "io.k8s.api.rbac.v1.PolicyRule"
#define RULE_DOC  "What may be done with what."
static const struct kg_schema role_rule = {
	.name = RULE_NAME,
	.doc = RULE_DOC,
	.fields = rule_fields,
	.validate = kg_validate_role_rule,
};
static const struct kg_schema clusterrole_rule = {
	.name = RULE_NAME,
	.doc = RULE_DOC,
	.fields = rule_fields,
	.validate = kg_validate_clusterrole_rule,
};
static const struct kg_field role_fields[] = {
	F_TYPE_META,
	F_METADATA,
	F_ROW("rules", KG_F_OBJECT, KG_FF_LIST, "What may be done.", .schema = &role_rule),
	F_END,
};
const struct kg_schema kg_schema_role = {
	.name = "io.k8s.api.rbac.v1.Role",
	.doc = "What may be done in a namespace.",
	.fields = role_fields,
	.validate = kg_validate_rbac,
};
static const struct kg_field aggregation_fields[] = {
	F_ROW("clusterRoleSelectors", KG_F_OBJECT, KG_FF_LIST | KG_FF_REQUIRED,
		"ClusterRoles whose rules it has, too.", .schema = &kg_schema_label_selector),
	F_END,
};
static const struct kg_schema aggregation = {
	.name = "io.k8s.api.rbac.v1.AggregationRule",
	.doc = "Which ClusterRoles' rules make one.",
	.fields = aggregation_fields,
};
static const struct kg_field clusterrole_fields[] = {
	F_TYPE_META,
	F_METADATA,
	F_ROW("rules", KG_F_OBJECT, KG_FF_LIST, "What may be done.", .schema = &clusterrole_rule),
	F_OBJ("aggregationRule", aggregation, 0, "Which other ClusterRoles' rules it has."),
	F_END,
};
const struct kg_schema kg_schema_clusterrole = {
	.name = "io.k8s.api.rbac.v1.ClusterRole",
	.doc = "What may be done in the cluster, or in any namespace it is bound in.",
	.fields = clusterrole_fields,
	.validate = kg_validate_rbac,
};

/* ---- bindings ---- */

static const char *const rbac_group[] = {"rbac.authorization.k8s.io", NULL};
static const char *const role_kinds[] = {"Role", "ClusterRole", NULL};
static const char *const clusterrole_kinds[] = {"ClusterRole", NULL};
static const char *const subject_kinds[] = {"ServiceAccount", "User", "Group", NULL};

static const struct kg_field subject_fields[] = {
	F_STR("kind", KG_FF_REQUIRED, "User, Group or ServiceAccount.", .values = subject_kinds),
	F_STR("apiGroup", 0, "rbac.authorization.k8s.io; none for a ServiceAccount."),
	F_STR("name", KG_FF_REQUIRED, "The name."),
	F_STR("namespace", 0, "The ServiceAccount's namespace."),
	F_END,
};
#define SUBJECT_NAME "io.k8s.api.rbac.v1.Subject"
#define SUBJECT_DOC  "A user, group or ServiceAccount."
static const struct kg_schema subject = {
	.name = SUBJECT_NAME,
	.doc = SUBJECT_DOC,
	.fields = subject_fields,
	.defaults = kg_default_subject,
	.validate = kg_validate_subject,
};
static const struct kg_schema cluster_subject = {
	.name = SUBJECT_NAME,
	.doc = SUBJECT_DOC,
	.fields = subject_fields,
	.defaults = kg_default_subject,
	.validate = kg_validate_cluster_subject,
};
#define ROLE_REF_NAME "io.k8s.api.rbac.v1.RoleRef"
#define ROLE_REF_DOC  "Names a role."
#define ROLE_REF_FIELDS(kinds)                                                                     \
	F_STR("apiGroup", 0, "rbac.authorization.k8s.io.",                                         \
		.dflt = "\"rbac.authorization.k8s.io\"", .values = rbac_group),                    \
		F_STR("kind", KG_FF_REQUIRED, "Role or ClusterRole.", .values = (kinds)),          \
		F_STR("name", KG_FF_REQUIRED, "The role's name.", .check = kg_check_path_segment), \
		F_END
static const struct kg_field role_ref_fields[] = {ROLE_REF_FIELDS(role_kinds)};
static const struct kg_schema role_ref = {
	.name = ROLE_REF_NAME,
	.doc = ROLE_REF_DOC,
	.fields = role_ref_fields,
};
static const struct kg_field clusterrole_ref_fields[] = {ROLE_REF_FIELDS(clusterrole_kinds)};
static const struct kg_schema clusterrole_ref = {
	.name = ROLE_REF_NAME,
	.doc = ROLE_REF_DOC,
	.fields = clusterrole_ref_fields,
};
static const struct kg_field rolebinding_fields[] = {
	F_TYPE_META,
	F_METADATA,
	F_ROW("subjects", KG_F_OBJECT, KG_FF_LIST, "Who may.", .schema = &subject),
	F_OBJ("roleRef", role_ref, KG_FF_REQUIRED | KG_FF_IMMUTABLE, "What they may."),
	F_END,
};
const struct kg_schema kg_schema_rolebinding = {
	.name = "io.k8s.api.rbac.v1.RoleBinding",
	.doc = "Who may do in a namespace what a role says.",
	.fields = rolebinding_fields,
	.validate = kg_validate_rbac,
};
static const struct kg_field clusterrolebinding_fields[] = {
	F_TYPE_META,
	F_METADATA,
	F_ROW("subjects", KG_F_OBJECT, KG_FF_LIST, "Who may.", .schema = &cluster_subject),
	F_OBJ("roleRef", clusterrole_ref, KG_FF_REQUIRED | KG_FF_IMMUTABLE, "What they may."),
	F_END,
};
const struct kg_schema kg_schema_clusterrolebinding = {
	.name = "io.k8s.api.rbac.v1.ClusterRoleBinding",
	.doc = "Who may do in the whole cluster what a ClusterRole says.",
	.fields = clusterrolebinding_fields,
	.validate = kg_validate_rbac,
};
