#include "kgitd/admit.h"

#include "base/time.h"
#include "common/pushed.h"
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
	const struct kg_pushed *pushed, struct kg_buf *say, struct kg_error *err)
{
	/* What was there before is in no quarantine. */
	struct kg_pushed stored = *pushed;
	struct kg_pushed_tree before KG_CLEANUP(kg_pushed_tree_release) = {
		.pushed = &stored, .commit = out->old_commit};
	struct kgd_authorize z = {.m = m,
		.user = user,
		.s = s,
		.admission = &out->admission,
		.files = files,
		.nfiles = nfiles,
		.old_commit = out->old_commit,
		.new_commit = out->new_commit,
		.quarantine = pushed->quarantine,
		.read_before = kg_pushed_read,
		.ctx = &before};

	stored.quarantine = NULL;
	return kgd_authorize_main(&z, say, err);
}

static int admit(struct kgd_admitted *out, struct kgd_master *m, const struct kg_user *user,
	const struct kg_snapshot *s, const char *quarantine, const struct kgd_push_options *opts,
	struct kg_buf *say, struct kg_error *err)
{
	struct kg_arena *a = &out->arena;
	struct kg_pushed pushed = {.store = m->store,
		.old_commit = out->old_commit,
		.new_commit = out->new_commit,
		.quarantine = quarantine,
		.max_files = m->limits.push_files,
		.max_file = m->limits.file_bytes,
		.max_text = m->limits.text_bytes};
	struct kg_admission_file *files = NULL;
	struct kg_settings settings;
	struct kg_fault_list faults;
	size_t nfiles = 0;
	bool all = false;
	int rc = check_move(m, s, out->old_commit, out->new_commit, quarantine, opts, err);

	if (rc == 0)
		rc = kgd_check_signed(m, out->old_commit, out->new_commit, quarantine, say, err);
	if (rc < 0)
		return rc;
	rc = kg_pushed_files(&files, &nfiles, &all, &pushed, a, err);
	if (rc < 0)
		return rc;
	struct kg_pushed_tree other KG_CLEANUP(kg_pushed_tree_release) = {
		.pushed = &pushed, .commit = out->new_commit};
	kg_faults_init(&faults, a);
	rc = kgd_check_settings(&settings, &faults, m->store, out->new_commit, quarantine, err);
	if (rc < 0) {
		kg_faults_release(&faults);
		return rc;
	}
	struct kg_admission_options how = {.read_other = kg_pushed_read,
		.ctx = &other,
		.cluster = &m->reconcile,
		.ignored_kinds = settings.ignored_kinds};
	kg_admit(&out->admission, s, files, nfiles, all, &how, a, &faults);
	say_faults(say, &faults);
	size_t errors = kg_faults_errors(&faults);
	kg_faults_release(&faults);
	if (errors)
		return kg_fail(err, KG_E_INVALID, "push refused: %zu fault%s in its manifests",
			errors, errors == 1 ? "" : "s");
	rc = authorize(out, m, user, s, files, nfiles, &pushed, say, err);
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
