/* What is counted of requests. */
#ifndef KG_API_METRICS_H
#define KG_API_METRICS_H

#include "base/metrics.h"
#include "kinds/kind.h"

#include <stdatomic.h>

struct kg_api;
struct request;

enum { METRIC_VERBS = 9, METRIC_CODES = 22 };
struct request_series {
	_Atomic uint64_t codes[METRIC_CODES];
	struct kg_histogram duration;
};
struct metrics {
	/* by verb and kind, KG_KIND_COUNT where it is of none; made when first met */
	_Atomic(struct request_series *) series[METRIC_VERBS][KG_KIND_COUNT + 1];
	_Atomic uint64_t behind, expired;
};
void kg_api_metrics_request(const struct request *r); /* it is over */
void kg_api_metrics_release(struct kg_api *api);
void kg_api_handle_metrics(struct request *r);

#endif
