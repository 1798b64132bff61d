/*
 * The cluster's certificate authority. DIR/pki/ca.key is all of it: the key that signs and, once it
 * was replaced, its certificates: the CA's own; in an overlap also that which the CA before made of
 * it, and the CA before. So each step is one file that takes the place of another, and a crash
 * leaves the one or the other. DIR/pki/ca.crt is what is to be trusted, made of it for others.
 */
#ifndef KGITD_AUTHORITY_H
#define KGITD_AUTHORITY_H

#include "base/err.h"
#include "base/time.h"

#include <stdbool.h>
#include <sys/types.h>

struct kgd_authority { /* immutable, kept until kgd_authority_free: readers need hold nothing */
	char *key_pem, *cert_pem; /* makes certificates */
	char *cross_pem;          /* shown with them in an overlap; or NULL */
	char *old_pem;            /* the CA before, trusted still; or NULL */
	char *bundle_pem;         /* all that is to be trusted, the present one first */
	char pin[80];             /* of the present one */
	char name[64], old_name[64];
	struct kgd_authority *before; /* in this process */
};

/* dir is DIR/pki. Makes a CA where there is none. Writes ca.crt where it is another. */
int kgd_authority_open(struct kgd_authority **out, const char *dir, struct kg_error *err);
void kgd_authority_free(struct kgd_authority *a); /* and all before it */
/*
 * A new CA takes over, `now` is trusted beside it; then, that goes. Durable when they return; *out
 * holds `now`. KG_E_CONFLICT: there is an overlap already; there is none.
 */
int kgd_authority_rotate(struct kgd_authority **out, struct kgd_authority *now, const char *dir,
	struct kg_error *err);
int kgd_authority_retire(struct kgd_authority **out, struct kgd_authority *now, const char *dir,
	struct kg_error *err);
/* Is a certificate of this issuer (NULL: none) to be taken? Cheap. */
bool kgd_authority_made(const struct kgd_authority *a, const char *issuer);

/* A file of PEM in dir: all of it, heap; and written durably. */
int kgd_pem_read(char **out, const char *dir, const char *name, struct kg_error *err);
int kgd_pem_write(
	const char *dir, const char *name, const char *pem, mode_t mode, struct kg_error *err);

#endif
