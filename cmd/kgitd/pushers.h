/*
 * Who pushes: those whose `git receive-pack` runs now, each by a secret id that git's environment
 * carries to the hooks. What the environment says itself is no proof of anything. Any thread.
 */
#ifndef KGITD_PUSHERS_H
#define KGITD_PUSHERS_H

#include "auth/auth.h"

#define KGD_PUSHER_ID_LEN 32

void kgd_pusher_enter(char id[KGD_PUSHER_ID_LEN + 1], const struct kg_user *user);
void kgd_pusher_leave(const char *id); /* "" is fine */
bool kgd_pusher_find(struct kg_user *out, const char *id);

#endif
