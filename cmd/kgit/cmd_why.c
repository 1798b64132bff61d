/* Why an object is as it is, for people and for programs. */
#include "kgit/fields.h"
#include "kgit/why.h"
#include "reconcile/summary.h"
#include "value/json.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define SHOWN_NODES 10
#define SHOWN_STEPS 8

/* ---- what it is ---- */

static struct kg_object *object_of(const struct kgit_why *w)
{
	struct kg_object_spec spec = {
		.kind = w->name.kind, .ns = w->name.ns, .name = w->name.name, .value = w->now};

	return kg_object_new(&spec);
}

static void summarize(struct kg_summary *out, const struct kgit_why *w)
{
	struct kg_object *obj = object_of(w);
	struct kg_snapshot *none = kg_snapshot_new("");

	kg_summarize(out, w->around ? w->around : none, obj);
	kg_snapshot_unref(none);
	kg_object_unref(obj);
}

static void write_state(struct kg_buf *out, const struct kgit_why *w)
{
	const char *node = kg_string(kg_at(w->now, "spec.nodeName"), "");
	const char *ip = kg_string(kg_at(w->now, "status.podIP"), "");
	struct kg_summary sum;

	summarize(&sum, w);
	kg_buf_adds(out, w->deleted ? "deleted" : *sum.state ? sum.state : "there");
	if (*node)
		kg_buf_addf(out, ", %son node %s", w->deleted ? "was " : "", node);
	if (*ip)
		kg_buf_addf(out, " (%s)", ip);
	if (!w->deleted && *sum.reason)
		kg_buf_addf(out, ": %s", sum.reason);
}

/* ---- the chain ---- */

static void write_when(struct kg_buf *out, const struct kg_value *entry)
{
	kg_buf_addf(out, "revision %lld, ", (long long)kg_int(kg_get(entry, "revision"), 0));
	kgit_time_write(out, kg_get(entry, "time"));
}

static void write_link(struct kg_buf *out, const struct kgit_link *l)
{
	char *words KG_AUTOFREE = kgit_object_words(&l->name);

	kg_buf_addf(out, "  %s: ", words);
	kgit_fields_write(out, l->step.before, l->step.after);
	kg_buf_adds(out, "\n      ");
	write_when(out, l->step.entry);
	kg_buf_adds(out, ", ");
	kgit_cause_write(out, l->step.entry);
	kg_buf_addc(out, '\n');
}

/* From the commit down to the object. */
static void write_chain(struct kg_buf *out, const char *title, const struct kgit_chain *c)
{
	if (!c->n)
		return;
	const struct kg_value *top = c->links[c->n - 1].step.entry, *pushed = kg_get(top, "pushed");
	kg_buf_addf(out, "\n%s\n", title);
	if (pushed->type == KG_OBJECT) {
		kg_buf_addf(out, "  commit %.12s by %s, ", kg_string(kg_get(pushed, "commit"), ""),
			kg_string(kg_get(pushed, "author"), ""));
		kgit_time_write(out, kg_get(pushed, "time"));
		kg_buf_addf(out, ": %s\n", kg_string(kg_get(pushed, "subject"), ""));
		const char *file = kg_string(kg_get(top, "file"), "");
		int64_t line = kg_int(kg_get(top, "line"), 0);
		if (*file && line)
			kg_buf_addf(out, "      %s:%lld\n", file, (long long)line);
		else if (*file)
			kg_buf_addf(out, "      %s\n", file);
	}
	for (size_t i = c->n; i-- > 0;)
		write_link(out, &c->links[i]);
}

/* ---- the node ---- */

static void write_scores(struct kg_buf *out, const struct kg_value *node)
{
	const struct kg_value *scores = kg_get(node, "scores");
	bool any = false;

	kg_buf_addf(out, "score %lld", (long long)kg_int(kg_get(node, "total"), 0));
	for (uint32_t i = 0; i < kg_len(scores); i++) {
		int64_t n = kg_int(&scores->members[i].value, 0);

		if (!n)
			continue;
		kg_buf_addf(
			out, "%s%s %lld", any ? ", " : " (", scores->members[i].key, (long long)n);
		any = true;
	}
	if (any)
		kg_buf_addc(out, ')');
}

