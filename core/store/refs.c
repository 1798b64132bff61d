#include "store/refs.h"

#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"
#include "sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <git2.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PACKED_REFS_MAX (256u << 20)
#define LOCK_PAUSE_MS   10
#define LOCK_PAUSE      ((struct timespec){.tv_nsec = LOCK_PAUSE_MS * 1000 * 1000L})

static atomic_int lock_wait_ms = KG_REF_LOCK_WAIT_MS;

void kg_ref_set_lock_wait(int ms)
{
	atomic_store(&lock_wait_ms, ms);
}

bool kg_sync_lost(int e)
{
	return e != ENOSPC && e != EDQUOT;
}

static bool is_hex_id(const char *s)
{
	unsigned char id[20];
	char hex[41];

	snprintf(hex, sizeof(hex), "%.40s", s);
	return kg_unhex(id, 20, hex) == 0;
}

static int read_packed(char out[41], const char *dir, const char *ref, struct kg_error *err)
{
	char *path KG_AUTOFREE = kg_asprintf("%s/packed-refs", dir);
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	size_t len = strlen(ref);

	out[0] = '\0';
	int rc = kg_file_read(&text, path, PACKED_REFS_MAX, err);
	if (rc == -KG_E_NOT_FOUND)
		return 0;
	if (rc < 0)
		return rc;
	for (const char *p = kg_buf_str(&text), *end; *p; p = *end ? end + 1 : end) {
		end = strchrnul(p, '\n');
		if ((size_t)(end - p) == 41 + len && p[40] == ' ' && is_hex_id(p) &&
			memcmp(p + 41, ref, len) == 0) {
			snprintf(out, 41, "%.40s", p);
			return 0;
		}
	}
	return 0;
}

int kg_ref_read(char out[41], const char *dir, const char *ref, struct kg_error *err)
{
	char *path KG_AUTOFREE = kg_asprintf("%s/%s", dir, ref);
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	struct stat st;

	out[0] = '\0';
	if (stat(path, &st) < 0 && errno != ENOENT && errno != ENOTDIR)
		return kg_fail_errno(err, "read ref %s", ref);
	if (stat(path, &st) < 0 || S_ISDIR(st.st_mode))
		return read_packed(out, dir, ref, err);
	if (!S_ISREG(st.st_mode))
		return kg_fail(err, KG_E_CORRUPT, "ref %s is no file", ref);
	int rc = kg_file_read(&text, path, 4096, err);
	if (rc == -KG_E_NOT_FOUND)
		return read_packed(out, dir, ref, err);
	if (rc < 0)
		return kg_wrap(err, "read ref %s", ref);
	while (text.len && (text.data[text.len - 1] == '\n' || text.data[text.len - 1] == ' '))
		text.data[--text.len] = '\0';
	if (text.len != 40 || !is_hex_id(text.data))
		return kg_fail(err, KG_E_CORRUPT, "ref %s holds %zu bytes that are no commit's id",
			ref, text.len);
	memcpy(out, text.data, 41);
	return 0;
}

/* ---- names ---- */

/* Each part of it is a file's name, and so is that with ".lock" behind it. */
static bool has_room(const char *dir, const char *ref)
{
	static const size_t lock = sizeof(".lock") - 1;

	if (strlen(dir) + 1 + strlen(ref) + lock >= PATH_MAX)
		return false;
	for (const char *p = ref, *end; *p; p = *end ? end + 1 : end) {
		end = strchrnul(p, '/');
		if ((size_t)(end - p) + lock > NAME_MAX)
			return false;
	}
	return true;
}

int kg_ref_check_format(const char *dir, const char *ref, struct kg_error *err)
{
	int valid = 0;

	if (strncmp(ref, "refs/", 5) == 0 && strchr(ref + 5, '/') && has_room(dir, ref) &&
		!strchr(ref, '\x7f') && /* which libgit2 lets pass */
		git_reference_name_is_valid(&valid, ref) == 0 && valid)
		return 0;
	return kg_fail(err, KG_E_INVALID,
		"%.200s is no name that a ref may have (git help check-ref-format)", ref);
}

