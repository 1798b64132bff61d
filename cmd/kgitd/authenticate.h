/* Who makes a request. */
#ifndef KGITD_AUTHENTICATE_H
#define KGITD_AUTHENTICATE_H

#include "kgitd/master.h"

/*
 * Fills x->user; system:anonymous where there is no credential. KG_E_UNAUTHORIZED, or as
 * kg_auth_authenticate.
 *
 * Browsers add the client certificate and the password that they have for this server to whatever a
 * page of anybody asks of it. They let no page read the answer, but for WebSockets, and what an own
 * path of ours does (/kgit/, /cluster.git/) is done before. There pages of other origins than ours,
 * or one that --allow-origin names, are taken for what they bring themselves, a bearer token, and
 * are refused (KG_E_FORBIDDEN) without.
 */
int kgd_authenticate(struct kgd_exchange *x, struct kg_http_req *req, struct kg_error *err);

#endif
