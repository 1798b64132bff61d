/* A push of a case of `kgit test`: what differs from the one before, as admission is given it. */
#include "kgit/test_play.h"
#include "store/settings.h"
#include "sys/file.h"

#include <stdio.h>
#include <string.h>

#define MAX_FILES 20000
#define MAX_FILE  (4 << 20)

void kgit_play_tree_release(struct kgit_play_tree *t)
{
	for (size_t i = 0; i < t->n; i++) {
		free((void *)t->files[i].path);
		free((void *)t->files[i].text);
	}
	free(t->files);
	kg_arena_release(&t->arena);
	*t = (struct kgit_play_tree){0};
}

/* The files that a push of the directory would take. */
static int tree_read(struct kgit_play_tree *t, const char *dir, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_tree_file *found;
	size_t n;
	int rc = kg_dir_manifests(&found, &n, &a, dir, MAX_FILES, err);
	if (rc < 0)
		return rc;
	t->files = kg_alloc((n + 1) * sizeof(*t->files));
	for (size_t i = 0; rc == 0 && i < n; i++) {
		KG_AUTOFREE char *path = kg_asprintf("%s/%s", dir, found[i].path);
		struct kg_buf text = KG_BUF_INIT;
		rc = kg_file_read(&text, path, MAX_FILE, err);
		size_t len = text.len;
		t->files[t->n++] = (struct kg_admission_file){
			.path = kg_strdup(found[i].path), .len = len, .text = kg_buf_steal(&text)};
	}
	return rc;
}

/* Faults of its settings are added. */
static int tree_settings(struct kgit_play_tree *t, const char *dir, struct kg_fault_list *faults,
	struct kg_error *err)
{
	struct kg_settings s;
	int rc = kg_settings_of_dir(&s, &t->arena, dir, faults, err);
	t->ignored_kinds = s.ignored_kinds;
	return rc;
}

static bool same_kinds(const char *const *a, const char *const *b)
{
	size_t i = 0;
	while (a && b && a[i] && b[i] && strcmp(a[i], b[i]) == 0)
		i++;
	return !(a && a[i]) && !(b && b[i]);
}

static const struct kg_admission_file *tree_file(const struct kgit_play_tree *t, const char *path)
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->files[i].path, path) == 0)
			return &t->files[i];
	return NULL;
}

static int read_other(void *ctx, const char *path, struct kg_buf *out)
{
	const struct kg_admission_file *f = tree_file(ctx, path);
	if (!f)
		return -KG_E_NOT_FOUND;
	kg_buf_add(out, f->text, f->len);
	return 0;
}

/* The difference of two trees as a push gives it to admission: changed and removed files. */
static size_t delta(struct kg_admission_file *out, const struct kgit_play_tree *from,
	const struct kgit_play_tree *to)
{
	size_t n = 0;
	for (size_t i = 0; i < to->n; i++) {
		const struct kg_admission_file *old = tree_file(from, to->files[i].path);
		if (!old || old->len != to->files[i].len ||
			memcmp(old->text, to->files[i].text, old->len) != 0)
			out[n++] = to->files[i];
	}
	for (size_t i = 0; i < from->n; i++)
		if (!tree_file(to, from->files[i].path))
			out[n++] = (struct kg_admission_file){.path = from->files[i].path};
	return n;
}

static void compare_all(struct kgit_play *p, const struct kg_admission *ad,
	struct kgit_play_tree *to, size_t nfaults)
{
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_fault_list faults;
	struct kg_admission all;
	kg_faults_init(&faults, &a);
	struct kg_admission_options how = {.read_other = read_other,
		.ctx = to,
		.cluster = &p->h.opts,
		.ignored_kinds = to->ignored_kinds};
	kg_admit(&all, p->h.s, to->files, to->n, true, &how, &a, &faults);
	/* Where there are faults the two may find them in different files. */
	if (!kg_faults_errors(&faults) != !nfaults ||
		(nfaults == 0 &&
			(all.n != ad->n || all.created != ad->created ||
				all.changed != ad->changed || all.deleted != ad->deleted))) {
		char detail[200];
		snprintf(detail, sizeof(detail), "all: %zu faults, %zu inputs, +%zu ~%zu -%zu",
			kg_faults_errors(&faults), all.n, all.created, all.changed, all.deleted);
		kgit_play_fail(
			p, "the whole tree and the difference are judged differently", detail);
	}
	kg_faults_release(&faults);
	kg_arena_release(&a);
}

void kgit_play_push(struct kgit_play *p, const char *dir)
{
	KG_AUTOFREE char *path = kg_asprintf("%s/%s", p->dir, dir);
	struct kgit_play_tree to = {0};
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_fault_list faults;
	struct kg_admission ad;
	struct kg_error err;
	kg_faults_init(&faults, &a);
	if (tree_read(&to, path, &err) < 0 || tree_settings(&to, path, &faults, &err) < 0) {
		kgit_play_fail(p, path, err.msg);
		kgit_play_tree_release(&to);
		kg_faults_release(&faults);
		kg_arena_release(&a);
		return;
	}
	struct kg_admission_file *files = kg_alloc((p->main.n + to.n + 1) * sizeof(*files));
	/* With other settings every file is judged anew. */
	bool whole = !same_kinds(p->main.ignored_kinds, to.ignored_kinds);
	size_t n = whole ? to.n : delta(files, &p->main, &to);
	struct kg_admission_options how = {.read_other = read_other,
		.ctx = &to,
		.cluster = &p->h.opts,
		.ignored_kinds = to.ignored_kinds};
	kg_admit(&ad, p->h.s, whole ? to.files : files, n, whole, &how, &a, &faults);
	compare_all(p, &ad, &to, kg_faults_errors(&faults));
	for (size_t i = 0; i < faults.len; i++) {
		kg_fault_format(&p->faults, &faults.items[i]);
		kg_buf_adds(&p->faults, "\n");
	}
	bool refused = kg_faults_errors(&faults) > 0;
	if (!refused) {
		struct kg_inputs in = {.desired = ad.desired, .ndesired = ad.n};
		if (kg_harness_run(&p->h, &in, &err) < 0) {
			kg_buf_addf(&p->faults, "%s: %s\n", kg_code_name(err.code), err.msg);
			refused = true;
		}
	}
	if (!refused) {
		struct kgit_play_tree old = p->main;
		p->main = to;
		to = old;
	}
	kgit_play_tree_release(&to);
	free(files);
	kg_faults_release(&faults);
	kg_arena_release(&a);
}
