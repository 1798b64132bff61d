#include "base/hash.h"
#include "internal.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define DAY_MS ((kg_time)86400 * 1000)

static char *ca_cert, *ca_key;
static kg_time now;

static int setup(void **state)
{
	struct kg_error err;

	(void)state;
	now = (kg_time)time(NULL) * 1000;
	return kg_pki_ca_new(&ca_cert, &ca_key, "kgit", now, &err);
}

static int teardown(void **state)
{
	(void)state;
	free(ca_cert);
	free(ca_key);
	return 0;
}

static struct kg_pki_cert server_cert(void)
{
	static const char *const sans[] = {"kubernetes", "localhost", "127.0.0.1", "::1", NULL};

	return (struct kg_pki_cert){
		.cn = "kgitd",
		.sans = sans,
		.server = true,
		.not_before = now - DAY_MS,
		.not_after = now + DAY_MS,
	};
}

static struct kg_pki_cert client_cert(void)
{
	static const char *const orgs[] = {"system:nodes", "blue", NULL};

	return (struct kg_pki_cert){
		.cn = "system:node:n1",
		.orgs = orgs,
		.client = true,
		.not_before = now - DAY_MS,
		.not_after = now + DAY_MS,
	};
}

static void subject_of(char *buf, size_t len, const char *pem)
{
	gnutls_x509_crt_t crt KG_AUTOCRT = NULL;

	assert_int_equal(kg_pki_read_crt(&crt, pem, NULL), 0);
	assert_int_equal(gnutls_x509_crt_get_dn(crt, buf, &len), 0);
}

static unsigned verify(const char *pem, const char *purpose, const char *host)
{
	gnutls_x509_crt_t crt KG_AUTOCRT = NULL, ca KG_AUTOCRT = NULL;
	gnutls_x509_trust_list_t list;
	unsigned status = 0;
	gnutls_typed_vdata_st data[2] = {
		{.type = GNUTLS_DT_KEY_PURPOSE_OID, .data = (void *)purpose},
		{.type = GNUTLS_DT_DNS_HOSTNAME, .data = (void *)host},
	};

	assert_int_equal(kg_pki_read_crt(&crt, pem, NULL), 0);
	assert_int_equal(kg_pki_read_crt(&ca, ca_cert, NULL), 0);
	assert_int_equal(gnutls_x509_trust_list_init(&list, 0), 0);
	assert_int_equal(gnutls_x509_trust_list_add_cas(list, &ca, 1, 0), 1);
	assert_int_equal(gnutls_x509_trust_list_verify_crt2(
				 list, &crt, 1, data, host ? 2 : 1, 0, &status, NULL),
		0);
	gnutls_x509_trust_list_deinit(list, 0);
	return status;
}

static void issued_certificates_hold(void **state)
{
	KG_AUTOFREE char *key = NULL, *server = NULL, *client = NULL;
	struct kg_pki_cert s = server_cert(), c = client_cert();
	struct kg_error err;
	char dn[200];

	(void)state;
	assert_int_equal(kg_pki_key_new(&key, &err), 0);
	assert_int_equal(kg_pki_issue(&server, ca_cert, ca_key, key, &s, &err), 0);
	assert_int_equal(kg_pki_issue(&client, ca_cert, ca_key, key, &c, &err), 0);
	assert_int_equal(verify(server, GNUTLS_KP_TLS_WWW_SERVER, "localhost"), 0);
	assert_int_equal(verify(server, GNUTLS_KP_TLS_WWW_SERVER, "127.0.0.1"), 0);
	assert_int_equal(verify(server, GNUTLS_KP_TLS_WWW_SERVER, "::1"), 0);
	assert_int_not_equal(verify(server, GNUTLS_KP_TLS_WWW_SERVER, "other"), 0);
	assert_int_not_equal(verify(server, GNUTLS_KP_TLS_WWW_CLIENT, NULL), 0);
	assert_int_equal(verify(client, GNUTLS_KP_TLS_WWW_CLIENT, NULL), 0);
	assert_int_not_equal(verify(client, GNUTLS_KP_TLS_WWW_SERVER, NULL), 0);
	subject_of(dn, sizeof(dn), client);
	assert_non_null(strstr(dn, "CN=system:node:n1"));
	assert_non_null(strstr(dn, "O=system:nodes"));
	assert_non_null(strstr(dn, "O=blue"));
}

