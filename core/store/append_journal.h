/*
 * The append backend that kgitd uses: a journal ahead of a git repository. One fdatasync makes a
 * revision durable (two where it names pushed objects); a thread puts revisions to git's files
 * soon afterwards, several at a time.
 */
#ifndef KG_STORE_APPEND_JOURNAL_H
#define KG_STORE_APPEND_JOURNAL_H

#include "base/buf.h"
#include "store/append.h"

struct kg_append_journal_options {
	const char *dir;     /* a bare repository */
	const char *ref;     /* the state branch */
	const char *journal; /* the directory of the journal's file, in `dir` */
	size_t size;         /* of the journal; default KG_JOURNAL_SIZE where 0 */
	/* How long after it put revisions to git's files it waits for others; a fifth of it where
	 * it rested, or many wait; not at all once 4 MiB of packs wait. 0: never. */
	int linger_ms;
	/* A pack was added to git's; on the thread. */
	void (*packed)(void *ctx);
	void *ctx;
};
/* Recovers: what the journal has and git does not is there at once, and put to git soon. Lines are
 * added to notes (may be NULL). KG_E_CORRUPT: journal and ref contradict each other. */
int kg_append_journal_open(struct kg_append_backend **out,
	const struct kg_append_journal_options *opts, struct kg_buf *notes, struct kg_error *err);

#endif
