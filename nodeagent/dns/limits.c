#include "dns/limits.h"

const struct kg_dns_limit kg_dns_limit_table[KG_DNS_LIMITS] = {
	{"dns-max-questions", offsetof(struct kg_dns_limits, questions), 4096, 16, 65536, false},
	{"dns-max-forwarded", offsetof(struct kg_dns_limits, forwarded), 2048, 1, 65536, false},
	{"dns-max-connections", offsetof(struct kg_dns_limits, connections), 256, 1, 4096, false},
	{"dns-max-connections-of-pod", offsetof(struct kg_dns_limits, of_pod), 32, 1, 4096, false},
	{"dns-idle-timeout", offsetof(struct kg_dns_limits, idle_ms), 10000, 100, 600000, true},
};

static unsigned *member(struct kg_dns_limits *l, const struct kg_dns_limit *which)
{
	return (unsigned *)(void *)((char *)l + which->offset);
}

unsigned kg_dns_limit_get(const struct kg_dns_limits *l, const struct kg_dns_limit *which)
{
	return *(const unsigned *)(const void *)((const char *)l + which->offset);
}

bool kg_dns_limit_set(struct kg_dns_limits *l, const struct kg_dns_limit *which, int64_t value)
{
	if (value < which->min || value > which->max)
		return false;
	*member(l, which) = (unsigned)value;
	return true;
}

void kg_dns_limits_default(struct kg_dns_limits *l)
{
	for (size_t i = 0; i < KG_DNS_LIMITS; i++)
		*member(l, &kg_dns_limit_table[i]) = kg_dns_limit_table[i].def;
}

struct kg_value kg_dns_limits_value(struct kg_arena *a, const struct kg_dns_limits *l)
{
	struct kg_value v = kg_v_object(a, NULL, 0);

	for (size_t i = 0; i < KG_DNS_LIMITS; i++) {
		const struct kg_dns_limit *which = &kg_dns_limit_table[i];

		v = kg_with_key(a, &v, which->name, kg_v_int(kg_dns_limit_get(l, which)));
	}
	return v;
}

void kg_dns_limits_read(struct kg_dns_limits *l, const struct kg_value *v)
{
	kg_dns_limits_default(l);
	for (size_t i = 0; i < KG_DNS_LIMITS; i++)
		kg_dns_limit_set(l, &kg_dns_limit_table[i],
			kg_int(kg_get(v, kg_dns_limit_table[i].name), -1));
}
