#include "store/delta.h"
#include "store/deltify.h"
#include "store/packfile.h"
#include "store/test_support.h"

#include "base/hash.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t seed = 1;

static unsigned chance(unsigned n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % n;
}

static void add_noise(struct kg_buf *b, size_t n)
{
	while (n--)
		kg_buf_addc(b, (char)chance(256));
}

/* Makes the delta, which must be right, and no other target's; returns its length. */
static size_t make(const char *base, size_t base_len, const char *target, size_t target_len)
{
	struct kg_delta d KG_CLEANUP(kg_delta_release) = {0};
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT, other KG_AUTOBUF = KG_BUF_INIT;

	kg_buf_adds(&out, "before");
	assert_true(kg_delta_make(&out, &d, base, base_len, target, target_len, SIZE_MAX / 2));
	const char *delta = out.data + 6;
	size_t len = out.len - 6;
	assert_memory_equal(out.data, "before", 6);
	assert_true(kg_delta_is(delta, len, base, base_len, target, target_len));
	kg_buf_add(&other, target, target_len);
	kg_buf_addc(&other, 'x');
	assert_false(kg_delta_is(delta, len, base, base_len, other.data, other.len));
	if (target_len) {
		other.data[chance((unsigned)target_len)] ^= 1;
		assert_false(kg_delta_is(delta, len, base, base_len, other.data, target_len));
	}
	assert_false(kg_delta_is(delta, len - 1, base, base_len, target, target_len));
	/* A bound that it just keeps, and one that it does not. */
	kg_buf_clear(&other);
	assert_true(kg_delta_make(&other, &d, base, base_len, target, target_len, len));
	assert_int_equal(other.len, len);
	assert_memory_equal(other.data, delta, len);
	kg_buf_clear(&other);
	assert_false(kg_delta_make(&other, &d, base, base_len, target, target_len, len - 1));
	return len;
}

static const struct {
	const char *base, *target;
	size_t most; /* bytes of the delta */
} texts[] = {
	{"", "", 2},
	{"", "something", 12},
	{"something", "", 2},
	{"the same as it was", "the same as it was", 4},
	{"one\n", "one\ntwo\n", 9},
	{"revision: 1234567\ntime: x\n", "revision: 1234568\ntime: x\n", 9},
	{"metadata:\n  name: a\nspec:\n  nodeName: node-1\n", "metadata:\n  name: a\n", 4},
	{"0123456789abcdefghijklmnopqrstuv", "ghijklmnopqrstuv0123456789abcdef", 8},
};

static void test_texts(void **state)
{
	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(texts); i++)
		assert_in_range(make(texts[i].base, strlen(texts[i].base), texts[i].target,
					strlen(texts[i].target)),
			2, texts[i].most);
}

static void change(struct kg_buf *to, const struct kg_buf *from)
{
	kg_buf_clear(to);
	kg_buf_add(to, kg_buf_str(from), from->len);
	for (unsigned n = chance(6); n; n--) {
		size_t at = chance((unsigned)to->len + 1), len = chance(300);

		switch (chance(4)) {
		case 0:
			kg_buf_remove(to, at, len < to->len - at ? len : to->len - at);
			break;
		case 1:
			add_noise(to, len);
			break;
		case 2: /* what is there once more */
			kg_buf_reserve(to, len);
			kg_buf_add(to, to->data + at, len < to->len - at ? len : to->len - at);
			break;
		default:
			if (at < to->len)
				to->data[at] ^= 0x55;
		}
	}
}

static void test_random(void **state)
{
	struct kg_buf a KG_AUTOBUF = KG_BUF_INIT, b KG_AUTOBUF = KG_BUF_INIT;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		if (i % 50 == 0) {
			kg_buf_clear(&a);
			add_noise(&a, i % 100 ? chance(200) : chance(200000));
		}
		change(&b, &a);
		size_t len = make(kg_buf_str(&a), a.len, kg_buf_str(&b), b.len);
		assert_true(len <= b.len + b.len / 127 + 12);
		if (i % 3 == 0)
			change(&a, &b);
	}
}

