/*
 * What a crash leaves, mended at start.
 *
 * The state branch, main and what append_git.c and merge.c have not finished are this process's
 * alone (it holds the store's lock), so whatever is left of them is stale; only a git that packs
 * refs has these locks, too, empty and for a moment. Other files may belong to a git that runs at
 * this moment (a push to another branch): they are stale when they are older than the machine's
 * boot, or than any such git lives, or say of which process they are, and that is gone.
 *
 * What a push leaves whose git was killed is as large as the push: it is looked for again while
 * the store is open (kg_recover_pushes). By then the clock may have been set: "older than the boot"
 * means nothing any more, and an age something only once the clock has gone on for as long.
 */
#include "store/hidden.h"
#include "store/packfile.h"
#include "store/private.h"
#include "store/refs.h"
#include "store/repack.h"

#include "base/hash.h"
#include "base/mem.h"
#include "sys/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define STALE_SECONDS 3600
#define STEP_SECONDS  2 /* by more than that a clock does not go wrong between two looks */
#define KEEP_MAX      512
#define LOCK_SECONDS  2 /* for so long a git that packs refs may hold a lock */
#define LOCK_LOOKS    100
#define LOCK_PAUSE    ((struct timespec){.tv_nsec = 10 * 1000 * 1000L})

struct sweep {
	const char *ours[2]; /* paths of locks that only we take */
	struct kg_buf *notes;
	time_t boot, now;
	bool running;    /* beside pushes: only what is abandoned for certain */
	bool steady;     /* for STALE_SECONDS nobody has set the clock; only where it is running */
	bool dead, live; /* found: the end of a push's git, or that it is there */
};

static void note(struct kg_buf *notes, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void note(struct kg_buf *notes, const char *fmt, ...)
{
	va_list ap;

	if (!notes)
		return;
	va_start(ap, fmt);
	kg_buf_addv(notes, fmt, ap);
	va_end(ap);
	kg_buf_addc(notes, '\n');
}

static bool has_suffix(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);

	return n > m && strcmp(s + n - m, suffix) == 0;
}

static bool has_prefix(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

static bool is_old(const struct sweep *s, const struct stat *st)
{
	return st->st_mtime < s->boot || st->st_mtime + STALE_SECONDS < s->now;
}

static int drop(const struct sweep *s, const char *path, const char *what, struct kg_error *err)
{
	if (unlink(path) < 0 && errno != ENOENT)
		return kg_fail_errno(err, "remove %s", path);
	note(s->notes, "removed %s %s", what, path);
	return 0;
}

typedef int sweep_fn(struct sweep *s, const char *path, const char *name, const struct stat *st,
	struct kg_error *err);

/* fn for every entry of a directory; an absent directory has none. */
static int each(struct sweep *s, const char *dir, sweep_fn *fn, struct kg_error *err)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int rc = 0;

	if (!d)
		return errno == ENOENT ? 0 : kg_fail_errno(err, "open %s", dir);
	while (rc == 0 && (errno = 0, e = readdir(d))) {
		char *path KG_AUTOFREE = kg_asprintf("%s/%s", dir, e->d_name);
		struct stat st;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (lstat(path, &st) == 0)
			rc = fn(s, path, e->d_name, &st, err);
		else if (errno != ENOENT)
			rc = kg_fail_errno(err, "stat %s", path);
	}
	if (rc == 0 && !e && errno)
		rc = kg_fail_errno(err, "read %s", dir);
	closedir(d);
	return rc;
}

/* ---- locks ---- */

/* Of a git that has looked whether it may remove the ref's own file, packed-refs having it. */
static bool goes_away(const struct sweep *s, const char *path, const struct stat *st)
{
	if (st->st_size || st->st_mtime + LOCK_SECONDS < s->now)
		return false;
	for (int i = 0; i < LOCK_LOOKS; i++) {
		if (access(path, F_OK) < 0 && errno == ENOENT)
			return true;
		nanosleep(&LOCK_PAUSE, NULL);
	}
	return false;
}

static int lock_file(struct sweep *s, const char *path, const char *name, const struct stat *st,
	struct kg_error *err)
{
	bool ours = false;

	for (size_t i = 0; i < KG_ARRAY_LEN(s->ours); i++)
		ours |= strcmp(path, s->ours[i]) == 0;
	if (!S_ISREG(st->st_mode) || !has_suffix(name, ".lock") || (!ours && !is_old(s, st)) ||
		(ours && goes_away(s, path, st)))
		return 0;
	return drop(s, path, "stale lock", err);
}

static int ref_entry(struct sweep *s, const char *path, const char *name, const struct stat *st,
	struct kg_error *err)
{
	if (S_ISDIR(st->st_mode))
		return each(s, path, ref_entry, err);
	return lock_file(s, path, name, st, err);
}

/* ---- what a push holds ---- */

enum holder { UNKNOWN, LIVE, DEAD };

/* git says in a *.keep which of its processes holds the pack, and where. */
static enum holder holder_of(const char *keep)
{
	static const char of[] = "receive-pack ";
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	char host[HOST_NAME_MAX + 1] = "";
	struct kg_error ignored;

