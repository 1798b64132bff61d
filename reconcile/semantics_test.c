/*
 * Courses of events and what Kubernetes' controllers make of them, as its own tests and its
 * documentation have it. A step is one of
 *   "push YAML" | "drop"              the manifests of main, all of them; none
 *   "ready P" "unready P" "failed P" "rejected P" "succeeded P" "gone P"
 *                                     what nodes say of the pods whose names begin with P (or whose
 *                                     image it is, as "@IMAGE"), "*" all
 *   "restarted P N"                   so often did its containers begin anew
 *   "wait SECONDS"                    time passes
 *   "lost NODE" | "back NODE"
 *   "evict P" | "denied P"            an eviction of the first of them is granted; is not
 *   "is KIND NAME PATH VALUE"         null: it has none; of a pod NAME is P, of conditions VALUE
 *                                     may be "TYPE STATUS REASON" of one of them
 *   "pods P N"                        N pods of that prefix are there and stay
 *   "going P N"                       N are on their way out
 *   "size IMAGE N"                    the ReplicaSet of that image has N replicas
 *   "none KIND NAME"
 *   "answers SERVICE WHO..."          what its slices say, sorted: "ADDRESS:PORT" of each endpoint
 *                                     and port (pod:PORT of those that are made of pods), with a !
 *                                     where it is not ready
 *   "slices SERVICE MANAGER N"
 */
#include "reconcile/harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those first */
#include <cmocka.h>

#include "kinds/endpoints.h"
#include "reconcile/internal.h"
#include "reconcile/semantics_cases.h"
#include "reconcile/simulate.h"
#include "value/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct course {
	struct kg_harness h;
	const char *name, *step;
	bool failed;
};

/* ---- what nodes say ---- */

struct said {
	const char *what, *prefix;
	kg_time now;
	int64_t restarts;
};

static bool is_meant(const char *prefix, const struct kg_object *pod)
{
	if (*prefix == '@')
		return strcmp(kg_string(kg_at(kg_obj(pod), "spec.containers.0.image"), ""),
			       prefix + 1) == 0;
	return strcmp(prefix, "*") == 0 || strncmp(pod->name, prefix, strlen(prefix)) == 0;
}

static struct kg_value ended(struct kg_arena *a, const struct kg_object *pod, kg_time now)
{
	struct kg_value v = kg_sim_succeeded(a, pod, now);
	const struct kg_value *old = kg_get(&v, "containerStatuses");
	struct kg_value *items = kg_arena_alloc(a, (kg_len(old) + 1) * sizeof(*items));
	for (uint32_t i = 0; i < kg_len(old); i++)
		items[i] = kg_with(a, &old->items[i], "state.terminated.exitCode", kg_v_int(1));
	v = kg_with_key(a, &v, "containerStatuses", kg_v_array(a, items, kg_len(old)));
	return kg_with_key(a, &v, "phase", kg_v_lit("Failed"));
}

static struct kg_value restarted(struct kg_arena *a, struct kg_value v, int64_t n)
{
	const struct kg_value *old = kg_get(&v, "containerStatuses");
	struct kg_value *items = kg_arena_alloc(a, (kg_len(old) + 1) * sizeof(*items));
	for (uint32_t i = 0; i < kg_len(old); i++)
		items[i] = kg_with_key(a, &old->items[i], "restartCount", kg_v_int(n));
	return kg_with_key(a, &v, "containerStatuses", kg_v_array(a, items, kg_len(old)));
}

static bool word(
	void *ctx, struct kg_arena *a, const struct kg_object *pod, struct kg_input_pod_status *st)
{
	const struct said *s = ctx;
	if (!is_meant(s->prefix, pod))
		return false;
	if (strcmp(s->what, "gone") == 0) {
		st->gone = kg_object_deleting(pod);
		return st->gone;
	}
	if (kg_pod_terminal(pod))
		return false;
	if (strcmp(s->what, "failed") == 0)
		st->status = ended(a, pod, s->now);
	else if (strcmp(s->what, "rejected") == 0)
		st->status =
			kg_v_obj(a, "phase", kg_v_lit("Failed"), "reason", kg_v_lit("NodePorts"),
				"message", kg_v_lit("Pod was rejected: no"), (char *)NULL);
	else if (strcmp(s->what, "succeeded") == 0)
		st->status = kg_sim_succeeded(a, pod, s->now);
	else
		st->status = restarted(a,
			kg_sim_running(a, pod, strcmp(s->what, "unready") != 0, s->now),
			s->restarts);
	return true;
}

/* ---- steps ---- */

static void bad(struct course *c, const char *why)
{
	print_error("%s: \"%.120s\": %s\n", c->name, c->step, why);
	c->failed = true;
}

static void wait_for(struct course *c, int64_t ms)
{
	kg_time end = c->h.now + ms;
	while (c->h.now < end && !c->failed) {
		struct kg_inputs in = {0};
		struct kg_error err;
		c->h.now = c->h.wake_at < end ? c->h.wake_at : end;
		if (kg_harness_run(&c->h, &in, &err) < 0)
			bad(c, err.msg);
	}
}

