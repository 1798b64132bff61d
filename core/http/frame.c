#include "frame.h"

#include <string.h>

#define FIN    0x80
#define RSV    0x70
#define OPCODE 0x0F
#define MASKED 0x80

size_t kg_frame_head(unsigned char out[KG_FRAME_HEAD], enum kg_opcode op, bool last, uint64_t n)
{
	size_t width = n < 126 ? 0 : n <= UINT16_MAX ? 2 : 8;

	out[0] = (unsigned char)((last ? FIN : 0) | op);
	out[1] = width == 0 ? (unsigned char)n : width == 2 ? 126 : 127;
	for (size_t i = 0; i < width; i++)
		out[2 + i] = (unsigned char)(n >> (8 * (width - 1 - i)));
	return 2 + width;
}

static bool is_control(unsigned op)
{
	return op >= KG_OP_CLOSE;
}

/* How long the head is, as far as it is known. */
static unsigned head_len(const struct kg_frames *f)
{
	unsigned short_len;

	if (f->nhead < 2)
		return 2;
	short_len = f->head[1] & ~MASKED & 0xFF;
	return 2 + (short_len == 126 ? 2u : short_len == 127 ? 8u : 0u) + 4u;
}

/* Of the first two bytes: what breaks the protocol; 0: nothing. */
static unsigned judge_start(const struct kg_frames *f)
{
	unsigned op = f->head[0] & OPCODE;
	bool last = f->head[0] & FIN;

	if ((f->head[0] & RSV) || !(f->head[1] & MASKED))
		return KG_CLOSE_PROTOCOL;
	if (is_control(op))
		return op > KG_OP_PONG || !last || (f->head[1] & ~MASKED & 0xFF) > KG_FRAME_CONTROL
			       ? KG_CLOSE_PROTOCOL
			       : 0;
	if (op > KG_OP_BINARY || (op == KG_OP_MORE) != f->in_message)
		return KG_CLOSE_PROTOCOL;
	return 0;
}

static uint64_t number(const unsigned char *p, size_t n)
{
	uint64_t v = 0;

	while (n--)
		v = v << 8 | *p++;
	return v;
}

/* The whole head is there; what breaks the protocol, or 0. */
static unsigned begin_payload(struct kg_frames *f)
{
	unsigned width = f->nhead - 6;

	f->length = width ? number(f->head + 2, width) : (f->head[1] & ~MASKED & 0xFFu);
	/* In no more bytes than it needs. */
	if ((width == 2 && f->length < 126) ||
		(width == 8 && (f->length <= UINT16_MAX || f->length >> 63)))
		return KG_CLOSE_PROTOCOL;
	if (f->length > f->max_frame && !is_control(f->head[0] & OPCODE))
		return KG_CLOSE_TOO_BIG;
	f->in_frame = true;
	f->at = 0;
	return 0;
}

static bool is_code(unsigned code)
{
	return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
	       (code >= 3000 && code <= 4999);
}

static void end_close(struct kg_frames *f, struct kg_frame_said *said)
{
	said->event = KG_FRAME_CLOSE;
	said->code = f->length ? (unsigned)number(f->control, 2) : KG_CLOSE_NO_CODE;
	if (f->length == 1 || (f->length && !is_code(said->code)))
		*said = (struct kg_frame_said){.event = KG_FRAME_FAULT, .code = KG_CLOSE_PROTOCOL};
	f->closed = true;
}

/* The payload is there. */
static void end_frame(struct kg_frames *f, struct kg_frame_said *said)
{
	unsigned op = f->head[0] & OPCODE;

	f->nhead = 0;
	f->in_frame = false;
	if (op == KG_OP_CLOSE) {
		end_close(f, said);
	} else if (op == KG_OP_PING) {
		said->event = KG_FRAME_PING;
		said->payload = f->control;
		said->len = (size_t)f->length;
	} else if (!is_control(op)) {
		f->in_message = !(f->head[0] & FIN);
	}
}

static size_t take_payload(struct kg_frames *f, const unsigned char *p, size_t n)
{
	const unsigned char *mask = f->head + f->nhead - 4;

	if (n > f->length - f->at)
		n = (size_t)(f->length - f->at);
	if (is_control(f->head[0] & OPCODE))
		for (size_t i = 0; i < n; i++)
			f->control[f->at + i] = p[i] ^ mask[(f->at + i) % 4];
	f->at += n;
	return n;
}

static size_t take_head(
	struct kg_frames *f, struct kg_frame_said *said, const unsigned char *p, size_t n)
{
	size_t used = 0;
	unsigned fault = 0;

	while (used < n && f->nhead < head_len(f) && !fault) {
		f->head[f->nhead++] = p[used++];
		if (f->nhead == 2)
			fault = judge_start(f);
	}
	if (!fault && f->nhead == head_len(f) && f->nhead > 2)
		fault = begin_payload(f);
	if (fault) {
		*said = (struct kg_frame_said){.event = KG_FRAME_FAULT, .code = fault};
		f->closed = true;
	}
	return used;
}

size_t kg_frames_take(
	struct kg_frames *f, struct kg_frame_said *said, const unsigned char *p, size_t n)
{
	size_t used = 0;

	*said = (struct kg_frame_said){0};
	while (!f->closed && said->event == KG_FRAME_NOTHING) {
		if (f->in_frame && f->at == f->length)
			end_frame(f, said);
		else if (used == n)
			break;
		else if (f->in_frame)
			used += take_payload(f, p + used, n - used);
		else
			used += take_head(f, said, p + used, n - used);
	}
	return f->closed ? n : used;
}
