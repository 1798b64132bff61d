/*
 * A cluster of 100 nodes simulated with seeded chance, one commit a step: pods become ready, fail
 * and go, nodes are lost and come back, Deployments are pushed, scaled, rolled out and removed, the
 * clock jumps to what is due. After each step all that must hold is checked: what changed is taken
 * off and put onto sums that are kept beside the cluster, and now and then those are held against
 * a count of everything. When chance ends, all that is desired is reached.
 */
#include "base/map.h"
#include "base/quantity.h"
#include "reconcile/harness.h"
#include "reconcile/internal.h"
#include "reconcile/simulate.h"
#include "reconcile_bench.h"

#include <stdio.h>
#include <string.h>

enum { NODES = 100, APPS = 40, NODE_CPU = 4000, COUNT_EVERY = 1000 };

struct app {
	bool there;
	int replicas, image, surge, unavailable;
	int64_t active, ready;
	int64_t was_active; /* at the last check */
	int64_t endpoints;  /* ready ones, of its EndpointSlices */
	bool shrinks;       /* a smaller surge was pushed, and is yet to be reached */
};
struct node {
	bool up;
	int64_t cpu;
};
struct sim {
	struct kg_harness h;
	uint64_t seed;
	size_t step;
	struct app apps[APPS];
	struct node nodes[NODES];
	struct kg_map ips; /* address -> a pod has it */
	struct kg_map
		owners;   /* uid of a ReplicaSet -> twice its active pods, and 1 if it is there */
	struct kg_map at; /* key of a pod that its node has yet to speak of -> place in todo + 1 */
	struct todo {
		char *key; /* owned */
		int node;
	} * todo;
	size_t ntodo, todo_cap;
};

static uint64_t chance(struct sim *s, uint64_t n)
{
	return kg_harness_chance(&s->seed, n);
}

static void must(const struct sim *s, bool holds, const char *what, const char *of)
{
	if (holds)
		return;
	fprintf(stderr, "sim: step %zu: %s: %s\n", s->step, of, what);
	abort();
}

/* ---- the sums follow what changed ---- */

static int number_of(const char *name, size_t prefix)
{
	return strlen(name) > prefix ? atoi(name + prefix) : -1;
}

static int node_of(const struct kg_object *pod)
{
	return number_of(kg_pod_node(pod), 5);
}

static struct app *app_of(struct sim *s, const struct kg_object *pod)
{
	return &s->apps[number_of(kg_string(kg_get(kg_meta(pod, "labels"), "app"), "app-0"), 4)];
}

static int64_t pod_cpu(const struct kg_object *pod)
{
	const struct kg_value *containers = kg_spec(pod, "containers");
	const struct kg_value *requests =
		kg_get(kg_get(&containers->items[0], "resources"), "requests");
	int64_t milli = 0;
	kg_quantity_milli(&milli, kg_string(kg_get(requests, "cpu"), "0"));
	return milli;
}

static void todo_set(struct sim *s, const struct kg_object *pod, bool on)
{
	const char *key = pod->key;
	size_t place = (size_t)(uintptr_t)kg_map_get(&s->at, key);
	if (on == (place != 0))
		return;
	if (on) {
		KG_GROW(s->todo, s->todo_cap, s->ntodo + 1);
		s->todo[s->ntodo++] = (struct todo){kg_strdup(key), node_of(pod)};
		kg_map_put(&s->at, key, (void *)(uintptr_t)s->ntodo);
		return;
	}
	kg_map_remove(&s->at, key);
	free(s->todo[place - 1].key);
	s->todo[place - 1] = s->todo[--s->ntodo];
	if (place - 1 < s->ntodo)
		kg_map_put(&s->at, s->todo[place - 1].key, (void *)(uintptr_t)place);
}

static void owner_add(struct sim *s, const char *uid, intptr_t n)
{
	intptr_t sum = (intptr_t)kg_map_get(&s->owners, uid) + n;
	if (sum)
		kg_map_put(&s->owners, uid, (void *)sum);
	else
		kg_map_remove(&s->owners, uid);
	must(s, sum >= 0, "more pods went than there were", uid);
}

