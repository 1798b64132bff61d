/* What annotations ask for that once were, or still are, in place of a field: it is done by the
 * field alone, and nobody is left to believe otherwise. */
#include "kinds/tables.h"

#define CLASS        "volume.beta.kubernetes.io/storage-class"
#define OPTIONS      "volume.beta.kubernetes.io/mount-options"
#define DEFAULT_BETA "storageclass.beta.kubernetes.io/is-default-class"
#define APPARMOR     "container.apparmor.security.beta.kubernetes.io/"
#define SECCOMP      "container.seccomp.security.alpha.kubernetes.io/"

static bool begins(const char *s, const char *with)
{
	return !strncmp(s, with, strlen(with));
}

/* Those that nothing looks at any more, in Kubernetes either. */
static const char *without_effect(const char *key)
{
	static const char *const notes[][2] = {
		{"scheduler.alpha.kubernetes.io/critical-pod", "priorityClassName"},
		{"seccomp.security.alpha.kubernetes.io/pod", "securityContext.seccompProfile"},
		{"security.alpha.kubernetes.io/sysctls", "securityContext.sysctls"},
		{"security.alpha.kubernetes.io/unsafe-sysctls", "securityContext.sysctls"},
		{"pod.beta.kubernetes.io/init-containers", "initContainers"},
		{"pod.alpha.kubernetes.io/init-containers", "initContainers"},
	};

	for (size_t i = 0; i < KG_ARRAY_LEN(notes); i++)
		if (!strcmp(key, notes[i][0]))
			return notes[i][1];
	return begins(key, SECCOMP) ? "securityContext.seccompProfile" : NULL;
}

static const char *note_path(struct kg_fault_list *f, const char *key)
{
	return kg_arena_printf(f->arena, "metadata.annotations[%s]", key);
}

void kg_rule_pod_annotations(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const struct kg_value *notes = kg_at(v, "metadata.annotations");

	for (uint32_t i = 0; i < kg_len(notes); i++) {
		const char *key = notes->members[i].key;
		const char *value = kg_string(&notes->members[i].value, "");
		const char *field = without_effect(key);
		if (field)
			kg_rule_warn(f, path, note_path(f, key),
				"has no effect, in Kubernetes either: the field is spec.%s", field);
		else if (begins(key, APPARMOR) && begins(value, "localhost/"))
			kg_rule(f, path, note_path(f, key),
				"Forbidden: kgit does not load AppArmor profiles yet; ignoring it "
				"would not do what it asks for");
		else if (begins(key, APPARMOR) && !strcmp(value, "runtime/default"))
			kg_rule_warn(f, path, note_path(f, key),
				"kgit does not confine by AppArmor yet");
	}
}

void kg_rule_class_annotations(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const struct kg_value *notes = kg_at(v, "metadata.annotations");
	const char *class = kg_string(kg_get(notes, CLASS), NULL);

	if (class && strcmp(class, kg_string(kg_at(v, "spec.storageClassName"), "")) != 0)
		kg_rule(f, path, note_path(f, CLASS),
			"Forbidden: kgit looks at the field alone: write spec.storageClassName: "
			"%s",
			kg_rule_show(f->arena, kg_get(notes, CLASS)));
	if (!kg_is_null(kg_get(notes, OPTIONS)))
		kg_rule(f, path, note_path(f, OPTIONS),
			"Forbidden: kgit does not support mount options yet; ignoring them would "
			"not do what they ask for");
}

void kg_rule_default_annotation(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const struct kg_value *notes = kg_at(v, "metadata.annotations");

	if (!strcmp(kg_string(kg_get(notes, DEFAULT_BETA), ""), "true"))
		kg_rule(f, path, note_path(f, DEFAULT_BETA),
			"Forbidden: kgit looks at storageclass.kubernetes.io/is-default-class "
			"alone");
}
