#include "base/hash.h"
#include "base/mem.h"
#include "internal.h"

#include <string.h>

#define MAX_PARAMS 64

/* Decodes s in place; `plus` is a space in a query. */
static int decode(char *s, bool query, struct kg_error *err)
{
	char *out = s;

	for (; *s; s++) {
		if (*s == '+' && query) {
			*out++ = ' ';
			continue;
		}
		if (*s != '%') {
			*out++ = *s;
			continue;
		}
		int hi = kg_hex_digit(s[1]), lo = hi < 0 ? -1 : kg_hex_digit(s[2]);
		if (lo < 0)
			return kg_fail(
				err, KG_E_BAD_REQUEST, "the request target has a malformed escape");
		char c = (char)(hi << 4 | lo);
		if (c == '\0' || (c == '/' && !query))
			return kg_fail(err, KG_E_BAD_REQUEST,
				"the request target has an escaped %s",
				c ? "slash in its path" : "NUL");
		*out++ = c;
		s += 2;
	}
	*out = '\0';
	return 0;
}

static bool has_dot_segment(const char *path)
{
	for (const char *p = path; (p = strchr(p, '/')); p++) {
		size_t n = strcspn(p + 1, "/");
		if ((n == 1 && p[1] == '.') || (n == 2 && p[1] == '.' && p[2] == '.'))
			return true;
	}
	return false;
}

static int parse_query(struct kg_target *t, char *query, struct kg_error *err)
{
	char *save = NULL;

	t->params = kg_alloc(MAX_PARAMS * sizeof(*t->params));
	for (char *p = strtok_r(query, "&", &save); p; p = strtok_r(NULL, "&", &save)) {
		if (t->nparams == MAX_PARAMS)
			return kg_fail(err, KG_E_BAD_REQUEST,
				"the request has more than %d query parameters", MAX_PARAMS);
		char *value = strchr(p, '=');
		if (value)
			*value++ = '\0';
		else
			value = p + strlen(p);
		int rc = decode(p, true, err);
		if (!rc)
			rc = decode(value, true, err);
		if (rc)
			return rc;
		t->params[t->nparams++] = (struct kg_param){p, value};
	}
	return 0;
}

int kg_target_parse(struct kg_target *t, const char *raw, struct kg_error *err)
{
	*t = (struct kg_target){0};
	/* What is no printable ASCII is escaped in a URI; '#' never gets here from a client. */
	for (const char *p = raw; *p; p++)
		if (*p <= ' ' || *p >= 0x7F || *p == '#')
			return kg_fail(err, KG_E_BAD_REQUEST,
				"the request target holds a byte that must be escaped");
	if (raw[0] != '/')
		return kg_fail(err, KG_E_BAD_REQUEST, "the request target is not a path");
	t->text = kg_strdup(raw);
	t->path = t->text;
	char *query = strchr(t->text, '?');
	if (query)
		*query++ = '\0';
	int rc = decode(t->text, false, err);
	if (!rc && has_dot_segment(t->path))
		rc = kg_fail(err, KG_E_BAD_REQUEST, "the request's path has a dot segment");
	if (!rc && query && *query)
		rc = parse_query(t, query, err);
	if (rc)
		kg_target_release(t);
	return rc;
}

void kg_target_release(struct kg_target *t)
{
	free(t->text);
	free(t->params);
	*t = (struct kg_target){0};
}
