/*
 * What git does in the repository. Objects, packs and refs are synced before they are named (the
 * directories are ours to sync); pushed packs stay packs; nobody repacks behind our back; main and
 * the state branch are moved by kgitd alone. A repository that came by another road (a clone put
 * back as a backup) gets the same.
 */
#include "store/private.h"

#include "base/mem.h"
#include "sys/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct setting {
	const char *section, *name, *value;
	bool only_new; /* the owner may have another value */
	bool one_of;   /* beside other values of the name */
} settings[] = {
	{"core", "repositoryformatversion", "0", true, false},
	{"core", "filemode", "true", true, false},
	{"core", "bare", "true", false, false},
	{"core", "fsync", "committed,reference", false, false},
	{"core", "fsyncMethod", "fsync", false, false},
	{"core", "logAllRefUpdates", "false", true, false},
	{"gc", "auto", "0", false, false},
	{"maintenance", "auto", "false", false, false},
	{"receive", "fsckObjects", "true", false, false},
	{"receive", "unpackLimit", "1", false, false},
	{"receive", "autogc", "false", false, false},
	{"receive", "maxInputSize", "1g", true, false},
	{"receive", "advertisePushOptions", "true", false, false},
	{"receive", "procReceiveRefs", "refs/heads/main", false, true},
	{"receive", "procReceiveRefs", "refs/kgit", false, true},
	{"transfer", "unpackLimit", "1", false, false},
	{"uploadpack", "allowAnySHA1InWant", "false", false, false},
};

void kg_config_write(struct kg_buf *out)
{
	for (size_t i = 0; i < KG_ARRAY_LEN(settings); i++) {
		const struct setting *s = &settings[i];

		if (i == 0 || strcmp(s->section, settings[i - 1].section) != 0)
			kg_buf_addf(out, "[%s]\n", s->section);
		kg_buf_addf(out, "\t%s = %s\n", s->name, s->value);
	}
}

struct wanted {
	const char *value;
	bool found;
};

static int look(const git_config_entry *e, void *ctx)
{
	struct wanted *w = ctx;

	w->found |= !w->value || strcmp(e->value ? e->value : "", w->value) == 0;
	return 0;
}

static int apply(git_config *cfg, const struct setting *s, bool *changed)
{
	char *name KG_AUTOFREE = kg_asprintf("%s.%s", s->section, s->name);
	char *only KG_AUTOFREE = kg_asprintf("^%s$", s->value);
	struct wanted w = {.value = s->only_new ? NULL : s->value};
	int rc = git_config_get_multivar_foreach(cfg, name, NULL, look, &w);

	if ((rc < 0 && rc != GIT_ENOTFOUND) || w.found)
		return rc == GIT_ENOTFOUND ? 0 : rc;
	*changed = true;
	/* The last of several values counts, so all become ours. */
	return git_config_set_multivar(cfg, name, s->one_of ? only : ".*", s->value);
}

static int sync_config(const char *path, const char *dir, struct kg_error *err)
{
	KG_AUTOCLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return kg_fail_errno(err, "sync %s", path);
	return kg_sync_dir(dir, err);
}

int kg_config_ensure(const char *dir, struct kg_buf *notes, struct kg_error *err)
{
	char *path KG_AUTOFREE = kg_asprintf("%s/config", dir);
	git_config *cfg = NULL;
	bool changed = false;
	int rc = git_config_open_ondisk(&cfg, path);

	for (size_t i = 0; rc == 0 && i < KG_ARRAY_LEN(settings); i++)
		rc = apply(cfg, &settings[i], &changed);
	if (rc < 0)
		rc = kg_git_fail(err, rc, "configure %s", path);
	git_config_free(cfg);
	if (rc < 0 || !changed)
		return rc;
	if (notes)
		kg_buf_addf(notes, "git's settings in %s are now those that kgit needs\n", path);
	return sync_config(path, dir, err);
}
