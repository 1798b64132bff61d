#include "kgitd/admit.h"

#include "base/map.h"
#include "base/time.h"
#include "kgitd/authorize.h"
#include "kgitd/compact.h"
#include "kgitd/signed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#define MAX_FAULT_LINES 200
#define WAIT_DEFAULT_MS (5 * 60 * 1000)
#define WAIT_MAX_MS     (60 * 60 * 1000)

void kgd_admitted_free(struct kgd_admitted *a)
{
	if (!a)
		return;
	kg_arena_release(&a->arena);
	free(a);
}

int kgd_push_option(struct kgd_push_options *out, const char *text, struct kg_error *err)
{
	char *end;

	if (strcmp(text, "force") == 0) {
		out->force = true;
	} else if (strcmp(text, "dry-run") == 0) {
		out->dry_run = true;
	} else if (strncmp(text, "allow-delete=", 13) == 0) {
		out->allow_delete = strtol(text + 13, &end, 10);
		if (end == text + 13 || *end || out->allow_delete < 0)
			return kg_fail(err, KG_E_BAD_REQUEST,
				"push option \"%s\": expected a count of objects, as in "
				"allow-delete=3",
				text);
	} else if (strcmp(text, "wait") == 0) {
		out->wait_ms = WAIT_DEFAULT_MS;
	} else if (strncmp(text, "wait=", 5) == 0) {
		if (kg_duration_parse(&out->wait_ms, text + 5) < 0 || out->wait_ms <= 0 ||
			out->wait_ms > WAIT_MAX_MS)
			return kg_fail(err, KG_E_BAD_REQUEST,
				"push option \"%s\": expected a time up to 1h, as in wait=90s",
				text);
	} else if (strncmp(text, "plan=", 5) == 0) {
		if (!kg_plan_id_ok(text + 5))
			return kg_fail(err, KG_E_BAD_REQUEST,
				"push option \"%s\": expected the %d hex digits that kgit diff "
				"prints",
				text, KG_PLAN_ID_LEN);
		memcpy(out->plan, text + 5, sizeof(out->plan));
	} else {
		return kg_fail(err, KG_E_BAD_REQUEST,
			"unknown push option \"%s\"; known are force, allow-delete=N, dry-run, "
			"plan=ID, wait[=TIME]",
			text);
	}
	return 0;
}

/* What reading unchanged files needs: they are few, and looked for only where a fault names two
 * positions, so their list is made when the first is asked for. */
struct other {
	struct kgd_master *m;
	const char *commit, *quarantine;
	struct kg_arena arena;
	struct kg_map blobs; /* path -> hex id */
	bool listed;
};

static void other_release(struct other *o)
{
	kg_map_release(&o->blobs);
	kg_arena_release(&o->arena);
}

static int list_others(struct other *o, struct kg_error *err)
{
	struct kg_tree_delta d;
	int rc = kg_store_tree_delta(&d, o->m->store, &o->arena, "", o->commit, o->quarantine,
		o->m->limits.push_files, err);

	for (size_t i = 0; rc == 0 && i < d.nwritten; i++)
		kg_map_put(&o->blobs, d.written[i].path, d.written[i].blob);
	o->listed = rc == 0;
	return rc;
}

static int read_other(void *ctx, const char *path, struct kg_buf *out)
{
	struct other *o = ctx;
	struct kg_error err;
	int rc = o->listed ? 0 : list_others(o, &err);
	const char *blob = rc == 0 ? kg_map_get(&o->blobs, path) : NULL;

	if (rc < 0)
		return rc;
	if (!blob)
		return -KG_E_NOT_FOUND;
	return kg_store_read_blob(
		out, o->m->store, blob, o->quarantine, o->m->limits.file_bytes, &err);
}

/* What a small push takes, with room for the revision that it makes and for nodes' reports. */
#define ROOM_BYTES (2ULL << 20)
#define ROOM_FILES 64

