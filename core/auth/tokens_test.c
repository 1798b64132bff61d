#include "auth.h"
#include "base/hash.h"
#include "base/mem.h"
#include "sys/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define NOW ((kg_time)1795667286000)

static char dir[] = "/tmp/kgit-tokens-XXXXXX";
static char path[64];

static int setup(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/tokens", dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return kg_remove_tree(dir, NULL);
}

static int fresh(void **state)
{
	(void)state;
	unlink(path);
	return 0;
}

static struct kg_tokens *open_tokens(void)
{
	struct kg_tokens *t = NULL;
	struct kg_error err;

	assert_int_equal(kg_tokens_open(&t, path, &err), 0);
	return t;
}

static int ask(struct kg_tokens *t, struct kg_user *u, const char *authorization, kg_time now)
{
	struct kg_auth *auth = kg_auth_new();
	struct kg_credentials c = {.authorization = authorization};
	struct kg_error err;

	kg_auth_add_certificates(auth);
	kg_auth_add_tokens(auth, t);
	int rc = kg_auth_authenticate(auth, u, &c, now, &err);
	kg_auth_free(auth);
	return rc;
}

static int ask_bearer(struct kg_tokens *t, struct kg_user *u, const char *token, kg_time now)
{
	KG_AUTOFREE char *header = kg_asprintf("Bearer %s", token);

	return ask(t, u, header, now);
}

