#include "jwt.h"
#include "pki.h"
#include "value/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* RFC 7515, appendix A.3: ES256. */
static const char rfc_keys[] = "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\","
			       "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
			       "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}";
static const char rfc_token[] =
	"eyJhbGciOiJFUzI1NiJ9"
	".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0"
	"cnVlfQ"
	".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
/* Appendix A.2: RS256. */
static const char rsa_keys[] =
	"{\"keys\":[{\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_"
	"wWJcyQoTbji9k0l8W26mPd"
	"dxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47s"
	"oMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdV"
	"MTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2"
	"PAcDTW9gb54h4FRWyuXpoQ\",\"e\":\"AQAB\"}]}";
static const char rsa_token[] =
	"eyJhbGciOiJSUzI1NiJ9"
	".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0"
	"cnVlfQ"
	".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W"
	"2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkS"
	"jtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnv"
	"Wh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";

static struct kg_jwks *keys_of(const char *json)
{
	struct kg_jwks *set = kg_jwks_new();
	struct kg_error err;

	assert_int_equal(kg_jwks_read(set, json, strlen(json), &err), 0);
	return set;
}

static int verify(const struct kg_jwks *set, const char *token, char iss[64])
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value claims;
	struct kg_error err;
	int rc = kg_jwt_verify(&claims, &a, set, token, &err);

	if (rc == 0)
		snprintf(iss, 64, "%s", kg_string(kg_get(&claims, "iss"), ""));
	return rc;
}

static void known_tokens_verify(void **state)
{
	static const struct {
		const char *keys, *token;
	} cases[] = {{rfc_keys, rfc_token}, {rsa_keys, rsa_token}};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_jwks *set = keys_of(cases[i].keys);
		struct kg_jwks *other = keys_of(cases[1 - i].keys);
		size_t n = strlen(cases[i].token);
		char iss[64];

		assert_int_equal(kg_jwks_count(set), 1);
		assert_int_equal(verify(set, cases[i].token, iss), 0);
		assert_string_equal(iss, "joe");
		/* the key of another algorithm */
		assert_int_equal(verify(other, cases[i].token, iss), -KG_E_UNAUTHORIZED);
		/* any other text */
		for (size_t k = 0; k < n; k += 7) {
			KG_AUTOFREE char *bad = kg_strdup(cases[i].token);

			bad[k] = bad[k] == 'A' ? 'B' : 'A';
			assert_true(verify(set, bad, iss) < 0);
			bad[k] = '\0';
			assert_true(verify(set, bad, iss) < 0);
		}
		kg_jwks_free(set);
		kg_jwks_free(other);
	}
}

static void what_is_no_signature(void **state)
{
	static const char *const tokens[] = {"", "a", "a.b", "a.b.c", "..", "a..c", "a.b.c.d",
		/* {"alg":"none"}, {"alg":"HS256"}, {"alg":"ES256","crit":["x"]} */
		"eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJub25lIn0.e30.e30",
		"eyJhbGciOiJIUzI1NiJ9.e30.DtEhU3ljbEg8L38VWAfUAqOyKAM6",
		"eyJhbGciOiJFUzI1NiIsImNyaXQiOlsieCJdfQ.e30.DtEhU3ljbEg8L38VWAfUAqOyKAM6",
		"eyJhbGciOiJFUzI1NiJ9.e30.AAAA"};
	struct kg_jwks *set = keys_of(rfc_keys);
	char iss[64];

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(tokens); i++)
		assert_int_equal(verify(set, tokens[i], iss), -KG_E_UNAUTHORIZED);
	kg_jwks_free(set);
}

static void what_is_signed_here_verifies_here(void **state)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_jwks *set = kg_jwks_new(), *read = kg_jwks_new();
	char *key KG_AUTOFREE = NULL, *other KG_AUTOFREE = NULL;
	struct kg_value claims = kg_v_obj(&a, "iss", kg_v_lit("us"), (char *)NULL), jwk;
	struct kg_buf json KG_AUTOBUF = KG_BUF_INIT;
	struct kg_error err;
	struct kg_jwt_signer *signer, *foreign;
	char iss[64];

	(void)state;
	assert_int_equal(kg_pki_key_new(&key, &err), 0);
	assert_int_equal(kg_pki_key_new(&other, &err), 0);
	assert_int_equal(kg_jwks_add(set, key, &err), 0);
	assert_int_equal(kg_jwt_public_key(&jwk, &a, key, &err), 0);
	struct kg_value whole = kg_v_obj(&a, "keys", kg_v_array(&a, &jwk, 1), (char *)NULL);
	kg_json_write(&json, &whole);
	assert_int_equal(kg_jwks_read(read, json.data, json.len, &err), 0);
	assert_int_equal(kg_jwt_signer_new(&signer, key, &err), 0);
	assert_int_equal(kg_jwt_signer_new(&foreign, other, &err), 0);
	/* Some signatures and coordinates begin with zeroes. */
	for (int i = 0; i < 300; i++) {
		char *token KG_AUTOFREE = NULL;

		assert_int_equal(kg_jwt_sign(&token, signer, &claims, &err), 0);
		assert_int_equal(verify(i & 1 ? set : read, token, iss), 0);
		assert_string_equal(iss, "us");
	}
	char *token KG_AUTOFREE = NULL;
	assert_int_equal(kg_jwt_sign(&token, foreign, &claims, &err), 0);
	assert_int_equal(verify(set, token, iss), -KG_E_NOT_FOUND);
	kg_jwt_signer_free(signer);
	kg_jwt_signer_free(foreign);
	kg_jwks_free(set);
	kg_jwks_free(read);
}

static void odd_key_sets(void **state)
{
	static const struct {
		const char *json;
		int rc;
		size_t n;
	} cases[] = {
		{"{\"keys\":[]}", 0, 0},
		{"{}", -KG_E_INVALID, 0},
		{"nonsense", -KG_E_BAD_REQUEST, 0},
		{"{\"keys\":[1,{},{\"kty\":\"oct\",\"k\":\"AAAA\"}]}", 0, 0},
		{"{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}", 0, 0},
		{"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-521\",\"x\":\"AA\",\"y\":\"AA\"}]}", 0, 0},
		{"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"A!\"}]}", 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_jwks *set = kg_jwks_new();
		struct kg_error err;

		assert_int_equal(
			kg_jwks_read(set, cases[i].json, strlen(cases[i].json), &err), cases[i].rc);
		assert_int_equal(kg_jwks_count(set), cases[i].n);
		kg_jwks_free(set);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_tokens_verify),
		cmocka_unit_test(what_is_no_signature),
		cmocka_unit_test(what_is_signed_here_verifies_here),
		cmocka_unit_test(odd_key_sets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
