#include "nodeagent/nft.h"
#include "base/mem.h"
#include "nft_private.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <nftables/libnftables.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define SEND_BUFFER   (64 << 20)
#define MESSAGE_BYTES 40000 /* of one list of elements: an attribute's length has 16 bits */

int kg_nft_open(struct kg_nft **out, const struct kg_nft_table *table, struct kg_error *err)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	int size = SEND_BUFFER;

	if (!s)
		return kg_fail_errno(err, "open an nfnetlink socket");
	if (mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0) {
		mnl_socket_close(s);
		return kg_fail_errno(err, "bind an nfnetlink socket");
	}
	/* A transaction is one message to the socket, however large. */
	setsockopt(mnl_socket_get_fd(s), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	struct kg_nft *nft = kg_alloc(sizeof(*nft));
	nft->socket = s;
	nft->table = table;
	nft->seq = (unsigned)time(NULL);
	*out = nft;
	return 0;
}

void kg_nft_close(struct kg_nft *nft)
{
	if (!nft)
		return;
	mnl_socket_close(nft->socket);
	kg_buf_release(&nft->batch);
	free(nft);
}

static int run_text(const char *text, bool dry, struct kg_error *err)
{
	struct nft_ctx *ctx = nft_ctx_new(NFT_CTX_DEFAULT);
	int rc = 0;

	if (!ctx)
		return kg_fail(err, KG_E_IO, "libnftables does not start");
	nft_ctx_set_dry_run(ctx, dry);
	nft_ctx_buffer_output(ctx);
	nft_ctx_buffer_error(ctx);
	if (nft_run_cmd_from_buffer(ctx, text) != 0)
		rc = kg_fail(err, KG_E_IO, "nftables: %s", nft_ctx_get_error_buffer(ctx));
	nft_ctx_free(ctx);
	return rc;
}

int kg_nft_run(const char *text, struct kg_error *err)
{
	return run_text(text, false, err);
}

int kg_nft_check(const char *text, struct kg_error *err)
{
	return run_text(text, true, err);
}

/* ---- building a batch ---- */

static size_t begin(
	struct kg_nft *nft, unsigned type, unsigned flags, unsigned family, unsigned res_id)
{
	size_t at = nft->batch.len;
	struct nlmsghdr h = {.nlmsg_type = (uint16_t)type,
		.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags),
		.nlmsg_seq = ++nft->seq};
	struct nfgenmsg g = {.nfgen_family = (uint8_t)family,
		.version = NFNETLINK_V0,
		.res_id = htons((uint16_t)res_id)};

	kg_buf_add(&nft->batch, &h, sizeof(h));
	kg_buf_add(&nft->batch, &g, sizeof(g));
	return at;
}

static void end(struct kg_nft *nft, size_t at)
{
	uint32_t len = (uint32_t)(nft->batch.len - at);

	memcpy(nft->batch.data + at, &len, sizeof(len));
}

static void put(struct kg_nft *nft, unsigned type, const void *p, size_t n)
{
	static const char zero[4];
	struct nlattr a = {.nla_len = (uint16_t)(sizeof(a) + n), .nla_type = (uint16_t)type};

	kg_buf_add(&nft->batch, &a, sizeof(a));
	kg_buf_add(&nft->batch, p, n);
	kg_buf_add(&nft->batch, zero, MNL_ALIGN(n) - n);
}

static void put_text(struct kg_nft *nft, unsigned type, const char *s)
{
	put(nft, type, s, strlen(s) + 1);
}

static size_t nest(struct kg_nft *nft, unsigned type)
{
	size_t at = nft->batch.len;

	put(nft, type | NLA_F_NESTED, NULL, 0);
	return at;
}

static void unnest(struct kg_nft *nft, size_t at)
{
	uint16_t len = (uint16_t)(nft->batch.len - at);

	memcpy(nft->batch.data + at, &len, sizeof(len));
}

static void put_verdict(struct kg_nft *nft, const char *chain)
{
	uint32_t code = htonl((uint32_t)NFT_GOTO);
	size_t verdict = nest(nft, NFTA_DATA_VERDICT);

	put(nft, NFTA_VERDICT_CODE, &code, sizeof(code));
	put_text(nft, NFTA_VERDICT_CHAIN, chain);
	unnest(nft, verdict);
}

