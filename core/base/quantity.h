/* Kubernetes quantities (resource.Quantity): "100m", "1.5", "64Mi", "1e3". */
#ifndef KG_BASE_QUANTITY_H
#define KG_BASE_QUANTITY_H

#include <stdint.h>

/* Value in thousandths (milli-units), rounded up (away from zero, as Kubernetes does), saturating
 * at +-INT64_MAX. 0, or -1 if malformed. */
int kg_quantity_milli(int64_t *out, const char *s);
/* Value in whole units, rounded up, saturating. */
int kg_quantity_value(int64_t *out, const char *s);

/* What stands behind the number, "" too: times 10^exp10 * 2^exp2. */
#define KG_QUANTITY_SUFFIXES 16
struct kg_quantity_suffix {
	const char *text;
	int exp10, exp2;
};
extern const struct kg_quantity_suffix kg_quantity_suffixes[KG_QUANTITY_SUFFIXES];

#endif