/* A pod counts (sign 1), or ceases to. */
static void count_pod(struct sim *s, const struct kg_object *pod, int sign)
{
	const char *node = kg_pod_node(pod);
	const char *ip = kg_string(kg_status(pod, "podIP"), "");
	struct app *a = app_of(s, pod);
	bool active = kg_pod_active(pod);
	a->active += active ? sign : 0;
	a->ready += active && kg_object_ready(pod) ? sign : 0;
	if (active)
		owner_add(s, kg_object_owner_uid(pod), 2 * sign);
	must(s, !*node == !*ip, "a node and no address, or the reverse", pod->key);
	if (!*node)
		return;
	bool had = sign > 0 ? kg_map_put(&s->ips, ip, s) != NULL : !kg_map_remove(&s->ips, ip);
	must(s, !had, "another pod has its address", pod->key);
	if (kg_pod_terminal(pod))
		return;
	s->nodes[node_of(pod)].cpu += sign * pod_cpu(pod);
}

/* Those of the slice that are ready, but for those that `other` has too: in the same place and
 * memory, as versions of a slice share what stays. */
static int64_t ready_endpoints(const struct kg_object *slice, const struct kg_object *other)
{
	const struct kg_value *eps = kg_get(kg_obj(slice), "endpoints");
	const struct kg_value *same = other ? kg_get(kg_obj(other), "endpoints") : &kg_null;
	int64_t n = 0;
	for (uint32_t i = 0; i < kg_len(eps); i++)
		if (i >= kg_len(same) || eps->items[i].members != same->items[i].members)
			n += kg_bool(kg_get(kg_get(&eps->items[i], "conditions"), "ready"), false);
	return n;
}

/* other: its other version, or NULL. */
static void count(
	struct sim *s, const struct kg_object *obj, const struct kg_object *other, int sign)
{
	switch (obj->kind->id) {
	case KG_KIND_POD:
		count_pod(s, obj, sign);
		break;
	case KG_KIND_REPLICASET:
		owner_add(s, kg_object_uid(obj), sign);
		break;
	case KG_KIND_ENDPOINTSLICE:
		s->apps[number_of(obj->name, 4)].endpoints += sign * ready_endpoints(obj, other);
		break;
	default:
		break;
	}
}

/* A node has something to say: the pod is not ready yet, or may go. */
static bool wants_word(const struct kg_object *pod)
{
	if (!*kg_pod_node(pod))
		return false;
	return kg_object_deleting(pod) || (!kg_pod_terminal(pod) && !kg_object_ready(pod));
}

static void follow(struct sim *s)
{
	const struct kg_changes *c = &s->h.last;
	for (size_t i = 0; i < c->len; i++)
		if (c->items[i].before)
			count(s, c->items[i].before, c->items[i].after, -1);
	for (size_t i = 0; i < c->len; i++) {
		const struct kg_object *after = c->items[i].after;
		const struct kg_object *obj = kg_change_object(&c->items[i]);
		if (after)
			count(s, after, c->items[i].before, 1);
		if (obj->kind->id == KG_KIND_POD)
			todo_set(s, obj, after && wants_word(after));
	}
}

/* ---- what is always true ---- */

/* Everything counted from nothing gives the sums that were kept. */
static void count_all(struct sim *s)
{
	struct sim fresh = {.step = s->step};
	static const enum kg_kind_id kinds[] = {
		KG_KIND_POD, KG_KIND_REPLICASET, KG_KIND_ENDPOINTSLICE};
	for (size_t k = 0; k < KG_ARRAY_LEN(kinds); k++) {
		struct kg_object_iter it;
		const struct kg_object *obj;
		kg_iter_kind(&it, s->h.s, kinds[k], NULL, NULL);
		while ((obj = kg_iter_next(&it)))
			count(&fresh, obj, NULL, 1);
		kg_iter_release(&it);
	}
	for (int i = 0; i < NODES; i++)
		must(s, fresh.nodes[i].cpu == s->nodes[i].cpu, "the sums are wrong", "a node");
	for (int i = 0; i < APPS; i++)
		must(s,
			fresh.apps[i].active == s->apps[i].active &&
				fresh.apps[i].ready == s->apps[i].ready &&
				fresh.apps[i].endpoints == s->apps[i].endpoints,
			"the sums are wrong", "an app");
	must(s, fresh.ips.count == s->ips.count && fresh.owners.count == s->owners.count,
		"the sums are wrong", "addresses or owners");
	kg_map_release(&fresh.ips);
	kg_map_release(&fresh.owners);
}

