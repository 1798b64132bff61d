/* Percentages and their rounding. */
#include "reconcile/internal.h"

#include <string.h>

int64_t kg_int_or_percent(const struct kg_value *v, int64_t total, bool up, int64_t dflt)
{
	if (v->type == KG_INT)
		return v->i;
	const char *s = kg_string(v, NULL);
	if (!s)
		return dflt;
	char *end;
	int64_t n = strtoll(s, &end, 10);
	if (end == s || (*end && strcmp(end, "%") != 0))
		return dflt;
	if (!*end)
		return n;
	n = n < 0 ? 0 : n > 100000 ? 100000 : n;
	return (n * total + (up ? 99 : 0)) / 100;
}

void kg_deployment_bounds(const struct kg_value *spec, int64_t *surge, int64_t *unavailable)
{
	const struct kg_value *strategy = kg_get(spec, "strategy");
	const struct kg_value *ru = kg_get(strategy, "rollingUpdate");
	int64_t replicas = kg_int(kg_get(spec, "replicas"), 1);
	*surge = *unavailable = 0;
	if (strcmp(kg_string(kg_get(strategy, "type"), "RollingUpdate"), "RollingUpdate") != 0)
		return;
	*surge = kg_int_or_percent(
		kg_get(ru, "maxSurge"), replicas, true, (replicas * 25 + 99) / 100);
	*unavailable = kg_int_or_percent(
		kg_get(ru, "maxUnavailable"), replicas, false, replicas * 25 / 100);
	if (*surge == 0 && *unavailable == 0)
		*unavailable = 1; /* else nothing could ever move */
	if (*unavailable > replicas)
		*unavailable = replicas;
}
