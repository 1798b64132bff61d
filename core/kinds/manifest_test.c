#include "kinds/test_util.h"

#define CM(name) "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " name "}\n"

#define WAY_OUT(name)                                                                              \
	"take it out, name its file in .kgitignore, or put \"" name                                \
	"\" into ignored_kinds of .kgit/settings.yaml\n"

/* `objects`: "KIND NS/NAME@LINE#INDEX" of each that was read. */
static const struct {
	const char *yaml, *objects, *faults;
} cases[] = {
	{"", "", ""},
	{"---\n# nothing\n---\n", "", ""},
	{CM("a"), "ConfigMap default/a@1#0 ", ""},
	{CM("a") "---\n" CM("b, namespace: m"), "ConfigMap default/a@1#0 ConfigMap m/b@5#1 ", ""},
	{"apiVersion: v1\nkind: Namespace\nmetadata: {name: m}\n", "Namespace /m@1#0 ", ""},
	{"{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"a\"}}\n",
		"ConfigMap default/a@1#0 ", ""},
	{"apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: "
	 "{name: a}}\n- {apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: ConfigMap, "
	 "metadata: {name: b}}]}\n---\n" CM("c"),
		"ConfigMap default/a@4#0 ConfigMap default/b@5#1 ConfigMap default/c@7#2 ", ""},
	{"apiVersion: v1\nkind: List\n", "", ""},
	{"apiVersion: v1\nkind: List\nitems: 3\n", "",
		"m.yaml:3:8: items: expected a list of objects\n"},
	/* one bad document does not hide the others */
	{CM("a") "dta: {}\n---\n" CM("b") "---\n" CM("C"), "ConfigMap default/b@6#1 ",
		"m.yaml:4:1: unknown field \"dta\", did you mean \"data\"?\n"
		"m.yaml:12:18: metadata.name: Invalid value: \"C\": a lowercase RFC 1123 subdomain "
		"must consist of lower case alphanumeric characters, '-' or '.', and must start "
		"and end with an alphanumeric character (e.g. 'example.com')\n"},
	{"version: 1\n", "",
		"m.yaml:1:1: expected a Kubernetes object (apiVersion, kind, metadata, ...), got a "
		"mapping without apiVersion and kind; a file that is no manifest is named in "
		".kgitignore\n"},
	{"apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n", "",
		"m.yaml:2:7: kind: kgit does not run kustomize: push what `kustomize build` "
		"prints, "
		"and name what it is made from in .kgitignore\n"},
	{"kind: Pod\n", "", "m.yaml:1:1: apiVersion: Required value: e.g. \"v1\" or \"apps/v1\"\n"},
	{"apiVersion: v1\nkind: [Pod]\n", "",
		"m.yaml:2:7: kind: expected a string such as \"Pod\" or \"Deployment\"\n"},
	{"- 1\n", "",
		"m.yaml:1:1: expected a Kubernetes object (apiVersion, kind, metadata, ...), got a "
		"list\n"},
	{"apiVersion: v1\nkind: Servce\n", "",
		"m.yaml:2:7: kind: unknown kind \"Servce\" of \"v1\", did you mean \"Service\"?\n"},
	{"apiVersion: example.com/v1\nkind: Widget\n", "",
		"m.yaml:2:7: kind: kgit has no kind \"Widget\" of \"example.com/v1\", nor custom "
		"resources yet: " WAY_OUT("Widget.example.com")},
	/* of another program, whatever it is called */
	{"apiVersion: example.com/v1\nkind: Service\n", "",
		"m.yaml:2:7: kind: kgit has no kind \"Service\" of \"example.com/v1\", nor custom "
		"resources yet: " WAY_OUT("Service.example.com")},
	{"apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n", "",
		"m.yaml:2:7: kind: kgit has no kind \"HTTPRoute\" of "
		"\"gateway.networking.k8s.io/v1\", nor custom resources yet: " WAY_OUT(
			"HTTPRoute.gateway.networking.k8s.io")},
	{"apiVersion: network.k8s.io/v1\nkind: NetworkPolicy\n", "",
		"m.yaml:1:13: apiVersion: unknown API version \"network.k8s.io/v1\" for kind "
		"NetworkPolicy, expected \"networking.k8s.io/v1\"\n"},
	{"apiVersion: app/v1\nkind: Deployment\n", "",
		"m.yaml:1:13: apiVersion: unknown API version \"app/v1\" for kind Deployment, "
		"expected \"apps/v1\"\n"},
	{"apiVersion: extensions/v1beta1\nkind: Deployment\n", "",
		"m.yaml:1:13: apiVersion: Kubernetes 1.16 removed \"extensions/v1beta1\": expected "
		"\"apps/v1\" for kind Deployment (it wants spec.selector, which matches the "
		"template's labels)\n"},
	{"apiVersion: batch/v1beta1\nkind: CronJob\n", "",
		"m.yaml:1:13: apiVersion: Kubernetes 1.25 removed \"batch/v1beta1\": expected "
		"\"batch/v1\" for kind CronJob\n"},
	{"apiVersion: policy/v1beta1\nkind: PodSecurityPolicy\n", "",
		"m.yaml:2:7: kind: Kubernetes 1.25 removed PodSecurityPolicy: a Namespace's label "
		"pod-security.kubernetes.io/enforce does its work\n"},
	{"apiVersion: v1\nkind: Binding\n", "",
		"m.yaml:2:7: kind: kgit does not support kind \"Binding\" yet: take it out, or "
		"name "
		"its file in .kgitignore\n"},
	{"apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\n", "",
		"m.yaml:2:7: kind: kgit does not support kind \"HorizontalPodAutoscaler\" "
		"yet: " WAY_OUT("HorizontalPodAutoscaler.autoscaling")},
	{"apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {name: m}\n", "",
		"m.yaml:1:1: kind: Forbidden: Lease objects are made by the system and cannot be "
		"pushed\n"},
	{"apiVersion: v1\nkind: Namespace\nmetadata: {name: m, namespace: m}\n",
		"Namespace /m@1#0 ",
		"m.yaml:3:32: warning: metadata.namespace: is left out, as Kubernetes does it: a "
		"Namespace lies in no namespace\n"},
	/* lists of one kind, whose items need not say what they are */
	{"apiVersion: v1\nkind: ConfigMapList\nitems:\n- metadata: {name: a}\n- {apiVersion: v1, "
	 "kind: Namespace, metadata: {name: m}}\n---\n" CM("c"),
		"ConfigMap default/a@4#0 Namespace /m@5#1 ConfigMap default/c@7#2 ", ""},
	{"apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleList\nitems: []\n", "", ""},
	{"apiVersion: example.com/v1\nkind: WidgetList\nitems:\n- metadata: {name: a}\n---\n" CM(
		 "c"),
		"ConfigMap default/c@6#1 ",
		"m.yaml:4:3: kind: kgit has no kind \"Widget\" of \"example.com/v1\", nor custom "
		"resources yet: " WAY_OUT("Widget.example.com")},
	{"apiVersion: example.com/v1\nkind: AllowList\n", "",
		"m.yaml:2:7: kind: kgit has no kind \"AllowList\" of \"example.com/v1\", nor "
		"custom resources yet: " WAY_OUT("AllowList.example.com")},
};

