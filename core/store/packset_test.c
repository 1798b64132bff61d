#include "store/packset.h"

#include "base/hash.h"
#include "base/mem.h"
#include "store/test_support.h"
#include "store/zpack.h"
#include "sys/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* An object whose content and id are told by its number. */
static void object(struct kg_buf *text, unsigned char id[20], unsigned i)
{
	kg_buf_clear(text);
	kg_buf_addf(text, "object %u, %08x\n", i, i * 2654435761u);
	kg_git_oid(id, "blob", text->data, text->len);
}

static void write_file(const char *dir, const char *name, const struct kg_buf *b)
{
	char *path KG_AUTOFREE = kg_asprintf("%s/%s", dir, name);
	FILE *f = fopen(path, "wbe");

	assert_non_null(f);
	assert_int_equal(fwrite(b->data, 1, b->len, f), b->len);
	assert_int_equal(fclose(f), 0);
}

/* A pack of the objects [from, to), its files named by `name`. */
static void write_pack(const char *dir, const char *name, unsigned from, unsigned to)
{
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	char *idx KG_AUTOFREE = kg_asprintf("pack-%s.idx", name);
	char *pack KG_AUTOFREE = kg_asprintf("pack-%s.pack", name);
	struct kg_pack *p = kg_pack_new();
	const struct kg_buf *data, *index;
	unsigned char id[20];

	for (unsigned i = from; i < to; i++) {
		object(&text, id, i);
		kg_pack_add(p, KG_PACK_BLOB, text.data, text.len, id);
	}
	kg_pack_finish(p, &data, &index, id);
	write_file(dir, pack, data);
	write_file(dir, idx, index);
	kg_pack_free(p);
}

static bool reads(const struct kg_packset *s, unsigned i)
{
	struct kg_buf want KG_AUTOBUF = KG_BUF_INIT, got KG_AUTOBUF = KG_BUF_INIT;
	unsigned char id[20];

	object(&want, id, i);
	kg_buf_adds(&got, "before");
	if (!kg_packset_read(&got, s, KG_PACK_BLOB, id, 1000)) {
		assert_string_equal(got.data, "before");
		return false;
	}
	assert_int_equal(got.len, want.len + 6);
	assert_memory_equal(got.data + 6, want.data, want.len + 1);
	return true;
}

static void test_small_and_large(void **state)
{
	char *dir = test_dir();

	(void)state;
	write_pack(dir, "a", 0, 10);
	write_pack(dir, "b", 5, 3000); /* some are in two packs */
	write_pack(dir, "large", 3000, 103001);
	struct kg_packset *s = kg_packset_new(dir);
	for (unsigned i = 0; i < 103001; i += i < 3010 ? 1 : 997)
		assert_true(reads(s, i));
	assert_false(reads(s, 103001));
	kg_packset_free(s);
	test_dir_remove(dir);
}

static void test_what_is_left_to_libgit2(void **state)
{
	char *dir = test_dir();
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT, out KG_AUTOBUF = KG_BUF_INIT;
	unsigned char id[20];

	(void)state;
	write_pack(dir, "a", 0, 3);
	struct kg_packset *s = kg_packset_new(dir);
	object(&text, id, 1);
	assert_true(kg_packset_read(&out, s, KG_PACK_BLOB, id, text.len));
	assert_false(kg_packset_read(&out, s, KG_PACK_BLOB, id, text.len - 1));
	assert_false(kg_packset_read(&out, s, KG_PACK_TREE, id, 1000));
	kg_packset_free(s);

	/* It does not matter where it is damaged: nothing wrong is ever read. */
	struct kg_buf good KG_AUTOBUF = KG_BUF_INIT;
	char *pack KG_AUTOFREE = kg_asprintf("%s/pack-a.pack", dir);
	char *idx KG_AUTOFREE = kg_asprintf("%s/pack-a.idx", dir);
	struct kg_error err;
	for (int which = 0; which < 2; which++) {
		const char *path = which ? idx : pack;

		kg_buf_clear(&good);
		assert_int_equal(kg_file_read(&good, path, 1 << 20, &err), 0);
		for (size_t i = 0; i<good.len; i += i> 20 && which ? 7 : 1) {
			good.data[i] = (char)(good.data[i] ^ 0x41);
			write_file(dir, which ? "pack-a.idx" : "pack-a.pack", &good);
			good.data[i] = (char)(good.data[i] ^ 0x41);
			s = kg_packset_new(dir);
			for (unsigned k = 0; k < 3; k++)
				reads(s, k);
			kg_packset_free(s);
		}
		write_file(dir, which ? "pack-a.idx" : "pack-a.pack", &good);
	}
	test_dir_remove(dir);
}

