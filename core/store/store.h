/*
 * The store: a bare git repository whose refs/kgit/state is the cluster, one commit a revision.
 *
 * The tree of a revision:
 *   format                  text: the number of this format
 *   cluster.yaml            {id: UUID, reconciler: {...}}: and how it was set up that made this
 *   clock.yaml              {time: RFC3339 micro, revision: N, main: hex}
 *   inputs.yaml             what came in with this revision and does not show otherwise, if any
 *   desired/                main's own tree, by reference (absent before the first push)
 *   decided/ observed/ templates/      records, see kinds/record.h
 * Cluster-scoped objects have no NS level. Below decided/RESOURCE, observed and templates, entries
 * lie in a fan: a directory of up to 32 entries is flat; a larger one is split into directories
 * "_0" to "_f" by the hex digits of the SHA-1 of the entry's name, one digit a level. The shape
 * depends on the content alone. No directory is empty. (Format 1 had neither the reconciler nor
 * inputs; it is read, and the next revision has this one.)
 *
 * Commits carry the trailer "Kgit-Revision: N", are linear by first parent, and have the pushed
 * commit as second parent where a push made them. Author is who caused it, committer is kgitd,
 * both dates are the commit's clock: the same inputs give the same ids.
 *
 * Durable before visible: kg_store_commit returns when the revision is in the journal (kgit/journal
 * in the repository), one fdatasync. From then on everything here sees it. A thread of the store
 * puts it to git's files some 50 ms later, in a stream of revisions four times a second, several as
 * one pack: programs that read the repository themselves lag by that much (kg_store_flush). After a
 * failed sync the store refuses to write until it is opened again (KG_E_IO), since what reached the
 * disk is then unknown.
 *
 * A full disk breaks nothing that was acknowledged, and the journal goes on taking revisions while
 * its space lasts: then KG_E_NO_SPACE, until there is room again.
 *
 * Another thread puts packs together when there are many.
 *
 * One thread (the writer) calls kg_store_commit; readers of history may be any thread: every
 * function says so where it is not the writer's alone.
 */
#ifndef KG_STORE_STORE_H
#define KG_STORE_STORE_H

#include "kinds/snapshot.h"

struct kg_store;

struct kg_store_options {
	bool create;            /* make the repository and revision 0 where there is none */
	bool read_only;         /* for the CLI: no recovery, no locks, no writes */
	const char *state_ref;  /* default "refs/kgit/state" */
	const char *cluster_id; /* on create; NULL: a random UUID */
	kg_time now;            /* on create: the clock of revision 0 */
	/* From so many packs on they are put together in the background. Default 256 where 0. */
	size_t pack_limit;
	/* Bytes of the journal where it has to be made; default 64 MiB where 0, at most an eighth
	 * of the free space. KG_STORE_NO_JOURNAL: each commit goes to git's files at once. */
	size_t journal_size;
	/* How long git's files may follow in a stream of revisions; what comes after a silence, and
	 * many at once, are there in a fifth of it; and much (4 MiB of packs) as soon as it is
	 * written. Default 250 ms where 0. */
	int linger_ms;
};
#define KG_STORE_NO_JOURNAL ((size_t)-1)

/*
 * Opens DIR (a bare repository; for read_only any repository). When not read-only it takes a lock
 * (KG_E_CONFLICT where another process holds it) and recovers: stale *.lock files, empty objects,
 * half-written packs, revisions that only the journal has, main made to agree with the state
 * branch; what it mended is appended to `notes` (may be NULL), one line each. KG_E_CORRUPT where
 * it cannot be mended: the message says what to do.
 */
int kg_store_open(struct kg_store **out, const char *dir, const struct kg_store_options *opts,
	struct kg_buf *notes, struct kg_error *err);
void kg_store_close(struct kg_store *store); /* git's files have everything, if there is room */

/* Waits until git's own files have every revision: for who is about to run git on the repository.
 * KG_E_TIMEOUT, or what keeps them from being written. Any thread. */
int kg_store_flush(struct kg_store *store, int timeout_ms, struct kg_error *err);

/* What reads have left in memory (maps of packs, what libgit2 keeps of them) goes; whoever reads
 * next opens them anew. The number of reads so far says whether there can be any. Any thread. */
int kg_store_let_go(struct kg_store *store, struct kg_error *err);
uint64_t kg_store_reads(const struct kg_store *store);

/* The head as a snapshot: every object joined. The caller owns it. Any thread. */
int kg_store_load(struct kg_snapshot **out, struct kg_store *store, struct kg_error *err);
/* The snapshot of any retained revision: KG_E_GONE past the horizon, KG_E_NOT_FOUND ahead of the
 * head. Any thread. */
int kg_store_load_at(
	struct kg_snapshot **out, struct kg_store *store, uint64_t revision, struct kg_error *err);
/* Is there a state branch? A repository without may be opened read-only alone. Any thread. */
bool kg_store_has_state(const struct kg_store *store);
uint64_t kg_store_revision(const struct kg_store *store); /* the head's; any thread */
uint64_t kg_store_oldest(const struct kg_store *store);   /* oldest retained; any thread */

