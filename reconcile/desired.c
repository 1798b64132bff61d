/*
 * What a push desires becomes objects: removals first, so that what they held is free, then
 * LimitRanges and Services that name their own addresses, then the rest in order of kind and key.
 */
#include "reconcile/belong.h"
#include "reconcile/podpolicy.h"

#include <string.h>

/* What the system adds to a manifest's value when the object comes to be. */
static struct kg_value newborn(struct kg_run *r, const struct kg_kind *kind, const char *ns,
	const char *name, const struct kg_value *manifest)
{
	struct kg_value v = kg_birth(r, kind, ns, name, manifest);
	struct kg_arena *a = &r->a;
	switch (kind->id) {
	case KG_KIND_NAMESPACE: {
		struct kg_value fin = kg_v_lit("kubernetes");
		struct kg_value labels = kg_with_key(a, kg_at(&v, "metadata.labels"),
			"kubernetes.io/metadata.name", kg_v_str(a, name));
		v = kg_with(a, &v, "metadata.labels", labels);
		v = kg_with(a, &v, "spec.finalizers", kg_v_array(a, &fin, 1));
		return kg_with(a, &v, "status.phase", kg_v_lit("Active"));
	}
	case KG_KIND_POD:
		v = kg_pod_defaults(r, ns, &v);
		/* Its node, where the manifest names one, is bound like any other by the scheduler.
		 */
		v = kg_with_key(a, &v, "status", kg_pod_new_status(a, kg_get(&v, "spec")));
		return kg_with(a, &v, "spec.nodeName", kg_v_null());
	case KG_KIND_PERSISTENTVOLUMECLAIM:
		return kg_claim_newborn(a, kg_now(r), v);
	case KG_KIND_PERSISTENTVOLUME:
		v = kg_finalizer_add(a, &v, "kubernetes.io/pv-protection");
		return kg_with(a, &v, "status.phase", kg_v_lit("Pending"));
	case KG_KIND_SERVICE:
		return kg_with(a, &v, "status.loadBalancer", kg_v_object(a, NULL, 0));
	case KG_KIND_REPLICASET:
		return kg_with(a, &v, "status.replicas", kg_v_int(0));
	case KG_KIND_REPLICATIONCONTROLLER:
		return kg_with(a, &v, "status.replicas", kg_v_int(0));
	case KG_KIND_JOB:
		v = kg_job_generate(a, &v);
		return kg_with_key(a, &v, "status", kg_v_object(a, NULL, 0));
	case KG_KIND_CRONJOB:
	case KG_KIND_PODDISRUPTIONBUDGET:
	case KG_KIND_DEPLOYMENT:
	case KG_KIND_DAEMONSET:
	case KG_KIND_STATEFULSET:
		return kg_with_key(a, &v, "status", kg_v_object(a, NULL, 0));
	default:
		return v;
	}
}

int kg_desired_create(struct kg_run *r, const struct kg_kind *kind, const char *ns,
	const char *name, struct kg_doc *base, const char *source, unsigned source_index)
{
	struct kg_value v = newborn(r, kind, ns, name, kg_doc_value(base));
	if (kind->id == KG_KIND_CRONJOB) {
		int rc = kg_cronjob_zone(r, ns, name, &v);
		if (rc < 0)
			return rc;
	}
	if (kind->id == KG_KIND_SERVICE) {
		int rc = kg_ipam_check(r->st, ns, name, &v, r->err);
		if (rc < 0)
			return rc;
	}
	struct kg_object_spec spec = {.kind = kind,
		.ns = ns,
		.name = name,
		.value = &v,
		.base = base,
		.source = source,
		.source_index = source_index};
	kg_txn_put(r->txn, kg_object_new(&spec));
	return 0;
}

/* ---- changes ---- */

/* The system's annotations outlive a change of the manifest's. */
static struct kg_value keep_annotations(
	struct kg_arena *a, const struct kg_object *old, struct kg_value v)
{
	static const char *const ours[] = {KG_REVISION_ANNOTATION, KG_HISTORY_ANNOTATION,
		KG_CREATED_ANNOTATION, KG_BACKOFF_ANNOTATION, KG_INDEX_FAILURES_ANNOTATION,
		KG_SKIPPED_ANNOTATION};
	for (size_t i = 0; i < KG_ARRAY_LEN(ours); i++) {
		const char *text = kg_annotation(old, ours[i], NULL);
		if (text)
			v = kg_with_annotation(a, &v, ours[i], text);
	}
	return v;
}

static bool is_headless(const struct kg_value *v)
{
	return strcmp(kg_string(kg_at(v, "spec.clusterIP"), ""), "None") == 0;
}

