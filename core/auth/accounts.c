#include "accounts_private.h"

#include "claims.h"
#include "internal.h"
#include "kinds/cluster.h"
#include "pki/pki.h"
#include "watch/hub.h"

#include <stdio.h>
#include <string.h>

#define TOKEN_S   (30LL * 24 * 3600)
#define MIN_TTL_S 600
#define SEEN_MS   (5LL * 60 * 1000)
#define PREFIX    "system:serviceaccount:"
#define EXTRA     "authentication.kubernetes.io/"

/* ---- accounts and pods ---- */

/* Every namespace has an account "default", whether or not a manifest defines it. */
static bool account_uid(char out[64], const struct kg_snapshot *s, const char *ns, const char *name)
{
	const struct kg_object *obj = kg_snapshot_get(s, KG_KIND_SERVICEACCOUNT, ns, name);

	if (obj && !kg_object_deleting(obj)) {
		snprintf(out, 64, "%s", kg_object_uid(obj));
		return true;
	}
	const struct kg_object *space = kg_snapshot_get(s, KG_KIND_NAMESPACE, "", ns);
	if (strcmp(name, "default") != 0 || !space || strlen(kg_object_uid(space)) != 36)
		return false;
	kg_cluster_made_uid(out, &kg_kinds[KG_KIND_SERVICEACCOUNT], space);
	return true;
}

static const struct kg_object *pod_of(const struct kg_snapshot *s, const char *ns, const char *name,
	const char *uid, const char *account)
{
	const struct kg_object *pod = kg_snapshot_get(s, KG_KIND_POD, ns, name);

	if (!pod || (*uid && strcmp(kg_object_uid(pod), uid) != 0))
		return NULL;
	const char *as = kg_string(kg_at(kg_obj(pod), "spec.serviceAccountName"), "default");
	return strcmp(as, account) == 0 ? pod : NULL;
}

bool kg_accounts_automount(const struct kg_snapshot *s, const struct kg_object *pod)
{
	const struct kg_value *spec = kg_get(kg_obj(pod), "spec");
	const struct kg_value *own = kg_get(spec, "automountServiceAccountToken");

	if (!kg_is_null(own))
		return kg_bool(own, true);
	const struct kg_object *account = kg_snapshot_get(s, KG_KIND_SERVICEACCOUNT, pod->ns,
		kg_string(kg_get(spec, "serviceAccountName"), "default"));
	return !account || kg_bool(kg_get(kg_obj(account), "automountServiceAccountToken"), true);
}

/* ---- issuing ---- */

/* {"name", "uid"} of an object. */
static struct kg_value reference(struct kg_arena *arena, const struct kg_object *obj)
{
	return kg_v_obj(arena, "name", kg_v_str(arena, obj->name), "uid",
		kg_v_str(arena, kg_object_uid(obj)), (char *)NULL);
}

/* What a token is made of; objects are the snapshot's. */
struct subject {
	const char *name; /* of the account */
	char uid[64];
	const struct kg_object *pod, *node; /* or NULL */
};

static struct kg_value bound_claims(
	struct kg_arena *arena, const struct kg_token_request *req, const struct subject *sub)
{
	struct kg_value account = kg_v_obj(arena, "name", kg_v_str(arena, sub->name), "uid",
		kg_v_str(arena, sub->uid), (char *)NULL);

	return kg_v_obj(arena, "namespace", kg_v_str(arena, req->ns), "node",
		sub->node ? reference(arena, sub->node) : kg_v_null(), "pod",
		sub->pod ? reference(arena, sub->pod) : kg_v_null(), "serviceaccount", account,
		(char *)NULL);
}

static struct kg_value claims_of(struct kg_accounts *a, struct kg_arena *arena,
	const struct kg_token_request *req, const struct subject *sub, kg_time now, kg_time expires)
{
	struct kg_value issuer = kg_v_lit(a->issuer), bound = bound_claims(arena, req, sub);
	struct kg_value audiences = req->audiences && kg_len(req->audiences)
					    ? *req->audiences
					    : kg_v_array(arena, &issuer, 1);
	char id[33];

	kg_random_hex(id, 16);
	struct kg_value v = kg_v_obj(arena, "iss", issuer, "sub",
		kg_v_strf(arena, PREFIX "%s:%s", req->ns, sub->name), "aud", audiences, "iat",
		kg_v_int(now / 1000), "nbf", kg_v_int(now / 1000), "exp", kg_v_int(expires / 1000),
		"jti", kg_v_str(arena, id), (char *)NULL);
	return kg_with_key(arena, &v, "kubernetes.io", bound);
}

static bool is_on(const struct kg_object *pod, const char *node)
{
	return strcmp(kg_string(kg_at(kg_obj(pod), "spec.nodeName"), ""), node) == 0;
}

