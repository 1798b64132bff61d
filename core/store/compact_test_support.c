#include "store/compact_test_support.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

int compact_setup(void **state)
{
	*state = test_dir();
	test_pack_limit = 1000000;
	return 0;
}

int compact_teardown(void **state)
{
	test_dir_remove(*state);
	return 0;
}

struct test_template compact_template;

void compact_set_value(struct test_cluster *c, int value)
{
	char text[80];

	snprintf(text, sizeof(text), "value %d", value);
	test_put_configmap(c, "default", "value", text);
}

void compact_fill(struct test_cluster *c, uint64_t to)
{
	while (c->now->revision < to) {
		uint64_t r = c->now->revision;
		char pod[32];

		compact_set_value(c, (int)r);
		snprintf(pod, sizeof(pod), "web-%d", (int)(r % 50));
		if (r % 3 == 0)
			test_put_pod(c, &compact_template, "default", pod, "node-1");
		OK(test_commit(c, &err));
		if (r % 7 == 0)
			test_flush(c);
	}
}

struct kg_compact_options compact_now_and_all(uint64_t revisions)
{
	return (struct kg_compact_options){.revisions = revisions,
		.now = TEST_TIME,
		.grace_ms = KG_COMPACT_NO_GRACE,
		.force = true};
}

struct kg_compact_result compact_all(struct test_cluster *c, uint64_t revisions)
{
	struct kg_compact_options o = compact_now_and_all(revisions);
	struct kg_compact_result result;

	OK(kg_store_compact(&result, c->store, &o, &err));
	return result;
}

bool compact_has_object(const char *dir, const char *hex)
{
	return TEST_GIT(NULL, dir, "cat-file", "-e", hex) == 0;
}

void compact_commit_of(char out[41], struct test_cluster *c, uint64_t revision)
{
	struct kg_snapshot *s = NULL;

	OK(kg_store_load_at(&s, c->store, revision, &err));
	memcpy(out, s->commit, 41);
	kg_snapshot_unref(s);
}

static int count_changes(
	void *ctx, uint64_t revision, kg_time time, const struct kg_changes *changes)
{
	(void)revision;
	(void)time;
	*(size_t *)ctx += changes->len;
	return 0;
}

void compact_check_readable(struct test_cluster *c, uint64_t oldest)
{
	struct kg_snapshot *s = NULL;
	struct kg_error e = {0};
	size_t n = 0;

	assert_int_equal(kg_store_oldest(c->store), oldest);
	for (uint64_t r = oldest; r <= c->now->revision; r++) {
		OK(kg_store_load_at(&s, c->store, r, &err));
		assert_int_equal(s->revision, r);
		kg_snapshot_unref(s);
	}
	OK(kg_store_changes(c->store, oldest, c->now->revision, 0, count_changes, &n, &err));
	assert_true(n >= c->now->revision - oldest);
	if (oldest == 0)
		return;
	assert_int_equal(kg_store_load_at(&s, c->store, oldest - 1, &e), -KG_E_GONE);
	char *want KG_AUTOFREE = kg_asprintf("the oldest that is kept is %d", (int)oldest);
	assert_non_null(strstr(e.msg, want));
	assert_int_equal(kg_store_changes(c->store, oldest - 1, oldest, 0, count_changes, &n, &e),
		-KG_E_GONE);
}

void compact_reopen(struct test_cluster *c)
{
	char *dir KG_AUTOFREE = kg_strdup(c->dir);

	test_close(c);
	OK(test_open(c, dir, false, NULL, &err));
}

bool compact_any_hidden(const char *repo)
{
	char *packs KG_AUTOFREE = kg_asprintf("%s/objects/pack", repo);
	DIR *d = opendir(packs);
	struct dirent *e;
	bool found = false;

	assert_non_null(d);
	while ((e = readdir(d)))
		found |= strncmp(e->d_name, "hidden-", 7) == 0;
	closedir(d);
	return found;
}

size_t compact_count_lines(const char *dir, const char *const *args)
{
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;
	size_t n = 0;

	assert_int_equal(test_git(&out, dir, args), 0);
	for (size_t i = 0; i < out.len; i++)
		n += out.data[i] == '\n';
	return n;
}
