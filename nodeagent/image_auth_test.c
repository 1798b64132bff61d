#include "nodeagent/image_auth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/mem.h"
#include "value/json.h"

#include <stdlib.h>
#include <string.h>

/* Secrets a and b of the pod's namespace, an image, and what is given to skopeo. */
static const struct {
	const char *a, *b, *image, *auth;
} cases[] = {
	{"{\"auths\":{\"r.io\":{\"auth\":\"QQ==\"}}}", NULL, "r.io/x:1",
		"{\"auths\":{\"r.io\":{\"auth\":\"QQ==\"}}}"},
	{"{\"auths\":{\"r.io\":{\"auth\":\"QQ==\"}}}", NULL, "s.io/x", NULL},
	{"{\"auths\":{\"r.io:5000\":{\"auth\":\"QQ==\"}}}", NULL, "r.io/x", NULL},
	{"{\"auths\":{\"r.io\":{\"username\":\"me\",\"password\":\"pw\"}}}", NULL,
		"r.io/x@sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
		"{\"auths\":{\"r.io\":{\"auth\":\"bWU6cHc=\"}}}"},
	{"{\"auths\":{\"r.io\":{}}}", NULL, "r.io/x", NULL},
	/* Docker's own names */
	{"{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"QQ==\"}}}", NULL, "busybox",
		"{\"auths\":{\"docker.io\":{\"auth\":\"QQ==\"}}}"},
	{"{\"auths\":{\"https://r.io:5000/v2\":{\"auth\":\"QQ==\"}}}", NULL, "r.io:5000/x",
		"{\"auths\":{\"r.io:5000\":{\"auth\":\"QQ==\"}}}"},
	/* the longest path, then the first */
	{"{\"auths\":{\"r.io\":{\"auth\":\"QQ==\"},\"r.io/team\":{\"auth\":\"Qg==\"}}}",
		"{\"auths\":{\"r.io/team\":{\"auth\":\"Qw==\"},\"r.io/te\":{\"auth\":\"RA==\"}}}",
		"r.io/team/x:1", "{\"auths\":{\"r.io\":{\"auth\":\"Qg==\"}}}"},
	{"{\"auths\":{\"r.io/team\":{\"auth\":\"Qg==\"}}}", NULL, "r.io/teams/x", NULL},
	{"{\"auths\":{\"r.io/team/x\":{\"auth\":\"Qg==\"}}}", NULL, "r.io/team/x:1",
		"{\"auths\":{\"r.io\":{\"auth\":\"Qg==\"}}}"},
	/* a label for a label */
	{"{\"auths\":{\"*.r.io\":{\"auth\":\"QQ==\"}}}", NULL, "eu.r.io/x",
		"{\"auths\":{\"eu.r.io\":{\"auth\":\"QQ==\"}}}"},
	{"{\"auths\":{\"*.r.io\":{\"auth\":\"QQ==\"}}}", NULL, "a.eu.r.io/x", NULL},
	{"{\"auths\":{\"*.r.io\":{\"auth\":\"QQ==\"}}}", NULL, "r.io/x", NULL},
	/* one that is not there, or is none */
	{"not json", "{\"auths\":{\"r.io\":{\"auth\":\"QQ==\"}}}", "r.io/x",
		"{\"auths\":{\"r.io\":{\"auth\":\"QQ==\"}}}"},
	{NULL, NULL, "r.io/x", NULL},
};

static struct kg_value secret(
	struct kg_arena *a, const char *name, const char *key, const char *text)
{
	KG_AUTOFREE char *coded = kg_base64_encode(text, strlen(text));
	return kg_v_obj(a, "kind", kg_v_lit("Secret"), "metadata",
		kg_v_obj(a, "namespace", kg_v_lit("ns"), "name", kg_v_lit(name), (char *)NULL),
		"data", kg_v_obj(a, key, kg_v_str(a, coded), (char *)NULL), (char *)NULL);
}

static struct kg_value a_pod(struct kg_arena *a)
{
	static const char text[] =
		"{\"metadata\":{\"namespace\":\"ns\"},\"spec\":{\"imagePullSecrets\":["
		"{\"name\":\"none\"},{\"name\":\"a\"},{\"name\":\"b\"}]}}";
	struct kg_value pod;
	struct kg_error err;
	assert_int_equal(kg_json_parse(&pod, a, text, strlen(text), &err), 0);
	return pod;
}

static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
		struct kg_value items[2], pod = a_pod(&a);
		size_t n = 0;
		if (cases[i].a)
			items[n++] = secret(&a, "a", ".dockerconfigjson", cases[i].a);
		if (cases[i].b)
			items[n++] = secret(&a, "b", ".dockerconfigjson", cases[i].b);
		struct kg_value objects = kg_v_array(&a, items, n);
		KG_AUTOFREE char *auth = kg_image_auth(&pod, &objects, cases[i].image);
		if (!auth || !cases[i].auth)
			assert_ptr_equal(auth, cases[i].auth);
		else
			assert_string_equal(auth, cases[i].auth);
	}
}

static void test_old_form(void **state)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value pod = a_pod(&a);
	struct kg_value one =
		secret(&a, "a", ".dockercfg", "{\"https://r.io/v1/\":{\"auth\":\"QQ==\"}}");
	struct kg_value objects = kg_v_array(&a, &one, 1);
	(void)state;
	KG_AUTOFREE char *auth = kg_image_auth(&pod, &objects, "r.io/x");
	assert_string_equal(auth, "{\"auths\":{\"r.io\":{\"auth\":\"QQ==\"}}}");
	assert_null(kg_image_auth(&pod, &objects, "NOT/a reference"));
	assert_null(kg_image_auth(&kg_null, &objects, "r.io/x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_old_form),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
