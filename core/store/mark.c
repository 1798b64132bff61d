#include "store/mark.h"

#include "store/commit_text.h"
#include "store/view.h"

#include "base/hash.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define LOOKS 256 /* objects between two looks at `cancel` */

/*
 * Objects at one path are versions of one another, so an object's group is its path. Another
 * object's record is as near as an older one of the same where both are of one kind, nearer where
 * one owner made both: what a pod's name ends with tells it from its siblings. So it is for files
 * in one directory of the users'.
 */
enum level { USERS, ROOT, DECIDED, RECORDS };
/* "Paths" of what has none: commits and roots, the state's and others'. */
enum { USERS_COMMIT, USERS_ROOT, STATE_COMMIT, STATE_ROOT };

struct kg_mark_item {
	unsigned char id[20];
	git_object_t type; /* GIT_OBJECT_ANY: to be found out */
	enum level level;  /* of a tree */
	uint64_t path;     /* hash of a tree's, or what commits have for it */
	uint64_t kind;     /* hash of what the files below have in common */
};

void kg_mark_release(struct kg_mark *m)
{
	kg_map_release(&m->others);
	free(m->stack);
	m->stack = NULL;
	m->len = m->cap = 0;
}

static uint64_t join(uint64_t path, const char *name, size_t len)
{
	uint64_t parts[2] = {path, kg_hash64(name, len)};

	return kg_hash64(parts, sizeof(parts));
}

/* See KG_GROUP_KIND and KG_GROUP_FAMILY. */
static uint64_t file_group(uint64_t kind, uint64_t dir, const char *name)
{
	const char *dash = strrchr(name, '-');
	uint64_t family = join(dir, name, dash ? (size_t)(dash - name) : 0);

	return kind >> 48 << 48 | family >> 40 << 24 | join(dir, name, strlen(name)) >> 40;
}

/* Returns whether it had not been seen and is to be looked into. */
static bool see(struct kg_mark *m, const unsigned char id[20], uint64_t group)
{
	struct kg_livepacks_at at;
	char hex[41];

	if (!kg_livepacks_find(&at, m->set, id)) {
		kg_hex(hex, id, 20);
		return !kg_map_put(&m->others, hex, m);
	}
	if (!kg_livepacks_mark(m->set, &at, group))
		return false;
	if (m->again && at.pack->chosen)
		m->lost = true;
	return !m->sealed || !at.pack->packed || at.pack->n < m->sealed;
}

static void push(struct kg_mark *m, const struct kg_mark_item *item)
{
	if (!see(m, item->id, item->path))
		return;
	KG_GROW(m->stack, m->cap, m->len + 1);
	m->stack[m->len++] = *item;
}

/* ---- one object ---- */

static enum level below(enum level level, const char *name)
{
	switch (level) {
	case ROOT:
		return strcmp(name, "desired") == 0   ? USERS
		       : strcmp(name, "decided") == 0 ? DECIDED
						      : RECORDS;
	case DECIDED:
		return RECORDS;
	default:
		return level;
	}
}

static void tree_entry(
	struct kg_mark *m, const struct kg_mark_item *tree, const struct kg_tree_entry *e)
{
	struct kg_mark_item item = {.type = GIT_OBJECT_TREE,
		.level = below(tree->level, e->name),
		.path = join(tree->path, e->name, strlen(e->name))};

	if (e->mode == 0160000) /* another repository's commit */
		return;
	memcpy(item.id, e->id, 20);
	if (!e->is_dir) {
		see(m, e->id, file_group(tree->kind, tree->path, e->name));
		return;
	}
	item.kind = tree->level == RECORDS ? tree->kind : item.path;
	push(m, &item);
}

static int look_tree(struct kg_mark *m, const struct kg_mark_item *item, struct kg_error *err)
{
	git_odb_object *obj KG_AUTOOBJ = NULL;
	struct kg_tree_entry e;
	size_t pos = 0;
	int rc = kg_reader_get(&obj, m->reader, item->id, GIT_OBJECT_TREE, err);

	if (rc < 0)
		return rc;
	while ((rc = kg_tree_next(
			&e, git_odb_object_data(obj), git_odb_object_size(obj), &pos, err)) > 0)
		tree_entry(m, item, &e);
	return rc;
}

