/*
 * The cluster's clock: what is recorded in each commit. It goes on from the last commit's time
 * with monotonic time, is slewed to the wall clock by at most a tenth of what passed, and never
 * goes back, so that a wall clock that jumps ages nothing at once. The writer's thread.
 */
#ifndef KGITD_CLOCK_H
#define KGITD_CLOCK_H

#include "base/time.h"

struct kgd_clock {
	kg_time last;      /* what kgd_clock_read returned last */
	int64_t last_mono; /* monotonic milliseconds at that moment */
};

/* Starts from the head's time; a wall clock that is ahead of it is taken over at once. */
void kgd_clock_start(struct kgd_clock *c, kg_time head, kg_time wall, int64_t mono);
kg_time kgd_clock_read(struct kgd_clock *c, kg_time wall, int64_t mono);

#endif