static void describe(struct kg_buf *out, const struct kg_test_read *t)
{
	for (size_t i = 0; i < t->len; i++)
		kg_buf_addf(out, "%s %s/%s@%u#%u ", t->items[i].kind->kind, t->items[i].ns,
			t->items[i].name, t->items[i].line, t->items[i].index);
}

static void test_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		KG_AUTOBUF struct kg_buf got = KG_BUF_INIT;
		struct kg_test_read t;
		kg_test_read(&t, cases[i].yaml);
		describe(&got, &t);
		if (strcmp(kg_buf_str(&got), cases[i].objects) != 0 ||
			strcmp(kg_buf_str(&t.text), cases[i].faults) != 0)
			fail_msg("case %zu:\n%s\ngot:\n%s\n%s\nexpected:\n%s\n%s", i, cases[i].yaml,
				kg_buf_str(&got), kg_buf_str(&t.text), cases[i].objects,
				cases[i].faults);
		kg_test_read_release(&t);
	}
}

/* Files of other programs are told by their names. */
static void test_others(void **state)
{
	static const struct {
		const char *path, *yaml, *fault;
	} others[] = {
		{"a/kustomization.yaml", "resources: [b.yaml]\n", "kgit does not run kustomize: "},
		{"Chart.yaml", "apiVersion: v2\nname: a\n", "kgit does not run Helm: "},
		{"a/values-prod.yaml", "replicas: 1\n", "kgit does not run Helm: "},
		{"a/b.yaml", "apiVersion: v2\nname: a\n", "kind: Required value: "},
		{"a/b.yaml", "replicas: 1\n", "expected a Kubernetes object "},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(others); i++) {
		struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
		KG_AUTOBUF struct kg_buf said = KG_BUF_INIT;
		struct kg_fault_list faults;
		struct kg_manifest *items;
		size_t n;
		kg_faults_init(&faults, &a);
		kg_manifest_read(&items, &n, &a, others[i].path, others[i].yaml,
			strlen(others[i].yaml), NULL, &faults);
		assert_int_equal(n, 0);
		assert_int_equal(faults.len, 1);
		kg_fault_format(&said, &faults.items[0]);
		const char *msg = strstr(kg_buf_str(&said), ":1:1: ");
		assert_non_null(msg);
		assert_memory_equal(msg + 6, others[i].fault, strlen(others[i].fault));
		kg_faults_release(&faults);
	}
}

