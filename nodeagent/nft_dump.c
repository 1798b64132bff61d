/* Reading a table back. */
#include "base/hash.h"
#include "base/mem.h"
#include "nft_private.h"
#include "nodeagent/nft.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdalign.h>
#include <string.h>

static int receive(struct kg_nft *nft, mnl_cb_t cb, void *ctx)
{
	for (;;) {
		ssize_t n = mnl_socket_recvfrom(nft->socket, nft->recv, sizeof(nft->recv));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		int rc = mnl_cb_run(nft->recv, (size_t)n, nft->seq,
			mnl_socket_get_portid(nft->socket), cb, ctx);
		if (rc <= MNL_CB_STOP)
			return rc;
	}
}

static int on_generation(const struct nlmsghdr *h, void *ctx)
{
	const struct nlattr *a;

	mnl_attr_for_each(a, h, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(a) == NFTA_GEN_ID)
			*(uint32_t *)ctx = ntohl(mnl_attr_get_u32(a));
	}
	return MNL_CB_STOP;
}

int kg_nft_generation(uint32_t *out, struct kg_nft *nft, struct kg_error *err)
{
	alignas(8) char buf[64] = "";
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);

	h->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN;
	h->nlmsg_flags = NLM_F_REQUEST;
	h->nlmsg_seq = ++nft->seq;
	mnl_nlmsg_put_extra_header(h, sizeof(struct nfgenmsg));
	*out = 0;
	if (mnl_socket_sendto(nft->socket, h, h->nlmsg_len) < 0 ||
		receive(nft, on_generation, out) < 0)
		return kg_fail_errno(err, "nftables: read the ruleset's generation");
	return 0;
}

static int dump(
	struct kg_nft *nft, unsigned type, unsigned family, const char *set, mnl_cb_t cb, void *ctx)
{
	alignas(8) char buf[256] = "";
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);

	h->nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	h->nlmsg_seq = ++nft->seq;
	struct nfgenmsg *g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->nfgen_family = (uint8_t)family;
	/* The first attribute of every kind of object is its table's name. */
	mnl_attr_put_strz(h, 1, nft->table->name);
	if (set)
		mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_SET, set);
	if (mnl_socket_sendto(nft->socket, h, h->nlmsg_len) < 0)
		return -1;
	return receive(nft, cb, ctx);
}

/* ---- elements ---- */

struct elems_dump {
	struct kg_nft_elems *out;
	unsigned set;
	bool interval;
};

static const struct nlattr *find(const struct nlattr *nested, unsigned type)
{
	const struct nlattr *a;

	mnl_attr_for_each_nested(a, nested)
	{
		if (mnl_attr_get_type(a) == type)
			return a;
	}
	return NULL;
}

static void take(uint8_t *to, size_t max, const struct nlattr *value)
{
	size_t n = value ? mnl_attr_get_payload_len(value) : 0;

	memcpy(to, value ? mnl_attr_get_payload(value) : "", n < max ? n : max);
}

static void take_end(struct kg_nft_elem *e, const struct nlattr *end)
{
	uint8_t key[16];

	memcpy(key, e->key, sizeof(key)); /* without an end it is one point */
	if (end)
		take(key, sizeof(key), find(end, NFTA_DATA_VALUE));
	memcpy(e->end.addr, key + 4, 4);
	e->end.protocol = key[8];
	memcpy(e->end.port, key + 12, 2);
}

static void take_elem(struct elems_dump *d, const struct nlattr *item)
{
	struct kg_nft_elem *e = kg_nft_elems_add(d->out, d->set);
	const struct nlattr *key = find(item, NFTA_SET_ELEM_KEY);
	const struct nlattr *data = find(item, NFTA_SET_ELEM_DATA);
	const struct nlattr *verdict = data ? find(data, NFTA_DATA_VERDICT) : NULL;

	if (key)
		take(e->key, sizeof(e->key), find(key, NFTA_DATA_VALUE));
	if (verdict)
		take(e->data, sizeof(e->data) - 1, find(verdict, NFTA_VERDICT_CHAIN));
	else if (data)
		take(e->data, sizeof(e->data), find(data, NFTA_DATA_VALUE));
	if (d->interval)
		take_end(e, find(item, NFTA_SET_ELEM_KEY_END));
}

static int on_elems(const struct nlmsghdr *h, void *ctx)
{
	const struct nlattr *a, *item;

	mnl_attr_for_each(a, h, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(a) != NFTA_SET_ELEM_LIST_ELEMENTS)
			continue;
		mnl_attr_for_each_nested(item, a) take_elem(ctx, item);
	}
	return MNL_CB_OK;
}

int kg_nft_dump(struct kg_nft_elems *out, struct kg_nft *nft, struct kg_error *err)
{
	for (unsigned set = 0; set < nft->table->nsets; set++) {
		const struct kg_nft_set_info *info = &nft->table->sets[set];
		struct elems_dump d = {out, set, info->interval};

		if (dump(nft, NFT_MSG_GETSETELEM, NFPROTO_IPV4, info->name, on_elems, &d) < 0)
			return kg_fail_errno(
				err, "nftables: read %s of %s", info->name, nft->table->name);
	}
	return 0;
}

/* ---- the rest: only what does not change by itself ---- */

struct hashing {
	const char *table;
	const uint64_t *attrs; /* bit set of the attributes that count */
	uint64_t sum;
};

/* The kernel lists objects in the order in which they were made, rules in theirs. */
static int on_object(const struct nlmsghdr *h, void *ctx)
{
	struct hashing *d = ctx;
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;
	const struct nlattr *a;
	bool ours = false;

	mnl_attr_for_each(a, h, sizeof(struct nfgenmsg))
	{
		unsigned type = mnl_attr_get_type(a);

		if (type == 1) /* the table's name in all three kinds of objects */
			ours = strcmp(mnl_attr_get_str(a), d->table) == 0;
		if (type < 64 && (*d->attrs >> type & 1))
			kg_buf_add(&text, a, a->nla_len);
	}
	if (ours)
		d->sum = d->sum * 31 + kg_hash64(text.data, text.len);
	return MNL_CB_OK;
}

#define BIT(n) ((uint64_t)1 << (n))

int kg_nft_fingerprint(uint64_t *out, struct kg_nft *nft, struct kg_error *err)
{
	static const struct {
		unsigned type;
		uint64_t attrs;
	} kinds[] = {
		{NFT_MSG_GETCHAIN, BIT(NFTA_CHAIN_NAME) | BIT(NFTA_CHAIN_HOOK) |
					   BIT(NFTA_CHAIN_POLICY) | BIT(NFTA_CHAIN_TYPE)},
		{NFT_MSG_GETSET, BIT(NFTA_SET_NAME) | BIT(NFTA_SET_FLAGS) | BIT(NFTA_SET_KEY_LEN) |
					 BIT(NFTA_SET_DATA_LEN)},
		{NFT_MSG_GETRULE, BIT(NFTA_RULE_CHAIN) | BIT(NFTA_RULE_EXPRESSIONS)},
	};
	struct hashing d = {.table = nft->table->name};

	for (size_t i = 0; i < 2 * KG_ARRAY_LEN(kinds); i++) {
		unsigned family = i % 2 ? NFPROTO_BRIDGE : NFPROTO_IPV4;

		d.attrs = &kinds[i / 2].attrs;
		if (dump(nft, kinds[i / 2].type, family, NULL, on_object, &d) < 0 &&
			errno != ENOENT && errno != EAFNOSUPPORT && errno != EOPNOTSUPP)
			return kg_fail_errno(err, "nftables: read the table %s", d.table);
	}
	*out = d.sum;
	return 0;
}
