/*
 * Two positions on the chain of revisions: `head` is the last one that is durable (in the journal,
 * or in git), `stored` the last one that git's files have. What lies between them is pending: its
 * packs are in memory for readers, and in the journal for the next start.
 *
 *   append   writer's thread: journal, fdatasync, then head moves
 *   drain    own thread: all that is pending as one pack, deflated, to git (five fsyncs), then
 * stored moves and the journal may write over it
 *
 * When git's files cannot be written:
 * - no space: it is tried again and again; the journal, whose space is allocated, goes on taking
 *   revisions until it is full, then append says KG_E_NO_SPACE. Nothing that was acknowledged is
 *   in danger.
 * - anything else (somebody moved the branch, a sync failed): append tries once more and then
 *   says so too, rather than let the two grow apart.
 * A pack that is too large for the journal goes to git directly, when git has all before it.
 */
#include "store/append_journal.h"

#include "base/hash.h"
#include "base/mem.h"
#include "store/append_git.h"
#include "store/commit_text.h"
#include "store/journal.h"
#include "store/odb.h"
#include "store/packed.h"
#include "store/pending.h"
#include "store/refs.h"
#include "store/view.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RETRY_MS 250
/* So many revisions that wait are put to git's files sooner: readers look through each. */
#define GATHERED 16
/* Bytes of packs that are put there at once: they would fill the journal, and a pack of so many is
 * dear enough for its syncs to be cheap beside it. */
#define MUCH ((size_t)4 << 20)

struct point {
	int64_t revision; /* -1: none */
	char commit[41];
};
struct append_journal {
	struct kg_append_backend base;
	struct kg_append_backend *git; /* the thread's; the writer's while nothing is pending */
	struct kg_journal *journal;    /* the writer's */
	struct kg_pending *pending;
	char *dir, *ref, *packs;
	int linger_ms;
	void (*packed)(void *ctx);
	void *ctx;
	bool poisoned; /* the writer's */
	pthread_t thread;
	bool started;

	pthread_mutex_t lock;      /* all below */
	pthread_cond_t work, done; /* for the thread; of a try of it */
	struct point head, stored, storing;
	struct kg_error trouble; /* of the last try to store; code 0: none */
	struct timespec rested;  /* when the next try may follow the last one, if few wait */
	uint64_t tries;
	bool hurry, stop;
};

static struct point point_of(const struct kg_append *a)
{
	struct point p = {.revision = (int64_t)a->revision};

	kg_hex(p.commit, a->commit, 20);
	return p;
}

static void parent_hex(char out[41], const struct kg_append *a)
{
	static const unsigned char zero[20];

	kg_hex(out, a->parent, 20);
	if (memcmp(a->parent, zero, 20) == 0)
		out[0] = '\0';
}

/* ---- the thread ---- */

static struct timespec deadline(int ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += ms % 1000 * 1000000L;
	if (t.tv_nsec >= 1000000000L) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000L;
	}
	return t;
}

static bool is_before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

/* All below with the lock held. */

static bool is_pending(const struct append_journal *j)
{
	return j->head.revision > j->stored.revision;
}

/* Lets revisions gather, or a disk recover, unless somebody waits. What comes after a silence goes
 * soon; in a stream of revisions a pack of its own for each would cost more than all else of it. */
static void linger(struct append_journal *j)
{
	struct timespec soon = deadline(j->trouble.code ? RETRY_MS : j->linger_ms / 5);
	struct timespec late = is_before(&j->rested, &soon) ? soon : j->rested;
	int e = 0;

	while (!j->hurry && !j->stop && e != ETIMEDOUT) {
		bool many = j->head.revision - j->stored.revision >= GATHERED;

		if (!j->trouble.code && kg_pending_bytes(j->pending) >= MUCH)
			return;
		e = pthread_cond_timedwait(&j->work, &j->lock, many ? &soon : &late);
	}
}

static void drain(struct append_journal *j)
{
	const struct kg_append *a;
	struct kg_error why = {0};
	struct point p;

	j->hurry = false;
	pthread_mutex_unlock(&j->lock);
	int rc = kg_pending_fold(&a, j->pending, &why);
	if (rc == 0) {
		p = point_of(a);
		pthread_mutex_lock(&j->lock);
		j->storing = p;
		pthread_mutex_unlock(&j->lock);
		rc = j->git->append(j->git, a, &why);
	}
	if (rc == 0) {
		kg_pending_drop(j->pending);
		if (j->packed)
			j->packed(j->ctx);
	}
	pthread_mutex_lock(&j->lock);
	if (rc == 0)
		j->stored = p;
	j->trouble = rc < 0 ? why : (struct kg_error){0};
	j->rested = deadline(j->linger_ms);
	j->tries++;
	pthread_cond_broadcast(&j->done);
}

