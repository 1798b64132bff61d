/* git push -o wait. */
#ifndef KGITD_ROLLOUT_H
#define KGITD_ROLLOUT_H

#include "kgitd/hook.h"

/* Tells the pusher the progress of what the admitted push defines, and of what began to roll with
 * the revision `made` of it, until all of it is ready, some of it has failed, `ms` have passed, the
 * pusher is gone or kgitd stops; then the verdict. The hook's thread. */
void kgd_rollout_wait(
	struct kgd_hook *h, const struct kg_admission *admission, uint64_t made, int64_t ms);

#endif
