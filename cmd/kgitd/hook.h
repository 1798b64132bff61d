/*
 * One run of kgit-hook, as kgitd sees it: what git asks and what it is told. The protocol is
 * described in hook_main.c. A thread of its own (hooks.c).
 */
#ifndef KGITD_HOOK_H
#define KGITD_HOOK_H

#include "kgitd/admit.h"
#include "kgitd/pushers.h"

#include <stdio.h>

struct kgd_command {
	char old_commit[41], new_commit[41]; /* "" for absent */
	char *ref;
};

struct kgd_hook {
	struct kgd_master *m;
	FILE *io;  /* owned */
	bool proc; /* proc-receive; else pre-receive */
	/* Who pushes: whose request git answers, or the owner of the state, who may anything. */
	struct kg_user user;
	char push[KGD_PUSHER_ID_LEN + 1]; /* that request's; "" for the owner's */
	char *quarantine;
	struct kgd_push_options opts;
	struct kgd_command *commands;
	size_t ncommands, cap;
	bool refused;
};
/* Takes over fd. KG_E_FORBIDDEN where the process at the other end is not the owner's. */
int kgd_hook_init(struct kgd_hook *h, struct kgd_master *m, int fd, struct kg_error *err);
void kgd_hook_release(struct kgd_hook *h);
/* Reads what the hook sends; on failure it still wants an answer, unless it went away. */
int kgd_hook_read(struct kgd_hook *h, struct kg_error *err);

/* Lines for the pusher, each after the prefix; what a terminal would obey is replaced. */
void kgd_hook_say(struct kgd_hook *h, const char *prefix, const char *lines);
void kgd_hook_sayf(struct kgd_hook *h, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The status of one ref. In pre-receive it refuses the whole push. */
void kgd_hook_refuse(struct kgd_hook *h, const struct kgd_command *c, const char *reason);
/* Only in proc-receive. fall_through: git is to move the ref itself. new_oid: what the ref is,
 * where that is not what was asked for ("" for absent, NULL: it is). */
void kgd_hook_accept(
	struct kgd_hook *h, const struct kgd_command *c, bool fall_through, const char *new_oid);
/* Whether nobody is left to be told: the hook has ended, or the request whose push it is. */
bool kgd_hook_deserted(const struct kgd_hook *h);
/* The last word. */
void kgd_hook_end(struct kgd_hook *h);

#endif