static int find_pod(struct subject *sub, const struct kg_snapshot *s,
	const struct kg_token_request *req, struct kg_error *err)
{
	const struct kg_object *pod = kg_snapshot_get(s, KG_KIND_POD, req->ns, req->pod);

	if (pod && !req->name)
		sub->name = kg_string(kg_at(kg_obj(pod), "spec.serviceAccountName"), "default");
	sub->pod = pod ? pod_of(s, req->ns, req->pod, req->pod_uid, sub->name) : NULL;
	if (!sub->pod || (req->node && !is_on(pod, req->node)))
		return kg_fail(err, KG_E_NOT_FOUND,
			"pods \"%s\" of this ServiceAccount%s not found", req->pod,
			req->node ? " on this node" : "");
	sub->node = kg_snapshot_get(
		s, KG_KIND_NODE, "", kg_string(kg_at(kg_obj(pod), "spec.nodeName"), ""));
	return 0;
}

static int issue(struct kg_accounts *a, const struct kg_snapshot *s, char **token,
	const struct kg_token_request *req, kg_time now, kg_time expires, struct kg_error *err)
{
	struct kg_arena arena KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct subject sub = {.name = req->name};
	int rc = req->pod ? find_pod(&sub, s, req, err) : 0;

	if (rc < 0)
		return rc;
	if (!account_uid(sub.uid, s, req->ns, sub.name))
		return kg_fail(err, KG_E_NOT_FOUND, "serviceaccounts \"%s\" not found", sub.name);
	struct kg_value claims = claims_of(a, &arena, req, &sub, now, expires);
	pthread_rwlock_rdlock(&a->lock);
	rc = kg_jwt_sign(token, kg_accounts_signer(a, now), &claims, err);
	pthread_rwlock_unlock(&a->lock);
	return rc;
}

int kg_accounts_issue(struct kg_accounts *a, char **token, kg_time *expires,
	const struct kg_token_request *req, kg_time now, struct kg_error *err)
{
	int64_t s = req->seconds > 0 ? req->seconds : 3600;

	if (req->audiences && kg_len(req->audiences) > KG_MAX_AUDIENCES)
		return kg_fail(err, KG_E_INVALID, "spec.audiences: a token has at most %d, not %u",
			KG_MAX_AUDIENCES, (unsigned)kg_len(req->audiences));
	s = s < MIN_TTL_S ? MIN_TTL_S : s > TOKEN_S ? TOKEN_S : s;
	*expires = now / 1000 * 1000 + s * 1000;
	struct kg_snapshot *snapshot = kg_hub_snapshot(a->hub);
	int rc = issue(a, snapshot, token, req, now, *expires, err);
	kg_snapshot_unref(snapshot);
	return rc;
}

/* ---- taking ---- */

/* As Kubernetes has it of such a user. */
static void add_extras(struct kg_user *u, const struct kg_value *claims)
{
	static const struct {
		const char *claim, *key;
	} bound[] = {
		{"pod.name", "pod-name"},
		{"pod.uid", "pod-uid"},
		{"node.name", "node-name"},
		{"node.uid", "node-uid"},
	};
	const char *id = kg_string(kg_get(claims, "jti"), "");
	char key[100], text[200];

	snprintf(text, sizeof(text), "JTI=%s", id);
	if (*id)
		kg_user_add_extra(u, EXTRA "credential-id", text);
	for (size_t i = 0; i < KG_ARRAY_LEN(bound); i++) {
		const char *value =
			kg_string(kg_at(kg_get(claims, "kubernetes.io"), bound[i].claim), "");

		snprintf(key, sizeof(key), EXTRA "%s", bound[i].key);
		if (*value)
			kg_user_add_extra(u, key, value);
	}
}

static int set_user(struct kg_verdict *v, const struct kg_value *claims, struct kg_error *err)
{
	const struct kg_value *bound = kg_get(claims, "kubernetes.io");
	const char *ns = kg_string(kg_get(bound, "namespace"), "");
	char group[300];

	snprintf(v->pod, sizeof(v->pod), "%s", kg_string(kg_at(bound, "pod.name"), ""));
	snprintf(v->pod_uid, sizeof(v->pod_uid), "%s", kg_string(kg_at(bound, "pod.uid"), ""));
	snprintf(group, sizeof(group), "system:serviceaccounts:%s", ns);
	int rc = kg_user_set(&v->user, kg_string(kg_get(claims, "sub"), ""), err);
	if (rc == 0)
		rc = kg_user_add_group(&v->user, "system:serviceaccounts", err);
	if (rc == 0)
		rc = kg_user_add_group(&v->user, group, err);
	if (rc < 0)
		return rc;
	kg_user_set_uid(&v->user, kg_string(kg_at(bound, "serviceaccount.uid"), ""));
	add_extras(&v->user, claims);
	return 0;
}

