/* Pod Security: which level a namespace's labels ask for, and whether a pod meets it. */
#include "reconcile/podpolicy.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#define PREFIX "pod-security.kubernetes.io/"

static const char *const modes[] = {"enforce", "warn", "audit"};
static const char *const levels[] = {"privileged", "baseline", "restricted"};

static const char *label(const struct kg_value *labels, const char *mode, const char *suffix)
{
	char key[64];
	snprintf(key, sizeof(key), PREFIX "%s%s", mode, suffix);
	return kg_string(kg_get(labels, key), NULL);
}

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

bool kg_security_asks(const struct kg_value *labels, enum kg_security_mode mode)
{
	const char *text = label(labels, modes[mode], "");
	return text && level_of(text) != 0;
}

const char *kg_security_violations(struct kg_arena *a, const struct kg_value *labels,
	enum kg_security_mode mode, const struct kg_value *meta, const struct kg_value *spec)
{
	const char *text = label(labels, modes[mode], "");
	const char *version = label(labels, modes[mode], "-version");
	int level = text ? level_of(text) : 0, at = version ? version_of(version) : INT_MAX;
	/* Labels that cannot be read ask for the most, as in Kubernetes. */
	level = level < 0 ? 2 : level;
	at = at < 0 ? INT_MAX : at;
	const char *bad = level ? kg_security_check(a, level, at, meta, spec) : NULL;
	if (!bad)
		return NULL;
	return at == INT_MAX ? kg_arena_printf(a, "\"%s:latest\": %s", levels[level], bad)
			     : kg_arena_printf(a, "\"%s:v1.%d\": %s", levels[level], at, bad);
}

bool kg_security_label_fault(
	struct kg_arena *a, const struct kg_value *labels, const char **key, const char **msg)
{
	for (size_t i = 0; i < KG_ARRAY_LEN(modes); i++) {
		const char *level = label(labels, modes[i], "");
		const char *version = label(labels, modes[i], "-version");
		if (level && level_of(level) < 0) {
			*key = kg_arena_printf(a, PREFIX "%s", modes[i]);
			*msg = kg_arena_printf(a,
				"Invalid value: \"%s\": must be one of privileged, baseline, "
				"restricted",
				level);
			return true;
		}
		if (version && version_of(version) < 0) {
			*key = kg_arena_printf(a, PREFIX "%s-version", modes[i]);
			*msg = kg_arena_printf(a,
				"Invalid value: \"%s\": must be \"latest\" or \"v1.x\"", version);
			return true;
		}
	}
	return false;
}
