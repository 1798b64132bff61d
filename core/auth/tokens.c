/*
 * The file: one JSON object a line, {"expires","groups","id","join","node","sha256","user"}. A
 * token is found by its id; what is compared, in constant time, is the hash of the whole of it. The
 * secret has 32 random bytes, so a plain hash is enough. Expired tokens go when the file is next
 * written.
 */
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/time.h"
#include "internal.h"
#include "pki/pki.h"
#include "sys/file.h"
#include "value/json.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define ID_BYTES     6
#define SECRET_BYTES 32
#define MAX_TOKENS   20000
#define MAX_FILE     ((size_t)128 << 20) /* what so many can have at most */
#define ACCESS       "kgit."
#define JOIN         "kgj."

struct token {
	char id[2 * ID_BYTES + 1];
	unsigned char sha256[32];
	bool join;
	kg_time expires; /* KG_TIME_NEVER: no end */
	struct kg_user user;
	char node[254]; /* of a join token: for this node alone; or "" */
};

struct kg_tokens {
	pthread_mutex_t lock;
	char *path;
	struct token **list;
	size_t n, cap;
	struct kg_map by_id; /* those of the list */
};

/* ---- reading ---- */

static int read_groups(struct kg_user *u, const struct kg_value *groups, struct kg_error *err)
{
	for (uint32_t i = 0; groups->type == KG_ARRAY && i < groups->len; i++) {
		int rc = kg_user_add_group(u, kg_string(&groups->items[i], ""), err);
		if (rc)
			return rc;
	}
	return 0;
}

static int read_token(struct token *t, const struct kg_value *v, struct kg_error *err)
{
	const char *id = kg_string(kg_get(v, "id"), "");
	const char *end = kg_string(kg_get(v, "expires"), NULL);

	t->join = kg_bool(kg_get(v, "join"), false);
	t->expires = KG_TIME_NEVER;
	if (strlen(id) != 2 * ID_BYTES ||
		kg_unhex(t->sha256, sizeof(t->sha256), kg_string(kg_get(v, "sha256"), "")) ||
		(end && kg_time_parse(&t->expires, end)))
		return kg_fail(err, KG_E_CORRUPT, "not a token");
	memcpy(t->id, id, sizeof(t->id));
	snprintf(t->node, sizeof(t->node), "%s", kg_string(kg_get(v, "node"), ""));
	if (t->join)
		return 0;
	int rc = kg_user_set(&t->user, kg_string(kg_get(v, "user"), ""), err);
	return rc ? rc : read_groups(&t->user, kg_get(v, "groups"), err);
}

static void append(struct kg_tokens *t, struct token *token)
{
	KG_GROW(t->list, t->cap, t->n + 1);
	t->list[t->n++] = token;
	kg_map_put(&t->by_id, token->id, token);
}

static int load(struct kg_tokens *t, const struct kg_buf *text, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	unsigned line = 0;

	for (const char *p = kg_buf_str(text), *end; *p; p = end + (*end == '\n')) {
		end = p + strcspn(p, "\n");
		line++;
		if (end == p)
			continue;
		struct kg_value v;
		struct token *token = kg_alloc(sizeof(*token));
		int rc = kg_json_parse(&v, &a, p, (size_t)(end - p), err);
		if (!rc)
			rc = read_token(token, &v, err);
		if (rc) {
			free(token);
			return kg_wrap(err, "%s:%u", t->path, line);
		}
		append(t, token);
	}
	return 0;
}

int kg_tokens_open(struct kg_tokens **out, const char *path, struct kg_error *err)
{
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	struct kg_tokens *t = kg_alloc(sizeof(*t));

	pthread_mutex_init(&t->lock, NULL);
	t->path = kg_strdup(path);
	int rc = 0;
	if (kg_path_exists(path)) {
		rc = kg_file_read(&text, path, MAX_FILE, err);
		if (!rc)
			rc = load(t, &text, err);
	}
	if (rc) {
		kg_tokens_free(t);
		return rc;
	}
	*out = t;
	return 0;
}

