/*
 * Admission. Every document of the files that a push touches is read; what they define is held
 * against each other, against what the rest of main defines (which the snapshot knows), and
 * against what the system owns.
 */
#include "reconcile/admitting.h"

#include <stdio.h>
#include <string.h>

const char *kg_admit_key(
	struct kg_arena *a, const struct kg_kind *kind, const char *ns, const char *name)
{
	return kg_arena_printf(a, "%d/%s/%s", (int)kind->id, ns, name);
}

const char *kg_admit_words(
	struct kg_arena *a, const struct kg_kind *kind, const char *ns, const char *name)
{
	return kg_arena_printf(a, "%s %s%s%s", kind->kind, ns, *ns ? "/" : "", name);
}

/* ---- definitions ---- */

static void define(
	struct kg_admitting *x, const struct kg_admission_file *file, const struct kg_manifest *m)
{
	const char *key = kg_admit_key(x->a, m->kind, m->ns, m->name);
	const struct kg_definition *first = kg_map_get(&x->by_key, key);
	if (!first)
		first = kg_map_get(&x->faulty, key);
	if (first) {
		x->faults->file = file->path;
		x->faults->root = NULL;
		kg_fault_add_at(x->faults, m->line, m->col, "",
			"%s is defined twice, first at %s:%u:%u",
			kg_admit_words(x->a, m->kind, m->ns, m->name), first->file->path,
			first->m->line, first->m->col);
		return;
	}
	struct kg_definition *d = kg_arena_alloc(x->a, sizeof(*d));
	d->file = file;
	d->m = m;
	kg_map_put(m->faulty ? &x->faulty : &x->by_key, key, d);
}

static void ignore_kinds(struct kg_admitting *x, const char *const *names)
{
	size_t n = 0;

	while (names && names[n])
		n++;
	x->ignored.items = kg_arena_alloc(x->a, (n + 1) * sizeof(*x->ignored.items));
	x->ignored.len = n;
	for (size_t i = 0; i < n; i++)
		x->ignored.items[i] = (struct kg_ignored_kind){.name = names[i]};
}

/* Nothing is passed over silently. */
static void tell_ignored(struct kg_admitting *x)
{
	x->faults->root = NULL;
	for (size_t i = 0; i < x->ignored.len; i++) {
		const struct kg_ignored_kind *k = &x->ignored.items[i];
		size_t at = x->faults->len;
		if (!k->seen)
			continue;
		x->faults->file = k->file;
		kg_fault_add_at(x->faults, k->line, k->col, "kind",
			"%zu document%s of %s: passed over, as ignored_kinds of "
			".kgit/settings.yaml has it",
			k->seen, k->seen == 1 ? "" : "s", k->name);
		kg_fault_warn_at(x->faults, at);
	}
}

static void read_file(struct kg_admitting *x, const struct kg_admission_file *f)
{
	struct kg_manifest *ms;
	size_t n, before = kg_faults_errors(x->faults);
	x->faults->file = f->path;
	if (x->admitted)
		kg_manifest_read_admitted(
			&ms, &n, x->a, f->path, f->text, f->len, NULL, &x->ignored);
	else
		kg_manifest_read_all(
			&ms, &n, x->a, f->path, f->text, f->len, NULL, &x->ignored, x->faults);
	if (kg_faults_errors(x->faults) > before)
		kg_map_put(&x->broken, f->path, (void *)f);
	for (size_t i = 0; i < n; i++)
		define(x, f, &ms[i]);
}

static void read_files(struct kg_admitting *x)
{
	for (size_t i = 0; i < x->nfiles; i++) {
		const struct kg_admission_file *f = &x->files[i];
		kg_map_put(&x->by_path, f->path, (void *)f);
		if (f->text && kg_manifest_is_path(f->path))
			read_file(x, f);
	}
}

bool kg_admit_untouched(const struct kg_admitting *x, const struct kg_object *obj)
{
	return obj && obj->source && !x->all && !kg_map_has(&x->by_path, obj->source);
}

