#include "store/resolve.h"

#include "base/hash.h"
#include "base/map.h"
#include "value/yaml.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* What was admitted is read again, so these only keep a corrupt file from eating the memory. */
static const struct kg_yaml_limits manifest_limits = {
	.bytes = 256u << 20, .nodes = 50000000, .depth = 200};

#define RECORD_MAX (64u << 20)

/* ---- paths ---- */

static const char *file_name(char buf[KG_RECORD_NAME_MAX], const char *name)
{
	snprintf(buf, KG_RECORD_NAME_MAX, "%s.yaml", name);
	return buf;
}

size_t kg_decided_path(const char *path[3], char buf[KG_RECORD_NAME_MAX],
	const struct kg_kind *kind, const char *ns, const char *name)
{
	size_t n = 0;

	path[n++] = kg_kind_resource(kind);
	if (*ns)
		path[n++] = ns;
	path[n++] = file_name(buf, name);
	return n;
}

size_t kg_observed_path(const char *path[3], char buf[KG_RECORD_NAME_MAX], const char *node,
	const char *ns, const char *name)
{
	size_t n = 0;

	path[n++] = node;
	if (*ns)
		path[n++] = ns;
	path[n++] = file_name(buf, name);
	return n;
}

const struct kg_kind *kg_kind_of_resource(const char *resource)
{
	for (int i = 0; i < KG_KIND_COUNT; i++)
		if (!(kg_kinds[i].flags & KG_KF_SYNTHETIC) &&
			strcmp(kg_kind_resource(&kg_kinds[i]), resource) == 0)
			return &kg_kinds[i];
	return NULL;
}

/* ---- bases ---- */

struct manifest {
	const struct kg_kind *kind;
	char *key; /* NS/NAME */
	struct kg_doc *doc;
};
struct manifest_file {
	struct manifest *docs;
	size_t n;
};
struct kg_bases {
	pthread_mutex_t lock;
	struct kg_map templates; /* "KIND/ID" -> struct kg_doc: the expansion */
	struct kg_map contents;  /* "ID" -> struct kg_doc: the template itself */
	struct kg_map manifests; /* hex of the blob -> struct manifest_file */
};

struct kg_bases *kg_bases_new(void)
{
	struct kg_bases *b = kg_alloc(sizeof(*b));

	pthread_mutex_init(&b->lock, NULL);
	return b;
}

static void free_docs(struct kg_map *m)
{
	struct kg_map_entry *e;

	for (size_t i = 0; (e = kg_map_next(m, &i));)
		kg_doc_unref(e->value);
	kg_map_release(m);
}

static void manifest_file_free(struct manifest_file *f)
{
	for (size_t i = 0; i < f->n; i++) {
		free(f->docs[i].key);
		kg_doc_unref(f->docs[i].doc);
	}
	free(f->docs);
	free(f);
}

