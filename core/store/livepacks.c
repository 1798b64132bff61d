#include "store/livepacks.h"

#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define INDEX_HEAD (8 + 1024)

/* ---- opening ---- */

static void pack_release(struct kg_livepacks_pack *p)
{
	if (p->index)
		munmap((void *)(uintptr_t)p->index, p->index_len);
	free(p->name);
	free(p->order);
	free(p->groups);
}

void kg_livepacks_release(struct kg_livepacks *s)
{
	for (size_t i = 0; i < s->n; i++)
		pack_release(&s->packs[i]);
	free(s->packs);
	free(s->dir);
	*s = (struct kg_livepacks){0};
}

static bool has(const char *dir, const char *name, const char *ending)
{
	char *path KG_AUTOFREE = kg_asprintf("%s/%s%s", dir, name, ending);

	return access(path, F_OK) == 0;
}

static bool map_index(struct kg_livepacks_pack *p, const char *path)
{
	KG_AUTOCLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size == 0)
		return false;
	void *m = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (m == MAP_FAILED)
		return false;
	p->index = m;
	p->index_len = (size_t)st.st_size;
	return kg_pack_index_check(p->index, p->index_len, &p->n);
}

static void add(struct kg_livepacks *s, const char *file, const struct kg_map *packed)
{
	size_t n = strlen(file);
	struct stat st;

	if (n != 50 || strncmp(file, "pack-", 5) != 0 || strcmp(file + 45, ".pack") != 0)
		return;
	struct kg_livepacks_pack p = {.name = kg_strndup(file, 45)};
	char *pack KG_AUTOFREE = kg_asprintf("%s/%s", s->dir, file);
	char *index KG_AUTOFREE = kg_asprintf("%s/%s.idx", s->dir, p.name);
	if (stat(pack, &st) < 0 || !map_index(&p, index)) {
		pack_release(&p);
		return;
	}
	p.size = (size_t)st.st_size + p.index_len;
	p.mtime = st.st_mtime;
	p.packed = packed && kg_map_has(packed, p.name);
	p.fixed = has(s->dir, p.name, ".keep") || has(s->dir, p.name, ".promisor");
	p.order = kg_alloc((p.n + 1) * sizeof(*p.order));
	p.groups = kg_alloc((p.n + 1) * sizeof(*p.groups));
	KG_GROW(s->packs, s->cap, s->n + 1);
	s->packs[s->n++] = p;
}

/* Those that stay first, so that theirs is the copy that counts; then the large ones, in which most
 * things are found. */
static int by_use(const void *a, const void *b)
{
	const struct kg_livepacks_pack *x = a, *y = b;

	if (x->fixed != y->fixed)
		return x->fixed ? -1 : 1;
	if (x->packed != y->packed)
		return x->packed ? -1 : 1;
	return x->n != y->n ? (x->n < y->n) - (x->n > y->n) : strcmp(x->name, y->name);
}

int kg_livepacks_open(struct kg_livepacks *out, const char *dir, const struct kg_map *packed,
	struct kg_error *err)
{
	struct kg_livepacks s = {.dir = kg_asprintf("%s/objects/pack", dir)};
	DIR *d = opendir(s.dir);
	struct dirent *e;
	int rc = d ? 0 : kg_fail_errno(err, "open %s", s.dir);

	while (rc == 0 && (errno = 0, e = readdir(d)))
		add(&s, e->d_name, packed);
	if (rc == 0 && errno)
		rc = kg_fail_errno(err, "read %s", s.dir);
	if (d)
		closedir(d);
	if (rc < 0) {
		kg_livepacks_release(&s);
		return rc;
	}
	if (s.n)
		qsort(s.packs, s.n, sizeof(*s.packs), by_use);
	*out = s;
	return 0;
}

void kg_livepacks_let_go(const struct kg_livepacks *s)
{
	/* They stay mapped, and in the kernel's cache. */
	for (size_t i = 0; i < s->n; i++)
		madvise((void *)(uintptr_t)s->packs[i].index, s->packs[i].index_len, MADV_DONTNEED);
}

/* ---- finding and marking ---- */

bool kg_livepacks_find(
	struct kg_livepacks_at *out, struct kg_livepacks *s, const unsigned char id[20])
{
	for (size_t i = 0; i < s->n; i++) {
		int64_t at = kg_pack_index_find(s->packs[i].index, s->packs[i].n, id);

		if (at >= 0) {
			*out = (struct kg_livepacks_at){&s->packs[i], (uint32_t)at};
			return true;
		}
	}
	return false;
}

const unsigned char *kg_livepacks_id(const struct kg_livepacks_pack *p, uint32_t i)
{
	return p->index + INDEX_HEAD + 20 * (size_t)i;
}

bool kg_livepacks_mark(struct kg_livepacks *s, const struct kg_livepacks_at *at, uint64_t group)
{
	if (at->pack->order[at->i])
		return false;
	at->pack->order[at->i] = ++s->marked;
	at->pack->groups[at->i] = group;
	at->pack->live++;
	return true;
}
