#include "watch/hub.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* `size` bytes more than others have. */
static struct kg_object *configmap(const char *name, int n, int size)
{
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_value md = kg_v_obj(
		&a, "name", kg_v_str(&a, name), "namespace", kg_v_lit("default"), (char *)NULL);
	struct kg_value data = kg_v_obj(&a, "n", kg_v_strf(&a, "%d%*s", n, size, ""), (char *)NULL);
	struct kg_value v = kg_v_obj(&a, "apiVersion", kg_v_lit("v1"), "kind",
		kg_v_lit("ConfigMap"), "metadata", md, "data", data, (char *)NULL);
	struct kg_object *obj = kg_object_new(&(struct kg_object_spec){
		.kind = &kg_kinds[KG_KIND_CONFIGMAP], .ns = "default", .name = name, .value = &v});

	kg_arena_release(&a);
	return obj;
}

/* The next revision with `changes` objects changed, of about that size. */
static void publish_large(struct kg_hub *hub, int changes, int size)
{
	struct kg_snapshot *prev = kg_hub_snapshot(hub), *next;
	struct kg_txn *txn = kg_txn_new(prev);
	struct kg_changes list;
	char name[32];

	for (int i = 0; i < changes; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		kg_txn_put(txn, configmap(name, (int)prev->revision, size));
	}
	kg_txn_finish(txn, &next, &list);
	assert_int_equal(list.len, changes);
	kg_hub_publish(hub, kg_commit_event_new(next->revision, next->time, &list, next));
	kg_snapshot_unref(next);
	kg_snapshot_unref(prev);
}

static void publish(struct kg_hub *hub, int changes)
{
	publish_large(hub, changes, 0);
}

static struct kg_hub *new_hub(size_t max_changes)
{
	struct kg_snapshot *s = kg_snapshot_new("6ba7b810-9dad-11d1-80b4-00c04fd430c8");
	struct kg_hub *hub = kg_hub_new(s, max_changes);

	kg_snapshot_unref(s);
	return hub;
}

static void test_keeps_what_fits(void **state)
{
	/* commits of these sizes into a hub that keeps `max` changes; then the oldest position */
	static const struct {
		const char *what;
		size_t max;
		int sizes[6]; /* -1 ends */
		uint64_t oldest;
	} cases[] = {
		{"nothing yet", 10, {-1}, 0},
		{"all fit", 10, {3, 3, 3, -1}, 0},
		{"the oldest goes", 8, {3, 3, 3, -1}, 1},
		{"one too large is kept alone", 2, {1, 1, 5, -1}, 2},
		{"empty commits count too", 2, {0, 0, 0, 0, -1}, 2},
	};
	(void)state;

	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_hub *hub = new_hub(cases[i].max);
		uint64_t n = 0;
		bool gone;

		while (cases[i].sizes[n] >= 0)
			publish(hub, cases[i].sizes[n++]);
		print_message("%s\n", cases[i].what);
		assert_int_equal(kg_hub_revision(hub), n);
		assert_int_equal(kg_hub_oldest(hub), cases[i].oldest);
		for (uint64_t r = 0; r <= n + 1; r++) {
			struct kg_commit_event *e = kg_hub_next(hub, r, &gone);

			assert_int_equal(gone, r < cases[i].oldest);
			assert_int_equal(!!e, r >= cases[i].oldest && r < n);
			if (e) {
				assert_int_equal(e->revision, r + 1);
				assert_int_equal(e->snapshot->revision, r + 1);
			}
			kg_commit_event_unref(e);
		}
		kg_hub_free(hub);
	}
}

/* Of large objects few are kept, however many changes would fit: about 32 MB of what was before. */
static void test_keeps_few_bytes(void **state)
{
	struct kg_hub *hub = new_hub(0);
	bool gone;

	(void)state;
	for (int i = 0; i < 31; i++)
		publish_large(hub, 1, 1 << 20);
	assert_int_equal(kg_hub_oldest(hub), 0);
	for (int i = 0; i < 69; i++)
		publish_large(hub, 1, 1 << 20);
	assert_in_range(kg_hub_oldest(hub), 100 - 32, 100 - 30);
	assert_null(kg_hub_next(hub, 10, &gone));
	assert_true(gone);
	/* One that is too large alone is there all the same, alone. */
	publish_large(hub, 40, 1 << 20);
	publish_large(hub, 40, 1 << 20);
	assert_int_equal(kg_hub_oldest(hub), 101);
	/* Fewer where that is wanted, until the next is published; and one always. */
	kg_hub_forget(hub, 1);
	assert_int_equal(kg_hub_oldest(hub), 101);
	for (int i = 0; i < 20; i++)
		publish_large(hub, 1, 1 << 20);
	assert_int_equal(kg_hub_oldest(hub), 102);
	kg_hub_forget(hub, 8 << 20);
	assert_in_range(kg_hub_oldest(hub), 122 - 8, 122 - 6);
	publish_large(hub, 1, 1 << 20);
	assert_in_range(kg_hub_oldest(hub), 122 - 8, 122 - 6);
	publish_large(hub, 40, 1 << 20);
	/* What went counts no more. */
	for (int i = 0; i < 20; i++)
		publish(hub, 1);
	assert_in_range(kg_hub_oldest(hub), 124, 125);
	kg_hub_free(hub);
}

