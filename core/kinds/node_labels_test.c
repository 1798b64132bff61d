#include "kinds/node_labels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka wants those first */
#include <cmocka.h>

static void test_allowed(void **state)
{
	(void)state;
	static const struct {
		const char *key;
		bool want;
	} cases[] = {
		{"disk", true},
		{"example.com/disk", true},
		{"mykubernetes.io/disk", true},
		{"kubernetes.io", true}, /* a name without a domain */
		{"kubernetes.io/hostname", true},
		{"kubernetes.io/os", true},
		{"beta.kubernetes.io/arch", true},
		{"topology.kubernetes.io/zone", true},
		{"failure-domain.beta.kubernetes.io/region", true},
		{"node.kubernetes.io/instance-type", true},
		{"node.kubernetes.io/anything", true},
		{"foo.node.kubernetes.io/anything", true},
		{"kubelet.kubernetes.io/anything", true},
		{"foo.kubelet.kubernetes.io/anything", true},
		{"node-restriction.kubernetes.io/team", false},
		{"foo.node-restriction.kubernetes.io/team", false},
		{"node-role.kubernetes.io/control-plane", false},
		{"kubernetes.io/anything", false},
		{"k8s.io/anything", false},
		{"other.k8s.io/anything", false},
		{"other.kubernetes.io/anything", false},
		{"topology.kubernetes.io/rack", false},
	};
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++)
		if (kg_node_label_is_allowed(cases[i].key) != cases[i].want)
			fail_msg("%s", cases[i].key);
}

static void test_check(void **state)
{
	(void)state;
	static const struct {
		const char *key, *value, *word; /* of the message; NULL: it is good */
		int rc;
	} cases[] = {
		{"disk", "ssd", NULL, 0},
		{"node-role.kubernetes.io/worker", "", "node-role.kubernetes.io/worker",
			-KG_E_FORBIDDEN},
		{"-disk", "ssd", "-disk", -KG_E_INVALID},
		{"disk", "s s d", "disk", -KG_E_INVALID},
	};
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_arena a = KG_ARENA_INIT;
		struct kg_error err = {0};
		struct kg_value v =
			kg_v_obj(&a, cases[i].key, kg_v_lit(cases[i].value), (char *)NULL);
		assert_int_equal(kg_node_labels_check(&v, &err), cases[i].rc);
		if (cases[i].word)
			assert_non_null(strstr(err.msg, cases[i].word));
		kg_arena_release(&a);
	}
	struct kg_error err;
	assert_int_equal(kg_node_labels_check(&kg_null, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_allowed),
		cmocka_unit_test(test_check),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
