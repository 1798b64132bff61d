#include "store/compact_private.h"

#include "store/hidden.h"
#include "store/repack.h"

#include <poll.h>
#include <string.h>

#define PACK_BYTES    (32u << 20)
#define QUARANTINE_MS 600000
#define LOOK_MS       20
#define DEAD_SECONDS  3600 /* no push takes longer */

/* ---- choosing ---- */

static bool is_small(const struct kg_livepacks_pack *p)
{
	return !p->fixed && (!p->packed || p->n < KG_COMPACT_SEALED);
}

/* Bytes and objects of the packs that are not large compact ones. */
struct sums {
	size_t loose, packed; /* bytes that no compaction made, and that one did */
	size_t objects, live;
};

static struct sums sum_small(const struct kg_compact_round *c)
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

bool kg_compact_is_due(const struct kg_compact_round *c)
{
	size_t limit = c->o->pack_bytes ? c->o->pack_bytes : PACK_BYTES;
	struct sums t = sum_small(c);

	return c->o->force || (t.loose >= limit && t.loose >= t.packed / 2);
}

void kg_compact_choose(struct kg_compact_round *c)
{
	struct sums t = sum_small(c);
	bool small = kg_compact_is_due(c) || (c->drop && (t.objects - t.live) * 8 >= t.objects);

	for (size_t i = 0; i < c->set.n; i++) {
		struct kg_livepacks_pack *p = &c->set.packs[i];
		size_t gone = c->drop ? p->n - p->live : 0;

		if (is_small(p))
			p->chosen = small;
		else
			p->chosen = !p->fixed && (gone * 4 >= p->n || (c->o->force && gone));
	}
}

bool kg_compact_any_chosen(const struct kg_compact_round *c)
{
	for (size_t i = 0; i < c->set.n; i++)
		if (c->set.packs[i].chosen)
			return true;
	return false;
}

/* ---- packing ---- */

static int repack(struct kg_compact_round *c, struct kg_error *err)
{
	struct kg_repack job = {.dir = c->s->dir,
		.side = c->side,
		.set = &c->set,
		.reader = &c->reader,
		.pause = kg_compact_pause,
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
static bool is_over(struct kg_compact_round *c, const unsigned char id[20])
{
	struct kg_livepacks_at at;

	if (!kg_livepacks_find(&at, &c->set, id))
		return !kg_reader_has(&c->reader, id);
	return !at.pack->order[at.i] && at.pack->chosen;
}

static int forget_boundaries(struct kg_compact_round *c, struct kg_error *err)
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
	return changed ? kg_compact_write_shallow(c, err) : 0;
}

/* ---- the old packs ---- */

static int put_back(struct kg_compact_round *c, struct kg_error *err)
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

static int hide(struct kg_compact_round *c, struct kg_error *err)
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

static int await_pushes(struct kg_compact_round *c, struct kg_error *err)
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
static int look_again(struct kg_compact_round *c, struct kg_error *err)
{
	int rc = c->drop ? await_pushes(c, err) : 0;

	if (rc == 0 && c->drop)
		rc = kg_compact_mark_again(c, err);
	if (rc == 0 && c->mark.lost)
		rc = kg_fail(err, KG_E_CONFLICT, "a push needs what was to go");
	return rc;
}

static void remove_old(struct kg_compact_round *c)
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

static void count_after(struct kg_compact_round *c)
{
	struct kg_livepacks now KG_CLEANUP(kg_livepacks_release) = {0};

	if (kg_livepacks_open(&now, c->s->dir, NULL, NULL) == 0)
		kg_compact_count(&c->out->bytes_after, &c->out->packs_after, &now);
}

/* New packs that are in place beside all of the old ones are copies. */
static void unmake(struct kg_compact_round *c)
{
	for (int k = 0; k < 2; k++)
		if (c->made[k] && kg_pack_hide(c->set.dir, c->made[k], NULL) == 0)
			kg_pack_remove(c->set.dir, c->made[k]);
}

int kg_compact_replace(struct kg_compact_round *c, struct kg_error *err)
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
