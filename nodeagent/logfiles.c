#include "nodeagent/logs.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "sys/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MESSAGE_BYTES  4096
#define FALLBACK_BYTES 2048
#define FALLBACK_LINES 80

int kg_log_rotate(const char *path, int64_t max, int files, struct kg_error *err)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return errno == ENOENT ? 0 : kg_fail_errno(err, "%s", path);
	if (st.st_size <= max)
		return 0;
	for (int i = files - 1; i > 0; i--) {
		KG_AUTOFREE char *to = kg_asprintf("%s.%d", path, i);
		KG_AUTOFREE char *from =
			i > 1 ? kg_asprintf("%s.%d", path, i - 1) : kg_strdup(path);
		if (rename(from, to) < 0 && errno != ENOENT)
			return kg_fail_errno(err, "rename %s", from);
	}
	return 1;
}

/* "NAME.N.log" or "NAME.N.log.K". */
static bool is_before(const char *file, const char *container, int first)
{
	size_t n = strlen(container);
	char *end;
	if (strncmp(file, container, n) != 0 || file[n] != '.')
		return false;
	long attempt = strtol(file + n + 1, &end, 10);
	return end != file + n + 1 && !strncmp(end, ".log", 4) && (!end[4] || end[4] == '.') &&
	       attempt < first;
}

int kg_logs_forget(const char *dir, const char *container, int first, struct kg_error *err)
{
	DIR *d = first > 0 ? opendir(dir) : NULL;
	int rc = 0;
	if (first > 0 && !d)
		return kg_fail_errno(err, "%s", dir);
	for (struct dirent *e; d && rc == 0 && (e = readdir(d));)
		if (is_before(e->d_name, container, first) && unlinkat(dirfd(d), e->d_name, 0) < 0)
			rc = kg_fail_errno(err, "remove %s/%s", dir, e->d_name);
	if (d)
		closedir(d);
	return rc;
}

/* The last n bytes of a file. */
static void read_end(struct kg_buf *out, const char *path, size_t n)
{
	KG_AUTOCLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	char buf[16384];
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	if (n > sizeof(buf))
		n = sizeof(buf);
	off_t from = st.st_size > (off_t)n ? st.st_size - (off_t)n : 0;
	ssize_t got = pread(fd, buf, n, from);
	if (got > 0)
		kg_buf_add(out, buf, (size_t)got);
}

/* The text of CRI lines, at most so many lines and bytes from the end. */
static char *text_of(char *log)
{
	KG_AUTOBUF struct kg_buf out = KG_BUF_INIT;
	char *line;
	while ((line = strsep(&log, "\n"))) {
		char *text = line;
		char tag = 'F';
		for (int i = 0; i < 3 && text; i++) {
			if (i == 2)
				tag = *text;
			text = strchr(text, ' ');
			text = text ? text + 1 : NULL;
		}
		if (!text)
			continue; /* the first one is cut */
		kg_buf_adds(&out, text);
		if (tag == 'F')
			kg_buf_addc(&out, '\n');
	}
	const char *from = kg_buf_str(&out);
	if (out.len > FALLBACK_BYTES)
		from += out.len - FALLBACK_BYTES;
	int lines = 0;
	for (const char *p = out.data + out.len; out.len && p > from; p--) {
		if (p[-1] == '\n' && ++lines > FALLBACK_LINES) {
			from = p;
			break;
		}
	}
	return *from ? kg_strdup(from) : NULL;
}

/* Text becomes JSON sooner or later: what is not UTF-8 is replaced. */
static void make_utf8(char *s)
{
	for (size_t left = strlen(s); left;) {
		uint32_t c;
		unsigned n = kg_utf8_next(s, left, &c);

		if (!n) {
			*s = '?';
			n = 1;
		}
		s += n;
		left -= n;
	}
}

char *kg_term_message(const char *term, const char *log, const char *policy, bool failed)
{
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	char *message = NULL;
	read_end(&b, term, MESSAGE_BYTES);
	if (b.len > 0) {
		message = kg_strdup(kg_buf_str(&b));
	} else if (failed && !strcmp(policy, "FallbackToLogsOnError")) {
		read_end(&b, log, 8192);
		if (b.len > 0)
			message = text_of(b.data);
	}
	if (message)
		make_utf8(message);
	return message;
}
