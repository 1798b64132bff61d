/* Volumes made of objects: which files they hold. */
#include "base/hash.h"
#include "nodeagent/env.h"
#include "nodeagent/volumes.h"

#include <stdio.h>
#include <string.h>

struct projection {
	struct kg_payload *out;
	const struct kg_volume_source *src;
	const char *path; /* of the volume */
	mode_t mode;      /* of files that say none */
	struct kg_error *err;
};

bool kg_volume_is_projection(const struct kg_value *volume)
{
	static const char *const types[] = {"configMap", "secret", "downwardAPI", "projected"};
	for (size_t i = 0; i < KG_ARRAY_LEN(types); i++)
		if (!kg_is_null(kg_get(volume, types[i])))
			return true;
	return false;
}

bool kg_volume_is_secret(const struct kg_value *volume)
{
	return !kg_is_null(kg_get(volume, "secret")) || !kg_is_null(kg_get(volume, "projected"));
}

/* ---- ConfigMaps and Secrets ---- */

static int add_plain(
	struct projection *p, const char *path, const struct kg_value *text, mode_t mode)
{
	return kg_payload_add(p->out, path, kg_string(text, ""), text->len, mode, p->err);
}

static int add_coded(
	struct projection *p, const char *path, const struct kg_value *coded, mode_t mode)
{
	size_t n;
	KG_AUTOFREE unsigned char *raw = kg_base64_decode(kg_string(coded, ""), coded->len, &n);
	if (!raw)
		return kg_fail(p->err, KG_E_INVALID, "%s: not base64", path);
	return kg_payload_add(p->out, path, (const char *)raw, n, mode, p->err);
}

/* What an object holds: two maps, either may be null. */
struct content {
	const struct kg_value *plain, *coded;
	const char *type; /* "configmap", as messages say it */
};

