#include "kgitd/view_private.h"

#include "base/hash.h"

#include <string.h>

static int git_order(const void *pa, const void *pb)
{
	const struct kgd_tree_entry *a = pa, *b = pb;
	size_t n = a->name_len < b->name_len ? a->name_len : b->name_len;
	int cmp = memcmp(a->name, b->name, n);

	if (cmp)
		return cmp;
	unsigned char ca = a->name_len > n ? (unsigned char)a->name[n] : a->dir ? '/' : 0;
	unsigned char cb = b->name_len > n ? (unsigned char)b->name[n] : b->dir ? '/' : 0;
	return (int)ca - (int)cb;
}

static void write_tree(struct kgd_tree_entry *entries, size_t n, unsigned char oid[20],
	const struct kgd_object_sink *sink)
{
	struct kg_buf tree KG_AUTOBUF = KG_BUF_INIT;

	qsort(entries, n, sizeof(*entries), git_order);
	for (size_t i = 0; i < n; i++) {
		kg_buf_adds(&tree, entries[i].dir ? "40000 " : "100644 ");
		kg_buf_add(&tree, entries[i].name, entries[i].name_len);
		kg_buf_addc(&tree, '\0');
		kg_buf_add(&tree, entries[i].oid, 20);
	}
	kg_git_oid(oid, "tree", kg_buf_str(&tree), tree.len);
	if (sink)
		sink->emit(sink->ctx, "tree", oid, kg_buf_str(&tree), tree.len);
}

struct kgd_tree_entry *kgd_tree_add(
	struct kgd_tree_entry *entries, size_t *n, const char *name, size_t name_len, bool dir)
{
	struct kgd_tree_entry *e = &entries[(*n)++];

	*e = (struct kgd_tree_entry){.name = name, .name_len = name_len, .dir = dir};
	return e;
}

void kgd_tree_of(const struct kgd_view_file *files, size_t n, size_t skip,
	const struct kgd_tree_entry *more, size_t nmore, unsigned char oid[20],
	const struct kgd_object_sink *sink)
{
	struct kgd_tree_entry *entries KG_AUTOFREE = kg_alloc((n + nmore + 1) * sizeof(*entries));
	size_t count = 0;

	for (size_t i = 0; i < n;) {
		const char *rest = files[i].path + skip;
		const char *slash = strchr(rest, '/');

		if (!slash) {
			memcpy(kgd_tree_add(entries, &count, rest, strlen(rest), false)->oid,
				files[i].oid, 20);
			i++;
			continue;
		}
		size_t dir_len = (size_t)(slash - rest), end = i;
		while (end < n && strncmp(files[end].path + skip, rest, dir_len + 1) == 0)
			end++;
		struct kgd_tree_entry *e = kgd_tree_add(entries, &count, rest, dir_len, true);
		kgd_tree_of(&files[i], end - i, skip + dir_len + 1, NULL, 0, e->oid, sink);
		i = end;
	}
	for (size_t i = 0; i < nmore; i++)
		entries[count++] = more[i];
	write_tree(entries, count, oid, sink);
}
