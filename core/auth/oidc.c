#include "oidc.h"

#include "base/log.h"
#include "claims.h"
#include "http/client.h"
#include "internal.h"
#include "pki/jwt.h"
#include "seen.h"
#include "sys/file.h"
#include "value/json.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define REFRESH_S   600
#define RETRY_S     10
#define SEEN_MS     (60LL * 1000)
#define MAX_DOC     ((size_t)1 << 20)
#define FETCH_MS    10000
#define CONFIG_PATH "/.well-known/openid-configuration"

struct kg_oidc {
	char *issuer, *client_id, *name_claim, *name_prefix, *groups_claim, *groups_prefix, *jwks;
	char *ca_pem;
	struct kg_seen *seen;
	pthread_rwlock_t keys; /* of set */
	struct kg_jwks *set;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t cond;
	bool stop, wanted;
	pthread_t thread;
	bool running;
	char said[256]; /* the thread's: the last failure that was logged */
};

/* ---- fetching keys ---- */

static int fetch(struct kg_buf *out, const struct kg_oidc *o, const char *url, struct kg_error *err)
{
	char *base KG_AUTOFREE = NULL;
	const char *path;

	if (!kg_url_split(&base, &path, url))
		return kg_fail(err, KG_E_INVALID, "\"%s\" is no https URL", url);
	struct kg_http_client_options opts = {
		.url = base, .ca_pem = o->ca_pem, .timeout_ms = FETCH_MS, .max_reply = MAX_DOC};
	struct kg_http_client *c = kg_http_client_new(&opts);
	int rc = kg_http_call(c, "GET", path, NULL, NULL, 0, out, err);
	kg_http_client_free(c);
	return rc < 0 ? kg_wrap(err, "%s", url) : 0;
}

static int discover(char **url, const struct kg_oidc *o, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	KG_AUTOBUF struct kg_buf doc = KG_BUF_INIT;
	size_t n = strlen(o->issuer);
	char *at KG_AUTOFREE = kg_asprintf(
		"%.*s" CONFIG_PATH, (int)(n && o->issuer[n - 1] == '/' ? n - 1 : n), o->issuer);
	struct kg_value v;
	int rc = fetch(&doc, o, at, err);

	if (rc == 0)
		rc = kg_json_parse(&v, &a, kg_buf_str(&doc), doc.len, err);
	if (rc < 0)
		return rc;
	if (strcmp(kg_string(kg_get(&v, "issuer"), ""), o->issuer) != 0)
		return kg_fail(err, KG_E_INVALID, "%s is of another issuer", at);
	*url = kg_strdup(kg_string(kg_get(&v, "jwks_uri"), ""));
	return 0;
}

static int read_keys(struct kg_jwks *set, const struct kg_oidc *o, struct kg_error *err)
{
	KG_AUTOBUF struct kg_buf doc = KG_BUF_INIT;
	char *url KG_AUTOFREE = kg_strdup(o->jwks);
	bool file = url && !strstr(url, "://"); /* ours to name, not the issuer's */
	int rc = url ? 0 : discover(&url, o, err);

	if (rc == 0)
		rc = file ? kg_file_read(&doc, url, MAX_DOC, err) : fetch(&doc, o, url, err);
	if (rc == 0)
		rc = kg_jwks_read(set, kg_buf_str(&doc), doc.len, err);
	if (rc == 0 && !kg_jwks_count(set))
		rc = kg_fail(err, KG_E_INVALID, "%s has no key that can be used", url);
	return rc;
}

/* What was there stays where nothing new is to be had. */
static int refresh(struct kg_oidc *o, struct kg_error *err)
{
	struct kg_jwks *set = kg_jwks_new(), *old;
	int rc = read_keys(set, o, err);

	if (rc < 0) {
		kg_jwks_free(set);
		return rc;
	}
	pthread_rwlock_wrlock(&o->keys);
	old = o->set;
	o->set = set;
	pthread_rwlock_unlock(&o->keys);
	kg_jwks_free(old);
	return 0;
}

static void complain(struct kg_oidc *o, int rc, const struct kg_error *err)
{
	char now[sizeof(o->said)] = "";

	if (rc < 0)
		snprintf(now, sizeof(now), "%.250s", err->msg);
	if (*now && strcmp(now, o->said) != 0)
		kg_warn("keys of the issuer %s: %s", o->issuer, now);
	memcpy(o->said, now, sizeof(now));
}

