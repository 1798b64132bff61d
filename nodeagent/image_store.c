/*
 * refs.json and what it names. Writers (this process or `kgit-node image import`) hold
 * DIR/images/lock; readers look at refs.json's inode, since it is replaced whole.
 */
#include "nodeagent/image_store.h"

#include "base/hash.h"
#include "nodeagent/layer.h"
#include "nodeagent/mailbox.h"
#include "sys/file.h"
#include "value/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAX_JSON   (4 << 20)
#define MAX_LAYERS 256

struct kg_image *kg_image_ref(struct kg_image *image)
{
	image->refs++;
	return image;
}

void kg_image_unref(struct kg_image *image)
{
	if (!image || --image->refs > 0)
		return;
	kg_arena_release(&image->arena);
	free(image);
}

/* Were these missing, the runtime would make them in each container's own layer. */
static int make_base(const char *images, struct kg_error *err)
{
	static const char *const dirs[] = {"dev", "etc", "proc", "sys"};
	static const char *const files[] = {"etc/hostname", "etc/hosts", "etc/resolv.conf"};
	KG_AUTOFREE char *link = kg_asprintf("%s/l/" KG_IMAGE_BASE, images);
	for (size_t i = 0; i < KG_ARRAY_LEN(dirs); i++) {
		KG_AUTOFREE char *p = kg_asprintf("%s/" KG_IMAGE_BASE "/%s", images, dirs[i]);
		int rc = kg_mkdir_p(p, 0755, err);
		if (rc < 0)
			return rc;
	}
	for (size_t i = 0; i < KG_ARRAY_LEN(files); i++) {
		KG_AUTOFREE char *p = kg_asprintf("%s/" KG_IMAGE_BASE "/%s", images, files[i]);
		KG_AUTOCLOSE int fd = open(p, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		if (fd < 0 || fchmod(fd, 0644) < 0)
			return kg_fail_errno(err, "%s", p);
	}
	if (symlink("../" KG_IMAGE_BASE, link) < 0 && errno != EEXIST)
		return kg_fail_errno(err, "link %s", link);
	return 0;
}

int kg_images_open(struct kg_images **out, const char *dir, struct kg_error *err)
{
	static const char *const sub[] = {"blobs", "layers", "l", "tmp"};
	KG_AUTOFREE char *base = kg_asprintf("%s/images", dir);
	int rc = kg_mkdir_p(base, 0700, err);
	for (size_t i = 0; rc == 0 && i < KG_ARRAY_LEN(sub); i++) {
		KG_AUTOFREE char *p = kg_asprintf("%s/%s", base, sub[i]);
		rc = kg_mkdir_p(p, 0755, err);
	}
	if (rc == 0)
		rc = make_base(base, err);
	if (rc < 0)
		return rc;
	struct kg_images *im = kg_alloc(sizeof(*im));
	im->dir = kg_steal(&base);
	pthread_mutex_init(&im->lock, NULL);
	*out = im;
	return 0;
}

static void forget_present(struct kg_images *im)
{
	struct kg_map_entry *e;
	for (size_t i = 0; (e = kg_map_next(&im->present, &i));)
		kg_image_unref(e->value);
	kg_map_clear(&im->present);
}

void kg_images_free(struct kg_images *im)
{
	if (!im)
		return;
	uint64_t one = 1;
	/* Cannot fail: nobody else adds to it. */
	if (im->cancel > 0 && write(im->cancel, &one, sizeof(one)) < 0)
		abort();
	kg_work_free(im->work);
	kg_mailbox_close(im->mailbox);
	if (im->cancel > 0)
		close(im->cancel);
	forget_present(im);
	kg_map_release(&im->present);
	kg_map_release(&im->pulls);
	pthread_mutex_destroy(&im->lock);
	free(im->dir);
	free(im);
}

static int load_json(
	struct kg_value *out, struct kg_arena *a, const char *path, struct kg_error *err)
{
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	int rc = kg_file_read(&b, path, MAX_JSON, err);
	if (rc == 0)
		rc = kg_json_parse(out, a, kg_buf_str(&b), b.len, err);
	return rc < 0 ? kg_wrap(err, "%s", path) : 0;
}

bool kg_digest_hex(const char *digest, const char **hex)
{
	unsigned char raw[32];
	if (strncmp(digest, "sha256:", 7) || kg_unhex(raw, 32, digest + 7) < 0)
		return false;
	*hex = digest + 7;
	return true;
}

int kg_images_blob(struct kg_value *out, struct kg_arena *a, struct kg_images *im,
	const char *digest, struct kg_error *err)
{
	const char *hex;
	if (!kg_digest_hex(digest, &hex))
		return kg_fail(err, KG_E_INVALID, "\"%.80s\" is not a sha256 digest", digest);
	KG_AUTOFREE char *path = kg_asprintf("%s/blobs/sha256/%s", im->dir, hex);
	return load_json(out, a, path, err);
}

static int load_refs(struct kg_value *out, struct kg_arena *a, struct kg_images *im,
	struct stat *st, struct kg_error *err)
{
	KG_AUTOFREE char *path = kg_asprintf("%s/refs.json", im->dir);
	KG_AUTOCLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		*out = kg_v_object(a, NULL, 0);
		return 0;
	}
	if (fd < 0 || fstat(fd, st) < 0)
		return kg_fail_errno(err, "%s", path);
	KG_AUTOFREE char *self = kg_asprintf("/proc/self/fd/%d", fd);
	return load_json(out, a, self, err);
}