/* Where a file that the push did not change defines the object: "path:line:col" or the path. */
static const char *position_elsewhere(struct kg_admitting *x, const struct kg_object *obj)
{
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;
	if (!x->read_other || x->read_other(x->ctx, obj->source, &text) < 0)
		return obj->source;
	struct kg_fault_list ignored;
	struct kg_manifest *ms;
	size_t n;
	const char *where = obj->source;
	kg_faults_init(&ignored, x->a);
	kg_manifest_read(&ms, &n, x->a, obj->source, kg_buf_str(&text), text.len, NULL, &ignored);
	for (size_t i = 0; i < n; i++)
		if (ms[i].kind == obj->kind && strcmp(ms[i].ns, obj->ns) == 0 &&
			strcmp(ms[i].name, obj->name) == 0)
			where = kg_arena_printf(
				x->a, "%s:%u:%u", obj->source, ms[i].line, ms[i].col);
	kg_faults_release(&ignored);
	return where;
}

/* ---- one definition against what is there ---- */

static bool namespace_defined(const struct kg_admitting *x, const char *ns)
{
	const struct kg_kind *kind = &kg_kinds[KG_KIND_NAMESPACE];
	if (!*ns || strcmp(ns, "default") == 0 || strcmp(ns, "kube-system") == 0)
		return true;
	const char *key = kg_admit_key(x->a, kind, "", ns);
	if (kg_map_has(&x->by_key, key) || kg_map_has(&x->faulty, key))
		return true;
	const struct kg_object *obj = kg_snapshot_get(x->s, KG_KIND_NAMESPACE, "", ns);
	if (!obj || !obj->source || kg_object_deleting(obj))
		return false;
	return kg_admit_untouched(x, obj) || kg_map_has(&x->broken, obj->source);
}

/* The node of the document (Lists opened) that begins at line and column; NULL: not found. */
static const struct kg_yaml_node *document_at(
	const struct kg_yaml_node *docs, size_t n, const struct kg_manifest *m)
{
	for (size_t i = 0; i < n; i++) {
		if (docs[i].line == m->line && docs[i].col == m->col && docs[i].type == KG_OBJECT) {
			bool list = false;
			for (uint32_t k = 0; k < docs[i].len; k++)
				list |= strcmp(docs[i].members[k].key, "items") == 0;
			if (!list)
				return &docs[i];
		}
		for (uint32_t k = 0; docs[i].type == KG_OBJECT && k < docs[i].len; k++) {
			const struct kg_yaml_member *mem = &docs[i].members[k];
			if (strcmp(mem->key, "items") != 0 || mem->value.type != KG_ARRAY)
				continue;
			const struct kg_yaml_node *in =
				document_at(mem->value.items, mem->value.len, m);
			if (in)
				return in;
		}
	}
	return NULL;
}

/* Faults added from now on get their positions from the definition's document. */
void kg_admit_look_at(struct kg_admitting *x, const struct kg_definition *d)
{
	struct kg_yaml_node *docs = NULL;
	size_t n = 0;
	struct kg_error err;
	x->faults->file = d->file->path;
	x->faults->root = NULL;
	if (kg_yaml_parse(&docs, &n, x->a, d->file->text, d->file->len, NULL, &err) == 0)
		x->faults->root = document_at(docs, n, d->m);
}

/* What the manifest left open and the system decided is not a change. */
static struct kg_value before_of(
	struct kg_admitting *x, const struct kg_object *obj, const struct kg_value *after)
{
	static const char *const open[] = {
		"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"};
	struct kg_value before = *kg_doc_value(obj->base);
	if (obj->kind->id != KG_KIND_SERVICE)
		return before;
	const struct kg_value *now = kg_get(kg_obj(obj), "spec");
	struct kg_value spec = *kg_get(&before, "spec");
	for (size_t i = 0; i < KG_ARRAY_LEN(open); i++) {
		const struct kg_value *v = kg_get(kg_get(after, "spec"), open[i]);
		spec = kg_with_key(
			x->a, &spec, open[i], kg_is_null(v) ? *v : *kg_get(now, open[i]));
	}
	return kg_with_key(x->a, &before, "spec", spec);
}

