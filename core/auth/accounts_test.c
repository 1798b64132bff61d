/* Tokens of ServiceAccounts: whose they are, how long they last, and the keys behind them. */
#include "accounts.h"

#include "oidc.h"
#include "pki/jwt.h"
#include "pki/pki.h"
#include "sys/file.h"
#include "testing.h"
#include "value/json.h"
#include "watch/hub.h"

#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

#define DAY_MS (24LL * 3600 * 1000)
#define NOW    1767225660000LL /* 2026-01-01T00:01:00Z */
#define US     "https://issuer.example"

static const char manifests[] =
	"---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: robot, namespace: team}\n";

static struct {
	char dir[64];
	struct kg_snapshot *s;
	struct kg_hub *hub;
	struct kg_accounts *accounts;
	struct kg_auth *auth;
} t;

/* Reconcile gives objects their uids; here they come with the value. */
static struct kg_snapshot *snapshot_of(const char *yaml, const char *uid)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_changes changes;
	struct kg_snapshot *s = kg_test_snapshot(NULL, yaml, &changes), *next;
	const struct kg_object *obj = kg_snapshot_get(s, KG_KIND_SERVICEACCOUNT, "team", "robot");
	struct kg_txn *txn = kg_txn_new(s);

	kg_changes_release(&changes);
	if (obj) {
		struct kg_value v = kg_with(&a, kg_obj(obj), "metadata.uid", kg_v_lit(uid));
		kg_txn_put(txn, kg_object_with(obj, &v));
	}
	kg_txn_finish(txn, &next, &changes);
	kg_changes_release(&changes);
	kg_snapshot_unref(s);
	return next;
}

static void start(const char *yaml, const char *uid, kg_time now)
{
	char keys[80];
	struct kg_accounts_options opts = {.dir = keys, .issuer = US};
	struct kg_error err;

	snprintf(keys, sizeof(keys), "%s/sa", t.dir);
	t.s = snapshot_of(yaml, uid);
	opts.hub = t.hub = kg_hub_new(t.s, 0);
	assert_int_equal(kg_accounts_open(&t.accounts, &opts, now, &err), 0);
	t.auth = kg_auth_new();
	kg_auth_add_accounts(t.auth, t.accounts);
}

static void stop(void)
{
	kg_auth_free(t.auth);
	kg_accounts_free(t.accounts);
	kg_hub_free(t.hub);
	kg_snapshot_unref(t.s);
}

static int setup(void **state)
{
	(void)state;
	kg_kinds_init();
	strcpy(t.dir, "/tmp/accounts_test.XXXXXX");
	return mkdtemp(t.dir) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	return kg_remove_tree(t.dir, NULL);
}

static int authenticate(struct kg_user *u, const char *token, kg_time now)
{
	char *header KG_AUTOFREE = kg_asprintf("Bearer %s", token);
	struct kg_credentials c = {.authorization = header};
	struct kg_error err;

	return kg_auth_authenticate(t.auth, u, &c, now, &err);
}

static char *issue(const char *name, int64_t seconds, kg_time now, kg_time *expires)
{
	struct kg_token_request req = {.ns = "team", .name = name, .seconds = seconds};
	struct kg_error err;
	char *token = NULL;

	return kg_accounts_issue(t.accounts, &token, expires, &req, now, &err) == 0 ? token : NULL;
}

static void audiences_are_few(void **state)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value items[KG_MAX_AUDIENCES + 1];

	(void)state;
	start(manifests, "u1", NOW);
	for (size_t i = 0; i < KG_ARRAY_LEN(items); i++)
		items[i] = kg_v_lit("vault");
	for (int more = 0; more <= 1; more++) {
		struct kg_value all = kg_v_array(&a, items, KG_MAX_AUDIENCES + (unsigned)more);
		struct kg_token_request req = {.ns = "team", .name = "robot", .audiences = &all};
		char *token KG_AUTOFREE = NULL;
		struct kg_error err;
		kg_time end;

		assert_int_equal(kg_accounts_issue(t.accounts, &token, &end, &req, NOW, &err),
			more ? -KG_E_INVALID : 0);
	}
	stop();
}

