#include "kgitd/gunzip.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static void gzip(struct kg_buf *out, const void *p, size_t n)
{
	z_stream z = {.next_in = (Bytef *)(uintptr_t)p, .avail_in = (uInt)n};

	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	kg_buf_reserve(out, deflateBound(&z, n));
	z.next_out = (Bytef *)out->data + out->len;
	z.avail_out = (uInt)deflateBound(&z, n);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	out->len += z.total_out;
	deflateEnd(&z);
}

/* A text that shrinks to little. */
static struct kg_buf make_text(size_t n)
{
	struct kg_buf b = KG_BUF_INIT;

	while (b.len < n)
		kg_buf_addf(&b, "%zu ", b.len);
	return b;
}

static void test_header(void **state)
{
	(void)state;
	assert_true(kgd_is_gzip("gzip"));
	assert_true(kgd_is_gzip("x-gzip"));
	assert_false(kgd_is_gzip("deflate"));
	assert_false(kgd_is_gzip(NULL));
}

static void test_whole(void **state)
{
	static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 100000};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(sizes); i++) {
		struct kg_buf text KG_AUTOBUF = make_text(sizes[i]);
		struct kg_buf packed KG_AUTOBUF = KG_BUF_INIT, out KG_AUTOBUF = KG_BUF_INIT;
		struct kg_error err;

		gzip(&packed, kg_buf_str(&text), text.len);
		assert_int_equal(kgd_gunzip_all(&out, &packed, 1 << 20, &err), 0);
		assert_int_equal(out.len, text.len);
		assert_memory_equal(kg_buf_str(&out), kg_buf_str(&text), text.len);
	}
}

static void test_refusals(void **state)
{
	struct kg_buf text KG_AUTOBUF = make_text(100000);
	struct kg_buf packed KG_AUTOBUF = KG_BUF_INIT, out KG_AUTOBUF = KG_BUF_INIT;
	struct kg_buf plain = {.data = (char[]){"plain"}, .len = 5};
	struct kg_error err;

	(void)state;
	gzip(&packed, text.data, text.len);
	assert_int_equal(kgd_gunzip_all(&out, &packed, 50000, &err), -KG_E_TOO_LARGE);
	kg_buf_clear(&out);
	assert_int_equal(kgd_gunzip_all(&out, &plain, 1 << 20, &err), -KG_E_BAD_REQUEST);
	kg_buf_clear(&out);
	packed.len -= 10;
	assert_int_equal(kgd_gunzip_all(&out, &packed, 1 << 20, &err), -KG_E_BAD_REQUEST);
	assert_string_equal(err.msg, "the gzip body is cut off");
}

/* Pieces of any length in, never more than `full` out at a time. */
static void test_steps(void **state)
{
	struct kg_buf text KG_AUTOBUF = make_text(70000);
	struct kg_buf packed KG_AUTOBUF = KG_BUF_INIT, out KG_AUTOBUF = KG_BUF_INIT;
	struct kgd_gunzip g KG_CLEANUP(kgd_gunzip_release);
	struct kg_buf step KG_AUTOBUF = KG_BUF_INIT;
	struct kg_error err;

	(void)state;
	gzip(&packed, text.data, text.len);
	kgd_gunzip_init(&g);
	for (size_t at = 0, piece = 1; at < packed.len; piece = piece * 7 % 101) {
		size_t n = packed.len - at < piece ? packed.len - at : piece, used;

		assert_int_equal(kgd_gunzip(&g, &step, 1000, packed.data + at, n, &used, &err), 0);
		assert_true(step.len <= 1000 && used <= n);
		kg_buf_add(&out, step.data, step.len);
		kg_buf_clear(&step);
		at += used;
	}
	assert_true(g.end);
	assert_int_equal(out.len, text.len);
	assert_memory_equal(out.data, text.data, text.len);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
