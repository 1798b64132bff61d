/* Files, with durability. Every path is a whole path; every fd O_CLOEXEC. */
#ifndef KG_SYS_FILE_H
#define KG_SYS_FILE_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <sys/types.h>

/* All of a file, in place of what out held; KG_E_TOO_LARGE where it has more than max bytes. */
int kg_file_read(struct kg_buf *out, const char *path, size_t max, struct kg_error *err);
/* Temporary file beside it, written, synced, renamed over path, directory synced. */
int kg_file_write(const char *path, const void *p, size_t n, mode_t mode, struct kg_error *err);
/* As kg_file_write without any sync: for what can be made again (runtime state on tmpfs, ...). */
int kg_file_replace(const char *path, const void *p, size_t n, mode_t mode, struct kg_error *err);
int kg_write_all(int fd, const void *p, size_t n, struct kg_error *err);
int kg_sync_dir(const char *path, struct kg_error *err);
int kg_mkdir_p(const char *path, mode_t mode, struct kg_error *err);
/* Removes a tree without following links or crossing mounts; absent is fine. */
int kg_remove_tree(const char *path, struct kg_error *err);
bool kg_path_exists(const char *path);
/* Absolute path of this program's directory ("/.../build/release"), heap. */
char *kg_self_dir(void);

#endif
