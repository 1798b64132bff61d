/*
 * Compaction. Two things that share their means: history past a horizon goes, and what stays is
 * put into few packs of deltas.
 *
 * The horizon moves first. The commit of the oldest revision that is retained is added to git's
 * file `shallow`: from then on it has no parents, for every git and for kgit (history.c); its id,
 * and all others, are what they were. Reads past it are KG_E_GONE at once. The objects stay for a
 * grace period, for whoever began to read before. Only then, in a later round:
 *
 *   1. mark: walk from all refs, the newest revision (which may be in the journal alone) and the
 *      main of the oldest one, over the repository as `shallow` says it is. All objects that lie
 *      loose or in a pack younger than the grace period are starting points, too.
 *   2. choose the packs that are worth it, make a new pack of what is marked in them (repack.c: it
 *      adds a pack and touches nothing), see that all of it is there, sync it, put it in place.
 *   3. hide the old packs: their indexes get another name, so no git that looks from now on sees
 *      what is only there.
 *   4. wait until the pushes that are under way (they have a quarantine) have ended, mark again,
 *      from everything that came since 1: refs, revisions, and all objects of every new pack. If an
 *      object of the old packs is needed that was left out, they are put back as they were.
 *   5. remove them.
 *
 * Why nothing that is needed can vanish:
 * - What is reachable from a ref or a retained revision is marked, so it is in the new pack before
 *   any old one is hidden.
 * - A revision that is appended meanwhile holds all its objects but those of its parent's tree (the
 *   writer never asks whether an object exists already), and those of a pushed commit. The parent
 *   is the head that was marked or came after it in the same way. It lies in the journal or in a
 *   new pack, which nobody chose: choosing is done from a list made before, and merging (merge.c)
 *   keeps off the packs of that list as long as the round lasts.
 * - A push may use objects that it saw here without sending them. git tells the pusher only what
 *   refs reach, and has it checked, before the quarantine ends, that all is there; but "there" may
 *   mean an unreachable object. If git looked after 3 it does not see the hidden ones, and the push
 *   sends them or is refused. If it looked before, its quarantine was there at 3, and 4 waits for
 *   it; or it had ended, and then its objects lie in a pack that 4 looks through (or 1, since it is
 *   young), whether or not its ref has been moved yet.
 * - Who uses an old object in none of these ways (`git update-ref` by hand to something that no ref
 *   reaches) is told by its absence from the list of promises.
 *
 * Crashes: the new pack is durable before anything is hidden. Until 5 everything is still there,
 * and the next start puts hidden packs back (kg_packs_unhide); a round that was cut off is done
 * again. `shallow` is replaced as a whole, before objects that it makes unnecessary can go.
 *
 * The newest state is stored whole in a pack of its own, since every start reads all of it; older
 * versions are deltas. Packs that compactions made are remembered by name (the file `compacted`),
 * beside the horizon whose objects are gone; without it work is done twice, no more.
 *
 * Unresolved: reflogs are no starting points (a bare repository has none unless told so).
 *
 * Unresolved: a revision that binds one pod is 8 objects (a commit, the root, the clock, a record
 * and four trees above it) and, once in a pod's life, its record before that: 0.77 KB when all is
 * deltas. Of that an index has 28 bytes an object, ids 20 each, and git's framing of a delta (zlib,
 * headers, copies) some 20: it gets less only with fewer objects.
 */
#include "store/compact_private.h"

#include "base/hash.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

#define FLUSH_MS 10000

static void round_release(struct kg_compact_round *c)
{
	kg_mark_release(&c->mark);
	kg_livepacks_release(&c->set);
	kg_shallow_release(&c->shallow);
	kg_shallow_release(&c->stops);
	kg_map_release(&c->packed);
	kg_reader_release(&c->reader);
	free(c->made[0]);
	free(c->made[1]);
	free(c->side);
}

/* ---- in little memory ---- */

#define PAUSES 64

void kg_compact_pause(void *ctx)
{
	struct kg_compact_round *c = ctx;
	git_odb *odb;

	if (++c->pauses % PAUSES)
		return;
	kg_livepacks_let_go(&c->set);
	if (kg_store_open_odb(&odb, c->s, NULL) < 0)
		return;
	kg_reader_release(&c->reader);
	c->reader = (struct kg_reader){.odb = odb, .shared = kg_shared_odb_new(odb)};
}

/* ---- marking ---- */

