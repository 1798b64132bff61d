/*
 * Wake-ups by time. The maps of wakes say what holds (internal.h); the heap finds the earliest
 * without a look at all of them. What a key no more asks for stays in the heap until it comes up,
 * or until that is most of the heap.
 */
#include "reconcile/internal.h"

#include <string.h>

static bool before(const struct kg_alarm *a, const struct kg_alarm *b)
{
	return a->t < b->t;
}

static void swap(struct kg_alarm *a, struct kg_alarm *b)
{
	struct kg_alarm t = *a;
	*a = *b;
	*b = t;
}

static void sift_up(struct kg_alarms *a, size_t i)
{
	for (; i && before(&a->v[i], &a->v[(i - 1) / 2]); i = (i - 1) / 2)
		swap(&a->v[i], &a->v[(i - 1) / 2]);
}

static void sift_down(struct kg_alarms *a, size_t i)
{
	for (;;) {
		size_t first = i;
		for (size_t c = 2 * i + 1; c <= 2 * i + 2 && c < a->n; c++)
			if (before(&a->v[c], &a->v[first]))
				first = c;
		if (first == i)
			return;
		swap(&a->v[i], &a->v[first]);
		i = first;
	}
}

static void pop(struct kg_alarms *a)
{
	free(a->v[0].key);
	a->v[0] = a->v[--a->n];
	sift_down(a, 0);
}

static bool holds(const struct kg_reconcile_state *st, const struct kg_alarm *x)
{
	return (kg_time)(intptr_t)kg_map_get(&st->wakes[x->c], x->key) == x->t;
}

/* From the maps, as one that was set again at its old time is in the heap twice. */
static void sweep(struct kg_reconcile_state *st)
{
	struct kg_alarms *a = &st->alarms;
	st->looked += a->n;
	while (a->n)
		free(a->v[--a->n].key);
	for (int c = 0; c < KG_C_COUNT; c++) {
		struct kg_map_entry *e;
		for (size_t i = 0; (e = kg_map_next(&st->wakes[c], &i));) {
			KG_GROW(a->v, a->cap, a->n + 1);
			a->v[a->n++] = (struct kg_alarm){.t = (kg_time)(intptr_t)e->value,
				.c = (enum kg_controller)c,
				.key = kg_strdup(e->key)};
		}
	}
	for (size_t i = a->n / 2; i-- > 0;)
		sift_down(a, i);
}

void kg_alarm_set(struct kg_reconcile_state *st, enum kg_controller c, const char *key, kg_time t)
{
	struct kg_alarms *a = &st->alarms;
	size_t live = 0;
	KG_GROW(a->v, a->cap, a->n + 1);
	a->v[a->n++] = (struct kg_alarm){.t = t, .c = c, .key = kg_strdup(key)};
	sift_up(a, a->n - 1);
	for (int i = 0; i < KG_C_COUNT; i++)
		live += st->wakes[i].count;
	if (a->n > 64 + 2 * live)
		sweep(st);
}

void kg_alarms_enqueue(struct kg_reconcile_state *st, kg_time now)
{
	struct kg_alarms *a = &st->alarms;
	for (; a->n && a->v[0].t <= now; pop(a)) {
		st->looked++;
		if (holds(st, &a->v[0]))
			kg_enqueue(st, a->v[0].c, a->v[0].key);
	}
}

kg_time kg_alarms_next(struct kg_reconcile_state *st)
{
	struct kg_alarms *a = &st->alarms;
	for (; a->n && !holds(st, &a->v[0]); pop(a))
		st->looked++;
	return a->n ? a->v[0].t : KG_TIME_NEVER;
}

void kg_alarms_release(struct kg_alarms *a)
{
	for (size_t i = 0; i < a->n; i++)
		free(a->v[i].key);
	free(a->v);
	*a = (struct kg_alarms){0};
}
