/* GET /kgit/v1/options: how the reconciler is set up, so that `kgit diff` comes to what it does. */
#include "kgitd/master.h"

#include <string.h>

static void get_options(struct kg_http_req *req, void *ctx)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value v = kg_reconcile_options_value(&a, &kgd_exchange(req)->master->reconcile);

	(void)ctx;
	kgd_reply_value(req, 200, &v);
}

bool kgd_options_route(struct kg_http_req *req, const char *rest, struct kg_http_route *route)
{
	if (strcmp(rest, "options") != 0 || strcmp(kg_http_method(req), "GET") != 0)
		return false;
	route->handle = get_options;
	return true;
}