static size_t count(const struct course *c, const char *prefix, bool going)
{
	struct kg_object_iter it;
	const struct kg_object *pod;
	size_t n = 0;
	kg_iter_kind(&it, c->h.s, KG_KIND_POD, NULL, NULL);
	while ((pod = kg_iter_next(&it)))
		n += is_meant(prefix, pod) && kg_object_deleting(pod) == going;
	kg_iter_release(&it);
	return n;
}

static const struct kg_object *first_pod(const struct course *c, const char *prefix)
{
	struct kg_object_iter it;
	const struct kg_object *pod, *found = NULL;
	kg_iter_kind(&it, c->h.s, KG_KIND_POD, NULL, NULL);
	while (!found && (pod = kg_iter_next(&it)))
		if (is_meant(prefix, pod) && !kg_object_deleting(pod))
			found = pod;
	kg_iter_release(&it);
	return found;
}

static const struct kg_object *find(struct course *c, const char *kind, const char *name)
{
	const struct kg_kind *k = kg_kind_by_name(kind);
	if (!k) {
		bad(c, "no such kind");
		return NULL;
	}
	if (k->id == KG_KIND_POD)
		return first_pod(c, name);
	return kg_snapshot_get(c->h.s, k->id, k->flags & KG_KF_NAMESPACED ? "default" : "", name);
}

static void check(
	struct course *c, const char *kind, const char *name, const char *path, const char *value)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_error err;
	struct kg_value want;
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	const struct kg_object *obj = find(c, kind, name);
	if (!obj) {
		bad(c, "it is not there");
		return;
	}
	if (kg_yaml_load(&want, &a, value, strlen(value), &err) < 0) {
		bad(c, err.msg);
		return;
	}
	struct kg_value have = *kg_at(kg_obj(obj), path);
	if (have.type == KG_ARRAY && want.type == KG_STRING) /* conditions: TYPE STATUS REASON */
		for (uint32_t i = 0; i < kg_len(&have); i++) {
			const struct kg_value *x = &have.items[i];
			const char *text =
				kg_arena_printf(&a, "%s %s %s", kg_string(kg_get(x, "type"), ""),
					kg_string(kg_get(x, "status"), ""),
					kg_string(kg_get(x, "reason"), ""));
			kg_buf_addf(&b, "%s; ", text);
			if (strcmp(text, kg_string(&want, "")) == 0)
				return;
		}
	else if (kg_equal(&have, &want))
		return;
	else
		kg_json_write(&b, &have);
	bad(c, b.len ? b.data : "null");
}

static void evict(struct course *c, const char *prefix, bool granted)
{
	char why[256] = "";
	const struct kg_object *pod = first_pod(c, prefix);
	if (!pod) {
		bad(c, "it is not there");
		return;
	}
	char *name = strdup(pod->name);
	struct kg_input_eviction e = {"default", name, "", &why};
	struct kg_inputs in = {.evictions = &e, .nevictions = 1};
	struct kg_error err;
	if (kg_harness_run(&c->h, &in, &err) < 0)
		bad(c, err.msg);
	else if (!*why != granted)
		bad(c, *why ? why : "granted");
	free(name);
}

static int64_t size_of(struct course *c, const char *image)
{
	struct kg_object_iter it;
	const struct kg_object *rs;
	int64_t n = -1;
	kg_iter_kind(&it, c->h.s, KG_KIND_REPLICASET, NULL, NULL);
	while ((rs = kg_iter_next(&it)))
		if (strcmp(kg_string(
				   kg_at(kg_obj(rs), "spec.template.spec.containers.0.image"), ""),
			    image) == 0)
			n = kg_int(kg_at(kg_obj(rs), "spec.replicas"), -1);
	kg_iter_release(&it);
	return n;
}

static int cmp_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void say_slice(char **out, size_t *n, const struct kg_object *slice)
{
	const struct kg_value *eps = kg_get(kg_obj(slice), "endpoints");
	const struct kg_value *ports = kg_get(kg_obj(slice), "ports");
	for (uint32_t i = 0; i < kg_len(eps); i++)
		for (uint32_t k = 0; k < kg_len(ports); k++) {
			assert_in_range(*n, 0, 63);
			out[(*n)++] = kg_asprintf("%s:%lld%s",
				kg_slice_is_of_pods(slice)
					? "pod"
					: kg_string(kg_at(&eps->items[i], "addresses.0"), ""),
				(long long)kg_int(kg_get(&ports->items[k], "port"), 0),
				kg_endpoint_is_ready(&eps->items[i]) ? "" : "!");
		}
}

