/* How a Service's endpoints lie in slices: none is twice, none is left out, none is moved, and
 * gaps are filled before there are more. */
#include "reconcile/harness.h"
#include "reconcile/internal.h"
#include "reconcile/simulate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { NODES = 4, MOST = 100 };

static void scale(struct kg_harness *h, int replicas)
{
	char text[400];
	snprintf(text, sizeof(text),
		"apiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {name: rs}\nspec:\n"
		"  replicas: %d\n  selector: {matchLabels: {a: b}}\n  template:\n"
		"    metadata: {labels: {a: b}}\n    spec: {containers: [{name: c, image: i}]}\n",
		replicas);
	kg_harness_push(h, "rs.yaml", text);
}

struct found {
	size_t sizes[16], n, endpoints, counted;
	struct kg_map place; /* uid -> number of its slice, from 1 */
};

static void find(struct found *f, const struct kg_snapshot *s)
{
	struct kg_object_iter it;
	const struct kg_object *slice;
	*f = (struct found){0};
	kg_iter_kind(&it, s, KG_KIND_ENDPOINTSLICE, NULL, NULL);
	while ((slice = kg_iter_next(&it))) {
		const struct kg_value *eps = kg_get(kg_obj(slice), "endpoints");
		const char *count = kg_annotation(slice, "kgit/slices", NULL);
		assert_in_range(kg_len(eps), 0, MOST);
		assert_true(!count || !f->n); /* the first says it */
		f->counted += count ? (size_t)atoi(count) : 0;
		f->sizes[f->n++] = kg_len(eps);
		for (uint32_t i = 0; i < kg_len(eps); i++)
			assert_null(kg_map_put(&f->place,
				kg_string(kg_at(&eps->items[i], "targetRef.uid"), ""),
				(void *)f->n));
		f->endpoints += kg_len(eps);
	}
	kg_iter_release(&it);
	assert_int_equal(f->counted, f->n > 1 ? f->n : 0);
}

static size_t changed_slices(const struct kg_harness *h)
{
	size_t n = 0;
	for (size_t i = 0; i < h->last.len; i++) {
		const struct kg_change *c = &h->last.items[i];
		n += kg_change_object(c)->kind->id == KG_KIND_ENDPOINTSLICE;
	}
	return n;
}

static bool first_fails(
	void *said, struct kg_arena *a, const struct kg_object *pod, struct kg_input_pod_status *st)
{
	bool *done = said;
	(void)pod;
	st->status = kg_v_obj(a, "phase", kg_v_lit("Failed"), (char *)NULL);
	return !*done && (*done = true);
}

/* With an address: what may answer. */
static size_t count_pods(const struct kg_snapshot *s)
{
	struct kg_object_iter it;
	const struct kg_object *pod;
	size_t n = 0;
	kg_iter_kind(&it, s, KG_KIND_POD, NULL, NULL);
	while ((pod = kg_iter_next(&it)))
		n += !kg_is_null(kg_at(kg_obj(pod), "status.podIP"));
	kg_iter_release(&it);
	return n;
}

static void begin(struct kg_harness *h)
{
	kg_harness_init(h, NULL);
	kg_harness_nodes(h, NODES, "64", "256Gi");
	h->check = true;
	kg_harness_push(h, "svc.yaml",
		"apiVersion: v1\nkind: Service\nmetadata: {name: s}\n"
		"spec: {selector: {a: b}, ports: [{port: 1}]}\n");
}

static void test_cut(void **state)
{
	(void)state;
	struct kg_harness h;
	struct found f;
	begin(&h);
	find(&f, h.s);
	assert_int_equal(f.n, 1); /* which says that nobody answers */
	kg_map_release(&f.place);
	scale(&h, 250);
	find(&f, h.s);
	assert_int_equal(f.n, 3);
	assert_int_equal(f.endpoints, 250);
	kg_map_release(&f.place);
	bool said = false;
	kg_harness_report(&h, first_fails, &said); /* another pod in its place, at once */
	assert_int_equal(changed_slices(&h), 1);
	scale(&h, 251); /* into the one that has room */
	assert_int_equal(changed_slices(&h), 1);
	scale(&h, 350); /* more than there is room for: a slice of their own, and no other changes
			 * but for the number of them */
	assert_in_range(changed_slices(&h), 1, 2);
	find(&f, h.s);
	assert_int_equal(f.n, 4);
	kg_map_release(&f.place);
	scale(&h, 0);
	kg_harness_let_go(&h);
	find(&f, h.s);
	assert_int_equal(f.n, 1);
	assert_int_equal(f.endpoints, 0);
	kg_map_release(&f.place);
	kg_harness_release(&h);
}