/* They are passed over, whatever they say, and counted as documents all the same. */
static void test_ignored(void **state)
{
	static const char yaml[] =
		"apiVersion: example.com/v1\nkind: Widget\nspec: {a: 1}\n---\n" CM(
			"a") "---\n"
			     "apiVersion: example.com/v2\nkind: Widget\n---\n"
			     "apiVersion: b.example.com/v1\nkind: WidgetList\nitems: [{}, "
			     "{}]\n---\n" CM("b");
	struct kg_ignored_kind kinds[] = {
		{.name = "Widget.example.com"}, {.name = "*.b.example.com"}, {.name = "*.org"}};
	const struct kg_ignored_kinds ignored = {kinds, KG_ARRAY_LEN(kinds)};
	struct kg_test_read t = {0};

	(void)state;
	kg_faults_init(&t.faults, &t.arena);
	kg_manifest_read_all(&t.items, &t.len, &t.arena, "m.yaml", yaml, strlen(yaml), NULL,
		&ignored, &t.faults);
	KG_AUTOBUF struct kg_buf got = KG_BUF_INIT;
	describe(&got, &t);
	assert_string_equal(kg_buf_str(&got), "ConfigMap default/a@5#1 ConfigMap default/b@16#5 ");
	assert_int_equal(t.faults.len, 0);
	assert_int_equal(kinds[0].seen, 2);
	assert_int_equal(kinds[0].line, 1);
	assert_int_equal(kinds[1].seen, 2);
	assert_int_equal(kinds[1].line, 14);
	assert_int_equal(kinds[2].seen, 0);
	kg_test_read_release(&t);
}

static void test_ignored_names(void **state)
{
	static const char *const good[] = {
		"Widget.example.com", "*.example.com", "HorizontalPodAutoscaler.autoscaling"};
	static const char *const bad[] = {"", "Widget", ".example.com", "Wid*.example.com",
		"Widget.", "Widget.Example.com", "*", "a/v1.b"};
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(good); i++) {
		struct kg_value v = kg_v_lit(good[i]);
		assert_null(kg_check_ignored_kind(&a, &v));
	}
	for (size_t i = 0; i < KG_ARRAY_LEN(bad); i++) {
		struct kg_value v = kg_v_lit(bad[i]);
		assert_non_null(kg_check_ignored_kind(&a, &v));
	}
}

