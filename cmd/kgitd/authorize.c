#include "kgitd/authorize.h"

#include "store/settings.h"

#include <stdlib.h>
#include <string.h>

#define MAX_LINES 50

/* ---- where a fault lies ---- */

/* The documents of the file looked at last: refusals come by the file, more or less. */
struct positions {
	struct kg_arena arena;
	const char *path;
	struct kg_manifest *docs;
	size_t n;
};

static void positions_release(struct positions *p)
{
	kg_arena_release(&p->arena);
}

static const char *text_of(
	const struct kgd_authorize *z, const char *path, struct kg_buf *before, size_t *len)
{
	for (size_t i = 0; i < z->nfiles; i++) {
		if (strcmp(z->files[i].path, path) != 0 || !z->files[i].text)
			continue;
		*len = z->files[i].len;
		return z->files[i].text;
	}
	if (z->read_before(z->ctx, path, before) < 0)
		return NULL;
	*len = before->len;
	return kg_buf_str(before);
}

static void read_positions(
	struct positions *p, const struct kgd_authorize *z, const char *path, bool before_push)
{
	struct kg_buf before KG_AUTOBUF = KG_BUF_INIT;
	struct kg_fault_list ignored;
	const char *text = NULL;
	size_t len = 0;

	positions_release(p);
	*p = (struct positions){.path = path};
	if (!before_push)
		text = text_of(z, path, &before, &len);
	else if (z->read_before(z->ctx, path, &before) == 0) {
		text = kg_buf_str(&before);
		len = before.len;
	}
	if (!text)
		return;
	kg_faults_init(&ignored, &p->arena);
	kg_manifest_read(&p->docs, &p->n, &p->arena, path, text, len, NULL, &ignored);
	kg_faults_release(&ignored);
}

static void say(struct positions *p, struct kg_buf *out, const struct kgd_authorize *z,
	const struct kg_input_desired *d, const char *path, const char *why)
{
	bool deleted = kg_is_null(&d->value);
	uint32_t line = 1, col = 1;

	/* A file may be looked at as it was and as it will be; deletions ask for the former. */
	if (deleted || !p->path || strcmp(p->path, path) != 0)
		read_positions(p, z, path, deleted);
	for (size_t i = 0; i < p->n; i++) {
		const struct kg_manifest *m = &p->docs[i];

		if (m->kind != d->kind || strcmp(m->ns, d->ns) != 0 ||
			strcmp(m->name, d->name) != 0)
			continue;
		line = m->line;
		col = m->col;
	}
	if (deleted)
		p->path = NULL;
	kg_buf_addf(out, "%s:%u:%u: %s\n", path, line, col, why);
}

/* ---- the changes ---- */

static int compare(const void *key, const void *item)
{
	const struct kg_input_desired *a = key, *b = item;
	int d = (int)a->kind->id - (int)b->kind->id;

	if (!d)
		d = strcmp(a->ns, b->ns);
	return d ? d : strcmp(a->name, b->name);
}

/* As kg_judge_options.pushed. */
static int pushed(void *ctx, enum kg_kind_id kind, const char *ns, const char *name,
	const struct kg_value **value)
{
	const struct kg_admission *a = ctx;
	const struct kg_input_desired key = {.kind = &kg_kinds[kind], .ns = ns, .name = name};
	const struct kg_input_desired *d =
		a->n ? bsearch(&key, a->desired, a->n, sizeof(key), compare) : NULL;

	if (!d)
		return 0;
	*value = kg_is_null(&d->value) ? NULL : &d->value;
	return 1;
}

/* NULL: nothing but its place changes. */
static const char *verb_of(const struct kg_input_desired *d, const struct kg_object *old)
{
	if (kg_is_null(&d->value))
		return "delete";
	if (!old)
		return "create";
	if (old->source && old->base && kg_equal(kg_doc_value(old->base), &d->value))
		return NULL;
	return "update";
}

static int check_objects(const struct kgd_authorize *z, struct kg_buf *out, size_t *refused)
{
	struct kg_judge_options opts = {
		.auth = z->m->auth, .user = z->user, .pushed = pushed, .ctx = (void *)z->admission};
	struct positions at KG_CLEANUP(positions_release) = {0};
	struct kg_judge *j = kg_judge_new(&opts);

	for (size_t i = 0; i < z->admission->n; i++) {
		const struct kg_input_desired *d = &z->admission->desired[i];
		const struct kg_object *old = kg_snapshot_get(z->s, d->kind->id, d->ns, d->name);
		struct kg_auth_change c = {.verb = verb_of(d, old),
			.kind = d->kind,
			.ns = d->ns,
			.name = d->name,
			.value = kg_is_null(&d->value) ? NULL : &d->value};
		struct kg_error why;

		if (!c.verb || kg_judge_change(j, &c, &why) == 0)
			continue;
		const char *path = d->source ? d->source : old && old->source ? old->source : "";
		if (++*refused <= MAX_LINES)
			say(&at, out, z, d, path, why.msg);
	}
	kg_judge_free(j);
	return 0;
}

/* ---- settings ---- */

static int settings_of(struct kg_buf *out, const struct kgd_authorize *z, const char *commit,
	const char *quarantine, struct kg_error *err)
{
	int rc = kg_store_settings_text(out, z->m->store, commit, quarantine, err);

	return rc == -KG_E_NOT_FOUND ? 0 : rc;
}

static int check_settings(
	const struct kgd_authorize *z, struct kg_buf *out, size_t *refused, struct kg_error *err)
{
	struct kg_buf before KG_AUTOBUF = KG_BUF_INIT, after KG_AUTOBUF = KG_BUF_INIT;
	struct kg_attributes a = {.verb = "update", .group = "kgit", .resource = "settings"};
	struct kg_error why;
	int rc = settings_of(&before, z, z->old_commit, NULL, err);

	if (rc == 0)
		rc = settings_of(&after, z, z->new_commit, z->quarantine, err);
	if (rc < 0 || strcmp(kg_buf_str(&before), kg_buf_str(&after)) == 0)
		return rc;
	if (kg_auth_authorize(z->m->auth, z->user, &a, &why) == 0)
		return 0;
	++*refused;
	kg_buf_addf(out, KG_SETTINGS_PATH ":1:1: %s\n", why.msg);
	return 0;
}

int kgd_authorize_main(const struct kgd_authorize *z, struct kg_buf *say_to, struct kg_error *err)
{
	size_t refused = 0;
	int rc = check_settings(z, say_to, &refused, err);

	if (rc == 0)
		rc = check_objects(z, say_to, &refused);
	if (rc < 0)
		return rc;
	if (refused > MAX_LINES)
		kg_buf_addf(say_to, "... and %zu more\n", refused - MAX_LINES);
	if (!refused)
		return 0;
	return kg_fail(err, KG_E_FORBIDDEN, "push refused: %s may not make %zu of its changes",
		z->user->name, refused);
}

int kgd_authorize_branch(struct kgd_master *m, const struct kg_user *user, const char *ref,
	const char *old_commit, const char *new_commit, struct kg_error *err)
{
	static const char heads[] = "refs/heads/";
	bool branch = strncmp(ref, heads, sizeof(heads) - 1) == 0;
	struct kg_attributes a = {.verb = !*old_commit  ? "create"
					  : *new_commit ? "update"
							: "delete",
		.group = "kgit",
		.resource = "branches",
		.name = branch ? ref + sizeof(heads) - 1 : ref};

	return kg_auth_authorize(m->auth, user, &a, err);
}
