/* What is removed since nothing uses it any more, beside real containers. */
#include "nodeagent/image_remove.h"
#include "nodeagent/image_store.h"
#include "nodeagent/pidns.h"
#include "nodeagent/podtest.h"
#include "sys/file.h"
#include "sys/spawn.h"
#include "value/testing.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

/* An image of a program that is not busybox's, which no other has. */
static void import_other(struct kg_podtest *t, const char *ref)
{
	KG_AUTOFREE char *program = kg_asprintf("%s/program", t->dir);
	KG_AUTOFREE char *layout = kg_asprintf("%s/layout", t->dir);
	KG_AUTOFREE char *text = kg_asprintf("#!/bin/sh\n# %s\nexec busybox \"$@\"\n", ref);
	KG_AUTOFREE char *env = kg_asprintf("BUSYBOX=%s", program);
	const char *argv[] = {
		"env", env, KGIT_SOURCE_DIR "/testdata/make-busybox-image", layout, NULL};
	struct kg_run r = {.spawn = KG_SPAWN_INIT};
	struct kg_error err;
	r.spawn.argv = argv;
	assert_int_equal(kg_file_replace(program, text, strlen(text), 0755, &err), 0);
	if (kg_run(&r, NULL, &err) < 0 || kg_image_import(t->dir, layout, ref, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(kg_remove_tree(layout, &err), 0);
}

static void stop_loop(void *ctx)
{
	kg_loop_stop(ctx, 0);
}

static unsigned count_entries(struct kg_podtest *t, const char *sub)
{
	KG_AUTOFREE char *path = kg_asprintf("%s/images/%s", t->dir, sub);
	DIR *d = opendir(path);
	unsigned n = 0;
	for (struct dirent *e; d && (e = readdir(d));)
		n += e->d_name[0] != '.';
	if (d)
		closedir(d);
	return n;
}

/* Runs the loop until the store has as many references and layers, and nothing is to be removed. */
static void await_images(struct kg_podtest *t, unsigned refs, unsigned layers)
{
	struct kg_timer *timer = kg_timer_new(t->loop, stop_loop, t->loop);
	struct kg_images *images;
	struct kg_error err;
	size_t have = 0;
	assert_int_equal(kg_images_open(&images, t->dir, &err), 0);
	for (int i = 0; i < 200; i++) {
		struct kg_map list = {0};
		kg_timer_set(timer, 100);
		kg_loop_run(t->loop);
		assert_int_equal(kg_images_list(&list, images, &err), 0);
		have = list.count;
		kg_images_list_release(&list);
		if (have == refs && count_entries(t, "layers") == layers &&
			count_entries(t, "trash") == 0)
			break;
	}
	kg_timer_free(timer);
	kg_images_free(images);
	assert_int_equal(have, refs);
	assert_int_equal(count_entries(t, "layers"), layers);
	assert_int_equal(count_entries(t, "trash"), 0);
}

/* With the disk too full images go that nothing uses; what runs, and what it is called meanwhile,
 * stays. */
static void test_image_gc(void **state)
{
	struct kg_podtest t;
	struct kg_error err;
	(void)state;
	kg_podtest_begin(&t, NULL, NULL);
	kg_podtest_add(&t, "uses", KG_PT_ONE(KG_PT_SLEEPER));
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, kg_podtest_ready, "uses", 10000);
	kg_podtest_image(t.dir);
	import_other(&t, "kgit.local/other:1");
	import_other(&t, "kgit.local/other:2");
	import_other(&t, "kgit.local/busybox:1"); /* the name moves */
	await_images(&t, 4, 4);
	/* Too young. */
	t.image_gc = (struct kg_image_gc_options){1, 0, 3600000, 50};
	kg_podtest_restart(&t, NULL, NULL);
	kg_podtest_apply(&t);
	await_images(&t, 4, 4);
	/* The names of others go, and what they alone have. */
	t.image_gc = (struct kg_image_gc_options){1, 0, 0, 50};
	kg_podtest_restart(&t, NULL, NULL);
	kg_podtest_apply(&t);
	await_images(&t, 2, 2);
	assert_true(kg_podtest_ready(&t, "uses"));
	assert_int_equal(kg_int(kg_get(kg_podtest_container(&t, "uses"), "restartCount"), -1), 0);
	/* What a crash left of a removal is done with the next. */
	KG_AUTOFREE char *note = kg_asprintf("%s/images/trash/%064d", t.dir, 0);
	assert_int_equal(kg_file_replace(note, "", 0, 0600, &err), 0);
	kg_podtest_remove(&t, "uses");
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, kg_podtest_gone, "uses", 10000);
	await_images(&t, 0, 0);
	assert_int_equal(count_entries(&t, "blobs/sha256"), 0);
	assert_int_equal(count_entries(&t, "l"), 1); /* the base of all */
	kg_podtest_end(&t);
}

/* What is told of a volume that was removed may be lost: the next view has it told again. */
static void test_volume_is_reclaimed(void **state)
{
	static const char text[] =
		"[{\"kind\":\"PersistentVolume\",\"metadata\":{\"name\":\"pvc-1\",\"uid\":\"u1\","
		"\"deletionTimestamp\":\"2026-01-01T00:00:00Z\",\"annotations\":{"
		"\"pv.kubernetes.io/provisioned-by\":\"kgit.dev/local-path\"}},"
		"\"spec\":{\"local\":{\"path\":\"pvc-1\"}}}]";
	struct kg_podtest t;
	struct kg_error err;
	(void)state;
	kg_podtest_begin(&t, NULL, NULL);
	KG_AUTOFREE char *volume = kg_asprintf("%s/volumes/pvc-1", t.dir);
	KG_AUTOFREE char *within = kg_asprintf("%s/some/files", volume);
	assert_int_equal(kg_mkdir_p(within, 0755, &err), 0);
	t.configmaps = kg_test_json(&t.arena, text);
	for (int i = 0; i < 2; i++) {
		kg_podtest_apply(&t);
		kg_podtest_wait(&t, kg_podtest_gone, "pvc-1", 10000);
		assert_false(kg_path_exists(volume));
		kg_map_remove(&t.gone, "pvc-1");
	}
	kg_podtest_end(&t);
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], KG_PIDNS_COMMAND))
		return kg_pidns_main(argc, argv);

	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_image_gc),
		cmocka_unit_test(test_volume_is_reclaimed),
	};
	kg_podtest_require();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
