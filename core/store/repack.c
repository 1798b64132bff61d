#include "store/repack.h"

#include "base/hash.h"
#include "base/mem.h"
#include "store/bigcopy.h"
#include "store/deltify.h"
#include "store/packfile.h"
#include "store/refs.h"
#include "sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the list ----
 *
 * Of very many objects, so it is made a part at a time; a thing and its family are in one.
 */

#define PARTS          16
#define PART_OF(group) ((group) >> 44 & (PARTS - 1))

struct wanted {
	uint64_t group;
	const unsigned char *id;
	uint32_t order;
};
struct list {
	const struct kg_repack *job;
	bool whole;
	struct wanted *items; /* heap; of the part at hand */
	size_t n, cap;
};

/* Is it the copy that counts. */
static bool is_first(struct kg_livepacks *s, const struct kg_livepacks_pack *p, uint32_t i)
{
	struct kg_livepacks_at at;

	return kg_livepacks_find(&at, s, kg_livepacks_id(p, i)) && at.pack == p && at.i == i;
}

static bool is_wanted(
	const struct kg_repack *job, struct kg_livepacks_pack *p, uint32_t i, bool whole)
{
	uint32_t order = p->order[i];

	if (order)
		return (order <= job->whole) == whole;
	return !whole && job->unmarked && is_first(job->set, p, i);
}

/* Versions of one thing beside one another, the newest first; those without a mark last. */
static int by_group(const void *a, const void *b)
{
	const struct wanted *x = a, *y = b;

	if (x->group != y->group)
		return (x->group > y->group) - (x->group < y->group);
	return (x->order - 1 > y->order - 1) - (x->order - 1 < y->order - 1);
}

static void add_wanted(struct list *l, struct kg_livepacks_pack *p, unsigned part)
{
	for (uint32_t i = 0; i < p->n; i++) {
		if (PART_OF(p->groups[i]) != part || !is_wanted(l->job, p, i, l->whole))
			continue;
		KG_GROW(l->items, l->cap, l->n + 1);
		l->items[l->n++] =
			(struct wanted){p->groups[i], kg_livepacks_id(p, i), p->order[i]};
	}
}

static void collect(struct list *l, unsigned part)
{
	l->n = 0;
	for (size_t k = 0; k < l->job->set->n; k++)
		if (l->job->set->packs[k].chosen)
			add_wanted(l, &l->job->set->packs[k], part);
	if (l->n)
		qsort(l->items, l->n, sizeof(*l->items), by_group);
}

static size_t count(const struct list *l)
{
	size_t n = 0;

	for (size_t k = 0; k < l->job->set->n; k++) {
		struct kg_livepacks_pack *p = &l->job->set->packs[k];

		for (uint32_t i = 0; p->chosen && i < p->n; i++)
			n += is_wanted(l->job, p, i, l->whole);
	}
	return n;
}

/* ---- the pack ---- */

#define LOOKS 256 /* objects between two looks at `cancel` */

static bool cancelled(const struct kg_repack *job, size_t i)
{
	struct pollfd p = {.fd = job->cancel, .events = POLLIN};

	if (i % LOOKS == 0)
		job->pause(job->ctx);
	return i % LOOKS == 0 && job->cancel > 0 && poll(&p, 1, 0) > 0;
}

/* What is large is copied as it lies. A large delta is read after all: how large it may be was
 * looked at when it was pushed. 1: done, 0: to be read. */
static int add_large(struct kg_packfile *file, const struct kg_repack *job, const struct wanted *w,
	struct kg_error *err)
{
	struct kg_livepacks_at at;
	git_object_t type;
	size_t size;
	int rc = kg_reader_size(&size, &type, job->reader, w->id, err);

	if (rc < 0 || size <= KG_BIG || !kg_livepacks_find(&at, job->set, w->id))
		return rc;
	return kg_bigcopy(file, job->set, &at, err);
}

