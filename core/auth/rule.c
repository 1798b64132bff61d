#include "rule.h"

#include <string.h>

static struct kg_words read_words(struct kg_arena *a, const struct kg_value *list)
{
	uint32_t n = list->type == KG_ARRAY ? list->len : 0;
	const char **items = n ? kg_arena_alloc(a, n * sizeof(*items)) : NULL;
	struct kg_words w = {.items = items, .n = n};

	for (uint32_t i = 0; i < n; i++) {
		items[i] = kg_arena_strdup(a, kg_string(&list->items[i], ""));
		w.all |= strcmp(items[i], "*") == 0;
	}
	return w;
}

struct kg_rule kg_rule_read(struct kg_arena *a, const struct kg_value *v)
{
	return (struct kg_rule){
		.verbs = read_words(a, kg_get(v, "verbs")),
		.groups = read_words(a, kg_get(v, "apiGroups")),
		.resources = read_words(a, kg_get(v, "resources")),
		.names = read_words(a, kg_get(v, "resourceNames")),
		.urls = read_words(a, kg_get(v, "nonResourceURLs")),
	};
}

/* The name itself: no star stands for others. */
static bool has_name(const struct kg_words *w, const char *word)
{
	for (size_t i = 0; i < w->n; i++)
		if (strcmp(w->items[i], word) == 0)
			return true;
	return false;
}

static bool has(const struct kg_words *w, const char *word)
{
	return w->all || has_name(w, word);
}

static bool url_matches(const char *pattern, const char *url)
{
	size_t n = strlen(pattern);

	if (n && pattern[n - 1] == '*')
		return strncmp(pattern, url, n - 1) == 0;
	return strcmp(pattern, url) == 0;
}

static bool has_url(const struct kg_words *urls, const char *url)
{
	for (size_t i = 0; i < urls->n; i++)
		if (url_matches(urls->items[i], url))
			return true;
	return false;
}

/* A subresource is written as pods/log, as the star with /log, or as the star alone. */
static bool has_resource(const struct kg_words *w, const char *resource, const char *sub)
{
	size_t n = strlen(resource);

	if (w->all)
		return true;
	for (size_t i = 0; i < w->n; i++) {
		const char *item = w->items[i];

		if (!*sub) {
			if (strcmp(item, resource) == 0)
				return true;
		} else if (item[0] == '*' && item[1] == '/') {
			if (strcmp(item + 2, sub) == 0)
				return true;
		} else if (strncmp(item, resource, n) == 0 && item[n] == '/' &&
			   strcmp(item + n + 1, sub) == 0) {
			return true;
		}
	}
	return false;
}

static const char *text(const char *s)
{
	return s ? s : "";
}

bool kg_rule_allows(const struct kg_rule *r, const struct kg_attributes *a)
{
	if (a->path)
		return has(&r->verbs, a->verb) && has_url(&r->urls, a->path);
	return has(&r->verbs, a->verb) && has(&r->groups, text(a->group)) &&
	       has_resource(&r->resources, text(a->resource), text(a->subresource)) &&
	       (!r->names.n || has_name(&r->names, text(a->name)));
}

/* ---- covering ---- */

/* One part of a rule; what is NULL is not asked. */
struct part {
	const char *verb, *group, *resource, *name, *url;
};

static bool covers_resource(const struct kg_words *w, const char *resource)
{
	const char *slash = strchr(resource, '/');

	if (has(w, resource))
		return true;
	for (size_t i = 0; slash && i < w->n; i++)
		if (w->items[i][0] == '*' && strcmp(w->items[i] + 1, slash) == 0)
			return true;
	return false;
}

static bool covers(const struct kg_rule *held, const struct part *p)
{
	if (!has(&held->verbs, p->verb))
		return false;
	if (p->url)
		return has_url(&held->urls, p->url);
	if (!has(&held->groups, p->group) || !covers_resource(&held->resources, p->resource))
		return false;
	return !held->names.n || (p->name && has_name(&held->names, p->name));
}

struct cover {
	const struct kg_rule *const *held;
	size_t nheld, *steps;
};

static bool is_covered(const struct cover *c, const struct part *p)
{
	for (size_t i = 0; i < c->nheld; i++) {
		if (*c->steps == 0)
			return false;
		--*c->steps;
		if (covers(c->held[i], p))
			return true;
	}
	return false;
}

/* A rule without names is of every name. */
static bool names_covered(const struct cover *c, struct part p, const struct kg_words *names)
{
	if (!names->n)
		return is_covered(c, &p);
	for (size_t i = 0; i < names->n; i++) {
		p.name = names->items[i];
		if (!is_covered(c, &p))
			return false;
	}
	return true;
}

static bool resources_covered(const struct cover *c, struct part p, const struct kg_rule *wanted)
{
	for (size_t g = 0; g < wanted->groups.n; g++) {
		p.group = wanted->groups.items[g];
		for (size_t i = 0; i < wanted->resources.n; i++) {
			p.resource = wanted->resources.items[i];
			if (!names_covered(c, p, &wanted->names))
				return false;
		}
	}
	return true;
}

bool kg_rules_cover(const struct kg_rule *const *held, size_t nheld, const struct kg_rule *wanted,
	size_t *steps)
{
	const struct cover c = {.held = held, .nheld = nheld, .steps = steps};

	for (size_t v = 0; v < wanted->verbs.n; v++) {
		struct part p = {.verb = wanted->verbs.items[v]};

		if (!resources_covered(&c, p, wanted))
			return false;
		for (size_t i = 0; i < wanted->urls.n; i++) {
			p.url = wanted->urls.items[i];
			if (!is_covered(&c, &p))
				return false;
		}
	}
	return true;
}

static void say_words(struct kg_buf *out, const char *name, const struct kg_words *w)
{
	if (!w->n)
		return;
	kg_buf_addf(out, "%s%s:[", out->len && out->data[out->len - 1] != '{' ? ", " : "", name);
	for (size_t i = 0; i < w->n; i++)
		kg_buf_addf(out, "%s\"%s\"", i ? " " : "", w->items[i]);
	kg_buf_addc(out, ']');
}

void kg_rule_say(struct kg_buf *out, const struct kg_rule *r)
{
	kg_buf_addc(out, '{');
	say_words(out, "APIGroups", &r->groups);
	say_words(out, "Resources", &r->resources);
	say_words(out, "ResourceNames", &r->names);
	say_words(out, "NonResourceURLs", &r->urls);
	say_words(out, "Verbs", &r->verbs);
	kg_buf_addc(out, '}');
}
