/*
 * A cluster simulated with seeded chance: Deployments are pushed, changed and removed while nodes
 * make pods ready, pods fail and nodes are lost. After every commit the invariants hold; when
 * chance ends, everything desired is reached.
 */
#include "base/map.h"
#include "base/quantity.h"
#include "reconcile/harness.h"
#include "reconcile/internal.h"
#include "reconcile/simulate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { NODES = 5, APPS = 4, NODE_CPU = 2000 };

struct app {
	bool there, recreate;
	int replicas, image, surge, unavailable, cpu;
	int was_replicas; /* at the last check */
	int64_t was_active;
};
struct sim {
	struct kg_harness h;
	uint64_t seed;
	struct app apps[APPS];
	bool up[NODES];
	struct kg_map names; /* pod key -> uid (owned): every pod that ever was */
};

static uint64_t chance(struct sim *s, uint64_t n)
{
	return kg_harness_chance(&s->seed, n);
}

/* ---- what is always true ---- */

static int64_t pod_cpu(const struct kg_object *pod)
{
	int64_t milli = 0;
	kg_quantity_milli(&milli,
		kg_string(kg_at(kg_obj(pod), "spec.containers.0.resources.requests.cpu"), "0"));
	return milli;
}

static void check_pods(struct sim *s)
{
	struct kg_map cpu = KG_MAP_INIT, ips = KG_MAP_INIT;
	struct kg_object_iter it;
	const struct kg_object *pod;
	kg_iter_kind(&it, s->h.s, KG_KIND_POD, NULL, NULL);
	while ((pod = kg_iter_next(&it))) {
		const char *ip = kg_string(kg_at(kg_obj(pod), "status.podIP"), "");
		const char *node = kg_pod_node(pod);
		char *uid = kg_map_get(&s->names, pod->key);
		if (uid)
			assert_string_equal(uid, kg_object_uid(pod)); /* a name is one pod's */
		else
			kg_map_put(&s->names, pod->key, kg_strdup(kg_object_uid(pod)));
		assert_int_equal(*node != 0, *ip != 0);
		if (!*node)
			continue;
		assert_null(kg_map_put(&ips, ip, (void *)pod)); /* addresses are unique */
		if (kg_pod_terminal(pod))
			continue;
		int64_t used = (intptr_t)kg_map_get(&cpu, node) + pod_cpu(pod);
		assert_true(used <= NODE_CPU); /* nothing is promised twice */
		kg_map_put(&cpu, node, (void *)(intptr_t)used);
	}
	kg_iter_release(&it);
	kg_map_release(&cpu);
	kg_map_release(&ips);
}

struct numbers {
	int64_t active, available;
};

static struct numbers count_app(const struct kg_snapshot *s, int i)
{
	struct numbers n = {0};
	char name[16];
	snprintf(name, sizeof(name), "app-%d", i);
	struct kg_object_iter it;
	const struct kg_object *pod;
	kg_iter_kind(&it, s, KG_KIND_POD, NULL, NULL);
	while ((pod = kg_iter_next(&it))) {
		const char *app = kg_string(kg_at(kg_obj(pod), "metadata.labels.app"), "");
		if (strcmp(app, name) != 0 || !kg_pod_active(pod))
			continue;
		n.active++;
		n.available += kg_object_ready(pod);
	}
	kg_iter_release(&it);
	return n;
}

static void check_endpoints(struct sim *s, int i)
{
	char name[16];
	snprintf(name, sizeof(name), "app-%d", i);
	const struct kg_object *svc = kg_snapshot_get(s->h.s, KG_KIND_SERVICE, "default", name);
	if (!svc)
		return;
	int64_t ready = 0;
	struct kg_object_iter it;
	const struct kg_object *slice;
	kg_iter_index(&it, s->h.s, KG_INDEX_OWNER, kg_object_uid(svc));
	while ((slice = kg_iter_next(&it))) {
		const struct kg_value *eps = kg_get(kg_obj(slice), "endpoints");
		for (uint32_t k = 0; k < kg_len(eps); k++)
			ready += kg_bool(kg_at(&eps->items[k], "conditions.ready"), false);
	}
	kg_iter_release(&it);
	assert_int_equal(ready, count_app(s->h.s, i).available);
}

