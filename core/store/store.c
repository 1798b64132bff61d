#include "store/append_git.h"
#include "store/append_journal.h"
#include "store/commit_text.h"
#include "store/private.h"
#include "store/refs.h"

#include "base/hash.h"
#include "base/mem.h"
#include "sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_LINGER_MS 250
#define FLUSH_MS          10000 /* slower than that is not slow but broken */

/* ---- opening ---- */

/* One process writes. The lock goes with the descriptor, so a crash leaves none. */
static int take_lock(struct kg_store *s, struct kg_error *err)
{
	char *side KG_AUTOFREE = kg_asprintf("%s/" KG_SIDE_DIR, s->dir);
	char *path KG_AUTOFREE = kg_asprintf("%s/lock", side);
	int rc = kg_mkdir_p(side, 0755, err);

	if (rc < 0)
		return rc;
	s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (s->lock_fd < 0)
		return kg_fail_errno(err, "open %s", path);
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	if (fcntl(s->lock_fd, F_OFD_SETLK, &whole) == 0)
		return 0;
	if (errno == EAGAIN || errno == EACCES)
		return kg_fail(err, KG_E_CONFLICT, "another process has %s open", s->dir);
	return kg_fail_errno(err, "lock %s", path);
}

/* Refs and objects lie where the repository is, not where its work tree is. */
static int find_repository(struct kg_store *s, struct kg_error *err)
{
	git_repository *repo = NULL;
	int rc = git_repository_open_ext(&repo, s->dir,
		s->read_only ? 0 : GIT_REPOSITORY_OPEN_NO_SEARCH | GIT_REPOSITORY_OPEN_BARE, NULL);

	if (rc < 0)
		return kg_git_fail(err, rc, "open repository %s", s->dir);
	const char *path = git_repository_commondir(repo);
	size_t len = strlen(path);
	while (len > 1 && path[len - 1] == '/')
		len--;
	free(s->dir);
	s->dir = kg_strndup(path, len);
	git_repository_free(repo);
	return 0;
}

int kg_store_open_odb(git_odb **out, struct kg_store *s, struct kg_error *err)
{
	char *path KG_AUTOFREE = kg_asprintf("%s/objects", s->dir);
	git_odb *odb = NULL;
	int rc = git_odb_open(&odb, path);

	if (rc < 0)
		return kg_git_fail(err, rc, "open %s", path);
	rc = s->backend ? s->backend->attach(s->backend, odb, err) : 0;
	if (rc < 0)
		git_odb_free(odb);
	else
		*out = odb;
	return rc;
}

struct kg_reader kg_store_reader(struct kg_store *s)
{
	atomic_fetch_add_explicit(&s->reads, 1, memory_order_relaxed);
	pthread_mutex_lock(&s->lock);
	struct kg_reader r = kg_shared_odb_reader(s->odb);
	pthread_mutex_unlock(&s->lock);
	return r;
}

/* The directory as a bare repository, made where it is wanted and not there. */
static int prepare(struct kg_store *s, const struct kg_store_options *opts, struct kg_buf *notes,
	struct kg_error *err)
{
	char *head KG_AUTOFREE = kg_asprintf("%s/HEAD", s->dir);

	if (!kg_path_exists(head) && !opts->create)
		return kg_fail(err, KG_E_NOT_FOUND, "%s is not a repository", s->dir);
	int rc = kg_path_exists(head) ? 0 : kg_repo_create(s->dir, err);
	if (rc == 0)
		rc = take_lock(s, err);
	if (rc == 0)
		rc = kg_recover_files(s->dir, s->ref, notes, err);
	if (rc == 0)
		rc = kg_config_ensure(s->dir, notes, err);
	return rc;
}

static void packed(void *ctx)
{
	kg_merger_poke(ctx);
}

static int open_backend(struct kg_store *s, const struct kg_store_options *opts,
	struct kg_buf *notes, struct kg_error *err)
{
	char *side KG_AUTOFREE = kg_asprintf("%s/" KG_SIDE_DIR, s->dir);
	struct kg_append_journal_options o = {.dir = s->dir,
		.ref = s->ref,
		.journal = side,
		.size = opts->journal_size,
		.linger_ms = opts->linger_ms ? opts->linger_ms : DEFAULT_LINGER_MS,
		.packed = packed,
		.ctx = s};

