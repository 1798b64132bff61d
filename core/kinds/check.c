/* Syntax of names and the like: the rules, and nearly the words, of Kubernetes' apimachinery. */
#include "kinds/rules.h"

#include <arpa/inet.h>

enum { LABEL_MAX = 63, SUBDOMAIN_MAX = 253, PORT_NAME_MAX = 15, IMAGE_MAX = 512 };

static const char label_rule[] =
	"a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
	"must start and end with an alphanumeric character (e.g. 'my-name', or '123-abc')";
static const char subdomain_rule[] =
	"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
	"'.', and must start and end with an alphanumeric character (e.g. 'example.com')";
static const char label1035_rule[] =
	"a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
	"alphabetic character, and end with an alphanumeric character (e.g. 'my-name', or "
	"'abc-123')";
static const char name_part_rule[] =
	"name part must consist of alphanumeric characters, '-', '_' or '.', and must start and "
	"end with an alphanumeric character (e.g. 'MyName', or 'my.name', or '123-abc')";
static const char label_value_rule[] =
	"a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
	"'.', and must start and end with an alphanumeric character (e.g. 'MyValue', or "
	"'my_value', or '12345')";
static const char env_rule[] =
	"a valid environment variable name must consist of alphabetic characters, digits, '_', "
	"'-', or '.', and must not start with a digit (e.g. 'my.env-name', or 'MY_ENV.NAME', or "
	"'MyEnvName1')";
static const char config_key_rule[] =
	"a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. "
	"'key.name', or 'KEY_NAME', or 'key-name')";
static const char too_long_63[] = "must be no more than 63 characters";
static const char too_long_253[] = "must be no more than 253 characters";

static bool lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool lower_alnum(char c)
{
	return lower(c) || digit(c);
}

static bool alnum(char c)
{
	return lower_alnum(c) || (c >= 'A' && c <= 'Z');
}

static bool is_label(const char *s, size_t n)
{
	if (!n || !lower_alnum(s[0]) || !lower_alnum(s[n - 1]))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!lower_alnum(s[i]) && s[i] != '-')
			return false;
	}
	return true;
}

static bool is_subdomain(const char *s, size_t n)
{
	for (size_t i = 0; i <= n;) {
		size_t len = 0;
		while (i + len < n && s[i + len] != '.')
			len++;
		if (!is_label(s + i, len))
			return false;
		i += len + 1;
	}
	return true;
}

/* [A-Za-z0-9] around [-A-Za-z0-9_.]* */
static bool is_name_part(const char *s, size_t n)
{
	if (!n || !alnum(s[0]) || !alnum(s[n - 1]))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!alnum(s[i]) && !strchr("-_.", s[i]))
			return false;
	}
	return true;
}

const char *kg_check_dns_label(struct kg_arena *a, const struct kg_value *v)
{
	const char *s = kg_string(v, "");
	size_t n = strlen(s);

	(void)a;
	if (!is_label(s, n))
		return label_rule;
	return n > LABEL_MAX ? too_long_63 : NULL;
}

const char *kg_check_dns_subdomain(struct kg_arena *a, const struct kg_value *v)
{
	const char *s = kg_string(v, "");
	size_t n = strlen(s);

	(void)a;
	if (!is_subdomain(s, n))
		return subdomain_rule;
	return n > SUBDOMAIN_MAX ? too_long_253 : NULL;
}

const char *kg_check_dns1035_label(struct kg_arena *a, const struct kg_value *v)
{
	const char *s = kg_string(v, "");
	size_t n = strlen(s);

	(void)a;
	if (!is_label(s, n) || !lower(s[0]))
		return label1035_rule;
	return n > LABEL_MAX ? too_long_63 : NULL;
}