struct kg_store_commit {
	struct kg_snapshot *next; /* from kg_txn_finish; its commit id is filled in */
	const struct kg_snapshot *prev;
	const struct kg_changes *changes;
	const char *author;                /* "name <email>"; NULL: "kgit <kgit@CLUSTER>" */
	const char *message;               /* without the trailer; ends with a newline */
	const char *parent2;               /* hex id of the pushed commit, or NULL */
	const char *objects_dir;           /* quarantine with parent2's objects; or NULL */
	const char *inputs;                /* the text of inputs.yaml; NULL or "": there is none */
	const struct kg_value *reconciler; /* NULL: as it was */
};
/*
 * One revision, durable when it returns 0. On failure next is unchanged and the store is as before:
 * KG_E_NO_SPACE or KG_E_CONFLICT (the branch was moved by somebody else) may be tried again. After
 * KG_E_IO every later write is refused too; where it was the sync itself that failed, the next open
 * finds that revision, or does not. The writer's thread.
 */
int kg_store_commit(struct kg_store *store, const struct kg_store_commit *c, struct kg_error *err);

/* Moves refs/heads/main to a commit that a state commit names (admission's last step; also
 * recovery's), durably; `old` is what it must be now, "" for absent. It flushes first: whoever
 * reads the repository never sees main ahead of the state branch. */
int kg_store_set_main(
	struct kg_store *store, const char *old, const char *commit, struct kg_error *err);
/* refs/heads/main as it is, "" where absent. */
int kg_store_get_main(struct kg_store *store, char out[41], struct kg_error *err);

/* What revisions (from, to] changed, from the history on disk, in order; objects as of `to`'s
 * format, revisions stamped. For watches that are older than memory. fn returning non-zero stops.
 * A revision of more than `most` changes (0: no bound) is not read: KG_E_TOO_LARGE. Any thread. */
int kg_store_changes(struct kg_store *store, uint64_t from, uint64_t to, size_t most,
	int (*fn)(void *ctx, uint64_t revision, kg_time time, const struct kg_changes *changes),
	void *ctx, struct kg_error *err);

/* One line of `kgit log`. Texts are the arena's. */
struct kg_log_entry {
	uint64_t revision;
	kg_time time;
	char commit[41], parent2[41];
	char main[41]; /* what main was admitted at; "" before the first push */
	const char *author, *subject, *body;
};
/* The newest `limit` entries with revision <= from (0: the head), newest first. Any thread. */
int kg_store_log(struct kg_log_entry **out, size_t *n, struct kg_store *store, struct kg_arena *a,
	uint64_t from, size_t limit, struct kg_error *err);

/*
 * Manifests of commits (by hex id; "" is the empty tree), for admission. Symlinks that are neither
 * hidden by a dot nor ignored, submodules, and entries named "..", ".git" or twice are faults
 * (KG_E_INVALID naming the path); entries are bounded. `objects_dir` is a quarantine directory or
 * NULL. Any thread.
 */
struct kg_tree_file {
	const char *path;
	char blob[41];
};
struct kg_tree_delta {
	struct kg_tree_file *removed, *written; /* written: added or changed */
	size_t nremoved, nwritten;
	size_t total; /* manifests in `after` */
	bool all;     /* .kgitignore or settings changed: everything of `after` is in written */
};
int kg_store_tree_delta(struct kg_tree_delta *out, struct kg_store *store, struct kg_arena *a,
	const char *before, const char *after, const char *objects_dir, size_t max_files,
	struct kg_error *err);
int kg_store_read_blob(struct kg_buf *out, struct kg_store *store, const char *blob,
	const char *objects_dir, size_t max, struct kg_error *err);
/* The same for many: the quarantine is opened once. Whoever opens it closes it, before the store;
 * NULL is fine to close. One thread. */
struct kg_blobs;
int kg_blobs_open(struct kg_blobs **out, struct kg_store *store, const char *objects_dir,
	struct kg_error *err);
int kg_blobs_read(
	struct kg_buf *out, struct kg_blobs *b, const char *blob, size_t max, struct kg_error *err);
void kg_blobs_close(struct kg_blobs *b);
/* What reading an object may cost. */
struct kg_object_limits {
	size_t bytes;       /* inflated */
	size_t delta_depth; /* deltas one upon another, which all are made to make the object */
};
/* Whether each object of a quarantine is within the limits: else KG_E_TOO_LARGE; what is too large
 * with its path, where one of the commits (hex ids; "" is none) has it in its tree. None is
 * inflated, so before anything else is read of what somebody sends. Any thread. */
int kg_store_check_objects(struct kg_store *store, const char *objects_dir,
	const char *const *commits, size_t ncommits, const struct kg_object_limits *max,
	struct kg_error *err);
/* Whether the object is there and a commit: KG_E_INVALID where it is something else. Any thread. */
int kg_store_check_commit(
	struct kg_store *store, const char *commit, const char *objects_dir, struct kg_error *err);
/* Is `ancestor` reachable from `commit`. */
int kg_store_is_ancestor(bool *out, struct kg_store *store, const char *ancestor,
	const char *commit, const char *objects_dir, struct kg_error *err);
/* As kg_store_tree_delta for a directory of files instead of `after` (`kgit diff DIR`): the same
 * rules for paths and .kgitignore; blobs are "" (read DIR/path). Any thread. */
int kg_dir_manifests(struct kg_tree_file **out, size_t *n, struct kg_arena *a, const char *dir,
	size_t max_files, struct kg_error *err);

#endif
