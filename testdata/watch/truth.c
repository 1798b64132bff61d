/*
 * watch_truth REPO [FROM]: what every revision of a repository changed, as the commits say it, a
 * line of JSON each: {"revision", "resource", "key", "object"}, object null where it was deleted.
 * The first one retained (or FROM) is told as if all of it were new, and its head at the end as
 * {"head"}.
 *
 * Every revision is read whole and compared with the one before, object by object: nothing here is
 * what watches are made of. That an object's resourceVersion is the revision that changed it is
 * checked on the way.
 */
#include "base/mem.h"
#include "store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int complain(const char *what, const struct kg_error *err)
{
	fprintf(stderr, "watch_truth: %s: %s\n", what, err->msg);
	return 1;
}

static void tell(const struct kg_snapshot *s, const struct kg_kind *kind, const char *key,
	const struct kg_object *obj)
{
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;

	if (obj)
		kg_object_write_json(&text, obj);
	printf("{\"revision\":%" PRIu64 ",\"resource\":\"%s\",\"key\":\"%s\",\"object\":%s}\n",
		s->revision, kind->plural, key, obj ? kg_buf_str(&text) : "null");
}

static bool same(const struct kg_object *a, const struct kg_object *b)
{
	struct kg_buf at KG_AUTOBUF = KG_BUF_INIT, bt KG_AUTOBUF = KG_BUF_INIT;

	kg_object_write_json(&at, a);
	kg_object_write_json(&bt, b);
	return at.len == bt.len && memcmp(at.data, bt.data, at.len) == 0;
}

static int one_kind(const struct kg_snapshot *was, const struct kg_snapshot *is, int k)
{
	const struct kg_object *obj;
	struct kg_object_iter it;
	int rc = 0;

	kg_iter_kind(&it, is, (enum kg_kind_id)k, NULL, NULL);
	while ((obj = kg_iter_next(&it))) {
		const struct kg_object *before =
			was ? kg_snapshot_get_key(was, (enum kg_kind_id)k, obj->key) : NULL;

		if (before && same(before, obj))
			continue;
		if (was && obj->revision != is->revision) {
			fprintf(stderr,
				"watch_truth: %s %s changed in revision %" PRIu64
				", but says %" PRIu64 "\n",
				obj->kind->plural, obj->key, is->revision, obj->revision);
			rc = 1;
		}
		tell(is, &kg_kinds[k], obj->key, obj);
	}
	kg_iter_release(&it);
	if (!was)
		return rc;
	kg_iter_kind(&it, was, (enum kg_kind_id)k, NULL, NULL);
	while ((obj = kg_iter_next(&it)))
		if (!kg_snapshot_get_key(is, (enum kg_kind_id)k, obj->key))
			tell(is, &kg_kinds[k], obj->key, NULL);
	kg_iter_release(&it);
	return rc;
}

static int all(struct kg_store *store, uint64_t from)
{
	struct kg_snapshot *was = NULL, *is = NULL;
	struct kg_error err;
	int rc = 0;

	for (uint64_t r = from; rc == 0 && r <= kg_store_revision(store); r++) {
		if (kg_store_load_at(&is, store, r, &err) < 0) {
			rc = complain("load a revision", &err);
			break;
		}
		for (int k = 0; k < KG_KIND_COUNT; k++)
			rc |= one_kind(was, is, k);
		kg_snapshot_unref(was);
		was = is;
	}
	kg_snapshot_unref(was);
	if (rc == 0)
		printf("{\"head\":%" PRIu64 "}\n", kg_store_revision(store));
	return rc;
}

int main(int argc, char **argv)
{
	struct kg_store_options opts = {.read_only = true};
	struct kg_store *store;
	struct kg_error err;

	if (argc != 2 && argc != 3) {
		fprintf(stderr, "usage: watch_truth REPO [FROM]\n");
		return 2;
	}
	kg_kinds_init();
	if (kg_store_open(&store, argv[1], &opts, NULL, &err) < 0)
		return complain("open", &err);
	uint64_t from = argc == 3 ? strtoull(argv[2], NULL, 10) : kg_store_oldest(store);
	int rc = all(store, from);
	kg_store_close(store);
	return rc;
}