static void *work(void *arg)
{
	struct append_journal *j = arg;

	pthread_mutex_lock(&j->lock);
	while (!j->stop || is_pending(j)) {
		if (!is_pending(j)) {
			pthread_cond_wait(&j->work, &j->lock);
			continue;
		}
		linger(j);
		drain(j);
		/* The journal keeps it for the next start. */
		if (j->stop && j->trouble.code)
			break;
	}
	pthread_mutex_unlock(&j->lock);
	return NULL;
}

/* Waits until all up to `revision` is stored, or a try of the thread has failed. */
static int await(struct append_journal *j, int64_t revision, const struct timespec *until,
	struct kg_error *err)
{
	while (j->stored.revision < revision) {
		uint64_t tries = j->tries;

		j->hurry = true;
		pthread_cond_signal(&j->work);
		while (j->tries == tries) {
			int e = until ? pthread_cond_timedwait(&j->done, &j->lock, until)
				      : pthread_cond_wait(&j->done, &j->lock);

			if (e == ETIMEDOUT)
				return kg_fail(err, KG_E_TIMEOUT,
					"git's files still lack revisions %lld to %lld",
					(long long)j->stored.revision + 1, (long long)revision);
		}
		if (j->trouble.code)
			return kg_fail(err, j->trouble.code, "%s", j->trouble.msg);
	}
	return 0;
}

/* ---- append ---- */

static int check_parent(struct append_journal *j, const struct kg_append *a, struct kg_error *err)
{
	char parent[41], now[41];

	parent_hex(parent, a);
	int rc = kg_ref_read(now, j->dir, j->ref, err);
	if (rc < 0)
		return rc;
	if (strcmp(now, j->stored.commit) != 0 && strcmp(now, j->storing.commit) != 0)
		return kg_fail(err, KG_E_CONFLICT, "ref %s is %s, expected %s", j->ref,
			now[0] ? now : "absent", j->stored.commit[0] ? j->stored.commit : "none");
	if (strcmp(parent, j->head.commit) != 0)
		return kg_fail(err, KG_E_CONFLICT, "the head is %s, expected %s",
			j->head.commit[0] ? j->head.commit : "absent", parent[0] ? parent : "none");
	return 0;
}

/* May a revision be taken at all. */
static int check(struct append_journal *j, const struct kg_append *a, struct kg_error *err)
{
	int rc = 0;

	if (j->trouble.code && j->trouble.code != KG_E_NO_SPACE)
		rc = await(j, j->head.revision, NULL, err);
	return rc < 0 ? rc : check_parent(j, a, err);
}

/* Waits while the journal is full: git's files are slower than the writer, or cannot be written. */
static int make_room(struct append_journal *j, size_t len, struct kg_error *err)
{
	int rc = 0;

	while (rc == 0 && !kg_journal_has_room(j->journal, len, j->stored.revision))
		rc = await(j, j->stored.revision + 1, NULL, err);
	return rc < 0 ? kg_wrap(err, "the journal is full, and git's files cannot be written") : 0;
}

/* All below without it. */

static int lock_and_check(struct append_journal *j, const struct kg_append *a, bool fits,
	int64_t *stored, struct kg_error *err)
{
	pthread_mutex_lock(&j->lock);
	int rc = check(j, a, err);
	if (rc == 0)
		rc = fits ? make_room(j, a->pack_len, err) : await(j, j->head.revision, NULL, err);
	*stored = j->stored.revision;
	pthread_mutex_unlock(&j->lock);
	return rc;
}

static int to_journal(
	struct append_journal *j, const struct kg_append *a, int64_t stored, struct kg_error *err)
{
	struct kg_error why = {0};
	int rc = kg_journal_append(j->journal, a, stored, &j->poisoned, &why);

	if (j->poisoned)
		return kg_fail(err, KG_E_IO,
			"%s; whether revision %llu was stored is known after a restart", why.msg,
			(unsigned long long)a->revision);
	if (rc < 0)
		return kg_fail(err, why.code, "%s", why.msg);
	kg_pending_add(j->pending, a);
	pthread_mutex_lock(&j->lock);
	j->head = point_of(a);
	pthread_cond_signal(&j->work);
	pthread_mutex_unlock(&j->lock);
	return 0;
}

