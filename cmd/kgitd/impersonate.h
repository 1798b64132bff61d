/* Whoever asks as another: the headers Impersonate-* of a request to the API. */
#ifndef KGITD_IMPERSONATE_H
#define KGITD_IMPERSONATE_H

#include "kgitd/master.h"

/* The exchange's user becomes the one whom he may act as, and `by` he himself; nothing happens
 * where there are no such headers. A refusal is written to the audit log. Errors as of
 * kg_auth_impersonate, and KG_E_BAD_REQUEST for more groups or extras than a user can have. */
int kgd_impersonate(struct kgd_exchange *x, struct kg_http_req *req, struct kg_error *err);

#endif
