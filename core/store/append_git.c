/*
 * The order in which a revision reaches the disk:
 *
 *   1. the pack as a temporary file, synced; its index likewise
 *   2. both renamed to their names, the pack first (git looks for *.idx)
 *   3. objects/pack synced: this also makes durable the packs of a push, which git renamed into
 *      the same directory and never syncs (kg_append.pushed)
 *   4. the ref: lock file, synced, renamed (the commit point), its directory synced
 *
 * From 2 to 4 no ref leads to what the pack holds: a file *.keep beside it tells a `git repack -d`
 * or `git gc` of somebody else to leave it alone, as git's own pushes do.
 *
 * A failure before the rename of 4 leaves nothing but, at worst, a temporary file that the next
 * start removes. A sync that failed poisons the backend: pages that could not be written may be
 * dropped by the kernel and a second sync succeed all the same. When it was the last one, the
 * ref has moved and what a power cut would leave is unknown; the answer is then KG_E_IO, and the
 * next start takes the ref as it finds it.
 */
#include "store/append_git.h"

#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"
#include "store/packfile.h"
#include "store/refs.h"
#include "sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct append_git {
	struct kg_append_backend base;
	char *dir, *ref, *packs;
	bool poisoned;
};

static int sync_fd(struct append_git *g, int fd, const char *path, struct kg_error *err)
{
	if (fsync(fd) == 0)
		return 0;
	if (kg_sync_lost(errno))
		g->poisoned = true;
	return kg_fail_errno(err, "sync %s", path);
}

static int write_file(
	struct append_git *g, const char *path, const void *p, size_t n, struct kg_error *err)
{
	KG_AUTOCLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0444);

	if (fd < 0)
		return kg_fail_errno(err, "make %s", path);
	int rc = kg_write_all(fd, p, n, err);
	if (rc < 0)
		return kg_wrap(err, "%s", path);
	return sync_fd(g, fd, path, err);
}

