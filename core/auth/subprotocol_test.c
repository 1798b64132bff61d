#include "subprotocol.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define P "base64url.bearer.authorization.k8s.io."

static void tokens_among_offers(void **state)
{
	static const struct {
		const char *offers[4];
		const char *token, *plain; /* NULL: none */
		const char *refused;       /* NULL: it is not */
	} cases[] = {
		{{NULL}, NULL, NULL, NULL},
		{{"v4.channel.k8s.io"}, NULL, "v4.channel.k8s.io", NULL},
		{{P "a2dpdC54Lnk", "base64.binary.k8s.io"}, "Bearer kgit.x.y",
			"base64.binary.k8s.io", NULL},
		{{"a", P "a2dpdC54Lnk", "b"}, "Bearer kgit.x.y", "a", NULL},
		{{P "a2dpdC54Lnk"}, NULL, NULL, "needs another"},
		{{P "a2dpdC54Lnk", P "a2dpdC54Lnk", "a"}, NULL, "a", "more than one"},
		{{P, "a"}, NULL, "a", "malformed"},
		{{P "a2dpdC54Lnk=", "a"}, NULL, "a", "malformed"},
		{{P "YSBi", "a"}, NULL, "a", "malformed"},   /* a blank */
		{{P "YQ0KYg", "a"}, NULL, "a", "malformed"}, /* a line's end */
		{{P "YQBi", "a"}, NULL, "a", "malformed"},   /* a NUL */
		{{P "4piD", "a"}, NULL, "a", "malformed"},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_error err = {0};
		char *token = NULL;
		int rc = kg_subprotocol_token(&token, cases[i].offers, &err);
		const char *plain = kg_subprotocol_plain(cases[i].offers);

		if ((rc < 0) != (cases[i].refused != NULL) ||
			(rc < 0 && !strstr(err.msg, cases[i].refused)))
			fail_msg("case %zu: %d %s", i, rc, err.msg);
		assert_string_equal(token ? token : "", cases[i].token ? cases[i].token : "");
		assert_string_equal(plain ? plain : "", cases[i].plain ? cases[i].plain : "");
		free(token);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(tokens_among_offers)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