/* What a TokenReview asks: is it for one of these, and whose is it. */
static void tokens_of_others(void **state)
{
	static const struct {
		const char *of, *wanted, *audiences; /* NULL: refused */
	} cases[] = {
		{"[\"vault\",\"x\"]", "[\"y\",\"vault\"]", "vault"},
		{"[\"vault\"]", "[\"y\"]", NULL},
		{"[\"vault\"]", "[]", NULL},
		{"[]", "[\"vault\"]", NULL},
		{"[]", "[\"" US "\"]", US},
	};
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;

	(void)state;
	start(manifests, "u1", NOW);
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_token_request req = {.ns = "team", .name = "robot"};
		struct kg_value of, wanted, audiences;
		char *token KG_AUTOFREE = NULL;
		struct kg_error err;
		struct kg_user u;
		kg_time end;

		assert_int_equal(kg_json_parse(&of, &a, cases[i].of, strlen(cases[i].of), &err), 0);
		assert_int_equal(
			kg_json_parse(&wanted, &a, cases[i].wanted, strlen(cases[i].wanted), &err),
			0);
		req.audiences = &of;
		assert_int_equal(kg_accounts_issue(t.accounts, &token, &end, &req, NOW, &err), 0);
		int rc = kg_accounts_review(
			t.accounts, &a, &u, token, &wanted, &audiences, NOW, &err);

		assert_int_equal(rc, cases[i].audiences ? 1 : -KG_E_UNAUTHORIZED);
		if (!cases[i].audiences)
			continue;
		assert_int_equal(kg_len(&audiences), 1);
		assert_string_equal(kg_string(&audiences.items[0], ""), cases[i].audiences);
		struct kg_value v = kg_user_value(&a, &u);
		assert_string_equal(kg_string(kg_get(&v, "uid"), ""), "u1");
		assert_memory_equal(
			kg_string(kg_at(kg_get(kg_get(&v, "extra"), "authentication.kubernetes.io/"
								    "credential-id"),
					  "0"),
				""),
			"JTI=", 4);
		assert_int_equal(kg_accounts_review(
					 t.accounts, &a, &u, token, &wanted, &audiences, end, &err),
			-KG_E_UNAUTHORIZED);
		assert_int_equal(kg_accounts_review(t.accounts, &a, &u, "kgit.x", &wanted,
					 &audiences, NOW, &err),
			0);
	}
	stop();
}

static void tokens_name_accounts(void **state)
{
	kg_time end;
	struct kg_user u;

	(void)state;
	start(manifests, "u1", NOW);
	char *token KG_AUTOFREE = issue("robot", 0, NOW, &end);
	assert_non_null(token);
	assert_int_equal(end, NOW + 3600 * 1000);
	assert_int_equal(authenticate(&u, token, NOW - 60000), -KG_E_UNAUTHORIZED);
	assert_int_equal(authenticate(&u, token, NOW), 0);
	assert_string_equal(u.name, "system:serviceaccount:team:robot");
	assert_true(kg_user_in_group(&u, "system:serviceaccounts"));
	assert_true(kg_user_in_group(&u, "system:serviceaccounts:team"));
	assert_true(kg_user_in_group(&u, "system:authenticated"));
	assert_int_equal(authenticate(&u, token, end - 1000), 0);
	assert_int_equal(authenticate(&u, token, end), -KG_E_UNAUTHORIZED);
	assert_null(issue("nobody", 0, NOW, &end));
	assert_null(issue("default", 0, NOW, &end)); /* there is no such namespace */
	char *brief KG_AUTOFREE = issue("robot", 1, NOW, &end);
	assert_non_null(brief);
	assert_int_equal(end, NOW + 600 * 1000);
	char *lasting KG_AUTOFREE = issue("robot", 1LL << 40, NOW, &end);
	assert_non_null(lasting);
	assert_int_equal(end, NOW + 30 * DAY_MS);
	stop();
	/* another account of the name */
	start(manifests, "u2", NOW);
	assert_int_equal(authenticate(&u, token, NOW), -KG_E_UNAUTHORIZED);
	stop();
	/* and none */
	start("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: team}\n", "",
		NOW);
	assert_int_equal(authenticate(&u, token, NOW), -KG_E_UNAUTHORIZED);
	stop();
}