static void put_key(struct kg_nft *nft, unsigned type, const uint8_t *p, size_t n)
{
	size_t key = nest(nft, type);

	put(nft, NFTA_DATA_VALUE, p, n);
	unnest(nft, key);
}

static void put_key_end(struct kg_nft *nft, const struct kg_nft_elem *e)
{
	uint8_t key[16];

	memcpy(key, e->key, sizeof(key));
	memcpy(key + 4, e->end.addr, 4);
	key[8] = e->end.protocol;
	memcpy(key + 12, e->end.port, 2);
	put_key(nft, NFTA_SET_ELEM_KEY_END, key, sizeof(key));
}

static void put_elem(struct kg_nft *nft, const struct kg_nft_elem *e, bool with_data)
{
	const struct kg_nft_set_info *set = &nft->table->sets[e->set];
	size_t item = nest(nft, NFTA_LIST_ELEM);

	put_key(nft, NFTA_SET_ELEM_KEY, e->key, set->key_len);
	if (set->interval)
		put_key_end(nft, e);
	if (with_data && (set->verdict || set->data_len)) {
		size_t data = nest(nft, NFTA_SET_ELEM_DATA);

		if (set->verdict)
			put_verdict(nft, e->chain);
		else
			put(nft, NFTA_DATA_VALUE, e->data, set->data_len);
		unnest(nft, data);
	}
	unnest(nft, item);
}

/* As many messages as the list needs: one set each, bounded in size. */
static void put_elems(struct kg_nft *nft, unsigned type, const struct kg_nft_elems *elems)
{
	bool add = type == NFT_MSG_NEWSETELEM;

	for (size_t i = 0; i < elems->n;) {
		uint8_t set = elems->items[i].set;
		size_t at = begin(nft, NFNL_SUBSYS_NFTABLES << 8 | type, add ? NLM_F_CREATE : 0,
			NFPROTO_IPV4, 0);

		put_text(nft, NFTA_SET_ELEM_LIST_TABLE, nft->table->name);
		put_text(nft, NFTA_SET_ELEM_LIST_SET, nft->table->sets[set].name);
		size_t list = nest(nft, NFTA_SET_ELEM_LIST_ELEMENTS);
		while (i < elems->n && elems->items[i].set == set &&
			nft->batch.len - list < MESSAGE_BYTES)
			put_elem(nft, &elems->items[i++], add);
		unnest(nft, list);
		end(nft, at);
	}
}

/* The kernel answers before sendmsg returns: failed messages only, as none asked for more. */
static int first_error(struct kg_nft *nft)
{
	int fd = mnl_socket_get_fd(nft->socket), error = 0;

	for (;;) {
		ssize_t n = recv(fd, nft->recv, sizeof(nft->recv), MSG_DONTWAIT);
		int left = (int)n;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? error : errno;
		const struct nlmsghdr *h = (const void *)nft->recv;
		for (; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
			const struct nlmsgerr *e = mnl_nlmsg_get_payload(h);

			if (h->nlmsg_type == NLMSG_ERROR && e->error && !error)
				error = -e->error;
		}
	}
}

int kg_nft_change(struct kg_nft *nft, const struct kg_nft_elems *del,
	const struct kg_nft_elems *add, struct kg_error *err)
{
	if (!del->n && !add->n)
		return 0;
	kg_buf_clear(&nft->batch);
	end(nft, begin(nft, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
	put_elems(nft, NFT_MSG_DELSETELEM, del);
	put_elems(nft, NFT_MSG_NEWSETELEM, add);
	end(nft, begin(nft, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
	ssize_t sent = mnl_socket_sendto(nft->socket, nft->batch.data, nft->batch.len);
	errno = sent < 0 ? errno : first_error(nft);
	if (nft->batch.cap > 1 << 18)
		kg_buf_release(&nft->batch);
	if (errno)
		return kg_fail_errno(err, "nftables: change %zu elements of %s", del->n + add->n,
			nft->table->name);
	return 0;
}