/*
 * runc mounts on /dev, /proc and /sys; where one of them is a link (CVE-2025-31133 and its kin)
 * or a file the image is not run.
 */
static int check_mountpoints(const struct kg_image *image, struct kg_error *err)
{
	static const char *const names[] = {"dev", "proc", "sys"};
	for (size_t n = 0; n < KG_ARRAY_LEN(names); n++) {
		for (size_t i = 0; i < image->nlayers; i++) {
			char path[4200];
			struct stat st;
			snprintf(path, sizeof(path), "%s/%s", image->dirs[i], names[n]);
			if (lstat(path, &st) < 0)
				continue;
			if (S_ISCHR(st.st_mode) && st.st_rdev == 0)
				break;
			if (!S_ISDIR(st.st_mode))
				return kg_fail(err, KG_E_FORBIDDEN,
					"the image's /%s is not a directory", names[n]);
			break;
		}
	}
	return 0;
}

/* A short link to a layer; longer where another layer has that one. */
static int link_layer(struct kg_images *im, const char *hex, char *name, struct kg_error *err)
{
	char target[100], path[4200], have[100];
	snprintf(target, sizeof(target), "../layers/%s", hex);
	for (int n = 10; n <= 64; n += 6) {
		snprintf(name, 65, "%.*s", n, hex);
		snprintf(path, sizeof(path), "%s/l/%s", im->dir, name);
		ssize_t len = readlink(path, have, sizeof(have) - 1);
		if (len < 0 && symlink(target, path) == 0)
			return 0;
		if (len < 0)
			len = readlink(path, have, sizeof(have) - 1);
		if (len < 0)
			return kg_fail_errno(err, "link %s", path);
		have[len] = '\0';
		if (!strcmp(have, target))
			return 0;
	}
	return kg_fail(err, KG_E_EXISTS, "no short name for layer %s", hex);
}

static int load_layers(struct kg_image *image, struct kg_images *im, const struct kg_value *diffs,
	struct kg_error *err)
{
	uint32_t n = kg_len(diffs);
	if (n == 0 || n > MAX_LAYERS)
		return kg_fail(err, KG_E_INVALID, "the image has %u layers: 1 to %d can be used", n,
			MAX_LAYERS);
	const char **layers = kg_arena_alloc(&image->arena, n * sizeof(*layers));
	const char **dirs = kg_arena_alloc(&image->arena, n * sizeof(*dirs));
	image->native = true;
	for (uint32_t i = n; i-- > 0;) {
		const char *hex;
		char name[65];
		const char *diff = kg_string(&diffs->items[i], "");
		if (!kg_digest_hex(diff, &hex))
			return kg_fail(err, KG_E_INVALID,
				"the image's configuration: \"%.80s\" is no digest of a layer",
				diff);
		char *dir = kg_arena_printf(&image->arena, "%s/layers/%s", im->dir, hex);
		if (!kg_path_exists(dir))
			return kg_fail(err, KG_E_NOT_FOUND, "layer %s is not there", hex);
		int rc = link_layer(im, hex, name, err);
		if (rc < 0)
			return rc;
		layers[image->nlayers] = kg_arena_strdup(&image->arena, name);
		dirs[image->nlayers++] = dir;
		image->native = image->native && kg_layer_is_native(dir);
		if (kg_layer_is_opaque(dir))
			break;
	}
	image->layers = layers;
	image->dirs = dirs;
	return check_mountpoints(image, err);
}

