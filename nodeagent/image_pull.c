/*
 * Bringing images in: skopeo copies into an OCI layout in DIR/images/tmp whose blobs lie in the
 * store (so that layers which are there are not fetched again), then layers are unpacked and the
 * reference recorded. A pull that was killed leaves a directory in tmp, swept by the next agent.
 */
#include "base/hash.h"
#include "nodeagent/image_remove.h"
#include "nodeagent/image_store.h"
#include "nodeagent/mailbox.h"
#include "sys/file.h"
#include "sys/spawn.h"
#include "value/json.h"

#include <dirent.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define INSPECT_MS   (60 * 1000)
#define COPY_MS      (30 * 60 * 1000)
#define MAX_MANIFEST (4 << 20)
#define MAX_ARGS     24

/* A file in memory alone. */
static int auth_file(const char *auth, struct kg_error *err)
{
	int fd = memfd_create("auth", MFD_CLOEXEC);
	if (fd < 0)
		return kg_fail_errno(err, "a file in memory");
	int rc = kg_write_all(fd, auth, strlen(auth), err);
	if (rc < 0)
		kg_closep(&fd);
	return rc < 0 ? rc : fd;
}

/* What skopeo says of itself is a line of its log, with the time: the words alone are shown. */
static int in_words(int rc, struct kg_error *err)
{
	static const char mark[] = "level=fatal msg=\"";
	const char *from = rc < 0 ? strstr(err->msg, mark) : NULL;
	KG_AUTOBUF struct kg_buf words = KG_BUF_INIT;

	if (!from)
		return rc;
	for (from += sizeof(mark) - 1; *from && *from != '"'; from++) {
		char c = *from;

		if (c == '\\' && from[1]) {
			c = *++from;
			c = c == 'n' || c == 't' ? ' ' : c;
		}
		kg_buf_addc(&words, c);
	}
	return kg_fail(err, (enum kg_code) - rc, "skopeo: %s", kg_buf_str(&words));
}

/* A command; skopeo's with the credentials, where there are some. */
static int run(struct kg_images *im, const char *const *argv, const char *auth,
	struct kg_buf *output, int timeout_ms, struct kg_error *err)
{
	struct kg_run r = {
		.spawn = KG_SPAWN_INIT,
		.output = output,
		.max_output = MAX_MANIFEST,
		.timeout_ms = timeout_ms,
		.cancel = im->cancel,
	};
	const char *more[MAX_ARGS];
	char path[32];
	size_t n = 0;
	KG_AUTOCLOSE int fd = auth ? auth_file(auth, err) : -1;
	int keep[] = {fd, -1};
	r.spawn.argv = argv;
	if (!auth)
		return in_words(kg_run(&r, NULL, err), err);
	if (fd < 0)
		return fd;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	for (; argv[n]; n++)
		more[n] = argv[n];
	more[n++] = "--authfile";
	more[n++] = path;
	more[n] = NULL;
	r.spawn.argv = more;
	r.spawn.keep = keep;
	return in_words(kg_run(&r, NULL, err), err);
}

static int copy(struct kg_images *im, const char *source, const char *layout, bool plain_http,
	const char *auth, struct kg_error *err)
{
	KG_AUTOFREE char *blobs = kg_asprintf("%s/blobs", im->dir);
	KG_AUTOFREE char *dest = kg_asprintf("oci:%s:image", layout);
	const char *argv[] = {"skopeo", "--insecure-policy", "--override-os", "linux", "copy", "-q",
		"--dest-shared-blob-dir", blobs, source, dest,
		plain_http ? "--src-tls-verify=false" : NULL, NULL};
	return run(im, argv, auth, NULL, COPY_MS, err);
}

static int index_entry(
	struct kg_value *out, struct kg_arena *a, const char *layout, struct kg_error *err)
{
	KG_AUTOFREE char *path = kg_asprintf("%s/index.json", layout);
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	struct kg_value index;
	int rc = kg_file_read(&b, path, MAX_MANIFEST, err);
	if (rc == 0)
		rc = kg_json_parse(&index, a, kg_buf_str(&b), b.len, err);
	if (rc < 0)
		return kg_wrap(err, "%s", path);
	*out = *kg_at(&index, "manifests.0");
	return 0;
}

static int add_from(struct kg_images *im, const char *layout, const char *source, const char *ref,
	const char *digest, bool plain_http, const char *auth, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value entry;
	KG_AUTOCLOSE int held = kg_images_hold(im, err);
	int rc = held < 0 ? held : copy(im, source, layout, plain_http, auth, err);
	if (rc == 0)
		rc = index_entry(&entry, &a, layout, err);
	if (rc < 0)
		return rc;
	const char *manifest = kg_string(kg_get(&entry, "digest"), "");
	rc = kg_images_unpack(im, manifest, err);
	if (rc < 0)
		return rc;
	return kg_images_record(im, ref, digest ? digest : manifest, manifest, err);
}

