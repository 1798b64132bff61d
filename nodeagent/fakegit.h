/* The repository of views of fakemaster.c: what a node is told of it by git's protocol, in version
 * 0 and without capabilities but ofs-delta. Not thread-safe. What goes wrong fails the test. */
#ifndef KG_NODEAGENT_FAKEGIT_H
#define KG_NODEAGENT_FAKEGIT_H

#include "base/buf.h"
#include "nodeagent/fakemaster.h"

#include <git2.h>

struct fakegit {
	git_repository *repo;
	char commit[GIT_OID_HEXSZ + 1]; /* the newest; "": none */
};

void fakegit_init(struct fakegit *g, const char *dir);
void fakegit_release(struct fakegit *g);
/* A commit upon the last one. */
void fakegit_commit(struct fakegit *g, const struct fm_file *files, unsigned n);
/* The answers to GET .../info/refs and POST .../git-upload-pack; that many objects are in it. */
void fakegit_refs(struct fakegit *g, struct kg_buf *out);
unsigned fakegit_pack(struct fakegit *g, struct kg_buf *out, const char *body);

#endif
