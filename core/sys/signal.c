#include "base/err.h"
#include "loop_private.h"
#include "sys/loop.h"

#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

void kg_signals_block(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void on_signal(void *ctx, uint32_t events)
{
	struct kg_loop *loop = ctx;
	struct signalfd_siginfo info;

	(void)events;
	while (read(loop->sigfd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		struct kg_signal_handler *h = &loop->handlers[info.ssi_signo];

		if (h->fn)
			h->fn(h->ctx, (int)info.ssi_signo);
	}
}

int kg_loop_signal(struct kg_loop *loop, int signo, void (*fn)(void *ctx, int signo), void *ctx)
{
	if (signo <= 0 || signo >= 65)
		return -KG_E_INVALID;
	sigaddset(&loop->sigset, signo);
	int fd = signalfd(loop->sigfd, &loop->sigset, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -KG_E_IO;
	loop->sigfd = fd;
	if (!loop->sigwatch)
		loop->sigwatch = kg_loop_watch(loop, fd, EPOLLIN, on_signal, loop);
	if (!loop->sigwatch)
		return -KG_E_IO;
	loop->handlers[signo] = (struct kg_signal_handler){fn, ctx};
	return 0;
}

void kg_loop_signals_release(struct kg_loop *loop)
{
	kg_watch_free(loop->sigwatch);
	loop->sigwatch = NULL;
	if (loop->sigfd >= 0)
		close(loop->sigfd);
	loop->sigfd = -1;
}