int kgd_has_room(const struct kgd_master *m, struct kg_error *err)
{
	struct statvfs v;

	if (statvfs(m->repo, &v) < 0)
		return 0; /* what is wrong is found by who writes */
	unsigned long long bytes = (unsigned long long)v.f_bavail * v.f_frsize;
	/* Some filesystems do not count files. */
	if (bytes >= ROOM_BYTES && (v.f_files == 0 || v.f_favail >= ROOM_FILES))
		return 0;
	return kg_fail(err, KG_E_NO_SPACE,
		"there is no room for a push: the disk of %s has %llu KiB and %llu files free; "
		"free "
		"some space there and push again (what runs goes on, and is served)",
		m->repo, bytes >> 10, (unsigned long long)v.f_favail);
}

/* Main may lag behind what was admitted while the disk is at fault: then nobody came first. */
static int moved_on(struct kgd_master *m, const struct kg_snapshot *s, const char *old_commit,
	struct kg_error *err)
{
	char now[41], why[256];

	kgd_writer_health(m->writer, why);
	if (*why && kg_store_get_main(m->store, now, NULL) == 0 && strcmp(now, old_commit) == 0)
		return kg_fail(err, KG_E_UNAVAILABLE, "%s; try again later", why);
	return kg_fail(err, KG_E_CONFLICT,
		"another push came first: main is at %.12s by now; git pull, then push again",
		*s->main_commit ? s->main_commit : "nothing");
}

static int check_move(struct kgd_master *m, const struct kg_snapshot *s, const char *old_commit,
	const char *new_commit, const char *quarantine, const struct kgd_push_options *opts,
	struct kg_error *err)
{
	bool forward;

	if (!*new_commit)
		return kg_fail(err, KG_E_INVALID,
			"main cannot be deleted: it is what the cluster runs. To remove objects, "
			"delete "
			"their files");
	if (strcmp(s->main_commit, old_commit) != 0)
		return moved_on(m, s, old_commit, err);
	if (!*old_commit || opts->force)
		return 0;
	int rc = kg_store_is_ancestor(&forward, m->store, old_commit, new_commit, quarantine, err);
	if (rc < 0)
		return rc;
	if (!forward)
		return kg_fail(err, KG_E_INVALID,
			"this would take back commits of main (it is not a fast-forward). git pull "
			"first, or, if that is meant, git push --force -o force");
	return 0;
}

static void blobs_closep(struct kg_blobs **b)
{
	kg_blobs_close(*b);
}

static int read_files(struct kg_admission_file **out, size_t *n, struct kgd_master *m,
	struct kg_arena *a, const struct kg_tree_delta *d, const char *quarantine,
	struct kg_error *err)
{
	struct kg_blobs *blobs KG_CLEANUP(blobs_closep) = NULL;
	struct kg_admission_file *files =
		kg_arena_alloc(a, (d->nwritten + d->nremoved + 1) * sizeof(*files));
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	size_t count = 0, total = 0;

	for (size_t i = 0; i < d->nremoved; i++)
		files[count++].path = d->removed[i].path;
	int rc = kg_blobs_open(&blobs, m->store, quarantine, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < d->nwritten; i++) {
		kg_buf_clear(&text);
		rc = kg_blobs_read(&text, blobs, d->written[i].blob, m->limits.file_bytes, err);
		if (rc < 0)
			return kg_wrap(err, "%s", d->written[i].path);
		total += text.len;
		if (total > m->limits.text_bytes)
			return kg_fail(err, KG_E_TOO_LARGE,
				"the changed manifests have more than %zu bytes; push them in "
				"parts",
				m->limits.text_bytes);
		files[count++] = (struct kg_admission_file){
			.path = d->written[i].path,
			.text = kg_arena_strndup(a, kg_buf_str(&text), text.len),
			.len = text.len,
		};
	}
	*out = files;
	*n = count;
	return 0;
}

static void say_faults(struct kg_buf *say, const struct kg_fault_list *faults)
{
	for (size_t i = 0; i < faults->len; i++) {
		if (i == MAX_FAULT_LINES) {
			kg_buf_addf(say, "... and %zu more\n", faults->len - i + faults->dropped);
			break;
		}
		kg_fault_format(say, &faults->items[i]);
		if (say->len && say->data[say->len - 1] != '\n')
			kg_buf_addc(say, '\n');
	}
}

