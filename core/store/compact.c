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
#include "store/compact.h"

#include "store/commit_text.h"
#include "store/hidden.h"
#include "store/mark.h"
#include "store/private.h"
#include "store/repack.h"

#include "base/hash.h"
#include "base/mem.h"
#include "sys/file.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#define GRACE_MS      (INT64_C(3600) * 1000)
#define PACK_BYTES    (32u << 20)
#define SEALED        400000 /* objects: such a pack is taken up again only for what is to go */
#define FLUSH_MS      10000
#define QUARANTINE_MS 600000
#define LOOK_MS       20
#define DEAD_SECONDS  3600 /* no push takes longer */

struct round {
	struct kg_store *s;
	const struct kg_compact_options *o;
	struct kg_compact_result *out;
	char *side; /* directory */
	struct kg_reader reader;
	struct kg_shallow shallow, stops;
	unsigned char oldest[20]; /* the commit of the oldest retained revision */
	char done[41];            /* the horizon whose objects went */
	bool drop;
	struct kg_map packed; /* names of the packs of compactions */
	struct kg_livepacks set;
	struct kg_mark mark;
	unsigned pauses;
	uint32_t whole; /* marks of the newest state */
	char *made[2];  /* names of new packs; NULL */
};

static void round_release(struct round *c)
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

/* ---- what is remembered ---- */

static void take_line(struct kg_map *packed, char done[41], const char *line, size_t n)
{
	char text[64];

	if (n >= sizeof(text))
		return;
	memcpy(text, line, n);
	text[n] = '\0';
	if (n == 45 && strncmp(text, "pack-", 5) == 0)
		kg_map_put(packed, text, packed);
	else if (n == 48 && strncmp(text, "horizon ", 8) == 0)
		memcpy(done, text + 8, 41);
}

static void recall(const char *side, struct kg_map *packed, char done[41])
{
	char *path KG_AUTOFREE = kg_asprintf("%s/compacted", side);
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;

	done[0] = '\0';
	if (kg_file_read(&text, path, 1u << 20, NULL) < 0)
		return;
	for (const char *p = kg_buf_str(&text); *p;) {
		const char *end = strchrnul(p, '\n');

		take_line(packed, done, p, (size_t)(end - p));
		p = *end ? end + 1 : end;
	}
}

void kg_compact_names(struct kg_map *packed, const char *side)
{
	char done[41];

	recall(side, packed, done);
}

static int remember(struct round *c, struct kg_error *err)
{
	char *path KG_AUTOFREE = kg_asprintf("%s/compacted", c->side);
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	struct kg_map_entry *e;

	if (c->done[0])
		kg_buf_addf(&text, "horizon %s\n", c->done);
	for (size_t i = 0; (e = kg_map_next(&c->packed, &i));)
		kg_buf_addf(&text, "%s\n", e->key);
	return kg_file_replace(path, kg_buf_str(&text), text.len, 0644, err);
}

/* ---- the horizon ---- */

/* When a revision was. */
static int time_of(kg_time *out, struct round *c, uint64_t revision, struct kg_error *err)
{
	git_odb_object *obj KG_AUTOOBJ = NULL;
	struct kg_commit_view v;
	unsigned char id[20];
	int rc = kg_store_find_revision(id, c->s, revision, err);

	if (rc == 0)
		rc = kg_reader_get(&obj, &c->reader, id, GIT_OBJECT_COMMIT, err);
	if (rc == 0)
		rc = kg_commit_text_read(
			&v, git_odb_object_data(obj), git_odb_object_size(obj), err);
	if (rc == 0)
		*out = v.seconds * 1000;
	return rc;
}

/* The first revision that is not older than the limit; time never goes back. */
static int first_by_age(
	uint64_t *out, struct round *c, uint64_t oldest, uint64_t head, struct kg_error *err)
{
	uint64_t low = oldest, high = head;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		kg_time t = 0;
		int rc = time_of(&t, c, middle, err);

		if (rc < 0)
			return rc;
		if (t < c->o->now - c->o->age_ms)
			low = middle + 1;
		else
			high = middle;
	}
	*out = low;
	return 0;
}