void kg_bases_free(struct kg_bases *b)
{
	struct kg_map_entry *e;

	if (!b)
		return;
	free_docs(&b->templates);
	free_docs(&b->contents);
	for (size_t i = 0; (e = kg_map_next(&b->manifests, &i));)
		manifest_file_free(e->value);
	kg_map_release(&b->manifests);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

static int template_content(
	struct kg_doc **out, const struct kg_resolve *r, const char *id, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	char buf[KG_RECORD_NAME_MAX];
	const char *path[1] = {file_name(buf, id)};
	unsigned char blob[20];
	struct kg_value v;

	*out = kg_map_get(&r->bases->contents, id);
	if (*out)
		return 0;
	int rc = kg_view_find(blob, r->reader, &r->view->templates, path, 1, err);
	if (rc == 0)
		rc = kg_reader_blob(&text, r->reader, blob, RECORD_MAX, err);
	if (rc == 0)
		rc = kg_yaml_load(&v, &a, kg_buf_str(&text), text.len, err);
	if (rc < 0)
		return rc;
	*out = kg_doc_new(&v, NULL, 0);
	kg_map_put(&r->bases->contents, id, *out);
	return 0;
}

/* All that reads an object relies on its kind's shape, and a repository may come from anywhere. */
static int check_shape(const struct kg_kind *kind, const struct kg_doc *doc,
	const struct kg_doc *known, struct kg_error *err)
{
	const char *bad = kg_schema_shape(
		kind->schema, kg_doc_value(doc), known ? kg_doc_value(known) : &kg_null);

	if (!bad)
		return 0;
	return kg_fail(err, KG_E_CORRUPT, "%s is of another type than the kind has", bad);
}

/* Borrowed. */
static int template_base(struct kg_doc **out, const struct kg_resolve *r,
	const struct kg_kind *kind, const char *id, struct kg_error *err)
{
	char key[64];
	struct kg_doc *content;

	snprintf(key, sizeof(key), "%d/%s", (int)kind->id, id);
	*out = kg_map_get(&r->bases->templates, key);
	if (*out)
		return 0;
	int rc = template_content(&content, r, id, err);
	if (rc < 0)
		return kg_fail(err, KG_E_CORRUPT, "template %s: %s", id, err->msg);
	struct kg_doc *expanded = kg_template_expand(kind, content);
	rc = check_shape(kind, expanded, NULL, err);
	if (rc < 0) {
		kg_doc_unref(expanded);
		return kg_wrap(err, "template %s", id);
	}
	kg_map_put(&r->bases->templates, key, expanded);
	*out = expanded;
	return 0;
}

static struct manifest_file *parse_manifests(const char *path, const struct kg_buf *text)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct manifest_file *f = kg_alloc(sizeof(*f));
	struct kg_manifest *m = NULL;
	size_t n = 0;

	kg_manifest_read_admitted(
		&m, &n, &a, path, kg_buf_str(text), text->len, &manifest_limits, NULL);
	f->docs = kg_alloc((n ? n : 1) * sizeof(*f->docs));
	f->n = n;
	for (size_t i = 0; i < n; i++)
		f->docs[i] = (struct manifest){.kind = m[i].kind,
			.key = kg_asprintf("%s/%s", m[i].ns, m[i].name),
			.doc = kg_doc_new(&m[i].value, NULL, 0)};
	return f;
}

static int manifest_file(struct manifest_file **out, const struct kg_resolve *r, const char *path,
	struct kg_error *err)
{
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	unsigned char blob[20];
	char hex[41];

	int rc = kg_view_find_path(blob, r->reader, &r->view->desired, path, err);
	if (rc < 0)
		return rc;
	kg_hex(hex, blob, 20);
	*out = kg_map_get(&r->bases->manifests, hex);
	if (*out)
		return 0;
	rc = kg_reader_blob(&text, r->reader, blob, manifest_limits.bytes, err);
	if (rc < 0)
		return rc;
	*out = parse_manifests(path, &text);
	kg_map_put(&r->bases->manifests, hex, *out);
	return 0;
}

/* Borrowed. */
static int manifest_base(struct kg_doc **out, const struct kg_resolve *r,
	const struct kg_kind *kind, const char *ns, const char *name, const char *path,
	struct kg_error *err)
{
	struct manifest_file *f;
	int rc = manifest_file(&f, r, path, err);

	if (rc < 0)
		return kg_fail(err, KG_E_CORRUPT, "manifest %s: %s", path, err->msg);
	size_t ns_len = strlen(ns);
	for (size_t i = 0; i < f->n; i++) {
		const char *key = f->docs[i].key;

		if (f->docs[i].kind != kind || strncmp(key, ns, ns_len) != 0 ||
			key[ns_len] != '/' || strcmp(key + ns_len + 1, name) != 0)
			continue;
		*out = f->docs[i].doc;
		return 0;
	}
	return kg_fail(err, KG_E_CORRUPT, "manifest %s does not define it", path);
}

/* A new reference, or NULL where the record has no base. */
static int find_base(struct kg_doc **out, const struct kg_resolve *r, const struct kg_kind *kind,
	const char *ns, const char *name, const struct kg_record *rec, struct kg_error *err)
{
	struct kg_doc *base = NULL;
	int rc = 0;

	pthread_mutex_lock(&r->bases->lock);
	if (*rec->template_id)
		rc = template_base(&base, r, kind, rec->template_id, err);
	else if (rec->source)
		rc = manifest_base(&base, r, kind, ns, name, rec->source, err);
	if (rc == 0)
		*out = base ? kg_doc_ref(base) : NULL;
	pthread_mutex_unlock(&r->bases->lock);
	return rc;
}

static void doc_unrefp(struct kg_doc **doc)
{
	kg_doc_unref(*doc);
}