void kg_tokens_free(struct kg_tokens *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n; i++)
		free(t->list[i]);
	free(t->list);
	kg_map_release(&t->by_id);
	free(t->path);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

/* ---- writing ---- */

static void write_token(struct kg_buf *out, const struct token *t)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value groups[KG_ARRAY_LEN(t->user.groups)];
	char hex[65], end[32];

	kg_hex(hex, t->sha256, sizeof(t->sha256));
	if (t->expires != KG_TIME_NEVER)
		kg_time_format(end, t->expires);
	for (unsigned i = 0; i < t->user.ngroups; i++)
		groups[i] = kg_v_lit(t->user.groups[i]);
	struct kg_value v = kg_v_obj(&a, "id", kg_v_lit(t->id), "sha256", kg_v_lit(hex), "user",
		t->join ? kg_v_null() : kg_v_lit(t->user.name), "groups",
		t->join ? kg_v_null() : kg_v_array(&a, groups, t->user.ngroups), "join",
		kg_v_bool(t->join), "node", *t->node ? kg_v_lit(t->node) : kg_v_null(), "expires",
		t->expires == KG_TIME_NEVER ? kg_v_null() : kg_v_lit(end), (char *)NULL);
	kg_json_write(out, &v);
	kg_buf_addc(out, '\n');
}

static void drop_expired(struct kg_tokens *t, kg_time now)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->n; i++) {
		if (t->list[i]->expires > now) {
			t->list[kept++] = t->list[i];
			continue;
		}
		kg_map_remove(&t->by_id, t->list[i]->id);
		free(t->list[i]);
	}
	t->n = kept;
}

/* Durable, or the token does not exist. Takes it over. */
static int add(struct kg_tokens *t, struct token *token, kg_time now, struct kg_error *err)
{
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;

	pthread_mutex_lock(&t->lock);
	drop_expired(t, now);
	if (t->n >= MAX_TOKENS) {
		pthread_mutex_unlock(&t->lock);
		free(token);
		return kg_fail(err, KG_E_TOO_MANY, "there are %d tokens already", MAX_TOKENS);
	}
	append(t, token);
	for (size_t i = 0; i < t->n; i++)
		write_token(&text, t->list[i]);
	int rc = kg_file_write(t->path, text.data, text.len, 0600, err);
	if (rc) {
		kg_map_remove(&t->by_id, token->id);
		free(t->list[--t->n]);
		rc = kg_wrap(err, "keep the token");
	}
	pthread_mutex_unlock(&t->lock);
	return rc;
}

size_t kg_tokens_count(struct kg_tokens *t, const char *user, kg_time now)
{
	size_t n = 0;

	pthread_mutex_lock(&t->lock);
	for (size_t i = 0; i < t->n; i++)
		n += !t->list[i]->join && t->list[i]->expires > now &&
		     strcmp(t->list[i]->user.name, user) == 0;
	pthread_mutex_unlock(&t->lock);
	return n;
}

/* "<prefix><id>.<secret>" into out (at least 90 bytes), its id and hash into t. */
static void make(struct token *t, char *out, size_t size, const char *prefix)
{
	char secret[2 * SECRET_BYTES + 1];

	kg_random_hex(t->id, ID_BYTES);
	kg_random_hex(secret, SECRET_BYTES);
	snprintf(out, size, "%s%s.%s", prefix, t->id, secret);
	kg_sha256(t->sha256, out, strlen(out));
	explicit_bzero(secret, sizeof(secret));
}

/* Whole seconds, as the file has them. */
static kg_time end_of(int64_t ttl_ms, kg_time now)
{
	if (ttl_ms <= 0 || ttl_ms > KG_TIME_NEVER - 1000 - now)
		return KG_TIME_NEVER;
	return (now + ttl_ms + 999) / 1000 * 1000;
}

