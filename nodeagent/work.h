/*
 * Worker threads for what blocks. Jobs run in order of submission, as many at once as `limit`;
 * a job that takes longer than two seconds no longer counts, so that a hung one holds up nobody
 * (up to `max_threads` in all). Idle threads end after a while. Every worker has a working
 * directory of its own (CLONE_FS unshared).
 */
#ifndef KG_NODEAGENT_WORK_H
#define KG_NODEAGENT_WORK_H

struct kg_work;
struct kg_work *kg_work_new(unsigned limit, unsigned max_threads);
/* Waits for running jobs; jobs not begun are dropped: `drop` (may be NULL) is called for them. */
void kg_work_free(struct kg_work *w);
/* Any thread. run is called once on a worker, or drop once by kg_work_free. */
void kg_work_submit(struct kg_work *w, void (*run)(void *ctx), void (*drop)(void *ctx), void *ctx);

#endif
