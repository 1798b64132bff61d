#include "nodeagent/conntrack.h"
#include "base/buf.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdalign.h>
#include <string.h>
#include <sys/socket.h>

struct tuple {
	in_addr_t src, dst;
	in_port_t src_port, dst_port;
	uint8_t protocol;
};

struct walk {
	bool (*fn)(void *ctx, const struct kg_conntrack_flow *flow);
	void *ctx;
	struct kg_buf *found; /* original tuples' attributes, one after another */
};

static void parse_ip(struct tuple *t, const struct nlattr *nested)
{
	const struct nlattr *a;

	mnl_attr_for_each_nested(a, nested)
	{
		if (mnl_attr_get_type(a) == CTA_IP_V4_SRC)
			t->src = mnl_attr_get_u32(a);
		else if (mnl_attr_get_type(a) == CTA_IP_V4_DST)
			t->dst = mnl_attr_get_u32(a);
	}
}

static void parse_protocol(struct tuple *t, const struct nlattr *nested)
{
	const struct nlattr *a;

	mnl_attr_for_each_nested(a, nested)
	{
		if (mnl_attr_get_type(a) == CTA_PROTO_NUM)
			t->protocol = mnl_attr_get_u8(a);
		else if (mnl_attr_get_type(a) == CTA_PROTO_SRC_PORT)
			t->src_port = mnl_attr_get_u16(a);
		else if (mnl_attr_get_type(a) == CTA_PROTO_DST_PORT)
			t->dst_port = mnl_attr_get_u16(a);
	}
}

static struct tuple parse_tuple(const struct nlattr *nested)
{
	struct tuple t = {0};
	const struct nlattr *a;

	mnl_attr_for_each_nested(a, nested)
	{
		if (mnl_attr_get_type(a) == CTA_TUPLE_IP)
			parse_ip(&t, a);
		else if (mnl_attr_get_type(a) == CTA_TUPLE_PROTO)
			parse_protocol(&t, a);
	}
	return t;
}

static int on_entry(const struct nlmsghdr *h, void *ctx)
{
	const struct nlattr *a, *orig = NULL, *reply = NULL;
	struct walk *w = ctx;

	mnl_attr_for_each(a, h, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(a) == CTA_TUPLE_ORIG)
			orig = a;
		else if (mnl_attr_get_type(a) == CTA_TUPLE_REPLY)
			reply = a;
	}
	if (!orig || !reply)
		return MNL_CB_OK;
	struct tuple to = parse_tuple(orig), from = parse_tuple(reply);
	struct kg_conntrack_flow flow = {.src = to.src,
		.dst = to.dst,
		.to = from.src,
		.dst_port = to.dst_port,
		.to_port = from.src_port,
		.protocol = to.protocol};
	if (w->fn(w->ctx, &flow))
		kg_buf_add(w->found, orig, MNL_ALIGN(orig->nla_len));
	return MNL_CB_OK;
}

struct conntrack {
	struct mnl_socket *socket;
	unsigned seq;
	alignas(8) char buf[1024], recv[32768];
};

static struct nlmsghdr *begin(struct conntrack *c, unsigned type, unsigned flags)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(c->buf);

	h->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
	h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	h->nlmsg_seq = ++c->seq;
	struct nfgenmsg *g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->nfgen_family = AF_INET;
	return h;
}

static int run(struct conntrack *c, struct nlmsghdr *h, mnl_cb_t cb, void *ctx)
{
	if (mnl_socket_sendto(c->socket, h, h->nlmsg_len) < 0)
		return -1;
	for (;;) {
		ssize_t n = mnl_socket_recvfrom(c->socket, c->recv, sizeof(c->recv));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		int rc = mnl_cb_run(
			c->recv, (size_t)n, c->seq, mnl_socket_get_portid(c->socket), cb, ctx);
		if (rc <= MNL_CB_STOP)
			return rc;
	}
}

/* As many as can be: returns the first failure. */
static int forget(struct conntrack *c, const struct kg_buf *found, struct kg_error *err)
{
	int rc = 0;

	for (size_t at = 0; at < found->len;) {
		const struct nlattr *orig = (const void *)(found->data + at);
		struct nlmsghdr *h = begin(c, IPCTNL_MSG_CT_DELETE, NLM_F_ACK);

		mnl_attr_put(h, CTA_TUPLE_ORIG | NLA_F_NESTED, mnl_attr_get_payload_len(orig),
			mnl_attr_get_payload(orig));
		if (run(c, h, NULL, NULL) < 0 && errno != ENOENT && rc == 0)
			rc = kg_fail_errno(err, "forget a flow");
		at += MNL_ALIGN(orig->nla_len);
	}
	return rc;
}

int kg_conntrack_forget_if(bool (*fn)(void *ctx, const struct kg_conntrack_flow *flow), void *ctx,
	struct kg_error *err)
{
	KG_AUTOBUF struct kg_buf found = KG_BUF_INIT;
	KG_AUTOFREE struct conntrack *c = kg_alloc(sizeof(*c));
	struct walk w = {fn, ctx, &found};
	int rc;

	c->socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!c->socket)
		return kg_fail_errno(err, "open an nfnetlink socket");
	if (mnl_socket_bind(c->socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
		run(c, begin(c, IPCTNL_MSG_CT_GET, NLM_F_DUMP), on_entry, &w) < 0)
		rc = kg_fail_errno(err, "list connections");
	else
		rc = forget(c, &found, err);
	mnl_socket_close(c->socket);
	return rc;
}