static size_t files(void)
{
	char path[80];
	size_t n = 0;
	struct dirent *e;

	snprintf(path, sizeof(path), "%s/sa", t.dir);
	DIR *d = opendir(path);
	assert_non_null(d);
	while ((e = readdir(d)))
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

/* A token verifies as long as it lasts, whatever became of the keys meanwhile. */
static void keys_are_renewed(void **state)
{
	struct kg_user u;
	struct kg_error err;
	kg_time end, now = NOW;

	(void)state;
	start(manifests, "u1", NOW);
	assert_int_equal(files(), 1);
	for (int day = 0; day < 200; day++, now += DAY_MS) {
		assert_int_equal(kg_accounts_rotate(t.accounts, now, &err), 0);
		char *token KG_AUTOFREE = issue("robot", 30 * 24 * 3600, now, &end);
		assert_non_null(token);
		for (int later = 0; later < 30; later += 5) {
			assert_int_equal(
				kg_accounts_rotate(t.accounts, now + later * DAY_MS, &err), 0);
			assert_int_equal(authenticate(&u, token, now + later * DAY_MS + 1000), 0);
		}
		assert_in_range(files(), 1, 5);
		if (day % 50 == 49) {
			stop();
			start(manifests, "u1", now);
			assert_int_equal(authenticate(&u, token, now + 1000), 0);
		}
	}
	struct kg_buf keys KG_AUTOBUF = KG_BUF_INIT;
	kg_accounts_jwks(t.accounts, &keys);
	struct kg_jwks *set = kg_jwks_new();
	assert_int_equal(kg_jwks_read(set, keys.data, keys.len, &err), 0);
	assert_int_equal(kg_jwks_count(set), files());
	kg_jwks_free(set);
	stop();
}

/* ---- OpenID Connect, its keys in a file ---- */

/* A pod "web" on "n1", by the account "robot"; its uid is given. */
static struct kg_snapshot *with_pod(struct kg_snapshot *s, const char *uid)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_txn *txn = kg_txn_new(s);
	struct kg_changes changes;
	struct kg_snapshot *next;
	struct kg_value meta = kg_v_obj(&a, "name", kg_v_lit("web"), "namespace", kg_v_lit("team"),
		"uid", kg_v_lit(uid), (char *)NULL);
	struct kg_value spec = kg_v_obj(&a, "serviceAccountName", kg_v_lit("robot"), "nodeName",
		kg_v_lit("n1"), (char *)NULL);
	struct kg_value pod = kg_v_obj(&a, "metadata", meta, "spec", spec, (char *)NULL);
	struct kg_value node = kg_v_obj(&a, "metadata",
		kg_v_obj(&a, "name", kg_v_lit("n1"), "uid", kg_v_lit("un1"), (char *)NULL),
		(char *)NULL);

	kg_txn_put(txn, kg_object_new(&(struct kg_object_spec){.kind = &kg_kinds[KG_KIND_POD],
				.ns = "team",
				.name = "web",
				.value = &pod}));
	kg_txn_put(txn,
		kg_object_new(&(struct kg_object_spec){
			.kind = &kg_kinds[KG_KIND_NODE], .ns = "", .name = "n1", .value = &node}));
	kg_txn_finish(txn, &next, &changes);
	kg_changes_release(&changes);
	kg_snapshot_unref(s);
	return next;
}

static void publish(struct kg_snapshot *s)
{
	struct kg_accounts_options opts = {.issuer = US};
	char keys[80];
	struct kg_error err;

	/* As a restart would have it: the keys are on disk. */
	kg_auth_free(t.auth);
	kg_accounts_free(t.accounts);
	kg_hub_free(t.hub);
	kg_snapshot_unref(t.s);
	t.s = s;
	snprintf(keys, sizeof(keys), "%s/sa", t.dir);
	opts.dir = keys;
	opts.hub = t.hub = kg_hub_new(t.s, 0);
	assert_int_equal(kg_accounts_open(&t.accounts, &opts, NOW, &err), 0);
	t.auth = kg_auth_new();
	kg_auth_add_accounts(t.auth, t.accounts);
}