static void write_list(struct kg_buf *out, const struct kg_value *list)
{
	for (uint32_t i = 0; i < kg_len(list); i++)
		kg_buf_addf(out, "%s%s", i ? ", " : "", kg_string(&list->items[i], ""));
}

static void write_node(struct kg_buf *out, const struct kg_value *node, const char *chosen)
{
	const char *name = kg_string(kg_get(node, "node"), "");

	kg_buf_addf(out, "  %-24s ", name);
	if (kg_bool(kg_get(node, "fits"), false)) {
		kg_buf_addf(out, "%s, ", strcmp(name, chosen) == 0 ? "chosen" : "fits");
		write_scores(out, node);
	} else {
		kg_buf_addf(out, "no: %s: ", kg_string(kg_get(node, "plugin"), ""));
		write_list(out, kg_get(node, "reasons"));
	}
	if (kg_len(kg_get(node, "victims"))) {
		kg_buf_adds(out, "; it would fit without ");
		write_list(out, kg_get(node, "victims"));
	}
	kg_buf_addc(out, '\n');
}

static void write_placing(struct kg_buf *out, const struct kgit_why *w)
{
	const struct kg_value *p = w->placing;
	const char *node = kg_string(kg_at(w->now, "spec.nodeName"), "");

	if (w->unplaced)
		kg_buf_addf(out, "\nwhy that node: %s\n", w->unplaced);
	if (!p)
		return;
	const char *chosen = kg_string(kg_get(p, "chosen"), "");
	const char *message = kg_string(kg_get(p, "message"), "");
	const struct kg_value *nodes = kg_get(p, "nodes");
	if (w->bound && *node) {
		kg_buf_addf(out, "\nwhy node %s (as the scheduler sees it at ", node);
		write_when(out, w->bound->entry);
		kg_buf_adds(out, ")\n");
	} else {
		kg_buf_addf(out, "\nwhy on no node%s%s\n", *message ? ": " : "", message);
	}
	if (kg_bool(kg_get(p, "gated"), false))
		kg_buf_adds(
			out, "  it has scheduling gates: nobody looks at it until they are gone\n");
	if (kg_bool(kg_get(p, "unknown"), false))
		kg_buf_addf(out, "  nobody here is the scheduler \"%s\" that it wants\n",
			kg_string(kg_get(p, "scheduler"), ""));
	uint32_t shown = 0;
	for (; shown < kg_len(nodes) && shown < SHOWN_NODES; shown++)
		write_node(out, &nodes->items[shown], *node ? node : chosen);
	int64_t more = kg_int(kg_get(p, "nodeCount"), 0) - shown;
	if (more > 0)
		kg_buf_addf(out, "  and %lld more nodes; %lld of all fit (-o json names them)\n",
			(long long)more, (long long)kg_int(kg_get(p, "fitCount"), 0));
	if (w->bound && *node && *chosen && strcmp(chosen, node) != 0)
		kg_buf_addf(out,
			"  (seen from the revision's end it would be %s: other pods came "
			"between)\n",
			chosen);
}

/* ---- trouble ---- */

static void write_ended(struct kg_buf *out, const struct kg_value *ended)
{
	const char *message = kg_string(kg_get(ended, "message"), "");

	kg_buf_addf(out, "%s, exit status %lld", kg_string(kg_get(ended, "reason"), "ended"),
		(long long)kg_int(kg_get(ended, "exitCode"), 0));
	if (kg_int(kg_get(ended, "signal"), 0))
		kg_buf_addf(out, ", signal %lld", (long long)kg_int(kg_get(ended, "signal"), 0));
	kg_buf_adds(out, ", ");
	kgit_time_write(out, kg_get(ended, "finishedAt"));
	if (*message)
		kg_buf_addf(out, ": %s", message);
}

static void write_container(struct kg_buf *out, const struct kg_value *c)
{
	const struct kg_value *waiting = kg_at(c, "state.waiting");
	const struct kg_value *ended = kg_at(c, "state.terminated");
	const struct kg_value *last = kg_at(c, "lastState.terminated");
	long long restarts = (long long)kg_int(kg_get(c, "restartCount"), 0);

	if (kg_is_null(waiting) && kg_is_null(ended) && kg_is_null(last) && !restarts)
		return;
	kg_buf_addf(out, "  container %s: %lld restart%s", kg_string(kg_get(c, "name"), ""),
		restarts, restarts == 1 ? "" : "s");
	if (!kg_is_null(waiting))
		kg_buf_addf(out, "; waits: %s %s", kg_string(kg_get(waiting, "reason"), ""),
			kg_string(kg_get(waiting, "message"), ""));
	if (!kg_is_null(ended)) {
		kg_buf_adds(out, "; it ended: ");
		write_ended(out, ended);
	}
	if (!kg_is_null(last)) {
		kg_buf_adds(out, "; the one before ended: ");
		write_ended(out, last);
	}
	kg_buf_addc(out, '\n');
}

