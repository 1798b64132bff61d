/*
 * WebSocket frames (RFC 6455, section 5) as a server sends and takes them. Pure: bytes in, events
 * out; any thread.
 *
 * Of the messages that a peer sends nothing is kept: who watches has nothing to say. Control
 * frames are given out; what breaks the protocol is a fault, after which nothing is read any more.
 */
#ifndef KG_HTTP_FRAME_H
#define KG_HTTP_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kg_opcode {
	KG_OP_MORE = 0, /* of a message that goes on */
	KG_OP_TEXT = 1,
	KG_OP_BINARY = 2,
	KG_OP_CLOSE = 8,
	KG_OP_PING = 9,
	KG_OP_PONG = 10
};
/* Why a connection is closed (section 7.4). */
enum kg_close {
	KG_CLOSE_NORMAL = 1000,
	KG_CLOSE_GOING_AWAY = 1001,
	KG_CLOSE_PROTOCOL = 1002,
	KG_CLOSE_NO_CODE = 1005, /* never sent: the peer gave none */
	KG_CLOSE_POLICY = 1008,
	KG_CLOSE_TOO_BIG = 1009,
	KG_CLOSE_INTERNAL = 1011
};

#define KG_FRAME_HEAD    10  /* of a frame that a server sends, at most */
#define KG_FRAME_CONTROL 125 /* payload of a control frame, at most */

/* The head of a frame of n bytes (not masked: a server never does); its length. */
size_t kg_frame_head(unsigned char out[KG_FRAME_HEAD], enum kg_opcode op, bool last, uint64_t n);

/* Of the peer's frames. Begin with zeros and max_frame. */
struct kg_frames {
	uint64_t max_frame; /* payload of one, at most; more is KG_CLOSE_TOO_BIG */
	unsigned char head[14];
	unsigned nhead; /* of the next frame's head */
	bool in_frame;  /* its payload follows */
	uint64_t length, at;
	bool in_message; /* data of it came, and its last frame did not */
	bool closed;     /* after a close frame, or a fault */
	unsigned char control[KG_FRAME_CONTROL];
};
enum kg_frame_event {
	KG_FRAME_NOTHING, /* all bytes were used */
	KG_FRAME_PING,
	KG_FRAME_CLOSE, /* code: the peer's, or KG_CLOSE_NO_CODE */
	KG_FRAME_FAULT  /* code: to be told to the peer */
};
struct kg_frame_said {
	enum kg_frame_event event;
	const unsigned char *payload; /* of a ping; until the next call */
	size_t len;
	unsigned code;
};
/* Takes bytes up to the next event; how many. After a close or a fault it takes all, and nothing
 * comes of it. */
size_t kg_frames_take(
	struct kg_frames *f, struct kg_frame_said *said, const unsigned char *p, size_t n);

#endif