static int mark_newest(struct kg_compact_round *c, struct kg_mark *m, struct kg_error *err)
{
	struct kg_view head;
	int rc = kg_store_head(&head, c->s, err);

	if (rc == 0 && !m->again) {
		rc = kg_mark_root(m, head.root, err);
		c->whole = c->set.marked;
	}
	if (rc == 0)
		rc = kg_mark_any(m, head.commit, err);
	return rc < 0 ? rc : kg_mark_refs(m, c->s->dir, err);
}

/* What `kgit rollback` to the oldest revision would name. */
static int mark_oldest_main(struct kg_compact_round *c, struct kg_error *err)
{
	unsigned char id[20];
	struct kg_view v;
	int rc = kg_view_open(&v, &c->reader, c->oldest, err);

	if (rc < 0 || kg_unhex(id, 20, v.main_commit) < 0 || !kg_reader_has(&c->reader, id))
		return rc;
	return kg_mark_any(&c->mark, id, err);
}

static int mark_all(struct kg_compact_round *c, struct kg_error *err)
{
	int rc = mark_newest(c, &c->mark, err);

	if (rc < 0 || !c->drop)
		return rc;
	rc = mark_oldest_main(c, err);
	for (size_t i = 0; rc == 0 && i < c->set.n; i++)
		if (!kg_compact_is_old(c, c->set.packs[i].mtime))
			rc = kg_mark_pack(&c->mark, &c->set.packs[i], err);
	return rc < 0 ? rc : kg_mark_loose(&c->mark, c->s->dir, err);
}

static bool is_known(const struct kg_compact_round *c, const char *name)
{
	for (size_t i = 0; i < c->set.n; i++)
		if (strcmp(c->set.packs[i].name, name) == 0)
			return true;
	return (c->made[0] && strcmp(c->made[0], name) == 0) ||
	       (c->made[1] && strcmp(c->made[1], name) == 0);
}

int kg_compact_mark_again(struct kg_compact_round *c, struct kg_error *err)
{
	struct kg_livepacks now KG_CLEANUP(kg_livepacks_release) = {0};
	int rc = kg_livepacks_open(&now, c->s->dir, NULL, err);

	c->mark.again = true;
	if (rc == 0)
		rc = mark_newest(c, &c->mark, err);
	for (size_t i = 0; rc == 0 && i < now.n; i++)
		if (!is_known(c, now.packs[i].name))
			rc = kg_mark_pack(&c->mark, &now.packs[i], err);
	return rc < 0 ? rc : kg_mark_loose(&c->mark, c->s->dir, err);
}

/* ---- the round ---- */

void kg_compact_count(size_t *bytes, size_t *packs, const struct kg_livepacks *set)
{
	*bytes = 0;
	*packs = set->n;
	for (size_t i = 0; i < set->n; i++)
		*bytes += set->packs[i].size;
}

/* The packs as they are, which nobody merges until the round is over. */
static int take_packs(struct kg_compact_round *c, struct kg_error *err)
{
	struct kg_merger *m = &c->s->merger;

	pthread_mutex_lock(&m->busy);
	int rc = kg_livepacks_open(&c->set, c->s->dir, &c->packed, err);
	for (size_t i = 0; rc == 0 && i < c->set.n; i++)
		kg_map_put(&m->skip, c->set.packs[i].name, m);
	pthread_mutex_unlock(&m->busy);
	return rc;
}

/* Only those of compactions are let alone from now on. */
static void give_packs(struct kg_compact_round *c)
{
	struct kg_merger *m = &c->s->merger;
	struct kg_map_entry *e;

	pthread_mutex_lock(&m->busy);
	kg_map_clear(&m->skip);
	for (size_t i = 0; (e = kg_map_next(&c->packed, &i));)
		kg_map_put(&m->skip, e->key, m);
	pthread_mutex_unlock(&m->busy);
}

/* Names of packs that are gone. */
static void forget_names(struct kg_compact_round *c)
{
	struct kg_map kept = KG_MAP_INIT;

	for (size_t i = 0; i < c->set.n; i++)
		if (c->set.packs[i].packed)
			kg_map_put(&kept, c->set.packs[i].name, c);
	kg_map_release(&c->packed);
	c->packed = kept;
}