/* The oldest revision that is to be kept. */
static int wanted(uint64_t *out, struct round *c, uint64_t oldest, struct kg_error *err)
{
	uint64_t head = kg_store_revision(c->s), by_age = oldest;
	int rc = 0;

	*out = oldest;
	if (c->o->revisions && head - oldest >= c->o->revisions)
		*out = head - c->o->revisions + 1;
	if (c->o->age_ms > 0 && c->o->age_ms < c->o->now)
		rc = first_by_age(&by_age, c, oldest, head, err);
	if (rc == 0 && by_age > *out)
		*out = by_age;
	/* Every move is followed by a walk over all that stays. */
	if (!c->o->force && *out - oldest < (head - oldest + 8) / 8)
		*out = oldest;
	return rc;
}

/* Is there a horizon whose objects are still to go. */
static bool is_pending(const struct round *c)
{
	char hex[41];

	kg_hex(hex, c->oldest, 20);
	return kg_shallow_has(&c->shallow, c->oldest) && strcmp(c->done, hex) != 0;
}

/* What reached the disk of a write that failed is as unknown here as of a pack. */
static int write_shallow(struct round *c, struct kg_error *err)
{
	int rc = kg_shallow_write(c->s->dir, &c->shallow, err);

	if (rc == -KG_E_IO)
		atomic_store(&c->s->sync_failed, true);
	return rc;
}

static int move_horizon(struct round *c, struct kg_error *err)
{
	uint64_t to;
	int rc = wanted(&to, c, c->out->oldest, err);

	if (rc < 0 || to == c->out->oldest)
		return rc;
	rc = kg_store_find_revision(c->oldest, c->s, to, err);
	if (rc < 0)
		return rc;
	kg_shallow_add(&c->shallow, c->oldest);
	rc = write_shallow(c, err);
	if (rc < 0)
		return rc;
	c->shallow.since = time(NULL);
	pthread_mutex_lock(&c->s->lock);
	kg_history_cut(&c->s->history, to, c->oldest);
	pthread_mutex_unlock(&c->s->lock);
	c->out->dropped = to - c->out->oldest;
	c->out->oldest = to;
	return 0;
}

static time_t grace(const struct round *c)
{
	int64_t ms = c->o->grace_ms ? c->o->grace_ms : GRACE_MS;

	return ms < 0 ? -1 : (time_t)((ms + 999) / 1000);
}

static bool is_old(const struct round *c, time_t since)
{
	return since + grace(c) < time(NULL);
}

/* ---- in little memory ---- */

#define PAUSES 64

/* Now and then the maps of indexes and what libgit2 keeps of packs are let go: together they are as
 * large as the indexes, twice. */