static int name_taken(const char *ref, const char *by, struct kg_error *err)
{
	return kg_fail(err, KG_E_CONFLICT,
		"%s cannot be while %s is there: a name is a ref or a directory of refs. Choose "
		"another, or delete that one first (git push origin :%s)",
		ref, by, by);
}

/* The first ref below one's name, if any. */
static int find_below(git_reference **out, git_repository *repo, const char *ref)
{
	char *glob KG_AUTOFREE = kg_asprintf("%s/*", ref);
	git_reference_iterator *it = NULL;
	int rc = git_reference_iterator_glob_new(&it, repo, glob);

	*out = NULL;
	if (rc == 0)
		rc = git_reference_next(out, it);
	git_reference_iterator_free(it);
	return rc == GIT_ITEROVER ? 0 : rc;
}

int kg_ref_check_name(const char *dir, const char *ref, struct kg_error *err)
{
	char *above KG_AUTOFREE = kg_strdup(ref), now[41];
	git_reference *below = NULL;
	git_repository *repo = NULL;
	int rc = 0;

	for (char *s = strrchr(above, '/'); rc == 0 && s; s = strrchr(above, '/')) {
		*s = '\0';
		rc = strchr(above, '/') ? kg_ref_read(now, dir, above, err) : (now[0] = '\0', 0);
		if (rc == 0 && now[0])
			rc = name_taken(ref, above, err);
	}
	if (rc < 0)
		return rc;
	rc = git_repository_open_bare(&repo, dir);
	if (rc == 0)
		rc = find_below(&below, repo, ref);
	git_repository_free(repo);
	if (rc < 0) {
		const git_error *e = git_error_last();
		return kg_fail(err, KG_E_IO, "read the refs below %s: %s", ref,
			e ? e->message : "unknown error");
	}
	if (below)
		rc = name_taken(ref, git_reference_name(below), err);
	git_reference_free(below);
	return rc;
}

/* ---- the update ---- */

struct update {
	const char *dir, *ref;
	char *path, *lock, *parent;
	size_t made_from; /* in path: directories longer than this were made by us; 0: none */
};

static void update_release(struct update *u)
{
	free(u->path);
	free(u->lock);
	free(u->parent);
}

