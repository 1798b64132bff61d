/*
 * What git does in the repository. Objects, packs and refs are synced before they are named (the
 * directories are ours to sync); pushed packs stay packs; nobody repacks behind our back; main and
 * the state branch are moved by kgitd alone. A repository that came by another road (a clone put
 * back as a backup) gets the same.
 */
#include "store/private.h"

#include "base/mem.h"
#include "sys/file.h"

#include <string.h>

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
	/* What is larger git streams: a small pack may hold much, as sizes.c tells. */
	{"core", "bigFileThreshold", "32m", true, false},
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
	/* `kgit diff --at` wants a revision's commit. */
	{"uploadpack", "allowReachableSHA1InWant", "true", false, false},
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
	const struct setting *s;
	bool found;
};

/* Of several values the last counts, unless all do. */
static int look(const git_config_entry *e, void *ctx)
{
	struct wanted *w = ctx;
	bool same = w->s->only_new || strcmp(e->value ? e->value : "", w->s->value) == 0;

	w->found = same || (w->s->one_of && w->found);
	return 0;
}

/* Adds the line that makes the setting so, where it is not. */
static int add_missing(struct kg_buf *out, git_config *cfg, const struct setting *s)
{
	char *name KG_AUTOFREE = kg_asprintf("%s.%s", s->section, s->name);
	struct wanted w = {.s = s};
	int rc = git_config_get_multivar_foreach(cfg, name, NULL, look, &w);

	if (rc < 0 && rc != GIT_ENOTFOUND)
		return rc;
	if (!w.found)
		kg_buf_addf(out, "[%s]\n\t%s = %s\n", s->section, s->name, s->value);
	return 0;
}

int kg_config_ensure(const char *dir, struct kg_buf *notes, struct kg_error *err)
{
	char *path KG_AUTOFREE = kg_asprintf("%s/config", dir);
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT, missing KG_AUTOBUF = KG_BUF_INIT;
	git_config *cfg = NULL;
	int rc = git_config_open_ondisk(&cfg, path);

	for (size_t i = 0; rc == 0 && i < KG_ARRAY_LEN(settings); i++)
		rc = add_missing(&missing, cfg, &settings[i]);
	if (rc < 0)
		rc = kg_git_fail(err, rc, "read %s", path);
	git_config_free(cfg);
	if (rc < 0 || !missing.len)
		return rc;
	rc = kg_file_read(&text, path, 1u << 20, err);
	if (rc < 0 && rc != -KG_E_NOT_FOUND)
		return rc;
	if (text.len && text.data[text.len - 1] != '\n')
		kg_buf_addc(&text, '\n');
	kg_buf_add(&text, missing.data, missing.len);
	if (notes)
		kg_buf_addf(notes, "added what kgit needs of git's settings to %s\n", path);
	return kg_file_write(path, text.data, text.len, 0644, err);
}
