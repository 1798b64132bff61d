#include "dns/splice.h"
#include "dns/packet.h"
#include "dns/record.h"

#include <arpa/nameser.h>
#include <stdio.h>
#include <string.h>

struct out {
	uint8_t *p;
	size_t len;
	bool full;
};

static bool put(struct out *o, const void *p, size_t n)
{
	if (n > KG_DNS_MAX_ANSWER - o->len) {
		o->full = true;
		return false;
	}
	memcpy(o->p + o->len, p, n);
	o->len += n;
	return true;
}

static bool put16(struct out *o, unsigned v)
{
	const uint8_t net[] = {(uint8_t)(v >> 8), (uint8_t)v};

	return put(o, net, sizeof(net));
}

/* A name within a message, whole; at moves behind it. */
static bool put_name(struct out *o, const ns_msg *msg, const uint8_t **at)
{
	uint8_t wire[NS_MAXCDNAME];
	int read = ns_name_unpack(ns_msg_base(*msg), ns_msg_end(*msg), *at, wire, sizeof(wire));
	size_t n = 1;

	if (read < 0)
		return false;
	*at += read;
	for (const uint8_t *p = wire; *p; p += 1 + *p)
		n += 1 + *p;
	return put(o, wire, n);
}

/* Which types have names in them that may be shortened (RFC 3597, 4), and where. */
static const struct {
	uint16_t type;
	uint8_t before, names;
} shortened[] = {{ns_t_cname, 0, 1}, {ns_t_dname, 0, 1}, {ns_t_ns, 0, 1}, {ns_t_ptr, 0, 1},
	{ns_t_mx, 2, 1}, {ns_t_srv, 6, 1}, {ns_t_soa, 0, 2}};

static bool put_data(struct out *o, const ns_msg *msg, const ns_rr *rr)
{
	const uint8_t *at = ns_rr_rdata(*rr), *end = at + ns_rr_rdlen(*rr);
	uint8_t before = 0, names = 0;

	for (size_t i = 0; i < sizeof(shortened) / sizeof(shortened[0]); i++) {
		if (shortened[i].type == ns_rr_type(*rr)) {
			before = shortened[i].before;
			names = shortened[i].names;
		}
	}
	if (end - at < before || !put(o, at, before))
		return false;
	at += before;
	for (uint8_t i = 0; i < names; i++)
		if (!put_name(o, msg, &at) || at > end)
			return false;
	return put(o, at, (size_t)(end - at));
}

/* Owner and data of a record as they are there. One after the other: msg knows where the next is.
 */
static bool put_record(struct out *o, ns_msg *msg, ns_sect section, int i)
{
	ns_rr rr;
	char name[NS_MAXDNAME + 2];
	uint8_t owner[256];

	if (ns_parserr(msg, section, i, &rr) < 0)
		return false;
	snprintf(name, sizeof(name), "%s.", strcmp(ns_rr_name(rr), ".") ? ns_rr_name(rr) : "");
	int n = kg_record_name(owner, name);
	uint32_t ttl = ns_rr_ttl(rr);
	if (n < 0 || !put(o, owner, (size_t)n) || !put16(o, ns_rr_type(rr)) ||
		!put16(o, ns_rr_class(rr)) || !put16(o, ttl >> 16) || !put16(o, ttl & 0xffff) ||
		!put16(o, 0))
		return false;
	size_t at = o->len;
	if (!put_data(o, msg, &rr))
		return false;
	o->p[at - 2] = (uint8_t)((o->len - at) >> 8);
	o->p[at - 1] = (uint8_t)(o->len - at);
	return true;
}

static void count(uint8_t *p, int n)
{
	unsigned v = (unsigned)(p[0] << 8 | p[1]) + (unsigned)n;

	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

size_t kg_dns_splice(uint8_t *out, size_t len, const uint8_t *answer, size_t n)
{
	struct out o = {.p = out, .len = len};
	ns_msg msg;

	if (n > KG_DNS_MAX_ANSWER || ns_initparse(answer, (int)n, &msg) < 0)
		return 0;
	for (ns_sect s = ns_s_an; s <= ns_s_ns; s++) {
		int i = 0;

		for (; i < ns_msg_count(msg, s); i++) {
			size_t before = o.len;

			if (put_record(&o, &msg, s, i))
				continue;
			if (!o.full)
				return 0;
			o.len = before; /* the rest has no room */
			break;
		}
		count(out + (s == ns_s_an ? 6 : 8), i);
	}
	out[3] = (uint8_t)ns_msg_getflag(msg, ns_f_rcode);
	return o.len;
}
