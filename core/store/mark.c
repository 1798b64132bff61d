#include "store/mark.h"

#include "store/commit_text.h"

#include "base/hash.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define LOOKS 1024 /* objects between two looks at `cancel` */

/*
 * Objects at one path are versions of one another, and git makes deltas between objects of one
 * group: so a tree's group is its path. Blobs that are records have as their group the kind of
 * record, since another object's record is as near as an older one of the same.
 */
enum level { USERS, ROOT, DECIDED, RECORDS };

struct kg_mark_item {
	unsigned char id[20];
	git_object_t type; /* GIT_OBJECT_ANY: to be found out */
	enum level level;  /* of a tree */
	uint32_t path;     /* hash of a tree's */
	uint32_t records;  /* group of the records below */
};

void kg_mark_release(struct kg_mark *m)
{
	kg_map_release(&m->others);
	free(m->stack);
	m->stack = NULL;
	m->len = m->cap = 0;
}

static uint32_t join(uint32_t path, const char *name)
{
	uint64_t parts[2] = {path, kg_hash64(name, strlen(name))};

	return (uint32_t)kg_hash64(parts, sizeof(parts));
}

/* Returns whether it had not been seen and is to be looked into. */
static bool see(struct kg_mark *m, const unsigned char id[20], uint32_t group)
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
		.path = join(tree->path, e->name),
		.records = tree->records};

	if (e->mode == 0160000) /* another repository's commit */
		return;
	memcpy(item.id, e->id, 20);
	if (!e->is_dir) {
		see(m, e->id, tree->level == RECORDS ? tree->records : item.path);
		return;
	}
	if (item.level == RECORDS && tree->level != RECORDS)
		item.records = item.path;
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
	int rc = kg_reader_get(&obj, m->reader, item->id, GIT_OBJECT_COMMIT, err);

	if (rc == 0)
		rc = kg_commit_text_read(
			&c, git_odb_object_data(obj), git_odb_object_size(obj), err);
	if (rc < 0)
		return rc;
	const char *line = git_odb_object_data(obj), *end = line + git_odb_object_size(obj);
	while ((line = memchr(line, '\n', (size_t)(end - line))) && ++line < end &&
		header_id(next.id, line, end, "parent"))
		if (!kg_shallow_has(m->stops, item->id))
			push(m, &next);
	memcpy(tree.id, c.tree, 20);
	tree.level = c.has_revision ? ROOT : USERS;
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

	return ++m->looked % LOOKS == 0 && m->cancel > 0 && poll(&p, 1, 0) > 0;
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
	struct kg_mark_item first = {.type = type, .level = level};
	char hex[41];
	int rc = 0;

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
