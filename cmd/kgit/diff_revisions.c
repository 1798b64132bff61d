#include "kgit/forecast.h"
#include "kgit/kgit.h"

#include <stdio.h>
#include <string.h>

void kgit_changes_between(
	struct kg_changes *out, const struct kg_snapshot *from, const struct kg_snapshot *to)
{
	struct kg_txn *txn = kg_txn_new(from);
	const struct kg_object *obj;
	struct kg_snapshot *ignored;

	for (int k = 0; k < KG_KIND_COUNT; k++) {
		struct kg_object_iter it;

		kg_iter_kind(&it, from, (enum kg_kind_id)k, NULL, NULL);
		while ((obj = kg_iter_next(&it)))
			if (!kg_snapshot_get_key(to, obj->kind->id, obj->key))
				kg_txn_delete(txn, obj->kind->id, obj->ns, obj->name);
		kg_iter_release(&it);
		kg_iter_kind(&it, to, (enum kg_kind_id)k, NULL, NULL);
		while ((obj = kg_iter_next(&it)))
			kg_txn_put(txn, kg_object_with(obj, kg_obj(obj)));
		kg_iter_release(&it);
	}
	kg_txn_finish(txn, &ignored, out);
	kg_snapshot_unref(ignored);
}

static int load_at(struct kg_snapshot **out, struct kg_http_client *http, const char *text,
	struct kg_error *err)
{
	uint64_t revision = 0;
	int rc = *text ? kgit_revision_parse(&revision, http, text, err) : 0;

	return rc < 0 ? rc : kgit_load(out, http, revision, err);
}

int kgit_diff_revisions(
	const struct kgit_cluster *c, const char *range, bool json, struct kg_error *err)
{
	const char *dots = strstr(range, "..");
	char *from_text KG_AUTOFREE = kg_strndup(range, (size_t)(dots - range));
	struct kg_http_client *http = kgit_connect(c, 0);
	struct kg_snapshot *from = NULL, *to = NULL;
	struct kg_changes changes;
	int rc = load_at(&from, http, from_text, err);

	if (rc == 0)
		rc = load_at(&to, http, dots + 2, err);
	kg_http_client_free(http);
	if (rc == 0) {
		kgit_changes_between(&changes, from, to);
		rc = kgit_print_plan(&changes, json, false) ? 1 : 0;
		kg_changes_release(&changes);
	}
	kg_snapshot_unref(from);
	kg_snapshot_unref(to);
	return rc;
}
