#include "kinds/missing.h"

#include "kinds/tables.h"

#define KUSTOMIZE                                                                                  \
	"kgit does not run kustomize: push what `kustomize build` prints, and name what it is "    \
	"made from in .kgitignore"
#define HELM                                                                                       \
	"kgit does not run Helm: push what `helm template` prints, and name the chart in "         \
	".kgitignore"
/* What to do about a kind: its name as ignored_kinds has it follows. */
#define WAY_OUT                                                                                    \
	"take it out, name its file in .kgitignore, or put \"%s.%s\" into ignored_kinds of "       \
	".kgit/settings.yaml"

/* ---- what Kubernetes had or has, and kgit does not ---- */

/* Kinds of Kubernetes that are not kgit's yet: known, so that the message can say so. */
static bool is_kubernetes_kind(const char *kind)
{
	static const char *const kinds[] = {"APIService", "Binding", "CertificateSigningRequest",
		"ClusterTrustBundle", "CSIDriver", "CSINode", "CSIStorageCapacity",
		"CustomResourceDefinition", "DeviceClass", "FlowSchema", "HorizontalPodAutoscaler",
		"IPAddress", "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding",
		"MutatingWebhookConfiguration", "PriorityLevelConfiguration", "ResourceClaim",
		"ResourceClaimTemplate", "ResourceSlice", "ServiceCIDR", "StorageVersionMigration",
		"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
		"ValidatingWebhookConfiguration", "VolumeAttachment", "VolumeAttributesClass",
		NULL};

	return kg_rule_one_of(kind, kinds);
}

/* Is the group ("" is the core group) one of Kubernetes' own, not of custom resources? */
static bool is_kubernetes_group(const char *group)
{
	static const char *const groups[] = {"", "admissionregistration.k8s.io",
		"apiextensions.k8s.io", "apiregistration.k8s.io", "apps", "authentication.k8s.io",
		"authorization.k8s.io", "autoscaling", "batch", "certificates.k8s.io",
		"coordination.k8s.io", "discovery.k8s.io", "events.k8s.io", "extensions",
		"flowcontrol.apiserver.k8s.io", "networking.k8s.io", "node.k8s.io", "policy",
		"rbac.authorization.k8s.io", "resource.k8s.io", "scheduling.k8s.io",
		"storage.k8s.io", "storagemigration.k8s.io", NULL};

	return kg_rule_one_of(group, groups);
}

/* What Kubernetes does not serve any more, by its deprecation guide: since when, and how the
 * version that stayed differs. */
static const struct gone {
	const char *version, *kind; /* kind NULL: any */
	const char *release, *hint;
} gone[] = {
#define SELECTOR " (it wants spec.selector, which matches the template's labels)"
	{"extensions/v1beta1", "Ingress", "1.22",
		" (a backend is service.name and service.port there, a path has a pathType)"},
	{"networking.k8s.io/v1beta1", "Ingress", "1.22",
		" (a backend is service.name and service.port there, a path has a pathType)"},
	{"extensions/v1beta1", "NetworkPolicy", "1.16", ""},
	{"extensions/v1beta1", NULL, "1.16", SELECTOR},
	{"apps/v1beta1", NULL, "1.16", SELECTOR},
	{"apps/v1beta2", NULL, "1.16", SELECTOR},
	{"networking.k8s.io/v1beta1", NULL, "1.22", ""},
	{"rbac.authorization.k8s.io/v1alpha1", NULL, "1.22", ""},
	{"rbac.authorization.k8s.io/v1beta1", NULL, "1.22", ""},
	{"scheduling.k8s.io/v1alpha1", NULL, "1.22", ""},
	{"scheduling.k8s.io/v1beta1", NULL, "1.22", ""},
	{"storage.k8s.io/v1beta1", NULL, "1.22", ""},
	{"batch/v2alpha1", NULL, "1.21", ""},
	{"batch/v1beta1", NULL, "1.25", ""},
	{"discovery.k8s.io/v1beta1", NULL, "1.25", ""},
	{"node.k8s.io/v1beta1", NULL, "1.25", ""},
	{"policy/v1beta1", NULL, "1.25", ""},
#undef SELECTOR
};

