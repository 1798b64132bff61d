#include "internal.h"

#include "base/hash.h"

#include <gnutls/crypto.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

int kg_pki_try(int gnutls_result, const char *what, struct kg_error *err)
{
	if (gnutls_result >= 0)
		return 0;
	return kg_fail(err, KG_E_INVALID, "%s: %s", what, gnutls_strerror(gnutls_result));
}

static gnutls_datum_t datum(const char *text)
{
	return (gnutls_datum_t){(unsigned char *)text, (unsigned)strlen(text)};
}

char *kg_pki_take(gnutls_datum_t *d)
{
	char *text = kg_strndup((const char *)d->data, d->size);

	gnutls_free(d->data);
	d->data = NULL;
	return text;
}

int kg_pki_read_crt(gnutls_x509_crt_t *out, const char *pem, struct kg_error *err)
{
	gnutls_x509_crt_t crt KG_AUTOCRT = NULL;
	gnutls_datum_t d = datum(pem);

	int rc = kg_pki_try(gnutls_x509_crt_init(&crt), "certificate", err);
	if (!rc)
		rc = kg_pki_try(gnutls_x509_crt_import(crt, &d, GNUTLS_X509_FMT_PEM),
			"read the certificate", err);
	if (!rc)
		*out = kg_steal(&crt);
	return rc;
}

int kg_pki_read_key(gnutls_x509_privkey_t *out, const char *pem, struct kg_error *err)
{
	gnutls_x509_privkey_t key KG_AUTOKEY = NULL;
	gnutls_datum_t d = datum(pem);

	int rc = kg_pki_try(gnutls_x509_privkey_init(&key), "private key", err);
	if (!rc)
		rc = kg_pki_try(gnutls_x509_privkey_import2(key, &d, GNUTLS_X509_FMT_PEM, NULL, 0),
			"read the private key", err);
	if (!rc)
		*out = kg_steal(&key);
	return rc;
}

int kg_pki_write_crt(char **out, gnutls_x509_crt_t crt, struct kg_error *err)
{
	gnutls_datum_t d = {0};

	int rc = kg_pki_try(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &d),
		"write the certificate", err);
	if (!rc)
		*out = kg_pki_take(&d);
	return rc;
}

int kg_pki_key_new(char **key_pem, struct kg_error *err)
{
	gnutls_x509_privkey_t key KG_AUTOKEY = NULL;
	gnutls_datum_t d = {0};

	int rc = kg_pki_try(gnutls_x509_privkey_init(&key), "private key", err);
	if (!rc)
		rc = kg_pki_try(gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
					GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
			"make a key", err);
	/* PKCS #8, which every reader knows. */
	if (!rc)
		rc = kg_pki_try(gnutls_x509_privkey_export2_pkcs8(
					key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN, &d),
			"write the private key", err);
	if (!rc)
		*key_pem = kg_pki_take(&d);
	return rc;
}

void kg_pki_write_pin(char out[80], const unsigned char id[32])
{
	strcpy(out, "sha256:");
	kg_hex(out + 7, id, 32);
}

int kg_pki_pin(char out[80], const char *cert_pem, struct kg_error *err)
{
	gnutls_x509_crt_t crt KG_AUTOCRT = NULL;
	unsigned char id[32];
	size_t len = sizeof(id);

	int rc = kg_pki_read_crt(&crt, cert_pem, err);
	/* GnuTLS' key id with SHA-256 is the hash of the SubjectPublicKeyInfo. */
	if (!rc)
		rc = kg_pki_try(gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA256, id, &len),
			"hash the public key", err);
	if (!rc)
		kg_pki_write_pin(out, id);
	return rc;
}

#define BEGIN "-----BEGIN CERTIFICATE-----"
#define END   "-----END CERTIFICATE-----"

