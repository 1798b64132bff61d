/* What loop.c, timer.c, child.c and signal.c share; nobody else includes it. */
#ifndef KG_SYS_LOOP_PRIVATE_H
#define KG_SYS_LOOP_PRIVATE_H

#include "sys/loop.h"

#include <pthread.h>
#include <signal.h>

struct kg_post {
	struct kg_post *next;
	void (*fn)(void *ctx);
	void *ctx;
};

struct kg_signal_handler {
	void (*fn)(void *ctx, int signo);
	void *ctx;
};

struct kg_loop {
	int epfd;
	bool stopped;
	int code;

	pthread_mutex_t lock; /* of what follows, up to the blank line */
	int wake;             /* eventfd */
	struct kg_post *posts, **posts_end;
	bool stop_asked;
	int stop_code;

	struct kg_watch *watches; /* alive */
	struct kg_watch *dead;    /* freed during this round: events of it may be in hand */

	struct kg_timer *timers; /* all */
	struct kg_timer **heap;  /* armed, earliest first */
	size_t heap_len, heap_cap;

	struct kg_child *children;

	int sigfd; /* or -1 */
	struct kg_watch *sigwatch;
	sigset_t sigset;
	struct kg_signal_handler handlers[65];
};

int kg_timers_wait_ms(const struct kg_loop *loop); /* until the next; -1: none */
void kg_timers_run(struct kg_loop *loop);
void kg_timers_release(struct kg_loop *loop);
void kg_children_release(struct kg_loop *loop);
void kg_loop_signals_release(struct kg_loop *loop);

#endif
