#include "base/mem.h"
#include "sys/loop.h"
#include "sys/spawn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

struct log {
	struct kg_loop *loop;
	char text[256];
	struct kg_timer *timers[8];
	struct kg_watch *watches[2];
	int fds[4];
	struct kg_child *child;
};

static void note(struct log *log, const char *word)
{
	size_t n = strlen(log->text);

	snprintf(log->text + n, sizeof(log->text) - n, "%s ", word);
}

static void stop(void *ctx)
{
	struct log *log = ctx;

	kg_loop_stop(log->loop, 7);
}

static void fire_a(void *ctx)
{
	note(ctx, "a");
}

static void fire_b(void *ctx)
{
	note(ctx, "b");
}

static void fire_c(void *ctx)
{
	struct log *log = ctx;

	note(log, "c");
	kg_timer_set(log->timers[1], 1); /* re-arms b */
	kg_timer_free(log->timers[2]);   /* frees itself */
}

static void test_timers(void **state)
{
	struct log log = {.loop = kg_loop_new()};

	(void)state;
	log.timers[0] = kg_timer_new(log.loop, fire_a, &log);
	log.timers[1] = kg_timer_new(log.loop, fire_b, &log);
	log.timers[2] = kg_timer_new(log.loop, fire_c, &log);
	log.timers[3] = kg_timer_new(log.loop, fire_a, &log);
	log.timers[4] = kg_timer_new(log.loop, stop, &log);
	kg_timer_set(log.timers[4], 25);
	kg_timer_set(log.timers[2], 8);
	kg_timer_set(log.timers[1], 4);
	kg_timer_set(log.timers[0], 4);
	kg_timer_set(log.timers[3], 6);
	kg_timer_set(log.timers[3], -1);
	assert_int_equal(kg_loop_run(log.loop), 7);
	assert_string_equal(log.text, "b a c b ");
	kg_timer_free(log.timers[0]);
	kg_loop_free(log.loop); /* frees the others */
}

static void test_many_timers(void **state)
{
	struct log log = {.loop = kg_loop_new()};
	struct kg_timer *t[500];

	(void)state;
	for (int i = 0; i < 500; i++) {
		t[i] = kg_timer_new(log.loop, fire_a, &log);
		kg_timer_set(t[i], 100000 + (i * 7919) % 500);
	}
	for (int i = 0; i < 500; i += 2)
		kg_timer_free(t[i]);
	log.timers[0] = kg_timer_new(log.loop, stop, &log);
	kg_timer_set(log.timers[0], 0);
	assert_int_equal(kg_loop_run(log.loop), 7);
	assert_string_equal(log.text, "");
	kg_loop_free(log.loop);
}

/* Both pipes are readable in one round; whichever comes first frees the other. */
static void on_either(void *ctx, uint32_t events)
{
	struct log *log = ctx;

	assert_true(events & EPOLLIN);
	note(log, "readable");
	kg_watch_free(log->watches[0]);
	kg_watch_free(log->watches[1]);
	kg_loop_post(log->loop, stop, log);
}

static void test_watch_freed_in_callback(void **state)
{
	struct log log = {.loop = kg_loop_new()};

	(void)state;
	assert_int_equal(pipe(log.fds), 0);
	assert_int_equal(pipe(log.fds + 2), 0);
	assert_int_equal(write(log.fds[1], "x", 1), 1);
	assert_int_equal(write(log.fds[3], "x", 1), 1);
	log.watches[0] = kg_loop_watch(log.loop, log.fds[0], EPOLLIN, on_either, &log);
	log.watches[1] = kg_loop_watch(log.loop, log.fds[2], EPOLLIN, on_either, &log);
	assert_null(kg_loop_watch(log.loop, log.fds[0], EPOLLIN, on_either, &log));
	assert_int_equal(kg_loop_run(log.loop), 7);
	assert_string_equal(log.text, "readable ");
	kg_loop_free(log.loop);
	for (int i = 0; i < 4; i++)
		close(log.fds[i]);
}

struct counter {
	struct kg_loop *loop;
	long next;
};
struct numbered {
	struct counter *counter;
	long n;
};

static void in_order(void *ctx)
{
	struct numbered *m = ctx;

	assert_int_equal(m->n, m->counter->next);
	if (++m->counter->next == 10000)
		kg_loop_stop(m->counter->loop, 3);
	free(m);
}

static void *poster(void *ctx)
{
	struct counter *c = ctx;

	for (long i = 0; i < 10000; i++) {
		struct numbered *m = kg_alloc(sizeof(*m));
		*m = (struct numbered){c, i};
		kg_loop_post(c->loop, in_order, m);
	}
	return NULL;
}

static void test_posts_of_another_thread(void **state)
{
	struct counter c = {.loop = kg_loop_new()};
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, poster, &c), 0);
	assert_int_equal(kg_loop_run(c.loop), 3);
	pthread_join(thread, NULL);
	assert_int_equal(c.next, 10000);
	kg_loop_free(c.loop);
}

static void ended(void *ctx, int status)
{
	struct log *log = ctx;
	char word[32];

	snprintf(word, sizeof(word), "%d", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	note(log, word);
	kg_child_free(log->child);
	stop(log);
}

static pid_t start(const char *script)
{
	const char *argv[] = {"sh", "-c", script, NULL};
	struct kg_spawn s = KG_SPAWN_INIT;
	struct kg_error err;
	pid_t pid = 0;

	s.argv = argv;
	assert_int_equal(kg_spawn(&pid, &s, &err), 0);
	return pid;
}

static void test_children(void **state)
{
	struct log log = {.loop = kg_loop_new()};

	(void)state;
	log.child = kg_loop_child(log.loop, start("exit 5"), ended, &log);
	assert_int_equal(kg_loop_run(log.loop), 7);
	assert_string_equal(log.text, "5 ");
	/* One that is forgotten is reaped all the same, and nobody is told. */
	kg_child_free(kg_loop_child(log.loop, start("exit 1"), ended, &log));
	log.child = kg_loop_child(log.loop, start("sleep 0.02"), ended, &log);
	assert_int_equal(kg_loop_run(log.loop), 7);
	assert_string_equal(log.text, "5 0 ");
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	kg_loop_free(log.loop);
}

static void got_signal(void *ctx, int signo)
{
	struct log *log = ctx;

	note(log, signo == SIGTERM ? "term" : "hup");
	if (signo == SIGTERM)
		stop(log);
}

static void test_signals(void **state)
{
	struct log log = {.loop = kg_loop_new()};

	(void)state;
	kg_signals_block();
	assert_int_equal(kg_loop_signal(log.loop, SIGTERM, got_signal, &log), 0);
	assert_int_equal(kg_loop_signal(log.loop, SIGHUP, got_signal, &log), 0);
	assert_true(kg_loop_signal(log.loop, 0, got_signal, &log) < 0);
	raise(SIGHUP);
	raise(SIGTERM);
	assert_int_equal(kg_loop_run(log.loop), 7);
	assert_string_equal(log.text, "hup term ");
	kg_loop_free(log.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_timers),
		cmocka_unit_test(test_many_timers),
		cmocka_unit_test(test_watch_freed_in_callback),
		cmocka_unit_test(test_posts_of_another_thread),
		cmocka_unit_test(test_children),
		cmocka_unit_test(test_signals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