static int sweep(struct kg_compact_round *c, struct kg_error *err)
{
	c->mark = (struct kg_mark){.set = &c->set,
		.reader = &c->reader,
		.stops = &c->stops,
		.pause = kg_compact_pause,
		.ctx = c,
		.sealed = c->drop ? 0 : KG_COMPACT_SEALED,
		.cancel = c->o->cancel};
	int rc = mark_all(c, err);
	if (rc < 0)
		return rc;
	kg_compact_choose(c);
	if (kg_compact_any_chosen(c))
		rc = kg_compact_replace(c, err);
	if (rc == 0 && c->drop)
		kg_hex(c->done, c->oldest, 20);
	return rc;
}

/* Where marking stops: a horizon whose grace is not over does not count yet. */
static void find_stops(struct kg_compact_round *c)
{
	for (size_t i = 0; i < c->shallow.n; i++)
		if (c->drop || !kg_compact_is_pending(c) ||
			memcmp(c->shallow.ids[i], c->oldest, 20) != 0)
			kg_shallow_add(&c->stops, c->shallow.ids[i]);
}

static int pack_and_drop(struct kg_compact_round *c, struct kg_error *err)
{
	int rc = take_packs(c, err);

	if (rc == 0 && (c->drop || kg_compact_is_due(c))) {
		forget_names(c);
		rc = sweep(c, err);
		if (rc == 0)
			rc = kg_compact_remember(c, err);
	}
	give_packs(c);
	return rc;
}

static int is_worth_it(bool *out, struct kg_compact_round *c, struct kg_error *err)
{
	int rc = kg_livepacks_open(&c->set, c->s->dir, &c->packed, err);

	*out = rc == 0 && (c->drop || kg_compact_is_due(c));
	kg_compact_count(&c->out->bytes_before, &c->out->packs_before, &c->set);
	c->out->bytes_after = c->out->bytes_before;
	c->out->packs_after = c->out->packs_before;
	kg_livepacks_release(&c->set);
	return rc;
}

static int begin(struct kg_compact_round *c, struct kg_error *err)
{
	git_odb *odb;
	int rc = kg_store_flush(c->s, FLUSH_MS, err);

	if (rc == 0)
		rc = kg_store_open_odb(&odb, c->s, err);
	if (rc < 0)
		return rc;
	/* One of its own, so that it holds up nobody, and lets go of what it read. */
	c->reader = (struct kg_reader){.odb = odb, .shared = kg_shared_odb_new(odb)};
	c->side = kg_asprintf("%s/" KG_SIDE_DIR, c->s->dir);
	kg_compact_recall(c->side, &c->packed, c->done);
	c->out->oldest = kg_store_oldest(c->s);
	rc = kg_store_find_revision(c->oldest, c->s, c->out->oldest, err);
	return rc < 0 ? rc : kg_shallow_read(&c->shallow, c->s->dir, err);
}

static int compact(struct kg_compact_round *c, struct kg_error *err)
{
	bool worth_it;
	int rc = begin(c, err);

	if (rc == 0 && !kg_compact_is_pending(c))
		rc = kg_compact_move_horizon(c, err);
	if (rc < 0)
		return rc;
	c->drop = kg_compact_is_pending(c) && kg_compact_is_old(c, c->shallow.since);
	find_stops(c);
	rc = is_worth_it(&worth_it, c, err);
	/* First the small change, so that there are few packs to look into. */
	if (rc == 0 && worth_it)
		rc = kg_store_merge_packs(c->s, err);
	return rc < 0 || !worth_it ? rc : pack_and_drop(c, err);
}

/* What they leave is only space. */
static void sweep_pushes(struct kg_store *s, struct kg_buf *notes)
{
	struct kg_error why = {0};

	if (kg_recover_pushes(s, notes, &why) < 0 && notes)
		kg_buf_addf(notes, "what unfinished pushes left cannot be removed: %s\n", why.msg);
}

int kg_store_compact(struct kg_compact_result *out, struct kg_store *s,
	const struct kg_compact_options *opts, struct kg_error *err)
{
	struct kg_compact_result result = {0};
	struct kg_compact_round c KG_CLEANUP(round_release) = {.s = s, .o = opts, .out = &result};
	struct kg_error why = {0};
	int rc = s->read_only ? kg_fail(&why, KG_E_READ_ONLY, "the store was opened to read") : 0;

	if (rc == 0 && atomic_load(&s->sync_failed))
		rc = kg_store_poisoned(&why);
	if (rc == 0)
		sweep_pushes(s, opts->notes);
	if (rc == 0)
		rc = compact(&c, &why);
	if (rc < 0)
		return kg_fail(err, why.code, "compact: %s", why.msg);
	*out = result;
	return 0;
}
