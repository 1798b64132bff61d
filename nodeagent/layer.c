#include "nodeagent/layer.h"

#include "base/hash.h"
#include "base/mem.h"
#include "nodeagent/layer_entry.h"
#include "sys/file.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#define NATIVE "trusted.kgit.native"

/* The archive as it comes: decompressed by one libarchive reader, hashed, handed to a second one
 * that knows tar. */
struct stream {
	struct archive *raw;
	struct sha256_ctx sha;
};

static la_ssize_t read_raw(struct archive *tar, void *ctx, const void **p)
{
	struct stream *s = ctx;
	size_t n;
	la_int64_t at;
	int rc = archive_read_data_block(s->raw, p, &n, &at);
	if (rc == ARCHIVE_EOF)
		return 0;
	if (rc != ARCHIVE_OK) {
		archive_set_error(tar, EIO, "%s", archive_error_string(s->raw));
		return -1;
	}
	sha256_update(&s->sha, n, *p);
	return (la_ssize_t)n;
}

static void free_archive(struct archive **a)
{
	if (*a)
		archive_read_free(*a);
}

static int open_raw(struct archive **out, const char *blob, struct kg_error *err)
{
	struct archive *a = archive_read_new();
	/* Not "all": that would start other programs for rare formats. */
	archive_read_support_filter_gzip(a);
	archive_read_support_filter_zstd(a);
	archive_read_support_filter_xz(a);
	archive_read_support_filter_bzip2(a);
	archive_read_support_format_raw(a);
	struct archive_entry *e;
	if (archive_read_open_filename(a, blob, 256 * 1024) != ARCHIVE_OK ||
		archive_read_next_header(a, &e) != ARCHIVE_OK) {
		kg_fail(err, KG_E_INVALID, "%s: %s", blob, archive_error_string(a));
		archive_read_free(a);
		return -KG_E_INVALID;
	}
	*out = a;
	return 0;
}

static int unpack_entries(struct archive *tar, const char *dir,
	const struct kg_layer_limits *limits, struct kg_error *err)
{
	struct kg_layer_root root KG_CLEANUP(kg_layer_root_close) = {.fd = -1, .parent_fd = -1};
	int rc = kg_layer_root_open(&root, dir, err);
	if (rc < 0)
		return rc;
	int64_t left = limits && limits->bytes ? limits->bytes : (int64_t)64 << 30;
	int64_t entries = limits && limits->entries ? limits->entries : 4000000;
	for (;;) {
		struct archive_entry *e;
		int r = archive_read_next_header(tar, &e);
		if (r == ARCHIVE_EOF)
			break;
		if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
			return kg_fail(err, KG_E_INVALID, "%s", archive_error_string(tar));
		if (entries-- == 0)
			return kg_fail(err, KG_E_TOO_LARGE, "too many entries");
		rc = kg_layer_entry_put(&root, tar, e, &left, err);
		if (rc < 0)
			return rc;
	}
	kg_layer_set_times(&root);
	if (!root.foreign && fsetxattr(root.fd, NATIVE, "y", 1, 0) < 0)
		return kg_fail_errno(err, "set " NATIVE);
	if (syncfs(root.fd) < 0)
		return kg_fail_errno(err, "sync");
	return 0;
}

/* What follows the archive's end belongs to the digest as well. */
static int check_digest(struct stream *s, const char *diff_id, struct kg_error *err)
{
	const void *p;
	size_t n;
	la_int64_t at;
	int rc;
	while ((rc = archive_read_data_block(s->raw, &p, &n, &at)) == ARCHIVE_OK)
		sha256_update(&s->sha, n, p);
	if (rc != ARCHIVE_EOF)
		return kg_fail(err, KG_E_INVALID, "%s", archive_error_string(s->raw));
	unsigned char d[32];
	char hex[65];
	sha256_digest(&s->sha, sizeof(d), d);
	kg_hex(hex, d, sizeof(d));
	if (diff_id && (strncmp(diff_id, "sha256:", 7) || strcmp(diff_id + 7, hex)))
		return kg_fail(err, KG_E_CORRUPT, "the layer is sha256:%s, not %s", hex, diff_id);
	return 0;
}

static int unpack_to(const char *blob, const char *dir, const char *diff_id,
	const struct kg_layer_limits *limits, struct kg_error *err)
{
	struct stream s = {0};
	struct archive *raw KG_CLEANUP(free_archive) = NULL;
	int rc = open_raw(&raw, blob, err);
	if (rc < 0)
		return rc;
	s.raw = raw;
	sha256_init(&s.sha);
	struct archive *tar KG_CLEANUP(free_archive) = archive_read_new();
	archive_read_support_format_tar(tar);
	if (archive_read_open(tar, &s, NULL, read_raw, NULL) != ARCHIVE_OK)
		return kg_fail(err, KG_E_INVALID, "%s: %s", blob, archive_error_string(tar));
	rc = unpack_entries(tar, dir, limits, err);
	return rc < 0 ? rc : check_digest(&s, diff_id, err);
}

int kg_layer_unpack(const char *blob, const char *dest, const char *diff_id,
	const struct kg_layer_limits *limits, struct kg_error *err)
{
	static atomic_uint serial;
	if (kg_path_exists(dest))
		return 0;
	KG_AUTOFREE char *tmp = kg_asprintf("%s.tmp-%d-%u", dest, (int)getpid(), serial++);
	if (mkdir(tmp, 0755) < 0 || chmod(tmp, 0755) < 0)
		return kg_fail_errno(err, "make %s", tmp);
	int rc = unpack_to(blob, tmp, diff_id, limits, err);
	/* Somebody else may have been faster with the same content. */
	if (rc == 0 && rename(tmp, dest) < 0 && errno != EEXIST && errno != ENOTEMPTY)
		rc = kg_fail_errno(err, "rename %s", tmp);
	if (rc == 0) {
		KG_AUTOFREE char *parent = kg_strdup(dest);
		char *slash = strrchr(parent, '/');
		if (slash)
			*slash = '\0';
		rc = kg_sync_dir(slash ? parent : ".", err);
	}
	if (kg_path_exists(tmp)) {
		struct kg_error ignored;
		kg_remove_tree(tmp, &ignored); /* swept at the next start otherwise */
	}
	return rc < 0 ? kg_wrap(err, "unpack layer") : 0;
}

static bool has_mark(const char *dir, const char *name)
{
	char c;
	return lgetxattr(dir, name, &c, 1) == 1 && c == 'y';
}

bool kg_layer_is_opaque(const char *dir)
{
	return has_mark(dir, "trusted.overlay.opaque");
}

bool kg_layer_is_native(const char *dir)
{
	return has_mark(dir, NATIVE);
}
