/* What pki's files share: GnuTLS objects freed by cleanup, PEM in and out. */
#ifndef KG_PKI_INTERNAL_H
#define KG_PKI_INTERNAL_H

#include "base/mem.h"
#include "pki.h"

#include <gnutls/abstract.h>
#include <gnutls/x509.h>

static inline void kg_crt_free(gnutls_x509_crt_t *p)
{
	if (*p)
		gnutls_x509_crt_deinit(*p);
}
static inline void kg_key_free(gnutls_x509_privkey_t *p)
{
	if (*p)
		gnutls_x509_privkey_deinit(*p);
}
static inline void kg_csr_free(gnutls_x509_crq_t *p)
{
	if (*p)
		gnutls_x509_crq_deinit(*p);
}
#define KG_AUTOCRT KG_CLEANUP(kg_crt_free)
#define KG_AUTOKEY KG_CLEANUP(kg_key_free)
#define KG_AUTOCSR KG_CLEANUP(kg_csr_free)

/* Every call of GnuTLS: 0 for success, otherwise an error that names what was tried. */
int kg_pki_try(int gnutls_result, const char *what, struct kg_error *err);
int kg_pki_read_crt(gnutls_x509_crt_t *out, const char *pem, struct kg_error *err);
int kg_pki_read_key(gnutls_x509_privkey_t *out, const char *pem, struct kg_error *err);
/* A certificate request whose signature of itself is right. */
int kg_pki_read_csr(gnutls_x509_crq_t *out, const char *pem, struct kg_error *err);
/* "sha256:<hex>" of a key's id. */
void kg_pki_write_pin(char out[80], const unsigned char id[32]);
int kg_pki_write_crt(char **out, gnutls_x509_crt_t crt, struct kg_error *err);
/* A datum of GnuTLS as heap text; the datum is freed. */
char *kg_pki_take(gnutls_datum_t *d);

#endif
