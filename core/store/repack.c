#include "store/repack.h"

#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"
#include "store/refs.h"
#include "sys/file.h"
#include "sys/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define TIMEOUT_MS (4 * 3600 * 1000)

/* ---- the list ---- */

struct wanted {
	uint32_t order, group;
	const unsigned char *id;
};
struct list {
	struct wanted *items; /* heap */
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

static int newest_first(const void *a, const void *b)
{
	const struct wanted *x = a, *y = b;

	/* Those without a mark last. */
	return (x->order - 1 > y->order - 1) - (x->order - 1 < y->order - 1);
}

static void collect(struct list *l, const struct kg_repack *job, bool whole)
{
	for (size_t k = 0; k < job->set->n; k++) {
		struct kg_livepacks_pack *p = &job->set->packs[k];

		for (uint32_t i = 0; p->chosen && i < p->n; i++) {
			if (!is_wanted(job, p, i, whole))
				continue;
			KG_GROW(l->items, l->cap, l->n + 1);
			l->items[l->n++] =
				(struct wanted){p->order[i], p->groups[i], kg_livepacks_id(p, i)};
		}
	}
	if (l->n)
		qsort(l->items, l->n, sizeof(*l->items), newest_first);
}

/* git groups objects by the last 16 letters of a name, of which each counts for two bits more than
 * the one before: so 12 letters hold 24 bits of the group. */
static void write_name(struct kg_buf *out, uint32_t group)
{
	for (int i = 0; i < 12; i++)
		kg_buf_addc(out, (char)('a' + (group >> 2 * i & 3)));
}

static void write_list(struct kg_buf *out, const struct list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		char hex[41];

		kg_hex(hex, l->items[i].id, 20);
		kg_buf_add(out, hex, 40);
		kg_buf_addc(out, ' ');
		write_name(out, l->items[i].group);
		kg_buf_addc(out, '\n');
	}
}

/* ---- git ---- */

/* git's temporary files go to a directory of objects that is ours, whose alternate the repository
 * is: so what a crash leaves is known by where it lies. */
static int make_objects_dir(const char *objects, struct kg_error *err)
{
	static const char alternate[] = "../../objects\n";
	char *pack KG_AUTOFREE = kg_asprintf("%s/pack", objects);
	char *info KG_AUTOFREE = kg_asprintf("%s/info", objects);
	char *alternates KG_AUTOFREE = kg_asprintf("%s/alternates", info);
	int rc = kg_mkdir_p(pack, 0755, err);

	if (rc == 0)
		rc = kg_mkdir_p(info, 0755, err);
	return rc < 0 ? rc : kg_file_replace(alternates, alternate, strlen(alternate), 0644, err);
}

static int run_git(struct kg_buf *out, const struct kg_repack *job, const char *objects, bool whole,
	const struct kg_buf *list, struct kg_error *err)
{
	char *base KG_AUTOFREE = kg_asprintf("%s/pack/new", objects);
	char *git_dir KG_AUTOFREE = kg_asprintf("GIT_DIR=%s", job->dir);
	char *object_dir KG_AUTOFREE = kg_asprintf("GIT_OBJECT_DIRECTORY=%s", objects);
	const char *argv[] = {"git", "-c", "pack.indexVersion=2", "-c",
		"pack.writeReverseIndex=false", "-c", "pack.writeBitmapHashCache=false", "-c",
		"core.fsync=none", "pack-objects", "-q", "--threads=1", "--window-memory=64m",
		"--delta-base-offset",
		/* Where two objects lie in one pack without being deltas git takes it that they
		 * were tried already; these never were. */
		"--no-reuse-delta", whole ? "--window=0" : "--window=10", "--depth=50", base, NULL};
	const char *env[] = {
		git_dir, object_dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", NULL};
	struct kg_run run = {.spawn = KG_SPAWN_INIT,
		.input = list,
		.output = out,
		.timeout_ms = TIMEOUT_MS,
		.cancel = job->cancel};

	run.spawn.argv = argv;
	run.spawn.env = env;
	return kg_run(&run, NULL, err);
}

/* ---- what came of it ---- */

/* Nothing is removed on git's word alone: every object is in the new index, and it is the index of
 * the new pack. */
static int check_index(const struct list *l, const unsigned char *index, size_t len,
	const unsigned char trailer[20], struct kg_error *err)
{
	uint32_t n;

	if (!kg_pack_index_check(index, len, &n) || memcmp(index + len - 40, trailer, 20) != 0)
		return kg_fail(err, KG_E_CORRUPT, "the new index is not that of the new pack");
	for (size_t i = 0; i < l->n; i++)
		if (kg_pack_index_find(index, n, l->items[i].id) < 0)
			return kg_fail(err, KG_E_CORRUPT, "the new pack lacks an object");
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

static int check_pack(
	const struct list *l, const char *pack, const char *index, struct kg_error *err)
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

/* git's word on which pack it made: one line, its id. */
static int take_name(
	char **tmp, char **name, const char *objects, struct kg_buf *out, struct kg_error *err)
{
	unsigned char id[20];

	while (out->len && out->data[out->len - 1] == '\n')
		kg_buf_remove(out, out->len - 1, 1);
	if (kg_unhex(id, 20, kg_buf_str(out)) < 0)
		return kg_fail(
			err, KG_E_CORRUPT, "git pack-objects said \"%.60s\"", kg_buf_str(out));
	*tmp = kg_asprintf("%s/pack/new-%s", objects, kg_buf_str(out));
	*name = kg_asprintf("pack-%s", kg_buf_str(out));
	return 0;
}

static int make(char **name, const struct kg_repack *job, bool whole, const struct list *l,
	bool *sync_failed, struct kg_error *err)
{
	char *objects KG_AUTOFREE = kg_asprintf("%s/" KG_REPACK_DIR, job->side);
	char *tmp KG_AUTOFREE = NULL, *made KG_AUTOFREE = NULL;
	struct kg_buf list KG_AUTOBUF = KG_BUF_INIT, out KG_AUTOBUF = KG_BUF_INIT;

	int rc = make_objects_dir(objects, err);
	write_list(&list, l);
	if (rc == 0)
		rc = run_git(&out, job, objects, whole, &list, err);
	if (rc == 0)
		rc = take_name(&tmp, &made, objects, &out, err);
	if (rc < 0)
		return rc;
	char *pack KG_AUTOFREE = kg_asprintf("%s.pack", tmp);
	char *index KG_AUTOFREE = kg_asprintf("%s.idx", tmp);
	rc = check_pack(l, pack, index, err);
	if (rc == 0)
		rc = place(job, tmp, made, sync_failed, err);
	if (rc == 0)
		*name = kg_steal(&made);
	return rc;
}

int kg_repack(char **name, const struct kg_repack *job, bool whole, bool *sync_failed,
	struct kg_error *err)
{
	struct list l = {0};
	int rc = 0;

	*name = NULL;
	collect(&l, job, whole);
	if (l.n)
		rc = make(name, job, whole, &l, sync_failed, err);
	free(l.items);
	return rc;
}

int kg_repack_clean(const char *side, struct kg_error *err)
{
	char *path KG_AUTOFREE = kg_asprintf("%s/" KG_REPACK_DIR, side);

	return kg_remove_tree(path, err);
}