static int add(struct kg_images *im, const char *source, const char *ref, const char *digest,
	bool plain_http, const char *auth, struct kg_error *err)
{
	static atomic_uint serial;
	KG_AUTOFREE char *layout = kg_asprintf("%s/tmp/%d-%u", im->dir, (int)getpid(), serial++);
	int rc = add_from(im, layout, source, ref, digest, plain_http, auth, err);
	struct kg_error ignored;
	kg_remove_tree(layout, &ignored); /* swept later where it cannot be */
	return rc;
}

/* What the registry has by that name now: the digest of the manifest or index. */
static int remote_digest(char out[80], struct kg_images *im, const char *ref, bool plain_http,
	const char *auth, struct kg_error *err)
{
	KG_AUTOFREE char *source = kg_asprintf("docker://%s", ref);
	const char *argv[] = {"skopeo", "inspect", "--raw", source,
		plain_http ? "--tls-verify=false" : NULL, NULL};
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	int rc = run(im, argv, auth, &b, INSPECT_MS, err);
	if (rc < 0)
		return rc;
	unsigned char d[32];
	char hex[65];
	kg_sha256(d, kg_buf_str(&b), b.len);
	kg_hex(hex, d, sizeof(d));
	snprintf(out, 80, "sha256:%s", hex);
	return 0;
}

static int pull_ref(
	struct kg_images *im, const char *ref, bool always, const char *auth, struct kg_error *err)
{
	char have[80], want[80];
	bool plain = kg_image_is_loopback(ref);
	kg_images_digest(im, ref, have);
	if (*have && !always)
		return 0;
	int rc = remote_digest(want, im, ref, plain, auth, err);
	if (rc < 0 || !strcmp(have, want))
		return rc;
	/* By digest, so that what was looked at is what is taken. */
	KG_AUTOFREE char *source = kg_asprintf("docker://%s", ref);
	char *at = strchr(source, '@'), *slash = strrchr(source, '/');
	char *colon = strrchr(slash, ':');
	*(at ? at : colon ? colon : source + strlen(source)) = '\0';
	KG_AUTOFREE char *exact = kg_asprintf("%s@%s", source, want);
	return add(im, exact, ref, want, plain, auth, err);
}

/* ---- many callers, one pull ---- */

struct waiter {
	void (*done)(void *ctx, const char *ref, const struct kg_error *err);
	void *ctx;
};
struct pull {
	struct kg_images *images;
	char *key, *ref; /* key: all that makes it another pull */
	char *auth;      /* or NULL */
	bool always, ok;
	struct kg_error err;
	struct waiter *waiters;
	size_t n, cap;
};

static void free_pull(struct pull *p)
{
	free(p->key);
	free(p->ref);
	free(p->auth);
	free(p->waiters);
	free(p);
}

static void pulled(void *msg)
{
	struct pull *p = msg;
	kg_map_remove(&p->images->pulls, p->key);
	for (size_t i = 0; i < p->n; i++)
		p->waiters[i].done(p->waiters[i].ctx, p->ref, p->ok ? NULL : &p->err);
	free_pull(p);
}

/* The store is being freed. */
static void dropped(void *msg)
{
	struct pull *p = msg;
	p->ok = false;
	kg_fail(&p->err, KG_E_UNAVAILABLE, "the agent ends");
	pulled(p);
}

static void run_pull(void *ctx)
{
	struct pull *p = ctx;
	KG_AUTOFREE char *ref = kg_image_normalize(p->ref, &p->err);
	p->ok = ref && pull_ref(p->images, ref, p->always, p->auth, &p->err) == 0;
	kg_mailbox_post(p->images->mailbox, pulled, dropped, p);
}

void kg_images_pull(struct kg_images *im, const char *ref, bool always, const char *auth,
	void (*done)(void *ctx, const char *ref, const struct kg_error *err), void *ctx)
{
	KG_AUTOFREE char *key = kg_asprintf(
		"%c%s%s%s", always ? '!' : '=', ref, auth ? "\n" : "", auth ? auth : "");
	struct pull *p = kg_map_get(&im->pulls, key);
	bool fresh = !p;
	if (fresh) {
		p = kg_alloc(sizeof(*p));
		*p = (struct pull){.images = im, .ref = kg_strdup(ref), .always = always};
		p->key = kg_steal(&key);
		p->auth = auth ? kg_strdup(auth) : NULL;
		kg_map_put(&im->pulls, p->key, p);
	}
	KG_GROW(p->waiters, p->cap, p->n + 1);
	p->waiters[p->n++] = (struct waiter){done, ctx};
	if (fresh)
		kg_work_submit(im->work, run_pull, dropped, p);
}