/* ---- the join ---- */

static int read_record(struct kg_record *rec, struct kg_arena *a, const struct kg_reader *r,
	const unsigned char blob[20], struct kg_error *err)
{
	git_odb_object *obj KG_AUTOOBJ = NULL;
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;

	if (kg_reader_quick(&text, r, blob, GIT_OBJECT_BLOB))
		return kg_record_parse(rec, a, kg_buf_str(&text), text.len, err);
	int rc = kg_reader_get(&obj, r, blob, GIT_OBJECT_BLOB, err);
	if (rc == 0)
		rc = kg_record_parse(
			rec, a, git_odb_object_data(obj), git_odb_object_size(obj), err);
	return rc;
}

/* The node that observes it; NULL: none. Said by the patch, or (a manifest names it) the base. */
static const char *observing_node(const struct kg_kind *kind, const char *name,
	const struct kg_doc *base, const struct kg_record *rec)
{
	if (!(kind->flags & KG_KF_OBSERVED))
		return NULL;
	if (!(kind->flags & KG_KF_NAMESPACED))
		return name;
	const char *node = kg_string(kg_at(&rec->patch, "spec.nodeName"), "");
	if (!*node && base)
		node = kg_string(kg_at(kg_doc_value(base), "spec.nodeName"), "");
	return *node ? node : NULL;
}

/* 1: found, 0: there is none. */
static int find_observed(unsigned char blob[20], const struct kg_resolve *r, const char *node,
	const char *ns, const char *name, struct kg_error *err)
{
	char buf[KG_RECORD_NAME_MAX];
	const char *path[3];
	size_t n = kg_observed_path(path, buf, node, ns, name);

	if (r->observed) {
		const unsigned char *id = kg_fan_get(r->observed, path, n);
		if (id)
			memcpy(blob, id, 20);
		return id != NULL;
	}
	int rc = kg_view_find(blob, r->reader, &r->view->observed, path, n, err);
	if (rc == -KG_E_NOT_FOUND)
		return 0;
	return rc < 0 ? rc : 1;
}

static int resolve(struct kg_object **out, const struct kg_resolve *r, const struct kg_kind *kind,
	const char *ns, const char *name, const unsigned char decided[20], struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_doc *base KG_CLEANUP(doc_unrefp) = NULL;
	struct kg_record rec, observed;
	unsigned char blob[20];
	int found = 0;

	int rc = read_record(&rec, &a, r->reader, decided, err);
	if (rc == 0)
		rc = find_base(&base, r, kind, ns, name, &rec, err);
	if (rc < 0)
		return rc;
	const char *node = observing_node(kind, name, base, &rec);
	if (node)
		found = find_observed(blob, r, node, ns, name, err);
	if (found > 0)
		rc = read_record(&observed, &a, r->reader, blob, err);
	if (found < 0 || rc < 0)
		return found < 0 ? found : rc;
	struct kg_object *obj =
		kg_record_join(kind, ns, name, base, &rec, found ? &observed : NULL);
	rc = check_shape(kind, obj->doc, base, err);
	if (rc < 0)
		kg_object_unref(obj);
	else
		*out = obj;
	return rc;
}

int kg_resolve_object(struct kg_object **out, const struct kg_resolve *r,
	const struct kg_kind *kind, const char *ns, const char *name,
	const unsigned char decided[20], struct kg_error *err)
{
	struct kg_error why = {0};
	int rc = resolve(out, r, kind, ns, name, decided, &why);

	if (rc < 0)
		return kg_fail(err, why.code, "%s %s%s%s: %s", kind->kind, ns, *ns ? "/" : "", name,
			why.msg);
	return 0;
}

int kg_resolve_by_name(struct kg_object **out, const struct kg_resolve *r,
	const struct kg_kind *kind, const char *ns, const char *name, struct kg_error *err)
{
	char buf[KG_RECORD_NAME_MAX];
	const char *path[3];
	unsigned char blob[20];
	size_t n = kg_decided_path(path, buf, kind, ns, name);

	*out = NULL;
	int rc = kg_view_find(blob, r->reader, &r->view->decided, path, n, err);
	if (rc == -KG_E_NOT_FOUND)
		return 0;
	return rc < 0 ? rc : kg_resolve_object(out, r, kind, ns, name, blob, err);
}