static int add(struct kg_deltify *deltas, struct kg_packfile *file, const struct kg_repack *job,
	const struct wanted *w, struct kg_error *err)
{
	git_odb_object *obj KG_AUTOOBJ = NULL;
	int rc = add_large(file, job, w, err);

	if (rc == 0)
		rc = kg_reader_get(&obj, job->reader, w->id, GIT_OBJECT_ANY, err);
	if (rc < 0 || !obj)
		return rc < 0 ? rc : 0;
	/* libgit2 numbers the types as packs do, and has seen that it is what its id says. */
	int type = git_odb_object_type(obj);
	const void *data = git_odb_object_data(obj);
	size_t len = git_odb_object_size(obj);
	return deltas ? kg_deltify_add(deltas, w->group, w->id, type, data, len, err)
		      : kg_packfile_add(file, w->id, type, data, len, err);
}

static int write_objects(struct kg_packfile *file, struct list *l, struct kg_error *err)
{
	struct kg_deltify *deltas = l->whole ? NULL : kg_deltify_new(file);
	int rc = 0;

	for (unsigned part = 0; rc == 0 && part < PARTS; part++) {
		collect(l, part);
		for (size_t i = 0; rc == 0 && i < l->n; i++)
			rc = cancelled(l->job, i)
				     ? kg_fail(err, KG_E_UNAVAILABLE, "it was told to stop")
				     : add(deltas, file, l->job, &l->items[i], err);
	}
	kg_deltify_free(deltas);
	return rc;
}

static int write_pack(
	unsigned char id[20], const char *path, struct list *l, size_t n, struct kg_error *err)
{
	struct kg_packfile *file = NULL;
	int rc = n > UINT32_MAX ? kg_fail(err, KG_E_TOO_LARGE, "%zu objects", n) : 0;

	if (rc == 0)
		rc = kg_packfile_new(&file, path, (uint32_t)n, err);
	if (rc == 0)
		rc = write_objects(file, l, err);
	if (rc == 0)
		rc = kg_packfile_finish(file, id, err);
	kg_packfile_free(file);
	return rc;
}

/* ---- what came of it ---- */

/* Every object is in the new index, and it is the index of the new pack, as they lie on the disk.
 */
static int check_index(struct list *l, const unsigned char *index, size_t len,
	const unsigned char trailer[20], struct kg_error *err)
{
	uint32_t n;

	if (!kg_pack_index_check(index, len, &n) || memcmp(index + len - 40, trailer, 20) != 0)
		return kg_fail(err, KG_E_CORRUPT, "the new index is not that of the new pack");
	for (unsigned part = 0; part < PARTS; part++) {
		collect(l, part);
		for (size_t i = 0; i < l->n; i++)
			if (kg_pack_index_find(index, n, l->items[i].id) < 0)
				return kg_fail(err, KG_E_CORRUPT, "the new pack lacks an object");
	}
	return 0;
}

static int read_trailer(unsigned char out[20], const char *pack, struct kg_error *err)
{
	KG_AUTOCLOSE int fd = open(pack, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return kg_fail_errno(err, "open %s", pack);
	if (st.st_size < 32 || pread(fd, out, 20, st.st_size - 20) != 20)
		return kg_fail(err, KG_E_CORRUPT, "%s is too short", pack);
	return 0;
}

static int check_pack(struct list *l, const char *pack, const char *index, struct kg_error *err)
{
	KG_AUTOCLOSE int fd = open(index, O_RDONLY | O_CLOEXEC);
	unsigned char trailer[20];
	struct stat st;
	int rc = read_trailer(trailer, pack, err);

	if (rc < 0)
		return rc;
	if (fd < 0 || fstat(fd, &st) < 0)
		return kg_fail_errno(err, "open %s", index);
	void *m = st.st_size ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0)
			     : MAP_FAILED;
	if (m == MAP_FAILED)
		return kg_fail(err, KG_E_CORRUPT, "%s cannot be mapped", index);
	rc = check_index(l, m, (size_t)st.st_size, trailer, err);
	munmap(m, (size_t)st.st_size);
	return rc;
}

