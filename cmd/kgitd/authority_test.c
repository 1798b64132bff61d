/* The authority on disk: its steps, each of which is whole or was not taken, whatever else of it
 * was written. */
#include "base/buf.h"
#include "base/mem.h"
#include "kgitd/authority.h"
#include "pki/pki.h"
#include "sys/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static char dir[64];

static int set_up(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/authority_test.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	return kg_remove_tree(dir, NULL);
}

static struct kgd_authority *open_authority(void)
{
	struct kgd_authority *a;
	struct kg_error err;

	if (kgd_authority_open(&a, dir, &err) < 0)
		fail_msg("%s", err.msg);
	return a;
}

static char *read_file(const char *name)
{
	char *path KG_AUTOFREE = kg_asprintf("%s/%s", dir, name);
	struct kg_buf text = KG_BUF_INIT;

	assert_int_equal(kg_file_read(&text, path, 1 << 20, NULL), 0);
	return kg_buf_steal(&text);
}

static void write_file(const char *name, const char *text)
{
	char *path KG_AUTOFREE = kg_asprintf("%s/%s", dir, name);

	if (text)
		assert_int_equal(kg_file_write(path, text, strlen(text), 0600, NULL), 0);
	else
		unlink(path);
}

/* What a start finds: the same authority, and ca.crt as it is to be. */
static void finds(const struct kgd_authority *want)
{
	struct kgd_authority *a = open_authority();
	char *bundle KG_AUTOFREE = read_file("ca.crt");

	assert_string_equal(a->name, want->name);
	assert_string_equal(a->key_pem, want->key_pem);
	assert_string_equal(a->cert_pem, want->cert_pem);
	assert_string_equal(a->bundle_pem, want->bundle_pem);
	assert_string_equal(a->old_name, want->old_name);
	assert_int_equal(a->cross_pem != NULL, want->cross_pem != NULL);
	assert_string_equal(bundle, want->bundle_pem);
	kgd_authority_free(a);
}

static void one_after_the_other(void **state)
{
	struct kgd_authority *first = open_authority(), *both, *second, *again;
	struct kg_error err;
	char *old KG_AUTOFREE = read_file("ca.crt");

	(void)state;
	finds(first);
	assert_string_equal(first->name, "kgit");
	assert_null(first->old_pem);
	assert_int_equal(kgd_authority_retire(&both, first, dir, &err), -KG_E_CONFLICT);

	assert_int_equal(kgd_authority_rotate(&both, first, dir, &err), 0);
	finds(both);
	assert_string_equal(both->name, "kgit-2");
	assert_string_equal(both->old_pem, first->cert_pem);
	assert_true(kg_pki_issued_by(both->cross_pem, first->cert_pem));
	assert_true(kgd_authority_made(both, "kgit"));
	assert_true(kgd_authority_made(both, "kgit-2"));
	assert_false(kgd_authority_made(both, "kgit-3"));
	assert_false(kgd_authority_made(both, ""));
	assert_false(kgd_authority_made(both, NULL));
	assert_int_equal(kgd_authority_rotate(&again, both, dir, &err), -KG_E_CONFLICT);
	finds(both);
	/* Cut short before ca.crt was written, or while somebody had removed it. */
	write_file("ca.crt", old);
	finds(both);
	write_file("ca.crt", NULL);
	finds(both);

	char *trusted KG_AUTOFREE = read_file("ca.crt");
	assert_int_equal(kgd_authority_retire(&second, both, dir, &err), 0);
	finds(second);
	assert_string_equal(second->name, "kgit-2");
	assert_false(kgd_authority_made(second, "kgit"));
	assert_string_equal(second->bundle_pem, second->cert_pem);
	write_file("ca.crt", trusted);
	finds(second);
	/* Readers of the first may still be there. */
	assert_string_equal(first->name, "kgit");
	kgd_authority_free(second);
}

static void a_first_start_that_was_cut_short(void **state)
{
	char *key KG_AUTOFREE = NULL;
	struct kg_error err;

	(void)state;
	assert_int_equal(kg_pki_key_new(&key, &err), 0);
	write_file("ca.key", key);
	struct kgd_authority *a = open_authority();
	finds(a);
	kgd_authority_free(a);
	/* A certificate whose key is gone is no reason to make another CA. */
	write_file("ca.key", NULL);
	assert_true(kgd_authority_open(&a, dir, &err) < 0);
}

/* No write succeeds: nothing has changed, in memory or on disk. */
static void what_cannot_be_written_is_not_done(void **state)
{
	struct kgd_authority *a = open_authority(), *next = NULL;
	struct rlimit full, none;
	struct kg_error err;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &full), 0);
	none = (struct rlimit){.rlim_cur = 0, .rlim_max = full.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	int rc = kgd_authority_rotate(&next, a, dir, &err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
	assert_true(rc < 0);
	assert_null(next);
	finds(a);
	assert_int_equal(kgd_authority_rotate(&next, a, dir, &err), 0);
	finds(next);
	kgd_authority_free(next);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_after_the_other, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_first_start_that_was_cut_short, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_cannot_be_written_is_not_done, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
