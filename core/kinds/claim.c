#include "kinds/claim.h"

#include <stdio.h>

bool kg_volume_is_ephemeral(const struct kg_value *volume)
{
	return !kg_is_null(kg_get(volume, "ephemeral"));
}

bool kg_volume_claim(char out[KG_CLAIM_NAME_SIZE], const char *pod, const struct kg_value *volume)
{
	bool own = kg_volume_is_ephemeral(volume);
	const char *name = own ? kg_string(kg_get(volume, "name"), "")
			       : kg_string(kg_at(volume, "persistentVolumeClaim.claimName"), NULL);

	if (name)
		snprintf(out, KG_CLAIM_NAME_SIZE, "%s%s%s", own ? pod : "", own ? "-" : "", name);
	return name;
}
