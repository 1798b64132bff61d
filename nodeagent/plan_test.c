#include "nodeagent/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants those first */
#include <cmocka.h>

#include "nodeagent/status.h"
#include "value/json.h"

#include <stdio.h>
#include <string.h>

/*
 * A table: the pod's spec, its state in a few words, and what is decided. Containers are a, b, ...
 * in the order of the state's words, "i:" before a name makes it an init container, "s:" a sidecar:
 *   a=wait        not started, image not there
 *   a=img         image there
 *   a=pulling     a=start    a=run    a=term (SIGTERM sent, SIGKILL due at 5000)
 *   a=up          runs, and has said so (startup probe)
 *   a=exitN       ended with N (dirty), image there
 *   a=backN       ended with N, back-off until 20000
 *   a=restart     runs, must restart
 *   a=oldN        ended with N, in an earlier sandbox
 * The sandbox is ready but for words: nosandbox, down; more: deleting (grace 30 s), now (grace 0),
 * soon (all to have ended by 15000), late (by 5000), busy, Never, OnFailure, deadline,
 * preempted, held, rejected.
 * Now is 10000.
 */
struct row {
	const char *state, *decides;
};
static const struct row rows[] = {
	/* a fresh pod: the image first, then all in one job */
	{"nosandbox a=wait", "pull:a"},
	{"nosandbox a=pulling", ""},
	{"nosandbox a=img", "setup start:a"},
	{"nosandbox a=img b=img", "setup start:a start:b"},
	{"nosandbox a=img b=wait", "setup start:a pull:b"},
	{"nosandbox busy a=img", ""},
	{"a=run b=img", "start:b"},
	{"a=run b=run", ""},
	/* init containers one after another */
	{"nosandbox i:a=img i:b=img c=img", "setup start:a"},
	{"i:a=run i:b=img c=wait", "pull:c"},
	{"i:a=exit0 i:b=img c=img", "start:b clean:a"},
	{"i:a=exit0 i:b=exit0 c=img", "start:c clean:a clean:b"},
	{"i:a=exit1 c=img", "start:a"},
	{"Never i:a=exit1 c=img", "clean:a teardown"},
	{"OnFailure i:a=exit1 c=img", "start:a"},
	/* of a sidecar the others wait for the start */
	{"nosandbox s:a=img i:b=img c=img", "setup start:a"},
	{"s:a=run i:b=img c=img", ""},
	{"s:a=up i:b=img c=img", "start:b"},
	{"s:a=up i:b=exit0 c=img", "start:c clean:b"},
	{"s:a=exit1 i:b=img c=img", "start:a"},
	{"s:a=back1 c=img", "wake:20000"},
	/* it is restarted whatever the policy, as long as there is something to run beside */
	{"s:a=exit1 i:b=exit0 c=run", "start:a clean:b"},
	{"s:a=exit1 c=exit1", "start:a start:c"},
	{"Never s:a=exit0 c=run", "start:a"},
	{"Never s:a=up i:b=exit1 c=img", "term:a@40000 wake:40000"},
	{"Never s:a=up b=exit0", "term:a@40000 wake:40000"},
	{"Never s:a=exit1 b=exit0", "clean:a clean:b teardown"},
	/* a new sandbox: all once more, in order */
	{"nosandbox i:a=old0 i:b=old0 c=old255", "setup start:a"},
	{"i:a=run i:b=old0 c=old255", ""},
	{"i:a=exit0 i:b=old0 c=old255", "start:b clean:a"},
	{"i:a=exit0 i:b=exit0 c=old255", "start:c clean:a clean:b"},
	{"i:a=exit0 c=run d=old255", "start:d clean:a"},
	{"nosandbox s:a=old255 i:b=old0 c=old255", "setup start:a"},
	{"s:a=run i:b=old0 c=old255", ""},
	{"s:a=up i:b=old0 c=old255", "start:b"},
	{"nosandbox OnFailure i:a=old0 c=old0 d=old255", "setup start:a clean:c"},
	{"OnFailure i:a=exit0 c=old0 d=old255", "start:d clean:a clean:c"},
	{"nosandbox Never i:a=old0 c=wait", "setup start:a pull:c"},
	/* it ends after what it runs beside, the last first, in the time that is left */
	{"deleting s:a=up s:b=up c=run", "term:c@40000 wake:40000"},
	{"deleting s:a=up s:b=up c=exit0", "term:b@40000 wake:40000"},
	{"deleting soon s:a=up s:b=exit0 c=exit0", "term:a@15000 wake:15000"},
	{"deleting late s:a=up c=exit0", "term:a@12000 wake:12000"},
	{"deleting late s:a=term c=exit0", "kill:a@12000 wake:12000"},
	{"deleting now s:a=up c=exit0", "kill:a@12000 wake:12000"},
	{"deleting s:a=up i:b=run", "term:b@40000 wake:40000"},
	/* restarts */
	{"a=exit0", "start:a"},
	{"a=exit1", "start:a"},
	{"OnFailure a=exit1", "start:a"},
	{"OnFailure a=exit0 b=run", "clean:a"},
	{"OnFailure a=exit0", "clean:a teardown"},
	{"Never a=exit1 b=run", "clean:a"},
	{"Never a=exit1 b=exit0", "clean:a clean:b teardown"},
	{"a=back1", "wake:20000"},
	{"busy a=exit1", ""},
	/* liveness */
	{"a=restart", "term:a@40000 wake:40000"},
	{"a=restart b=run", "term:a@40000 wake:40000"},
	/* deletion */
	{"deleting a=run b=run", "term:a@40000 term:b@40000 wake:40000"},
	{"deleting a=term", "kill:a@12000 wake:12000"},
	{"deleting now a=run", "kill:a@12000 wake:12000"},
	{"deleting a=start busy", ""},
	{"deleting a=exit0", "clean:a teardown"},
	{"deleting a=wait", "teardown"},
	{"deleting nosandbox a=wait", "teardown"},
	{"deleting down a=exit0", "gone"},
	{"deleting down busy a=exit0", ""},
	{"deleting a=back1", "clean:a teardown"},
	{"deadline a=run", "term:a@40000 wake:40000"},
	/* not taken in */
	{"rejected a=wait", ""},
	{"preempted a=run", "term:a@40000 wake:40000"},
	{"preempted a=exit137", "clean:a teardown"},
	/* one that waits for others to go has its images meanwhile */
	{"nosandbox held a=wait", "pull:a"},
	{"nosandbox held a=img", ""},
	{"rejected deleting i:a=wait b=wait", "gone"},
	/* a pod at its end stays until it is deleted */
	{"Never down a=exit0", ""},
};