/* "localhost:5000/a/b:1" -> "localhost:5000/a/b" */
static char *repository(struct kg_arena *a, const char *ref)
{
	char *s = kg_arena_strdup(a, ref);
	char *at = strchr(s, '@');
	if (at)
		*at = '\0';
	char *slash = strrchr(s, '/');
	char *colon = strrchr(slash ? slash : s, ':');
	if (colon)
		*colon = '\0';
	return s;
}

static int load_image(struct kg_image **out, struct kg_images *im, const char *ref,
	const struct kg_value *entry, struct kg_error *err)
{
	struct kg_image *image = kg_alloc(sizeof(*image));
	image->refs = 1;
	struct kg_arena *a = &image->arena;
	image->ref = kg_arena_strdup(a, ref);
	const char *digest = kg_string(kg_get(entry, "digest"), "");
	image->id = kg_arena_printf(a, "%s@%s", repository(a, ref), digest);
	struct kg_value manifest, config;
	int rc = kg_images_blob(&manifest, a, im, kg_string(kg_get(entry, "manifest"), ""), err);
	if (rc == 0)
		rc = kg_images_blob(
			&config, a, im, kg_string(kg_at(&manifest, "config.digest"), ""), err);
	if (rc == 0) {
		image->config = *kg_get(&config, "config");
		rc = load_layers(image, im, kg_at(&config, "rootfs.diff_ids"), err);
	}
	if (rc < 0) {
		kg_image_unref(image);
		return kg_wrap(err, "image %s", ref);
	}
	*out = image;
	return 0;
}

static struct kg_image *get_locked(struct kg_images *im, const char *ref)
{
	struct stat st = {0};
	KG_AUTOFREE char *path = kg_asprintf("%s/refs.json", im->dir);
	if (stat(path, &st) < 0)
		return NULL;
	if (st.st_ino != im->seen.st_ino || st.st_mtim.tv_sec != im->seen.st_mtim.tv_sec ||
		st.st_mtim.tv_nsec != im->seen.st_mtim.tv_nsec)
		forget_present(im);
	struct kg_image *image = kg_map_get(&im->present, ref);
	if (image)
		return kg_image_ref(image);
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value refs;
	struct kg_error err;
	if (load_refs(&refs, &a, im, &st, &err) < 0 || kg_is_null(kg_get(&refs, ref)))
		return NULL;
	im->seen = st;
	/* One that cannot be loaded is one that is not there: it is pulled again. */
	if (load_image(&image, im, ref, kg_get(&refs, ref), &err) < 0)
		return NULL;
	kg_map_put(&im->present, ref, image);
	return kg_image_ref(image);
}

struct kg_image *kg_images_get(struct kg_images *im, const char *ref)
{
	KG_AUTOFREE char *name = kg_image_normalize(ref, NULL);
	if (!name)
		return NULL;
	pthread_mutex_lock(&im->lock);
	struct kg_image *image = get_locked(im, name);
	pthread_mutex_unlock(&im->lock);
	return image;
}

void kg_images_digest(struct kg_images *im, const char *ref, char *out)
{
	struct kg_image *image = kg_images_get(im, ref);
	const char *at = image ? strchr(image->id, '@') : NULL;
	snprintf(out, 80, "%s", at ? at + 1 : "");
	kg_image_unref(image);
}

int kg_images_refs(
	struct kg_value *out, struct kg_arena *a, struct kg_images *im, struct kg_error *err)
{
	struct stat st;
	return load_refs(out, a, im, &st, err);
}

