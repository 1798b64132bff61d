/* What of an object may become what, and what is said of the rest. */
#include "kinds/test_util.h"

#define NO_POD_UPDATE                                                                              \
	"Forbidden: pod updates may not change fields other than `spec.containers[*].image`, "     \
	"`spec.initContainers[*].image`, `spec.activeDeadlineSeconds`, `spec.tolerations` (only "  \
	"additions to existing tolerations); a pod of another name can have it\n"

static const struct {
	const char *before, *after, *faults;
} updates[] = {
	{DEPLOY(""), DEPLOY("  replicas: 5\n"), ""},
	{DEPLOY(""),
		"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\nspec:\n"
		"  selector: {matchLabels: {c: d}}\n"
		"  template: {metadata: {labels: {c: d}}, spec: {containers: [{name: a, image: "
		"i}]}}\n",
		"spec.selector: Invalid value: {\"matchLabels\":{\"c\":\"d\"}}: field is immutable "
		"(it was {\"matchLabels\":{\"a\":\"b\"}}); an object of another name can have "
		"it\n"},
	{POD(C("")), POD("  containers: [{name: a, image: 'j:1'}]\n"), ""},
	{POD(C("")), POD(C("") "  tolerations: [{operator: Exists}]\n"), ""},
	{POD(C("") "  tolerations: [{operator: Exists}]\n"), POD(C("")),
		"spec.tolerations: Forbidden: existing toleration can not be modified except its "
		"tolerationSeconds; tolerations can only be added\n"},
	{POD(C("") "  nodeName: n1\n"), POD(C("")), ""},
	{POD(C("")), POD(C(", args: [x]")), "spec.containers[0].args: " NO_POD_UPDATE},
	{POD(C("") "  restartPolicy: Never\n"), POD(C("")), "spec.restartPolicy: " NO_POD_UPDATE},
	{POD(C("")), POD("  containers: [{name: a, image: i}, {name: b, image: i}]\n"),
		"spec.containers: Forbidden: pod updates may not add or remove containers; a pod "
		"of another name can have them\n"},
	{POD(C("") "  activeDeadlineSeconds: 5\n"), POD(C("") "  activeDeadlineSeconds: 6\n"),
		"spec.activeDeadlineSeconds: Invalid value: 6: must be less than or equal to "
		"previous value\n"},
	{META("ConfigMap") "data: {a: b}\nimmutable: true\n",
		META("ConfigMap") "data: {a: c}\nimmutable: true\n",
		"data: Forbidden: field is immutable when `immutable` is set\n"},
	{META("ConfigMap") "data: {a: b}\n", META("ConfigMap") "data: {a: c}\n", ""},
};

static void test_updates(void **state)
{
	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(updates); i++) {
		struct kg_test_read t, u;
		kg_test_read(&t, updates[i].before);
		kg_test_read(&u, updates[i].after);
		assert_int_equal(t.len + u.len, 2);
		kg_schema_check_update(t.items[0].kind->schema, &t.items[0].value,
			&u.items[0].value, "", &u.faults);
		kg_buf_clear(&u.text);
		for (size_t j = 0; j < u.faults.len; j++) {
			kg_fault_format(&u.text, &u.faults.items[j]);
			kg_buf_addc(&u.text, '\n');
		}
		if (strcmp(kg_buf_str(&u.text), updates[i].faults) != 0)
			fail_msg("case %zu: got:\n%s\nexpected:\n%s", i, kg_buf_str(&u.text),
				updates[i].faults);
		kg_test_read_release(&t);
		kg_test_read_release(&u);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_updates),
	};

	kg_kinds_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
