/*
 * The journal: revisions made durable by one fdatasync each, before git's files have them.
 *
 * One file, DIR/journal, filled with zeros and synced when it is made: writing into it later
 * changes no metadata, needs no space and leaves one thing to sync. It has two halves. One is
 * filled from its start; when a record does not fit any more the other one is begun, which must
 * hold nothing that git does not have.
 *
 * A record begins at a multiple of 4096 and fills whole blocks (zeros at its end), so no write
 * touches a block of a record that was acknowledged. Numbers are big-endian.
 *
 *     0   8  "kgitjnl1"
 *     8   8  use: a random number, another one each time a half is begun
 *    16   8  epoch of the writer
 *    24   8  revision
 *    32   8  length of the pack
 *    40  20  parent (zero: none)
 *    60  20  commit
 *    80  20  the pack's checksum, which is its last 20 bytes
 *   100  20  SHA-1 of the 100 bytes before
 *   120      the pack
 *
 * A record counts when its head has its sum, its pack has its own, its use is that of the half's
 * first record, and its revision is above those before. The records of a half are those that
 * count, up to the first that does not.
 *
 * Why nothing is lost, wherever the process is killed or the power cut:
 * - A revision is acknowledged after fdatasync. Its blocks, and those of all records before it in
 *   its half, are written by nobody until git has them durably: the tail is behind them, and the
 *   half is begun again only when the caller says so. So they all count at the next start.
 * - One that was cut off while it was written does not count, for its sums; it was acknowledged to
 *   nobody. One that was whole but not synced counts: it is synced at the start, before anybody
 *   sees it, and then it is as good as any.
 * - What an earlier use left in a half never counts: it has another use number.
 * - A record that was damaged later ends the records too early. If a later one of the same use
 *   counts, this is noticed and nothing is started (KG_E_CORRUPT), because a writer never begins a
 *   record before the one before it is durable.
 * - Replaying twice is replaying once: the caller skips what git's ref already includes.
 *
 * One thread at a time.
 */
#ifndef KG_STORE_JOURNAL_H
#define KG_STORE_JOURNAL_H

#include "base/buf.h"
#include "store/append.h"

#define KG_JOURNAL_SIZE (64u << 20) /* unless the disk is small */

struct kg_journal;

/*
 * Opens the journal in dir, and makes it where it is missing: of `size` bytes, at most an eighth of
 * the free space. Where that is too little to be of use it holds nothing (a line in notes, which
 * may be NULL). fn is called for every record of a revision above `after`, in order; the index of
 * its append is NULL; what it fails with is the answer.
 */
int kg_journal_open(struct kg_journal **out, const char *dir, size_t size, int64_t after,
	int (*fn)(void *ctx, const struct kg_append *a, struct kg_error *err), void *ctx,
	struct kg_buf *notes, struct kg_error *err);
void kg_journal_free(struct kg_journal *j); /* NULL is fine */

/* Could a pack of that length ever be written. */
bool kg_journal_fits(const struct kg_journal *j, size_t pack_len);
/* Could it be now, git having all revisions up to `stored` (-1: none). */
bool kg_journal_has_room(const struct kg_journal *j, size_t pack_len, int64_t stored);
/* Writes and syncs a record for which there is room. *lost: it was written, whether it is durable
 * is unknown. Other failures change nothing. */
int kg_journal_append(struct kg_journal *j, const struct kg_append *a, int64_t stored, bool *lost,
	struct kg_error *err);
/* Forgets all records: git has them. */
int kg_journal_clear(struct kg_journal *j, struct kg_error *err);

#endif
