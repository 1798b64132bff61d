/* What definitions ask of how this cluster is set up: the addresses of its Services, the time zones
 * that its master knows. */
#include "kinds/cron.h"
#include "reconcile/admitting.h"

#include <string.h>

static void check_address(struct kg_admitting *x, const struct kg_definition *d)
{
	const char *ip = kg_string(kg_at(&d->m->value, "spec.clusterIP"), "");
	struct kg_ip_range range = kg_service_range(x->cluster);
	char first[16];
	uint32_t addr;

	/* Text that is no address is a fault of its own. */
	if (kg_ip_parse(&addr, ip) < 0)
		return;
	uint32_t i = addr - range.first;
	kg_admit_look_at(x, d);
	kg_ip_format(first, range.first);
	/* The first and the last are the network's own and its broadcast address. */
	if (i < 1 || i >= range.size - 1)
		kg_fault_add(x->faults, "spec.clusterIP",
			"Invalid value: \"%s\": provided IP is not in the valid range. The range "
			"of valid IPs is %s/%u",
			ip, first, range.prefix);
	else if (i == 1)
		kg_fault_add(x->faults, "spec.clusterIP",
			"Invalid value: \"%s\": provided IP is already allocated: it is that of "
			"the Service kubernetes",
			ip);
	x->faults->root = NULL;
}

/* An address of the Services' own range is one of theirs, whoever else says that it is his. */
static void check_external_ips(struct kg_admitting *x, const struct kg_definition *d)
{
	const struct kg_value *ips = kg_at(&d->m->value, "spec.externalIPs");
	struct kg_ip_range range = kg_service_range(x->cluster);
	char first[16];
	uint32_t addr;

	kg_ip_format(first, range.first);
	for (uint32_t i = 0; i < kg_len(ips); i++) {
		const char *ip = kg_string(&ips->items[i], "");

		if (kg_ip_parse(&addr, ip) < 0 || addr - range.first >= range.size)
			continue;
		kg_admit_warn(x, d, kg_arena_printf(x->a, "spec.externalIPs[%u]", i),
			kg_arena_printf(x->a,
				"%s does not lead here: it is one of the addresses that Services "
				"are given by the cluster (%s/%u)",
				ip, first, range.prefix));
	}
}

static void check_zone(struct kg_admitting *x, const struct kg_definition *d)
{
	const char *zone = kg_string(kg_at(&d->m->value, "spec.timeZone"), "");
	char rule[KG_ZONE_RULE_SIZE];

	if (!*zone || !kg_cron_may_be_zone(zone) || /* then it is a fault already */
		kg_zone_find(rule, x->cluster->zone, x->cluster->zone_ctx, zone))
		return;
	kg_admit_look_at(x, d);
	kg_fault_add(x->faults, "spec.timeZone",
		"Invalid value: \"%s\": unknown time zone %s: expected a name of the IANA's, as in "
		"the tzdata of the cluster's master (e.g. 'Europe/Berlin')",
		zone, zone);
	x->faults->root = NULL;
}

void kg_admit_cluster(struct kg_admitting *x, const struct kg_definition *d)
{
	x->faults->file = d->file->path;
	if (x->cluster && d->m->kind->id == KG_KIND_SERVICE) {
		check_address(x, d);
		check_external_ips(x, d);
	}
	if (x->cluster && d->m->kind->id == KG_KIND_CRONJOB)
		check_zone(x, d);
}