	if (kg_file_read(&text, keep, KEEP_MAX, &ignored) < 0 ||
		!has_prefix(kg_buf_str(&text), of) || gethostname(host, HOST_NAME_MAX) < 0)
		return UNKNOWN;
	char *where, *here KG_AUTOFREE = kg_asprintf(" on %s\n", host);
	long pid = strtol(kg_buf_str(&text) + strlen(of), &where, 10);
	if (pid <= 0 || pid > INT_MAX || strcmp(where, here) != 0)
		return UNKNOWN;
	return kill((pid_t)pid, 0) < 0 && errno == ESRCH ? DEAD : LIVE;
}

static int find_holder(struct sweep *s, const char *path, const char *name, const struct stat *st,
	struct kg_error *err)
{
	(void)err;
	if (!S_ISREG(st->st_mode) || !has_suffix(name, ".keep"))
		return 0;
	enum holder holder = holder_of(path);
	s->dead |= holder == DEAD;
	s->live |= holder == LIVE;
	return 0;
}

/* Has a quarantine lost its git. What is from before the boot has, whoever has its pid now. */
static int is_abandoned(bool *out, struct sweep *s, const char *path, struct kg_error *err)
{
	char *packs KG_AUTOFREE = kg_asprintf("%s/pack", path);
	time_t changed;

	s->dead = s->live = false;
	int rc = kg_quarantine_changed(&changed, path, err);
	if (rc == 0)
		rc = each(s, packs, find_holder, err);
	bool old = changed + STALE_SECONDS < s->now && (!s->running || s->steady);
	*out = rc == 0 && changed &&
	       ((!s->running && changed < s->boot) || (!s->live && (s->dead || old)));
	return rc;
}

static int quarantine(struct sweep *s, const char *path, const char *name, const struct stat *st,
	struct kg_error *err)
{
	bool abandoned;

	if (!S_ISDIR(st->st_mode) || !kg_is_quarantine(name))
		return 0;
	int rc = is_abandoned(&abandoned, s, path, err);
	if (rc < 0 || !abandoned)
		return rc;
	rc = kg_remove_tree(path, err);
	if (rc == 0)
		note(s->notes, "removed unfinished push %s", path);
	return rc;
}

static int kept_pack(struct sweep *s, const char *path, const char *name, const struct stat *st,
	struct kg_error *err)
{
	if (!S_ISREG(st->st_mode) || !has_suffix(name, ".keep") || holder_of(path) != DEAD)
		return 0;
	return drop(s, path, "what an ended push held", err);
}

/* ---- objects ---- */

static int loose_object(struct sweep *s, const char *path, const char *name, const struct stat *st,
	struct kg_error *err)
{
	if (!S_ISREG(st->st_mode))
		return 0;
	/* Written again with the same content it would stay empty: git takes it for present. */
	if (st->st_size == 0 && !has_prefix(name, "tmp_"))
		return drop(s, path, "empty object", err);
	if (has_prefix(name, "tmp_") && is_old(s, st))
		return drop(s, path, "unfinished object", err);
	return 0;
}

static int object_dir(struct sweep *s, const char *path, const char *name, const struct stat *st,
	struct kg_error *err)
{
	if (!S_ISDIR(st->st_mode))
		return 0;
	if (strlen(name) == 2 && strspn(name, "0123456789abcdef") == 2)
		return each(s, path, loose_object, err);
	return quarantine(s, path, name, st, err);
}

static char *with_suffix(const char *path, const char *old, const char *suffix)
{
	return kg_asprintf("%.*s%s", (int)(strlen(path) - strlen(old)), path, suffix);
}

/* One half of a pack without the other, or a half that is empty. */
static int half_pack(struct sweep *s, const char *path, const char *mine, const char *other,
	const struct stat *st, struct kg_error *err)
{
	char *pair KG_AUTOFREE = with_suffix(path, mine, other);
	struct stat pair_st;
	bool alone = lstat(pair, &pair_st) < 0 && errno == ENOENT;

	if (st->st_size == 0) {
		int rc = drop(s, path, "empty pack file", err);
		return rc < 0 || alone ? rc
				       : drop(s, pair, "pack file without its other half", err);
	}
	return alone && is_old(s, st) ? drop(s, path, "half of a pack", err) : 0;
}

/* Whatever revision it was for, the journal has it, or nobody was told of it. */
static int our_keep(struct sweep *s, const char *path, struct kg_error *err)
{
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	int rc = kg_file_read(&text, path, KEEP_MAX, err);

	if (rc == -KG_E_TOO_LARGE || rc == -KG_E_NOT_FOUND)
		return 0;
	if (rc < 0 || strcmp(kg_buf_str(&text), KG_KEPT_BY_US) != 0)
		return rc;
	return drop(s, path, "what an unfinished revision held", err);
}

