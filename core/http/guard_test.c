#include "base/mem.h"
#include "internal.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define SHORT_MS 60
#define LONG_MS  60000

static int guard_new(struct kg_guard **g, int64_t header_ms, int64_t idle_ms, int64_t body_ms)
{
	const int64_t limits[KG_NPHASES] = {[KG_PHASE_HEADER] = header_ms,
		[KG_PHASE_IDLE] = idle_ms,
		[KG_PHASE_BODY] = body_ms,
		[KG_PHASE_CLOSING] = header_ms};

	return kg_guard_new(g, limits, NULL);
}

struct pair {
	int ours, peers;
	struct kg_guard_entry entry;
};

static struct pair pair_new(void)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	return (struct pair){.ours = fds[0], .peers = fds[1], .entry = {.fd = fds[0]}};
}

/* Whether the peer sees the end within ms. */
static bool ends(const struct pair *p, int ms)
{
	struct pollfd pfd = {.fd = p->peers, .events = POLLIN};

	return poll(&pfd, 1, ms) == 1;
}

static void pair_close(struct kg_guard *g, struct pair *p)
{
	kg_guard_unwatch(g, &p->entry);
	kg_guard_phase(g, &p->entry, KG_PHASE_FREE);
	close(p->ours);
	close(p->peers);
}

static void phases_that_last_too_long_end(void **state)
{
	struct kg_guard *g = NULL;
	struct pair p[6];

	(void)state;
	assert_int_equal(guard_new(&g, SHORT_MS, LONG_MS, SHORT_MS), 0);
	for (size_t i = 0; i < KG_ARRAY_LEN(p); i++)
		p[i] = pair_new();
	kg_guard_phase(g, &p[0].entry, KG_PHASE_IDLE); /* the thread sleeps long now */
	kg_guard_phase(g, &p[1].entry, KG_PHASE_HEADER);
	kg_guard_phase(g, &p[2].entry, KG_PHASE_BODY);
	kg_guard_phase(g, &p[3].entry, KG_PHASE_HEADER);
	kg_guard_phase(g, &p[3].entry, KG_PHASE_FREE);
	kg_guard_phase(g, &p[4].entry, KG_PHASE_HEADER);
	kg_guard_phase(g, &p[4].entry, KG_PHASE_IDLE);
	kg_guard_phase(g, &p[5].entry, KG_PHASE_HEADER);
	assert_true(ends(&p[1], 10000));
	assert_true(ends(&p[2], 10000));
	assert_true(ends(&p[5], 10000));
	assert_false(ends(&p[0], 0));
	assert_false(ends(&p[3], 0));
	assert_false(ends(&p[4], 0));
	/* Once more on the same entry. */
	kg_guard_phase(g, &p[3].entry, KG_PHASE_BODY);
	assert_true(ends(&p[3], 10000));
	for (size_t i = 0; i < KG_ARRAY_LEN(p); i++)
		pair_close(g, &p[i]);
	kg_guard_free(g);
}

static bool is_broken(struct kg_http_req *req)
{
	pthread_mutex_lock(&req->lock);
	bool broken = req->broken;
	pthread_mutex_unlock(&req->lock);
	return broken;
}

static void peers_that_go_break_their_request(void **state)
{
	struct kg_http_req req[3];
	struct kg_guard *g = NULL;
	struct pair p[3];

	(void)state;
	assert_int_equal(guard_new(&g, LONG_MS, LONG_MS, LONG_MS), 0);
	for (size_t i = 0; i < KG_ARRAY_LEN(p); i++) {
		req[i] = (struct kg_http_req){.refs = 1};
		pthread_mutex_init(&req[i].lock, NULL);
		p[i] = pair_new();
		kg_guard_watch(g, &p[i].entry, &req[i], false);
	}
	/* Data is no reason. */
	assert_int_equal(write(p[0].peers, "x", 1), 1);
	kg_guard_unwatch(g, &p[1].entry);
	shutdown(p[1].peers, SHUT_RDWR);
	shutdown(p[2].peers, SHUT_RDWR);
	for (int i = 0; i < 10000 && !is_broken(&req[2]); i++)
		usleep(1000);
	assert_true(is_broken(&req[2]));
	assert_false(is_broken(&req[0]));
	assert_false(is_broken(&req[1]));
	/* One that is gone before it is watched. */
	kg_guard_watch(g, &p[1].entry, &req[1], false);
	for (int i = 0; i < 10000 && !is_broken(&req[1]); i++)
		usleep(1000);
	assert_true(is_broken(&req[1]));
	for (size_t i = 0; i < KG_ARRAY_LEN(p); i++)
		pair_close(g, &p[i]);
	kg_guard_free(g);
	for (size_t i = 0; i < KG_ARRAY_LEN(p); i++) {
		assert_int_equal(req[i].refs, 1);
		pthread_mutex_destroy(&req[i].lock);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(phases_that_last_too_long_end),
		cmocka_unit_test(peers_that_go_break_their_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