/* What the parser says is its own; that it has the file and a position is ours. */
static void test_syntax(void **state)
{
	static const char *const texts[] = {
		"a: b\n c: d\n", "a: b\na: c\n", "a: [b\n", "a: *x\n", "\xff\n", "{\"a\": }}\n"};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(texts); i++) {
		struct kg_test_read t;
		kg_test_read(&t, texts[i]);
		assert_int_equal(t.len, 0);
		assert_int_equal(t.faults.len, 1);
		assert_true(t.faults.items[0].line > 0);
		assert_string_equal(t.faults.items[0].file, "m.yaml");
		kg_test_read_release(&t);
	}
}

static void test_paths(void **state)
{
	static const struct {
		const char *path;
		bool is;
	} paths[] = {
		{"a.yaml", true},
		{"a/b/c.yml", true},
		{"x.json", true},
		{"README.md", false},
		{"yaml", false},
		{"a/.yaml", false},
		{".kgit/settings.yaml", false},
		{".github/workflows/ci.yml", false},
		{"a/.b/c.yaml", false},
		{".gitlab-ci.yml", false},
		{"a.yaml.tmpl", false},
		{"a/b..c.yaml", true},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(paths); i++) {
		if (kg_manifest_is_path(paths[i].path) != paths[i].is)
			fail_msg("%s", paths[i].path);
	}
}

/* What an older kgit admitted is read whatever the rules of today are. */
static void test_admitted(void **state)
{
	static const struct {
		const char *spec;
		size_t n;
	} rows[] = {
		{"  replicas: 3\n", 1}, {"  replicas: -1\n", 1}, /* a rule of a field */
		{"  replicas: 3\n  paused: true\n  unknown: 1\n", 1},
		{"  replicas: 3\n  minReadySeconds: 700\n", 1}, /* a rule of several */
		{"  replicas: [3]\n  template: {spec: {containers: [1]}}\n", 1}, /* types */
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(rows); i++) {
		KG_CLEANUP(kg_arena_release) struct kg_arena a = KG_ARENA_INIT;
		KG_AUTOFREE char *text = kg_asprintf(
			"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\nspec:\n%s"
			"  selector: {matchLabels: {a: b}}\n",
			rows[i].spec);
		struct kg_manifest *m;
		size_t n;

		kg_manifest_read_admitted(&m, &n, &a, "m.yaml", text, strlen(text), NULL, NULL);
		assert_int_equal(n, rows[i].n);
		if (n)
			assert_string_equal(m[0].name, "x");
	}
}

static void test_kinds(void **state)
{
	(void)state;
	for (size_t i = 0; i < KG_KIND_COUNT; i++) {
		const struct kg_kind *k = &kg_kinds[i];
		KG_AUTOFREE char *api = *k->group ? kg_asprintf("%s/%s", k->group, k->version)
						  : kg_strdup(k->version);
		KG_AUTOFREE char *resource = *k->group ? kg_asprintf("%s.%s", k->plural, k->group)
						       : kg_strdup(k->plural);

		assert_int_equal(k->id, i);
		assert_string_equal(kg_kind_api_version(k), api);
		assert_string_equal(kg_kind_resource(k), resource);
		assert_ptr_equal(kg_kind_by_api(api, k->kind), k);
		assert_ptr_equal(kg_kind_by_plural(k->group, k->version, k->plural), k);
		/* By a name that several have it is the core group's. */
		if (k->id != KG_KIND_EVENT_V1)
			assert_ptr_equal(kg_kind_by_name(k->kind), k);
		if (k->id < KG_KIND_EVENT_V1)
			assert_ptr_equal(kg_kind_by_name(k->plural), k);
		assert_ptr_equal(kg_kind_by_name(resource), k);
	}
	assert_ptr_equal(kg_kind_by_name("deploy"), &kg_kinds[KG_KIND_DEPLOYMENT]);
	assert_null(kg_kind_by_name("nope"));
	assert_null(kg_kind_by_api("v1", "Deployment"));
	assert_null(kg_kind_by_plural("apps", "v2", "deployments"));
}

