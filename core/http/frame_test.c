#include "frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX_FRAME 1000

/* What a peer's bytes are, as a text: "ping(hi) close(1000)". The payloads are masked with zeros
 * but where a case has them otherwise. */
static void say(char *out, size_t size, const unsigned char *bytes, size_t n, size_t piece)
{
	struct kg_frames f = {.max_frame = MAX_FRAME};
	size_t len = 0;

	out[0] = '\0';
	for (size_t at = 0; at < n;) {
		struct kg_frame_said said;
		size_t give = n - at < piece ? n - at : piece;

		at += kg_frames_take(&f, &said, bytes + at, give);
		while (said.event) {
			if (said.event == KG_FRAME_PING)
				len += (size_t)snprintf(out + len, size - len, "ping(%.*s) ",
					(int)said.len, (const char *)said.payload);
			else
				len += (size_t)snprintf(out + len, size - len, "%s(%u) ",
					said.event == KG_FRAME_CLOSE ? "close" : "fault",
					said.code);
			kg_frames_take(&f, &said, bytes + at, 0);
		}
	}
}

#define Z "\0\0\0\0"
#define C(bytes)                                                                                   \
	{                                                                                          \
		bytes, sizeof(bytes) - 1                                                           \
	}

static void the_peers_frames(void **state)
{
	static const struct {
		const char *name;
		struct {
			const char *at;
			size_t len;
		} bytes;
		const char *says;
	} cases[] = {
		{"nothing", C(""), ""},
		{"a ping", C("\x89\x82" Z "hi"), "ping(hi) "},
		{"a ping that is masked", C("\x89\x82\x01\x02\x03\x04\x69\x6b"), "ping(hi) "},
		{"an empty ping", C("\x89\x80" Z), "ping() "},
		{"a pong is dropped", C("\x8a\x81" Z "x"), ""},
		{"text is dropped", C("\x81\x85" Z "hello\x89\x81" Z "1"), "ping(1) "},
		{"a ping within a message",
			C("\x01\x81" Z "a\x89\x81" Z "1\x80\x81" Z "b\x89\x81" Z "2"),
			"ping(1) ping(2) "},
		{"a close", C("\x88\x82" Z "\x03\xe8"), "close(1000) "},
		{"a close without a code", C("\x88\x80" Z), "close(1005) "},
		{"a close with a reason",
			C("\x88\x85" Z "\x0f\xa0"
			  "bye"),
			"close(4000) "},
		{"nothing is read after a close", C("\x88\x80" Z "\x89\x80" Z), "close(1005) "},
		{"a close of one byte", C("\x88\x81" Z "\x03"), "fault(1002) "},
		{"a code that is never sent", C("\x88\x82" Z "\x03\xed"), "fault(1002) "},
		{"a code of nobody", C("\x88\x82" Z "\x07\xd0"), "fault(1002) "},
		{"not masked", C("\x89\x02hi"), "fault(1002) "},
		{"an extension's bit", C("\xc9\x80" Z), "fault(1002) "},
		{"an opcode for data that nobody knows", C("\x83\x80" Z), "fault(1002) "},
		{"an opcode for control that nobody knows", C("\x8b\x80" Z), "fault(1002) "},
		{"control in pieces", C("\x09\x80" Z), "fault(1002) "},
		{"control that is too long", C("\x89\xfe\x00\x7e" Z), "fault(1002) "},
		{"goes on, and nothing began", C("\x80\x80" Z), "fault(1002) "},
		{"begins while another goes on", C("\x01\x80" Z "\x81\x80" Z), "fault(1002) "},
		{"a length in more bytes than it needs", C("\x82\xfe\x00\x7d" Z), "fault(1002) "},
		{"in eight", C("\x82\xff\0\0\0\0\0\0\xff\xff" Z), "fault(1002) "},
		{"a length that is negative", C("\x82\xff\x80\0\0\0\0\1\0\0" Z), "fault(1002) "},
		{"too big", C("\x82\xfe\x03\xe9" Z), "fault(1009) "},
		{"much too big", C("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff" Z), "fault(1009) "},
		{"nothing is read after a fault", C("\x82\xfe\x03\xe9" Z "\x89\x80" Z),
			"fault(1009) "},
	};
	char whole[200], single[200];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const unsigned char *bytes = (const void *)cases[i].bytes.at;
		size_t n = cases[i].bytes.len;

		say(whole, sizeof(whole), bytes, n, n);
		say(single, sizeof(single), bytes, n, 1);
		if (strcmp(whole, cases[i].says) != 0 || strcmp(single, whole) != 0)
			fail_msg("%s: \"%s\", byte by byte \"%s\"", cases[i].name, whole, single);
	}
}

/* The largest frame that is taken, in pieces of its own, and what follows. */
static void a_large_frame_is_dropped(void **state)
{
	unsigned char bytes[8 + MAX_FRAME + 6] = {0x82, 0xfe, MAX_FRAME >> 8, MAX_FRAME & 0xFF};
	char said[100];

	(void)state;
	memset(bytes + 8, 'x', MAX_FRAME);
	bytes[8 + MAX_FRAME] = 0x89;
	bytes[8 + MAX_FRAME + 1] = 0x80;
	for (size_t piece = 1; piece < sizeof(bytes); piece += 37) {
		say(said, sizeof(said), bytes, sizeof(bytes), piece);
		assert_string_equal(said, "ping() ");
	}
}

static void heads(void **state)
{
	static const struct {
		uint64_t n;
		size_t len;
		unsigned char head[KG_FRAME_HEAD];
	} cases[] = {
		{0, 2, {0x81, 0}},
		{125, 2, {0x81, 125}},
		{126, 4, {0x81, 126, 0, 126}},
		{65535, 4, {0x81, 126, 0xFF, 0xFF}},
		{65536, 10, {0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0}},
	};
	unsigned char head[KG_FRAME_HEAD];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(kg_frame_head(head, KG_OP_TEXT, true, cases[i].n), cases[i].len);
		assert_memory_equal(head, cases[i].head, cases[i].len);
	}
	assert_int_equal(kg_frame_head(head, KG_OP_MORE, false, 1), 2);
	assert_memory_equal(head, "\x00\x01", 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_peers_frames),
		cmocka_unit_test(a_large_frame_is_dropped),
		cmocka_unit_test(heads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
