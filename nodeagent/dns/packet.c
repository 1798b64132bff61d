#include "dns/packet.h"

#include <arpa/nameser.h>
#include <string.h>

#define HEADER  12
#define OPT_LEN 11

/* of the header's third and fourth byte */
#define QR 0x80
#define TC 0x02
#define RD 0x01
#define RA 0x80

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* The size of a UDP answer that the asker takes, from the OPT record; the first one counts. */
static int read_opt(struct kg_dns_query *out, ns_msg *msg)
{
	ns_rr rr;

	for (int i = 0; i < ns_msg_count(*msg, ns_s_ar); i++) {
		if (ns_parserr(msg, ns_s_ar, i, &rr) < 0)
			return ns_r_formerr;
		if (ns_rr_type(rr) != ns_t_opt)
			continue;
		out->edns = true;
		if (out->size == NS_PACKETSZ && ns_rr_class(rr) > NS_PACKETSZ)
			out->size = ns_rr_class(rr) < KG_DNS_UDP_SIZE ? ns_rr_class(rr)
								      : KG_DNS_UDP_SIZE;
		return 0;
	}
	return 0;
}

static int read_question(struct kg_dns_query *out, ns_msg *msg, const uint8_t *p)
{
	ns_rr rr;
	uint8_t wire[NS_MAXCDNAME];

	if (ns_msg_count(*msg, ns_s_qd) != 1 || ns_parserr(msg, ns_s_qd, 0, &rr) < 0)
		return ns_r_formerr;
	/* As it was written: ns_rr_name leaves the last dot out. There is nothing that the first
	 * name could be shortened by. */
	int n = ns_name_unpack(p, ns_msg_end(*msg), p + HEADER, wire, sizeof(wire));
	if (n < 0 || memcmp(wire, p + HEADER, (size_t)n) != 0 ||
		ns_name_ntop(wire, out->name, sizeof(out->name) - 1) < 0)
		return ns_r_formerr;
	size_t len = strlen(out->name);
	if (len == 0 || out->name[len - 1] != '.')
		memcpy(out->name + len, ".", 2);
	out->type = (uint16_t)ns_rr_type(rr);
	out->head = HEADER + (size_t)n + 4;
	if (out->head > sizeof(out->raw))
		return ns_r_formerr;
	memcpy(out->raw, p, out->head);
	return ns_rr_class(rr) == ns_c_in ? 0 : ns_r_refused;
}

int kg_dns_query_parse(struct kg_dns_query *out, const uint8_t *p, size_t len, bool udp)
{
	ns_msg msg;

	*out = (struct kg_dns_query){.size = udp ? NS_PACKETSZ : KG_DNS_MAX_ANSWER};
	if (len < HEADER || (p[2] & QR))
		return -1;
	out->id = (uint16_t)(p[0] << 8 | p[1]);
	out->recurse = p[2] & RD;
	if (len > KG_DNS_MAX_QUERY || ns_initparse(p, (int)len, &msg) < 0)
		return ns_r_formerr;
	if (ns_msg_getflag(msg, ns_f_opcode) != ns_o_query)
		return ns_r_notimpl;
	int rcode = read_question(out, &msg, p);
	if (rcode == 0)
		rcode = read_opt(out, &msg);
	/* Transfers and other questions about the server. */
	if (rcode == 0 && (out->type == ns_t_axfr || out->type == ns_t_ixfr))
		rcode = ns_r_refused;
	return rcode;
}

/* ---- answers ---- */

static void set_flags(uint8_t *p, const struct kg_dns_query *q, bool cut, int rcode)
{
	put16(p, q->id);
	p[2] = (uint8_t)(QR | (cut ? TC : 0) | (q->recurse ? RD : 0));
	p[3] = (uint8_t)(RA | rcode);
}

static size_t add_opt(uint8_t *p, size_t len)
{
	static const uint8_t opt[OPT_LEN] = {
		0, 0, ns_t_opt, KG_DNS_UDP_SIZE >> 8, KG_DNS_UDP_SIZE & 0xff, 0, 0, 0, 0, 0, 0};

	memcpy(p + len, opt, OPT_LEN);
	put16(p + 10, (unsigned)(p[10] << 8 | p[11]) + 1);
	return len + OPT_LEN;
}

/* Which records fit: their number by section, and where the last one ends; 0: they make no sense.
 * OPT is left out: it is the last one of what this resolver makes. */
static size_t keep(
	ns_msg *msg, const uint8_t *p, size_t head, size_t room, unsigned kept[ns_s_max], bool *cut)
{
	size_t end = head;
	ns_rr rr;

	for (int s = ns_s_an; s < ns_s_max; s++) {
		for (int i = 0; i < ns_msg_count(*msg, (ns_sect)s); i++) {
			if (ns_parserr(msg, (ns_sect)s, i, &rr) < 0)
				return 0;
			if (s == ns_s_ar && ns_rr_type(rr) == ns_t_opt)
				return end;
			size_t next = (size_t)(ns_rr_rdata(rr) - p) + ns_rr_rdlen(rr);
			if (next > room) {
				*cut = s != ns_s_ar;
				return end;
			}
			end = next;
			kept[s]++;
		}
	}
	return end;
}

/* It ends where that of the query does. */
static bool same_question(ns_msg *msg, const uint8_t *p, const struct kg_dns_query *q)
{
	const uint8_t *end = p + HEADER;

	return ns_msg_count(*msg, ns_s_qd) == 1 && ns_name_skip(&end, ns_msg_end(*msg)) == 0 &&
	       (size_t)(end - p) + 4 == q->head;
}

size_t kg_dns_answer_fit(uint8_t *p, size_t len, const struct kg_dns_query *q)
{
	unsigned kept[ns_s_max] = {0};
	bool cut = false;
	ns_msg msg;
	size_t room = q->size - (q->edns ? OPT_LEN : 0);

	if (len < HEADER || len > KG_DNS_MAX_ANSWER)
		return kg_dns_refuse(p, q, ns_r_servfail);
	int rcode = p[3] & 0x0f;
	/* A resolver that failed says so in a header alone. */
	if (ns_initparse(p, (int)len, &msg) < 0 || !same_question(&msg, p, q))
		return kg_dns_refuse(p, q, rcode ? rcode : ns_r_servfail);
	size_t end = keep(&msg, p, q->head, room, kept, &cut);
	if (end == 0)
		return kg_dns_refuse(p, q, ns_r_servfail);
	/* The name as it was asked, letter by letter: some askers compare it. */
	memcpy(p, q->raw, q->head);
	put16(p + 4, 1);
	put16(p + 6, kept[ns_s_an]);
	put16(p + 8, kept[ns_s_ns]);
	put16(p + 10, kept[ns_s_ar]);
	set_flags(p, q, cut, rcode);
	return q->edns ? add_opt(p, end) : end;
}

size_t kg_dns_refuse(uint8_t out[512], const struct kg_dns_query *q, int rcode)
{
	memset(out, 0, HEADER);
	memcpy(out, q->raw, q->head);
	memset(out + 4, 0, 8);
	put16(out + 4, q->head ? 1 : 0);
	set_flags(out, q, false, rcode);
	size_t len = q->head ? q->head : HEADER;
	return q->edns ? add_opt(out, len) : len;
}