static void check_update(
	struct kg_admitting *x, const struct kg_definition *d, const struct kg_object *old)
{
	if (!old->base || !old->source || kg_object_deleting(old))
		return;
	struct kg_value before = before_of(x, old, &d->m->value);
	if (kg_equal(&before, &d->m->value))
		return;
	struct kg_fault_list probe;
	kg_faults_init(&probe, x->a);
	kg_schema_check_update(d->m->kind->schema, &before, &d->m->value, "", &probe);
	size_t found = kg_faults_errors(&probe);
	kg_faults_release(&probe);
	if (!found)
		return;
	/* Once more, with the document at hand for positions. */
	kg_admit_look_at(x, d);
	kg_schema_check_update(d->m->kind->schema, &before, &d->m->value, "", x->faults);
	x->faults->root = NULL;
}

/* An address, once chosen or given, stays as long as the Service has one. */
static void check_cluster_ip(
	struct kg_admitting *x, const struct kg_definition *d, const struct kg_object *old)
{
	const char *was = kg_string(kg_at(kg_obj(old), "spec.clusterIP"), NULL);
	const char *now = kg_string(kg_at(&d->m->value, "spec.clusterIP"), NULL);
	if (d->m->kind->id != KG_KIND_SERVICE || !was || !now || strcmp(was, now) == 0)
		return;
	kg_admit_look_at(x, d);
	kg_fault_add(x->faults, "spec.clusterIP",
		"Invalid value: \"%s\": may not change once set (it was \"%s\")", now, was);
	x->faults->root = NULL;
}

/* What it is and where it lies, whatever else it says. */
static void check_place(
	struct kg_admitting *x, const struct kg_definition *d, const struct kg_object *old)
{
	const struct kg_manifest *m = d->m;
	const char *what = kg_admit_words(x->a, m->kind, m->ns, m->name);
	x->faults->file = d->file->path;
	x->faults->root = NULL;
	if (!(m->kind->flags & KG_KF_MANIFEST))
		kg_fault_add_at(x->faults, m->line, m->col, "kind",
			"%s objects are the system's own", m->kind->kind);
	if (!namespace_defined(x, m->ns)) {
		kg_admit_look_at(x, d);
		kg_fault_add(x->faults, "metadata.namespace",
			kg_snapshot_get(x->s, KG_KIND_NAMESPACE, "", m->ns)
				? "namespace \"%s\" is on its way out: add its Namespace manifest "
				  "again"
				: "namespace \"%s\" does not exist: add a Namespace manifest for "
				  "it",
			m->ns);
		x->faults->root = NULL;
	}
	if (kg_admit_untouched(x, old))
		kg_fault_add_at(x->faults, m->line, m->col, "", "%s is defined twice, first at %s",
			what, position_elsewhere(x, old));
	bool shared = m->kind->id == KG_KIND_NAMESPACE || m->kind->id == KG_KIND_NODE;
	if (old && !old->source && !kg_object_deleting(old) && !shared)
		kg_fault_add_at(x->faults, m->line, m->col, "metadata.name",
			"%s was made by the system: choose another name", what);
}

static void check(struct kg_admitting *x, const struct kg_definition *d)
{
	const struct kg_manifest *m = d->m;
	const struct kg_object *old = kg_snapshot_get(x->s, m->kind->id, m->ns, m->name);
	check_place(x, d, old);
	kg_admit_cluster(x, d);
	if (!old || m->faulty)
		return;
	check_update(x, d, old);
	check_cluster_ip(x, d, old);
}

/* ---- results ---- */

static void emit(struct kg_admitting *x, struct kg_input_desired d)
{
	if (x->out->n == x->cap) {
		size_t cap = x->cap ? 2 * x->cap : 64;
		struct kg_input_desired *v = kg_arena_alloc(x->a, cap * sizeof(*v));
		if (x->out->n)
			memcpy(v, x->out->desired, x->out->n * sizeof(*v));
		x->out->desired = v;
		x->cap = cap;
	}
	x->out->desired[x->out->n++] = d;
}

