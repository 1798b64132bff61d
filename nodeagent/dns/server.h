/*
 * The node's name server: what pods' resolv.conf names. A process of its own, since pods need it
 * while the agent restarts; a new one takes over from the old one without a gap, so that an agent
 * starts one whenever it starts itself (dns.h of the agent). It serves UDP and TCP on port 53 of
 * the pods' bridge, as nobody, with nothing but its directory:
 *
 *   config.json   {"ranges": ["10.244.0.0/16"], "zones": ["cluster.local."]}: who may ask, and of
 *                 what. It and all parts are read again whenever it is replaced.
 *   part-0, ...   what is known (names.h), the last of them of the zones themselves. One that is
 *                 replaced is read again by itself.
 *   pid           of the process that serves, which has it locked (fcntl)
 */
#ifndef KG_NODEAGENT_DNS_SERVER_H
#define KG_NODEAGENT_DNS_SERVER_H

#include "base/err.h"

#include <stdbool.h>

#define KG_DNS_CONFIG "config.json"
#define KG_DNS_PID    "pid"
#define KG_DNS_PART   "part-%u"

/* A third argument of the server: without its filter of system calls (confine.h). */
#define KG_DNS_UNCONFINED "unconfined"

/* Serves until SIGTERM: what was asked is still answered, for two seconds at most. Returns the exit
 * status; what goes wrong is logged. */
int kg_dns_serve(const char *dir, const char *address, bool confined);

/* Ends the process that serves from dir, and waits until it is gone, 5 s at most. None is fine. */
int kg_dns_end(const char *dir, struct kg_error *err);

#endif
