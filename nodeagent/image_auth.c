#include "nodeagent/image_auth.h"

#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"
#include "nodeagent/env.h"
#include "nodeagent/image.h"
#include "value/json.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

struct search {
	struct kg_arena *a;
	const char *host, *path; /* of the image: "localhost:5000", "team/web" */
	bool found;
	size_t best;           /* the length of its path */
	struct kg_value entry; /* of the registry */
};

/* "docker.io/library/web:1@..." -> "docker.io" and "library/web" */
static bool split_ref(struct search *s, const char *ref)
{
	KG_AUTOFREE char *whole = kg_image_normalize(ref, NULL);
	char *slash = whole ? strchr(whole, '/') : NULL;

	if (!slash)
		return false;
	*slash = '\0';
	char *at = strchr(slash + 1, '@');
	if (at)
		*at = '\0';
	char *last = strrchr(slash + 1, '/');
	char *colon = strchr(last ? last : slash + 1, ':');
	if (colon)
		*colon = '\0';
	s->host = kg_arena_strdup(s->a, whole);
	s->path = kg_arena_strdup(s->a, slash + 1);
	return true;
}

/* "https://index.docker.io/v1/" -> "docker.io" and "" */
static void split_key(struct kg_arena *a, const char *key, char **host, char **path)
{
	static const char *const schemes[] = {"https://", "http://"};

	for (size_t i = 0; i < KG_ARRAY_LEN(schemes); i++)
		if (!strncmp(key, schemes[i], strlen(schemes[i])))
			key += strlen(schemes[i]);
	*host = kg_arena_strdup(a, key);
	*path = *host + strcspn(*host, "/");
	if (**path)
		*(*path)++ = '\0';
	if (!strncmp(*path, "v1", 2) || !strncmp(*path, "v2", 2))
		if (!(*path)[2] || (*path)[2] == '/')
			*path += (*path)[2] ? 3 : 2;
	for (size_t n = strlen(*path); n && (*path)[n - 1] == '/'; n--)
		(*path)[n - 1] = '\0';
	if (!strcmp(*host, "index.docker.io"))
		*host = kg_arena_strdup(a, "docker.io");
}

/* A label of the pattern for a label of the host. */
static bool host_matches(struct kg_arena *a, const char *pattern, const char *host)
{
	char *p = kg_arena_strdup(a, pattern), *h = kg_arena_strdup(a, host);

	for (char *c = p; (c = strchr(c, '.'));)
		*c = '/';
	for (char *c = h; (c = strchr(c, '.'));)
		*c = '/';
	return fnmatch(p, h, FNM_PATHNAME | FNM_NOESCAPE) == 0;
}

static bool path_matches(const char *prefix, const char *path)
{
	size_t n = strlen(prefix);

	return n == 0 || (!strncmp(prefix, path, n) && (!path[n] || path[n] == '/'));
}

/* {"auth", "identitytoken"} of an entry; null where it has neither. */
static struct kg_value credential(struct kg_arena *a, const struct kg_value *entry)
{
	const char *auth = kg_string(kg_get(entry, "auth"), "");
	const char *user = kg_string(kg_get(entry, "username"), "");
	const char *password = kg_string(kg_get(entry, "password"), "");
	const char *token = kg_string(kg_get(entry, "identitytoken"), "");

	if (!*auth && *user) {
		KG_AUTOFREE char *both = kg_asprintf("%s:%s", user, password);
		KG_AUTOFREE char *coded = kg_base64_encode(both, strlen(both));
		auth = kg_arena_strdup(a, coded);
	}
	if (!*auth && !*token)
		return kg_v_null();
	return kg_v_obj(a, "auth", *auth ? kg_v_str(a, auth) : kg_v_null(), "identitytoken",
		*token ? kg_v_str(a, token) : kg_v_null(), (char *)NULL);
}

static void look(struct search *s, const struct kg_value *auths)
{
	for (uint32_t i = 0; auths->type == KG_OBJECT && i < auths->len; i++) {
		char *host, *path;
		split_key(s->a, auths->members[i].key, &host, &path);
		struct kg_value entry = credential(s->a, &auths->members[i].value);
		size_t n = strlen(path);
		if (kg_is_null(&entry) || !host_matches(s->a, host, s->host) ||
			!path_matches(path, s->path) || (s->found && n <= s->best))
			continue;
		s->found = true;
		s->best = n;
		s->entry = entry;
	}
}

/* One that cannot be read has no credentials. */
static bool decode(struct kg_value *out, struct kg_arena *a, const struct kg_value *coded)
{
	size_t n;
	struct kg_error ignored;
	KG_AUTOFREE unsigned char *raw =
		coded->type == KG_STRING ? kg_base64_decode(coded->s, coded->len, &n) : NULL;

	if (!raw)
		return false;
	const char *text = kg_arena_strndup(a, (const char *)raw, n);
	return kg_json_parse(out, a, text, n, &ignored) == 0;
}

static void look_in(struct search *s, const struct kg_value *secret)
{
	const struct kg_value *data = kg_get(secret, "data");
	struct kg_value v;

	if (decode(&v, s->a, kg_get(data, ".dockerconfigjson")))
		look(s, kg_get(&v, "auths"));
	else if (decode(&v, s->a, kg_get(data, ".dockercfg")))
		look(s, &v);
}

char *kg_image_auth(const struct kg_value *pod, const struct kg_value *objects, const char *ref)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	const struct kg_value *names = kg_at(pod, "spec.imagePullSecrets");
	const char *ns = kg_string(kg_at(pod, "metadata.namespace"), "default");
	struct search s = {.a = &a};

	if (!kg_len(names) || !split_ref(&s, ref))
		return NULL;
	for (uint32_t i = 0; i < kg_len(names); i++)
		look_in(&s, kg_named_object(objects, "Secret", ns,
				    kg_string(kg_get(&names->items[i], "name"), "")));
	if (!s.found)
		return NULL;
	struct kg_value hosts = kg_v_obj(&a, s.host, s.entry, (char *)NULL);
	struct kg_value file = kg_v_obj(&a, "auths", hosts, (char *)NULL);
	struct kg_buf text = KG_BUF_INIT;
	kg_json_write(&text, &file);
	return kg_buf_steal(&text);
}
