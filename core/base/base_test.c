/* Errors, memory, arenas, buffers and the log. */
#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_fail(void **state)
{
	struct kg_error err = {0};

	(void)state;
	assert_int_equal(kg_fail(&err, KG_E_CONFLICT, "ref %s moved", "main"), -KG_E_CONFLICT);
	assert_int_equal(err.code, KG_E_CONFLICT);
	assert_string_equal(err.msg, "ref main moved");
	assert_int_equal(kg_wrap(&err, "apply %d", 7), -KG_E_CONFLICT);
	assert_string_equal(err.msg, "apply 7: ref main moved");
	assert_int_equal(kg_fail(&err, KG_E_IO, "again: %s", err.msg), -KG_E_IO);
	assert_string_equal(err.msg, "again: apply 7: ref main moved");
	assert_int_equal(kg_fail(NULL, KG_E_GONE, "nobody asks"), -KG_E_GONE);
}

static void test_fail_errno(void **state)
{
	static const struct {
		int e;
		enum kg_code code;
		const char *msg;
	} cases[] = {
		{ENOENT, KG_E_NOT_FOUND, "open x: No such file or directory"},
		{EEXIST, KG_E_EXISTS, "open x: File exists"},
		{ENOSPC, KG_E_NO_SPACE, "open x: No space left on device"},
		{EDQUOT, KG_E_NO_SPACE, "open x: Disk quota exceeded"},
		{EACCES, KG_E_IO, "open x: Permission denied"},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_error err = {0};

		errno = cases[i].e;
		assert_int_equal(kg_fail_errno(&err, "open %s", "x"), -(int)cases[i].code);
		assert_int_equal(err.code, cases[i].code);
		assert_string_equal(err.msg, cases[i].msg);
		assert_int_equal(errno, cases[i].e);
		assert_int_equal(kg_fail_errno(NULL, "x"), -(int)cases[i].code);
	}
}

/* A message that does not fit ends with "..." behind a whole character. */
static void test_cut(void **state)
{
	char text[1200];
	struct kg_error err;

	(void)state;
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	kg_fail(&err, KG_E_IO, "%s", text);
	assert_int_equal(strlen(err.msg), 999);
	assert_string_equal(err.msg + 990, "aaaaaa...");
	for (size_t i = 0; i + 2 < sizeof(text); i += 2)
		memcpy(text + i, "\xC3\xA9", 2);
	for (int shift = 0; shift < 2; shift++) {
		kg_fail(&err, KG_E_IO, "%s%s", shift ? "x" : "", text);
		size_t n = strlen(err.msg);
		assert_string_equal(err.msg + n - 5, "\xC3\xA9...");
	}
	errno = EIO;
	kg_fail_errno(&err, "%s", text);
	assert_string_equal(err.msg + strlen(err.msg) - 3, "...");
	kg_fail(&err, KG_E_IO, "%.995s", text);
	errno = EIO;
	kg_wrap(&err, "far too long");
	assert_memory_equal(err.msg, "far too long: ", 14);
}

static void test_codes(void **state)
{
	(void)state;
	assert_string_equal(kg_code_name(KG_E_NOT_FOUND), "NOT_FOUND");
	assert_string_equal(kg_code_reason(KG_E_GONE), "Expired");
	assert_int_equal(kg_code_http(KG_E_INVALID), 422);
	assert_int_equal(kg_code_http(KG_E_UNSUPPORTED), 406);
	assert_int_equal(kg_code_http((enum kg_code)999), 500);
	assert_string_equal(kg_code_name((enum kg_code)999), "UNKNOWN");
}

static void test_int_text(void **state)
{
	static const int64_t numbers[] = {0, 7, -1, 10, 123456789, INT64_MAX, INT64_MIN};
	char text[24], want[24];

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(numbers); i++) {
		int n = snprintf(want, sizeof(want), "%lld", (long long)numbers[i]);
		assert_int_equal(kg_int_text(text, numbers[i]), n);
		assert_string_equal(text, want);
	}
}

static void test_buf(void **state)
{
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;

	(void)state;
	assert_string_equal(kg_buf_str(&b), "");
	kg_buf_clear(&b);
	kg_buf_add(&b, NULL, 0);
	kg_buf_adds(&b, "hello");
	kg_buf_addc(&b, ' ');
	kg_buf_addf(&b, "%s %d", "world", 42);
	assert_string_equal(kg_buf_str(&b), "hello world 42");
	kg_buf_remove(&b, 5, 6);
	assert_string_equal(kg_buf_str(&b), "hello 42");
	kg_buf_remove(&b, b.len, 0);
	for (int i = 0; i < 1000; i++)
		kg_buf_addf(&b, "%04d", i);
	assert_int_equal(b.len, 8 + 4000);
	assert_memory_equal(b.data + 8 + 4 * 567, "0567", 4);
	kg_buf_clear(&b);
	assert_string_equal(kg_buf_str(&b), "");
	kg_buf_addf(&b, "%0500d", 1);
	assert_int_equal(b.len, 500);
	KG_AUTOFREE char *stolen = kg_buf_steal(&b);
	assert_int_equal(strlen(stolen), 500);
	KG_AUTOFREE char *empty = kg_buf_steal(&b);
	assert_string_equal(empty, "");
}

