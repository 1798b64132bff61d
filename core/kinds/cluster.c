#include "kinds/cluster.h"

#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"

#include <string.h>

static bool is_there(const struct kg_object *obj)
{
	return obj->kind->id == KG_KIND_CONFIGMAP && !obj->source &&
	       !strcmp(obj->ns, KG_CLUSTER_NS) && !strcmp(obj->name, KG_CLUSTER_NAME);
}

bool kg_cluster_is(const struct kg_object *obj)
{
	return obj && is_there(obj);
}

const struct kg_object *kg_cluster_of(const struct kg_snapshot *s)
{
	const struct kg_object *obj =
		kg_snapshot_get(s, KG_KIND_CONFIGMAP, KG_CLUSTER_NS, KG_CLUSTER_NAME);

	return kg_cluster_is(obj) ? obj : NULL;
}

const char *kg_cluster_text(const struct kg_object *cluster, const char *key)
{
	return kg_string(kg_get(kg_get(kg_obj(cluster), "data"), key), "");
}

const char *kg_cluster_made_name(enum kg_kind_id kind, bool *everywhere)
{
	*everywhere = kind == KG_KIND_SERVICEACCOUNT || kind == KG_KIND_CONFIGMAP;
	switch (kind) {
	case KG_KIND_SERVICEACCOUNT:
		return "default";
	case KG_KIND_CONFIGMAP:
		return "kube-root-ca.crt";
	case KG_KIND_SERVICE:
	case KG_KIND_ENDPOINTSLICE:
	case KG_KIND_ENDPOINTS:
		return "kubernetes";
	default:
		return NULL;
	}
}

void kg_cluster_made_uid(char out[37], const struct kg_kind *kind, const struct kg_object *of)
{
	bool everywhere;
	KG_AUTOFREE char *under =
		kg_asprintf("%s/%s", kind->plural, kg_cluster_made_name(kind->id, &everywhere));

	kg_uuid5(out, kg_object_uid(of), under);
}

bool kg_cluster_is_made(const struct kg_snapshot *s, const struct kg_object *obj)
{
	bool everywhere;
	const char *name = kg_cluster_made_name(obj->kind->id, &everywhere);
	const struct kg_object *of =
		everywhere ? kg_snapshot_get(s, KG_KIND_NAMESPACE, "", obj->ns) : kg_cluster_of(s);
	char uid[37];

	if (!name || strcmp(name, obj->name) != 0 || !of || strlen(kg_object_uid(of)) != 36)
		return false;
	kg_cluster_made_uid(uid, obj->kind, of);
	return !strcmp(uid, kg_object_uid(obj));
}
