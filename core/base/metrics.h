/*
 * What is counted, and Prometheus' text of it. Observing takes no lock and is for any thread;
 * a text is of about one moment.
 */
#ifndef KG_BASE_METRICS_H
#define KG_BASE_METRICS_H

#include "base/buf.h"

#include <stdatomic.h>
#include <stdint.h>

/* Of durations: from 100 microseconds to a minute. Zeroed memory is an empty one. */
enum { KG_HISTOGRAM_BUCKETS = 18 };
struct kg_histogram {
	_Atomic uint64_t buckets[KG_HISTOGRAM_BUCKETS + 1]; /* the last: longer than all bounds */
	_Atomic uint64_t sum_ns;
};
void kg_histogram_observe(struct kg_histogram *h, int64_t ns);
uint64_t kg_histogram_count(const struct kg_histogram *h);
int64_t kg_monotonic_ns(void);

/* The two lines before a metric's values. type: "counter", "gauge", "histogram". */
void kg_metric_head(struct kg_buf *out, const char *name, const char *type, const char *help);
/* labels: `verb="GET",code="200"`, or "" for none. */
void kg_metric_count(struct kg_buf *out, const char *name, const char *labels, uint64_t value);
void kg_metric_histogram(
	struct kg_buf *out, const char *name, const char *labels, const struct kg_histogram *h);
/* Head and value of one without labels. */
void kg_metric_one(
	struct kg_buf *out, const char *name, const char *type, const char *help, double value);

#endif
