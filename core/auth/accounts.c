/*
 * A key's file is named by when it was made, in milliseconds: "1767225660000.key". A new key is
 * shown for an hour before it signs, so that who keeps the set of keys for a while has it by then;
 * but for one that is to take over at once: "1767225660000.now.key".
 */
#include "accounts.h"

#include "base/log.h"
#include "internal.h"
#include "kinds/cluster.h"
#include "pki/jwt.h"
#include "pki/pki.h"
#include "seen.h"
#include "sys/file.h"
#include "value/json.h"
#include "watch/hub.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HOUR_MS   (3600LL * 1000)
#define DAY_MS    (24 * HOUR_MS)
#define SIGN_MS   (30 * DAY_MS) /* a key signs so long */
#define TOKEN_S   (30LL * 24 * 3600)
#define KEEP_MS   (SIGN_MS + 31 * DAY_MS)
#define SHOW_MS   HOUR_MS
#define SEEN_MS   (5LL * 60 * 1000)
#define SKEW_MS   10000
#define MAX_KEYS  32
#define MAX_PEM   ((size_t)64 << 10)
#define PREFIX    "system:serviceaccount:"
#define MIN_TTL_S 600

struct signing_key {
	kg_time made;
	bool at_once;
	char *pem;
	struct kg_jwt_signer *signer;
};
struct kg_accounts {
	char *dir, *issuer;
	struct kg_hub *hub;
	struct kg_seen *seen;
	pthread_rwlock_t lock;             /* of what follows */
	struct signing_key keys[MAX_KEYS]; /* oldest first */
	size_t n;
	struct kg_jwks *set;
};

/* ---- keys ---- */

static void release_key(struct signing_key *k)
{
	explicit_bzero(k->pem, strlen(k->pem));
	free(k->pem);
	kg_jwt_signer_free(k->signer);
}

static char *key_path(const struct kg_accounts *a, kg_time made, bool at_once)
{
	return kg_asprintf("%s/%lld%s.key", a->dir, (long long)made, at_once ? ".now" : "");
}

/* Takes the PEM over, also where it is none. */
static int add_key(
	struct kg_accounts *a, kg_time made, bool at_once, char *pem, struct kg_error *err)
{
	struct signing_key k = {.made = made, .at_once = at_once, .pem = pem};
	int rc = kg_jwt_signer_new(&k.signer, pem, err);

	if (rc < 0) {
		release_key(&k);
		return rc;
	}
	size_t at = a->n++;
	for (; at > 0 && a->keys[at - 1].made > made; at--)
		a->keys[at] = a->keys[at - 1];
	a->keys[at] = k;
	return 0;
}

static int read_key(struct kg_accounts *a, const char *file, struct kg_error *err)
{
	char *path KG_AUTOFREE = kg_asprintf("%s/%s", a->dir, file);
	KG_AUTOBUF struct kg_buf pem = KG_BUF_INIT;
	char *end;
	long long made = strtoll(file, &end, 10);
	bool at_once = strcmp(end, ".now.key") == 0;

	if ((!at_once && strcmp(end, ".key") != 0) || made <= 0 || a->n == MAX_KEYS)
		return 0;
	int rc = kg_file_read(&pem, path, MAX_PEM, err);
	return rc < 0 ? rc : add_key(a, made, at_once, kg_buf_steal(&pem), err);
}

static int read_keys(struct kg_accounts *a, struct kg_error *err)
{
	DIR *d = opendir(a->dir);
	struct dirent *e;
	int rc = 0;

	if (!d)
		return kg_fail_errno(err, "%s", a->dir);
	while (rc == 0 && (e = readdir(d)))
		rc = read_key(a, e->d_name, err);
	closedir(d);
	return rc;
}

static int make_key(struct kg_accounts *a, kg_time now, bool at_once, struct kg_error *err)
{
	char *path KG_AUTOFREE = key_path(a, now, at_once);
	char *pem = NULL;
	int rc = kg_pki_key_new(&pem, err);

	if (rc < 0)
		return rc;
	rc = kg_file_write(path, pem, strlen(pem), 0600, err);
	if (rc < 0) {
		free(pem);
		return rc;
	}
	return add_key(a, now, at_once, pem, err);
}

static int drop_key(struct kg_accounts *a, struct kg_error *err)
{
	char *path KG_AUTOFREE = key_path(a, a->keys[0].made, a->keys[0].at_once);

	if (unlink(path) < 0 && errno != ENOENT)
		return kg_fail_errno(err, "remove %s", path);
	release_key(&a->keys[0]);
	memmove(&a->keys[0], &a->keys[1], --a->n * sizeof(a->keys[0]));
	return 0;
}

static int make_set(struct kg_accounts *a, struct kg_error *err)
{
	struct kg_jwks *set = kg_jwks_new();
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < a->n; i++)
		rc = kg_jwks_add(set, a->keys[i].pem, err);
	if (rc < 0) {
		kg_jwks_free(set);
		return rc;
	}
	kg_jwks_free(a->set);
	a->set = set;
	return 0;
}