static void emit_definition(struct kg_admitting *x, const struct kg_definition *d)
{
	const struct kg_manifest *m = d->m;
	const struct kg_object *old = kg_snapshot_get(x->s, m->kind->id, m->ns, m->name);
	bool was = old && old->source;
	bool same = was && old->base && kg_equal(kg_doc_value(old->base), &m->value);
	if (same && strcmp(old->source, d->file->path) == 0 && old->source_index == m->index)
		return;
	x->out->created += !was;
	x->out->changed += was && !same;
	emit(x, (struct kg_input_desired){.kind = m->kind,
			.ns = m->ns,
			.name = m->name,
			.value = m->value,
			.source = d->file->path,
			.source_index = m->index});
}

static void emit_removal(struct kg_admitting *x, const struct kg_object *obj)
{
	if (kg_map_has(&x->by_key, kg_admit_key(x->a, obj->kind, obj->ns, obj->name)))
		return;
	x->out->deleted++;
	emit(x, (struct kg_input_desired){.kind = obj->kind,
			.ns = kg_arena_strdup(x->a, obj->ns),
			.name = kg_arena_strdup(x->a, obj->name),
			.value = kg_v_null()});
}

static void emit_removals(struct kg_admitting *x)
{
	struct kg_object_iter it;
	const struct kg_object *obj;
	for (size_t i = 0; !x->all && i < x->nfiles; i++) {
		if (kg_map_has(&x->broken, x->files[i].path))
			continue;
		kg_iter_index(&it, x->s, KG_INDEX_SOURCE, x->files[i].path);
		while ((obj = kg_iter_next(&it)))
			emit_removal(x, obj);
		kg_iter_release(&it);
	}
	for (int k = 0; x->all && k < KG_KIND_COUNT; k++) {
		if (!(kg_kinds[k].flags & KG_KF_MANIFEST))
			continue;
		kg_iter_kind(&it, x->s, k, NULL, NULL);
		while ((obj = kg_iter_next(&it)))
			if (obj->source && !kg_map_has(&x->broken, obj->source))
				emit_removal(x, obj);
		kg_iter_release(&it);
	}
}

/* A namespace may not go while main still defines something in it. */
static void check_namespace_removal(struct kg_admitting *x, const char *ns)
{
	for (int k = 0; k < KG_KIND_COUNT; k++) {
		if ((kg_kinds[k].flags & (KG_KF_MANIFEST | KG_KF_NAMESPACED)) !=
			(KG_KF_MANIFEST | KG_KF_NAMESPACED))
			continue;
		struct kg_object_iter it;
		const struct kg_object *obj;
		kg_iter_kind(&it, x->s, k, ns, NULL);
		while ((obj = kg_iter_next(&it))) {
			if (!kg_admit_untouched(x, obj))
				continue; /* going too, or redefined and judged there */
			x->faults->file = obj->source;
			x->faults->root = NULL;
			kg_fault_add_at(x->faults, 1, 1, "metadata.namespace",
				"this push removes namespace \"%s\", but %s is still in it", ns,
				kg_admit_words(x->a, obj->kind, obj->ns, obj->name));
		}
		kg_iter_release(&it);
	}
}

static int cmp_desired(const void *a, const void *b)
{
	const struct kg_input_desired *x = a, *y = b;
	int d = (int)x->kind->id - (int)y->kind->id;
	if (!d)
		d = strcmp(x->ns, y->ns);
	return d ? d : strcmp(x->name, y->name);
}

static void sort_desired(struct kg_admission *out)
{
	if (out->n)
		qsort(out->desired, out->n, sizeof(*out->desired), cmp_desired);
}

static int cmp_definition(const void *a, const void *b)
{
	const struct kg_definition *x = *(struct kg_definition *const *)a;
	const struct kg_definition *y = *(struct kg_definition *const *)b;
	int d = strcmp(x->file->path, y->file->path);
	return d ? d : (x->m->index > y->m->index) - (x->m->index < y->m->index);
}

static int cmp_fault(const void *a, const void *b)
{
	const struct kg_fault *x = a, *y = b;
	int d = strcmp(x->file, y->file);
	if (!d)
		d = (x->line > y->line) - (x->line < y->line);
	if (!d)
		d = (x->col > y->col) - (x->col < y->col);
	if (!d)
		d = strcmp(x->field, y->field);
	return d ? d : strcmp(x->msg, y->msg);
}

