#include "store/odb.h"

#include "base/hash.h"
#include "base/mem.h"
#include "store/packset.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

/* How many pack files libgit2 keeps open: one a commit would use up every descriptor. */
#define OPEN_PACKS   128
#define WINDOW_BYTES (1 << 20)
#define MAPPED_BYTES (8 << 20)
/* Larger objects are rare: libgit2 reads them. */
#define QUICK_MAX (16u << 20)

static void git_init(void)
{
	git_libgit2_init();
	/* Trees and commits are read once; the mirror of the state trees is the store's own. */
	git_libgit2_opts(GIT_OPT_ENABLE_CACHING, 0);
	git_libgit2_opts(GIT_OPT_SET_MWINDOW_FILE_LIMIT, (size_t)OPEN_PACKS);
	/* By default whole packs are mapped, and stay: a look at old history would count as memory
	 * of kgitd from then on. */
	git_libgit2_opts(GIT_OPT_SET_MWINDOW_SIZE, (size_t)WINDOW_BYTES);
	git_libgit2_opts(GIT_OPT_SET_MWINDOW_MAPPED_LIMIT, (size_t)MAPPED_BYTES);
}

void kg_git_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, git_init);
}

int kg_git_fail(struct kg_error *err, int git_rc, const char *fmt, ...)
{
	const git_error *e = git_error_last();
	enum kg_code code = git_rc == GIT_ENOTFOUND ? KG_E_NOT_FOUND : KG_E_CORRUPT;
	struct kg_error what;
	va_list ap;

	if (e && e->klass == GIT_ERROR_OS)
		code = KG_E_IO;
	va_start(ap, fmt);
	kg_failv(&what, code, fmt, ap);
	va_end(ap);
	return kg_fail(err, code, "%s: %s", what.msg, e ? e->message : "unknown error");
}

struct kg_shared_odb {
	atomic_int refs;
	git_odb *odb;
};

struct kg_shared_odb *kg_shared_odb_new(git_odb *odb)
{
	struct kg_shared_odb *o = kg_alloc(sizeof(*o));

	atomic_init(&o->refs, 1);
	o->odb = odb;
	return o;
}

void kg_shared_odb_unref(struct kg_shared_odb *o)
{
	if (!o || atomic_fetch_sub(&o->refs, 1) != 1)
		return;
	git_odb_free(o->odb);
	free(o);
}

struct kg_reader kg_shared_odb_reader(struct kg_shared_odb *o)
{
	atomic_fetch_add(&o->refs, 1);
	return (struct kg_reader){.odb = o->odb, .shared = o};
}

int kg_reader_add(struct kg_reader *r, const char *objects_dir, struct kg_error *err)
{
	if (!objects_dir || !*objects_dir)
		return 0;
	int rc = git_odb_new(&r->extra);
	if (rc == 0)
		rc = git_odb_add_disk_alternate(r->extra, objects_dir);
	return rc < 0 ? kg_git_fail(err, rc, "open quarantine %s", objects_dir) : 0;
}

void kg_reader_release(struct kg_reader *r)
{
	git_odb_free(r->extra);
	kg_shared_odb_unref(r->shared);
	*r = (struct kg_reader){0};
}

void kg_odb_object_freep(git_odb_object **obj)
{
	git_odb_object_free(*obj);
}

/* Which of the two has it. The repository's own is asked last since a miss there makes libgit2
 * look for new packs. */
static git_odb *home_of(const struct kg_reader *r, const git_oid *oid)
{
	if (r->extra && git_odb_exists_ext(r->extra, oid, GIT_ODB_LOOKUP_NO_REFRESH))
		return r->extra;
	return r->odb;
}

/*
 * While packs are put together a listing of their directory can miss the new one, not there yet,
 * and find the old one gone. A miss is therefore asked again, each time after another look.
 */
#define LOOKS 4

static bool look_again(const struct kg_reader *r, int rc, int looks)
{
	return rc < 0 && looks < LOOKS && git_odb_refresh(r->odb) == 0;
}