static int sync_packs(struct append_git *g, struct kg_error *err)
{
	KG_AUTOCLOSE int fd = open(g->packs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return kg_fail_errno(err, "open %s", g->packs);
	return sync_fd(g, fd, g->packs, err);
}

struct names {
	char *tmp_pack, *tmp_index, *pack, *index, *keep;
};

static void names_init(struct names *n, const struct append_git *g, const struct kg_append *a)
{
	char hex[41];

	kg_hex(hex, a->pack_id, 20);
	n->tmp_pack = kg_asprintf("%s/" KG_NEW_PREFIX "%s.pack" KG_NEW_SUFFIX, g->packs, hex);
	n->tmp_index = kg_asprintf("%s/" KG_NEW_PREFIX "%s.idx" KG_NEW_SUFFIX, g->packs, hex);
	n->pack = kg_asprintf("%s/pack-%s.pack", g->packs, hex);
	n->index = kg_asprintf("%s/pack-%s.idx", g->packs, hex);
	n->keep = kg_asprintf("%s/pack-%s.keep", g->packs, hex);
}

static void names_release(struct names *n)
{
	free(n->tmp_pack);
	free(n->tmp_index);
	free(n->pack);
	free(n->index);
	free(n->keep);
}

static int move(const char *from, const char *to, struct kg_error *err)
{
	return rename(from, to) < 0 ? kg_fail_errno(err, "rename %s", from) : 0;
}

/* It is there for who looks now: a power cut may take it. */
static int hold_pack(const struct names *n, struct kg_error *err)
{
	KG_AUTOCLOSE int fd = open(n->keep, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0444);
	int rc = fd < 0 ? kg_fail_errno(err, "make %s", n->keep)
			: kg_write_all(fd, KG_KEPT_BY_US, strlen(KG_KEPT_BY_US), err);

	return rc < 0 && fd >= 0 ? kg_wrap(err, "%s", n->keep) : rc;
}

static int place_pack(struct append_git *g, const struct names *n, const struct kg_append *a,
	struct kg_error *err)
{
	int rc = write_file(g, n->tmp_pack, a->pack, a->pack_len, err);

	if (rc == 0)
		rc = write_file(g, n->tmp_index, a->index, a->index_len, err);
	if (rc == 0)
		rc = hold_pack(n, err);
	if (rc == 0)
		rc = move(n->tmp_pack, n->pack, err);
	if (rc == 0)
		rc = move(n->tmp_index, n->index, err);
	if (rc == 0)
		rc = sync_packs(g, err);
	return rc;
}

/* Nothing refers to them. The index goes first, so that no index is ever without its pack. */
static void drop_pack(const struct names *n)
{
	unlink(n->index);
	unlink(n->pack);
	unlink(n->keep);
	unlink(n->tmp_index);
	unlink(n->tmp_pack);
}

static void hex_or_empty(char out[41], const unsigned char id[20])
{
	static const unsigned char zero[20];

	kg_hex(out, id, 20);
	if (memcmp(id, zero, 20) == 0)
		out[0] = '\0';
}

static int move_ref(
	struct append_git *g, const struct kg_append *a, bool *moved, struct kg_error *err)
{
	struct kg_ref_outcome outcome;
	char parent[41], commit[41];

	hex_or_empty(parent, a->parent);
	kg_hex(commit, a->commit, 20);
	int rc = kg_ref_update(g->dir, g->ref, parent, commit, &outcome, err);
	*moved = outcome.moved;
	/* A ref whose move cannot be made durable is as bad as a failed sync. */
	if (outcome.sync_failed || outcome.moved)
		g->poisoned = true;
	if (rc < 0 && outcome.moved)
		return kg_fail(err, KG_E_IO,
			"%s; whether revision %llu was stored is known after a restart", err->msg,
			(unsigned long long)a->revision);
	return rc;
}

static int check_parent(struct append_git *g, const struct kg_append *a, struct kg_error *err)
{
	char parent[41], now[41];
	int rc = kg_ref_read(now, g->dir, g->ref, err);

	hex_or_empty(parent, a->parent);
	if (rc < 0)
		return rc;
	if (strcmp(now, parent) != 0)
		return kg_fail(err, KG_E_CONFLICT, "ref %s is %s, expected %s", g->ref,
			now[0] ? now : "absent", parent[0] ? parent : "none");
	return 0;
}

static int append(void *self, const struct kg_append *a, struct kg_error *err)
{
	struct append_git *g = self;
	struct names n KG_CLEANUP(names_release);
	struct kg_error why = {0};
	bool moved = false;

	names_init(&n, g, a);
	if (g->poisoned)
		return kg_fail(err, KG_E_IO,
			"a write to the disk has failed: nothing more is stored until a restart");
	int rc = check_parent(g, a, &why);
	if (rc == 0) {
		rc = place_pack(g, &n, a, &why);
		if (rc == 0)
			rc = move_ref(g, a, &moved, &why);
		if (rc < 0 && !moved)
			drop_pack(&n);
		else if (rc == 0)
			unlink(n.keep);
	}
	return rc < 0 ? kg_fail(err, why.code, "append revision %llu: %s",
				(unsigned long long)a->revision, why.msg)
		      : 0;
}

static int head(void *self, char out[41], struct kg_error *err)
{
	struct append_git *g = self;

	return kg_ref_read(out, g->dir, g->ref, err);
}

static int flush(void *self, int timeout_ms, struct kg_error *err)
{
	(void)self;
	(void)timeout_ms;
	(void)err;
	return 0;
}

static int attach(void *self, struct git_odb *odb, struct kg_error *err)
{
	(void)self;
	(void)odb;
	(void)err;
	return 0;
}

static void append_git_free(void *self)
{
	struct append_git *g = self;

	if (!g)
		return;
	free(g->dir);
	free(g->ref);
	free(g->packs);
	free(g);
}

struct kg_append_backend *kg_append_git_new(const char *dir, const char *ref)
{
	struct append_git *g = kg_alloc(sizeof(*g));

	g->base = (struct kg_append_backend){.append = append,
		.head = head,
		.flush = flush,
		.attach = attach,
		.free = append_git_free};
	g->dir = kg_strdup(dir);
	g->ref = kg_strdup(ref);
	g->packs = kg_asprintf("%s/objects/pack", dir);
	return &g->base;
}