/* Addresses and node ports that were allocated are kept where the manifest leaves them open. */
struct kg_value kg_service_keep(struct kg_arena *a, const struct kg_object *old, struct kg_value v)
{
	static const char *const keep[] = {
		"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "healthCheckNodePort"};
	const struct kg_value *was = kg_get(kg_obj(old), "spec");
	struct kg_value spec = *kg_get(&v, "spec");
	const char *type = kg_string(kg_get(&spec, "type"), "ClusterIP");
	if (strcmp(type, "ExternalName") == 0)
		return v;
	for (size_t i = 0; i < KG_ARRAY_LEN(keep) && !is_headless(&v); i++)
		if (kg_is_null(kg_get(&spec, keep[i])))
			spec = kg_with_key(a, &spec, keep[i], *kg_get(was, keep[i]));
	const struct kg_value *ports = kg_get(&spec, "ports");
	if (strcmp(type, "ClusterIP") == 0 || kg_len(ports) == 0)
		return kg_with_key(a, &v, "spec", spec);
	struct kg_value *items = kg_arena_alloc(a, ports->len * sizeof(*items));
	const struct kg_value *before = kg_get(was, "ports");
	for (uint32_t i = 0; i < ports->len; i++) {
		items[i] = ports->items[i];
		for (uint32_t k = 0; k < kg_len(before); k++) {
			const struct kg_value *b = &before->items[k];
			if (kg_is_null(kg_get(&items[i], "nodePort")) &&
				kg_equal(kg_get(b, "port"), kg_get(&items[i], "port")) &&
				kg_equal(kg_get(b, "protocol"), kg_get(&items[i], "protocol")))
				items[i] = kg_with_key(
					a, &items[i], "nodePort", *kg_get(b, "nodePort"));
		}
	}
	spec = kg_with_key(a, &spec, "ports", kg_v_array(a, items, ports->len));
	return kg_with_key(a, &v, "spec", spec);
}

/* What the system decided, where the manifest leaves it open. */
static struct kg_value keep_open(
	struct kg_arena *a, struct kg_value v, const struct kg_value *was, const char *path)
{
	const struct kg_value *old = kg_at(was, path);
	return kg_is_null(old) ? v : kg_with(a, &v, path, *old);
}

/* Where it is, and what its containers were given when it came to be: neither may change. */
static struct kg_value keep_pod(struct kg_arena *a, struct kg_value v, const struct kg_value *was)
{
	static const char *const lists[] = {"spec.containers", "spec.initContainers"};
	static const char note[] = "kubernetes.io/limit-ranger";
	for (size_t l = 0; l < KG_ARRAY_LEN(lists); l++) {
		const struct kg_value *now = kg_at(&v, lists[l]), *old = kg_at(was, lists[l]);
		uint32_t n = kg_len(now);
		if (!n || n != kg_len(old))
			continue;
		struct kg_value *items = kg_arena_alloc(a, n * sizeof(*items));
		for (uint32_t i = 0; i < n; i++)
			items[i] = kg_with_key(a, &now->items[i], "resources",
				*kg_get(&old->items[i], "resources"));
		v = kg_with(a, &v, lists[l], kg_v_array(a, items, n));
	}
	const char *text = kg_string(kg_get(kg_at(was, "metadata.annotations"), note), NULL);
	if (text || !kg_is_null(kg_get(kg_at(&v, "metadata.annotations"), note)))
		v = kg_with_annotation(a, &v, note, text);
	v = kg_with(a, &v, "spec.overhead", *kg_at(was, "spec.overhead"));
	v = kg_with(a, &v, "spec.imagePullSecrets", *kg_at(was, "spec.imagePullSecrets"));
	v = kg_with(a, &v, "spec.nodeSelector", *kg_at(was, "spec.nodeSelector"));
	return kg_with(a, &v, "spec.nodeName", *kg_at(was, "spec.nodeName"));
}

static struct kg_value changed(
	struct kg_run *r, const struct kg_object *old, const struct kg_value *manifest)
{
	static const char *const meta[] = {"uid", "creationTimestamp", "generation"};
	struct kg_arena *a = &r->a;
	struct kg_value v = newborn(r, old->kind, old->ns, old->name, manifest);
	const struct kg_value *was = kg_obj(old);
	struct kg_value m = *kg_get(&v, "metadata");
	for (size_t i = 0; i < KG_ARRAY_LEN(meta); i++)
		m = kg_with_key(a, &m, meta[i], *kg_get(kg_get(was, "metadata"), meta[i]));
	v = kg_with_key(a, &v, "metadata", m);
	v = kg_with_key(a, &v, "status", *kg_get(was, "status"));
	v = keep_annotations(a, old, v);
	if (old->kind->id == KG_KIND_JOB) /* its labels name the uid that it keeps */
		v = kg_job_generate(a, &v);
	if (old->kind->id == KG_KIND_SERVICE)
		v = kg_service_keep(a, old, v);
	if (old->kind->id == KG_KIND_PERSISTENTVOLUMECLAIM) {
		v = keep_open(a, v, was, "spec.volumeName");
		v = keep_open(a, v, was, "spec.storageClassName");
	}
	if (old->kind->id == KG_KIND_PERSISTENTVOLUME)
		v = kg_with(a, &v, "spec.claimRef", *kg_at(was, "spec.claimRef"));
	if (old->kind->id == KG_KIND_POD)
		v = keep_pod(a, v, was);
	return kg_with_generation(a, old, &v);
}

/* Its controller sees to its end; everything else is held by finalizers alone. */
static bool ends_by_itself(enum kg_kind_id kind)
{
	static const enum kg_kind_id kinds[] = {KG_KIND_POD, KG_KIND_NODE, KG_KIND_NAMESPACE,
		KG_KIND_PERSISTENTVOLUME, KG_KIND_PERSISTENTVOLUMECLAIM, KG_KIND_REPLICASET,
		KG_KIND_REPLICATIONCONTROLLER, KG_KIND_JOB, KG_KIND_DAEMONSET, KG_KIND_STATEFULSET,
		KG_KIND_CRONJOB, KG_KIND_DEPLOYMENT};
	for (size_t i = 0; i < KG_ARRAY_LEN(kinds); i++)
		if (kinds[i] == kind)
			return true;
	return false;
}

static int change(struct kg_run *r, const struct kg_object *old, const struct kg_input_desired *d,
	struct kg_doc *base)
{
	struct kg_value v = *kg_obj(old);
	/* What is being deleted is not changed, but for finalizers; its successor begins when it is
	 * gone. */
	if (!kg_object_deleting(old))
		v = changed(r, old, &d->value);
	else if (old->kind->id != KG_KIND_POD)
		v = kg_with(&r->a, &v, "metadata.finalizers",
			kg_finalizers_left(&r->a, old, &d->value));
	if (d->kind->id == KG_KIND_CRONJOB) {
		int rc = kg_cronjob_zone(r, d->ns, d->name, &v);
		if (rc < 0)
			return rc;
	}
	if (d->kind->id == KG_KIND_SERVICE) {
		int rc = kg_ipam_check(r->st, d->ns, d->name, &v, r->err);
		if (rc < 0)
			return rc;
	}
	struct kg_object_spec spec = {.kind = d->kind,
		.ns = d->ns,
		.name = d->name,
		.value = &v,
		.base = base,
		.source = d->source,
		.source_index = d->source_index};
	kg_txn_put(r->txn, kg_object_new(&spec));
	if (kg_object_deleting(old) && !ends_by_itself(d->kind->id))
		kg_end_object(r, kg_snapshot_get(kg_now(r), d->kind->id, d->ns, d->name));
	return 0;
}

static int define(struct kg_run *r, const struct kg_input_desired *d)
{
	const struct kg_object *old = kg_snapshot_get(kg_now(r), d->kind->id, d->ns, d->name);
	struct kg_doc *base = NULL;
	if (old && old->source && old->base && kg_equal(kg_doc_value(old->base), &d->value))
		base = kg_doc_ref(old->base);
	else
		base = kg_doc_new(
			&d->value, old && old->base ? &old->base : NULL, old && old->base ? 1 : 0);
	int rc = 0;
	if (d->kind->id == KG_KIND_NODE) {
		kg_node_define(r, d, base);
		kg_doc_unref(base);
		return 0;
	}
	if (old && d->kind->id == KG_KIND_NAMESPACE && kg_object_deleting(old)) {
		kg_delete_object(r, old); /* another of that name; its last pods go by themselves */
		old = NULL;
	}
	if (old && !old->source && !kg_object_deleting(old) && d->kind->id != KG_KIND_NAMESPACE)
		rc = kg_fail(r->err, KG_E_INVALID, "%s %s/%s belongs to the system", d->kind->kind,
			d->ns, d->name);
	else if (old)
		rc = change(r, old, d, base);
	else
		rc = kg_desired_create(
			r, d->kind, d->ns, d->name, base, d->source, d->source_index);
	kg_doc_unref(base);
	return rc;
}

/* ---- removals ---- */

static void remove_namespace(struct kg_run *r, const struct kg_object *ns)
{
	struct kg_value v;
	if (kg_namespace_is_system(ns->name)) { /* what its manifest added goes, it stays */
		struct kg_value bare =
			kg_v_obj(&r->a, "apiVersion", kg_v_lit("v1"), "kind", kg_v_lit("Namespace"),
				"metadata", kg_v_object(&r->a, NULL, 0), (char *)NULL);
		v = changed(r, ns, &bare);
	} else {
		v = kg_with(&r->a, kg_obj(ns), "metadata.deletionTimestamp", kg_now_value(r));
		v = kg_with(&r->a, &v, "status.phase", kg_v_lit("Terminating"));
	}
	struct kg_object_spec spec = {.kind = ns->kind, .ns = "", .name = ns->name, .value = &v};
	kg_txn_put(r->txn, kg_object_new(&spec));
}

static void undefine(struct kg_run *r, const struct kg_input_desired *d)
{
	const struct kg_object *old = kg_snapshot_get(kg_now(r), d->kind->id, d->ns, d->name);
	if (!old || !old->source)
		return;
	if (d->kind->id == KG_KIND_POD)
		kg_pod_delete(r, old);
	else if (d->kind->id == KG_KIND_NODE)
		kg_node_undefine(r, old);
	else if (d->kind->id == KG_KIND_NAMESPACE)
		remove_namespace(r, old);
	else if (d->kind->id == KG_KIND_PERSISTENTVOLUMECLAIM)
		kg_claim_undefine(r, old);
	else if (d->kind->id == KG_KIND_PERSISTENTVOLUME)
		kg_volume_undefine(r, old);
	else
		kg_cascade_undefine(r, old);
}

static bool names_its_own(const struct kg_input_desired *d)
{
	if (d->kind->id != KG_KIND_SERVICE)
		return false;
	const struct kg_value *spec = kg_get(&d->value, "spec");
	const struct kg_value *ports = kg_get(spec, "ports");
	bool own = !kg_is_null(kg_get(spec, "clusterIP"));
	for (uint32_t i = 0; i < kg_len(ports); i++)
		own |= !kg_is_null(kg_get(&ports->items[i], "nodePort"));
	return own;
}

static int rank(const struct kg_input_desired *d)
{
	if (kg_is_null(&d->value))
		return 0;
	/* What Pods and claims are given when they come to be is there before them. */
	return d->kind->id == KG_KIND_LIMITRANGE || d->kind->id == KG_KIND_STORAGECLASS ||
			       d->kind->id == KG_KIND_RUNTIMECLASS || names_its_own(d)
		       ? 1
		       : 2;
}

static int cmp_desired(const void *a, const void *b)
{
	const struct kg_input_desired *x = *(const struct kg_input_desired *const *)a;
	const struct kg_input_desired *y = *(const struct kg_input_desired *const *)b;
	int d = rank(x) - rank(y);
	if (!d)
		d = (int)x->kind->id - (int)y->kind->id;
	if (!d)
		d = strcmp(x->ns, y->ns);
	return d ? d : strcmp(x->name, y->name);
}

/* Services that change let go of what they hold before any of them claims: two may swap. */
static bool release_services(struct kg_run *r)
{
	bool any = false;
	for (size_t i = 0; i < r->in->ndesired; i++) {
		const struct kg_input_desired *d = &r->in->desired[i];
		if (d->kind->id != KG_KIND_SERVICE || kg_is_null(&d->value))
			continue;
		const struct kg_object *old =
			kg_snapshot_get(kg_now(r), KG_KIND_SERVICE, d->ns, d->name);
		if (old)
			kg_ipam_service(r->st, old, false);
		any |= old != NULL;
	}
	return any;
}

int kg_desired_apply(struct kg_run *r)
{
	const struct kg_inputs *in = r->in;
	KG_AUTOFREE const struct kg_input_desired **v = kg_alloc((in->ndesired + 1) * sizeof(*v));
	for (size_t i = 0; i < in->ndesired; i++)
		v[i] = &in->desired[i];
	qsort(v, in->ndesired, sizeof(*v), cmp_desired);
	bool released = release_services(r);
	r->st->released = true;
	for (size_t i = 0; i < in->ndesired; i++) {
		int rc = 0;
		if (kg_is_null(&v[i]->value))
			undefine(r, v[i]);
		else
			rc = define(r, v[i]);
		kg_arena_release(&r->a);
		if (rc < 0)
			return rc;
	}
	r->st->released = false;
	if (released) /* those that did not change after all hold what they held */
		kg_ipam_recount(r->st, kg_now(r));
	return 0;
}