static void write_trouble(struct kg_buf *out, const struct kg_value *pod)
{
	static const char *const lists[] = {
		"status.initContainerStatuses", "status.containerStatuses"};
	const char *reason = kg_string(kg_at(pod, "status.reason"), "");
	const char *message = kg_string(kg_at(pod, "status.message"), "");
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;

	if (*reason || *message)
		kg_buf_addf(&text, "  the pod: %s%s%s\n", reason, *reason && *message ? ": " : "",
			message);
	for (size_t l = 0; l < KG_ARRAY_LEN(lists); l++) {
		const struct kg_value *list = kg_at(pod, lists[l]);

		for (uint32_t i = 0; i < kg_len(list); i++)
			write_container(&text, &list->items[i]);
	}
	if (text.len)
		kg_buf_addf(out, "\nwhat went wrong\n%s", text.data);
}

/* The pods below that are not ready. */
static void write_below(struct kg_buf *out, const struct kg_snapshot *s, const char *uid)
{
	struct kg_object_iter it KG_CLEANUP(kg_iter_release);
	const struct kg_object *obj;

	kg_iter_index(&it, s, KG_INDEX_OWNER, uid);
	while ((obj = kg_iter_next(&it))) {
		struct kg_summary sum;

		kg_summarize(&sum, s, obj);
		if (!sum.ready)
			kg_buf_addf(out, "  %s %s/%s: %s%s%s\n", obj->kind->kind, obj->ns,
				obj->name, sum.state, *sum.reason ? ": " : "", sum.reason);
		write_below(out, s, kg_object_uid(obj));
	}
}

static void write_steps(struct kg_buf *out, const struct kgit_why *w)
{
	size_t shown = w->n < SHOWN_STEPS ? w->n : SHOWN_STEPS;

	kg_buf_adds(out, "\nwhat happened to it\n");
	if (shown < w->n)
		kg_buf_addf(out, "  (%zu earlier: kgit log)\n", w->n - shown);
	for (size_t i = shown; i-- > 0;) {
		kg_buf_adds(out, "  ");
		write_when(out, w->steps[i].entry);
		kg_buf_addf(out, ", ");
		kgit_cause_write(out, w->steps[i].entry);
		kg_buf_adds(out, "\n      ");
		kgit_fields_write(out, w->steps[i].before, w->steps[i].after);
		kg_buf_addc(out, '\n');
	}
}

static void print_text(const struct kgit_why *w)
{
	char *words KG_AUTOFREE = kgit_object_words(&w->name);
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT, below KG_AUTOBUF = KG_BUF_INIT;

	kg_buf_addf(&out, "%s, as of revision %llu: ", words, (unsigned long long)w->revision);
	write_state(&out, w);
	kg_buf_addc(&out, '\n');
	write_chain(&out, "why it is there", &w->made);
	write_placing(&out, w);
	write_chain(
		&out, w->deleted ? "why it was deleted" : "why it is being deleted", &w->unmade);
	if (w->name.kind->id == KG_KIND_POD)
		write_trouble(&out, w->now);
	if (w->around)
		write_below(&below, w->around, kg_string(kg_at(w->now, "metadata.uid"), ""));
	if (below.len)
		kg_buf_addf(&out, "\nnot ready below it\n%s", below.data);
	write_steps(&out, w);
	kgit_print(out.data, out.len);
}

/* ---- as JSON ---- */

static struct kg_value step_json(
	struct kg_arena *a, const char *object, const struct kgit_step *step)
{
	struct kg_buf change KG_AUTOBUF = KG_BUF_INIT, cause KG_AUTOBUF = KG_BUF_INIT;
	struct kg_value v = kg_with(a, step->entry, "object", kg_v_str(a, object));

