#include "nodeagent/image_remove.h"

#include "base/log.h"
#include "nodeagent/image_store.h"
#include "nodeagent/mailbox.h"
#include "sys/file.h"
#include "value/json.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LOOK_MS 50 /* whether the lock is free by now */

/* ---- who adds, and who removes ---- */

static int take(struct kg_images *im, short type, struct kg_error *err)
{
	KG_AUTOFREE char *path = kg_asprintf("%s/use.lock", im->dir);
	struct flock whole = {.l_type = type, .l_whence = SEEK_SET};
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	while (fd >= 0 && fcntl(fd, F_OFD_SETLK, &whole) < 0) {
		struct pollfd p = {im->cancel > 0 ? im->cancel : -1, POLLIN, 0};
		if (errno != EAGAIN && errno != EACCES && errno != EINTR) {
			kg_closep(&fd);
			return kg_fail_errno(err, "lock %s", path);
		}
		if (poll(&p, 1, LOOK_MS) > 0) {
			kg_closep(&fd);
			return kg_fail(err, KG_E_UNAVAILABLE, "the agent ends");
		}
	}
	return fd < 0 ? kg_fail_errno(err, "open %s", path) : fd;
}

int kg_images_hold(struct kg_images *im, struct kg_error *err)
{
	return take(im, F_RDLCK, err);
}

/* ---- what is there ---- */

void kg_images_list_release(struct kg_map *list)
{
	struct kg_map_entry *e;

	for (size_t i = 0; (e = kg_map_next(list, &i));)
		free(e->value);
	kg_map_release(list);
}

int kg_images_list(struct kg_map *out, struct kg_images *im, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value refs;
	int rc = kg_images_refs(&refs, &a, im, err);

	for (uint32_t i = 0; rc == 0 && i < kg_len(&refs); i++) {
		const struct kg_member *m = &refs.members[i];
		free(kg_map_put(out, m->key,
			kg_image_id(m->key, kg_string(kg_get(&m->value, "digest"), ""))));
	}
	return rc;
}

static char *trash(const struct kg_images *im, const char *hex)
{
	return kg_asprintf("%s/trash/%s", im->dir, hex);
}

/* The note is first: what it says is only done where no reference has the manifest any more. */
int kg_images_forget(struct kg_images *im, const char *ref, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	KG_AUTOFREE char *dir = kg_asprintf("%s/trash", im->dir);
	struct kg_value refs;
	const char *hex;
	int rc = kg_images_refs(&refs, &a, im, err);

	if (rc < 0 || kg_is_null(kg_get(&refs, ref)))
		return rc;
	if (kg_digest_hex(kg_string(kg_get(kg_get(&refs, ref), "manifest"), ""), &hex)) {
		KG_AUTOFREE char *note = trash(im, hex);
		rc = kg_mkdir_p(dir, 0700, err);
		if (rc == 0)
			rc = kg_file_write(note, "", 0, 0600, err);
	}
	return rc < 0 ? rc : kg_images_drop(im, ref, err);
}

/* ---- removing ---- */

static void keep(struct kg_map *kept, const char *digest)
{
	const char *hex;

	if (kg_digest_hex(digest, &hex))
		kg_map_put(kept, hex, kept);
}

/* Every blob and layer of a manifest, by the hex digits of its digest. */
static int add_parts(
	struct kg_map *parts, struct kg_images *im, const char *manifest, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value m, config;
	int rc = kg_images_blob(&m, &a, im, manifest, err);

	if (rc == 0)
		rc = kg_images_blob(
			&config, &a, im, kg_string(kg_at(&m, "config.digest"), ""), err);
	if (rc < 0)
		return rc;
	keep(parts, manifest);
	keep(parts, kg_string(kg_at(&m, "config.digest"), ""));
	const struct kg_value *layers = kg_array(kg_get(&m, "layers"));
	for (uint32_t i = 0; i < kg_len(layers); i++)
		keep(parts, kg_string(kg_get(&layers->items[i], "digest"), ""));
	const struct kg_value *diffs = kg_array(kg_at(&config, "rootfs.diff_ids"));
	for (uint32_t i = 0; i < kg_len(diffs); i++)
		keep(parts, kg_string(&diffs->items[i], ""));
	return 0;
}