/* Endpoints of so many subsets, each of so many addresses and ports. */
static void test_many_endpoints(void **state)
{
	static const struct {
		unsigned subsets, addresses, ports;
		const char *faults;
	} rows[] = {
		{100, 1, 1, ""},
		{101, 1, 1,
			"m.yaml:4:10: subsets: Too many: 101: must have at most 100 items: put "
			"addresses of the same ports into one, or use EndpointSlices\n"},
		{1, 10, 10000, ""},
		{100, 20, 50, ""},
		{10, 101, 100,
			"m.yaml:4:10: subsets: Too many: 101000 pairs of an address and one of its "
			"ports: kgit takes at most 100000 in all subsets: use EndpointSlices\n"},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(rows); i++) {
		KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
		struct kg_test_read t;

		kg_buf_adds(&b, META("Endpoints") "subsets: [");
		for (unsigned s = 0; s < rows[i].subsets; s++) {
			kg_buf_addf(&b, "%s{addresses: [", s ? ", " : "");
			for (unsigned k = 0; k < rows[i].addresses; k++)
				kg_buf_addf(&b, "%s{ip: 192.0.2.%u}", k ? ", " : "", k);
			kg_buf_adds(&b, "], ports: [");
			for (unsigned k = 0; k < rows[i].ports; k++)
				kg_buf_addf(&b, "%s{name: a%u, port: %u}", k ? ", " : "", k, s + 1);
			kg_buf_adds(&b, "]}");
		}
		kg_buf_adds(&b, "]\n");
		kg_test_read(&t, kg_buf_str(&b));
		assert_string_equal(kg_buf_str(&t.text), rows[i].faults);
		kg_test_read_release(&t);
	}
}

/* Slices of so many endpoints, each of so many addresses and all of so many ports. */
static void test_many_of_a_slice(void **state)
{
	static const struct {
		unsigned endpoints, addresses, ports;
		const char *faults;
	} rows[] = {
		{5, 1, 20000, ""},
		{1000, 1, 100, ""},
		{10, 100, 100, ""},
		{1001, 1, 1,
			"m.yaml:7:12: endpoints: Too many: 1001: must have at most 1000 items\n"},
		{1, 101, 1,
			"m.yaml:7:25: endpoints[0].addresses: Too many: 101: must have at most 100 "
			"items\n"},
		{1, 1, 20001,
			"m.yaml:6:8: ports: Too many: 20001: must have at most 20000 items\n"},
		{10, 100, 101,
			"m.yaml:6:8: ports: Too many: 1000 addresses of 101 ports: kgit takes at "
			"most 100000 such pairs: divide it into several slices\n"},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(rows); i++) {
		KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
		struct kg_test_read t;

		kg_buf_adds(&b, "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
				"metadata: {name: x,\n  labels: {kubernetes.io/service-name: db}}\n"
				"addressType: IPv4\nports: [");
		for (unsigned k = 0; k < rows[i].ports; k++)
			kg_buf_addf(&b, "%s{name: a%u, port: 80}", k ? ", " : "", k);
		kg_buf_adds(&b, "]\nendpoints: [");
		for (unsigned e = 0; e < rows[i].endpoints; e++) {
			kg_buf_addf(&b, "%s{addresses: [", e ? ", " : "");
			for (unsigned k = 0; k < rows[i].addresses; k++)
				kg_buf_addf(&b, "%s192.0.2.%u", k ? ", " : "", k);
			kg_buf_adds(&b, "]}");
		}
		kg_buf_adds(&b, "]\n");
		kg_test_read(&t, kg_buf_str(&b));
		assert_string_equal(kg_buf_str(&t.text), rows[i].faults);
		kg_test_read_release(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_ignored),
		cmocka_unit_test(test_ignored_names),
		cmocka_unit_test(test_syntax),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_admitted),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_many_endpoints),
		cmocka_unit_test(test_many_of_a_slice),
	};

	kg_kinds_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