static struct kg_doc *make_pod(const char *state)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	KG_AUTOBUF struct kg_buf init = KG_BUF_INIT;
	KG_AUTOBUF struct kg_buf main = KG_BUF_INIT;
	for (const char *p = state; *p; p += strcspn(p, " "), p += *p == ' ') {
		bool sidecar = !strncmp(p, "s:", 2), is_init = sidecar || !strncmp(p, "i:", 2);
		struct kg_buf *b = is_init ? &init : &main;
		const char *name = is_init ? p + 2 : p;
		if (name[1] == '=')
			kg_buf_addf(b, "%s{\"name\":\"%c\",\"image\":\"x\"%s}", b->len ? "," : "",
				*name, sidecar ? ",\"restartPolicy\":\"Always\"" : "");
	}
	const char *policy = strstr(state, "Never")       ? "Never"
			     : strstr(state, "OnFailure") ? "OnFailure"
							  : "Always";
	char *text = kg_arena_printf(&a,
		"{\"metadata\":{\"name\":\"p\",\"uid\":\"u\"},\"spec\":{\"restartPolicy\":\"%s\","
		"\"initContainers\":[%s],\"containers\":[%s]}}",
		policy, kg_buf_str(&init), kg_buf_str(&main));
	struct kg_value v;
	struct kg_error err;
	assert_int_equal(kg_json_parse(&v, &a, text, strlen(text), &err), 0);
	return kg_doc_new(&v, NULL, 0);
}

