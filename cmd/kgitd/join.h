/* The credentials of nodes: how they come to one, and renew it. */
#ifndef KGITD_JOIN_H
#define KGITD_JOIN_H

#include "kgitd/master.h"

bool kgd_join_route(struct kg_http_req *req, const char *rest, struct kg_http_route *route);
/* POST /kgit/v1/nodes/NAME/renew {"csr"} -> {"certificate","ca"} */
void kgd_handle_renew(struct kg_http_req *req, void *ctx);
/* POST /kgit/v1/nodes/NAME/tokens (node_tokens.c) */
void kgd_handle_node_tokens(struct kg_http_req *req, void *ctx);

/* Is the key (kg_http_peer_key) of a node's certificate the one that has the name? Where none is
 * known, as of nodes that joined long ago, it is. Cheap. */
bool kgd_node_key_ok(struct kgd_master *m, const char *node, const char *key);
void kgd_node_keys_forget(void); /* at the end */

bool kgd_node_name_ok(const char *name);
/* The body as a JSON object. */
int kgd_parse_body(
	struct kg_value *out, struct kg_arena *a, struct kg_http_req *req, struct kg_error *err);

#endif
