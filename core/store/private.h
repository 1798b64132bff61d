/* The store's inside, shared by its files. */
#ifndef KG_STORE_PRIVATE_H
#define KG_STORE_PRIVATE_H

#include "base/map.h"
#include "store/append.h"
#include "store/fan.h"
#include "store/history.h"
#include "store/mirror.h"
#include "store/odb.h"
#include "store/pack.h"
#include "store/store.h"
#include "store/view.h"

#include <pthread.h>
#include <stdatomic.h>

#define KG_STATE_REF "refs/kgit/state"
#define KG_MAIN_REF  "refs/heads/main"
#define KG_SIDE_DIR  "kgit" /* in the repository: what is kgitd's own beside git's files */

/* Blobs by their ids. */
struct kg_blob_texts {
	struct kg_buf data;
	struct kg_text {
		unsigned char id[20];
		size_t from, len;
	} * items;
	size_t len, cap;
};
void kg_blob_texts_add(
	struct kg_blob_texts *t, const unsigned char id[20], const void *text, size_t len);
void kg_blob_texts_clear(struct kg_blob_texts *t);

/* See replay.h. */
struct kg_replay {
	struct kg_store *store;
	struct kg_pack *pack;
	struct kg_mirror mirror;
	struct kg_view head;
	struct kg_blob_texts texts; /* the new blobs of the last commit */
	struct kg_buf commit;       /* that commit itself */
};

/* Puts packs together in the background; see merger.c. */
struct kg_merger {
	pthread_t thread;
	bool started;
	size_t limit;         /* packs of ours that are left apart */
	pthread_mutex_t busy; /* of who merges; and `skip` */
	struct kg_map skip;   /* names of packs that are let alone */
	pthread_mutex_t lock; /* all below */
	pthread_cond_t wake;
	size_t apart; /* packs since the last time */
	bool stop;
};
/* The writer's store has a merger from open to close; poking may begin before the start. */
void kg_merger_init(struct kg_store *s);
int kg_merger_start(struct kg_store *s, size_t limit, struct kg_error *err);
void kg_merger_stop(struct kg_store *s);
void kg_merger_poke(struct kg_store *s);    /* one more pack */
void kg_merger_release(struct kg_store *s); /* after the stop, and the last poke */
/* What the merger does, now. Any thread. */
int kg_store_merge_packs(struct kg_store *s, struct kg_error *err);
/* Adds the names ("pack-HEX") of the packs that compactions made; those are not merged. */
void kg_compact_names(struct kg_map *packed, const char *side);
/* libgit2 keeps what it knows of packs that are gone: readers to come get a fresh database. */
int kg_store_renew_odb(struct kg_store *s, struct kg_error *err);

/* Since when nobody has set the wall clock, as far as looks at it tell: all in seconds, `since` of
 * the time since the boot. Begins as {0}. */
struct kg_steady {
	bool looked;
	int64_t ahead, since;
};
/* Looks: has it gone on for more than so many seconds. */
bool kg_steady(struct kg_steady *c, int64_t wall, int64_t up, int64_t seconds);

struct kg_store {
	char *dir; /* the repository (a work tree's .git) */
	char *ref;
	bool read_only;
	int lock_fd;
	struct kg_append_backend *backend;
	struct kg_pack *pack;    /* the writer's */
	struct kg_mirror mirror; /* the writer's; decided NULL: not loaded */
	bool mirror_taken;       /* the writer has begun to use it (under the lock) */
	atomic_bool sync_failed; /* of main's ref, or of a merged pack: nothing more is written */

	struct kg_merger merger;
	struct kg_steady steady; /* of who compacts */
	_Atomic uint64_t reads;

	pthread_mutex_t lock; /* all below */
	struct kg_shared_odb *odb;
	bool has_head;
	struct kg_view head; /* the newest commit */
	struct kg_history history;
};

/* A database of the repository and of what is not in its files yet. */
int kg_store_open_odb(git_odb **out, struct kg_store *s, struct kg_error *err);
/* To be released. Any thread. */
struct kg_reader kg_store_reader(struct kg_store *s);
/* A copy of the head; KG_E_NOT_FOUND before there is one. Any thread. */
int kg_store_head(struct kg_view *out, struct kg_store *s, struct kg_error *err);
/* The commit of a revision. Any thread. */
int kg_store_find_revision(
	unsigned char commit[20], struct kg_store *s, uint64_t revision, struct kg_error *err);

/* What a read of a revision failed with (rc and *err): where it went meanwhile, that. Any thread.
 */
int kg_store_read_failure(int rc, struct kg_store *s, uint64_t revision, struct kg_error *err);
/* The answer to every write after a sync that failed. */
int kg_store_poisoned(struct kg_error *err);

/* Makes a bare repository, durably; whatever of it is there already is kept. */
int kg_repo_create(const char *dir, struct kg_error *err);
/* git's settings as text; and those of a repository made to be so, with a line in notes. */
void kg_config_write(struct kg_buf *out);
int kg_config_ensure(const char *dir, struct kg_buf *notes, struct kg_error *err);
/* Revision 0 on a repository without a state branch. */
int kg_store_begin(struct kg_store *s, const struct kg_store_options *opts, struct kg_error *err);
/* What a crash left, before anything is read; lines are added to notes (may be NULL). */
int kg_recover_files(
	const char *dir, const char *state_ref, struct kg_buf *notes, struct kg_error *err);
/* What pushes left whose git was killed, as large as they were: their quarantines, and what they
 * held packs by. While the store is open; the thread that compacts. */
int kg_recover_pushes(struct kg_store *s, struct kg_buf *notes, struct kg_error *err);
/* Main made to agree with the head. */
int kg_recover_main(struct kg_store *s, struct kg_buf *notes, struct kg_error *err);

/* The text of clock.yaml. */
void kg_clock_write(struct kg_buf *out, kg_time time, uint64_t revision, const char *main_commit);
/* Packs the root tree, `v` being what it holds (the ids of clock and root are set). */
void kg_root_pack(struct kg_pack *pack, struct kg_view *v);

#endif
