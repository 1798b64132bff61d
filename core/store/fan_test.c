#include "store/fan.h"
#include "store/pack.h"
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

/* xorshift64*: the same run every time. */
static uint64_t seed = 0x9e3779b97f4a7c15u;

static unsigned draw(unsigned below)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (unsigned)((seed * 2685821657736338717u) >> 33) % below;
}

static void no_sink(void *ctx, const void *raw, size_t len, unsigned char id[20])
{
	(void)ctx;
	kg_git_oid(id, "tree", raw, len);
}

static void id_of(unsigned char id[20], unsigned n)
{
	memset(id, 0, 20);
	memcpy(id, &n, sizeof(n));
	id[19] = 1;
}

/* File k of the test's world: "NS/pod-K.yaml", a third of them without a directory. */
static size_t path_of(const char *path[2], char buf[2][32], unsigned k)
{
	snprintf(buf[1], 32, "pod-%u.yaml", k);
	if (k % 3 == 0) {
		path[0] = buf[1];
		return 1;
	}
	snprintf(buf[0], 32, "ns-%u", k % 80);
	path[0] = buf[0];
	path[1] = buf[1];
	return 2;
}

static void put(struct kg_fan *f, unsigned k, unsigned content)
{
	char buf[2][32];
	const char *path[2];
	unsigned char id[20];
	size_t n = path_of(path, buf, k);

	id_of(id, content);
	kg_fan_put(f, path, n, id);
}

static bool drop(struct kg_fan *f, unsigned k)
{
	char buf[2][32];
	const char *path[2];
	size_t n = path_of(path, buf, k);

	return kg_fan_remove(f, path, n);
}

static const unsigned char *get(struct kg_fan *f, unsigned k)
{
	char buf[2][32];
	const char *path[2];
	size_t n = path_of(path, buf, k);

	return kg_fan_get(f, path, n);
}

/* The tree of a set made in the order of the numbers, never touched otherwise. */
static void reference(unsigned char id[20], const unsigned *content, unsigned n)
{
	struct kg_fan *f = kg_fan_new(false);

	for (unsigned k = 0; k < n; k++)
		if (content[k])
			put(f, k, content[k]);
	kg_fan_write(f, no_sink, NULL);
	memcpy(id, kg_fan_id(f), 20);
	kg_fan_free(f);
}

/* Random histories that end in the same set end in the same tree. */
static void test_shape_is_content(void **state)
{
	enum { WORLD = 1500 };
	static unsigned content[WORLD];
	struct kg_fan *f = kg_fan_new(false);
	unsigned char want[20];

	(void)state;
	memset(content, 0, sizeof(content));
	for (unsigned round = 0; round < 60; round++) {
		/* Grow for a while, then shrink, so that splits and merges both happen. */
		unsigned keep = round % 20 < 10 ? 80 : 15;

		for (unsigned i = 0; i < 150; i++) {
			unsigned k = draw(WORLD);

			if (draw(100) < keep) {
				content[k] = draw(1000) + 1;
				put(f, k, content[k]);
			} else {
				assert_int_equal(drop(f, k), content[k] != 0);
				content[k] = 0;
			}
		}
		for (unsigned k = 0; k < WORLD; k++)
			assert_int_equal(get(f, k) != NULL, content[k] != 0);
		kg_fan_write(f, no_sink, NULL);
		reference(want, content, WORLD);
		assert_memory_equal(kg_fan_id(f), want, 20);
	}
	for (unsigned k = 0; k < WORLD; k++)
		drop(f, k);
	assert_int_equal(kg_fan_count(f), 0);
	kg_fan_free(f);
}

static int count_trees(
	void *ctx, const char *name, const unsigned char *id, const struct kg_fan *dir)
{
	(void)name;
	(void)id;
	(void)dir;
	++*(size_t *)ctx;
	return 0;
}

static void counting_sink(void *ctx, const void *raw, size_t len, unsigned char id[20])
{
	size_t *sums = ctx;

	sums[0]++;
	sums[1] += len;
	kg_git_oid(id, "tree", raw, len);
}

