/* Inside layer.c and layer_entry.c: putting one archive entry below a directory, and nowhere
 * else. */
#ifndef KG_NODEAGENT_LAYER_ENTRY_H
#define KG_NODEAGENT_LAYER_ENTRY_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct archive;
struct archive_entry;

struct kg_layer_dir { /* whose time is set when all is there */
	char *path;
	struct timespec mtime;
};
struct kg_layer_root {
	int fd;
	char *parent; /* the path that parent_fd stands for; NULL: none */
	int parent_fd;
	struct kg_layer_dir *dirs;
	size_t ndirs, cap;
	bool foreign; /* a program of another word size was put */
};
int kg_layer_root_open(struct kg_layer_root *r, const char *path, struct kg_error *err);
void kg_layer_root_close(struct kg_layer_root *r);
/* *left: bytes that files may still take. */
int kg_layer_entry_put(struct kg_layer_root *r, struct archive *a, struct archive_entry *e,
	int64_t *left, struct kg_error *err);
void kg_layer_set_times(struct kg_layer_root *r);

#endif
