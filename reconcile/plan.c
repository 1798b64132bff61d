/* A commit's changes in words, a line each: what a pusher reads, and the commit's message. */
#include "reconcile/plan.h"

#include "kinds/endpoints.h"

#include <inttypes.h>
#include <string.h>

struct words {
	struct kg_buf *out;
	const struct kg_plan_options *o;
	size_t lines, left;
};

static void say(struct words *w, const char *verb, const struct kg_object *obj, const char *rest)
{
	if (w->o->max_lines && w->lines >= w->o->max_lines) {
		w->left++;
		return;
	}
	w->lines++;
	kg_buf_addf(w->out, "%s%s %s %s%s%s%s\n", w->o->prefix ? w->o->prefix : "", verb,
		obj->kind->kind, obj->ns, *obj->ns ? "/" : "", obj->name, rest);
}

static const char *node_of(const struct kg_object *pod)
{
	return kg_string(kg_at(kg_obj(pod), "spec.nodeName"), "");
}

static void say_unbound(
	struct words *w, const char *verb, const struct kg_object *pod, struct kg_buf *b)
{
	const char *why =
		kg_string(kg_get(kg_object_condition(pod, "PodScheduled"), "message"), "");
	kg_buf_addf(b, ", not bound: %s", *why ? why : "waiting");
	say(w, verb, pod, b->data);
}

static void say_pod_status(struct words *w, const struct kg_object *before,
	const struct kg_object *after, struct kg_buf *b)
{
	const char *old = kg_string(kg_at(kg_obj(before), "status.phase"), "");
	const char *phase = kg_string(kg_at(kg_obj(after), "status.phase"), "");
	bool same_phase = strcmp(old, phase) == 0;
	if (same_phase && kg_object_ready(before) == kg_object_ready(after))
		return;
	kg_buf_addf(b, " is %s", phase);
	if (kg_object_ready(before) != kg_object_ready(after))
		kg_buf_adds(b, kg_object_ready(after) ? ", ready" : ", not ready");
	say(w, "now", after, b->data);
}

/* Another controller owns it now, or none; false: nothing of that. */
static bool say_owner(
	struct words *w, const struct kg_object *before, const struct kg_object *after)
{
	const char *old = kg_object_owner_uid(before), *now = kg_object_owner_uid(after);
	if (strcmp(old, now) == 0)
		return false;
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	const struct kg_value *refs = kg_at(kg_obj(after), "metadata.ownerReferences");
	for (uint32_t i = 0; i < kg_len(refs) && *now; i++)
		if (kg_bool(kg_get(&refs->items[i], "controller"), false))
			kg_buf_addf(&b, " by %s %s", kg_string(kg_get(&refs->items[i], "kind"), ""),
				kg_string(kg_get(&refs->items[i], "name"), ""));
	say(w, *now ? "adopted" : "orphaned", after, kg_buf_str(&b));
	return true;
}

static void pod_words(
	struct words *w, const struct kg_object *before, const struct kg_object *after)
{
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	if (!after) {
		say(w, "deleted", before, "");
		return;
	}
	if (before && strcmp(kg_object_uid(before), kg_object_uid(after)) != 0)
		before = NULL; /* another of that name */
	const char *node = node_of(after);
	if (kg_object_deleting(after) && (!before || !kg_object_deleting(before))) {
		kg_buf_addf(&b, " on %s", node);
		say(w, "stopping", after, b.data);
	} else if (*node && (!before || !*node_of(before))) {
		kg_buf_addf(&b, " to %s", node);
		say(w, "bound", after, b.data);
	} else if (!before) {
		say_unbound(w, "created", after, &b);
	} else if (!kg_equal(kg_at(kg_obj(before), "spec"), kg_at(kg_obj(after), "spec"))) {
		say(w, "changed", after, "");
	} else if (say_owner(w, before, after)) {
		return;
	} else if (!*node) {
		if (!kg_equal(kg_object_condition(before, "PodScheduled"),
			    kg_object_condition(after, "PodScheduled")))
			say_unbound(w, "now", after, &b);
	} else {
		say_pod_status(w, before, after, &b);
	}
}

static bool cordoned(const struct kg_object *node)
{
	return kg_bool(kg_at(kg_obj(node), "spec.unschedulable"), false);
}

static bool same_manifest(const struct kg_object *before, const struct kg_object *after)
{
	if (!before->source || !after->source)
		return !before->source && !after->source;
	return kg_equal(kg_doc_value(before->base), kg_doc_value(after->base));
}

static void node_words(
	struct words *w, const struct kg_object *before, const struct kg_object *after)
{
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	if (!before)
		say(w, after->source ? "created" : "registered", after,
			kg_object_ready(after) ? ", ready" : ", not ready");
	else if (!after)
		say(w, "deleted", before, "");
	else if (kg_object_ready(before) != kg_object_ready(after)) {
		const char *why =
			kg_string(kg_get(kg_object_condition(after, "Ready"), "reason"), "");
		kg_buf_addf(&b, " is %s (%s)", kg_object_ready(after) ? "ready" : "not ready", why);
		say(w, "now", after, b.data);
	} else if (cordoned(before) != cordoned(after)) {
		say(w, cordoned(after) ? "cordoned" : "uncordoned", after, "");
	} else if (!same_manifest(before, after)) {
		say(w, "changed", after, "");
	}
}

