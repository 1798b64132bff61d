/*
 * A state commit as a snapshot. The trees are read first, into a mirror (which the writer then
 * keeps, where it has none yet); then the records are read, parsed and joined by as many threads
 * as there are processors, each with an object database of its own.
 */
#include "store/packset.h"
#include "store/private.h"
#include "store/resolve.h"

#include "base/hash.h"
#include "base/mem.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define MAX_THREADS 8
#define MIN_JOBS    512 /* a thread is worth its start from so many on */
#define BATCH       256

struct job {
	const struct kg_kind *kind;
	const char *ns, *file; /* the mirror's */
	const unsigned char *id;
	struct kg_object *obj;
};

struct load {
	struct kg_store *s;
	const struct kg_view *view;
	struct kg_mirror mirror;
	struct kg_bases *bases;
	struct job *jobs;
	size_t len, cap;
	atomic_size_t next; /* the first job that nobody has taken */
	atomic_bool failed;
	/* While the jobs are collected. */
	const struct kg_kind *kind;
	const char *ns;
	struct kg_error *err;
};

/* ---- what there is to load ---- */

static int collect_file(
	void *ctx, const char *name, const unsigned char *id, const struct kg_fan *dir)
{
	struct load *l = ctx;
	size_t n = strlen(name);

	if (dir || n <= 5 || n >= KG_RECORD_NAME_MAX || strcmp(name + n - 5, ".yaml") != 0)
		return kg_fail(l->err, KG_E_CORRUPT, "decided/%s/%s%s%s is not a record's place",
			kg_kind_resource(l->kind), l->ns, *l->ns ? "/" : "", name);
	KG_GROW(l->jobs, l->cap, l->len + 1);
	l->jobs[l->len++] = (struct job){.kind = l->kind, .ns = l->ns, .file = name, .id = id};
	return 0;
}

static int collect_ns(
	void *ctx, const char *name, const unsigned char *id, const struct kg_fan *dir)
{
	struct load *l = ctx;

	(void)id;
	if (!dir)
		return kg_fail(l->err, KG_E_CORRUPT, "decided/%s/%s is not a namespace",
			kg_kind_resource(l->kind), name);
	l->ns = name;
	return kg_fan_each(dir, collect_file, l);
}

static int collect_kind(
	void *ctx, const char *name, const unsigned char *id, const struct kg_fan *dir)
{
	struct load *l = ctx;

	(void)id;
	l->kind = kg_kind_of_resource(name);
	if (!l->kind || !dir)
		return kg_fail(
			l->err, KG_E_CORRUPT, "decided/%s is not a kind that is stored", name);
	l->ns = "";
	return kg_fan_each(dir, l->kind->flags & KG_KF_NAMESPACED ? collect_ns : collect_file, l);
}

/* ---- the threads ---- */

struct worker {
	struct load *l;
	struct kg_reader reader;
	struct kg_error err;
	pthread_t thread;
	int rc;
};

static int join(struct worker *w, const struct kg_resolve *r, struct job *job)
{
	char name[KG_RECORD_NAME_MAX];
	size_t n = strlen(job->file) - 5;

	memcpy(name, job->file, n);
	name[n] = '\0';
	return kg_resolve_object(&job->obj, r, job->kind, job->ns, name, job->id, &w->err);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct load *l = w->l;
	struct kg_resolve r = {.view = l->view,
		.reader = &w->reader,
		.bases = l->bases,
		.observed = l->mirror.observed};

	while (!atomic_load(&l->failed)) {
		size_t from = atomic_fetch_add(&l->next, BATCH);
		size_t to = from + BATCH < l->len ? from + BATCH : l->len;

		if (from >= l->len)
			break;
		for (size_t i = from; i < to && w->rc == 0; i++)
			w->rc = join(w, &r, &l->jobs[i]);
		if (w->rc < 0)
			atomic_store(&l->failed, true);
	}
	return NULL;
}

static size_t how_many(const struct load *l)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	size_t n = l->len / MIN_JOBS;

	if (n > MAX_THREADS)
		n = MAX_THREADS;
	if (cpus > 0 && n > (size_t)cpus)
		n = (size_t)cpus;
	return n ? n : 1;
}

static int run_workers(struct load *l, const struct kg_reader *r, struct kg_error *err)
{
	struct worker workers[MAX_THREADS] = {0};
	git_odb *own[MAX_THREADS] = {0};
	size_t n = how_many(l), started = 1;
	int rc = 0;

	for (size_t i = 0; i < n; i++) {
		workers[i].l = l;
		workers[i].reader = *r;
	}
	for (; started < n; started++) {
		/* libgit2 locks a database around each read, so each thread but the first gets its
		 * own. Fewer threads do as well. */
		if (kg_store_open_odb(&own[started], l->s, NULL) < 0)
			break;
		workers[started].reader.odb = own[started];
		if (pthread_create(&workers[started].thread, NULL, work, &workers[started]) != 0)
			break;
	}
	work(&workers[0]);
	for (size_t i = 1; i < started; i++)
		pthread_join(workers[i].thread, NULL);
	for (size_t i = 0; i < n; i++) {
		git_odb_free(own[i]);
		if (workers[i].rc < 0 && rc == 0)
			rc = kg_fail(err, workers[i].err.code, "%s", workers[i].err.msg);
	}
	return rc;
}