/* Those that have had their time, with room for one more. */
static int drop_old(struct kg_accounts *a, kg_time now, struct kg_error *err)
{
	int rc = 0;

	while (rc == 0 && a->n > 1 && (a->n == MAX_KEYS || a->keys[0].made + KEEP_MS < now))
		rc = drop_key(a, err);
	return rc;
}

static int keys_failed(const struct kg_accounts *a, struct kg_error *err)
{
	return kg_wrap(err, "keys of ServiceAccounts' tokens in %s", a->dir);
}

int kg_accounts_rotate(struct kg_accounts *a, kg_time now, struct kg_error *err)
{
	pthread_rwlock_wrlock(&a->lock);
	int rc = drop_old(a, now, err);
	if (rc == 0 && (!a->n || a->keys[a->n - 1].made + SIGN_MS <= now))
		rc = make_key(a, now, false, err);
	if (rc == 0)
		rc = make_set(a, err);
	pthread_rwlock_unlock(&a->lock);
	return rc < 0 ? keys_failed(a, err) : 0;
}

int kg_accounts_renew(struct kg_accounts *a, kg_time now, struct kg_error *err)
{
	pthread_rwlock_wrlock(&a->lock);
	if (a->n && a->keys[a->n - 1].made >= now)
		now = a->keys[a->n - 1].made + 1; /* it is to be the newest */
	int rc = drop_old(a, now, err);
	if (rc == 0)
		rc = make_key(a, now, true, err);
	if (rc == 0)
		rc = make_set(a, err);
	pthread_rwlock_unlock(&a->lock);
	return rc < 0 ? keys_failed(a, err) : 0;
}

int kg_accounts_retire(struct kg_accounts *a, struct kg_error *err)
{
	size_t last = 0;
	int rc = 0;

	pthread_rwlock_wrlock(&a->lock);
	for (size_t i = 0; i < a->n; i++)
		if (a->keys[i].at_once)
			last = i;
	while (rc == 0 && last-- > 0)
		rc = drop_key(a, err);
	if (rc == 0)
		rc = kg_sync_dir(a->dir, err);
	if (rc == 0)
		rc = make_set(a, err);
	kg_seen_clear(a->seen);
	pthread_rwlock_unlock(&a->lock);
	return rc < 0 ? keys_failed(a, err) : 0;
}

int kg_accounts_open(struct kg_accounts **out, const struct kg_accounts_options *opts, kg_time now,
	struct kg_error *err)
{
	struct kg_accounts *a = kg_alloc(sizeof(*a));

	pthread_rwlock_init(&a->lock, NULL);
	a->dir = kg_strdup(opts->dir);
	a->issuer = kg_strdup(opts->issuer);
	a->hub = opts->hub;
	a->seen = kg_seen_new();
	int rc = kg_mkdir_p(a->dir, 0700, err);
	if (rc == 0)
		rc = read_keys(a, err);
	if (rc == 0)
		rc = kg_accounts_rotate(a, now, err);
	if (rc < 0) {
		kg_accounts_free(a);
		return rc;
	}
	*out = a;
	return 0;
}

void kg_accounts_free(struct kg_accounts *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < a->n; i++)
		release_key(&a->keys[i]);
	kg_jwks_free(a->set);
	kg_seen_free(a->seen);
	pthread_rwlock_destroy(&a->lock);
	free(a->dir);
	free(a->issuer);
	free(a);
}

const char *kg_accounts_issuer(const struct kg_accounts *a)
{
	return a->issuer;
}

void kg_accounts_jwks(struct kg_accounts *a, struct kg_buf *out)
{
	struct kg_arena arena KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value keys[MAX_KEYS];
	size_t n = 0;

	pthread_rwlock_rdlock(&a->lock);
	for (size_t i = 0; i < a->n; i++)
		if (kg_jwt_public_key(&keys[n], &arena, a->keys[i].pem, NULL) == 0)
			n++;
	pthread_rwlock_unlock(&a->lock);
	struct kg_value v = kg_v_obj(&arena, "keys", kg_v_array(&arena, keys, n), (char *)NULL);
	kg_json_write(out, &v);
}

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

/* The newest that was shown long enough; with the lock held. */
static const struct kg_jwt_signer *signer_of(const struct kg_accounts *a, kg_time now)
{
	for (size_t i = a->n; i-- > 0;)
		if (a->keys[i].at_once || a->keys[i].made + SHOW_MS <= now)
			return a->keys[i].signer;
	return a->keys[0].signer;
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
	rc = kg_jwt_sign(token, signer_of(a, now), &claims, err);
	pthread_rwlock_unlock(&a->lock);
	return rc;
}

