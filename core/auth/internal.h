#ifndef KG_AUTH_INTERNAL_H
#define KG_AUTH_INTERNAL_H

#include "auth.h"

/* Groups that do not fit or are too long are refused: a user who lost one is another user. */
int kg_user_set(struct kg_user *u, const char *name, struct kg_error *err);
int kg_user_add_group(struct kg_user *u, const char *group, struct kg_error *err);

/* 1: *out is the token's user. 0: no such thing as an access token of ours. Negative: refused. */
int kg_tokens_authenticate(struct kg_tokens *t, struct kg_user *out, const char *text, kg_time now,
	struct kg_error *err);

#endif