/* No endpoint that stays is moved, whatever happens around it. */
static void test_course(void **state)
{
	(void)state;
	struct kg_harness h;
	uint64_t seed = 7;
	begin(&h);
	for (int i = 0; i < 40; i++) {
		struct kg_snapshot *before = kg_snapshot_ref(h.s);
		struct kg_map_entry *e;
		struct found was, now;
		find(&was, before);
		if (kg_harness_chance(&seed, 2))
			scale(&h, (int)kg_harness_chance(&seed, NODES * 100));
		else
			kg_harness_let_go(&h);
		find(&now, h.s);
		assert_int_equal(now.endpoints, count_pods(h.s));
		size_t moved = 0;
		for (size_t k = 0; was.n == now.n && (e = kg_map_next(&was.place, &k));) {
			void *to = kg_map_get(&now.place, e->key);
			moved += to && to != e->value;
		}
		assert_int_equal(moved, 0);
		kg_map_release(&was.place);
		kg_map_release(&now.place);
		kg_snapshot_unref(before);
	}
	kg_harness_release(&h);
}

/* How many endpoints are no more in the slice that they were in. */
static size_t lost(const struct kg_harness *h)
{
	size_t n = 0;
	for (size_t i = 0; i < h->last.len; i++) {
		const struct kg_change *c = &h->last.items[i];
		if (!c->before || c->before->kind->id != KG_KIND_ENDPOINTSLICE)
			continue;
		const struct kg_value *was = kg_get(kg_obj(c->before), "endpoints");
		const struct kg_value *is =
			c->after ? kg_get(kg_obj(c->after), "endpoints") : &kg_null;
		for (uint32_t k = 0; k < kg_len(was); k++) {
			bool there = false;
			for (uint32_t m = 0; m < kg_len(is); m++)
				there |= kg_equal(&was->items[k], &is->items[m]);
			n += !there;
		}
	}
	return n;
}

static void scale_port(struct kg_harness *h, char name, int replicas)
{
	char path[16], text[500];
	snprintf(path, sizeof(path), "%c.yaml", name);
	snprintf(text, sizeof(text),
		"apiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {name: %c}\nspec:\n"
		"  replicas: %d\n  selector: {matchLabels: {rs: %c}}\n  template:\n"
		"    metadata: {labels: {a: c, rs: %c}}\n    spec: {containers: [{name: c, image: "
		"i, "
		"ports: [{name: web, containerPort: %d}]}]}\n",
		name, replicas, name, name, 8000 + name);
	kg_harness_push(h, path, text);
}

/* A port's name is another number on other pods: these are in slices of their own, which stay
 * theirs when the others become more. */
static void test_ports(void **state)
{
	(void)state;
	for (char grows = 'p'; grows <= 'q'; grows++) {
		struct kg_harness h;
		struct found was, now;
		begin(&h);
		kg_harness_push(&h, "svc.yaml",
			"apiVersion: v1\nkind: Service\nmetadata: {name: named}\n"
			"spec: {selector: {a: c}, ports: [{port: 1, targetPort: web}]}\n");
		scale_port(&h, 'p', grows == 'p' ? MOST : 1);
		scale_port(&h, 'q', grows == 'q' ? MOST : 1);
		find(&was, h.s);
		scale_port(&h, grows, MOST + 1);
		find(&now, h.s);
		assert_int_equal(now.endpoints, MOST + 2);
		assert_int_equal(now.n, was.n + 1);
		assert_int_equal(lost(&h), 0);
		kg_map_release(&was.place);
		kg_map_release(&now.place);
		kg_harness_release(&h);
	}
}

/* ---- names ---- */

#define OF_S                                                                                       \
	"apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {selector: {a: b}, ports: "     \
	"[{port: 1}]}\n"

/* The first slice that kgit makes for the Service. */
static const struct kg_object *own_slice(const struct kg_snapshot *s)
{
	const struct kg_object *svc = kg_snapshot_get(s, KG_KIND_SERVICE, "default", "s");
	struct kg_object_iter it;
	kg_iter_index(&it, s, KG_INDEX_OWNER, kg_object_uid(svc));
	const struct kg_object *slice = kg_iter_next(&it);
	kg_iter_release(&it);
	assert_non_null(slice);
	return slice;
}

/* A manifest that has the name that would be a slice's keeps it: the slice has another. */
static void test_name_is_taken(void **state)
{
	(void)state;
	struct kg_harness h;
	char name[80], text[600];
	kg_harness_init(&h, NULL);
	kg_harness_push(&h, "svc.yaml", OF_S);
	snprintf(name, sizeof(name), "%s", own_slice(h.s)->name);
	kg_harness_release(&h);

	kg_harness_init(&h, NULL);
	h.check = true;
	snprintf(text, sizeof(text),
		OF_S "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: "
		     "%s, labels: {kubernetes.io/service-name: s}}\naddressType: IPv4\n"
		     "endpoints: [{addresses: [192.0.2.7]}]\n",
		name);
	kg_harness_push(&h, "svc.yaml", text);
	const struct kg_object *theirs =
		kg_snapshot_get(h.s, KG_KIND_ENDPOINTSLICE, "default", name);
	assert_string_equal(theirs->source, "svc.yaml");
	assert_string_equal(
		kg_string(kg_at(kg_obj(theirs), "endpoints.0.addresses.0"), ""), "192.0.2.7");
	assert_string_not_equal(own_slice(h.s)->name, name);
	kg_harness_release(&h);
}

/* ---- by what changed alone ---- */

