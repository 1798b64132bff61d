#include "base/mem.h"
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

enum { SOCKETS = 8 };

struct pairs {
	int ours[SOCKETS], theirs[SOCKETS];
};

static void pairs_open(struct pairs *p)
{
	for (int i = 0; i < SOCKETS; i++) {
		int fds[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
		p->ours[i] = fds[0];
		p->theirs[i] = fds[1];
	}
}

static void pairs_close(struct pairs *p)
{
	for (int i = 0; i < SOCKETS; i++) {
		close(p->ours[i]);
		if (p->theirs[i] >= 0)
			close(p->theirs[i]);
	}
}

static void expect(int fd, const char *text)
{
	char got[64];
	ssize_t n = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);

	if (n < 0) {
		assert_int_equal(errno, EAGAIN);
		n = 0;
	}
	got[n] = '\0';
	assert_string_equal(got, text);
}

/* "<round>.<i>" to the i-th, in two pieces. */
static void say(struct kg_outbox *o, const struct pairs *p, int i, int round)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%d.%d", round, i);

	kg_outbox_begin(o, p->ours[i]);
	kg_outbox_add(o, text, 2);
	kg_outbox_add(o, text + 2, (size_t)n - 2);
}

static void fill(int fd)
{
	static const char pad[4096];

	while (send(fd, pad, sizeof(pad), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		;
	assert_int_equal(errno, EAGAIN);
}

/* The descriptor of this process's ring; -1: it has none. */
static int find_ring(void)
{
	char path[40], what[64];

	for (int fd = 0; fd < 256; fd++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		ssize_t n = readlink(path, what, sizeof(what) - 1);

		if (n > 0 && memmem(what, (size_t)n, "io_uring", 8))
			return fd;
	}
	return -1;
}

/* Does the host have what outboxes need of io_uring? */
static bool host_has_ring(void)
{
	struct io_uring_params params = {0};
	long fd = syscall(SYS_io_uring_setup, 2, &params);

	if (fd >= 0)
		close((int)fd);
	if (fd >= 0 && params.features & IORING_FEAT_RW_CUR_POS)
		return true;
	print_message("this host has no io_uring\n");
	return false;
}

static void each_gets_its_own(bool io_uring)
{
	struct kg_outbox *o = kg_outbox_new(io_uring);
	struct pairs p;
	char text[24];

	pairs_open(&p);
	for (int round = 1; round < 4; round++) {
		for (int i = 0; i < SOCKETS; i++) {
			say(o, &p, i, round);
			if (i == 3)
				kg_outbox_empty(o);
		}
		const struct kg_parcel *sent = kg_outbox_send(o);

		for (int i = 0; i < SOCKETS; i++) {
			snprintf(text, sizeof(text), "%d.%d", round, i);
			expect(p.theirs[i], i == 3 ? "" : text);
			assert_int_equal(sent[i].sent, i == 3 ? 0 : 3);
			assert_int_equal(sent[i].len, i == 3 ? 0 : 3);
			if (i != 3)
				assert_memory_equal(kg_outbox_bytes(o, &sent[i]), text, 3);
		}
		kg_outbox_clear(o);
	}
	/* One alone. */
	say(o, &p, 5, 9);
	assert_int_equal(kg_outbox_send(o)->sent, 3);
	expect(p.theirs[5], "9.5");
	assert_int_equal(find_ring() >= 0, io_uring);
	kg_outbox_free(o);
	pairs_close(&p);
}

static void who_cannot_is_told(bool io_uring)
{
	struct kg_outbox *o = kg_outbox_new(io_uring);
	char *much = kg_alloc(1 << 22);
	struct pairs p;

	pairs_open(&p);
	fill(p.ours[1]);
	close(p.theirs[2]);
	p.theirs[2] = -1;
	for (int i = 0; i < SOCKETS; i++) {
		if (i == 4) {
			kg_outbox_begin(o, p.ours[i]);
			kg_outbox_add(o, much, 1 << 22);
			assert_true(kg_outbox_is_full(o));
		} else {
			say(o, &p, i, 1);
		}
	}
	const struct kg_parcel *sent = kg_outbox_send(o);

	assert_int_equal(sent[0].sent, 3);
	assert_int_equal(sent[1].sent, -EAGAIN);
	assert_int_equal(sent[2].sent, -EPIPE);
	assert_int_equal(sent[3].sent, 3);
	assert_in_range(sent[4].sent, 1, (1 << 22) - 1);
	assert_int_equal(sent[5].sent, 3);
	expect(p.theirs[7], "1.7");
	assert_int_equal(find_ring() >= 0, io_uring);
	kg_outbox_free(o);
	free(much);
	pairs_close(&p);
}

static void is_bounded(void **state)
{
	struct kg_outbox *o = kg_outbox_new(true);

	(void)state;
	for (int i = 0; i < KG_OUTBOX_MAX; i++) {
		assert_false(kg_outbox_is_full(o));
		kg_outbox_begin(o, -1);
	}
	assert_true(kg_outbox_is_full(o));
	kg_outbox_send(o);
	kg_outbox_clear(o);
	assert_false(kg_outbox_is_full(o));
	kg_outbox_free(o);
}

static void a_ring_that_fails_is_left(void **state)
{
	char text[24];
	struct pairs p;

	(void)state;
	if (!host_has_ring())
		skip();
	struct kg_outbox *o = kg_outbox_new(true);
	int ring = find_ring(), null = open("/dev/null", O_RDWR | O_CLOEXEC);

	assert_true(null >= 0);
	assert_true(ring >= 0);
	assert_int_equal(dup2(null, ring), ring);
	close(null);
	pairs_open(&p);
	for (int round = 1; round < 4; round++) {
		for (int i = 0; i < SOCKETS; i++)
			say(o, &p, i, round);
		const struct kg_parcel *sent = kg_outbox_send(o);

		for (int i = 0; i < SOCKETS; i++) {
			assert_int_equal(sent[i].sent, 3);
			snprintf(text, sizeof(text), "%d.%d", round, i);
			expect(p.theirs[i], text);
		}
		kg_outbox_clear(o);
	}
	kg_outbox_free(o);
	pairs_close(&p);
}

static void with_io_uring(void **state)
{
	(void)state;
	if (!host_has_ring())
		skip();
	each_gets_its_own(true);
	who_cannot_is_told(true);
}

static void without_io_uring(void **state)
{
	(void)state;
	each_gets_its_own(false);
	who_cannot_is_told(false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(with_io_uring),
		cmocka_unit_test(without_io_uring),
		cmocka_unit_test(is_bounded),
		cmocka_unit_test(a_ring_that_fails_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