static const struct gone *find_gone(const char *version, const char *kind)
{
	for (size_t i = 0; i < KG_ARRAY_LEN(gone); i++) {
		if (!strcmp(gone[i].version, version) &&
			(!gone[i].kind || !strcmp(gone[i].kind, kind)))
			return &gone[i];
	}
	return NULL;
}

/* Of a kind that kgit has: the version is wrong. */
static void other_version(
	struct kg_fault_list *f, const struct kg_yaml_node *version, const struct kg_kind *kind)
{
	const struct gone *g = find_gone(version->scalar.s, kind->kind);
	struct kg_value shown = kg_v_lit(version->scalar.s);

	if (g)
		kg_fault_add_at(f, version->line, version->col, "apiVersion",
			"Kubernetes %s removed \"%s\": expected \"%s\" for kind %s%s", g->release,
			g->version, kg_kind_api_version(kind), kind->kind, g->hint);
	else
		kg_fault_add_at(f, version->line, version->col, "apiVersion",
			"unknown API version %s for kind %s, expected \"%s\"",
			kg_rule_show(f->arena, &shown), kind->kind, kg_kind_api_version(kind));
}

static const char *removed_kind(const char *kind)
{
	if (!strcmp(kind, "PodSecurityPolicy"))
		return "Kubernetes 1.25 removed PodSecurityPolicy: a Namespace's label "
		       "pod-security.kubernetes.io/enforce does its work";
	return strcmp(kind, "PodPreset") ? NULL : "Kubernetes 1.20 removed PodPreset";
}

/* ---- kinds ---- */

static const char *group_of(struct kg_arena *a, const char *version)
{
	const char *slash = strchr(version, '/');

	return slash ? kg_arena_strndup(a, version, (size_t)(slash - version)) : "";
}

static const struct kg_kind *named(const char *kind)
{
	for (size_t i = 0; i < KG_KIND_COUNT; i++)
		if (!strcmp(kg_kinds[i].kind, kind))
			return &kg_kinds[i];
	return NULL;
}

/* A custom resource's group has a dot; what ends as Kubernetes' own do may be one that is misspelt.
 */
static bool is_custom(const char *group, const char *kind)
{
	size_t n = strlen(group);

	if (is_kubernetes_group(group) || !strchr(group, '.'))
		return false;
	return !named(kind) || n < 7 || strcmp(group + n - 7, ".k8s.io") != 0;
}

static void unknown_word(struct kg_fault_list *f, const struct kg_yaml_node *version,
	const struct kg_yaml_node *kind)
{
	struct kg_value shown = kg_v_lit(kind->scalar.s), of = kg_v_lit(version->scalar.s);
	struct kg_suggest near;

	kg_suggest_init(&near, kind->scalar.s);
	for (size_t i = 0; i < KG_KIND_COUNT; i++) {
		if (kg_kinds[i].flags & KG_KF_MANIFEST)
			kg_suggest_offer(&near, kg_kinds[i].kind);
	}
	kg_fault_add_at(f, kind->line, kind->col, "kind", "unknown kind %s of %s%s",
		kg_rule_show(f->arena, &shown), kg_rule_show(f->arena, &of),
		near.best ? kg_suggest_text(f->arena, &near)
			  : "; kubectl api-resources lists those of kgit");
}

