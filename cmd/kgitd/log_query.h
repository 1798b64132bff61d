/* What a reader asks of a pod's log (the query of GET .../pods/NAME/log), checked as Kubernetes
 * checks PodLogOptions, and as it is asked of the node. Pure; any thread. */
#ifndef KGITD_LOG_QUERY_H
#define KGITD_LOG_QUERY_H

#include "http/server.h"
#include "kinds/object.h"

/* KG_E_BAD_REQUEST or KG_E_INVALID where the query is malformed, the pod has no such container, has
 * several and none is named, or is on no node. */
int kgd_log_check(const struct kg_http_req *req, const struct kg_object *pod, struct kg_error *err);
/* Of a query that passed: the line that asks the pod's node for it, under this id. */
void kgd_log_line(struct kg_buf *out, const struct kg_http_req *req, const char *id,
	const struct kg_object *pod);

#endif