static void set_container(struct kg_cstate *c, const char *word)
{
	c->probe_grace_ms = -1;
	c->image_ready = !!strncmp(word, "wait", 4) && !!strncmp(word, "pulling", 7);
	c->pulling = !strncmp(word, "pulling", 7);
	if (!strncmp(word, "start", 5))
		c->phase = KG_C_STARTING;
	c->ready = c->started_ok = !strncmp(word, "up", 2);
	if (c->ready || !strncmp(word, "run", 3) || !strncmp(word, "term", 4) ||
		!strncmp(word, "restart", 7))
		c->phase = KG_C_RUNNING;
	c->restart = !strncmp(word, "restart", 7);
	if (!strncmp(word, "term", 4)) {
		c->stopping = true;
		c->kill_mono = 5000;
	}
	bool old = !strncmp(word, "old", 3);
	if (old || !strncmp(word, "exit", 4) || !strncmp(word, "back", 4)) {
		c->phase = KG_C_EXITED;
		kg_cterm_set(&c->term, atoi(word + (old ? 3 : 4)), "Error", NULL);
		c->stale = old;
		c->dirty = true;
		if (*word == 'b')
			c->not_before_mono = 20000;
	}
}

static void set_state(struct kg_pstate *p, const char *state)
{
	p->sandbox = strstr(state, "nosandbox") ? KG_SANDBOX_NONE
		     : strstr(state, "down")    ? KG_SANDBOX_DOWN
						: KG_SANDBOX_READY;
	p->deleting = strstr(state, "deleting");
	p->grace_ms = strstr(state, "now") ? 0 : 30000;
	p->busy = strstr(state, "busy");
	p->deadline_exceeded = strstr(state, "deadline");
	p->preempted = strstr(state, "preempted");
	p->held = strstr(state, "held");
	if (strstr(state, "rejected"))
		kg_pstate_reject(p, "NodePorts", "taken");
	p->end_mono = strstr(state, "soon") ? 15000 : strstr(state, "late") ? 5000 : 0;
	for (const char *q = state; *q; q += strcspn(q, " "), q += *q == ' ') {
		const char *name = q[0] && q[1] == ':' ? q + 2 : q;
		for (size_t i = 0; name[1] == '=' && i < p->nc; i++)
			if (p->c[i].name[0] == *name)
				set_container(&p->c[i], name + 2);
	}
}

static void print_plan(struct kg_buf *b, const struct kg_pstate *p, const struct kg_plan *plan)
{
	static const char *const names[] = {
		"pull", "setup", "start", "term", "kill", "clean", "teardown", "gone"};
	for (size_t i = 0; i < plan->len; i++) {
		const struct kg_action *a = &plan->items[i];
		bool whole =
			a->kind == KG_A_SETUP || a->kind == KG_A_TEARDOWN || a->kind == KG_A_GONE;
		kg_buf_addf(b, "%s%s", b->len ? " " : "", names[a->kind]);
		if (!whole)
			kg_buf_addf(b, ":%s", p->c[a->container].name);
		if (a->kind == KG_A_TERM || a->kind == KG_A_KILL)
			kg_buf_addf(b, "@%lld", (long long)a->at);
	}
	if (plan->wake_mono != INT64_MAX)
		kg_buf_addf(b, "%swake:%lld", b->len ? " " : "", (long long)plan->wake_mono);
}

static void test_table(void **state)
{
	(void)state;
	unsigned bad = 0;
	for (size_t i = 0; i < KG_ARRAY_LEN(rows); i++) {
		struct kg_doc *doc = make_pod(rows[i].state);
		struct kg_pstate p;
		struct kg_plan plan = {0};
		KG_AUTOBUF struct kg_buf got = KG_BUF_INIT;
		kg_pstate_init(&p, doc);
		set_state(&p, rows[i].state);
		kg_plan_make(&plan, &p, 10000);
		print_plan(&got, &p, &plan);
		if (strcmp(kg_buf_str(&got), rows[i].decides)) {
			print_error("%s\n  decides %s\n  not     %s\n", rows[i].state,
				kg_buf_str(&got), rows[i].decides);
			bad++;
		}
		kg_plan_release(&plan);
		kg_pstate_release(&p);
		kg_doc_unref(doc);
	}
	assert_int_equal(bad, 0);
}