static void expired_is_not_trusted(void **state)
{
	KG_AUTOFREE char *key = NULL, *pem = NULL;
	struct kg_pki_cert c = client_cert();
	kg_time end;

	(void)state;
	c.not_before = now - 3 * DAY_MS;
	c.not_after = now - DAY_MS;
	assert_int_equal(kg_pki_key_new(&key, NULL), 0);
	assert_int_equal(kg_pki_issue(&pem, ca_cert, ca_key, key, &c, NULL), 0);
	assert_int_not_equal(verify(pem, GNUTLS_KP_TLS_WWW_CLIENT, NULL), 0);
	assert_int_equal(kg_pki_not_after(&end, pem, NULL), 0);
	assert_int_equal(end, c.not_after);
}

static void requests_are_signed_with_our_subject(void **state)
{
	KG_AUTOFREE char *key = NULL, *csr = NULL, *pem = NULL;
	struct kg_pki_cert c = client_cert();
	struct kg_error err;
	char dn[200];

	(void)state;
	assert_int_equal(kg_pki_key_new(&key, &err), 0);
	assert_int_equal(kg_pki_csr_new(&csr, key, "system:admin", &err), 0);
	assert_int_equal(kg_pki_sign(&pem, ca_cert, ca_key, csr, &c, &err), 0);
	assert_int_equal(verify(pem, GNUTLS_KP_TLS_WWW_CLIENT, NULL), 0);
	subject_of(dn, sizeof(dn), pem);
	assert_null(strstr(dn, "admin"));
	assert_non_null(strstr(dn, "CN=system:node:n1"));
	/* A request whose signature is not by its key. */
	char *body = strchr(csr, '\n') + 20;
	*body = *body == 'A' ? 'B' : 'A';
	assert_true(kg_pki_sign(&pem, ca_cert, ca_key, csr, &c, &err) < 0);
	assert_true(kg_pki_sign(&pem, ca_cert, ca_key, "garbage", &c, &err) < 0);
}

/* Does a chain (the first is the leaf) verify for who trusts `trusted` alone? */
static bool verifies(const char *chain, const char *trusted)
{
	gnutls_x509_trust_list_t list;
	gnutls_x509_crt_t *certs = NULL, ca[4];
	unsigned n = 0, nca = KG_ARRAY_LEN(ca), status = 1;
	gnutls_datum_t text = {(unsigned char *)chain, (unsigned)strlen(chain)};
	gnutls_datum_t root = {(unsigned char *)trusted, (unsigned)strlen(trusted)};

	assert_true(gnutls_x509_crt_list_import2(&certs, &n, &text, GNUTLS_X509_FMT_PEM, 0) >= 0);
	assert_true(gnutls_x509_crt_list_import(ca, &nca, &root, GNUTLS_X509_FMT_PEM, 0) >= 0);
	assert_int_equal(gnutls_x509_trust_list_init(&list, 0), 0);
	assert_int_equal(gnutls_x509_trust_list_add_cas(list, ca, nca, 0), nca);
	assert_int_equal(gnutls_x509_trust_list_verify_crt(list, certs, n, 0, &status, NULL), 0);
	for (unsigned i = 0; i < n; i++)
		gnutls_x509_crt_deinit(certs[i]);
	gnutls_free(certs);
	gnutls_x509_trust_list_deinit(list, 1);
	return status == 0;
}

static void a_ca_that_takes_over(void **state)
{
	KG_AUTOFREE char *cert = NULL, *key = NULL, *cross = NULL, *leaf_key = NULL, *leaf = NULL;
	KG_AUTOFREE char *other = NULL, *other_key = NULL, *found = NULL;
	struct kg_pki_cert c = server_cert();
	struct kg_error err;
	char pin[80], name[64];

	(void)state;
	assert_int_equal(kg_pki_ca_new(&cert, &key, "kgit-2", now, &err), 0);
	assert_int_equal(kg_pki_ca_new(&other, &other_key, "kgit", now, &err), 0);
	assert_int_equal(kg_pki_ca_cross(&cross, cert, key, ca_cert, ca_key, &err), 0);
	assert_int_equal(kg_pki_key_new(&leaf_key, &err), 0);
	assert_int_equal(kg_pki_issue(&leaf, cert, key, leaf_key, &c, &err), 0);
	KG_AUTOFREE char *chain = kg_asprintf("%s%s", leaf, cross);
	KG_AUTOFREE char *both = kg_asprintf("%s%s", cert, ca_cert);
	assert_true(verifies(chain, ca_cert));
	assert_true(verifies(chain, cert));
	assert_true(verifies(chain, both));
	assert_true(verifies(leaf, both));
	assert_false(verifies(leaf, ca_cert)); /* not without the way to it */
	assert_false(verifies(chain, other));
	assert_true(kg_pki_issued_by(leaf, cert));
	assert_true(kg_pki_issued_by(leaf, both));
	assert_false(kg_pki_issued_by(leaf, ca_cert));
	assert_true(kg_pki_issued_by(cross, ca_cert));
	assert_false(kg_pki_issued_by(cross, other)); /* of the same name */
	assert_false(kg_pki_issued_by("nonsense", ca_cert));
	assert_int_equal(kg_pki_name(name, cross, &err), 0);
	assert_string_equal(name, "kgit-2");

	/* Of several. */
	KG_AUTOFREE char *second = kg_pki_nth(both, 1), *third = kg_pki_nth(both, 2);
	KG_AUTOFREE char *behind_key = kg_asprintf("%s%s", key, cert);
	KG_AUTOFREE char *first = kg_pki_nth(behind_key, 0);
	assert_string_equal(second, ca_cert);
	assert_null(third);
	assert_string_equal(first, cert);
	assert_int_equal(kg_pki_pin(pin, ca_cert, &err), 0);
	assert_int_equal(kg_pki_pinned(&found, both, pin, &err), 0);
	assert_string_equal(found, ca_cert);
	assert_int_equal(kg_pki_pin(pin, other, &err), 0);
	assert_int_equal(kg_pki_pinned(&third, both, pin, &err), -KG_E_NOT_FOUND);
}

