/*
 * History within bounds, and packs in little space; what and how, and why nothing that is needed
 * can go: compact.c.
 */
#ifndef KG_STORE_COMPACT_H
#define KG_STORE_COMPACT_H

#include "store/store.h"

struct kg_compact_options {
	/* A revision is dropped when more newer ones than this are there (0: no limit), or when it
	 * is older than this before `now` (0 or INT64_MAX: no limit); an eighth more may be kept
	 * for a while. The head never is. */
	uint64_t revisions;
	int64_t age_ms;
	kg_time now;
	/* How long after that its objects are still there, for those who are reading: longer than
	 * any fetch or push takes. Default an hour where 0; KG_COMPACT_NO_GRACE: not at all. */
	int64_t grace_ms;
	/* From so many bytes in packs that are not compact yet they are made so. Default 32 MiB
	 * where 0. */
	size_t pack_bytes;
	bool force; /* do it all, worth it or not */
	/* Lines are added for what pushes left whose git was killed and is removed, or cannot be,
	 * also where the call fails; may be NULL. */
	struct kg_buf *notes;
	int cancel; /* an fd: once it is readable the call ends soon, KG_E_UNAVAILABLE; 0: none */
};
#define KG_COMPACT_NO_GRACE INT64_C(-1)

struct kg_compact_result {
	uint64_t oldest;                  /* revision that is retained now */
	uint64_t dropped;                 /* revisions that this call put past the horizon */
	size_t packs_before, packs_after; /* equal where no pack was made */
	size_t bytes_before, bytes_after; /* of packs and indexes */
	size_t objects_gone;              /* no longer on disk */
};
/*
 * One round; what is not due is left alone, so it may be called often. Nobody waits for it: neither
 * kg_store_commit nor readers. A failure changes nothing that matters, and the next round does what
 * is left. One thread at a time, any.
 */
int kg_store_compact(struct kg_compact_result *out, struct kg_store *store,
	const struct kg_compact_options *opts, struct kg_error *err);

#endif