static int check_deletions(
	const struct kg_admission *a, const struct kgd_push_options *opts, struct kg_error *err)
{
	if (opts->allow_delete >= 0 && (size_t)opts->allow_delete != a->deleted)
		return kg_fail(err, KG_E_INVALID,
			"this deletes %zu objects, but allow-delete names %ld", a->deleted,
			opts->allow_delete);
	if (opts->allow_delete < 0 && a->deleted * 2 > a->desired_before)
		return kg_fail(err, KG_E_INVALID,
			"this would delete %zu of %zu objects. If that is meant: git push -o "
			"allow-delete=%zu",
			a->deleted, a->desired_before, a->deleted);
	return 0;
}

/* Every change, by the rules of the snapshot. */
static int authorize(struct kgd_admitted *out, struct kgd_master *m, const struct kg_user *user,
	const struct kg_snapshot *s, const struct kg_admission_file *files, size_t nfiles,
	const char *quarantine, struct kg_buf *say, struct kg_error *err)
{
	struct other before KG_CLEANUP(other_release) = {.m = m, .commit = out->old_commit};
	struct kgd_authorize z = {.m = m,
		.user = user,
		.s = s,
		.admission = &out->admission,
		.files = files,
		.nfiles = nfiles,
		.old_commit = out->old_commit,
		.new_commit = out->new_commit,
		.quarantine = quarantine,
		.read_before = read_other,
		.ctx = &before};

	return kgd_authorize_main(&z, say, err);
}

static int admit(struct kgd_admitted *out, struct kgd_master *m, const struct kg_user *user,
	const struct kg_snapshot *s, const char *quarantine, const struct kgd_push_options *opts,
	struct kg_buf *say, struct kg_error *err)
{
	struct kg_arena *a = &out->arena;
	struct kg_tree_delta delta;
	struct kg_admission_file *files = NULL;
	struct kg_fault_list faults;
	size_t nfiles = 0;
	int rc = check_move(m, s, out->old_commit, out->new_commit, quarantine, opts, err);

	if (rc == 0)
		rc = kgd_check_signed(m, out->old_commit, out->new_commit, quarantine, say, err);
	if (rc < 0)
		return rc;
	rc = kg_store_tree_delta(&delta, m->store, a, out->old_commit, out->new_commit, quarantine,
		m->limits.push_files, err);
	if (rc < 0)
		return rc;
	rc = read_files(&files, &nfiles, m, a, &delta, quarantine, err);
	if (rc < 0)
		return rc;
	struct other other KG_CLEANUP(other_release) = {
		.m = m, .commit = out->new_commit, .quarantine = quarantine};
	kg_faults_init(&faults, a);
	rc = kgd_check_settings(&faults, m->store, out->new_commit, quarantine, err);
	if (rc < 0) {
		kg_faults_release(&faults);
		return rc;
	}
	kg_admit(&out->admission, s, files, nfiles, delta.all, read_other, &other, a, &faults);
	say_faults(say, &faults);
	size_t errors = kg_faults_errors(&faults);
	kg_faults_release(&faults);
	if (errors)
		return kg_fail(err, KG_E_INVALID, "push refused: %zu fault%s in its manifests",
			errors, errors == 1 ? "" : "s");
	rc = authorize(out, m, user, s, files, nfiles, quarantine, say, err);
	return rc < 0 ? rc : check_deletions(&out->admission, opts, err);
}

int kgd_admit(struct kgd_admitted **out, struct kgd_master *m, const struct kg_user *user,
	const char *old_commit, const char *new_commit, const char *quarantine,
	const struct kgd_push_options *opts, struct kg_buf *say, struct kg_error *err)
{
	struct kgd_admitted *a = kg_alloc(sizeof(*a));
	struct kg_snapshot *s = kg_hub_snapshot(m->hub);

	snprintf(a->old_commit, sizeof(a->old_commit), "%s", old_commit);
	snprintf(a->new_commit, sizeof(a->new_commit), "%s", new_commit);
	memcpy(a->user, user->name, sizeof(a->user));
	int rc = admit(a, m, user, s, quarantine, opts, say, err);
	kg_snapshot_unref(s);
	if (rc < 0) {
		kgd_admitted_free(a);
		return rc;
	}
	*out = a;
	return 0;
}