char *kg_image_id(const char *ref, const char *digest)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	return kg_asprintf("%s@%s", repository(&a, ref), digest);
}

/* While it is open nobody else writes refs.json. */
static int lock_refs(struct kg_images *im, struct kg_error *err)
{
	KG_AUTOFREE char *lock = kg_asprintf("%s/lock", im->dir);
	int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	if (fd >= 0 && fcntl(fd, F_OFD_SETLKW, &whole) == 0)
		return fd;
	int rc = kg_fail_errno(err, "%s", lock);
	kg_closep(&fd);
	return rc;
}

static int write_refs(struct kg_images *im, const struct kg_value *refs, struct kg_error *err)
{
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	KG_AUTOFREE char *path = kg_asprintf("%s/refs.json", im->dir);
	kg_json_write_pretty(&b, refs);
	return kg_file_write(path, b.data, b.len, 0600, err);
}

int kg_images_drop(struct kg_images *im, const char *ref, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	KG_AUTOCLOSE int fd = lock_refs(im, err);
	struct kg_value refs;
	int rc = fd < 0 ? fd : kg_images_refs(&refs, &a, im, err);
	if (rc < 0 || kg_is_null(kg_get(&refs, ref)))
		return rc;
	refs = kg_with_key(&a, &refs, ref, kg_v_null());
	return write_refs(im, &refs, err);
}

int kg_images_record(struct kg_images *im, const char *ref, const char *digest,
	const char *manifest, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	KG_AUTOCLOSE int fd = lock_refs(im, err);
	struct kg_value refs;
	struct kg_value entry = kg_v_obj(
		&a, "digest", kg_v_lit(digest), "manifest", kg_v_lit(manifest), (char *)NULL);
	/* The image must be whole before it is named. */
	struct kg_image *image;
	int rc = fd < 0 ? fd : load_image(&image, im, ref, &entry, err);
	if (rc < 0)
		return rc;
	kg_image_unref(image);
	rc = kg_images_refs(&refs, &a, im, err);
	if (rc < 0)
		return rc;
	const struct kg_value *old = kg_get(&refs, ref);
	const char *was = kg_string(kg_get(old, "digest"), digest);
	if (strcmp(was, digest) != 0) {
		KG_AUTOFREE char *id = kg_image_id(ref, was);
		refs = kg_with_key(&a, &refs, kg_arena_strdup(&a, id), *old);
	}
	refs = kg_with_key(&a, &refs, ref, entry);
	return write_refs(im, &refs, err);
}

static int unpack_layers(struct kg_images *im, const struct kg_value *manifest,
	const struct kg_value *config, struct kg_error *err)
{
	const struct kg_value *layers = kg_array(kg_get(manifest, "layers"));
	const struct kg_value *diffs = kg_array(kg_at(config, "rootfs.diff_ids"));
	if (kg_len(layers) != kg_len(diffs) || kg_len(layers) == 0 || kg_len(layers) > MAX_LAYERS)
		return kg_fail(err, KG_E_INVALID, "%u layers but %u diffIDs", kg_len(layers),
			kg_len(diffs));
	for (uint32_t i = 0; i < kg_len(layers); i++) {
		const char *blob, *hex, *diff = kg_string(&diffs->items[i], "");
		if (!kg_digest_hex(diff, &hex) ||
			!kg_digest_hex(kg_string(kg_get(&layers->items[i], "digest"), ""), &blob))
			return kg_fail(err, KG_E_INVALID, "a layer's digest is malformed");
		KG_AUTOFREE char *from = kg_asprintf("%s/blobs/sha256/%s", im->dir, blob);
		KG_AUTOFREE char *to = kg_asprintf("%s/layers/%s", im->dir, hex);
		int rc = kg_layer_unpack(from, to, diff, NULL, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int kg_images_unpack(struct kg_images *im, const char *manifest_digest, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value manifest, config;
	int rc = kg_images_blob(&manifest, &a, im, manifest_digest, err);
	if (rc == 0)
		rc = kg_images_blob(
			&config, &a, im, kg_string(kg_at(&manifest, "config.digest"), ""), err);
	return rc < 0 ? rc : unpack_layers(im, &manifest, &config, err);
}
