/* Keys and certificates (GnuTLS, ECDSA P-256). PEM text in and out, heap, free(). Any thread. */
#ifndef KG_PKI_PKI_H
#define KG_PKI_PKI_H

#include "base/err.h"
#include "base/time.h"

#include <stdbool.h>
#include <stddef.h>

int kg_pki_key_new(char **key_pem, struct kg_error *err);
int kg_pki_ca_new(char **cert_pem, char **key_pem, const char *cn, kg_time now,
	struct kg_error *err); /* ten years */

/* The certificate of the CA whose certificate and key are given, made by another CA (old_...): who
 * trusts that one trusts, by it, what the first one makes. Good as long as the old one. */
int kg_pki_ca_cross(char **cert_pem, const char *ca_cert_pem, const char *ca_key_pem,
	const char *old_cert_pem, const char *old_key_pem, struct kg_error *err);

struct kg_pki_cert {
	const char *cn;
	const char *const *orgs; /* NULL-terminated, or NULL */
	const char *const *sans; /* DNS names and IP addresses, NULL-terminated, or NULL */
	bool server, client;     /* extended key usage */
	kg_time not_before, not_after;
};
int kg_pki_issue(char **cert_pem, const char *ca_cert_pem, const char *ca_key_pem,
	const char *key_pem, const struct kg_pki_cert *cert, struct kg_error *err);
/* A certificate request for key_pem; the subject in it is ignored by kg_pki_sign. */
int kg_pki_csr_new(char **csr_pem, const char *key_pem, const char *cn, struct kg_error *err);
int kg_pki_sign(char **cert_pem, const char *ca_cert_pem, const char *ca_key_pem,
	const char *csr_pem, const struct kg_pki_cert *cert, struct kg_error *err);
/* "sha256:<hex>" of the certificate's public key (SubjectPublicKeyInfo), as kubeadm pins it. */
int kg_pki_pin(char out[80], const char *cert_pem, struct kg_error *err);
/* The same of a request's key, whose signature of itself is checked. */
int kg_pki_csr_pin(char out[80], const char *csr_pem, struct kg_error *err);
/* That of several certificates which has this pin, as PEM of its own. KG_E_NOT_FOUND: none. */
int kg_pki_pinned(char **cert_pem, const char *certs_pem, const char *pin, struct kg_error *err);
/* The n-th of several certificates, as PEM of its own; NULL: there are not so many. */
char *kg_pki_nth(const char *certs_pem, unsigned n);
/* The common name of a certificate's subject. */
int kg_pki_name(char out[64], const char *cert_pem, struct kg_error *err);
int kg_pki_not_before(kg_time *out, const char *cert_pem, struct kg_error *err);
int kg_pki_not_after(kg_time *out, const char *cert_pem, struct kg_error *err);
/* Did the first CA of ca_pem sign the first certificate of cert_pem? */
bool kg_pki_issued_by(const char *cert_pem, const char *ca_pem);
/* n random bytes as hex into out[2n + 1]. */
void kg_random_hex(char *out, size_t n);

#endif
