/* Whether a pod may come to be in its namespace; and what its owner says where it may not. */
#include "reconcile/podpolicy.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void kg_texts_add(struct kg_texts *t, const char *fmt, ...)
{
	va_list ap;
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	if (t->n == t->cap) {
		size_t cap = t->cap ? 2 * t->cap : 8;
		const char **v = kg_arena_alloc(t->a, cap * sizeof(*v));
		if (t->n)
			memcpy(v, t->v, t->n * sizeof(*v));
		t->v = v;
		t->cap = cap;
	}
	va_start(ap, fmt);
	kg_buf_addv(&b, fmt, ap);
	va_end(ap);
	t->v[t->n++] = kg_arena_strndup(t->a, kg_buf_str(&b), b.len);
}

const char *kg_texts_all(const struct kg_texts *t)
{
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	if (t->n < 2)
		return t->n ? t->v[0] : NULL;
	for (size_t i = 0; i < t->n; i++)
		kg_buf_addf(&b, "%s%s", i ? ", " : "[", t->v[i]);
	kg_buf_addc(&b, ']');
	return kg_arena_strndup(t->a, kg_buf_str(&b), b.len);
}

bool kg_resource_is_binary(const char *resource)
{
	return strstr(resource, "memory") || strstr(resource, "storage") ||
	       strstr(resource, KG_HUGEPAGES);
}

const char *kg_milli_text(struct kg_arena *a, int64_t milli, bool binary)
{
	static const char *const suffixes[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi"};
	int64_t whole = milli / 1000;
	size_t i = 0;
	if (milli % 1000)
		return kg_arena_printf(a, "%lldm", (long long)milli);
	for (; binary && whole && whole % 1024 == 0 && i + 1 < KG_ARRAY_LEN(suffixes); i++)
		whole /= 1024;
	static const char *const decimal[] = {"", "k", "M", "G", "T", "P"};
	for (; !binary && whole && whole % 1000 == 0 && i + 1 < KG_ARRAY_LEN(decimal); i++)
		whole /= 1000;
	return kg_arena_printf(a, "%lld%s", (long long)whole, (binary ? suffixes : decimal)[i]);
}

/* Kubernetes' ServiceAccount admission: those of the account where the pod names none. */
static struct kg_value with_pull_secrets(
	struct kg_run *r, const char *ns, const struct kg_value *pod)
{
	const struct kg_value *spec = kg_get(pod, "spec");
	const char *name = kg_string(kg_get(spec, "serviceAccountName"), "default");
	if (kg_len(kg_get(spec, "imagePullSecrets")))
		return *pod;
	const struct kg_object *account =
		kg_snapshot_get(kg_now(r), KG_KIND_SERVICEACCOUNT, ns, name);
	const struct kg_value *list =
		account ? kg_get(kg_obj(account), "imagePullSecrets") : &kg_null;
	return kg_len(list) ? kg_with(&r->a, pod, "spec.imagePullSecrets", *list) : *pod;
}

struct kg_value kg_pod_defaults(struct kg_run *r, const char *ns, const struct kg_value *pod)
{
	struct kg_limits limits = kg_limits_of(&r->a, kg_now(r), ns);
	struct kg_value v = kg_runtime_default(&r->a, kg_now(r), pod);
	v = with_pull_secrets(r, ns, &v);
	return kg_limits_default(&r->a, &limits, &v);
}

const char *kg_pod_forbidden(
	struct kg_run *r, const char *ns, const char *name, const struct kg_value *pod)
{
	struct kg_arena *a = &r->a;
	const struct kg_object *space = kg_snapshot_get(kg_now(r), KG_KIND_NAMESPACE, "", ns);
	const struct kg_value *labels = space ? kg_meta(space, "labels") : &kg_null;
	const struct kg_value *spec = kg_get(pod, "spec");
	struct kg_limits limits = kg_limits_of(a, kg_now(r), ns);
	struct kg_texts t = {.a = a};
	const char *why = kg_runtime_refuses(a, kg_runtime_of(kg_now(r), spec), spec);
	kg_limits_check_pod(&t, &limits, spec);
	why = why ? why : kg_texts_all(&t);
	if (!why) {
		why = kg_security_violations(
			a, labels, KG_SECURITY_ENFORCE, kg_get(pod, "metadata"), spec);
		why = why ? kg_arena_printf(a, "violates PodSecurity %s", why) : NULL;
	}
	if (!why)
		why = kg_quota_refuses(r->st, a, &kg_kinds[KG_KIND_POD], ns, pod);
	return why ? kg_arena_printf(a, "pods \"%s\" is forbidden: %s", name, why) : NULL;
}

const char *kg_claim_forbidden(struct kg_reconcile_state *st, const struct kg_snapshot *s,
	struct kg_arena *a, const char *ns, const char *name, const struct kg_value *claim)
{
	struct kg_limits limits = kg_limits_of(a, s, ns);
	struct kg_texts t = {.a = a};
	if (strlen(name) > 253) /* it is made of the names of others */
		return kg_arena_printf(a,
			"persistentvolumeclaims \"%s\" is invalid: metadata.name: must be no more "
			"than 253 characters",
			name);
	kg_limits_check_claim(&t, &limits, claim);
	const char *why = kg_texts_all(&t);
	if (!why)
		why = kg_quota_refuses(st, a, &kg_kinds[KG_KIND_PERSISTENTVOLUMECLAIM], ns, claim);
	return why ? kg_arena_printf(a, "persistentvolumeclaims \"%s\" is forbidden: %s", name, why)
		   : NULL;
}
