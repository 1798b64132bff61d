/* git push -o wait. */
#ifndef KGITD_ROLLOUT_H
#define KGITD_ROLLOUT_H

#include "kgitd/hook.h"

/* Does a Deployment, StatefulSet or DaemonSet roll with the push though its own manifest is as it
 * was: one that asks for that (kgit/roll-on-config-change), in whose namespace the push changes a
 * ConfigMap or Secret, and that replaces pods since the revision. Pure. */
bool kgd_rollout_follows(
	const struct kg_object *obj, const struct kg_admission *a, uint64_t revision);

/* Tells the pusher the progress of what the admitted push defines, and of what began to roll with
 * the revision `made` of it, until all of it is ready, some of it has failed, `ms` have passed, the
 * pusher is gone or kgitd stops; then the verdict. The hook's thread. */
void kgd_rollout_wait(
	struct kgd_hook *h, const struct kg_admission *admission, uint64_t made, int64_t ms);

#endif
