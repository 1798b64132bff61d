/*
 * The guard: one thread that sees to what libmicrohttpd does not. It knows no timeout but
 * inactivity, so a peer that sends a byte now and then holds a connection for ever: the guard shuts
 * down the socket of a phase that outlasts its limit. And it does not look at a suspended
 * connection at all: the guard watches the sockets of streams and tells when the peer has gone.
 * The thread sleeps in epoll until the next deadline; with no connection it sleeps for good.
 *
 * Any thread may call; entries are embedded in connections and must be forgotten before the
 * socket is closed.
 */
#ifndef KG_HTTP_GUARD_H
#define KG_HTTP_GUARD_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct kg_guard;
struct kg_http_req;

enum kg_phase {
	KG_PHASE_FREE,    /* no deadline */
	KG_PHASE_HEADER,  /* handshake and header */
	KG_PHASE_IDLE,    /* between requests, and the next one's header: both timeouts */
	KG_PHASE_BODY,    /* a body that is collected */
	KG_PHASE_CLOSING, /* a WebSocket's peer is to close */
	KG_NPHASES,
};

struct kg_guard_entry {
	struct kg_guard_entry *prev, *next;
	enum kg_phase phase;
	int64_t deadline; /* monotonic ms */
	int fd;
	uint32_t slot; /* 1 + index while watched */
	struct kg_http_req *req;
};

int kg_guard_new(struct kg_guard **out, const int64_t limit_ms[KG_NPHASES], struct kg_error *err);
void kg_guard_free(struct kg_guard *g); /* no entry is left by then */
void kg_guard_phase(struct kg_guard *g, struct kg_guard_entry *e, enum kg_phase phase);
/* Breaks req when the peer of e->fd goes, and wakes it when its socket takes bytes again (input: or
 * has some); until kg_guard_unwatch. */
void kg_guard_watch(
	struct kg_guard *g, struct kg_guard_entry *e, struct kg_http_req *req, bool input);
void kg_guard_unwatch(struct kg_guard *g, struct kg_guard_entry *e);

/* Shuts down the connection that has been idle for longest, between two requests. */
void kg_guard_evict(struct kg_guard *g);
uint64_t kg_guard_evicted(const struct kg_guard *g);
uint64_t kg_guard_expired(const struct kg_guard *g); /* sockets shut down so far */

#endif