/* Of what has a name. One that cannot be read is one that is not there (it is pulled again). */
static int kept_parts(struct kg_map *kept, struct kg_images *im, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value refs;
	int rc = kg_images_refs(&refs, &a, im, err);

	for (uint32_t i = 0; rc == 0 && i < kg_len(&refs); i++) {
		struct kg_error ignored;
		const char *manifest = kg_string(kg_get(&refs.members[i].value, "manifest"), "");
		keep(kept, manifest);
		add_parts(kept, im, manifest, &ignored);
	}
	return rc;
}

static void unlink_layer(struct kg_images *im, const char *hex)
{
	for (int n = 10; n <= 64; n += 6) { /* as they were made */
		char have[100], want[100];
		KG_AUTOFREE char *path = kg_asprintf("%s/l/%.*s", im->dir, n, hex);
		ssize_t len = readlink(path, have, sizeof(have) - 1);
		have[len > 0 ? len : 0] = '\0';
		snprintf(want, sizeof(want), "../layers/%s", hex);
		if (!strcmp(have, want) && unlink(path) < 0)
			kg_warn("remove %s: %s", path, strerror(errno));
	}
}

/* A layer has its name only while it is whole. */
static int remove_part(struct kg_images *im, const char *hex, struct kg_error *err)
{
	KG_AUTOFREE char *blob = kg_asprintf("%s/blobs/sha256/%s", im->dir, hex);
	KG_AUTOFREE char *layer = kg_asprintf("%s/layers/%s", im->dir, hex);
	KG_AUTOFREE char *going = kg_asprintf("%s.tmp-%d-gc", layer, (int)getpid());

	if (unlink(blob) < 0 && errno != ENOENT)
		return kg_fail_errno(err, "remove %s", blob);
	if (rename(layer, going) < 0)
		return errno == ENOENT ? 0 : kg_fail_errno(err, "rename %s", layer);
	unlink_layer(im, hex);
	return kg_remove_tree(going, err);
}

/* The manifest last: it says what the rest is. */
static int remove_manifest(
	struct kg_images *im, const struct kg_map *kept, const char *hex, struct kg_error *err)
{
	KG_AUTOFREE char *digest = kg_asprintf("sha256:%s", hex);
	struct kg_map parts KG_CLEANUP(kg_map_release) = {0};
	struct kg_map_entry *e;
	struct kg_error gone;
	int rc = 0;

	if (kg_map_has(kept, hex) || add_parts(&parts, im, digest, &gone) < 0)
		return 0;
	for (size_t i = 0; rc == 0 && (e = kg_map_next(&parts, &i));)
		if (strcmp(e->key, hex) != 0 && !kg_map_has(kept, e->key))
			rc = remove_part(im, e->key, err);
	return rc < 0 ? rc : remove_part(im, hex, err);
}

static int collect(struct kg_images *im, struct kg_error *err)
{
	struct kg_map kept KG_CLEANUP(kg_map_release) = {0};
	KG_AUTOFREE char *dir = kg_asprintf("%s/trash", im->dir);
	KG_AUTOCLOSE int lock = take(im, F_WRLCK, err);
	int rc = lock < 0 ? lock : kept_parts(&kept, im, err);
	DIR *d = rc == 0 ? opendir(dir) : NULL;

	for (struct dirent *e; d && rc == 0 && (e = readdir(d));) {
		KG_AUTOFREE char *note = trash(im, e->d_name);
		if (e->d_name[0] == '.')
			continue;
		rc = remove_manifest(im, &kept, e->d_name, err);
		if (rc == 0 && unlink(note) < 0)
			rc = kg_fail_errno(err, "remove %s", note);
	}
	if (d)
		closedir(d);
	return rc < 0 ? kg_wrap(err, "remove unused images") : 0;
}

struct collecting {
	struct kg_images *images;
	void (*done)(void *ctx, const struct kg_error *err);
	void *ctx;
	int rc;
	struct kg_error err;
};

static void collected(void *msg)
{
	struct collecting *c = msg;

	c->done(c->ctx, c->rc < 0 ? &c->err : NULL);
	free(c);
}

static void run(void *msg)
{
	struct collecting *c = msg;

	c->rc = collect(c->images, &c->err);
	kg_mailbox_post(c->images->mailbox, collected, free, c);
}

void kg_images_collect(
	struct kg_images *im, void (*done)(void *ctx, const struct kg_error *err), void *ctx)
{
	struct collecting *c = kg_alloc(sizeof(*c));

	*c = (struct collecting){.images = im, .done = done, .ctx = ctx};
	kg_work_submit(im->work, run, free, c);
}