/* One pod, by chance: becomes ready, ceases to be, fails, or is gone where it is to go. */
struct word {
	uint64_t seed;
	size_t left; /* pods that stay silent */
};

static bool says(
	void *ctx, struct kg_arena *a, const struct kg_object *pod, struct kg_input_pod_status *st)
{
	struct word *w = ctx;
	if (w->left-- != 0)
		return false;
	uint64_t what = kg_harness_chance(&w->seed, 8);
	if (kg_object_deleting(pod))
		st->gone = true;
	else if (what == 0)
		st->status = kg_v_obj(a, "phase", kg_v_lit("Failed"), (char *)NULL);
	else
		st->status = kg_sim_running(a, pod, what > 2, KG_HARNESS_START);
	return true;
}

static void one_says(struct kg_harness *h, struct word *w)
{
	size_t n = h->s->objects[KG_KIND_POD].count;
	w->left = n ? kg_harness_chance(&w->seed, n) : 0;
	kg_harness_report(h, says, w);
}

/* A few pods change at a time, about and beyond the ends of slices, of one port and of two: the
 * harness holds each run to one that looks at everything. */
static void test_few_changes(void **state)
{
	(void)state;
	struct kg_harness h;
	struct word w = {.seed = 11};
	uint64_t looked, pods = 0;
	int n = 2 * MOST, p = MOST - 2, q = 3;
	begin(&h);
	kg_harness_push(&h, "named.yaml",
		"apiVersion: v1\nkind: Service\nmetadata: {name: named}\n"
		"spec: {selector: {a: c}, publishNotReadyAddresses: true, "
		"ports: [{port: 1, targetPort: web}]}\n");
	scale(&h, n);
	scale_port(&h, 'p', p);
	scale_port(&h, 'q', q);
	looked = h.state->looked;
	for (int i = 0; i < 150; i++) {
		switch (kg_harness_chance(&w.seed, 8)) {
		case 0:
			scale(&h, n += (int)kg_harness_chance(&w.seed, 9) - 4);
			break;
		case 1:
			scale_port(&h, 'p', p += (int)kg_harness_chance(&w.seed, 5) - 2);
			break;
		case 2:
			scale_port(&h, 'q', q = (int)kg_harness_chance(&w.seed, 4));
			break;
		case 3:
			kg_harness_let_go(&h);
			break;
		default:
			one_says(&h, &w);
		}
		pods += h.s->objects[KG_KIND_POD].count;
	}
	assert_true(h.state->looked - looked < pods / 2); /* it did go by what changed */
	kg_harness_release(&h);
}

/* What a change of one pod costs does not depend on how many answer beside it. */
static void test_cost_of_one(void **state)
{
	(void)state;
	enum { PODS = 15 * MOST };
	struct kg_harness h;
	struct word w = {.seed = 5};
	begin(&h);
	h.check = false;
	kg_harness_nodes(&h, 4 * NODES, "64", "256Gi");
	scale(&h, PODS);
	assert_int_equal(count_pods(h.s), PODS);
	for (int i = 0; i < 10; i++)
		one_says(&h, &w); /* then it is known where each is */
	for (int i = 0; i < 60; i++) {
		uint64_t looked = h.state->looked;
		one_says(&h, &w);
		/* It, and one that comes in its place: the slices that they are in. */
		assert_in_range(h.state->looked - looked, 0, 3 * MOST);
		assert_in_range(changed_slices(&h), 0, 1);
	}
	/* All of them at once are looked at no more than a few times each. */
	uint64_t looked = h.state->looked;
	scale(&h, 0);
	assert_in_range(h.state->looked - looked, 0, 2 * PODS);
	kg_harness_release(&h);
}

/* Whatever else changes, everything is looked at. */
static void test_other_changes(void **state)
{
	(void)state;
	struct kg_harness h;
	struct found f;
	static const char *const services[] = {
		"spec: {selector: {a: b}, ports: [{port: 2}]}\n",
		"spec: {selector: {a: b, none: such}, ports: [{port: 2}]}\n",
		"spec: {selector: {a: b}, publishNotReadyAddresses: true, ports: [{port: 2}]}\n",
		"spec: {selector: {a: b}, ports: [{port: 3}]}\n",
		NULL,
		"spec: {selector: {a: b}, ports: [{port: 3}]}\n",
	};
	begin(&h);
	scale(&h, MOST / 2);
	for (size_t i = 0; i < KG_ARRAY_LEN(services); i++) {
		char text[300];
		struct word w = {.seed = i + 1};
		one_says(&h, &w);
		snprintf(text, sizeof(text),
			"apiVersion: v1\nkind: Service\nmetadata: {name: s}\n%s",
			services[i] ? services[i] : "");
		kg_harness_push(&h, "svc.yaml", services[i] ? text : NULL);
		one_says(&h, &w);
		kg_harness_let_go(&h);
	}
	find(&f, h.s);
	assert_int_equal(f.endpoints, count_pods(h.s));
	kg_map_release(&f.place);
	kg_harness_release(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_course),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_name_is_taken),
		cmocka_unit_test(test_few_changes),
		cmocka_unit_test(test_cost_of_one),
		cmocka_unit_test(test_other_changes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