int kg_reader_get(git_odb_object **out, const struct kg_reader *r, const unsigned char id[20],
	git_object_t type, struct kg_error *err)
{
	git_odb_object *obj = NULL;
	git_oid oid;
	char hex[41];
	int rc, looks = 0;

	git_oid_fromraw(&oid, id);
	do {
		rc = git_odb_read(&obj, home_of(r, &oid), &oid);
	} while (look_again(r, rc, ++looks));
	if (rc < 0) {
		kg_hex(hex, id, 20);
		return kg_git_fail(err, rc, "read object %s", hex);
	}
	if (type != GIT_OBJECT_ANY && git_odb_object_type(obj) != type) {
		kg_hex(hex, id, 20);
		rc = kg_fail(err, KG_E_CORRUPT, "object %s is a %s, expected a %s", hex,
			git_object_type2string(git_odb_object_type(obj)),
			git_object_type2string(type));
		git_odb_object_free(obj);
		return rc;
	}
	*out = obj;
	return 0;
}

int kg_reader_size(size_t *size, git_object_t *type, const struct kg_reader *r,
	const unsigned char id[20], struct kg_error *err)
{
	git_oid oid;
	char hex[41];
	int rc, looks = 0;

	git_oid_fromraw(&oid, id);
	do {
		rc = git_odb_read_header(size, type, home_of(r, &oid), &oid);
	} while (look_again(r, rc, ++looks));
	if (rc == 0)
		return 0;
	kg_hex(hex, id, 20);
	return kg_git_fail(err, rc, "read object %s", hex);
}

int kg_reader_blob(struct kg_buf *out, const struct kg_reader *r, const unsigned char id[20],
	size_t max, struct kg_error *err)
{
	git_odb_object *obj KG_AUTOOBJ = NULL;
	git_object_t type;
	size_t len;
	char hex[41];
	/* The size first, so that a huge one is never inflated. */
	int rc = kg_reader_size(&len, &type, r, id, err);

	if (rc < 0)
		return rc;
	kg_hex(hex, id, 20);
	if (len > max)
		return kg_fail(err, KG_E_TOO_LARGE, "blob %s has %zu bytes, at most %zu are taken",
			hex, len, max);
	rc = kg_reader_get(&obj, r, id, GIT_OBJECT_BLOB, err);
	if (rc < 0)
		return rc;
	kg_buf_add(out, git_odb_object_data(obj), git_odb_object_size(obj));
	return 0;
}

bool kg_reader_quick(struct kg_buf *out, const struct kg_reader *r, const unsigned char id[20],
	git_object_t type)
{
	/* Both number the types as packs do. */
	return r->packs && kg_packset_read(out, r->packs, (enum kg_pack_type)type, id, QUICK_MAX);
}

bool kg_reader_has(const struct kg_reader *r, const unsigned char id[20])
{
	git_oid oid;
	bool has;
	int looks = 0;

	git_oid_fromraw(&oid, id);
	do {
		has = git_odb_exists(home_of(r, &oid), &oid);
	} while (look_again(r, has ? 0 : -1, ++looks));
	return has;
}

/* ---- raw trees ---- */

static int bad_tree(struct kg_error *err)
{
	return kg_fail(err, KG_E_CORRUPT, "malformed tree");
}

int kg_tree_next(
	struct kg_tree_entry *e, const void *raw, size_t len, size_t *pos, struct kg_error *err)
{
	const char *p = (const char *)raw + *pos;
	const char *end = (const char *)raw + len;

	if (p == end)
		return 0;
	e->mode = 0;
	while (p < end && *p >= '0' && *p <= '7' && e->mode < 01000000)
		e->mode = e->mode * 8 + (unsigned)(*p++ - '0');
	if (p == end || *p != ' ')
		return bad_tree(err);
	e->name = ++p;
	const char *nul = memchr(p, '\0', (size_t)(end - p));
	if (!nul || nul == p || end - nul < 21)
		return bad_tree(err);
	e->id = (const unsigned char *)nul + 1;
	e->is_dir = e->mode == 040000;
	*pos = (size_t)(nul + 21 - (const char *)raw);
	return 1;
}

bool kg_tree_find(struct kg_tree_entry *e, const void *raw, size_t len, const char *name)
{
	size_t pos = 0;

	while (kg_tree_next(e, raw, len, &pos, NULL) > 0)
		if (strcmp(e->name, name) == 0)
			return true;
	return false;
}

int kg_tree_name_cmp(const char *a, bool a_dir, const char *b, bool b_dir)
{
	size_t i = 0;

	while (a[i] && a[i] == b[i])
		i++;
	unsigned char ca = (unsigned char)a[i], cb = (unsigned char)b[i];
	if (!ca && a_dir)
		ca = '/';
	if (!cb && b_dir)
		cb = '/';
	return (int)ca - (int)cb;
}