	if (opts->journal_size != KG_STORE_NO_JOURNAL)
		return kg_append_journal_open(&s->backend, &o, notes, err);
	s->backend = kg_append_git_new(s->dir, s->ref);
	return 0;
}

static int open_objects(struct kg_store *s, struct kg_error *err)
{
	git_odb *odb;
	int rc = kg_store_open_odb(&odb, s, err);

	if (rc == 0)
		s->odb = kg_shared_odb_new(odb);
	return rc;
}

static int read_head(struct kg_store *s, struct kg_error *err)
{
	struct kg_reader r KG_CLEANUP(kg_reader_release) = kg_store_reader(s);
	unsigned char id[20];
	char hex[41];

	int rc = s->backend ? s->backend->head(s->backend, hex, err)
			    : kg_ref_read(hex, s->dir, s->ref, err);
	if (rc < 0 || !hex[0])
		return rc;
	kg_unhex(id, 20, hex);
	rc = kg_view_open(&s->head, &r, id, err);
	if (rc < 0)
		return kg_wrap(err, "head of %s", s->ref);
	s->has_head = true;
	return 0;
}

static int open_history(struct kg_store *s, const struct kg_reader *r, struct kg_error *err)
{
	char *path KG_AUTOFREE = kg_asprintf("%s/" KG_SIDE_DIR "/revisions", s->dir);

	return kg_history_open(&s->history, s->dir, s->read_only ? NULL : path, r, s->head.commit,
		s->head.revision, err);
}

static int start_history(struct kg_store *s, struct kg_error *err)
{
	struct kg_reader r KG_CLEANUP(kg_reader_release) = kg_store_reader(s);

	return open_history(s, &r, err);
}

/* git's files and main made to agree with the head. A full disk need not keep anybody from reading:
 * it is all done later. */
static int settle(struct kg_store *s, struct kg_buf *notes, struct kg_error *err)
{
	struct kg_error why = {0};
	int rc = kg_store_flush(s, FLUSH_MS, &why);

	if (rc == 0)
		rc = kg_recover_main(s, notes, &why);
	if (rc == -KG_E_NO_SPACE || rc == -KG_E_TIMEOUT) {
		if (notes)
			kg_buf_addf(notes, "git's files are behind: %s\n", why.msg);
		return 0;
	}
	return rc < 0 ? kg_fail(err, why.code, "%s", why.msg) : 0;
}

static int open_writer(struct kg_store *s, const struct kg_store_options *opts,
	struct kg_buf *notes, struct kg_error *err)
{
	s->pack = kg_pack_new();
	if (!s->has_head && !opts->create)
		return kg_fail(err, KG_E_NOT_FOUND, "%s has no %s", s->dir, s->ref);
	int rc = s->has_head ? 0 : kg_store_begin(s, opts, err);
	if (rc == 0)
		rc = start_history(s, err);
	if (rc == 0)
		rc = settle(s, notes, err);
	if (rc == 0)
		rc = kg_merger_start(s, opts->pack_limit, err);
	return rc;
}

int kg_store_open(struct kg_store **out, const char *dir, const struct kg_store_options *opts,
	struct kg_buf *notes, struct kg_error *err)
{
	static const struct kg_store_options none;
	struct kg_error why = {0};

	if (!opts)
		opts = &none;
	kg_git_init();
	struct kg_store *s = kg_alloc(sizeof(*s));
	s->dir = kg_strdup(dir);
	s->ref = kg_strdup(opts->state_ref ? opts->state_ref : KG_STATE_REF);
	s->read_only = opts->read_only;
	s->lock_fd = s->history.fd = -1;
	pthread_mutex_init(&s->lock, NULL);
	kg_merger_init(s);
	int rc = s->read_only ? 0 : prepare(s, opts, notes, &why);
	if (rc == 0)
		rc = find_repository(s, &why);
	if (rc == 0 && !s->read_only)
		rc = open_backend(s, opts, notes, &why);
	if (rc == 0)
		rc = open_objects(s, &why);
	if (rc == 0)
		rc = read_head(s, &why);
	if (rc == 0 && !s->read_only)
		rc = open_writer(s, opts, notes, &why);
	if (rc < 0) {
		kg_store_close(s);
		return kg_fail(err, why.code, "open store %s: %s", dir, why.msg);
	}
	*out = s;
	return 0;
}