/* ---- the snapshot ---- */

static struct kg_snapshot *make_snapshot(struct load *l)
{
	struct kg_snapshot *s = kg_snapshot_new(l->view->cluster_id);

	s->revision = l->view->revision;
	s->time = l->view->time;
	memcpy(s->main_commit, l->view->main_commit, sizeof(s->main_commit));
	kg_hex(s->commit, l->view->commit, 20);
	struct kg_object **objects KG_AUTOFREE =
		kg_alloc((l->len ? l->len : 1) * sizeof(struct kg_object *));
	for (size_t i = 0; i < l->len; i++)
		objects[i] = l->jobs[i].obj;
	kg_snapshot_fill(s, objects, l->len);
	return s;
}

/* The writer, about to need a mirror of its head, may as well have this one. */
static void give_mirror(struct load *l)
{
	struct kg_store *s = l->s;

	pthread_mutex_lock(&s->lock);
	if (!s->read_only && !s->mirror_taken && !s->mirror.decided &&
		memcmp(s->head.commit, l->view->commit, 20) == 0) {
		s->mirror = l->mirror;
		l->mirror = (struct kg_mirror){0};
	}
	pthread_mutex_unlock(&s->lock);
}

static void load_release(struct load *l)
{
	for (size_t i = 0; i < l->len; i++)
		kg_object_unref(l->jobs[i].obj);
	free(l->jobs);
	kg_bases_free(l->bases);
	kg_mirror_release(&l->mirror);
}

static void packset_freep(struct kg_packset **packs)
{
	kg_packset_free(*packs);
}

static int load(struct kg_snapshot **out, struct kg_store *s, const struct kg_view *view,
	struct kg_error *err)
{
	struct load l KG_CLEANUP(load_release) = {.s = s, .view = view, .err = err};
	char *dir KG_AUTOFREE = kg_asprintf("%s/objects/pack", s->dir);
	struct kg_packset *packs KG_CLEANUP(packset_freep) = kg_packset_new(dir);
	struct kg_reader r KG_CLEANUP(kg_reader_release) = kg_store_reader(s);

	r.packs = packs;
	l.bases = kg_bases_new();
	int rc = kg_mirror_load(&l.mirror, &r, view, err);
	if (rc == 0)
		rc = kg_fan_each(l.mirror.decided, collect_kind, &l);
	if (rc == 0)
		rc = run_workers(&l, &r, err);
	if (rc < 0)
		return rc;
	*out = make_snapshot(&l);
	give_mirror(&l);
	return 0;
}

/*
 * libgit2 keeps what it has read of a pack mapped as long as anybody has the pack open, and a load
 * reads nearly all of it. So the database is closed before it is opened again; who comes meanwhile
 * waits. Where it cannot be opened, reads find nothing and say so.
 */
int kg_store_let_go(struct kg_store *s, struct kg_error *err)
{
	git_odb *odb = NULL;

	if (git_odb_new(&odb) < 0)
		return kg_git_fail(err, -1, "open a database");
	pthread_mutex_lock(&s->lock);
	kg_shared_odb_unref(s->odb);
	s->odb = kg_shared_odb_new(odb);
	int rc = kg_store_open_odb(&odb, s, err);
	if (rc == 0) {
		kg_shared_odb_unref(s->odb);
		s->odb = kg_shared_odb_new(odb);
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

static int load_id(struct kg_snapshot **out, struct kg_store *s, const unsigned char id[20],
	struct kg_error *err)
{
	struct kg_reader r KG_CLEANUP(kg_reader_release) = kg_store_reader(s);
	struct kg_error why = {0};
	struct kg_view view;
	char hex[41];

	int rc = kg_view_open(&view, &r, id, &why);
	if (rc == 0)
		rc = load(out, s, &view, &why);
	kg_hex(hex, id, 20);
	return rc < 0 ? kg_fail(err, why.code, "load %s: %s", hex, why.msg) : 0;
}

int kg_store_load(struct kg_snapshot **out, struct kg_store *s, struct kg_error *err)
{
	struct kg_snapshot *snapshot;
	struct kg_view head;
	int rc = kg_store_head(&head, s, err);

	if (rc == 0)
		rc = load_id(&snapshot, s, head.commit, err);
	if (rc < 0)
		return rc;
	rc = kg_store_let_go(s, err);
	if (rc < 0)
		kg_snapshot_unref(snapshot);
	else
		*out = snapshot;
	return rc;
}

int kg_store_load_at(
	struct kg_snapshot **out, struct kg_store *s, uint64_t revision, struct kg_error *err)
{
	unsigned char id[20];
	int rc = kg_store_find_revision(id, s, revision, err);

	if (rc < 0)
		return rc;
	return kg_store_read_failure(load_id(out, s, id, err), s, revision, err);
}