	kgit_fields_write(&change, step->before, step->after);
	kgit_cause_write(&cause, step->entry);
	v = kg_with(a, &v, "change", kg_v_str(a, kg_buf_str(&change)));
	return kg_with(a, &v, "cause", kg_v_str(a, kg_buf_str(&cause)));
}

static struct kg_value chain_json(struct kg_arena *a, const struct kgit_chain *c)
{
	struct kg_value items[KG_ARRAY_LEN(c->links)];

	for (size_t i = 0; i < c->n; i++) {
		char *words KG_AUTOFREE = kgit_object_words(&c->links[i].name);

		items[i] = step_json(a, words, &c->links[i].step);
	}
	return c->n ? kg_v_array(a, items, c->n) : kg_v_null();
}

static void print_json(const struct kgit_why *w)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT, state KG_AUTOBUF = KG_BUF_INIT;
	struct kg_value *steps = kg_arena_alloc(&a, (w->n + 1) * sizeof(*steps));
	char *words KG_AUTOFREE = kgit_object_words(&w->name);

	write_state(&state, w);
	for (size_t i = 0; i < w->n; i++)
		steps[i] = step_json(&a, words, &w->steps[i]);
	struct kg_value v = kg_v_obj(&a, "object", kg_v_str(&a, words), "revision",
		kg_v_int((int64_t)w->revision), "deleted", kg_v_bool(w->deleted), "state",
		kg_v_str(&a, kg_buf_str(&state)), "node", *kg_at(w->now, "spec.nodeName"), "chain",
		chain_json(&a, &w->made), "deletion", chain_json(&a, &w->unmade), "placing",
		w->placing ? *w->placing : kg_v_null(), "placingUnknown",
		w->unplaced ? kg_v_lit(w->unplaced) : kg_v_null(), "status",
		*kg_get(w->now, "status"), "history", kg_v_array(&a, steps, w->n), (char *)NULL);
	kg_json_write_pretty(&out, &v);
	puts(kg_buf_str(&out));
}

/* ---- */

static int run(int argc, char **argv, const char *kubeconfig)
{
	static const struct option options[] = {{"at", required_argument, NULL, 'a'},
		{"namespace", required_argument, NULL, 'n'},
		{"output", required_argument, NULL, 'o'}, {0}};
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kgit_cluster cluster KG_CLEANUP(kgit_cluster_release) = {0};
	struct kgit_why w KG_CLEANUP(kgit_why_release) = {0};
	const char *at = NULL, *ns = NULL;
	struct kgit_object_name name;
	bool json = false;
	uint64_t revision = 0;
	struct kg_error err;
	int c;

	while ((c = getopt_long(argc, argv, "n:o:", options, NULL)) != -1) {
		if (c == 'o' && strcmp(optarg, "json") != 0)
			return kgit_bad_usage(
				&kgit_why_verb, "-o: expected json, got \"%s\"", optarg);
		json |= c == 'o';
		if (c == 'a')
			at = optarg;
		if (c == 'n')
			ns = optarg;
		if (c == '?')
			return 2;
	}
	if (kgit_object_parse(&name, argc - optind, argv + optind, ns, &err) < 0)
		return kgit_bad_usage(&kgit_why_verb, "%s", err.msg);
	if (kgit_cluster_find(&cluster, kubeconfig, &err) < 0)
		return kgit_fail(&err);
	struct kg_http_client *http = kgit_connect(&cluster, 0);
	int rc = at ? kgit_revision_parse(&revision, http, at, &err) : 0;
	if (rc == 0)
		rc = kgit_why_find(&w, &a, http, &name, revision, &err);
	kg_http_client_free(http);
	if (rc < 0)
		return kgit_fail(&err);
	if (json)
		print_json(&w);
	else
		print_text(&w);
	return 0;
}

const struct kgit_verb kgit_why_verb = {
	.name = "why",
	.summary = "why an object is there, on that node, pending, restarted or gone",
	.usage = "kgit why OBJECT [-n NAMESPACE] [--at REV|TIME] [-o json]\n"
		 "\n"
		 "OBJECT is KIND/NAME or KIND NAME, as kubectl takes it; one that is deleted is "
		 "found,\n"
		 "too. Tells the chain from the commit, its author, file and line over the owners "
		 "to the\n"
		 "object; of a pod what the scheduler says of every node at the revision that "
		 "bound it,\n"
		 "or now where it waits; what went wrong; who deleted it; what happened to it.\n",
	.run = run,
};
