/*
 * A bearer token among a WebSocket's subprotocols: no page in a browser can set a header there. As
 * k8s.io/apiserver has it: "base64url.bearer.authorization.k8s.io." and the token in base64url.
 * Such an offer is never answered with. Pure.
 */
#ifndef KG_AUTH_SUBPROTOCOL_H
#define KG_AUTH_SUBPROTOCOL_H

#include "base/err.h"

#include <stdbool.h>

/* *out: what the header Authorization would be, heap; NULL where no offer (NULL-terminated) is a
 * token. KG_E_UNAUTHORIZED where one is malformed, there are several, or nothing else to answer
 * with is offered. */
int kg_subprotocol_token(char **out, const char *const *offers, struct kg_error *err);
/* The first offer that is no token; NULL: there is none. */
const char *kg_subprotocol_plain(const char *const *offers);

#endif
