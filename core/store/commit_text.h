/* Commit objects as text: made and read. Pure. */
#ifndef KG_STORE_COMMIT_TEXT_H
#define KG_STORE_COMMIT_TEXT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>

struct kg_commit_text {
	unsigned char tree[20], parent[20], parent2[20];
	bool has_parent, has_parent2;
	const char *author;  /* "name <email>"; NULL: "kgit <kgit@CLUSTER>" */
	const char *cluster; /* id of the cluster */
	const char *message; /* without the trailer */
	kg_time time;
	uint64_t revision;
};
void kg_commit_text_write(struct kg_buf *out, const struct kg_commit_text *c);

/* What reading gives: pieces of the text itself. */
struct kg_commit_view {
	unsigned char tree[20], parent[20], parent2[20];
	bool has_parent, has_parent2;
	const char *author; /* "name <email>" */
	size_t author_len;
	const char *message; /* whole, with the trailer */
	size_t message_len;
	int64_t seconds;   /* committer's date */
	uint64_t revision; /* of the trailer; valid where has_revision */
	bool has_revision;
};
/* KG_E_CORRUPT where it is not a commit. The text is NUL-terminated at len. */
int kg_commit_text_read(
	struct kg_commit_view *out, const char *text, size_t len, struct kg_error *err);

#endif