static void check(struct sim *s)
{
	check_pods(s);
	for (int i = 0; i < APPS; i++) {
		struct app *a = &s->apps[i];
		struct numbers n = count_app(s->h.s, i);
		int64_t most = a->there ? a->replicas + (a->recreate ? 0 : a->surge) : 0;
		/* A smaller maxSurge in the middle of a rollout is reached by and by. */
		if (a->there && a->was_replicas == a->replicas && a->was_active > most)
			most = a->was_active;
		assert_true(n.active <= most);
		a->was_replicas = a->replicas;
		a->was_active = n.active;
		check_endpoints(s, i);
	}
}

/* ---- what happens ---- */

static void run(struct sim *s, struct kg_inputs *in)
{
	struct kg_error err;
	if (kg_harness_run(&s->h, in, &err) < 0)
		fail_msg("reconcile: %s", err.msg);
	check(s);
}

/* A step in which nothing fails never takes availability below what was agreed. */
static void run_gently(struct sim *s, struct kg_inputs *in)
{
	struct numbers before[APPS];
	for (int i = 0; i < APPS; i++)
		before[i] = count_app(s->h.s, i);
	run(s, in);
	for (int i = 0; i < APPS; i++) {
		const struct app *a = &s->apps[i];
		int64_t floor = a->replicas - a->unavailable;
		if (a->there && !a->recreate && before[i].available >= floor)
			assert_true(count_app(s->h.s, i).available >= floor);
	}
}

static void push_app(struct sim *s, int i)
{
	struct app *a = &s->apps[i];
	char path[32], text[2000], strategy[200];
	if (a->recreate)
		snprintf(strategy, sizeof(strategy), "{type: Recreate}");
	else
		snprintf(strategy, sizeof(strategy),
			"{rollingUpdate: {maxSurge: %d, maxUnavailable: %d}}", a->surge,
			a->unavailable);
	snprintf(path, sizeof(path), "app-%d.yaml", i);
	snprintf(text, sizeof(text),
		"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: app-%d}\nspec:\n"
		"  replicas: %d\n  strategy: %s\n  selector: {matchLabels: {app: app-%d}}\n"
		"  template:\n    metadata: {labels: {app: app-%d}}\n    spec:\n"
		"      containers:\n      - {name: c, image: 'i:%d', resources: {requests: {cpu: "
		"%dm}}}\n"
		"---\napiVersion: v1\nkind: Service\nmetadata: {name: app-%d}\nspec:\n"
		"  selector: {app: app-%d}\n  ports: [{port: 80}]\n",
		i, a->replicas, strategy, i, i, a->image, a->cpu, i, i);
	kg_harness_push(&s->h, path, a->there ? text : NULL);
	check(s);
}

static void change_app(struct sim *s, int i)
{
	struct app *a = &s->apps[i];
	if (!a->there) {
		*a = (struct app){.there = true,
			.recreate = chance(s, 4) == 0,
			.cpu = 100 + (int)chance(s, 3) * 50};
	} else if (chance(s, 8) == 0) {
		a->there = false;
		push_app(s, i);
		return;
	}
	a->replicas = (int)chance(s, 9);
	a->image = (int)chance(s, 3);
	a->surge = (int)chance(s, 3);
	a->unavailable = (int)chance(s, 3);
	if (a->surge == 0 && a->unavailable == 0)
		a->surge = 1;
	if (a->unavailable > a->replicas)
		a->unavailable = a->replicas;
	if (a->surge == 0 && a->unavailable == 0)
		a->surge = 1;
	push_app(s, i);
}

static bool node_up(struct sim *s, const char *name)
{
	int i = *name ? atoi(name + 5) : -1;
	return i >= 0 && i < NODES && s->up[i];
}