static void judge(struct kg_admitting *x)
{
	struct kg_map_entry *f;
	for (size_t i = 0; (f = kg_map_next(&x->faulty, &i));)
		check(x, f->value);
	struct kg_definition **ds = kg_arena_alloc(x->a, (x->by_key.count + 1) * sizeof(*ds));
	size_t n = 0;
	struct kg_map_entry *e;
	for (size_t i = 0; (e = kg_map_next(&x->by_key, &i));)
		ds[n++] = e->value;
	qsort(ds, n, sizeof(*ds), cmp_definition);
	x->out->definitions = (const struct kg_definition *const *)ds;
	x->out->ndefinitions = n;
	for (size_t i = 0; i < n; i++) {
		check(x, ds[i]);
		emit_definition(x, ds[i]);
	}
	kg_admit_services(x, ds, n);
	kg_admit_endpoints(x, ds, n);
	kg_admit_sizes(x, ds, n);
	kg_admit_classes(x, ds, n);
	kg_admit_policies(x, ds, n);
	kg_admit_owners(x, ds, n);
	emit_removals(x);
	kg_admit_removals(x);
	for (size_t i = 0; i < x->out->n; i++)
		if (kg_is_null(&x->out->desired[i].value) &&
			x->out->desired[i].kind->id == KG_KIND_NAMESPACE)
			check_namespace_removal(x, x->out->desired[i].name);
	sort_desired(x->out);
	if (x->faults->len)
		qsort(x->faults->items, x->faults->len, sizeof(*x->faults->items), cmp_fault);
}

static int cmp_file(const void *a, const void *b)
{
	return strcmp(((const struct kg_admission_file *)a)->path,
		((const struct kg_admission_file *)b)->path);
}

void kg_admit(struct kg_admission *out, const struct kg_snapshot *s,
	const struct kg_admission_file *files, size_t nfiles, bool all,
	const struct kg_admission_options *opts, struct kg_arena *a, struct kg_fault_list *faults)
{
	*out = (struct kg_admission){.desired_before = s->index[KG_INDEX_SOURCE].count,
		.revision = s->revision,
		.nfiles = nfiles,
		.all = all};
	/* In the order of their paths: which of two definitions is the first is not the caller's.
	 */
	struct kg_admission_file *v = kg_arena_alloc(a, (nfiles + 1) * sizeof(*v));
	if (nfiles) {
		memcpy(v, files, nfiles * sizeof(*v));
		qsort(v, nfiles, sizeof(*v), cmp_file);
	}
	out->files = v;
	struct kg_admitting x = {.out = out,
		.s = s,
		.files = v,
		.nfiles = nfiles,
		.all = all,
		.admitted = opts && opts->admitted,
		.read_other = opts ? opts->read_other : NULL,
		.ctx = opts ? opts->ctx : NULL,
		.cluster = opts ? opts->cluster : NULL,
		.a = a,
		.faults = faults};
	ignore_kinds(&x, opts ? opts->ignored_kinds : NULL);
	read_files(&x);
	tell_ignored(&x);
	judge(&x);
	faults->file = "";
	faults->root = NULL;
	kg_map_release(&x.by_path);
	kg_map_release(&x.by_key);
	kg_map_release(&x.faulty);
	kg_map_release(&x.broken);
}

void kg_admission_renew(struct kg_admission *out, const struct kg_admission *from,
	const struct kg_snapshot *s, struct kg_arena *a)
{
	*out = *from;
	out->desired = NULL;
	out->n = out->created = out->changed = out->deleted = 0;
	out->desired_before = s->index[KG_INDEX_SOURCE].count;
	out->revision = s->revision;
	struct kg_admitting x = {.out = out,
		.s = s,
		.files = from->files,
		.nfiles = from->nfiles,
		.all = from->all,
		.a = a};
	for (size_t i = 0; i < from->ndefinitions; i++) {
		const struct kg_definition *d = from->definitions[i];
		kg_map_put(&x.by_key, kg_admit_key(a, d->m->kind, d->m->ns, d->m->name), (void *)d);
		emit_definition(&x, d);
	}
	emit_removals(&x);
	sort_desired(out);
	kg_map_release(&x.by_key);
}
