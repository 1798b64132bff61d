#include "store/packset.h"

#include "base/hash.h"
#include "base/mem.h"
#include "store/test_support.h"
#include "sys/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

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
		cmocka_unit_test(test_nothing_there),
	};

	return cmocka_run_group_tests_name("packset", tests, NULL, NULL);
}
