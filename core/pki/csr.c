#include "internal.h"

#include <string.h>

int kg_pki_csr_new(char **csr_pem, const char *key_pem, const char *cn, struct kg_error *err)
{
	gnutls_x509_crq_t csr KG_AUTOCSR = NULL;
	gnutls_x509_privkey_t key KG_AUTOKEY = NULL;
	gnutls_datum_t d = {0};

	int rc = kg_pki_read_key(&key, key_pem, err);
	if (!rc)
		rc = kg_pki_try(gnutls_x509_crq_init(&csr), "certificate request", err);
	if (!rc)
		rc = kg_pki_try(gnutls_x509_crq_set_version(csr, 1), "version", err);
	if (!rc)
		rc = kg_pki_try(gnutls_x509_crq_set_dn_by_oid(csr, GNUTLS_OID_X520_COMMON_NAME, 0,
					cn, (unsigned)strlen(cn)),
			"subject", err);
	if (!rc)
		rc = kg_pki_try(gnutls_x509_crq_set_key(csr, key), "public key", err);
	if (!rc)
		rc = kg_pki_try(gnutls_x509_crq_sign2(csr, key, GNUTLS_DIG_SHA256, 0),
			"sign the request", err);
	if (!rc)
		rc = kg_pki_try(gnutls_x509_crq_export2(csr, GNUTLS_X509_FMT_PEM, &d),
			"write the request", err);
	if (!rc)
		*csr_pem = kg_pki_take(&d);
	return rc;
}

int kg_pki_read_csr(gnutls_x509_crq_t *out, const char *pem, struct kg_error *err)
{
	gnutls_x509_crq_t csr KG_AUTOCSR = NULL;
	gnutls_datum_t d = {(unsigned char *)pem, (unsigned)strlen(pem)};

	int rc = kg_pki_try(gnutls_x509_crq_init(&csr), "certificate request", err);
	if (!rc)
		rc = kg_pki_try(gnutls_x509_crq_import(csr, &d, GNUTLS_X509_FMT_PEM),
			"read the certificate request", err);
	if (!rc)
		rc = kg_pki_try(gnutls_x509_crq_verify(csr, 0),
			"the certificate request's own signature", err);
	if (!rc)
		*out = kg_steal(&csr);
	return rc;
}

int kg_pki_csr_pin(char out[80], const char *csr_pem, struct kg_error *err)
{
	gnutls_x509_crq_t csr KG_AUTOCSR = NULL;
	unsigned char id[32];
	size_t len = sizeof(id);

	int rc = kg_pki_read_csr(&csr, csr_pem, err);
	if (!rc)
		rc = kg_pki_try(gnutls_x509_crq_get_key_id(csr, GNUTLS_KEYID_USE_SHA256, id, &len),
			"hash the public key", err);
	if (!rc)
		kg_pki_write_pin(out, id);
	return rc;
}
