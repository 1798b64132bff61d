#include "subprotocol.h"

#include "base/hash.h"
#include "base/mem.h"

#include <string.h>

static const char prefix[] = "base64url.bearer.authorization.k8s.io.";

static bool carries_token(const char *offer)
{
	return strncmp(offer, prefix, sizeof(prefix) - 1) == 0;
}

/* RFC 6750's tokens are of fewer characters yet. */
static bool is_token(const unsigned char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (text[i] <= ' ' || text[i] >= 0x7F)
			return false;
	return n > 0;
}

int kg_subprotocol_token(char **out, const char *const *offers, struct kg_error *err)
{
	KG_AUTOFREE unsigned char *token = NULL;
	const char *plain = kg_subprotocol_plain(offers);
	size_t n = 0;

	*out = NULL;
	for (; *offers; offers++) {
		if (!carries_token(*offers))
			continue;
		if (token)
			return kg_fail(err, KG_E_UNAUTHORIZED,
				"there is more than one bearer token among the subprotocols");
		const char *text = *offers + sizeof(prefix) - 1;

		token = kg_base64url_decode(text, strlen(text), &n);
		if (!token || !is_token(token, n))
			return kg_fail(err, KG_E_UNAUTHORIZED,
				"the bearer token among the subprotocols is malformed: expected "
				"%sTOKEN, TOKEN in base64url without padding",
				prefix);
	}
	if (token && !plain)
		return kg_fail(err, KG_E_UNAUTHORIZED,
			"a bearer token among the subprotocols needs another subprotocol beside "
			"it, to be answered with");
	if (token)
		*out = kg_asprintf("Bearer %s", (char *)token);
	return 0;
}

const char *kg_subprotocol_plain(const char *const *offers)
{
	while (*offers && carries_token(*offers))
		offers++;
	return *offers;
}