static void check_app(struct sim *s, struct app *a)
{
	int64_t most = a->there ? a->replicas + a->surge : 0;
	if (a->active <= most)
		a->shrinks = false;
	must(s, a->active <= (a->shrinks ? a->was_active : most), "more pods than it may have",
		"an app");
	must(s, !a->there || a->endpoints == a->ready, "its endpoints are not its ready pods",
		"an app");
	a->was_active = a->active;
}

/* An active pod's owner is there. */
static void check_owner(struct sim *s, const struct kg_object *obj)
{
	bool pod = obj->kind->id == KG_KIND_POD;
	if (!pod && obj->kind->id != KG_KIND_REPLICASET)
		return;
	const char *uid = pod ? kg_object_owner_uid(obj) : kg_object_uid(obj);
	intptr_t sum = (intptr_t)kg_map_get(&s->owners, uid);
	must(s, sum == 0 || sum % 2 == 1, "an orphan, or its owner", obj->key);
}

static void check(struct sim *s)
{
	const struct kg_changes *c = &s->h.last;
	follow(s);
	for (size_t i = 0; i < c->len; i++)
		check_owner(s, kg_change_object(&c->items[i]));
	for (int i = 0; i < NODES; i++)
		must(s, s->nodes[i].cpu <= NODE_CPU, "more is promised than there is", "a node");
	for (int i = 0; i < APPS; i++)
		check_app(s, &s->apps[i]);
	if (++s->step % COUNT_EVERY == 0)
		count_all(s);
}

/* ---- what happens ---- */

static void run(struct sim *s, struct kg_inputs *in)
{
	struct kg_error err;
	if (kg_harness_run(&s->h, in, &err) < 0)
		must(s, false, err.msg, "reconcile");
	check(s);
}

/* How many of the app must be ready still after a step in which nothing fails. */
static int64_t floor_of(const struct app *a)
{
	int64_t least = a->there ? a->replicas - a->unavailable : 0;
	return a->ready >= least ? least : 0;
}

static void push_app(struct sim *s, int i)
{
	struct app *a = &s->apps[i];
	char path[32], text[1000];
	snprintf(path, sizeof(path), "app-%d.yaml", i);
	snprintf(text, sizeof(text),
		"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: app-%d}\nspec:\n"
		"  replicas: %d\n"
		"  strategy: {rollingUpdate: {maxSurge: %d, maxUnavailable: %d}}\n"
		"  selector: {matchLabels: {app: app-%d}}\n"
		"  template:\n    metadata: {labels: {app: app-%d}}\n    spec:\n"
		"      containers:\n      - {name: c, image: 'i:%d', resources: {requests: {cpu: "
		"150m}}}\n"
		"---\napiVersion: v1\nkind: Service\nmetadata: {name: app-%d}\nspec:\n"
		"  selector: {app: app-%d}\n  ports: [{port: 80}]\n",
		i, a->replicas, a->surge, a->unavailable, i, i, a->image, i, i);
	kg_harness_push(&s->h, path, a->there ? text : NULL);
	check(s);
}

static void change_app(struct sim *s, int i)
{
	struct app *a = &s->apps[i];
	int replicas = a->replicas;
	if (a->there && chance(s, 16) == 0) {
		a->there = false;
		push_app(s, i);
		return;
	}
	a->there = true;
	if (chance(s, 2) == 0)
		a->replicas = (int)chance(s, 40);
	else
		a->image = (int)chance(s, 3);
	a->surge = 1 + (int)chance(s, 3);
	a->unavailable = (int)chance(s, 3);
	if (a->unavailable > a->replicas)
		a->unavailable = a->replicas;
	a->shrinks = replicas == a->replicas;
	/* Where the number changes what each ReplicaSet has does in proportion, ready or not. */
	int64_t floor = replicas == a->replicas ? floor_of(a) : 0;
	push_app(s, i);
	must(s, a->ready >= floor, "fewer ready pods than were agreed", "an app that was pushed");
}