/* What killed processes left half done: "PID-N" below tmp, "HEX.tmp-PID-N" below layers. */
static void sweep(const char *dir)
{
	DIR *d = opendir(dir);
	for (struct dirent *e; d && (e = readdir(d));) {
		const char *tag = strstr(e->d_name, ".tmp-");
		const char *num = tag ? tag + 5 : e->d_name;
		int pid = atoi(num);
		if (!strchr(num, '-') || pid <= 0 || (kill(pid, 0) == 0 && pid != getpid()))
			continue;
		KG_AUTOFREE char *path = kg_asprintf("%s/%s", dir, e->d_name);
		struct kg_error ignored;
		kg_remove_tree(path, &ignored);
	}
	if (d)
		closedir(d);
}

int kg_images_new(
	struct kg_images **out, const char *dir, struct kg_loop *loop, struct kg_error *err)
{
	int rc = kg_images_open(out, dir, err);
	if (rc < 0)
		return rc;
	struct kg_images *im = *out;
	im->loop = loop;
	im->cancel = eventfd(0, EFD_CLOEXEC);
	if (im->cancel < 0) {
		rc = kg_fail_errno(err, "eventfd");
		kg_images_free(im);
		return rc;
	}
	im->work = kg_work_new(3, 3);
	im->mailbox = kg_mailbox_new(loop);
	KG_AUTOFREE char *tmp = kg_asprintf("%s/tmp", im->dir);
	KG_AUTOFREE char *layers = kg_asprintf("%s/layers", im->dir);
	sweep(tmp);
	sweep(layers);
	return 0;
}

/* ---- import ---- */

static char *source_of(struct kg_images *im, const char *path, struct kg_error *err)
{
	static const char *const known[] = {"oci:", "oci-archive:", "docker-archive:", "dir:"};
	for (size_t i = 0; i < KG_ARRAY_LEN(known); i++)
		if (!strncmp(path, known[i], strlen(known[i])))
			return kg_strdup(path);
	struct stat st;
	if (stat(path, &st) < 0) {
		kg_fail_errno(err, "%s", path);
		return NULL;
	}
	if (S_ISDIR(st.st_mode))
		return kg_asprintf("oci:%s", path);
	const char *argv[] = {"tar", "-tf", path, NULL};
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	if (run(im, argv, NULL, &b, COPY_MS, err) < 0)
		return NULL;
	bool oci = strstr(kg_buf_str(&b), "oci-layout") != NULL;
	return kg_asprintf("%s:%s", oci ? "oci-archive" : "docker-archive", path);
}

/* A JSON file of an archive. */
static int archived_json(struct kg_value *out, struct kg_arena *a, struct kg_images *im,
	const char *archive, const char *file, struct kg_error *err)
{
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	const char *argv[] = {"tar", "--wildcards", "--no-anchored", "-xOf", archive, file, NULL};
	int rc = run(im, argv, NULL, &b, COPY_MS, err);
	return rc < 0 ? rc : kg_json_parse(out, a, kg_buf_str(&b), b.len, err);
}

/* The name that the layout or archive gives its image. */
static int name_of(char **out, struct kg_images *im, const char *source, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value v = kg_null;
	const char *path = strchr(source, ':') + 1, *name = NULL;
	int rc = 0;
	if (!strncmp(source, "oci:", 4) && kg_path_exists(path))
		rc = index_entry(&v, &a, path, err);
	else if (!strncmp(source, "oci-archive:", 12) && kg_path_exists(path))
		rc = archived_json(&v, &a, im, path, "index.json", err);
	else if (!strncmp(source, "docker-archive:", 15) && kg_path_exists(path))
		rc = archived_json(&v, &a, im, path, "manifest.json", err);
	if (rc < 0)
		return rc;
	if (!kg_is_null(kg_get(&v, "manifests")))
		v = *kg_at(&v, "manifests.0");
	const struct kg_value *notes = kg_get(&v, "annotations");
	name = kg_string(kg_get(notes, "org.opencontainers.image.ref.name"), NULL);
	if (!name && v.type == KG_ARRAY)
		name = kg_string(kg_at(&v, "0.RepoTags.0"), NULL);
	if (!name)
		return kg_fail(err, KG_E_INVALID,
			"%s does not name its image: give the reference to import it as", source);
	*out = kg_strdup(name);
	return 0;
}

static void kg_images_freep(struct kg_images **im)
{
	kg_images_free(*im);
}

int kg_image_import(const char *dir, const char *source, const char *ref, struct kg_error *err)
{
	struct kg_images *im KG_CLEANUP(kg_images_freep) = NULL;
	int rc = kg_images_open(&im, dir, err);
	if (rc < 0)
		return rc;
	KG_AUTOFREE char *from = source_of(im, source, err);
	if (!from)
		return -err->code;
	KG_AUTOFREE char *name = kg_strdup(ref);
	rc = name ? 0 : name_of(&name, im, from, err);
	if (rc < 0)
		return rc;
	KG_AUTOFREE char *normal = kg_image_normalize(name, err);
	if (!normal)
		return -err->code;
	rc = add(im, from, normal, NULL, false, NULL, err);
	return rc < 0 ? kg_wrap(err, "import %s", source) : 0;
}