static void garbage_is_an_error(void **state)
{
	KG_AUTOFREE char *key = NULL;
	struct kg_pki_cert c = client_cert();
	struct kg_error err;
	char pin[80], *pem = NULL;
	kg_time t;

	(void)state;
	assert_int_equal(kg_pki_key_new(&key, &err), 0);
	assert_true(kg_pki_issue(&pem, "x", ca_key, key, &c, &err) < 0);
	assert_true(kg_pki_issue(&pem, ca_cert, "x", key, &c, &err) < 0);
	assert_true(kg_pki_issue(&pem, ca_cert, ca_key, "", &c, &err) < 0);
	assert_true(kg_pki_pin(pin, "", &err) < 0);
	assert_true(kg_pki_not_after(&t, "", &err) < 0);
	assert_null(pem);
}

static void random_is_hex_of_the_length(void **state)
{
	char a[2 * 45 + 1], b[2 * 45 + 1];

	(void)state;
	kg_random_hex(a, 45);
	kg_random_hex(b, 45);
	assert_int_equal(strlen(a), 90);
	assert_string_not_equal(a, b);
	for (size_t i = 0; i < 90; i++)
		assert_true(isxdigit((unsigned char)a[i]));
	kg_random_hex(a, 0);
	assert_string_equal(a, "");
}

static void write_file(const char *dir, const char *name, const char *text)
{
	KG_AUTOFREE char *path = kg_asprintf("%s/%s", dir, name);
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* The same judged by somebody else. */
static void openssl_agrees(void **state)
{
	KG_AUTOFREE char *key = NULL, *server = NULL;
	struct kg_pki_cert s = server_cert();
	char dir[] = "/tmp/kgit-pki-XXXXXX", pin[80], line[200] = "";

	(void)state;
	if (system("openssl version >/dev/null 2>&1") != 0)
		skip();
	assert_int_equal(kg_pki_key_new(&key, NULL), 0);
	assert_int_equal(kg_pki_issue(&server, ca_cert, ca_key, key, &s, NULL), 0);
	assert_non_null(mkdtemp(dir));
	write_file(dir, "ca.crt", ca_cert);
	write_file(dir, "server.crt", server);
	KG_AUTOFREE char *check = kg_asprintf(
		"openssl verify -x509_strict -purpose sslserver -verify_hostname localhost "
		"-CAfile %s/ca.crt %s/server.crt >%s/out 2>&1",
		dir, dir, dir);
	int verified = system(check);
	KG_AUTOFREE char *hash = kg_asprintf(
		"openssl x509 -in %s/ca.crt -noout -pubkey | openssl pkey -pubin -outform DER | "
		"openssl dgst -sha256 -r",
		dir);
	FILE *p = popen(hash, "re");
	assert_non_null(p);
	assert_non_null(fgets(line, sizeof(line), p));
	pclose(p);
	KG_AUTOFREE char *clean = kg_asprintf("rm -r %s", dir);
	assert_int_equal(system(clean), 0);
	assert_int_equal(verified, 0);
	assert_int_equal(kg_pki_pin(pin, ca_cert, NULL), 0);
	assert_int_equal(strncmp(pin, "sha256:", 7), 0);
	assert_int_equal(strncmp(line, pin + 7, 64), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(issued_certificates_hold),
		cmocka_unit_test(expired_is_not_trusted),
		cmocka_unit_test(requests_are_signed_with_our_subject),
		cmocka_unit_test(a_ca_that_takes_over),
		cmocka_unit_test(garbage_is_an_error),
		cmocka_unit_test(random_is_hex_of_the_length),
		cmocka_unit_test(openssl_agrees),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
