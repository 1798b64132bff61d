/* What kgitd adds to /metrics, and what /livez and /readyz look at. */
#ifndef KGITD_METRICS_H
#define KGITD_METRICS_H

#include "kgitd/git_child.h"
#include "kgitd/master.h"

enum { KGD_NCHECKS = 4 };
/* For kg_api_options; their ctx is the kgd_master. */
extern const struct kg_api_check kgd_checks[KGD_NCHECKS];
void kgd_metrics(void *ctx, struct kg_buf *out);

struct kgd_probes *kgd_probes_new(void); /* free() it after loop and writer */

#endif