const char *kg_check_label_key(struct kg_arena *a, const struct kg_value *v)
{
	const char *s = kg_string(v, ""), *slash = strchr(s, '/');
	const char *name = slash ? slash + 1 : s;
	size_t n = strlen(name);

	(void)a;
	if (strchr(name, '/'))
		return "a qualified name must consist of alphanumeric characters, '-', '_' or '.', "
		       "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
	if (slash == s)
		return "prefix part must be non-empty";
	if (slash && slash - s > SUBDOMAIN_MAX)
		return "prefix part must be no more than 253 characters";
	if (slash && !is_subdomain(s, (size_t)(slash - s)))
		return kg_arena_printf(a, "prefix part %s", subdomain_rule);
	if (!n)
		return "name part must be non-empty";
	if (n > LABEL_MAX)
		return "name part must be no more than 63 characters";
	return is_name_part(name, n) ? NULL : name_part_rule;
}

const char *kg_check_finalizer(struct kg_arena *a, const struct kg_value *v)
{
	const char *s = kg_string(v, ""), *msg = kg_check_label_key(a, v);

	if (msg || strchr(s, '/') || !strcmp(s, "orphan") || !strcmp(s, "foregroundDeletion"))
		return msg;
	return "name is neither a standard finalizer name nor is it fully qualified";
}

const char *kg_check_label_value(struct kg_arena *a, const struct kg_value *v)
{
	const char *s = kg_string(v, "");
	size_t n = strlen(s);

	(void)a;
	if (n > LABEL_MAX)
		return too_long_63;
	return !n || is_name_part(s, n) ? NULL : label_value_rule;
}

const char *kg_check_env_name(struct kg_arena *a, const struct kg_value *v)
{
	const char *s = kg_string(v, "");

	(void)a;
	if (!*s || digit(*s) || !strcmp(s, ".") || !strncmp(s, "..", 2))
		return env_rule;
	for (; *s; s++) {
		if (!alnum(*s) && !strchr("-_.", *s))
			return env_rule;
	}
	return NULL;
}

const char *kg_check_config_key(struct kg_arena *a, const struct kg_value *v)
{
	const char *s = kg_string(v, "");

	(void)a;
	if (strlen(s) > SUBDOMAIN_MAX)
		return too_long_253;
	if (!strcmp(s, "."))
		return "must not be '.'";
	if (!strncmp(s, "..", 2))
		return s[2] ? "must not start with '..'" : "must not be '..'";
	if (!*s)
		return config_key_rule;
	for (; *s; s++) {
		if (!alnum(*s) && !strchr("-_.", *s))
			return config_key_rule;
	}
	return NULL;
}

const char *kg_check_abs_path(struct kg_arena *a, const struct kg_value *v)
{
	const char *s = kg_string(v, "");

	(void)a;
	if (*s != '/')
		return "must be an absolute path (beginning with '/')";
	for (const char *p = s; (p = strstr(p, "/..")); p += 3) {
		if (!p[3] || p[3] == '/')
			return "must not contain '..'";
	}
	return NULL;
}

const char *kg_check_ip(struct kg_arena *a, const struct kg_value *v)
{
	unsigned char address[16];
	const char *s = kg_string(v, "");

	(void)a;
	if (inet_pton(AF_INET, s, address) == 1 || inet_pton(AF_INET6, s, address) == 1)
		return NULL;
	return "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
}

const char *kg_check_port_name(struct kg_arena *a, const struct kg_value *v)
{
	const char *s = kg_string(v, "");
	size_t n = strlen(s);
	bool letter = false;

	(void)a;
	if (n > PORT_NAME_MAX)
		return "must be no more than 15 characters";
	for (size_t i = 0; i < n; i++) {
		if (!lower_alnum(s[i]) && s[i] != '-')
			return "must contain only alpha-numeric characters (a-z, 0-9), and hyphens "
			       "(-)";
		letter |= lower(s[i]);
	}
	if (!letter)
		return "must contain at least one letter (a-z)";
	if (strstr(s, "--"))
		return "must not contain consecutive hyphens";
	return s[0] == '-' || s[n - 1] == '-' ? "must not begin or end with a hyphen" : NULL;
}

