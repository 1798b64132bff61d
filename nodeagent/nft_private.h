/* What nft.c and nft_dump.c share; nobody else includes it. */
#ifndef KG_NODEAGENT_NFT_PRIVATE_H
#define KG_NODEAGENT_NFT_PRIVATE_H

#include "base/buf.h"
#include "nodeagent/nft_elems.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdalign.h>

struct kg_nft {
	struct mnl_socket *socket;
	const struct kg_nft_table *table;
	unsigned seq;
	struct kg_buf batch;
	alignas(8) char recv[32768];
};

#endif
