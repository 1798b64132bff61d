/*
 * Image layers, unpacked once. A layer is a tar archive (plain, gzip, zstd, xz or bzip2) that
 * lands in DEST as overlayfs wants a lower directory: `.wh.NAME` becomes a whiteout (a character
 * device 0/0), `.wh..wh..opq` the opaque attribute. Archives are untrusted: every path is resolved
 * by the kernel inside the layer (openat2, RESOLVE_IN_ROOT), nothing lands outside, nothing that
 * lies outside is linked to, and sizes are bounded. Owners, modes with setuid, times and file
 * capabilities are kept; device nodes are made as they are (what may be opened is the device
 * cgroup's business), but for 0/0, which would be a whiteout in disguise.
 */
#ifndef KG_NODEAGENT_LAYER_H
#define KG_NODEAGENT_LAYER_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct kg_layer_limits {
	int64_t bytes;   /* of all files together; default 64 GiB */
	int64_t entries; /* default 4,000,000 */
};
/*
 * Unpacks the archive `blob` to the directory dest. diff_id ("sha256:HEX" of the uncompressed
 * archive; NULL: not checked) must match. dest appears whole or not at all: it is unpacked beside
 * it and renamed after a sync; a dest that exists already is kept. Blocking. limits may be NULL.
 */
int kg_layer_unpack(const char *blob, const char *dest, const char *diff_id,
	const struct kg_layer_limits *limits, struct kg_error *err);
/* Does the layer hide everything below it? */
bool kg_layer_is_opaque(const char *dir);
/* Are all its programs (ELF files) of this machine's own word size? False where it is not known. */
bool kg_layer_is_native(const char *dir);

#endif
