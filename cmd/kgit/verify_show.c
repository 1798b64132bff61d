#include "kgit/verify_show.h"

#include "base/utf8.h"
#include "kgit/fields.h"
#include "kinds/kind.h"
#include "value/json.h"
#include "value/yaml.h"

#include <stdio.h>
#include <string.h>

#define SHOWN_FIELDS 12
#define SHOWN_TEXT   160

/* What a path in the tree is about; kind NULL: no object. */
struct subject {
	const struct kg_kind *kind;
	const char *ns, *name;
};

static const struct kg_kind *kind_of(const char *resource)
{
	for (int k = 0; k < KG_KIND_COUNT; k++)
		if (strcmp(kg_kinds[k].resource, resource) == 0)
			return &kg_kinds[k];
	return NULL;
}

/* decided/RESOURCE[/NS]/NAME.yaml, observed/NODE[/NS/POD].yaml */
static struct subject subject_of(struct kg_arena *a, const char *path)
{
	char *copy = kg_arena_strdup(a, path), *part[4];
	size_t n = 0, len = strlen(copy);

	if (len < 5 || strcmp(copy + len - 5, ".yaml") != 0)
		return (struct subject){0};
	copy[len - 5] = '\0';
	for (char *p = copy; p && n < KG_ARRAY_LEN(part);) {
		part[n++] = p;
		p = strchr(p, '/');
		if (p)
			*p++ = '\0';
	}
	if (n == 4 && strcmp(part[0], "observed") == 0)
		return (struct subject){&kg_kinds[KG_KIND_POD], part[2], part[3]};
	if (n == 2 && strcmp(part[0], "observed") == 0)
		return (struct subject){&kg_kinds[KG_KIND_NODE], "", part[1]};
	/* A Node's record lies beside the directory of what is observed on it. */
	if (n == 3 && strcmp(part[0], "observed") == 0)
		return (struct subject){&kg_kinds[KG_KIND_NODE], "", part[2]};
	if (n < 3 || strcmp(part[0], "decided") != 0)
		return (struct subject){0};
	return (struct subject){kind_of(part[1]), n == 4 ? part[2] : "", part[n - 1]};
}

/* ---- values, without those of Secrets ---- */

static struct kg_value redacted(struct kg_arena *a, const struct kg_value *v)
{
	struct kg_value out = *v;

	if (v->type != KG_OBJECT)
		return kg_v_lit("<redacted>");
	for (uint32_t i = 0; i < v->len; i++)
		out = kg_with_key(a, &out, v->members[i].key, kg_v_lit("<redacted>"));
	return out;
}

/* The record as it is shown; false: the text is no record. */
static bool read_record(
	struct kg_value *out, struct kg_arena *a, const struct subject *s, const char *text)
{
	struct kg_error ignored;

	*out = kg_v_null();
	if (text &&
		(kg_yaml_load(out, a, text, strlen(text), &ignored) < 0 || out->type != KG_OBJECT))
		return false;
	if (!text || !s->kind)
		return true;
	for (const struct kg_field *f = s->kind->schema->fields; f->name; f++) {
		const struct kg_value *patch = kg_get(out, "patch");
		const struct kg_value *v = kg_get(patch, f->name);

		if (!(f->flags & KG_FF_SECRET) || kg_is_null(v))
			continue;
		*out = kg_with_key(a, out, "patch", kg_with_key(a, patch, f->name, redacted(a, v)));
		*out = kg_with_key(a, out, "patch",
			kg_with(a, kg_get(out, "patch"), "metadata.annotations", kg_v_null()));
	}
	return true;
}

/* ---- fields ---- */

/* "patch.spec.nodeName" is spec.nodeName to people. */
static const char *field_path(const char *path)
{
	return strncmp(path, "patch.", 6) == 0 ? path + 6 : path;
}

static struct kg_value field_of(
	struct kg_arena *a, const char *path, struct kg_value recorded, struct kg_value recomputed)
{
	return kg_v_obj(a, "path", kg_v_str(a, path), "recorded", recorded, "recomputed",
		recomputed, (char *)NULL);
}

static struct kg_value fields_of(
	struct kg_arena *a, const struct kg_value *recorded, const struct kg_value *recomputed)
{
	struct kgit_field *f;
	size_t n;

	kgit_fields_find(&f, &n, a, recorded, recomputed);
	struct kg_value *items = kg_arena_alloc(a, (n + 1) * sizeof(*items));
	for (size_t i = 0; i < n; i++)
		items[i] = field_of(a, field_path(f[i].path), *f[i].before, *f[i].after);
	return n ? kg_v_array(a, items, n) : kg_v_null();
}

/* Of two commit objects, the lines that differ, each under its first word. */
static struct kg_value lines_of(struct kg_arena *a, const char *x, const char *y)
{
	struct kg_value items[SHOWN_FIELDS];
	size_t n = 0;
	bool head = true;

	while ((*x || *y) && n < SHOWN_FIELDS) {
		size_t p = strcspn(x, "\n"), q = strcspn(y, "\n");
		size_t word = strcspn(*x ? x : y, " \n");

		head = head && p && q;
		if (p != q || memcmp(x, y, p) != 0)
			items[n++] = field_of(a,
				head ? kg_arena_strndup(a, *x ? x : y, word) : "message",
				kg_v_strn(a, x, p), kg_v_strn(a, y, q));
		x += p + (x[p] == '\n');
		y += q + (y[q] == '\n');
	}
	return n ? kg_v_array(a, items, n) : kg_v_null();
}

