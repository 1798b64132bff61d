/*
 * A key's file is named by when it was made, in milliseconds: "1767225660000.key". A new key is
 * shown for an hour before it signs, so that who keeps the set of keys for a while has it by then;
 * but for one that is to take over at once: "1767225660000.now.key".
 */
#include "accounts_private.h"

#include "pki/pki.h"
#include "sys/file.h"
#include "value/json.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HOUR_MS (3600LL * 1000)
#define DAY_MS  (24 * HOUR_MS)
#define SIGN_MS (30 * DAY_MS) /* a key signs so long */
#define KEEP_MS (SIGN_MS + 31 * DAY_MS)
#define SHOW_MS HOUR_MS
#define MAX_PEM ((size_t)64 << 10)

static void release_key(struct kg_account_key *k)
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
	struct kg_account_key k = {.made = made, .at_once = at_once, .pem = pem};
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

	if ((!at_once && strcmp(end, ".key") != 0) || made <= 0 || a->n == KG_ACCOUNTS_MAX_KEYS)
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

	while (rc == 0 && a->n > 1 &&
		(a->n == KG_ACCOUNTS_MAX_KEYS || a->keys[0].made + KEEP_MS < now))
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
	struct kg_value keys[KG_ACCOUNTS_MAX_KEYS];
	size_t n = 0;

	pthread_rwlock_rdlock(&a->lock);
	for (size_t i = 0; i < a->n; i++)
		if (kg_jwt_public_key(&keys[n], &arena, a->keys[i].pem, NULL) == 0)
			n++;
	pthread_rwlock_unlock(&a->lock);
	struct kg_value v = kg_v_obj(&arena, "keys", kg_v_array(&arena, keys, n), (char *)NULL);
	kg_json_write(out, &v);
}

const struct kg_jwt_signer *kg_accounts_signer(const struct kg_accounts *a, kg_time now)
{
	for (size_t i = a->n; i-- > 0;)
		if (a->keys[i].at_once || a->keys[i].made + SHOW_MS <= now)
			return a->keys[i].signer;
	return a->keys[0].signer;
}