/* "parent HEX" lines and the "tree HEX" line of a commit; "object HEX" of a tag. */
static bool header_id(unsigned char id[20], const char *line, const char *end, const char *word)
{
	size_t n = strlen(word);
	char hex[41];

	if (end - line < (ptrdiff_t)(n + 41) || memcmp(line, word, n) != 0 || line[n] != ' ')
		return false;
	memcpy(hex, line + n + 1, 40);
	hex[40] = '\0';
	return kg_unhex(id, 20, hex) == 0;
}

/* The parents first, so that what lies uppermost on the stack is the newest. */
static int look_commit(struct kg_mark *m, const struct kg_mark_item *item, struct kg_error *err)
{
	git_odb_object *obj KG_AUTOOBJ = NULL;
	struct kg_mark_item next = {.type = GIT_OBJECT_COMMIT};
	struct kg_mark_item tree = {.type = GIT_OBJECT_TREE};
	struct kg_commit_view c;
	int rc = kg_commit_read(&obj, &c, m->reader, item->id, err);

	if (rc < 0)
		return rc;
	next.path = c.has_revision ? STATE_COMMIT : USERS_COMMIT; /* of its first parent */
	const char *line = git_odb_object_data(obj), *end = line + git_odb_object_size(obj);
	while ((line = memchr(line, '\n', (size_t)(end - line))) && ++line < end &&
		header_id(next.id, line, end, "parent")) {
		if (!kg_shallow_has(m->stops, item->id))
			push(m, &next);
		next.path = USERS_COMMIT;
	}
	memcpy(tree.id, c.tree, 20);
	tree.level = c.has_revision ? ROOT : USERS;
	tree.path = tree.kind = c.has_revision ? STATE_ROOT : USERS_ROOT;
	push(m, &tree);
	return 0;
}

static int look_tag(struct kg_mark *m, const struct kg_mark_item *item, struct kg_error *err)
{
	git_odb_object *obj KG_AUTOOBJ = NULL;
	struct kg_mark_item next = {.type = GIT_OBJECT_ANY};
	int rc = kg_reader_get(&obj, m->reader, item->id, GIT_OBJECT_TAG, err);

	if (rc < 0)
		return rc;
	const char *text = git_odb_object_data(obj);
	if (!header_id(next.id, text, text + git_odb_object_size(obj), "object"))
		return kg_fail(err, KG_E_CORRUPT, "malformed tag");
	push(m, &next);
	return 0;
}

#define TRIES 4 /* packs come and go */

static int type_of(git_object_t *type, const struct kg_reader *r, const unsigned char id[20],
	struct kg_error *err)
{
	git_oid oid;
	size_t len;
	char hex[41];
	int rc, tries = 0;

	git_oid_fromraw(&oid, id);
	do {
		rc = git_odb_read_header(&len, type, r->odb, &oid);
	} while (rc < 0 && ++tries < TRIES && git_odb_refresh(r->odb) == 0);
	kg_hex(hex, id, 20);
	return rc < 0 ? kg_git_fail(err, rc, "read object %s", hex) : 0;
}

static int look(struct kg_mark *m, const struct kg_mark_item *item, struct kg_error *err)
{
	git_object_t type = item->type;
	int rc = 0;

	if (type == GIT_OBJECT_ANY)
		rc = type_of(&type, m->reader, item->id, err);
	if (rc < 0)
		return rc;
	switch (type) {
	case GIT_OBJECT_COMMIT:
		return look_commit(m, item, err);
	case GIT_OBJECT_TREE:
		return look_tree(m, item, err);
	case GIT_OBJECT_TAG:
		return look_tag(m, item, err);
	default:
		return 0;
	}
}

static bool cancelled(struct kg_mark *m)
{
	struct pollfd p = {.fd = m->cancel, .events = POLLIN};

	if (++m->looked % LOOKS != 0)
		return false;
	if (m->pause)
		m->pause(m->ctx);
	return m->cancel > 0 && poll(&p, 1, 0) > 0;
}

/* What an object that nothing is known to refer to leads to may have gone before it: then nothing
 * needs it either. It is looked for again where something else leads to it. */