const char *kg_check_quantity(struct kg_arena *a, const struct kg_value *v)
{
	const char *s = kg_string(v, "");

	if (!kg_quantity_canonical(a, s))
		return "must be a quantity such as 100m, 1.5 or 64Mi";
	return *s == '-' ? "must be greater than or equal to 0" : NULL;
}

const char *kg_check_percent_or_int(struct kg_arena *a, const struct kg_value *v)
{
	const char *s = kg_string(v, "");
	size_t n = strspn(s, "0123456789");

	(void)a;
	if (v->type == KG_INT)
		return v->i < 0 ? "must be greater than or equal to 0" : NULL;
	if (!n || n > 9 || strcmp(s + n, "%") != 0)
		return "a valid percent string must be a numeric string followed by an ending '%' "
		       "(e.g. '1%', or '93%')";
	return NULL;
}

/* ---- image references: [HOST[:PORT]/]PATH[:TAG][@DIGEST] ---- */

static bool is_path_component(const char *s, size_t n)
{
	if (!n || !lower_alnum(s[0]) || !lower_alnum(s[n - 1]))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!lower_alnum(s[i]) && !strchr("._-", s[i]))
			return false;
	}
	return true;
}

static bool is_registry(const char *s, size_t n)
{
	const char *colon = memchr(s, ':', n);
	size_t host = colon ? (size_t)(colon - s) : n;

	for (size_t i = host + 1; i < n; i++) {
		if (!digit(s[i]))
			return false;
	}
	if (!host || (colon && host + 1 == n))
		return false;
	for (size_t i = 0; i < host; i++) {
		if (!alnum(s[i]) && !strchr(".-", s[i]))
			return false;
	}
	return true;
}

static bool is_digest(const char *s)
{
	const char *colon = strchr(s, ':');

	if (!colon || colon == s)
		return false;
	for (const char *p = s; p < colon; p++) {
		if (!lower_alnum(*p) && !strchr("+._-", *p))
			return false;
	}
	return strlen(colon + 1) >= 32 &&
	       strspn(colon + 1, "0123456789abcdef") == strlen(colon + 1);
}

static bool is_tag(const char *s, size_t n)
{
	if (!n || n > 128 || s[0] == '.' || s[0] == '-')
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!alnum(s[i]) && !strchr("_.-", s[i]))
			return false;
	}
	return true;
}

/* Like Docker's: the first component is a registry where it looks like a host. */
static bool names_registry(const char *s, size_t n)
{
	return memchr(s, '.', n) || memchr(s, ':', n) || (n == 9 && !memcmp(s, "localhost", 9));
}

static bool is_repository(const char *s, size_t n)
{
	const char *slash = memchr(s, '/', n);
	size_t i = 0;

	if (slash && names_registry(s, (size_t)(slash - s))) {
		if (!is_registry(s, (size_t)(slash - s)))
			return false;
		i = (size_t)(slash - s) + 1;
	}
	while (i <= n) {
		size_t len = 0;
		while (i + len < n && s[i + len] != '/')
			len++;
		if (!is_path_component(s + i, len))
			return false;
		i += len + 1;
	}
	return true;
}

const char *kg_check_image(struct kg_arena *a, const struct kg_value *v)
{
	static const char rule[] =
		"must be an image reference, [registry/]name[:tag][@digest], with the name in "
		"lower case (e.g. 'registry.example.com:5000/team/web:1.4')";
	const char *s = kg_string(v, ""), *at = strchr(s, '@');
	size_t n = at ? (size_t)(at - s) : strlen(s), tag;

	(void)a;
	if (strspn(s, " \t\r\n") || (n && strchr(" \t\r\n", s[strlen(s) - 1])))
		return "must not have leading or trailing whitespace";
	if (n > IMAGE_MAX || (at && !is_digest(at + 1)))
		return rule;
	for (tag = n; tag > 0 && s[tag - 1] != '/' && s[tag - 1] != ':';)
		tag--;
	if (tag > 0 && s[tag - 1] == ':') {
		if (!is_tag(s + tag, n - tag))
			return rule;
		n = tag - 1;
	}
	return is_repository(s, n) ? NULL : rule;
}
