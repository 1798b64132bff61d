/* The socket of one connection of a probe. It does not block. */
#ifndef KG_NODEAGENT_PROBE_SOCKET_H
#define KG_NODEAGENT_PROBE_SOCKET_H

#include <stdbool.h>

/* One that is being connected to an IP address: wait for EPOLLOUT. -1 where host or port is
 * malformed or it cannot be begun. */
int kg_probe_socket_open(const char *host, int port);
/* Once it can be written: did it come to be? */
bool kg_probe_socket_connected(int fd);

#endif
