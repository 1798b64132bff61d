#include "store/hidden.h"

#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define HIDDEN "hidden-"

static int move(
	const char *packs, const char *from, const char *to, const char *name, struct kg_error *err)
{
	char *old KG_AUTOFREE = kg_asprintf("%s/%s%s.idx", packs, from, name);
	char *new_name KG_AUTOFREE = kg_asprintf("%s/%s%s.idx", packs, to, name);

	return rename(old, new_name) < 0 ? kg_fail_errno(err, "rename %s", old) : 0;
}

int kg_pack_hide(const char *packs, const char *name, struct kg_error *err)
{
	return move(packs, "", HIDDEN, name, err);
}

int kg_pack_unhide(const char *packs, const char *name, struct kg_error *err)
{
	return move(packs, HIDDEN, "", name, err);
}

void kg_pack_remove(const char *packs, const char *name)
{
	static const char *const endings[] = {".rev", ".bitmap", ".pack"};

	for (size_t i = 0; i < KG_ARRAY_LEN(endings); i++) {
		char *path KG_AUTOFREE = kg_asprintf("%s/%s%s", packs, name, endings[i]);

		unlink(path);
	}
	char *index KG_AUTOFREE = kg_asprintf("%s/" HIDDEN "%s.idx", packs, name);
	unlink(index);
}

/* ---- after a crash ---- */

static int put_back(const char *packs, const char *file, struct kg_buf *notes, struct kg_error *err)
{
	size_t n = strlen(file), skip = strlen(HIDDEN);

	if (strncmp(file, HIDDEN, skip) != 0 || n <= skip + 4 || strcmp(file + n - 4, ".idx") != 0)
		return 0;
	char *name KG_AUTOFREE = kg_strndup(file + skip, n - skip - 4);
	char *pack KG_AUTOFREE = kg_asprintf("%s/%s.pack", packs, name);
	char *index KG_AUTOFREE = kg_asprintf("%s/%s", packs, file);
	if (access(pack, F_OK) == 0) {
		int rc = kg_pack_unhide(packs, name, err);
		if (rc == 0 && notes)
			kg_buf_addf(notes, "put %s back, whose removal was not finished\n", pack);
		return rc;
	}
	if (errno != ENOENT || unlink(index) < 0)
		return kg_fail_errno(err, "remove %s", index);
	if (notes)
		kg_buf_addf(notes, "removed the index of a removed pack %s\n", index);
	return 0;
}

int kg_packs_unhide(const char *packs, struct kg_buf *notes, struct kg_error *err)
{
	DIR *d = opendir(packs);
	struct dirent *e;
	int rc = 0;

	if (!d)
		return errno == ENOENT ? 0 : kg_fail_errno(err, "open %s", packs);
	while (rc == 0 && (errno = 0, e = readdir(d)))
		rc = put_back(packs, e->d_name, notes, err);
	if (rc == 0 && errno)
		rc = kg_fail_errno(err, "read %s", packs);
	closedir(d);
	return rc;
}

/* ---- pushes under way ---- */

bool kg_is_quarantine(const char *name)
{
	return strncmp(name, "incoming-", 9) == 0 || strncmp(name, "tmp_objdir-", 11) == 0;
}

static int newest(time_t *out, const char *path, int depth, struct kg_error *err);

static int newest_within(time_t *out, const char *path, int depth, struct kg_error *err)
{
	DIR *d = opendir(path);
	struct dirent *e;
	int rc = 0;

	if (!d)
		return errno == ENOENT ? 0 : kg_fail_errno(err, "open %s", path);
	while (rc == 0 && (errno = 0, e = readdir(d))) {
		char *child KG_AUTOFREE = kg_asprintf("%s/%s", path, e->d_name);

		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			rc = newest(out, child, depth, err);
	}
	if (rc == 0 && !e && errno)
		rc = kg_fail_errno(err, "read %s", path);
	closedir(d);
	return rc;
}

static int newest(time_t *out, const char *path, int depth, struct kg_error *err)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : kg_fail_errno(err, "stat %s", path);
	if (st.st_mtime > *out)
		*out = st.st_mtime;
	return depth && S_ISDIR(st.st_mode) ? newest_within(out, path, depth - 1, err) : 0;
}

int kg_quarantine_changed(time_t *out, const char *path, struct kg_error *err)
{
	*out = 0;
	return newest(out, path, 2, err); /* itself, pack or two digits, and the files there */
}

int kg_quarantines(struct kg_buf *out, const char *dir, int64_t max_age, struct kg_error *err)
{
	char *objects KG_AUTOFREE = kg_asprintf("%s/objects", dir);
	DIR *d = opendir(objects);
	struct dirent *e;
	time_t changed;
	int rc = 0;

	if (!d)
		return kg_fail_errno(err, "open %s", objects);
	while (rc == 0 && (errno = 0, e = readdir(d))) {
		char *path KG_AUTOFREE = kg_asprintf("%s/%s", objects, e->d_name);

		if (!kg_is_quarantine(e->d_name))
			continue;
		rc = kg_quarantine_changed(&changed, path, err);
		/* An older one has lost its git. */
		if (rc == 0 && changed + max_age >= time(NULL))
			kg_buf_addf(out, "\n%s", e->d_name);
	}
	if (rc == 0 && !e && errno)
		rc = kg_fail_errno(err, "read %s", objects);
	closedir(d);
	return rc;
}

bool kg_quarantines_left(const struct kg_buf *names, const char *dir)
{
	for (const char *p = kg_buf_str(names); *p;) {
		const char *name = p + 1, *end = strchrnul(name, '\n');
		char *path KG_AUTOFREE =
			kg_asprintf("%s/objects/%.*s", dir, (int)(end - name), name);

		if (access(path, F_OK) == 0)
			return true;
		p = end;
	}
	return false;
}
