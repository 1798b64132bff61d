#include "store/packed.h"
#include "store/pending.h"
#include "store/test_support.h"

#include "base/hash.h"
#include "base/mem.h"
#include "sys/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Sizes around every border: of the size header, of a stored block, of what is stored at all, of a
 * piece that is deflated at once. */
static const size_t sizes[] = {0, 1, 15, 16, 31, 32, 33, 2047, 2048, 65534, 65535, 65536, 65537,
	131070, 131071, 300000, 1048575, 1048576, 1048577, 2500000};

static void fill(struct kg_buf *b, size_t n, bool noise)
{
	uint64_t x = n + 1;

	kg_buf_clear(b);
	kg_buf_reserve(b, n + 1);
	for (size_t i = 0; i < n; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		kg_buf_addc(b, noise ? (char)(x >> 56) : "apiVersion: v1\n"[i % 15]);
	}
}

static void save(const char *dir, const char *name, const struct kg_buf *b)
{
	char *path KG_AUTOFREE = kg_asprintf("%s/%s", dir, name);
	struct kg_error err = {0};

	assert_int_equal(kg_file_replace(path, b->data, b->len, 0644, &err), 0);
}

static void check_index_same(const char *dir, const struct kg_buf *index)
{
	struct kg_buf theirs KG_AUTOBUF = KG_BUF_INIT;
	struct kg_error err = {0};
	char *path KG_AUTOFREE = kg_asprintf("%s/git.idx", dir);

	assert_int_equal(kg_file_read(&theirs, path, 1 << 26, &err), 0);
	assert_int_equal(theirs.len, index->len);
	assert_memory_equal(theirs.data, index->data, index->len);
}

/* git makes the very same index of our pack, and verifies both. */
static void test_git_agrees(void **state)
{
	char *dir = test_dir();
	struct kg_pack *p = kg_pack_new();
	struct kg_buf b KG_AUTOBUF = KG_BUF_INIT;
	const struct kg_buf *pack, *index;
	unsigned char id[20], id2[20];

	(void)state;
	assert_int_equal(TEST_GIT(NULL, dir, "init", "-q", "--bare", "."), 0);
	for (int round = 0; round < 3; round++) {
		kg_pack_clear(p);
		for (size_t i = 0; i < KG_ARRAY_LEN(sizes); i++) {
			fill(&b, sizes[i], round == 1);
			kg_pack_add(p, KG_PACK_BLOB, kg_buf_str(&b), b.len, id);
			/* Twice is once. */
			kg_pack_add(p, KG_PACK_BLOB, kg_buf_str(&b), b.len, id2);
			assert_memory_equal(id, id2, 20);
			kg_git_oid(id2, "blob", kg_buf_str(&b), b.len);
			assert_memory_equal(id, id2, 20);
		}
		for (int i = 0; round == 2 && i < 5000; i++) {
			kg_buf_clear(&b);
			kg_buf_addf(&b, "100644 f%d%c", i, 0);
			kg_buf_add(&b, id, 20);
			kg_pack_add(p, KG_PACK_TREE, b.data, b.len, id2);
		}
		assert_int_equal(kg_pack_count(p), KG_ARRAY_LEN(sizes) + (round == 2 ? 5000 : 0));
		kg_pack_finish(p, &pack, &index, id);
		save(dir, "ours.pack", pack);
		save(dir, "ours.idx", index);
		char *ours KG_AUTOFREE = kg_asprintf("%s/ours.pack", dir);
		char *ours_idx KG_AUTOFREE = kg_asprintf("%s/ours.idx", dir);
		char *git_idx KG_AUTOFREE = kg_asprintf("%s/git.idx", dir);
		assert_int_equal(
			TEST_GIT(NULL, dir, "index-pack", "--strict", "-o", git_idx, ours), 0);
		check_index_same(dir, index);
		assert_int_equal(TEST_GIT(NULL, dir, "verify-pack", ours_idx), 0);
	}
	kg_pack_free(p);
	test_dir_remove(dir);
}

