/*
 * The embedded pod network: the bridge kgit0 with the first address of the node's pod range, and a
 * veth pair for each pod. A pod has its address as a /32 and reaches everything, also its
 * neighbours on the same node, through the bridge's address, so that every packet between pods
 * passes the host's routing and with it the services' address translation. MACs follow from
 * addresses and uids and are entered as permanent neighbours: nobody waits for ARP, and an address
 * that a new pod takes over at once works at once. Pods send no larger packets than the link takes
 * by which the node reaches the others.
 *
 * The caller's network namespace at kg_bridge_new is the host's. Any thread.
 */
#ifndef KG_NODEAGENT_BRIDGE_H
#define KG_NODEAGENT_BRIDGE_H

#include "nodeagent/netlink.h"
#include "nodeagent/podnet.h"

struct kg_bridge;
struct kg_bridge *kg_bridge_new(void);
/* The node's own address, before kg_bridge_configure: what its link's MTU is, bridge and pods have,
 * as it is when they are set up. */
void kg_bridge_of_node(struct kg_bridge *b, in_addr_t node);
/*
 * Makes the bridge for the node's pod range ("10.244.1.0/24", of 4 addresses at least), turns
 * forwarding on, lets NodePorts be reached over 127.0.0.1 by it, and takes pods' links that lost
 * their bridge into it. Idempotent; call again when the range changed or the bridge is gone. Until
 * the first success kg_podnet's setup fails with KG_E_UNAVAILABLE.
 */
int kg_bridge_configure(struct kg_bridge *b, const char *pod_cidr, struct kg_error *err);
void kg_bridge_free(struct kg_bridge *b); /* links stay */

/*
 * No pod gets its network before what protects it is in force: setup waits (HELD_MS at most, then
 * it fails with KG_E_UNAVAILABLE) until as much was let go as was held. kg_bridge_hold returns
 * what to let go.
 */
uint64_t kg_bridge_hold(struct kg_bridge *b);
void kg_bridge_let(struct kg_bridge *b, uint64_t held);

extern const struct kg_podnet kg_bridge_podnet; /* self: the struct kg_bridge */

#define KG_BRIDGE_NAME "kgit0"
/* The bridge's link address, where the pods' packets go. */
void kg_bridge_mac(uint8_t mac[6], const struct kg_cidr *range);
/* The name of a pod's veth on the host. */
void kg_bridge_veth_name(char out[16], const char *uid);

#endif