static int pack_file(struct sweep *s, const char *path, const char *name, const struct stat *st,
	struct kg_error *err)
{
	if (!S_ISREG(st->st_mode))
		return 0;
	/* tmp_kgit_ is what they were called once. */
	if (has_prefix(name, "tmp_kgit_") || (has_prefix(name, "tmp_") && is_old(s, st)) ||
		(has_prefix(name, KG_NEW_PREFIX) && has_suffix(name, KG_NEW_SUFFIX)))
		return drop(s, path, "unfinished pack", err);
	if (has_suffix(name, ".keep"))
		return our_keep(s, path, err);
	if (has_prefix(name, "pack-") && has_suffix(name, ".pack"))
		return half_pack(s, path, ".pack", ".idx", st, err);
	if (has_prefix(name, "pack-") && has_suffix(name, ".idx"))
		return half_pack(s, path, ".idx", ".pack", st, err);
	return 0;
}

static void sweep_init(struct sweep *s)
{
	struct timespec now, up;

	clock_gettime(CLOCK_REALTIME, &now);
	clock_gettime(CLOCK_BOOTTIME, &up);
	s->now = now.tv_sec;
	s->boot = now.tv_sec - up.tv_sec;
}

bool kg_steady(struct kg_steady *c, int64_t wall, int64_t up, int64_t seconds)
{
	int64_t ahead = wall - up, step = ahead - c->ahead;

	if (!c->looked || step > STEP_SECONDS || step < -STEP_SECONDS)
		c->since = up;
	c->looked = true;
	c->ahead = ahead;
	return up - c->since > seconds;
}

int kg_recover_pushes(struct kg_store *store, struct kg_buf *notes, struct kg_error *err)
{
	char *objects KG_AUTOFREE = kg_asprintf("%s/objects", store->dir);
	char *packs KG_AUTOFREE = kg_asprintf("%s/objects/pack", store->dir);
	struct sweep s = {.notes = notes, .running = true};

	sweep_init(&s);
	s.steady = kg_steady(&store->steady, s.now, s.now - s.boot, STALE_SECONDS);
	int rc = each(&s, objects, quarantine, err);
	return rc < 0 ? rc : each(&s, packs, kept_pack, err);
}

int kg_recover_files(
	const char *dir, const char *state_ref, struct kg_buf *notes, struct kg_error *err)
{
	char *state KG_AUTOFREE = kg_asprintf("%s/%s.lock", dir, state_ref);
	char *main_lock KG_AUTOFREE = kg_asprintf("%s/" KG_MAIN_REF ".lock", dir);
	char *refs KG_AUTOFREE = kg_asprintf("%s/refs", dir);
	char *objects KG_AUTOFREE = kg_asprintf("%s/objects", dir);
	char *packs KG_AUTOFREE = kg_asprintf("%s/objects/pack", dir);
	char *side KG_AUTOFREE = kg_asprintf("%s/" KG_SIDE_DIR, dir);
	struct sweep s = {.ours = {state, main_lock}, .notes = notes};

	sweep_init(&s);
	/* First of all, since a pack without its index is taken for half of one. */
	int rc = kg_packs_unhide(packs, notes, err);
	if (rc == 0)
		rc = kg_repack_clean(side, err);
	if (rc == 0)
		rc = each(&s, dir, lock_file, err);
	if (rc == 0)
		rc = each(&s, refs, ref_entry, err);
	if (rc == 0)
		rc = each(&s, objects, object_dir, err);
	if (rc == 0)
		rc = each(&s, packs, pack_file, err);
	return rc < 0 ? kg_wrap(err, "recover") : 0;
}

/* ---- main ---- */

static int keep_stray(
	struct kg_store *s, const char *stray, struct kg_buf *notes, struct kg_error *err)
{
	char *ref KG_AUTOFREE = kg_asprintf("refs/kgit/refused/%s", stray);
	struct kg_ref_outcome outcome;
	char now[41];

	int rc = kg_ref_read(now, s->dir, ref, err);
	if (rc == 0 && !now[0])
		rc = kg_ref_update(s->dir, ref, "", stray, &outcome, err);
	if (rc < 0)
		return rc;
	note(notes, "main had moved to %s past admission: kept as %s", stray, ref);
	return 0;
}

int kg_recover_main(struct kg_store *s, struct kg_buf *notes, struct kg_error *err)
{
	const char *want = s->head.main_commit;
	char now[41];
	bool behind = true;

	int rc = kg_store_get_main(s, now, err);
	if (rc < 0 || strcmp(now, want) == 0)
		return rc;
	/* Main behind the state branch is a push whose last step a crash cut off. */
	if (now[0])
		rc = *want ? kg_store_is_ancestor(&behind, s, now, want, NULL, err)
			   : (behind = false, 0);
	if (rc == 0 && !behind)
		rc = keep_stray(s, now, notes, err);
	if (rc == 0)
		rc = kg_store_set_main(s, now, want, err);
	if (rc < 0)
		return kg_wrap(err, "recover main");
	note(notes, "main set from %s to %s, as revision %llu says", now[0] ? now : "nothing",
		*want ? want : "nothing", (unsigned long long)s->head.revision);
	return 0;
}
