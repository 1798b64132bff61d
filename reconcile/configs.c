/*
 * Rolling with the configuration: where a Deployment, StatefulSet or DaemonSet carries the
 * annotation kgit/roll-on-config-change: "true", its template gets a digest of the ConfigMaps and
 * Secrets that its pods use, so that a change of them is a change of the template. Without it, as
 * in Kubernetes, running pods see changed volumes and keep their environment.
 */
#include "reconcile/summary.h"
#include "reconcile/workload.h"
#include "value/yaml.h"

#include <string.h>

bool kg_rolls_on_config(const struct kg_object *owner)
{
	return strcmp(kg_annotation(owner, KG_ROLL_ANNOTATION, ""), "true") == 0;
}

struct digest {
	struct kg_run *r;
	const char *ns;
	struct kg_map seen; /* "KIND NAME" */
};

static void note(struct digest *d, enum kg_kind_id kind, const struct kg_value *name)
{
	const char *s = kg_string(name, NULL);
	if (s)
		kg_map_put(&d->seen, kg_arena_printf(&d->r->a, "%s %s", kg_kinds[kind].kind, s), d);
}

static void note_sources(struct digest *d, const struct kg_value *v, bool projected)
{
	note(d, KG_KIND_CONFIGMAP, kg_at(v, "configMap.name"));
	note(d, KG_KIND_SECRET, kg_at(v, projected ? "secret.name" : "secret.secretName"));
}

static void note_volumes(struct digest *d, const struct kg_value *volumes)
{
	for (uint32_t i = 0; i < kg_len(volumes); i++) {
		const struct kg_value *sources = kg_at(&volumes->items[i], "projected.sources");
		note_sources(d, &volumes->items[i], false);
		for (uint32_t k = 0; k < kg_len(sources); k++)
			note_sources(d, &sources->items[k], true);
	}
}

static void note_containers(struct digest *d, const struct kg_value *containers)
{
	for (uint32_t i = 0; i < kg_len(containers); i++) {
		const struct kg_value *from = kg_get(&containers->items[i], "envFrom");
		const struct kg_value *env = kg_get(&containers->items[i], "env");
		for (uint32_t k = 0; k < kg_len(from); k++) {
			note(d, KG_KIND_CONFIGMAP, kg_at(&from->items[k], "configMapRef.name"));
			note(d, KG_KIND_SECRET, kg_at(&from->items[k], "secretRef.name"));
		}
		for (uint32_t k = 0; k < kg_len(env); k++) {
			const struct kg_value *v = kg_get(&env->items[k], "valueFrom");
			note(d, KG_KIND_CONFIGMAP, kg_at(v, "configMapKeyRef.name"));
			note(d, KG_KIND_SECRET, kg_at(v, "secretKeyRef.name"));
		}
	}
}

static void write_object(struct digest *d, struct kg_buf *out, const char *what)
{
	static const char *const parts[] = {"data", "binaryData"};
	bool secret = what[0] == 'S';
	const struct kg_object *obj = kg_snapshot_get(kg_now(d->r),
		secret ? KG_KIND_SECRET : KG_KIND_CONFIGMAP, d->ns, strchr(what, ' ') + 1);
	kg_buf_addf(out, "%s\n", what);
	for (size_t i = 0; obj && i < KG_ARRAY_LEN(parts); i++)
		kg_yaml_write(out, kg_get(kg_obj(obj), parts[i]));
}

struct kg_value kg_owner_template(struct kg_run *r, const struct kg_object *owner)
{
	const struct kg_value *template = kg_spec(owner, "template");
	if (!kg_rolls_on_config(owner))
		return *template;
	const struct kg_value *spec = kg_get(template, "spec");
	struct digest d = {.r = r, .ns = owner->ns, .seen = KG_MAP_INIT};
	note_volumes(&d, kg_get(spec, "volumes"));
	note_containers(&d, kg_get(spec, "initContainers"));
	note_containers(&d, kg_get(spec, "containers"));
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;
	KG_AUTOFREE struct kg_map_entry **names = kg_map_sorted(&d.seen);
	for (size_t i = 0; i < d.seen.count; i++)
		write_object(&d, &text, names[i]->key);
	kg_map_release(&d.seen);
	unsigned char sum[20];
	char hex[24];
	kg_sha1(sum, kg_buf_str(&text), text.len);
	kg_hex(hex, sum, 10);
	return kg_with_annotation(&r->a, template, KG_DIGEST_ANNOTATION, hex);
}