/* What lies beyond 2 GiB has its place in the index's table of large offsets. */
static void test_large_offset(void **state)
{
	char *dir = test_dir();
	char *idx KG_AUTOFREE = kg_asprintf("%s/pack-a.idx", dir);
	struct kg_buf index KG_AUTOBUF = KG_BUF_INIT;
	size_t offsets = 8 + 1024 + 24 * 3;
	char large[8] = {0}, first[4] = {(char)0x80};
	unsigned char id[20];
	struct kg_error err;
	size_t size;

	(void)state;
	write_pack(dir, "a", 0, 3);
	assert_int_equal(kg_file_read(&index, idx, 1 << 20, &err), 0);
	memcpy(large + 4, index.data + offsets + 4, 4); /* of the second by id */
	memcpy(id, index.data + 8 + 1024 + 20, 20);
	memcpy(index.data + offsets + 4, first, 4);
	size_t at = offsets + 12, behind = index.len - at;
	kg_buf_add(&index, large, 8);
	memmove(index.data + at + 8, index.data + at, behind);
	memcpy(index.data + at, large, 8);
	write_file(dir, "pack-a.idx", &index);
	struct kg_packset *s = kg_packset_new(dir);
	for (unsigned i = 0; i < 3; i++)
		assert_true(reads(s, i));
	assert_int_equal(kg_packset_size(&size, s, id, &err), 1);
	kg_packset_free(s);
	test_dir_remove(dir);
}

/* An entry of a pack, not deflated; base: what a delta's has before its payload. */
static void add_entry(struct kg_buf *pack, struct kg_zpack *z, unsigned type,
	const struct kg_buf *base, const struct kg_buf *payload)
{
	assert_true(payload->len < 1u << 11);
	kg_buf_addc(pack, (char)(0x80 | type << 4 | (payload->len & 15)));
	kg_buf_addc(pack, (char)(payload->len >> 4));
	kg_buf_add(pack, base->data, base->len);
	kg_zpack_add(pack, z, payload->data, payload->len, 1);
}

/* A pack of a tag, and of deltas each of the one before, by its place and by its id in turn. They
 * make 4 bytes each, the last one 100. Its index is git's. */
static void write_chain(const char *dir, uint32_t n)
{
	struct kg_buf pack KG_AUTOBUF = KG_BUF_INIT, base KG_AUTOBUF = KG_BUF_INIT;
	struct kg_buf payload KG_AUTOBUF = KG_BUF_INIT;
	char *path KG_AUTOFREE = kg_asprintf("%s/pack/pack-chain.pack", dir), text[100] = "0000";
	struct kg_zpack z = {0};
	unsigned char id[20];
	size_t last;

	kg_buf_add(&pack, "PACK\0\0\0\2", 8);
	for (int shift = 24; shift >= 0; shift -= 8)
		kg_buf_addc(&pack, (char)(n >> shift));
	kg_buf_adds(&payload, text);
	add_entry(&pack, &z, 4, &base, &payload); /* a tag */
	last = pack.len;
	add_entry(&pack, &z, KG_PACK_BLOB, &base, &payload);
	for (uint32_t i = 1; i < n - 1; i++) {
		size_t back = pack.len - last, size = i + 2 < n ? 4 : sizeof(text);

		kg_git_oid(id, "blob", text, 4);
		kg_buf_clear(&base);
		if (i % 2) {
			assert_in_range(back, 1, 127);
			kg_buf_addc(&base, (char)back);
		} else {
			kg_buf_add(&base, id, 20);
		}
		for (size_t k = 0; k < 4; k++)
			text[k] = (char)(i >> 8 * k);
		kg_buf_clear(&payload);
		kg_buf_addc(&payload, 4);
		kg_buf_addc(&payload, (char)size);
		kg_buf_addc(&payload, (char)size);
		kg_buf_add(&payload, text, size);
		last = pack.len;
		add_entry(&pack, &z, i % 2 ? 6 : 7, &base, &payload);
	}
	kg_sha1(id, pack.data, pack.len);
	kg_buf_add(&pack, id, 20);
	write_file(dir, "pack/pack-chain.pack", &pack);
	assert_int_equal(TEST_GIT(NULL, dir, "index-pack", path), 0);
	kg_zpack_release(&z);
}

static void check_chain(const struct kg_packset *s, uint32_t deltas)
{
	unsigned char id[20], last[20];
	char text[100] = {0};
	struct kg_error err;
	size_t depth;

	for (size_t k = 0; k < 4; k++)
		text[k] = (char)(deltas >> 8 * k);
	kg_git_oid(last, "blob", text, sizeof(text));
	assert_int_equal(kg_packset_depth(&depth, id, s, deltas, &err), 0);
	assert_int_equal(depth, deltas);
	assert_memory_equal(id, last, 20);
	assert_int_equal(kg_packset_depth(&depth, id, s, deltas - 1, &err), 0);
	assert_int_equal(depth, deltas);
	assert_int_equal(kg_packset_depth(&depth, id, s, 250, &err), 0);
	assert_int_equal(depth, 251);
}

/* Each object's size costs the same: were the chain followed, this would take minutes. So does how
 * deep it lies. */
