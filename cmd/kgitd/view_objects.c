#include "kgitd/view_private.h"

#include "base/hash.h"
#include "base/map.h"

/* What a pack holds: every object of a view that the other side does not have. */

struct filter {
	struct kg_map have; /* hex ids of what the other side has, and of what was sent */
	const struct kgd_object_sink *sink;
};

/* Adds the id; false where it was there already. */
static bool first_time(struct filter *f, const unsigned char oid[20])
{
	char hex[41];

	kg_hex(hex, oid, 20);
	if (kg_map_has(&f->have, hex))
		return false;
	kg_map_put(&f->have, hex, f);
	return true;
}

static void note(
	void *ctx, const char *type, const unsigned char oid[20], const void *p, size_t len)
{
	(void)type;
	(void)p;
	(void)len;
	first_time(ctx, oid);
}

static void pass(
	void *ctx, const char *type, const unsigned char oid[20], const void *p, size_t len)
{
	struct filter *f = ctx;

	if (first_time(f, oid))
		f->sink->emit(f->sink->ctx, type, oid, p, len);
}

static void note_files(struct filter *f, const struct kgd_view_file *files, size_t n)
{
	for (size_t i = 0; i < n; i++)
		first_time(f, files[i].oid);
}

static void send_files(struct filter *f, const struct kgd_view_file *files, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;

		if (!first_time(f, files[i].oid))
			continue;
		kgd_view_file_text(&text, &files[i]);
		f->sink->emit(f->sink->ctx, "blob", files[i].oid, kg_buf_str(&text), text.len);
	}
}

static void note_view(struct filter *f, const struct kgd_view *have)
{
	struct kgd_object_sink sink = {.emit = note, .ctx = f};
	unsigned char oid[20];

	kgd_view_root_tree(have, oid, &sink);
	note_files(f, have->files, have->nfiles);
}

void kgd_view_objects(const struct kgd_view *view, const struct kgd_view *have,
	const struct kgd_object_sink *sink)
{
	struct filter f = {.sink = sink};
	struct kgd_object_sink passing = {.emit = pass, .ctx = &f};
	struct kgd_object_sink noting = {.emit = note, .ctx = &f};
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	unsigned char oid[20];

	if (have)
		note_view(&f, have);
	if (!have || !kgd_shared_equal(have->shared, view->shared)) {
		if (have) {
			kgd_shared_tree(have->shared, "services/", oid, &noting);
			kgd_shared_tree(have->shared, "nodes/", oid, &noting);
			note_files(&f, have->shared->files, have->shared->nfiles);
		}
		kgd_shared_tree(view->shared, "services/", oid, &passing);
		kgd_shared_tree(view->shared, "nodes/", oid, &passing);
		send_files(&f, view->shared->files, view->shared->nfiles);
	}
	kgd_view_root_tree(view, oid, &passing);
	send_files(&f, view->files, view->nfiles);
	kgd_view_commit_text(&text, view);
	kg_unhex(oid, 20, view->commit);
	sink->emit(sink->ctx, "commit", oid, kg_buf_str(&text), text.len);
	kg_map_release(&f.have);
}
