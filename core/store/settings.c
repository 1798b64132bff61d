#include "store/settings.h"

#include "store/commit_text.h"
#include "store/private.h"

#include "base/hash.h"
#include "base/mem.h"
#include "kinds/kind.h"
#include "sys/file.h"

#include <stdio.h>
#include <string.h>

#define MAX_BYTES (64u << 10)
#define DAY_MS    (INT64_C(24) * 3600 * 1000)

#define REVISIONS_MAX 1000000000

int kg_settings_age(int64_t *out, const char *text)
{
	size_t n = strlen(text), digits = strspn(text, "0123456789");
	int64_t ms;

	if (strcmp(text, "forever") == 0) {
		*out = INT64_MAX;
		return 0;
	}
	if (digits && digits < 7 && n == digits + 1 && text[digits] == 'd')
		ms = strtoll(text, NULL, 10) * DAY_MS;
	else if (digits == n || kg_duration_parse(&ms, text) < 0)
		return -1;
	if (ms <= 0)
		return -1;
	*out = ms;
	return 0;
}

/* ---- the schema ---- */

static const char *check_age(struct kg_arena *a, const struct kg_value *v)
{
	int64_t ms;

	(void)a;
	return kg_settings_age(&ms, kg_string(v, "")) < 0
		       ? "expected a time such as 30d, 12h or 90m, or forever"
		       : NULL;
}

static const struct kg_field retention_fields[] = {
	{.name = "revisions",
		.type = KG_F_INT,
		.min = 1,
		.max = REVISIONS_MAX,
		.doc = "At least the newest so many revisions are kept."},
	{.name = "age",
		.type = KG_F_STRING,
		.check = check_age,
		.doc = "Revisions that are older are dropped."},
	{0},
};
static const struct kg_schema retention = {
	.name = "kgit.Retention",
	.doc = "How much of the cluster's history is kept.",
	.fields = retention_fields,
};
/* "PRINCIPALS [OPTIONS] TYPE KEY" */
static const char *check_signer(struct kg_arena *a, const struct kg_value *v)
{
	static const char *const types[] = {
		" ssh-ed25519 AAAA", " ssh-rsa AAAA", " ecdsa-sha2-", " sk-ssh-", " sk-ecdsa-"};
	const char *text = kg_string(v, "");

	(void)a;
	if (strpbrk(text, "\n\r") || *text == '#' || *text == ' ')
		return "expected one line: NAME ssh-ed25519 AAAA...";
	for (size_t i = 0; i < KG_ARRAY_LEN(types); i++)
		if (strstr(text, types[i]))
			return NULL;
	return "expected NAME and an ssh key, as in: ann@example.org ssh-ed25519 AAAA...";
}

static const struct kg_field settings_fields[] = {
	{.name = "allowed_signers",
		.type = KG_F_STRING,
		.flags = KG_FF_LIST,
		.check = check_signer,
		.doc = "The ssh keys of whose commits come to main."},
	{.name = "ignored_kinds",
		.type = KG_F_STRING,
		.flags = KG_FF_LIST,
		.check = kg_check_ignored_kind,
		.doc = "Kinds whose documents are passed over."},
	{.name = "retention",
		.type = KG_F_OBJECT,
		.schema = &retention,
		.doc = "How much of the cluster's history is kept."},
	{0},
};
static const struct kg_schema settings = {
	.name = "kgit.Settings",
	.doc = "The repository's own settings.",
	.fields = settings_fields,
};

/* ---- reading ---- */

/* "LINE:COL: text", as the parser says it. */
static void syntax_fault(struct kg_fault_list *faults, const char *msg)
{
	unsigned line = 0, col = 0;
	int n = 0;

	if (sscanf(msg, "%u:%u: %n", &line, &col, &n) != 2)
		n = 0;
	kg_fault_add_at(faults, line, col, "", "%s", msg + n);
}

static const char *signers_text(struct kg_arena *a, const struct kg_value *list)
{
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;

	for (uint32_t i = 0; i < kg_len(list); i++) {
		const char *line = kg_string(&list->items[i], "");

		if (!check_signer(a, &list->items[i]))
			kg_buf_addf(&text, "%s\n", line);
	}
	/* A list of which nothing is right lets nobody in; an empty one is as none, and a fault. */
	return kg_is_null(list) ? NULL : kg_arena_strdup(a, kg_buf_str(&text));
}

static const char *const *kinds_list(struct kg_arena *a, const struct kg_value *list)
{
	const char **out;
	size_t n = 0;

	if (kg_is_null(list))
		return NULL;
	out = kg_arena_alloc(a, (kg_len(list) + 1) * sizeof(*out));
	for (uint32_t i = 0; i < kg_len(list); i++)
		if (!kg_check_ignored_kind(a, &list->items[i]))
			out[n++] = kg_arena_strdup(a, kg_string(&list->items[i], ""));
	out[n] = NULL;
	return out;
}

/* The schema takes an empty list for none: who left it so would let everybody in unsigned. */
static void check_named(const struct kg_yaml_node *doc, struct kg_fault_list *faults)
{
	for (uint32_t i = 0; doc->type == KG_OBJECT && i < doc->len; i++) {
		const struct kg_yaml_member *m = &doc->members[i];
		bool empty = m->value.type == KG_NULL ||
			     (m->value.type == KG_ARRAY && m->value.len == 0);

		if (empty && strcmp(m->key, "allowed_signers") == 0)
			kg_fault_add_at(faults, m->line, m->col, m->key,
				"names nobody: name a signer, or remove the field to take commits "
				"that are not signed");
	}
}