/* One change among 100,000 files costs a handful of small trees. */
static void test_change_is_cheap(void **state)
{
	struct kg_fan *f = kg_fan_new(false);
	size_t sums[2] = {0}, entries = 0;
	char name[32];
	const char *path[2] = {"default", name};
	unsigned char id[20];

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		snprintf(name, sizeof(name), "web-%u.yaml", i);
		id_of(id, 1);
		kg_fan_put(f, path, 2, id);
	}
	kg_fan_write(f, no_sink, NULL);
	kg_fan_each(f, count_trees, &entries);
	assert_int_equal(entries, 1);
	id_of(id, 2);
	kg_fan_put(f, path, 2, id);
	kg_fan_write(f, counting_sink, sums);
	assert_in_range(sums[0], 3, 8);
	assert_in_range(sums[1], 100, 6000);
	/* Nothing changed: nothing made. */
	kg_fan_put(f, path, 2, id);
	kg_fan_write(f, counting_sink, sums);
	assert_in_range(sums[0], 3, 8);
	print_message(
		"100,000 files: %zu bytes a file in memory, %zu trees of %zu bytes a change\n",
		kg_fan_memory(f) / 100000, sums[0], sums[1]);
	kg_fan_free(f);
}

static void pack_sink(void *ctx, const void *raw, size_t len, unsigned char id[20])
{
	kg_pack_add(ctx, KG_PACK_TREE, raw, len, id);
}

static void save_pack(const char *dir, struct kg_pack *p)
{
	const struct kg_buf *pack, *index;
	unsigned char id[20];
	struct kg_error err = {0};
	char hex[41];

	kg_pack_finish(p, &pack, &index, id);
	kg_hex(hex, id, 20);
	char *a KG_AUTOFREE = kg_asprintf("%s/objects/pack/pack-%s.pack", dir, hex);
	char *b KG_AUTOFREE = kg_asprintf("%s/objects/pack/pack-%s.idx", dir, hex);
	assert_int_equal(kg_file_replace(a, pack->data, pack->len, 0444, &err), 0);
	assert_int_equal(kg_file_replace(b, index->data, index->len, 0444, &err), 0);
}

/* git takes the trees, and what is read back is the same directory. */
static void test_git_agrees(void **state)
{
	char *dir = test_dir();
	struct kg_pack *p = kg_pack_new();
	struct kg_fan *f = kg_fan_new(false), *back = NULL;
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;
	struct kg_error err = {0};
	unsigned char blob[20];
	git_odb *odb = NULL;
	char hex[41];

	(void)state;
	assert_int_equal(TEST_GIT(NULL, dir, "init", "-q", "--bare", "."), 0);
	kg_pack_add(p, KG_PACK_BLOB, "x", 1, blob);
	for (unsigned k = 0; k < 900; k++) {
		char buf[2][32];
		const char *path[2];
		size_t n = path_of(path, buf, k);

		kg_fan_put(f, path, n, blob);
	}
	kg_fan_write(f, pack_sink, p);
	save_pack(dir, p);
	kg_hex(hex, kg_fan_id(f), 20);
	assert_true(test_fsck(dir));
	assert_int_equal(TEST_GIT(&out, dir, "ls-tree", "-r", "--name-only", hex), 0);
	size_t lines = 0;
	for (size_t i = 0; i < out.len; i++)
		lines += out.data[i] == '\n';
	assert_int_equal(lines, 900);
	kg_git_init();
	char *objects KG_AUTOFREE = kg_asprintf("%s/objects", dir);
	assert_int_equal(git_odb_open(&odb, objects), 0);
	struct kg_reader r = {.odb = odb};
	assert_int_equal(kg_fan_load(&back, &r, kg_fan_id(f), false, &err), 0);
	assert_int_equal(kg_fan_count(back), kg_fan_count(f));
	/* The same change to both gives the same tree. */
	put(f, 5, 77);
	put(back, 5, 77);
	drop(f, 300);
	drop(back, 300);
	kg_fan_write(f, no_sink, NULL);
	kg_fan_write(back, no_sink, NULL);
	assert_memory_equal(kg_fan_id(f), kg_fan_id(back), 20);
	/* A directory of another shape is not one of ours. */
	struct kg_fan *flat = kg_fan_new(true), *bad = NULL;
	for (unsigned k = 0; k < 99; k += 3) {
		char buf[2][32];
		const char *path[2];
		size_t n = path_of(path, buf, k);

		kg_fan_put(flat, path, n, blob);
	}
	kg_pack_clear(p);
	kg_fan_write(flat, pack_sink, p);
	save_pack(dir, p);
	assert_int_equal(kg_fan_load(&bad, &r, kg_fan_id(flat), false, &err), -KG_E_CORRUPT);
	assert_int_equal(kg_fan_load(&bad, &r, kg_fan_id(flat), true, &err), 0);
	kg_fan_free(bad);
	kg_fan_free(flat);
	kg_fan_free(back);
	kg_fan_free(f);
	kg_pack_free(p);
	git_odb_free(odb);
	test_dir_remove(dir);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shape_is_content),
		cmocka_unit_test(test_change_is_cheap),
		cmocka_unit_test(test_git_agrees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
