/* Label and field selectors as they stand in a query: parsed once, matched against every object. */
#include "api/selector.h"

#include "kinds/schema.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

enum { MAX_REQUIREMENTS = 100, MAX_VALUES = 1000 };

/* ---- label selectors: "a=b,c!=d,e in (x,y),f notin (z),g,!h,i>1" ---- */

struct scan {
	struct kg_arena *a;
	const char *text, *at;
};

static void skip_space(struct scan *s)
{
	while (isspace((unsigned char)*s->at))
		s->at++;
}

/* A key or value; "" where there is none here. */
static const char *scan_word(struct scan *s)
{
	skip_space(s);
	const char *from = s->at;

	while (isalnum((unsigned char)*s->at) || (*s->at && strchr("-_./", *s->at)))
		s->at++;
	return kg_arena_strndup(s->a, from, (size_t)(s->at - from));
}

static bool scan_char(struct scan *s, char c)
{
	skip_space(s);
	if (*s->at != c)
		return false;
	s->at++;
	return true;
}

static int scan_fail(const struct scan *s, const char *expected, struct kg_error *err)
{
	return kg_fail(err, KG_E_BAD_REQUEST,
		"unable to parse requirement: label selector \"%s\", at character %zu: expected %s",
		s->text, (size_t)(s->at - s->text) + 1, expected);
}

static void add_value(struct scan *s, struct requirement *r, const char *value)
{
	if (!(r->nvalues & (r->nvalues - 1))) {
		const char **more =
			kg_arena_alloc(s->a, (r->nvalues ? 2 * r->nvalues : 1) * sizeof(*more));

		if (r->nvalues)
			memcpy(more, r->values, r->nvalues * sizeof(*more));
		r->values = more;
	}
	r->values[r->nvalues++] = value;
}

static int scan_set(struct scan *s, struct requirement *r, struct kg_error *err)
{
	if (!scan_char(s, '('))
		return scan_fail(s, "'('", err);
	do {
		if (r->nvalues == MAX_VALUES)
			return scan_fail(s, "fewer values", err);
		add_value(s, r, scan_word(s));
	} while (scan_char(s, ','));
	if (!scan_char(s, ')'))
		return scan_fail(s, "',' or ')'", err);
	return 0;
}

static int scan_number(struct scan *s, struct requirement *r, enum sel_op op, struct kg_error *err)
{
	const char *word = scan_word(s);
	char *end;

	r->op = op;
	errno = 0;
	r->number = strtoll(word, &end, 10);
	if (!*word || *end || errno)
		return scan_fail(s, "an integer", err);
	return 0;
}

/* What follows the key. */
static int scan_operator(struct scan *s, struct requirement *r, struct kg_error *err)
{
	if (scan_char(s, '=')) {
		scan_char(s, '=');
		r->op = SEL_EQ;
		add_value(s, r, scan_word(s));
		return 0;
	}
	if (scan_char(s, '!')) {
		if (!scan_char(s, '='))
			return scan_fail(s, "'='", err);
		r->op = SEL_NE;
		add_value(s, r, scan_word(s));
		return 0;
	}
	if (scan_char(s, '>'))
		return scan_number(s, r, SEL_GT, err);
	if (scan_char(s, '<'))
		return scan_number(s, r, SEL_LT, err);
	if (!*s->at || *s->at == ',') {
		r->op = SEL_EXISTS;
		return 0;
	}
	const char *word = scan_word(s);

	if (!strcmp(word, "in"))
		r->op = SEL_IN;
	else if (!strcmp(word, "notin"))
		r->op = SEL_NOT_IN;
	else
		return scan_fail(s, "one of =, ==, !=, in, notin, >, <", err);
	return scan_set(s, r, err);
}

/* What no label can be is asked for by mistake. */
static int check_word(struct scan *s, kg_check_fn *check, const char *word, struct kg_error *err)
{
	struct kg_value v = kg_v_lit(word);
	const char *wrong = check(s->a, &v);

	if (!wrong)
		return 0;
	return kg_fail(err, KG_E_BAD_REQUEST,
		"unable to parse requirement: Invalid value: \"%.100s\": %s", word, wrong);
}