/* Everything but status: what users and controllers decide. */
static bool same_but_status(const struct kg_object *before, const struct kg_object *after)
{
	static const char *const parts[] = {"spec", "data", "binaryData", "immutable"};
	for (size_t i = 0; i < KG_ARRAY_LEN(parts); i++)
		if (!kg_equal(kg_get(kg_obj(before), parts[i]), kg_get(kg_obj(after), parts[i])))
			return false;
	const struct kg_value *x = kg_get(kg_obj(before), "metadata");
	const struct kg_value *y = kg_get(kg_obj(after), "metadata");
	if (before->source && after->source && before->base && after->base)
		return kg_equal(kg_doc_value(before->base), kg_doc_value(after->base));
	return kg_equal(kg_get(x, "labels"), kg_get(y, "labels")) &&
	       kg_equal(kg_get(x, "deletionTimestamp"), kg_get(y, "deletionTimestamp"));
}

static void progress_words(
	struct words *w, const struct kg_object *before, const struct kg_object *after)
{
	const struct kg_value *p = kg_object_condition(after, "Progressing");
	const char *reason = kg_string(kg_get(p, "reason"), "");
	bool told = strcmp(reason, "NewReplicaSetAvailable") == 0 ||
		    strcmp(reason, "ProgressDeadlineExceeded") == 0;
	if (!told ||
		strcmp(kg_string(kg_get(kg_object_condition(before, "Progressing"), "reason"), ""),
			reason) == 0)
		return;
	say(w, "now", after, reason[0] == 'N' ? " is complete" : " exceeded its progress deadline");
}

static void job_words(
	struct words *w, const struct kg_object *before, const struct kg_object *after)
{
	static const char *const ends[][2] = {
		{"Complete", " is complete"}, {"Failed", " failed: "}};
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	for (size_t i = 0; i < KG_ARRAY_LEN(ends); i++) {
		const struct kg_value *c = kg_object_condition(after, ends[i][0]);
		if (strcmp(kg_string(kg_get(c, "status"), ""), "True") != 0 ||
			!kg_is_null(kg_object_condition(before, ends[i][0])))
			continue;
		kg_buf_adds(&b, ends[i][1]);
		if (i == 1)
			kg_buf_adds(&b, kg_string(kg_get(c, "message"), ""));
		say(w, "now", after, b.data);
	}
}

static void other_words(
	struct words *w, const struct kg_object *before, const struct kg_object *after)
{
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	if (!before) {
		int64_t n = kg_int(kg_at(kg_obj(after), "spec.replicas"), -1);
		if (after->kind->id == KG_KIND_REPLICASET)
			kg_buf_addf(&b, " with %" PRId64 " pod%s", n, n == 1 ? "" : "s");
		say(w, "created", after, kg_buf_str(&b));
		return;
	}
	if (!after) {
		say(w, "deleted", before, "");
		return;
	}
	int64_t old = kg_int(kg_at(kg_obj(before), "spec.replicas"), -1);
	int64_t now = kg_int(kg_at(kg_obj(after), "spec.replicas"), -1);
	if (old != now && old >= 0 && now >= 0) {
		kg_buf_addf(&b, " from %" PRId64 " to %" PRId64, old, now);
		say(w, "scaled", after, b.data);
	} else if (!same_but_status(before, after)) {
		say(w, kg_object_deleting(after) ? "stopping" : "changed", after, "");
	} else if (say_owner(w, before, after)) {
		return;
	} else if (after->kind->id == KG_KIND_DEPLOYMENT) {
		progress_words(w, before, after);
	} else if (after->kind->id == KG_KIND_JOB) {
		job_words(w, before, after);
	}
}

void kg_plan_write(
	struct kg_buf *out, const struct kg_changes *changes, const struct kg_plan_options *opts)
{
	static const struct kg_plan_options none = {0};
	struct words w = {.out = out, .o = opts ? opts : &none};
	for (size_t i = 0; i < changes->len; i++) {
		const struct kg_change *c = &changes->items[i];
		const struct kg_object *obj = kg_change_object(c);
		if (c->quiet)
			continue;
		if (obj->kind->id == KG_KIND_POD)
			pod_words(&w, c->before, c->after);
		else if (obj->kind->id == KG_KIND_NODE)
			node_words(&w, c->before, c->after);
		else if (obj->kind->id != KG_KIND_ENDPOINTSLICE || !kg_slice_is_made(obj))
			other_words(&w, c->before, c->after);
	}
	if (w.left)
		kg_buf_addf(out, "%sand %zu more\n", w.o->prefix ? w.o->prefix : "", w.left);
}
