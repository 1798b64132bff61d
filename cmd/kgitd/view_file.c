#include "kgitd/view_private.h"

#include "base/hash.h"
#include "value/yaml.h"

#include <string.h>

static void pod_text(struct kg_buf *out, const struct kg_object *pod, bool api_access)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	const struct kg_value *v = kg_obj(pod);
	struct kg_value own = kg_with_key(&a, v, "status", kg_v_null());

	own = kg_with_key(&a, &own, "podIP", *kg_at(v, "status.podIP"));
	own = kg_with_key(&a, &own, "hostIP", *kg_at(v, "status.hostIP"));
	if (api_access)
		own = kg_with_key(&a, &own, "apiAccess", kg_v_bool(true));
	kg_yaml_write(out, &own);
}

void kgd_view_file_text(struct kg_buf *out, const struct kgd_view_file *f)
{
	if (f->common)
		kg_buf_add(out, f->common->data, f->common->len);
	else if (!f->obj)
		kg_buf_add(out, f->text, f->len);
	else if (f->obj->kind->id == KG_KIND_POD)
		pod_text(out, f->obj, f->api_access);
	else
		kg_yaml_write(out, kg_obj(f->obj));
}

/* The path is moved. Made of obj, or of value. */
static void add_file(struct kgd_view_files *l, char *path, const struct kg_object *obj,
	bool api_access, const struct kg_value *value)
{
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;

	KG_GROW(l->items, l->cap, l->len + 1);
	struct kgd_view_file *f = &l->items[l->len++];
	*f = (struct kgd_view_file){
		.path = path, .obj = kg_object_ref(obj), .api_access = api_access};
	if (value)
		kg_yaml_write(&text, value);
	else
		kgd_view_file_text(&text, f);
	kg_git_oid(f->oid, "blob", kg_buf_str(&text), text.len);
	if (value) {
		f->len = text.len;
		f->text = kg_buf_steal(&text);
	}
}

void kgd_view_add_value(struct kgd_view_files *l, char *path, const struct kg_value *value)
{
	add_file(l, path, NULL, false, value);
}

void kgd_view_add_object(struct kgd_view_files *l, char *path, const struct kg_object *obj)
{
	add_file(l, path, obj, false, NULL);
}

void kgd_view_add_pod(
	struct kgd_view_files *l, char *path, const struct kg_object *pod, bool api_access)
{
	add_file(l, path, pod, api_access, NULL);
}

void kgd_view_add_common(struct kgd_view_files *l, char *path, struct kgd_text *text)
{
	KG_GROW(l->items, l->cap, l->len + 1);
	struct kgd_view_file *f = &l->items[l->len++];
	*f = (struct kgd_view_file){.path = path, .common = text};
	memcpy(f->oid, text->oid, 20);
}

static int by_path(const void *a, const void *b)
{
	return strcmp(
		((const struct kgd_view_file *)a)->path, ((const struct kgd_view_file *)b)->path);
}

void kgd_view_sort(struct kgd_view_files *l)
{
	if (l->len)
		qsort(l->items, l->len, sizeof(*l->items), by_path);
}

const struct kgd_view_file *kgd_view_find(
	const struct kgd_view_file *files, size_t n, const char *path)
{
	struct kgd_view_file key = {.path = (char *)path};

	return n ? bsearch(&key, files, n, sizeof(key), by_path) : NULL;
}

void kgd_view_free_files(struct kgd_view_file *files, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(files[i].path);
		free(files[i].text);
		kgd_text_unref(files[i].common);
		kg_object_unref(files[i].obj);
	}
	free(files);
}

size_t kgd_view_below(const struct kgd_view_file *files, size_t n, const char *dir, size_t *first)
{
	size_t len = strlen(dir), i = 0, end;

	while (i < n && strncmp(files[i].path, dir, len) != 0)
		i++;
	for (end = i; end < n && strncmp(files[end].path, dir, len) == 0;)
		end++;
	*first = i;
	return end - i;
}
