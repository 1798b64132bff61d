/*
 * Bytes for many sockets. Where the host has io_uring the kernel is handed all of them in one call:
 * a call for each is a fifth of what a watch's event costs. Sends do not wait, so each is done when
 * that call returns. Where there is no io_uring (an old kernel, kernel.io_uring_disabled, a
 * container's filter), or it fails, each parcel is a send of its own.
 */
#include "base/log.h"
#include "base/mem.h"
#include "internal.h"

#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <string.h>
#include <sys/socket.h>

/* More is left for the next time: what a thread writes and the kernel reads stays in the cache. */
#define FULL ((size_t)128 * 1024)

struct kg_outbox {
	struct kg_buf bytes;
	size_t n;
	bool has_ring;
	struct io_uring ring;
	struct kg_parcel parcels[KG_OUTBOX_MAX];
};

/* Of the calling thread alone, where the kernel knows that (Linux 6.1). */
static int open_ring(struct io_uring *ring)
{
	int rc = io_uring_queue_init(
		KG_OUTBOX_MAX, ring, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);

	if (rc == -EINVAL)
		rc = io_uring_queue_init(KG_OUTBOX_MAX, ring, 0);
	/* Sends came with Linux 5.6, and so did this feature. */
	if (rc == 0 && !(ring->features & IORING_FEAT_RW_CUR_POS)) {
		io_uring_queue_exit(ring);
		rc = -ENOSYS;
	}
	return rc;
}

struct kg_outbox *kg_outbox_new(bool io_uring)
{
	struct kg_outbox *o = kg_alloc(sizeof(*o));

	if (io_uring) {
		int rc = open_ring(&o->ring);

		o->has_ring = rc == 0;
		if (rc)
			kg_debug("http: no io_uring: %s; a watch's events are sent one by one",
				strerror(-rc));
	}
	return o;
}

void kg_outbox_free(struct kg_outbox *o)
{
	if (!o)
		return;
	if (o->has_ring)
		io_uring_queue_exit(&o->ring);
	kg_buf_release(&o->bytes);
	free(o);
}

bool kg_outbox_is_full(const struct kg_outbox *o)
{
	return o->n == KG_OUTBOX_MAX || o->bytes.len >= FULL;
}

void kg_outbox_begin(struct kg_outbox *o, int fd)
{
	assert(o->n < KG_OUTBOX_MAX);
	o->parcels[o->n++] = (struct kg_parcel){.fd = fd, .at = o->bytes.len};
}

void kg_outbox_add(struct kg_outbox *o, const void *p, size_t n)
{
	kg_buf_add(&o->bytes, p, n);
	o->parcels[o->n - 1].len += n;
}

char *kg_outbox_extend(struct kg_outbox *o, size_t n)
{
	kg_buf_reserve(&o->bytes, n);
	char *p = o->bytes.data + o->bytes.len;

	o->bytes.len += n;
	p[n] = '\0';
	o->parcels[o->n - 1].len += n;
	return p;
}

void kg_outbox_empty(struct kg_outbox *o)
{
	struct kg_parcel *p = &o->parcels[o->n - 1];

	o->bytes.len = p->at;
	p->len = 0;
}

static void send_one(const struct kg_outbox *o, struct kg_parcel *p)
{
	ssize_t rc;

	do
		rc = send(p->fd, o->bytes.data + p->at, p->len, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (rc < 0 && errno == EINTR);
	p->sent = rc < 0 ? -errno : rc;
}

/* How many of them are done. */
static unsigned reap(struct kg_outbox *o)
{
	struct io_uring_cqe *cqe;
	unsigned head, n = 0;

	io_uring_for_each_cqe(&o->ring, head, cqe)
	{
		o->parcels[cqe->user_data].sent = cqe->res;
		n++;
	}
	io_uring_cq_advance(&o->ring, n);
	return n;
}

/* What the ring did not take goes out without it, and so does all that follows. Whatever it took
 * and said nothing of has failed: a part may be out. */
static void give_up(struct kg_outbox *o, int error)
{
	unsigned left = io_uring_sq_ready(&o->ring);

	kg_warn("http: io_uring: %s; a watch's events are sent one by one from now on",
		strerror(error));
	for (size_t i = o->n; left > 0 && i-- > 0;) {
		if (!o->parcels[i].len)
			continue;
		send_one(o, &o->parcels[i]);
		left--;
	}
	io_uring_queue_exit(&o->ring);
	o->has_ring = false;
}

static void send_by_ring(struct kg_outbox *o)
{
	unsigned n = 0, done = 0;

	for (size_t i = 0; i < o->n; i++) {
		struct kg_parcel *p = &o->parcels[i];

		if (!p->len)
			continue;
		struct io_uring_sqe *sqe = io_uring_get_sqe(&o->ring);

		p->sent = -EIO;
		io_uring_prep_send(
			sqe, p->fd, o->bytes.data + p->at, p->len, MSG_NOSIGNAL | MSG_DONTWAIT);
		sqe->user_data = i;
		n++;
	}
	while (done < n) {
		int rc = io_uring_submit_and_wait(&o->ring, n - done);

		done += reap(o);
		if (rc < 0 && rc != -EINTR) {
			give_up(o, -rc);
			return;
		}
	}
}

const struct kg_parcel *kg_outbox_send(struct kg_outbox *o)
{
	if (o->has_ring && o->n > 1)
		send_by_ring(o);
	else
		for (size_t i = 0; i < o->n; i++)
			if (o->parcels[i].len)
				send_one(o, &o->parcels[i]);
	return o->parcels;
}

const char *kg_outbox_bytes(const struct kg_outbox *o, const struct kg_parcel *p)
{
	return o->bytes.data + p->at;
}

void kg_outbox_clear(struct kg_outbox *o)
{
	kg_buf_clear(&o->bytes);
	o->n = 0;
}