static void add_sizes(struct kg_pack *p)
{
	struct kg_buf b KG_AUTOBUF = KG_BUF_INIT;
	unsigned char id[20];

	for (size_t i = 0; i < KG_ARRAY_LEN(sizes); i++) {
		fill(&b, sizes[i], false);
		kg_pack_add(p, i % 3 ? KG_PACK_BLOB : KG_PACK_TREE, kg_buf_str(&b), b.len, id);
	}
}

/* What was stored plain is deflated by another pack, and is the same for git. */
static void test_plain(void **state)
{
	char *dir = test_dir();
	struct kg_pack *plain = kg_pack_new(), *later = kg_pack_new(), *whole = kg_pack_new();
	const struct kg_buf *pack, *index, *want, *want_index;
	unsigned char id[20];
	struct kg_error err;

	(void)state;
	assert_int_equal(TEST_GIT(NULL, dir, "init", "-q", "--bare", "."), 0);
	kg_pack_set_plain(plain, true);
	add_sizes(plain);
	add_sizes(whole);
	kg_pack_finish(plain, &pack, &index, id);
	kg_pack_finish(whole, &want, &want_index, id);
	struct kg_packed in = {.pack = (const unsigned char *)pack->data,
		.pack_len = pack->len,
		.index = (const unsigned char *)index->data,
		.index_len = index->len};
	assert_int_equal(kg_packed_deflate(later, &in, &err), 0);
	kg_pack_finish(later, &pack, &index, id);
	assert_int_equal(kg_pack_count(later), kg_pack_count(whole));
	/* All but the few that are larger than one stored block. */
	assert_true(pack->len < in.pack_len);
	assert_true(pack->len >= want->len);
	save(dir, "ours.pack", pack);
	save(dir, "ours.idx", index);
	char *ours_idx KG_AUTOFREE = kg_asprintf("%s/ours.idx", dir);
	assert_int_equal(TEST_GIT(NULL, dir, "verify-pack", ours_idx), 0);

	/* A second time there is nothing to do. */
	in = (struct kg_packed){.pack = (const unsigned char *)pack->data,
		.pack_len = pack->len,
		.index = (const unsigned char *)index->data,
		.index_len = index->len};
	kg_pack_clear(whole);
	assert_int_equal(kg_packed_deflate(whole, &in, &err), 0);
	kg_pack_finish(whole, &want, &want_index, id);
	assert_int_equal(want->len, pack->len);
	kg_pack_free(plain);
	kg_pack_free(later);
	kg_pack_free(whole);
	test_dir_remove(dir);
}

/* A large pack is deflated as it grows, so that it never takes much more than it will have to. */
static void test_plain_and_large(void **state)
{
	struct kg_pack *p = kg_pack_new();
	struct kg_buf b KG_AUTOBUF = KG_BUF_INIT;
	const struct kg_buf *pack, *index;
	unsigned char id[20];

	(void)state;
	kg_pack_set_plain(p, true);
	for (int i = 0; i < 100; i++) {
		fill(&b, 200000, false);
		kg_buf_addf(&b, "%d", i);
		kg_pack_add(p, KG_PACK_BLOB, b.data, b.len, id);
	}
	kg_pack_finish(p, &pack, &index, id);
	assert_true(pack->len > (4u << 20) && pack->len < (5u << 20));
	kg_pack_free(p);
}

static size_t add_pending(struct kg_pending *to, struct kg_pack *p, uint64_t revision, size_t n)
{
	struct kg_buf b KG_AUTOBUF = KG_BUF_INIT;
	struct kg_append a = {.revision = revision};
	const struct kg_buf *pack, *index;

	kg_pack_clear(p);
	kg_pack_set_plain(p, true);
	fill(&b, n, false);
	kg_buf_addf(&b, "%d", (int)revision);
	kg_pack_add(p, KG_PACK_BLOB, b.data, b.len, a.commit);
	kg_pack_add(p, KG_PACK_BLOB, "in all", 6, a.commit);
	kg_pack_finish(p, &pack, &index, a.pack_id);
	a.pack = pack->data;
	a.pack_len = pack->len;
	a.index = index->data;
	a.index_len = index->len;
	kg_pending_add(to, &a);
	return pack->len;
}