/* What its node says of one pod; false: the node is down. */
static bool report(struct sim *s, size_t which, bool fails)
{
	if (!s->nodes[s->todo[which].node].up)
		return false;
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_object *pod =
		kg_object_ref(kg_snapshot_get_key(s->h.s, KG_KIND_POD, s->todo[which].key));
	struct app *app = app_of(s, pod);
	int64_t floor = fails ? 0 : floor_of(app);
	struct kg_input_pod_status v = {.node = kg_pod_node(pod),
		.ns = pod->ns,
		.name = pod->name,
		.uid = kg_object_uid(pod),
		.gone = kg_object_deleting(pod)};
	if (!v.gone && fails)
		v.status = kg_v_obj(&a, "phase", kg_v_lit("Failed"), (char *)NULL);
	else if (!v.gone)
		v.status = kg_sim_running(&a, pod, true, s->h.now);
	struct kg_inputs in = {.pods = &v, .npods = 1};
	run(s, &in);
	must(s, app->ready >= floor, "fewer ready pods than were agreed", pod->key);
	kg_object_unref(pod);
	kg_arena_release(&a);
	return true;
}

static void set_node(struct sim *s, int i, bool up)
{
	char name[16];
	snprintf(name, sizeof(name), "node-%d", i);
	s->nodes[i].up = up;
	kg_harness_liveness(&s->h, name, up);
	check(s);
}

/* The clock goes on; what becomes due on the way runs. */
static void advance(struct sim *s, int64_t ms)
{
	kg_time end = s->h.now + ms;
	while (kg_harness_due(&s->h, end)) {
		struct kg_inputs in = {0};
		run(s, &in);
	}
}

static void one_step(struct sim *s)
{
	uint64_t what = chance(s, 200);
	s->h.now += 50;
	if (what == 0) {
		int i = (int)chance(s, NODES);
		set_node(s, i, !s->nodes[i].up);
	} else if (what < 8 || s->ntodo == 0) {
		change_app(s, (int)chance(s, APPS));
	} else if (what < 10) {
		advance(s, (int64_t)chance(s, 60000));
	} else {
		for (int tries = 0; tries < 8; tries++)
			if (report(s, chance(s, s->ntodo), what < 14))
				return;
	}
}

static void all_reached(struct sim *s)
{
	for (int i = 0; i < NODES; i++)
		if (!s->nodes[i].up)
			set_node(s, i, true);
	for (int rounds = 0; s->ntodo || s->h.wake_at < s->h.now + 3600000; rounds++) {
		must(s, rounds < 100000, "no end is reached", "the cluster");
		if (s->ntodo)
			report(s, 0, false);
		else
			advance(s, 60000);
	}
	for (int i = 0; i < APPS; i++) {
		const struct app *a = &s->apps[i];
		int64_t want = a->there ? a->replicas : 0;
		must(s, a->active == want && a->ready == want, "it is not what was pushed",
			"an app");
	}
	count_all(s);
}

static void release(struct sim *s)
{
	while (s->ntodo)
		free(s->todo[--s->ntodo].key);
	free(s->todo);
	kg_map_release(&s->at);
	kg_map_release(&s->ips);
	kg_map_release(&s->owners);
	kg_harness_release(&s->h);
}

void bench_sim(size_t steps)
{
	struct sim s = {.seed = UINT64_C(0x9e3779b97f4a7c15)};
	char note[100];
	if (!wanted("sim_steps"))
		return;
	kg_harness_init(&s.h, NULL);
	kg_harness_nodes(&s.h, NODES, "4", "16Gi");
	for (int i = 0; i < NODES; i++)
		s.nodes[i].up = true;
	double t = seconds();
	while (s.step < steps)
		one_step(&s);
	t = seconds() - t;
	snprintf(note, sizeof(note), "%d nodes, %zu pods at the end, checked after each", NODES,
		s.h.s->objects[KG_KIND_POD].count);
	figure("sim_steps", (double)s.step / t, "steps/s", LEAST, 10000, note);
	all_reached(&s);
	release(&s);
}
