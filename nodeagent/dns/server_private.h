/* What the name server's parts share; all of it on one loop. */
#ifndef KG_NODEAGENT_DNS_SERVER_PRIVATE_H
#define KG_NODEAGENT_DNS_SERVER_PRIVATE_H

#include "dns/limits.h"
#include "dns/names.h"
#include "dns/packet.h"
#include "dns/resolver.h"
#include "sys/loop.h"

#include <netinet/in.h>

#define KG_DNS_BACKLOG 128 /* connections that nobody has taken in */
#define KG_DNS_AT_ONCE 64  /* datagrams, before others have their turn */

struct kg_dns_server {
	struct kg_loop *loop;
	struct kg_resolver *resolver;
	struct kg_names *names;
	struct kg_dns_limits limits;
	const char *dir;
	int lock, udp, tcp, inotify;
	struct kg_watch *watches[3];
	struct kg_dns_range {
		in_addr_t addr, mask;
	} * ranges; /* who may ask */
	size_t nranges;
	struct kg_dns_connection *connections;
	unsigned nconnections, asked;
	bool ending;
	uint8_t buf[KG_DNS_MAX_ANSWER + 1];
};

bool kg_dns_may_ask(const struct kg_dns_server *s, const struct sockaddr_in *peer);

struct kg_dns_asked;
typedef void kg_dns_reply(struct kg_dns_asked *asked, const uint8_t *answer, size_t len);
struct kg_dns_asked {
	struct kg_dns_server *server;
	struct kg_dns_query query;
	kg_dns_reply *reply;     /* once, then it is gone; answer is s->buf, len 0: none is due */
	struct sockaddr_in peer; /* by UDP */
	struct kg_dns_connection *connection; /* by TCP; NULL: closed meanwhile */
	uint8_t *aliases; /* the beginning of the answer, where others are asked for the rest; heap
			   */
	size_t naliases;
};
/* Moves asked; answers it, at once or later. */
void kg_dns_ask(struct kg_dns_asked *asked, const uint8_t *p, size_t len, bool udp);

void kg_dns_on_udp(void *server, uint32_t events);
void kg_dns_on_tcp(void *server, uint32_t events);
/* Takes in all that wait to be, before nobody does. */
void kg_dns_accept_all(struct kg_dns_server *s);
void kg_dns_close_idle(
	struct kg_dns_server *s); /* but those that wait for an answer or are fresh */
void kg_dns_close_all(struct kg_dns_server *s);
/* Where the server ends: all that was asked is answered, and no connection is left. */
void kg_dns_look_done(struct kg_dns_server *s);

#endif
