#include "internal.h"

#include <arpa/inet.h>
#include <gnutls/crypto.h>
#include <string.h>

#define YEAR_S ((time_t)365 * 24 * 3600)

/* Clocks of other machines may be a little behind. */
#define BACKDATE_S 300

static int set_serial(gnutls_x509_crt_t crt, struct kg_error *err)
{
	unsigned char serial[16];

	int rc = kg_pki_try(
		gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof(serial)), "serial number", err);
	if (rc)
		return rc;
	serial[0] = (serial[0] & 0x7F) | 0x40; /* positive, and of one length */
	return kg_pki_try(
		gnutls_x509_crt_set_serial(crt, serial, sizeof(serial)), "serial number", err);
}

static int set_name(gnutls_x509_crt_t crt, const char *oid, const char *text, struct kg_error *err)
{
	return kg_pki_try(gnutls_x509_crt_set_dn_by_oid(crt, oid, 0, text, (unsigned)strlen(text)),
		"subject", err);
}

/* What every certificate of ours has. */
static int set_common(
	gnutls_x509_crt_t crt, const char *cn, time_t from, time_t to, struct kg_error *err)
{
	unsigned char id[20];
	size_t len = sizeof(id);

	int rc = kg_pki_try(gnutls_x509_crt_set_version(crt, 3), "version", err);
	if (!rc)
		rc = set_serial(crt, err);
	if (!rc)
		rc = set_name(crt, GNUTLS_OID_X520_COMMON_NAME, cn, err);
	if (!rc)
		rc = kg_pki_try(gnutls_x509_crt_set_activation_time(crt, from), "start", err);
	if (!rc)
		rc = kg_pki_try(gnutls_x509_crt_set_expiration_time(crt, to), "end", err);
	if (!rc)
		rc = kg_pki_try(gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA1, id, &len),
			"key identifier", err);
	if (!rc)
		rc = kg_pki_try(
			gnutls_x509_crt_set_subject_key_id(crt, id, len), "key identifier", err);
	return rc;
}

static int sign(gnutls_x509_crt_t crt, gnutls_x509_crt_t ca, gnutls_x509_privkey_t ca_key,
	struct kg_error *err)
{
	unsigned char id[64];
	size_t len = sizeof(id);
	unsigned critical;

	int rc = kg_pki_try(gnutls_x509_crt_get_subject_key_id(ca, id, &len, &critical),
		"the CA's key identifier", err);
	if (!rc)
		rc = kg_pki_try(gnutls_x509_crt_set_authority_key_id(crt, id, len),
			"authority key identifier", err);
	if (!rc)
		rc = kg_pki_try(gnutls_x509_crt_sign2(crt, ca, ca_key, GNUTLS_DIG_SHA256, 0),
			"sign the certificate", err);
	return rc;
}

/* What makes it a CA's: crt has its name, its times and its key. */
static int set_ca(gnutls_x509_crt_t crt, struct kg_error *err)
{
	int rc = kg_pki_try(
		gnutls_x509_crt_set_basic_constraints(crt, 1, -1), "basic constraints", err);

	return rc ? rc
		  : kg_pki_try(gnutls_x509_crt_set_key_usage(
				       crt, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN |
						    GNUTLS_KEY_DIGITAL_SIGNATURE),
			    "key usage", err);
}

int kg_pki_ca_new(
	char **cert_pem, char **key_pem, const char *cn, kg_time now, struct kg_error *err)
{
	gnutls_x509_crt_t crt KG_AUTOCRT = NULL;
	gnutls_x509_privkey_t key KG_AUTOKEY = NULL;
	KG_AUTOFREE char *pem = NULL;
	time_t from = (time_t)(now / 1000);

	int rc = kg_pki_key_new(&pem, err);
	if (!rc)
		rc = kg_pki_read_key(&key, pem, err);
	if (!rc)
		rc = kg_pki_try(gnutls_x509_crt_init(&crt), "certificate", err);
	if (!rc)
		rc = kg_pki_try(gnutls_x509_crt_set_key(crt, key), "public key", err);
	if (!rc)
		rc = set_common(crt, cn, from - BACKDATE_S, from + 10 * YEAR_S, err);
	if (!rc)
		rc = set_ca(crt, err);
	if (!rc)
		rc = sign(crt, crt, key, err);
	if (!rc)
		rc = kg_pki_write_crt(cert_pem, crt, err);
	if (!rc)
		*key_pem = kg_steal(&pem);
	return rc;
}