/* One report a pod with the given odds; `bad` reports failures too. True: there were some. */
static bool report(struct sim *s, uint64_t odds, bool bad)
{
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_snapshot *held = kg_snapshot_ref(s->h.s);
	struct kg_input_pod_status *v = NULL;
	size_t n = 0, cap = 0;
	struct kg_object_iter it;
	const struct kg_object *pod;
	kg_iter_kind(&it, held, KG_KIND_POD, NULL, NULL);
	while ((pod = kg_iter_next(&it))) {
		if (!node_up(s, kg_pod_node(pod)) || kg_pod_terminal(pod) || chance(s, odds) != 0)
			continue;
		bool gone = kg_object_deleting(pod), ready = kg_object_ready(pod);
		if (!gone && ready && !bad)
			continue;
		KG_GROW(v, cap, n + 1);
		v[n] = (struct kg_input_pod_status){.node = kg_pod_node(pod),
			.ns = pod->ns,
			.name = pod->name,
			.uid = kg_object_uid(pod),
			.gone = gone};
		if (!gone && bad && chance(s, 2) == 0)
			v[n].status = kg_v_obj(&a, "phase", kg_v_lit("Failed"), (char *)NULL);
		else if (!gone)
			v[n].status = kg_sim_running(&a, pod, !bad, s->h.now);
		n++;
	}
	kg_iter_release(&it);
	struct kg_inputs in = {.pods = v, .npods = n};
	if (n && bad)
		run(s, &in);
	else if (n)
		run_gently(s, &in);
	free(v);
	kg_snapshot_unref(held);
	kg_arena_release(&a);
	return n > 0;
}

static void set_node(struct sim *s, int i, bool up)
{
	char name[16];
	snprintf(name, sizeof(name), "node-%d", i);
	s->up[i] = up;
	kg_harness_liveness(&s->h, name, up);
	check(s);
}

static void advance(struct sim *s, int64_t ms)
{
	kg_time end = s->h.now + ms;
	while (kg_harness_due(&s->h, end)) {
		struct kg_inputs in = {0};
		run(s, &in);
		assert_true(s->h.wake_at > s->h.now);
	}
}

static void sim_init(struct sim *s, uint64_t seed)
{
	*s = (struct sim){.seed = seed * UINT64_C(0x9e3779b97f4a7c15) + 1};
	kg_harness_init(&s->h, NULL);
	s->h.check = true;
	kg_harness_nodes(&s->h, NODES, "2", "4Gi");
	for (int i = 0; i < NODES; i++)
		s->up[i] = true;
}

static void sim_release(struct sim *s)
{
	struct kg_map_entry *e;
	for (size_t i = 0; (e = kg_map_next(&s->names, &i));)
		free(e->value);
	kg_map_release(&s->names);
	kg_harness_release(&s->h);
}

static void one_round(struct sim *s)
{
	switch (chance(s, 8)) {
	case 0:
		change_app(s, (int)chance(s, APPS));
		break;
	case 1:
		report(s, 6, true);
		break;
	case 2: {
		int i = (int)chance(s, NODES);
		set_node(s, i, !s->up[i]);
		break;
	}
	case 3:
		advance(s, (int64_t)chance(s, 200000));
		break;
	default:
		report(s, 2, false);
	}
	s->h.now += 500;
}

static void all_reached(struct sim *s)
{
	for (int i = 0; i < NODES; i++)
		if (!s->up[i])
			set_node(s, i, true);
	for (int quiet = 0, rounds = 0; quiet < 3; rounds++) {
		assert_true(rounds < 500);
		advance(s, 1000);
		quiet = report(s, 1, false) ? 0 : quiet + 1;
	}
	for (int i = 0; i < APPS; i++) {
		struct numbers n = count_app(s->h.s, i);
		int64_t want = s->apps[i].there ? s->apps[i].replicas : 0;
		assert_int_equal(n.active, want);
		assert_int_equal(n.available, want);
	}
	struct kg_object_iter it;
	const struct kg_object *d;
	kg_iter_kind(&it, s->h.s, KG_KIND_DEPLOYMENT, NULL, NULL);
	while ((d = kg_iter_next(&it))) {
		int64_t want = kg_int(kg_at(kg_obj(d), "spec.replicas"), -1);
		assert_int_equal(kg_int(kg_at(kg_obj(d), "status.updatedReplicas"), 0), want);
		assert_int_equal(kg_int(kg_at(kg_obj(d), "status.replicas"), 0), want);
	}
	kg_iter_release(&it);
}

static uint64_t seeds = 12; /* sim_test N: more of them */

static void test_simulation(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= seeds; seed++) {
		struct sim s;
		sim_init(&s, seed);
		for (int i = 0; i < 150; i++)
			one_round(&s);
		all_reached(&s);
		sim_release(&s);
	}
}

int main(int argc, char **argv)
{
	if (argc > 1)
		seeds = strtoull(argv[1], NULL, 10);
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_simulation)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