/* Until it is time, or a key is wanted and the last look is long enough ago. */
static bool wait(struct kg_oidc *o, bool failed)
{
	struct timespec until;
	int s = failed ? RETRY_S : REFRESH_S;

	clock_gettime(CLOCK_MONOTONIC, &until);
	time_t soonest = until.tv_sec + RETRY_S, latest = until.tv_sec + s;
	pthread_mutex_lock(&o->lock);
	for (;;) {
		struct timespec t;

		clock_gettime(CLOCK_MONOTONIC, &t);
		until.tv_sec = o->wanted ? soonest : latest;
		if (o->stop || t.tv_sec >= until.tv_sec)
			break;
		pthread_cond_timedwait(&o->cond, &o->lock, &until);
	}
	o->wanted = false;
	bool go_on = !o->stop;
	pthread_mutex_unlock(&o->lock);
	return go_on;
}

static void *work(void *arg)
{
	struct kg_oidc *o = arg;
	struct kg_error err;
	int rc;

	do {
		rc = refresh(o, &err);
		complain(o, rc, &err);
	} while (wait(o, rc < 0));
	return NULL;
}

static void want_keys(struct kg_oidc *o)
{
	pthread_mutex_lock(&o->lock);
	o->wanted = true;
	pthread_cond_signal(&o->cond);
	pthread_mutex_unlock(&o->lock);
}

/* ---- life ---- */

static int read_ca(struct kg_oidc *o, const char *file, struct kg_error *err)
{
	KG_AUTOBUF struct kg_buf pem = KG_BUF_INIT;
	int rc = kg_read_cas(&pem, file, err);

	if (rc < 0)
		return rc;
	o->ca_pem = kg_buf_steal(&pem);
	return 0;
}

static int check(const struct kg_oidc_options *opts, struct kg_error *err)
{
	if (!opts->client_id || !*opts->client_id)
		return kg_fail(err, KG_E_INVALID, "OIDC: a client id is needed");
	if (strncmp(opts->issuer_url, "https://", 8) != 0)
		return kg_fail(err, KG_E_INVALID, "OIDC: the issuer must be an https URL");
	return 0;
}

static void take_options(struct kg_oidc *o, const struct kg_oidc_options *opts)
{
	const char *prefix = opts->username_prefix;

	o->issuer = kg_strdup(opts->issuer_url);
	o->client_id = kg_strdup(opts->client_id);
	o->name_claim = kg_strdup(opts->username_claim ? opts->username_claim : "sub");
	if (prefix)
		o->name_prefix = kg_strdup(strcmp(prefix, "-") == 0 ? "" : prefix);
	else
		o->name_prefix = strcmp(o->name_claim, "email") == 0
					 ? kg_strdup("")
					 : kg_asprintf("%s#", opts->issuer_url);
	o->groups_claim = kg_strdup(opts->groups_claim);
	o->groups_prefix = kg_strdup(opts->groups_prefix ? opts->groups_prefix : "");
	o->jwks = kg_strdup(opts->jwks);
}

int kg_oidc_new(struct kg_oidc **out, const struct kg_oidc_options *opts, struct kg_error *err)
{
	bool remote = !opts->jwks || strstr(opts->jwks, "://");
	pthread_condattr_t attr;
	struct kg_oidc *o;
	int rc = check(opts, err);

	if (rc < 0)
		return rc;
	o = kg_alloc(sizeof(*o));
	take_options(o, opts);
	o->seen = kg_seen_new();
	o->set = kg_jwks_new();
	pthread_rwlock_init(&o->keys, NULL);
	pthread_mutex_init(&o->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&o->cond, &attr);
	pthread_condattr_destroy(&attr);
	if (remote)
		rc = read_ca(o, opts->ca_file, err);
	else
		rc = refresh(o, err); /* a file that is wrong is known at once */
	if (rc == 0 && pthread_create(&o->thread, NULL, work, o) != 0)
		rc = kg_fail(err, KG_E_IO, "OIDC: start a thread");
	if (rc < 0) {
		kg_oidc_free(o);
		return rc;
	}
	o->running = true;
	*out = o;
	return 0;
}

