/* A namespace whose Pod Security labels change: are they labels, and what of the pods that are
 * there would they refuse. */
#include "reconcile/admitting.h"
#include "reconcile/security.h"

#include <string.h>

void kg_admit_warn(
	struct kg_admitting *x, const struct kg_definition *d, const char *path, const char *why)
{
	size_t before = x->faults->len;
	kg_admit_look_at(x, d);
	kg_fault_add(x->faults, path, "%s", why);
	x->faults->root = NULL;
	kg_fault_warn_at(x->faults, before);
}

/* ---- pods that are there when their namespace asks for more ---- */

#define LOOKED_AT_MAX 3000 /* as in Kubernetes */

/* One of each owner's pods first, then the others. */
static void list_pods(struct kg_admitting *x, const char *ns, struct kg_list *out)
{
	KG_CLEANUP(kg_map_release) struct kg_map owners = KG_MAP_INIT;
	KG_AUTOLIST struct kg_list others = {0};
	struct kg_object_iter it;
	const struct kg_object *pod;
	kg_iter_kind(&it, x->s, KG_KIND_POD, ns, NULL);
	while ((pod = kg_iter_next(&it))) {
		const char *owner = kg_object_owner_uid(pod);
		kg_list_add(*owner && kg_map_put(&owners, owner, x) ? &others : out, pod);
	}
	kg_iter_release(&it);
	for (size_t i = 0; i < others.n; i++)
		kg_list_add(out, others.v[i]);
}

void kg_admit_note(struct kg_admitting *x, const struct kg_definition *d,
	const struct kg_value *labels, const struct kg_value *meta, const struct kg_value *spec)
{
	bool pod = d->m->kind->id == KG_KIND_POD;
	const char *why = kg_security_violations(x->a, labels, KG_SECURITY_AUDIT, meta, spec);
	struct kg_admission *out = x->out;
	if (!why && !(pod && (kg_security_asks(labels, KG_SECURITY_ENFORCE) ||
				     kg_security_asks(labels, KG_SECURITY_AUDIT))))
		return;
	if (!out->notes)
		out->notes = kg_arena_alloc(x->a, KG_MAX_NOTES * sizeof(*out->notes));
	if (out->noted++ >= KG_MAX_NOTES)
		return;
	const char *quoted = kg_security_policy(x->a, labels, KG_SECURITY_ENFORCE);
	out->notes[out->nnotes++] = (struct kg_admission_note){.kind = d->m->kind,
		.ns = d->m->ns,
		.name = d->m->name,
		.enforced = pod ? kg_arena_strndup(x->a, quoted + 1, strlen(quoted) - 2) : NULL,
		.violations =
			why ? kg_arena_printf(x->a, "would violate PodSecurity %s", why) : NULL};
}

/* Pods of the same reasons are told of once. */
struct sinners {
	const char *first;
	size_t n;
};

static struct kg_texts judge_existing(struct kg_admitting *x, const struct kg_value *labels,
	const struct kg_list *pods, size_t count)
{
	KG_CLEANUP(kg_map_release) struct kg_map by_reason = KG_MAP_INIT;
	struct kg_texts t = {.a = x->a};
	struct kg_map_entry *e;
	for (size_t i = 0; i < count; i++) {
		const struct kg_object *pod = pods->v[i];
		const char *why = kg_security_reasons(x->a, labels, KG_SECURITY_ENFORCE,
			kg_get(kg_obj(pod), "metadata"), kg_get(kg_obj(pod), "spec"));
		struct sinners *s = why ? kg_map_get(&by_reason, why) : NULL;
		if (!why)
			continue;
		if (!s) {
			s = kg_arena_alloc(x->a, sizeof(*s));
			*s = (struct sinners){.first = kg_arena_strdup(x->a, pod->name)};
			kg_map_put(&by_reason, why, s);
		}
		if (strcmp(pod->name, s->first) < 0)
			s->first = kg_arena_strdup(x->a, pod->name);
		s->n++;
	}
	for (size_t i = 0; (e = kg_map_next(&by_reason, &i));) {
		const struct sinners *s = e->value;
		const char *more = s->n > 1 ? kg_arena_printf(x->a, " (and %zu other pod%s)",
						      s->n - 1, s->n > 2 ? "s" : "")
					    : "";
		kg_texts_add(&t, "%s%s: %s", s->first, more, e->key);
	}
	kg_texts_sort(&t);
	return t;
}

static void warn_of_existing(struct kg_admitting *x, const struct kg_definition *d)
{
	const struct kg_value *labels = kg_at(&d->m->value, "metadata.labels");
	const struct kg_object *old = kg_snapshot_get(x->s, KG_KIND_NAMESPACE, "", d->m->name);
	KG_AUTOLIST struct kg_list pods = {0};
	if (!old || !kg_security_tightens(
			    kg_at(kg_obj(old), "metadata.labels"), labels, KG_SECURITY_ENFORCE))
		return;
	list_pods(x, d->m->name, &pods);
	size_t count = pods.n < LOOKED_AT_MAX ? pods.n : LOOKED_AT_MAX;
	struct kg_texts t = judge_existing(x, labels, &pods, count);
	if (count < pods.n)
		kg_admit_warn(x, d, "metadata.labels",
			kg_arena_printf(x->a,
				"new PodSecurity enforce level only checked against the first %zu "
				"of %zu existing pods",
				count, pods.n));
	if (t.n)
		kg_admit_warn(x, d, "metadata.labels",
			kg_arena_printf(x->a,
				"existing pods in namespace \"%s\" violate the new PodSecurity "
				"enforce level %s",
				d->m->name, kg_security_policy(x->a, labels, KG_SECURITY_ENFORCE)));
	for (size_t i = 0; i < t.n; i++)
		kg_admit_warn(x, d, "metadata.labels", t.v[i]);
}

void kg_admit_namespace(struct kg_admitting *x, const struct kg_definition *d)
{
	const struct kg_value *labels = kg_at(&d->m->value, "metadata.labels");
	const char *key, *msg;
	bool any = false;
	for (size_t at = 0; kg_security_label_fault(x->a, labels, &at, &key, &msg);) {
		any = true;
		kg_admit_look_at(x, d);
		kg_fault_add(
			x->faults, kg_arena_printf(x->a, "metadata.labels[%s]", key), "%s", msg);
		x->faults->root = NULL;
	}
	if (!any)
		warn_of_existing(x, d);
}