static int add_items(struct projection *p, const struct kg_value *source, const char *name,
	const struct content *c)
{
	const struct kg_value *items = kg_get(source, "items");
	for (uint32_t i = 0; i < kg_len(items); i++) {
		const struct kg_value *it = &items->items[i];
		const char *key = kg_string(kg_get(it, "key"), "");
		const char *path = kg_string(kg_get(it, "path"), "");
		const struct kg_value *plain = kg_get(c->plain, key),
				      *coded = kg_get(c->coded, key);
		mode_t mode = (mode_t)kg_int(kg_get(it, "mode"), p->mode);
		int rc = 0;
		if (!kg_is_null(plain))
			rc = add_plain(p, path, plain, mode);
		else if (!kg_is_null(coded))
			rc = add_coded(p, path, coded, mode);
		else if (!kg_bool(kg_get(source, "optional"), false))
			rc = kg_fail(p->err, KG_E_NOT_FOUND,
				"%s \"%s\" references non-existent %s key: %s", c->type, name,
				!strcmp(c->type, "secret") ? "secret" : "config", key);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int add_all(struct projection *p, const struct content *c)
{
	int rc = 0;
	for (uint32_t i = 0; rc == 0 && i < kg_len(c->plain); i++)
		rc = add_plain(p, c->plain->members[i].key, &c->plain->members[i].value, p->mode);
	for (uint32_t i = 0; rc == 0 && i < kg_len(c->coded); i++)
		rc = add_coded(p, c->coded->members[i].key, &c->coded->members[i].value, p->mode);
	return rc;
}

static int add_object(struct projection *p, const struct kg_value *source, const char *kind)
{
	bool secret = !strcmp(kind, "Secret");
	const char *ns = kg_string(kg_at(p->src->pod, "metadata.namespace"), "default");
	const char *name = kg_string(kg_get(source, "secretName"), NULL);
	if (!name)
		name = kg_string(kg_get(source, "name"), "");
	const struct kg_value *obj = kg_named_object(p->src->objects, kind, ns, name);
	struct content c = {.plain = secret ? &kg_null : kg_get(obj, "data"),
		.coded = kg_get(obj, secret ? "data" : "binaryData"),
		.type = secret ? "secret" : "configmap"};
	if (kg_is_null(obj)) {
		if (kg_bool(kg_get(source, "optional"), false))
			return 0;
		return kg_fail(p->err, KG_E_NOT_FOUND, "%s \"%s\" not found", c.type, name);
	}
	return kg_len(kg_get(source, "items")) > 0 ? add_items(p, source, name, &c)
						   : add_all(p, &c);
}

/* ---- the pod's own fields ---- */

/* As Go's %q writes a text. */
static void add_quoted(struct kg_buf *b, const char *s)
{
	kg_buf_addc(b, '"');
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		if (c == '"' || c == '\\')
			kg_buf_addf(b, "\\%c", c);
		else if (c == '\n')
			kg_buf_adds(b, "\\n");
		else if (c == '\t')
			kg_buf_adds(b, "\\t");
		else if (c == '\r')
			kg_buf_adds(b, "\\r");
		else if (c < 0x20 || c == 0x7f)
			kg_buf_addf(b, "\\x%02x", c);
		else
			kg_buf_addc(b, *s);
	}
	kg_buf_addc(b, '"');
}

/* All labels or annotations, a line each. */
static void add_map(struct kg_buf *b, const struct kg_value *map)
{
	for (uint32_t i = 0; i < kg_len(map); i++) {
		kg_buf_addf(b, "%s%s=", i ? "\n" : "", map->members[i].key);
		add_quoted(b, kg_string(&map->members[i].value, ""));
	}
}

static int field_text(struct kg_buf *b, struct projection *p, const struct kg_value *item)
{
	struct kg_env_source src = {.pod = p->src->pod,
		.container = &kg_null,
		.configmaps = p->src->objects,
		.node_name = p->src->node_name};
	const char *field = kg_string(kg_at(item, "fieldRef.fieldPath"), NULL);
	const char *text = "";
	int rc = 0;
	if (field && (!strcmp(field, "metadata.labels") || !strcmp(field, "metadata.annotations")))
		add_map(b, kg_at(p->src->pod, field));
	else if (field)
		rc = kg_env_field(&text, &p->out->arena, &src, field, p->err);
	else
		rc = kg_env_resource(
			&text, &p->out->arena, &src, kg_get(item, "resourceFieldRef"), p->err);
	if (rc == 0)
		kg_buf_adds(b, text);
	return rc;
}

static int add_fields(struct projection *p, const struct kg_value *source)
{
	const struct kg_value *items = kg_get(source, "items");
	for (uint32_t i = 0; i < kg_len(items); i++) {
		KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
		const struct kg_value *it = &items->items[i];
		int rc = field_text(&b, p, it);
		if (rc == 0)
			rc = kg_payload_add(p->out, kg_string(kg_get(it, "path"), ""),
				kg_buf_str(&b), b.len, (mode_t)kg_int(kg_get(it, "mode"), p->mode),
				p->err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* ---- tokens ---- */

static int add_token(
	struct projection *p, const struct kg_value *source, const struct kg_podtoken *want)
{
	const char *path = kg_string(kg_at(source, "serviceAccountToken.path"), "");
	KG_AUTOFREE char *have = kg_asprintf("%s/%s", p->path, path);
	char *token = NULL;
	if (!p->src->tokens)
		return kg_fail(p->err, KG_E_UNAVAILABLE, "this node has no tokens");
	int rc = kg_podtokens_get(p->src->tokens, &token, want, have, p->err);
	if (rc == 0)
		rc = kg_payload_add(p->out, path, token, strlen(token), p->mode, p->err);
	if (token)
		explicit_bzero(token, strlen(token));
	free(token);
	return rc;
}

/* ---- the volume ---- */

static int add_source(
	struct projection *p, const struct kg_value *v, const struct kg_value *mode_of)
{
	const struct kg_value *map = kg_get(v, "configMap"), *secret = kg_get(v, "secret");
	struct kg_podtoken want;
	p->mode = (mode_t)kg_int(kg_get(mode_of, "defaultMode"), 0644);
	if (!kg_is_null(map))
		return add_object(p, map, "ConfigMap");
	if (!kg_is_null(secret))
		return add_object(p, secret, "Secret");
	if (kg_podtoken_of(&want, p->src->pod, v))
		return add_token(p, v, &want);
	return add_fields(p, kg_get(v, "downwardAPI"));
}

int kg_volume_project(struct kg_payload *out, const struct kg_volume_source *src,
	const struct kg_value *volume, const char *path, struct kg_error *err)
{
	static const char *const types[] = {"configMap", "secret", "downwardAPI"};
	struct projection p = {.out = out, .src = src, .path = path, .err = err};
	const struct kg_value *projected = kg_get(volume, "projected");
	const struct kg_value *sources = kg_get(projected, "sources");
	int rc = 0;
	for (size_t i = 0; i < KG_ARRAY_LEN(types); i++)
		if (!kg_is_null(kg_get(volume, types[i])))
			return add_source(&p, volume, kg_get(volume, types[i]));
	for (uint32_t i = 0; rc == 0 && i < kg_len(sources); i++)
		rc = add_source(&p, &sources->items[i], projected);
	return rc;
}
