/* .kgit/settings.yaml: what it says, and what is said of what is wrong in it. */
#include "store/settings.h"

#include "base/mem.h"
#include "kinds/kind.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define DAY INT64_C(86400000)

static void test_ages(void **state)
{
	static const struct {
		const char *text;
		int64_t ms; /* -1: none */
	} cases[] = {
		{"30d", 30 * DAY},
		{"1d", DAY},
		{"12h", DAY / 2},
		{"1h30m", 5400000},
		{"90s", 90000},
		{"forever", INT64_MAX},
		{"0d", -1},
		{"0s", -1},
		{"-1h", -1},
		{"3600", -1},
		{"30 d", -1},
		{"9999999d", -1},
		{"d", -1},
		{"", -1},
		{"soon", -1},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		int64_t ms = -1;

		kg_settings_age(&ms, cases[i].text);
		if (ms != cases[i].ms)
			fail_msg("%s: %lld", cases[i].text, (long long)ms);
	}
}

/* Also says whether the first fault begins so; NULL: there is to be none. *said: the fault. */
static bool parse(struct kg_settings *out, struct kg_arena *a, struct kg_buf *said,
	const char *text, const char *fault)
{
	const char *want = fault ? fault : "";
	struct kg_fault_list faults;

	kg_faults_init(&faults, a);
	kg_settings_parse(out, a, text, strlen(text), &faults);
	if (faults.len)
		kg_fault_format(said, &faults.items[0]);
	bool right = !fault == !faults.len && strncmp(kg_buf_str(said), want, strlen(want)) == 0;
	kg_faults_release(&faults);
	return right;
}

static void test_parse(void **state)
{
	static const struct {
		const char *text;
		uint64_t revisions;
		int64_t age_ms;
		const char *fault; /* of the first; NULL: none */
	} cases[] = {
		{"", 0, 0, NULL},
		{"# nothing\n", 0, 0, NULL},
		{"{}\n", 0, 0, NULL},
		{"retention: {}\n", 0, 0, NULL},
		{"retention: {revisions: 500, age: 30d}\n", 500, 30 * DAY, NULL},
		{"retention:\n  age: forever\n", 0, INT64_MAX, NULL},
		{"retention:\n  revisions: 0\n", 0, 0,
			".kgit/settings.yaml:2:14: retention.revisions: "},
		{"retention:\n  revisions: -5\n", 0, 0,
			".kgit/settings.yaml:2:14: retention.revisions: "},
		{"retention:\n  revisions: many\n", 0, 0,
			".kgit/settings.yaml:2:14: retention.revisions: "},
		{"retention:\n  age: 3 weeks\n", 0, 0, ".kgit/settings.yaml:2:8: retention.age: "},
		{"retention:\n  revision: 5\n", 0, 0,
			".kgit/settings.yaml:2:3: retention: unknown field "},
		{"limits: {}\n", 0, 0, ".kgit/settings.yaml:1:1: unknown field "},
		{"- a\n", 0, 0, ".kgit/settings.yaml:1:1: "},
		{"retention: {\n", 0, 0, ".kgit/settings.yaml:2:"},
		{"a: b\n---\nc: d\n", 0, 0, ".kgit/settings.yaml:3:1: "},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
		struct kg_buf said KG_AUTOBUF = KG_BUF_INIT;
		struct kg_settings s;

		if (!parse(&s, &a, &said, cases[i].text, cases[i].fault))
			fail_msg("%s: \"%s\"", cases[i].text, kg_buf_str(&said));
		assert_int_equal(s.revisions, cases[i].revisions);
		assert_int_equal(s.age_ms, cases[i].age_ms);
	}
}

static void test_ignored_kinds(void **state)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_buf said KG_AUTOBUF = KG_BUF_INIT;
	struct kg_settings s;

	(void)state;
	assert_true(parse(&s, &a, &said, "ignored_kinds: [Widget.example.com, '*.b.org']\n", NULL));
	assert_string_equal(s.ignored_kinds[0], "Widget.example.com");
	assert_string_equal(s.ignored_kinds[1], "*.b.org");
	assert_null(s.ignored_kinds[2]);
	assert_true(parse(&s, &a, &said, "{}\n", NULL));
	assert_null(s.ignored_kinds);
	assert_true(parse(&s, &a, &said, "ignored_kinds: [Widget]\n",
		".kgit/settings.yaml:1:17: ignored_kinds[0]: "));
}

/* Nobody's push is let in unsigned because a list was left empty: that is a fault. */
static void test_signers(void **state)
{
	static const struct {
		const char *text;
		const char *signers; /* NULL: none */
		const char *fault;   /* of the first; NULL: none */
	} cases[] = {
		{"{}\n", NULL, NULL},
		{"allowed_signers: [a ssh-ed25519 AAAA1, b ssh-rsa AAAA2]\n",
			"a ssh-ed25519 AAAA1\nb ssh-rsa AAAA2\n", NULL},
		{"allowed_signers: [a ssh-ed25519 AAAA1, b]\n", "a ssh-ed25519 AAAA1\n",
			".kgit/settings.yaml:1:40: allowed_signers[1]: "},
		{"allowed_signers: [b]\n", "", ".kgit/settings.yaml:1:19: allowed_signers[0]: "},
		{"allowed_signers: []\n", NULL,
			".kgit/settings.yaml:1:1: allowed_signers: names nobody: "},
		{"retention: {}\nallowed_signers:\n", NULL,
			".kgit/settings.yaml:2:1: allowed_signers: names nobody: "},
		{"allowed_signers: a ssh-ed25519 AAAA1\n", NULL,
			".kgit/settings.yaml:1:18: allowed_signers: "},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
		struct kg_buf said KG_AUTOBUF = KG_BUF_INIT;
		struct kg_settings s;
		bool right = parse(&s, &a, &said, cases[i].text, cases[i].fault);
		const char *got = s.allowed_signers ? s.allowed_signers : "(none)";

		if (!right || strcmp(got, cases[i].signers ? cases[i].signers : "(none)") != 0)
			fail_msg("%s: \"%s\", %s", cases[i].text, kg_buf_str(&said), got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ages),
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_ignored_kinds),
		cmocka_unit_test(test_signers),
	};

	kg_kinds_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