static int check_requirement(struct scan *s, const struct requirement *r, struct kg_error *err)
{
	int rc = check_word(s, kg_check_label_key, r->key, err);

	for (size_t i = 0; !rc && i < r->nvalues; i++)
		rc = check_word(s, kg_check_label_value, r->values[i], err);
	return rc;
}

static int scan_requirement(struct scan *s, struct requirement *r, struct kg_error *err)
{
	bool absent = scan_char(s, '!');

	r->key = scan_word(s);
	if (!*r->key)
		return scan_fail(s, "a label's key", err);
	skip_space(s);
	if (absent) {
		r->op = SEL_ABSENT;
		return 0;
	}
	return scan_operator(s, r, err);
}

int kg_api_label_selector_parse(
	struct selector *sel, struct kg_arena *a, const char *text, struct kg_error *err)
{
	struct scan s = {.a = a, .text = text, .at = text};
	int rc;

	sel->nlabels = 0;
	sel->labels = NULL;
	skip_space(&s);
	if (!*s.at)
		return 0;
	sel->labels = kg_arena_alloc(a, MAX_REQUIREMENTS * sizeof(*sel->labels));
	do {
		if (sel->nlabels == MAX_REQUIREMENTS)
			return scan_fail(&s, "fewer requirements", err);
		struct requirement *r = &sel->labels[sel->nlabels++];

		rc = scan_requirement(&s, r, err);
		if (!rc)
			rc = check_requirement(&s, r, err);
		if (rc)
			return rc;
	} while (scan_char(&s, ','));
	skip_space(&s);
	return *s.at ? scan_fail(&s, "',' or the end", err) : 0;
}

/* ---- field selectors: "metadata.name=x,status.phase!=Running" ---- */

static bool field_known(const struct kg_kind *kind, const char *path)
{
	if (!strcmp(path, "metadata.name") || !strcmp(path, "metadata.namespace"))
		return true;
	for (const char *const *f = kind->field_selectors; f && *f; f++)
		if (!strcmp(*f, path))
			return true;
	return false;
}

/* Up to an unescaped comma or the end: `\,`, `\=` and `\\` stand for the second character. */
static int scan_field_value(struct scan *s, const char **out, struct kg_error *err)
{
	char *value = kg_arena_alloc(s->a, strlen(s->at) + 1);
	size_t n = 0;

	while (*s->at && *s->at != ',') {
		if (*s->at == '=')
			return kg_fail(err, KG_E_BAD_REQUEST,
				"invalid selector: '%s'; can't understand '%s'", s->text, s->at);
		if (*s->at == '\\' && s->at[1])
			s->at++;
		value[n++] = *s->at++;
	}
	*out = value;
	return 0;
}

static int scan_field(struct scan *s, struct requirement *r, struct kg_error *err)
{
	size_t n = strcspn(s->at, "=!,");
	const char *value = NULL;
	int rc;

	r->key = kg_arena_strndup(s->a, s->at, n);
	s->at += n;
	r->op = *s->at == '!' ? SEL_NE : SEL_EQ;
	if (*s->at == '!')
		s->at++;
	if (*s->at != '=')
		return kg_fail(err, KG_E_BAD_REQUEST,
			"invalid selector: '%s'; can't understand '%s'", s->text, r->key);
	s->at += s->at[1] == '=' ? 2 : 1;
	rc = scan_field_value(s, &value, err);
	if (!rc)
		add_value(s, r, value);
	return rc;
}

int kg_api_field_selector_parse(struct selector *sel, struct kg_arena *a,
	const struct kg_kind *kind, const char *text, struct kg_error *err)
{
	struct scan s = {.a = a, .text = text, .at = text};

	sel->nfields = 0;
	sel->fields = NULL;
	if (!*text)
		return 0;
	sel->fields = kg_arena_alloc(a, MAX_REQUIREMENTS * sizeof(*sel->fields));
	for (;;) {
		struct requirement *r = &sel->fields[sel->nfields];

		if (sel->nfields++ == MAX_REQUIREMENTS)
			return kg_fail(err, KG_E_BAD_REQUEST, "too many field selectors");
		int rc = scan_field(&s, r, err);
		if (rc)
			return rc;
		if (!field_known(kind, r->key))
			return kg_fail(
				err, KG_E_BAD_REQUEST, "field label not supported: %s", r->key);
		if (!*s.at)
			return 0;
		s.at++;
	}
}