static void test_sizes_of_a_chain(void **state)
{
	char *repo = test_dir(), *dir = test_dir();
	char *packs KG_AUTOFREE = kg_asprintf("%s/pack", dir);
	const char *none = "";
	unsigned char id[20];
	struct test_cluster c;
	struct kg_error err;
	size_t size;

	(void)state;
	assert_int_equal(mkdir(packs, 0700), 0);
	write_chain(dir, 100000);
	struct kg_packset *s = kg_packset_new(packs);
	kg_git_oid(id, "blob", "\7\0\0\0", 4);
	assert_int_equal(kg_packset_size(&size, s, id, &err), 1);
	assert_int_equal(size, 4);
	kg_git_oid(id, "blob", "0000", 4);
	assert_int_equal(kg_packset_size(&size, s, id, &err), 1);
	assert_int_equal(size, 4);
	kg_git_oid(id, "tag", "0000", 4);
	assert_int_equal(kg_packset_size(&size, s, id, &err), 1);
	assert_int_equal(size, 4);
	kg_git_oid(id, "blob", "0001", 4);
	assert_int_equal(kg_packset_size(&size, s, id, &err), 0);
	check_chain(s, 99998);
	kg_packset_free(s);

	assert_int_equal(test_open(&c, repo, true, NULL, &err), 0);
	struct kg_object_limits max = {100, 99998};
	assert_int_equal(kg_store_check_objects(c.store, dir, &none, 1, &max, &err), 0);
	max.delta_depth--;
	assert_true(kg_store_check_objects(c.store, dir, &none, 1, &max, &err) < 0);
	assert_int_equal(err.code, KG_E_TOO_LARGE);
	assert_non_null(strstr(err.msg, "more than 99997 deltas"));
	max = (struct kg_object_limits){99, 99998};
	assert_true(kg_store_check_objects(c.store, dir, &none, 1, &max, &err) < 0);
	assert_int_equal(err.code, KG_E_TOO_LARGE);
	assert_non_null(strstr(err.msg, "the blob "));
	assert_non_null(strstr(err.msg, " has 100 bytes, at most 99 are taken"));
	test_close(&c);
	test_dir_remove(repo);
	test_dir_remove(dir);
}

static void check_depth_is(const char *dir, int rc)
{
	struct kg_packset *s = kg_packset_new(dir);
	struct kg_error err = {0};
	unsigned char id[20];
	size_t depth = 7;

	assert_int_equal(kg_packset_depth(&depth, id, s, 50, &err), rc);
	if (rc)
		assert_memory_equal(err.msg, dir, strlen(dir));
	if (rc)
		assert_non_null(strstr(err.msg, "this pack cannot be mapped"));
	else
		assert_int_equal(depth, 0);
	kg_packset_free(s);
}

/* Of a pack that is left out nothing is said to be right. */
static void test_depth_is_not_known(void **state)
{
	char *dir = test_dir();
	char *idx KG_AUTOFREE = kg_asprintf("%s/pack-b.idx", dir);
	char *pack KG_AUTOFREE = kg_asprintf("%s/pack-b.pack", dir);
	struct kg_buf junk KG_AUTOBUF = KG_BUF_INIT;

	(void)state;
	check_depth_is("/nonexistent", 0);
	write_pack(dir, "a", 0, 3);
	check_depth_is(dir, 0);
	write_pack(dir, "b", 3, 5);
	check_depth_is(dir, 0);
	assert_int_equal(unlink(pack), 0);
	check_depth_is(dir, -KG_E_IO);
	assert_int_equal(unlink(idx), 0);
	check_depth_is(dir, 0);
	kg_buf_adds(&junk, "junk");
	write_file(dir, "pack-b.idx", &junk);
	check_depth_is(dir, -KG_E_IO);
	check_depth_is(pack, 0); /* there is no such directory */
	check_depth_is(idx, -KG_E_IO);
	test_dir_remove(dir);
}

static void test_nothing_there(void **state)
{
	char *dir = test_dir();
	struct kg_buf junk KG_AUTOBUF = KG_BUF_INIT;

	(void)state;
	struct kg_packset *s = kg_packset_new(dir);
	assert_false(reads(s, 0));
	kg_packset_free(s);
	kg_buf_adds(&junk, "junk");
	write_file(dir, "pack-a.idx", &junk);
	write_file(dir, "pack-b.pack", &junk);
	kg_buf_clear(&junk);
	write_file(dir, "pack-c.idx", &junk);
	s = kg_packset_new(dir);
	assert_false(reads(s, 0));
	kg_packset_free(s);
	s = kg_packset_new("/nonexistent");
	assert_false(reads(s, 0));
	kg_packset_free(s);
	test_dir_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small_and_large),
		cmocka_unit_test(test_what_is_left_to_libgit2),
		cmocka_unit_test(test_sizes_of_a_chain),
		cmocka_unit_test(test_large_offset),
		cmocka_unit_test(test_depth_is_not_known),
		cmocka_unit_test(test_nothing_there),
	};

	return cmocka_run_group_tests_name("packset", tests, NULL, NULL);
}
