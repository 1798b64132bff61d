/*
 * kgit-hook: the pre-receive and proc-receive hooks of the cluster's repository. A thin client of
 * kgitd: what git says is passed on over the socket beside the repository, what kgitd answers is
 * printed. Every decision is kgitd's.
 *
 * To kgitd: lines "KEY VALUE", then an empty line. From kgitd: "say TEXT" (to the pusher),
 * "pkt TEXT" (a line of the proc-receive protocol), "exit N".
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_PKT 65520

static int die(const char *what)
{
	fprintf(stderr, "kgit: %s: %s\n", what, strerror(errno));
	return 1;
}

static FILE *connect_master(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* Hooks run in the repository, DIR/cluster.git. */
	strcpy(addr.sun_path, "../kgitd.sock");
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return NULL;
	return fdopen(fd, "r+");
}

/* One pkt-line from git into buf (NUL-terminated, without its newline): its length, 0 for a flush,
 * -1 at the end. */
static long read_pkt(char *buf)
{
	char hex[5] = {0};
	size_t len;

	if (fread(hex, 1, 4, stdin) != 4)
		return -1;
	len = strtoul(hex, NULL, 16);
	if (len == 0)
		return 0;
	if (len < 4 || len > MAX_PKT || fread(buf, 1, len - 4, stdin) != len - 4)
		return -1;
	len -= 4;
	while (len && buf[len - 1] == '\n')
		len--;
	buf[len] = '\0';
	return (long)(len ? len : 1);
}

static void write_pkt(const char *text)
{
	printf("%04zx%s\n", strlen(text) + 5, text);
}

/* A line break ends a line of ours: what holds one is no value that kgitd knows. */
static void pass(FILE *master, const char *key, const char *value)
{
	if (!value)
		return;
	fprintf(master, "%s ", key);
	for (; *value; value++)
		putc(*value == '\n' ? '?' : *value, master);
	putc('\n', master);
}

static void pass_environment(FILE *master, const char *hook)
{
	pass(master, "hook", hook);
	pass(master, "user", getenv("KGIT_USER"));
	pass(master, "push", getenv("KGIT_PUSH"));
	pass(master, "quarantine", getenv("GIT_QUARANTINE_PATH"));
}

static void pass_push_options(FILE *master)
{
	const char *count = getenv("GIT_PUSH_OPTION_COUNT");
	long n = count ? strtol(count, NULL, 10) : 0;

	for (long i = 0; i < n; i++) {
		char name[40];
		snprintf(name, sizeof(name), "GIT_PUSH_OPTION_%ld", i);
		pass(master, "option", getenv(name));
	}
}

/* The head of the proc-receive protocol: versions, commands, push options. */
static int pass_proc_receive(FILE *master)
{
	static char buf[MAX_PKT + 1];
	bool options = false;
	long n = read_pkt(buf);

	if (n < 0 || strncmp(buf, "version=1", 9) != 0)
		return -1;
	/* Capabilities follow a NUL. */
	for (long i = 0; i < n; i++)
		if (buf[i] == '\0' && strstr(buf + i + 1, "push-options"))
			options = true;
	while ((n = read_pkt(buf)) > 0)
		;
	printf("%04zx%s%c%s\n",
		strlen("version=1") + 1 + (options ? strlen("push-options") : 0) + 5, "version=1",
		'\0', options ? "push-options" : "");
	printf("0000");
	fflush(stdout);
	while ((n = read_pkt(buf)) > 0)
		pass(master, "command", buf);
	if (n < 0)
		return -1;
	if (options)
		while ((n = read_pkt(buf)) > 0)
			pass(master, "option", buf);
	return n < 0 ? -1 : 0;
}

static int pass_pre_receive(FILE *master)
{
	char *line = NULL;
	size_t cap = 0;

	while (getline(&line, &cap, stdin) > 0)
		fprintf(master, "command %s%s", line, strchr(line, '\n') ? "" : "\n");
	free(line);
	return 0;
}

static int answer(FILE *master)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	int code = -1;

	while (code < 0 && (n = getline(&line, &cap, master)) > 0) {
		if (line[n - 1] == '\n')
			line[n - 1] = '\0';
		if (strncmp(line, "say ", 4) == 0) {
			fprintf(stderr, "%s\n", line + 4);
		} else if (strncmp(line, "pkt ", 4) == 0) {
			write_pkt(line + 4);
		} else if (strncmp(line, "exit ", 5) == 0) {
			code = atoi(line + 5);
		}
	}
	free(line);
	if (code < 0) {
		fprintf(stderr, "kgit: kgitd went away before it answered; look at `kgit log` for "
				"whether the push was taken\n");
		return 1;
	}
	return code;
}

int main(int argc, char **argv)
{
	const char *hook = argc > 0 ? argv[0] : "";
	const char *slash = strrchr(hook, '/');

	if (slash)
		hook = slash + 1;
	bool proc = strcmp(hook, "proc-receive") == 0;
	if (!proc && strcmp(hook, "pre-receive") != 0) {
		fprintf(stderr, "kgit-hook: run by git as pre-receive or proc-receive\n");
		return 2;
	}
	setvbuf(stderr, NULL, _IOLBF, 0);
	FILE *master = connect_master();
	if (!master) {
		fprintf(stderr, "kgit: kgitd does not run, so nothing can be pushed\n");
		return die("connect to kgitd.sock beside the repository");
	}
	pass_environment(master, hook);
	if (!proc)
		pass_push_options(master);
	if ((proc ? pass_proc_receive(master) : pass_pre_receive(master)) < 0)
		return die("read what git sent");
	fprintf(master, "\n");
	if (fflush(master) != 0)
		return die("send to kgitd");
	int code = answer(master);
	if (proc) {
		printf("0000");
		fflush(stdout);
	}
	fclose(master);
	return code;
}