/* Another snapshot of the same content takes the current one's place, unless it came too late. */
static void test_settles(void **state)
{
	struct kg_hub *hub = new_hub(0);
	bool gone;

	(void)state;
	for (int i = 0; i < 3; i++)
		publish(hub, 2);
	struct kg_snapshot *was = kg_hub_snapshot(hub), *anew = kg_snapshot_anew(was), *now;
	assert_ptr_not_equal(anew, was);
	assert_true(kg_hub_settle(hub, anew));
	now = kg_hub_snapshot(hub);
	assert_ptr_equal(now, anew);
	kg_snapshot_unref(now);
	assert_int_equal(kg_hub_oldest(hub), 3);
	assert_null(kg_hub_next(hub, 2, &gone));
	assert_true(gone);
	assert_null(kg_hub_next(hub, 3, &gone));
	assert_false(gone);

	publish(hub, 2);
	assert_false(kg_hub_settle(hub, anew));
	now = kg_hub_snapshot(hub);
	assert_int_equal(now->revision, 4);
	kg_snapshot_unref(now);
	struct kg_commit_event *e = kg_hub_next(hub, 3, &gone);
	assert_int_equal(e->revision, 4);
	kg_commit_event_unref(e);
	kg_snapshot_unref(was);
	kg_snapshot_unref(anew);
	kg_hub_free(hub);
}

static void count(void *ctx)
{
	++*(int *)ctx;
}

static void test_subscribers_are_called(void **state)
{
	struct kg_hub *hub = new_hub(0);
	int a = 0, b = 0, c = 0;
	(void)state;

	struct kg_subscription *sa = kg_hub_subscribe(hub, count, &a);
	struct kg_subscription *sb = kg_hub_subscribe(hub, count, &b);
	publish(hub, 1);
	struct kg_subscription *sc = kg_hub_subscribe(hub, count, &c);
	kg_hub_unsubscribe(sb);
	publish(hub, 1);
	kg_hub_unsubscribe(sa);
	kg_hub_unsubscribe(sc);
	publish(hub, 1);
	assert_int_equal(a, 2);
	assert_int_equal(b, 1);
	assert_int_equal(c, 1);
	kg_hub_free(hub);
}

struct reader {
	struct kg_hub *hub;
	uint64_t until, got;
	bool ordered;
};

static void *read_all(void *arg)
{
	struct reader *r = arg;
	uint64_t at = 0;
	bool gone;

	r->ordered = true;
	while (at < r->until) {
		struct kg_commit_event *e = kg_hub_next(r->hub, at, &gone);

		if (!e) {
			if (gone || !kg_hub_wait(r->hub, at + 1, 20000))
				break;
			continue;
		}
		r->ordered &= e->revision == at + 1 && e->changes.len == 1 &&
			      e->changes.items[0].after->revision == at + 1;
		at = e->revision;
		r->got++;
		kg_commit_event_unref(e);
	}
	return NULL;
}

static void test_readers_see_every_revision_once(void **state)
{
	enum { READERS = 4, COMMITS = 500 };
	struct kg_hub *hub = new_hub(0);
	struct reader readers[READERS];
	pthread_t threads[READERS];
	(void)state;

	for (int i = 0; i < READERS; i++) {
		readers[i] = (struct reader){.hub = hub, .until = COMMITS};
		assert_int_equal(pthread_create(&threads[i], NULL, read_all, &readers[i]), 0);
	}
	for (int i = 0; i < COMMITS; i++)
		publish(hub, 1);
	for (int i = 0; i < READERS; i++) {
		pthread_join(threads[i], NULL);
		assert_true(readers[i].ordered);
		assert_int_equal(readers[i].got, COMMITS);
	}
	kg_hub_free(hub);
}

struct churn {
	struct kg_hub *hub;
	_Atomic bool stop;
};

static _Atomic int called_dead;

static void live_only(void *ctx)
{
	_Atomic int *alive = ctx;

	if (!*alive)
		called_dead++;
}

static void *subscribe_over_and_over(void *arg)
{
	struct churn *c = arg;

	while (!c->stop) {
		_Atomic int alive = 1;
		struct kg_subscription *s = kg_hub_subscribe(c->hub, live_only, (void *)&alive);

		kg_hub_unsubscribe(s);
		alive = 0;
	}
	return NULL;
}

static void test_nobody_is_called_after_unsubscribe(void **state)
{
	struct churn c = {.hub = new_hub(100)};
	pthread_t threads[2];
	(void)state;

	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, subscribe_over_and_over, &c);
	for (int i = 0; i < 300; i++)
		publish(c.hub, 1);
	c.stop = true;
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(called_dead, 0);
	kg_hub_free(c.hub);
}

static void test_wait_ends_when_time_is_up(void **state)
{
	struct kg_hub *hub = new_hub(0);
	(void)state;

	assert_true(kg_hub_wait(hub, 0, 0));
	assert_false(kg_hub_wait(hub, 1, 10));
	publish(hub, 0);
	assert_true(kg_hub_wait(hub, 1, 0));
	kg_hub_free(hub);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keeps_what_fits),
		cmocka_unit_test(test_keeps_few_bytes),
		cmocka_unit_test(test_settles),
		cmocka_unit_test(test_subscribers_are_called),
		cmocka_unit_test(test_readers_see_every_revision_once),
		cmocka_unit_test(test_nobody_is_called_after_unsubscribe),
		cmocka_unit_test(test_wait_ends_when_time_is_up),
	};

	kg_kinds_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