char *kg_pki_nth(const char *certs_pem, unsigned n)
{
	const char *at = strstr(certs_pem, BEGIN), *end = at ? strstr(at, END) : NULL;

	for (; n && end; n--) {
		at = strstr(end, BEGIN);
		end = at ? strstr(at, END) : NULL;
	}
	return end ? kg_asprintf("%.*s\n", (int)(end + strlen(END) - at), at) : NULL;
}

int kg_pki_pinned(char **cert_pem, const char *certs_pem, const char *pin, struct kg_error *err)
{
	char found[80], last[80] = "none";
	char *pem;

	for (unsigned i = 0; (pem = kg_pki_nth(certs_pem, i)); i++) {
		int rc = kg_pki_pin(found, pem, err);

		if (rc == 0 && strcasecmp(found, pin) == 0) {
			*cert_pem = pem;
			return 0;
		}
		free(pem);
		if (rc < 0)
			return rc;
		memcpy(last, found, sizeof(last));
	}
	return kg_fail(err, KG_E_NOT_FOUND, "its CA is %s", last);
}

int kg_pki_name(char out[64], const char *cert_pem, struct kg_error *err)
{
	gnutls_x509_crt_t crt KG_AUTOCRT = NULL;
	size_t len = 64;
	int rc = kg_pki_read_crt(&crt, cert_pem, err);

	return rc ? rc
		  : kg_pki_try(gnutls_x509_crt_get_dn_by_oid(
				       crt, GNUTLS_OID_X520_COMMON_NAME, 0, 0, out, &len),
			    "the certificate's name", err);
}

int kg_pki_not_after(kg_time *out, const char *cert_pem, struct kg_error *err)
{
	gnutls_x509_crt_t crt KG_AUTOCRT = NULL;

	int rc = kg_pki_read_crt(&crt, cert_pem, err);
	if (rc)
		return rc;
	time_t t = gnutls_x509_crt_get_expiration_time(crt);
	if (t == (time_t)-1)
		return kg_fail(err, KG_E_INVALID, "the certificate has no end");
	*out = (kg_time)t * 1000;
	return 0;
}

int kg_pki_not_before(kg_time *out, const char *cert_pem, struct kg_error *err)
{
	gnutls_x509_crt_t crt KG_AUTOCRT = NULL;

	int rc = kg_pki_read_crt(&crt, cert_pem, err);
	if (rc)
		return rc;
	time_t t = gnutls_x509_crt_get_activation_time(crt);
	if (t == (time_t)-1)
		return kg_fail(err, KG_E_INVALID, "the certificate has no beginning");
	*out = (kg_time)t * 1000;
	return 0;
}

bool kg_pki_issued_by(const char *cert_pem, const char *ca_pem)
{
	gnutls_x509_crt_t crt KG_AUTOCRT = NULL, ca KG_AUTOCRT = NULL;
	struct kg_error ignored;
	unsigned status = 0;

	return kg_pki_read_crt(&crt, cert_pem, &ignored) == 0 &&
	       kg_pki_read_crt(&ca, ca_pem, &ignored) == 0 &&
	       gnutls_x509_crt_check_issuer(crt, ca) &&
	       gnutls_x509_crt_verify(crt, &ca, 1,
		       GNUTLS_VERIFY_DISABLE_TIME_CHECKS |
			       GNUTLS_VERIFY_DISABLE_TRUSTED_TIME_CHECKS,
		       &status) >= 0 &&
	       status == 0;
}

void kg_random_hex(char *out, size_t n)
{
	unsigned char b[32];

	for (size_t i = 0; i < n; i += sizeof(b)) {
		size_t m = n - i < sizeof(b) ? n - i : sizeof(b);
		/* Without random bytes nothing that is secret can be made. */
		if (gnutls_rnd(GNUTLS_RND_KEY, b, m) < 0)
			abort();
		kg_hex(out + 2 * i, b, m);
	}
	gnutls_memset(b, 0, sizeof(b));
	out[2 * n] = '\0';
}
