/* Any bytes are a query, and any bytes an answer to it, or to what an alias leads to. */
#include "dns/packet.h"
#include "dns/splice.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t answer[KG_DNS_MAX_ANSWER + 1];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kg_dns_query q;
	uint8_t refusal[512];
	/* The first two bytes say how much is the query. */
	size_t split = size < 2 ? size : 2 + ((size_t)data[0] << 8 | data[1]) % (size - 1);

	if (size < 2 || split > size)
		return 0;
	if (kg_dns_query_parse(&q, data + 2, split - 2, data[0] & 1) < 0)
		return 0;
	if (kg_dns_refuse(refusal, &q, 2) > sizeof(refusal))
		__builtin_trap();
	size_t n = size - split;
	if (n > KG_DNS_MAX_ANSWER)
		n = KG_DNS_MAX_ANSWER;
	size_t head = kg_dns_refuse(answer, &q, 0);
	if (kg_dns_splice(answer, head, data + split, n) > KG_DNS_MAX_ANSWER)
		__builtin_trap();
	memcpy(answer, data + split, n);
	if (kg_dns_answer_fit(answer, n, &q) > q.size)
		__builtin_trap();
	return 0;
}