static int sync_path(const char *path, int flags, bool *sync_failed, struct kg_error *err)
{
	KG_AUTOCLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | flags);

	if (fd < 0)
		return kg_fail_errno(err, "open %s", path);
	if (fsync(fd) == 0)
		return 0;
	*sync_failed |= kg_sync_lost(errno);
	return kg_fail_errno(err, "sync %s", path);
}

/* As young as the youngest of what it is made of: how old a pack is says how long its objects have
 * been there. */
static void keep_age(const struct kg_repack *job, const char *pack)
{
	struct timespec t[2] = {{.tv_nsec = UTIME_OMIT}, {0}};

	for (size_t i = 0; i < job->set->n; i++)
		if (job->set->packs[i].chosen && job->set->packs[i].mtime > t[1].tv_sec)
			t[1].tv_sec = job->set->packs[i].mtime;
	/* Where this fails it seems younger than it is, and stays longer. */
	if (utimensat(AT_FDCWD, pack, t, 0) < 0)
		errno = 0;
}

static int place(const struct kg_repack *job, const char *tmp, const char *name, bool *sync_failed,
	struct kg_error *err)
{
	static const char *const endings[] = {".pack", ".idx"}; /* git looks for the index */
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < KG_ARRAY_LEN(endings); i++) {
		char *from KG_AUTOFREE = kg_asprintf("%s%s", tmp, endings[i]);

		rc = sync_path(from, 0, sync_failed, err);
	}
	for (size_t i = 0; rc == 0 && i < KG_ARRAY_LEN(endings); i++) {
		char *from KG_AUTOFREE = kg_asprintf("%s%s", tmp, endings[i]);
		char *to KG_AUTOFREE = kg_asprintf("%s/%s%s", job->set->dir, name, endings[i]);

		if (i == 0)
			keep_age(job, from);
		if (rename(from, to) < 0)
			rc = kg_fail_errno(err, "rename %s", from);
	}
	return rc < 0 ? rc : sync_path(job->set->dir, O_DIRECTORY, sync_failed, err);
}

static int make(char **name, struct list *l, size_t n, bool *sync_failed, struct kg_error *err)
{
	const struct kg_repack *job = l->job;
	char *dir KG_AUTOFREE = kg_asprintf("%s/" KG_REPACK_DIR, job->side);
	char *tmp KG_AUTOFREE = kg_asprintf("%s/new", dir);
	char *pack KG_AUTOFREE = kg_asprintf("%s.pack", tmp);
	char *index KG_AUTOFREE = kg_asprintf("%s.idx", tmp);
	unsigned char id[20];
	char hex[41];

	int rc = kg_mkdir_p(dir, 0755, err);
	if (rc == 0)
		rc = write_pack(id, tmp, l, n, err);
	if (rc == 0)
		rc = check_pack(l, pack, index, err);
	if (rc < 0)
		return rc;
	kg_hex(hex, id, 20);
	char *made KG_AUTOFREE = kg_asprintf("pack-%s", hex);
	rc = place(job, tmp, made, sync_failed, err);
	if (rc == 0)
		*name = kg_steal(&made);
	return rc;
}

int kg_repack(char **name, const struct kg_repack *job, bool whole, bool *sync_failed,
	struct kg_error *err)
{
	struct list l = {.job = job, .whole = whole};
	size_t n = count(&l);
	int rc = 0;

	*name = NULL;
	if (n)
		rc = make(name, &l, n, sync_failed, err);
	free(l.items);
	return rc;
}

int kg_repack_clean(const char *side, struct kg_error *err)
{
	char *path KG_AUTOFREE = kg_asprintf("%s/" KG_REPACK_DIR, side);

	return kg_remove_tree(path, err);
}