void kg_store_close(struct kg_store *s)
{
	if (!s)
		return;
	kg_merger_stop(s);
	/* Its thread pokes the merger, which then does nothing any more. */
	if (s->backend)
		s->backend->free(s->backend);
	kg_merger_release(s);
	kg_history_release(&s->history);
	kg_mirror_release(&s->mirror);
	kg_pack_free(s->pack);
	kg_shared_odb_unref(s->odb);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	pthread_mutex_destroy(&s->lock);
	free(s->ref);
	free(s->dir);
	free(s);
}

int kg_store_flush(struct kg_store *s, int timeout_ms, struct kg_error *err)
{
	return s->backend ? s->backend->flush(s->backend, timeout_ms, err) : 0;
}

/* ---- where it stands ---- */

int kg_store_head(struct kg_view *out, struct kg_store *s, struct kg_error *err)
{
	pthread_mutex_lock(&s->lock);
	bool has = s->has_head;
	*out = s->head;
	pthread_mutex_unlock(&s->lock);
	return has ? 0 : kg_fail(err, KG_E_NOT_FOUND, "%s has no %s", s->dir, s->ref);
}

bool kg_store_has_state(const struct kg_store *store)
{
	struct kg_view head;

	return kg_store_head(&head, (struct kg_store *)(uintptr_t)store, NULL) == 0;
}

uint64_t kg_store_revision(const struct kg_store *store)
{
	struct kg_view head;

	if (kg_store_head(&head, (struct kg_store *)(uintptr_t)store, NULL) < 0)
		return 0;
	return head.revision;
}

/* With the lock held: a read-only store walks the history when it is first asked for. */
static int need_history(struct kg_store *s, const struct kg_reader *r, struct kg_error *err)
{
	if (s->history.count || !s->has_head)
		return 0;
	return open_history(s, r, err);
}

uint64_t kg_store_oldest(const struct kg_store *store)
{
	struct kg_store *s = (struct kg_store *)(uintptr_t)store;
	struct kg_reader r KG_CLEANUP(kg_reader_release) = kg_store_reader(s);

	pthread_mutex_lock(&s->lock);
	/* Where the history cannot be read nothing but the head is retained. */
	uint64_t oldest = need_history(s, &r, NULL) < 0 ? s->head.revision : s->history.oldest;
	pthread_mutex_unlock(&s->lock);
	return oldest;
}

int kg_store_find_revision(
	unsigned char commit[20], struct kg_store *s, uint64_t revision, struct kg_error *err)
{
	struct kg_reader r KG_CLEANUP(kg_reader_release) = kg_store_reader(s);

	pthread_mutex_lock(&s->lock);
	int rc = s->has_head ? need_history(s, &r, err)
			     : kg_fail(err, KG_E_NOT_FOUND, "%s has no %s", s->dir, s->ref);
	if (rc == 0)
		rc = kg_history_find(
			commit, &s->history, &r, s->head.commit, s->head.revision, revision, err);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

int kg_store_read_failure(int rc, struct kg_store *s, uint64_t revision, struct kg_error *err)
{
	pthread_mutex_lock(&s->lock);
	bool went = s->history.count && revision < s->history.oldest;
	if (rc < 0 && went)
		rc = kg_history_gone(&s->history, revision, err);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

/* ---- main ---- */

int kg_store_poisoned(struct kg_error *err)
{
	return kg_fail(err, KG_E_IO,
		"a write to the disk has failed: nothing more is stored until a restart");
}

int kg_store_get_main(struct kg_store *s, char out[41], struct kg_error *err)
{
	return kg_ref_read(out, s->dir, KG_MAIN_REF, err);
}

int kg_store_set_main(struct kg_store *s, const char *old, const char *commit, struct kg_error *err)
{
	struct kg_ref_outcome outcome;
	struct kg_error why = {0};

	if (s->sync_failed)
		return kg_store_poisoned(err);
	int rc = kg_store_flush(s, FLUSH_MS, &why);
	if (rc == 0) {
		rc = kg_ref_update(s->dir, KG_MAIN_REF, old, commit, &outcome, &why);
		if (outcome.sync_failed || outcome.moved)
			s->sync_failed = true;
	}
	return rc < 0 ? kg_fail(err, why.code, "set main: %s", why.msg) : 0;
}

uint64_t kg_store_reads(const struct kg_store *s)
{
	return atomic_load_explicit(&s->reads, memory_order_relaxed);
}