static int make_parents(struct update *u, struct kg_error *err)
{
	size_t base = strlen(u->dir);

	for (char *s = strchr(u->path + base + 1, '/'); s; s = strchr(s + 1, '/')) {
		*s = '\0';
		int rc = mkdir(u->path, 0777);
		if (rc < 0 && errno != EEXIST)
			rc = kg_fail_errno(err, "make %s", u->path);
		else if (rc == 0 && !u->made_from)
			u->made_from = (size_t)(s - u->path);
		else
			rc = 0;
		*s = '/';
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int sync_one(const char *path, struct kg_ref_outcome *outcome, struct kg_error *err)
{
	KG_AUTOCLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* Descriptors and memory may be short for a moment: that is not the disk. */
	if (fd < 0)
		return kg_fail_errno(err, "open %s", path);
	if (fsync(fd) == 0)
		return 0;
	outcome->sync_failed |= kg_sync_lost(errno);
	return kg_fail_errno(err, "sync %s", path);
}

/* The ref's directory, and the parents of every directory that was made for it. */
static int sync_parents(struct update *u, struct kg_ref_outcome *outcome, struct kg_error *err)
{
	char *path KG_AUTOFREE = kg_strdup(u->parent);
	int rc = sync_one(path, outcome, err);

	while (rc == 0 && u->made_from && strlen(path) >= u->made_from) {
		*strrchr(path, '/') = '\0';
		rc = sync_one(path, outcome, err);
	}
	return rc;
}

/* A git that packs refs, or checks one, has the lock for some milliseconds. */
static int make_lock(const struct update *u)
{
	int fd = -1;

	for (int tries = atomic_load(&lock_wait_ms) / LOCK_PAUSE_MS; tries > 0; tries--) {
		fd = open(u->lock, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (fd >= 0 || errno != EEXIST)
			return fd;
		nanosleep(&LOCK_PAUSE, NULL);
	}
	errno = EEXIST;
	return fd;
}

static int write_lock(
	struct update *u, const char *id, struct kg_ref_outcome *outcome, struct kg_error *err)
{
	KG_AUTOCLOSE int fd = make_lock(u);
	char line[42];

	if (fd < 0 && errno == EEXIST)
		return kg_fail(err, KG_E_CONFLICT,
			"ref %s is locked: %s exists; a git is at work there, or one was killed: "
			"then remove that file",
			u->ref, u->lock);
	if (fd < 0)
		return kg_fail_errno(err, "make %s", u->lock);
	snprintf(line, sizeof(line), "%s\n", id);
	int rc = *id ? kg_write_all(fd, line, 41, err) : 0;
	if (rc == 0 && *id && fsync(fd) < 0) {
		outcome->sync_failed |= kg_sync_lost(errno);
		rc = kg_fail_errno(err, "sync %s", u->lock);
	}
	if (rc < 0)
		unlink(u->lock);
	return rc;
}

/* Out of packed-refs too, which only libgit2 (or git) rewrites. */
static int remove_packed(struct update *u, struct kg_error *err)
{
	git_repository *repo = NULL;
	char packed[41];

	int rc = read_packed(packed, u->dir, u->ref, err);
	if (rc < 0 || !packed[0])
		return rc;
	rc = git_repository_open_bare(&repo, u->dir);
	if (rc == 0)
		rc = git_reference_remove(repo, u->ref);
	git_repository_free(repo);
	if (rc < 0) {
		const git_error *e = git_error_last();
		return kg_fail(err, KG_E_IO, "remove packed ref %s: %s", u->ref,
			e ? e->message : "unknown error");
	}
	return 0;
}

/* With the lock held: compare, then put the lock file in place (or remove the ref). */
static int swap(struct update *u, const char *old, const char *new_id, struct kg_error *err)
{
	char now[41];
	int rc = kg_ref_read(now, u->dir, u->ref, err);

	if (rc < 0)
		return rc;
	if (strcmp(now, old) != 0)
		return kg_fail(err, KG_E_CONFLICT, "ref %s is %s, expected %s", u->ref,
			now[0] ? now : "absent", old[0] ? old : "none");
	if (*new_id) {
		if (rename(u->lock, u->path) < 0)
			return kg_fail_errno(err, "rename %s", u->lock);
		return 0;
	}
	if (unlink(u->path) < 0 && errno != ENOENT)
		return kg_fail_errno(err, "remove %s", u->path);
	unlink(u->lock);
	return remove_packed(u, err);
}

int kg_ref_update(const char *dir, const char *ref, const char *old, const char *new_id,
	struct kg_ref_outcome *outcome, struct kg_error *err)
{
	struct update u KG_CLEANUP(update_release) = {
		.dir = dir,
		.ref = ref,
		.path = kg_asprintf("%s/%s", dir, ref),
		.lock = kg_asprintf("%s/%s.lock", dir, ref),
	};

	*outcome = (struct kg_ref_outcome){0};
	u.parent = kg_strndup(u.path, (size_t)(strrchr(u.path, '/') - u.path));
	int rc = make_parents(&u, err);
	if (rc == 0)
		rc = write_lock(&u, new_id, outcome, err);
	if (rc < 0)
		return rc;
	rc = swap(&u, old, new_id, err);
	if (rc < 0) {
		unlink(u.lock);
		return rc;
	}
	rc = sync_parents(&u, outcome, err);
	if (rc < 0 && !outcome->sync_failed)
		rc = sync_parents(&u, outcome, err);
	outcome->moved = rc < 0;
	return rc;
}
