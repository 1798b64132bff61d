#include "reconcile/step.h"

#include "reconcile/inputs.h"
#include "reconcile/internal.h"
#include "reconcile/plan.h"

#include <stdio.h>
#include <string.h>

/* Lines of the plan that a commit message keeps; the rest is counted there. */
#define MESSAGE_LINES 200

#define PUSH_BY "push by "
#define MAIN_IS ": main is "

int kg_step_run(struct kg_step *s, struct kg_reconcile_state *state, struct kg_error *err)
{
	struct kg_txn *txn = kg_txn_new(s->prev);

	kg_txn_set_time(txn, s->inputs->now);
	if (s->user)
		kg_txn_set_main(txn, s->new_commit);
	int rc = kg_reconcile(state, txn, s->inputs, &s->wake_at, err);
	if (rc < 0)
		kg_txn_free(txn);
	else
		kg_txn_finish(txn, &s->next, &s->changes);
	return rc;
}

void kg_step_skip(struct kg_step *s, kg_time now)
{
	struct kg_txn *txn = kg_txn_new(s->prev);

	kg_txn_set_time(txn, now);
	kg_txn_finish(txn, &s->next, &s->changes);
	kg_buf_adds(&s->record, KG_INPUTS_SKIPPED);
	kg_buf_adds(&s->message, "restored from a backup\n\n"
				 "Skipped: a number that may have been given to a revision that is "
				 "lost\nis not given again.\n");
}

void kg_step_release(struct kg_step *s)
{
	kg_snapshot_unref(s->next);
	kg_changes_release(&s->changes);
	kg_buf_release(&s->message);
	kg_buf_release(&s->author);
	kg_buf_release(&s->record);
	s->next = NULL;
}

/* ---- the commit's texts ---- */

/* The first input of the type that had an effect, or NULL; *n: how many there are. */
static const void *first_of(
	const struct kg_reconcile_state *st, enum kg_effect_type type, size_t *n)
{
	const void *first = NULL;

	*n = 0;
	for (size_t i = 0; i < st->effects.len; i++)
		if (st->effects.items[i].type == type && (*n)++ == 0)
			first = st->effects.items[i].input;
	return first;
}

static void say_inputs(struct kg_buf *out, const struct kg_reconcile_state *st)
{
	const struct kg_input_node *node;
	const struct kg_input_liveness *live;
	const struct kg_input_eviction *e;
	size_t n;

	if ((node = first_of(st, KG_EFFECT_NODE, &n)))
		kg_buf_addf(out, "node %s registered\n\n", node->name);
	else if ((live = first_of(st, KG_EFFECT_LIVENESS, &n)))
		kg_buf_addf(out, "node %s is %s\n\n", live->name, live->ready ? "ready" : "lost");
	else if ((e = first_of(st, KG_EFFECT_EVICTION, &n)))
		kg_buf_addf(out, "eviction of %s/%s\n\n", e->ns, e->name);
	else if (first_of(st, KG_EFFECT_REPORT, &n))
		kg_buf_addf(out, "status of %zu pod%s\n\n", n, n == 1 ? "" : "s");
	else if (first_of(st, KG_EFFECT_CLUSTER, &n))
		kg_buf_adds(out, "the master's address and CA\n\n");
	else
		kg_buf_adds(out, "what was due by the clock\n\n");
}

/* "NAME <NAME@kgit>", without what git's format of a commit has a meaning for. */
static void add_author(struct kg_buf *out, const char *user)
{
	struct kg_buf name KG_AUTOBUF = KG_BUF_INIT;

	for (const char *p = user; *p; p++)
		kg_buf_addc(&name, strchr("<>\"\\", *p) || (unsigned char)*p < ' ' ? '-' : *p);
	kg_buf_addf(out, "%s <%s@kgit>", kg_buf_str(&name), kg_buf_str(&name));
}

void kg_step_describe(struct kg_step *s, const struct kg_reconcile_state *state)
{
	struct kg_plan_options opts = {.max_lines = MESSAGE_LINES};

	if (s->user) {
		add_author(&s->author, s->user);
		kg_buf_addf(&s->message, PUSH_BY "%s" MAIN_IS "%.12s\n\n", s->user, s->new_commit);
	} else {
		say_inputs(&s->message, state);
	}
	kg_plan_write(&s->message, &s->changes, &opts);
	kg_inputs_write(&s->record, state, s->prev, &s->changes);
}

const char *kg_step_user(struct kg_arena *a, const char *message)
{
	const char *end = strchr(message, '\n'), *from = message + strlen(PUSH_BY), *last = NULL;

	if (strncmp(message, PUSH_BY, strlen(PUSH_BY)) != 0)
		return NULL;
	for (const char *p = from; (p = strstr(p, MAIN_IS)) && (!end || p < end); p++)
		last = p;
	return last ? kg_arena_strndup(a, from, (size_t)(last - from)) : NULL;
}