static void test_back_off(void **state)
{
	static const int64_t waits[] = {0, 10, 20, 40, 80, 160, 300, 300};
	struct kg_cstate c = {0};
	int64_t now = 1000;
	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(waits); i++) {
		c.phase = KG_C_RUNNING;
		c.started_mono = now;
		now += 1000;
		kg_plan_exited(&c, now);
		assert_int_equal(c.not_before_mono - now, waits[i] * 1000);
		now = c.not_before_mono;
	}
	/* Ten minutes of running are forgiven. */
	c.started_mono = now;
	now += 600 * 1000;
	kg_plan_exited(&c, now);
	assert_int_equal(c.not_before_mono, now);
	free(c.message);
}

static void test_pull_back_off(void **state)
{
	static const int64_t waits[] = {10, 20, 40, 80, 160, 300, 300};
	struct kg_cstate c = {0};
	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(waits); i++) {
		kg_plan_pull_failed(&c, 5000);
		assert_int_equal(c.pull_not_before_mono, 5000 + waits[i] * 1000);
	}
}

static void test_saved_state(void **state)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_doc *doc = make_pod("held i:a=exit0 b=run c=back3");
	struct kg_pstate p, q;
	(void)state;
	kg_pstate_init(&p, doc);
	set_state(&p, "held i:a=exit0 b=run c=back3");
	p.c[1].pid = 42;
	p.c[1].pid_start = 4242;
	struct kg_value v = kg_pstate_save(&a, &p);
	kg_pstate_init(&q, doc);
	kg_pstate_load(&q, &v, true, 99000);
	struct kg_value again = kg_pstate_save(&a, &q);
	assert_true(kg_equal(&v, &again));
	assert_true(q.held);
	kg_pstate_release(&q);
	/* After a reboot what ran has ended, and nothing waits. */
	kg_pstate_init(&q, doc);
	kg_pstate_load(&q, &v, false, 99000);
	assert_int_equal(q.c[1].phase, KG_C_EXITED);
	assert_int_equal(q.c[1].term.exit_code, 255);
	assert_int_equal(q.c[1].pid, 0);
	assert_int_equal(q.c[2].not_before_mono, 0);
	assert_int_equal(q.sandbox, KG_SANDBOX_NONE);
	kg_pstate_release(&q);
	kg_pstate_release(&p);
	kg_doc_unref(doc);
}

static void print_status(struct kg_buf *b, const struct kg_value *s);

/* What a reboot makes of a pod; which are to run again, and what is reported. */
static const struct {
	const char *state, *stale, *status;
} reboots[] = {
	{"i:a=exit0 b=run", "a b", "Pending False b:PodInitializing"},
	{"i:a=exit0 b=wait", "a", "Pending False b:PodInitializing"},
	{"i:a=run b=wait", "a", "Pending False b:PodInitializing"},
	{"a=run", "a", "Running False a:ContainerCreating"},
	{"OnFailure a=exit0 b=run", "a b", "Running False a:exit0 b:ContainerCreating"},
	{"OnFailure i:a=exit0 b=exit0", "", "Succeeded False b:exit0"},
	{"Never i:a=exit0 b=run", "", "Failed False b:exit255"},
	{"Never i:a=exit0 b=exit0 c=wait", "", "Failed False b:exit0 c:exit137"},
	{"Never i:a=exit0 b=wait", "a", "Pending False b:PodInitializing"},
	{"Never i:a=run b=wait", "", "Failed False b:PodInitializing"},
	{"deleting i:a=exit0 b=run", "", "Failed False b:exit255"},
};

static void test_reboots(void **state)
{
	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(reboots); i++) {
		struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
		KG_AUTOBUF struct kg_buf stale = KG_BUF_INIT, got = KG_BUF_INIT;
		struct kg_doc *doc = make_pod(reboots[i].state);
		struct kg_pstate before, p;
		kg_pstate_init(&before, doc);
		set_state(&before, reboots[i].state);
		for (size_t n = 0; n < before.nc; n++)
			if (before.c[n].phase != KG_C_WAITING)
				kg_cstate_wait(&before.c[n], "", NULL);
		struct kg_value v = kg_pstate_save(&a, &before);
		kg_pstate_init(&p, doc);
		kg_pstate_load(&p, &v, false, 99000);
		kg_plan_new_sandbox(&p, 99000);
		for (size_t n = 0; n < p.nc; n++)
			if (p.c[n].stale)
				kg_buf_addf(&stale, "%s%s", stale.len ? " " : "", p.c[n].name);
		struct kg_value s = kg_pod_status(&a, &p, &kg_null, 1000, 10000);
		print_status(&got, &s);
		if (strcmp(kg_buf_str(&stale), reboots[i].stale) ||
			strcmp(kg_buf_str(&got), reboots[i].status))
			fail_msg("%s: \"%s\", %s", reboots[i].state, kg_buf_str(&stale),
				kg_buf_str(&got));
		kg_pstate_release(&before);
		kg_pstate_release(&p);
		kg_doc_unref(doc);
	}
}