static void check_answers(struct course *c, const char *service, const char *want)
{
	KG_AUTOBUF struct kg_buf have = KG_BUF_INIT;
	const struct kg_object *slice;
	struct kg_object_iter it;
	char *who[64];
	size_t n = 0;
	kg_iter_slices(&it, c->h.s, "default", service);
	while ((slice = kg_iter_next(&it)))
		say_slice(who, &n, slice);
	kg_iter_release(&it);
	if (n)
		qsort(who, n, sizeof(*who), cmp_text);
	for (size_t i = 0; i < n; i++) {
		kg_buf_addf(&have, "%s%s", i ? " " : "", who[i]);
		free(who[i]);
	}
	if (strcmp(kg_buf_str(&have), want) != 0)
		bad(c, have.len ? have.data : "nobody");
}

static void check_slices(
	struct course *c, const char *service, const char *manager, const char *want)
{
	const struct kg_object *slice;
	struct kg_object_iter it;
	char text[64];
	size_t n = 0;
	kg_iter_slices(&it, c->h.s, "default", service);
	while ((slice = kg_iter_next(&it)))
		n += strcmp(kg_string(kg_get(kg_at(kg_obj(slice), "metadata.labels"),
					      KG_LABEL_MANAGED_BY),
				    ""),
			     manager) == 0;
	kg_iter_release(&it);
	snprintf(text, sizeof(text), "%zu", n);
	if (strcmp(text, want) != 0)
		bad(c, text);
}

static bool judge(struct course *c, const char *verb, const char *const arg[4])
{
	char text[64];
	if (strcmp(verb, "is") == 0) {
		check(c, arg[0], arg[1], arg[2], arg[3]);
	} else if (strcmp(verb, "none") == 0) {
		if (find(c, arg[0], arg[1]))
			bad(c, "it is there");
	} else if (strcmp(verb, "pods") == 0 || strcmp(verb, "going") == 0) {
		size_t n = count(c, arg[0], *verb == 'g');
		snprintf(text, sizeof(text), "%zu", n);
		if (n != strtoul(arg[1], NULL, 10))
			bad(c, text);
	} else if (strcmp(verb, "answers") == 0) {
		const char *who = strchr(c->step + sizeof("answers"), ' ');
		check_answers(c, arg[0], who ? who + 1 : "");
	} else if (strcmp(verb, "slices") == 0) {
		check_slices(c, arg[0], arg[1], arg[2]);
	} else if (strcmp(verb, "size") == 0) {
		int64_t n = size_of(c, arg[0]);
		snprintf(text, sizeof(text), "%lld", (long long)n);
		if (n != strtoll(arg[1], NULL, 10))
			bad(c, text);
	} else {
		return false;
	}
	return true;
}

static void play(struct course *c, const char *step)
{
	char *copy = strdup(step), *save = NULL;
	const char *arg[4] = {"", "", "", ""};
	const char *rest = strchr(step, ' ');
	char *verb = strtok_r(copy, " ", &save);
	c->step = step;
	for (int i = 0; save && *save && i < 4; i++) {
		arg[i] = i < 3 ? strtok_r(NULL, " ", &save) : save;
		arg[i] = arg[i] ? arg[i] : "";
	}
	c->h.now += 1000;
	if (judge(c, verb, arg))
		c->h.now -= 1000;
	else if (strcmp(verb, "push") == 0)
		kg_harness_push(&c->h, "main.yaml", rest + 1);
	else if (strcmp(verb, "drop") == 0)
		kg_harness_push(&c->h, "main.yaml", NULL);
	else if (strcmp(verb, "wait") == 0)
		wait_for(c, strtoll(arg[0], NULL, 10) * 1000 - 1000);
	else if (strcmp(verb, "lost") == 0 || strcmp(verb, "back") == 0)
		kg_harness_liveness(&c->h, arg[0], *verb == 'b');
	else if (strcmp(verb, "evict") == 0 || strcmp(verb, "denied") == 0)
		evict(c, arg[0], *verb == 'e');
	else
		kg_harness_report(&c->h, word,
			&(struct said){.what = verb,
				.prefix = arg[0],
				.now = c->h.now,
				.restarts = strtoll(arg[1], NULL, 10)});
	free(copy);
}

static void test_courses(void **state)
{
	bool failed = false;
	for (const struct kg_semantics_case *x = *state; x->name; x++) {
		struct course c = {.name = x->name};
		kg_harness_init(&c.h, NULL);
		c.h.check = true;
		kg_harness_nodes(&c.h, 3, "8", "16Gi");
		for (const char *const *s = x->steps; *s && !c.failed; s++)
			play(&c, *s);
		kg_harness_release(&c.h);
		failed |= c.failed;
	}
	assert_false(failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		{"deployments", test_courses, NULL, NULL, (void *)kg_semantics_deployments},
		{"sets", test_courses, NULL, NULL, (void *)kg_semantics_sets},
		{"jobs", test_courses, NULL, NULL, (void *)kg_semantics_jobs},
		{"others", test_courses, NULL, NULL, (void *)kg_semantics_others},
		{"services", test_courses, NULL, NULL, (void *)kg_semantics_services},
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