/* Nothing is pending, so the thread does not touch git. */
static int to_git(struct append_journal *j, const struct kg_append *a, struct kg_error *err)
{
	struct point p = point_of(a);
	char now[41];
	int rc = j->git->append(j->git, a, err);

	if (rc < 0) {
		/* The ref moved, though not durably: it is not to be built upon. */
		j->poisoned =
			kg_ref_read(now, j->dir, j->ref, NULL) < 0 || strcmp(now, p.commit) == 0;
		return rc;
	}
	pthread_mutex_lock(&j->lock);
	j->head = j->stored = j->storing = p;
	pthread_mutex_unlock(&j->lock);
	if (j->packed)
		j->packed(j->ctx);
	return 0;
}

/* The names that git gave to the packs of a push. */
static int sync_pushed(struct append_journal *j, struct kg_error *err)
{
	KG_AUTOCLOSE int fd = open(j->packs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return kg_fail_errno(err, "open %s", j->packs);
	if (fsync(fd) == 0)
		return 0;
	j->poisoned = kg_sync_lost(errno);
	return kg_fail_errno(err, "sync %s", j->packs);
}

static int append(void *self, const struct kg_append *a, struct kg_error *err)
{
	struct append_journal *j = self;
	bool fits = kg_journal_fits(j->journal, a->pack_len);
	struct kg_error why = {0};
	int64_t stored;

	if (j->poisoned)
		return kg_fail(err, KG_E_IO,
			"append revision %llu: a write to the disk has failed: nothing more is "
			"stored until a restart",
			(unsigned long long)a->revision);
	int rc = lock_and_check(j, a, fits, &stored, &why);
	if (rc == 0 && fits && a->pushed)
		rc = sync_pushed(j, &why);
	if (rc == 0 && fits)
		rc = to_journal(j, a, stored, &why);
	else if (rc == 0)
		rc = to_git(j, a, &why);
	return rc < 0 ? kg_fail(err, why.code, "append revision %llu: %s",
				(unsigned long long)a->revision, why.msg)
		      : 0;
}

/* ---- the other calls ---- */

static int head(void *self, char out[41], struct kg_error *err)
{
	struct append_journal *j = self;

	(void)err;
	pthread_mutex_lock(&j->lock);
	memcpy(out, j->head.commit, 41);
	pthread_mutex_unlock(&j->lock);
	return 0;
}

static int flush(void *self, int timeout_ms, struct kg_error *err)
{
	struct append_journal *j = self;
	struct timespec until = deadline(timeout_ms);

	pthread_mutex_lock(&j->lock);
	int rc = await(j, j->head.revision, &until, err);
	pthread_mutex_unlock(&j->lock);
	return rc;
}

static int attach(void *self, struct git_odb *odb, struct kg_error *err)
{
	struct append_journal *j = self;

	return kg_pending_attach(j->pending, odb, err);
}

static void stop(struct append_journal *j)
{
	if (!j->started)
		return;
	pthread_mutex_lock(&j->lock);
	j->stop = true;
	pthread_cond_signal(&j->work);
	pthread_mutex_unlock(&j->lock);
	pthread_join(j->thread, NULL);
}

static void append_journal_free(void *self)
{
	struct append_journal *j = self;

	if (!j)
		return;
	stop(j);
	/* An empty journal contradicts nothing that is done by hand until the next start. Where
	 * this fails the next start skips what git has. */
	if (j->started && !j->poisoned && !is_pending(j))
		kg_journal_clear(j->journal, NULL);
	kg_journal_free(j->journal);
	kg_pending_unref(j->pending);
	if (j->git)
		j->git->free(j->git);
	pthread_cond_destroy(&j->done);
	pthread_cond_destroy(&j->work);
	pthread_mutex_destroy(&j->lock);
	free(j->packs);
	free(j->ref);
	free(j->dir);
	free(j);
}

/* ---- opening ---- */

/* Where git's files stand. */
static int read_stored(struct append_journal *j, struct kg_error *err)
{
	char *objects KG_AUTOFREE = kg_asprintf("%s/objects", j->dir);
	struct kg_reader r KG_CLEANUP(kg_reader_release) = {0};
	git_odb_object *obj KG_AUTOOBJ = NULL;
	struct kg_commit_view c;
	unsigned char id[20];

	j->stored.revision = -1;
	int rc = kg_ref_read(j->stored.commit, j->dir, j->ref, err);
	if (rc < 0 || !j->stored.commit[0])
		return rc;
	kg_unhex(id, 20, j->stored.commit);
	rc = git_odb_open(&r.odb, objects);
	if (rc < 0)
		return kg_git_fail(err, rc, "open %s", objects);
	r.shared = kg_shared_odb_new(r.odb);
	rc = kg_commit_read(&obj, &c, &r, id, err);
	if (rc == 0 && !c.has_revision)
		rc = kg_fail(err, KG_E_CORRUPT, "%s is not a state commit", j->stored.commit);
	if (rc < 0)
		return kg_wrap(err, "ref %s", j->ref);
	j->stored.revision = (int64_t)c.revision;
	return 0;
}

/* A record of the journal that git does not have. */
static int replay(void *ctx, const struct kg_append *a, struct kg_error *err)
{
	struct append_journal *j = ctx;
	struct kg_append whole = *a;
	const struct kg_buf *pack, *index;
	char parent[41];

	parent_hex(parent, a);
	if ((int64_t)a->revision != j->head.revision + 1 || strcmp(parent, j->head.commit) != 0)
		return kg_fail(err, KG_E_CORRUPT,
			"the journal has revision %llu, on top of %s, but %s is at revision %lld, "
			"%s: set the ref back, or move the journal away to go on with what git has",
			(unsigned long long)a->revision, parent[0] ? parent : "nothing", j->ref,
			(long long)j->head.revision, j->head.commit[0] ? j->head.commit : "absent");
	struct kg_pack *p = kg_pack_new();
	kg_pack_set_plain(p, true);
	int rc = kg_packed_reindex(p, a->pack, a->pack_len, err);
	if (rc == 0) {
		kg_pack_finish(p, &pack, &index, whole.pack_id);
		whole.pack = pack->data;
		whole.pack_len = pack->len;
		whole.index = index->data;
		whole.index_len = index->len;
		kg_pending_add(j->pending, &whole);
		j->head = point_of(a);
	}
	kg_pack_free(p);
	return rc;
}

static int recover(struct append_journal *j, const struct kg_append_journal_options *o,
	struct kg_buf *notes, struct kg_error *err)
{
	int rc = read_stored(j, err);

	if (rc < 0)
		return rc;
	j->head = j->storing = j->stored;
	rc = kg_journal_open(&j->journal, o->journal, o->size ? o->size : KG_JOURNAL_SIZE,
		j->stored.revision, replay, j, notes, err);
	if (rc == 0 && is_pending(j) && notes)
		kg_buf_addf(notes, "revisions %lld to %lld came from the journal\n",
			(long long)j->stored.revision + 1, (long long)j->head.revision);
	return rc;
}

static struct append_journal *make(const struct kg_append_journal_options *o)
{
	struct append_journal *j = kg_alloc(sizeof(*j));
	pthread_condattr_t attr;

	j->base = (struct kg_append_backend){.append = append,
		.head = head,
		.flush = flush,
		.attach = attach,
		.free = append_journal_free,
		.deflates = true};
	j->dir = kg_strdup(o->dir);
	j->ref = kg_strdup(o->ref);
	j->packs = kg_asprintf("%s/objects/pack", o->dir);
	j->linger_ms = o->linger_ms;
	j->packed = o->packed;
	j->ctx = o->ctx;
	j->git = kg_append_git_new(o->dir, o->ref);
	j->pending = kg_pending_new();
	pthread_mutex_init(&j->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&j->work, &attr);
	pthread_cond_init(&j->done, &attr);
	pthread_condattr_destroy(&attr);
	return j;
}

int kg_append_journal_open(struct kg_append_backend **out,
	const struct kg_append_journal_options *o, struct kg_buf *notes, struct kg_error *err)
{
	struct append_journal *j = make(o);
	int rc = recover(j, o, notes, err);

	if (rc == 0) {
		int e = pthread_create(&j->thread, NULL, work, j);

		j->started = e == 0;
		if (e)
			rc = kg_fail(err, KG_E_UNAVAILABLE, "start a thread: %s", strerror(e));
	}
	if (rc < 0)
		append_journal_free(j);
	else
		*out = &j->base;
	return rc;
}
