/* Time as data: milliseconds since the epoch, UTC. Nothing here reads a clock. */
#ifndef KG_BASE_TIME_H
#define KG_BASE_TIME_H

#include <stdint.h>

typedef int64_t kg_time; /* milliseconds since 1970-01-01T00:00:00Z */
#define KG_TIME_NEVER INT64_MAX

/* RFC 3339 to the second, Kubernetes' metav1.Time: "2026-11-26T04:28:06Z". */
void kg_time_format(char out[32], kg_time t);
/* RFC 3339 with microseconds, Kubernetes' metav1.MicroTime; milliseconds are what is kept. */
void kg_time_format_micro(char out[40], kg_time t);
/* As Go's RFC1123Z, of UTC: "Thu, 26 Nov 2026 04:28:06 +0000". */
void kg_time_format_rfc1123(char out[48], kg_time t);
/* RFC 3339 with optional fraction and offset. 0 or -1. */
int kg_time_parse(kg_time *out, const char *s);
/* "90s", "1h30m", "250ms", "1.5h", or plain seconds, as Go's ParseDuration; milliseconds. 0/-1. */
int kg_duration_parse(int64_t *out_ms, const char *s);
/* Ages as kubectl prints them (duration.HumanDuration): "5s", "2m30s", "3d4h". */
void kg_duration_human(char out[24], int64_t ms);

#endif
