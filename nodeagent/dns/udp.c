#include "base/mem.h"
#include "dns/server_private.h"

#include <sys/socket.h>

static void reply(struct kg_dns_asked *a, const uint8_t *answer, size_t len)
{
	/* A full socket loses it, as any link may. */
	if (len)
		(void)!sendto(a->server->udp, answer, len, MSG_DONTWAIT,
			(const struct sockaddr *)&a->peer, sizeof(a->peer));
}

void kg_dns_on_udp(void *ctx, uint32_t events)
{
	struct kg_dns_server *s = ctx;

	(void)events;
	for (int i = 0; i < KG_DNS_AT_ONCE; i++) {
		struct sockaddr_in peer = {0};
		socklen_t size = sizeof(peer);
		ssize_t n = recvfrom(s->udp, s->buf, sizeof(s->buf), MSG_DONTWAIT,
			(struct sockaddr *)&peer, &size);

		if (n < 0)
			return;
		if (!kg_dns_may_ask(s, &peer))
			continue;
		struct kg_dns_asked *a = kg_alloc(sizeof(*a));
		*a = (struct kg_dns_asked){.server = s, .reply = reply, .peer = peer};
		kg_dns_ask(a, s->buf, (size_t)n, true);
	}
}
