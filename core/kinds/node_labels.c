#include "kinds/node_labels.h"

#include "kinds/schema.h"

#include <string.h>

/* Is `domain` (so many bytes) the name, or does it end in ".NAME". */
static bool is_below(const char *domain, size_t len, const char *name)
{
	size_t n = strlen(name);
	return len >= n && memcmp(domain + len - n, name, n) == 0 &&
	       (len == n || domain[len - n - 1] == '.');
}

/* Those of Kubernetes' own that a kubelet sets, besides all of kubelet.kubernetes.io and
 * node.kubernetes.io. */
static bool is_kubelets(const char *key)
{
	static const char *const known[] = {"kubernetes.io/hostname", "kubernetes.io/os",
		"kubernetes.io/arch", "beta.kubernetes.io/os", "beta.kubernetes.io/arch",
		"beta.kubernetes.io/instance-type", "node.kubernetes.io/instance-type",
		"topology.kubernetes.io/zone", "topology.kubernetes.io/region",
		"failure-domain.beta.kubernetes.io/zone",
		"failure-domain.beta.kubernetes.io/region"};
	for (size_t i = 0; i < KG_ARRAY_LEN(known); i++)
		if (strcmp(known[i], key) == 0)
			return true;
	return false;
}

bool kg_node_label_is_allowed(const char *key)
{
	const char *slash = strchr(key, '/');
	size_t n = slash ? (size_t)(slash - key) : 0;
	if (!is_below(key, n, "kubernetes.io") && !is_below(key, n, "k8s.io"))
		return true;
	return is_kubelets(key) || is_below(key, n, "kubelet.kubernetes.io") ||
	       is_below(key, n, "node.kubernetes.io");
}

int kg_node_labels_check(const struct kg_value *labels, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	for (uint32_t i = 0; i < (labels->type == KG_OBJECT ? labels->len : 0); i++) {
		const char *key = labels->members[i].key;
		struct kg_value k = kg_v_lit(key);
		const char *bad = kg_check_label_key(&a, &k);
		if (bad)
			return kg_fail(err, KG_E_INVALID, "label \"%.80s\": %s", key, bad);
		bad = kg_check_label_value(&a, &labels->members[i].value);
		if (bad)
			return kg_fail(err, KG_E_INVALID, "label %s: %s", key, bad);
		if (!kg_node_label_is_allowed(key))
			return kg_fail(err, KG_E_FORBIDDEN,
				"a node is not allowed to set the label %s itself: set it in a "
				"Node manifest in main",
				key);
	}
	return 0;
}
