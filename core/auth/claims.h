/*
 * What every JWT that is taken has to say (RFC 7519), whoever made it: for whom it is, and from
 * when to when. Its signature was verified before. Pure.
 */
#ifndef KG_AUTH_CLAIMS_H
#define KG_AUTH_CLAIMS_H

#include "base/time.h"
#include "value/value.h"

/* Is `us` its audience ("aud"), or one of them? */
bool kg_claims_are_for(const struct kg_value *claims, const char *us);
/* KG_E_UNAUTHORIZED: it has ended ("exp", which it must have) or has not begun ("nbf", with ten
 * seconds for clocks that differ). */
int kg_claims_check_times(const struct kg_value *claims, kg_time now, struct kg_error *err);
/* When it ends, or `latest` where that is sooner. */
kg_time kg_claims_until(const struct kg_value *claims, kg_time latest);
/* KG_E_UNAUTHORIZED with "the token WHY". */
int kg_token_refused(struct kg_error *err, const char *why);

#endif
