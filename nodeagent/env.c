#include "nodeagent/env.h"

#include "base/hash.h"
#include "base/quantity.h"
#include "kinds/amount.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

void kg_env_release(struct kg_env *env)
{
	free(env->vars);
	kg_map_release(&env->places);
	*env = (struct kg_env){0};
}

static struct kg_env_var *find(const struct kg_env *env, const char *name)
{
	size_t place = (size_t)kg_map_get(&env->places, name);
	return place ? &env->vars[place - 1] : NULL;
}

void kg_env_set(struct kg_env *env, const char *name, const char *value)
{
	struct kg_env_var *v = find(env, name);
	if (v) {
		v->value = value;
		return;
	}
	KG_GROW(env->vars, env->cap, env->len + 1);
	env->vars[env->len++] = (struct kg_env_var){name, value};
	kg_map_put(&env->places, name, (void *)env->len);
}

const char *kg_env_get(const struct kg_env *env, const char *name)
{
	const struct kg_env_var *v = find(env, name);
	return v ? v->value : NULL;
}

const char *kg_env_expand(struct kg_arena *a, const char *text, const struct kg_env *env)
{
	const char *ignored = NULL;
	return kg_env_expand_all(a, text, env, &ignored);
}

const char *kg_env_expand_all(
	struct kg_arena *a, const char *text, const struct kg_env *env, const char **missing)
{
	if (!strchr(text, '$'))
		return text;
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	for (const char *p = text; *p;) {
		const char *end = p[0] == '$' && p[1] == '(' ? strchr(p, ')') : NULL;
		KG_AUTOFREE char *name = end ? kg_strndup(p + 2, (size_t)(end - p - 2)) : NULL;
		const struct kg_env_var *v = end ? find(env, name) : NULL;
		if (p[0] == '$' && p[1] == '$') {
			kg_buf_addc(&b, '$');
			p += 2;
		} else if (v) {
			kg_buf_adds(&b, v->value);
			p = end + 1;
		} else if (end) {
			if (!*missing)
				*missing = kg_arena_strdup(a, name);
			kg_buf_add(&b, p, (size_t)(end - p + 1));
			p = end + 1;
		} else {
			kg_buf_addc(&b, *p++);
		}
	}
	return kg_arena_strndup(a, kg_buf_str(&b), b.len);
}

const struct kg_value *kg_named_object(
	const struct kg_value *objects, const char *kind, const char *ns, const char *name)
{
	for (uint32_t i = 0; i < kg_len(objects); i++) {
		const struct kg_value *obj = &objects->items[i], *md = kg_get(obj, "metadata");
		const char *in = kg_string(kg_get(md, "namespace"), "default");
		if (!strcmp(kg_string(kg_get(obj, "kind"), "ConfigMap"), kind) &&
			!strcmp(kg_string(kg_get(md, "name"), ""), name) &&
			(!*in || !strcmp(in, ns)))
			return obj;
	}
	return &kg_null;
}

static const char *pod_namespace(const struct kg_env_source *src)
{
	return kg_string(kg_at(src->pod, "metadata.namespace"), "default");
}

/* A Secret's value as it is; one that is not base64 is not there. */
static const char *decoded(struct kg_arena *a, const struct kg_value *coded)
{
	size_t n;
	KG_AUTOFREE unsigned char *raw = kg_base64_decode(kg_string(coded, ""), coded->len, &n);
	return raw ? kg_arena_strndup(a, (const char *)raw, n) : NULL;
}

/* The texts of a ConfigMap or Secret. */
static const char *text_of(
	struct kg_arena *a, const char *kind, const struct kg_value *map, const char *key)
{
	const struct kg_value *v = kg_get(kg_get(map, "data"), key);
	if (v->type != KG_STRING || strcmp(kind, "Secret") != 0)
		return kg_string(v, NULL);
	return decoded(a, v);
}

static int not_found(const char *kind, const char *name, struct kg_error *err)
{
	return kg_fail(err, KG_E_NOT_FOUND, "%s \"%s\" not found",
		strcmp(kind, "Secret") == 0 ? "secret" : "configmap", name);
}

static int add_all_keys(struct kg_env *env, struct kg_arena *a, const struct kg_env_source *src,
	const struct kg_value *from, struct kg_error *err)
{
	const struct kg_value *ref = kg_get(from, "configMapRef");
	const char *kind = kg_is_null(ref) ? "Secret" : "ConfigMap";
	if (kg_is_null(ref))
		ref = kg_get(from, "secretRef");
	const char *name = kg_string(kg_get(ref, "name"), "");
	const struct kg_value *map =
		kg_named_object(src->configmaps, kind, pod_namespace(src), name);
	if (kg_is_null(map))
		return kg_bool(kg_get(ref, "optional"), false) ? 0 : not_found(kind, name, err);
	const char *prefix = kg_string(kg_get(from, "prefix"), "");
	const struct kg_value *data = kg_get(map, "data");
	for (uint32_t i = 0; i < kg_len(data); i++) {
		const char *key = data->members[i].key, *text = text_of(a, kind, map, key);
		/* A name with '=' cannot be one; kubelet leaves it out, too. */
		if (!strchr(key, '='))
			kg_env_set(env, kg_arena_printf(a, "%s%s", prefix, key), text ? text : "");
	}
	return 0;
}

static int from_key(const char **out, struct kg_arena *a, const struct kg_env_source *src,
	const char *kind, const struct kg_value *ref, struct kg_error *err)
{
	const char *name = kg_string(kg_get(ref, "name"), "");
	const char *key = kg_string(kg_get(ref, "key"), "");
	bool optional = kg_bool(kg_get(ref, "optional"), false);
	const struct kg_value *map =
		kg_named_object(src->configmaps, kind, pod_namespace(src), name);
	*out = text_of(a, kind, map, key);
	if (*out || optional)
		return 0;
	if (kg_is_null(map))
		return not_found(kind, name, err);
	return kg_fail(err, KG_E_NOT_FOUND, "couldn't find key %s in %s %s/%s", key, kind,
		pod_namespace(src), name);
}