int kg_pki_ca_cross(char **cert_pem, const char *ca_cert_pem, const char *ca_key_pem,
	const char *old_cert_pem, const char *old_key_pem, struct kg_error *err)
{
	gnutls_x509_crt_t crt KG_AUTOCRT = NULL, ca KG_AUTOCRT = NULL, old KG_AUTOCRT = NULL;
	gnutls_x509_privkey_t key KG_AUTOKEY = NULL, old_key KG_AUTOKEY = NULL;
	char name[64];

	int rc = kg_pki_name(name, ca_cert_pem, err);
	if (!rc)
		rc = kg_pki_read_crt(&ca, ca_cert_pem, err);
	if (!rc)
		rc = kg_pki_read_crt(&old, old_cert_pem, err);
	if (!rc)
		rc = kg_pki_read_key(&key, ca_key_pem, err);
	if (!rc)
		rc = kg_pki_read_key(&old_key, old_key_pem, err);
	if (!rc)
		rc = kg_pki_try(gnutls_x509_crt_init(&crt), "certificate", err);
	if (!rc)
		rc = kg_pki_try(gnutls_x509_crt_set_key(crt, key), "public key", err);
	if (!rc)
		rc = set_common(crt, name, gnutls_x509_crt_get_activation_time(ca),
			gnutls_x509_crt_get_expiration_time(old), err);
	if (!rc)
		rc = set_ca(crt, err);
	if (!rc)
		rc = sign(crt, old, old_key, err);
	return rc ? rc : kg_pki_write_crt(cert_pem, crt, err);
}

static int add_san(gnutls_x509_crt_t crt, const char *name, struct kg_error *err)
{
	unsigned char ip[16];
	int e;

	if (inet_pton(AF_INET, name, ip) == 1)
		e = gnutls_x509_crt_set_subject_alt_name(
			crt, GNUTLS_SAN_IPADDRESS, ip, 4, GNUTLS_FSAN_APPEND);
	else if (inet_pton(AF_INET6, name, ip) == 1)
		e = gnutls_x509_crt_set_subject_alt_name(
			crt, GNUTLS_SAN_IPADDRESS, ip, 16, GNUTLS_FSAN_APPEND);
	else
		e = gnutls_x509_crt_set_subject_alt_name(
			crt, GNUTLS_SAN_DNSNAME, name, (unsigned)strlen(name), GNUTLS_FSAN_APPEND);
	return kg_pki_try(e, name, err);
}

static int set_purpose(gnutls_x509_crt_t crt, const struct kg_pki_cert *cert, struct kg_error *err)
{
	int rc = kg_pki_try(
		gnutls_x509_crt_set_basic_constraints(crt, 0, -1), "basic constraints", err);
	if (!rc)
		rc = kg_pki_try(gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_DIGITAL_SIGNATURE),
			"key usage", err);
	if (!rc && cert->server)
		rc = kg_pki_try(
			gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_SERVER, 0),
			"key purpose", err);
	if (!rc && cert->client)
		rc = kg_pki_try(
			gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_CLIENT, 0),
			"key purpose", err);
	return rc;
}

