/* The socket under netlink.c, netlink_link.c and netlink_route.c; nobody else includes it. */
#ifndef KG_NODEAGENT_NETLINK_PRIVATE_H
#define KG_NODEAGENT_NETLINK_PRIVATE_H

#include "nodeagent/netlink.h"

#include <libmnl/libmnl.h>
#include <stdalign.h>

struct kg_netlink {
	struct mnl_socket *socket;
	unsigned seq;
	unsigned port;
	alignas(8) char buf[16384];  /* the request */
	alignas(8) char recv[32768]; /* answers */
};

/* Begins a request in nl->buf. */
struct nlmsghdr *kg_netlink_begin(struct kg_netlink *nl, unsigned type, unsigned flags);
/* Sends it and reads to the acknowledgement; cb (may be NULL) sees every answer. Fails with errno
 * set to what the kernel said; the text is for the caller to add. */
int kg_netlink_do(struct kg_netlink *nl, struct nlmsghdr *h, mnl_cb_t cb, void *ctx);

#endif