/* What is pending as one pack: little of it deflated, much of it as it lies. */
static void test_folded(void **state)
{
	(void)state;
	for (int much = 0; much < 2; much++) {
		char *dir = test_dir();
		struct kg_pending *pending = kg_pending_new();
		struct kg_pack *p = kg_pack_new();
		const struct kg_append *folded;
		size_t plain = 0;
		struct kg_error err;

		assert_int_equal(TEST_GIT(NULL, dir, "init", "-q", "--bare", "."), 0);
		for (uint64_t i = 1; i <= 3; i++)
			plain += add_pending(pending, p, i, much ? 500000 : 5000);
		assert_int_equal(kg_pending_fold(&folded, pending, &err), 0);
		assert_int_equal(folded->revision, 3);
		/* One of the three objects is in all of them. */
		if (much)
			assert_in_range(folded->pack_len, plain - 200, plain);
		else
			assert_true(folded->pack_len < plain / 2);
		save(dir, "ours.pack",
			&(struct kg_buf){
				.data = (char *)(uintptr_t)folded->pack, .len = folded->pack_len});
		save(dir, "ours.idx",
			&(struct kg_buf){.data = (char *)(uintptr_t)folded->index,
				.len = folded->index_len});
		char *ours_idx KG_AUTOFREE = kg_asprintf("%s/ours.idx", dir);
		assert_int_equal(TEST_GIT(NULL, dir, "verify-pack", ours_idx), 0);
		kg_pending_drop(pending);
		assert_int_equal(kg_pending_fold(&folded, pending, &err), 0);
		assert_null(folded);
		kg_pending_unref(pending);
		kg_pack_free(p);
		test_dir_remove(dir);
	}
}

static void test_empty(void **state)
{
	char *dir = test_dir();
	struct kg_pack *p = kg_pack_new();
	const struct kg_buf *pack, *index;
	unsigned char id[20];

	(void)state;
	assert_int_equal(TEST_GIT(NULL, dir, "init", "-q", "--bare", "."), 0);
	kg_pack_finish(p, &pack, &index, id);
	save(dir, "ours.pack", pack);
	save(dir, "ours.idx", index);
	char *ours_idx KG_AUTOFREE = kg_asprintf("%s/ours.idx", dir);
	assert_int_equal(TEST_GIT(NULL, dir, "verify-pack", ours_idx), 0);
	kg_pack_free(p);
	test_dir_remove(dir);
}

/* Every id is found where it lies, and none that is not there, however they are spread. */
static void test_find(void **state)
{
	enum { N = 9000 };
	struct kg_pack_entry *entries KG_AUTOFREE = kg_alloc(N * sizeof(*entries));

	(void)state;
	for (int way = 0; way < 4; way++) {
		size_t n = way == 3 ? 1 : N;
		struct kg_buf index KG_AUTOBUF = KG_BUF_INIT;
		unsigned char id[20] = {0};
		uint32_t is;

		for (size_t i = 0; i < n; i++) {
			/* Evenly; all with one beginning; half of them. */
			kg_sha1(entries[i].id, &i, sizeof(i));
			if (way == 1 || (way == 2 && i % 2))
				memset(entries[i].id, 0x7f, 17);
			entries[i].id[19] &= 0xfe;
		}
		kg_pack_sort(entries, n);
		for (size_t i = 1; i < n; i++)
			assert_true(memcmp(entries[i - 1].id, entries[i].id, 20) <= 0);
		kg_pack_index_write(&index, entries, n, id);
		const unsigned char *p = (const unsigned char *)index.data;
		assert_true(kg_pack_index_check(p, index.len, &is));
		assert_int_equal(is, n);
		assert_false(kg_pack_index_check(p, index.len - 28, &is));
		for (size_t i = 0; i < n; i++) {
			int64_t at = kg_pack_index_find(p, is, entries[i].id);

			assert_in_range(at, 0, n - 1);
			assert_memory_equal(entries[at].id, entries[i].id, 20);
			entries[i].id[19] |= 1;
			assert_int_equal(kg_pack_index_find(p, is, entries[i].id), -1);
			entries[i].id[19] &= 0xfe;
		}
		assert_int_equal(kg_pack_index_find(p, is, id), -1);
		memset(id, 0xff, 20);
		assert_int_equal(kg_pack_index_find(p, is, id), -1);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_git_agrees),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_plain_and_large),
		cmocka_unit_test(test_folded),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_find),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
