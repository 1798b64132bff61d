/* Syntax of what only pods have. */
#include "base/quantity.h"
#include "kinds/amount.h"
#include "kinds/tables.h"

const char *kg_check_port(struct kg_arena *a, const struct kg_value *v)
{
	if (v->type == KG_STRING)
		return v->len ? kg_check_port_name(a, v) : "must be a port's number or name";
	return v->i < 1 || v->i > 65535 ? "must be between 1 and 65535, inclusive" : NULL;
}

const char *kg_check_host_users(struct kg_arena *a, const struct kg_value *v)
{
	(void)a;
	return v->b ? NULL : "kgit does not support user namespaces yet";
}

const char *kg_check_descending_path(struct kg_arena *a, const struct kg_value *v)
{
	const char *s = kg_string(v, "");

	(void)a;
	if (*s == '/')
		return "must be a relative path";
	for (const char *p = s; p; p = strchr(p, '/') ? strchr(p, '/') + 1 : NULL) {
		if (!strncmp(p, "..", 2) && (!p[2] || p[2] == '/'))
			return "must not contain '..'";
	}
	return NULL;
}

const char *kg_check_relative_path(struct kg_arena *a, const struct kg_value *v)
{
	const char *fault = kg_check_descending_path(a, v);

	return fault || strncmp(kg_string(v, ""), "..", 2) ? fault : "must not start with '..'";
}

const char *kg_check_http_header(struct kg_arena *a, const struct kg_value *v)
{
	const char *s = kg_string(v, "");

	(void)a;
	if (s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")])
		return "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. "
		       "'X-Header-Name')";
	return NULL;
}

bool kg_rule_is_huge_pages(const char *resource)
{
	const char *size = kg_hugepages_size(resource);

	return size && *size;
}

const char *kg_check_resource_name(struct kg_arena *a, const struct kg_value *v)
{
	static const char *const standard[] = {"cpu", "memory", "ephemeral-storage", NULL};
	const char *s = kg_string(v, "");

	if (strchr(s, '/'))
		return kg_check_label_key(a, v);
	if (kg_rule_one_of(s, standard) || kg_rule_is_huge_pages(s))
		return NULL;
	return "must be a standard resource for containers (cpu, memory, ephemeral-storage) or "
	       "fully qualified (e.g. 'example.com/gpu')";
}

static bool is_huge_pages_field(const char *s)
{
	return (!strncmp(s, "limits.", 7) && kg_rule_is_huge_pages(s + 7)) ||
	       (!strncmp(s, "requests.", 9) && kg_rule_is_huge_pages(s + 9));
}

const char *kg_check_resource_field(struct kg_arena *a, const struct kg_value *v)
{
	static const char *const fields[] = {"limits.cpu", "limits.memory",
		"limits.ephemeral-storage", "requests.cpu", "requests.memory",
		"requests.ephemeral-storage", NULL};

	if (kg_rule_one_of(kg_string(v, ""), fields) || is_huge_pages_field(kg_string(v, "")))
		return NULL;
	return kg_arena_printf(
		a, "supported values: %s, and those of hugepages-SIZE", kg_rule_values(a, fields));
}

const char *kg_check_medium(struct kg_arena *a, const struct kg_value *v)
{
	static const char huge[] = "HugePages";
	static const char *const media[] = {"", "Memory", huge, NULL};
	const char *s = kg_string(v, "");
	int64_t page;

	(void)a;
	if (kg_rule_one_of(s, media))
		return NULL;
	if (!strncmp(s, huge, sizeof(huge) - 1) && s[sizeof(huge) - 1] == '-' &&
		kg_quantity_value(&page, s + sizeof(huge)) == 0 && page > 0)
		return NULL;
	return "supported values: \"HugePages\", \"HugePages-SIZE\" (such as HugePages-2Mi), "
	       "\"Memory\"";
}

const char *kg_check_capability(struct kg_arena *a, const struct kg_value *v)
{
	static const char *const names[] = {"ALL", "AUDIT_CONTROL", "AUDIT_READ", "AUDIT_WRITE",
		"BLOCK_SUSPEND", "BPF", "CHECKPOINT_RESTORE", "CHOWN", "DAC_OVERRIDE",
		"DAC_READ_SEARCH", "FOWNER", "FSETID", "IPC_LOCK", "IPC_OWNER", "KILL", "LEASE",
		"LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "MKNOD", "NET_ADMIN",
		"NET_BIND_SERVICE", "NET_BROADCAST", "NET_RAW", "PERFMON", "SETFCAP", "SETGID",
		"SETPCAP", "SETUID", "SYSLOG", "SYS_ADMIN", "SYS_BOOT", "SYS_CHROOT", "SYS_MODULE",
		"SYS_NICE", "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO", "SYS_RESOURCE", "SYS_TIME",
		"SYS_TTY_CONFIG", "WAKE_ALARM", NULL};
	const char *s = kg_string(v, "");
	struct kg_suggest near;

	if (!strncasecmp(s, "CAP_", 4))
		s += 4;
	/* Container runtimes do not look at the case. */
	for (const char *const *n = names; *n; n++)
		if (!strcasecmp(s, *n))
			return NULL;
	kg_suggest_init(&near, s);
	for (const char *const *n = names; *n; n++)
		kg_suggest_offer(&near, *n);
	return kg_arena_printf(a, "not a Linux capability%s", kg_suggest_text(a, &near));
}
