#include "kgitd/hook.h"

#include <poll.h>
#include <pwd.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_COMMANDS 1000
#define MAX_LINE     8192
#define ZERO_ID      "0000000000000000000000000000000000000000"

/* Who is at the other end, where git was not run by kgitd itself: the owner of the process. */
static char *local_user(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	struct passwd pw, *found = NULL;
	char buf[4096];

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return NULL;
	if (cred.uid != 0 && cred.uid != geteuid())
		return NULL;
	if (getpwuid_r(cred.uid, &pw, buf, sizeof(buf), &found) == 0 && found)
		return kg_strdup(found->pw_name);
	return kg_asprintf("uid-%u", (unsigned)cred.uid);
}

int kgd_hook_init(struct kgd_hook *h, struct kgd_master *m, int fd, struct kg_error *err)
{
	*h = (struct kgd_hook){.m = m, .opts = {.allow_delete = -1}};
	char *name KG_AUTOFREE = local_user(fd);
	if (name && kg_user_set(&h->user, name, err) == 0 &&
		kg_user_add_group(&h->user, "system:masters", err) == 0)
		h->io = fdopen(fd, "r+");
	if (h->io)
		return 0;
	close(fd);
	kgd_hook_release(h);
	return kg_fail(err, KG_E_FORBIDDEN, "a hook was run by a user who does not own the state");
}

void kgd_hook_release(struct kgd_hook *h)
{
	for (size_t i = 0; i < h->ncommands; i++)
		free(h->commands[i].ref);
	free(h->commands);
	free(h->quarantine);
	if (h->io)
		fclose(h->io);
	*h = (struct kgd_hook){0};
}

/* ---- what it sends ---- */

static void set_commit(char out[41], const char *hex)
{
	if (strspn(hex, "0") >= 40)
		out[0] = '\0';
	else
		snprintf(out, 41, "%.40s", hex);
}

static int add_command(struct kgd_hook *h, const char *text, struct kg_error *err)
{
	static const char hex[] = "0123456789abcdef";

	if (strspn(text, hex) != 40 || text[40] != ' ' || strspn(text + 41, hex) != 40 ||
		text[81] != ' ' || !text[82])
		return kg_fail(err, KG_E_BAD_REQUEST, "malformed command of git: %s", text);
	if (h->ncommands == MAX_COMMANDS)
		return kg_fail(
			err, KG_E_TOO_LARGE, "a push may update at most %d refs", MAX_COMMANDS);
	KG_GROW(h->commands, h->cap, h->ncommands + 1);
	struct kgd_command *c = &h->commands[h->ncommands++];
	set_commit(c->old_commit, text);
	set_commit(c->new_commit, text + 41);
	c->ref = kg_strdup(text + 82);
	return 0;
}

static void set_text(char **at, const char *text)
{
	free(*at);
	*at = kg_strdup(text);
}

/* Of a push by a local path: the owner says on whose behalf. */
static int name_user(struct kgd_hook *h, const char *name, struct kg_error *err)
{
	int rc = kg_user_set(&h->user, name, err);

	return rc < 0 ? rc : kg_user_add_group(&h->user, "system:masters", err);
}

static int find_user(struct kgd_hook *h, const char *id, struct kg_error *err)
{
	h->user = (struct kg_user){0};
	if (kgd_pusher_find(&h->user, id)) {
		snprintf(h->push, sizeof(h->push), "%s", id);
		return 0;
	}
	return kg_fail(err, KG_E_FORBIDDEN, "the pusher went away");
}

static int take_line(struct kgd_hook *h, char *line, struct kg_error *err)
{
	char *value = strchr(line, ' ');

	if (!value)
		return kg_fail(err, KG_E_BAD_REQUEST, "malformed line from the hook: %s", line);
	*value++ = '\0';
	if (strcmp(line, "hook") == 0)
		h->proc = strcmp(value, "proc-receive") == 0;
	else if (strcmp(line, "user") == 0)
		return name_user(h, value, err);
	else if (strcmp(line, "push") == 0)
		return find_user(h, value, err);
	else if (strcmp(line, "quarantine") == 0)
		set_text(&h->quarantine, value);
	else if (strcmp(line, "option") == 0)
		return kgd_push_option(&h->opts, value, err);
	else if (strcmp(line, "command") == 0)
		return add_command(h, value, err);
	return 0;
}

int kgd_hook_read(struct kgd_hook *h, struct kg_error *err)
{
	char line[MAX_LINE];
	struct kg_error first = {.code = KG_OK};

	while (fgets(line, sizeof(line), h->io)) {
		char *nl = strchr(line, '\n');

		if (!nl)
			return kg_fail(err, KG_E_BAD_REQUEST,
				"the hook sent a line of over %d bytes", MAX_LINE);
		*nl = '\0';
		if (!*line) {
			*err = first;
			return -(int)first.code;
		}
		/* The rest is still read: the hook is answered once it has sent all. */
		if (take_line(h, line, err) < 0 && first.code == KG_OK)
			first = *err;
	}
	return kg_fail(err, KG_E_BAD_REQUEST, "the hook went away");
}

/* ---- what it is told ---- */

static void add_line(struct kgd_hook *h, const char *prefix, const char *p, const char *end)
{
	fprintf(h->io, "say %s", prefix);
	for (; p < end; p++) {
		unsigned char c = (unsigned char)*p;

		putc((c < ' ' && c != '\t') || c == 127 ? '?' : c, h->io);
	}
	putc('\n', h->io);
}

void kgd_hook_say(struct kgd_hook *h, const char *prefix, const char *lines)
{
	while (*lines) {
		const char *end = strchrnul(lines, '\n');

		if (end > lines)
			add_line(h, prefix, lines, end);
		lines = *end ? end + 1 : end;
	}
	fflush(h->io);
}

void kgd_hook_sayf(struct kgd_hook *h, const char *fmt, ...)
{
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	kg_buf_addv(&text, fmt, ap);
	va_end(ap);
	kgd_hook_say(h, "kgit: ", kg_buf_str(&text));
}

void kgd_hook_refuse(struct kgd_hook *h, const struct kgd_command *c, const char *reason)
{
	h->refused = true;
	if (h->proc) /* one line, since it is a status of git's */
		fprintf(h->io, "pkt ng %s %.*s\n", c->ref, (int)strcspn(reason, "\n"), reason);
}

void kgd_hook_accept(
	struct kgd_hook *h, const struct kgd_command *c, bool fall_through, const char *new_oid)
{
	fprintf(h->io, "pkt ok %s\n", c->ref);
	if (fall_through)
		fputs("pkt option fall-through\n", h->io);
	if (new_oid)
		fprintf(h->io, "pkt option new-oid %s\n", *new_oid ? new_oid : ZERO_ID);
}

bool kgd_hook_deserted(const struct kgd_hook *h)
{
	struct pollfd p = {.fd = fileno(h->io)};
	struct kg_user user;

	if (poll(&p, 1, 0) > 0) /* POLLHUP and POLLERR come unasked */
		return true;
	return *h->push && !kgd_pusher_find(&user, h->push);
}

void kgd_hook_end(struct kgd_hook *h)
{
	fprintf(h->io, "exit %d\n", h->refused && !h->proc ? 1 : 0);
	fflush(h->io);
}