static void pause_round(void *ctx)
{
	struct round *c = ctx;
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

static int mark_newest(struct round *c, struct kg_mark *m, struct kg_error *err)
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
static int mark_oldest_main(struct round *c, struct kg_error *err)
{
	unsigned char id[20];
	struct kg_view v;
	int rc = kg_view_open(&v, &c->reader, c->oldest, err);

	if (rc < 0 || kg_unhex(id, 20, v.main_commit) < 0 || !kg_reader_has(&c->reader, id))
		return rc;
	return kg_mark_any(&c->mark, id, err);
}

static int mark(struct round *c, struct kg_error *err)
{
	int rc = mark_newest(c, &c->mark, err);

	if (rc < 0 || !c->drop)
		return rc;
	rc = mark_oldest_main(c, err);
	for (size_t i = 0; rc == 0 && i < c->set.n; i++)
		if (!is_old(c, c->set.packs[i].mtime))
			rc = kg_mark_pack(&c->mark, &c->set.packs[i], err);
	return rc < 0 ? rc : kg_mark_loose(&c->mark, c->s->dir, err);
}

static bool is_known(const struct round *c, const char *name)
{
	for (size_t i = 0; i < c->set.n; i++)
		if (strcmp(c->set.packs[i].name, name) == 0)
			return true;
	return (c->made[0] && strcmp(c->made[0], name) == 0) ||
	       (c->made[1] && strcmp(c->made[1], name) == 0);
}

/* From all that came since. */
static int mark_again(struct round *c, struct kg_error *err)
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

/* ---- choosing ---- */

static bool is_small(const struct kg_livepacks_pack *p)
{
	return !p->fixed && (!p->packed || p->n < SEALED);
}

/* Bytes and objects of the packs that are not large compact ones. */
struct sums {
	size_t loose, packed; /* bytes that no compaction made, and that one did */
	size_t objects, live;
};

static struct sums sum_small(const struct round *c)
{
	struct sums t = {0};

	for (size_t i = 0; i < c->set.n; i++) {
		const struct kg_livepacks_pack *p = &c->set.packs[i];

		if (!is_small(p))
			continue;
		*(p->packed ? &t.packed : &t.loose) += p->size;
		t.objects += p->n;
		t.live += p->live;
	}
	return t;
}

/* So large a part has to be new that an object is taken up again few times in its life. */
static bool is_due(const struct round *c)
{
	size_t limit = c->o->pack_bytes ? c->o->pack_bytes : PACK_BYTES;
	struct sums t = sum_small(c);

	return c->o->force || (t.loose >= limit && t.loose >= t.packed / 2);
}

static void choose(struct round *c)
{
	struct sums t = sum_small(c);
	bool small = is_due(c) || (c->drop && (t.objects - t.live) * 8 >= t.objects);

	for (size_t i = 0; i < c->set.n; i++) {
		struct kg_livepacks_pack *p = &c->set.packs[i];
		size_t gone = c->drop ? p->n - p->live : 0;

		if (is_small(p))
			p->chosen = small;
		else
			p->chosen = !p->fixed && (gone * 4 >= p->n || (c->o->force && gone));
	}
}

static bool any_chosen(const struct round *c)
{
	for (size_t i = 0; i < c->set.n; i++)
		if (c->set.packs[i].chosen)
			return true;
	return false;
}

/* ---- packing ---- */

static int repack(struct round *c, struct kg_error *err)
{
	struct kg_repack job = {.dir = c->s->dir,
		.side = c->side,
		.set = &c->set,
		.reader = &c->reader,
		.pause = pause_round,
		.ctx = c,
		.unmarked = !c->drop,
		.whole = c->whole,
		.cancel = c->o->cancel};
	bool sync_failed = false;
	int rc = kg_repack(&c->made[0], &job, true, &sync_failed, err);

	if (rc == 0)
		rc = kg_repack(&c->made[1], &job, false, &sync_failed, err);
	if (sync_failed)
		atomic_store(&c->s->sync_failed, true);
	kg_repack_clean(c->side, NULL);
	/* One that is what it was stays where it is. */
	for (size_t i = 0; i < c->set.n; i++)
		for (int k = 0; k < 2; k++)
			if (c->made[k] && strcmp(c->made[k], c->set.packs[i].name) == 0) {
				c->set.packs[i].chosen = false;
				free(kg_steal(&c->made[k]));
			}
	return rc;
}

/* Is that a boundary of an earlier round that nothing leads to any more. */
static bool is_over(struct round *c, const unsigned char id[20])
{
	struct kg_livepacks_at at;

	if (!kg_livepacks_find(&at, &c->set, id))
		return !kg_reader_has(&c->reader, id);
	return !at.pack->order[at.i] && at.pack->chosen;
}

static int forget_boundaries(struct round *c, struct kg_error *err)
{
	bool changed = false;

	for (size_t i = 0; i < c->shallow.n;) {
		if (is_over(c, c->shallow.ids[i])) {
			kg_shallow_remove(&c->shallow, c->shallow.ids[i]);
			changed = true;
		} else {
			i++;
		}
	}
	return changed ? write_shallow(c, err) : 0;
}

/* ---- the old packs ---- */

static int put_back(struct round *c, struct kg_error *err)
{
	int rc = 0;

	for (size_t i = 0; i < c->set.n; i++) {
		struct kg_livepacks_pack *p = &c->set.packs[i];

		if (p->hidden && kg_pack_unhide(c->set.dir, p->name, rc == 0 ? err : NULL) < 0)
			rc = -(int)err->code;
		else
			p->hidden = false;
	}
	return rc;
}

static int hide(struct round *c, struct kg_error *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < c->set.n; i++) {
		struct kg_livepacks_pack *p = &c->set.packs[i];

		if (!p->chosen)
			continue;
		rc = kg_pack_hide(c->set.dir, p->name, err);
		p->hidden = rc == 0;
	}
	return rc < 0 ? rc : kg_store_renew_odb(c->s, err);
}