static void access_tokens_are_their_users(void **state)
{
	static const char *const groups[] = {"dev", "ops", NULL};
	struct kg_tokens *t = open_tokens();
	struct kg_user u;
	struct kg_error err;
	char token[128];

	(void)state;
	assert_int_equal(kg_tokens_create_access(t, token, "ann", groups, 60000, NOW, &err), 0);
	assert_int_equal(strncmp(token, "kgit.", 5), 0);
	for (int reopened = 0; reopened < 2; reopened++) {
		assert_int_equal(ask_bearer(t, &u, token, NOW), 0);
		assert_string_equal(u.name, "ann");
		assert_true(kg_user_in_group(&u, "ops"));
		assert_int_equal(ask_bearer(t, &u, token, NOW + 59999), 0);
		assert_int_equal(ask_bearer(t, &u, token, NOW + 60000), -KG_E_UNAUTHORIZED);
		kg_tokens_free(t);
		t = open_tokens();
	}
	kg_tokens_free(t);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void basic_takes_the_token_as_password(void **state)
{
	struct kg_tokens *t = open_tokens();
	struct kg_user u;
	char token[128];

	(void)state;
	assert_int_equal(kg_tokens_create_access(t, token, "ann", NULL, 0, NOW, NULL), 0);
	KG_AUTOFREE char *pair = kg_asprintf("git:%s", token);
	KG_AUTOFREE char *coded = kg_base64_encode(pair, strlen(pair));
	KG_AUTOFREE char *header = kg_asprintf("basic %s", coded);
	assert_int_equal(ask(t, &u, header, NOW), 0);
	assert_string_equal(u.name, "ann");
	assert_int_equal(ask(t, &u, "Basic !!!", NOW), -KG_E_UNAUTHORIZED);
	assert_int_equal(ask(t, &u, "Basic Z2l0", NOW), -KG_E_UNAUTHORIZED);
	kg_tokens_free(t);
}

static void wrong_tokens_are_refused(void **state)
{
	struct kg_tokens *t = open_tokens();
	struct kg_user u;
	char token[128], join[192];

	(void)state;
	assert_int_equal(kg_tokens_create_access(t, token, "ann", NULL, 0, NOW, NULL), 0);
	char node[254];
	assert_int_equal(kg_tokens_create_join(t, join, "sha256:ab", NULL, 60000, NOW, NULL), 0);
	assert_int_equal(ask_bearer(t, &u, join, NOW), -KG_E_UNAUTHORIZED);
	assert_int_equal(kg_tokens_check_join(t, token, node, NOW, NULL), -KG_E_UNAUTHORIZED);
	for (size_t i = 0; token[i]; i++) {
		char was = token[i];
		token[i] = was == '0' ? '1' : '0';
		assert_int_equal(ask_bearer(t, &u, token, NOW), -KG_E_UNAUTHORIZED);
		token[i] = '\0';
		assert_int_equal(ask_bearer(t, &u, token, NOW), -KG_E_UNAUTHORIZED);
		token[i] = was;
	}
	assert_int_equal(ask_bearer(t, &u, token, NOW), 0);
	kg_tokens_free(t);
}

static void join_tokens_carry_the_pin(void **state)
{
	struct kg_tokens *t = open_tokens();
	char join[192];
	const char pin[] =
		"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

	(void)state;
	char node[254];
	assert_int_equal(kg_tokens_create_join(t, join, pin, NULL, 60000, NOW, NULL), 0);
	assert_string_equal(strrchr(join, '.') + 1, pin + 7);
	assert_int_equal(kg_tokens_check_join(t, join, node, NOW, NULL), 0);
	assert_string_equal(node, "");
	assert_int_equal(
		kg_tokens_check_join(t, join, node, NOW + 60000, NULL), -KG_E_UNAUTHORIZED);
	assert_int_equal(kg_tokens_check_join(t, "", node, NOW, NULL), -KG_E_UNAUTHORIZED);
	assert_int_equal(kg_tokens_check_join(t, "kgj.", node, NOW, NULL), -KG_E_UNAUTHORIZED);
	assert_int_equal(
		kg_tokens_check_join(t, "kgj.a.b.c.d", node, NOW, NULL), -KG_E_UNAUTHORIZED);
	/* Good without the pin too: it is the node's affair. */
	*strrchr(join, '.') = '\0';
	assert_int_equal(kg_tokens_check_join(t, join, node, NOW, NULL), 0);
	kg_tokens_free(t);
}

static void the_file_holds_no_secret_and_forgets(void **state)
{
	struct kg_tokens *t = open_tokens();
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	char old[128], new[128];

	(void)state;
	assert_int_equal(kg_tokens_create_access(t, old, "ann", NULL, 1000, NOW, NULL), 0);
	assert_int_equal(kg_tokens_create_access(t, new, "bob", NULL, 0, NOW + 5000, NULL), 0);
	assert_int_equal(kg_file_read(&text, path, 65536, NULL), 0);
	assert_null(strstr(text.data, strrchr(new, '.') + 1));
	assert_null(strstr(text.data, "ann"));
	assert_non_null(strstr(text.data, "\"bob\""));
	kg_tokens_free(t);
}

static void what_cannot_be_kept_does_not_exist(void **state)
{
	struct kg_tokens *t = NULL;
	struct kg_error err;
	char token[128] = "";

	(void)state;
	assert_int_equal(kg_tokens_open(&t, "/proc/no/such/tokens", &err), 0);
	assert_true(kg_tokens_create_access(t, token, "ann", NULL, 0, NOW, &err) < 0);
	assert_string_equal(token, "");
	assert_int_equal(kg_tokens_create_access(t, token, "", NULL, 0, NOW, &err), -KG_E_INVALID);
	kg_tokens_free(t);
}

static void a_damaged_file_says_where(void **state)
{
	struct kg_tokens *t = NULL;
	struct kg_error err;
	FILE *f = fopen(path, "we");

	(void)state;
	fputs("\n{\"id\":\"x\"}\n", f);
	fclose(f);
	assert_int_equal(kg_tokens_open(&t, path, &err), -KG_E_CORRUPT);
	assert_non_null(strstr(err.msg, "tokens:2: "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(access_tokens_are_their_users, fresh),
		cmocka_unit_test_setup(basic_takes_the_token_as_password, fresh),
		cmocka_unit_test_setup(wrong_tokens_are_refused, fresh),
		cmocka_unit_test_setup(join_tokens_carry_the_pin, fresh),
		cmocka_unit_test_setup(the_file_holds_no_secret_and_forgets, fresh),
		cmocka_unit_test_setup(what_cannot_be_kept_does_not_exist, fresh),
		cmocka_unit_test_setup(a_damaged_file_says_where, fresh),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
