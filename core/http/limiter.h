/*
 * How often somebody may ask: a token bucket for each key (a user, an address). Who is not known
 * begins with a full bucket; of very many keys those whose buckets are full again are forgotten.
 * Thread-safe.
 */
#ifndef KG_HTTP_LIMITER_H
#define KG_HTTP_LIMITER_H

#include <stddef.h>
#include <stdint.h>

struct kg_limiter;
/* So many a second for long, and `burst` at once (0: twice that). */
struct kg_limiter *kg_limiter_new(double per_second, double burst);
void kg_limiter_free(struct kg_limiter *l);
/* 0: take it. Else in so many whole seconds there will be another. */
int kg_limiter_take(struct kg_limiter *l, const char *key, int64_t now_ms);
uint64_t kg_limiter_refused(const struct kg_limiter *l);
size_t kg_limiter_keys(struct kg_limiter *l); /* known at the moment */

#endif