static const char *absence(const struct kg_verify_difference *d)
{
	return !d->recorded ? "not recorded, but recomputed" : "recorded, but not recomputed";
}

struct kg_value kgit_difference_value(struct kg_arena *a, const struct kg_verify_difference *d)
{
	struct subject s = subject_of(a, d->path);
	struct kg_value x, y, fields = kg_v_null(), text = kg_v_null();

	if (!*d->path) {
		text = kg_v_str(a, d->recorded);
	} else if (strcmp(d->path, "commit") == 0) {
		fields = lines_of(a, d->recorded, d->recomputed);
	} else if (!d->recorded || !d->recomputed) {
		text = kg_v_lit(absence(d));
		if (read_record(&x, a, &s, d->recorded ? d->recorded : d->recomputed)) {
			struct kg_value none = kg_v_object(a, NULL, 0);
			fields = d->recorded ? fields_of(a, &x, &none) : fields_of(a, &none, &x);
		}
	} else if (!read_record(&x, a, &s, d->recorded) || !read_record(&y, a, &s, d->recomputed)) {
		text = kg_v_lit("what is recorded is no record");
	} else {
		fields = fields_of(a, &x, &y);
		if (kg_is_null(&fields))
			text = kg_v_lit(s.kind && s.kind->id == KG_KIND_SECRET
						? "values of a Secret, which are not shown, or how "
						  "they are written"
						: "the same value, but not written canonically");
	}
	return kg_v_obj(a, "revision", kg_v_int((int64_t)d->revision), "path",
		*d->path ? kg_v_str(a, d->path) : kg_v_null(), "kind",
		s.kind ? kg_v_lit(s.kind->kind) : kg_v_null(), "namespace",
		s.kind && *s.ns ? kg_v_str(a, s.ns) : kg_v_null(), "name",
		s.kind ? kg_v_str(a, s.name) : kg_v_null(), "text", text, "fields", fields,
		(char *)NULL);
}

/* ---- lines ---- */

static void add_text(struct kg_buf *out, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];
		bool c1 = c == 0xc2 && i + 1 < n && (unsigned char)text[i + 1] < 0xa0;

		kg_buf_addc(out, c < ' ' || c == 0x7f || c1 ? ' ' : text[i]);
		i += c1;
	}
}

void kgit_words_add(struct kg_buf *out, const char *text)
{
	add_text(out, text, strlen(text));
}

static void add_side(struct kg_buf *out, const struct kg_value *v)
{
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;

	if (kg_is_null(v)) {
		kg_buf_adds(out, "nothing");
		return;
	}
	if (v->type == KG_STRING)
		kg_buf_adds(&text, v->s);
	else
		kg_json_write(&text, v);
	size_t n = text.len <= SHOWN_TEXT ? text.len : kg_utf8_cut(text.data, SHOWN_TEXT);
	add_text(out, kg_buf_str(&text), n);
	if (n < text.len)
		kg_buf_adds(out, "...");
}

/* "Pod default/web-0 (PATH)", PATH, or nothing. */
static void add_subject(struct kg_buf *out, const struct kg_value *v, const char *path)
{
	const char *kind = kg_string(kg_get(v, "kind"), NULL);
	const char *ns = kg_string(kg_get(v, "namespace"), "");

	if (!kind) {
		kgit_words_add(out, path);
		return;
	}
	kg_buf_addf(out, "%s ", kind);
	kgit_words_add(out, ns);
	kg_buf_adds(out, *ns ? "/" : "");
	kgit_words_add(out, kg_string(kg_get(v, "name"), ""));
	kg_buf_adds(out, " (");
	kgit_words_add(out, path);
	kg_buf_adds(out, ")");
}

void kgit_difference_write(struct kg_buf *out, const struct kg_verify_difference *d)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value v = kgit_difference_value(&a, d);
	const struct kg_value *fields = kg_get(&v, "fields");
	const char *text = kg_string(kg_get(&v, "text"), NULL);
	bool one_sided = !d->recorded || !d->recomputed;

	kg_buf_adds(out, "  ");
	add_subject(out, &v, d->path);
	if (text) {
		kg_buf_adds(out, *d->path ? ": " : "");
		kgit_words_add(out, text);
	}
	kg_buf_addc(out, '\n');
	for (uint32_t i = 0; i < kg_len(fields) && !one_sided; i++) {
		const struct kg_value *f = &fields->items[i];

		if (i == SHOWN_FIELDS) {
			kg_buf_addf(out, "    and %u more\n", fields->len - i);
			break;
		}
		kg_buf_adds(out, "    ");
		kgit_words_add(out, kg_string(kg_get(f, "path"), ""));
		kg_buf_adds(out, ": recorded ");
		add_side(out, kg_get(f, "recorded"));
		kg_buf_adds(out, ", recomputed ");
		add_side(out, kg_get(f, "recomputed"));
		kg_buf_addc(out, '\n');
	}
}
