/* Waiting until the cluster is what its manifests say. */
#ifndef KGIT_WAITING_H
#define KGIT_WAITING_H

#include "http/client.h"
#include "kinds/snapshot.h"

/* As kgit_load of now, once all is ready or after wait_ms (below 0: at once). A master that is away
 * in between is waited for. */
int kgit_load_ready(struct kg_snapshot **out, struct kg_http_client *http, int64_t wait_ms,
	struct kg_error *err);

#endif
