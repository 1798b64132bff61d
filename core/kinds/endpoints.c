#include "kinds/endpoints.h"

#include "base/hash.h"

#include <string.h>

const char *kg_slice_service(const struct kg_value *slice)
{
	const struct kg_value *labels = kg_get(kg_get(slice, "metadata"), "labels");

	return kg_string(kg_get(labels, KG_LABEL_SERVICE_NAME), NULL);
}

bool kg_slice_is_of_pods(const struct kg_object *slice)
{
	const struct kg_value *refs = kg_at(kg_obj(slice), "metadata.ownerReferences");

	for (uint32_t i = 0; slice->owner && i < kg_len(refs); i++)
		if (kg_bool(kg_get(&refs->items[i], "controller"), false))
			return !strcmp(kg_string(kg_get(&refs->items[i], "kind"), ""), "Service");
	return false;
}

bool kg_endpoint_is_ready(const struct kg_value *endpoint)
{
	return kg_bool(kg_get(kg_get(endpoint, "conditions"), "ready"), true);
}

bool kg_endpoint_is_draining(const struct kg_value *endpoint)
{
	const struct kg_value *conditions = kg_get(endpoint, "conditions");

	return kg_bool(kg_get(conditions, "terminating"), false) &&
	       kg_bool(kg_get(conditions, "serving"), true);
}

bool kg_endpoints_are_mirrored(const struct kg_value *endpoints)
{
	const struct kg_value *meta = kg_get(endpoints, "metadata");
	const struct kg_value *skip = kg_get(kg_get(meta, "labels"), KG_LABEL_SKIP_MIRROR);

	return strcmp(kg_string(skip, ""), "true") != 0 &&
	       kg_is_null(kg_get(kg_get(meta, "annotations"), KG_LEADER_ANNOTATION));
}

void kg_endpoints_made_uid(char out[37], const char *service_uid)
{
	kg_uuid5(out, service_uid, "endpoints");
}

bool kg_endpoints_are_made(const struct kg_snapshot *s, const struct kg_object *endpoints)
{
	const struct kg_object *svc =
		kg_snapshot_get(s, KG_KIND_SERVICE, endpoints->ns, endpoints->name);
	char uid[37];

	if (!svc || strlen(kg_object_uid(svc)) != 36)
		return false;
	kg_endpoints_made_uid(uid, kg_object_uid(svc));
	return !strcmp(uid, kg_object_uid(endpoints));
}