/* metadata.labels['app'] */
static const char *subscript(struct kg_arena *a, const struct kg_value *map, const char *path)
{
	const char *from = strchr(path, '\''), *to = from ? strrchr(path, '\'') : NULL;
	if (!from || to <= from)
		return "";
	return kg_string(kg_get(map, kg_arena_strndup(a, from + 1, (size_t)(to - from - 1))), "");
}

int kg_env_field(const char **out, struct kg_arena *a, const struct kg_env_source *src,
	const char *path, struct kg_error *err)
{
	const struct kg_value *md = kg_get(src->pod, "metadata");
	if (!strcmp(path, "metadata.name") || !strcmp(path, "metadata.namespace") ||
		!strcmp(path, "metadata.uid"))
		*out = kg_string(kg_at(src->pod, path), "");
	else if (!strncmp(path, "metadata.labels[", 16))
		*out = subscript(a, kg_get(md, "labels"), path);
	else if (!strncmp(path, "metadata.annotations[", 21))
		*out = subscript(a, kg_get(md, "annotations"), path);
	else if (!strcmp(path, "spec.nodeName"))
		*out = src->node_name;
	else if (!strcmp(path, "spec.serviceAccountName"))
		*out = kg_string(kg_at(src->pod, path), "default");
	else if (!strcmp(path, "status.podIP") || !strcmp(path, "status.podIPs"))
		*out = kg_string(kg_get(src->pod, "podIP"), "");
	else if (!strcmp(path, "status.hostIP") || !strcmp(path, "status.hostIPs"))
		*out = kg_string(kg_get(src->pod, "hostIP"), "");
	else
		return kg_fail(err, KG_E_INVALID, "fieldRef: %s is not supported", path);
	return 0;
}

/* What a limit that is not given is: all of the machine. */
static int64_t whole_node(const char *resource)
{
	if (!strcmp(resource, "cpu"))
		return sysconf(_SC_NPROCESSORS_ONLN) * 1000;
	if (!strcmp(resource, "memory"))
		return (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE) * 1000;
	return 0;
}

int kg_env_resource(const char **out, struct kg_arena *a, const struct kg_env_source *src,
	const struct kg_value *ref, struct kg_error *err)
{
	const char *resource = kg_string(kg_get(ref, "resource"), "");
	const char *other = kg_string(kg_get(ref, "containerName"), "");
	const struct kg_value *c = src->container;
	if (*other) {
		c = kg_find(kg_at(src->pod, "spec.containers"), "name", other);
		if (kg_is_null(c))
			c = kg_find(kg_at(src->pod, "spec.initContainers"), "name", other);
	}
	const char *dot = strchr(resource, '.');
	bool limit = !strncmp(resource, "limits.", 7);
	if (!dot || (!limit && strncmp(resource, "requests.", 9)))
		return kg_fail(
			err, KG_E_INVALID, "resourceFieldRef: %s is not supported", resource);
	int64_t milli = kg_container_milli(c, limit ? "limits" : "requests", dot + 1);
	if (milli < 0)
		milli = limit ? whole_node(dot + 1) : 0;
	int64_t divisor = 0;
	const struct kg_value *d = kg_get(ref, "divisor");
	if (d->type == KG_INT)
		divisor = d->i * 1000;
	else if (kg_quantity_milli(&divisor, kg_string(d, "0")) < 0)
		return kg_fail(err, KG_E_INVALID,
			"resourceFieldRef: the divisor \"%s\" is no quantity", kg_string(d, ""));
	if (divisor <= 0)
		divisor = 1000;
	*out = kg_arena_printf(a, "%lld", (long long)(milli / divisor + (milli % divisor != 0)));
	return 0;
}

static int add_var(struct kg_env *env, struct kg_arena *a, const struct kg_env_source *src,
	const struct kg_value *var, struct kg_error *err)
{
	const char *value = NULL;
	const struct kg_value *from = kg_get(var, "valueFrom");
	const struct kg_value *map = kg_get(from, "configMapKeyRef");
	const struct kg_value *secret = kg_get(from, "secretKeyRef");
	const struct kg_value *res = kg_get(from, "resourceFieldRef");
	const char *field = kg_string(kg_at(from, "fieldRef.fieldPath"), NULL);
	int rc = 0;
	if (!kg_is_null(map))
		rc = from_key(&value, a, src, "ConfigMap", map, err);
	else if (!kg_is_null(secret))
		rc = from_key(&value, a, src, "Secret", secret, err);
	else if (field)
		rc = kg_env_field(&value, a, src, field, err);
	else if (!kg_is_null(res))
		rc = kg_env_resource(&value, a, src, res, err);
	else
		value = kg_env_expand(a, kg_string(kg_get(var, "value"), ""), env);
	if (rc == 0 && value)
		kg_env_set(env, kg_string(kg_get(var, "name"), ""), value);
	return rc;
}

int kg_env_of_container(struct kg_env *env, struct kg_arena *a, const struct kg_env_source *src,
	struct kg_error *err)
{
	const struct kg_value *from = kg_get(src->container, "envFrom");
	const struct kg_value *vars = kg_get(src->container, "env");
	int rc = 0;
	for (uint32_t i = 0; rc == 0 && i < kg_len(from); i++)
		rc = add_all_keys(env, a, src, &from->items[i], err);
	for (uint32_t i = 0; rc == 0 && i < kg_len(vars); i++)
		rc = add_var(env, a, src, &vars->items[i], err);
	return rc;
}
