#include "base/log.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/time.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

static atomic_int highest = KG_LOG_INFO;

void kg_log_set_level(enum kg_log_level level)
{
	atomic_store_explicit(&highest, (int)level, memory_order_relaxed);
}

/* One write, so that lines of several threads do not mix. */
static void write_line(const char *p, size_t n)
{
	while (n) {
		ssize_t written = write(STDERR_FILENO, p, n);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return; /* there is nowhere left to complain */
		p += written;
		n -= (size_t)written;
	}
}

void kg_log(enum kg_log_level level, const char *fmt, ...)
{
	static const char *const words[] = {"error", "warn", "info", "debug"};
	int saved = errno;
	struct timespec now;
	char stamp[40];
	va_list ap;

	if ((int)level > atomic_load_explicit(&highest, memory_order_relaxed))
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	kg_time_format_micro(stamp, (kg_time)now.tv_sec * 1000 + now.tv_nsec / 1000000);
	KG_AUTOBUF struct kg_buf line = KG_BUF_INIT;
	kg_buf_addf(&line, "%s %s ", stamp, words[level]);
	va_start(ap, fmt);
	errno = saved; /* for %m */
	kg_buf_addv(&line, fmt, ap);
	va_end(ap);
	/* A peer's text must not forge a line of its own. */
	for (size_t i = 0; i < line.len; i++) {
		if ((unsigned char)line.data[i] < 0x20 || line.data[i] == 0x7F)
			line.data[i] = ' ';
	}
	kg_buf_addc(&line, '\n');
	write_line(line.data, line.len);
	errno = saved;
}
