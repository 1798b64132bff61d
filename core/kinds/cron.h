/*
 * Schedules of CronJobs, as Kubernetes reads them: five fields (minute, hour, day of month, month,
 * day of week) of numbers, names, ranges, steps and lists; or @hourly, @daily (@midnight),
 * @weekly, @monthly, @yearly (@annually), @every DURATION ("1h30m").
 */
#ifndef KG_KINDS_CRON_H
#define KG_KINDS_CRON_H

#include "base/mem.h"

#include <stdbool.h>
#include <stdint.h>

/* Bit n of a field is set where n matches: minutes 0-59, hours 0-23, days 1-31, months 1-12,
 * weekdays 0-6 (Sunday is 0). Where neither any_day nor any_weekday is set, a day matches when its
 * number or its weekday does; otherwise both must. */
struct kg_cron {
	uint64_t minutes;
	uint32_t hours, days, months, weekdays;
	bool any_day, any_weekday;
	int64_t every_s; /* @every: seconds, at least 1; the fields are then 0. Otherwise 0. */
};
/* NULL, or what is wrong, from the arena or static; *out is then undefined. */
const char *kg_cron_parse(struct kg_cron *out, struct kg_arena *a, const char *text);
/* Could there be a time zone of this name? "Local" is none, whatever the machine. */
bool kg_cron_may_be_zone(const char *name);

#endif
