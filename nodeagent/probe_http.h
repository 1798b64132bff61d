/* One connection of a probe: TCP alone, or an HTTP(S) GET over it. On the loop; never blocks. */
#ifndef KG_NODEAGENT_PROBE_HTTP_H
#define KG_NODEAGENT_PROBE_HTTP_H

#include "sys/loop.h"
#include "value/value.h"

struct kg_probe_conn;
/*
 * host: an IP address. http: the HTTPGetAction, or NULL where being accepted is enough. done is
 * called once, later, and may free the connection. NULL where host or port is malformed or no
 * connection could be begun. Certificates are not verified, as kubelet does not.
 */
struct kg_probe_conn *kg_probe_conn_new(struct kg_loop *loop, const char *host, int port,
	const struct kg_value *http, void (*done)(void *ctx, bool ok), void *ctx);
void kg_probe_conn_free(struct kg_probe_conn *c); /* NULL is fine */

#endif
