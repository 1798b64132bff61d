#include "kgitd/push_answer.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void packet(struct kg_buf *out, const char *text)
{
	kg_buf_addf(out, "%04zx%s", strlen(text) + 4, text);
}

static size_t packet_length(const char *p)
{
	char digits[5] = {p[0], p[1], p[2], p[3]};

	return strtoul(digits, NULL, 16);
}

/* The whole stream, given in pieces of that size, with advice where it is wanted. */
static void pass(
	struct kg_buf *out, struct kgd_push_answer *a, const struct kg_buf *in, size_t piece)
{
	*a = (struct kgd_push_answer){0};
	kg_buf_clear(out);
	for (size_t i = 0; i < in->len;) {
		size_t n = in->len - i < piece ? in->len - i : piece;
		bool due;
		size_t took = kgd_push_answer_follow(a, in->data + i, n, &due);

		kg_buf_add(out, in->data + i, took);
		assert_true(due || took == n);
		if (due)
			kgd_push_answer_advice(out, 1000);
		i += took;
	}
}

static void test_frames(void **state)
{
	struct kg_buf in KG_AUTOBUF = KG_BUF_INIT, out KG_AUTOBUF = KG_BUF_INIT;
	struct kgd_push_answer a;

	(void)state;
	packet(&in, "\2Unpacking\n");
	packet(&in, "\1unpack ok\n");
	kg_buf_adds(&in, "0000");
	for (size_t piece = 1; piece <= in.len; piece++) {
		pass(&out, &a, &in, piece);
		assert_int_equal(out.len, in.len);
		assert_memory_equal(out.data, in.data, in.len);
		assert_true(a.flushed);
		assert_false(a.out);
	}
	for (size_t n = 0; n < in.len; n++) {
		struct kg_buf half = {.data = in.data, .len = n};

		pass(&out, &a, &half, 7);
		assert_false(a.flushed);
	}
}

/* What git said may lie in two packets; the advice comes behind its line, however it is read. */
static void test_out_of_memory(void **state)
{
	static const char advice[] = "\2git may have 1000 bytes of memory";
	struct kg_buf in KG_AUTOBUF = KG_BUF_INIT, out KG_AUTOBUF = KG_BUF_INIT;
	struct kgd_push_answer a;

	(void)state;
	packet(&in, "\2Resolving deltas:  99% (1/2)\rfatal: Out o");
	packet(&in, "\2f memory, malloc failed (tried");
	packet(&in, "\2 to allocate 16777215 bytes)\n");
	size_t said = in.len;
	packet(&in, "\1unpack index-pack abnormal exit\n");
	kg_buf_adds(&in, "0000");
	for (size_t piece = 1; piece <= in.len; piece++) {
		pass(&out, &a, &in, piece);
		assert_true(a.flushed);
		assert_memory_equal(out.data, in.data, said);
		assert_memory_equal(out.data + said + 4, advice, strlen(advice));
		assert_int_equal(packet_length(out.data + said), out.len - in.len);
		assert_memory_equal(
			out.data + out.len - (in.len - said), in.data + said, in.len - said);
	}
}

/* It is nobody's but git's to say: not what a manifest's report quotes. */
static void test_others_say_it(void **state)
{
	struct kg_buf in KG_AUTOBUF = KG_BUF_INIT, out KG_AUTOBUF = KG_BUF_INIT;
	struct kgd_push_answer a;

	(void)state;
	packet(&in, "\1out of memory\n");
	packet(&in, "\2out of mem\n");
	packet(&in, "\2fatal: out of uut of memor\n");
	packet(&in, "\2y\n");
	packet(&in, "\2a.yaml:1:1: no such kind \"fatal: out of memory\"\n");
	packet(&in, "\2out of memory\n");
	packet(&in, "\2fata");
	packet(&in, "\2x fatal: out of memory\n");
	packet(&in, "\2fatal: no\rout of memory\n");
	kg_buf_adds(&in, "0000");
	pass(&out, &a, &in, in.len);
	assert_false(a.out);
	assert_int_equal(out.len, in.len);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_others_say_it),
	};

	return cmocka_run_group_tests_name("push_answer", tests, NULL, NULL);
}