static void tokens_are_bound_to_pods(void **state)
{
	static const struct {
		const char *name, *uid, *node;
		int rc;
	} cases[] = {
		{NULL, "p1", "n1", 0},
		{"robot", "p1", NULL, 0},
		{NULL, "p1", "n2", -KG_E_NOT_FOUND},
		{NULL, "p0", "n1", -KG_E_NOT_FOUND},
		{"other", "p1", "n1", -KG_E_NOT_FOUND},
	};
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	char *token KG_AUTOFREE = NULL;
	struct kg_value claims;
	struct kg_error err;
	struct kg_user u;
	kg_time end;

	(void)state;
	start(manifests, "u1", NOW);
	publish(with_pod(snapshot_of(manifests, "u1"), "p1"));
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_token_request req = {.ns = "team",
			.name = cases[i].name,
			.pod = "web",
			.pod_uid = cases[i].uid,
			.node = cases[i].node};
		char *got = NULL;

		assert_int_equal(
			kg_accounts_issue(t.accounts, &got, &end, &req, NOW, &err), cases[i].rc);
		free(token);
		token = cases[i].rc ? NULL : got;
		if (cases[i].rc)
			continue;
		assert_int_equal(kg_jwt_peek(&claims, &a, token, &err), 0);
		const struct kg_value *bound = kg_get(&claims, "kubernetes.io");
		assert_string_equal(kg_string(kg_at(bound, "pod.uid"), ""), "p1");
		assert_string_equal(kg_string(kg_at(bound, "node.name"), ""), "n1");
		assert_string_equal(kg_string(kg_at(bound, "node.uid"), ""), "un1");
		assert_int_equal(authenticate(&u, token, NOW), 0);
	}
	free(token);
	token = NULL;
	struct kg_token_request req = {.ns = "team", .pod = "web", .pod_uid = "p1"};
	assert_int_equal(kg_accounts_issue(t.accounts, &token, &end, &req, NOW, &err), 0);
	publish(with_pod(snapshot_of(manifests, "u1"), "p2"));
	assert_int_equal(authenticate(&u, token, NOW), -KG_E_UNAUTHORIZED); /* its namesake */
	publish(snapshot_of(manifests, "u1"));
	assert_int_equal(authenticate(&u, token, NOW), -KG_E_UNAUTHORIZED); /* no pod */
	stop();
}

static void keys_can_be_replaced_at_once(void **state)
{
	struct kg_error err;
	struct kg_user u;
	kg_time end;

	(void)state;
	start(manifests, "u1", NOW);
	char *old KG_AUTOFREE = issue("robot", 0, NOW, &end);
	assert_int_equal(kg_accounts_renew(t.accounts, NOW, &err), 0);
	char *new KG_AUTOFREE = issue("robot", 0, NOW, &end);
	assert_int_equal(authenticate(&u, old, NOW), 0);
	assert_int_equal(authenticate(&u, new, NOW), 0);
	publish(snapshot_of(manifests, "u1"));
	assert_int_equal(authenticate(&u, old, NOW), 0);
	assert_int_equal(kg_accounts_retire(t.accounts, &err), 0);
	assert_int_equal(authenticate(&u, old, NOW), -KG_E_UNAUTHORIZED); /* though it was seen */
	assert_int_equal(authenticate(&u, new, NOW), 0);
	publish(snapshot_of(manifests, "u1"));
	assert_int_equal(authenticate(&u, old, NOW), -KG_E_UNAUTHORIZED);
	assert_int_equal(authenticate(&u, new, NOW), 0);
	/* Nothing to retire is nothing done, and what is made later signs, too. */
	assert_int_equal(kg_accounts_retire(t.accounts, &err), 0);
	assert_int_equal(kg_accounts_rotate(t.accounts, NOW + 31 * DAY_MS, &err), 0);
	char *later KG_AUTOFREE = issue("robot", 0, NOW + 31 * DAY_MS + 3600 * 1000, &end);
	assert_int_equal(authenticate(&u, later, NOW + 31 * DAY_MS + 3600 * 1000), 0);
	stop();
}

