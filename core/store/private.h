/* The store's inside, shared by its files. */
#ifndef KG_STORE_PRIVATE_H
#define KG_STORE_PRIVATE_H

#include "store/append.h"
#include "store/fan.h"
#include "store/history.h"
#include "store/odb.h"
#include "store/pack.h"
#include "store/store.h"
#include "store/view.h"

#include <pthread.h>

#define KG_STATE_REF "refs/kgit/state"
#define KG_MAIN_REF  "refs/heads/main"
#define KG_SIDE_DIR  "kgit" /* in the repository: what is kgitd's own beside git's files */

/* The state trees of one commit in memory: the writer's, and what a load walks. */
struct kg_mirror {
	struct kg_fan *decided, *observed, *templates;
};
int kg_mirror_load(struct kg_mirror *m, const struct kg_reader *r, const struct kg_view *view,
	struct kg_error *err);
void kg_mirror_release(struct kg_mirror *m);

struct kg_store {
	char *dir; /* the repository (a work tree's .git) */
	char *ref;
	bool read_only;
	int lock_fd;
	git_repository *repo;
	git_odb *odb;
	struct kg_append_backend *backend;
	struct kg_pack *pack;    /* the writer's */
	struct kg_mirror mirror; /* the writer's; decided NULL: not loaded */
	bool mirror_taken;       /* the writer has begun to use it (under the lock) */
	bool sync_failed;        /* main's ref could not be synced: nothing more is written */

	pthread_mutex_t lock; /* all below */
	bool has_head;
	struct kg_view head; /* the newest commit */
	struct kg_history history;
};

static inline struct kg_reader kg_store_reader(const struct kg_store *s)
{
	return (struct kg_reader){.odb = s->odb};
}
/* A copy of the head; KG_E_NOT_FOUND before there is one. Any thread. */
int kg_store_head(struct kg_view *out, struct kg_store *s, struct kg_error *err);
/* The commit of a revision. Any thread. */
int kg_store_find_revision(
	unsigned char commit[20], struct kg_store *s, uint64_t revision, struct kg_error *err);

/* The answer to every write after a sync that failed. */
int kg_store_poisoned(struct kg_error *err);

/* Makes a bare repository, durably; whatever of it is there already is kept. */
int kg_repo_create(const char *dir, struct kg_error *err);
/* Revision 0 on a repository without a state branch. */
int kg_store_begin(struct kg_store *s, const struct kg_store_options *opts, struct kg_error *err);
/* What a crash left, before anything is read; lines are added to notes (may be NULL). */
int kg_recover_files(
	const char *dir, const char *state_ref, struct kg_buf *notes, struct kg_error *err);
/* Main made to agree with the head. */
int kg_recover_main(struct kg_store *s, struct kg_buf *notes, struct kg_error *err);

/* The text of clock.yaml. */
void kg_clock_write(struct kg_buf *out, kg_time time, uint64_t revision, const char *main_commit);
/* Packs the root tree, `v` being what it holds (the ids of clock and root are set). */
void kg_root_pack(struct kg_pack *pack, struct kg_view *v);

#endif
