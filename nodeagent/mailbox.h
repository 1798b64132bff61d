/* Messages from other threads to an object that lives on a loop and may be gone when they come. */
#ifndef KG_NODEAGENT_MAILBOX_H
#define KG_NODEAGENT_MAILBOX_H

#include "sys/loop.h"

struct kg_mailbox;
struct kg_mailbox *kg_mailbox_new(struct kg_loop *loop);
/* The loop's thread: no message is delivered from now on; what waits is dropped. */
void kg_mailbox_close(struct kg_mailbox *m);
/* Any thread, before kg_mailbox_close has returned. Runs deliver(msg) on the loop, or drop(msg). */
void kg_mailbox_post(
	struct kg_mailbox *m, void (*deliver)(void *msg), void (*drop)(void *msg), void *msg);

#endif
