/* Request bodies that git sent gzipped, in steps of bounded size. */
#ifndef KGITD_GUNZIP_H
#define KGITD_GUNZIP_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <zlib.h>

/* Does the header Content-Encoding (or NULL) say so. */
bool kgd_is_gzip(const char *encoding);

struct kgd_gunzip {
	z_stream z;
	bool end; /* of the gzip member */
};
void kgd_gunzip_init(struct kgd_gunzip *g);
void kgd_gunzip_release(struct kgd_gunzip *g);
/*
 * Inflates from p until `out` holds `full` bytes or p is used up; *used counts what was read of p.
 * What follows the end is dropped. KG_E_BAD_REQUEST where it is no gzip.
 */
int kgd_gunzip(struct kgd_gunzip *g, struct kg_buf *out, size_t full, const void *p, size_t n,
	size_t *used, struct kg_error *err);
/* A whole body; KG_E_TOO_LARGE above max. */
int kgd_gunzip_all(struct kg_buf *out, const struct kg_buf *in, size_t max, struct kg_error *err);

#endif