/* Nothing that a delta may say makes one read what is not there. */
static void test_malformed(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
	} bad[] = {{"", 0}, {"\4", 1}, {"\4\4", 2}, {"\4\4\0", 3}, {"\4\4\4abc", 6},
		{"\4\4\220", 3}, {"\4\4\221\1\4", 5}, {"\4\4\200", 3}, {"\4\4\220\4\220\4", 6},
		{"\5\4\220\4", 4}, {"\4\5\220\4", 4}, {"\377\377\377\377\377\377\377\377\377", 9},
		{"\4\4\237\377\377\377\377\4", 8}};

	(void)state;
	assert_true(kg_delta_is("\4\4\220\4", 4, "abcd", 4, "abcd", 4));
	assert_true(kg_delta_is("\4\4\4abcd", 7, "abcd", 4, "abcd", 4));
	for (size_t i = 0; i < KG_ARRAY_LEN(bad); i++)
		assert_false(kg_delta_is(bad[i].bytes, bad[i].n, "abcd", 4, "abcd", 4));
}

/* ---- packs ---- */

struct packing {
	struct kg_packfile *file;
	struct kg_deltify *deltas;
	unsigned n;
};

static void pack(struct packing *p, uint64_t group, const char *type, const struct kg_buf *b)
{
	struct kg_error err = {0};
	unsigned char id[20];
	int number = strcmp(type, "tree") == 0 ? 2 : 3;

	kg_git_oid(id, type, kg_buf_str(b), b->len);
	assert_int_equal(
		kg_deltify_add(p->deltas, group, id, number, kg_buf_str(b), b->len, &err), 0);
	p->n++;
}

#define VERSIONS 250
#define THINGS   40

static void pack_all(struct packing *p)
{
	struct kg_buf b KG_AUTOBUF = KG_BUF_INIT;

	for (int i = 0; i < VERSIONS; i++) { /* of one thing */
		kg_buf_clear(&b);
		kg_buf_addf(&b, "revision: %d\ntime: \"2025-11-25T17:22:%d.7Z\"\n", i, i);
		pack(p, UINT64_C(1) << 48, "blob", &b);
	}
	for (int i = 0; i < THINGS; i++) { /* of a kind, of three families */
		kg_buf_clear(&b);
		kg_buf_addf(&b, "name: pod-%d\nsomething: that all of them have\nuid: %d\n", i, i);
		kg_buf_addf(&b, "owner: of the family of number %d, as all in it\n", i / 16);
		pack(p, UINT64_C(2) << 48 | (uint64_t)(i / 16 + 1) << 24 | (unsigned)i, "blob", &b);
	}
	kg_buf_clear(&b);
	kg_buf_add(&b, "100644 a\0", 9);
	add_noise(&b, 20);
	pack(p, UINT64_C(2) << 48, "tree", &b); /* no version of a blob, whatever the group */
	kg_buf_clear(&b);
	add_noise(&b, 3 * KG_DELTA_MAX);
	pack(p, 7, "blob", &b);
	kg_buf_addc(&b, 'x');
	pack(p, 7, "blob", &b);
	kg_buf_clear(&b);
	pack(p, 7, "blob", &b);
}

/* git takes the pack and our index for good, and finds as many steps as there should be. */
static void test_git_agrees(void **state)
{
	enum { N = VERSIONS + THINGS + 4 };
	char *dir = test_dir();
	char *path KG_AUTOFREE = kg_asprintf("%s/objects/pack/pack-x", dir);
	struct packing p = {0};
	struct kg_error err = {0};
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;
	unsigned char id[20];

	(void)state;
	assert_int_equal(TEST_GIT(NULL, dir, "init", "-q", "--bare", "."), 0);
	assert_int_equal(kg_packfile_new(&p.file, path, N, &err), 0);
	p.deltas = kg_deltify_new(p.file);
	pack_all(&p);
	assert_int_equal(p.n, N);
	assert_int_equal(kg_packfile_finish(p.file, id, &err), 0);
	kg_deltify_free(p.deltas);
	kg_packfile_free(p.file);
	assert_int_equal(TEST_GIT(&out, dir, "verify-pack", "-v", "objects/pack/pack-x.pack"), 0);
	assert_non_null(strstr(out.data, "chain length = 100:"));
	assert_null(strstr(out.data, "chain length = 101:"));
	/* The first of each thing, every hundredth version, one model; what is no version. */
	assert_non_null(strstr(out.data, "non delta: 8 objects"));
	assert_int_equal(
		TEST_GIT(NULL, dir, "index-pack", "-o", "git.idx", "objects/pack/pack-x.pack"), 0);
	test_dir_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_git_agrees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