static bool may_lack(struct kg_mark *m, const unsigned char id[20])
{
	char hex[41];

	kg_hex(hex, id, 20);
	return m->unreferred && kg_map_remove(&m->others, hex);
}

static int from(struct kg_mark *m, const unsigned char id[20], git_object_t type, enum level level,
	struct kg_error *err)
{
	struct kg_mark_item first = {
		.type = type, .level = level, .path = level == ROOT ? STATE_ROOT : USERS_COMMIT};
	char hex[41];
	int rc = 0;

	first.kind = first.path;
	memcpy(first.id, id, 20);
	push(m, &first);
	while (rc == 0 && m->len) {
		struct kg_mark_item item = m->stack[--m->len];

		rc = cancelled(m) ? kg_fail(err, KG_E_UNAVAILABLE, "it was told to stop")
				  : look(m, &item, err);
		if (rc == -KG_E_NOT_FOUND && may_lack(m, item.id))
			rc = 0;
	}
	kg_hex(hex, id, 20);
	return rc < 0 ? kg_wrap(err, "what %s needs", hex) : 0;
}

/* ---- from where ---- */

int kg_mark_root(struct kg_mark *m, const unsigned char tree[20], struct kg_error *err)
{
	return from(m, tree, GIT_OBJECT_TREE, ROOT, err);
}

int kg_mark_any(struct kg_mark *m, const unsigned char id[20], struct kg_error *err)
{
	return from(m, id, GIT_OBJECT_ANY, USERS, err);
}

/* Strict when it is done again: what came meanwhile has to be looked through whole. */
static int mark_unreferred(struct kg_mark *m, const unsigned char id[20], struct kg_error *err)
{
	m->unreferred = !m->again;
	int rc = kg_mark_any(m, id, err);
	m->unreferred = false;
	return rc;
}

static int mark_ref(struct kg_mark *m, git_repository *repo, const char *name, struct kg_error *err)
{
	git_oid oid;
	int rc = git_reference_name_to_id(&oid, repo, name);

	/* Deleted just now, or it names another one that is not there. */
	if (rc == GIT_ENOTFOUND)
		return 0;
	if (rc < 0)
		return kg_git_fail(err, rc, "read ref %s", name);
	rc = kg_mark_any(m, oid.id, err);
	return rc < 0 ? kg_wrap(err, "ref %s", name) : 0;
}

int kg_mark_refs(struct kg_mark *m, const char *dir, struct kg_error *err)
{
	git_repository *repo = NULL;
	git_strarray names = {0};
	int rc = git_repository_open_bare(&repo, dir);

	if (rc == 0)
		rc = git_reference_list(&names, repo);
	if (rc < 0)
		rc = kg_git_fail(err, rc, "list the refs of %s", dir);
	if (rc == 0)
		rc = mark_ref(m, repo, "HEAD", err);
	for (size_t i = 0; rc == 0 && i < names.count; i++)
		rc = mark_ref(m, repo, names.strings[i], err);
	git_strarray_dispose(&names);
	git_repository_free(repo);
	return rc;
}

int kg_mark_pack(struct kg_mark *m, const struct kg_livepacks_pack *p, struct kg_error *err)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < p->n; i++)
		if (!p->order[i])
			rc = mark_unreferred(m, kg_livepacks_id(p, i), err);
	return rc;
}

static int mark_loose_dir(
	struct kg_mark *m, const char *path, const char *two, struct kg_error *err)
{
	DIR *d = opendir(path);
	struct dirent *e;
	int rc = 0;

	while (d && rc == 0 && (e = readdir(d))) {
		unsigned char id[20];
		char hex[64];

		snprintf(hex, sizeof(hex), "%s%.60s", two, e->d_name);
		if (kg_unhex(id, 20, hex) == 0)
			rc = mark_unreferred(m, id, err);
	}
	if (d)
		closedir(d);
	return rc;
}

int kg_mark_loose(struct kg_mark *m, const char *dir, struct kg_error *err)
{
	int rc = 0;

	for (int i = 0; rc == 0 && i < 256; i++) {
		char two[3];

		snprintf(two, sizeof(two), "%02x", i);
		char *path KG_AUTOFREE = kg_asprintf("%s/objects/%s", dir, two);
		rc = mark_loose_dir(m, path, two, err);
	}
	return rc;
}