/* Of which of these audiences is it? Texts of the list. */
static struct kg_value common_audiences(
	struct kg_arena *arena, const struct kg_value *claims, const struct kg_value *wanted)
{
	struct kg_value *items = kg_arena_alloc(arena, (kg_len(wanted) + 1) * sizeof(*items));
	size_t n = 0;

	for (uint32_t i = 0; i < kg_len(wanted); i++)
		if (kg_claims_are_for(claims, kg_string(&wanted->items[i], "")))
			items[n++] = wanted->items[i];
	return kg_v_array(arena, items, n);
}

/* With the lock held. audiences: those of which it is, of those that are wanted. */
static int verify(struct kg_accounts *a, struct kg_arena *arena, struct kg_verdict *v,
	const char *token, const struct kg_value *wanted, struct kg_value *audiences, kg_time now,
	struct kg_error *err)
{
	struct kg_value claims;
	struct kg_error why;
	int rc = kg_jwt_verify(&claims, arena, a->set, token, &why);

	if (rc < 0)
		return kg_fail(err, KG_E_UNAUTHORIZED, "Unauthorized: %s", why.msg);
	*audiences = common_audiences(arena, &claims, wanted);
	if (!kg_len(audiences))
		return kg_token_refused(err, "is for another audience");
	rc = kg_claims_check_times(&claims, now, err);
	if (rc == 0)
		rc = set_user(v, &claims, err);
	v->until = kg_claims_until(&claims, now + SEEN_MS);
	return rc;
}

/* With the lock held, so that no verdict is kept by keys that kg_accounts_retire has dropped. */
static int verify_own(struct kg_accounts *a, struct kg_verdict *v, const char *token, kg_time now,
	struct kg_error *err)
{
	struct kg_arena arena KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value issuer = kg_v_lit(a->issuer), wanted = kg_v_array(&arena, &issuer, 1), all;
	int rc = verify(a, &arena, v, token, &wanted, &all, now, err);

	if (rc == 0)
		kg_seen_put(a->seen, token, v);
	return rc;
}

/* Is what the token speaks for still there? */
static int check_there(struct kg_accounts *a, const struct kg_verdict *v, struct kg_error *err)
{
	const char *ns = v->user.name + strlen(PREFIX), *name = strchr(ns, ':');
	char uid[64], space[254];
	bool there = false;

	if (strncmp(v->user.name, PREFIX, strlen(PREFIX)) != 0 || !name)
		return kg_token_refused(err, "names no ServiceAccount");
	snprintf(space, sizeof(space), "%.*s", (int)(name - ns), ns);
	name++;
	struct kg_snapshot *s = kg_hub_snapshot(a->hub);
	if (account_uid(uid, s, space, name) && strcmp(uid, v->user.uid) == 0)
		there = !*v->pod || pod_of(s, space, v->pod, v->pod_uid, name);
	kg_snapshot_unref(s);
	return there ? 0 : kg_token_refused(err, "is of a ServiceAccount or pod that is gone");
}

static int authenticate(void *self, struct kg_user *out, const struct kg_credentials *c,
	kg_time now, struct kg_error *err)
{
	struct kg_accounts *a = self;
	struct kg_verdict v = {0};
	char *token KG_AUTOFREE = NULL;
	int rc = kg_credentials_token(&token, c, err);

	if (rc <= 0)
		return rc;
	if (!kg_seen_get(a->seen, &v, token, now)) {
		if (!kg_token_is_of(token, a->issuer))
			return 0;
		pthread_rwlock_rdlock(&a->lock);
		rc = verify_own(a, &v, token, now, err);
		pthread_rwlock_unlock(&a->lock);
		if (rc < 0)
			return rc;
	}
	rc = check_there(a, &v, err);
	if (rc < 0)
		return rc;
	*out = v.user;
	return 1;
}

int kg_accounts_review(struct kg_accounts *a, struct kg_arena *arena, struct kg_user *out,
	const char *token, const struct kg_value *wanted, struct kg_value *audiences, kg_time now,
	struct kg_error *err)
{
	struct kg_verdict v = {0};

	if (!kg_token_is_of(token, a->issuer))
		return 0;
	pthread_rwlock_rdlock(&a->lock);
	int rc = verify(a, arena, &v, token, wanted, audiences, now, err);
	pthread_rwlock_unlock(&a->lock);
	if (rc == 0)
		rc = check_there(a, &v, err);
	if (rc == 0)
		rc = kg_user_add_group(&v.user, "system:authenticated", err);
	if (rc < 0)
		return rc;
	*out = v.user;
	return 1;
}

static const struct kg_authenticator authenticator = {.authenticate = authenticate};

void kg_auth_add_accounts(struct kg_auth *auth, struct kg_accounts *a)
{
	kg_auth_add_authenticator(auth, &authenticator, a);
}