static int await_pushes(struct round *c, struct kg_error *err)
{
	struct pollfd p = {.fd = c->o->cancel > 0 ? c->o->cancel : -1, .events = POLLIN};
	struct kg_buf names KG_AUTOBUF = KG_BUF_INIT;
	int rc = kg_quarantines(&names, c->s->dir, DEAD_SECONDS, err);

	for (int waited = 0; rc == 0 && kg_quarantines_left(&names, c->s->dir); waited += LOOK_MS) {
		if (waited > QUARANTINE_MS)
			rc = kg_fail(err, KG_E_TIMEOUT, "a push does not end");
		else if (poll(&p, 1, LOOK_MS) > 0)
			rc = kg_fail(err, KG_E_UNAVAILABLE, "it was told to stop");
	}
	return rc;
}

/* Nothing that was left out is needed, now that no git sees it any more. */
static int look_again(struct round *c, struct kg_error *err)
{
	int rc = c->drop ? await_pushes(c, err) : 0;

	if (rc == 0 && c->drop)
		rc = mark_again(c, err);
	if (rc == 0 && c->mark.lost)
		rc = kg_fail(err, KG_E_CONFLICT, "a push needs what was to go");
	return rc;
}

static void remove_old(struct round *c)
{
	for (size_t i = 0; i < c->set.n; i++) {
		struct kg_livepacks_pack *p = &c->set.packs[i];

		if (!p->hidden)
			continue;
		if (c->drop)
			c->out->objects_gone += p->n - p->live;
		kg_pack_remove(c->set.dir, p->name);
	}
}

static void count_packs(size_t *bytes, size_t *packs, const struct kg_livepacks *set)
{
	*bytes = 0;
	*packs = set->n;
	for (size_t i = 0; i < set->n; i++)
		*bytes += set->packs[i].size;
}

static void count_after(struct round *c)
{
	struct kg_livepacks now KG_CLEANUP(kg_livepacks_release) = {0};

	if (kg_livepacks_open(&now, c->s->dir, NULL, NULL) == 0)
		count_packs(&c->out->bytes_after, &c->out->packs_after, &now);
}

/* New packs that are in place beside all of the old ones are copies. */
static void unmake(struct round *c)
{
	for (int k = 0; k < 2; k++)
		if (c->made[k] && kg_pack_hide(c->set.dir, c->made[k], NULL) == 0)
			kg_pack_remove(c->set.dir, c->made[k]);
}

static int replace(struct round *c, struct kg_error *err)
{
	int rc = repack(c, err);

	if (rc == 0 && c->drop)
		rc = forget_boundaries(c, err);
	if (rc == 0)
		rc = hide(c, err);
	if (rc == 0)
		rc = look_again(c, err);
	if (rc < 0) {
		struct kg_error ignored;

		if (put_back(c, &ignored) == 0)
			unmake(c);
		kg_store_renew_odb(c->s, &ignored);
		return rc;
	}
	remove_old(c);
	count_after(c);
	for (int k = 0; k < 2; k++)
		if (c->made[k])
			kg_map_put(&c->packed, c->made[k], c);
	return 0;
}

/* ---- the round ---- */

