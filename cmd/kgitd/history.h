/* What runs on the thread of the history (history.c). */
#ifndef KGITD_HISTORY_H
#define KGITD_HISTORY_H

#include "kgitd/master.h"

/* GET /kgit/v1/explain?namespace=NS&name=POD&revision=R: the scheduler's verdict on every node as
 * of R: the revision that bound the pod, or any in which it waits. */
void kgd_explain_run(struct kg_http_req *req, struct kgd_master *m);

#endif