static void take(struct kg_settings *out, struct kg_arena *a, const struct kg_value *v)
{
	int64_t ms, revisions = kg_int(kg_at(v, "retention.revisions"), 0);

	out->allowed_signers = signers_text(a, kg_get(v, "allowed_signers"));
	out->ignored_kinds = kinds_list(a, kg_get(v, "ignored_kinds"));
	if (revisions > 0 && revisions <= REVISIONS_MAX)
		out->revisions = (uint64_t)revisions;
	if (kg_settings_age(&ms, kg_string(kg_at(v, "retention.age"), "")) == 0)
		out->age_ms = ms;
}

void kg_settings_parse(struct kg_settings *out, struct kg_arena *a, const char *text, size_t len,
	struct kg_fault_list *faults)
{
	const char *file = faults->file;
	struct kg_yaml_node *docs;
	struct kg_error err;
	size_t n = 0;

	*out = (struct kg_settings){0};
	faults->file = KG_SETTINGS_PATH;
	if (kg_yaml_parse(&docs, &n, a, text, len, NULL, &err) < 0) {
		syntax_fault(faults, err.msg);
	} else if (n > 1) {
		kg_fault_add_at(faults, docs[1].line, docs[1].col, "", "expected one document");
	} else if (n) {
		faults->root = &docs[0];
		struct kg_value v = kg_schema_decode(&settings, &docs[0], a, faults);
		faults->root = NULL;
		check_named(&docs[0], faults);
		take(out, a, &v);
	}
	faults->file = file;
}

int kg_settings_of_dir(struct kg_settings *out, struct kg_arena *a, const char *dir,
	struct kg_fault_list *faults, struct kg_error *err)
{
	KG_AUTOFREE char *path = kg_asprintf("%s/" KG_SETTINGS_PATH, dir);
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	int rc = kg_file_read(&text, path, MAX_BYTES, err);

	*out = (struct kg_settings){0};
	if (rc == -KG_E_NOT_FOUND)
		return 0;
	if (rc == 0)
		kg_settings_parse(out, a, kg_buf_str(&text), text.len, faults);
	return rc;
}

/* ---- in the store ---- */

static int read_text(struct kg_buf *out, const struct kg_reader *r, const struct kg_subtree *main,
	struct kg_error *err)
{
	unsigned char blob[20];
	int rc = main->there ? kg_view_find_path(blob, r, main, KG_SETTINGS_PATH, err)
			     : kg_fail(err, KG_E_NOT_FOUND, "no files");

	return rc < 0 ? rc : kg_reader_blob(out, r, blob, MAX_BYTES, err);
}

int kg_store_settings_text(struct kg_buf *out, struct kg_store *s, const char *commit,
	const char *objects_dir, struct kg_error *err)
{
	struct kg_reader r KG_CLEANUP(kg_reader_release) = kg_store_reader(s);
	struct kg_subtree tree;
	struct kg_error why = {0};
	int rc = kg_reader_add(&r, objects_dir, &why);

	if (rc == 0)
		rc = kg_subtree_of_commit(&tree, &r, commit, &why);
	if (rc == 0)
		rc = read_text(out, &r, &tree, &why);
	return rc < 0 ? kg_fail(err, why.code, KG_SETTINGS_PATH ": %s", why.msg) : 0;
}

static void warn_stray(struct kg_fault_list *faults, const char *name)
{
	const char *file = faults->file;
	size_t before = faults->len;

	faults->file = kg_arena_printf(faults->arena, ".kgit/%s", name);
	kg_fault_add_at(faults, 1, 1, "", "is not read: kgit's settings are " KG_SETTINGS_PATH);
	kg_fault_warn_at(faults, before);
	faults->file = file;
}

int kg_store_settings_strays(struct kg_fault_list *faults, struct kg_store *s, const char *commit,
	const char *objects_dir, struct kg_error *err)
{
	struct kg_reader r KG_CLEANUP(kg_reader_release) = kg_store_reader(s);
	git_odb_object *obj KG_AUTOOBJ = NULL;
	struct kg_tree_entry e;
	struct kg_subtree tree;
	unsigned char id[20];
	size_t pos = 0;
	int rc = kg_reader_add(&r, objects_dir, err);

	if (rc == 0)
		rc = kg_subtree_of_commit(&tree, &r, commit, err);
	if (rc < 0 || !tree.there)
		return rc;
	rc = kg_view_find_path(id, &r, &tree, ".kgit/", err);
	if (rc < 0)
		return rc == -KG_E_NOT_FOUND ? 0 : rc;
	rc = kg_reader_get(&obj, &r, id, GIT_OBJECT_TREE, err);
	while (rc >= 0 && (rc = kg_tree_next(&e, git_odb_object_data(obj), git_odb_object_size(obj),
				   &pos, err)) > 0)
		if (strcmp(e.name, "settings.yaml") != 0)
			warn_stray(faults, e.name);
	return rc;
}

int kg_store_settings(struct kg_settings *out, struct kg_store *s, struct kg_error *err)
{
	struct kg_reader r KG_CLEANUP(kg_reader_release) = kg_store_reader(s);
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	struct kg_fault_list faults;
	struct kg_settings got;
	struct kg_view head;
	int rc = kg_store_head(&head, s, err);

	*out = (struct kg_settings){0};
	if (rc == 0)
		rc = read_text(&text, &r, &head.desired, err);
	if (rc == -KG_E_NOT_FOUND)
		return 0;
	if (rc < 0)
		return kg_wrap(err, KG_SETTINGS_PATH);
	kg_faults_init(&faults, &a);
	kg_settings_parse(&got, &a, kg_buf_str(&text), text.len, &faults);
	if (kg_faults_errors(&faults) == 0)
		*out = got;
	out->allowed_signers = NULL;
	out->ignored_kinds = NULL;
	kg_faults_release(&faults);
	return 0;
}
