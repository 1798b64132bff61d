#include "base/hash.h"
#include "base/mem.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_hex(const unsigned char *p, size_t n, const char *want)
{
	char text[129];

	kg_hex(text, p, n);
	assert_string_equal(text, want);
}

/* FIPS 180's examples, and what `git hash-object` says of an empty and a small blob. */
static void test_digests(void **state)
{
	unsigned char sha1[20], sha256[32];

	(void)state;
	kg_sha1(sha1, "abc", 3);
	assert_hex(sha1, 20, "a9993e364706816aba3e25717850c26c9cd0d89d");
	kg_sha256(sha256, "abc", 3);
	assert_hex(sha256, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	kg_git_oid(sha1, "blob", "", 0);
	assert_hex(sha1, 20, "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
	kg_git_oid(sha1, "blob", "hello\n", 6);
	assert_hex(sha1, 20, "ce013625030ba8dba906f756967f9e9ca394464a");
	kg_git_oid(sha1, "tree", "", 0);
	assert_hex(sha1, 20, "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
}

/* Names and addresses are made from this hash: its values are kept for good. */
static void test_hash64_is_stable(void **state)
{
	(void)state;
	assert_true(kg_hash64("", 0) == 0xEFD01F60BA992926);
	assert_true(kg_hash64("default/web", 11) == 0x043EBFB5CA037B82);
	assert_true(kg_hash64("a", 1) != kg_hash64("b", 1));
}

static void test_safe_encode(void **state)
{
	char a[41], b[41];

	(void)state;
	kg_safe_encode(a, 5, 0);
	assert_string_equal(a, "bbbbb");
	kg_safe_encode(a, 5, 1 + 26 * 27);
	assert_string_equal(a, "c9bbb");
	kg_safe_encode(a, 40, kg_hash64("web", 3));
	kg_safe_encode(b, 40, kg_hash64("web", 3));
	assert_string_equal(a, b);
	assert_int_equal(strspn(a, "bcdfghjklmnpqrstvwxz2456789"), 40);
	assert_null(strstr(a, "bbbbbbbb")); /* not padded with the zeros of a used-up hash */
	kg_safe_encode(a, 0, 1);
	assert_string_equal(a, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_digests),
		cmocka_unit_test(test_hash64_is_stable),
		cmocka_unit_test(test_safe_encode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
