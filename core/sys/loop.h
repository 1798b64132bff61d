/*
 * One epoll loop: owns fds, timers and child processes of the thread that runs it. Callbacks run
 * on that thread. Only kg_loop_post and kg_loop_stop may be called from other threads.
 */
#ifndef KG_SYS_LOOP_H
#define KG_SYS_LOOP_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct kg_loop;
struct kg_loop *kg_loop_new(void);
void kg_loop_free(struct kg_loop *loop); /* with what it still owns; posts are dropped */
int kg_loop_run(struct kg_loop *loop);   /* until kg_loop_stop; returns its code */
void kg_loop_stop(struct kg_loop *loop, int code);
/* Runs fn on the loop's thread soon; in order of posting. */
void kg_loop_post(struct kg_loop *loop, void (*fn)(void *ctx), void *ctx);

/* Watches fd (borrowed) for EPOLLIN/EPOLLOUT. One watch a fd. NULL (errno) where epoll refuses. */
struct kg_watch;
struct kg_watch *kg_loop_watch(struct kg_loop *loop, int fd, uint32_t events,
	void (*fn)(void *ctx, uint32_t events), void *ctx);
void kg_watch_modify(struct kg_watch *w, uint32_t events);
void kg_watch_free(struct kg_watch *w); /* safe inside its own callback; NULL is fine */

/* One-shot timers on the monotonic clock. */
struct kg_timer;
struct kg_timer *kg_timer_new(struct kg_loop *loop, void (*fn)(void *ctx), void *ctx); /* unarmed */
void kg_timer_set(struct kg_timer *t, int64_t in_ms); /* re-arms; < 0 disarms */
void kg_timer_free(struct kg_timer *t);

/* Calls fn with the wait status when the child ends (pidfd); the loop reaps it. The handle is gone
 * when fn has returned. */
struct kg_child;
struct kg_child *kg_loop_child(
	struct kg_loop *loop, pid_t pid, void (*fn)(void *ctx, int status), void *ctx);
void kg_child_free(struct kg_child *c); /* forgets the child (still reaped); NULL is fine */

/* Calls fn for a signal (signalfd; the signal must be blocked in every thread first, which
 * kg_signals_block does). */
void kg_signals_block(void); /* SIGINT, SIGTERM, SIGHUP; ignores SIGPIPE */
int kg_loop_signal(struct kg_loop *loop, int signo, void (*fn)(void *ctx, int signo), void *ctx);

int64_t kg_monotonic_ms(void);
int64_t kg_realtime_ms(void);

#endif
