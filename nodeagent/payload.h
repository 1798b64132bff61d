/*
 * The files of a volume that is made of objects, as kubelet writes them: in a directory of their
 * own, `..data` a link to it that is replaced in one step, and a link a file. Blocking.
 */
#ifndef KG_NODEAGENT_PAYLOAD_H
#define KG_NODEAGENT_PAYLOAD_H

#include "base/err.h"
#include "base/mem.h"

#include <stdint.h>
#include <sys/types.h>

struct kg_payload_file {
	const char *path; /* relative; checked */
	const char *data;
	size_t len;
	mode_t mode;
};
struct kg_payload {
	struct kg_payload_file *files; /* heap */
	size_t len, cap;
	struct kg_arena arena; /* owns paths and data */
};
void kg_payload_release(struct kg_payload *p);
/* Copied. A file that is there already gets the new content. KG_E_INVALID: the path leads out of
 * the volume. */
int kg_payload_add(struct kg_payload *p, const char *path, const char *data, size_t len,
	mode_t mode, struct kg_error *err);
/* Into dir, which is there; nothing where it holds the same already. fs_group < 0: none. */
int kg_payload_write(
	const char *dir, const struct kg_payload *p, int64_t fs_group, struct kg_error *err);

#endif
