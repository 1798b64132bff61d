#include "claims.h"

#include <string.h>

#define SKEW_S 10

bool kg_claims_are_for(const struct kg_value *claims, const char *us)
{
	const struct kg_value *aud = kg_get(claims, "aud");

	for (uint32_t i = 0; aud->type == KG_ARRAY && i < aud->len; i++)
		if (strcmp(kg_string(&aud->items[i], ""), us) == 0)
			return true;
	return strcmp(kg_string(aud, ""), us) == 0;
}

int kg_claims_check_times(const struct kg_value *claims, kg_time now, struct kg_error *err)
{
	if (kg_int(kg_get(claims, "exp"), 0) <= now / 1000)
		return kg_token_refused(err, "has expired");
	if (kg_int(kg_get(claims, "nbf"), 0) > now / 1000 + SKEW_S)
		return kg_token_refused(err, "is not valid yet");
	return 0;
}

kg_time kg_claims_until(const struct kg_value *claims, kg_time latest)
{
	int64_t end = kg_int(kg_get(claims, "exp"), 0);

	/* Compared in seconds, which may be as many as a number holds. */
	if (end > latest / 1000)
		return latest;
	return end < INT64_MIN / 1000 ? INT64_MIN : end * 1000;
}

int kg_token_refused(struct kg_error *err, const char *why)
{
	return kg_fail(err, KG_E_UNAUTHORIZED, "Unauthorized: the token %s", why);
}