static void test_memory(void **state)
{
	int *items = NULL;
	size_t cap = 0;

	(void)state;
	for (size_t i = 0; i < 1000; i++) {
		KG_GROW(items, cap, i + 1);
		items[i] = (int)i;
	}
	assert_true(cap >= 1000);
	assert_int_equal(items[999], 999);
	free(items);
	assert_null(kg_strdup(NULL));
	KG_AUTOFREE char *s = kg_strndup("abcdef", 3);
	assert_string_equal(s, "abc");
	KG_AUTOFREE char *f = kg_asprintf("%s-%d", s, 5);
	assert_string_equal(f, "abc-5");
	char *taken = kg_steal(&f);
	assert_null(f);
	free(taken);
	KG_AUTOFREE void *none = kg_memdup(NULL, 0);
	assert_non_null(none);
}

static void test_closep(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), copy = fd, none = -1;

	(void)state;
	assert_true(fd >= 0);
	errno = EXDEV;
	kg_closep(&fd);
	kg_closep(&none);
	assert_int_equal(errno, EXDEV);
	assert_int_equal(fcntl(copy, F_GETFD), -1);
}

static void test_arena(void **state)
{
	static const size_t sizes[] = {0, 1, 7, 8, 9, 100, 4000, 5000, 100000, 3, 2000000, 24};
	struct kg_arena a = KG_ARENA_INIT;
	size_t used = 0;

	(void)state;
	for (int round = 0; round < 50; round++) {
		for (size_t i = 0; i < KG_ARRAY_LEN(sizes); i++) {
			unsigned char *p = kg_arena_alloc(&a, sizes[i]);

			assert_int_equal((uintptr_t)p % 8, 0);
			for (size_t k = 0; k < sizes[i]; k++) {
				if (p[k])
					fail_msg("not zeroed");
			}
			memset(p, 0xAA, sizes[i]);
			used += (sizes[i] + 7) / 8 * 8;
			assert_int_equal(a.used, used);
		}
		if (round == 10) {
			kg_arena_release(&a);
			used = 0;
		}
	}
	assert_null(kg_arena_strdup(&a, NULL));
	assert_string_equal(kg_arena_strdup(&a, "x"), "x");
	assert_string_equal(kg_arena_strndup(&a, "xyz", 2), "xy");
	assert_int_equal(strlen(kg_arena_printf(&a, "%0300d", 1)), 300);
	assert_string_equal(kg_arena_printf(&a, "%d", 1), "1");
	kg_arena_release(&a);
	kg_arena_release(&a);

	_Alignas(16) char lent[KG_ARENA_LEAST];
	kg_arena_lend(&a, lent, sizeof(lent));
	for (int round = 0; round < 3; round++) {
		char *first = kg_arena_alloc(&a, 8), *more;

		assert_in_range((uintptr_t)first, (uintptr_t)lent, (uintptr_t)lent + sizeof(lent));
		memset(first, 1, 8);
		for (size_t i = 0; i < 100; i++) {
			more = kg_arena_alloc(&a, i * 8 + 8);
			for (size_t k = 0; k < i * 8 + 8; k++)
				assert_int_equal(more[k], 0);
			memset(more, 1, i * 8 + 8);
		}
		assert_int_equal(first[7], 1);
		kg_arena_release(&a);
	}
}

/* What the calls in `fn` write to stderr. */
static size_t captured(char *out, size_t size, void (*fn)(void))
{
	int fds[2], saved = dup(STDERR_FILENO);

	assert_true(saved >= 0);
	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	dup2(fds[1], STDERR_FILENO);
	fn();
	dup2(saved, STDERR_FILENO);
	ssize_t n = read(fds[0], out, size - 1);
	out[n > 0 ? n : 0] = '\0';
	close(fds[0]);
	close(fds[1]);
	close(saved);
	return n > 0 ? (size_t)n : 0;
}

static void log_some(void)
{
	errno = ENOENT;
	kg_info("one\ntwo %d", 3);
	assert_int_equal(errno, ENOENT);
	kg_debug("not seen");
	kg_log_set_level(KG_LOG_ERROR);
	kg_warn("not seen either");
	kg_error_log("bad");
	kg_log_set_level(KG_LOG_INFO);
}

static void test_log(void **state)
{
	char text[4096];

	(void)state;
	assert_true(captured(text, sizeof(text), log_some) > 0);
	char *second = strchr(text, '\n');
	assert_non_null(second);
	*second++ = '\0';
	assert_string_equal(text + strlen("2026-11-26T04:28:06.000000Z"), " info one two 3");
	assert_string_equal(second + strlen("2026-11-26T04:28:06.000000Z"), " error bad\n");
}

static void test_uri(void **state)
{
	struct kg_buf b KG_AUTOBUF = KG_BUF_INIT;

	(void)state;
	kg_buf_add_uri(&b, "aZ0-._~");
	kg_buf_add_uri(&b, "/?a=b&c d%+\xC3\xA9\n");
	assert_string_equal(b.data, "aZ0-._~%2F%3Fa%3Db%26c%20d%25%2B%C3%A9%0A");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fail),
		cmocka_unit_test(test_fail_errno),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_uri),
		cmocka_unit_test(test_codes),
		cmocka_unit_test(test_int_text),
		cmocka_unit_test(test_buf),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_closep),
		cmocka_unit_test(test_arena),
		cmocka_unit_test(test_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
