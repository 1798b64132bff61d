/*
 * The server's side of TLS: credentials that can be replaced while connections live, and who the
 * peer is. libmicrohttpd makes the sessions; its own credentials are overridden before the
 * handshake so that they can be reloaded and counted.
 */
#include "base/hash.h"
#include "base/mem.h"
#include "internal.h"

#include <gnutls/x509.h>
#include <stdio.h>
#include <string.h>

const char kg_tls_priorities[] =
	"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:"
	"+CHACHA20-POLY1305:-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA:-GROUP-ALL:+GROUP-X25519:"
	"+GROUP-SECP256R1:+GROUP-SECP384R1:%SERVER_PRECEDENCE";

struct kg_creds {
	atomic_uint refs;
	gnutls_certificate_credentials_t x509;
};

static gnutls_datum_t datum(const char *text)
{
	return (gnutls_datum_t){(unsigned char *)text, (unsigned)strlen(text)};
}

int kg_creds_new(struct kg_creds **out, const char *cert_pem, const char *key_pem,
	const char *client_ca_pem, struct kg_error *err)
{
	struct kg_creds *c = kg_alloc(sizeof(*c));
	gnutls_datum_t cert = datum(cert_pem), key = datum(key_pem);
	const char *what = "certificate and key";

	atomic_init(&c->refs, 1);
	int e = gnutls_certificate_allocate_credentials(&c->x509);
	if (e == 0)
		e = gnutls_certificate_set_x509_key_mem(c->x509, &cert, &key, GNUTLS_X509_FMT_PEM);
	if (e >= 0 && client_ca_pem) {
		gnutls_datum_t ca = datum(client_ca_pem);
		what = "client CA";
		e = gnutls_certificate_set_x509_trust_mem(c->x509, &ca, GNUTLS_X509_FMT_PEM);
		if (e == 0)
			e = GNUTLS_E_NO_CERTIFICATE_FOUND;
	}
	if (e < 0) {
		kg_creds_unref(c);
		return kg_fail(err, KG_E_INVALID, "%s: %s", what, gnutls_strerror(e));
	}
	*out = c;
	return 0;
}

struct kg_creds *kg_creds_ref(struct kg_creds *c)
{
	atomic_fetch_add(&c->refs, 1);
	return c;
}

void kg_creds_unref(struct kg_creds *c)
{
	if (!c || atomic_fetch_sub(&c->refs, 1) != 1)
		return;
	if (c->x509)
		gnutls_certificate_free_credentials(c->x509);
	free(c);
}

gnutls_certificate_credentials_t kg_creds_get(const struct kg_creds *c)
{
	return c->x509;
}

static void bad(struct kg_peer *p, const char *why)
{
	p->state = KG_PEER_BAD;
	snprintf(p->why, sizeof(p->why), "%s", why);
}

/* The n-th attribute of the subject as heap text; NULL where there is none. False where it is not
 * to be read: what is no text, as a NUL would make "admin\0.example" admin, GnuTLS gives in
 * hexadecimal after a '#', while a '#' that is text comes after a backslash. */
static bool subject(char **out, gnutls_x509_crt_t crt, const char *oid, unsigned n)
{
	char buf[256];
	size_t len = sizeof(buf);
	int rc = gnutls_x509_crt_get_dn_by_oid(crt, oid, n, 0, buf, &len);

	*out = NULL;
	if (rc == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
		return true;
	if (rc < 0 || (len && buf[0] == '#') || memchr(buf, '\0', len))
		return false;
	*out = kg_strndup(buf, len);
	return true;
}

static char *issuer(gnutls_x509_crt_t crt)
{
	char buf[256];
	size_t len = sizeof(buf);

	if (gnutls_x509_crt_get_issuer_dn_by_oid(
		    crt, GNUTLS_OID_X520_COMMON_NAME, 0, 0, buf, &len) < 0)
		return NULL;
	return kg_strndup(buf, len);
}

static void read_key(struct kg_peer *p, gnutls_x509_crt_t crt)
{
	unsigned char id[32];
	size_t len = sizeof(id);

	if (gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA256, id, &len) < 0)
		return;
	strcpy(p->key, "sha256:");
	kg_hex(p->key + strlen(p->key), id, sizeof(id));
}

static void read_subject(struct kg_peer *p, const gnutls_datum_t *der)
{
	gnutls_x509_crt_t crt;

	if (gnutls_x509_crt_init(&crt) < 0) {
		bad(p, "out of memory");
		return;
	}
	if (gnutls_x509_crt_import(crt, der, GNUTLS_X509_FMT_DER) < 0) {
		bad(p, "the certificate cannot be read");
	} else {
		bool read = subject(&p->cn, crt, GNUTLS_OID_X520_COMMON_NAME, 0);

		for (unsigned i = 0; read && i < KG_ARRAY_LEN(p->orgs) - 1; i++) {
			read = subject(&p->orgs[i], crt, GNUTLS_OID_X520_ORGANIZATION_NAME, i);
			if (!p->orgs[i])
				break;
		}
		read_key(p, crt);
		p->issuer = issuer(crt);
		p->expires = gnutls_x509_crt_get_expiration_time(crt);
		if (!read)
			bad(p, "a name in the certificate's subject is not text, or too long");
		else if (p->cn && p->cn[0])
			p->state = KG_PEER_VERIFIED;
		else
			bad(p, "the certificate's subject has no common name");
	}
	gnutls_x509_crt_deinit(crt);
}

void kg_peer_check(struct kg_peer *p, gnutls_session_t session)
{
	unsigned n = 0, status = 0;
	const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &n);
	gnutls_typed_vdata_st purpose = {
		.type = GNUTLS_DT_KEY_PURPOSE_OID,
		.data = (void *)GNUTLS_KP_TLS_WWW_CLIENT,
	};

	if (!chain || n == 0) {
		p->state = KG_PEER_NONE;
		return;
	}
	int e = gnutls_certificate_verify_peers(session, &purpose, 1, &status);
	if (e < 0) {
		bad(p, gnutls_strerror(e));
		return;
	}
	if (status) {
		gnutls_datum_t text = {0};
		e = gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0);
		bad(p, e < 0 ? "not trusted" : (const char *)text.data);
		gnutls_free(text.data);
		return;
	}
	read_subject(p, &chain[0]);
}

void kg_peer_release(struct kg_peer *p)
{
	free(p->cn);
	free(p->issuer);
	for (size_t i = 0; p->orgs[i]; i++)
		free(p->orgs[i]);
	*p = (struct kg_peer){0};
}