/* The packs as they are, which nobody merges until the round is over. */
static int take_packs(struct round *c, struct kg_error *err)
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
static void give_packs(struct round *c)
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
static void forget_names(struct round *c)
{
	struct kg_map kept = KG_MAP_INIT;

	for (size_t i = 0; i < c->set.n; i++)
		if (c->set.packs[i].packed)
			kg_map_put(&kept, c->set.packs[i].name, c);
	kg_map_release(&c->packed);
	c->packed = kept;
}

static int sweep(struct round *c, struct kg_error *err)
{
	c->mark = (struct kg_mark){.set = &c->set,
		.reader = &c->reader,
		.stops = &c->stops,
		.pause = pause_round,
		.ctx = c,
		.sealed = c->drop ? 0 : SEALED,
		.cancel = c->o->cancel};
	int rc = mark(c, err);
	if (rc < 0)
		return rc;
	choose(c);
	if (any_chosen(c))
		rc = replace(c, err);
	if (rc == 0 && c->drop)
		kg_hex(c->done, c->oldest, 20);
	return rc;
}

/* Where marking stops: a horizon whose grace is not over does not count yet. */
static void find_stops(struct round *c)
{
	for (size_t i = 0; i < c->shallow.n; i++)
		if (c->drop || !is_pending(c) || memcmp(c->shallow.ids[i], c->oldest, 20) != 0)
			kg_shallow_add(&c->stops, c->shallow.ids[i]);
}

static int pack_and_drop(struct round *c, struct kg_error *err)
{
	int rc = take_packs(c, err);

	if (rc == 0 && (c->drop || is_due(c))) {
		forget_names(c);
		rc = sweep(c, err);
		if (rc == 0)
			rc = remember(c, err);
	}
	give_packs(c);
	return rc;
}

static int is_worth_it(bool *out, struct round *c, struct kg_error *err)
{
	int rc = kg_livepacks_open(&c->set, c->s->dir, &c->packed, err);

	*out = rc == 0 && (c->drop || is_due(c));
	count_packs(&c->out->bytes_before, &c->out->packs_before, &c->set);
	c->out->bytes_after = c->out->bytes_before;
	c->out->packs_after = c->out->packs_before;
	kg_livepacks_release(&c->set);
	return rc;
}

static int begin(struct round *c, struct kg_error *err)
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
	recall(c->side, &c->packed, c->done);
	c->out->oldest = kg_store_oldest(c->s);
	rc = kg_store_find_revision(c->oldest, c->s, c->out->oldest, err);
	return rc < 0 ? rc : kg_shallow_read(&c->shallow, c->s->dir, err);
}

static int compact(struct round *c, struct kg_error *err)
{
	bool worth_it;
	int rc = begin(c, err);

	if (rc == 0 && !is_pending(c))
		rc = move_horizon(c, err);
	if (rc < 0)
		return rc;
	c->drop = is_pending(c) && is_old(c, c->shallow.since);
	find_stops(c);
	rc = is_worth_it(&worth_it, c, err);
	/* First the small change, so that there are few packs to look into. */
	if (rc == 0 && worth_it)
		rc = kg_store_merge_packs(c->s, err);
	return rc < 0 || !worth_it ? rc : pack_and_drop(c, err);
}

int kg_store_compact(struct kg_compact_result *out, struct kg_store *s,
	const struct kg_compact_options *opts, struct kg_error *err)
{
	struct kg_compact_result result = {0};
	struct round c KG_CLEANUP(round_release) = {.s = s, .o = opts, .out = &result};
	struct kg_error why = {0};
	int rc = s->read_only ? kg_fail(&why, KG_E_READ_ONLY, "the store was opened to read") : 0;

	if (rc == 0 && atomic_load(&s->sync_failed))
		rc = kg_store_poisoned(&why);
	if (rc == 0)
		rc = compact(&c, &why);
	if (rc < 0)
		return kg_fail(err, why.code, "compact: %s", why.msg);
	*out = result;
	return 0;
}
