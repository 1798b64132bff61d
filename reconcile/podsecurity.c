/* Pod Security: which level a namespace's labels ask for, and whether a pod meets it. */
#include "reconcile/security.h"

#include <limits.h>
#include <string.h>

#define PREFIX "pod-security.kubernetes.io/"

static const char *const levels[] = {"privileged", "baseline", "restricted"};

/* Labels of a level and of its version, in the order of enum kg_security_mode. */
static const char *const keys[] = {PREFIX "enforce", PREFIX "enforce-version", PREFIX "warn",
	PREFIX "warn-version", PREFIX "audit", PREFIX "audit-version"};

/* -1: no such level. */
static int level_of(const char *text)
{
	for (int i = 0; i < (int)KG_ARRAY_LEN(levels); i++)
		if (!strcmp(levels[i], text))
			return i;
	return -1;
}

/* "latest" or "v1.N"; -1: neither. */
static int version_of(const char *text)
{
	size_t n = strlen(text);
	if (!strcmp(text, "latest"))
		return INT_MAX;
	if (n < 4 || n > 7 || strncmp(text, "v1.", 3) != 0 ||
		strspn(text + 3, "0123456789") != n - 3 || (text[3] == '0' && n > 4))
		return -1;
	return (int)strtol(text + 3, NULL, 10);
}

/* What a namespace asks for in a mode. */
struct policy {
	int level, version;
};

static struct policy policy_of(const struct kg_value *labels, enum kg_security_mode mode)
{
	const char *text = kg_string(kg_get(labels, keys[2 * mode]), NULL);
	const char *version = kg_string(kg_get(labels, keys[2 * mode + 1]), NULL);
	struct policy p = {text ? level_of(text) : 0, version ? version_of(version) : INT_MAX};
	/* Labels that cannot be read ask for the most, as in Kubernetes. */
	p.level = p.level < 0 ? 2 : p.level;
	p.version = p.version < 0 ? INT_MAX : p.version;
	return p;
}

static const char *policy_text(struct kg_arena *a, struct policy p)
{
	return p.version == INT_MAX
		       ? kg_arena_printf(a, "\"%s:latest\"", levels[p.level])
		       : kg_arena_printf(a, "\"%s:v1.%d\"", levels[p.level], p.version);
}

const char *kg_security_policy(
	struct kg_arena *a, const struct kg_value *labels, enum kg_security_mode mode)
{
	return policy_text(a, policy_of(labels, mode));
}

bool kg_security_asks(const struct kg_value *labels, enum kg_security_mode mode)
{
	return policy_of(labels, mode).level > 0;
}

bool kg_security_tightens(
	const struct kg_value *before, const struct kg_value *after, enum kg_security_mode mode)
{
	struct policy old = policy_of(before, mode), new = policy_of(after, mode);
	return new.level && (new.level > old.level || new.version != old.version);
}

static struct kg_texts faults_of(struct kg_arena *a, struct policy p, const struct kg_value *meta,
	const struct kg_value *spec)
{
	struct kg_texts none = {.a = a};
	return p.level ? kg_security_faults(a, p.level, p.version, meta, spec) : none;
}

const char *kg_security_violations(struct kg_arena *a, const struct kg_value *labels,
	enum kg_security_mode mode, const struct kg_value *meta, const struct kg_value *spec)
{
	struct policy p = policy_of(labels, mode);
	struct kg_texts t = faults_of(a, p, meta, spec);
	return t.n ? kg_arena_printf(a, "%s: %s", policy_text(a, p), kg_texts_joined(&t, ", "))
		   : NULL;
}

const char *kg_security_reasons(struct kg_arena *a, const struct kg_value *labels,
	enum kg_security_mode mode, const struct kg_value *meta, const struct kg_value *spec)
{
	struct kg_texts t = faults_of(a, policy_of(labels, mode), meta, spec), reasons = {.a = a};
	for (size_t i = 0; i < t.n; i++) {
		const char *detail = strstr(t.v[i], " (");
		kg_texts_add(&reasons, "%.*s",
			(int)(detail ? (size_t)(detail - t.v[i]) : strlen(t.v[i])), t.v[i]);
	}
	return t.n ? kg_texts_joined(&reasons, ", ") : NULL;
}

bool kg_security_label_fault(struct kg_arena *a, const struct kg_value *labels, size_t *at,
	const char **key, const char **msg)
{
	while (*at < KG_ARRAY_LEN(keys)) {
		bool version = *at % 2;
		const char *text = kg_string(kg_get(labels, keys[*at]), NULL);
		*key = keys[(*at)++];
		if (!text || (version ? version_of(text) : level_of(text)) >= 0)
			continue;
		*msg = kg_arena_printf(a, "Invalid value: \"%s\": must be %s", text,
			version ? "\"latest\" or \"v1.x\""
				: "one of privileged, baseline, restricted");
		return true;
	}
	return false;
}
