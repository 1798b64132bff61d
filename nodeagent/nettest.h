/*
 * What the network tests share: hosts and pods that are network namespaces of the test alone,
 * servers in them that say who they are and who asked, and connections tried from them. A test
 * that may not make namespaces ends with 77 in nt_start.
 */
#ifndef KG_NODEAGENT_NETTEST_H
#define KG_NODEAGENT_NETTEST_H

#include <stdbool.h>

void nt_start(void); /* once, first: private mounts, a temporary directory */
void nt_end(void);

/* A host: its namespace's fd is owned by the fixture. */
int nt_host(const char *name); /* makes it; loopback is up */
/* Joins host a and b by a veth pair with these addresses (/24). */
void nt_join(int a, const char *addr_a, int b, const char *addr_b);
/* Runs fn in a host or pod, on a thread of its own. */
void nt_in(int ns, void (*fn)(void *ctx), void *ctx);
/* A namespace for a pod, pinned: *path borrowed until nt_end. */
int nt_pod(const char *name, const char **path);

/* Serves "NAME PEER\n" (PEER the address it sees) to each TCP connection or UDP datagram. */
void nt_serve(int ns, const char *name, int port, bool udp);
/* What a connection to addr:port is told; "refused", "timeout" or another errno's text. Static. */
const char *nt_ask(int ns, const char *addr, int port, bool udp);
/* As nt_ask over UDP from a fixed port. */
const char *nt_ask_from(int ns, const char *addr, int port, int from);
/* As nt_ask, and only the name of who answered. */
const char *nt_who(int ns, const char *addr, int port);

#endif