/* Phase, Ready, and the state of the containers, of the same words. */
static const struct row statuses[] = {
	{"nosandbox a=wait", "Pending False a:ContainerCreating"},
	{"nosandbox i:a=wait b=wait", "Pending False b:PodInitializing"},
	{"a=run b=run", "Running True a:running b:running"},
	{"a=run b=wait", "Pending False a:running b:ContainerCreating"},
	{"a=back1 b=run", "Running False a:CrashLoopBackOff b:running"},
	{"a=back1", "Running False a:CrashLoopBackOff"},
	{"Never a=exit0", "Succeeded False a:exit0"},
	{"Never a=exit0 b=exit2", "Failed False a:exit0 b:exit2"},
	{"Never a=exit1 b=run", "Running False a:exit1 b:running"},
	{"OnFailure a=exit0", "Succeeded False a:exit0"},
	{"Never i:a=exit1 b=wait", "Failed False b:PodInitializing"},
	{"deadline a=exit137", "Failed False a:exit137"},
	{"preempted a=run", "Running True a:running"},
	{"preempted a=exit137", "Failed False a:exit137"},
	{"deleting a=run", "Running True a:running"},
	{"rejected a=wait", "Failed "},
};

static void print_status(struct kg_buf *b, const struct kg_value *s)
{
	const struct kg_value *ready = kg_find(kg_get(s, "conditions"), "type", "Ready");
	const struct kg_value *list = kg_get(s, "containerStatuses");
	kg_buf_addf(b, "%s %s", kg_string(kg_get(s, "phase"), ""),
		kg_string(kg_get(ready, "status"), ""));
	for (uint32_t i = 0; i < kg_len(list); i++) {
		const struct kg_value *c = &list->items[i], *st = kg_get(c, "state");
		kg_buf_addf(b, " %s:", kg_string(kg_get(c, "name"), ""));
		if (!kg_is_null(kg_get(st, "running")))
			kg_buf_adds(b, "running");
		else if (!kg_is_null(kg_get(st, "terminated")))
			kg_buf_addf(b, "exit%d", (int)kg_int(kg_at(st, "terminated.exitCode"), 0));
		else
			kg_buf_adds(b, kg_string(kg_at(st, "waiting.reason"), "?"));
	}
}

static void test_status(void **state)
{
	unsigned bad = 0;
	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(statuses); i++) {
		struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
		KG_AUTOBUF struct kg_buf got = KG_BUF_INIT;
		struct kg_doc *doc = make_pod(statuses[i].state);
		struct kg_pstate p;
		kg_pstate_init(&p, doc);
		set_state(&p, statuses[i].state);
		for (size_t n = 0; n < p.nc; n++) {
			p.c[n].ready = p.c[n].phase == KG_C_RUNNING;
			if (p.c[n].phase == KG_C_EXITED)
				kg_cstate_wait(&p.c[n], "", NULL);
		}
		struct kg_value s = kg_pod_status(&a, &p, &kg_null, 1000, 10000);
		print_status(&got, &s);
		if (strcmp(kg_buf_str(&got), statuses[i].decides)) {
			print_error("%s\n  is  %s\n  not %s\n", statuses[i].state, kg_buf_str(&got),
				statuses[i].decides);
			bad++;
		}
		/* The same state later: conditions keep their time. */
		struct kg_value later = kg_pod_status(&a, &p, &s, 99000, 10000);
		assert_true(kg_equal(&s, &later));
		kg_pstate_release(&p);
		kg_doc_unref(doc);
	}
	assert_int_equal(bad, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_back_off),
		cmocka_unit_test(test_pull_back_off),
		cmocka_unit_test(test_saved_state),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_reboots),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
