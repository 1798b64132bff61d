/* What a node may: what lies below its own name, and to read what is bound to it. */
#ifndef KG_AUTH_NODES_H
#define KG_AUTH_NODES_H

#include "auth/auth.h"

/* self is the hub (borrowed), or NULL: then paths alone are judged. */
extern const struct kg_authorizer kg_nodes_authorizer;

#endif