int kg_tokens_create_access(struct kg_tokens *t, char out[128], const char *user,
	const char *const *groups, int64_t ttl_ms, kg_time now, struct kg_error *err)
{
	struct token *token = kg_alloc(sizeof(*token));

	struct kg_error why;

	int rc = kg_user_set(&token->user, user, &why);
	for (size_t i = 0; !rc && groups && groups[i]; i++)
		rc = kg_user_add_group(&token->user, groups[i], &why);
	if (rc) {
		free(token);
		return kg_fail(err, KG_E_INVALID, "%s", why.msg);
	}
	char text[128];
	token->expires = end_of(ttl_ms, now);
	make(token, text, sizeof(text), ACCESS);
	rc = add(t, token, now, err);
	if (!rc)
		memcpy(out, text, sizeof(text));
	return rc;
}

int kg_tokens_create_join(struct kg_tokens *t, char out[192], const char *ca_pin, const char *node,
	int64_t ttl_ms, kg_time now, struct kg_error *err)
{
	struct token *token = kg_alloc(sizeof(*token));
	const char *colon = strchr(ca_pin, ':');
	const char *pin = colon ? colon + 1 : ca_pin; /* "sha256:" is left out */
	char text[128];

	token->join = true;
	snprintf(token->node, sizeof(token->node), "%s", node ? node : "");
	token->expires = end_of(ttl_ms, now);
	make(token, text, sizeof(text), JOIN);
	int rc = add(t, token, now, err);
	if (!rc)
		snprintf(out, 192, "%.120s.%.64s", text, pin);
	return rc;
}

/* ---- looking up ---- */

/* In the same time wherever they differ. */
static bool is_same(const unsigned char a[32], const unsigned char b[32])
{
	volatile unsigned char differ = 0;

	for (size_t i = 0; i < 32; i++)
		differ |= a[i] ^ b[i];
	return differ == 0;
}

/* The token that the text "<prefix><id>.<secret>" is, with t->lock held. */
static const struct token *find(
	struct kg_tokens *t, const char *text, size_t len, const char *prefix)
{
	size_t skip = strlen(prefix);
	unsigned char hash[32];
	char id[2 * ID_BYTES + 1] = "";

	if (len != skip + 2 * ID_BYTES + 1 + 2 * SECRET_BYTES || text[skip + 2 * ID_BYTES] != '.')
		return NULL;
	kg_sha256(hash, text, len);
	memcpy(id, text + skip, 2 * ID_BYTES);
	const struct token *token = kg_map_get(&t->by_id, id);
	return token && is_same(token->sha256, hash) ? token : NULL;
}

int kg_tokens_authenticate(struct kg_tokens *t, struct kg_user *out, const char *text, kg_time now,
	struct kg_error *err)
{
	int rc = 1;

	if (strncmp(text, ACCESS, strlen(ACCESS)) != 0)
		return 0;
	pthread_mutex_lock(&t->lock);
	const struct token *token = find(t, text, strlen(text), ACCESS);
	if (!token || token->join)
		rc = kg_fail(err, KG_E_UNAUTHORIZED, "Unauthorized: the token is not known");
	else if (token->expires <= now)
		rc = kg_fail(err, KG_E_UNAUTHORIZED, "Unauthorized: the token has expired");
	else
		*out = token->user;
	pthread_mutex_unlock(&t->lock);
	return rc;
}

int kg_tokens_check_join(
	struct kg_tokens *t, const char *token, char node[254], kg_time now, struct kg_error *err)
{
	size_t len = 0;
	int rc = 0;

	/* The pin behind the third dot is for the node. */
	if (strncmp(token, JOIN, strlen(JOIN)) == 0) {
		len = strlen(JOIN);
		len += strcspn(token + len, ".");
		if (token[len] == '.')
			len += 1 + strcspn(token + len + 1, ".");
	}
	pthread_mutex_lock(&t->lock);
	const struct token *found = find(t, token, len, JOIN);
	if (!found || !found->join)
		rc = kg_fail(err, KG_E_UNAUTHORIZED, "the join token is not known");
	else if (found->expires <= now)
		rc = kg_fail(err, KG_E_UNAUTHORIZED, "the join token has expired");
	else
		memcpy(node, found->node, sizeof(found->node));
	pthread_mutex_unlock(&t->lock);
	return rc;
}