int kg_accounts_issue(struct kg_accounts *a, char **token, kg_time *expires,
	const struct kg_token_request *req, kg_time now, struct kg_error *err)
{
	int64_t s = req->seconds > 0 ? req->seconds : 3600;

	s = s < MIN_TTL_S ? MIN_TTL_S : s > TOKEN_S ? TOKEN_S : s;
	*expires = now / 1000 * 1000 + s * 1000;
	struct kg_snapshot *snapshot = kg_hub_snapshot(a->hub);
	int rc = issue(a, snapshot, token, req, now, *expires, err);
	kg_snapshot_unref(snapshot);
	return rc;
}

/* ---- taking ---- */

static bool is_for_us(const struct kg_value *claims, const char *us)
{
	const struct kg_value *aud = kg_get(claims, "aud");

	for (uint32_t i = 0; aud->type == KG_ARRAY && i < aud->len; i++)
		if (strcmp(kg_string(&aud->items[i], ""), us) == 0)
			return true;
	return strcmp(kg_string(aud, ""), us) == 0;
}

static int unauthorized(struct kg_error *err, const char *why)
{
	return kg_fail(err, KG_E_UNAUTHORIZED, "Unauthorized: the token %s", why);
}

static int check_times(const struct kg_value *claims, kg_time now, struct kg_error *err)
{
	if (kg_int(kg_get(claims, "exp"), 0) <= now / 1000)
		return unauthorized(err, "has expired");
	if (kg_int(kg_get(claims, "nbf"), 0) > (now + SKEW_MS) / 1000)
		return unauthorized(err, "is not valid yet");
	return 0;
}

static int set_user(struct kg_verdict *v, const struct kg_value *claims, struct kg_error *err)
{
	const struct kg_value *bound = kg_get(claims, "kubernetes.io");
	const char *ns = kg_string(kg_get(bound, "namespace"), "");
	char group[300];

	snprintf(v->uid, sizeof(v->uid), "%s", kg_string(kg_at(bound, "serviceaccount.uid"), ""));
	snprintf(v->pod, sizeof(v->pod), "%s", kg_string(kg_at(bound, "pod.name"), ""));
	snprintf(v->pod_uid, sizeof(v->pod_uid), "%s", kg_string(kg_at(bound, "pod.uid"), ""));
	snprintf(group, sizeof(group), "system:serviceaccounts:%s", ns);
	int rc = kg_user_set(&v->user, kg_string(kg_get(claims, "sub"), ""), err);
	if (rc == 0)
		rc = kg_user_add_group(&v->user, "system:serviceaccounts", err);
	return rc == 0 ? kg_user_add_group(&v->user, group, err) : rc;
}

/* With the lock held, so that no verdict is kept by keys that kg_accounts_retire has dropped. */
static int verify(struct kg_accounts *a, struct kg_verdict *v, const char *token, kg_time now,
	struct kg_error *err)
{
	struct kg_arena arena KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value claims;
	struct kg_error why;
	int rc = kg_jwt_verify(&claims, &arena, a->set, token, &why);

	if (rc < 0)
		return kg_fail(err, KG_E_UNAUTHORIZED, "Unauthorized: %s", why.msg);
	if (!is_for_us(&claims, a->issuer))
		return unauthorized(err, "is for another audience");
	rc = check_times(&claims, now, err);
	if (rc == 0)
		rc = set_user(v, &claims, err);
	if (rc < 0)
		return rc;
	kg_time end = kg_int(kg_get(&claims, "exp"), 0) * 1000;
	v->until = end < now + SEEN_MS ? end : now + SEEN_MS;
	kg_seen_put(a->seen, token, v);
	return 0;
}

/* Is what the token speaks for still there? */
static int check_there(struct kg_accounts *a, const struct kg_verdict *v, struct kg_error *err)
{
	const char *ns = v->user.name + strlen(PREFIX), *name = strchr(ns, ':');
	char uid[64], space[254];
	bool there = false;

	if (strncmp(v->user.name, PREFIX, strlen(PREFIX)) != 0 || !name)
		return unauthorized(err, "names no ServiceAccount");
	snprintf(space, sizeof(space), "%.*s", (int)(name - ns), ns);
	name++;
	struct kg_snapshot *s = kg_hub_snapshot(a->hub);
	if (account_uid(uid, s, space, name) && strcmp(uid, v->uid) == 0)
		there = !*v->pod || pod_of(s, space, v->pod, v->pod_uid, name);
	kg_snapshot_unref(s);
	return there ? 0 : unauthorized(err, "is of a ServiceAccount or pod that is gone");
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
		rc = verify(a, &v, token, now, err);
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

static const struct kg_authenticator authenticator = {.authenticate = authenticate};

void kg_auth_add_accounts(struct kg_auth *auth, struct kg_accounts *a)
{
	kg_auth_add_authenticator(auth, &authenticator, a);
}