void kg_missing_kind(struct kg_fault_list *f, const struct kg_yaml_node *version,
	const struct kg_yaml_node *kind)
{
	const char *name = kind->scalar.s, *group = group_of(f->arena, version->scalar.s);
	const struct kg_kind *known = named(name);
	struct kg_value shown = kg_v_lit(name), of = kg_v_lit(version->scalar.s);

	if (!strcmp(group, "kustomize.config.k8s.io")) {
		kg_fault_add_at(f, kind->line, kind->col, "kind", KUSTOMIZE);
	} else if (is_custom(group, name)) {
		kg_fault_add_at(f, kind->line, kind->col, "kind",
			"kgit has no kind %s of %s, nor custom resources yet: " WAY_OUT,
			kg_rule_show(f->arena, &shown), kg_rule_show(f->arena, &of), name, group);
	} else if (known) {
		other_version(f, version, known);
	} else if (removed_kind(name)) {
		kg_fault_add_at(f, kind->line, kind->col, "kind", "%s", removed_kind(name));
	} else if (is_kubernetes_kind(name) && *group) {
		kg_fault_add_at(f, kind->line, kind->col, "kind",
			"kgit does not support kind \"%s\" yet: " WAY_OUT, name, name, group);
	} else if (is_kubernetes_kind(name)) {
		kg_fault_add_at(f, kind->line, kind->col, "kind",
			"kgit does not support kind \"%s\" yet: take it out, or name its file in "
			".kgitignore",
			name);
	} else {
		unknown_word(f, version, kind);
	}
}

/* ---- files of other programs ---- */

static bool has(const struct kg_yaml_node *node, const char *key)
{
	for (uint32_t i = 0; i < node->len; i++)
		if (!strcmp(node->members[i].key, key))
			return true;
	return false;
}

static bool is_kustomization(const char *name, const struct kg_yaml_node *node)
{
	return !has(node, "kind") &&
	       (!strcmp(name, "kustomization.yaml") || !strcmp(name, "kustomization.yml"));
}

/* Chart.yaml has an apiVersion, but no kind. */
static bool is_chart(const char *name, const struct kg_yaml_node *node)
{
	return !has(node, "kind") && (!strcmp(name, "Chart.yaml") || !strncmp(name, "values.", 7) ||
					     !strncmp(name, "values-", 7));
}

bool kg_missing_object(struct kg_fault_list *f, const struct kg_yaml_node *node)
{
	const char *slash = f->file ? strrchr(f->file, '/') : NULL;
	const char *name = slash ? slash + 1 : f->file ? f->file : "";

	if (has(node, "apiVersion") && has(node, "kind"))
		return false;
	if (is_kustomization(name, node))
		kg_fault_add_at(f, node->line, node->col, "", KUSTOMIZE);
	else if (is_chart(name, node))
		kg_fault_add_at(f, node->line, node->col, "", HELM);
	else if (!has(node, "apiVersion") && !has(node, "kind"))
		kg_fault_add_at(f, node->line, node->col, "",
			"expected a Kubernetes object (apiVersion, kind, metadata, ...), got a "
			"mapping without apiVersion and kind; a file that is no manifest is named "
			"in .kgitignore");
	else
		return false;
	return true;
}

/* ---- kinds to be ignored ---- */

const char *kg_check_ignored_kind(struct kg_arena *a, const struct kg_value *v)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	const char *s = kg_string(v, ""), *dot = strchr(s, '.');
	size_t n = dot ? (size_t)(dot - s) : 0;
	struct kg_value group = kg_v_lit(dot ? dot + 1 : "");

	if ((n == 1 && *s == '*') || (n && strspn(s, letters) == n))
		if (!kg_check_dns_subdomain(a, &group))
			return NULL;
	return "expected KIND.GROUP, as in ServiceMonitor.monitoring.coreos.com, or *.GROUP for "
	       "all "
	       "kinds of a group";
}

struct kg_ignored_kind *kg_ignored_kind_find(
	struct kg_ignored_kind *items, size_t n, const char *version, const char *kind)
{
	const char *slash = strchr(version, '/');
	size_t group = slash ? (size_t)(slash - version) : 0, len = strlen(kind);

	for (size_t i = 0; group && i < n; i++) {
		const char *name = items[i].name, *dot = strchr(name, '.');
		size_t before = dot ? (size_t)(dot - name) : 0;
		bool all = before == 1 && *name == '*';
		if (dot && strlen(dot + 1) == group && !memcmp(dot + 1, version, group) &&
			(all || (before == len && !memcmp(name, kind, len))))
			return &items[i];
	}
	return NULL;
}
