/*
 * What git answers to a push, as it passes: a stream of pkt-lines (gitprotocol-common), of which
 * those that begin with a byte 2 are said to the pusher's terminal (gitprotocol-pack, "side-band").
 * Follows where a packet ends, and finds out that git ran out of memory, which kgitd bounds; git
 * itself cannot say by what flag. Bytes in, bytes out.
 */
#ifndef KGITD_PUSH_ANSWER_H
#define KGITD_PUSH_ANSWER_H

#include "base/buf.h"

#include <stdbool.h>

struct kgd_push_answer {
	char length[5]; /* of the packet that begins: its digits as far as they came */
	size_t digits, left;
	bool flushed;    /* the last packet was a flush: an answer that ends so is whole */
	char band, last; /* the packet's first and latest byte */
	bool begun;      /* it has a first byte */
	/* Of band 2's line, which may go on in the next packet: how much is there of the words that
	 * git dies with, and then of those that memory is out; it is no such line. */
	unsigned dies, matched;
	bool other;
	bool out, told; /* of memory */
};

/* Follows n more bytes, or as many as come before advice is due; *due: kgd_push_answer_advice goes
 * behind them, and then what is left. Returns how many. */
size_t kgd_push_answer_follow(struct kgd_push_answer *a, const char *p, size_t n, bool *due);
/* A packet that says what to do, where git may have so many bytes. */
void kgd_push_answer_advice(struct kg_buf *out, size_t push_memory);

#endif