void kg_oidc_free(struct kg_oidc *o)
{
	if (!o)
		return;
	if (o->running) {
		pthread_mutex_lock(&o->lock);
		o->stop = true;
		pthread_cond_signal(&o->cond);
		pthread_mutex_unlock(&o->lock);
		pthread_join(o->thread, NULL);
	}
	char *const texts[] = {o->issuer, o->client_id, o->name_claim, o->name_prefix,
		o->groups_claim, o->groups_prefix, o->jwks, o->ca_pem};
	for (size_t i = 0; i < KG_ARRAY_LEN(texts); i++)
		free(texts[i]);
	kg_seen_free(o->seen);
	kg_jwks_free(o->set);
	pthread_rwlock_destroy(&o->keys);
	pthread_mutex_destroy(&o->lock);
	pthread_cond_destroy(&o->cond);
	free(o);
}

/* ---- taking ---- */

static int check_claims(
	const struct kg_oidc *o, const struct kg_value *claims, kg_time now, struct kg_error *err)
{
	if (!kg_claims_are_for(claims, o->client_id))
		return kg_token_refused(err, "is for another client");
	if (strcmp(o->name_claim, "email") == 0 && !kg_bool(kg_get(claims, "email_verified"), true))
		return kg_token_refused(err, "has an email that is not verified");
	return kg_claims_check_times(claims, now, err);
}

/* Names that mean something here are not the issuer's to give. */
static bool is_reserved(const char *name)
{
	return strncmp(name, "system:", 7) == 0;
}

static int add_group(
	struct kg_user *u, const struct kg_oidc *o, const struct kg_value *v, struct kg_error *err)
{
	char *name KG_AUTOFREE = kg_asprintf("%s%s", o->groups_prefix, kg_string(v, ""));

	if (v->type != KG_STRING || !v->len || is_reserved(name))
		return 0;
	return kg_user_add_group(u, name, err);
}

static int set_user(struct kg_user *u, const struct kg_oidc *o, const struct kg_value *claims,
	struct kg_error *err)
{
	const char *said = kg_string(kg_get(claims, o->name_claim), "");
	char *name KG_AUTOFREE = kg_asprintf("%s%s", o->name_prefix, said);
	const struct kg_value *groups =
		o->groups_claim ? kg_get(claims, o->groups_claim) : &kg_null;

	if (!*said)
		return kg_token_refused(err, "does not say who it is of");
	if (is_reserved(name))
		return kg_token_refused(err, "names a user of the system's");
	int rc = kg_user_set(u, name, err);
	if (groups->type == KG_STRING && rc == 0)
		rc = add_group(u, o, groups, err);
	for (uint32_t i = 0; rc == 0 && groups->type == KG_ARRAY && i < groups->len; i++)
		rc = add_group(u, o, &groups->items[i], err);
	return rc;
}

static int verify(struct kg_oidc *o, struct kg_verdict *v, const char *token, kg_time now,
	struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value claims;
	struct kg_error why;

	pthread_rwlock_rdlock(&o->keys);
	int rc = kg_jwt_verify(&claims, &a, o->set, token, &why);
	pthread_rwlock_unlock(&o->keys);
	if (rc == -KG_E_NOT_FOUND)
		want_keys(o);
	if (rc < 0)
		return kg_fail(err, KG_E_UNAUTHORIZED, "Unauthorized: %s", why.msg);
	rc = check_claims(o, &claims, now, err);
	if (rc == 0)
		rc = set_user(&v->user, o, &claims, err);
	if (rc < 0)
		return rc;
	v->until = kg_claims_until(&claims, now + SEEN_MS);
	kg_seen_put(o->seen, token, v);
	return 0;
}

static int authenticate(void *self, struct kg_user *out, const struct kg_credentials *c,
	kg_time now, struct kg_error *err)
{
	struct kg_oidc *o = self;
	struct kg_verdict v = {0};
	char *token KG_AUTOFREE = NULL;
	int rc = kg_credentials_token(&token, c, err);

	if (rc <= 0)
		return rc;
	if (!kg_seen_get(o->seen, &v, token, now)) {
		if (!kg_token_is_of(token, o->issuer))
			return 0;
		rc = verify(o, &v, token, now, err);
		if (rc < 0)
			return rc;
	}
	*out = v.user;
	return 1;
}

static void free_self(void *self)
{
	kg_oidc_free(self);
}

static const struct kg_authenticator authenticator = {
	.authenticate = authenticate, .free = free_self};

void kg_auth_add_oidc(struct kg_auth *auth, struct kg_oidc *o)
{
	kg_auth_add_authenticator(auth, &authenticator, o);
}
