/* Rules of CronJob. */
#include "kinds/cron.h"
#include "kinds/tables.h"

enum { NAME_MAX_LEN = 52 /* a Job's name is 11 characters longer */ };

void kg_validate_cronjob_spec(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const char *schedule = kg_string(kg_get(v, "schedule"), NULL);
	const char *zone = kg_string(kg_get(v, "timeZone"), NULL);
	struct kg_cron parsed;
	const char *msg = NULL;

	if (schedule && strstr(schedule, "TZ"))
		msg = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
	else if (schedule)
		msg = kg_cron_parse(&parsed, f->arena, schedule);
	if (msg)
		kg_rule_invalid(f, v, path, "schedule", msg);
	if (zone && !strcasecmp(zone, "Local"))
		kg_rule_invalid(f, v, path, "timeZone",
			"timeZone must be an explicit time zone as defined in "
			"https://www.iana.org/time-zones");
	else if (zone && !kg_cron_may_be_zone(zone))
		kg_rule_invalid(f, v, path, "timeZone",
			kg_arena_printf(f->arena, "unknown time zone %s", zone));
}

void kg_validate_cronjob(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	kg_rule_object_meta(f, v, path, kg_check_dns_subdomain);
	if (strlen(kg_string(kg_at(v, "metadata.name"), "")) > NAME_MAX_LEN)
		kg_rule_invalid(f, v, path, "metadata.name", "must be no more than 52 characters");
}