/* crt holds the public key; the rest is cert's. */
static int issue(char **cert_pem, gnutls_x509_crt_t crt, const char *ca_cert_pem,
	const char *ca_key_pem, const struct kg_pki_cert *cert, struct kg_error *err)
{
	gnutls_x509_crt_t ca KG_AUTOCRT = NULL;
	gnutls_x509_privkey_t ca_key KG_AUTOKEY = NULL;

	int rc = kg_pki_read_crt(&ca, ca_cert_pem, err);
	if (!rc)
		rc = kg_pki_read_key(&ca_key, ca_key_pem, err);
	if (!rc)
		rc = set_common(crt, cert->cn, (time_t)(cert->not_before / 1000),
			(time_t)(cert->not_after / 1000), err);
	for (size_t i = 0; !rc && cert->orgs && cert->orgs[i]; i++)
		rc = set_name(crt, GNUTLS_OID_X520_ORGANIZATION_NAME, cert->orgs[i], err);
	for (size_t i = 0; !rc && cert->sans && cert->sans[i]; i++)
		rc = add_san(crt, cert->sans[i], err);
	if (!rc)
		rc = set_purpose(crt, cert, err);
	if (!rc)
		rc = sign(crt, ca, ca_key, err);
	if (!rc)
		rc = kg_pki_write_crt(cert_pem, crt, err);
	return rc;
}

int kg_pki_issue(char **cert_pem, const char *ca_cert_pem, const char *ca_key_pem,
	const char *key_pem, const struct kg_pki_cert *cert, struct kg_error *err)
{
	gnutls_x509_crt_t crt KG_AUTOCRT = NULL;
	gnutls_x509_privkey_t key KG_AUTOKEY = NULL;

	int rc = kg_pki_read_key(&key, key_pem, err);
	if (!rc)
		rc = kg_pki_try(gnutls_x509_crt_init(&crt), "certificate", err);
	if (!rc)
		rc = kg_pki_try(gnutls_x509_crt_set_key(crt, key), "public key", err);
	if (!rc)
		rc = issue(cert_pem, crt, ca_cert_pem, ca_key_pem, cert, err);
	return rc;
}

/* The key alone: neither subject nor extensions of the request get into the certificate. */
static int copy_public_key(gnutls_x509_crt_t crt, gnutls_x509_crq_t csr, struct kg_error *err)
{
	gnutls_pubkey_t pub;

	int rc = kg_pki_try(gnutls_pubkey_init(&pub), "public key", err);
	if (rc)
		return rc;
	rc = kg_pki_try(gnutls_pubkey_import_x509_crq(pub, csr, 0), "public key", err);
	if (!rc)
		rc = kg_pki_try(gnutls_x509_crt_set_pubkey(crt, pub), "public key", err);
	gnutls_pubkey_deinit(pub);
	return rc;
}

int kg_pki_sign(char **cert_pem, const char *ca_cert_pem, const char *ca_key_pem,
	const char *csr_pem, const struct kg_pki_cert *cert, struct kg_error *err)
{
	gnutls_x509_crt_t crt KG_AUTOCRT = NULL;
	gnutls_x509_crq_t csr KG_AUTOCSR = NULL;
	unsigned bits = 0;

	int rc = kg_pki_read_csr(&csr, csr_pem, err);
	if (rc)
		return rc;
	int algorithm = gnutls_x509_crq_get_pk_algorithm(csr, &bits);
	if (algorithm != GNUTLS_PK_ECDSA && algorithm != GNUTLS_PK_EDDSA_ED25519 &&
		!(algorithm == GNUTLS_PK_RSA && bits >= 2048 && bits <= 8192))
		return kg_fail(err, KG_E_INVALID,
			"the certificate request's key: expected ECDSA, Ed25519, or RSA of 2048 to "
			"8192 bits");
	rc = kg_pki_try(gnutls_x509_crt_init(&crt), "certificate", err);
	if (!rc)
		rc = copy_public_key(crt, csr, err);
	if (!rc)
		rc = issue(cert_pem, crt, ca_cert_pem, ca_key_pem, cert, err);
	return rc;
}
