/* One-shot timers: a binary heap by due time; equal times fire in the order they were set. */
#include "base/mem.h"
#include "loop_private.h"
#include "sys/loop.h"

#include <limits.h>

#define UNARMED SIZE_MAX

struct kg_timer {
	struct kg_timer *prev, *next;
	struct kg_loop *loop;
	int64_t due;
	uint64_t seq;
	size_t pos; /* in the heap, or UNARMED */
	void (*fn)(void *ctx);
	void *ctx;
};

static uint64_t next_seq(void)
{
	static _Thread_local uint64_t seq;

	return ++seq;
}

static bool before(const struct kg_timer *a, const struct kg_timer *b)
{
	return a->due != b->due ? a->due < b->due : a->seq < b->seq;
}

static void place(struct kg_loop *loop, size_t i, struct kg_timer *t)
{
	loop->heap[i] = t;
	t->pos = i;
}

static void sift_up(struct kg_loop *loop, size_t i)
{
	struct kg_timer *t = loop->heap[i];

	while (i > 0 && before(t, loop->heap[(i - 1) / 2])) {
		place(loop, i, loop->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	place(loop, i, t);
}

static void sift_down(struct kg_loop *loop, size_t i)
{
	struct kg_timer *t = loop->heap[i];

	for (;;) {
		size_t child = 2 * i + 1;

		if (child + 1 < loop->heap_len && before(loop->heap[child + 1], loop->heap[child]))
			child++;
		if (child >= loop->heap_len || !before(loop->heap[child], t))
			break;
		place(loop, i, loop->heap[child]);
		i = child;
	}
	place(loop, i, t);
}

static void disarm(struct kg_timer *t)
{
	struct kg_loop *loop = t->loop;
	size_t i = t->pos;

	if (i == UNARMED)
		return;
	t->pos = UNARMED;
	struct kg_timer *last = loop->heap[--loop->heap_len];
	if (last == t)
		return;
	place(loop, i, last);
	sift_up(loop, i);
	sift_down(loop, last->pos);
}

struct kg_timer *kg_timer_new(struct kg_loop *loop, void (*fn)(void *ctx), void *ctx)
{
	struct kg_timer *t = kg_alloc(sizeof(*t));

	t->loop = loop;
	t->fn = fn;
	t->ctx = ctx;
	t->pos = UNARMED;
	t->next = loop->timers;
	if (t->next)
		t->next->prev = t;
	loop->timers = t;
	return t;
}

void kg_timer_set(struct kg_timer *t, int64_t in_ms)
{
	struct kg_loop *loop = t->loop;

	disarm(t);
	if (in_ms < 0)
		return;
	t->due = kg_monotonic_ms() + in_ms;
	t->seq = next_seq();
	KG_GROW(loop->heap, loop->heap_cap, loop->heap_len + 1);
	place(loop, loop->heap_len++, t);
	sift_up(loop, t->pos);
}

void kg_timer_free(struct kg_timer *t)
{
	if (!t)
		return;
	disarm(t);
	if (t->prev)
		t->prev->next = t->next;
	else
		t->loop->timers = t->next;
	if (t->next)
		t->next->prev = t->prev;
	free(t);
}

int kg_timers_wait_ms(const struct kg_loop *loop)
{
	if (!loop->heap_len)
		return -1;
	int64_t left = loop->heap[0]->due - kg_monotonic_ms();
	if (left < 0)
		return 0;
	return left > INT_MAX ? INT_MAX : (int)left;
}

/* A timer set to 0 by a callback fires in the next round, not in this one. */
void kg_timers_run(struct kg_loop *loop)
{
	if (!loop->heap_len)
		return;
	int64_t now = kg_monotonic_ms();
	uint64_t last = next_seq();
	while (loop->heap_len && loop->heap[0]->due <= now && loop->heap[0]->seq < last) {
		struct kg_timer *t = loop->heap[0];

		disarm(t);
		t->fn(t->ctx);
	}
}

void kg_timers_release(struct kg_loop *loop)
{
	while (loop->timers)
		kg_timer_free(loop->timers);
	free(loop->heap);
	loop->heap = NULL;
}
