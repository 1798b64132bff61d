#include "kgit/fields.h"
#include "kgit/test_case.h"

#include "sys/file.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define MAX_FILE (64 << 20)

static int write_want(
	const char *dir, const char *path, const struct kg_buf *got, struct kg_error *err)
{
	KG_AUTOFREE char *below = kg_asprintf("%s/want", dir);
	int rc = kg_mkdir_p(below, 0777, err);

	return rc < 0 ? rc : kg_file_replace(path, kg_buf_str(got), got->len, 0666, err);
}

int kgit_want_hold(struct kg_buf *out, const char *dir, const char *name, const struct kg_buf *got,
	bool update, struct kg_error *err)
{
	KG_AUTOFREE char *path = kg_asprintf("%s/want/%s", dir, name);
	KG_AUTOBUF struct kg_buf want = KG_BUF_INIT;
	bool there = kg_path_exists(path);
	int rc = there ? kg_file_read(&want, path, MAX_FILE, err) : 0;

	if (rc < 0)
		return rc;
	if (there && want.len == got->len &&
		(!got->len || memcmp(want.data, got->data, got->len) == 0))
		return 0;
	if (update) {
		rc = write_want(dir, path, got, err);
		return rc < 0 ? rc : 1;
	}
	if (!there) {
		kg_buf_addf(out, "%s is not there: kgit test --update makes it\n", path);
		return 1;
	}
	kg_buf_addf(out, "--- %s\n+++ what came out\n", path);
	kgit_text_diff(out, kg_buf_str(&want), kg_buf_str(got));
	return 1;
}

/* "7-push.yaml": a name that a step could have. */
static bool is_want(const char *name)
{
	size_t digits = strspn(name, "0123456789");
	const char *word = name + digits + (name[digits] == '-');
	size_t letters = strspn(word, "abcdefghijklmnopqrstuvwxyz");

	return digits && word > name + digits && letters && strcmp(word + letters, ".yaml") == 0;
}

static bool is_one_of(const char *name, char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static int any_want(const struct dirent *e)
{
	return is_want(e->d_name);
}

int kgit_want_stale(struct kg_buf *out, const char *dir, char *const *names, size_t n, bool update,
	struct kg_error *err)
{
	KG_AUTOFREE char *below = kg_asprintf("%s/want", dir);
	struct dirent **found;
	int stale = 0, count = scandir(below, &found, any_want, alphasort);

	if (count < 0)
		return errno == ENOENT ? 0 : kg_fail_errno(err, "read %s", below);
	for (int i = 0; i < count; i++) {
		KG_AUTOFREE char *path = kg_asprintf("%s/%s", below, found[i]->d_name);

		if (stale >= 0 && !is_one_of(found[i]->d_name, names, n)) {
			stale++;
			if (!update)
				kg_buf_addf(out,
					"%s is of no step: kgit test --update removes it\n", path);
			else if (unlink(path) < 0)
				stale = kg_fail_errno(err, "remove %s", path);
		}
		free(found[i]);
	}
	free(found);
	return stale;
}
