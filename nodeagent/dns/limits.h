/* What the name server bounds: each with a flag of kgit-node ("--NAME"), and a member of "limits"
 * in the server's config.json, by which it is told. Pure. */
#ifndef KG_NODEAGENT_DNS_LIMITS_H
#define KG_NODEAGENT_DNS_LIMITS_H

#include "value/value.h"

struct kg_dns_limits {
	unsigned questions;   /* waited for at once; what is more is refused */
	unsigned forwarded;   /* at which others than the cluster's are */
	unsigned connections; /* by TCP */
	unsigned of_pod;      /* of these: one pod does not take them from all others */
	unsigned idle_ms;     /* of a connection */
};
#define KG_DNS_LIMITS 5
extern const struct kg_dns_limit {
	const char *name;
	size_t offset; /* in kg_dns_limits */
	unsigned def, min, max;
	bool is_time; /* milliseconds; as a flag "10s" */
} kg_dns_limit_table[KG_DNS_LIMITS];

void kg_dns_limits_default(struct kg_dns_limits *l);
unsigned kg_dns_limit_get(const struct kg_dns_limits *l, const struct kg_dns_limit *which);
/* False, and nothing is changed, where it is out of bounds. */
bool kg_dns_limit_set(struct kg_dns_limits *l, const struct kg_dns_limit *which, int64_t value);
/* To and from the config; what is not given or out of bounds is the default. */
struct kg_value kg_dns_limits_value(struct kg_arena *a, const struct kg_dns_limits *l);
void kg_dns_limits_read(struct kg_dns_limits *l, const struct kg_value *v);

#endif
