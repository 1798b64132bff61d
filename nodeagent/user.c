#include "nodeagent/user.h"

#include "nodeagent/layer.h"
#include "sys/file.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#define MAX_FILE (1 << 20)

static int open_plain(const char *layer, const char *path, int flags)
{
	KG_AUTOCLOSE int dir = open(layer, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};
	return dir < 0 ? -1 : (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
}

/* Does the layer end the search: it has a whiteout, a non-directory or an opaque directory where
 * the file's directory would be. */
static bool hides(const char *layer, const char *path)
{
	char full[4400], dir[64];
	struct stat st;
	snprintf(full, sizeof(full), "%s/%s", layer, path);
	if (lstat(full, &st) == 0)
		return true;
	snprintf(dir, sizeof(dir), "%.*s", (int)strcspn(path, "/"), path);
	snprintf(full, sizeof(full), "%s/%s", layer, dir);
	if (lstat(full, &st) < 0)
		return false;
	return !S_ISDIR(st.st_mode) || kg_layer_is_opaque(full);
}

/* A file of the image as its layers merge; KG_E_NOT_FOUND. path is relative, two components at
 * most ("etc/passwd"). */
static int image_read(struct kg_buf *out, const struct kg_image *image, const char *path,
	size_t max, struct kg_error *err)
{
	for (size_t i = 0; i < image->nlayers; i++) {
		KG_AUTOCLOSE int fd = open_plain(image->dirs[i], path, O_RDONLY | O_NONBLOCK);
		struct stat st;
		if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
			char self[64];
			snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
			return kg_file_read(out, self, max, err);
		}
		if (fd >= 0 || hides(image->dirs[i], path))
			break;
	}
	return kg_fail(err, KG_E_NOT_FOUND, "the image has no /%s", path);
}

/* The next line's fields; NULL at the end. Text is cut up in place. */
static int next_entry(char **text, char *fields[7])
{
	char *line = strsep(text, "\n");
	int n = 0;
	if (!line)
		return -1;
	while (n < 7 && line)
		fields[n++] = strsep(&line, ":");
	for (int i = n; i < 7; i++)
		fields[i] = NULL;
	return n;
}

static bool number(uint32_t *out, const char *s)
{
	char *end;
	if (!s || !isdigit((unsigned char)*s))
		return false;
	unsigned long n = strtoul(s, &end, 10);
	*out = (uint32_t)n;
	return !*end && n <= INT32_MAX;
}

/* By name or, where that is a number, by id. */
static bool find_user(
	struct kg_user *u, const char *passwd, const char *name, char *login, size_t login_size)
{
	KG_AUTOFREE char *copy = kg_strdup(passwd);
	char *text = copy, *f[7];
	uint32_t want;
	bool by_id = number(&want, name);
	while (next_entry(&text, f) >= 0) {
		uint32_t uid, gid;
		if (!number(&uid, f[2]) || !number(&gid, f[3]))
			continue;
		if (by_id ? uid != want : strcmp(f[0], name) != 0)
			continue;
		u->uid = uid;
		u->gid = gid;
		snprintf(login, login_size, "%s", f[0]);
		if (f[5] && f[5][0] == '/')
			snprintf(u->home, sizeof(u->home), "%s", f[5]);
		return true;
	}
	return false;
}

void kg_user_add_group(struct kg_user *user, uint32_t gid)
{
	for (unsigned i = 0; i < user->ngroups; i++)
		if (user->groups[i] == gid)
			return;
	if (user->ngroups < KG_ARRAY_LEN(user->groups))
		user->groups[user->ngroups++] = gid;
}

static bool listed(const char *members, const char *login)
{
	size_t n = strlen(login);
	for (const char *m = members; m && *m; m += strcspn(m, ","), m += *m == ',')
		if (!strncmp(m, login, n) && (!m[n] || m[n] == ','))
			return true;
	return false;
}

static bool find_group(uint32_t *gid, const char *groups, const char *name)
{
	KG_AUTOFREE char *copy = kg_strdup(groups);
	char *text = copy, *f[7];
	while (next_entry(&text, f) >= 0)
		if (f[0] && !strcmp(f[0], name) && number(gid, f[2]))
			return true;
	return false;
}

static void add_memberships(struct kg_user *u, const char *groups, const char *login)
{
	KG_AUTOFREE char *copy = kg_strdup(groups);
	char *text = copy, *f[7];
	uint32_t gid;
	while (*login && next_entry(&text, f) >= 0)
		if (number(&gid, f[2]) && listed(f[3], login))
			kg_user_add_group(u, gid);
}

int kg_user_lookup(
	struct kg_user *out, const struct kg_image *image, const char *spec, struct kg_error *err)
{
	KG_AUTOBUF struct kg_buf passwd = KG_BUF_INIT;
	KG_AUTOBUF struct kg_buf group = KG_BUF_INIT;
	struct kg_error ignored; /* an image without these files has numbers only */
	char login[64] = "";
	KG_AUTOFREE char *user = kg_strdup(*spec ? spec : "0");
	char *colon = strchr(user, ':');
	if (colon)
		*colon++ = '\0';
	*out = (struct kg_user){.home = "/"};
	out->numeric = number(&out->uid, user);
	image_read(&passwd, image, "etc/passwd", MAX_FILE, &ignored);
	image_read(&group, image, "etc/group", MAX_FILE, &ignored);
	bool found = find_user(out, kg_buf_str(&passwd), user, login, sizeof(login));
	if (!found && !out->numeric)
		return kg_fail(err, KG_E_INVALID, "the image has no user \"%s\"", user);
	if (!found && out->uid == 0)
		snprintf(out->home, sizeof(out->home), "/root");
	if (colon && *colon && !number(&out->gid, colon) &&
		!find_group(&out->gid, kg_buf_str(&group), colon))
		return kg_fail(err, KG_E_INVALID, "the image has no group \"%s\"", colon);
	if (!colon)
		add_memberships(out, kg_buf_str(&group), login);
	return 0;
}