static void oidc_claims(void **state)
{
	static const struct {
		const char *claims;
		const char *name; /* NULL: refused */
		const char *group;
	} cases[] = {
		{"{\"aud\":\"me\",\"exp\":1767225700,\"sub\":\"ann\",\"g\":[\"dev\",\"ops\"]}",
			US "#ann", "x:ops"},
		{"{\"aud\":[\"you\",\"me\"],\"exp\":1767225700,\"sub\":\"ann\",\"g\":\"dev\"}",
			US "#ann", "x:dev"},
		{"{\"aud\":\"you\",\"exp\":1767225700,\"sub\":\"ann\"}", NULL, NULL},
		{"{\"exp\":1767225700,\"sub\":\"ann\"}", NULL, NULL},
		{"{\"aud\":\"me\",\"exp\":1767225660,\"sub\":\"ann\"}", NULL, NULL},
		{"{\"aud\":\"me\",\"sub\":\"ann\"}", NULL, NULL},
		{"{\"aud\":\"me\",\"exp\":1767225700,\"nbf\":1767225690,\"sub\":\"ann\"}", NULL,
			NULL},
		{"{\"aud\":\"me\",\"exp\":1767225700}", NULL, NULL},
		{"{\"aud\":\"me\",\"exp\":1767225700,\"sub\":7}", NULL, NULL},
	};
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	char *file KG_AUTOFREE = kg_asprintf("%s/jwks", t.dir), *key KG_AUTOFREE = NULL;
	struct kg_oidc_options opts = {.issuer_url = US,
		.client_id = "me",
		.groups_claim = "g",
		.groups_prefix = "x:",
		.jwks = file};
	struct kg_buf json KG_AUTOBUF = KG_BUF_INIT;
	struct kg_oidc *oidc;
	struct kg_value jwk;
	struct kg_error err;

	(void)state;
	assert_int_equal(kg_pki_key_new(&key, &err), 0);
	struct kg_jwt_signer *signer;
	assert_int_equal(kg_jwt_signer_new(&signer, key, &err), 0);
	assert_int_equal(kg_oidc_new(&oidc, &opts, &err), -KG_E_NOT_FOUND);
	assert_int_equal(kg_jwt_public_key(&jwk, &a, key, &err), 0);
	struct kg_value set = kg_v_obj(&a, "keys", kg_v_array(&a, &jwk, 1), (char *)NULL);
	kg_json_write(&json, &set);
	assert_int_equal(kg_file_write(file, json.data, json.len, 0600, &err), 0);
	assert_int_equal(kg_oidc_new(&oidc, &opts, &err), 0);
	t.auth = kg_auth_new();
	kg_auth_add_oidc(t.auth, oidc);
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_value claims;
		char *token KG_AUTOFREE = NULL, *other KG_AUTOFREE = NULL;
		struct kg_user u;

		assert_int_equal(
			kg_json_parse(&claims, &a, cases[i].claims, strlen(cases[i].claims), &err),
			0);
		claims = kg_with(&a, &claims, "iss", kg_v_lit(US));
		assert_int_equal(kg_jwt_sign(&token, signer, &claims, &err), 0);
		int rc = authenticate(&u, token, NOW);
		assert_int_equal(rc, cases[i].name ? 0 : -KG_E_UNAUTHORIZED);
		if (rc == 0) {
			assert_string_equal(u.name, cases[i].name);
			assert_true(kg_user_in_group(&u, cases[i].group));
			/* known by now, and over all the same when it is over */
			assert_int_equal(authenticate(&u, token, NOW + 1000), 0);
			assert_int_equal(authenticate(&u, token, NOW + 41000), -KG_E_UNAUTHORIZED);
		}
		claims = kg_with(&a, &claims, "iss", kg_v_lit("https://another.example"));
		assert_int_equal(kg_jwt_sign(&other, signer, &claims, &err), 0);
		assert_int_equal(authenticate(&u, other, NOW), -KG_E_UNAUTHORIZED);
	}
	kg_jwt_signer_free(signer);
	kg_auth_free(t.auth);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(audiences_are_few, setup, teardown),
		cmocka_unit_test_setup_teardown(tokens_of_others, setup, teardown),
		cmocka_unit_test_setup_teardown(tokens_name_accounts, setup, teardown),
		cmocka_unit_test_setup_teardown(keys_are_renewed, setup, teardown),
		cmocka_unit_test_setup_teardown(tokens_are_bound_to_pods, setup, teardown),
		cmocka_unit_test_setup_teardown(keys_can_be_replaced_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(oidc_claims, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
