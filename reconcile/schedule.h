/*
 * When a schedule is due: a cron schedule in a time zone given by its rule (POSIX TZ, RFC 8536),
 * e.g. "CET-1CEST,M3.5.0,M10.5.0/3". A time that the clocks skip is not due; one that they pass
 * twice is due twice, as with Kubernetes' library. That one (robfig/cron) errs about
 * days whose midnight the clocks skip (Beirut, Cairo, Havana) and misses times of one on which they
 * move by half an hour (Lord Howe): here a time is due when the clocks show it on such a day.
 */
#ifndef KG_RECONCILE_SCHEDULE_H
#define KG_RECONCILE_SCHEDULE_H

#include "base/time.h"
#include "kinds/cron.h"

struct kg_zone_change {
	char kind; /* 'M', 'J' or 'D' (days from 0) */
	int month, week, day;
	int64_t time_s; /* of the day, local */
};
struct kg_zone {
	int64_t std_s, dst_s; /* east of UTC */
	bool has_dst;
	struct kg_zone_change start, end;
};
/* NULL or "": UTC. False: it cannot be read. */
bool kg_zone_parse(struct kg_zone *out, const char *rule);
int64_t kg_zone_offset(const struct kg_zone *z, int64_t utc_s);

/* The first time after t; KG_TIME_NEVER: none within five years. */
kg_time kg_schedule_next(const struct kg_cron *c, const struct kg_zone *z, kg_time t);
/* The last time in (after, until]; KG_TIME_NEVER: none. */
kg_time kg_schedule_last(
	const struct kg_cron *c, const struct kg_zone *z, kg_time after, kg_time until);

#endif