/* ---- matching ---- */

static bool one_of(const struct requirement *r, const char *value)
{
	for (size_t i = 0; i < r->nvalues; i++)
		if (!strcmp(r->values[i], value))
			return true;
	return false;
}

static bool label_matches(const struct requirement *r, const struct kg_value *labels)
{
	const char *value = kg_string(kg_get(labels, r->key), NULL);
	char *end;

	switch (r->op) {
	case SEL_EQ:
	case SEL_IN:
		return value && one_of(r, value);
	case SEL_NE:
	case SEL_NOT_IN:
		return !value || !one_of(r, value);
	case SEL_EXISTS:
		return value;
	case SEL_ABSENT:
		return !value;
	case SEL_GT:
	case SEL_LT:
		break;
	}
	if (!value || !*value)
		return false;
	long long n = strtoll(value, &end, 10);
	if (*end)
		return false;
	return r->op == SEL_GT ? n > r->number : n < r->number;
}

static bool scalar_is(const struct kg_value *v, const char *want, const char *absent)
{
	char text[32];

	switch (v->type) {
	case KG_STRING:
		return !strcmp(v->s, want);
	case KG_BOOL:
		return !strcmp(v->b ? "true" : "false", want);
	case KG_INT:
		snprintf(text, sizeof(text), "%lld", (long long)v->i);
		return !strcmp(text, want);
	case KG_NULL:
		return !strcmp(absent, want);
	default:
		return false;
	}
}

/* Fields whose selector is not their path, or that are not empty where they are absent. */
static const struct special {
	const char *field, *path, *or_path, *absent;
} specials[] = {
	{"source", "source.component", "reportingComponent", ""},
	{"status.successful", "status.succeeded", NULL, "0"},
	{"status.replicas", "status.replicas", NULL, "0"},
	{"spec.unschedulable", "spec.unschedulable", NULL, "false"},
	{"spec.hostNetwork", "spec.hostNetwork", NULL, "false"},
};

static const struct special *special_of(const char *field)
{
	for (size_t i = 0; i < KG_ARRAY_LEN(specials); i++)
		if (!strcmp(specials[i].field, field))
			return &specials[i];
	return NULL;
}

static bool field_is(const struct kg_object *obj, const char *path, const char *want)
{
	if (!strcmp(path, "metadata.name"))
		return !strcmp(obj->name, want);
	if (!strcmp(path, "metadata.namespace"))
		return !strcmp(obj->ns, want);
	const struct special *special = special_of(path);
	const char *absent = special ? special->absent : "";
	const struct kg_value *v = kg_at(kg_obj(obj), special ? special->path : path);

	if (special && special->or_path && kg_is_null(v))
		v = kg_at(kg_obj(obj), special->or_path);
	if (v->type != KG_ARRAY)
		return scalar_is(v, want, absent);
	for (uint32_t i = 0; i < v->len; i++) { /* status.podIPs: [{ip: a}, ...] */
		const struct kg_value *item = &v->items[i];

		if (scalar_is(item->type == KG_OBJECT ? kg_get(item, "ip") : item, want, absent))
			return true;
	}
	return !v->len && !*want;
}

bool kg_api_selector_matches(const struct selector *sel, const struct kg_object *obj)
{
	for (size_t i = 0; i < sel->nfields; i++) {
		const struct requirement *r = &sel->fields[i];

		if (field_is(obj, r->key, r->values[0]) != (r->op == SEL_EQ))
			return false;
	}
	if (!sel->nlabels)
		return true;
	const struct kg_value *labels = kg_get(kg_get(kg_obj(obj), "metadata"), "labels");

	for (size_t i = 0; i < sel->nlabels; i++)
		if (!label_matches(&sel->labels[i], labels))
			return false;
	return true;
}

const char *kg_api_selector_field(const struct selector *sel, const char *path)
{
	for (size_t i = 0; i < sel->nfields; i++)
		if (sel->fields[i].op == SEL_EQ && !strcmp(sel->fields[i].key, path))
			return sel->fields[i].values[0];
	return NULL;
}
