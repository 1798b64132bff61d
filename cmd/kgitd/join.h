/* The credentials of nodes: how they come to one, and renew it. */
#ifndef KGITD_JOIN_H
#define KGITD_JOIN_H

#include "kgitd/master.h"

bool kgd_join_route(struct kg_http_req *req, const char *rest, struct kg_http_route *route);
/* POST /kgit/v1/nodes/NAME/renew {"csr"} -> {"certificate","ca"} */
void kgd_handle_renew(struct kg_http_req *req, void *ctx);

bool kgd_node_name_ok(const char *name);
/* The body as a JSON object. */
int kgd_parse_body(
	struct kg_value *out, struct kg_arena *a, struct kg_http_req *req, struct kg_error *err);

#endif
