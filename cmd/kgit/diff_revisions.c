#include "kgit/forecast.h"
#include "kgit/kgit.h"

#include <stdio.h>
#include <string.h>

static void next_change(struct kg_changes *c, size_t *cap, const struct kg_object *before,
	const struct kg_object *after)
{
	if (before && after && kg_equal(kg_obj(before), kg_obj(after)))
		return;
	KG_GROW(c->items, *cap, c->len + 1);
	c->items[c->len++] = (struct kg_change){.before = before ? kg_object_ref(before) : NULL,
		.after = after ? kg_object_ref(after) : NULL};
}

void kgit_changes_between(
	struct kg_changes *out, const struct kg_snapshot *a, const struct kg_snapshot *b)
{
	size_t cap = 0;

	*out = (struct kg_changes){0};
	for (int k = 0; k < KG_KIND_COUNT; k++) {
		struct kg_object_iter i, j;
		kg_iter_kind(&i, a, k, NULL, NULL);
		kg_iter_kind(&j, b, k, NULL, NULL);
		const struct kg_object *x = kg_iter_next(&i), *y = kg_iter_next(&j);
		while (x || y) {
			int d = !x ? 1 : !y ? -1 : strcmp(x->key, y->key);
			next_change(out, &cap, d <= 0 ? x : NULL, d >= 0 ? y : NULL);
			x = d <= 0 ? kg_iter_next(&i) : x;
			y = d >= 0 ? kg_iter_next(&j) : y;
		}
		kg_iter_release(&i);
		kg_iter_release(&j);
	}
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
